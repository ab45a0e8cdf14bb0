/**
 * What each system has in its own way: memory for several processes, whether a
 * process has ended, its command line, its end with its parent.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { FileMapping } from "./_file_mapping.ts";
import { cString, errno, libc } from "./libc.ts";
import { FIRST_NAME } from "./_mapping.ts";
import type { Mapping } from "./_mapping.ts";
import { MemfdMapping } from "./_memfd_mapping.ts";
import { posix, posixErrno } from "./_posix.ts";
import { SectionMapping } from "./_section_mapping.ts";
import {
  commandLineOfWindows,
  dieWithProcess,
  hasProcessEnded,
  ignoreConsole,
  kernel,
  winsock,
} from "./_windows.ts";

const { os } = Deno.build;

/**
 * Whether this program is to use, where it has better, what works everywhere: for
 * the tests, which so see on Linux what macOS and Windows do. Only who makes the
 * memory asks; everybody else finds it in the memory.
 */
const PORTABLE_VARIABLE = "MULTIPROCESSING_WAITING";
const PORTABLE = "portable";

/** Whether futexes and memory without a name are there, and wanted. */
export function isNative(): boolean {
  if (os !== "linux") return false;
  // Not asked for: reading a variable must not prompt.
  const { state } = Deno.permissions.querySync({
    name: "env",
    variable: PORTABLE_VARIABLE,
  });
  return state !== "granted" || Deno.env.get(PORTABLE_VARIABLE) !== PORTABLE;
}

/**
 * Makes memory that other processes can open.
 *
 * @param sizes How large it may be; the first that the system allows is taken.
 * @param isNamed Whether it is to have a name, even where it could do without.
 */
export function createMapping(
  sizes: readonly number[],
  isNamed: boolean,
): Mapping {
  if (os === "windows") return SectionMapping.create(sizes);
  return (isNamed ? undefined : MemfdMapping.create(sizes)) ??
    FileMapping.create(sizes);
}

/**
 * Opens the memory of another process.
 *
 * @param pid A process that has it open.
 * @param file What leads to it.
 * @param byteLength How long it is.
 * @param address Where it is mapped, if another thread of this process has done so.
 */
export function openMapping(
  pid: number,
  file: number,
  byteLength: number,
  address?: number,
): Mapping {
  const isHere = pid === Deno.pid && address !== undefined;
  const type = os === "windows"
    ? SectionMapping
    : file < FIRST_NAME
    ? MemfdMapping
    : FileMapping;
  if (isHere) return type.at(file, address, byteLength);
  return type === MemfdMapping
    ? type.open(pid, file, byteLength)
    : (type as typeof FileMapping).open(file, byteLength);
}

// ---- processes --------------------------------------------------------------

/** How much of `/proc/<pid>/stat` holds the state: the name is 16 bytes. */
const STAT_BYTES = 128;
const stat = new Uint8Array(STAT_BYTES);
const O_CLOEXEC = 0o2000000;
/** Error numbers of a process that is not there, or is gone while one looks. */
const ENOENT = 2;
const ESRCH = 3;

/** Whether a process has ended, told without waiting for any event. */
export function hasEnded(pid: number): boolean {
  if (os === "linux") return hasEndedOnLinux(pid);
  return os === "darwin" ? hasEndedOnMac(pid) : hasProcessEnded(pid);
}

function hasEndedOnLinux(pid: number): boolean {
  const { open, read, close } = libc();
  const fd = open(cString(`/proc/${pid}/stat`), O_CLOEXEC);
  // It may be this process that cannot open any more files, or sees no `/proc`.
  if (fd < 0) return errno() === ENOENT && isNobody(pid);
  const length = read(fd, stat);
  const error = length < 0 ? errno() : 0;
  close(fd);
  if (length <= 0) return error === ESRCH;
  // "pid (name) S …": the name may hold anything, so look from its end. Z and
  // X are ended but not yet waited for by their parent.
  const text = new TextDecoder().decode(stat.subarray(0, length));
  const state = text.charAt(text.lastIndexOf(")") + 2);
  return state === "Z" || state === "X";
}

/** Whether there is no process of that id; one that has only ended is one. */
function isNobody(pid: number): boolean {
  return libc().kill(pid, 0) < 0 && errno() === ESRCH;
}

const MAC = {
  proc_pidinfo: {
    parameters: ["i32", "i32", "u64", "buffer", "i32"],
    result: "i32",
  },
  _NSGetArgc: { parameters: [], result: "pointer" },
  _NSGetArgv: { parameters: [], result: "pointer" },
  dlsym: { parameters: ["isize", "buffer"], result: "pointer" },
  dispatch_get_global_queue: {
    parameters: ["isize", "usize"],
    result: "pointer",
  },
  dispatch_source_create: {
    parameters: ["pointer", "usize", "usize", "pointer"],
    result: "pointer",
  },
  dispatch_set_context: { parameters: ["pointer", "usize"], result: "void" },
  dispatch_source_set_event_handler_f: {
    parameters: ["pointer", "pointer"],
    result: "void",
  },
  dispatch_resume: { parameters: ["pointer"], result: "void" },
} as const;

let macCalls: Deno.DynamicLibrary<typeof MAC>["symbols"] | undefined;

/** What only Apple's C library has. */
function mac(): Deno.DynamicLibrary<typeof MAC>["symbols"] {
  return macCalls ??= Deno.dlopen("/usr/lib/libSystem.B.dylib", MAC).symbols;
}

/** `PROC_PIDTBSDINFO` and the size of its answer, from `sys/proc_info.h`. */
const BSD_INFO = 3;
const BSD_INFO_BYTES = 136;

function hasEndedOnMac(pid: number): boolean {
  const info = new Uint8Array(BSD_INFO_BYTES);
  // Asked with 0 as the third argument, it knows nothing of ended processes that
  // nobody has waited for yet.
  const length = mac().proc_pidinfo(pid, BSD_INFO, 0n, info, BSD_INFO_BYTES);
  return length <= 0 && posixErrno() === ESRCH;
}

/** How much of the command line is read at most. */
const COMMAND_LINE_BYTES = 64 * 1024;

/**
 * The command line of this process, program first, where the system tells and FFI
 * is granted.
 */
export function commandLine(): string[] | undefined {
  if (!isGranted()) return undefined;
  if (os === "linux") return commandLineOfLinux();
  if (os === "darwin") return commandLineOfMac();
  return os === "windows" ? commandLineOfWindows() : undefined;
}

function commandLineOfLinux(): string[] | undefined {
  const { open, read, close } = libc();
  const fd = open(cString("/proc/self/cmdline"), O_CLOEXEC);
  if (fd < 0) return undefined;
  const bytes = new Uint8Array(COMMAND_LINE_BYTES);
  const length = read(fd, bytes);
  close(fd);
  if (length <= 0) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(0, length));
  return text.split("\0").slice(0, -1);
}

/**
 * Whether there is a file, also for one who may not read it by Deno's permissions.
 *
 * @param path Its path.
 */
export function isThere(path: string): boolean {
  if (!isGranted() || os === "windows") return false;
  const { open, close } = os === "linux" ? libc() : posix();
  const fd = open(cString(path), O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

function commandLineOfMac(): string[] | undefined {
  const [argc, argv] = [mac()._NSGetArgc(), mac()._NSGetArgv()];
  if (argc === null || argv === null) return undefined;
  const count = new Deno.UnsafePointerView(argc).getInt32();
  const list = new Deno.UnsafePointerView(argv).getPointer();
  if (list === null) return undefined;
  const view = new Deno.UnsafePointerView(list);
  return Array.from(
    { length: count },
    (_, i) => Deno.UnsafePointerView.getCString(view.getPointer(i * 8)!),
  );
}

/** Whether native code may be called without asking. */
export function isGranted(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

const PR_SET_PDEATHSIG = 1;
const SIGNAL_IGNORED = 1;
const SIGKILL = 9;
const SIGINT = 2;

/**
 * Asks the system to end this process when its parent ends, whatever it does at
 * that time.
 *
 * @param parent Process id of the parent.
 * @returns Whether it is certain to: if not, the process has to look itself.
 */
export function dieWithParent(parent: number): boolean {
  if (isNative()) {
    libc().prctl(PR_SET_PDEATHSIG, SIGKILL);
    return true;
  }
  if (os === "darwin") dieWithProcessOnMac(parent);
  else if (os === "windows") dieWithProcess(parent);
  return false;
}

/** `RTLD_DEFAULT`, from `dlfcn.h`. */
const EVERYWHERE = -2n;
/** `DISPATCH_PROC_EXIT`, from `dispatch/source.h`. */
const ON_EXIT = 0x8000_0000n;
/** What `exit(128 + SIGKILL)` of a shell is. */
const KILLED = 137n;

/**
 * Has a thread of the system's wait for the end of a process, and then call a
 * function with the context; that function is `_exit` itself, which so gets an
 * exit code.
 */
function dieWithProcessOnMac(pid: number): void {
  const calls = mac();
  const type = calls.dlsym(
    EVERYWHERE,
    cString("_dispatch_source_type_proc"),
  );
  const exit = calls.dlsym(EVERYWHERE, cString("_exit"));
  const queue = calls.dispatch_get_global_queue(0n, 0n);
  const source = calls.dispatch_source_create(
    type,
    BigInt(pid),
    ON_EXIT,
    queue,
  );
  if (source === null || exit === null) return;
  calls.dispatch_set_context(source, KILLED);
  calls.dispatch_source_set_event_handler_f(source, exit);
  calls.dispatch_resume(source);
}

/** Leaves Ctrl-C to the parent. */
export function ignoreInterrupt(): void {
  if (os === "windows") return ignoreConsole();
  if (os === "linux") libc().ignore(SIGINT);
  else posix().signal(SIGINT, BigInt(SIGNAL_IGNORED));
}

// Opened at once where nothing has to be asked: opened in the middle of a user's
// test, it would look like something that test had forgotten to close.
if (os !== "linux" && isGranted()) {
  if (os === "darwin") {
    posix();
    mac();
  } else if (os === "windows") {
    kernel();
    winsock();
  }
}

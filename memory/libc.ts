/**
 * The calls into Linux, and nothing but the calls: what they mean is in
 * `process_memory.ts`.
 *
 * They go through one function of the C library, `syscall()`, by number. Deno
 * compiles code for each function it opens, 0.2 to 0.35 ms for one, and each
 * child opens them as it starts. Only the calls that are made while others wait
 * have an entrance of their own: it takes its arguments as they are.
 *
 * Runs in the parent and in the child, on Linux.
 *
 * @module
 */

const SYMBOLS = {
  syscall: {
    parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i64",
  },
  futex: {
    name: "syscall",
    parameters: ["i64", "usize", "i32", "i32", "buffer", "usize", "i32"],
    result: "i64",
  },
  futexNonblocking: {
    name: "syscall",
    parameters: ["i64", "usize", "i32", "i32", "usize", "usize", "i32"],
    result: "i64",
    nonblocking: true,
  },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The C library, opened. */
export interface Libc {
  /** futex(address, op, value, timeout) has no wrapper in the C library. */
  readonly futex: Symbols["futex"];
  /** The same, on a thread of Deno's. */
  readonly futexNonblocking: Symbols["futexNonblocking"];
  memfd_create(name: Uint8Array, flags: number): number;
  open(path: Uint8Array, flags: number, mode?: number): number;
  close(fd: number): number;
  read(fd: number, bytes: Uint8Array): number;
  lseek(fd: number, offset: number, whence: number): number;
  ftruncate(fd: number, byteLength: number): number;
  fallocate(
    fd: number,
    mode: number,
    offset: number,
    byteLength: number,
  ): number;
  mmap(
    byteLength: number,
    protection: number,
    flags: number,
    fd: number,
  ): Deno.PointerValue;
  munmap(address: bigint, byteLength: number): number;
  madvise(address: bigint, byteLength: number, advice: number): number;
  /** Writes a `struct stat`. */
  fstat(fd: number, result: Uint8Array): number;
  /** Gives a file a second name. */
  link(from: Uint8Array, to: Uint8Array): number;
  unlink(path: Uint8Array): number;
  /** Writes where a link leads to, without a zero at the end; returns its length. */
  readlink(path: Uint8Array, result: Uint8Array): number;
  /** Writes as many `struct linux_dirent64` as fit; returns their length. */
  getdents64(fd: number, result: Uint8Array): number;
  kill(pid: number, signal: number): number;
  prctl(option: number, argument: number): number;
  /** Has a signal ignored. */
  ignore(signal: number): number;
}

/** The names it goes by: glibc, then musl. */
const NAMES = Deno.build.arch === "aarch64"
  ? ["libc.so.6", "libc.musl-aarch64.so.1"]
  : ["libc.so.6", "libc.musl-x86_64.so.1"];

/**
 * Numbers of the system calls, from Linux: `arch/x86/entry/syscalls/syscall_64.tbl`
 * and `include/uapi/asm-generic/unistd.h`.
 */
const CALLS = Deno.build.arch === "aarch64"
  ? {
    memfd_create: 279n,
    openat: 56n,
    close: 57n,
    read: 63n,
    lseek: 62n,
    ftruncate: 46n,
    fallocate: 47n,
    mmap: 222n,
    munmap: 215n,
    madvise: 233n,
    fstat: 80n,
    linkat: 37n,
    unlinkat: 35n,
    readlinkat: 78n,
    getdents64: 61n,
    kill: 129n,
    prctl: 167n,
    rt_sigaction: 134n,
    futex: 98n,
  }
  : {
    memfd_create: 319n,
    openat: 257n,
    close: 3n,
    read: 0n,
    lseek: 8n,
    ftruncate: 77n,
    fallocate: 285n,
    mmap: 9n,
    munmap: 11n,
    madvise: 28n,
    fstat: 5n,
    linkat: 265n,
    unlinkat: 263n,
    readlinkat: 267n,
    getdents64: 217n,
    kill: 62n,
    prctl: 157n,
    rt_sigaction: 13n,
    futex: 202n,
  };

/** The number of the futex system call. */
export const SYS_FUTEX: bigint = CALLS.futex;

/** For `openat()` and its like: the folder this process is in. */
const AT_FDCWD = -100;
/** What the kernel takes for `struct sigaction`: four numbers of 8 bytes. */
const SIGACTION_WORDS = 4;
/** `SIG_IGN`, the first of them. */
const IGNORED = 1n;
/** Bytes of a set of signals. */
const SIGNAL_SET_BYTES = 8;

let opened: Libc | undefined;
let symbols: Symbols;

/** The C library, if this thread has opened it. */
export function libcIfOpen(): Libc | undefined {
  return opened;
}

/** Opens the C library, once per thread. It is never closed. */
export function libc(): Libc {
  if (opened) return opened;
  let refusal: unknown;
  for (const name of NAMES) {
    try {
      symbols = Deno.dlopen(name, SYMBOLS).symbols;
      return opened = wrapped(symbols);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      refusal = error;
    }
  }
  throw new Error("Cannot open the C library", { cause: refusal });
}

function wrapped({ futex, futexNonblocking, syscall }: Symbols): Libc {
  const call = (
    name: keyof typeof CALLS,
    ...values: (number | bigint | ArrayBufferView<ArrayBufferLike>)[]
  ): bigint => {
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = values.map(
      (value) => typeof value === "object" ? addressOf(value) : BigInt(value),
    );
    return syscall(CALLS[name], a, b, c, d, e, f);
  };
  return {
    futex,
    futexNonblocking,
    memfd_create: (name, flags) => Number(call("memfd_create", name, flags)),
    open: (path, flags, mode = 0) =>
      Number(call("openat", AT_FDCWD, path, flags, mode)),
    close: (fd) => Number(call("close", fd)),
    read: (fd, bytes) => Number(call("read", fd, bytes, bytes.byteLength)),
    lseek: (fd, offset, whence) => Number(call("lseek", fd, offset, whence)),
    ftruncate: (fd, byteLength) => Number(call("ftruncate", fd, byteLength)),
    fallocate: (fd, mode, offset, byteLength) =>
      Number(call("fallocate", fd, mode, offset, byteLength)),
    mmap: (byteLength, protection, flags, fd) =>
      Deno.UnsafePointer.create(
        call("mmap", 0, byteLength, protection, flags, fd),
      ),
    munmap: (address, byteLength) =>
      Number(call("munmap", address, byteLength)),
    madvise: (address, byteLength, advice) =>
      Number(call("madvise", address, byteLength, advice)),
    fstat: (fd, result) => Number(call("fstat", fd, result)),
    link: (from, to) => Number(call("linkat", AT_FDCWD, from, AT_FDCWD, to)),
    unlink: (path) => Number(call("unlinkat", AT_FDCWD, path)),
    readlink: (path, result) =>
      Number(call("readlinkat", AT_FDCWD, path, result, result.byteLength)),
    getdents64: (fd, result) =>
      Number(call("getdents64", fd, result, result.byteLength)),
    kill: (pid, signal) => Number(call("kill", pid, signal)),
    prctl: (option, argument) => Number(call("prctl", option, argument)),
    ignore: (signal) => {
      const action = new BigInt64Array(SIGACTION_WORDS);
      action[0] = IGNORED;
      return Number(call("rt_sigaction", signal, action, 0, SIGNAL_SET_BYTES));
    },
  };
}

/** Where bytes are; they stay there for as long as somebody has them. */
export function addressOf(bytes: ArrayBufferView<ArrayBufferLike>): bigint {
  return BigInt(
    Deno.UnsafePointer.value(
      Deno.UnsafePointer.of(bytes as ArrayBufferView<ArrayBuffer>),
    ),
  );
}

/** The number of the last error of a call in this thread. */
export function errno(): number {
  libc();
  const pointer = symbols.__errno_location();
  return pointer === null ? 0 : new Deno.UnsafePointerView(pointer).getInt32();
}

/** A path or name as C wants it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

// Opened at once where nothing has to be asked: opened in the middle of a user's
// test, it would look like something that test had forgotten to close. No test
// looks at a thread, and few threads need it.
if (
  Deno.build.os === "linux" &&
  !("DedicatedWorkerGlobalScope" in globalThis) &&
  Deno.permissions.querySync({ name: "ffi" }).state === "granted"
) libc();

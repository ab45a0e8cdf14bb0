/**
 * Memory shared between processes on Linux: a `memfd`, mapped by every process
 * of the program, with futexes to sleep.
 *
 * A memfd has no name, so nothing is left behind however the program ends; the
 * kernel frees it with its last mapping. Another process opens it through
 * `/proc/<pid>/fd/<n>` of any process that has it.
 *
 * **Sleeping.** `sleep()` is a nonblocking FFI call: it occupies one of Deno's
 * 32 blocking threads for as long as it lasts, which is why `waiting.ts` has one
 * such call per process at most.
 *
 * **Windows.** Views are made on buffers of 8 MiB each, made when they are first
 * needed; `layout.ts` says why not on one.
 *
 * **Never unmapped.** A typed array may outlive every reference we know of, and
 * touching unmapped memory kills the process. The mapping ends with it. So the
 * threads of a process share one mapping: with one each, a process that starts
 * thread after thread would run out of addresses after 2000 of them.
 *
 * Runs in the parent and in the child, on Linux.
 *
 * @module
 */
import { cString, errno, libc, SYS_FUTEX } from "./_libc.ts";
import type { Libc } from "./_libc.ts";
import { WINDOW_BYTES } from "./layout.ts";
import type { Memory, MemoryHandle } from "./memory.ts";
import { hasChanged, reservations } from "./memory.ts";

const MFD_CLOEXEC = 1;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_NORESERVE = 0x4000;
const FALLOC_PUNCH_HOLE_KEEP_SIZE = 3;
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const EVERYBODY = 0x7fff_ffff;
const SEEK_END = 2;
/** Error numbers of a process that is not there, or is gone while one looks. */
const ENOENT = 2;
const ESRCH = 3;
/** How much of `/proc/<pid>/stat` holds the state: the name is 16 bytes. */
const STAT_BYTES = 128;

/** First byte of the window an offset is in. */
function windowOf(offset: number): number {
  return Math.floor(offset / WINDOW_BYTES) * WINDOW_BYTES;
}

function map(
  symbols: Libc,
  fd: number,
  byteLength: number,
): Deno.PointerObject {
  const pointer = symbols.mmap(
    0n,
    BigInt(byteLength),
    PROT_READ_WRITE,
    MAP_SHARED | MAP_NORESERVE,
    fd,
    0n,
  );
  // MAP_FAILED is -1, not null.
  const hasFailed = pointer === null ||
    BigInt.asIntN(64, Deno.UnsafePointer.value(pointer)) === -1n;
  if (hasFailed) {
    throw new RangeError(
      `Cannot map ${byteLength} bytes of shared memory: error ${errno()}`,
    );
  }
  return pointer;
}

/** See the module. */
export class ProcessMemory implements Memory {
  readonly kind = "spawn" as const;
  readonly discards = true;
  readonly byteLength: number;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #pointer: Deno.PointerObject;
  readonly #base: number;
  /** Windows by their first byte; they go with the last view of them. */
  readonly #windows = new Map<number, WeakRef<ArrayBuffer>>();
  /** The one used last is kept: most views are made one after the other. */
  #lastWindow: ArrayBuffer | undefined;
  readonly #timespec = new BigInt64Array(2);
  readonly #stat = new Uint8Array(STAT_BYTES);

  private constructor(
    symbols: Libc,
    fd: number,
    pointer: Deno.PointerObject,
    byteLength: number,
  ) {
    this.#libc = symbols;
    this.#fd = fd;
    this.#base = Number(Deno.UnsafePointer.value(pointer));
    this.#pointer = pointer;
    this.byteLength = byteLength;
  }

  /** Reserves a new range of `maxBytes` at most. */
  static create(maxBytes: number): ProcessMemory {
    const symbols = libc();
    const fd = symbols.memfd_create(
      cString("multiprocessing"),
      MFD_CLOEXEC,
    );
    if (fd < 0) {
      throw new Error(`Cannot create shared memory: error ${errno()}`);
    }
    let refusal: unknown;
    for (const byteLength of reservations(maxBytes)) {
      try {
        if (symbols.ftruncate(fd, BigInt(byteLength)) !== 0) {
          throw new RangeError(`Cannot reserve memory: error ${errno()}`);
        }
        const pointer = map(symbols, fd, byteLength);
        return new ProcessMemory(symbols, fd, pointer, byteLength);
      } catch (error) {
        refusal = error; // less address space than that: ask for less
      }
    }
    symbols.close(fd);
    throw refusal;
  }

  /** Opens the range that another process, or another thread of this one, has. */
  static attach(
    { pid, fd, address }: MemoryHandle & { kind: "spawn" },
    byteLength: number,
  ): ProcessMemory {
    const symbols = libc();
    if (pid === Deno.pid && address !== undefined) {
      const pointer = Deno.UnsafePointer.create(BigInt(address))!;
      return new ProcessMemory(symbols, fd, pointer, byteLength);
    }
    const own = symbols.open(
      cString(`/proc/${pid}/fd/${fd}`),
      O_RDWR | O_CLOEXEC,
    );
    if (own < 0) {
      throw new Error(
        `Cannot open the shared memory of process ${pid}: error ${errno()}`,
      );
    }
    // Touching what lies behind the end of a file kills the process.
    if (symbols.lseek(own, 0n, SEEK_END) < BigInt(byteLength)) {
      symbols.close(own);
      throw new Error(
        `Cannot attach to shared memory as file ${fd} of process ${pid} is not one that this package has made`,
      );
    }
    const pointer = map(symbols, own, byteLength);
    return new ProcessMemory(symbols, own, pointer, byteLength);
  }

  words(offset: number, count: number): Int32Array {
    const start = windowOf(offset);
    return new Int32Array(
      this.#window(start, offset + count * 4),
      offset - start,
      count,
    );
  }

  bytes(offset: number, count: number): Uint8Array {
    const start = windowOf(offset);
    return new Uint8Array(
      this.#window(start, offset + count),
      offset - start,
      count,
    );
  }

  #window(start: number, end: number): ArrayBuffer {
    const known = this.#windows.get(start)?.deref();
    if (known && start + known.byteLength >= end) {
      return this.#lastWindow = known;
    }
    const length = Math.max(end - start, WINDOW_BYTES);
    const window = Deno.UnsafePointerView.getArrayBuffer(
      this.#pointer,
      Math.min(length, this.byteLength - start),
      start,
    );
    this.#windows.set(start, new WeakRef(window));
    return this.#lastWindow = window;
  }

  commit(end: number): void {
    if (end > this.byteLength) {
      throw new RangeError(
        `Cannot take more shared memory as all ${this.byteLength} bytes are in use`,
      );
    }
  }

  discard(offset: number, byteLength: number): void {
    const failed = this.#libc.fallocate(
      this.#fd,
      FALLOC_PUNCH_HOLE_KEEP_SIZE,
      BigInt(offset),
      BigInt(byteLength),
    ) !== 0;
    // A sandbox may forbid the call; what it promises must hold all the same.
    if (failed) this.bytes(offset, byteLength).fill(0);
  }

  async sleep(
    words: Int32Array,
    index: number,
    expected: number,
  ): Promise<void> {
    await this.#libc.futexNonblocking(
      SYS_FUTEX,
      BigInt(this.#address(words, index)),
      FUTEX_WAIT,
      expected,
      0n,
      0n,
      0,
    );
  }

  sleepSync(
    words: Int32Array,
    index: number,
    expected: number,
    ms: number,
  ): void {
    const nanoseconds = Math.max(1, Math.round(ms * 1e6));
    this.#timespec[0] = BigInt(Math.floor(nanoseconds / 1e9));
    this.#timespec[1] = BigInt(nanoseconds % 1e9);
    this.#libc.futex(
      SYS_FUTEX,
      BigInt(this.#address(words, index)),
      FUTEX_WAIT,
      expected,
      this.#timespec,
      0n,
      0,
    );
  }

  look(words: Int32Array, index: number, expected: number): boolean {
    const offset = words.byteOffset + index * 4;
    const header = this.#window(0, offset + 4);
    return hasChanged(new Int32Array(header, offset, 1), expected);
  }

  wake(words: Int32Array, index: number): void {
    this.#libc.futex(
      SYS_FUTEX,
      BigInt(this.#address(words, index)),
      FUTEX_WAKE,
      EVERYBODY,
      null,
      0n,
      0,
    );
  }

  keepAlive(): void {
    // The pending call in sleep() does it.
  }

  hasEnded(pid: number): boolean {
    const fd = this.#libc.open(cString(`/proc/${pid}/stat`), O_CLOEXEC);
    // It may be this process that cannot open any more files.
    if (fd < 0) return errno() === ENOENT;
    const length = Number(
      this.#libc.read(fd, this.#stat, BigInt(STAT_BYTES)),
    );
    const error = length < 0 ? errno() : 0;
    this.#libc.close(fd);
    if (length <= 0) return error === ESRCH;
    // "pid (name) S …": the name may hold anything, so look from its end. Z and
    // X are ended but not yet waited for by their parent.
    const text = new TextDecoder().decode(this.#stat.subarray(0, length));
    const state = text.charAt(text.lastIndexOf(")") + 2);
    return state === "Z" || state === "X";
  }

  handle(): MemoryHandle {
    return {
      kind: "spawn",
      pid: Deno.pid,
      fd: this.#fd,
      address: this.#base,
    };
  }

  /** Address of a word of the header, which starts the first window. */
  #address(words: Int32Array, index: number): number {
    return this.#base + words.byteOffset + index * 4;
  }
}

/** How much of the command line is read at most. */
const COMMAND_LINE_BYTES = 64 * 1024;

/**
 * The command line of this process, program first, where the system tells and FFI
 * is granted.
 */
export function commandLine(): string[] | undefined {
  if (Deno.build.os !== "linux" || !isGranted()) return undefined;
  const { open, read, close } = libc();
  const fd = open(cString("/proc/self/cmdline"), O_CLOEXEC);
  if (fd < 0) return undefined;
  const bytes = new Uint8Array(COMMAND_LINE_BYTES);
  const length = Number(read(fd, bytes, BigInt(bytes.byteLength)));
  close(fd);
  if (length <= 0) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(0, length));
  return text.split("\0").slice(0, -1);
}

/** Whether native code may be called without asking. */
export function isGranted(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}

const PR_SET_PDEATHSIG = 1;
const SIGNAL_IGNORED = 1;
const SIGKILL = 9;
const SIGINT = 2;

/** Asks the kernel to kill this process when its parent ends. */
export function dieWithParent(): void {
  libc().prctl(PR_SET_PDEATHSIG, BigInt(SIGKILL), 0n, 0n, 0n);
}

/** Leaves Ctrl-C to the parent. */
export function ignoreInterrupt(): void {
  libc().signal(SIGINT, BigInt(SIGNAL_IGNORED));
}

/**
 * A mapping without a name: a `memfd`. Nothing is left behind however the program
 * ends; the kernel frees it with its last mapping. Another process opens it
 * through `/proc/<pid>/fd/<n>` of any process that has it.
 *
 * Runs in the parent and in the child, on Linux.
 *
 * @module
 */
import { cString, errno, libc } from "./libc.ts";
import type { Libc } from "./libc.ts";
import type { Mapping } from "./_mapping.ts";

const MFD_CLOEXEC = 1;
const ENOENT = 2;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_NORESERVE = 0x4000;
const FALLOC_PUNCH_HOLE_KEEP_SIZE = 3;
const SEEK_END = 2;

/** See the module. */
export class MemfdMapping implements Mapping {
  readonly discards = true;
  readonly #libc: Libc;

  private constructor(
    readonly file: number,
    readonly pointer: Deno.PointerObject,
    readonly byteLength: number,
  ) {
    this.#libc = libc();
  }

  /**
   * Makes one.
   *
   * @param sizes How large it may be; the first that the system allows is taken.
   * @returns Nothing if other processes cannot open it.
   */
  static create(sizes: readonly number[]): MemfdMapping | undefined {
    const { memfd_create, ftruncate, close } = libc();
    const fd = memfd_create(cString("multiprocessing"), MFD_CLOEXEC);
    if (fd < 0) {
      throw new Error(`Cannot create shared memory: error ${errno()}`);
    }
    if (!isReachable(fd)) {
      close(fd);
      return undefined;
    }
    let refusal: unknown;
    for (const byteLength of sizes) {
      try {
        if (ftruncate(fd, byteLength) !== 0) {
          throw new RangeError(`Cannot reserve memory: error ${errno()}`);
        }
        return new MemfdMapping(fd, map(fd, byteLength), byteLength);
      } catch (error) {
        refusal = error; // less address space than that: ask for less
      }
    }
    close(fd);
    throw refusal;
  }

  /** Opens the one that another process has. */
  static open(pid: number, fd: number, byteLength: number): MemfdMapping {
    const { open, lseek, close } = libc();
    const own = open(cString(`/proc/${pid}/fd/${fd}`), O_RDWR | O_CLOEXEC);
    if (own < 0) {
      const error = errno();
      const Failure = error === ENOENT ? Deno.errors.NotFound : Error;
      throw new Failure(
        `Cannot open the shared memory of process ${pid}: error ${error}`,
      );
    }
    // Touching what lies behind the end of a file kills the process.
    if (lseek(own, 0, SEEK_END) < byteLength) {
      close(own);
      throw new Error(
        `Cannot attach to shared memory as file ${fd} of process ${pid} is not one that this package has made`,
      );
    }
    return new MemfdMapping(own, map(own, byteLength), byteLength);
  }

  /** The one that another thread of this process has opened. */
  static at(fd: number, address: number, byteLength: number): MemfdMapping {
    const pointer = Deno.UnsafePointer.create(BigInt(address))!;
    return new MemfdMapping(fd, pointer, byteLength);
  }

  commit(): void {
    // Pages come when they are touched.
  }

  discard(offset: number, byteLength: number): boolean {
    // A sandbox may forbid the call.
    return this.#libc.fallocate(
      this.file,
      FALLOC_PUNCH_HOLE_KEEP_SIZE,
      offset,
      byteLength,
    ) === 0;
  }
}

/** Whether a child, which sees what this process sees, can open it. */
function isReachable(fd: number): boolean {
  const { open, close } = libc();
  const again = open(
    cString(`/proc/${Deno.pid}/fd/${fd}`),
    O_RDWR | O_CLOEXEC,
  );
  if (again >= 0) close(again);
  return again >= 0;
}

function map(fd: number, byteLength: number): Deno.PointerObject {
  const pointer = libc().mmap(
    byteLength,
    PROT_READ_WRITE,
    MAP_SHARED | MAP_NORESERVE,
    fd,
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

/**
 * Memory shared between processes: a mapping that each process of the program
 * has (see `_mapping.ts` for the kinds there are), with futexes to sleep where the
 * system has them, and doorbells elsewhere (`_doorbell.ts`). Which of the two is
 * decided by who makes it, and stands in its header.
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
 * Runs in the parent and in the child.
 *
 * @module
 */
import { Doorbell } from "./_doorbell.ts";
import { libc, SYS_FUTEX } from "./libc.ts";
import type { Libc } from "./libc.ts";
import type { Mapping } from "./_mapping.ts";
import { createMapping, hasEnded, isNative, openMapping } from "./_system.ts";
import { H_DOORBELLS, HEADER_BYTES, WINDOW_BYTES } from "./layout.ts";
import type { Memory, MemoryHandle } from "./memory.ts";
import { hasChanged, reservations } from "./memory.ts";

/** Where pages are larger, the system may refuse the hint: nothing is lost. */
const PAGE_BYTES = 4096;
/** Since Linux 5.14; unknown before, and without effect. */
const MADV_POPULATE_WRITE = 23;
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const EVERYBODY = 0x7fff_ffff;

/** First byte of the window an offset is in. */
function windowOf(offset: number): number {
  return Math.floor(offset / WINDOW_BYTES) * WINDOW_BYTES;
}

/** What memory is to be made of; given by tests only. */
export interface Make {
  /** Whether it has a name, even where it could do without. */
  readonly isNamed: boolean;
  /** Whether participants ring each other, rather than use futexes. */
  readonly usesDoorbells: boolean;
}

function best(): Make {
  return { isNamed: !isNative(), usesDoorbells: !isNative() };
}

/** See the module. */
export class ProcessMemory implements Memory {
  readonly kind = "spawn" as const;
  readonly discards: boolean;
  readonly byteLength: number;
  readonly isPortable: boolean;
  readonly #mapping: Mapping;
  /** Absent where there are futexes. */
  readonly #doorbell: Doorbell | undefined;
  readonly #libc: Libc | undefined;
  readonly #base: number;
  /** Windows by their first byte; they go with the last view of them. */
  readonly #windows = new Map<number, WeakRef<ArrayBuffer>>();
  /** The one used last is kept: most views are made one after the other. */
  #lastWindow: ArrayBuffer | undefined;
  readonly #timespec = new BigInt64Array(2);

  private constructor(mapping: Mapping, usesDoorbells?: boolean) {
    this.#mapping = mapping;
    this.discards = mapping.discards;
    this.byteLength = mapping.byteLength;
    this.#base = Number(Deno.UnsafePointer.value(mapping.pointer));
    const header = this.words(0, HEADER_BYTES / 4);
    if (usesDoorbells !== undefined) {
      mapping.commit(HEADER_BYTES);
      header[H_DOORBELLS] = usesDoorbells ? 1 : 0;
    }
    this.isPortable = header[H_DOORBELLS] === 1;
    if (this.isPortable) this.#doorbell = new Doorbell();
    else this.#libc = libc();
  }

  /** Reserves a new range of `maxBytes` at most. */
  static create(
    maxBytes: number,
    { isNamed, usesDoorbells }: Make = best(),
  ): ProcessMemory {
    const mapping = createMapping(reservations(maxBytes), isNamed);
    return new ProcessMemory(mapping, usesDoorbells);
  }

  /** Opens the range that another process, or another thread of this one, has. */
  static attach(
    { pid, fd, address }: MemoryHandle & { kind: "spawn" },
    byteLength: number,
  ): ProcessMemory {
    return new ProcessMemory(openMapping(pid, fd, byteLength, address));
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
      this.#mapping.pointer,
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
    this.#mapping.commit(end);
  }

  discard(offset: number, byteLength: number): void {
    // What is promised must hold, whatever the system says.
    if (!this.#mapping.discard(offset, byteLength)) {
      this.bytes(offset, byteLength).fill(0);
    }
  }

  populate(offset: number, byteLength: number): void {
    const start = this.#base + offset;
    const first = start - start % PAGE_BYTES;
    this.#libc?.madvise(
      BigInt(first),
      start + byteLength - first,
      MADV_POPULATE_WRITE,
    );
  }

  async sleep(
    words: Int32Array,
    index: number,
    expected: number,
  ): Promise<void> {
    if (!this.#libc) {
      return await this.#doorbell!.sleep(words, index, expected);
    }
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
    if (!this.#libc) {
      return this.#doorbell!.sleepSync(words, index, expected, ms);
    }
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
    if (!this.#libc) return this.#doorbell!.ring(words, index);
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

  own(words: Int32Array, slot: number): void {
    this.#doorbell?.own(words, slot);
  }

  bury(words: Int32Array, slot: number): void {
    this.#doorbell?.bury(words, slot);
  }

  keepAlive(): void {
    // The pending call in sleep() does it.
  }

  hasEnded(pid: number): boolean {
    return hasEnded(pid);
  }

  handle(): MemoryHandle {
    return {
      kind: "spawn",
      pid: Deno.pid,
      fd: this.#mapping.file,
      address: this.#base,
    };
  }

  /** Address of a word of the header, which starts the first window. */
  #address(words: Int32Array, index: number): number {
    return this.#base + words.byteOffset + index * 4;
  }
}

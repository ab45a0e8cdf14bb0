/**
 * Memory shared between the threads of one process: a growable
 * `SharedArrayBuffer`, with `Atomics.wait` and `Atomics.waitAsync` to sleep.
 *
 * Growing is a single call that every thread sees at once, so a large range is
 * reserved and committed as the heap grows.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { LONGEST_TIMER_MS } from "./limits.ts";
import type { Memory, MemoryHandle } from "./memory.ts";
import { hasChanged, reservations } from "./memory.ts";

/** Commit in steps, so that growing is rare: each step is one system call. */
const COMMIT_STEP = 16 * 1024 * 1024;

/** See the module. */
export class ThreadMemory implements Memory {
  readonly kind = "worker" as const;
  readonly discards = false;
  readonly isPortable = true;
  /** The whole range. */
  readonly buffer: SharedArrayBuffer;
  readonly byteLength: number;
  #aliveTimer: ReturnType<typeof setInterval> | undefined;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.byteLength = buffer.maxByteLength;
  }

  /** Reserves a new range of `maxBytes` at most. */
  static create(maxBytes: number): ThreadMemory {
    let refusal: unknown;
    for (const maxByteLength of reservations(maxBytes)) {
      try {
        return new ThreadMemory(
          new SharedArrayBuffer(COMMIT_STEP, { maxByteLength }),
        );
      } catch (error) {
        refusal = error; // less address space than that: ask for less
      }
    }
    throw new RangeError("Cannot reserve shared memory for worker threads", {
      cause: refusal,
    });
  }

  /** Opens the range another thread made. */
  static attach(buffer: SharedArrayBuffer): ThreadMemory {
    return new ThreadMemory(buffer);
  }

  words(offset: number, count: number): Int32Array {
    return new Int32Array(this.buffer, offset, count);
  }

  bytes(offset: number, count: number): Uint8Array {
    return new Uint8Array(this.buffer, offset, count);
  }

  commit(end: number): void {
    if (end > this.byteLength) {
      throw new RangeError(
        `Cannot take more shared memory as all ${this.byteLength} bytes are in use`,
      );
    }
    const wanted = Math.min(
      Math.ceil(end / COMMIT_STEP) * COMMIT_STEP,
      this.byteLength,
    );
    while (this.buffer.byteLength < wanted) {
      try {
        this.buffer.grow(wanted);
      } catch (error) {
        // Another thread may have grown it further meanwhile: then it is fine.
        if (this.buffer.byteLength < wanted) throw error;
      }
    }
  }

  populate(): void {
    // Once made, its pages stay.
  }

  discard(): void {
    // A SharedArrayBuffer cannot give single pages back.
  }

  async sleep(
    words: Int32Array,
    index: number,
    expected: number,
  ): Promise<void> {
    const result = Atomics.waitAsync(words, index, expected);
    if (result.async) await result.value;
  }

  sleepSync(
    words: Int32Array,
    index: number,
    expected: number,
    ms: number,
  ): void {
    Atomics.wait(words, index, expected, ms);
  }

  look(words: Int32Array, index: number, expected: number): boolean {
    const offset = words.byteOffset + index * 4;
    return hasChanged(new Int32Array(this.buffer, offset, 1), expected);
  }

  wake(words: Int32Array, index: number): void {
    Atomics.notify(words, index);
  }

  own(): void {
    // It sleeps on its own without any help.
  }

  bury(): void {
    // So nothing of that is left.
  }

  keepAlive(on: boolean): void {
    // A pending waitAsync does not keep the event loop alive (denoland/deno
    // #15358), so a timer has to, and only while somebody waits.
    if (on) {
      this.#aliveTimer ??= setInterval(() => {}, LONGEST_TIMER_MS);
    } else {
      clearInterval(this.#aliveTimer);
      this.#aliveTimer = undefined;
    }
  }

  hasEnded(): boolean {
    return false; // threads share the process: it runs, or nobody asks
  }

  handle(): MemoryHandle {
    return { kind: "worker", buffer: this.buffer };
  }
}

/**
 * What a start method has to supply: memory, and sleeping and waking on a word.
 * Everything else (locks, queues, pools) is written once, above this interface.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** The start method whose participants share an arena. */
export type MemoryKind = "spawn" | "worker";

/** How to reach an arena from another participant; plain data. */
export type MemoryHandle =
  | {
    readonly kind: "spawn";
    /** A process that has it open. */
    readonly pid: number;
    /** As which file: a descriptor of it, or the number in a name. */
    readonly fd: number;
    /** Where it is mapped there, for other threads of that process. */
    readonly address?: number;
  }
  | { readonly kind: "worker"; readonly buffer: SharedArrayBuffer };

/**
 * Shared memory and the two ways to sleep on a word of it.
 *
 * A sleeper compares and sleeps in one step: if the word no longer holds what it
 * expects, it does not sleep. That is what makes "look, then sleep" safe: a
 * waker changes the word before it wakes.
 */
export interface Memory {
  /** Whose participants it serves. */
  readonly kind: MemoryKind;
  /** Words of the range, from an offset on; within one block of the heap. */
  words(offset: number, count: number): Int32Array;
  /** Bytes of the range, from an offset on; within one block of the heap. */
  bytes(offset: number, count: number): Uint8Array;
  /** Bytes reserved; a power of two. */
  readonly byteLength: number;
  /** Whether it does without what only Linux has. */
  readonly isPortable: boolean;
  /**
   * Makes the bytes below `end` usable.
   *
   * @throws {RangeError} If that is more than was reserved.
   */
  commit(end: number): void;
  /** Whether {@linkcode Memory.discard} does anything. */
  readonly discards: boolean;
  /** Gives pages back to the system: they cost nothing and read as zero. */
  discard(offset: number, byteLength: number): void;
  /**
   * Has the system make the pages of a range at once that is about to be written:
   * a hint, which saves a trap for each page.
   */
  populate(offset: number, byteLength: number): void;
  /**
   * Sleeps until woken or until the word differs from `expected`. The words are
   * those of the header, and the word is a doorbell: see `layout.ts`.
   */
  sleep(words: Int32Array, index: number, expected: number): Promise<void>;
  /** The same, blocking the thread, for at most `ms`. */
  sleepSync(
    words: Int32Array,
    index: number,
    expected: number,
    ms: number,
  ): void;
  /**
   * Looks at a word, of the header, for some microseconds: it is about to change.
   *
   * @returns Whether it does not hold what was expected.
   */
  look(words: Int32Array, index: number, expected: number): boolean;
  /** Wakes whoever sleeps on the word, in either way. */
  wake(words: Int32Array, index: number): void;
  /** Says where this participant's slot starts, a word of the header. */
  own(words: Int32Array, slot: number): void;
  /** Gives back what a participant that has ended used to sleep and to wake. */
  bury(words: Int32Array, slot: number): void;
  /** Keeps the program alive while `on`; called only on changes. */
  keepAlive(on: boolean): void;
  /** Whether a process has ended, told without waiting for any event. */
  hasEnded(pid: number): boolean;
  /** How others attach. */
  handle(): MemoryHandle;
}

/**
 * The sizes to reserve, largest first. 64 GiB of addresses cost nothing; a
 * system that limits address space (`ulimit -v`) gets what it allows.
 */
const RESERVATIONS: readonly number[] = [36, 34, 32, 30, 28].map(
  (bits) => 2 ** bits,
);

/** Which of {@linkcode RESERVATIONS} to try. */
export function reservations(maxBytes: number): readonly number[] {
  return RESERVATIONS.filter((bytes) => bytes <= maxBytes);
}

/** Looks of a {@linkcode Memory.look}: 5 to 10 µs, a few turns of an event loop. */
const LOOKS = 500;

/** Looks at a word until it has changed, a limited number of times. */
export function hasChanged(word: Int32Array, expected: number): boolean {
  for (let i = 0; i < LOOKS; i++) {
    if (Atomics.load(word, 0) !== expected) return true;
  }
  return false;
}

/** A nap for the losers of a short race, on a word nobody else knows. */
const NAP: Int32Array = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread for a moment. */
export function nap(ms: number): void {
  Atomics.wait(NAP, 0, 0, ms);
}

/**
 * Blocks of an arena: one allocator for locks of 64 bytes and queues of
 * gigabytes, used by all participants at once.
 *
 * Sizes are powers of two, and blocks start at multiples of theirs, so that none
 * crosses the border of a window (see `layout.ts`); what that leaves unused is
 * address space, not memory. Each size has a list of free blocks, and what no list
 * can serve is cut from the never-used top. The list is threaded through the
 * blocks: the first word of a free block is the next one.
 *
 * **Crash-safe.** Taking and giving back each commit with one store (the head of
 * the list, or the top). A participant killed in between leaks at most the
 * block it had in hand; the lists are whole at every instant.
 *
 * **Zeroed.** Small blocks are cleared when they come back, so what is handed
 * out is always zero. A large block's pages go back to the system where that is
 * possible, which zeroes them too; elsewhere it is cleared when it is taken again
 * and its new owner asks for zeroes.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import * as at from "./layout.ts";
import type { Memory } from "./memory.ts";
import { lock, unlock } from "./mutex.ts";
import type { Participants } from "./participants.ts";

/** From this size on, pages go back to the system when a block is freed. */
const DISCARD_BYTES = 64 * 1024;

/** The heap of an arena, seen by one participant. */
export class Heap {
  readonly #words: Int32Array;
  readonly #memory: Memory;
  readonly #participants: Participants;
  readonly #me: number;

  /**
   * Opens the heap.
   *
   * @param words The header, as words.
   * @param memory The memory it lies in.
   * @param participants The table of participants.
   * @param me Token of the caller.
   */
  constructor(
    words: Int32Array,
    memory: Memory,
    participants: Participants,
    me: number,
  ) {
    this.#words = words;
    this.#memory = memory;
    this.#participants = participants;
    this.#me = me;
  }

  /**
   * Takes a block.
   *
   * @param byteLength How much is needed; rounded up to a power of two.
   * @param zeroed Whether all of it has to read as zero.
   * @default zeroed {true}
   * @returns Its offset: a multiple of the rounded size, up to a window's.
   * @throws {RangeError} If no memory is left, or more than 4 GiB is asked for.
   */
  allocate(byteLength: number, zeroed = true): number {
    const log2 = sizeClass(byteLength);
    const size = 2 ** log2;
    const head = at.H_FREE + log2;
    lock(this.#words, at.H_HEAP_LOCK, this.#me, this.#participants);
    let offset: number;
    let recycled: boolean;
    try {
      const unit = this.#words[head]! >>> 0;
      recycled = unit !== 0;
      if (recycled) {
        offset = unit * at.UNIT;
        const link = this.#memory.words(offset, 1);
        Atomics.store(this.#words, head, link[0]!);
        link[0] = 0;
      } else {
        offset = this.#cut(size);
      }
      this.#words[at.H_BLOCKS]!++;
    } finally {
      unlock(this.#words, at.H_HEAP_LOCK);
    }
    if (zeroed && recycled && size >= DISCARD_BYTES && !this.#memory.discards) {
      this.#memory.bytes(offset, size).fill(0);
    }
    return offset;
  }

  /**
   * Gives a block back. Nobody may use it any more.
   *
   * @param offset Its offset.
   * @param byteLength What was asked for.
   */
  free(offset: number, byteLength: number): void {
    const log2 = sizeClass(byteLength);
    const size = 2 ** log2;
    if (size >= DISCARD_BYTES && this.#memory.discards) {
      this.#memory.discard(offset, size);
    } else if (size < DISCARD_BYTES) {
      this.#memory.bytes(offset, size).fill(0);
    }
    const link = this.#memory.words(offset, 1);
    const head = at.H_FREE + log2;
    lock(this.#words, at.H_HEAP_LOCK, this.#me, this.#participants);
    link[0] = this.#words[head]!;
    Atomics.store(this.#words, head, offset / at.UNIT);
    this.#words[at.H_BLOCKS]!--;
    unlock(this.#words, at.H_HEAP_LOCK);
  }

  /** Blocks in use now. */
  get blocks(): number {
    return Atomics.load(this.#words, at.H_BLOCKS);
  }

  #cut(size: number): number {
    const top = (this.#words[at.H_HEAP_TOP]! >>> 0) * at.UNIT;
    const alignment = Math.max(at.UNIT, Math.min(size, at.WINDOW_BYTES));
    const offset = Math.ceil(top / alignment) * alignment;
    this.#memory.commit(offset + size);
    Atomics.store(this.#words, at.H_HEAP_TOP, (offset + size) / at.UNIT);
    return offset;
  }
}

/** The power of two that holds so many bytes. */
function sizeClass(byteLength: number): number {
  const log2 = Math.max(
    at.UNIT_LOG2,
    Math.ceil(Math.log2(Math.max(1, byteLength))),
  );
  if (!(log2 <= at.LARGEST_BLOCK_LOG2)) {
    throw new RangeError(
      `Cannot take ${byteLength} bytes of shared memory in one piece as the limit is 4 GiB`,
    );
  }
  return log2;
}

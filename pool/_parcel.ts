/**
 * Arguments that are too big for a worker's ring. They lie in a block of shared
 * memory of their own, and the order says only where: so they are copied into
 * shared memory once and out of it once, whether their task waits in the queue,
 * moves from one worker to another, or is run at once.
 *
 * The parent makes the block and frees it, when the task has been answered, or
 * has ended with its worker. A worker that is being stopped may still read.
 *
 * Runs in the parent, and {@linkcode openParcel} in the child.
 *
 * @module
 */
import type { Arena, Message } from "../memory/mod.ts";

/** Arguments larger than this go apart: below, another copy costs next to nothing. */
export const PARCEL_BYTES: number = 256 * 1024;

/** Bytes of what an order says: two numbers, the offset and the length. */
const PLACE_BYTES = 16;
/** Most bytes copied in one go: as in a ring, a thread can be ended in between. */
const COPY_BYTES = 1024 * 1024;

/** See the module. */
export class Parcel {
  /** What the order says in place of the arguments. */
  readonly place: Uint8Array = new Uint8Array(PLACE_BYTES);
  /** Bytes of the arguments. */
  readonly byteLength: number;
  readonly #arena: Arena;
  readonly #offset: number;
  #isFreed = false;

  /**
   * Copies a message into a block.
   *
   * @param arena Where.
   * @param message The message.
   * @throws {RangeError} If there is not enough shared memory.
   */
  constructor(arena: Arena, message: Message) {
    this.#arena = arena;
    this.byteLength = message.byteLength;
    this.#offset = arena.heap.allocate(message.byteLength, false);
    const bytes = arena.bytes(this.#offset, message.byteLength);
    let to = 0;
    for (const part of message.parts) {
      for (let from = 0; from < part.byteLength; from += COPY_BYTES) {
        const piece = part.subarray(from, from + COPY_BYTES);
        bytes.set(piece, to);
        to += piece.byteLength;
      }
    }
    const place = new DataView(this.place.buffer);
    place.setFloat64(0, this.#offset);
    place.setFloat64(8, this.byteLength);
  }

  /** Frees the block, once. Nobody may read it any more. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.#arena.heap.free(this.#offset, this.byteLength);
  }
}

/**
 * The arguments where they lie.
 *
 * @param arena Where.
 * @param place What the order says.
 */
export function openParcel(arena: Arena, place: Uint8Array): Uint8Array {
  const view = new DataView(place.buffer, place.byteOffset, PLACE_BYTES);
  return arena.bytes(view.getFloat64(0), view.getFloat64(8));
}

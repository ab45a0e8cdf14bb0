/**
 * Where the arguments of small tasks lie while they wait for a worker: one behind
 * the other in common pieces of memory, which the collector frees when no task
 * refers to them. A task keeps the piece and a number; an array of its own would
 * cost it 300 ns and 300 bytes, a view 100, ten times for each of many tasks, and
 * whatever waits is moved by the collector twice.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { Message } from "../memory/mod.ts";
import { gathered } from "./_protocol.ts";

/** Bytes of a piece. */
const PIECE_BYTES = 64 * 1024;
/** Messages up to this size share a piece. */
const SMALL_BYTES = 1024;

/** See the module. */
export class Shelf {
  /** The piece with the last message in it, or that message if it is not small. */
  bytes: Uint8Array = new Uint8Array(0);
  #piece: Uint8Array = this.bytes;
  #used = 0;

  /**
   * Copies a message to where it can stay.
   *
   * @param message The message.
   * @returns Where in `bytes` it starts; -1 if it is all of them.
   */
  put(message: Message): number {
    const { byteLength, parts } = message;
    if (byteLength > SMALL_BYTES || parts.length !== 1) {
      this.bytes = gathered(message);
      return -1;
    }
    if (this.#used + byteLength > this.#piece.byteLength) {
      this.#piece = new Uint8Array(PIECE_BYTES);
      this.#used = 0;
    }
    const from = this.#used;
    this.bytes = this.#piece;
    this.bytes.set(parts[0]!, from);
    this.#used += byteLength;
    return from;
  }
}

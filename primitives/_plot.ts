/**
 * The piece of shared memory that shared values lie in. It is not the value: a
 * value, its wrapper with a lock, an element of an array and a view of it can all
 * stand in the same piece, and it is given back when the last of them has gone.
 *
 * Words of the block: word 0 counts the references (`block.ts`); from byte
 * {@linkcode DATA_BYTE} on it is all data · whoever has the value · the same.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { Block, FIRST_WORD, receive, travelsAs } from "./block.ts";
import { declare } from "./_views.ts";
import type { Piece } from "./_views.ts";

/** Where the data start: a multiple of 16, so of the size of any element. */
const DATA_BYTE = FIRST_WORD * 4;

/** From this size on, the garbage collector is told of it. */
const LARGE_BYTES = 64 * 1024;

/** See the module. */
export class Plot implements Piece {
  /** What its user calls it, for an error. */
  readonly name: string;
  /** Bytes of data. */
  readonly byteLength: number;
  readonly #block: Block;
  readonly #data: Uint8Array;

  static {
    travelsAs(this, (plot: Plot, target) => {
      const { name, byteLength } = plot;
      return plot.#block.toWire("Plot", name, target, [name, byteLength]);
    });
  }

  /**
   * Takes new memory, which reads as zero, or that of a plot received.
   *
   * @param cls The class made for a context that wants it.
   * @param name What its user calls it.
   * @param byteLength Bytes of data.
   * @throws {RangeError} If there is not that much memory.
   */
  // deno-lint-ignore ban-types -- any class
  constructor(cls: Function, name: string, byteLength: number) {
    this.name = name;
    this.byteLength = byteLength;
    const words = Math.ceil((DATA_BYTE + byteLength) / 4);
    this.#block = new Block(this, cls, words * 4);
    const { arena, offset } = this.#block;
    this.#data = arena.bytes(offset + DATA_BYTE, byteLength);
    if (byteLength >= LARGE_BYTES) declare(this, this);
  }

  /** A buffer it is in, with much else. */
  get buffer(): ArrayBufferLike {
    return this.#block.words.buffer;
  }

  /** Where its data start there. */
  get byteOffset(): number {
    return this.#block.words.byteOffset + DATA_BYTE;
  }

  /** The start method it belongs to. */
  get kind(): MemoryKind {
    return this.#block.arena.kind;
  }
}

registerTag("Plot", (data) =>
  receive(data, (extra) => {
    const [name, byteLength] = extra as [string, number];
    return new Plot(Plot, name, byteLength);
  }));

/**
 * A list of a fixed length in shared memory, each item of which may be of another
 * type, laid out as CPython's `ShareableList` is: each can open the other's.
 *
 * ```
 *   | N | N + 1 offsets | data | N formats | N codes |
 * ```
 *
 * All of these are written by whoever creates the list; formats, codes and data
 * again by whoever sets an item; and read by everybody:
 *
 * - `N`: how many items, in 8 bytes.
 * - offsets: where in the data each item starts, and where the last one ends, in
 *   8 bytes each. What lies between two is the item's room, a multiple of 8.
 * - data: numbers in 8 bytes; texts and bytes, followed by NULs.
 * - formats: what an item is, as a format of Python's `struct`, 8 bytes each.
 * - codes: what a format leaves open, one byte each.
 *
 * **Beyond CPython.** Two things that its layout has no place for are told by
 * formats that mean the same to it. A text or bytes that end in NULs, which it
 * would strip, have their exact length, with a zero in front (`05s`). A bigint is
 * `1q` where an integer is `q`. A CPython that sets a text over one of the former
 * cuts it to that length.
 *
 * **Not atomic.** A number is stored in one step, but an item is a format, a code
 * and its data: who reads while another sets may find them in between.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { checkOptionsObject } from "../memory/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { bindTo, kindOf, travelsAs } from "./block.ts";
import { showAsText } from "./inspect.ts";
import { checkTarget } from "./_named_memory.ts";
import { show, textOf } from "./_texts.ts";
import { boundMemory, pieceOf } from "./shared_memory.ts";
import type { SharedMemory } from "./shared_memory.ts";

/** What can be an item of a {@linkcode ShareableList}. */
export type ShareableItem =
  | bigint
  | boolean
  | null
  | number
  | string
  | Uint8Array;

/** Options of {@linkcode ShareableList}. */
export interface ShareableListOptions {
  /**
   * The name of its shared memory.
   *
   * @default {undefined} a new one
   */
  name?: string | undefined;
}

/** Bytes of a number, an offset, a format; and what a room is a multiple of. */
const UNIT = 8;
/** What CPython reads as text, bytes, and None; 0 for the rest. */
const CODE_TEXT = 1;
const CODE_BYTES = 2;
const CODE_NULL = 3;

const FORMAT_INTEGER = "q";
const FORMAT_BIGINT = "1q";
const FORMAT_FLOAT = "d";
const FORMAT_BOOLEAN = "xxxxxxx?";
const FORMAT_NULL = "xxxxxx?x";
/** Which byte of a boolean tells. */
const BOOLEAN_BYTE = 7;
/** A format is a number of bytes and an `s`; a leading zero makes it exact. */
const BYTES_REGEXP = /^(0?)(\d+)s$/;
/** Longest text or bytes: a format has room for seven digits. */
const MAX_BYTES = 9_999_999;
/** The same, for those that end in NULs: the zero in front takes one. */
const MAX_EXACT_BYTES = 999_999;

/** How many bytes of an item the text that describes the list shows. */
const SHOWN_BYTES = 40;

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 63n - 1n;

/** How an item is stored. */
interface Packed {
  readonly code: number;
  /** The format, given the room there is. */
  format(room: number): string;
  /** The room it needs. */
  readonly byteLength: number;
  /** The room it gets in a new list. */
  readonly room: number;
  /** Stores it in its room. */
  write(parts: Parts, start: number, room: number): void;
}

/**
 * A list of a fixed length between processes: numbers, bigints, booleans, texts,
 * bytes and `null`.
 *
 * - **Room:** a text or bytes have room for what they were at first, rounded up to
 *   the next multiple of 8 bytes; later ones must fit there. In the room of any
 *   other item, 8 bytes do.
 * - **Types:** an item can be set to one of another type. An integer from Python
 *   beyond what a number holds exactly is read as a bigint.
 * - **Locking:** there is no lock inside. Where one sets what another reads, both
 *   need a `Lock` around it.
 * - **Sending:** what is sent is the name of its memory.
 * - **Differs from Python:** rooms are measured in bytes, not characters; NULs at
 *   the end are kept; an index below the first item is an error.
 *
 * @example Two that know the name
 * ```ts
 * import { ShareableList } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const list = new ShareableList(["howdy", 1.5, 7, null, true]);
 * const other = new ShareableList(undefined, { name: list.shm.name });
 * other.set(0, "hello");
 * assertEquals([...list], ["hello", 1.5, 7, null, true]);
 *
 * list.shm.unlink();
 * list.shm.close();
 * other.shm.close();
 * ```
 */
export class ShareableList {
  /** Its shared memory: to close it, and to unlink it. */
  readonly shm: SharedMemory;
  /** How many items there are. It never changes. */
  readonly length: number;
  readonly #kind: MemoryKind;
  /** Where each item's room starts, and where the last one's ends. */
  readonly #offsets: readonly number[];

  static {
    showAsText(this);
    travelsAs(this, (list: ShareableList, target) => {
      checkTarget(list.#kind, "ShareableList", target);
      return { tag: "ShareableList", data: [list.#kind, list.shm.name] };
    });
  }

  /**
   * Creates a list, or opens one.
   *
   * @param items The items of a new list. Without them, and with a name, the list
   * of that name is opened.
   * @param options The name.
   * @throws {TypeError} If an item is of another type.
   * @throws {RangeError} If a bigint has more than 64 bits, a text or bytes are
   * longer than 10 MB, or what is of that name is no such list.
   * @throws {Deno.errors.AlreadyExists} If the name for a new list is taken.
   * @throws {Deno.errors.NotFound} If there is no list of that name.
   */
  constructor(
    items?: Iterable<ShareableItem>,
    options: ShareableListOptions = {},
  ) {
    checkOptionsObject(options, "open a list", '{ name: "name" }');
    const { name } = options;
    this.#kind = kindOf(new.target);
    const Memory = boundMemory[this.#kind];
    if (items === undefined && name !== undefined) {
      this.shm = new Memory({ name });
      this.#offsets = readOffsets(partsOf(this.shm));
      this.length = this.#offsets.length - 1;
      return;
    }
    const packed = globalThis.Array.from(items ?? [], pack);
    this.#offsets = offsetsFor(packed);
    this.length = packed.length;
    const size = codesStart(this.#offsets) + this.length;
    this.shm = new Memory({ create: true, size, name });
    writeHead(partsOf(this.shm), this.#offsets);
    packed.forEach((item, i) => this.#write(i, item));
  }

  /**
   * An item.
   *
   * @example From either end
   * ```ts
   * import { ShareableList } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const list = new ShareableList([1, "two", 3n]);
   * assertEquals(list.at(1), "two");
   * assertEquals(list.at(-1), 3n);
   * assertThrows(() => list.at(3), RangeError, "index out of range");
   *
   * list.shm.unlink();
   * ```
   *
   * @param index Which; negative ones count from the end.
   * @throws {RangeError} If there is no such item.
   * @throws {ProcessError} If the memory is closed.
   */
  at(index: number): ShareableItem {
    const place = this.#place(index, "index out of range");
    const parts = partsOf(this.shm);
    const format = this.#format(parts, place);
    const start = this.#start(place);
    switch (format) {
      case FORMAT_INTEGER: {
        const value = loadWord(parts, start);
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : value;
      }
      case FORMAT_BIGINT:
        return loadWord(parts, start);
      case FORMAT_FLOAT:
        bits[0] = loadWord(parts, start);
        return float[0]!;
      case FORMAT_BOOLEAN:
        return parts.bytes[start + BOOLEAN_BYTE] !== 0;
      case FORMAT_NULL:
        return null;
      default:
        return this.#readBytes(parts, place, format);
    }
  }

  /**
   * Sets an item. If that fails, it stays as it was.
   *
   * @example What fits
   * ```ts
   * import { ShareableList } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const list = new ShareableList(["short"]);
   * list.set(0, "8 bytes!");
   * assertThrows(() => list.set(0, "nine bytes"), RangeError, "exceeds");
   * assertEquals(list.at(0), "8 bytes!");
   * list.set(0, 0.5);
   * assertEquals([...list], [0.5]);
   *
   * list.shm.unlink();
   * ```
   *
   * @param index Which; negative ones count from the end.
   * @param value What to store.
   * @throws {TypeError} If the value is of another type.
   * @throws {RangeError} If there is no such item, or the value does not fit.
   * @throws {ProcessError} If the memory is closed.
   */
  set(index: number, value: ShareableItem): void {
    const place = this.#place(index, "assignment index out of range");
    const packed = pack(value);
    const room = this.#room(place);
    if (packed.byteLength > room) {
      throw new RangeError(
        `Cannot store ${
          show(value)
        } in ${room} bytes: bytes/str item exceeds available storage`,
      );
    }
    this.#write(place, packed);
  }

  /**
   * How many items are equal to a value: of the same type and, if they are bytes,
   * with the same content.
   *
   * @example Twice
   * ```ts
   * import { ShareableList } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const list = new ShareableList([42, "42", 42]);
   * assertEquals(list.count(42), 2);
   *
   * list.shm.unlink();
   * ```
   *
   * @param value What to look for.
   * @throws {ProcessError} If the memory is closed.
   */
  count(value: ShareableItem): number {
    let count = 0;
    for (const item of this) if (isEqual(item, value)) count++;
    return count;
  }

  /**
   * Where the first item is that is equal to a value.
   *
   * @example Or nowhere
   * ```ts
   * import { ShareableList } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const list = new ShareableList(["a", 100]);
   * assertEquals(list.index(100), 1);
   * assertThrows(() => list.index("100"), RangeError, "not in this container");
   *
   * list.shm.unlink();
   * ```
   *
   * @param value What to look for.
   * @throws {RangeError} If there is none.
   * @throws {ProcessError} If the memory is closed.
   */
  index(value: ShareableItem): number {
    for (let i = 0; i < this.length; i++) {
      if (isEqual(this.at(i), value)) return i;
    }
    throw new RangeError(`${reprOf(value)} not in this container`);
  }

  /**
   * The formats of all items, as Python's `struct` has them.
   *
   * @example Three of them
   * ```ts
   * import { ShareableList } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const list = new ShareableList(["howdy", 1.5, 100]);
   * assertEquals(list.format, "8sdq");
   *
   * list.shm.unlink();
   * ```
   *
   * @throws {ProcessError} If the memory is closed.
   */
  get format(): string {
    const parts = partsOf(this.shm);
    let all = "";
    for (let i = 0; i < this.length; i++) {
      // What is ours alone is not shown: it makes no difference to Python.
      const format = this.#format(parts, i);
      all += format === FORMAT_BIGINT
        ? FORMAT_INTEGER
        : format.replace(BYTES_REGEXP, `${this.#room(i)}s`);
    }
    return all;
  }

  /** The items one after the other, each read when it is asked for. */
  *[Symbol.iterator](): IterableIterator<ShareableItem> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  /** Its items and the name of its memory. */
  toString(): string {
    const items = this.shm.buf === null ? "closed" : this.#texts();
    return `ShareableList([${items}], name='${this.shm.name}')`;
  }

  #texts(): string {
    return [...this].map(reprOf).join(", ");
  }

  #place(index: number, complaint: string): number {
    const place = index < 0 ? index + this.length : index;
    if (Number.isInteger(place) && place >= 0 && place < this.length) {
      return place;
    }
    throw new RangeError(
      `Cannot reach item ${show(index)} of ${this.length}: ${complaint}`,
    );
  }

  /** Where an item's room starts. */
  #start(place: number): number {
    return dataStart(this.length) + this.#offsets[place]!;
  }

  /** Bytes of an item's room. */
  #room(place: number): number {
    return this.#offsets[place + 1]! - this.#offsets[place]!;
  }

  #format({ bytes }: Parts, place: number): string {
    const start = formatsStart(this.#offsets) + place * UNIT;
    let format = "";
    for (let i = start; i < start + UNIT && bytes[i] !== 0; i++) {
      format += String.fromCharCode(bytes[i]!);
    }
    return format;
  }

  #readBytes(
    { bytes }: Parts,
    place: number,
    format: string,
  ): string | Uint8Array {
    const match = format.match(BYTES_REGEXP);
    if (!match) {
      throw new RangeError(
        `Cannot read item ${place} as its format is not known: "${format}"`,
      );
    }
    const start = this.#start(place);
    let end = start + Math.min(Number(match[2]), this.#room(place));
    if (match[1] === "") { while (end > start && bytes[end - 1] === 0) end--; }
    const content = bytes.slice(start, end);
    const code = bytes[codesStart(this.#offsets) + place];
    return code === CODE_TEXT ? utf8.decode(content) : content;
  }

  #write(place: number, item: Packed): void {
    const parts = partsOf(this.shm);
    const room = this.#room(place);
    const format = item.format(room).padEnd(UNIT, "\0");
    const start = formatsStart(this.#offsets) + place * UNIT;
    for (let i = 0; i < UNIT; i++) {
      parts.bytes[start + i] = format.charCodeAt(i);
    }
    parts.bytes[codesStart(this.#offsets) + place] = item.code;
    item.write(parts, this.#start(place), room);
  }
}

/** A text may begin with what others take for a mark of the byte order. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** How to store an item. */
function pack(value: ShareableItem): Packed {
  if (value === null) return packFlag(FORMAT_NULL, CODE_NULL, false);
  // Copied: it may change before it is written, in a generator's next step, say.
  if (value instanceof Uint8Array) {
    return packBytes(new Uint8Array(value), CODE_BYTES);
  }
  switch (typeof value) {
    case "boolean":
      return packFlag(FORMAT_BOOLEAN, 0, value);
    case "number":
      // -0 is an integer to JavaScript only.
      return Number.isSafeInteger(value) && !Object.is(value, -0)
        ? packWord(FORMAT_INTEGER, BigInt(value))
        : packWord(FORMAT_FLOAT, bitsOf(value));
    case "bigint":
      if (value < LOWEST || value > HIGHEST) {
        throw new RangeError(
          `Cannot store ${value} in a ShareableList as it must have at most 64 bits`,
        );
      }
      return packWord(FORMAT_BIGINT, value);
    case "string":
      if (value.isWellFormed()) {
        return packBytes(new TextEncoder().encode(value), CODE_TEXT);
      }
  }
  throw new TypeError(
    `Cannot store ${
      show(value)
    } in a ShareableList as an item must be a number, bigint, boolean, text, Uint8Array or null`,
  );
}

/** `None` has its byte before that of a boolean, and leaves both zero. */
function packFlag(format: string, code: number, value: boolean): Packed {
  const word = value ? 1n << BigInt(BOOLEAN_BYTE * 8) : 0n;
  return packWord(format, word, code);
}

function packWord(format: string, word: bigint, code = 0): Packed {
  return {
    code,
    format: () => format,
    byteLength: UNIT,
    room: UNIT,
    write: ({ words }, start) => {
      Atomics.store(words, start / UNIT, word);
    },
  };
}

function packBytes(content: Uint8Array, code: number): Packed {
  const { length } = content;
  const isExact = content.at(-1) === 0;
  const max = isExact ? MAX_EXACT_BYTES : MAX_BYTES;
  if (length > max) {
    throw new RangeError(
      `Cannot store ${length} bytes in a ShareableList as an item must have at most ${max}`,
    );
  }
  return {
    code,
    format: (room) => isExact ? `0${length}s` : `${room}s`,
    byteLength: length,
    // One more than a multiple, so that the empty text has room to grow.
    room: UNIT * (Math.floor(length / UNIT) + 1),
    write: ({ bytes }, start, room) => {
      bytes.set(content, start);
      bytes.fill(0, start + length, start + room);
    },
  };
}

function offsetsFor(items: readonly Packed[]): number[] {
  const offsets = [0];
  for (const { room } of items) offsets.push(offsets.at(-1)! + room);
  return offsets;
}

// ---- where things are -------------------------------------------------------

function dataStart(length: number): number {
  return (length + 2) * UNIT;
}

function formatsStart(offsets: readonly number[]): number {
  return dataStart(offsets.length - 1) + offsets.at(-1)!;
}

function codesStart(offsets: readonly number[]): number {
  return formatsStart(offsets) + (offsets.length - 1) * UNIT;
}

/** The memory of a list. */
interface Parts {
  readonly bytes: Uint8Array;
  /** The same, but for an incomplete word at the end. */
  readonly words: BigInt64Array;
}

function partsOf(memory: SharedMemory): Parts {
  const piece = pieceOf(memory);
  if (!piece) {
    throw new ProcessError(
      `Cannot use a ShareableList as its shared memory "${memory.name}" is closed`,
    );
  }
  const { buffer, byteOffset, byteLength } = piece;
  const count = Math.floor(byteLength / UNIT);
  return {
    bytes: new Uint8Array(buffer, byteOffset, byteLength),
    words: new BigInt64Array(buffer, byteOffset, count),
  };
}

function loadWord({ words }: Parts, start: number): bigint {
  return Atomics.load(words, start / UNIT);
}

// A float and the whole number that has the same bits.
const bits = new BigInt64Array(1);
const float = new Float64Array(bits.buffer);

function bitsOf(value: number): bigint {
  float[0] = value;
  return bits[0]!;
}

function writeHead({ words }: Parts, offsets: readonly number[]): void {
  words[0] = BigInt(offsets.length - 1);
  offsets.forEach((offset, i) => words[i + 1] = BigInt(offset));
}

function readOffsets({ bytes, words }: Parts): number[] {
  const length = words.length < 2 ? -1 : Number(words[0]);
  if (length < 0 || dataStart(length) > bytes.length) throw noList();
  const offsets = globalThis.Array.from(
    words.subarray(1, length + 2),
    Number,
  );
  const isRow = offsets.every((offset, i) =>
    offset % UNIT === 0 &&
    (i === 0 ? offset === 0 : offset > offsets[i - 1]!)
  );
  if (!isRow || codesStart(offsets) + length > bytes.length) throw noList();
  return offsets;
}

function noList(): RangeError {
  return new RangeError(
    "Cannot open a ShareableList as the shared memory of that name holds something else",
  );
}

function isEqual(a: ShareableItem, b: ShareableItem): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function reprOf(value: ShareableItem): string {
  if (!(value instanceof Uint8Array)) return textOf(value);
  const shown = String.fromCharCode(...value.subarray(0, SHOWN_BYTES));
  return `b'${shown}${value.length > SHOWN_BYTES ? "…" : ""}'`;
}

const boundList = {
  spawn: bindTo(ShareableList, "spawn"),
  worker: bindTo(ShareableList, "worker"),
};

registerTag("ShareableList", (data) => {
  const [kind, name] = data as [MemoryKind, string];
  return new boundList[kind](undefined, { name });
});

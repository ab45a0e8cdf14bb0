/**
 * Bytes of a message as they come into being: numbers, strings and payloads
 * appended to a scratch buffer.
 *
 * **The scratch buffer** lives on from one message to the next, so that a small
 * message allocates nothing. One that has grown past {@linkcode KEPT_BYTES} is
 * dropped when its message is done.
 *
 * **Payloads** of `payloadBytes` and more are not copied here at all, only noted
 * with the place where they belong: whoever takes the parts copies each byte
 * once, to where it goes.
 *
 * ```
 *   scratch  [ head . . . | . . . . . . | . . . ]
 *                         ^ payload 0   ^ payload 1
 *   parts    [ head . . . ][ payload 0 ][ . . . . . . ][ payload 1 ][ . . . ]
 * ```
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  FLAG_TABLE,
  FLOAT64,
  INT16,
  INT32,
  LATIN1,
  UTF16,
  UTF8,
} from "./_tags.ts";
import { NEGATIVE_INTEGERS_END, SHORT_STRING } from "./_tags.ts";
import { lengthOf } from "./length.ts";

/** A message in pieces; see `encodeParts()`. */
export interface EncodedParts {
  /** The sum of the lengths of the parts. */
  readonly byteLength: number;
  /** The pieces, in order. */
  readonly parts: Uint8Array[];
}

/**
 * Where a message begins in the scratch buffer. Large data tends to lie at the
 * start of a memory page, and to copy it to a place up to 15 bytes after the
 * start of another takes twelve times as long as to any other (measured on
 * x86-64: 250 µs in place of 20 µs for 800 KB). At 0, large data that follows a
 * short head would always end up there.
 */
const START = 64;
/** First size of a scratch buffer: room for most messages of a pool. */
const FIRST_BYTES = 4096;
/** The largest scratch buffer that outlives its message. */
export const KEPT_BYTES: number = 1 << 20;
/** From here on it pays to refer to a payload; below, the copy costs less. */
export const PAYLOAD_BYTES: number = 16 * 1024;
/** Up to here a loop over the characters beats `TextEncoder` (measured). */
const LOOP_CHARACTERS = 64;
/** One more than the longest message whose view is kept. */
const VIEWS = 128;
/** The longest string whose length is in its tag. */
const SHORT_CHARACTERS = 31;
/** A tag and the longest length that is written behind it. */
const HEAD_BYTES = 10;

const encoder = new TextEncoder();

/** See the module. */
export class Writer {
  /** The scratch buffer. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Where the next byte goes. */
  position: number = START;
  /** From which length on payloads are referred to. */
  payloadBytes: number = Infinity;
  #view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer);
  /**
   * Views of the first bytes, by length. To make one costs as much as to encode
   * a short string, and it is valid for one message only.
   */
  #views: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  #payloads: Uint8Array[] = [];
  /** Places of the payloads in the scratch buffer. */
  #cuts: number[] = [];

  /** How many bytes there are so far, without payloads. */
  get length(): number {
    return this.position - START;
  }

  /** Changes the first byte. */
  setFirst(value: number): void {
    this.bytes[START] = value;
  }

  /** Makes room for so many bytes at {@linkcode Writer.position}. */
  reserve(count: number): void {
    if (this.position + count > this.bytes.length) this.#grow(count);
  }

  #grow(count: number): void {
    const needed = this.position + count;
    const bytes = new Uint8Array(
      Math.max(FIRST_BYTES, this.bytes.length * 2, needed),
    );
    // Not transfer(): a view handed out earlier must not become detached.
    bytes.set(this.bytes.subarray(0, this.position));
    this.#use(bytes);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#views = new Array(VIEWS).fill(undefined);
  }

  /** Appends a byte. */
  byte(value: number): void {
    if (this.position >= this.bytes.length) this.#grow(1);
    this.bytes[this.position++] = value;
  }

  /** Appends a length, a count or an id. */
  varint(value: number): void {
    this.reserve(HEAD_BYTES);
    while (value >= 0x80) {
      this.bytes[this.position++] = (value % 0x80) | 0x80;
      // No shift: lengths may pass 31 bits.
      value = Math.floor(value / 0x80);
    }
    this.bytes[this.position++] = value;
  }

  /** Appends 8 bytes. */
  float64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.position, value, true);
    this.position += 8;
  }

  /** Appends a number with its tag. */
  number(value: number): void {
    this.reserve(9);
    const position = this.position;
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) {
      this.bytes[position] = FLOAT64;
      this.#view.setFloat64(position + 1, value, true);
      this.position = position + 9;
    } else if (value >= -16 && value < 0x80) {
      this.bytes[position] = value < 0 ? value + NEGATIVE_INTEGERS_END : value;
      this.position = position + 1;
    } else if (value >= -0x8000 && value < 0x8000) {
      this.bytes[position] = INT16;
      this.bytes[position + 1] = value;
      this.bytes[position + 2] = value >> 8;
      this.position = position + 3;
    } else {
      this.bytes[position] = INT32;
      this.#view.setInt32(position + 1, value, true);
      this.position = position + 5;
    }
  }

  /** Appends so many numbers of an array, of so many bytes each. */
  numbers(values: readonly number[], bytesEach: 1 | 2 | 4 | 8): void {
    const count = values.length;
    this.reserve(count * bytesEach);
    const view = this.#view;
    let position = this.position;
    for (let i = 0; i < count; i++) {
      const value = values[i] as number;
      if (bytesEach === 8) view.setFloat64(position, value, true);
      else if (bytesEach === 4) view.setInt32(position, value, true);
      else if (bytesEach === 2) view.setInt16(position, value, true);
      else view.setInt8(position, value);
      position += bytesEach;
    }
    this.position = position;
  }

  /** Appends a string with its tag. */
  string(text: string): void {
    const length = text.length;
    if (length > LOOP_CHARACTERS) return this.#longString(text);
    this.reserve(2 + length);
    const bytes = this.bytes;
    const start = this.position + (length > SHORT_CHARACTERS ? 2 : 1);
    let seen = 0;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      seen |= unit;
      bytes[start + i] = unit;
    }
    if (seen > 0xff) return this.#utf16(text);
    if (length > SHORT_CHARACTERS) {
      bytes[start - 2] = LATIN1;
      // Below 0x80, so it is its own varint.
      bytes[start - 1] = length;
    } else {
      bytes[start - 1] = SHORT_STRING + length;
    }
    this.position = start + length;
  }

  #longString(text: string): void {
    const start = this.position;
    this.reserve(5 + text.length);
    this.position += 5;
    let { read, written } = this.#utf8(text);
    if (read < text.length) {
      // Not ASCII, so it needs more room than a byte for each unit.
      if (!text.isWellFormed()) {
        // UTF-8 would replace the lone surrogates.
        this.position = start;
        return this.#utf16(text);
      }
      this.reserve((text.length - read) * 3);
      const rest = this.#utf8(text.slice(read));
      read += rest.read;
      written += rest.written;
    } else if (written !== read && !text.isWellFormed()) {
      this.position = start;
      return this.#utf16(text);
    }
    this.bytes[start] = UTF8;
    this.#view.setUint32(start + 1, written, true);
  }

  #utf8(text: string): { read: number; written: number } {
    const result = encoder.encodeInto(
      text,
      this.bytes.subarray(this.position),
    );
    this.position += result.written;
    return result;
  }

  #utf16(text: string): void {
    const length = text.length;
    this.reserve(HEAD_BYTES + length * 2);
    this.byte(UTF16);
    this.varint(length);
    const bytes = this.bytes;
    let position = this.position;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      bytes[position++] = unit;
      bytes[position++] = unit >> 8;
    }
    this.position = position;
  }

  /** Appends bytes as they are. */
  raw(payload: Uint8Array): void {
    const length = payload.length;
    const isApart = length >= this.payloadBytes ||
      length < 0 && this.payloadBytes < Infinity; // see `length.ts`
    if (isApart) {
      this.#payloads.push(payload);
      this.#cuts.push(this.position);
      return;
    }
    this.reserve(length);
    this.bytes.set(payload, this.position);
    this.position += length;
  }

  /** The message in one piece, in the scratch buffer. */
  whole(): Uint8Array<ArrayBuffer> {
    const { length } = this;
    const { buffer } = this.bytes;
    if (length >= VIEWS) return new Uint8Array(buffer, START, length);
    return this.#views[length] ??= new Uint8Array(buffer, START, length);
  }

  /**
   * The message in pieces.
   *
   * @param hasTable Whether to say at the start where the payloads lie.
   */
  parts(hasTable: boolean): EncodedParts {
    if (this.#payloads.length === 0) {
      return { byteLength: this.length, parts: [this.whole()] };
    }
    const parts: Uint8Array[] = [];
    let byteLength = this.length;
    let start = START;
    if (hasTable) {
      const head = this.#table();
      parts.push(head);
      start++;
      byteLength += head.length - 1;
    }
    for (const [i, payload] of this.#payloads.entries()) {
      const cut = this.#cuts[i] as number;
      // Never empty: there is a tag and a length before each payload.
      parts.push(this.bytes.subarray(start, cut), payload);
      byteLength += lengthOf(payload);
      start = cut;
    }
    if (start < this.position) {
      parts.push(this.bytes.subarray(start, this.position));
    }
    return { byteLength, parts };
  }

  /** The first byte and the table that follows it. */
  #table(): Uint8Array {
    const writer = new Writer();
    writer.byte(this.bytes[START]! | FLAG_TABLE);
    writer.varint(this.#payloads.length);
    let end = START + 1;
    for (const [i, payload] of this.#payloads.entries()) {
      const cut = this.#cuts[i] as number;
      writer.varint(cut - end);
      writer.varint(lengthOf(payload));
      end = cut;
    }
    return writer.whole();
  }

  /** Makes ready for the next message and forgets this one. */
  clear(): void {
    this.position = START;
    this.payloadBytes = Infinity;
    if (this.#payloads.length > 0) {
      this.#payloads = [];
      this.#cuts = [];
    }
    if (this.bytes.length > KEPT_BYTES) {
      this.#use(new Uint8Array(0));
    }
  }
}

/**
 * Bytes of a message as they are taken apart: numbers, strings and payloads,
 * each checked against what is left before anything is allocated for it.
 *
 * The bytes may lie in shared memory, at any offset, and nothing that is handed
 * out looks at them: the next message may overwrite them at once. If somebody
 * overwrites them while they are read, the outcome is another value or an
 * error, as with any bytes.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import {
  LATIN1,
  SHORT_STRING,
  SHORT_STRINGS_END,
  UTF16,
  UTF8,
} from "./_tags.ts";
import type { Payload } from "./lifted.ts";

/** Up to here an array of units beats `TextDecoder` (measured). */
const LOOP_CHARACTERS = 64;
/** Units handed to one call of `fromCharCode()`; V8 takes some 100,000. */
const CHUNK_UNITS = 8192;
/** A varint is a safe integer: 53 bits in groups of seven. */
const VARINT_BYTES_MAX = 8;

const fromCharCode = String.fromCharCode;
/** One array for each length, so that none is made for a short string. */
const UNITS: readonly number[][] = Array.from(
  { length: LOOP_CHARACTERS + 1 },
  (_, length) => new Array<number>(length).fill(0),
);

// The lenient decoder is twice as fast as the strict one, which therefore only
// looks at text in which the lenient one may have replaced something.
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
const REPLACEMENT = "\ufffd";

/** Gives so many zeroed bytes, in a buffer of their own. */
export type Allocate = (byteLength: number) => Uint8Array<ArrayBuffer>;

const zeroed: Allocate = (byteLength) => new Uint8Array(byteLength);

/** A number on its way from bytes. */
const floatView = new DataView(new ArrayBuffer(8));
const floatBytes = new Uint8Array(floatView.buffer);

const EMPTY = new Uint8Array(0);
const NO_PAYLOADS: readonly Payload[] = [];

/** See the module. */
export class Reader {
  /** The message. */
  bytes: Uint8Array = EMPTY;
  /** Where the next byte comes from. */
  position = 0;
  /** Where the message ends. */
  end = 0;
  /** Gives memory for binary data. */
  allocate: Allocate = zeroed;
  /** Whether that memory is filled: not if nobody will use it. */
  fills = true;
  #payloads: readonly Payload[] = NO_PAYLOADS;
  #payloadsTaken = 0;

  /**
   * Starts with a message.
   *
   * @param bytes The message.
   * @param from Where in these bytes it starts.
   * @param payloads What of it lies apart.
   */
  open(
    bytes: Uint8Array,
    from = 0,
    payloads: readonly Payload[] = NO_PAYLOADS,
  ): void {
    this.bytes = bytes;
    this.position = from;
    this.end = bytes.length;
    this.#payloads = payloads;
    this.#payloadsTaken = 0;
  }

  /** Forgets the message. */
  close(): void {
    this.bytes = EMPTY;
    this.allocate = zeroed;
    this.fills = true;
    this.#payloads = NO_PAYLOADS;
  }

  /** Checks that nothing of the message is left. */
  finish(): void {
    if (
      this.position !== this.end ||
      this.#payloadsTaken !== this.#payloads.length
    ) this.fail("more bytes than the value has");
  }

  /** Gives up on bytes that no encoder made. */
  fail(detail: string, cause?: unknown): never {
    throw new EncodingError(
      `Cannot decode bytes as they are not a valid message: found ${detail} before offset ${this.position}`,
      cause === undefined ? {} : { cause },
    );
  }

  /** Checks that so many bytes are left. */
  demand(count: number): void {
    if (count > this.end - this.position) this.fail("too few bytes");
  }

  /** Takes a byte. */
  byte(): number {
    if (this.position >= this.end) this.fail("too few bytes");
    return this.bytes[this.position++] as number;
  }

  /** Takes a length or an id. */
  varint(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (let i = 1; i < VARINT_BYTES_MAX; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    this.fail("a length that is too long");
  }

  /** Takes a count of things that have at least so many bytes each. */
  count(bytesEach: number): number {
    const count = this.varint();
    this.demand(count * bytesEach);
    return count;
  }

  // Byte by byte: a DataView of the message takes ten times as long to make as a
  // number to read so, and most messages have one number or two.

  /** Takes 8 bytes. */
  float64(): number {
    this.demand(8);
    const { bytes, position } = this;
    this.position = position + 8;
    floatBytes[0] = bytes[position] as number;
    floatBytes[1] = bytes[position + 1] as number;
    floatBytes[2] = bytes[position + 2] as number;
    floatBytes[3] = bytes[position + 3] as number;
    floatBytes[4] = bytes[position + 4] as number;
    floatBytes[5] = bytes[position + 5] as number;
    floatBytes[6] = bytes[position + 6] as number;
    floatBytes[7] = bytes[position + 7] as number;
    return floatView.getFloat64(0, true);
  }

  /** Takes 4 bytes. */
  int32(): number {
    this.demand(4);
    const { bytes, position } = this;
    this.position = position + 4;
    return (bytes[position] as number) |
      ((bytes[position + 1] as number) << 8) |
      ((bytes[position + 2] as number) << 16) |
      ((bytes[position + 3] as number) << 24);
  }

  /** Takes 2 bytes. */
  int16(): number {
    this.demand(2);
    const position = this.position;
    this.position = position + 2;
    const low = this.bytes[position] as number;
    return low | ((this.bytes[position + 1] as number) << 24 >> 16);
  }

  /** Takes bytes as a copy in a buffer of their own. */
  raw(length: number): Uint8Array<ArrayBuffer> {
    if (this.#payloads.length > 0) {
      const payload = this.payload(length);
      if (payload !== undefined) return payload;
    }
    this.demand(length);
    const start = this.position;
    this.position = start + length;
    return this.copy(start, length);
  }

  /** Takes bytes that lie apart, if those that come next do. */
  payload(length: number): Uint8Array<ArrayBuffer> | undefined {
    const next = this.#payloads[this.#payloadsTaken];
    if (next?.position !== this.position) return undefined;
    if (next.bytes.length !== length) this.fail("a payload of another length");
    this.#payloadsTaken++;
    return next.bytes;
  }

  /** Copies bytes that have been read. */
  copy(start: number, length: number): Uint8Array<ArrayBuffer> {
    // Not slice(): it is slower, and a subclass could make it give a view.
    const copy = this.allocate(length);
    if (this.fills) copy.set(this.bytes.subarray(start, start + length));
    return copy;
  }

  /** Takes a string where only a string may be. */
  string(): string {
    const tag = this.byte();
    if (tag >= SHORT_STRING && tag < SHORT_STRINGS_END) {
      return this.latin1(tag - SHORT_STRING);
    }
    if (tag === LATIN1) return this.latin1(this.varint());
    if (tag === UTF8) return this.utf8();
    if (tag === UTF16) return this.utf16();
    this.fail("something else in place of a string");
  }

  /** Takes so many characters of a byte each. */
  latin1(length: number): string {
    this.demand(length);
    const start = this.position;
    this.position = start + length;
    if (length > LOOP_CHARACTERS) return this.#chunks(start, length, 1);
    const bytes = this.bytes;
    const units = UNITS[length] as number[];
    for (let i = 0; i < length; i++) units[i] = bytes[start + i] as number;
    return fromCharCode.apply(null, units);
  }

  /** Takes a length and text of that many bytes. */
  utf8(): string {
    const length = this.int32() >>> 0;
    this.demand(length);
    const start = this.position;
    this.position = start + length;
    const bytes = this.bytes.subarray(start, start + length);
    const text = lenient.decode(bytes);
    if (text.includes(REPLACEMENT)) {
      try {
        strict.decode(bytes);
      } catch (error) {
        this.fail("a string that is not UTF-8", error);
      }
    }
    return text;
  }

  /** Takes a length and that many code units. */
  utf16(): string {
    const length = this.varint();
    this.demand(length * 2);
    const start = this.position;
    this.position = start + length * 2;
    return this.#chunks(start, length, 2);
  }

  #chunks(start: number, length: number, bytesEach: 1 | 2): string {
    const bytes = this.bytes;
    let text = "";
    for (let done = 0; done < length; done += CHUNK_UNITS) {
      const count = Math.min(CHUNK_UNITS, length - done);
      const units = new Array<number>(count);
      for (let i = 0; i < count; i++) {
        const at = start + (done + i) * bytesEach;
        units[i] = bytesEach === 1
          ? bytes[at] as number
          : (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
      }
      text += fromCharCode.apply(null, units);
    }
    return text;
  }
}

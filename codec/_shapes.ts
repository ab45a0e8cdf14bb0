/**
 * Shapes: key lists of plain objects, so that keys travel once a message, and
 * lists that come again and again are neither built nor parsed again.
 *
 * Each side keeps a small table of lists it has met, from message to message.
 * That is a memory of names only, of bounded size, and it never changes what is
 * on the wire: a message explains each shape it uses.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { Reader } from "./_reader.ts";
import { Writer } from "./_writer.ts";

/** An object with more keys is rather a dictionary, not one of many alike. */
export const SHAPE_KEYS_MAX = 32;
/** A longer key list is not worth remembering. */
const BLOCK_BYTES_MAX = 512;
/** Places in each table; a power of two. With 16 KB of names on average. */
const PLACES = 256;

/** A key list of objects that are sent. */
export interface SentShape {
  readonly keys: readonly string[];
  /** What explains it on the wire; only made when it comes a second time. */
  block: Uint8Array | undefined;
  /** The message that explained it last. */
  message: number;
  /** Its id in that message. */
  id: number;
}

const sent: (SentShape | undefined)[] = new Array(PLACES).fill(undefined);

/**
 * Finds the shape of these keys, or makes it.
 *
 * A list has two places. The one that this message has not used is given up
 * first, so that the bytes of a message never depend on the messages before it.
 */
export function sentShape(keys: readonly string[], message: number): SentShape {
  const place = placeOf(keys);
  const first = sent[place];
  if (first !== undefined && sameKeys(first.keys, keys)) return first;
  const second = sent[place ^ 1];
  if (second !== undefined && sameKeys(second.keys, keys)) return second;
  const shape = { keys, block: undefined, message: -1, id: 0 };
  if (first === undefined || first.message !== message) sent[place] = shape;
  else if (second === undefined || second.message !== message) {
    sent[place ^ 1] = shape;
  } else sent[first.id < second.id ? place : place ^ 1] = shape;
  return shape;
}

function placeOf(keys: readonly string[]): number {
  const first = keys[0] as string;
  const last = keys[keys.length - 1] as string;
  return (keys.length + first.length * 5 + last.length * 11 +
    first.charCodeAt(0) * 17 + last.charCodeAt(last.length - 1) * 31) &
    (PLACES - 1);
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  const count = a.length;
  if (count !== b.length) return false;
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return false;
  return true;
}

const blocks = new Writer();

/**
 * What explains a shape on the wire, valid until the next call, or `undefined`
 * if that is too long to be worth it.
 */
export function blockOf(shape: SentShape): Uint8Array | undefined {
  if (shape.block !== undefined) return shape.block;
  blocks.clear();
  blocks.varint(shape.keys.length);
  for (const key of shape.keys) blocks.string(key);
  if (blocks.length > BLOCK_BYTES_MAX) return undefined;
  const block = blocks.whole();
  // At first sight it may be one of many lists that never come again.
  if (shape.message >= 0) shape.block = block.slice();
  return block;
}

/** A key list of objects that are received. */
export interface ReceivedShape {
  readonly keys: readonly string[];
  /**
   * Whether a plain assignment of some key would not make an own property:
   * `__proto__`, and whatever else `Object.prototype` has.
   */
  readonly delicate: boolean;
  readonly block: Uint8Array;
}

const received: (ReceivedShape | undefined)[] = new Array(PLACES)
  .fill(undefined);
/** Length of the block that was last at each place, seen once. */
const seenOnce = new Int32Array(PLACES);

/** Reads what explains a shape: the next `length` bytes. */
export function receivedShape(reader: Reader, length: number): ReceivedShape {
  reader.demand(length);
  const start = reader.position;
  const place = blockPlace(reader.bytes, start, length);
  const known = received[place];
  if (
    known !== undefined && sameBytes(known.block, reader.bytes, start, length)
  ) {
    reader.position = start + length;
    return known;
  }
  const keys = readKeys(reader, start + length);
  const again = seenOnce[place] === length && length <= BLOCK_BYTES_MAX;
  seenOnce[place] = length;
  const shape = {
    keys,
    delicate: keys.some((key) => key in Object.prototype),
    block: again ? reader.copy(start, length) : NO_BLOCK,
  };
  if (again) received[place] = shape;
  return shape;
}

const NO_BLOCK = new Uint8Array(0);

function readKeys(reader: Reader, end: number): string[] {
  const count = reader.count(1);
  const keys: string[] = [];
  for (let i = 0; i < count; i++) keys.push(reader.string());
  if (reader.position !== end) reader.fail("a shape of the wrong length");
  return keys;
}

function blockPlace(bytes: Uint8Array, start: number, length: number): number {
  // The count, the start of the first key and the end of the last.
  return (length * 7 + (bytes[start] as number) * 31 +
    (bytes[start + 2] as number) * 17 +
    (bytes[start + length - 1] as number) * 5) & (PLACES - 1);
}

function sameBytes(
  block: Uint8Array,
  bytes: Uint8Array,
  start: number,
  length: number,
): boolean {
  if (block.length !== length) return false;
  for (let i = 0; i < length; i++) {
    if (block[i] !== bytes[start + i]) return false;
  }
  return true;
}

/**
 * Large binary data on its way out of shared memory, copied once: to where it
 * stays.
 *
 * A message has to be copied before it is decoded where decoding may fail or may
 * run other code. Large binary data in it would then be copied again, out of the
 * copy. So `encodeLiftable()` says where it lies, and {@linkcode lift} makes a copy
 * in which each such payload has a buffer of its own, to be handed out as it is:
 *
 * ```
 *   message  [ head | table ][ . . . . ][ payload 0 ][ . . . ][ payload 1 ][ . ]
 *   bytes    [ head ][ . . . . ][ . . . ][ . ]
 *   payloads                   ^ 0      ^ 1
 * ```
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { Reader } from "./_reader.ts";
import type { Allocate } from "./_reader.ts";
import { FLAG_TABLE } from "./_tags.ts";

/** Binary data that belongs in a message. */
export interface Payload {
  /** Where in the rest of the message. */
  readonly position: number;
  /** The data, in a buffer of its own. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A copy of a message, of which nobody else has a part. To be decoded once. */
export class Lifted {
  /**
   * Wraps the pieces.
   *
   * @param bytes The message without the payloads.
   * @param payloads The payloads, in order.
   */
  constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    readonly payloads: readonly Payload[],
  ) {}
}

/** A gap and a length have a byte each at least. */
const ENTRY_BYTES_MIN = 2;

/**
 * Copies a message, its large payloads apart.
 *
 * @param message The message, in shared memory or anywhere else.
 * @param allocate Gives memory for the payloads.
 * @returns Nothing if it does not say where they lie: then it has none.
 * @throws {EncodingError} If it says what cannot be.
 */
export function lift(
  message: Uint8Array,
  allocate?: Allocate,
): Lifted | undefined {
  if (message.length === 0 || (message[0]! & FLAG_TABLE) === 0) {
    return undefined;
  }
  const reader = new Reader();
  reader.open(message);
  if (allocate) reader.allocate = allocate;
  reader.position = 1;
  const count = reader.count(ENTRY_BYTES_MIN);
  const table = Array.from({ length: count }, () => ({
    gap: reader.varint(),
    length: reader.varint(),
  }));
  const total = table.reduce((sum, { length }) => sum + length, 0);
  const rest = message.length - reader.position - total;
  if (rest < 0) reader.fail("payloads longer than the message");
  const bytes = new Uint8Array(1 + rest);
  bytes[0] = message[0]! & ~FLAG_TABLE;
  let position = 1;
  const copyRest = (length: number) => {
    if (length > bytes.length - position) reader.fail("a gap that is too long");
    const from = reader.position;
    bytes.set(message.subarray(from, from + length), position);
    position += length;
    reader.position += length;
  };
  const payloads: Payload[] = [];
  for (const { gap, length } of table) {
    copyRest(gap);
    payloads.push({ position, bytes: reader.raw(length) });
  }
  copyRest(rest - (position - 1));
  return new Lifted(bytes, payloads);
}

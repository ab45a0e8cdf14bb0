/**
 * Values as messages: {@linkcode MAGIC}, then the bytes of the codec. Data only.
 *
 * A message without it is bytes that somebody sent as such, CPython for example:
 * its pickles begin with 0x80, and no UTF-8 text begins with 0x89.
 *
 * **What does not travel.** Functions, shared memory and handles of locks, queues
 * and so on: those would have the receiver load modules or touch memory at the word
 * of whoever is at the other end. The codec asks for a `target` only when it meets
 * a handle on the way out, for a `source` only when it meets one on the way in, and
 * in both cases before anything is done with it: here, asking is refused.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { decode, encodeParts } from "../codec/mod.ts";
import type { DecodeOptions, EncodeOptions } from "../codec/mod.ts";
import { EncodingError } from "../errors.ts";

/** What a message starts with that is a value: 0x89, "DMP". */
export const MAGIC: Uint8Array = Uint8Array.of(0x89, 0x44, 0x4d, 0x50);
/** What a pickle of CPython starts with. */
const PICKLE = 0x80;

const ENCODING: EncodeOptions = {
  get target(): never {
    throw new EncodingError(
      "Cannot send an object of this library through a socket as it leads to memory that only this program and its children have",
    );
  },
};

const DECODING: DecodeOptions = {
  get source(): never {
    throw new EncodingError(
      "Cannot receive an object of this library through a socket as it would lead to memory that only the sender has",
    );
  },
};

/**
 * Makes a message of a value.
 *
 * @param value The value.
 * @returns The message in parts, valid until the next call.
 * @throws {EncodingError} If it cannot travel.
 */
export function partsOf(value: unknown): readonly Uint8Array[] {
  return [MAGIC, ...encodeParts(value, ENCODING).parts];
}

/**
 * Checks that a message is a value.
 *
 * @param message The message.
 * @throws {EncodingError} If it is bytes.
 */
export function checkValue(message: Uint8Array): void {
  if (MAGIC.every((byte, i) => message[i] === byte)) return;
  throw new EncodingError(
    message[0] === PICKLE
      ? "Cannot receive a value as the next message seems to be a pickle of Python, which would be code: send bytes from there; it is still there for recvBytes()"
      : "Cannot receive a value as the next message is bytes: it is still there for recvBytes()",
  );
}

/**
 * Makes a value of a message.
 *
 * @param message The message, checked.
 * @throws {EncodingError} If it cannot be made here.
 */
export function valueOf(message: Uint8Array): unknown {
  return decode(message.subarray(MAGIC.byteLength), DECODING);
}

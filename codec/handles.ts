/**
 * How objects of this library travel: each says itself what leads to it, and a
 * reviver that is registered on both sides makes an object of that.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";

/**
 * Method by which a library object (a lock, a queue …) says what stands for it
 * in a message. It is called with the `target` of the encoding, and may throw
 * if the object cannot go there.
 *
 * @example A handle that travels by its number
 * ```ts
 * import {
 *   decode,
 *   encode,
 *   registerTag,
 *   TO_WIRE,
 *   type WireForm,
 * } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * class Door {
 *   constructor(readonly number: number) {}
 *   [TO_WIRE](): WireForm {
 *     return { tag: "door", data: this.number };
 *   }
 * }
 * registerTag("door", (data) => new Door(data as number));
 *
 * assertEquals(decode(encode(new Door(7))), new Door(7));
 * ```
 */
export const TO_WIRE: unique symbol = Symbol("multiprocessing.toWire");

/** What stands for a library object in a message. */
export interface WireForm {
  /** The name of the reviver, see {@linkcode registerTag}. */
  readonly tag: string;
  /** What the reviver gets; may be anything that can be encoded. */
  readonly data: unknown;
}

/** Makes a library object of the data in its {@linkcode WireForm}. */
export type Revive = (data: unknown, source: unknown) => unknown;

const revivers = new Map<string, Revive>();

/**
 * Says how library objects of a kind are revived where they arrive.
 *
 * @example A tag without a class
 * ```ts
 * import { decode, encode, registerTag, TO_WIRE } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * registerTag("upper", (data) => String(data).toUpperCase());
 *
 * const word = { [TO_WIRE]: () => ({ tag: "upper", data: "ant" }) };
 * assertEquals(decode(encode(word)), "ANT");
 * ```
 *
 * @param tag The tag in the {@linkcode WireForm}s; the last registration counts.
 * @param revive Gets the data and the `source` of the decoding.
 */
export function registerTag(tag: string, revive: Revive): void {
  revivers.set(tag, revive);
}

const unknownKinds = new WeakMap<object, string>();

/** The error for a handle of a kind that is not registered. */
export function unknownKind(tag: string): EncodingError {
  const error = new EncodingError(
    `Cannot decode a handle as its kind is not known here: "${tag}"`,
  );
  unknownKinds.set(error, tag);
  return error;
}

/**
 * Which kind of handle a decoding failed for as it is not registered, if that was the
 * reason: it may succeed once the module of that kind is loaded.
 */
export function unknownTag(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  return unknownKinds.get(error);
}

/** The reviver of a tag, if there is one. */
export function reviverOf(tag: string): Revive | undefined {
  return revivers.get(tag);
}

/**
 * Values to bytes and back: one binary format for everything that goes to
 * another process or thread.
 *
 * {@linkcode encode} takes what `structuredClone()` takes, and more: errors with
 * all that is on them, URLs, instances of classes that were given to
 * {@linkcode registerClass}. What cannot arrive as what it is is refused at
 * once, with the way to it. README.md in this folder describes the format.
 *
 * ```ts
 * import { decode, encode } from "@deno-mp/multiprocessing/codec";
 * import { EncodingError } from "@deno-mp/multiprocessing/errors";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const job = { id: 7, shape: [2, 3], when: new Date(0) };
 * assertEquals(decode(encode(job)), job);
 *
 * const error = assertThrows(
 *   () => encode({ ...job, done: () => {} }, { root: "job" }),
 *   EncodingError,
 * );
 * assertEquals(error.path, "job.done");
 * ```
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
export { registerClass } from "./classes.ts";
export type { RegisterClassOptions } from "./classes.ts";
export { decode } from "./decoder.ts";
export type { DecodeOptions } from "./decoder.ts";
export { encode, encodeParts } from "./encoder.ts";
export type { EncodedParts, EncodeOptions } from "./encoder.ts";
export { registerTag, TO_WIRE } from "./handles.ts";
export type { Revive, WireForm } from "./handles.ts";

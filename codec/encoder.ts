/**
 * Values to bytes.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { Encoder, NO_OPTIONS } from "./_encoder.ts";
import { PAYLOAD_BYTES } from "./_writer.ts";
import type { EncodedParts } from "./_writer.ts";

export type { EncodedParts };

/** Settings of {@linkcode encode} and {@linkcode encodeParts}. */
export interface EncodeOptions {
  /**
   * What the value is called in an error: `args` for `args[0].callback`.
   *
   * @default {"value"}
   */
  root?: string;
  /**
   * Handed to the {@linkcode TO_WIRE} methods of library objects. Read when such
   * an object is met, so a getter that throws refuses them all.
   */
  target?: unknown;
  /** Tags of the library objects that may travel; any if not given. */
  tags?: ReadonlySet<string>;
  /**
   * Gives plain data by which the other side finds a function, or throws.
   * Without it no function is accepted.
   */
  // deno-lint-ignore ban-types -- any function at all
  encodeFunction?: (fn: Function, path: string) => unknown;
  /**
   * Gives plain data by which the other side finds shared memory, or throws.
   * Without it none is accepted.
   */
  encodeSharedBuffer?: (buffer: SharedArrayBuffer, path: string) => unknown;
}

/**
 * Makes bytes of a value: what {@linkcode decode} makes of them is what
 * `structuredClone()` makes of the value.
 *
 * - **Beyond structured cloning:** errors keep class, name, code and fields;
 *   URLs, instances of registered classes and library objects travel.
 * - **Refused:** whatever would not arrive as what it is, at once, with the way
 *   to it. What a getter or a hook throws is thrown as it is.
 * - **Lifetime:** the bytes are valid until the next call of `encode()` or
 *   `encodeParts()` in this thread, which may overwrite them. Their buffer is
 *   never detached. A hook may call both; that overwrites nothing.
 *
 * @example There and back
 * ```ts
 * import { decode, encode } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const value = { at: new Date(0), tags: new Set(["a"]), big: 2n ** 80n };
 * assertEquals(decode(encode(value)), value);
 * ```
 *
 * @param value What to encode.
 * @param options What to call it, and how functions and handles travel.
 * @returns The bytes, valid until the next call.
 * @throws {EncodingError} If a part of the value cannot travel.
 */
export function encode(
  value: unknown,
  options: EncodeOptions = NO_OPTIONS,
): Uint8Array<ArrayBuffer> {
  const encoder = idle ?? new Encoder();
  const wasIdle = encoder === idle;
  idle = undefined;
  try {
    encoder.run(value, options);
    return encoder.whole();
  } finally {
    encoder.clear();
    if (wasIdle) idle = encoder;
  }
}

/**
 * Like {@linkcode encode}, but in pieces: binary data of 16 KiB and more is not
 * copied but referred to. For a writer that copies the pieces to where they go.
 *
 * The pieces are valid until the next call of either function, and as long as
 * the value does not change.
 *
 * @example A big array is not copied
 * ```ts
 * import { encodeParts } from "./mod.ts";
 * import { assert } from "@std/assert";
 *
 * const samples = new Float64Array(100_000);
 * const { parts } = encodeParts({ samples });
 * assert(parts.some((part) => part.buffer === samples.buffer));
 * ```
 *
 * @param value What to encode.
 * @param options What to call it, and how functions and handles travel.
 * @returns The pieces, in order, and their length in all.
 * @throws {EncodingError} If a part of the value cannot travel.
 */
export function encodeParts(
  value: unknown,
  options: EncodeOptions = NO_OPTIONS,
): EncodedParts {
  return inParts(value, options, false);
}

/**
 * Like {@linkcode encodeParts}, and the message says where the binary data lies,
 * for whoever has to copy it: see `lifted.ts`.
 */
export function encodeLiftable(
  value: unknown,
  options: EncodeOptions = NO_OPTIONS,
): EncodedParts {
  return inParts(value, options, true);
}

function inParts(
  value: unknown,
  options: EncodeOptions,
  hasTable: boolean,
): EncodedParts {
  const encoder = idle ?? new Encoder();
  const wasIdle = encoder === idle;
  idle = undefined;
  try {
    encoder.payloadBytes = PAYLOAD_BYTES;
    encoder.run(value, options);
    return encoder.parts(hasTable);
  } finally {
    encoder.clear();
    if (wasIdle) idle = encoder;
  }
}

/**
 * The encoder that lives on from message to message, unless it is at work: what
 * a hook encodes meanwhile gets an encoder, and bytes, of its own.
 */
let idle: Encoder | undefined = new Encoder();

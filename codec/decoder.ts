/**
 * Bytes to values.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { Decoder, NO_OPTIONS } from "./_decoder.ts";
import type { Lifted } from "./lifted.ts";
import type { Allocate } from "./_reader.ts";

/** Settings of {@linkcode decode}. */
export interface DecodeOptions {
  /**
   * Handed to the revivers of library objects. Read before a reviver is called,
   * so a getter that throws refuses them all.
   */
  source?: unknown;
  /**
   * Tags of the library objects that are accepted; all that are known here if not
   * given. No other reviver is called, whatever the message says.
   */
  tags?: ReadonlySet<string>;
  /**
   * Gives the function that the data of `encodeFunction` stands for. Without it
   * no function is accepted.
   */
  decodeFunction?: (reference: unknown) => unknown;
  /**
   * Gives the memory that the data of `encodeSharedBuffer` stands for. Without
   * it none is accepted.
   */
  decodeSharedBuffer?: (reference: unknown) => unknown;
  /**
   * How deep objects may be nested in each other.
   *
   * @default {Infinity}
   */
  maxDepth?: number;
}

/**
 * Makes a value of bytes that {@linkcode encode} has made.
 *
 * The bytes may be a view of shared memory, at any offset; the value does not
 * refer to them. They need not be trusted: whatever they are, no code is loaded
 * or run but revivers that are registered here, and the memory taken is limited
 * by their length.
 *
 * @example Bytes that are no message
 * ```ts
 * import { decode } from "./mod.ts";
 * import { EncodingError } from "../errors.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => decode(new Uint8Array([1, 2, 3])), EncodingError);
 * ```
 *
 * @param bytes The whole message.
 * @param options How functions and handles are revived.
 * @returns The value.
 * @throws {EncodingError} If the bytes are not a message, or if something in it
 * is not known here. What a reviver throws is thrown as it is.
 */
export function decode(
  bytes: Uint8Array,
  options: DecodeOptions = NO_OPTIONS,
): unknown {
  return decodeMessage(bytes, options);
}

/** Settings of {@linkcode decodeMessage}. */
export interface MessageOptions extends DecodeOptions {
  /**
   * Gives memory for binary data.
   *
   * @default {(byteLength) => new Uint8Array(byteLength)}
   */
  allocate?: Allocate;
  /**
   * Called before each library object of a message is revived.
   *
   * @param index How many came before it.
   */
  beforeHandle?(index: number): void;
  /**
   * Whether only to see if all can be revived that is in the message. Then nothing
   * is: no reviver and no hook is called, and the value is of no use.
   *
   * @default {false}
   */
  scouts?: boolean;
  /**
   * Whether only library objects are made, from the one of this index on. No hook
   * of a class is called, and what is not known here is passed over; the value is
   * of no use.
   *
   * @default {undefined} all of the message is made
   */
  salvagesFrom?: number | undefined;
}

/**
 * {@linkcode decode}, for those who have a copy that {@linkcode lift} has made, or
 * memory of their own.
 *
 * @param message The message.
 * @param options How functions and handles are revived, and where memory is from.
 * @param from Where in the bytes the message starts, if it is in one piece: to make
 * a view of the rest takes as long as to decode a few numbers.
 */
export function decodeMessage(
  message: Uint8Array | Lifted,
  options: MessageOptions,
  from = 0,
): unknown {
  const decoder = idle ?? new Decoder();
  const wasIdle = decoder === idle;
  idle = undefined;
  try {
    return decoder.run(message, options, from);
  } finally {
    decoder.close();
    if (wasIdle) idle = decoder;
  }
}

/** The decoder that lives on; what a reviver decodes gets one of its own. */
let idle: Decoder | undefined = new Decoder();

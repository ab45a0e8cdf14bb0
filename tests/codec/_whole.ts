/**
 * Messages in pieces, put together.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { EncodedParts } from "../../codec/mod.ts";

/** One array of bytes, as shared memory has it. */
export function whole({ byteLength, parts }: EncodedParts): Uint8Array {
  const message = new Uint8Array(byteLength);
  let position = 0;
  for (const part of parts) {
    message.set(part, position);
    position += part.length;
  }
  assertEquals(position, byteLength);
  return message;
}

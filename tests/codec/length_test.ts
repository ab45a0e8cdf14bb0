/**
 * In a file of its own: whether V8 makes its mistake depends on what has been
 * encoded before.
 *
 * @module
 */
import { assert } from "@std/assert";
import { encodeLiftable } from "../../codec/encoder.ts";

/** From here on binary data is referred to. */
const REFERRED = 16 * 1024;

Deno.test("encodeLiftable() knows how long 2 GiB are when it is hot", async () => {
  // Hot code of V8 15.0, of its middle tier, takes that length for a negative
  // number.
  const small = new Uint8Array(REFERRED);
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 1000; i++) encodeLiftable(small);
    // It is compiled meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // Zeroes that nobody has touched cost no memory.
  const { byteLength, parts } = encodeLiftable(new Uint8Array(2 ** 31));
  assert(byteLength > 2 ** 31, `they are ${byteLength} bytes`);
  assert(byteLength < 2 ** 31 + 64, `they are ${byteLength} bytes`);
  assert(parts.some((part) => Reflect.get(part, "length") === 2 ** 31));
});

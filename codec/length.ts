/**
 * How long an array is, however long it is.
 *
 * Compiled code of V8 15.0 (Deno 2.9.6) takes `array.length` of 2^31 and more for a
 * negative number: `n + array.length` is off by 2^32 once its function is hot. So
 * where such arrays may come, and only there, the length is asked for in a way that
 * is not compiled: it takes 0.1 µs.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/**
 * The length of an array in bytes.
 *
 * @param bytes The array.
 */
export function lengthOf(bytes: Uint8Array): number {
  return Reflect.get(bytes, "byteLength") as number;
}

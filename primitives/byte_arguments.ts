/**
 * The arguments of `sendBytes()`, `recvBytes()` and `recvBytesInto()`, of pipes as
 * of network connections, checked with the words of the reference.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** The bytes behind a view of any type, or behind a buffer. */
export function bytesOf(view: ArrayBufferView | ArrayBufferLike): Uint8Array {
  if (ArrayBuffer.isView(view)) {
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  }
  if (view instanceof ArrayBuffer || view instanceof SharedArrayBuffer) {
    return new Uint8Array(view);
  }
  throw new TypeError(
    `Cannot use this as bytes as it is no view of a buffer: ${
      Deno.inspect(view)
    }`,
  );
}

/** The part of some bytes that is to be sent. */
export function partOf(
  bytes: Uint8Array,
  offset: number,
  size: number | undefined,
): Uint8Array {
  const length = bytes.byteLength;
  checkInteger("offset", offset);
  if (offset < 0) {
    throw new RangeError(`Cannot send bytes as offset is negative: ${offset}`);
  }
  if (offset > length) {
    throw new RangeError(
      `Cannot send bytes as buffer length < offset: ${length} < ${offset}`,
    );
  }
  if (size === undefined) return bytes.subarray(offset);
  checkInteger("size", size);
  if (size < 0) {
    throw new RangeError(`Cannot send bytes as size is negative: ${size}`);
  }
  if (offset + size > length) {
    throw new RangeError(
      `Cannot send bytes as buffer length < offset + size: ${length} < ${offset} + ${size}`,
    );
  }
  return bytes.subarray(offset, offset + size);
}

/** The place where bytes are to be received. */
export function placeOf(
  view: ArrayBufferView | ArrayBufferLike,
  offset: number,
): Uint8Array {
  const bytes = bytesOf(view);
  checkInteger("offset", offset);
  if (offset < 0) {
    throw new RangeError(
      `Cannot receive bytes at a negative offset: ${offset}`,
    );
  }
  if (offset > bytes.byteLength) {
    throw new RangeError(
      `Cannot receive bytes as offset too large: ${offset} > ${bytes.byteLength}`,
    );
  }
  return bytes.subarray(offset);
}

/** The most bytes to accept. */
export function checkedMaxLength(maxLength: number | undefined): number {
  if (maxLength === undefined) return Infinity;
  checkInteger("maxLength", maxLength);
  if (maxLength >= 0) return maxLength;
  throw new RangeError(
    `Cannot receive bytes with a negative maxlength: ${maxLength}`,
  );
}

function checkInteger(name: string, value: number): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot use '${name}' as it must be a number: it is ${
        Deno.inspect(value)
      }`,
    );
  }
  if (Number.isInteger(value)) return;
  throw new RangeError(
    `Cannot use '${name}' as it must be an integer: it is ${value}`,
  );
}

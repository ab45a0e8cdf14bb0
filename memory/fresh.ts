/**
 * Memory of this participant alone, for large binary data that arrives.
 *
 * The system makes memory as it is touched, 4 KiB at a time, and to touch 64 MiB
 * so takes longer than to copy them there. It makes 2 MiB at a time where it is
 * told that all will be used: on Linux, if it is not set to never do so (see
 * `Documentation/admin-guide/mm/transhuge.rst` of the kernel).
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { addressOf, libcIfOpen } from "./libc.ts";

/** From here on some pages of 2 MiB lie in it for certain. */
const LARGE_BYTES = 4 * 1024 * 1024;
/** Where pages are larger, the system may refuse the hint: nothing is lost. */
const PAGE_BYTES = 4096n;
const MADV_HUGEPAGE = 14;

/** A copy in a buffer of its own. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.byteLength < LARGE_BYTES) return new Uint8Array(bytes);
  const copy = freshBytes(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

/**
 * Zeroed bytes in a buffer of their own, all of which will be written at once.
 *
 * @param byteLength How many.
 */
export function freshBytes(byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  if (byteLength >= LARGE_BYTES) adviseLarge(bytes);
  return bytes;
}

/** Gives the system a hint: whether it is followed makes no difference but time. */
function adviseLarge(bytes: Uint8Array<ArrayBuffer>): void {
  const libc = libcIfOpen();
  if (!libc) return;
  try {
    const start = addressOf(bytes);
    const first = (start + PAGE_BYTES - 1n) / PAGE_BYTES * PAGE_BYTES;
    const end = (start + BigInt(bytes.byteLength)) / PAGE_BYTES * PAGE_BYTES;
    libc.madvise(first, Number(end - first), MADV_HUGEPAGE);
  } catch {
    // The permission has been given up since: an address is not told any more.
  }
}

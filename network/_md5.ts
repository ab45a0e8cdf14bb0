/**
 * MD5 (RFC 1321) and HMAC-MD5 (RFC 2104), which is all that CPython up to 3.11
 * can authenticate with. WebCrypto does not have MD5, and `node:crypto` would
 * cost every child 20 ms of its start.
 *
 * Nothing new should be built on it: it is used only for a caller who has asked
 * for `digest: "md5"`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** Bytes that are digested at a time. */
const BLOCK_BYTES = 64;
/** Bytes of a digest. */
export const MD5_BYTES = 16;

/** T of RFC 1321, 3.4: the integer part of 2^32 times |sin(i)|. */
const SINES = Int32Array.from(
  { length: 64 },
  (_, i) => Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1))) | 0,
);
/** By how much each round rotates, in turn: the four rows of RFC 1321, 3.4. */
const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
].flat();

/**
 * The MD5 digest.
 *
 * @param message What to digest.
 * @returns The digest.
 */
export function md5(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = padded(message);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  const words = new Int32Array(BLOCK_BYTES / 4);
  for (let at = 0; at < blocks.byteLength; at += BLOCK_BYTES) {
    for (let i = 0; i < words.length; i++) {
      words[i] = blocks.getInt32(at + 4 * i, true);
    }
    digestBlock(state, words);
  }
  const digest = new DataView(new ArrayBuffer(MD5_BYTES));
  state.forEach((word, i) => digest.setInt32(4 * i, word, true));
  return new Uint8Array(digest.buffer);
}

/**
 * The keyed digest.
 *
 * @param key The secret.
 * @param message What to digest.
 * @returns The digest.
 */
export function hmacMd5(
  key: Uint8Array,
  message: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.byteLength > BLOCK_BYTES ? md5(key) : key);
  const inner = md5(joined(block.map((byte) => byte ^ 0x36), message));
  return md5(joined(block.map((byte) => byte ^ 0x5c), inner));
}

/** The message, a bit that is set, zeros, and how many bits the message has. */
function padded(message: Uint8Array): DataView {
  const { byteLength } = message;
  const blocks = Math.ceil((byteLength + 9) / BLOCK_BYTES);
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  bytes.set(message);
  bytes[byteLength] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setBigUint64(bytes.byteLength - 8, BigInt(byteLength) * 8n, true);
  return view;
}

function digestBlock(state: Int32Array, words: Int32Array): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const round = i >> 4;
    const [mixed, word] = round === 0
      ? [(b & c) | (~b & d), i]
      : round === 1
      ? [(b & d) | (c & ~d), 5 * i + 1]
      : round === 2
      ? [b ^ c ^ d, 3 * i + 5]
      : [c ^ (b | ~d), 7 * i];
    const sum = (a + mixed + SINES[i]! + words[word & 15]!) | 0;
    const by = ROTATIONS[4 * round + (i & 3)]!;
    [a, d, c] = [d, c, b];
    b = (b + ((sum << by) | (sum >>> (32 - by)))) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.byteLength + tail.byteLength);
  whole.set(head);
  whole.set(tail, head.byteLength);
  return whole;
}

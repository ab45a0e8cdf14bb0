/**
 * Messages on a stream of bytes, framed as CPython frames them: four bytes of
 * length, big-endian and signed, and the message; or -1, eight bytes of length and
 * the message, which CPython does from 2 GiB on.
 *
 * The reader is pulled: it reads what the next message needs, and a message is
 * judged by its length before anything is done for it. What has been read beyond
 * it stays for the next, so the limit can change between two messages: during the
 * handshake it is small.
 *
 * **Memory follows the bytes that came, not those that were announced.** A message
 * that does not fit the buffer is given memory for at most {@linkcode AHEAD_BYTES}
 * or {@linkcode GROWTH} times what has come of it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EofError, ProcessError } from "../errors.ts";

/** Longest message with a short header: the largest signed 32-bit number. */
const SHORT_MAX = 0x7fff_ffff;
/** Bytes of a short header. */
const SHORT_HEADER = 4;
/** Bytes of a long header, with the -1. */
const LONG_HEADER = 12;

/** The buffer of a new reader: room for what a handshake sends. */
const BUFFER_BYTES = 512;
/** The buffer at most; it grows when it is filled at once. */
const BUFFER_BYTES_MAX = 64 * 1024;
/** Memory taken for a message before any of it has come. */
const AHEAD_BYTES = 1024 * 1024;
/** By what that grows; each byte is copied 1/7 times in all. */
const GROWTH = 8;

/** Where bytes come from: a `Deno.Conn`. */
export interface ByteSource {
  /** Reads some bytes, `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
}

/**
 * The bytes that go before a message.
 *
 * @param byteLength The length of the message.
 */
export function headerOf(byteLength: number): Uint8Array {
  // Without a view, as each costs as much as the rest of a short message.
  if (byteLength <= SHORT_MAX) {
    return Uint8Array.of(
      byteLength >>> 24,
      byteLength >>> 16,
      byteLength >>> 8,
      byteLength,
    );
  }
  const header = new DataView(new ArrayBuffer(LONG_HEADER));
  header.setInt32(0, -1);
  header.setBigUint64(SHORT_HEADER, BigInt(byteLength));
  return new Uint8Array(header.buffer);
}

/**
 * Header and message in one piece, so that they go out with one write: a small
 * message in two would wait for an acknowledgement on TCP (Nagle's algorithm).
 * And a copy, so that what arrives is what was there when it was sent.
 *
 * @param parts The message, in order.
 */
export function frameOf(
  parts: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  let byteLength = 0;
  for (const part of parts) byteLength += part.byteLength;
  const header = headerOf(byteLength);
  const frame = new Uint8Array(header.byteLength + byteLength);
  frame.set(header);
  let position = header.byteLength;
  for (const part of parts) {
    frame.set(part, position);
    position += part.byteLength;
  }
  return frame;
}

/** See the module. */
export class FrameReader {
  readonly #source: ByteSource;
  #buffer = new Uint8Array(BUFFER_BYTES);
  /** What is in the buffer and not taken: from here … */
  #start = 0;
  /** … to here. */
  #end = 0;
  /** A message that is too long for the buffer, as far as there is memory for it. */
  #body: Uint8Array<ArrayBuffer> | undefined;
  #bodyLength = 0;
  #bodyCame = 0;
  #isAtEnd = false;
  #isStopped = false;

  /**
   * Starts at the beginning of a message.
   *
   * @param source Where the bytes come from.
   */
  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Whether there are no more bytes: the other side has closed its end. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Has it read nothing more after the read that is going on. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * The next message.
   *
   * @param maxBytes How long it may be.
   * @returns The message, with memory of its own.
   * @throws {EofError} If the bytes end before it.
   * @throws {ProcessError} If they end within it, or if it is too long; nothing can
   * be read after that.
   */
  async next(maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    while (true) {
      const message = this.#take(maxBytes);
      if (message) return message;
      let cause: unknown;
      try {
        if (!this.#isStopped && await this.#fill()) continue;
      } catch (error) {
        // Killed or unplugged: that is an end as well.
        cause = error;
      }
      this.#isAtEnd = !this.#isStopped;
      throw this.#endedWith(cause);
    }
  }

  /** A message that is there whole. */
  #take(maxBytes: number): Uint8Array<ArrayBuffer> | undefined {
    const body = this.#body;
    if (body) {
      if (this.#bodyCame < this.#bodyLength) return undefined;
      this.#body = undefined;
      return body;
    }
    const available = this.#end - this.#start;
    if (available < SHORT_HEADER) return undefined;
    const view = new DataView(this.#buffer.buffer, this.#start, available);
    let length = view.getInt32(0);
    let header = SHORT_HEADER;
    if (length === -1) {
      if (available < LONG_HEADER) return undefined;
      length = Number(view.getBigUint64(SHORT_HEADER));
      header = LONG_HEADER;
    }
    if (length < 0 || length > maxBytes) throw badLength(length, maxBytes);

    const from = this.#start + header;
    if (available >= header + length) {
      this.#start = from + length;
      return this.#buffer.slice(from, this.#start);
    }
    if (header + length > this.#buffer.byteLength) this.#begin(from, length);
    return undefined;
  }

  /** Gives a long message memory of its own, and what has come of it. */
  #begin(from: number, length: number): void {
    const body = new Uint8Array(Math.min(length, AHEAD_BYTES));
    body.set(this.#buffer.subarray(from, this.#end));
    this.#body = body;
    this.#bodyLength = length;
    this.#bodyCame = this.#end - from;
    this.#start = this.#end = 0;
  }

  /** Reads what there is; `false` at the end. */
  async #fill(): Promise<boolean> {
    const count = this.#body
      ? await this.#fillBody()
      : await this.#fillBuffer();
    return count !== null;
  }

  async #fillBody(): Promise<number | null> {
    let body = this.#body!;
    if (this.#bodyCame === body.byteLength) {
      const room = Math.min(this.#bodyLength, GROWTH * body.byteLength);
      const larger = new Uint8Array(room);
      larger.set(body);
      this.#body = body = larger;
    }
    const count = await this.#source.read(body.subarray(this.#bodyCame));
    this.#bodyCame += count ?? 0;
    return count;
  }

  async #fillBuffer(): Promise<number | null> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const room = this.#buffer.byteLength - this.#end;
    const count = await this.#source.read(this.#buffer.subarray(this.#end));
    this.#end += count ?? 0;
    if (count === room) this.#widen();
    return count;
  }

  /** There was more than the buffer could take. */
  #widen(): void {
    if (this.#buffer.byteLength >= BUFFER_BYTES_MAX) return;
    const wider = new Uint8Array(2 * this.#buffer.byteLength);
    wider.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = wider;
  }

  #endedWith(cause: unknown): Error {
    const options = cause === undefined ? undefined : { cause };
    if (this.#body || this.#end > this.#start) {
      return new ProcessError(
        "Cannot receive as the other end went away: got end of file during message",
        options,
      );
    }
    return new EofError(
      "Cannot receive as the other end is closed and everything it sent is read",
      options,
    );
  }
}

function badLength(length: number, maxBytes: number): ProcessError {
  return new ProcessError(
    `Cannot receive a message of ${length} bytes as at most ${maxBytes} are allowed: bad message length`,
  );
}

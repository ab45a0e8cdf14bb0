/**
 * {@linkcode Connection}: one end of a pipe.
 *
 * What is here is what users see: the checks, and the difference between values
 * and bytes. How messages get to the other end is described in `_pipe_end.ts`,
 * with the words of shared memory, the end of file, and why no wake-up is lost.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { lengthOf } from "../codec/length.ts";
import { registerTag } from "../codec/mod.ts";
import {
  BufferTooShortError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../errors.ts";
import { checkedLimits, checkOptions, TIMED_OUT } from "../memory/mod.ts";
import { LEFT } from "../memory/ring.ts";
import { copyOf } from "../memory/fresh.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { travelsAs } from "./block.ts";
import {
  bytesOf,
  checkedMaxLength,
  partOf,
  placeOf,
} from "./byte_arguments.ts";
import { showAsText } from "./inspect.ts";
import { copyOut, pack, Parcel } from "./_parcel.ts";
import type { Item } from "./_parcel.ts";
import { PipeEnd } from "./_pipe_end.ts";
import type { Read, Received } from "./_pipe_end.ts";
import { becomesReady } from "./waitable.ts";
import { fromMessage, opened } from "./wire.ts";
import type { Arrival } from "./wire.ts";

/** Gives up the ends that were collected without being closed. */
const collected = new FinalizationRegistry<PipeEnd>((end) => end.close());

/** A message as `recv()` takes it: an encoded value, or bytes as they are. */
type AnyMessage =
  | { readonly item: Item }
  | { readonly bytes: Uint8Array<ArrayBuffer> };

/** Makes the connection for an end. */
export let connectionOver: <T>(end: PipeEnd) => Connection<T>;

/**
 * One end of a pipe. {@linkcode Pipe} makes them in pairs.
 *
 * - **Order:** messages arrive in the order in which they were sent, whole, one
 *   for one; an empty one is a message as well. Calls of one object take effect
 *   in the order in which they were made.
 * - **Values and bytes:** {@linkcode Connection.send} sends a copy of a value,
 *   {@linkcode Connection.sendBytes} sends bytes. Both can go through one
 *   connection. `recv()` gives bytes as a `Uint8Array`; `recvBytes()` refuses a
 *   value and leaves it for `recv()`.
 * - **Copies:** a connection can be given to a child or sent in a message. The
 *   end is then held by several processes; a message goes to one of them.
 * - **Back-pressure:** a send waits while there are too many bytes on the way.
 * - **Closing:** {@linkcode Connection.close} gives up this process's copy. When the
 *   last copy of an end is gone, the other end gets what was sent before and
 *   then an {@linkcode EofError}, and can send no more.
 * - **Cancelling:** an aborted or timed-out call sends or takes nothing.
 * - **Death:** what a process held is given up when it ends, however it ends. A
 *   message is received whole or not at all. An end that is in a message counts
 *   as held until somebody receives the message.
 *
 * @example Values, bytes and the end
 * ```ts
 * import { EofError, Pipe } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * const [a, b] = Pipe<unknown>();
 * await a.send([1, "hello", null]);
 * assert(await b.poll());
 * assertEquals(await b.recv(), [1, "hello", null]);
 *
 * await b.sendBytes(new TextEncoder().encode("thank you"));
 * assertEquals((await a.recvBytes()).byteLength, 9);
 *
 * a.close();
 * await assertRejects(() => b.recv(), EofError);
 * ```
 */
export class Connection<T = unknown> {
  readonly #end: PipeEnd;
  #isClosed = false;

  static {
    connectionOver = <T>(end: PipeEnd) => new Connection<T>(end);
    travelsAs<Connection>(
      Connection,
      (connection, target) => connection.#end.toWire("Connection", target),
    );
    registerTag(
      "Connection",
      (data) => connectionOver(PipeEnd.received(data)),
    );
    becomesReady<Connection>(Connection, (connection) => {
      connection.#checkReceiving();
      return connection.#end.readiness;
    });
    showAsText(Connection);
  }

  private constructor(end: PipeEnd) {
    this.#end = end;
    collected.register(this, end, this);
  }

  /** Whether this process has closed its copy. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /** Whether messages can be received; still answered after closing. */
  get readable(): boolean {
    return this.#end.readable;
  }

  /** Whether messages can be sent; still answered after closing. */
  get writable(): boolean {
    return this.#end.writable;
  }

  /**
   * A number that tells this end from all others. It is not a file descriptor:
   * there is no file behind a connection.
   *
   * @returns The number; the same in every process that has this end.
   * @throws {ProcessError} If this process has closed its copy.
   */
  fileno(): number {
    this.#checkOpen();
    return this.#end.id;
  }

  // ---- sending --------------------------------------------------------------

  /**
   * Sends a value. It is copied before this function returns its promise.
   *
   * @param value What to send.
   * @param options How long to wait while too many bytes are on the way.
   * @throws {EncodingError} If the value cannot travel; nothing has been sent.
   * @throws {RangeError} If it is larger than the `maxBytes` of the pipe alone.
   * @throws {TimeoutError} If the time ran out.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is read-only.
   */
  async send(value: T, options: WaitOptions = {}): Promise<void> {
    this.#checkSending();
    const limits = checkedLimits(options); // before the value is in the scratch
    const parcel = this.#pack(value);
    sent(await this.#end.send(parcel, "value", limits));
  }

  /**
   * {@linkcode Connection.send}, blocking the thread.
   *
   * @param value What to send.
   * @param options How long to wait while too many bytes are on the way.
   * @throws {EncodingError} If the value cannot travel; nothing has been sent.
   * @throws {RangeError} If it is larger than the `maxBytes` of the pipe alone.
   * @throws {TimeoutError} If the time ran out.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is read-only.
   */
  sendSync(value: T, options: WaitOptions = {}): void {
    this.#checkSending();
    const limits = checkedLimits(options);
    sent(this.#end.sendSync(this.#pack(value), "value", limits));
  }

  /**
   * Sends bytes as one message.
   *
   * @param view Where they are.
   * @param offset How many bytes of it to leave out.
   * @default offset {0}
   * @param size How many bytes to send; all that follow if not given.
   * @param options How long to wait while too many bytes are on the way.
   * @throws {RangeError} If `offset` and `size` do not lie in the view, or if they
   * are more than the `maxBytes` of the pipe alone.
   * @throws {TimeoutError} If the time ran out.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is read-only.
   */
  async sendBytes(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number = 0,
    size?: number,
    options: WaitOptions = {},
  ): Promise<void> {
    const parcel = this.#wrap(view, offset, size);
    sent(await this.#end.send(parcel, "bytes", options));
  }

  /**
   * {@linkcode Connection.sendBytes}, blocking the thread.
   *
   * @param view Where they are.
   * @param offset How many bytes of it to leave out.
   * @default offset {0}
   * @param size How many bytes to send; all that follow if not given.
   * @param options How long to wait while too many bytes are on the way.
   * @throws {RangeError} If `offset` and `size` do not lie in the view, or if they
   * are more than the `maxBytes` of the pipe alone.
   * @throws {TimeoutError} If the time ran out.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is read-only.
   */
  sendBytesSync(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number = 0,
    size?: number,
    options: WaitOptions = {},
  ): void {
    const parcel = this.#wrap(view, offset, size);
    sent(this.#end.sendSync(parcel, "bytes", options));
  }

  #pack(value: T): Parcel {
    return pack(value, { kind: this.#end.kind }, "value");
  }

  #wrap(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number,
    size: number | undefined,
  ): Parcel {
    this.#checkSending();
    const bytes = partOf(bytesOf(view), offset, size);
    return new Parcel({ byteLength: lengthOf(bytes), parts: [bytes] });
  }

  // ---- receiving ------------------------------------------------------------

  /**
   * Receives the next message. Bytes come as a `Uint8Array`.
   *
   * @param options How long to wait.
   * @returns The value.
   * @throws {EofError} If the other end is closed and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {EncodingError} If the value cannot be made here, as a class in it is
   * not registered; the message is used up.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is write-only.
   */
  async recv(options: WaitOptions = {}): Promise<T> {
    this.#checkReceiving();
    const message = await this.#end.receive(readAny, options);
    const arrival = arrivalOf(received(message));
    const { value } = arrival instanceof Promise ? await arrival : arrival;
    return value as T;
  }

  /**
   * {@linkcode Connection.recv}, blocking the thread.
   *
   * @param options How long to wait.
   * @returns The value.
   * @throws {EofError} If the other end is closed and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {EncodingError} If the value cannot be made here; the message is used
   * up.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is write-only.
   */
  recvSync(options: WaitOptions = {}): T {
    this.#checkReceiving();
    const message = received(this.#end.receiveSync(readAny, options));
    const value = "item" in message
      ? fromMessage(message.item).value
      : message.bytes;
    return value as T;
  }

  /**
   * Receives the next message, which has to be bytes.
   *
   * - **Differs from Python:** a message that is too long is lost, as it is there,
   *   but the connection stays as it was.
   *
   * @param maxLength The most bytes to accept; any number if not given.
   * @param options How long to wait.
   * @returns The bytes.
   * @throws {RangeError} If `maxLength` is negative.
   * @throws {EofError} If the other end is closed and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} If the message is longer, and is lost; if it is a value,
   * and stays there for `recv()`; if this process has closed its copy, or the
   * connection is write-only.
   */
  async recvBytes(
    maxLength?: number,
    options: WaitOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const read = this.#readBytes(maxLength);
    return accepted(received(await this.#end.receive(read, options)));
  }

  /**
   * {@linkcode Connection.recvBytes}, blocking the thread.
   *
   * @param maxLength The most bytes to accept; any number if not given.
   * @param options How long to wait.
   * @returns The bytes.
   * @throws {RangeError} If `maxLength` is negative.
   * @throws {EofError} If the other end is closed and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} If the message is longer, and is lost; if it is a value,
   * and stays there for `recv()`; if this process has closed its copy, or the
   * connection is write-only.
   */
  recvBytesSync(
    maxLength?: number,
    options: WaitOptions = {},
  ): Uint8Array<ArrayBuffer> {
    const read = this.#readBytes(maxLength);
    return accepted(received(this.#end.receiveSync(read, options)));
  }

  /**
   * Receives the next message, which has to be bytes, into memory that is there
   * already.
   *
   * @param view Where to write the bytes.
   * @param offset How many bytes of it to leave as they are.
   * @default offset {0}
   * @param options How long to wait.
   * @returns How many bytes came.
   * @throws {RangeError} If `offset` does not lie in the view.
   * @throws {BufferTooShortError} If the message does not fit; it is in the error.
   * @throws {EofError} If the other end is closed and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} If the message is a value, and stays there for
   * `recv()`; if this process has closed its copy, or the connection is
   * write-only.
   */
  async recvBytesInto(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number = 0,
    options: WaitOptions = {},
  ): Promise<number> {
    const read = this.#readInto(view, offset);
    return fitted(received(await this.#end.receive(read, options)));
  }

  /**
   * {@linkcode Connection.recvBytesInto}, blocking the thread.
   *
   * @param view Where to write the bytes.
   * @param offset How many bytes of it to leave as they are.
   * @default offset {0}
   * @param options How long to wait.
   * @returns How many bytes came.
   * @throws {RangeError} If `offset` does not lie in the view.
   * @throws {BufferTooShortError} If the message does not fit; it is in the error.
   * @throws {EofError} If the other end is closed and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} If the message is a value, and stays there for
   * `recv()`; if this process has closed its copy, or the connection is
   * write-only.
   */
  recvBytesIntoSync(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number = 0,
    options: WaitOptions = {},
  ): number {
    const read = this.#readInto(view, offset);
    return fitted(received(this.#end.receiveSync(read, options)));
  }

  #readBytes(
    maxLength: number | undefined,
  ): Read<Uint8Array<ArrayBuffer> | number> {
    this.#checkReceiving();
    const most = checkedMaxLength(maxLength);
    return (payload, form) => {
      if (form === "value") return LEFT;
      const { byteLength } = payload;
      if (byteLength > most) return byteLength;
      return copyOf(payload);
    };
  }

  #readInto(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number,
  ): Read<Uint8Array<ArrayBuffer> | number> {
    this.#checkReceiving();
    const place = placeOf(view, offset);
    return (payload, form) => {
      if (form === "value") return LEFT;
      const { byteLength } = payload;
      if (byteLength > place.byteLength) return copyOf(payload);
      place.set(payload);
      return byteLength;
    };
  }

  /**
   * Whether `recv()` would not have to wait: there is a message, or the end. Takes
   * nothing, so it stays true.
   *
   * @param options How long to wait. Without a `timeout` not at all, with
   * `Infinity` for ever.
   * @returns `false` if the time ran out.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is write-only.
   */
  async poll(options: WaitOptions = {}): Promise<boolean> {
    this.#checkReceiving();
    return await this.#end.poll(pollOptions(options));
  }

  /**
   * {@linkcode Connection.poll}, blocking the thread.
   *
   * @param options How long to wait. Without a `timeout` not at all, with
   * `Infinity` for ever.
   * @returns `false` if the time ran out.
   * @throws {ProcessError} If this process has closed its copy, or if the
   * connection is write-only.
   */
  pollSync(options: WaitOptions = {}): boolean {
    this.#checkReceiving();
    return this.#end.pollSync(pollOptions(options));
  }

  /**
   * Receives messages until the other end is closed and everything is read, or
   * until this process closes its copy.
   *
   * @returns The values.
   * @throws {EncodingError} If a value cannot be made here.
   * @throws {ProcessError} If this process has closed its copy before, or if the
   * connection is write-only.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    this.#checkReceiving();
    while (true) {
      let message: AnyMessage;
      try {
        message = received(await this.#end.receive(readAny, {}));
      } catch (error) {
        if (error instanceof EofError || this.#isClosed) return;
        throw error;
      }
      const arrival = arrivalOf(message);
      const { value } = arrival instanceof Promise ? await arrival : arrival;
      yield value as T;
    }
  }

  // ---- the end --------------------------------------------------------------

  /**
   * Gives up this process's copy of the end. Doing it twice is fine.
   *
   * - **Waiting calls** of this object reject; its loops end.
   * - **Other copies** of the end, here or elsewhere, go on.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    collected.unregister(this);
    this.#end.close();
  }

  /** Closes this process's copy. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Describes the connection.
   *
   * @returns Its number, as `<Connection at 0x…>`.
   */
  toString(): string {
    return `<Connection at 0x${this.#end.id.toString(16)}>`;
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new ProcessError("Cannot use a connection as its handle is closed");
  }

  #checkSending(): void {
    this.#checkOpen();
    if (this.writable) return;
    throw new ProcessError("Cannot send as the connection is read-only");
  }

  #checkReceiving(): void {
    this.#checkOpen();
    if (this.readable) return;
    throw new ProcessError("Cannot receive as the connection is write-only");
  }
}

const readAny: Read<AnyMessage> = (payload, form) =>
  form === "value" ? { item: copyOut(payload) } : { bytes: copyOf(payload) };

function arrivalOf(message: AnyMessage): Arrival | Promise<Arrival> {
  if ("item" in message) return opened(message.item);
  return { value: message.bytes, loading: undefined };
}

function sent(isSent: boolean): void {
  if (isSent) return;
  throw new TimeoutError(
    "Cannot send in time as too many bytes wait to be received",
  );
}

function received<T>(outcome: Received<T>): T {
  if (outcome === TIMED_OUT) {
    throw new TimeoutError("Cannot receive in time as nothing has come");
  }
  if (outcome === LEFT) {
    throw new ProcessError(
      "Cannot receive bytes as the next message is a value: it is still there for recv()",
    );
  }
  return outcome;
}

function accepted(
  outcome: Uint8Array<ArrayBuffer> | number,
): Uint8Array<ArrayBuffer> {
  if (typeof outcome !== "number") return outcome;
  throw new ProcessError(
    `Cannot receive bytes as they are more than allowed: bad message length ${outcome}`,
  );
}

function fitted(outcome: Uint8Array<ArrayBuffer> | number): number {
  if (typeof outcome === "number") return outcome;
  throw new BufferTooShortError(
    `Cannot receive ${outcome.byteLength} bytes as the buffer is too short: the message is in the error`,
    outcome,
  );
}

function pollOptions(options: WaitOptions): WaitOptions {
  checkOptions(options);
  const { timeout = 0, signal } = options;
  return checkedLimits({ timeout, signal });
}

/**
 * {@linkcode SocketConnection}: what a `Listener` and a `Client` give.
 *
 * What is here is what users see: the checks, and the difference between values
 * and bytes. `_link.ts` has the socket.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { TO_WIRE } from "../codec/mod.ts";
import {
  BufferTooShortError,
  EncodingError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../errors.ts";
import { checkOptions } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import {
  bytesOf,
  checkedMaxLength,
  partOf,
  placeOf,
} from "../primitives/byte_arguments.ts";
import { showAsText } from "../primitives/inspect.ts";
import { becomesReady } from "../primitives/waitable.ts";
import type { Link } from "./_link.ts";
import { checkValue, partsOf, valueOf } from "./_values.ts";
import { TIMED_OUT } from "./_waits.ts";
import type { AnyConnection } from "./any_connection.ts";

/** Closes what was collected without being closed. */
const collected = new FinalizationRegistry<Link>((link) => link.close());

/** Makes a connection over a link that has been opened. */
export let connectionOver: <T>(link: Link) => SocketConnection<T>;

/**
 * A connection to another program, on this machine or elsewhere.
 *
 * - **Order:** messages arrive in the order in which they were sent, whole, one
 *   for one; an empty one is a message as well. Calls of one object take effect in
 *   the order in which they were made.
 * - **Values and bytes:** {@linkcode SocketConnection.send} sends a copy of a
 *   value, data only, to another program that has this library.
 *   {@linkcode SocketConnection.sendBytes} sends bytes just as CPython's
 *   `send_bytes()` does. `recvBytes()` gives any message as it came over the wire,
 *   `recv()` takes values only and leaves anything else where it is. So receive
 *   bytes with `recvBytes()`, whatever they may begin with.
 * - **Back-pressure:** a send resolves when the system has taken the message.
 *   Messages are read ahead up to 1 MiB; beyond that, only while both ends are
 *   sending, up to `maxMessageBytes` or 64 MiB, whichever is more.
 * - **Cancelling:** an aborted or timed-out call takes nothing. A message whose
 *   sending has begun may still arrive. With `timeout: 0` one is sent that the
 *   system takes whole at once.
 * - **Closing:** the other end gets what was sent before and then an
 *   {@linkcode EofError}, also if it was sending itself.
 * - **Keeping alive:** a call that waits keeps the program alive, an open
 *   connection alone does not.
 * - **Differs from Python:** it cannot be sent to another process, as Deno cannot
 *   hand over a socket: send the address of the listener. It has no blocking calls
 *   (`recvSync()` …), as Deno cannot read a socket while its thread is blocked; a
 *   variable for this or a pipe's connection is an `AnyConnection`.
 *
 * @example Through a listener
 * ```ts
 * import { Client, EofError, Listener } from "@deno-mp/multiprocessing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * using listener = new Listener();
 * const [here, there] = await Promise.all([
 *   listener.accept(),
 *   Client(listener.address),
 * ]);
 * await there.send({ question: [6, 7] });
 * assertEquals(await here.recv(), { question: [6, 7] });
 *
 * await here.sendBytes(new TextEncoder().encode("42"));
 * assertEquals((await there.recvBytes()).byteLength, 2);
 *
 * here.close();
 * await assertRejects(() => there.recv(), EofError);
 * there.close();
 * ```
 */
export class SocketConnection<T = unknown> implements AnyConnection<T> {
  readonly #link: Link;

  static {
    connectionOver = <T>(link: Link) => new SocketConnection<T>(link);
    Object.defineProperty(this.prototype, TO_WIRE, { value: refuseToTravel });
    becomesReady<SocketConnection>(this, (connection) => ({
      ready: () => connection.#link.isReady,
      promise: (signal) => connection.#link.poll({ signal }),
    }));
    showAsText(this);
  }

  private constructor(link: Link) {
    this.#link = link;
    collected.register(this, link, this);
  }

  /** Whether it was closed here. */
  get closed(): boolean {
    return this.#link.isClosed;
  }

  /** Whether messages can be received: always. */
  get readable(): boolean {
    return true;
  }

  /** Whether messages can be sent: always. */
  get writable(): boolean {
    return true;
  }

  /**
   * A number that no other socket connection of this process has. It is not a
   * file descriptor: Deno does not tell that.
   *
   * @returns The number.
   * @throws {ProcessError} If it was closed here.
   */
  fileno(): number {
    this.#check();
    return this.#link.id;
  }

  // ---- sending --------------------------------------------------------------

  /**
   * Sends a value. It is copied before this function returns its promise.
   *
   * - **Views:** as with structured cloning, a typed array takes its whole buffer
   *   along, also what the view does not show. Send a `slice()` of it, or use
   *   {@linkcode SocketConnection.sendBytes}.
   *
   * @param value What to send.
   * @param options How long to wait.
   * @throws {EncodingError} If the value cannot travel: functions, shared memory
   * and objects of this library cannot. Nothing has been sent.
   * @throws {TimeoutError} If the time ran out.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed.
   * @throws {ProcessError} If it was closed here.
   */
  async send(value: T, options: WaitOptions = {}): Promise<void> {
    this.#check();
    await this.#link.send(partsOf(value), options);
  }

  /**
   * Sends bytes as one message, as CPython's `send_bytes()` does. They are copied
   * before this function returns its promise.
   *
   * @param view Where they are.
   * @param offset How many bytes of it to leave out.
   * @default offset {0}
   * @param size How many bytes to send; all that follow if not given.
   * @param options How long to wait.
   * @throws {RangeError} If `offset` and `size` do not lie in the view.
   * @throws {TimeoutError} If the time ran out.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed.
   * @throws {ProcessError} If it was closed here.
   */
  async sendBytes(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number = 0,
    size?: number,
    options: WaitOptions = {},
  ): Promise<void> {
    this.#check();
    await this.#link.send([partOf(bytesOf(view), offset, size)], options);
  }

  // ---- receiving ------------------------------------------------------------

  /**
   * Receives the next message, which has to be a value.
   *
   * @param options How long to wait.
   * @returns The value.
   * @throws {EofError} If the other end is closed or dead, and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {EncodingError} If the message is bytes, and stays there for
   * `recvBytes()`; or if the value cannot be made here, and is used up.
   * @throws {ProcessError} If the other end went away in the middle of a message
   * (`got end of file during message`), if a message was too long (`bad message
   * length`), or if it was closed here.
   */
  async recv(options: WaitOptions = {}): Promise<T> {
    return valueOf(await this.#take(checkValue, options)) as T;
  }

  /**
   * Receives the next message as bytes, whatever it is.
   *
   * - **Differs from Python:** a message that is too long is lost, as it is there,
   *   but the connection stays as it was.
   *
   * @param maxLength The most bytes to accept; any number if not given.
   * @param options How long to wait.
   * @returns The bytes.
   * @throws {RangeError} If `maxLength` is negative.
   * @throws {EofError} If the other end is closed or dead, and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} If the message is longer (`bad message length`), and is
   * lost; and as with {@linkcode SocketConnection.recv}.
   */
  async recvBytes(
    maxLength?: number,
    options: WaitOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.#check();
    const most = checkedMaxLength(maxLength);
    const message = await this.#take(acceptAny, options);
    if (message.byteLength <= most) return message;
    throw new ProcessError(
      `Cannot receive bytes as they are more than allowed: bad message length ${message.byteLength}`,
    );
  }

  /**
   * Receives the next message as bytes, into memory that is there already.
   *
   * @param view Where to write the bytes.
   * @param offset How many bytes of it to leave as they are.
   * @default offset {0}
   * @param options How long to wait.
   * @returns How many bytes came.
   * @throws {RangeError} If `offset` does not lie in the view.
   * @throws {BufferTooShortError} If the message does not fit; it is in the error.
   * @throws {EofError} If the other end is closed or dead, and everything is read.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} As with {@linkcode SocketConnection.recv}.
   */
  async recvBytesInto(
    view: ArrayBufferView | ArrayBufferLike,
    offset: number = 0,
    options: WaitOptions = {},
  ): Promise<number> {
    this.#check();
    const place = placeOf(view, offset);
    const message = await this.#take(acceptAny, options);
    if (message.byteLength > place.byteLength) {
      throw new BufferTooShortError(
        `Cannot receive ${message.byteLength} bytes as the buffer is too short: the message is in the error`,
        message,
      );
    }
    place.set(message);
    return message.byteLength;
  }

  /**
   * Whether receiving would not have to wait: there is a message, or the end. Takes
   * nothing, so it stays true.
   *
   * @param options How long to wait. Without a `timeout` not at all, with
   * `Infinity` for ever.
   * @returns `false` if the time ran out.
   * @throws {ProcessError} If it was closed here.
   */
  async poll(options: WaitOptions = {}): Promise<boolean> {
    checkOptions(options);
    const { timeout = 0, signal } = options;
    return await this.#link.poll({ timeout, signal });
  }

  /**
   * Receives values until the other end is closed and everything is read, or until
   * it is closed here.
   *
   * @returns The values.
   * @throws {EncodingError} As with {@linkcode SocketConnection.recv}.
   * @throws {ProcessError} As with {@linkcode SocketConnection.recv}.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    this.#check();
    while (true) {
      let message: Uint8Array;
      try {
        message = await this.#take(checkValue, {});
      } catch (error) {
        if (error instanceof EofError || this.closed) return;
        throw error;
      }
      yield valueOf(message) as T;
    }
  }

  // ---- the end --------------------------------------------------------------

  /**
   * Closes it. Calls that wait reject, loops end; sends that were not awaited are
   * given up. Doing it twice is fine.
   *
   * - **TCP:** what was sent is delivered as long as the program goes on, which this
   *   does not make it do: until the other end is closed, or for 5 seconds.
   */
  close(): void {
    if (this.closed) return;
    collected.unregister(this);
    this.#link.close();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Describes the connection.
   *
   * @returns Its number, as `<SocketConnection at 0x…>`.
   */
  toString(): string {
    return `<SocketConnection at 0x${this.#link.id.toString(16)}>`;
  }

  async #take(
    check: (message: Uint8Array) => void,
    options: WaitOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const message = await this.#link.take(check, options);
    if (message !== TIMED_OUT) return message;
    throw new TimeoutError("Cannot receive in time as nothing has come");
  }

  #check(): void {
    if (!this.closed) return;
    throw new ProcessError("Cannot use a connection as its handle is closed");
  }
}

function acceptAny(): void {}

function refuseToTravel(): never {
  throw new EncodingError(
    "Cannot send a SocketConnection as Deno cannot hand a socket to another process: send the address of the listener, or pass the messages on",
  );
}

/**
 * {@linkcode AnyConnection}: what a connection through shared memory and one
 * through a socket have in common.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { WaitOptions } from "../memory/mod.ts";

/**
 * A connection of either kind: the `Connection` of a `Pipe`, or a
 * {@linkcode SocketConnection}. For code that does not care which.
 *
 * What only one of them can do is not here: blocking calls (`recvSync()` …), as
 * Deno cannot read a socket while its thread is blocked, and being sent to another
 * process, which needs shared memory.
 *
 * @example A function for both
 * ```ts
 * import { type AnyConnection, Client, Listener } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * async function ask(connection: AnyConnection, question: unknown) {
 *   await connection.send(question);
 *   return await connection.recv({ timeout: 5000 });
 * }
 *
 * using listener = new Listener();
 * using there = await Client(listener.address);
 * using here = await listener.accept();
 * const answer = ask(here, 20);
 * await there.send(await there.recv() as number + 1);
 * assertEquals(await answer, 21);
 * ```
 */
export interface AnyConnection<T = unknown> extends Disposable {
  /** Whether it was closed here. */
  readonly closed: boolean;
  /** Whether messages can be received; still answered after closing. */
  readonly readable: boolean;
  /** Whether messages can be sent; still answered after closing. */
  readonly writable: boolean;
  /** Sends a value. */
  send(value: T, options?: WaitOptions): Promise<void>;
  /** Receives a value. */
  recv(options?: WaitOptions): Promise<T>;
  /** Whether there is a message or the end; takes nothing. */
  poll(options?: WaitOptions): Promise<boolean>;
  /** Sends bytes as one message. */
  sendBytes(
    view: ArrayBufferView | ArrayBufferLike,
    offset?: number,
    size?: number,
    options?: WaitOptions,
  ): Promise<void>;
  /** Receives bytes. */
  recvBytes(
    maxLength?: number,
    options?: WaitOptions,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Receives bytes into memory that is there already; gives how many. */
  recvBytesInto(
    view: ArrayBufferView | ArrayBufferLike,
    offset?: number,
    options?: WaitOptions,
  ): Promise<number>;
  /** A number that tells this end from others. */
  fileno(): number;
  /** Closes it; twice is fine. */
  close(): void;
  /** Receives values until the end. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined>;
}

/**
 * The errors that callers are expected to catch. Wrong shapes are plain
 * `TypeError`s, wrong ranges plain `RangeError`s; everything here carries data
 * or marks a condition a program reacts to.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/**
 * The base of every error of this library, and itself the error for using an
 * object in a state that does not allow it (`process object is closed`, `Pool
 * not running`).
 *
 * @example Telling library errors from others
 * ```ts
 * import { ProcessError, QueueEmptyError } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * assert(new QueueEmptyError("Queue is empty") instanceof ProcessError);
 * ```
 */
export class ProcessError extends Error {
  /** The name of the class. */
  override name = "ProcessError";
}

/**
 * A wait that produces a value ran out of time.
 *
 * Not to be mistaken for the `DOMException` of the same name with which
 * `AbortSignal.timeout()` aborts.
 *
 * @example A task that takes too long
 * ```ts
 * import { Pool, sleep, TimeoutError } from "@deno-mp/multiprocessing";
 * import { assertRejects } from "@std/assert";
 *
 * await using pool = new Pool(1);
 * await assertRejects(
 *   () => pool.apply(sleep, [60_000], { timeout: 100 }),
 *   TimeoutError,
 * );
 * ```
 */
export class TimeoutError extends ProcessError {
  /** The name of the class. */
  override name = "TimeoutError";
}

/**
 * A peer could not prove that it holds the same key.
 *
 * @example A client with another key
 * ```ts
 * import { AuthenticationError, Client, Listener } from "@deno-mp/multiprocessing";
 * import { assertRejects } from "@std/assert";
 *
 * await using listener = new Listener(undefined, {
 *   authkey: new TextEncoder().encode("one key"),
 * });
 * const refused = assertRejects(() => listener.accept(), AuthenticationError);
 * const authkey = new TextEncoder().encode("another key");
 * await assertRejects(
 *   () => Client(listener.address, { authkey }),
 *   AuthenticationError,
 * );
 * await refused;
 * ```
 */
export class AuthenticationError extends ProcessError {
  /** The name of the class. */
  override name = "AuthenticationError";
}

/**
 * A message did not fit into the buffer given to `recvBytesInto()`. The message
 * has been taken from the connection and is here, whole.
 *
 * @example The message is not lost
 * ```ts
 * import { BufferTooShortError, Pipe } from "@deno-mp/multiprocessing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const [here, there] = Pipe();
 * await here.sendBytes(Uint8Array.of(1, 2, 3));
 * const error = await assertRejects(
 *   () => there.recvBytesInto(new Uint8Array(2)),
 *   BufferTooShortError,
 * );
 * assertEquals(error.buffer, Uint8Array.of(1, 2, 3));
 * ```
 */
export class BufferTooShortError extends ProcessError {
  /** The name of the class. */
  override name = "BufferTooShortError";
  /** The whole message. */
  readonly buffer: Uint8Array;

  /**
   * Creates the error around the message that did not fit.
   *
   * @param message What did not fit where.
   * @param buffer The whole message.
   */
  constructor(message: string, buffer: Uint8Array) {
    super(message);
    this.buffer = buffer;
  }
}

/**
 * A queue had no item within the time given.
 *
 * @example Nothing there
 * ```ts
 * import { Queue, QueueEmptyError } from "@deno-mp/multiprocessing";
 * import { assertRejects, assertThrows } from "@std/assert";
 *
 * const queue = new Queue();
 * assertThrows(() => queue.getNowait(), QueueEmptyError);
 * await assertRejects(() => queue.get({ timeout: 1 }), QueueEmptyError);
 * ```
 */
export class QueueEmptyError extends ProcessError {
  /** The name of the class. */
  override name = "QueueEmptyError";
}

/**
 * A queue had no room within the time given.
 *
 * @example No room
 * ```ts
 * import { Queue, QueueFullError } from "@deno-mp/multiprocessing";
 * import { assertThrows } from "@std/assert";
 *
 * const queue = new Queue(1);
 * queue.putNowait("the only one");
 * assertThrows(() => queue.putNowait("one more"), QueueFullError);
 * ```
 */
export class QueueFullError extends ProcessError {
  /** The name of the class. */
  override name = "QueueFullError";
}

/**
 * A barrier was broken, reset or timed out while a party waited at it.
 *
 * @example Not everybody came
 * ```ts
 * import { Barrier, BrokenBarrierError } from "@deno-mp/multiprocessing";
 * import { assert, assertRejects } from "@std/assert";
 *
 * const barrier = new Barrier(2);
 * await assertRejects(() => barrier.wait({ timeout: 1 }), BrokenBarrierError);
 * assert(barrier.broken);
 * ```
 */
export class BrokenBarrierError extends ProcessError {
  /** The name of the class. */
  override name = "BrokenBarrierError";
}

/**
 * The other end of a connection is closed or dead, and all it sent is read.
 *
 * @example All is read, and nobody is there
 * ```ts
 * import { EofError, Pipe } from "@deno-mp/multiprocessing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const [here, there] = Pipe<string>();
 * await here.send("last words");
 * here.close();
 * assertEquals(await there.recv(), "last words");
 * await assertRejects(() => there.recv(), EofError);
 * ```
 */
export class EofError extends ProcessError {
  /** The name of the class. */
  override name = "EofError";
}

/** Where in a value an {@linkcode EncodingError} arose, and from what. */
export interface EncodingErrorOptions extends ErrorOptions {
  /** The way to the offending value, such as `args[0].callback`. */
  path?: string;
}

/**
 * A value cannot be sent, or bytes received are not a value.
 *
 * @example It says where
 * ```ts
 * import { EncodingError, Queue } from "@deno-mp/multiprocessing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const queue = new Queue<unknown>();
 * const error = await assertRejects(
 *   () => queue.put({ job: { callback: () => {} } }),
 *   EncodingError,
 * );
 * assertEquals(error.path, "item.job.callback");
 * ```
 */
export class EncodingError extends ProcessError {
  /** The name of the class. */
  override name = "EncodingError";
  /** The way to the offending value, such as `args[0].callback`. */
  readonly path: string;

  /**
   * Creates the error.
   *
   * @param message What could not be sent and why.
   * @param options The path and the cause.
   */
  constructor(message: string, options: EncodingErrorOptions = {}) {
    super(message, options);
    this.path = options.path ?? "";
  }
}

/**
 * What is known of an error on the far side: it is the `cause` of an error that
 * came from a child, or stands in for one that could not be rebuilt here.
 *
 * @example Where it happened
 * ```ts
 * import { Pool, RemoteError } from "@deno-mp/multiprocessing";
 * // A module of yours: export const fail = (message: string) => {
 * //   throw new RangeError(message);
 * // };
 * import { fail } from "./examples/functions.ts";
 * import { assert, assertRejects, assertStringIncludes } from "@std/assert";
 *
 * await using pool = new Pool(1);
 * const error = await assertRejects(
 *   () => pool.apply(fail, ["on purpose"]),
 *   RangeError,
 *   "on purpose",
 * );
 * assert(error.cause instanceof RemoteError);
 * assertStringIncludes(error.cause.remoteStack, "functions.ts");
 * ```
 */
export class RemoteError extends ProcessError {
  /** The name of the class. */
  override name = "RemoteError";
  /** The name of the process the error comes from. */
  readonly remoteName: string;
  /** The stack trace as text, as it was in that process. */
  readonly remoteStack: string;

  /**
   * Creates the error.
   *
   * @param message What happened.
   * @param remoteName The name of the process it happened in.
   * @param remoteStack The stack there.
   * @param options The cause.
   */
  constructor(
    message: string,
    remoteName: string,
    remoteStack: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.remoteName = remoteName;
    this.remoteStack = remoteStack;
    // The far stack is what a reader of an uncaught error needs to see.
    this.stack = `RemoteError: ${message}\n${
      remoteStack.split("\n").map((line) => `    ${line}`).join("\n")
    }`;
  }
}

/** How a worker was lost. */
export interface WorkerLossDetails extends ErrorOptions {
  /** The exit code, negative for a signal, `null` when unknown. */
  exitCode?: number | null;
  /** The signal that ended it. */
  signal?: Deno.Signal | null;
  /** The worker's ident (process id, or thread ident). */
  ident?: number | null;
}

/**
 * The worker that ran a task ended before it could give the result back.
 *
 * @example A task that ends its worker
 * ```ts
 * import { Pool, WorkerLostError } from "@deno-mp/multiprocessing";
 * // A module of yours: export const leave = (exitCode: number) => {
 * //   Deno.exit(exitCode);
 * // };
 * import { leave } from "./examples/functions.ts";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using pool = new Pool(1);
 * const error = await assertRejects(
 *   () => pool.apply(leave, [3]),
 *   WorkerLostError,
 * );
 * assertEquals(error.exitCode, 3);
 * ```
 */
export class WorkerLostError extends ProcessError {
  /** The name of the class. */
  override name = "WorkerLostError";
  /** The exit code, negative for a signal, `null` when unknown. */
  readonly exitCode: number | null;
  /** The signal that ended it, `null` if none. */
  readonly signal: Deno.Signal | null;
  /** The worker's ident (process id, or thread ident), `null` when unknown. */
  readonly ident: number | null;

  /**
   * Creates the error.
   *
   * @param message Which worker and which task.
   * @param details How it ended.
   */
  constructor(message: string, details: WorkerLossDetails = {}) {
    super(message, details);
    this.exitCode = details.exitCode ?? null;
    this.signal = details.signal ?? null;
    this.ident = details.ident ?? null;
  }
}

/**
 * The pool was terminated before this work was done.
 *
 * @example What was not done
 * ```ts
 * import { Pool, PoolTerminatedError, sleep } from "@deno-mp/multiprocessing";
 * import { assertRejects } from "@std/assert";
 *
 * const pool = new Pool(1);
 * const result = pool.applyAsync(sleep, [60_000]);
 * await pool.terminate();
 * await assertRejects(() => result.get(), PoolTerminatedError);
 * ```
 */
export class PoolTerminatedError extends ProcessError {
  /** The name of the class. */
  override name = "PoolTerminatedError";
}

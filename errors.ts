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
 */
export class TimeoutError extends ProcessError {
  /** The name of the class. */
  override name = "TimeoutError";
}

/** A peer could not prove that it holds the same key. */
export class AuthenticationError extends ProcessError {
  /** The name of the class. */
  override name = "AuthenticationError";
}

/**
 * A message did not fit into the buffer given to `recvBytesInto()`. The message
 * has been taken from the connection and is here, whole.
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

/** A queue had no item within the time given. */
export class QueueEmptyError extends ProcessError {
  /** The name of the class. */
  override name = "QueueEmptyError";
}

/** A queue had no room within the time given. */
export class QueueFullError extends ProcessError {
  /** The name of the class. */
  override name = "QueueFullError";
}

/** A barrier was broken, reset or timed out while a party waited at it. */
export class BrokenBarrierError extends ProcessError {
  /** The name of the class. */
  override name = "BrokenBarrierError";
}

/** The other end of a connection is closed or dead, and all it sent is read. */
export class EofError extends ProcessError {
  /** The name of the class. */
  override name = "EofError";
}

/** Where in a value an {@linkcode EncodingError} arose, and from what. */
export interface EncodingErrorOptions extends ErrorOptions {
  /** The way to the offending value, such as `args[0].callback`. */
  path?: string;
}

/** A value cannot be sent, or bytes received are not a value. */
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

/** The worker that ran a task ended before it could give the result back. */
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

/** The pool was terminated before this work was done. */
export class PoolTerminatedError extends ProcessError {
  /** The name of the class. */
  override name = "PoolTerminatedError";
}

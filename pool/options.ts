/**
 * The options of a pool's methods.
 *
 * Runs in the parent.
 *
 * @module
 */
import { checkedTimeout, checkOptionsObject } from "../memory/mod.ts";
import type { TaskSettings } from "./_task.ts";

/** What can be iterated over, now or as it comes. */
export type AnyIterable<T> = Iterable<T> | AsyncIterable<T>;

/** How far a job has come. */
export interface Progress {
  /** Items that succeeded. */
  readonly done: number;
  /** Items that failed. */
  readonly failed: number;
  /** Items in all, `null` while that is not known. */
  readonly total: number | null;
  /** Items ended per second, since the job was submitted. */
  readonly rate: number;
  /** Milliseconds to the end at that rate, `null` while that is not known. */
  readonly etaMs: number | null;
}

/** Options of one piece of work. */
export interface TaskOptions {
  /**
   * The longest run of one call in milliseconds, counted from its start in the
   * worker. After that the call fails with a `TimeoutError`, and its worker is
   * stopped and replaced.
   *
   * @default {undefined} no limit
   */
  timeout?: number | undefined;
  /**
   * Aborting it gives the work up, see `AsyncResult.cancel()`; the result rejects
   * with its reason.
   */
  signal?: AbortSignal | undefined;
  /**
   * How often a task, or a whole chunk, is run again whose worker died while
   * running it. Its arguments are sent again as they are then. An error that the
   * task throws, or the end of its time, is final.
   *
   * @default {0}
   */
  retries?: number | undefined;
  /**
   * Work with a higher one begins first, whenever it was submitted. What runs is
   * not interrupted.
   *
   * @default {0}
   */
  priority?: number | undefined;
}

/** Options of `apply` and `applyAsync`. */
export interface ApplyOptions<T> extends TaskOptions {
  /**
   * Called with the value before the result is settled. What it throws, or its
   * promise rejects with, is written to standard error and to the logger, and all
   * goes on.
   */
  callback?: ((value: T) => unknown) | undefined;
  /** Called with the error before the result is settled; may fail as `callback`. */
  errorCallback?: ((error: unknown) => unknown) | undefined;
}

/** Options of `map` and its kin. */
export interface MapOptions<T> extends ApplyOptions<T> {
  /**
   * Items that go to a worker at once. If it dies, or the time of one of them is
   * up, all of them fail, also those that were done.
   *
   * @default {Math.ceil(items / (4 * workers))}
   */
  chunkSize?: number | undefined;
  /**
   * Whether the first failure rejects at once and gives up what has not begun.
   *
   * @default {false}
   */
  failFast?: boolean | undefined;
  /**
   * Told how far the work has come, at most every 100 ms and at the end. What it
   * throws, or its promise rejects with, is written to standard error and to the
   * logger, and all goes on.
   */
  onProgress?: ((progress: Progress) => unknown) | undefined;
}

/** Options of `imap` and `imapUnordered`. */
export interface ImapOptions extends TaskOptions {
  /**
   * Items that go to a worker at once. If it dies, or the time of one of them is
   * up, all of them fail, also those that were done.
   *
   * @default {1}
   */
  chunkSize?: number | undefined;
  /**
   * Items taken from the source beyond those whose results have been taken: this
   * bounds memory, and makes endless sources possible.
   *
   * @default {4 * workers * chunkSize}
   */
  bufferSize?: number | undefined;
  /**
   * Whether the first failure, as soon as it is known, ends the iteration: it is
   * thrown, the source is closed, and what has not begun is given up.
   *
   * @default {false}
   */
  failFast?: boolean | undefined;
  /**
   * Told how far the work has come, at most every 100 ms and at the end. What it
   * throws, or its promise rejects with, is written to standard error and to the
   * logger, and all goes on.
   */
  onProgress?: ((progress: Progress) => unknown) | undefined;
}

/** Options after checking. */
export interface ResolvedOptions<T> {
  readonly settings: TaskSettings;
  readonly signal: AbortSignal | undefined;
  readonly chunkSize: number | undefined;
  readonly failFast: boolean;
  readonly callback: ((value: T) => unknown) | undefined;
  readonly errorCallback: ((error: unknown) => unknown) | undefined;
  readonly onProgress: ((progress: Progress) => unknown) | undefined;
  readonly bufferSize: number | undefined;
}

/** What Python's options are here. */
const HERE = {
  chunksize: "it is 'chunkSize'",
  error_callback: "it is 'errorCallback'",
  kwds: "give the function an object among its arguments",
};

/** What no options mean: the same object for the many calls without any. */
const DEFAULTS: ResolvedOptions<unknown> = {
  settings: { timeoutMs: Infinity, retries: 0, priority: 0 },
  signal: undefined,
  chunkSize: undefined,
  failFast: false,
  callback: undefined,
  errorCallback: undefined,
  onProgress: undefined,
  bufferSize: undefined,
};

/**
 * Checks options.
 *
 * @param options What the caller gave; a number is the chunk size.
 * @throws {TypeError} If one has the wrong type.
 * @throws {RangeError} If one is out of range.
 */
export function resolved<T>(
  options: number | (MapOptions<T> & ImapOptions) | undefined,
): ResolvedOptions<T> {
  if (options === undefined) return DEFAULTS as ResolvedOptions<T>;
  const given = typeof options === "number"
    ? { chunkSize: options }
    : options ?? {};
  const example = "{ chunkSize: 4 }, or a chunk size";
  checkOptionsObject(given, "submit work", example, HERE);
  return {
    settings: {
      timeoutMs: checkedLimit(given.timeout),
      retries: atLeast(0, "retries", given.retries) ?? 0,
      priority: checkedPriority(given.priority),
    },
    signal: checkedSignal(given.signal),
    chunkSize: checkedChunkSize(given.chunkSize),
    failFast: checkedFlag("failFast", given.failFast),
    callback: callable("callback", given.callback),
    errorCallback: callable("errorCallback", given.errorCallback),
    onProgress: callable("onProgress", given.onProgress),
    bufferSize: atLeast(1, "bufferSize", given.bufferSize),
  };
}

function checkedLimit(timeout: number | undefined): number {
  const timeoutMs = checkedTimeout(timeout);
  if (timeoutMs > 0) return timeoutMs;
  throw new RangeError(
    `Cannot submit work as 'timeout' must be more than 0 ms: it is ${timeoutMs}`,
  );
}

function checkedPriority(priority: number | undefined): number {
  if (priority === undefined) return 0;
  checkNumber("priority", priority);
  if (!Number.isNaN(priority)) return priority;
  throw new TypeError(
    `Cannot submit work as 'priority' must be a number: it is ${
      Deno.inspect(priority)
    }`,
  );
}

function checkedSignal(
  signal: AbortSignal | undefined,
): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new TypeError(
    `Cannot submit work as 'signal' must be an AbortSignal: it is ${
      Deno.inspect(signal)
    }`,
  );
}

function checkedFlag(name: string, flag: boolean | undefined): boolean {
  if (flag === undefined) return false;
  if (typeof flag === "boolean") return flag;
  throw new TypeError(
    `Cannot submit work as '${name}' must be true or false: it is ${
      Deno.inspect(flag)
    }`,
  );
}

function checkNumber(name: string, value: number | undefined): void {
  if (value === undefined || typeof value === "number") return;
  throw new TypeError(
    `Cannot submit work as '${name}' must be a number: it is ${
      Deno.inspect(value)
    }`,
  );
}

function checkedChunkSize(size: number | undefined): number | undefined {
  checkNumber("chunkSize", size);
  if (size === undefined || (Number.isInteger(size) && size >= 1)) return size;
  throw new RangeError(`Chunksize must be 1+, not ${Deno.inspect(size)}`);
}

function atLeast(
  least: number,
  name: string,
  value: number | undefined,
): number | undefined {
  checkNumber(name, value);
  if (
    value === undefined ||
    ((Number.isInteger(value) || value === Infinity) && value >= least)
  ) {
    return value;
  }
  throw new RangeError(
    `Cannot submit work as '${name}' must be a whole number of at least ${least}: it is ${
      Deno.inspect(value)
    }`,
  );
}

function callable<F>(name: string, value: F | undefined): F | undefined {
  if (value === undefined || typeof value === "function") return value;
  throw new TypeError(
    `Cannot submit work as '${name}' must be a function: it is ${
      Deno.inspect(value)
    }`,
  );
}

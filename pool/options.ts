/**
 * The options of a pool's methods.
 *
 * Runs in the parent.
 *
 * @module
 */
import { checkedTimeout } from "../memory/mod.ts";

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
  /** Aborting it gives the work up, see `AsyncResult.cancel()`. */
  signal?: AbortSignal | undefined;
  /**
   * How often a task is run again whose worker died while running it.
   *
   * @default {0}
   */
  retries?: number | undefined;
}

/** Options of `applyAsync`. */
export interface ApplyOptions<T> extends TaskOptions {
  /** Called with the value before the result is settled. */
  callback?: ((value: T) => unknown) | undefined;
  /** Called with the error before the result is settled. */
  errorCallback?: ((error: unknown) => unknown) | undefined;
}

/** Options of `map` and its kin. */
export interface MapOptions<T> extends ApplyOptions<T> {
  /**
   * Items that go to a worker at once.
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
  /** Told how far the work has come, at most every 100 ms and at the end. */
  onProgress?: ((progress: Progress) => unknown) | undefined;
}

/** Options of `imap` and `imapUnordered`. */
export interface ImapOptions extends TaskOptions {
  /**
   * Items that go to a worker at once.
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
  /** Told how far the work has come, at most every 100 ms and at the end. */
  onProgress?: ((progress: Progress) => unknown) | undefined;
}

/** Options after checking. */
export interface ResolvedOptions<T> {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly retries: number;
  readonly chunkSize: number | undefined;
  readonly failFast: boolean;
  readonly callback: ((value: T) => unknown) | undefined;
  readonly errorCallback: ((error: unknown) => unknown) | undefined;
  readonly onProgress: ((progress: Progress) => unknown) | undefined;
  readonly bufferSize: number | undefined;
}

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
  const given = typeof options === "number"
    ? { chunkSize: options }
    : options ?? {};
  if (typeof given !== "object") {
    throw new TypeError(
      `Cannot submit work as 'options' must be an object or a chunk size: it is ${
        Deno.inspect(options)
      }`,
    );
  }
  const timeoutMs = checkedTimeout(given.timeout);
  if (timeoutMs <= 0) {
    throw new RangeError(
      `Cannot submit work as 'timeout' must be more than 0 ms: it is ${timeoutMs}`,
    );
  }
  return {
    timeoutMs,
    signal: given.signal,
    retries: atLeast(0, "retries", given.retries) ?? 0,
    chunkSize: checkedChunkSize(given.chunkSize),
    failFast: given.failFast ?? false,
    callback: callable("callback", given.callback),
    errorCallback: callable("errorCallback", given.errorCallback),
    onProgress: callable("onProgress", given.onProgress),
    bufferSize: atLeast(1, "bufferSize", given.bufferSize),
  };
}

function checkedChunkSize(size: number | undefined): number | undefined {
  if (size === undefined || (Number.isInteger(size) && size >= 1)) return size;
  throw new RangeError(`Chunksize must be 1+, not ${size}`);
}

function atLeast(
  least: number,
  name: string,
  value: number | undefined,
): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= least)) {
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

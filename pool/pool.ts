/**
 * {@linkcode Pool}: workers that are given tasks.
 *
 * Runs in the parent.
 *
 * @module
 */
import { EncodingError, ProcessError } from "../errors.ts";
import { log } from "../_log.ts";
import { kindOf, travelsAs } from "../primitives/_block.ts";
import { showAsText } from "../primitives/_inspect.ts";
import type { AsyncResult } from "./async_result.ts";
import { PoolIterator } from "./imap.ts";
import { callJob, mapJob } from "./_jobs.ts";
import type { AnyFunction } from "./_jobs.ts";
import { resolved } from "./options.ts";
import type {
  ApplyOptions,
  ImapOptions,
  MapOptions,
  TaskOptions,
} from "./options.ts";
import { Scheduler } from "./_scheduler.ts";

/** What can be iterated over, now or as it comes. */
export type AnyIterable<T> = Iterable<T> | AsyncIterable<T>;

/** Options of a {@linkcode Pool}. */
export interface PoolOptions<I extends unknown[] = never[]> {
  /**
   * Workers.
   *
   * @default {cpuCount()}
   */
  processes?: number | undefined;
  /** Called first in each worker. If it fails, so does the pool. */
  initializer?: ((...args: I) => unknown) | undefined;
  /**
   * With these arguments.
   *
   * @default {[]}
   */
  initArgs?: I | undefined;
  /**
   * Tasks after which a worker is replaced by a new one; a chunk is one task.
   *
   * @default {undefined} no limit
   */
  maxTasksPerChild?: number | undefined;
  /** What each worker may do; only `spawn`. */
  permissions?: Deno.PermissionOptions | undefined;
  /** Environment variables to add; only `spawn`. */
  env?: Record<string, string> | undefined;
  /** Working directory of the workers; only `spawn`. */
  cwd?: string | URL | undefined;
  /** Further flags for `deno run`; only `spawn`. */
  execArgs?: string[] | undefined;
  /** Limit of each worker's JavaScript heap in MiB. */
  memoryLimitMb?: number | undefined;
}

/** Says so when a pool is collected that nobody has closed. */
const dropped = new FinalizationRegistry<Scheduler>((scheduler) => {
  if (scheduler.state !== "RUN") return;
  log.warn("unclosed running multiprocessing pool: it is terminated");
  scheduler.terminate();
});

/**
 * A number of workers that are given tasks: functions to call with arguments.
 *
 * - **Death:** if a worker ends while it runs a task, that task fails with a
 *   `WorkerLostError`, a new worker takes its place, and all else goes on.
 * - **End:** leaving the block of `await using` terminates the pool: work that is
 *   not done fails with `PoolTerminatedError`. To finish it, `close()` and `await
 *   join()` first. An idle pool does not keep the program alive.
 * - **Functions** are found by module and name: export them. What a module does
 *   when loaded, it does in each worker, so programs start below
 *   `if (import.meta.main)`.
 * - **Differs from Python:** nothing waits for ever because a worker died, failed
 *   in its initializer or could not send its result; `imap` takes its input as
 *   results are taken.
 *
 * @example Squares
 * ```ts
 * import { Pool } from "@deno-mp/multiprocessing";
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.map(square, [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export class Pool {
  static {
    showAsText(this);
    travelsAs(this, () => {
      throw new EncodingError(
        "pool objects cannot be passed between processes or pickled",
      );
    });
  }

  readonly #scheduler: Scheduler;

  /**
   * Starts the workers.
   *
   * @param options How many, or more.
   * @throws {RangeError} If a number is out of range.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {ProcessError} If this process may not have children.
   */
  constructor(options?: number);
  /**
   * Starts the workers.
   *
   * @param options How many, and what they are to be.
   * @throws {RangeError} If a number is out of range.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {ProcessError} If this process may not have children.
   */
  constructor(options: PoolOptions<never[]>);
  /**
   * Starts the workers.
   *
   * @param options How many, and what they are to be.
   */
  constructor(options: number | PoolOptions<never[]> = {}) {
    const given = typeof options === "number"
      ? { processes: options }
      : options;
    checkOptions(given);
    const {
      processes = navigator.hardwareConcurrency,
      initializer = null,
      initArgs = [],
      maxTasksPerChild = Infinity,
      ...rest
    } = given;
    this.#scheduler = new Scheduler({
      kind: kindOf(new.target),
      processes,
      initializer,
      initArgs,
      maxTasks: maxTasksPerChild,
      options: rest,
    });
    dropped.register(this, this.#scheduler);
  }

  /**
   * Calls a function in a worker.
   *
   * @param fn The function.
   * @param args Its arguments.
   * @param options Time limit, signal, retries.
   * @returns What it returns.
   * @throws What it throws; `WorkerLostError`, `TimeoutError`.
   * @throws {EncodingError} If something cannot be sent.
   * @throws {ProcessError} If the pool is not running.
   */
  async apply<A extends unknown[], R>(
    fn: (...args: A) => R,
    args?: A,
    options?: TaskOptions,
  ): Promise<Awaited<R>> {
    return await this.applyAsync(fn, args, options);
  }

  /**
   * The same, giving the result at once.
   *
   * @param fn The function.
   * @param args Its arguments.
   * @param options Time limit, signal, retries, callbacks.
   * @throws {EncodingError} If something cannot be sent.
   * @throws {ProcessError} If the pool is not running.
   */
  applyAsync<A extends unknown[], R>(
    fn: (...args: A) => R,
    args?: A,
    options?: ApplyOptions<Awaited<R>>,
  ): AsyncResult<Awaited<R>> {
    checkFunction(fn);
    return callJob(
      this.#scheduler,
      fn as unknown as AnyFunction,
      args ?? [],
      resolved(options),
    );
  }

  /**
   * Calls a function for each item, and gives the values in order.
   *
   * @param fn The function.
   * @param items The items.
   * @param options The chunk size, or more.
   * @returns The values.
   * @throws The first failure to arrive, after all has been done (but see
   * `failFast`).
   * @throws {ProcessError} If the pool is not running.
   */
  async map<T, R>(
    fn: (item: T) => R,
    items: AnyIterable<T>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): Promise<Awaited<R>[]> {
    return await this.#map(fn, await collected(items), false, options);
  }

  /**
   * The same, giving the result at once.
   *
   * @param fn The function.
   * @param items The items.
   * @param options The chunk size, or more.
   * @throws {ProcessError} If the pool is not running.
   */
  mapAsync<T, R>(
    fn: (item: T) => R,
    items: Iterable<T>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): AsyncResult<Awaited<R>[]> {
    return this.#map(fn, [...items], false, options);
  }

  /**
   * Calls a function with each list of arguments, and gives the values in order.
   *
   * @param fn The function.
   * @param tuples The lists of arguments.
   * @param options The chunk size, or more.
   * @returns The values.
   * @throws The first failure to arrive, after all has been done.
   * @throws {ProcessError} If the pool is not running.
   */
  async starmap<A extends unknown[], R>(
    fn: (...args: A) => R,
    tuples: AnyIterable<A>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): Promise<Awaited<R>[]> {
    const spread = fn as unknown as (...args: never[]) => R;
    return await this.#map(spread, await collected(tuples), true, options);
  }

  /**
   * The same, giving the result at once.
   *
   * @param fn The function.
   * @param tuples The lists of arguments.
   * @param options The chunk size, or more.
   * @throws {ProcessError} If the pool is not running.
   */
  starmapAsync<A extends unknown[], R>(
    fn: (...args: A) => R,
    tuples: Iterable<A>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): AsyncResult<Awaited<R>[]> {
    const spread = fn as unknown as (...args: never[]) => R;
    return this.#map(spread, [...tuples], true, options);
  }

  /**
   * Calls a function for each item, and gives the values in order, one by one.
   *
   * @param fn The function.
   * @param items The items, taken as the results are.
   * @param options The chunk size, or more.
   * @throws {ProcessError} If the pool is not running.
   */
  imap<T, R>(
    fn: (item: T) => R,
    items: AnyIterable<T>,
    options?: number | ImapOptions,
  ): PoolIterator<Awaited<R>> {
    return this.#imap(fn, items, true, options);
  }

  /**
   * The same in the order in which they are done.
   *
   * @param fn The function.
   * @param items The items, taken as the results are.
   * @param options The chunk size, or more.
   * @throws {ProcessError} If the pool is not running.
   */
  imapUnordered<T, R>(
    fn: (item: T) => R,
    items: AnyIterable<T>,
    options?: number | ImapOptions,
  ): PoolIterator<Awaited<R>> {
    return this.#imap(fn, items, false, options);
  }

  /** Takes no more work; workers end when all is done. */
  close(): void {
    this.#scheduler.close();
  }

  /** Ends the workers now. What was not done fails with `PoolTerminatedError`. */
  async terminate(): Promise<void> {
    await this.#scheduler.terminate();
  }

  /**
   * Waits for the workers to end.
   *
   * @throws {ProcessError} If the pool has not been closed or terminated.
   */
  async join(): Promise<void> {
    if (this.#scheduler.state === "RUN") {
      throw new ProcessError("Pool is still running");
    }
    await this.#scheduler.join();
  }

  /** Terminates it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { outstanding, state } = this.#scheduler;
    if (outstanding > 0 && state !== "TERMINATE") {
      log.warn(
        `terminating a pool with ${outstanding} tasks that are not done: close() and join() it to finish them`,
      );
    }
    await this.terminate();
  }

  /** Describes it as Python does. */
  toString(): string {
    const { state, size } = this.#scheduler;
    return `<multiprocessing.pool.Pool state=${state} pool_size=${size}>`;
  }

  #map<R>(
    fn: (...args: never[]) => R,
    items: readonly unknown[],
    isSpread: boolean,
    options: number | MapOptions<Awaited<R>[]> | undefined,
  ): AsyncResult<Awaited<R>[]> {
    checkFunction(fn);
    if (isSpread) checkTuples(items);
    return mapJob(this.#scheduler, fn, items, isSpread, resolved(options));
  }

  #imap<R>(
    fn: (...args: never[]) => R,
    items: AnyIterable<unknown>,
    isOrdered: boolean,
    options: number | ImapOptions | undefined,
  ): PoolIterator<Awaited<R>> {
    checkFunction(fn);
    return new PoolIterator<Awaited<R>>(
      this.#scheduler,
      fn,
      items,
      isOrdered,
      resolved<never>(options),
    );
  }
}

async function collected<T>(items: AnyIterable<T>): Promise<readonly T[]> {
  if (Array.isArray(items)) return items;
  if (items === null || items === undefined) {
    throw new TypeError(`Cannot map over ${items} as it is not iterable`);
  }
  return Symbol.asyncIterator in Object(items)
    ? await Array.fromAsync(items as AsyncIterable<T>)
    : [...items as Iterable<T>];
}

function checkFunction(fn: unknown): void {
  if (typeof fn === "function") return;
  throw new TypeError(
    `Cannot submit work as the first argument must be a function: it is ${
      Deno.inspect(fn)
    }`,
  );
}

function checkTuples(tuples: readonly unknown[]): void {
  const at = tuples.findIndex((tuple) => !Array.isArray(tuple));
  if (at < 0) return;
  throw new TypeError(
    `Cannot spread item ${at} into arguments as it is not an array: it is ${
      Deno.inspect(tuples[at])
    }`,
  );
}

function checkOptions(options: PoolOptions<never[]>): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot create a pool as its options must be a number or an object: they are ${
        Deno.inspect(options)
      }`,
    );
  }
  const { processes, initializer, initArgs, maxTasksPerChild } = options;
  if (processes !== undefined) {
    if (typeof processes !== "number") {
      throw new TypeError(
        `Cannot create a pool as 'processes' must be a number: it is ${
          Deno.inspect(processes)
        }`,
      );
    }
    if (!(processes >= 1 && Number.isInteger(processes))) {
      throw new RangeError(
        `Number of processes must be at least 1, and whole: 'processes' is ${processes}`,
      );
    }
  }
  if (initializer !== undefined && typeof initializer !== "function") {
    throw new TypeError("initializer must be a callable");
  }
  if (initArgs !== undefined && !Array.isArray(initArgs)) {
    throw new TypeError("initArgs must be an array");
  }
  if (
    maxTasksPerChild !== undefined &&
    !(Number.isInteger(maxTasksPerChild) && maxTasksPerChild >= 1)
  ) {
    throw new RangeError("maxtasksperchild must be a positive int or None");
  }
}

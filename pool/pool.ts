/**
 * {@linkcode Pool}: workers that are given tasks.
 *
 * Runs in the parent.
 *
 * @module
 */
import { EncodingError, PoolTerminatedError, ProcessError } from "../errors.ts";
import { log } from "../_log.ts";
import { kindOf, travelsAs } from "../primitives/block.ts";
import { showAsText } from "../primitives/inspect.ts";
import type { AsyncResult } from "./async_result.ts";
import { PoolIterator } from "./imap.ts";
import { Collecting } from "./_collecting.ts";
import { callJob, mapJob, promiseOfCall, workOfMap } from "./_jobs.ts";
import type { AnyFunction } from "./_jobs.ts";
import { resolved } from "./options.ts";
import type {
  AnyIterable,
  ApplyOptions,
  ImapOptions,
  MapOptions,
  ResolvedOptions,
} from "./options.ts";
import { resolvedPool } from "./pool_options.ts";
import type { PoolOptions } from "./pool_options.ts";
import { Scheduler } from "./_scheduler.ts";
import type { PoolStatistics } from "./statistics.ts";

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
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.map(square, [1, 2, 3]), [1, 4, 9]);
 * ```
 *
 * @typeParam I Types of the arguments of the initializer.
 */
export class Pool<I extends unknown[] = []> {
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
   * @param options How many, or what they are to be.
   * @default options {cpuCount()}
   * @throws {RangeError} If a number is out of range.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {EncodingError} If the initializer or its arguments cannot be sent.
   * @throws {ProcessError} If this process may not have children.
   */
  constructor(options: number | PoolOptions<I> = {}) {
    if (arguments.length > 1) refusePlaces("create a pool", POOL_PLACES);
    const given = options as number | PoolOptions<never[]>;
    this.#scheduler = new Scheduler(kindOf(new.target), resolvedPool(given));
    this.#scheduler.belongsTo(this);
    dropped.register(this, this.#scheduler);
  }

  /**
   * Fulfilled when all workers that have been started so far have run their
   * initializer. Nobody has to wait for it: tasks can be submitted at once.
   *
   * It rejects if the pool is broken, or ended before.
   */
  get ready(): Promise<void> {
    return this.#scheduler.whenReady();
  }

  /**
   * Calls a function without arguments in a worker.
   *
   * @param fn The function.
   * @param args None.
   * @param options Time limit, signal, retries, priority, callbacks.
   * @returns What it returns.
   * @throws What it throws; `WorkerLostError`, `TimeoutError`.
   * @throws {EncodingError} If something cannot be sent.
   * @throws {ProcessError} If the pool is not running.
   */
  apply<R>(
    fn: () => R,
    args?: [],
    options?: ApplyOptions<Awaited<R>>,
  ): Promise<Awaited<R>>;
  /**
   * Calls a function in a worker.
   *
   * @param fn The function.
   * @param args Its arguments.
   * @param options Time limit, signal, retries, priority, callbacks.
   * @returns What it returns.
   * @throws What it throws; `WorkerLostError`, `TimeoutError`.
   * @throws {EncodingError} If something cannot be sent.
   * @throws {ProcessError} If the pool is not running.
   */
  apply<A extends unknown[], R>(
    fn: (...args: A) => R,
    args: readonly [...A],
    options?: ApplyOptions<Awaited<R>>,
  ): Promise<Awaited<R>>;
  apply<R>(
    fn: (...args: never[]) => R,
    args?: readonly unknown[],
    options?: ApplyOptions<Awaited<R>>,
  ): Promise<Awaited<R>> {
    try {
      return this.#apply(promiseOfCall, fn, args, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The same, giving the result at once.
   *
   * @param fn The function.
   * @param args None.
   * @param options Time limit, signal, retries, priority, callbacks.
   * @throws {EncodingError} If something cannot be sent.
   * @throws {ProcessError} If the pool is not running.
   */
  applyAsync<R>(
    fn: () => R,
    args?: [],
    options?: ApplyOptions<Awaited<R>>,
  ): AsyncResult<Awaited<R>>;
  /**
   * The same, giving the result at once.
   *
   * @param fn The function.
   * @param args Its arguments.
   * @param options Time limit, signal, retries, priority, callbacks.
   * @throws {EncodingError} If something cannot be sent.
   * @throws {ProcessError} If the pool is not running.
   */
  applyAsync<A extends unknown[], R>(
    fn: (...args: A) => R,
    args: readonly [...A],
    options?: ApplyOptions<Awaited<R>>,
  ): AsyncResult<Awaited<R>>;
  applyAsync<R>(
    fn: (...args: never[]) => R,
    args?: readonly unknown[],
    options?: ApplyOptions<Awaited<R>>,
  ): AsyncResult<Awaited<R>> {
    if (arguments.length > 3) refusePlaces("submit work", WORK_PLACES);
    return this.#apply(callJob, fn, args, options);
  }

  /**
   * Calls a function for each item, and gives the values in order.
   *
   * Items that come one after the other are all taken first. The source is closed
   * if the signal is aborted, or the pool ended, before that; a pool that is closed
   * waits for it.
   *
   * @param fn The function.
   * @param items The items.
   * @param options The chunk size, or more.
   * @returns The values.
   * @throws The first failure to arrive, after all has been done (but see
   * `failFast`).
   * @throws {ProcessError} If the pool is not running.
   */
  map<T, R>(
    fn: (item: T) => R,
    items: AnyIterable<T>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): Promise<Awaited<R>[]> {
    return this.#mapped(fn, items, false, options);
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
    if (arguments.length > 3) refusePlaces("submit work", WORK_PLACES);
    return this.#map(fn, collected(items), false, options);
  }

  /**
   * Calls a function with each list of arguments, and gives the values in order.
   * Lists that come one after the other are taken as by `map()`.
   *
   * @param fn The function.
   * @param tuples The lists of arguments.
   * @param options The chunk size, or more.
   * @returns The values.
   * @throws The first failure to arrive, after all has been done.
   * @throws {ProcessError} If the pool is not running.
   */
  starmap<A extends unknown[], R>(
    fn: (...args: A) => R,
    tuples: AnyIterable<readonly [...A]>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): Promise<Awaited<R>[]> {
    const spread = fn as unknown as (...args: never[]) => R;
    return this.#mapped(spread, tuples, true, options);
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
    tuples: Iterable<readonly [...A]>,
    options?: number | MapOptions<Awaited<R>[]>,
  ): AsyncResult<Awaited<R>[]> {
    if (arguments.length > 3) refusePlaces("submit work", WORK_PLACES);
    const spread = fn as unknown as (...args: never[]) => R;
    return this.#map(spread, collected(tuples), true, options);
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

  /**
   * What the pool has done and is doing.
   *
   * @returns A snapshot that does not change.
   */
  statistics(): PoolStatistics {
    return this.#scheduler.statistics();
  }

  /**
   * Terminates it at the end of a block of `await using`, and says so if there is
   * work that is not done. A second time does nothing.
   *
   * **Differs from Python:** a block can be begun with a pool that is not running;
   * what is asked of the pool in that block says so. A disposer cannot tell a block
   * that begins from one that ends.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispose();
  }

  /** Describes it as Python does. */
  toString(): string {
    const { state, size } = this.#scheduler;
    const { name } = this.constructor;
    return `<multiprocessing.pool.${name} state=${state} pool_size=${size}>`;
  }

  async #dispose(): Promise<void> {
    const { outstanding, state } = this.#scheduler;
    if (outstanding > 0 && state !== "TERMINATE") {
      log.warn(
        `terminating a pool with ${outstanding} tasks that are not done: close() and join() it to finish them`,
      );
    }
    await this.terminate();
  }

  #apply<R, Result>(
    call: (
      scheduler: Scheduler,
      fn: AnyFunction,
      args: readonly unknown[],
      options: ResolvedOptions<Awaited<R>>,
    ) => Result,
    fn: (...args: never[]) => R,
    args: readonly unknown[] = [],
    options: ApplyOptions<Awaited<R>> | undefined,
  ): Result {
    checkFunction(fn);
    checkArguments(args);
    return call(
      this.#scheduler,
      fn as AnyFunction,
      args,
      resolved(options),
    );
  }

  #mapped<R>(
    fn: (...args: never[]) => R,
    items: AnyIterable<unknown>,
    isSpread: boolean,
    options: number | MapOptions<Awaited<R>[]> | undefined,
  ): Promise<Awaited<R>[]> {
    return promised(async () =>
      await (isAsync(items)
        ? this.#mapLater(fn, items, isSpread, options)
        : this.#map(fn, collected(items), isSpread, options))
    );
  }

  /** What can be refused is refused before the first item is asked for. */
  async #mapLater<R>(
    fn: (...args: never[]) => R,
    items: AsyncIterable<unknown>,
    isSpread: boolean,
    options: number | MapOptions<Awaited<R>[]> | undefined,
  ): Promise<Awaited<R>[]> {
    checkFunction(fn);
    const checked = resolved(options);
    const scheduler = this.#scheduler;
    const work = workOfMap(scheduler, fn, isSpread, checked);
    if (checked.signal?.aborted) { // which this tells as it is told otherwise
      return await mapJob(scheduler, work, [], checked, false);
    }
    const collecting = new Collecting(this, scheduler, items, checked);
    let result: AsyncResult<Awaited<R>[]>;
    try {
      const all = await collecting.all;
      if (isSpread) checkTuples(all);
      result = mapJob(scheduler, work, all, checked, true);
    } finally {
      collecting.end();
    }
    return await result;
  }

  #map<R>(
    fn: (...args: never[]) => R,
    items: readonly unknown[],
    isSpread: boolean,
    options: number | MapOptions<Awaited<R>[]> | undefined,
  ): AsyncResult<Awaited<R>[]> {
    checkFunction(fn);
    if (isSpread) checkTuples(items);
    const checked = resolved(options);
    const work = workOfMap(this.#scheduler, fn, isSpread, checked);
    return mapJob(this.#scheduler, work, items, checked, false);
  }

  #imap<R>(
    fn: (...args: never[]) => R,
    items: AnyIterable<unknown>,
    isOrdered: boolean,
    options: number | ImapOptions | undefined,
  ): PoolIterator<Awaited<R>> {
    checkFunction(fn);
    return new PoolIterator<Awaited<R>>(
      this,
      this.#scheduler,
      fn,
      items,
      isOrdered,
      resolved<never>(options),
    );
  }
}

/**
 * A Promise of some work. Unlike an `AsyncResult`, a failure of it that nobody
 * looks at is reported; but that the pool was terminated is no failure of the
 * work, and whoever terminated it knows.
 */
function promised<T>(work: () => PromiseLike<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const refuse = (error: unknown) => {
    if (error instanceof PoolTerminatedError) promise.catch(() => {});
    reject(error);
  };
  try {
    work().then(resolve, refuse);
  } catch (error) {
    reject(error);
  }
  return promise;
}

function isAsync<T>(items: AnyIterable<T>): items is AsyncIterable<T> {
  return Symbol.asyncIterator in Object(items);
}

function collected<T>(items: Iterable<T>): readonly T[] {
  if (Array.isArray(items)) return items;
  if (Symbol.iterator in Object(items)) return [...items];
  throw new TypeError(
    `Cannot map over ${Deno.inspect(items)} as it is not iterable`,
  );
}

/** What Python takes by position here, and this package by name. */
const POOL_PLACES =
  "{ processes, initializer, initArgs, maxTasksPerChild }, or the number alone";
const WORK_PLACES = "{ chunkSize, callback, errorCallback }";

/** Refuses what would go unheard. */
function refusePlaces(action: string, names: string): never {
  throw new TypeError(
    `Cannot ${action} with so many arguments: give ${names}, in one object`,
  );
}

function checkFunction(fn: unknown): void {
  if (typeof fn === "function") return;
  throw new TypeError(
    `Cannot submit work as the first argument must be a function: it is ${
      Deno.inspect(fn)
    }`,
  );
}

function checkArguments(args: unknown): void {
  if (Array.isArray(args)) return;
  throw new TypeError(
    `Cannot submit work as the arguments must be an array: they are ${
      Deno.inspect(args)
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

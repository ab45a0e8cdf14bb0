/**
 * {@linkcode PoolIterator}: results one by one, while the input is still coming.
 *
 * It takes items from its source only as results are taken from it, never more
 * than a bounded number ahead. So the source can be endless, and ends with the
 * iterator: leaving a `for await` loop closes it and gives up what was begun.
 *
 * Runs in the parent.
 *
 * @module
 */
import { PoolTerminatedError, TimeoutError } from "../errors.ts";
import {
  checkedTimeout,
  checkOptionsObject,
  checkSignal,
  LONGEST_TIMER_MS,
} from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { showAsText } from "../primitives/inspect.ts";
import { drop, encodeChunk, spread } from "./_jobs.ts";
import type { AnyFunction } from "./_jobs.ts";
import type { OpenJob } from "./_open_jobs.ts";
import { EACH, EACH_FAIL_FAST } from "./_protocol.ts";
import { complainOfSource, Reporter } from "./_reporter.ts";
import type { Scheduler } from "./_scheduler.ts";
import type { Job, Task, Work } from "./_task.ts";
import type { AnyIterable, ResolvedOptions } from "./options.ts";

/** Items ahead for each worker: enough for one running, one waiting, and slack. */
const BUFFERED_PER_WORKER = 4;

/** How long to wait for a source that owes an item before it can be closed. */
const CLOSING_MS = 1000;

/** A value or an error that is ready to be taken. */
type Ready<R> = { readonly value: R } | { readonly error: unknown };

/**
 * Somebody who waits for the next result: of anything, so that an iterator of
 * numbers is one of something unknown.
 */
class Taker {
  readonly #next: PromiseWithResolvers<IteratorResult<unknown, undefined>> =
    Promise.withResolvers();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  /** What it gets. */
  get promise(): Promise<IteratorResult<unknown, undefined>> {
    return this.#next.promise;
  }

  /** Has it give up when its time is up, or its signal is aborted. */
  limit(
    timeoutMs: number,
    signal: AbortSignal | undefined,
    giveUp: (error: unknown) => void,
  ): void {
    const late = () =>
      giveUp(new TimeoutError("Cannot take the next result in time"));
    if (timeoutMs <= 0) return late();
    if (timeoutMs !== Infinity) {
      this.#timer = setTimeout(late, Math.min(timeoutMs, LONGEST_TIMER_MS));
    }
    this.#signal = signal;
    this.#onAbort = () => giveUp(signal!.reason);
    signal?.addEventListener("abort", this.#onAbort);
  }

  resolve(result: IteratorResult<unknown, undefined>): void {
    this.#unlimit();
    this.#next.resolve(result);
  }

  reject(error: unknown): void {
    this.#unlimit();
    // As with the Promise of a map: whoever terminated the pool knows.
    if (error instanceof PoolTerminatedError) this.promise.catch(() => {});
    this.#next.reject(error);
  }

  #unlimit(): void {
    clearTimeout(this.#timer);
    if (this.#onAbort) {
      this.#signal?.removeEventListener("abort", this.#onAbort);
    }
  }
}

/**
 * Results of `imap()` and `imapUnordered()`.
 *
 * - **Failures** are thrown in their place, and do not end it: take on, or
 *   `return()` it. With `failFast` the first one ends it.
 * - **End:** the source's error comes after the results of what it gave before.
 * - **Closing the pool** lets it go on; once somebody waits in `join()`, it takes
 *   the rest of its source without waiting for its results to be taken.
 *
 * @example One by one
 * ```ts
 * import { Pool } from "@deno-mp/multiprocessing";
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * const results = pool.imap(square, [1, 2, 3]);
 * assertEquals(await results.next({ timeout: 10_000 }), { done: false, value: 1 });
 * assertEquals(await Array.fromAsync(results), [4, 9]);
 * ```
 *
 * @typeParam R Type of a result.
 */
export class PoolIterator<R> implements AsyncIterableIterator<R, undefined> {
  static {
    showAsText(this);
  }

  readonly #scheduler: Scheduler;
  /** Not to be collected, and so terminated, while somebody takes results. */
  readonly #pool: object;
  readonly #work: Work;
  readonly #options: ResolvedOptions<never>;
  readonly #isOrdered: boolean;
  readonly #source: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #chunkSize: number;
  readonly #bufferSize: number;
  readonly #progress: Reporter;
  readonly #tasks = new Set<Task>();
  /** Results by index, if they come in order; else by the order they came. */
  readonly #ready = new Map<number, Ready<R>>();
  readonly #takers: Taker[] = [];
  /** Items taken from the source. */
  #pulled = 0;
  /** Items whose results are there. */
  #arrived = 0;
  /** Results that have been taken. */
  #taken = 0;
  #isPulling = false;
  /** Whether the source is running its own code right now. */
  #isAsking = false;
  #isHurried = false;
  #sourceEnded = false;
  #endError: { readonly error: unknown } | undefined;
  #isClosed = false;
  #onAbort: (() => void) | undefined;

  /**
   * Not for users: see `Pool.imap()`.
   *
   * @param pool Whose it is.
   * @param scheduler Who runs the tasks.
   * @param fn The function.
   * @param items The source.
   * @param isOrdered Whether results come in the order of the items.
   * @param options The caller's options.
   */
  constructor(
    pool: object,
    scheduler: Scheduler,
    fn: AnyFunction,
    items: AnyIterable<unknown>,
    isOrdered: boolean,
    options: ResolvedOptions<never>,
  ) {
    scheduler.checkRunning();
    this.#pool = pool;
    this.#scheduler = scheduler;
    this.#work = scheduler.workOf(
      options.failFast ? EACH_FAIL_FAST : EACH,
      fn,
      options.settings,
    );
    this.#options = options;
    this.#isOrdered = isOrdered;
    this.#chunkSize = options.chunkSize ?? 1;
    this.#bufferSize = Math.max(
      this.#chunkSize,
      options.bufferSize ??
        BUFFERED_PER_WORKER * scheduler.size * this.#chunkSize,
    );
    this.#progress = new Reporter(options.onProgress, null);
    const { signal } = options;
    checkSignal(signal);
    this.#source = iteratorOf(items);
    if (signal) {
      this.#onAbort = () => this.#abort(signal.reason);
      signal.addEventListener("abort", this.#onAbort);
    }
    scheduler.openJobs.add(this.#inside);
    this.#pull();
  }

  /** What the scheduler sees of it. */
  readonly #inside: Job & OpenJob = {
    isQuiet: false,
    ended: (task, kind, value) => this.#onEnded(task, kind, value),
    hurry: () => {
      this.#isHurried = true;
      this.#pull();
    },
    fail: (error) => this.#abort(error),
  };

  /**
   * The next result.
   *
   * @param options How long to wait for it; a later call still gets it.
   * @throws {TimeoutError} If it is not there in time.
   * @throws {TypeError} If the options are no object, or one of them no limit.
   * @throws The reason of the signal if it is aborted; nothing is taken then.
   * @throws What the item's call threw.
   */
  next(options: WaitOptions = {}): Promise<IteratorResult<R, undefined>> {
    let timeoutMs: number;
    try {
      checkOptionsObject(options ?? {}, "wait", "{ timeout: 1000 }");
      timeoutMs = checkedTimeout(options?.timeout);
      checkSignal(options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
    const taker = new Taker();
    this.#takers.push(taker);
    this.#serve();
    if (this.#takers.includes(taker)) {
      taker.limit(timeoutMs, options?.signal, (error) => {
        const at = this.#takers.indexOf(taker);
        if (at >= 0) this.#takers.splice(at, 1);
        taker.reject(error);
      });
    }
    return taker.promise as Promise<IteratorResult<R, undefined>>;
  }

  /**
   * Ends it early: closes the source and gives up what was begun. Leaving a `for
   * await` loop does so, but not if it is left because of a failure.
   *
   * A source that has been asked for an item closes when it has given that; it is
   * waited for, but not for longer than a second.
   */
  async return(): Promise<IteratorResult<R, undefined>> {
    this.#close();
    await this.#closeSource();
    return { done: true, value: undefined };
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** As {@linkcode PoolIterator.return}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Describes it: how many results have been taken, and whether more can come. */
  toString(): string {
    const hasEnded = this.#isClosed || this.#isExhausted();
    return `<PoolIterator taken=${this.#taken}${hasEnded ? " ended" : ""}>`;
  }

  // ---- from the source to the workers -----------------------------------------

  /** Takes items while there is room, and submits them in chunks. */
  async #pull(): Promise<void> {
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      while (this.#hasRoom()) {
        const pending = this.#pullChunk();
        if (pending) await pending;
      }
    } finally {
      this.#isPulling = false;
      if (this.#sourceEnded) {
        this.#progress.total = this.#pulled;
        this.#scheduler.openJobs.delete(this.#inside);
      }
      this.#serve();
    }
  }

  #pullChunk(): Promise<void> | undefined {
    const chunk: unknown[] = [];
    try {
      while (chunk.length < this.#chunkSize) {
        const step = this.#ask();
        if (isPromise(step)) return this.#pullRest(chunk, step);
        if (!this.#accept(chunk, step)) break;
      }
    } catch (error) {
      this.#onSourceError(chunk, error);
    }
    if (chunk.length > 0 && !this.#isClosed) this.#submit(chunk);
    return undefined;
  }

  #ask(): ReturnType<(Iterator<unknown> | AsyncIterator<unknown>)["next"]> {
    this.#isAsking = true;
    try {
      return this.#source.next();
    } finally {
      this.#isAsking = false;
    }
  }

  /** Goes on with a chunk of a source that gives promises. */
  async #pullRest(
    chunk: unknown[],
    first: PromiseLike<IteratorResult<unknown>>,
  ): Promise<void> {
    try {
      let step = await first;
      while (
        !this.#isClosed && this.#accept(chunk, step) &&
        chunk.length < this.#chunkSize
      ) step = await this.#ask();
    } catch (error) {
      this.#onSourceError(chunk, error);
    }
    if (chunk.length > 0 && !this.#isClosed) this.#submit(chunk);
  }

  /** Returns whether the source goes on. */
  #accept(chunk: unknown[], step: IteratorResult<unknown>): boolean {
    if (step.done) {
      this.#sourceEnded = true;
      return false;
    }
    chunk.push(step.value);
    return true;
  }

  #onSourceError(chunk: unknown[], error: unknown): void {
    this.#sourceEnded = true;
    if (this.#isClosed) return;
    this.#endError = { error };
    // What it gave before in the same chunk is not done: the source failed while
    // that chunk was being made, as in Python.
    chunk.length = 0;
  }

  #hasRoom(): boolean {
    if (this.#isClosed || this.#sourceEnded) return false;
    const held = this.#pulled - (this.#isHurried ? this.#arrived : this.#taken);
    return held + this.#chunkSize <= this.#bufferSize;
  }

  #submit(chunk: unknown[]): void {
    const index = this.#pulled;
    const count = chunk.length;
    const encode = () => encodeChunk(this.#scheduler, chunk, index);
    this.#pulled += count;
    try {
      const body = encode();
      // To encode runs code of the user's, which may have ended this.
      if (this.#isClosed) return drop(body);
      const task = this.#scheduler.submit(
        this.#work,
        index,
        count,
        this.#inside,
        body,
        this.#work.settings.retries > 0 ? encode : undefined,
      );
      this.#tasks.add(task);
    } catch (error) {
      // What cannot be sent fails in its place; the others go on.
      this.#arrive(index, new Array<Ready<R>>(count).fill({ error }), count);
    }
  }

  #onEnded(task: Task, kind: number, value: unknown): void {
    // The pool broke while this one was being submitted.
    if (this.#isClosed) return;
    this.#tasks.delete(task);
    const results = new Array<Ready<R>>(task.count);
    const errors = spread<R>(task, kind, value, (i, value) => {
      results[i] = { value };
    });
    for (const [i, error] of errors) results[i] = { error };
    const [first] = errors;
    if (first && this.#options.failFast) {
      // The rest of the chunk has not been done: those places are empty.
      const ended = results.reduce((count) => count + 1, 0);
      this.#progress.add(ended - errors.length, errors.length);
      return this.#abort(first[1]);
    }
    this.#arrive(task.index, results, errors.length);
  }

  #arrive(index: number, results: readonly Ready<R>[], failed: number): void {
    for (const [i, result] of results.entries()) {
      const place = this.#isOrdered ? index + i : this.#arrived;
      this.#arrived++;
      this.#ready.set(place, result);
    }
    this.#progress.add(results.length - failed, failed);
    this.#serve();
  }

  // ---- from the workers to the taker --------------------------------------------

  #serve(): void {
    while (this.#takers.length > 0) {
      const ready = this.#ready.get(this.#taken);
      if (ready) {
        this.#ready.delete(this.#taken++);
        const taker = this.#takers.shift()!;
        if ("error" in ready) taker.reject(ready.error);
        else taker.resolve({ done: false, value: ready.value });
      } else if (this.#isClosed || this.#isExhausted()) {
        this.#finish(this.#takers.shift()!);
      } else break;
    }
    if (this.#isExhausted()) this.#unlisten(); // it may be asked no more
    if (!this.#isPulling && this.#hasRoom()) this.#pull();
  }

  #isExhausted(): boolean {
    return this.#sourceEnded && !this.#isPulling &&
      this.#taken === this.#pulled;
  }

  #finish(taker: Taker): void {
    const failure = this.#endError;
    this.#endError = undefined;
    this.#unlisten();
    if (failure) taker.reject(failure.error);
    else taker.resolve({ done: true, value: undefined });
  }

  /** Ends it with an error, once. */
  #abort(reason: unknown): void {
    if (this.#isClosed || this.#isExhausted()) return;
    const takers = this.#takers.splice(0);
    this.#endError = takers.length > 0 ? undefined : { error: reason };
    this.#close();
    for (const taker of takers) taker.reject(reason);
    this.#closeSource().catch(complainOfSource);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unlisten();
    this.#scheduler.abandon(this.#tasks);
    this.#tasks.clear();
    this.#ready.clear();
    this.#scheduler.openJobs.delete(this.#inside);
    for (const taker of this.#takers.splice(0)) this.#finish(taker);
  }

  async #closeSource(): Promise<void> {
    if (this.#sourceEnded) return;
    this.#sourceEnded = true;
    // It may be the source itself that leads here: a generator that runs cannot
    // be closed, so let it come back first.
    if (this.#isAsking) await null;
    const owes = this.#isPulling;
    const closing = Promise.resolve(this.#source.return?.());
    if (!owes) return void await closing;
    // It is making an item and closes after that, which may be never.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        closing.catch(complainOfSource);
        resolve();
      }, CLOSING_MS);
    });
    try {
      await Promise.race([closing, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #unlisten(): void {
    if (!this.#onAbort) return;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
  }
}

function isPromise(
  step: IteratorResult<unknown> | Promise<IteratorResult<unknown>>,
): step is Promise<IteratorResult<unknown>> {
  return typeof (step as { then?: unknown }).then === "function";
}

function iteratorOf(
  items: AnyIterable<unknown>,
): Iterator<unknown> | AsyncIterator<unknown> {
  if (
    typeof items === "object" && items !== null || typeof items === "string"
  ) {
    if (Symbol.asyncIterator in Object(items)) {
      return (items as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    }
    if (Symbol.iterator in Object(items)) {
      return (items as Iterable<unknown>)[Symbol.iterator]();
    }
  }
  throw new TypeError(
    `Cannot map over ${Deno.inspect(items)} as it is not iterable`,
  );
}

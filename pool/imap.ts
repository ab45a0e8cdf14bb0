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
import { TimeoutError } from "../errors.ts";
import { checkedTimeout } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { labelOf, Reporter, spread } from "./_jobs.ts";
import type { AnyFunction } from "./_jobs.ts";
import { EACH, FAILURE } from "./_protocol.ts";
import type { Scheduler } from "./_scheduler.ts";
import type { Task, TaskOutcome } from "./_task.ts";
import type { ResolvedOptions } from "./options.ts";

/** Items ahead for each worker: enough for one running, one waiting, and slack. */
const BUFFERED_PER_WORKER = 4;

/** A value or an error that is ready to be taken. */
type Ready<R> = { readonly value: R } | { readonly error: unknown };

/** Somebody who waits for the next result. */
interface Taker<R> {
  resolve(result: IteratorResult<R, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Results of `imap()` and `imapUnordered()`.
 *
 * - **Failures** are thrown in their place, and do not end it: take on.
 * - **End:** the source's error comes after the results of what it gave before.
 *
 * @typeParam R Type of a result.
 */
export class PoolIterator<R> implements AsyncIterableIterator<R, undefined> {
  readonly #scheduler: Scheduler;
  readonly #fn: AnyFunction;
  readonly #number: number;
  readonly #options: ResolvedOptions<never>;
  readonly #isOrdered: boolean;
  readonly #source: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #chunkSize: number;
  readonly #bufferSize: number;
  readonly #progress: Reporter;
  readonly #tasks = new Set<Task>();
  /** Results by index, if they come in order; else by the order they came. */
  readonly #ready = new Map<number, Ready<R>>();
  readonly #takers: Taker<R>[] = [];
  #pulled = 0;
  #taken = 0;
  #arrived = 0;
  #isPulling = false;
  #sourceEnded = false;
  #sourceError: { readonly error: unknown } | undefined;
  #isClosed = false;
  #onAbort: (() => void) | undefined;

  /**
   * Not for users: see `Pool.imap()`.
   *
   * @param scheduler Who runs the tasks.
   * @param fn The function.
   * @param items The source.
   * @param isOrdered Whether results come in the order of the items.
   * @param options The caller's options.
   */
  constructor(
    scheduler: Scheduler,
    fn: AnyFunction,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    isOrdered: boolean,
    options: ResolvedOptions<never>,
  ) {
    scheduler.checkRunning();
    this.#scheduler = scheduler;
    this.#fn = fn;
    this.#number = scheduler.numberOf(fn);
    this.#options = options;
    this.#isOrdered = isOrdered;
    this.#chunkSize = options.chunkSize ?? 1;
    this.#bufferSize = Math.max(
      this.#chunkSize,
      options.bufferSize ??
        BUFFERED_PER_WORKER * scheduler.size * this.#chunkSize,
    );
    this.#progress = new Reporter(options.onProgress, null);
    this.#source = iteratorOf(items);
    const { signal } = options;
    signal?.throwIfAborted();
    if (signal) {
      this.#onAbort = () => this.#abort(signal.reason);
      signal.addEventListener("abort", this.#onAbort);
    }
    this.#pull();
  }

  /**
   * The next result.
   *
   * @param options How long to wait for it; a later call still gets it.
   * @throws {TimeoutError} If it is not there in time.
   * @throws What the item's call threw.
   */
  next(options: WaitOptions = {}): Promise<IteratorResult<R, undefined>> {
    const timeout = checkedTimeout(options?.timeout);
    const { promise, resolve, reject } = Promise.withResolvers<
      IteratorResult<R, undefined>
    >();
    const taker: Taker<R> = { resolve, reject };
    this.#takers.push(taker);
    this.#serve();
    const at = this.#takers.indexOf(taker);
    if (at < 0) return promise;
    return this.#limited(taker, promise, timeout, options?.signal);
  }

  /** Ends it early: closes the source and gives up what was begun. */
  async return(): Promise<IteratorResult<R, undefined>> {
    this.#close();
    if (!this.#sourceEnded) {
      this.#sourceEnded = true;
      await this.#source.return?.();
    }
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

  async #limited(
    taker: Taker<R>,
    promise: Promise<IteratorResult<R, undefined>>,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<IteratorResult<R, undefined>> {
    const giveUp = (error: unknown) => {
      const at = this.#takers.indexOf(taker);
      if (at < 0) return;
      this.#takers.splice(at, 1);
      taker.reject(error);
    };
    const late = () =>
      giveUp(new TimeoutError("Cannot take the next result in time"));
    if (timeout <= 0) late();
    const timer = timeout === Infinity
      ? undefined
      : setTimeout(late, Math.min(timeout, 2 ** 31 - 1));
    const onAbort = () => giveUp(signal!.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  // ---- from the source to the workers -----------------------------------------

  /** Takes items while there is room, and submits them in chunks. */
  async #pull(): Promise<void> {
    if (this.#isPulling) return;
    this.#isPulling = true;
    try {
      while (this.#hasRoom()) {
        const chunk: unknown[] = [];
        try {
          while (chunk.length < this.#chunkSize) {
            const step = this.#source.next();
            const item = step instanceof Promise ? await step : step;
            if (this.#isClosed) return;
            if (item.done) {
              this.#sourceEnded = true;
              break;
            }
            chunk.push(item.value);
          }
        } catch (error) {
          // What it gave before in the same chunk is not done: the source failed
          // while that chunk was being made, as in Python.
          this.#sourceEnded = true;
          this.#sourceError = { error };
          chunk.length = 0;
        }
        if (chunk.length > 0) this.#submit(chunk);
        if (this.#sourceEnded) this.#progress.total = this.#pulled;
      }
    } finally {
      this.#isPulling = false;
      this.#serve();
    }
  }

  #hasRoom(): boolean {
    return !this.#isClosed && !this.#sourceEnded &&
      this.#pulled - this.#taken + this.#chunkSize <= this.#bufferSize;
  }

  #submit(chunk: unknown[]): void {
    const index = this.#pulled;
    const count = chunk.length;
    this.#pulled += count;
    const settle = (outcome: TaskOutcome) => {
      const values = new Array<Ready<R>>(count);
      const errors = spread<R>(outcome, count, (i, value) => {
        values[i] = { value };
      });
      for (const [i, error] of errors) values[i] = { error };
      this.#progress.add(count - errors.length, errors.length);
      for (let i = 0; i < count; i++) {
        this.#ready.set(
          this.#isOrdered ? index + i : this.#arrived++,
          values[i]!,
        );
      }
      this.#serve();
    };
    try {
      this.#scheduler.checkRunning();
      const task: Task = this.#scheduler.submit({
        kind: EACH,
        fn: this.#number,
        index,
        body: this.#scheduler.encode(chunk, `items from ${index}`),
        timeoutMs: this.#options.timeoutMs,
        retries: this.#options.retries,
        label: labelOf(this.#fn, index, count),
        done: (outcome) => {
          this.#tasks.delete(task);
          settle(outcome);
        },
      });
      this.#tasks.add(task);
    } catch (error) {
      // What cannot be sent fails in its place; the others go on.
      settle({ kind: FAILURE, value: error });
    }
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
    if (!this.#isPulling && this.#hasRoom()) this.#pull();
  }

  #isExhausted(): boolean {
    return this.#sourceEnded && !this.#isPulling &&
      this.#taken === this.#pulled;
  }

  #finish(taker: Taker<R>): void {
    const failure = this.#sourceError;
    this.#sourceError = undefined;
    this.#unlisten();
    if (failure) taker.reject(failure.error);
    else taker.resolve({ done: true, value: undefined });
  }

  #abort(reason: unknown): void {
    const takers = this.#takers.splice(0);
    this.#sourceError = takers.length > 0 ? undefined : { error: reason };
    for (const taker of takers) taker.reject(reason);
    const isOpen = !this.#sourceEnded;
    this.#close();
    this.#sourceEnded = true;
    if (isOpen) {
      Promise.resolve(this.#source.return?.()).catch(reportError);
    }
  }

  #close(): void {
    this.#isClosed = true;
    this.#unlisten();
    for (const task of this.#tasks) this.#scheduler.abandon(task);
    this.#tasks.clear();
    this.#ready.clear();
    for (const taker of this.#takers.splice(0)) this.#finish(taker);
  }

  #unlisten(): void {
    if (!this.#onAbort) return;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
  }
}

function iteratorOf(
  items: Iterable<unknown> | AsyncIterable<unknown>,
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

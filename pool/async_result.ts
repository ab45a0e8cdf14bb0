/**
 * {@linkcode AsyncResult}: what a pool gives at once for work that takes time.
 *
 * Runs in the parent.
 *
 * @module
 */
import { PoolTerminatedError, ProcessError, TimeoutError } from "../errors.ts";
import {
  checkedTimeout,
  checkOptionsObject,
  checkSignal,
  LONGEST_TIMER_MS,
} from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { showAsText } from "../primitives/inspect.ts";

/**
 * Rejects whatever is resolved with it. A promise that is rejected does so, too, but
 * for a moment nobody handles it, and Deno 2.9.6 takes a second to forget that of
 * 20,000 of them, half a minute of 80,000.
 */
class Refusal implements PromiseLike<never> {
  readonly #error: unknown;

  constructor(error: unknown) {
    this.#error = error;
  }

  then(_resolve: unknown, reject: (error: unknown) => never): never {
    return reject(this.#error);
  }
}

/**
 * A promise, and what settles it: half as large as what
 * `Promise.withResolvers()` gives. 50,000 calls that are pending have one each, and
 * the collector has to move them twice.
 */
export class Deferred {
  /** The promise. */
  readonly promise: Promise<unknown>;
  #resolve!: (outcome: unknown) => void;

  /** Makes a promise that is pending. */
  constructor() {
    this.promise = new Promise((resolve) => this.#resolve = resolve);
  }

  /** Fulfils it. */
  fulfil(value: unknown): void {
    this.#resolve(value);
  }

  /**
   * Rejects it, by resolving it with something that does: so the function that
   * rejects need not be kept. That the pool was terminated is no failure of the
   * work, and whoever terminated it knows.
   */
  refuse(error: unknown): void {
    if (error instanceof PoolTerminatedError) this.promise.catch(() => {});
    this.#resolve(new Refusal(error));
  }
}

/** Fulfils a result that is pending. */
export let fulfil: <T>(result: AsyncResult<T>, value: T) => void;
/** Rejects a result that is pending. */
export let refuse: <T>(result: AsyncResult<T>, error: unknown) => void;
/**
 * The promise of a result, the same each time. Unlike the result, a failure of it
 * that nobody looks at is reported.
 */
export let promiseOf: <T>(result: AsyncResult<T>) => Promise<T>;

/**
 * The result of work that a pool has been given. It can be awaited like a Promise;
 * unlike one, a failure that nobody asks for is nobody's problem.
 *
 * @example
 * ```ts
 * import { Pool, sleep } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(1);
 * const result = pool.applyAsync(sleep, [1]);
 * assertEquals(result.ready(), false);
 * await result;
 * assertEquals(result.successful(), true);
 * ```
 *
 * @typeParam T Type of the value.
 */
export class AsyncResult<T> implements PromiseLike<T> {
  static {
    fulfil = (result, value) => result.#settle("fulfilled", value);
    refuse = (result, error) => result.#settle("rejected", error);
    promiseOf = (result) => result.#promise;
    showAsText(this);
  }

  #state: "pending" | "fulfilled" | "rejected" = "pending";
  #outcome: unknown;
  /** Of anything, so that a result of a number is one of something unknown. */
  #deferred: Deferred | undefined;
  #canceller: { cancel(): void } | undefined;

  /**
   * Not for users: a pool makes it.
   *
   * @param canceller Stops the work.
   */
  constructor(canceller: { cancel(): void }) {
    this.#canceller = canceller;
  }

  /**
   * Waits for the value.
   *
   * @param options How long to wait; the work goes on after that.
   * @returns The value, each time.
   * @throws {TimeoutError} If it is not there in time.
   * @throws {TypeError} If the options are no object, or one of them no limit.
   * @throws What the work threw.
   */
  async get(options: WaitOptions = {}): Promise<T> {
    if (!await this.wait(options)) {
      throw new TimeoutError(
        "Cannot get the result as it is not ready in time",
      );
    }
    if (this.#state === "rejected") throw this.#outcome;
    return this.#outcome as T;
  }

  /**
   * Waits until the value or the error is there.
   *
   * @param options How long to wait.
   * @returns Whether it is there.
   * @throws {TypeError} If the options are no object, or one of them no limit.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    checkOptionsObject(options, "wait", "{ timeout: 1000 }");
    const timeout = checkedTimeout(options.timeout);
    const { signal } = options;
    checkSignal(signal);
    if (this.#state !== "pending") return true;
    if (timeout <= 0) return false;
    const early = Promise.withResolvers<boolean>();
    const onAbort = () => early.reject(signal!.reason);
    const timer = timeout === Infinity ? undefined : setTimeout(
      () => early.resolve(false),
      Math.min(timeout, LONGEST_TIMER_MS),
    );
    signal?.addEventListener("abort", onAbort);
    const settled = this.#promise.then(() => true, () => true);
    try {
      return await Promise.race([settled, early.promise]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Whether the value or the error is there. */
  ready(): boolean {
    return this.#state !== "pending";
  }

  /**
   * Whether the work succeeded.
   *
   * @throws {ProcessError} If it is not done yet.
   */
  successful(): boolean {
    if (this.#state === "pending") {
      throw new ProcessError("AsyncResult is not ready");
    }
    return this.#state === "fulfilled";
  }

  /**
   * Gives the work up: what has not begun never will, what runs is told by the
   * signal of its `currentTask()`, and is stopped together with its worker if it
   * does not end within a second. Other work is not touched.
   *
   * The result rejects at once with a `DOMException` named `AbortError`. Does
   * nothing once it is there.
   */
  cancel(): void {
    this.#canceller?.cancel();
  }

  /**
   * So that it can be awaited.
   *
   * @param onFulfilled Called with the value.
   * @param onRejected Called with the error.
   */
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise.then(onFulfilled, onRejected);
  }

  /**
   * As with a Promise.
   *
   * @param onRejected Called with the error.
   */
  catch<B = never>(
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<T | B> {
    return this.#promise.catch(onRejected);
  }

  /**
   * As with a Promise.
   *
   * @param onFinally Called when the value or the error is there.
   */
  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.#promise.finally(onFinally);
  }

  /** Describes it: whether it is pending, and how it ended. */
  toString(): string {
    return `<AsyncResult ${this.#state}>`;
  }

  #settle(state: "fulfilled" | "rejected", outcome: unknown): void {
    if (this.#state !== "pending") return;
    this.#state = state;
    this.#outcome = outcome;
    this.#canceller = undefined; // and with it all that the work was about
    if (this.#deferred) this.#settlePromise(this.#deferred);
  }

  #settlePromise(deferred: Deferred): void {
    if (this.#state === "fulfilled") deferred.fulfil(this.#outcome);
    else deferred.refuse(this.#outcome);
  }

  /** Made when it is first asked for: most results are awaited once, many never. */
  get #promise(): Promise<T> {
    if (!this.#deferred) {
      this.#deferred = new Deferred();
      if (this.#state !== "pending") this.#settlePromise(this.#deferred);
    }
    return this.#deferred.promise as Promise<T>;
  }
}

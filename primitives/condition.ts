/**
 * A condition: to wait, holding a lock, until somebody else who holds it says
 * that something has changed.
 *
 * **Guarantees.** Between releasing the lock and being asleep there is no gap:
 * whoever gets the lock after a waiter released it can notify that waiter.
 * `notify(n)` wakes n of those who wait at that moment, or all if they are fewer;
 * it is not saved up for those who come later. A waiter has the lock again when
 * its `wait()` is over, however that came.
 *
 * The words, and why no wake-up is lost and none is wasted on the dead, are in
 * `_sleepers.ts`; here is the order of things:
 *
 * ```
 *      waiter                                   notifier
 *      join the sleepers, release the lock
 *                                               take the lock
 *                                               notify: ASLEEP -> NOTIFIED, wake
 *                                               release the lock
 *      wake up (or time out, or be aborted)
 *      take the lock, leave the sleepers
 * ```
 *
 * CPython's condition is made of four semaphores, and a notifier waits until those
 * it woke have said so; a killed waiter never does. Here nobody is asked.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import {
  checkedTimeout,
  checkOptions,
  checkSignal,
  NOT_YET,
} from "../memory/mod.ts";
import type { Arena, WaitOptions } from "../memory/mod.ts";
import {
  bindTo,
  Block,
  FIRST_WORD,
  onLast,
  receive,
  travelsAs,
} from "./block.ts";
import { custodyOf } from "./_custody.ts";
import type { Custody } from "./_custody.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { showAsText } from "./inspect.ts";
import { identifies } from "./lock_identity.ts";
import { checkCount } from "./_numbers.ts";
import { identityOf } from "./_section.ts";
import { Sleepers } from "./_sleepers.ts";
import type { Sleeper } from "./_sleepers.ts";
import type { Lock } from "./lock.ts";
import { RLock } from "./rlock.ts";

export type { AcquireOptions, Guard, WaitOptions };

const SLEEPERS = FIRST_WORD;
/** Room for 14 sleepers; more go to pages of their own. */
const BYTES = 256;
/** More than can ever wait. */
const MAX_COUNT = 2 ** 31 - 1;

/**
 * A way to wait, holding a lock, for a change that others make while they hold
 * it: `wait()` releases the lock, sleeps until it is notified, and takes the lock
 * again.
 *
 * The lock is a new {@linkcode RLock} unless one is given. Tasks of one process
 * hold an `RLock` together: `wait()` then gives up what all of them hold, once
 * those that are in the middle of something and await nothing else have
 * finished it. If tasks of one process have to keep each other out, use
 * `new Condition(new Lock())`.
 *
 * - **Order:** the longest waiting are notified first.
 * - **Cancelling:** an aborted wait takes the lock again, however long that takes,
 *   and then rejects. A notification it had been given goes to another waiter.
 * - **Death:** a notification given to a waiter that is killed before it has the
 *   lock goes to another. `notify()` waits for no answer, so a killed waiter
 *   blocks nobody.
 *   A lock that `wait()` finds abandoned when it takes it again is taken
 *   all the same, and the next to acquire it is told by its guard.
 * - **Differs from Python:** `waitFor()` takes asynchronous predicates too;
 *   `notify()` cannot hang on a killed waiter.
 *
 * @example Waiting for a value
 * ```ts
 * import { Condition, Lock } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const changed = new Condition(new Lock());
 * let value = 0;
 *
 * async function reader() {
 *   using guard = await changed.acquire();
 *   return await changed.waitFor(() => value);
 * }
 *
 * const reading = reader();
 * {
 *   using guard = await changed.acquire();
 *   value = 7;
 *   changed.notifyAll();
 * }
 * assertEquals(await reading, 7);
 * ```
 */
export class Condition {
  readonly #block: Block;
  readonly #lock: Lock | RLock;
  readonly #custody: Custody;
  readonly #sleepers: Sleepers;

  static {
    showAsText(this);
    travelsAs(
      this,
      (condition: Condition, target) =>
        condition.#block.toWire(
          "Condition",
          "Condition",
          target,
          condition.#lock,
        ),
    );
    identifies(this, (condition: Condition) => identityOf(condition.#lock));
  }

  /**
   * Creates a condition.
   *
   * @param lock What protects that which is waited for. Several conditions may
   * share a lock.
   * @default lock {new RLock()}
   * @throws {TypeError} If it is not a lock.
   */
  constructor(lock?: Lock | RLock) {
    if (lock !== undefined) custodyOf(lock);
    const block = new Block(this, new.target, BYTES, "condition");
    this.#block = block;
    this.#lock = lock ?? new (bindTo(RLock, block.arena.kind))();
    this.#custody = custodyOf(this.#lock);
    this.#sleepers = new Sleepers(block, SLEEPERS);
  }

  /**
   * Acquires the lock.
   *
   * @example With a guard
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const condition = new Condition();
   * using guard = await condition.acquire();
   * assert(guard);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock when it is disposed, or `null` if
   * the time ran out.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  acquire(options?: AcquireOptions): Promise<Guard | null> {
    return this.#lock.acquire(options);
  }

  /**
   * The same, blocking the thread.
   *
   * @example In a calculation that does not await
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * using guard = new Condition().acquireSync();
   * assert(guard);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock when it is disposed, or `null` if
   * the time ran out.
   * @throws {unknown} The reason of the signal, if it was aborted before.
   */
  acquireSync(options?: AcquireOptions): Guard | null {
    return this.#lock.acquireSync(options);
  }

  /**
   * Releases the lock.
   *
   * @example Without a guard
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition();
   * await condition.acquire();
   * condition.release();
   * assertEquals(String(condition), "<Condition(<RLock(None, 0)>, 0)>");
   * ```
   *
   * @throws {ProcessError} If it cannot be released.
   */
  release(): void {
    this.#lock.release();
  }

  /**
   * Releases the lock, waits until notified, and takes the lock again.
   *
   * @example Giving up after a while
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition();
   * using guard = await condition.acquire();
   * assertEquals(await condition.wait({ timeout: 10 }), false);
   * ```
   *
   * @param options How long to wait to be notified; taking the lock again takes
   * as long as it takes.
   * @returns `true`, or `false` if the time ran out.
   * @throws {ProcessError} If this process does not hold the lock.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    const { waiting } = this.#block.arena;
    const deadline = deadlineOf(options);
    const sleeper = this.#join(options);
    try {
      const othersFinish = this.#custody.settle();
      if (othersFinish) await othersFinish;
      const levels = this.#custody.yield();
      try {
        await waiting.wait([sleeper.key], attemptOf(sleeper), {
          timeout: deadline - performance.now(),
          signal: options.signal,
        });
        return sleeper.stop();
      } catch (error) {
        sleeper.decline();
        throw error;
      } finally {
        await this.#custody.retake(levels);
      }
    } finally {
      sleeper.leave();
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @example In a calculation that does not await
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition();
   * using guard = condition.acquireSync();
   * assertEquals(condition.waitSync({ timeout: 1 }), false);
   * ```
   *
   * @param options How long to wait to be notified.
   * @returns `true`, or `false` if the time ran out.
   * @throws {ProcessError} If this process does not hold the lock.
   * @throws {unknown} The reason of the signal, if it was aborted before.
   */
  waitSync(options: WaitOptions = {}): boolean {
    const { waiting } = this.#block.arena;
    deadlineOf(options);
    const sleeper = this.#join(options);
    try {
      const levels = this.#custody.yieldAll();
      try {
        waiting.waitSync([sleeper.key], attemptOf(sleeper), options);
        return sleeper.stop();
      } finally {
        this.#custody.retakeSync(levels);
      }
    } finally {
      sleeper.leave();
    }
  }

  /**
   * Waits until a predicate holds, looking again whenever notified. If it holds
   * already, the lock is not needed.
   *
   * @example Until there are enough
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition();
   * const items = [1, 2, 3];
   * assertEquals(await condition.waitFor(() => items.length), 3);
   * ```
   *
   * @typeParam T What the predicate gives.
   * @param predicate Looks whether it holds; anything truthy means yes.
   * @param options How long to wait, in all.
   * @returns What the predicate gave last: falsy if the time ran out.
   * @throws {ProcessError} If this process does not hold the lock.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  async waitFor<T>(
    predicate: () => T | Promise<T>,
    options: WaitOptions = {},
  ): Promise<T> {
    const deadline = deadlineOf(options);
    const { signal } = options;
    checkSignal(signal);
    let value = await predicate();
    while (!value) {
      const timeout = deadline - performance.now();
      if (timeout <= 0) break;
      await this.wait({ timeout, signal });
      value = await predicate();
    }
    return value;
  }

  /**
   * The same, blocking the thread.
   *
   * @example Not for ever
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition();
   * using guard = condition.acquireSync();
   * assertEquals(condition.waitForSync(() => 0, { timeout: 1 }), 0);
   * ```
   *
   * @typeParam T What the predicate gives.
   * @param predicate Looks whether it holds; anything truthy means yes.
   * @param options How long to wait, in all.
   * @returns What the predicate gave last: falsy if the time ran out.
   * @throws {ProcessError} If this process does not hold the lock.
   * @throws {unknown} The reason of the signal, if it was aborted before.
   */
  waitForSync<T>(predicate: () => T, options: WaitOptions = {}): T {
    const deadline = deadlineOf(options);
    const { signal } = options;
    checkSignal(signal);
    let value = predicate();
    while (!value) {
      const timeout = deadline - performance.now();
      if (timeout <= 0) break;
      this.waitSync({ timeout, signal });
      value = predicate();
    }
    return value;
  }

  /**
   * Wakes some of those who wait now. They go on when they get the lock.
   *
   * @example Nothing is saved up
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition();
   * using guard = await condition.acquire();
   * condition.notify();
   * assertEquals(await condition.wait({ timeout: 1 }), false);
   * ```
   *
   * @param n How many at most.
   * @default n {1}
   * @throws {ProcessError} If this process does not hold the lock.
   * @throws {RangeError} If `n` is not a whole number, or negative.
   */
  notify(n = 1): void {
    checkCount("notify", "n", n, 0, MAX_COUNT);
    if (!this.#custody.isMine()) throw new ProcessError("lock is not owned");
    this.#sleepers.notify(n);
  }

  /**
   * Wakes all who wait now.
   *
   * @example The lock is needed
   * ```ts
   * import { Condition } from "@deno-mp/multiprocessing";
   * import { assertThrows } from "@std/assert";
   *
   * const condition = new Condition();
   * assertThrows(() => condition.notifyAll(), Error, "lock is not owned");
   * ```
   *
   * @throws {ProcessError} If this process does not hold the lock.
   */
  notifyAll(): void {
    this.notify(MAX_COUNT);
  }

  /**
   * Its lock and how many wait, as text.
   *
   * @example A new one
   * ```ts
   * import { Condition, Lock } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const condition = new Condition(new Lock());
   * assertEquals(String(condition), "<Condition(<Lock(owner=None)>, 0)>");
   * ```
   */
  toString(): string {
    return `<Condition(${this.#lock}, ${this.#sleepers.count})>`;
  }

  #join({ signal }: WaitOptions): Sleeper {
    if (!this.#custody.isMine()) {
      throw new ProcessError("must acquire() condition before using wait()");
    }
    checkSignal(signal);
    return this.#sleepers.join();
  }
}

function deadlineOf(options: WaitOptions): number {
  checkOptions(options);
  return performance.now() + checkedTimeout(options.timeout);
}

function attemptOf(sleeper: Sleeper): () => true | typeof NOT_YET {
  return () => sleeper.isNotified() ? true : NOT_YET;
}

function forget(arena: Arena, offset: number): void {
  Sleepers.free(arena, arena.words(offset, BYTES / 4), SLEEPERS);
}

onLast("condition", forget);

registerTag(
  "Condition",
  (data) => receive(data, (lock) => new Condition(lock as Lock | RLock)),
);

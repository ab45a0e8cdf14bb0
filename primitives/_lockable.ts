/**
 * What a shared value with a lock has beyond the same without: the methods are
 * the same for values, structs and arrays, and are put on the classes of all
 * three.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { MemoryKind } from "../memory/mod.ts";
import { bindTo } from "./block.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { identifies } from "./lock_identity.ts";
import { identityOf, runWith } from "./_section.ts";
import type { LockLike } from "./_section.ts";
import { show } from "./_texts.ts";
import { RLock } from "./rlock.ts";

export type { AcquireOptions, Guard, LockLike };

/**
 * The lock of a shared value, and what is done with it.
 *
 * - **What it guards:** only what everybody does while holding it. Reading,
 *   storing and adding do not wait for it: each of them is one step of its own.
 * - **Differs from Python:** there, each access takes the lock as well.
 */
export interface Synchronized<R, L extends LockLike = RLock> {
  /**
   * The lock.
   *
   * @example One lock for two values
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const balance = new Value("q", 100n);
   * const bookings = new Value("i", 0, { lock: balance.getLock() });
   * assertEquals(bookings.getLock(), balance.getLock());
   * ```
   */
  getLock(): L;
  /**
   * The same value without the lock, in the same memory.
   *
   * @example Two names for one thing
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const count = new Value("i", 3);
   * count.getObj().value = 4;
   * assertEquals(count.value, 4);
   * ```
   */
  getObj(): R;
  /**
   * Acquires the lock.
   *
   * @example More than one step
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const count = new Value("i", 3);
   * {
   *   using _guard = await count.acquire();
   *   count.value *= 2;
   * }
   * assertEquals(count.value, 6);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock when it is disposed, or `null` if
   * the time ran out.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  acquire(options?: AcquireOptions): Promise<Guard | null>;
  /**
   * Acquires the lock, blocking the thread.
   *
   * @example In a calculation that does not await
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const count = new Value("i", 3);
   * {
   *   using _guard = count.acquireSync();
   *   count.value *= 2;
   * }
   * assertEquals(count.value, 6);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock when it is disposed, or `null` if
   * the time ran out.
   * @throws {TypeError} If the lock given cannot block.
   */
  acquireSync(options?: AcquireOptions): Guard | null;
  /**
   * Releases the lock, once.
   *
   * @example Without a guard
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const count = new Value("i", 3);
   * await count.acquire();
   * count.value *= 2;
   * count.release();
   * assertEquals(count.value, 6);
   * ```
   *
   * @throws {ProcessError} If this process does not hold it.
   */
  release(): void;
  /**
   * Runs a function while the lock is held.
   *
   * - **Order:** one such function at a time, also among the tasks of one
   *   process, in whatever messages the value, or its lock, has come to them. One
   *   called from within another goes ahead, if the lock is an `RLock`, as it is
   *   unless another is given; those called from within one take turns among
   *   themselves.
   * - **Death:** if the one before was killed in there, the guard is `abandoned`:
   *   what it was changing may be half done.
   *
   * @example Two values that belong together
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const from = new Value("i", 10);
   * const to = new Value("i", 0);
   * await from.withLock(() => {
   *   from.value -= 4;
   *   to.value += 4;
   * });
   * assertEquals([from.value, to.value], [6, 4]);
   * ```
   *
   * @param fn What to run; may be async.
   * @returns What it gives.
   * @throws {unknown} What it throws; the lock is released all the same.
   * @throws {ProcessError} If it is called from within another under the same
   * lock, and that is not an `RLock`: it would wait for itself.
   */
  withLock<T>(fn: (guard: Guard) => T): Promise<Awaited<T>>;
}

/** With which lock a shared value is made. */
export interface LockOptions<L extends LockLike = RLock> {
  /**
   * `true` or nothing: a new `RLock`. A lock: that one. `false`: none, and no
   * methods for it.
   *
   * @default {true}
   */
  lock?: true | L | null | undefined;
}

/** Asks for a shared value without a lock. */
export interface NoLockOptions {
  /** See {@linkcode LockOptions}. */
  lock: false;
}

/** What a wrapper consists of. */
interface Parts {
  readonly raw: object;
  readonly lock: LockLike;
}

const parts = new WeakMap<object, Parts>();

const METHODS: Synchronized<object, LockLike> = {
  getLock() {
    return partsOf(this).lock;
  },
  getObj() {
    return partsOf(this).raw;
  },
  acquire(options) {
    return partsOf(this).lock.acquire(options);
  },
  acquireSync(options) {
    const { lock } = partsOf(this);
    if (lock.acquireSync) return lock.acquireSync(options);
    throw new TypeError(
      `Cannot block on ${show(lock)} as it has no method 'acquireSync'`,
    );
  },
  release() {
    partsOf(this).lock.release();
  },
  withLock(fn) {
    return runWith(partsOf(this).lock, fn);
  },
};

/**
 * Gives the objects of a class the methods of {@linkcode Synchronized}.
 *
 * @param cls The class.
 */
export function lockable(cls: { readonly prototype: object }): void {
  for (const [name, value] of Object.entries(METHODS)) {
    Object.defineProperty(cls.prototype, name, {
      value,
      configurable: true,
      writable: true,
    });
  }
  // With these methods, it can be the lock of another.
  identifies(cls, (wrapper: object) => identityOf(partsOf(wrapper).lock));
}

/**
 * Says what a wrapper consists of.
 *
 * @param wrapper The object whose class was made lockable.
 * @param raw What it wraps.
 * @param lock The lock.
 */
export function compose(wrapper: object, raw: object, lock: LockLike): void {
  parts.set(wrapper, { raw, lock });
}

/** What a wrapper consists of. */
export function partsOf(wrapper: object): Parts {
  return parts.get(wrapper)!;
}

/** Whether something is a wrapper. */
export function isWrapper(object: unknown): boolean {
  return typeof object === "object" && object !== null && parts.has(object);
}

const locks = new Map<MemoryKind, typeof RLock>();

/**
 * The lock that a `lock` option asks for.
 *
 * @param option The option.
 * @param kind The start method of the value.
 * @throws {TypeError} If it is no lock.
 */
export function lockFor(option: unknown, kind: MemoryKind): LockLike {
  if (option === undefined || option === null || option === true) {
    let cls = locks.get(kind);
    if (!cls) locks.set(kind, cls = bindTo(RLock, kind));
    return new cls();
  }
  for (const method of ["acquire", "release"] as const) {
    if (typeof (option as Partial<LockLike>)[method] === "function") continue;
    throw new TypeError(
      `Cannot use ${
        show(option)
      } as the lock of a shared value as it has no method '${method}'`,
    );
  }
  return option as LockLike;
}

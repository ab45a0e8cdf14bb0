/**
 * Running a function while a lock is held, one call after the other.
 *
 * An `RLock` belongs to a process: its tasks hold it together. Two tasks that
 * both run a function under it would be in there at once, which is not what
 * "with the lock" means to anybody. So the calls of one process take turns as
 * well; only a call made from within another, on the same lock, goes ahead, as
 * it would wait for itself. Which calls come from within, the context of
 * asynchronous calls tells: that is why `node:async_hooks` is loaded, 4 ms once,
 * when a function is first run under a lock.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { AsyncLocalStorage } from "node:async_hooks";
import { ProcessError } from "../errors.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { Lock } from "./lock.ts";

/** What a lock has to offer to guard a shared value. */
export interface LockLike {
  /** Waits for the lock and takes it. */
  acquire(options?: AcquireOptions): Promise<Guard | null>;
  /** The same, blocking the thread. */
  acquireSync?(options?: AcquireOptions): Guard | null;
  /** Gives it back. */
  release(): unknown;
}

/** A function being run. */
interface Section {
  readonly lock: LockLike;
  /** The one it was called from. */
  readonly outer: Section | undefined;
  /** Whether it still runs: what it started may go on without it. */
  isOpen: boolean;
}

/** One for all, or a call would not see which one it was made from. */
let storage: Promise<AsyncLocalStorage<Section>> | undefined;
/** For each lock, the end of the call that came last. */
const turns = new WeakMap<LockLike, Promise<void>>();

/**
 * Runs a function while a lock is held.
 *
 * @param lock The lock.
 * @param fn What to run; gets the guard.
 * @returns What it gives.
 * @throws {ProcessError} If the call comes from within another under the same
 * `Lock`, and would wait for itself.
 */
export async function runWith<T>(
  lock: LockLike,
  fn: (guard: Guard) => T,
): Promise<Awaited<T>> {
  const sections = await (storage ??= loadStorage());
  const outer = sections.getStore();
  if (isWithin(outer, lock)) {
    if (lock instanceof Lock) {
      throw new ProcessError(
        "Cannot run a function under a Lock that its caller holds as it would wait for itself: use an RLock",
      );
    }
    return await underLock(lock, fn);
  }
  const before = turns.get(lock);
  const { promise, resolve } = Promise.withResolvers<void>();
  turns.set(lock, promise);
  const section = { lock, outer, isOpen: true };
  try {
    await before;
    return await sections.run(section, () => underLock(lock, fn));
  } finally {
    section.isOpen = false;
    resolve();
  }
}

async function loadStorage(): Promise<AsyncLocalStorage<Section>> {
  const { AsyncLocalStorage } = await import("node:async_hooks");
  return new AsyncLocalStorage();
}

function isWithin(section: Section | undefined, lock: LockLike): boolean {
  for (let each = section; each; each = each.outer) {
    if (each.lock === lock && each.isOpen) return true;
  }
  return false;
}

async function underLock<T>(
  lock: LockLike,
  fn: (guard: Guard) => T,
): Promise<Awaited<T>> {
  using guard = await lock.acquire();
  if (!guard) {
    throw new ProcessError(
      "Cannot run a function as its lock was not acquired",
    );
  }
  return await fn(guard);
}

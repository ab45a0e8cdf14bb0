/**
 * Running a function while a lock is held, one call after the other.
 *
 * An `RLock` belongs to a process: its tasks hold it together. Two tasks that
 * both run a function under it would be in there at once, which is not what
 * "with the lock" means to anybody. So the calls of one process take turns as
 * well: those on one lock stand in one line, whatever objects they were made
 * through, as each message brings an object of its own.
 *
 * Only a call made from within another, on the same lock, cannot stand in that
 * line, as it would wait for itself. It goes ahead if the lock is known to let it
 * in, an `RLock` for one, and is refused otherwise. It is part of the call it was
 * made from: the calls within one stand in a line of their own, and the turn
 * passes on when the function has ended and nobody is left in that line. The
 * function need not wait for them, and who has called it is not kept until then.
 * Nor does a call belong to one whose function has ended: it stands in line like
 * any other, or the others might never get their turn.
 *
 * Which calls come from within, the context of asynchronous calls tells: that is
 * why `node:async_hooks` is loaded, 4 ms once, when a function is first run under
 * a lock.
 *
 * **Why no turn is lost.** Whoever is in line waits for the end of the one before
 * it, and ends, whatever becomes of its function, after those within it. These
 * were all there when its function ended, and none of them is in an outer line.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { AsyncLocalStorage } from "node:async_hooks";
import { ProcessError } from "../errors.ts";
import { blockOf } from "./block.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { declaredIdentity } from "./lock_identity.ts";
import type { LockIdentity } from "./lock_identity.ts";
import { RLock } from "./rlock.ts";

/** What a lock has to offer to guard a shared value. */
export interface LockLike {
  /** Waits for the lock and takes it. */
  acquire(options?: AcquireOptions): Promise<Guard | null>;
  /** The same, blocking the thread. */
  acquireSync?(options?: AcquireOptions): Guard | null;
  /** Gives it back. */
  release(): unknown;
}

/** A place in a line. */
interface Turn {
  /** When it is its turn; at once if it is nothing. */
  readonly comes: Promise<void> | undefined;
  /** Has the next one follow. */
  pass(): void;
}

/** Calls that follow one another in the order in which they were made. */
class Line {
  /** The end of the last one's turn, if there is anybody. */
  last: Promise<void> | undefined;

  join(): Turn {
    const { promise, resolve } = Promise.withResolvers<void>();
    const comes = this.last;
    this.last = promise;
    const pass = () => {
      if (this.last === promise) this.last = undefined;
      resolve();
    };
    return { comes, pass };
  }
}

/** A function being run. */
interface Section {
  /** The line of all calls on its lock. */
  readonly line: Line;
  /** The one it was called from. */
  readonly outer: Section | undefined;
  /** The calls on the same lock that were made from within it. */
  readonly inner: Line;
  /** Whether it still runs: what it started may go on without it. */
  isOpen: boolean;
}

/** One for all, or a call would not see which one it was made from. */
let sections: AsyncLocalStorage<Section> | undefined;
let loading: Promise<AsyncLocalStorage<Section>> | undefined;
/** The lines of the locks that functions are run under now. */
const lines = new WeakMap<object, Map<number, Line>>();

/**
 * Runs a function while a lock is held.
 *
 * @param lock The lock.
 * @param fn What to run; gets the guard.
 * @returns What it gives.
 * @throws {ProcessError} If the call comes from within another under the same
 * lock, and would wait for itself.
 */
export async function runWith<T>(
  lock: LockLike,
  fn: (guard: Guard) => T,
): Promise<Awaited<T>> {
  // From the second time on without a step in between: the caller may end in it.
  sections ??= await (loading ??= loadStorage());
  const identity = identityOf(lock);
  const line = lineOf(identity);
  const outer = sections.getStore();
  const around = findOpen(outer, line);
  if (around && !identity.isReentrant) throw waitsForItself(lock);
  const turn = (around?.inner ?? line).join();
  const section = { line, outer, inner: new Line(), isOpen: true };
  try {
    await turn.comes;
    return await sections.run(section, () => underLock(lock, fn));
  } finally {
    section.isOpen = false;
    const pass = () => {
      turn.pass();
      if (!line.last) lines.get(identity.realm)?.delete(identity.id);
    };
    if (section.inner.last) void section.inner.last.then(pass);
    else pass();
  }
}

/** Which lock an object stands for. */
export function identityOf(lock: LockLike): LockIdentity {
  const declared = declaredIdentity(lock);
  if (declared) return declared;
  const block = blockOf(lock);
  // Of a lock of somebody else's nothing is known.
  if (!block) return { realm: lock, id: 0, isReentrant: false };
  const isReentrant = lock instanceof RLock;
  return { realm: block.arena, id: block.offset, isReentrant };
}

async function loadStorage(): Promise<AsyncLocalStorage<Section>> {
  const { AsyncLocalStorage } = await import("node:async_hooks");
  return new AsyncLocalStorage();
}

function lineOf({ realm, id }: LockIdentity): Line {
  let ofRealm = lines.get(realm);
  if (!ofRealm) lines.set(realm, ofRealm = new Map());
  let line = ofRealm.get(id);
  if (!line) ofRealm.set(id, line = new Line());
  return line;
}

/** The innermost function that a call comes from, among those under a lock. */
function findOpen(
  section: Section | undefined,
  line: Line,
): Section | undefined {
  for (let each = section; each; each = each.outer) {
    if (each.line === line && each.isOpen) return each;
  }
  return undefined;
}

function waitsForItself(lock: LockLike): ProcessError {
  return new ProcessError(
    `Cannot run a function under the ${lock.constructor.name} that its caller holds as it would wait for itself: use an RLock`,
  );
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

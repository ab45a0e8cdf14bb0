/**
 * The less visible side of locks: what a condition does with its lock, beyond
 * acquiring and releasing it, and the count of what a participant holds.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { Arena } from "../memory/mod.ts";

/** What a condition does with its lock. */
export interface Custody {
  /** Whether this participant holds the lock. */
  isMine(): boolean;
  /**
   * Called before {@linkcode Custody.yield}, by each task that will call it.
   *
   * @returns What to await in between, if anything.
   */
  settle(): Promise<void> | undefined;
  /**
   * Releases what the calling task holds.
   *
   * @returns What to give to {@linkcode Custody.retake}.
   */
  yield(): number;
  /** The same for all tasks of this participant, which is about to block. */
  yieldAll(): number;
  /** Waits, for as long as it takes, until all that is held again. */
  retake(levels: number): Promise<void>;
  /** The same, blocking the thread, after {@linkcode Custody.yieldAll}. */
  retakeSync(levels: number): void;
}

/** Under this, the prototype of a class gives the custody of an object. */
const CUSTODY: unique symbol = Symbol("custody");

/**
 * Lets conditions use the locks of a class. Called in a static block of the
 * class, so that the function sees its private fields.
 *
 * @param cls The class.
 * @param give Gives what a condition does with a lock.
 */
export function entrusts<T extends object>(
  cls: { readonly prototype: T },
  give: (lock: T) => Custody,
): void {
  Object.defineProperty(cls.prototype, CUSTODY, {
    value: function (this: T): Custody {
      return give(this);
    },
  });
}

/**
 * What a condition does with a lock.
 *
 * @throws {TypeError} If it is not a lock.
 */
export function custodyOf(lock: object): Custody {
  const give = (lock as { [CUSTODY]?: () => Custody } | null)?.[CUSTODY];
  if (give) return give.call(lock);
  throw new TypeError(
    `Cannot create a Condition as 'lock' must be a Lock or an RLock: it is ${
      Deno.inspect(lock)
    }`,
  );
}

/**
 * Notes that this participant holds something that has to stay held when it
 * leaves: its slot is not used again then (`S_LOCKS_HELD`).
 */
export function count({ participants, me }: Arena): void {
  participants.hold(me, 1);
}

/** Takes that back, for whoever it was that held it. */
export function uncount(arena: Arena, holder: number): void {
  const { participants, me } = arena;
  // The slot of one that was killed may belong to somebody else by now.
  if (!participants.isCurrent(holder)) return;
  if (holder === me) return participants.hold(me, -1);
  participants.countReturn(holder);
  participants.settle(holder);
}

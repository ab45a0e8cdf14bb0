/**
 * Which lock an object stands for. Each message brings an object of its own, so
 * one lock may have many here; those that wait for each other have to see that it
 * is the same.
 *
 * Locks in shared memory are told apart by where they lie. The classes of others
 * say so themselves, with {@linkcode identifies}.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** What tells a lock from others. */
export interface LockIdentity {
  /** Where the number counts: an arena, say. */
  readonly realm: object;
  /** Its number there. */
  readonly id: number;
  /** Whether this participant can take it again while it holds it. */
  readonly isReentrant: boolean;
}

/** Under this, the prototype of a class gives the identity of an object. */
const IDENTITY: unique symbol = Symbol("identity of a lock");

/**
 * Says which lock the objects of a class stand for. Called in a static block of
 * the class, so that the function sees its private fields.
 *
 * @param cls The class.
 * @param give Gives the identity of an object.
 */
export function identifies<T extends object>(
  cls: { readonly prototype: T },
  give: (lock: T) => LockIdentity,
): void {
  Object.defineProperty(cls.prototype, IDENTITY, {
    value: function (this: T): LockIdentity {
      return give(this);
    },
  });
}

/** What the class of a lock says, if it says anything. */
export function declaredIdentity(lock: object): LockIdentity | undefined {
  return (lock as { [IDENTITY]?: () => LockIdentity })[IDENTITY]?.();
}

/**
 * What `wait()` needs to know of the objects it waits for.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { Arena } from "../memory/mod.ts";

/** When an object in shared memory becomes ready. */
export interface SharedReadiness {
  /** Where it lies. */
  readonly arena: Arena;
  /** Each change of `ready()` is followed by a wake of one of these. */
  readonly keys: readonly number[];
  /** Whether it is ready now; throws if it cannot be waited for. */
  ready(): boolean;
}

/** When anything else becomes ready. */
export interface PromisedReadiness {
  /**
   * Settled when it becomes ready; asked for only when it is not. One that keeps
   * being used up by others gives another promise each time.
   *
   * @param signal Aborted when nobody waits any more.
   */
  promise(signal: AbortSignal): Promise<unknown>;
  /** Whether it is ready now; throws if it cannot be waited for. */
  ready(): boolean;
}

/** How an object becomes ready. */
export type Readiness = SharedReadiness | PromisedReadiness;

const READINESS: unique symbol = Symbol("readiness");

/**
 * Lets `wait()` wait for objects of a class. Called in a static block of the
 * class, so that the function sees its private fields.
 *
 * @param cls The class.
 * @param readiness Says how an object becomes ready.
 */
export function becomesReady<T extends object>(
  cls: { readonly prototype: T },
  readiness: (object: T) => Readiness,
): void {
  Object.defineProperty(cls.prototype, READINESS, {
    value: function (this: T): Readiness {
      return readiness(this);
    },
  });
}

/** How an object becomes ready, `undefined` if `wait()` does not know it. */
export function readinessOf(object: unknown): Readiness | undefined {
  if (typeof object !== "object" || object === null) return undefined;
  const method = Reflect.get(object, READINESS) as
    | (() => Readiness)
    | undefined;
  return method?.call(object);
}

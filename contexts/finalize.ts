/**
 * {@linkcode Finalize}: something to be done once, at the latest at exit.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { showAsText } from "../primitives/inspect.ts";
import { atExit } from "./exit.ts";

/** Options of a {@linkcode Finalize}. */
export interface FinalizeOptions<A extends unknown[] = unknown[]> {
  /**
   * Arguments of the callback.
   *
   * @default {[]}
   */
  args?: A | undefined;
  /**
   * Its place at exit: the highest first, of equal ones the one made last, and
   * below zero after the children. Without it the callback is not called at exit.
   *
   * @default {null}
   */
  exitPriority?: number | null | undefined;
}

/** Calls back what belonged to an object that has been collected. */
const collected = new FinalizationRegistry<() => unknown>(async (call) => {
  try {
    await call();
  } catch (error) {
    // Nobody has called, so nobody could catch it.
    console.error(error);
  }
});

/** What is left to do. */
interface Pending {
  readonly callback: (...args: never[]) => unknown;
  readonly args: readonly unknown[];
  readonly exitPriority: number | null;
  readonly forget: () => void;
}

/** Not private fields, as those would be on what a constructor does not return. */
const pending = new WeakMap<object, Pending>();

/** An object of this class is called like a function. */
export interface Finalize<A extends unknown[] = []> {
  /**
   * Calls the callback, if nobody has before.
   *
   * @returns What it returned, `undefined` if it had been called or cancelled.
   */
  (): unknown;
}

/**
 * Something to be done once: when it is called, when an object has been collected,
 * or at exit, whichever comes first.
 *
 * - **At exit**, if it has an `exitPriority`: from the highest priority down to 0,
 *   then daemons are terminated and children waited for, then the priorities below
 *   0. Promises are awaited, except in a program that ends by `Deno.exit()`. An
 *   error is printed, and the rest goes on. An uncaught error or a signal ends a
 *   process without calling anything back.
 * - **On collection** of the object: some time later, or never if the program ends
 *   before. The callback must not refer to the object, which would keep it alive.
 * - **In whom it was made:** a child has its own.
 * - **Differs from Python:** a callback that returns a Promise is awaited at exit.
 *
 * @example Once, by hand
 * ```ts
 * import { Finalize } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const done: string[] = [];
 * const finalize = new Finalize(null, (name: string) => done.push(name), {
 *   args: ["temporary files"],
 *   exitPriority: 0,
 * });
 * assert(finalize.stillActive());
 * finalize();
 * finalize();
 * assertEquals(done, ["temporary files"]);
 * assert(!finalize.stillActive());
 * ```
 *
 * @typeParam A Types of the callback's arguments.
 */
export class Finalize<A extends unknown[] = []> implements Disposable {
  static {
    showAsText(this);
  }

  /**
   * Registers the callback.
   *
   * @param object When it is collected, the callback is called; `null` for none.
   * @param callback What to do.
   * @param options Arguments and priority.
   * @throws {TypeError} If there is neither an object nor a priority, or something
   * has the wrong type.
   */
  constructor(
    object: object | null,
    callback: (...args: A) => unknown,
    options: FinalizeOptions<A> = {},
  ) {
    const { args = [] as unknown[] as A, exitPriority = null } = options;
    check(object, callback, args, exitPriority);
    const call = () => run(self);
    // To be called like a function, it has to be one.
    const self: this = Object.setPrototypeOf(call, new.target.prototype);
    const takeBack = exitPriority === null
      ? () => {}
      : atExit(call, exitPriority);
    if (object !== null) collected.register(object, call, self);
    const forget = () => {
      takeBack();
      collected.unregister(self);
    };
    pending.set(self, { callback, args: [...args], exitPriority, forget });
    return self;
  }

  /** Forgets the callback: it will not be called. */
  cancel(): void {
    take(this);
  }

  /** Whether the callback may still be called. */
  stillActive(): boolean {
    return pending.has(this);
  }

  /** The same as calling it, at the end of a block of `using`. */
  [Symbol.dispose](): void {
    run(this);
  }

  /** Describes it as Python does. */
  toString(): string {
    const left = pending.get(this);
    if (!left) return "<Finalize object, dead>";
    const { callback, args, exitPriority } = left;
    const parts = [`callback=${callback.name || "<anonymous>"}`];
    if (args.length > 0) {
      parts.push(`args=${Deno.inspect(args, { compact: true })}`);
    }
    if (exitPriority !== null) parts.push(`exitPriority=${exitPriority}`);
    return `<Finalize object, ${parts.join(", ")}>`;
  }
}

function take(finalize: object): Pending | undefined {
  const left = pending.get(finalize);
  pending.delete(finalize); // and with it all that it refers to
  left?.forget();
  return left;
}

function run(finalize: object): unknown {
  const left = take(finalize);
  return left?.callback(...left.args as never[]);
}

function check(
  object: unknown,
  callback: unknown,
  args: unknown,
  exitPriority: unknown,
): void {
  if (typeof callback !== "function") {
    throw new TypeError(
      `Cannot create a Finalize as its callback must be a function: it is ${
        Deno.inspect(callback)
      }`,
    );
  }
  if (!Array.isArray(args)) {
    throw new TypeError(
      `Cannot create a Finalize as 'args' must be an array: it is ${
        Deno.inspect(args)
      }`,
    );
  }
  if (exitPriority !== null && !Number.isInteger(exitPriority)) {
    throw new TypeError(
      `Cannot create a Finalize as 'exitPriority' must be null or an integer: it is ${
        Deno.inspect(exitPriority)
      }`,
    );
  }
  if (object === null) {
    if (exitPriority !== null) return;
    throw new TypeError(
      "Cannot create a Finalize that nothing would call: without object, exitPriority cannot be null",
    );
  }
  if (typeof object !== "object" && typeof object !== "function") {
    throw new TypeError(
      `Cannot create a Finalize as the object must be one, or null: it is ${
        Deno.inspect(object)
      }`,
    );
  }
}

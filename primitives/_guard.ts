/**
 * What an `acquire()` takes and gives, for everything that can be acquired.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { checkOptions } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";

/** How to acquire something. */
export interface AcquireOptions extends WaitOptions {
  /**
   * Whether to wait at all; `false` tries once, whatever the timeout says.
   *
   * @default {true}
   */
  block?: boolean | undefined;
}

/**
 * Something that has been acquired. Disposing it gives it back, once: doing so
 * again does nothing. Leave it to the guard, or call `release()` and drop the
 * guard: after both, as in Python, what the next one holds is given back.
 */
export interface Guard extends Disposable {
  /**
   * Whether the one who held it before ended without giving it back, killed or
   * crashed: what it was working on may be half done.
   */
  readonly abandoned: boolean;
}

/** A guard of something with a `release()`. */
export class Hold implements Guard {
  readonly abandoned: boolean;
  #held: { release(): void } | undefined;

  /**
   * Makes a guard.
   *
   * @param held What has been acquired.
   * @param abandoned Whether it was found abandoned.
   */
  constructor(held: { release(): void }, abandoned: boolean) {
    this.#held = held;
    this.abandoned = abandoned;
  }

  [Symbol.dispose](): void {
    const held = this.#held;
    this.#held = undefined;
    held?.release();
  }
}

/**
 * The wait an `acquire()` is for.
 *
 * @throws {TypeError} If an option is not what it has to be.
 */
export function waitOf(options: AcquireOptions): WaitOptions {
  checkOptions(options);
  const { block } = options;
  if (block === undefined || block === true) return options;
  if (block === false) return { ...options, timeout: 0 };
  throw new TypeError(
    `Cannot acquire as 'block' must be a boolean: it is ${Deno.inspect(block)}`,
  );
}

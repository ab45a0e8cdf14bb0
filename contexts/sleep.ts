/**
 * {@linkcode sleep}: a ready-made target.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { register } from "./functions.ts";

/**
 * Waits so long; can be the target of a process or a task of a pool.
 *
 * @example
 * ```ts
 * import { sleep } from "@deno-mp/multiprocessing";
 *
 * await sleep(5);
 * ```
 *
 * @param ms Milliseconds.
 * @throws {RangeError} If it is negative or no number.
 */
export function sleep(ms: number): Promise<void> {
  if (!(ms >= 0)) {
    return Promise.reject(
      new RangeError(`Cannot sleep as 'ms' must be 0 or more: it is ${ms}`),
    );
  }
  return new Promise((resolve) => {
    setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
  });
}

register(import.meta, { sleep });

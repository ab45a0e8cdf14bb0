/**
 * {@linkcode ThreadPool}: a pool of threads by its own name.
 *
 * Runs in the parent.
 *
 * @module
 */
import { belongsTo } from "../primitives/block.ts";
import { Pool } from "./pool.ts";

/**
 * A {@linkcode Pool} whose workers are threads, whatever the default start method
 * is: the same as `new (getContext("worker").Pool)()`.
 *
 * - **Differs from Python:** the threads have modules and variables of their own,
 *   and run at the same time; what they share is shared through this package.
 *
 * @example
 * ```ts
 * import { ThreadPool } from "@deno-mp/multiprocessing";
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPool(2);
 * assertEquals(await pool.map(square, [1, 2, 3]), [1, 4, 9]);
 * ```
 *
 * @typeParam I Types of the arguments of the initializer.
 */
export class ThreadPool<I extends unknown[] = []> extends Pool<I> {
  static {
    belongsTo(this, "worker");
  }
}

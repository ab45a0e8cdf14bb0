/**
 * Pools: workers that are given tasks.
 *
 * @example Squares
 * ```ts
 * import { Pool } from "@deno-mp/multiprocessing/pool";
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * assertEquals(await pool.map(square, [1, 2, 3]), [1, 4, 9]);
 * ```
 *
 * @module
 */
import "../contexts/mod.ts"; // what its workers run, and that it comes first

export { AsyncResult } from "./async_result.ts";
export { currentTask } from "./current_task.ts";
export type { CurrentTask } from "./current_task.ts";
export { PoolIterator } from "./imap.ts";
export type {
  AnyIterable,
  ApplyOptions,
  ImapOptions,
  MapOptions,
  Progress,
  TaskOptions,
} from "./options.ts";
export type { PoolOptions } from "./pool_options.ts";
export { Pool } from "./pool.ts";
export type {
  PoolStatistics,
  TaskStatistics,
  WorkerState,
  WorkerStatistics,
} from "./statistics.ts";
export { ThreadPool } from "./thread_pool.ts";

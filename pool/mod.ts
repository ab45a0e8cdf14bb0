/**
 * Pools: workers that are given tasks.
 *
 * @module
 */
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

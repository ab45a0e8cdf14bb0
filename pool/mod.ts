/**
 * Pools: workers that are given tasks.
 *
 * @module
 */
export { AsyncResult } from "./async_result.ts";
export type { Settler } from "./async_result.ts";
export { currentTask } from "./current_task.ts";
export type { CurrentTask } from "./current_task.ts";
export { PoolIterator } from "./imap.ts";
export type {
  ApplyOptions,
  ImapOptions,
  MapOptions,
  Progress,
  TaskOptions,
} from "./options.ts";
export { Pool } from "./pool.ts";
export type { AnyIterable, PoolOptions } from "./pool.ts";

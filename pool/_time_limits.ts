/**
 * Time limits of tasks: how long a call may run, counted from its start in the
 * worker.
 *
 * The parent learns of a start by looking at the control words, so it knows of it
 * a little late, and counts from then: nobody is stopped too early. While a worker
 * has not begun its next task it looks often; once the task runs, it comes back
 * when the time is up, or a few times before that if the task is a chunk, whose
 * items have the limit each.
 *
 * Runs in the parent.
 *
 * @module
 */
import { LONGEST_TIMER_MS } from "../memory/mod.ts";
import { LOADING } from "./_protocol.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import type { Task } from "./_task.ts";

/** How often to look whether a task has begun, in milliseconds. */
const BEGIN_LOOK_MS = 10;
/** How many looks one limit of an item of a chunk takes. */
const LOOKS_PER_ITEM = 8;
/**
 * The least time for loading a task's module, in milliseconds: it is loaded once
 * for many tasks, and a task must not fail because it was the first.
 */
const LEAST_LOADING_MS = 10_000;

/** What becomes of a task whose time is up. */
export interface TimeLimitEvents {
  /** Collects what the worker has answered; whether there was anything. */
  collect(worker: PoolWorker): boolean;
  /** The task runs longer than it may. */
  overrun(worker: PoolWorker, task: Task): void;
}

/**
 * Sees to it that the task which a worker runs does not run for too long. To be
 * called whenever that may be another task than before.
 *
 * It never ends a task itself, only its timer does: who calls may be about to
 * submit something, and what ends runs code of the user's.
 *
 * @param worker The worker.
 * @param events What to do when time is up.
 */
export function watchTime(worker: PoolWorker, events: TimeLimitEvents): void {
  const task = worker.tasks.oldest;
  if (!task || task.work.settings.timeoutMs === Infinity) {
    if (worker.watch) clearTimeout(worker.watch.timer);
    worker.watch = undefined;
    return;
  }
  const watch = worker.watch ??= {
    timer: undefined,
    sequence: 0,
    item: 0,
    sinceMs: 0,
    isUp: false,
  };
  const lookAgainMs = lookAt(worker, task, watch);
  // However often this is called, it puts nothing off.
  if (lookAgainMs <= 0 && watch.isUp) return;
  clearTimeout(watch.timer);
  watch.isUp = lookAgainMs <= 0;
  watch.timer = setTimeout(() => {
    watch.isUp = false;
    // It may be done: then the answer counts, not the clock.
    if (events.collect(worker)) return;
    const isFirst = worker.tasks.oldest === task;
    if (isFirst && lookAt(worker, task, watch) <= 0) {
      events.overrun(worker, task);
    } else watchTime(worker, events);
  }, Math.min(lookAgainMs, LONGEST_TIMER_MS));
  Deno.unrefTimer(watch.timer as unknown as number);
}

/** Gives the milliseconds until the next look, 0 if the time is up. */
function lookAt(
  worker: PoolWorker,
  task: Task,
  watch: NonNullable<PoolWorker["watch"]>,
): number {
  const { timeoutMs } = task.work.settings;
  if (worker.running !== task.sequence) {
    return Math.min(timeoutMs, BEGIN_LOOK_MS);
  }
  const { item } = worker;
  const nowMs = performance.now();
  if (watch.sequence !== task.sequence || watch.item !== item) {
    watch.sequence = task.sequence;
    watch.item = item;
    watch.sinceMs = nowMs;
  }
  const isLoading = item === LOADING;
  const limitMs = isLoading ? Math.max(timeoutMs, LEAST_LOADING_MS) : timeoutMs;
  const leftMs = watch.sinceMs + limitMs - nowMs;
  if (leftMs <= 0) return 0;
  if (isLoading) return Math.min(leftMs, BEGIN_LOOK_MS);
  if (task.count <= 1) return leftMs;
  return Math.min(leftMs, Math.max(1, limitMs / LOOKS_PER_ITEM));
}

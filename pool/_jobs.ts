/**
 * What a user asked for, as tasks, and back: a job makes tasks of its input and
 * one result of their outcomes.
 *
 * Runs in the parent.
 *
 * @module
 */
import { AsyncResult } from "./async_result.ts";
import type { Settler } from "./async_result.ts";
import { CALL, EACH, EACH_SPREAD, FAILURE } from "./_protocol.ts";
import type { ChunkResults } from "./_protocol.ts";
import type { Scheduler } from "./_scheduler.ts";
import type { Task, TaskOutcome } from "./_task.ts";
import type { Progress, ResolvedOptions } from "./options.ts";

/** A function whose types have been checked at the door. */
export type AnyFunction = (...args: never[]) => unknown;

/** Least milliseconds between two reports of progress, but for the last one. */
const PROGRESS_EVERY_MS = 100;

/**
 * One call.
 *
 * @param scheduler Who runs it.
 * @param fn The function.
 * @param args Its arguments.
 * @param options The caller's options.
 */
export function callJob<T>(
  scheduler: Scheduler,
  fn: AnyFunction,
  args: readonly unknown[],
  options: ResolvedOptions<T>,
): AsyncResult<T> {
  scheduler.checkRunning();
  const number = scheduler.numberOf(fn);
  const body = scheduler.encode(args, "args");
  let task: Task;
  const { result, end } = resultOf<T>(options, () => scheduler.abandon(task));
  if (end.isSettled) return result; // its signal was aborted before
  task = scheduler.submit({
    kind: CALL,
    fn: number,
    index: 0,
    body,
    timeoutMs: options.timeoutMs,
    retries: options.retries,
    label: `task "${fn.name}"`,
    done: ({ kind, value }) => {
      if (kind === FAILURE) end.reject(value);
      else end.resolve(value as T);
    },
  });
  return result;
}

/**
 * A call for each of many items, in chunks; gives all values in order.
 *
 * @param scheduler Who runs it.
 * @param fn The function.
 * @param items The items.
 * @param isSpread Whether each item is a list of arguments.
 * @param options The caller's options.
 */
export function mapJob<R>(
  scheduler: Scheduler,
  fn: AnyFunction,
  items: readonly unknown[],
  isSpread: boolean,
  options: ResolvedOptions<R[]>,
): AsyncResult<R[]> {
  scheduler.checkRunning();
  const number = scheduler.numberOf(fn);
  const chunkSize = options.chunkSize ??
    defaultChunkSize(items.length, scheduler.size, options.timeoutMs);
  const tasks = new Set<Task>();
  const abandonAll = () => {
    for (const task of tasks) scheduler.abandon(task);
    tasks.clear();
  };
  const { result, end } = resultOf<R[]>(options, abandonAll);
  const chunks = chunked(items, chunkSize, (chunk, index) => ({
    index,
    body: scheduler.encode(chunk, `items from ${index}`),
    count: chunk.length,
  }));
  const values = new Array<R>(items.length);
  const progress = new Reporter(options.onProgress, items.length);
  let left = chunks.length;
  let failure: { readonly error: unknown } | undefined;
  if (left === 0) end.resolve(values);
  if (end.isSettled) return result;
  for (const { index, body, count } of chunks) {
    const task: Task = scheduler.submit({
      kind: isSpread ? EACH_SPREAD : EACH,
      fn: number,
      index,
      body,
      timeoutMs: options.timeoutMs,
      retries: options.retries,
      label: labelOf(fn, index, count),
      done: (outcome) => {
        tasks.delete(task);
        const errors = spread<R>(outcome, count, (i, value) => {
          values[index + i] = value;
        });
        progress.add(count - errors.length, errors.length);
        if (errors.length > 0) failure ??= { error: errors[0]![1] };
        left--;
        if (failure && (left === 0 || options.failFast)) {
          end.reject(failure.error);
          abandonAll();
        } else if (left === 0) end.resolve(values);
      },
    });
    tasks.add(task);
  }
  return result;
}

/**
 * Takes a chunk's outcome apart.
 *
 * @param outcome What the task came to.
 * @param count How many items it had.
 * @param onValue Called with each value and its position.
 * @returns The errors with their positions; one for all items if the chunk as a
 * whole failed.
 */
export function spread<R>(
  outcome: TaskOutcome,
  count: number,
  onValue: (index: number, value: R) => void,
): readonly (readonly [index: number, error: unknown])[] {
  if (outcome.kind === FAILURE) {
    return Array.from({ length: count }, (_, i) => [i, outcome.value] as const);
  }
  const [values, errors] = outcome.value as ChunkResults;
  for (let i = 0; i < count; i++) onValue(i, values[i] as R);
  return errors;
}

/** What a chunk's task is called in an error. */
export function labelOf(
  fn: AnyFunction,
  index: number,
  count: number,
): string {
  return count === 1
    ? `task "${fn.name}" for item ${index}`
    : `task "${fn.name}" for items ${index} to ${index + count - 1}`;
}

/**
 * Four chunks for each worker, as in Python: few enough to cost little, enough
 * that workers finish at about the same time. With a time limit each item goes
 * alone, so that stopping one costs no other.
 */
function defaultChunkSize(
  count: number,
  workers: number,
  timeoutMs: number,
): number {
  if (timeoutMs !== Infinity) return 1;
  return Math.max(1, Math.ceil(count / (4 * workers)));
}

function chunked<C>(
  items: readonly unknown[],
  chunkSize: number,
  make: (chunk: readonly unknown[], index: number) => C,
): C[] {
  const chunks: C[] = [];
  for (let i = 0; i < items.length; i += chunkSize) {
    chunks.push(make(items.slice(i, i + chunkSize), i));
  }
  return chunks;
}

/** A result with its callbacks and its signal. */
function resultOf<T>(
  options: ResolvedOptions<T>,
  abandon: () => void,
): { result: AsyncResult<T>; end: Settler<T> } {
  const { signal, callback, errorCallback } = options;
  let settler: Settler<T>;
  const cancel = () => {
    end.reject(new DOMException("The work was cancelled", "AbortError"));
    abandon();
  };
  const result = new AsyncResult<T>((given) => settler = given, cancel);
  const onAbort = () => {
    end.reject(signal!.reason);
    abandon();
  };
  const end: Settler<T> = {
    get isSettled() {
      return settler.isSettled;
    },
    resolve: (value) => {
      if (settler.isSettled) return;
      signal?.removeEventListener("abort", onAbort);
      called(callback, value);
      settler.resolve(value);
    },
    reject: (error) => {
      if (settler.isSettled) return;
      signal?.removeEventListener("abort", onAbort);
      called(errorCallback, error);
      settler.reject(error);
    },
  };
  if (signal?.aborted) end.reject(signal.reason);
  else signal?.addEventListener("abort", onAbort);
  return { result, end };
}

/** Calls a user's callback; what it throws is not the result's fault. */
export function called<V>(
  callback: ((value: V) => unknown) | undefined,
  value: V,
): void {
  try {
    callback?.(value);
  } catch (error) {
    reportError(error);
  }
}

/** Tells a user how far a job has come. */
export class Reporter {
  readonly #report: ((progress: Progress) => unknown) | undefined;
  readonly #startMs = performance.now();
  #total: number | null;
  #done = 0;
  #failed = 0;
  #reportedMs = -Infinity;

  /**
   * Begins to count.
   *
   * @param report Whom to tell.
   * @param total How many items there are, `null` if that is not known.
   */
  constructor(
    report: ((progress: Progress) => unknown) | undefined,
    total: number | null,
  ) {
    this.#report = report;
    this.#total = total;
  }

  /** Says how many there are, once that is known. */
  set total(total: number) {
    this.#total = total;
  }

  /** Counts items. */
  add(done: number, failed: number): void {
    if (!this.#report) return;
    this.#done += done;
    this.#failed += failed;
    const nowMs = performance.now();
    const ended = this.#done + this.#failed;
    const isLast = ended === this.#total;
    if (!isLast && nowMs - this.#reportedMs < PROGRESS_EVERY_MS) return;
    this.#reportedMs = nowMs;
    const rate = ended / Math.max(nowMs - this.#startMs, 1e-3) * 1000;
    called(this.#report, {
      done: this.#done,
      failed: this.#failed,
      total: this.#total,
      rate,
      etaMs: this.#total === null ? null : (this.#total - ended) / rate * 1000,
    });
  }
}

/**
 * What a user asked for, as tasks, and back: a job makes tasks of its input and
 * one result of their outcomes.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { Message } from "../memory/mod.ts";
import {
  AsyncResult,
  Deferred,
  fulfil,
  promiseOf,
  refuse,
} from "./async_result.ts";
import { unpacked } from "./_failures.ts";
import { Parcel } from "./_parcel.ts";
import { carriedBy, giveBack } from "./_carried.ts";
import {
  CALL,
  EACH,
  EACH_FAIL_FAST,
  EACH_SPREAD,
  EACH_SPREAD_FAIL_FAST,
  FAILURE,
} from "./_protocol.ts";
import type { ChunkResults } from "./_protocol.ts";
import { called, Reporter } from "./_reporter.ts";
import type { Scheduler } from "./_scheduler.ts";
import type { Body, Job, Task, Work } from "./_task.ts";
import type { ResolvedOptions } from "./options.ts";

/** A function whose types have been checked at the door. */
export type AnyFunction = (...args: never[]) => unknown;

/** A job with one result: its callbacks, its signal, its cancelling. */
abstract class ResultJob<T> implements Job {
  readonly result: AsyncResult<T> = new AsyncResult<T>(this);
  protected readonly scheduler: Scheduler;
  protected readonly options: ResolvedOptions<T>;
  #onAbort: (() => void) | undefined;
  /** Whether its outcome is known; its callbacks hear of it before the result. */
  #isDecided = false;

  constructor(scheduler: Scheduler, options: ResolvedOptions<T>) {
    this.scheduler = scheduler;
    this.options = options;
    const { signal } = options;
    if (!signal) return;
    const onAbort = this.#onAbort = () => {
      this.reject(signal.reason);
      this.abandon();
    };
    if (signal.aborted) this.reject(signal.reason);
    else signal.addEventListener("abort", onAbort);
  }

  get isQuiet(): boolean {
    const { callback, errorCallback, onProgress } = this.options;
    return !callback && !errorCallback && !onProgress;
  }

  abstract ended(task: Task, kind: number, value: unknown): void;
  protected abstract abandon(): void;

  /** For the result. */
  cancel(): void {
    this.reject(new DOMException("The work was cancelled", "AbortError"));
    this.abandon();
  }

  protected resolve(value: T): void {
    if (this.#isDecided) return;
    this.#isDecided = true;
    this.letGo();
    called("callback", this.options.callback, value);
    fulfil(this.result, value);
  }

  protected reject(error: unknown): void {
    if (this.#isDecided) return;
    this.#isDecided = true;
    this.letGo();
    called("errorCallback", this.options.errorCallback, error);
    refuse(this.result, error);
  }

  /** Lets go of its signal: its outcome is known, or it has been refused. */
  letGo(): void {
    if (!this.#onAbort) return;
    this.options.signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
  }
}

class CallJob<T> extends ResultJob<T> {
  task: Task | undefined;

  override ended(_task: Task, kind: number, value: unknown): void {
    this.task = undefined;
    if (kind === FAILURE) this.reject(value);
    else this.resolve(value as T);
  }

  protected override abandon(): void {
    if (this.task) this.scheduler.abandon([this.task]);
  }
}

/** A call of which nobody wants to know more than a promise says. */
class PlainCall extends Deferred implements Job {
  get isQuiet(): boolean {
    return true;
  }

  ended(_task: Task, kind: number, value: unknown): void {
    if (kind === FAILURE) this.refuse(value);
    else this.fulfil(value);
  }
}

/**
 * One call, for those who only want a promise.
 *
 * @param scheduler Who runs it.
 * @param fn The function.
 * @param args Its arguments.
 * @param options The caller's options.
 */
export function promiseOfCall<T>(
  scheduler: Scheduler,
  fn: AnyFunction,
  args: readonly unknown[],
  options: ResolvedOptions<T>,
): Promise<T> {
  const { signal, callback, errorCallback, settings } = options;
  if (signal || callback || errorCallback) {
    return promiseOf(callJob(scheduler, fn, args, options));
  }
  scheduler.catchUp();
  scheduler.checkRunning();
  const job = new PlainCall();
  const work = scheduler.workOf(CALL, fn, settings);
  submitCall(scheduler, work, args, job, encodedArgs(scheduler, args));
  return job.promise as Promise<T>;
}

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
  scheduler.catchUp();
  scheduler.checkRunning();
  const work = scheduler.workOf(CALL, fn, options.settings);
  const job = new CallJob<T>(scheduler, options);
  if (job.result.ready()) return job.result; // its signal was aborted before
  try {
    const body = encodedArgs(scheduler, args);
    if (job.result.ready()) drop(body); // or meanwhile
    else job.task = submitCall(scheduler, work, args, job, body);
  } catch (error) {
    job.letGo();
    throw error;
  }
  return job.result;
}

function encodedArgs(
  scheduler: Scheduler,
  args: readonly unknown[],
): Message {
  const body = scheduler.message(args, "args");
  checkStillRunning(scheduler, [body]);
  return body;
}

function submitCall(
  scheduler: Scheduler,
  work: Work,
  args: readonly unknown[],
  job: Job,
  body: Message,
): Task {
  return scheduler.submit(work, 0, 0, job, body, again(scheduler, work, args));
}

/** How a call's arguments are encoded for a retry: as they are then. */
function again(
  scheduler: Scheduler,
  work: Work,
  args: readonly unknown[],
): (() => Body) | undefined {
  if (work.settings.retries === 0) return undefined;
  const kept = args.slice(); // but as many: the list is the caller's
  return () => scheduler.encode(kept, "args");
}

class MapJob<R> extends ResultJob<R[]> {
  readonly tasks = new Set<Task>();
  readonly #values: R[];
  readonly #progress: Reporter;
  #left: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    scheduler: Scheduler,
    options: ResolvedOptions<R[]>,
    items: number,
    chunks: number,
  ) {
    super(scheduler, options);
    this.#values = new Array<R>(items);
    this.#left = chunks;
    this.#progress = new Reporter(options.onProgress, items);
    if (chunks === 0) this.resolve(this.#values);
  }

  override ended(task: Task, kind: number, value: unknown): void {
    this.tasks.delete(task);
    // With failFast the rest of the chunk has not been done.
    let ended = 0;
    const errors = spread<R>(task, kind, value, (i, result) => {
      this.#values[task.index + i] = result;
      ended++;
    });
    this.#progress.add(Math.max(0, ended - errors.length), errors.length);
    const [first] = errors;
    if (first) this.#failure ??= { error: first[1] };
    this.#left--;
    if (this.#failure && (this.#left === 0 || this.options.failFast)) {
      this.reject(this.#failure.error);
      this.abandon();
    } else if (this.#left === 0) this.resolve(this.#values);
  }

  protected override abandon(): void {
    const tasks = [...this.tasks];
    this.tasks.clear();
    this.scheduler.abandon(tasks);
  }
}

/**
 * What each chunk of a map is.
 *
 * @param scheduler Who runs it.
 * @param fn The function.
 * @param isSpread Whether each item is a list of arguments.
 * @param options The caller's options.
 * @throws {ProcessError} If the pool takes no work.
 * @throws {EncodingError} If no worker could find the function.
 */
export function workOfMap(
  scheduler: Scheduler,
  fn: AnyFunction,
  isSpread: boolean,
  { settings, failFast }: ResolvedOptions<never>,
): Work {
  scheduler.checkRunning();
  const each = failFast ? EACH_FAIL_FAST : EACH;
  const eachSpread = failFast ? EACH_SPREAD_FAIL_FAST : EACH_SPREAD;
  return scheduler.workOf(isSpread ? eachSpread : each, fn, settings);
}

/**
 * A call for each of many items, in chunks; gives all values in order.
 *
 * @param scheduler Who runs it.
 * @param work What each chunk is.
 * @param items The items.
 * @param options The caller's options.
 * @param isOpen Whether it is an open job, for which a closed pool waits.
 */
export function mapJob<R>(
  scheduler: Scheduler,
  work: Work,
  items: readonly unknown[],
  options: ResolvedOptions<R[]>,
  isOpen: boolean,
): AsyncResult<R[]> {
  const { settings } = options;
  // For retries: the list is the caller's, and may be another one by then.
  const kept = settings.retries > 0 ? items.slice() : items;
  const size = options.chunkSize ??
    defaultChunkSize(items.length, scheduler.size, settings.timeoutMs);
  // All is encoded before anything runs: either all can be sent, or none is.
  const encode = (from: number) =>
    encodeChunk(scheduler, kept.slice(from, from + size), from);
  const bodies: Body[] = [];
  try {
    for (let i = 0; i < items.length; i += size) bodies.push(encode(i));
  } catch (error) {
    bodies.forEach(drop);
    throw error;
  }
  if (!isOpen) checkStillRunning(scheduler, bodies);
  const job = new MapJob<R>(scheduler, options, items.length, bodies.length);
  for (const [i, body] of bodies.entries()) {
    if (job.result.ready()) { // its signal was aborted
      drop(body);
      continue;
    }
    const index = i * size;
    const task = scheduler.submit(
      work,
      index,
      Math.min(size, items.length - index),
      job,
      body,
      settings.retries > 0 ? () => encode(index) : undefined,
    );
    job.tasks.add(task);
  }
  return job.result;
}

/** To encode runs code of the user's, which may have ended the pool. */
function checkStillRunning(
  scheduler: Scheduler,
  bodies: readonly (Body | Message)[],
): void {
  try {
    scheduler.checkRunning();
  } catch (error) {
    bodies.forEach(drop);
    throw error;
  }
}

/**
 * Frees arguments that nobody will be sent.
 *
 * @param body The arguments, encoded.
 */
export function drop(body: Body | Message): void {
  giveBack(carriedBy(body));
  if (body instanceof Parcel) body.free();
}

/**
 * Encodes the items of a chunk.
 *
 * @param scheduler Who runs it.
 * @param chunk The items.
 * @param index Index of the first of them.
 * @throws {EncodingError} If one cannot be sent, naming it.
 */
export function encodeChunk(
  scheduler: Scheduler,
  chunk: readonly unknown[],
  index: number,
): Body {
  try {
    return scheduler.encode(chunk, "items");
  } catch (error) {
    // The path in it counts from the start of the chunk: see which it is.
    for (const [i, item] of chunk.entries()) {
      drop(scheduler.message(item, `items[${index + i}]`));
    }
    throw error;
  }
}

/**
 * Takes a chunk's outcome apart.
 *
 * @param task The task.
 * @param kind The kind of outcome.
 * @param value What it came to.
 * @param onValue Called with each value and its position.
 * @returns The errors with their positions; one for all items if the chunk as a
 * whole failed.
 */
export function spread<R>(
  task: Task,
  kind: number,
  value: unknown,
  onValue: (index: number, value: R) => void,
): readonly (readonly [index: number, error: unknown])[] {
  const { count } = task;
  if (kind === FAILURE) {
    return Array.from({ length: count }, (_, i) => [i, value] as const);
  }
  const [values, errors] = value as ChunkResults;
  for (let i = 0; i < values.length; i++) onValue(i, values[i] as R);
  return errors.map(([i, thrown]) => {
    const from = task.workerName;
    return [i, unpacked(thrown, from, task.labelAt(i))] as const;
  });
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

/**
 * The options of a pool.
 *
 * Runs in the parent.
 *
 * @module
 */
import { checkedTimeout, checkOptionsObject } from "../memory/mod.ts";

/**
 * Options of a `Pool`.
 *
 * @typeParam I Types of the arguments of the initializer.
 */
export interface PoolOptions<I extends unknown[] = []> {
  /**
   * Workers, or the most there may be if `minProcesses` is less.
   *
   * @default {cpuCount()}
   */
  processes?: number | undefined;
  /**
   * Workers to keep when there is nothing to do, 0 for none. More are started
   * when more tasks are to be done than there are workers, up to `processes`.
   *
   * @default {processes}
   */
  minProcesses?: number | undefined;
  /**
   * Milliseconds without a task after which a worker beyond `minProcesses` ends.
   *
   * @default {10000}
   */
  idleTimeout?: number | undefined;
  /** Called first in each worker. If it fails, so does the pool. */
  initializer?: ((...args: I) => unknown) | undefined;
  /**
   * With these arguments.
   *
   * @default {[]}
   */
  initArgs?: readonly [...I] | undefined;
  /**
   * Milliseconds a worker may take from its start until it takes tasks: to load its
   * modules, and to run the initializer. If one takes longer, the pool fails as it
   * does if the initializer fails.
   *
   * @default {undefined} no limit
   */
  startTimeout?: number | undefined;
  /**
   * Called last in each worker that ends in good order: because the pool was
   * closed, or the worker is replaced or not needed. It may take ten seconds.
   */
  finalizer?: (() => unknown) | undefined;
  /**
   * Tasks after which a worker is replaced by a new one; a chunk is one task.
   *
   * @default {undefined} no limit
   */
  maxTasksPerChild?: number | undefined;
  /**
   * MiB of memory in use after which a worker is replaced by a new one, when it
   * has done its task. What counts is the resident memory of a process (`spawn`),
   * or the JavaScript heap of a thread (`worker`), whose other memory cannot be
   * told from that of its process. What the garbage collector has not collected
   * yet counts. If a worker needs more than that from its start, it is replaced as
   * soon as it has done something.
   *
   * @default {undefined} no limit
   */
  maxMemoryPerChildMb?: number | undefined;
  /** What each worker may do; only `spawn`. */
  permissions?: Deno.PermissionOptions | undefined;
  /** Environment variables to add; only `spawn`. */
  env?: Record<string, string> | undefined;
  /** Working directory of the workers; only `spawn`. */
  cwd?: string | URL | undefined;
  /** Further flags for `deno run`; only `spawn`. */
  execArgs?: string[] | undefined;
  /**
   * Limit of each worker's JavaScript heap in MiB. A worker that needs more
   * ends, and its task fails with a `WorkerLostError`.
   */
  memoryLimitMb?: number | undefined;
}

/** Milliseconds for which a worker may be idle, by default. */
const IDLE_TIMEOUT_MS = 10_000;

/** What Python's options are here. */
const HERE = {
  initargs: "it is 'initArgs'",
  maxtasksperchild: "it is 'maxTasksPerChild'",
  context: "use the Pool of getContext(method)",
};

/** Options after checking. */
export interface ResolvedPoolOptions {
  readonly most: number;
  readonly least: number;
  readonly idleMs: number;
  readonly initializer: ((...args: never[]) => unknown) | null;
  readonly initArgs: readonly unknown[];
  readonly startMs: number;
  readonly finalizer: (() => unknown) | null;
  readonly maxTasks: number;
  readonly maxMemoryMb: number;
  readonly process: Pick<
    PoolOptions,
    "permissions" | "env" | "cwd" | "execArgs" | "memoryLimitMb"
  >;
}

/**
 * Checks options.
 *
 * @param given What the caller gave; a number is that of the workers.
 * @throws {TypeError} If one has the wrong type.
 * @throws {RangeError} If one is out of range.
 */
export function resolvedPool(
  given: number | PoolOptions<never[]>,
): ResolvedPoolOptions {
  const options = typeof given === "number" ? { processes: given } : given;
  const example = "{ processes: 4 }, or a number";
  checkOptionsObject(options, "create a pool", example, HERE);
  const most = checkedProcesses(options.processes);
  const { permissions, env, cwd, execArgs, memoryLimitMb } = options;
  return {
    most,
    least: checkedLeast(options.minProcesses, most),
    idleMs: checkedIdle(options.idleTimeout),
    initializer: callable("initializer", options.initializer),
    initArgs: checkedArgs(options.initArgs),
    startMs: checkedStart(options.startTimeout),
    finalizer: callable("finalizer", options.finalizer),
    maxTasks: checkedMaxTasks(options.maxTasksPerChild),
    maxMemoryMb: checkedMemory(options.maxMemoryPerChildMb),
    process: { permissions, env, cwd, execArgs, memoryLimitMb },
  };
}

function checkNumber(name: string, value: number): void {
  if (typeof value === "number") return;
  throw new TypeError(
    `Cannot create a pool as '${name}' must be a number: it is ${
      Deno.inspect(value)
    }`,
  );
}

function checkedProcesses(processes: number | undefined): number {
  if (processes === undefined) return navigator.hardwareConcurrency;
  checkNumber("processes", processes);
  if (Number.isInteger(processes) && processes >= 1) return processes;
  throw new RangeError(
    `Number of processes must be at least 1, and whole: 'processes' is ${processes}`,
  );
}

function checkedLeast(least: number | undefined, most: number): number {
  if (least === undefined) return most;
  checkNumber("minProcesses", least);
  if (Number.isInteger(least) && least >= 0 && least <= most) return least;
  throw new RangeError(
    `Cannot create a pool as 'minProcesses' must be a whole number from 0 to ${most}: it is ${
      Deno.inspect(least)
    }`,
  );
}

function checkedIdle(timeout: number | undefined): number {
  if (timeout === undefined) return IDLE_TIMEOUT_MS;
  const ms = checkedTimeout(timeout);
  if (ms >= 0) return ms;
  throw new RangeError(
    `Cannot create a pool as 'idleTimeout' must be 0 ms or more: it is ${ms}`,
  );
}

function checkedStart(timeout: number | undefined): number {
  const ms = checkedTimeout(timeout);
  if (ms > 0) return ms;
  throw new RangeError(
    `Cannot create a pool as 'startTimeout' must be more than 0 ms: it is ${ms}`,
  );
}

function callable<F>(name: string, value: F | undefined): F | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "function") return value;
  throw new TypeError(`${name} must be a callable`);
}

function checkedArgs(
  args: readonly unknown[] | undefined,
): readonly unknown[] {
  if (args === undefined) return [];
  if (Array.isArray(args)) return args;
  throw new TypeError("initArgs must be an array");
}

function checkedMaxTasks(count: number | undefined): number {
  if (count === undefined || count === null) return Infinity;
  if (Number.isInteger(count) && count >= 1) return count;
  throw new RangeError("maxtasksperchild must be a positive int or None");
}

function checkedMemory(limitMb: number | undefined): number {
  if (limitMb === undefined) return Infinity;
  checkNumber("maxMemoryPerChildMb", limitMb);
  if (limitMb > 0) return limitMb;
  throw new RangeError(
    `Cannot create a pool as 'maxMemoryPerChildMb' must be more than 0: it is ${
      Deno.inspect(limitMb)
    }`,
  );
}

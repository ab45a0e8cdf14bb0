/**
 * What a pool tells of itself: frozen snapshots, for people and for programs that
 * watch over it.
 *
 * Runs in the parent.
 *
 * @module
 */

/** What a worker does. */
export type WorkerState = "starting" | "idle" | "busy" | "leaving" | "ended";

/** One worker of a pool at a moment. */
export interface WorkerStatistics {
  /** Name of its process. */
  readonly name: string;
  /** Its process; a thread has that of this program. */
  readonly pid: number | null;
  /** What tells it from others. */
  readonly ident: number | null;
  /** What it does. */
  readonly state: WorkerState;
  /** Tasks it has done; a chunk is one. */
  readonly tasks: number;
  /** Milliseconds from its start until it took tasks, `null` if not yet. */
  readonly startupMs: number | null;
  /** Milliseconds for which it has had tasks, without its start. */
  readonly busyMs: number;
  /** Milliseconds for which it has waited for tasks. */
  readonly waitingMs: number;
  /** The part of its time, from 0 to 1, for which it has had tasks. */
  readonly busyRatio: number;
  /**
   * MiB of memory in use when it last looked: all of a process, the JavaScript
   * heap of a thread. `null` if it has not looked yet.
   */
  readonly memoryMb: number | null;
}

/** The tasks of a pool at a moment; a call of `apply` is one, so is a chunk. */
export interface TaskStatistics {
  /** All there have been. */
  readonly submitted: number;
  /** Those that gave a result. */
  readonly done: number;
  /** Those that failed, whatever the reason. */
  readonly failed: number;
  /** Those that were given up. */
  readonly cancelled: number;
  /** Those that no worker has. */
  readonly waiting: number;
  /** Those that a worker has. */
  readonly held: number;
}

/** A pool at a moment. */
export interface PoolStatistics {
  /** The workers there are. */
  readonly workers: readonly WorkerStatistics[];
  /** Those that have ended, the last hundred of them. */
  readonly ended: readonly WorkerStatistics[];
  /** The tasks. */
  readonly tasks: TaskStatistics;
  /** Workers that have been started. */
  readonly started: number;
  /** Workers that were started in place of another one. */
  readonly restarts: number;
  /** Workers that ended without having been asked to. */
  readonly lost: number;
  /** Workers that were ended because they had done their number of tasks, or
   * used too much memory. */
  readonly recycled: number;
  /** Workers that were stopped because of a task: cancelled, or out of time. */
  readonly stopped: number;
}

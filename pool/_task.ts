/**
 * A unit of work: what is sent to a worker at once and answered at once. A call
 * of `apply` is one, and so is each chunk of a `map`.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { PoolWorker } from "./_pool_worker.ts";

/** What a task came to. */
export interface TaskOutcome {
  /** The kind of answer: `VALUE`, `FAILURE` or `CHUNK`. */
  readonly kind: number;
  /** The value, the error, or the results of the chunk. */
  readonly value: unknown;
}

/** See the module. */
export interface Task {
  /** Its number; rises with each submission. */
  readonly sequence: number;
  /** `CALL`, `EACH` or `EACH_SPREAD`. */
  readonly kind: number;
  /** Number of its function. */
  readonly fn: number;
  /** Index of its first item in its job. */
  readonly index: number;
  /** Its arguments, encoded. Kept until it is done, in case it has to move. */
  readonly body: Uint8Array;
  /** Longest run of one call in milliseconds; `Infinity` for no limit. */
  readonly timeoutMs: number;
  /** What it is called in an error. */
  readonly label: string;
  /** How often it may be run again after its worker died. */
  retries: number;
  /** Who has it, while somebody has. */
  worker: PoolWorker | undefined;
  /** Whether its job does not want its outcome any more. */
  isAbandoned: boolean;
  /** Stops its worker if it does not end after it was given up. */
  graceTimer: ReturnType<typeof setTimeout> | undefined;
  /** Told once. */
  readonly done: (outcome: TaskOutcome) => void;
}

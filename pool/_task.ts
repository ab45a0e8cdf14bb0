/**
 * A unit of work: what is sent to a worker at once and answered at once. A call
 * of `apply` is one, and so is each chunk of a `map`.
 *
 * ```
 *            +--------------- its worker died, and it has retries ------+
 *            v                                                          |
 *   submit: waiting --give()--> held by a worker, in its ring --taken--> running
 *            ^                        |                                 |
 *            +----- taken back -------+              answered, died, timed out
 *                                                                       v
 *                          settled (once), or abandoned: its job does not care
 * ```
 *
 * Runs in the parent.
 *
 * @module
 */
import type { TakeBacks } from "./_handles.ts";
import type { Parcel } from "./_parcel.ts";
import type { PoolWorker } from "./_pool_worker.ts";

/** Arguments, encoded: as they are, or apart if they are big. */
export type Body = Uint8Array | Parcel;

/** Whoever submitted a task and wants to know what it came to. */
export interface Job {
  /**
   * Told once of each of its tasks that it has not abandoned.
   *
   * @param task The task.
   * @param kind The kind of outcome: `VALUE`, `FAILURE` or `CHUNK`.
   * @param value The value, the error, or the results of the chunk.
   */
  ended(task: Task, kind: number, value: unknown): void;
}

/** How a task is to be run. */
export interface TaskSettings {
  /** Longest run of one call in milliseconds; `Infinity` for no limit. */
  readonly timeoutMs: number;
  /** How often it may be run again after its worker died. */
  readonly retries: number;
  /** Those with a higher one are run first. */
  readonly priority: number;
}

/** See the module. */
export class Task {
  /** Its number; rises with each submission. */
  readonly sequence: number;
  /** What kind of order it is. */
  readonly kind: number;
  /** Number of its function. */
  readonly fn: number;
  /** Name of its function, for errors. */
  readonly fnName: string;
  /** Index of its first item in its job. */
  readonly index: number;
  /** How many items it has, 0 if it is a call. */
  readonly count: number;
  /** How it is to be run. */
  readonly settings: TaskSettings;
  /** Who wants to know. */
  readonly job: Job;
  /** Its arguments, encoded, while no worker has them. */
  body: Uint8Array | undefined;
  /** Where they lie if they are big, and what `body` says then is only where. */
  parcel: Parcel | undefined;
  /** What takes back the handles in them, if there are any. */
  handles: TakeBacks | undefined;
  /** How many bytes they are. */
  byteLength = 0;
  /**
   * Encodes its arguments once more, if it may be run again. The bytes are not
   * kept for that, because a handle of a shared object in them stands for one
   * reference, which whoever decodes them takes.
   */
  readonly encodeAgain: (() => Body) | undefined;
  /** How often it may still be run again. */
  retriesLeft: number;
  /** Who has it, while somebody has. */
  worker: PoolWorker | undefined;
  /** Name of the worker that had it last, for errors. */
  workerName = "";
  /** Whether its job does not want its outcome any more. */
  isAbandoned = false;
  /** Whether its outcome is known: everything after that is too late. */
  isSettled = false;
  /** Stops its worker if it does not end after it was given up. */
  graceTimer: ReturnType<typeof setTimeout> | undefined;

  /** Notes a task down. */
  constructor(
    sequence: number,
    kind: number,
    fn: number,
    fnName: string,
    index: number,
    count: number,
    settings: TaskSettings,
    job: Job,
    encodeAgain: (() => Body) | undefined,
  ) {
    this.sequence = sequence;
    this.kind = kind;
    this.fn = fn;
    this.fnName = fnName;
    this.index = index;
    this.count = count;
    this.settings = settings;
    this.job = job;
    this.encodeAgain = encodeAgain;
    this.retriesLeft = settings.retries;
  }

  /**
   * Puts its arguments by until a worker gets them.
   *
   * @param body The arguments.
   */
  keep(body: Body): void {
    this.dropParcel();
    if (body instanceof Uint8Array) this.body = body;
    else {
      this.parcel = body;
      this.body = body.place;
    }
  }

  /** Gives up its arguments if no worker has them. */
  dropBody(): void {
    if (this.body !== undefined) this.giveBack();
  }

  /** Gives up its arguments, which nobody will decode. */
  giveBack(): void {
    this.body = undefined;
    this.handles?.forEach((takeBack) => takeBack());
    this.handles = undefined;
  }

  /** Frees what lies apart; no worker may be reading it. */
  dropParcel(): void {
    this.parcel?.free();
    this.parcel = undefined;
  }

  /** What it is called in an error. */
  get label(): string {
    return labelOf(this.fnName, this.index, this.count);
  }

  /**
   * The same for one of its items.
   *
   * @param item Position in the chunk.
   */
  labelAt(item: number): string {
    if (this.count === 0) return this.label;
    return labelOf(this.fnName, this.index + item, 1);
  }
}

/** What a task is called: `task "square" for items 8 to 11`. */
function labelOf(fnName: string, index: number, count: number): string {
  const name = `task "${fnName || "anonymous"}"`;
  if (count === 0) return name;
  if (count === 1) return `${name} for item ${index}`;
  return `${name} for items ${index} to ${index + count - 1}`;
}

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
import type { Message } from "../memory/mod.ts";
import { carriedBy, giveBack } from "./_carried.ts";
import type { Carried } from "./_carried.ts";
import { Parcel } from "./_parcel.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import { Shelf } from "./_shelf.ts";

/** Arguments, encoded: as they are, or apart if they are big. */
export type Body = Uint8Array | Parcel;

/** Whoever submitted a task and wants to know what it came to. */
export interface Job {
  /** Whether `ended()` runs nothing of the user's: no callbacks, no iterators. */
  readonly isQuiet: boolean;
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

/** What there is to do: the same for all tasks of a job, and for calls alike. */
export interface Work {
  /** What kind of order it is. */
  readonly kind: number;
  /** Number of its function. */
  readonly fn: number;
  /** Name of its function, for errors. */
  readonly fnName: string;
  /** How it is to be run. */
  readonly settings: TaskSettings;
}

/** Where small arguments wait. */
const shelf = new Shelf();

/** What only few tasks have. */
class Extras {
  parcel: Parcel | undefined;
  carried: Carried | undefined;
  encodeAgain: (() => Body) | undefined;
  retriesLeft = 0;
  graceTimer: ReturnType<typeof setTimeout> | undefined;
}

/**
 * See the module. Of those that wait there may be 100,000, which the collector has
 * to move twice: so what few of them have is apart.
 */
export class Task {
  /** Its number; rises with each submission. */
  readonly sequence: number;
  /** What there is to do. */
  readonly work: Work;
  /** Index of its first item in its job. */
  readonly index: number;
  /** How many items it has, 0 if it is a call. */
  readonly count: number;
  /** Who wants to know. */
  readonly job: Job;
  /** Its arguments, encoded, while no worker has them: these bytes, */
  #bytes: Uint8Array | undefined;
  /** or those of them from here on, if they are on a shelf; else -1. */
  #from = -1;
  /** How many bytes they are. */
  byteLength = 0;
  #extras: Extras | undefined;
  /** Who has it, while somebody has. */
  worker: PoolWorker | undefined;
  /** Name of the worker that had it last, for errors. */
  workerName = "";
  /** Whether its job does not want its outcome any more. */
  isAbandoned = false;
  /** Whether its outcome is known: everything after that is too late. */
  isSettled = false;

  /** Notes a task down. */
  constructor(
    sequence: number,
    work: Work,
    index: number,
    count: number,
    job: Job,
  ) {
    this.sequence = sequence;
    this.work = work;
    this.index = index;
    this.count = count;
    this.job = job;
  }

  get #some(): Extras {
    return this.#extras ??= new Extras();
  }

  /** Where its arguments lie if they are big: `body` then only says where. */
  get parcel(): Parcel | undefined {
    return this.#extras?.parcel;
  }

  /** What its arguments carry besides their bytes, if anything. */
  set carried(carried: Carried | undefined) {
    if (carried || this.#extras) this.#some.carried = carried;
  }

  /** The shared buffers that its arguments refer to, if there are any. */
  get buffers(): readonly SharedArrayBuffer[] | undefined {
    return this.#extras?.carried?.buffers;
  }

  /** Stops its worker if it does not end after it was given up. */
  get graceTimer(): ReturnType<typeof setTimeout> | undefined {
    return this.#extras?.graceTimer;
  }

  set graceTimer(timer: ReturnType<typeof setTimeout>) {
    this.#some.graceTimer = timer;
  }

  /**
   * Says how it can be run again. Its arguments are encoded once more for that: a
   * handle of a shared object in the bytes stands for one reference, which whoever
   * decodes them takes.
   *
   * @param times How often.
   * @param encode Encodes its arguments.
   */
  allowRetries(times: number, encode: () => Body): void {
    this.#some.retriesLeft = times;
    this.#some.encodeAgain = encode;
  }

  /**
   * Makes ready for another run if there may be one.
   *
   * @returns Whether there may.
   * @throws What encoding its arguments throws.
   */
  retry(): boolean {
    const extras = this.#extras;
    if (!extras?.encodeAgain || extras.retriesLeft === 0) return false;
    extras.retriesLeft--;
    this.dropParcel();
    const body = extras.encodeAgain();
    this.keep(body);
    this.carried = carriedBy(body);
    return true;
  }

  /** Whether its arguments are here: no worker has them. */
  get hasBody(): boolean {
    return this.#bytes !== undefined;
  }

  /** Its arguments, encoded, while no worker has them. */
  get body(): Uint8Array | undefined {
    if (this.#from < 0) return this.#bytes;
    return this.#bytes?.subarray(this.#from, this.#from + this.byteLength);
  }

  /**
   * Puts its arguments by until a worker gets them.
   *
   * @param body The arguments; what is to be kept of a message is copied.
   */
  keep(body: Body | Message): void {
    this.dropParcel();
    this.#from = -1;
    this.byteLength = body.byteLength;
    if (body instanceof Uint8Array) this.#bytes = body;
    else if (body instanceof Parcel) {
      this.#some.parcel = body;
      this.#bytes = body.place;
    } else {
      this.#from = shelf.put(body);
      this.#bytes = shelf.bytes;
    }
  }

  /**
   * Has its arguments again: no worker has taken them.
   *
   * @param bytes What was in the order, to keep.
   */
  takeIn(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#from = -1;
  }

  /** Says that a worker has its arguments now. */
  handOver(): void {
    this.#bytes = undefined;
  }

  /** Gives up its arguments if no worker has them. */
  dropBody(): void {
    if (this.hasBody) this.giveBack();
  }

  /** Gives up its arguments, which nobody will decode. */
  giveBack(): void {
    this.#bytes = undefined;
    if (!this.#extras) return;
    giveBack(this.#extras.carried);
    this.#extras.carried = undefined;
  }

  /** Frees what lies apart; no worker may be reading it. */
  dropParcel(): void {
    this.takeParcel()?.free();
  }

  /** Hands over what lies apart, to be freed when no worker can be reading it. */
  takeParcel(): Parcel | undefined {
    const parcel = this.#extras?.parcel;
    if (parcel) this.#some.parcel = undefined;
    return parcel;
  }

  /** What it is called in an error. */
  get label(): string {
    return labelOf(this.work.fnName, this.index, this.count);
  }

  /**
   * The same for one of its items.
   *
   * @param item Position in the chunk.
   */
  labelAt(item: number): string {
    if (this.count === 0) return this.label;
    return labelOf(this.work.fnName, this.index + item, 1);
  }
}

/** What a task is called: `task "square" for items 8 to 11`. */
function labelOf(fnName: string, index: number, count: number): string {
  const name = `task "${fnName || "anonymous"}"`;
  if (count === 0) return name;
  if (count === 1) return `${name} for item ${index}`;
  return `${name} for items ${index} to ${index + count - 1}`;
}

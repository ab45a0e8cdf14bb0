/**
 * Who is left asleep. To wake a worker takes longer than a short task, and one
 * that is woken seldom runs cold code: 64 workers on 2 cores took more than twice
 * as long for the same short tasks as 2 did. So while all that have something to
 * do are *brisk*, no more of them are given tasks than the machine has cores. The
 * others are the reserve.
 *
 * **Nobody waits for nothing.** What a task takes is known only afterwards: a long
 * one may come after a thousand short ones. So as long as somebody is left asleep,
 * a timer looks at each busy worker. If one has answered nothing between two
 * looks, twice as many as before are called up, and are given among others what
 * lies behind the long task; if all have answered, the reserve is what it was. (It
 * is not called up as a whole, because a worker may only have lost its processor
 * for a moment.) The timer is gone with the last task.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { PoolWorker } from "./_pool_worker.ts";

/** Time between two looks, in milliseconds. */
const LOOK_MS = 10;

/** What the reserve needs its owner for. */
export interface ReserveEvents {
  /** Take the answers that are there. */
  collect(): void;
  /** Give tasks to those who may have some. */
  pump(): void;
}

/** What is looked at of a crew. */
export interface WatchedCrew {
  /** All workers. */
  readonly workers: ReadonlySet<Watched>;
  /** Those who start or have tasks. */
  readonly awaited: ReadonlySet<Watched>;
}

/** What is looked at of a worker. */
export type Watched = Pick<PoolWorker, "tasks" | "isBrisk" | "answered">;

/** See the module. */
export class Reserve {
  readonly #crew: WatchedCrew;
  readonly #events: ReserveEvents;
  readonly #enough: number;
  /** How many may be busy at present. */
  #allowed: number;
  /** How much each busy worker had answered at the last look. */
  readonly #answered = new Map<Watched, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param crew The workers.
   * @param events What it needs its owner for.
   * @param enough How many brisk workers keep the machine busy.
   */
  constructor(
    crew: WatchedCrew,
    events: ReserveEvents,
    enough: number = navigator.hardwareConcurrency,
  ) {
    this.#crew = crew;
    this.#events = events;
    this.#enough = this.#allowed = enough;
  }

  /** How many of those who have nothing to do may be given something. */
  get wakeable(): number {
    if (this.#crew.workers.size <= this.#allowed) return Infinity;
    let busy = 0;
    for (const worker of this.#crew.awaited) {
      if (worker.tasks.size === 0) continue;
      if (!worker.isBrisk) return Infinity;
      busy++;
    }
    return Math.max(0, this.#allowed - busy);
  }

  /** To be called by whoever leaves somebody asleep, after giving out tasks. */
  watch(): void {
    if (this.#timer !== undefined) return;
    this.#answered.clear();
    for (const worker of this.#crew.awaited) {
      if (worker.tasks.size > 0) this.#answered.set(worker, worker.answered);
    }
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  /** To be called when there are no tasks any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#allowed = this.#enough;
    this.#answered.clear();
  }

  #look(): void {
    // The parent may have been busy for long: answers lie there.
    this.#events.collect();
    this.#timer = undefined;
    this.#allowed = this.#hasStalled() ? this.#allowed * 2 : this.#enough;
    this.#events.pump();
  }

  /** Whether somebody has been at the same task since the last look. */
  #hasStalled(): boolean {
    for (const [worker, answered] of this.#answered) {
      if (worker.tasks.size > 0 && worker.answered === answered) return true;
    }
    return false;
  }
}

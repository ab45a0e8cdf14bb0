/**
 * Tells users how things go: their callbacks, their progress.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { Progress } from "./options.ts";

/** Least milliseconds between two reports of progress, but for the last one. */
const PROGRESS_EVERY_MS = 100;

/** Calls a user's callback; what it throws is not the result's fault. */
export function called<V>(
  callback: ((value: V) => unknown) | undefined,
  value: V,
): void {
  if (!callback) return;
  try {
    callback(value);
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
    if (this.#total === total) return;
    this.#total = total;
    // The last of them may have been counted before.
    if (this.#done + this.#failed === total) this.#tell(performance.now());
  }

  /** Counts items. */
  add(done: number, failed: number): void {
    if (!this.#report) return;
    this.#done += done;
    this.#failed += failed;
    const nowMs = performance.now();
    const isLast = this.#done + this.#failed === this.#total;
    if (!isLast && nowMs - this.#reportedMs < PROGRESS_EVERY_MS) return;
    this.#tell(nowMs);
  }

  #tell(nowMs: number): void {
    this.#reportedMs = nowMs;
    const ended = this.#done + this.#failed;
    const rate = ended / Math.max(nowMs - this.#startMs, 1e-3) * 1000;
    const left = this.#total === null ? null : this.#total - ended;
    called(this.#report, {
      done: this.#done,
      failed: this.#failed,
      total: this.#total,
      rate,
      etaMs: left === null || rate === 0 ? null : left / rate * 1000,
    });
  }
}

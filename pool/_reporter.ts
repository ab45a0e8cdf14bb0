/**
 * Tells users how things go: their callbacks, their progress.
 *
 * Runs in the parent.
 *
 * @module
 */
import { getLogState, log } from "../_log.ts";
import { asText } from "./_failures.ts";
import type { Progress } from "./options.ts";

/** Least milliseconds between two reports of progress, but for the last one. */
const PROGRESS_EVERY_MS = 100;

/** What of the user's is called back. */
type Callback = "callback" | "errorCallback" | "onProgress";

/**
 * Calls a user's callback. What it throws, or its promise rejects with, is not the
 * result's fault, and must not end the program: whoever waits for the result waits
 * for other work, too.
 *
 * @param name What to call it in what is told of its error.
 * @param callback The callback, if there is one.
 * @param value What it is told.
 */
export function called<V>(
  name: Callback,
  callback: ((value: V) => unknown) | undefined,
  value: V,
): void {
  if (!callback) return;
  const complain = (error: unknown) => complainOf(`the '${name}'`, error);
  try {
    const returned = callback(value);
    if (returned instanceof Promise) returned.catch(complain);
  } catch (error) {
    complain(error);
  }
}

/**
 * Tells of an error of a source while it is closed, for whoever does not wait for
 * that.
 */
export function complainOfSource(error: unknown): void {
  complainOf("the end of the source", error);
}

/**
 * Tells of an error in code of the user's that nobody waits for. Not by
 * `reportError()`: that ends the program if nobody listens, and a child even if
 * somebody does.
 */
function complainOf(what: string, error: unknown): void {
  const text = `Error in ${what} of a pool's work: ${inspected(error)}`;
  log.error(text);
  // The logger is silent until somebody asks for it.
  if (!getLogState().toStderr) console.error(text);
}

/** An error with its stack and its causes. */
function inspected(error: unknown): string {
  try {
    return Deno.inspect(error);
  } catch {
    return asText(error); // it refuses to be shown
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
    called("onProgress", this.#report, {
      done: this.#done,
      failed: this.#failed,
      total: this.#total,
      rate,
      etaMs: left === null || rate === 0 ? null : left / rate * 1000,
    });
  }
}

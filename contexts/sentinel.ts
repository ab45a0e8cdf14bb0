/**
 * {@linkcode Sentinel}: what stands for the end of a process in `wait()`.
 *
 * Runs in the parent.
 *
 * @module
 */

import { becomesReady } from "../primitives/waitable.ts";

/** Becomes ready when its process has ended, and stays so. */
export class Sentinel {
  static {
    becomesReady(this, (sentinel) => ({
      ready: () => sentinel.#hasEnded(),
      promise: () => sentinel.#ended,
    }));
  }

  readonly #hasEnded: () => boolean;
  readonly #ended: Promise<unknown>;

  /**
   * Not for users: a Process makes it.
   *
   * @param hasEnded Tells whether the process has ended.
   * @param ended Fulfilled when it has.
   */
  constructor(hasEnded: () => boolean, ended: Promise<unknown>) {
    this.#hasEnded = hasEnded;
    this.#ended = ended;
  }

  /** Whether the process has ended. */
  get ready(): boolean {
    return this.#hasEnded();
  }

  /** Fulfilled when it has. */
  get ended(): Promise<unknown> {
    return this.#ended;
  }
}

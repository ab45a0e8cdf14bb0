/**
 * {@linkcode Sentinel}: what stands for the end of a process in `wait()`.
 *
 * Runs in the parent.
 *
 * @module
 */

import { becomesReady } from "../primitives/waitable.ts";

/**
 * Becomes ready when its process has ended, and stays so.
 *
 * @example Waiting for several processes
 * ```ts
 * import { Process, sleep, wait } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const quick = new Process({ target: sleep, args: [1] });
 * const slow = new Process({ target: sleep, args: [60_000] });
 * quick.start();
 * slow.start();
 * const ready = await wait([quick.sentinel, slow.sentinel]);
 * assertEquals(ready, [quick.sentinel]);
 * slow.terminate();
 * await slow.join();
 * ```
 */
export class Sentinel {
  static {
    becomesReady(this, (sentinel) => ({
      ready: () => sentinel.#hasEnded(),
      promise: (signal) => sentinel.#untilEnded(signal),
    }));
  }

  readonly #hasEnded: () => boolean;
  readonly #ended: Promise<unknown>;
  readonly #waiters: Set<() => void>;

  /**
   * Not for users: a Process makes it.
   *
   * @param hasEnded Tells whether the process has ended.
   * @param ended Fulfilled when it has.
   * @param waiters Told when it has.
   */
  constructor(
    hasEnded: () => boolean,
    ended: Promise<unknown>,
    waiters: Set<() => void>,
  ) {
    this.#hasEnded = hasEnded;
    this.#ended = ended;
    this.#waiters = waiters;
  }

  /** Fulfilled when it has ended; forgotten when nobody waits any more. */
  #untilEnded(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add(resolve);
    signal.addEventListener("abort", () => this.#waiters.delete(resolve));
    return promise;
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

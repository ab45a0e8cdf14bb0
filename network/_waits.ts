/**
 * Waiting for something that happens in this process: a message that was read, a
 * client that was let in. (What happens in shared memory is waited for in
 * `memory/waiting.ts`.)
 *
 * Whoever waits attempts; when something has happened, {@linkcode Waits.look} lets
 * them attempt again, oldest first. There is one thread, an attempt is made before
 * the waiter is in the line, and each change is followed by a look: so no wake-up
 * is lost.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { checkedLimits, LONGEST_TIMER_MS } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";

/** What an attempt gives when it did not succeed. */
export const NOT_YET: unique symbol = Symbol("not yet");
/** What a wait gives when its time ran out. */
export const TIMED_OUT: unique symbol = Symbol("timed out");

/** One wait in progress. */
interface Waiter {
  readonly attempt: () => unknown;
  /** Whether it takes what it finds: then those behind it find nothing either. */
  readonly isTaker: boolean;
  resolve(outcome: unknown): void;
  reject(error: unknown): void;
}

/** See the module. */
export class Waits {
  readonly #waiters = new Set<Waiter>();
  readonly #onBusy: (isBusy: boolean) => void;

  /**
   * Starts with nobody waiting.
   *
   * @param onBusy Told when somebody waits and when nobody waits any more.
   */
  constructor(onBusy: (isBusy: boolean) => void) {
    this.#onBusy = onBusy;
  }

  /**
   * Waits until an attempt succeeds. The first is made before this returns.
   *
   * @param attempt Gives what it found, {@linkcode NOT_YET}, or throws.
   * @param options How long to wait.
   * @param isTaker Whether it takes what it finds.
   * @returns What the attempt gave, or {@linkcode TIMED_OUT}.
   */
  async wait<T>(
    attempt: () => T | typeof NOT_YET,
    options: WaitOptions,
    isTaker: boolean,
  ): Promise<T | typeof TIMED_OUT> {
    const { timeout, signal } = checkedLimits(options);
    const first = attempt();
    if (first !== NOT_YET) return first;
    if (timeout <= 0) return TIMED_OUT;

    const { promise, resolve, reject } = Promise.withResolvers<
      T | typeof TIMED_OUT
    >();
    const waiter: Waiter = {
      attempt,
      isTaker,
      resolve: resolve as (outcome: unknown) => void,
      reject,
    };
    // In the line before there are limits, which take it out of the line.
    this.#waiters.add(waiter);
    if (this.#waiters.size === 1) this.#onBusy(true);
    const limits = limit({ timeout, signal }, {
      onTimeout: () => this.#remove(waiter) && resolve(TIMED_OUT),
      onAbort: () => this.#remove(waiter) && reject(signal?.reason),
    });
    try {
      return await promise;
    } finally {
      limits.lift();
    }
  }

  /** Something has happened: lets the waiters attempt. */
  look(): void {
    let isEmpty = false;
    for (const waiter of [...this.#waiters]) {
      if (waiter.isTaker && isEmpty) continue;
      try {
        const outcome = waiter.attempt();
        if (outcome === NOT_YET) isEmpty ||= waiter.isTaker;
        else if (this.#remove(waiter)) waiter.resolve(outcome);
      } catch (error) {
        if (this.#remove(waiter)) waiter.reject(error);
      }
    }
  }

  #remove(waiter: Waiter): boolean {
    const was = this.#waiters.delete(waiter);
    if (was && this.#waiters.size === 0) this.#onBusy(false);
    return was;
  }
}

/** What ends a wait before its time; see {@linkcode limit}. */
export interface Limits {
  /** It is over: forgets the timer and the signal. */
  lift(): void;
}

/**
 * Sets the limits of a wait. They strike in a later turn of the event loop, however
 * short the time.
 *
 * @param options The time, checked, and the signal, which is not aborted yet.
 * @param on What to do when they strike.
 * @param graceMs Time that there is beyond that, counted from a turn of its own.
 */
export function limit(
  { timeout = Infinity, signal }: WaitOptions,
  on: { onTimeout: () => void; onAbort: () => void },
  graceMs: number = 0,
): Limits {
  let grace = graceMs;
  const deadline = performance.now() + timeout;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const sleep = (ms: number) => {
    const rounded = Math.max(Math.ceil(ms), 0);
    timer = setTimeout(strike, Math.min(rounded, LONGEST_TIMER_MS));
  };
  const strike = () => {
    const leftMs = deadline - performance.now();
    // A timer may strike a little early.
    if (leftMs > 0) return sleep(leftMs);
    if (grace <= 0) return on.onTimeout();
    sleep(grace);
    grace = 0;
  };
  if (timeout !== Infinity) sleep(timeout);
  signal?.addEventListener("abort", on.onAbort);
  return {
    lift: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", on.onAbort);
    },
  };
}

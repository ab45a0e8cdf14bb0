/**
 * What objects of the server have in common that know who calls them: the types of
 * this library. Objects of users' types are called without that.
 *
 * Runs in the server.
 *
 * @module
 */
import { checkedTimeout, LONGEST_TIMER_MS } from "../memory/mod.ts";

/** A client, as an object of the server sees it. */
export interface Caller {
  /** Whether it has ended, or its connection has. */
  readonly isGone: boolean;
  /** Whether it belongs to the program of the server. */
  readonly isFamily: boolean;
  /**
   * Has something done when it is gone.
   *
   * @param listener Told whether it ended without saying so.
   * @returns Takes it back.
   */
  onGone(listener: (hasCrashed: boolean) => void): () => void;
}

/** A call. */
export interface Call {
  /** Who calls. */
  readonly client: Caller;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /**
   * Says that the result has been taken from others: unless it arrives, it has to
   * go back.
   *
   * @param undo Gives it back, at once or as soon as that can be done.
   */
  taken(undo: () => unknown): void;
}

/** How long to wait, as it comes in a message. */
export interface Patience {
  /** Whether to wait at all. */
  readonly block?: boolean | undefined;
  /** How long, in milliseconds. */
  readonly timeout?: number | undefined;
}

/** An object whose methods get the call as their first argument. */
export abstract class ManagedObject {
  /** A copy of it as plain data. */
  toPlain(): unknown {
    return this.toText();
  }

  /** Its description. */
  abstract toText(): string;

  /** What it holds, to find objects in it. */
  contents(): Iterable<unknown> {
    return [];
  }

  /** Ends what it does, as it is not needed any more. */
  drop(): void {}
}

/** Somebody in a {@linkcode Line}. */
interface Waiter {
  attempt(): void;
}

/**
 * Those who wait for a change of an object, in their order. Whoever changes it lets
 * them look, and there is one thread: no change is missed.
 */
export class Line {
  readonly #waiters = new Set<Waiter>();

  /** How many wait. */
  get length(): number {
    return this.#waiters.size;
  }

  /**
   * Waits until an attempt gives something.
   *
   * @param call On whose behalf.
   * @param patience How long.
   * @param attempt Gives something, or `undefined` if it is too early.
   * @returns What it gave; `undefined` if the time ran out.
   * @throws The reason why nobody waits for the answer any more.
   */
  async wait<T>(
    { signal }: Pick<Call, "signal">,
    { block = true, timeout }: Patience,
    attempt: () => T | undefined,
  ): Promise<T | undefined> {
    const ms = block ? checkedTimeout(timeout) : 0;
    signal.throwIfAborted();
    const first = attempt();
    if (first !== undefined || ms <= 0) return first;
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    // Out of the line at once, not when the promise is heard of: whoever has given
    // up must not take anything in the meantime.
    const waiter: Waiter = {
      attempt: () => {
        const outcome = attempt();
        if (outcome !== undefined && this.#waiters.delete(waiter)) {
          resolve(outcome);
        }
      },
    };
    const giveUp = (settle: () => void) => {
      if (this.#waiters.delete(waiter)) settle();
    };
    const timer = ms === Infinity ? undefined : setTimeout(
      () => giveUp(() => resolve(undefined)),
      Math.min(ms, LONGEST_TIMER_MS),
    );
    const onAbort = () => giveUp(() => reject(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiters.add(waiter);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Something has changed: lets them attempt, oldest first. */
  look(): void {
    for (const waiter of [...this.#waiters]) {
      // One that was looked at before may have sent it away.
      if (this.#waiters.has(waiter)) waiter.attempt();
    }
  }
}

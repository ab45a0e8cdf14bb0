/**
 * The order in which the operations of one object take place: two calls of
 * `get()`, made one after the other, get two items one after the other, and no
 * later call overtakes one that waits.
 *
 * `Waiting` alone does not promise that: it lets a newcomer try at once, which
 * is right between participants (nobody idles while there is an item), but
 * within one it would swap the answers of two requests.
 *
 * **Blocking calls** are the exception to the rule that each serves itself. While
 * a thread blocks, those of its own calls that wait in the event loop cannot go
 * on; so the blocking call serves them first, in order, and they find their
 * outcome when the thread is back.
 *
 * **No wake-up is lost.** A wake-up is a duty to try. The first in line tries; if
 * it fails, those behind it would fail too, or have to wait for the sake of the
 * order. If it succeeds or throws, the next is tried in the same go, as they are
 * in line with `Waiting` in the same order. And one that gives up is out of the
 * line in the same instant in which its wait is over, not when its promise is
 * settled: in between, those behind it would decline for the sake of somebody who
 * does not want it any more, and nobody would call them again.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { checkedLimits, NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Attempt, Waiting, WaitOptions } from "../memory/mod.ts";

/** One call that waits for its turn. */
interface Turn {
  readonly attempt: Attempt<unknown>;
  /** What to try while it is not the first. */
  readonly early: Attempt<unknown> | undefined;
  /** What it gave, if a blocking call has made it. */
  outcome:
    | { readonly value: unknown }
    | { readonly error: unknown }
    | undefined;
}

/** The line before one key. */
export class Turns {
  readonly #waiting: Waiting;
  readonly #keys: readonly number[];
  readonly #line = new Set<Turn>();

  /**
   * Opens the line.
   *
   * @param waiting Where to wait.
   * @param key What is waited for.
   */
  constructor(waiting: Waiting, key: number) {
    this.#waiting = waiting;
    this.#keys = [key];
  }

  /** Tries once, unless somebody is waiting already. */
  now<T>(attempt: Attempt<T>): T | typeof NOT_YET {
    return this.#line.size === 0 ? attempt() : NOT_YET;
  }

  /**
   * Waits for its turn and until the attempt succeeds.
   *
   * @param attempt What to try.
   * @param options How long to wait.
   * @param isEager Whether it is likely to be over soon.
   * @default isEager {false}
   * @param early What to try while others are before it: what takes nothing
   * from them.
   * @returns What the attempt gave, or {@linkcode TIMED_OUT}.
   */
  async wait<T>(
    attempt: Attempt<T>,
    options: WaitOptions,
    isEager = false,
    early?: Attempt<T>,
  ): Promise<T | typeof TIMED_OUT> {
    const { timeout } = checkedLimits(options);
    const first = this.now(attempt);
    if (first !== NOT_YET) return first;
    if (timeout <= 0) return TIMED_OUT;

    const turn: Turn = { attempt, early, outcome: undefined };
    this.#line.add(turn);
    let outcome: T | typeof TIMED_OUT;
    if (isEager) this.#waiting.beEager(true);
    try {
      outcome = await this.#waiting.wait<T>(
        this.#keys,
        () => this.#take<T>(turn),
        options,
        { looksAgain: true, onEnd: () => this.#line.delete(turn) },
      );
    } catch (error) {
      // What was taken for it before it was aborted is not lost.
      if (!turn.outcome) throw error;
      return settled(turn.outcome);
    } finally {
      if (isEager) this.#waiting.beEager(false);
      this.#line.delete(turn); // a first attempt may throw before the wait begins
    }
    return outcome === TIMED_OUT && turn.outcome
      ? settled(turn.outcome)
      : outcome;
  }

  /**
   * The same, blocking the thread; those who wait already come first.
   *
   * @param attempt What to try.
   * @param options How long to wait.
   * @returns What the attempt gave, or {@linkcode TIMED_OUT}.
   */
  waitSync<T>(
    attempt: Attempt<T>,
    options: WaitOptions,
  ): T | typeof TIMED_OUT {
    if (this.#line.size === 0) {
      return this.#waiting.waitSync(this.#keys, attempt, options);
    }
    const before = this.#line.size;
    try {
      return this.#waiting.waitSync(
        this.#keys,
        () => this.#serve() ? attempt() : NOT_YET,
        options,
      );
    } finally {
      if (this.#line.size < before) this.#waiting.wake(this.#keys[0]!);
    }
  }

  #take<T>(turn: Turn): T | typeof NOT_YET {
    if (turn.outcome) return settled(turn.outcome);
    const attempt = this.#first() === turn ? turn.attempt : turn.early;
    if (!attempt) return NOT_YET;
    let outcome: unknown = undefined;
    try {
      return (outcome = attempt()) as T | typeof NOT_YET;
    } finally {
      // At once, not when the promise is settled: the next may be tried first.
      if (outcome !== NOT_YET) this.#line.delete(turn);
    }
  }

  /** Makes the attempts of those who wait; returns whether all succeeded. */
  #serve(): boolean {
    for (let turn; (turn = this.#first());) {
      try {
        const value = turn.attempt();
        if (value === NOT_YET) return false;
        turn.outcome = { value };
      } catch (error) {
        turn.outcome = { error };
      }
      this.#line.delete(turn);
    }
    return true;
  }

  #first(): Turn | undefined {
    return this.#line.values().next().value;
  }
}

function settled<T>(outcome: NonNullable<Turn["outcome"]>): T {
  if ("error" in outcome) throw outcome.error;
  return outcome.value as T;
}

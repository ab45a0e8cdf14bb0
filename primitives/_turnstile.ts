/**
 * The line in front of something that only so many can have: how they wait, whom
 * a release wakes, and that nobody waits for ever because others are quicker.
 *
 * **Barging.** A release makes the thing free and wakes the longest waiting;
 * whoever comes by before that one is up takes it first. Handing it over
 * directly would be fairer, and slow: each pair of acquire and release would
 * cost a wake-up, and one busy event loop that has been handed a lock would
 * hold up everybody else. But with barging alone, a loop of `acquire(); work();
 * release();` in one process keeps others out for good: it is back a microsecond
 * after each release, and waking takes twenty. Two rules prevent that.
 *
 * **Among the tasks of one participant** there is a line, and only the first in it
 * attempts. If the thing is free and somebody is in line, it was another
 * participant that was woken for it; that one may be slow, so a newcomer wakes
 * the next, be it another or the first in line here.
 *
 * **Between participants**, a waiter that has been overtaken after waiting for
 * {@linkcode PATIENCE_MS} asks for courtesy (`ASKED`). The next release that
 * finds the request owes it: acquiring again, it holds
 * back until the one who asked has had its turn (`TURNS`), or for
 * {@linkcode COURTESY_MS} at most. So a waiter who has died or is busy delays
 * others by a millisecond and never blocks them. (Go's mutex has a "starvation
 * mode" for the same reason, also after 1 ms; it hands over directly, which is
 * right for threads and wrong for event loops.)
 *
 * Words, from the first the turnstile is given:
 *
 * - `WAITERS`: how many calls are waiting, or about to · they add and subtract
 *   one · who releases. Too high if one was killed: that costs time only.
 * - `ASKED`: token of somebody who asks for courtesy, 0 for nobody · those who
 *   wait, and who releases · who releases. A hint: losing it costs time only.
 * - `TURNS`: how often somebody who had asked got it · they add one · those who
 *   hold back.
 *
 * **Most releases wake nobody,** and see that by one look at `WAITERS`. Whoever waits
 * counts itself before it attempts, and whoever releases looks after it has freed:
 * if the release does not see the count, the attempt sees what was freed.
 *
 * **A holder that was killed** is buried by its parent. Should that one be busy, those
 * who wait find out by themselves, after half a second: they look again without
 * being woken (`Manner.looksAgain`), and ask.
 *
 * **Why no wake-up is lost.** To be woken is a duty to attempt (`Waiting`). The
 * first in line attempts whenever anybody of the line is woken, for they wait in
 * the same order there as here; if it succeeds, it is out of the line at once and
 * the next attempts. One that gives up leaves the line a moment after it has
 * stopped waiting, so it wakes the next then. Whoever holds back attempts when
 * its courtesy ends, and that has a limit in time.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  checkedTimeout,
  checkSignal,
  keyOf,
  NOT_YET,
  TIMED_OUT,
} from "../memory/mod.ts";
import type { Attempt, WaitOptions } from "../memory/mod.ts";
import type { Block } from "./block.ts";

/** How long to wait before asking for courtesy, in milliseconds. */
const PATIENCE_MS = 1;
/** How long to hold back at most: some fifty times what waking takes. */
const COURTESY_MS = 1;
/**
 * How long to wait before asking the system whether the holder has ended, and
 * before doing so again, in milliseconds. Whoever is to bury it may be
 * calculating.
 */
const SUSPICION_MS = 500;

/**
 * Tries once.
 *
 * @param isSuspicious Whether to ask if a holder that counts as alive has ended:
 * that takes some 20 µs.
 */
export type TurnAttempt<T> = (isSuspicious: boolean) => T | typeof NOT_YET;

/** How many words a turnstile needs. */
export const TURNSTILE_WORDS = 3;

/** See the module. */
export class Turnstile {
  readonly #block: Block;
  readonly #words: Int32Array;
  readonly #waiters: number;
  readonly #asked: number;
  readonly #turns: number;
  readonly #keys: readonly [number];
  /** The tasks of this participant that wait, the first to come first. */
  readonly #line = new Set<Turn<unknown>>();
  /** When the courtesy owed ends, 0 if none is owed. */
  #owedUntilMs = 0;
  /** What `TURNS` said when it began. */
  #turnsSeen = 0;

  /**
   * The turnstile of a block, the same for all objects of this thread that stand
   * for it. See {@linkcode Block.inCommon}.
   */
  static of(block: Block, word: number): Turnstile {
    return block.inCommon(() => new Turnstile(block, word));
  }

  /**
   * Opens the turnstile of a block.
   *
   * @param block The block; its offset is the key of the waiting.
   * @param word Index of the first of its {@linkcode TURNSTILE_WORDS}.
   */
  constructor(block: Block, word: number) {
    this.#block = block;
    this.#words = block.words;
    this.#waiters = word;
    this.#asked = word + 1;
    this.#turns = word + 2;
    this.#keys = [keyOf(block.offset)];
  }

  /** Whether a newcomer may try at once, without {@linkcode Turnstile.pass}. */
  get isOpen(): boolean {
    return this.#line.size === 0 && this.#owedUntilMs === 0;
  }

  /**
   * Waits until an attempt succeeds.
   *
   * @param attempt What to try: if it fails, so would anybody else's here.
   * @param options How long to wait.
   * @param isFree Whether an attempt would succeed now.
   */
  async pass<T>(
    attempt: TurnAttempt<T>,
    options: WaitOptions,
    isFree: () => boolean,
  ): Promise<T | typeof TIMED_OUT> {
    const { waiting } = this.#block.arena;
    const timeout = checkedTimeout(options.timeout);
    const { signal } = options;
    if (timeout <= 0) {
      return waiting.wait(this.#keys, () => attempt(false), options);
    }

    checkSignal(signal);
    Atomics.add(this.#words, this.#waiters, 1);
    try {
      const deadline = performance.now() + timeout;
      return await this.#wait(attempt, deadline, signal, isFree);
    } finally {
      Atomics.sub(this.#words, this.#waiters, 1);
    }
  }

  async #wait<T>(
    attempt: TurnAttempt<T>,
    deadline: number,
    signal: AbortSignal | undefined,
    isFree: () => boolean,
  ): Promise<T | typeof TIMED_OUT> {
    const { waiting } = this.#block.arena;
    if (this.#owes()) {
      const outcome = await this.#holdBack(attempt, deadline, signal);
      if (outcome !== TIMED_OUT) return outcome;
    }
    if (this.#line.size > 0 && isFree()) waiting.wake(this.#keys[0], 1);
    const turn = this.#turn(attempt);
    this.#line.add(turn);
    try {
      return await waiting.wait(this.#keys, () => this.#takeTurn(turn), {
        timeout: deadline - performance.now(),
        signal,
      }, { isExclusive: true, looksAgain: true });
    } finally {
      turn.end();
      if (this.#line.delete(turn)) waiting.wake(this.#keys[0], 1);
    }
  }

  /**
   * The same, blocking the thread, ahead of those in line here: they could not
   * go on while it blocks.
   */
  passSync<T>(
    attempt: TurnAttempt<T>,
    options: WaitOptions,
  ): T | typeof TIMED_OUT {
    const { waiting } = this.#block.arena;
    const timeout = checkedTimeout(options.timeout);
    const { signal } = options;
    if (timeout <= 0) {
      return waiting.waitSync(this.#keys, () => attempt(false), options);
    }

    checkSignal(signal);
    Atomics.add(this.#words, this.#waiters, 1);
    try {
      return this.#waitSync(attempt, performance.now() + timeout, signal);
    } finally {
      Atomics.sub(this.#words, this.#waiters, 1);
    }
  }

  #waitSync<T>(
    attempt: TurnAttempt<T>,
    deadline: number,
    signal: AbortSignal | undefined,
  ): T | typeof TIMED_OUT {
    const { waiting } = this.#block.arena;
    if (this.#owes()) {
      const outcome = waiting.waitSync(this.#keys, this.#politely(attempt), {
        timeout: Math.min(deadline - performance.now(), COURTESY_MS),
        signal,
      });
      if (outcome !== TIMED_OUT) return outcome;
    }
    const turn = this.#turn(attempt);
    try {
      return waiting.waitSync(this.#keys, () => turn.take(), {
        timeout: deadline - performance.now(),
        signal,
      });
    } finally {
      turn.end();
    }
  }

  /** Has those in line here attempt: what they wait for is theirs as well. */
  letIn(): void {
    if (this.#line.size === 0) return;
    const { waiting, me } = this.#block.arena;
    waiting.wake(this.#keys[0], Infinity, me);
  }

  /** Wakes the longest waiting. Called after what it waits for was freed. */
  open(): void {
    if (Atomics.load(this.#words, this.#waiters) !== 0) this.#openForOthers();
  }

  #openForOthers(): void {
    const { arena, words } = this.#block;
    const asked = Atomics.load(words, this.#asked);
    if (asked !== 0 && asked !== arena.me) {
      Atomics.store(words, this.#asked, 0);
      this.#turnsSeen = Atomics.load(words, this.#turns);
      this.#owedUntilMs = performance.now() + COURTESY_MS;
    }
    arena.waiting.wake(this.#keys[0], 1);
  }

  #turn<T>(attempt: TurnAttempt<T>): Turn<T> {
    return new Turn(this.#block, this.#asked, this.#turns, attempt);
  }

  #takeTurn<T>(turn: Turn<T>): T | typeof NOT_YET {
    const [first] = this.#line;
    if (first !== turn) return NOT_YET;
    const outcome = turn.take();
    if (outcome !== NOT_YET) this.#line.delete(turn);
    return outcome;
  }

  async #holdBack<T>(
    attempt: TurnAttempt<T>,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<T | typeof TIMED_OUT> {
    const { waiting } = this.#block.arena;
    try {
      return await waiting.wait(this.#keys, this.#politely(attempt), {
        timeout: Math.min(deadline - performance.now(), COURTESY_MS),
        signal,
      });
    } catch (error) {
      // Aborted: a wake-up that was declined here is still somebody's.
      waiting.wake(this.#keys[0], 1);
      throw error;
    }
  }

  #politely<T>(attempt: TurnAttempt<T>): Attempt<T> {
    return () => this.#owes() ? NOT_YET : attempt(false);
  }

  #owes(): boolean {
    if (this.#owedUntilMs === 0) return false;
    const isOver =
      Atomics.load(this.#block.words, this.#turns) !== this.#turnsSeen ||
      performance.now() >= this.#owedUntilMs;
    if (isOver) this.#owedUntilMs = 0;
    return !isOver;
  }
}

/** One wait, which asks for courtesy when it takes long. */
class Turn<T> {
  readonly #block: Block;
  readonly #asked: number;
  readonly #turns: number;
  readonly #attempt: TurnAttempt<T>;
  readonly #patientUntilMs = performance.now() + PATIENCE_MS;
  /** When to ask next whether the holder has ended. */
  #suspiciousFromMs = performance.now() + SUSPICION_MS;
  #hasAsked = false;

  constructor(
    block: Block,
    asked: number,
    turns: number,
    attempt: TurnAttempt<T>,
  ) {
    this.#block = block;
    this.#asked = asked;
    this.#turns = turns;
    this.#attempt = attempt;
  }

  take(): T | typeof NOT_YET {
    let outcome = this.#attempt(false);
    if (outcome === NOT_YET && performance.now() >= this.#suspiciousFromMs) {
      outcome = this.#attempt(true);
      this.#suspiciousFromMs = performance.now() + SUSPICION_MS;
    }
    const { arena, words } = this.#block;
    if (outcome !== NOT_YET) {
      if (this.#hasAsked) Atomics.add(words, this.#turns, 1);
    } else if (performance.now() >= this.#patientUntilMs) {
      this.#hasAsked = true;
      Atomics.store(words, this.#asked, arena.me);
    }
    return outcome;
  }

  /** Takes the request back. */
  end(): void {
    if (!this.#hasAsked) return;
    const { arena, words } = this.#block;
    Atomics.compareExchange(words, this.#asked, arena.me, 0);
  }
}

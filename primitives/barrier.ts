/**
 * A barrier: so many parties wait for each other, round after round.
 *
 * **Guarantees.** In each round everybody passes or nobody does, except that one
 * who has passed is not called back. Those who pass a round get the numbers from 0
 * to one less than the parties, each once. Nobody passes round k + 1 before all
 * have left round k.
 *
 * Words of the block:
 *
 * - `STATE`: round, status and how many have arrived, all in one word, so that
 *   each step of the machine is one compare-and-swap · everybody · everybody.
 * - `PLACES`: a word for each party, the token of one who is here, else 0 · taken
 *   by compare-and-swap from 0 before arriving, given back by the owner after
 *   leaving, or by whoever sees that the owner has ended · everybody.
 *
 * ```
 *                     the last arrives                    action done
 *    FILLING r --------------------------> ACTING r -----------------> DRAINING r
 *     ^  | |                 (without an action: at once)              |  |
 *     |  | +-- timeout, abort, a death,          |                     |  |
 *     |  |     action throws --> BROKEN r <------+   BROKEN r+1 <------+  |
 *     |  |                         |                   abort()            |
 *     |  +-- reset() ---> RESETTING r <-- reset()                         |
 *     |                        |                                          |
 *     +-- all places free -----+------------------------------------------+
 *         (r + 1, none arrived)
 * ```
 *
 * Who gives up before it has arrived is no party of a round that is complete: while
 * the action of that one runs, it only notes that the next is not to be
 * (`ACTING_LAST`, which becomes BROKEN r+1).
 *
 * A waiter of round r reads its outcome off the word: another round, or DRAINING,
 * means passed; RESETTING and BROKEN mean broken. No round begins while anybody
 * of the last is still here, so it cannot be misled. (CPython has the same
 * machine. The round in the word is new: there, an `abort()` right after a round
 * was complete also turns away those who have passed it and are not awake yet.)
 *
 * **Deaths.** A party that is killed while it waits breaks the barrier at once: the
 * others would wait for a round that cannot become complete. It is noticed by its
 * place. A place is taken before the arrival is counted and kept until after it
 * has left, so nobody is ever counted and not seen. One that is killed after
 * the round was complete only has to be cleared away.
 *
 * **Why no wake-up is lost.** The word changes before the wake, attempts are
 * made after a waiter can be seen, and an end makes everybody look again
 * (`memory/waiting.ts`); each look clears away the dead and does what they had
 * still to do. All wait for the same key, those who want to arrive as well.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { BrokenBarrierError } from "../errors.ts";
import {
  checkedTimeout,
  checkIsSignal,
  checkOptions,
  checkOptionsObject,
  keyOf,
  NOT_YET,
  TIMED_OUT,
} from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { Block, FIRST_WORD, receive, travelsAs } from "./block.ts";
import { showAsText } from "./inspect.ts";
import { checkCount } from "./_numbers.ts";

export type { WaitOptions };

const STATE = FIRST_WORD;
const PLACES = FIRST_WORD + 1;

/** Waiting for parties. */
const FILLING = 0;
/** All have arrived; the last one runs the action. */
const ACTING = 1;
/** The round is complete; they leave. */
const DRAINING = 2;
/** The round is called off; they leave. */
const RESETTING = 3;
/** The round is called off, and nobody may come until it is reset. */
const BROKEN = 4;
/** As {@linkcode ACTING}; and the next round is called off already. */
const ACTING_LAST = 5;

/** The round is not complete, or its action has not been done. */
const UNDECIDED: readonly number[] = [FILLING, ACTING, ACTING_LAST];

const STATUS_BITS = 3;
/** A round has to differ from the one before and the one after. */
const ROUND_BITS = 8;
/** As many as the bits that are left can count. */
const MAX_PARTIES = 2 ** 20;

/** A `STATE`, taken apart. */
interface State {
  readonly round: number;
  readonly status: number;
  readonly arrived: number;
}

/** One party's stay in one round. */
interface Stay {
  readonly place: number;
  readonly round: number;
  readonly index: number;
  /** Whether it is the one to run the action. */
  readonly acts: boolean;
}

/** What a barrier does besides waiting. */
export interface BarrierOptions {
  /**
   * Called in each round, by the party that arrives last, in its process, before
   * anybody passes. If it throws, the barrier is broken. A barrier with an
   * action can be sent to another process if the action is a function that can.
   *
   * @default {undefined} nothing
   */
  action?: (() => unknown) | undefined;
  /**
   * How long a `wait()` without a timeout of its own waits, in milliseconds.
   *
   * @default {undefined} for ever
   */
  timeout?: number | undefined;
}

/**
 * A point where a number of parties wait for each other, again and again: none
 * goes on before all have arrived.
 *
 * - **Order:** the parties of a round pass together; who comes early for the next
 *   round waits until all have left this one.
 * - **Cancelling:** a wait that is aborted or times out breaks the barrier: the
 *   others' waits are rejected, and all later ones, until it is reset. While the
 *   action runs, the parties are complete and no timeout counts; one who gives up
 *   before it has arrived breaks the next round then.
 * - **Death:** a party that is killed while it waits breaks the barrier at once.
 * - **Differs from Python:** waiting on a killed party cannot hang; an `abort()`
 *   after a round was complete does not touch that round.
 *
 * @example Two tasks in step
 * ```ts
 * import { Barrier } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const barrier = new Barrier(2);
 * const indexes = await Promise.all([barrier.wait(), barrier.wait()]);
 * assertEquals(indexes.sort(), [0, 1]);
 * ```
 */
export class Barrier {
  readonly #block: Block;
  readonly #words: Int32Array;
  readonly #keys: readonly [number];
  readonly #parties: number;
  readonly #action: (() => unknown) | undefined;
  readonly #timeout: number | undefined;

  static {
    showAsText(this);
    travelsAs(
      this,
      (barrier: Barrier, target) =>
        barrier.#block.toWire("Barrier", "Barrier", target, [
          barrier.#parties,
          { action: barrier.#action, timeout: barrier.#timeout },
        ]),
    );
  }

  /**
   * Creates a barrier.
   *
   * @param parties How many have to arrive, up to 1048576.
   * @param options The action and the timeout.
   * @throws {RangeError} If `parties` is not a whole number, or below 1.
   * @throws {TypeError} If the action is not a function.
   */
  constructor(parties: number, options: BarrierOptions = {}) {
    checkOptionsObject(options, "create a Barrier", "{ action }");
    const { action, timeout } = options;
    checkCount("create a Barrier", "parties", parties, 1, MAX_PARTIES);
    checkedTimeout(timeout);
    if (action !== undefined && typeof action !== "function") {
      throw new TypeError(
        `Cannot create a Barrier as 'action' must be a function: it is ${
          Deno.inspect(action)
        }`,
      );
    }
    this.#parties = parties;
    this.#action = action;
    this.#timeout = timeout;
    this.#block = new Block(this, new.target, (PLACES + parties) * 4);
    this.#words = this.#block.words;
    this.#keys = [keyOf(this.#block.offset)];
  }

  /**
   * How many have to arrive.
   *
   * @example As it was made
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Barrier(3).parties, 3);
   * ```
   */
  get parties(): number {
    return this.#parties;
  }

  /**
   * How many have arrived and wait for others; 0 if it is broken.
   *
   * @example One of two
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const barrier = new Barrier(2);
   * const first = barrier.wait();
   * assertEquals(barrier.nWaiting, 1);
   * await Promise.all([first, barrier.wait()]);
   * ```
   */
  get nWaiting(): number {
    this.#lookAfterDead();
    const state = this.#state();
    return isOpen(state) && !isBroken(state) ? state.arrived : 0;
  }

  /**
   * Whether it is broken, and stays so until it is reset.
   *
   * @example After an abort
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const barrier = new Barrier(2);
   * barrier.abort();
   * assert(barrier.broken);
   * ```
   */
  get broken(): boolean {
    this.#lookAfterDead();
    return isBroken(this.#state());
  }

  /**
   * Arrives, and waits until all parties have.
   *
   * @example One of them prepares the next round
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const barrier = new Barrier(3);
   * let prepared = 0;
   *
   * async function party() {
   *   if (await barrier.wait() === 0) prepared++;
   * }
   * await Promise.all([party(), party(), party()]);
   * assertEquals(prepared, 1);
   * ```
   *
   * @param options How long to wait, if not as long as the barrier says.
   * @returns A number from 0 to `parties - 1`, another one for each party.
   * @throws {BrokenBarrierError} If the barrier is broken or reset, or time runs
   * out.
   * @throws {unknown} What the action throws, if this party ran it; or the reason
   * of the signal, if it is aborted.
   */
  async wait(options: WaitOptions = {}): Promise<number> {
    const { waiting } = this.#block.arena;
    const { deadline, ...wait } = this.#checked(options);
    let stay: Stay;
    try {
      stay = orThrow(
        await waiting.wait(this.#keys, () => this.#arrive(), wait),
      );
    } catch (error) {
      throw this.#noStay(error);
    }
    try {
      if (stay.acts) return await this.#act(stay, wait.signal);
      const outcome = () => this.#outcome(stay);
      const timeout = deadline - performance.now();
      let passed = await waiting.wait(this.#keys, outcome, {
        timeout,
        signal: wait.signal,
      });
      if (passed === TIMED_OUT) {
        this.#break(stay.round, [FILLING]);
        // Now it is decided, unless the action is running.
        passed = orRefuse(
          await waiting.wait(this.#keys, outcome, { signal: wait.signal }),
        );
      }
      return passed ? stay.index : refuse();
    } catch (error) {
      this.#break(stay.round, UNDECIDED);
      // Aborted too late: the others have seen us pass.
      if (this.#outcome(stay) === true) return stay.index;
      throw error;
    } finally {
      this.#leave(stay.place);
    }
  }

  /**
   * The same, blocking the thread. The action must not be asynchronous then.
   *
   * @example Alone
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Barrier(1).waitSync(), 0);
   * ```
   *
   * @param options How long to wait, if not as long as the barrier says.
   * @returns A number from 0 to `parties - 1`, another one for each party.
   * @throws {BrokenBarrierError} If the barrier is broken or reset, or time runs
   * out.
   * @throws {TypeError} If the action is asynchronous: that breaks the barrier.
   * @throws {unknown} What the action throws, if this party ran it; or the reason
   * of the signal, if it was aborted before.
   */
  waitSync(options: WaitOptions = {}): number {
    const { waiting } = this.#block.arena;
    const { deadline, ...wait } = this.#checked(options);
    let stay: Stay;
    try {
      stay = orThrow(
        waiting.waitSync(this.#keys, () => this.#arrive(), wait),
      );
    } catch (error) {
      throw this.#noStay(error);
    }
    try {
      if (stay.acts) return this.#actSync(stay);
      const outcome = () => this.#outcome(stay);
      const timeout = deadline - performance.now();
      let passed = waiting.waitSync(this.#keys, outcome, { timeout });
      if (passed === TIMED_OUT) {
        this.#break(stay.round, [FILLING]);
        passed = orRefuse(waiting.waitSync(this.#keys, outcome));
      }
      return passed ? stay.index : refuse();
    } catch (error) {
      this.#break(stay.round, UNDECIDED);
      throw error;
    } finally {
      this.#leave(stay.place);
    }
  }

  /**
   * Calls off the round in progress, if any: who waits is rejected. Then, or if
   * the barrier was broken, it starts afresh.
   *
   * @example After an abort
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const barrier = new Barrier(1);
   * barrier.abort();
   * barrier.reset();
   * assertEquals(await barrier.wait(), 0);
   * ```
   */
  reset(): void {
    this.#lookAfterDead();
    this.#change((state) => {
      const isInUse = isOpen(state) && state.arrived > 0;
      if (!isInUse && state.status !== BROKEN) return undefined;
      return { ...state, status: RESETTING };
    });
    this.#beginIfEmpty();
  }

  /**
   * Breaks the barrier: who waits is rejected, and so is everybody who comes,
   * until it is reset. Those of a complete round pass all the same.
   *
   * @example Nobody can wait any more
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertRejects } from "@std/assert";
   *
   * const barrier = new Barrier(2);
   * const waiting = barrier.wait();
   * barrier.abort();
   * await assertRejects(() => waiting, Error, "broken");
   * ```
   */
  abort(): void {
    this.#change(broken);
  }

  /**
   * Its state, as text.
   *
   * @example A new one
   * ```ts
   * import { Barrier } from "@deno-mp/multiprocessing";
   * import { assertMatch } from "@std/assert";
   *
   * assertMatch(
   *   String(new Barrier(2)),
   *   /^<multiprocessing.synchronize.Barrier at 0x[0-9a-f]+: waiters=0\/2>$/,
   * );
   * ```
   */
  toString(): string {
    const address = `0x${this.#block.offset.toString(16)}`;
    const state = this.broken
      ? "broken"
      : `waiters=${this.nWaiting}/${this.#parties}`;
    return `<multiprocessing.synchronize.Barrier at ${address}: ${state}>`;
  }

  #checked(options: WaitOptions): WaitOptions & { deadline: number } {
    checkOptions(options);
    const { timeout = this.#timeout, signal } = options;
    const timeoutMs = checkedTimeout(timeout);
    // An aborted one breaks the barrier, one that is none does not.
    checkIsSignal(signal);
    const deadline = performance.now() + timeoutMs;
    return { timeout: timeoutMs, signal, deadline };
  }

  // ---- one party ----------------------------------------------------------------

  #arrive(): Stay | typeof NOT_YET {
    this.#lookAfterDead();
    let state = this.#state();
    if (isBroken(state)) refuse();
    if (state.status !== FILLING) return NOT_YET;
    const place = this.#takePlace(state.arrived);
    if (place === undefined) return NOT_YET;
    const before = this.#change((now) => {
      if (now.status !== FILLING) return undefined;
      const arrived = now.arrived + 1;
      if (arrived < this.#parties) return { ...now, arrived };
      return { ...now, arrived, status: this.#action ? ACTING : DRAINING };
    });
    if (before) {
      const { round, arrived: index } = before;
      const acts = index + 1 === this.#parties && this.#action !== undefined;
      return { place, round, index, acts };
    }
    // It was called off just now. Others may have found no place because of us.
    this.#leave(place);
    this.#wake();
    state = this.#state();
    return isBroken(state) ? refuse() : NOT_YET;
  }

  /** What to throw for a wait that ends before it has arrived. */
  #noStay(error: unknown): unknown {
    if (error instanceof BrokenBarrierError) return error;
    this.#change((state) =>
      state.status === ACTING
        ? { ...state, status: ACTING_LAST }
        : state.status === ACTING_LAST
        ? undefined
        : broken(state)
    );
    return error === TIMED_OUT ? new BrokenBarrierError(BROKEN_TEXT) : error;
  }

  /** Whether the round was completed, as soon as it is decided. */
  #outcome({ round }: Stay): boolean | typeof NOT_YET {
    let state = this.#state();
    if (state.round === round && isOpen(state)) {
      this.#lookAfterDead();
      state = this.#state();
    }
    if (state.round !== round) return true;
    return isOpen(state) ? NOT_YET : state.status === DRAINING;
  }

  async #act(stay: Stay, signal: AbortSignal | undefined): Promise<number> {
    signal?.throwIfAborted();
    await unlessAborted(Promise.resolve(this.#action!()), signal);
    return this.#complete(stay);
  }

  #actSync(stay: Stay): number {
    const result = this.#action!() as { then?: unknown } | null | undefined;
    if (typeof result?.then === "function") {
      // What becomes of it is of no interest any more, and must not end the program.
      Promise.resolve(result).catch(() => {});
      throw new TypeError(
        "Cannot run the action of the barrier in waitSync() as it is asynchronous: use wait()",
      );
    }
    return this.#complete(stay);
  }

  #complete({ round, index }: Stay): number {
    const isDone = this.#change((state) => {
      if (state.round !== round) return undefined;
      if (state.status === ACTING) return { ...state, status: DRAINING };
      return state.status === ACTING_LAST ? brokenAfter(state) : undefined;
    });
    return isDone ? index : refuse();
  }

  #leave(place: number): void {
    Atomics.store(this.#words, place, 0);
    this.#beginIfEmpty();
  }

  // ---- the machine --------------------------------------------------------------

  #state(): State {
    return unpack(Atomics.load(this.#words, STATE));
  }

  /**
   * Makes one step, in one compare-and-swap, and wakes everybody if it is one
   * that somebody may wait for.
   *
   * @param next The state to follow, `undefined` to leave it as it is.
   * @returns The state before, `undefined` if it was left.
   */
  #change(next: (state: State) => State | undefined): State | undefined {
    while (true) {
      const seen = Atomics.load(this.#words, STATE);
      const before = unpack(seen);
      const after = next(before);
      if (!after) return undefined;
      const was = Atomics.compareExchange(
        this.#words,
        STATE,
        seen,
        pack(after),
      );
      if (was !== seen) continue;
      if (after.status !== before.status) this.#wake();
      return before;
    }
  }

  #wake(): void {
    this.#block.arena.waiting.wake(this.#keys[0]);
  }

  #break(round: number, from: readonly number[]): void {
    this.#change((state) =>
      state.round === round && from.includes(state.status)
        ? { ...state, status: BROKEN }
        : undefined
    );
  }

  #beginIfEmpty(): void {
    this.#change((state) => {
      const { round, status } = state;
      if (status !== DRAINING && status !== RESETTING) return undefined;
      for (let i = 0; i < this.#parties; i++) {
        if (Atomics.load(this.#words, PLACES + i) !== 0) return undefined;
      }
      return { round: round + 1, status: FILLING, arrived: 0 };
    });
  }

  #takePlace(first: number): number | undefined {
    const { me } = this.#block.arena;
    for (let i = 0; i < this.#parties; i++) {
      const place = PLACES + (first + i) % this.#parties;
      const was = Atomics.compareExchange(this.#words, place, 0, me);
      if (was === 0) return place;
    }
    return undefined;
  }

  /** Breaks a round in which somebody has died, and does what they cannot. */
  #lookAfterDead(): void {
    const { me, participants } = this.#block.arena;
    for (let i = 0; i < this.#parties; i++) {
      const token = Atomics.load(this.#words, PLACES + i);
      if (token === 0 || token === me) continue;
      if (participants.standing(token) === "alive") continue;
      const { round } = this.#state();
      // Cleared meanwhile by another: then this may be a round it was no party of.
      if (Atomics.load(this.#words, PLACES + i) !== token) continue;
      this.#break(round, UNDECIDED);
      Atomics.compareExchange(this.#words, PLACES + i, token, 0);
    }
    this.#beginIfEmpty();
  }
}

/** Whether the round is neither complete nor called off. */
function isOpen({ status }: State): boolean {
  return UNDECIDED.includes(status);
}

/** Whether nobody may come any more. */
function isBroken({ status }: State): boolean {
  return status === BROKEN || status === ACTING_LAST;
}

/** The state after a barrier has been broken, `undefined` if it is already. */
function broken(state: State): State | undefined {
  if (state.status === BROKEN) return undefined;
  if (state.status === DRAINING) return brokenAfter(state);
  return { ...state, status: BROKEN, arrived: 0 };
}

/** Those of a complete round tell by the next number that they have passed. */
function brokenAfter({ round }: State): State {
  return { round: round + 1, status: BROKEN, arrived: 0 };
}

/** Waits for an action. What becomes of one that was aborted nobody hears. */
async function unlessAborted(
  action: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!signal) return void await action;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    if (signal.aborted) onAbort();
    await Promise.race([action, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function pack({ round, status, arrived }: State): number {
  const low = ((round % (1 << ROUND_BITS)) << STATUS_BITS) | status;
  return (arrived << (STATUS_BITS + ROUND_BITS)) | low;
}

function unpack(word: number): State {
  return {
    round: (word >>> STATUS_BITS) & ((1 << ROUND_BITS) - 1),
    status: word & ((1 << STATUS_BITS) - 1),
    arrived: word >>> (STATUS_BITS + ROUND_BITS),
  };
}

const BROKEN_TEXT = "Cannot pass the barrier as it is broken";

function refuse(): never {
  throw new BrokenBarrierError(BROKEN_TEXT);
}

function orThrow<T>(outcome: T | typeof TIMED_OUT): T {
  if (outcome === TIMED_OUT) throw TIMED_OUT;
  return outcome as T;
}

function orRefuse<T>(outcome: T | typeof TIMED_OUT): T {
  return outcome === TIMED_OUT ? refuse() : outcome as T;
}

registerTag("Barrier", (data) =>
  receive(data, (extra) => {
    const [parties, options] = extra as [number, BarrierOptions];
    return new Barrier(parties, options);
  }));

/**
 * Semaphores: so many units to take, and to give back.
 *
 * **Guarantees.** A unit is taken by one at a time, and none appears or gets lost
 * as long as nobody is killed while it has one. A unit that is given back goes to
 * somebody who waits, if anybody does. A bounded semaphore never has more units
 * than it started with.
 *
 * Words of the block, besides the turnstile's (`_turnstile.ts`):
 *
 * - `VALUE`: units that are free; not used if holders are tracked · everybody, by
 *   compare-and-swap · everybody.
 * - `LIMIT`: the highest value there may be · the creator, once · releasers.
 * - `HOLDERS`: where the holders are noted, in units of 64 B, 0 if they are not
 *   tracked · the creator, once · everybody.
 *
 * **The dead.** A number does not say who has the units it is missing, and does
 * not have to: a unit may be acquired by one process and released by another, or
 * never have been acquired at all by those who release it. So what a killed
 * process had is gone, except where the program asks for more
 * (`trackHolders`). Such a semaphore has a word for each unit, 0 or the token of
 * the one who took it, and is in effect that many locks: a word whose holder is
 * dead is free to take. That needs a fixed number of units, which is why only a
 * bounded semaphore can do it. Releasing gives back a unit of one's own, or,
 * having none, one of somebody who left, or else anybody's: handing over works as
 * without tracking.
 *
 * **Killed anywhere.** Each change is one compare-and-swap of one word.
 *
 * **Why no wake-up is lost.** As in `lock.ts`: the word changes before the wake,
 * one wake for each unit, and an end makes everybody look again.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Arena, WaitOptions } from "../memory/mod.ts";
import { Block, FIRST_WORD, onLast, receive, travelsAs } from "./block.ts";
import { count, uncount } from "./_custody.ts";
import { Hold, waitOf } from "./_guard.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { showAsText } from "./inspect.ts";
import { checkCount } from "./_numbers.ts";
import { Turnstile } from "./_turnstile.ts";

export type { AcquireOptions, Guard, WaitOptions };

const VALUE = FIRST_WORD;
const LIMIT = FIRST_WORD + 1;
const HOLDERS = FIRST_WORD + 2;
const TURNSTILE = FIRST_WORD + 3;
const BYTES = 64;

/** What fits into a word. */
const MAX_VALUE = 2 ** 31 - 1;
/** Looking for a free word takes time: a millisecond for so many. */
const MAX_TRACKED = 2 ** 20;
/** `HOLDERS` counts in these, so that it reaches all of the memory. */
const HOLDERS_UNIT = 64;

/** Makes a new semaphore a bounded one. */
let bound: (semaphore: Semaphore, limit: number, tracks: boolean) => void;
let limitOf: (semaphore: Semaphore) => number;

/**
 * A number of units between processes: `acquire()` takes one, waiting until there
 * is one; `release()` gives one back, or adds one that was never taken.
 *
 * - **Order:** the longest waiting is woken first; one that comes by just then
 *   may be quicker, but not again and again. Tasks of one process are served
 *   first come, first served.
 * - **Cancelling:** an aborted wait, or one that timed out, takes nothing.
 * - **Death:** units that a killed process had do not come back: nobody knows
 *   which they were. See {@linkcode BoundedSemaphoreOptions.trackHolders}.
 * - **Differs from Python:** `acquire()` gives a guard for `using` where Python
 *   has `with`, and `null` where Python gives `False`.
 *
 * @example Two at a time
 * ```ts
 * import { Semaphore } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new Semaphore(2);
 * {
 *   using guard = await semaphore.acquire();
 *   assertEquals(semaphore.getValue(), 1);
 * }
 * assertEquals(semaphore.getValue(), 2);
 * ```
 */
export class Semaphore {
  readonly #block: Block;
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #me: number;
  readonly #turnstile: Turnstile;
  /** A word for each unit, if holders are tracked. */
  #holders: Int32Array | undefined;

  static {
    showAsText(this);
    travelsAs(this, (semaphore: Semaphore, target) => {
      const tag = semaphore instanceof BoundedSemaphore
        ? "BoundedSemaphore"
        : "Semaphore";
      return semaphore.#block.toWire(tag, tag, target);
    });
    bound = (semaphore, limit, tracks) => semaphore.#bound(limit, tracks);
    limitOf = (semaphore) => semaphore.#words[LIMIT]!;
  }

  /**
   * Creates a semaphore.
   *
   * @param n How many units there are to begin with, up to 2147483647.
   * @default n {1}
   * @throws {RangeError} If it is not a whole number, or negative.
   */
  constructor(n = 1) {
    checkCount(`create a ${new.target.name}`, "n", n, 0, MAX_VALUE);
    this.#block = new Block(this, new.target, BYTES, "semaphore");
    this.#arena = this.#block.arena;
    this.#words = this.#block.words;
    this.#me = this.#arena.me;
    this.#turnstile = Turnstile.of(this.#block, TURNSTILE);
    if (this.#block.isNew) {
      this.#words[LIMIT] = MAX_VALUE;
      Atomics.store(this.#words, VALUE, n);
    }
    this.#holders = holdersOf(this.#arena, this.#words);
  }

  /**
   * Waits until there is a unit and takes it.
   *
   * @example Giving up after a while
   * ```ts
   * import { Semaphore } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const semaphore = new Semaphore(0);
   * assertEquals(await semaphore.acquire({ timeout: 10 }), null);
   * assertEquals(await semaphore.acquire({ block: false }), null);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that gives a unit back when it is disposed, or `null` if the
   * time ran out.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  acquire(options?: AcquireOptions): Promise<Guard | null> {
    if (options === undefined && this.#turnstile.isOpen) {
      const guard = this.#take();
      if (guard !== NOT_YET) return Promise.resolve(guard);
    }
    return this.#acquireInTurn(options ?? {});
  }

  /**
   * The same, blocking the thread.
   *
   * @example In a calculation that does not await
   * ```ts
   * import { Semaphore } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const semaphore = new Semaphore();
   * using guard = semaphore.acquireSync();
   * assert(guard);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that gives a unit back when it is disposed, or `null` if the
   * time ran out.
   * @throws {unknown} The reason of the signal, if it was aborted before.
   */
  acquireSync(options?: AcquireOptions): Guard | null {
    if (options === undefined && this.#turnstile.isOpen) {
      const guard = this.#take();
      if (guard !== NOT_YET) return guard;
    }
    const wait = waitOf(options ?? {});
    const outcome = this.#turnstile.passSync((asks) => this.#take(asks), wait);
    return outcome === TIMED_OUT ? null : outcome;
  }

  /**
   * Gives a unit back, or adds one, whoever took one before.
   *
   * @example Counting what others may take
   * ```ts
   * import { Semaphore } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const ready = new Semaphore(0);
   * ready.release();
   * ready.release();
   * assertEquals(ready.getValue(), 2);
   * ```
   *
   * @throws {ProcessError} If there are as many units already as there may be.
   */
  release(): void {
    if (!(this.#holders ? this.#giveHeld(this.#holders) : this.#give())) {
      throw new ProcessError("semaphore or lock released too many times");
    }
    this.#turnstile.open();
  }

  /**
   * How many units are free.
   *
   * @example A look from outside
   * ```ts
   * import { Semaphore } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Semaphore(3).getValue(), 3);
   * ```
   */
  getValue(): number {
    if (!this.#holders) return Atomics.load(this.#words, VALUE);
    let free = 0;
    for (let i = 0; i < this.#holders.length; i++) {
      const holder = Atomics.load(this.#holders, i);
      if (holder === 0 || this.#isDead(holder)) free++;
    }
    return free;
  }

  /**
   * Whether no unit is free.
   *
   * @example After the last one
   * ```ts
   * import { Semaphore } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const semaphore = new Semaphore(1);
   * using guard = await semaphore.acquire();
   * assert(semaphore.locked());
   * ```
   */
  locked(): boolean {
    return this.getValue() === 0;
  }

  /**
   * Its value, as text.
   *
   * @example A new one
   * ```ts
   * import { Semaphore } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(String(new Semaphore(2)), "<Semaphore(value=2)>");
   * ```
   */
  toString(): string {
    return `<Semaphore(value=${this.getValue()})>`;
  }

  async #acquireInTurn(options: AcquireOptions): Promise<Guard | null> {
    const wait = waitOf(options);
    const outcome = await this.#turnstile.pass(
      (asks) => this.#take(asks),
      wait,
      () => !this.locked(),
    );
    return outcome === TIMED_OUT ? null : outcome;
  }

  #take(asks = false): Guard | typeof NOT_YET {
    if (this.#holders) return this.#takeHeld(this.#holders, asks);
    let value = Atomics.load(this.#words, VALUE);
    while (value > 0) {
      const was = Atomics.compareExchange(
        this.#words,
        VALUE,
        value,
        value - 1,
      );
      if (was === value) return new Hold(this, false);
      value = was;
    }
    return NOT_YET;
  }

  #give(): boolean {
    const limit = this.#words[LIMIT]!;
    let value = Atomics.load(this.#words, VALUE);
    while (value < limit) {
      const was = Atomics.compareExchange(
        this.#words,
        VALUE,
        value,
        value + 1,
      );
      if (was === value) return true;
      value = was;
    }
    return false;
  }

  // ---- with holders -----------------------------------------------------------

  #takeHeld(holders: Int32Array, asks: boolean): Guard | typeof NOT_YET {
    for (let i = 0; i < holders.length; i++) {
      const holder = Atomics.load(holders, i);
      if (holder !== 0 && !this.#isDead(holder, asks)) continue;
      const was = Atomics.compareExchange(holders, i, holder, this.#me);
      if (was !== holder) continue;
      count(this.#arena);
      return new Hold(this, holder !== 0);
    }
    return NOT_YET;
  }

  #giveHeld(holders: Int32Array): boolean {
    const { participants } = this.#arena;
    return this.#free(holders, (holder) => holder === this.#me) ||
      this.#free(
        holders,
        (holder) => participants.standing(holder) === "left",
      ) ||
      this.#free(holders, (holder) => !this.#isDead(holder));
  }

  #free(holders: Int32Array, isMeant: (holder: number) => boolean): boolean {
    for (let i = 0; i < holders.length; i++) {
      const holder = Atomics.load(holders, i);
      if (holder === 0 || !isMeant(holder)) continue;
      if (Atomics.compareExchange(holders, i, holder, 0) !== holder) continue;
      uncount(this.#arena, holder);
      return true;
    }
    return false;
  }

  #isDead(holder: number, asks = false): boolean {
    if (holder === this.#me) return false;
    const { participants } = this.#arena;
    return participants.standing(holder) === "dead" ||
      (asks && participants.hasCrashed(holder));
  }

  #bound(limit: number, tracks: boolean): void {
    if (!this.#block.isNew) return;
    this.#words[LIMIT] = limit;
    if (!tracks) return;
    const offset = this.#arena.heap.allocate(limit * 4);
    this.#words[HOLDERS] = offset / HOLDERS_UNIT;
    this.#holders = holdersOf(this.#arena, this.#words);
  }
}

/** How a bounded semaphore is made. */
export interface BoundedSemaphoreOptions {
  /**
   * Whether to note who has which unit, so that the units of a process that was
   * killed come back; the guard of such a unit says `abandoned`. Releasing
   * gives back a unit of the own process if it has one, and otherwise one of
   * another, which had better be one that handed it over. Up to 1048576 units.
   *
   * @default {false}
   */
  trackHolders?: boolean | undefined;
}

/**
 * A semaphore that refuses to have more units than it started with: a release too
 * many, usually a mistake, is an error.
 *
 * - **Order**, **Cancelling:** as for {@linkcode Semaphore}.
 * - **Death:** units that a killed process had do not come back, unless the
 *   semaphore was made with `trackHolders`. A process that ends in the normal way
 *   leaves its units taken, for somebody else to release.
 * - **Differs from Python:** Python cannot track holders.
 *
 * @example A release too many
 * ```ts
 * import { BoundedSemaphore } from "@deno-mp/multiprocessing";
 * import { assertThrows } from "@std/assert";
 *
 * const semaphore = new BoundedSemaphore(2);
 * assertThrows(() => semaphore.release(), Error, "released too many times");
 * ```
 */
export class BoundedSemaphore extends Semaphore {
  /**
   * Creates a semaphore.
   *
   * @example Units that outlive their holders
   * ```ts
   * import { BoundedSemaphore } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const connections = new BoundedSemaphore(8, { trackHolders: true });
   * using guard = await connections.acquire();
   * assertEquals(connections.getValue(), 7);
   * ```
   *
   * @param n How many units there are to begin with, and at most.
   * @default n {1}
   * @param options Whether holders are tracked.
   * @throws {RangeError} If `n` is not a whole number, negative, or too large.
   */
  constructor(n = 1, options: BoundedSemaphoreOptions = {}) {
    const tracks = options.trackHolders ?? false;
    if (tracks) checkCount("track the holders", "n", n, 0, MAX_TRACKED);
    super(n);
    bound(this, n, tracks);
  }

  /**
   * Its value and its limit, as text.
   *
   * @example A new one
   * ```ts
   * import { BoundedSemaphore } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const text = "<BoundedSemaphore(value=2, maxvalue=2)>";
   * assertEquals(String(new BoundedSemaphore(2)), text);
   * ```
   */
  override toString(): string {
    return `<BoundedSemaphore(value=${this.getValue()}, maxvalue=${
      limitOf(this)
    })>`;
  }
}

/** The words that note the holders, if there are any. */
function holdersOf(arena: Arena, words: Int32Array): Int32Array | undefined {
  const offset = holdersAt(words);
  return offset === 0 ? undefined : arena.words(offset, words[LIMIT]!);
}

/** Where they lie, 0 if there are none. */
function holdersAt(words: Int32Array): number {
  return (words[HOLDERS]! >>> 0) * HOLDERS_UNIT;
}

/** Nobody can release what no object stands for any more. */
function forget(arena: Arena, offset: number): void {
  const words = arena.words(offset, BYTES / 4);
  const holders = holdersOf(arena, words);
  if (!holders) return;
  for (const holder of holders) if (holder !== 0) uncount(arena, holder);
  arena.heap.free(holdersAt(words), holders.byteLength);
}

onLast("semaphore", forget);

registerTag("Semaphore", (data) => receive(data, () => new Semaphore()));
registerTag(
  "BoundedSemaphore",
  (data) => receive(data, () => new BoundedSemaphore()),
);

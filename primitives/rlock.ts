/**
 * A lock that its holder can take again.
 *
 * **Guarantees.** At most one process (or worker thread) holds it, as often as
 * it likes; only that one can release it, and it is free when it has done so as
 * often as it has acquired it.
 *
 * Words of the block, besides the turnstile's (`_turnstile.ts`):
 *
 * - `OWNER`: token of the holder, 0 if it is free · whoever takes it, by
 *   compare-and-swap from 0 or from one that has ended; the holder sets it to 0
 *   · everybody.
 * - `LEVELS`: how often the holder has it; means nothing while `OWNER` is 0 ·
 *   the holder alone · the holder alone.
 * - `UNTOLD`: 1 if it was abandoned and nobody has been told, as it was taken for a
 *   condition · the holder alone · the holder alone.
 *
 * ```
 *   FREE --acquire: 0 -> me, LEVELS := 1--> MINE --acquire: LEVELS += 1--> MINE
 *   MINE --release: LEVELS -= 1--> MINE     MINE --the last: OWNER := 0--> FREE
 *   HELD by one that ended --acquire: it -> me, LEVELS := 1--> MINE, abandoned
 * ```
 *
 * **Killed anywhere.** `OWNER` alone says who has it. `LEVELS` of one that was
 * killed is not read again: who takes the lock sets it. One that left in good
 * order is treated like one that was killed, because nobody else may release the
 * lock: leaving it held would be a hang by design.
 *
 * **Why no wake-up is lost.** As in `lock.ts`: `OWNER` changes before the wake,
 * and the end of a holder makes everybody look again.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Arena, WaitOptions } from "../memory/mod.ts";
import { Block, FIRST_WORD, receive, travelsAs } from "./block.ts";
import { entrusts } from "./_custody.ts";
import type { Custody } from "./_custody.ts";
import { waitOf } from "./_guard.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { identity } from "./identity.ts";
import { showAsText } from "./inspect.ts";
import { Turnstile, TURNSTILE_WORDS } from "./_turnstile.ts";
import type { TurnAttempt } from "./_turnstile.ts";

export type { AcquireOptions, Guard, WaitOptions };

const OWNER = FIRST_WORD;
const LEVELS = FIRST_WORD + 1;
const TURNSTILE = FIRST_WORD + 2;
const UNTOLD = TURNSTILE + TURNSTILE_WORDS;
const BYTES = 64;

/**
 * A lock that its holder can acquire again, and has to release as often. The
 * holder is the whole process (or worker thread): its tasks hold it together,
 * and do not keep each other out. For that, use a `Lock`.
 *
 * - **Order:** the longest waiting is woken first; one that comes by just then
 *   may be quicker, but not again and again.
 * - **Cancelling:** an aborted wait, or one that timed out, takes nothing.
 * - **Death:** if the holder ends, in whatever way, the lock is abandoned: the
 *   next to acquire it gets it, with a guard whose `abandoned` is true.
 * - **Differs from Python:** the holder is a process, not a thread; `acquire()`
 *   gives a guard for `using`, and `null` where Python gives `False`.
 *
 * @example A function that locks calls another one that locks
 * ```ts
 * import { RLock } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new RLock();
 *
 * async function inner() {
 *   using guard = await lock.acquire();
 *   assertEquals(String(lock), "<RLock(MainProcess, 2)>");
 * }
 *
 * using guard = await lock.acquire();
 * await inner();
 * assertEquals(String(lock), "<RLock(MainProcess, 1)>");
 * ```
 */
export class RLock {
  readonly #block: Block;
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #levels: Levels;

  static {
    showAsText(this);
    travelsAs(
      this,
      (lock: RLock, target) => lock.#block.toWire("RLock", "RLock", target),
    );
    entrusts(this, (lock: RLock) => lock.#levels.custody(lock));
  }

  /** Creates a lock that nobody holds. */
  constructor() {
    this.#block = new Block(this, new.target, BYTES);
    this.#arena = this.#block.arena;
    this.#words = this.#block.words;
    this.#levels = this.#block.inCommon(() => new Levels(this.#block));
  }

  /**
   * Takes the lock, at once if this process has it already, and otherwise when
   * it is free.
   *
   * @example Trying
   * ```ts
   * import { RLock } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const lock = new RLock();
   * using guard = await lock.acquire({ block: false });
   * assert(guard);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock once when it is disposed, or `null`
   * if the time ran out.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  acquire(options?: AcquireOptions): Promise<Guard | null> {
    if (options === undefined) {
      const guard = this.#levels.takeNow(this);
      if (guard !== NOT_YET) return Promise.resolve(guard);
    }
    return this.#acquireInTurn(options ?? {});
  }

  /**
   * The same, blocking the thread.
   *
   * @example In a calculation that does not await
   * ```ts
   * import { RLock } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const lock = new RLock();
   * using outer = lock.acquireSync();
   * using inner = lock.acquireSync();
   * assert(outer && inner);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock once when it is disposed, or `null`
   * if the time ran out.
   * @throws {unknown} The reason of the signal, if it was aborted before.
   */
  acquireSync(options?: AcquireOptions): Guard | null {
    if (options === undefined) {
      const guard = this.#levels.takeNow(this);
      if (guard !== NOT_YET) return guard;
    }
    return this.#levels.passSync(this, waitOf(options ?? {}));
  }

  /**
   * Undoes one acquiring.
   *
   * @example As often as it was acquired
   * ```ts
   * import { RLock } from "@deno-mp/multiprocessing";
   * import { assertThrows } from "@std/assert";
   *
   * const lock = new RLock();
   * await lock.acquire();
   * await lock.acquire();
   * lock.release();
   * lock.release();
   * assertThrows(() => lock.release(), Error, "not owned");
   * ```
   *
   * @throws {ProcessError} If this process does not hold it.
   */
  release(): void {
    this.#levels.release();
  }

  /**
   * Whether somebody holds the lock. One that was abandoned is free to take.
   *
   * @example A look from outside
   * ```ts
   * import { RLock } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new RLock().locked(), false);
   * ```
   */
  locked(): boolean {
    return isHeld(this.#arena, this.#words);
  }

  /**
   * Who holds it, and how often, as text.
   *
   * @example Nobody holds a new one
   * ```ts
   * import { RLock } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(String(new RLock()), "<RLock(None, 0)>");
   * ```
   */
  toString(): string {
    if (this.#levels.isMine()) {
      return `<RLock(${identity.name}, ${this.#words[LEVELS]!})>`;
    }
    return this.locked()
      ? "<RLock(SomeOtherProcess, nonzero)>"
      : "<RLock(None, 0)>";
  }

  async #acquireInTurn(options: AcquireOptions): Promise<Guard | null> {
    return await this.#levels.pass(this, waitOf(options));
  }
}

/** A guard of one level. */
class LevelGuard implements Guard {
  readonly abandoned: boolean;
  #lock: RLock | undefined;
  readonly #levels: Levels;
  readonly #lendings: number;

  constructor(
    lock: RLock,
    levels: Levels,
    lendings: number,
    abandoned: boolean,
  ) {
    this.#lock = lock;
    this.#levels = levels;
    this.#lendings = lendings;
    this.abandoned = abandoned;
  }

  [Symbol.dispose](): void {
    if (!this.#lock) return;
    this.#lock = undefined;
    this.#levels.releaseOf(this.#lendings);
  }
}

/**
 * The levels of an `RLock` that one participant has, or has lent: what all objects
 * have in common that stand for the lock there.
 *
 * Each level belongs to some task, and nobody knows to which: two tasks that have
 * acquired once look like one that has acquired twice. To wait on a condition, the
 * former must give up one level and the latter both. So a task that waits while
 * there is more than one level lets the event loop turn once: sections of other
 * tasks that await nothing from outside end in that time, or reach a wait
 * themselves and are counted in `#settling`. What is left is taken for recursion
 * and given up. If it was another task's after all, that one may find the lock
 * gone, but its release is remembered (`#lent`), so that no level stays for ever.
 * A guard from before the lending gives back what is lent first: by then a third
 * task may have acquired, which has nothing to do with it.
 *
 * It holds on to none of the objects; guards and waits do, as nobody may come back
 * to a lock whose last object has gone.
 */
class Levels {
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #me: number;
  readonly #turnstile: Turnstile;
  readonly #isFree: () => boolean;
  /** Tasks that have called `settle()` and not yet `yield()`. */
  #settling = 0;
  /** Levels that waiting tasks have given up and that may be other tasks'. */
  #lent = 0;
  /** How often that has been: tells guards from before and after. */
  #lendings = 0;

  constructor(block: Block) {
    const { arena, words } = block;
    this.#arena = arena;
    this.#words = words;
    this.#me = arena.me;
    this.#turnstile = new Turnstile(block, TURNSTILE);
    this.#isFree = () => !isHeld(arena, words);
  }

  isMine(): boolean {
    return Atomics.load(this.#words, OWNER) === this.#me;
  }

  takeNow(lock: RLock): Guard | typeof NOT_YET {
    return this.#mayTakeNow() ? this.#take(lock) : NOT_YET;
  }

  async pass(lock: RLock, wait: WaitOptions): Promise<Guard | null> {
    return this.#let(
      await this.#pass((asks) => this.#take(lock, asks), wait),
    );
  }

  passSync(lock: RLock, wait: WaitOptions): Guard | null {
    return this.#let(
      this.#turnstile.passSync((asks) => this.#take(lock, asks), wait),
    );
  }

  release(): void {
    if (this.isMine()) return this.#giveBack(1);
    if (this.#lent === 0) {
      throw new ProcessError(
        "attempt to release recursive lock not owned by thread",
      );
    }
    // A waiting task of ours has given up this level as well: now it will not
    // bring it back.
    this.#lent--;
  }

  /** Undoes the acquiring of a guard, which was made after so many lendings. */
  releaseOf(lendings: number): void {
    if (lendings !== this.#lendings && this.#lent > 0) this.#lent--;
    else this.release();
  }

  /** What a condition does with it. */
  custody(lock: RLock): Custody {
    const yieldLevels = (levels: number) => {
      if (!this.isMine()) return 1;
      this.#giveBack(levels);
      return levels;
    };
    return {
      isMine: () => this.isMine(),
      settle: () => {
        this.#settling++;
        return this.#words[LEVELS]! > 1 ? nextTurn() : undefined;
      },
      yield: () => {
        this.#settling--;
        const mine = Math.max(1, this.#words[LEVELS]! - this.#settling);
        const levels = yieldLevels(mine);
        this.#lend(levels - 1);
        return levels;
      },
      yieldAll: () => yieldLevels(this.#words[LEVELS]!),
      retake: async (levels) => {
        const retake = (asks = false) => this.#retake(lock, levels, asks);
        if (this.#mayTakeNow() && retake() !== NOT_YET) return;
        await this.#pass(retake, {});
      },
      retakeSync: (levels) => {
        const guard = this.passSync(lock, {});
        this.#words[LEVELS]! += levels - 1;
        if (guard!.abandoned) this.#words[UNTOLD] = 1;
      },
    };
  }

  #pass(
    attempt: TurnAttempt<Guard>,
    wait: WaitOptions,
  ): Promise<Guard | typeof TIMED_OUT> {
    return this.#turnstile.pass(attempt, wait, this.#isFree);
  }

  /** Lets other tasks in that wait for what this participant now has. */
  #let(outcome: Guard | typeof TIMED_OUT): Guard | null {
    if (outcome === TIMED_OUT) return null;
    this.#turnstile.letIn();
    return outcome;
  }

  #mayTakeNow(): boolean {
    // To take again what one has is never impolite.
    return this.#turnstile.isOpen || this.isMine();
  }

  #take(lock: RLock, asks = false): Guard | typeof NOT_YET {
    const words = this.#words;
    const holder = Atomics.compareExchange(words, OWNER, 0, this.#me);
    if (holder === this.#me) {
      words[LEVELS]! += 1;
      return this.#guard(lock, false);
    }
    if (holder !== 0) {
      if (this.#isAlive(holder, asks)) return NOT_YET;
      // Whoever is quicker than us here will wake us when it is done.
      if (Atomics.compareExchange(words, OWNER, holder, this.#me) !== holder) {
        return NOT_YET;
      }
    }
    words[LEVELS] = 1;
    return this.#guard(lock, holder !== 0);
  }

  /**
   * Takes it with all levels at once: between two steps others could release what
   * is theirs, and the lock with it.
   */
  #retake(
    lock: RLock,
    levels: number,
    asks: boolean,
  ): Guard | typeof NOT_YET {
    const guard = this.#take(lock, asks);
    if (guard === NOT_YET) return NOT_YET;
    // The waiter has a guard already: the next one is to say it.
    if (guard.abandoned) this.#words[UNTOLD] = 1;
    const back = Math.min(levels - 1, this.#lent);
    this.#lent -= back;
    this.#words[LEVELS]! += back;
    return guard;
  }

  #isAlive(holder: number, asks: boolean): boolean {
    const { participants } = this.#arena;
    return participants.standing(holder) === "alive" &&
      !(asks && participants.hasCrashed(holder));
  }

  #guard(lock: RLock, wasAbandoned: boolean): Guard {
    const words = this.#words;
    const abandoned = wasAbandoned || words[UNTOLD] !== 0;
    if (abandoned) words[UNTOLD] = 0;
    return new LevelGuard(lock, this, this.#lendings, abandoned);
  }

  #lend(levels: number): void {
    if (levels === 0) return;
    this.#lent += levels;
    this.#lendings++;
  }

  #giveBack(levels: number): void {
    const words = this.#words;
    words[LEVELS]! -= levels;
    if (words[LEVELS]! > 0) return;
    Atomics.store(words, OWNER, 0);
    this.#turnstile.open();
  }
}

function isHeld({ participants }: Arena, words: Int32Array): boolean {
  const holder = Atomics.load(words, OWNER);
  return holder !== 0 && participants.standing(holder) === "alive";
}

/** Waits until everything has run that does not wait for anything itself. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

registerTag("RLock", (data) => receive(data, () => new RLock()));

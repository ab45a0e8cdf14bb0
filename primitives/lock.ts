/**
 * A lock that one at a time can hold, whoever that is.
 *
 * **Guarantees.** At most one holds it. A released lock goes to somebody who
 * waits, if anybody does. A holder that is killed or crashes does not keep it:
 * the next to acquire it gets it, and is told.
 *
 * Words of the block, besides the turnstile's (`_turnstile.ts`):
 *
 * - `OWNER`: token of the holder, 0 if it is free · everybody, by
 *   compare-and-swap from what they saw · everybody.
 * - `UNTOLD`: 1 if it was abandoned and nobody has been told, as it was taken for a
 *   condition · the holder · the holder.
 *
 * ```
 *          acquire: 0 -> me                       bury(holder)
 *   FREE ------------------> HELD by an alive one ------------> HELD by a dead one
 *    ^                        |    |  leave()                        |
 *    +---- release: -> 0 -----+    v                                 |
 *    +---- release: -> 0 ---- HELD by one that left                  |
 *    HELD by me, abandoned <---- acquire: dead -> me ----------------+
 * ```
 *
 * **Killed anywhere.** The one word is both the lock and the record of who has
 * it, so there is no instant at which it is taken and nobody is known to have
 * it. `S_LOCKS_HELD`, the count in the holder's slot, follows a moment later; it
 * only says whether the slot of one that left may be used again, and the count
 * of one that is killed in between is not looked at.
 *
 * **Why no wake-up is lost.** `OWNER` becomes 0 before the wake, and attempts
 * are made after a waiter can be seen (`memory/waiting.ts`). A releaser killed
 * between the two, or a holder killed with the lock, is buried, which makes
 * everybody look again.
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
import { count, entrusts, uncount } from "./_custody.ts";
import type { Custody } from "./_custody.ts";
import { Hold, waitOf } from "./_guard.ts";
import type { AcquireOptions, Guard } from "./_guard.ts";
import { identity } from "./identity.ts";
import { showAsText } from "./inspect.ts";
import { Turnstile, TURNSTILE_WORDS } from "./_turnstile.ts";
import type { TurnAttempt } from "./_turnstile.ts";

export type { AcquireOptions, Guard, WaitOptions };

const OWNER = FIRST_WORD;
const TURNSTILE = FIRST_WORD + 1;
const UNTOLD = TURNSTILE + TURNSTILE_WORDS;
const BYTES = 64;

/**
 * A lock between processes: at most one holds it at a time. It is not tied to
 * who acquired it: anybody may release it.
 *
 * - **Order:** the longest waiting is woken first; one that comes by just then
 *   may be quicker, but not again and again. Tasks of one process are served
 *   first come, first served.
 * - **Cancelling:** an aborted wait, or one that timed out, takes nothing.
 * - **Death:** if the holder is killed or crashes, the lock is abandoned: the
 *   next to acquire it gets it, with a guard whose `abandoned` is true. A holder
 *   that ends in the normal way leaves it held, for somebody else to release.
 * - **Differs from Python:** `acquire()` gives a guard for `using` where Python
 *   has `with`, and `null` where Python gives `False`. In Python, the lock of a
 *   killed process stays held for ever.
 *
 * @example Guarding a section
 * ```ts
 * import { Lock } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const lock = new Lock();
 * {
 *   using guard = await lock.acquire();
 *   assert(guard);
 *   assertEquals(guard.abandoned, false);
 *   assert(lock.locked());
 * }
 * assertEquals(lock.locked(), false);
 * ```
 */
export class Lock {
  readonly #block: Block;
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #me: number;
  readonly #turnstile: Turnstile;

  static {
    showAsText(this);
    travelsAs(
      this,
      (lock: Lock, target) => lock.#block.toWire("Lock", "Lock", target),
    );
    entrusts(this, (lock: Lock) => lock.#custody());
  }

  /** Creates a lock that nobody holds. */
  constructor() {
    this.#block = new Block(this, new.target, BYTES, "lock");
    this.#arena = this.#block.arena;
    this.#words = this.#block.words;
    this.#me = this.#arena.me;
    this.#turnstile = Turnstile.of(this.#block, TURNSTILE);
  }

  /**
   * Waits until the lock is free and takes it.
   *
   * @example Giving up after a while
   * ```ts
   * import { Lock } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const lock = new Lock();
   * using guard = await lock.acquire();
   * assertEquals(await lock.acquire({ timeout: 10 }), null);
   * assertEquals(await lock.acquire({ block: false }), null);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock when it is disposed, or `null` if
   * the time ran out.
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
   * import { Lock } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const lock = new Lock();
   * using guard = lock.acquireSync();
   * assert(guard);
   * ```
   *
   * @param options How long to wait.
   * @returns A guard that releases the lock when it is disposed, or `null` if
   * the time ran out.
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
   * Releases the lock, whoever holds it.
   *
   * @example Without a guard
   * ```ts
   * import { Lock } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const lock = new Lock();
   * await lock.acquire();
   * lock.release();
   * assertEquals(lock.locked(), false);
   * assertThrows(() => lock.release(), Error, "released too many times");
   * ```
   *
   * @throws {ProcessError} If nobody holds it.
   */
  release(): void {
    const holder = Atomics.exchange(this.#words, OWNER, 0);
    if (holder === 0) {
      throw new ProcessError("semaphore or lock released too many times");
    }
    uncount(this.#arena, holder);
    this.#turnstile.open();
  }

  /**
   * Whether somebody holds the lock. One that was abandoned is free to take.
   *
   * @example A look from outside
   * ```ts
   * import { Lock } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Lock().locked(), false);
   * ```
   */
  locked(): boolean {
    const holder = Atomics.load(this.#words, OWNER);
    return holder !== 0 &&
      this.#arena.participants.standing(holder) !== "dead";
  }

  /**
   * Who holds it, as text.
   *
   * @example The three cases are nobody, this process and another
   * ```ts
   * import { Lock } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const lock = new Lock();
   * assertEquals(String(lock), "<Lock(owner=None)>");
   * using guard = await lock.acquire();
   * assertEquals(String(lock), "<Lock(owner=MainProcess)>");
   * ```
   */
  toString(): string {
    const holder = Atomics.load(this.#words, OWNER);
    const name = holder === this.#me
      ? identity.name
      : this.locked()
      ? "SomeOtherProcess"
      : "None";
    return `<Lock(owner=${name})>`;
  }

  async #acquireInTurn(options: AcquireOptions): Promise<Guard | null> {
    const wait = waitOf(options);
    const outcome = await this.#pass((asks) => this.#take(asks), wait);
    return outcome === TIMED_OUT ? null : outcome;
  }

  #pass(
    attempt: TurnAttempt<Guard>,
    wait: WaitOptions,
  ): Promise<Guard | typeof TIMED_OUT> {
    return this.#turnstile.pass(attempt, wait, () => !this.locked());
  }

  #take(asks = false): Guard | typeof NOT_YET {
    const words = this.#words;
    const holder = Atomics.compareExchange(words, OWNER, 0, this.#me);
    if (holder !== 0) {
      if (holder === this.#me || !this.#isDead(holder, asks)) return NOT_YET;
      // Whoever is quicker than us here will wake us when it is done.
      if (Atomics.compareExchange(words, OWNER, holder, this.#me) !== holder) {
        return NOT_YET;
      }
    }
    count(this.#arena);
    return new Hold(this, this.#isUntold() || holder !== 0);
  }

  #isDead(holder: number, asks: boolean): boolean {
    const { participants } = this.#arena;
    return participants.standing(holder) === "dead" ||
      (asks && participants.hasCrashed(holder));
  }

  /** Whether somebody has to be told that it was abandoned, who now is. */
  #isUntold(): boolean {
    const words = this.#words;
    if (words[UNTOLD] === 0) return false;
    words[UNTOLD] = 0;
    return true;
  }

  /** Takes it for one that has a guard already: the next one is to say it. */
  #retake(asks = false): Guard | typeof NOT_YET {
    const guard = this.#take(asks);
    if (guard !== NOT_YET && guard.abandoned) this.#words[UNTOLD] = 1;
    return guard;
  }

  #custody(): Custody {
    return {
      isMine: () => Atomics.load(this.#words, OWNER) === this.#me,
      settle: () => undefined,
      yield: () => (this.release(), 1),
      yieldAll: () => (this.release(), 1),
      retake: async () => {
        if (this.#turnstile.isOpen && this.#retake() !== NOT_YET) return;
        await this.#pass((asks) => this.#retake(asks), {});
      },
      retakeSync: () => {
        this.#turnstile.passSync((asks) => this.#retake(asks), {});
      },
    };
  }
}

/** Nobody can release a lock whose last object has gone. */
function forget(arena: Arena, offset: number): void {
  const holder = Atomics.load(arena.words(offset, OWNER + 1), OWNER);
  if (holder !== 0) uncount(arena, holder);
}

onLast("lock", forget);

registerTag("Lock", (data) => receive(data, () => new Lock()));

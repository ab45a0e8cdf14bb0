/**
 * A flag to wait for.
 *
 * **Guarantees.** Whoever waits when the flag is set is released, even if it is
 * cleared again at once; whoever comes while it is set does not wait.
 *
 * Word of the block:
 *
 * - `CHANGES`: how often the flag was set or cleared; odd means set · `set()` and
 *   `clear()`, by compare-and-swap · everybody.
 *
 * A waiter remembers what the word said when it came, an even number, and waits
 * until it says anything else: the flag has been set at least once since, whatever
 * it is now. (Looking at the flag alone would miss a `set(); clear()` that is over
 * before the waiter is awake.) The number wraps after two thousand million
 * changes, during one sleep.
 *
 * **Killed anywhere.** One word, changed in one step. Waiters leave nothing in
 * it, so a killed one is missed by nobody.
 *
 * **Why no wake-up is lost.** The word changes before the wake, and attempts are
 * made after a waiter can be seen (`memory/waiting.ts`). If whoever set it is
 * killed between the two, its burial makes everybody look again.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { keyOf, NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Attempt, WaitOptions } from "../memory/mod.ts";
import { Block, FIRST_WORD, receive, travelsAs } from "./block.ts";
import { showAsText } from "./inspect.ts";

export type { WaitOptions };

const CHANGES = FIRST_WORD;
const BYTES = 64;

/**
 * A flag between processes: one sets it, any number wait for it.
 *
 * - **Order:** all who wait are released together.
 * - **Cancelling:** an aborted wait changes nothing.
 * - **Death:** a killed waiter is missed by nobody; `set()` waits for no answer.
 * - **Differs from Python:** a `clear()` right after `set()` cannot keep anybody
 *   waiting who waited before, and `set()` cannot hang on a killed waiter.
 *
 * @example Telling a task to go on
 * ```ts
 * import { Event } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * const ready = new Event();
 * const waiting = ready.wait();
 * ready.set();
 * assert(await waiting);
 * ```
 */
export class Event {
  readonly #block: Block;
  readonly #key: number;

  static {
    showAsText(this);
    travelsAs(
      this,
      (event: Event, target) => event.#block.toWire("Event", "Event", target),
    );
  }

  /** Creates a flag that is not set. */
  constructor() {
    this.#block = new Block(this, new.target, BYTES);
    this.#key = keyOf(this.#block.offset);
  }

  /**
   * Whether the flag is set.
   *
   * @example A new one
   * ```ts
   * import { Event } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Event().isSet(), false);
   * ```
   */
  isSet(): boolean {
    return isOdd(this.#changes());
  }

  /**
   * Sets the flag and releases all who wait. Does nothing if it is set.
   *
   * @example Those who come later do not wait
   * ```ts
   * import { Event } from "@deno-mp/multiprocessing";
   * import { assert } from "@std/assert";
   *
   * const event = new Event();
   * event.set();
   * assert(await event.wait({ timeout: 0 }));
   * ```
   */
  set(): void {
    if (this.#change(isOdd)) this.#block.arena.waiting.wake(this.#key);
  }

  /**
   * Clears the flag: who comes from now on waits. Does nothing if it is not set.
   *
   * @example Once more
   * ```ts
   * import { Event } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const event = new Event();
   * event.set();
   * event.clear();
   * assertEquals(event.isSet(), false);
   * ```
   */
  clear(): void {
    this.#change((changes) => !isOdd(changes));
  }

  /**
   * Waits until the flag is set.
   *
   * @example Giving up after a while
   * ```ts
   * import { Event } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const event = new Event();
   * assertEquals(await event.wait({ timeout: 10 }), false);
   * ```
   *
   * @param options How long to wait.
   * @returns `true`, or `false` if the time ran out.
   * @throws {unknown} The reason of the signal, if it is aborted.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    const { waiting } = this.#block.arena;
    const outcome = await waiting.wait([this.#key], this.#isOver(), options);
    return outcome !== TIMED_OUT;
  }

  /**
   * The same, blocking the thread.
   *
   * @example In a calculation that does not await
   * ```ts
   * import { Event } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Event().waitSync({ timeout: 1 }), false);
   * ```
   *
   * @param options How long to wait.
   * @returns `true`, or `false` if the time ran out.
   * @throws {unknown} The reason of the signal, if it was aborted before.
   */
  waitSync(options: WaitOptions = {}): boolean {
    const { waiting } = this.#block.arena;
    return waiting.waitSync([this.#key], this.#isOver(), options) !== TIMED_OUT;
  }

  /**
   * Its state, as text.
   *
   * @example A new one
   * ```ts
   * import { Event } from "@deno-mp/multiprocessing";
   * import { assertMatch } from "@std/assert";
   *
   * assertMatch(String(new Event()), /^<Event at 0x[0-9a-f]+ unset>$/);
   * ```
   */
  toString(): string {
    const state = this.isSet() ? "set" : "unset";
    return `<Event at 0x${this.#block.offset.toString(16)} ${state}>`;
  }

  #changes(): number {
    return Atomics.load(this.#block.words, CHANGES);
  }

  /** Tells whether the flag has been set at some time from now on. */
  #isOver(): Attempt<true> {
    const before = this.#changes();
    return () => isOdd(before) || this.#changes() !== before ? true : NOT_YET;
  }

  /** Returns whether there was anything to change. */
  #change(isDone: (changes: number) => boolean): boolean {
    let seen = this.#changes();
    while (!isDone(seen)) {
      const was = Atomics.compareExchange(
        this.#block.words,
        CHANGES,
        seen,
        (seen + 1) | 0,
      );
      if (was === seen) return true;
      seen = was;
    }
    return false;
  }
}

function isOdd(changes: number): boolean {
  return (changes & 1) === 1;
}

registerTag("Event", (data) => receive(data, () => new Event()));

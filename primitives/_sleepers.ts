/**
 * Those who wait on a condition, in shared memory: who they are, in which order
 * they came, and which of them have been notified.
 *
 * **Guarantees.** A notification goes to one sleeper that was there when it was
 * given, the longest waiting first, and to nobody else. If that one gives up or
 * is killed before it is awake and has the lock, it goes to the next of those
 * who were there. Nobody waits for an answer of a sleeper.
 *
 * **Records.** Each sleeper has a record of four words, so that its address is a
 * key of its own to wait for, and a wake-up reaches it alone. Some records lie
 * in the block of the condition; more are chained to it in pages of the heap.
 *
 * - `OWNER`: token of the sleeper, 0 if the record is free · taken by
 *   compare-and-swap from 0; given back by the owner; the record of an ended one
 *   is taken over by compare-and-swap · everybody.
 * - `STATE`: what became of it · see the picture · everybody.
 * - `MORE`, one for each page: the next page, in units of 64 B, 0 for none · who
 *   adds one, by compare-and-swap · everybody.
 * - `TICKETS`: the number of the next sleeper · each sleeper adds one · notifiers.
 *
 * ```
 *   FREE --join()--> ASLEEP, ticket t --notify()--> NOTIFIED, below b --> FREE
 *                       |                              |            leave()
 *                       +-- leave(): gave up --> FREE  +-- gives up or is dead:
 *                                                          pass it on to somebody
 *                                                          with a ticket below b
 * ```
 *
 * A state is one word: what, and in the bits above it the ticket t, or the bound
 * b, which is the first ticket that had not been given out at the time of the
 * notification. So a notification that is passed on never reaches somebody who
 * came later (nothing is banked), and a compare-and-swap cannot mistake a new
 * sleeper for the one that had the record before.
 *
 * **Killed anywhere.** Everything is one store or compare-and-swap. Whoever finds
 * a record of a participant that has ended takes it over first, so that only one
 * passes on what was in it, and frees it last, so that, if it is killed in
 * between, the same is found again under its own name. In that last case, two
 * deaths at the worst moments, a notification may arrive twice; it never gets
 * lost.
 *
 * **Why no wake-up is lost.** A record is there before its owner releases the
 * lock; a notifier has the lock, so it sees it. The state changes before the wake.
 * An end makes everybody look again, and each look takes over what the dead have
 * left: so those who are still asleep are the ones who pass it on.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { keyOf } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import type { Block } from "./block.ts";

// ---- a record, and its page ---------------------------------------------------

const OWNER = 0;
const STATE = 1;
const RECORD_WORDS = 4;
/** Words before the records of a page; `MORE` is the first of them. */
const PAGE_HEAD_WORDS = 4;
const PAGE_BYTES = 4096;
/** `MORE` counts in these, so that it reaches all of the memory. */
const MORE_UNIT = 64;

// ---- states -------------------------------------------------------------------

const FREE = 0;
const ASLEEP = 1;
const NOTIFIED = 2;
/** Bits of a state that say what; above them is a ticket. */
const TICKET_SHIFT = 2;
const WHAT = (1 << TICKET_SHIFT) - 1;

/** A part of the records. */
interface Page {
  readonly words: Int32Array;
  /** Offset of the words. */
  readonly offset: number;
  /** Index of its `MORE`. */
  readonly more: number;
}

/** Where somebody is asleep. */
interface Record {
  readonly page: Page;
  /** Index of its first word there. */
  readonly at: number;
}

/** The stay of one sleeper. */
export interface Sleeper {
  /** What it waits for. */
  readonly key: number;
  /** Whether it has been notified. */
  isNotified(): boolean;
  /** Gives up if it has not been notified yet; says whether it has. */
  stop(): boolean;
  /** Passes a notification it does not want to another, if it has got one. */
  decline(): void;
  /** Goes. Only now is a notification used up. */
  leave(): void;
}

/** See the module. */
export class Sleepers {
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #tickets: number;
  readonly #pages: Page[];

  /**
   * Opens the sleepers of a block.
   *
   * @param block The block.
   * @param word Index of the first that is theirs, a multiple of 4: that one is
   * `MORE`, the next is `TICKETS`, the records start four words on.
   */
  constructor({ arena, words, offset }: Block, word: number) {
    this.#arena = arena;
    this.#words = words;
    this.#tickets = word + 1;
    this.#pages = [{ words, offset, more: word }];
  }

  /** Frees the pages that were added. */
  static free(arena: Arena, words: Int32Array, word: number): void {
    let more = words[word]! >>> 0;
    while (more !== 0) {
      const next = arena.words(more * MORE_UNIT, 1)[0]! >>> 0;
      arena.heap.free(more * MORE_UNIT, PAGE_BYTES);
      more = next;
    }
  }

  /** How many are asleep. */
  get count(): number {
    return this.#asleep().length;
  }

  /** Joins the sleepers, behind all others. The caller has the lock. */
  join(): Sleeper {
    const record = this.#take();
    const { page: { words }, at } = record;
    const ticket = Atomics.add(this.#words, this.#tickets, 1);
    const asleep = (ticket << TICKET_SHIFT) | ASLEEP;
    Atomics.store(words, at + STATE, asleep);
    const isNotified = () => {
      if (Atomics.load(words, at + STATE) !== asleep) return true;
      // Perhaps we look because somebody has died who was to be woken.
      this.#takeOverFromDead();
      return Atomics.load(words, at + STATE) !== asleep;
    };
    const stop = () =>
      Atomics.compareExchange(words, at + STATE, asleep, FREE) !== asleep;
    return {
      key: keyOfRecord(record),
      isNotified,
      stop,
      decline: () => {
        if (!stop()) return;
        this.#passOn(record);
        // Killed before it has the lock again, it must not pass it on once more.
        Atomics.store(words, at + STATE, FREE);
      },
      leave: () => free(record),
    };
  }

  /**
   * Notifies those who have been asleep the longest. The caller has the lock.
   *
   * @param count How many of them at most.
   */
  notify(count: number): void {
    this.#takeOverFromDead();
    const bound = Atomics.load(this.#words, this.#tickets);
    let left = count;
    for (const record of this.#asleep()) {
      if (left <= 0) return;
      if (this.#notifyOne(record, bound)) left--;
    }
  }

  /** Those who are asleep, the longest first. */
  #asleep(): Record[] {
    const { participants } = this.#arena;
    const found: { record: Record; ticket: number }[] = [];
    this.#each((record) => {
      const { page: { words }, at } = record;
      const state = Atomics.load(words, at + STATE);
      if ((state & WHAT) !== ASLEEP) return;
      const owner = Atomics.load(words, at + OWNER);
      if (participants.standing(owner) !== "alive") return;
      found.push({ record, ticket: state & ~WHAT });
    });
    // Tickets wrap around: compare by difference.
    found.sort((a, b) => (a.ticket - b.ticket) | 0);
    return found.map(({ record }) => record);
  }

  #notifyOne(record: Record, bound: number): boolean {
    const { page: { words }, at } = record;
    const seen = Atomics.load(words, at + STATE);
    const isMeant = (seen & WHAT) === ASLEEP &&
      (((seen & ~WHAT) - (bound << TICKET_SHIFT)) | 0) < 0;
    if (!isMeant) return false;
    const notified = (bound << TICKET_SHIFT) | NOTIFIED;
    const was = Atomics.compareExchange(words, at + STATE, seen, notified);
    if (was !== seen) return false;
    this.#arena.waiting.wake(keyOfRecord(record));
    return true;
  }

  #passOn({ page: { words }, at }: Record): void {
    const bound = Atomics.load(words, at + STATE) >> TICKET_SHIFT;
    for (const other of this.#asleep()) {
      if (this.#notifyOne(other, bound)) return;
    }
  }

  #takeOverFromDead(): void {
    const { me, participants } = this.#arena;
    this.#each((record) => {
      const { page: { words }, at } = record;
      const owner = Atomics.load(words, at + OWNER);
      if (owner === 0 || owner === me) return;
      if (participants.standing(owner) === "alive") return;
      const was = Atomics.compareExchange(words, at + OWNER, owner, me);
      if (was !== owner) return;
      // It bears the name of a living one now: a notification may still come.
      let state = Atomics.load(words, at + STATE);
      if ((state & WHAT) === ASLEEP) {
        state = Atomics.compareExchange(words, at + STATE, state, FREE);
      }
      if ((state & WHAT) === NOTIFIED) this.#passOn(record);
      free(record);
    });
  }

  // ---- pages ------------------------------------------------------------------

  #take(): Record {
    const { me } = this.#arena;
    for (let i = 0;; i++) {
      const page = this.#page(i);
      const { words, more } = page;
      for (
        let at = more + PAGE_HEAD_WORDS;
        at + RECORD_WORDS <= words.length;
        at += RECORD_WORDS
      ) {
        const was = Atomics.compareExchange(words, at + OWNER, 0, me);
        if (was === 0) return { page, at };
      }
    }
  }

  #each(visit: (record: Record) => void): void {
    for (let i = 0; this.#hasPage(i); i++) {
      const page = this.#pages[i]!;
      const { words, more } = page;
      for (
        let at = more + PAGE_HEAD_WORDS;
        at + RECORD_WORDS <= words.length;
        at += RECORD_WORDS
      ) visit({ page, at });
    }
  }

  /** A page, added if need be; the ones before it are there. */
  #page(i: number): Page {
    if (this.#hasPage(i)) return this.#pages[i]!;
    const { heap } = this.#arena;
    const offset = heap.allocate(PAGE_BYTES);
    const last = this.#pages[i - 1]!;
    const was = Atomics.compareExchange(
      last.words,
      last.more,
      0,
      offset / MORE_UNIT,
    );
    if (was !== 0) heap.free(offset, PAGE_BYTES);
    this.#hasPage(i);
    return this.#pages[i]!;
  }

  #hasPage(i: number): boolean {
    if (i < this.#pages.length) return true;
    const last = this.#pages[i - 1]!;
    const more = Atomics.load(last.words, last.more) >>> 0;
    if (more === 0) return false;
    const offset = more * MORE_UNIT;
    const words = this.#arena.words(offset, PAGE_BYTES / 4);
    this.#pages.push({ words, offset, more: 0 });
    return true;
  }
}

function keyOfRecord({ page, at }: Record): number {
  return keyOf(page.offset + at * 4);
}

function free({ page: { words }, at }: Record): void {
  Atomics.store(words, at + STATE, FREE);
  Atomics.store(words, at + OWNER, 0);
}

/**
 * Waiting for something in shared memory to become true, and telling those who
 * wait: the one place where this library sleeps.
 *
 * **The idea.** An *attempt* is a function that tries something (take this lock,
 * take an item) and says whether it succeeded. To wait is to attempt, to leave a
 * note that one is interested, to attempt again, and then to sleep until
 * somebody who read the note rings. The note is a *wait entry* in the waiter's
 * own slot: the *key* of what it waits for (an offset in the arena) and a
 * ticket. A waker looks through the entries of all participants for its key,
 * marks one or all of them as notified, and rings their owners' doorbells. Each
 * participant sleeps on its own doorbell and nowhere else, so it needs one
 * pending call however much it waits for (prior art: the parking lot of WebKit,
 * turned inside out; the entries lie with the waiter, not in a shared table, so
 * that a killed waiter leaves no broken list behind).
 *
 * ```
 *     waiter (any participant)            |  waker (any participant)
 *     ------------------------------------+----------------------------------
 *  1  attempt: not yet                    |
 *  2  bucket += 1; entry := WAITING       |  a  change what is waited for
 *  3  attempt: not yet                    |  b  bucket > 0? else done
 *  4  seen := bell; any entry notified?   |  c  entry: WAITING -> NOTIFIED
 *  5  sleep while bell = seen             |  d  bell += 1; wake the sleeper
 * ```
 *
 * **Why no wake-up is lost.** All of these are sequentially consistent. Either
 * (b) sees the bucket raised and (c) finds the entry, or one of them came before
 * its part of (2), hence (a) before (3), and then the attempt in (3) sees the
 * change. Once the entry is found, (d) comes after (c): if the waiter read its
 * bell before (d), the sleep in (5) ends at once because the bell differs; if
 * after, (4) has seen the notified entry.
 *
 * **Why none is wasted.** To wake one waiter is to hand it a duty: if it gives up
 * (timeout, abort, an attempt that throws) or dies while notified, the wake-up is
 * passed on to the next (`#retire` here, {@linkcode Waiting.bury} for the dead);
 * and also if it succeeds while it waited for several keys, for then it may owe
 * that to another of them. A waiter that was overtaken simply goes on waiting:
 * whoever overtook it will wake again.
 *
 * **Why nobody is kept from it by one who is busy.** A duty may be that of a
 * participant that does not get round to it: it calculates, or is stopped. Where
 * one at a time is woken, the others therefore look again by themselves, every
 * second in the event loop ({@linkcode Manner.looksAgain}) and more often while they
 * block. And a participant that blocks hands on what its event loop has been given:
 * it would hold up whoever it blocks for.
 *
 * **Why no death stops others.** What counts waiters is raised before and lowered
 * after what it counts, so whoever is killed in between leaves it too high, which
 * costs wakers a look and nobody a wake-up. One that was killed between (a) and
 * (d) is buried, and then everybody is rung, even who was notified already.
 *
 * **Overflow.** A participant has a fixed number of entries. If it waits for more
 * keys than that, it says so in its slot, and every wake rings it.
 *
 * **One who is known.** Where only one participant can ever wait for a key (the
 * owner of a pool for answers), its waker looks through that one's slot alone; if
 * that slot has another owner by then, nothing in it has the key.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import * as at from "./layout.ts";
import { checkedLimits, checkSignal, LONGEST_TIMER_MS } from "./limits.ts";
import type { Memory } from "./memory.ts";
import { slotOf, slotWord } from "./participants.ts";
import type { Participants } from "./participants.ts";

/** How long to wait, and what may end the wait early. */
export interface WaitOptions {
  /**
   * The longest wait in milliseconds. Zero or less tries once.
   *
   * @default {undefined} for ever
   */
  timeout?: number | undefined;
  /** Aborting it rejects the wait with its reason; nothing is taken. */
  signal?: AbortSignal | undefined;
}

/** How a wait stands to others for the same keys. */
export interface Manner {
  /**
   * Whether a failed attempt means that those behind it in the line fail too (true
   * of a lock; saves their attempts).
   *
   * @default {false}
   */
  readonly isExclusive?: boolean;
  /**
   * Whether it attempts again every second, though nobody has rung: for what one at
   * a time is woken for, as that one may be busy.
   *
   * @default {false}
   */
  readonly looksAgain?: boolean;
  /**
   * Called once the wait is over, however it ends: before a wake-up that was meant
   * for it goes to the next, and long before the promise is settled.
   */
  readonly onEnd?: (() => void) | undefined;
}

/** What an attempt gives when it did not succeed. */
export const NOT_YET: unique symbol = Symbol("not yet");
/** What a wait gives when its time ran out. */
export const TIMED_OUT: unique symbol = Symbol("timed out");

/**
 * Tries once and never blocks. It may wake others when it succeeds, never when
 * it does not: in a participant in overflow that would be an attempt again.
 */
export type Attempt<T> = () => T | typeof NOT_YET;

/**
 * A blocked thread looks up this often, in milliseconds, because what it cannot
 * hear while blocked (the end of its own children) it has to go and see.
 */
const SLICE_MS = 50;
/** The same for one that sleeps in its event loop, if it looks again at all. */
const LOOK_MS = 1000;
/** Index of the entry that stands for "no entry was free". */
const NO_ENTRY = -1;

/**
 * How long a wait that is over waits at most for the end of the sleep it has ended:
 * many times what that takes.
 */
const SETTLE_MS = 200;

/**
 * How often to turn the event loop, at most, in the hope of being rung, before
 * sleeping. A turn takes 2 µs and the look that follows 5 to 10, a sleep and a
 * wake 20 to 120 µs; so this many turns cost a few times what they can save.
 * (Without the looks, a call of a pool took 16 to 24 µs instead of 8: most of the
 * time the bell rang while the loop was in the middle of a turn.)
 */
const MOST_TURNS = 32;
/**
 * Looks before blocking: 5 to 10 µs each, together as long as a wake takes where it
 * takes long (20 µs on one machine, 120 on another). If they were shorter than that,
 * one that looks in vain, and has to be woken, would make the other one do so too,
 * and so on until both have given up.
 */
const MOST_LOOKS = 16;
/**
 * The same after they have been given up: where both sides have, each has to be woken
 * for each message, until one looks for as long as that takes. (A number through a
 * pipe and back took 200 µs for ever, not 7, with 4 looks here and above.)
 */
const LONG_LOOKS = 32;
/** After turning or looking in vain it is tried again, after so many sleeps. */
const RETRY_AFTER = 16;
/**
 * Looking long in vain doubles that, up to here: on one processor it costs 230 µs,
 * in which the other side gets nowhere.
 */
const LATEST_RETRY_AFTER = 64;

/** One wait in progress in this participant. */
interface Waiter {
  /** Whether it has been told the outcome: an attempt may abort its own signal. */
  isOver: boolean;
  readonly keys: readonly number[];
  readonly attempt: Attempt<unknown>;
  readonly manner: Manner;
  finish(outcome: unknown): void;
  fail(error: unknown): void;
}

/** All waits of this participant on one key, oldest first. */
interface Line {
  readonly key: number;
  /** The entry that speaks for them all. */
  readonly entry: number;
  readonly waiters: Set<Waiter>;
  /** Whether the wake-up it has been given was handed on while the thread blocked. */
  isHandedOn: boolean;
}

/** See the module. */
export class Waiting {
  readonly #words: Int32Array;
  readonly #memory: Memory;
  readonly #participants: Participants;
  readonly #me: number;
  readonly #slot: number;
  readonly #lines = new Map<number, Line>();
  readonly #freeEntries: number[] = [];
  /** Waits in progress that sleep through the event loop. */
  #active = 0;
  /** Those of them that look again by themselves. */
  #looking = 0;
  #lookTimer: ReturnType<typeof setInterval> | undefined;
  #listening = false;
  /** The pending sleep, if there is one. */
  #asleep: Promise<void> | undefined;
  /** Whether the program is kept alive: from the first sleep on, as a turn does so. */
  #isKept = false;
  #dispatchQueued = false;
  /** How many have asked to be woken without delay. */
  #eager = 0;
  /** How often to turn before the next sleep. */
  #turns = MOST_TURNS;
  #sleepsUntilRetry = RETRY_AFTER;
  /** How often to look before the next time this thread is blocked. */
  #looks = MOST_LOOKS;
  #sleepsUntilLook = RETRY_AFTER;
  #lookAfter = RETRY_AFTER;
  #onSlice: (() => void) | undefined;
  #onListen: (() => void) | undefined;

  /**
   * Opens the wait entries of a participant.
   *
   * @param words The header and the table, as words.
   * @param memory The memory it lies in.
   * @param participants The table of participants.
   * @param me Token of the participant.
   */
  constructor(
    words: Int32Array,
    memory: Memory,
    participants: Participants,
    me: number,
  ) {
    this.#words = words;
    this.#memory = memory;
    this.#participants = participants;
    this.#me = me;
    this.#slot = slotWord(slotOf(me));
    memory.own(words, this.#slot);
  }

  /** How many waits are in progress here. */
  get pending(): number {
    return this.#active;
  }

  /**
   * What a blocked thread does each time it looks up: buries its own children
   * that have ended, of which it cannot hear while it blocks.
   *
   * @param look Called about every 50 ms while blocked.
   */
  onSlice(look: () => void): void {
    this.#onSlice = look;
  }

  /**
   * What is done once, when the first wait in the event loop begins: what only
   * those need who wait is not there before.
   *
   * @param begin Called then, or at once if that is now.
   */
  onListen(begin: () => void): void {
    if (this.#listening) begin();
    else this.#onListen = begin;
  }

  /**
   * Waits until an attempt succeeds. The first attempt is made at once, before
   * this function returns.
   *
   * @param keys What the attempt depends on: each change of one of these is
   * followed by a {@linkcode Waiting.wake} of it.
   * @param attempt What to try.
   * @param options How long to wait.
   * @param manner How it stands to others.
   * @returns What the attempt gave, or {@linkcode TIMED_OUT}.
   */
  async wait<T>(
    keys: readonly number[],
    attempt: Attempt<T>,
    options: WaitOptions = {},
    manner: Manner = {},
  ): Promise<T | typeof TIMED_OUT> {
    const { timeout, signal } = checkedLimits(options);
    const first = attempt();
    if (first !== NOT_YET) return first;
    if (timeout <= 0) return TIMED_OUT;
    checkSignal(signal);

    const { promise, resolve, reject } = Promise.withResolvers<
      T | typeof TIMED_OUT
    >();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = () => {
      waiter.isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      manner.onEnd?.();
      this.#remove(waiter);
    };
    const waiter: Waiter = {
      isOver: false,
      keys,
      attempt,
      manner,
      finish: (outcome) => {
        if (waiter.isOver) return;
        end();
        resolve(outcome as T | typeof TIMED_OUT);
      },
      fail: (error) => {
        if (waiter.isOver) return;
        end();
        reject(error);
      },
    };
    const onAbort = () => waiter.fail(signal!.reason);
    this.#add(waiter);
    signal?.addEventListener("abort", onAbort);
    // Attempt again: what we wait for may have come before our entry was seen.
    if (this.#try(waiter) === "not yet" && !waiter.isOver) {
      if (timeout !== Infinity) {
        const deadline = performance.now() + timeout;
        const onTimer = () => {
          const leftMs = deadline - performance.now();
          if (leftMs <= 0) this.#tryAtLast(waiter);
          else {
            timer = setTimeout(onTimer, Math.min(leftMs, LONGEST_TIMER_MS));
          }
        };
        onTimer();
      }
      this.#listen();
    }
    try {
      return await promise;
    } finally {
      // The last to leave sees that the pending sleep has ended, so that nothing
      // is left of a wait that is over (Deno's test sanitizers look for that).
      // Not without limit: the call may not have begun yet, as all of Deno's threads
      // for such calls are taken. It ends as soon as it does.
      if (this.#active === 0 && this.#asleep) {
        await atMost(this.#asleep, SETTLE_MS);
      }
      // Only now: the end of a thread's sleep does not keep the program alive.
      if (this.#active === 0) this.#keepAlive(false);
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @param keys What the attempt depends on.
   * @param attempt What to try.
   * @param options How long to wait. A signal can only have been aborted before:
   * nothing can abort it while the thread blocks.
   * @param mostLooks How often to look at most before it sleeps: less often for who
   * has looked already.
   * @default mostLooks {LONG_LOOKS}
   * @returns What the attempt gave, or {@linkcode TIMED_OUT}.
   */
  waitSync<T>(
    keys: readonly number[],
    attempt: Attempt<T>,
    options: WaitOptions = {},
    mostLooks: number = LONG_LOOKS,
  ): T | typeof TIMED_OUT {
    const { timeout } = checkedLimits(options);
    const first = attempt();
    if (first !== NOT_YET) return first;
    if (timeout <= 0) return TIMED_OUT;

    const words = this.#words;
    const bell = this.#slot + at.S_BELL;
    const deadline = performance.now() + timeout;
    const entries = keys.map((key) => this.#enlist(key));
    let owed: number[] = [];
    const sleeping = this.#slot + at.S_SLEEPING;
    let slicedMs = performance.now();
    const wasSleeping = Atomics.load(words, sleeping);
    try {
      while (true) {
        const seen = Atomics.load(words, bell);
        owed = keys.filter((_, i) => this.#rearm(entries[i]!));
        const outcome = attempt();
        if (outcome === NOT_YET || keys.length === 1) owed = [];
        if (outcome !== NOT_YET) return outcome;
        const nowMs = performance.now();
        const leftMs = deadline - nowMs;
        if (leftMs <= 0) return TIMED_OUT;
        this.#handOn();
        if (!this.#seesRing(seen, mostLooks)) {
          Atomics.store(words, sleeping, 1);
          this.#memory.sleepSync(words, bell, seen, Math.min(leftMs, SLICE_MS));
          Atomics.store(words, sleeping, wasSleeping);
        } else if (nowMs - slicedMs < SLICE_MS) continue;
        slicedMs = nowMs;
        this.#onSlice?.();
      }
    } finally {
      keys.forEach((key, i) => this.#retire(key, entries[i]!));
      for (const key of owed) this.wake(key, 1);
      // Rings meant for the other waits of this thread may have been heard here.
      if (this.#active > 0) this.#dispatchSoon();
    }
  }

  /**
   * Before this thread is blocked: whom its event loop has been woken for cannot
   * have it now, so another is woken as well. What it has been given stays its own,
   * too, for when it is back.
   */
  #handOn(): void {
    for (const line of this.#lines.values()) {
      if (line.entry === NO_ENTRY || line.isHandedOn) continue;
      const state = Atomics.load(this.#words, line.entry + at.E_STATE);
      if (state !== at.ENTRY_NOTIFIED) continue;
      line.isHandedOn = true;
      this.wake(line.key, 1);
    }
  }

  /**
   * Looks whether the bell rings, before this thread is blocked. What one waits for
   * is often on its way, and to be woken takes longer than to see it come: a number
   * through a pipe and back 18 to 28 µs, not 5. How often follows success: on a
   * processor that both share, the other one gets on only when this one sleeps.
   */
  #seesRing(seen: number, mostLooks: number): boolean {
    if (this.#looks === 0 && --this.#sleepsUntilLook > 0) return false;
    const most = Math.min(this.#looks || LONG_LOOKS, mostLooks);
    for (let i = 0; i < most; i++) {
      if (this.#memory.look(this.#words, this.#slot + at.S_BELL, seen)) {
        // Half of them to spare: so it goes on while the other side has to be woken.
        this.#looks = Math.min(Math.max(2 * (i + 1), MOST_LOOKS), LONG_LOOKS);
        this.#lookAfter = RETRY_AFTER;
        return true;
      }
    }
    if (this.#looks === 0) {
      this.#lookAfter = Math.min(this.#lookAfter * 2, LATEST_RETRY_AFTER);
    }
    this.#sleepsUntilLook = this.#lookAfter;
    this.#looks >>= 1;
    return false;
  }

  /**
   * Wakes those who wait for a key, after the change they wait for.
   *
   * @param key What has changed.
   * @param count How many of them at most; the longest waiting first.
   * @default count {Infinity}
   * @param only Token of the only participant that ever waits for this key: the
   * notes of the others need not be looked through, which among 64 takes 1 to 2 µs.
   */
  wake(key: number, count: number = Infinity, only?: number): void {
    const words = this.#words;
    if (
      Atomics.load(words, bucketOf(key)) === 0 &&
      Atomics.load(words, at.H_OVERFLOWING) === 0
    ) return;
    if (only !== undefined) this.#notifyIn(slotWord(slotOf(only)), key);
    else if (count === Infinity) this.#notifyAll(key);
    else for (let i = 0; i < count && this.#notifyOldest(key); i++);
    if (Atomics.load(words, at.H_OVERFLOWING) > 0) this.#ringOverflowing();
  }

  /**
   * Asks for waits to end without delay for a while, at the price of some
   * processor time: for those who have just given somebody work.
   *
   * @param on Whether the asking begins or ends; each begin has its end.
   */
  beEager(on: boolean): void {
    this.#eager += on ? 1 : -1;
  }

  /** Makes everybody who waits, for whatever, look again. */
  wakeEverybody(): void {
    const slots = new Set<number>();
    this.#eachEntry((slot, entry) => {
      const state = Atomics.load(this.#words, entry + at.E_STATE);
      // Whoever has notified it may have died before it rang.
      if (this.#notify(entry) || state === at.ENTRY_NOTIFIED) slots.add(slot);
    });
    for (const slot of slots) this.#ring(slot);
    this.#ringOverflowing();
  }

  /**
   * Sees to what a dead participant leaves behind: its entries are cleared, a
   * wake-up it had been given is passed on, and everybody looks again, for locks
   * it held and pipes it had open.
   *
   * @param token Token of the dead.
   */
  bury(token: number): void {
    const words = this.#words;
    const base = slotWord(slotOf(token));
    const used = Atomics.load(words, base + at.S_ENTRIES_USED);
    for (let i = 0; i < used; i++) {
      const entry = base + at.S_ENTRIES + i * at.ENTRY_WORDS;
      const state = Atomics.exchange(words, entry + at.E_STATE, at.ENTRY_FREE);
      if (state === at.ENTRY_FREE) continue;
      Atomics.sub(words, bucketOf(words[entry + at.E_KEY]!), 1);
    }
    Atomics.store(words, base + at.S_ENTRIES_USED, 0);
    // The sleep of a thread goes on without it: in one of the threads for blocking
    // calls of its process, which has no more than 32.
    Atomics.add(words, base + at.S_BELL, 1);
    if (Atomics.load(words, base + at.S_SLEEPING) === 1) {
      this.#memory.wake(words, base + at.S_BELL);
    }
    this.#memory.bury(words, base);
    if (Atomics.exchange(words, base + at.S_OVERFLOWING, 0) === 1) {
      Atomics.sub(words, at.H_OVERFLOWING, 1);
    }
    this.wakeEverybody(); // also passes on what the dead had been given
  }

  // ---- wakers ---------------------------------------------------------------

  #notifyAll(key: number): void {
    this.#eachEntry((slot, entry) => {
      if (this.#words[entry + at.E_KEY] !== key) return;
      if (this.#notify(entry)) this.#ring(slot);
    });
  }

  #notifyIn(slot: number, key: number): void {
    const words = this.#words;
    const used = Atomics.load(words, slot + at.S_ENTRIES_USED);
    for (let i = 0; i < used; i++) {
      const entry = slot + at.S_ENTRIES + i * at.ENTRY_WORDS;
      if (words[entry + at.E_KEY] === key && this.#notify(entry)) {
        this.#ring(slot);
      }
    }
  }

  /** Returns whether somebody was found. */
  #notifyOldest(key: number): boolean {
    const words = this.#words;
    while (true) {
      let oldestSlot = 0;
      let oldest = 0;
      let oldestTicket = 0;
      this.#eachEntry((slot, entry) => {
        if (words[entry + at.E_KEY] !== key) return;
        if (Atomics.load(words, entry + at.E_STATE) !== at.ENTRY_WAITING) {
          return;
        }
        const ticket = words[entry + at.E_TICKET]!;
        // Tickets wrap around: compare by difference.
        if (oldest === 0 || ((ticket - oldestTicket) | 0) < 0) {
          [oldestSlot, oldest, oldestTicket] = [slot, entry, ticket];
        }
      });
      if (oldest === 0) return false;
      if (!this.#notify(oldest)) continue; // it stopped, or another was faster
      this.#ring(oldestSlot);
      // Its owner may have begun another wait in between: then that one was only
      // looked up early, and nobody may have been woken yet. No two waits have
      // the same ticket.
      if (words[oldest + at.E_TICKET] === oldestTicket) return true;
    }
  }

  #eachEntry(visit: (slot: number, entry: number) => void): void {
    const words = this.#words;
    const slots = Atomics.load(words, at.H_SLOTS_USED);
    for (let slot = 0; slot < slots; slot++) {
      const base = slotWord(slot);
      const used = Atomics.load(words, base + at.S_ENTRIES_USED);
      for (let i = 0; i < used; i++) {
        visit(base, base + at.S_ENTRIES + i * at.ENTRY_WORDS);
      }
    }
  }

  #notify(entry: number): boolean {
    return Atomics.compareExchange(
      this.#words,
      entry + at.E_STATE,
      at.ENTRY_WAITING,
      at.ENTRY_NOTIFIED,
    ) === at.ENTRY_WAITING;
  }

  #ringOverflowing(): void {
    const words = this.#words;
    const slots = Atomics.load(words, at.H_SLOTS_USED);
    for (let slot = 0; slot < slots; slot++) {
      const base = slotWord(slot);
      if (Atomics.load(words, base + at.S_OVERFLOWING) === 0) continue;
      Atomics.store(words, base + at.S_OVERFLOW_RUNG, 1);
      this.#ring(base);
    }
  }

  #ring(slot: number): void {
    const words = this.#words;
    Atomics.add(words, slot + at.S_BELL, 1);
    if (slot === this.#slot) {
      // No need to go through the kernel to reach oneself.
      if (this.#active > 0) this.#dispatchSoon();
    } else if (Atomics.load(words, slot + at.S_SLEEPING) === 1) {
      this.#memory.wake(words, slot + at.S_BELL);
    }
  }

  // ---- the event loop's side --------------------------------------------------

  #add(waiter: Waiter): void {
    for (const key of waiter.keys) {
      let line = this.#lines.get(key);
      if (!line) {
        const entry = this.#enlist(key);
        line = { key, entry, waiters: new Set(), isHandedOn: false };
        this.#lines.set(key, line);
      }
      line.waiters.add(waiter);
    }
    this.#active++;
    if (waiter.manner.looksAgain) this.#looking++;
  }

  #remove(waiter: Waiter): void {
    for (const key of waiter.keys) {
      const line = this.#lines.get(key);
      if (!line?.waiters.delete(waiter) || line.waiters.size > 0) continue;
      this.#lines.delete(key);
      this.#retire(key, line.entry);
    }
    if (waiter.manner.looksAgain && --this.#looking === 0) {
      clearInterval(this.#lookTimer);
      this.#lookTimer = undefined;
    }
    if (--this.#active > 0) return;
    // End the pending sleep, or it would keep the program alive.
    if (this.#asleep) {
      Atomics.add(this.#words, this.#slot + at.S_BELL, 1);
      this.#memory.wake(this.#words, this.#slot + at.S_BELL);
    }
  }

  #keepAlive(on: boolean): void {
    if (on === this.#isKept) return;
    this.#isKept = on;
    this.#memory.keepAlive(on);
  }

  /** Returns what became of the waiter. */
  #try(waiter: Waiter): "took" | "failed" | "not yet" {
    try {
      const outcome = waiter.attempt();
      if (outcome === NOT_YET) return "not yet";
      waiter.finish(outcome);
      return "took";
    } catch (error) {
      waiter.fail(error);
      return "failed";
    }
  }

  /**
   * Ends a wait whose time is up. If this thread was busy when what is waited for
   * came, it hears of the timer first, and of the bell later.
   */
  #tryAtLast(waiter: Waiter): void {
    this.#dispatch(); // those before it in the line come first
    if (waiter.isOver) return;
    if (this.#try(waiter) === "not yet") waiter.finish(TIMED_OUT);
  }

  async #listen(): Promise<void> {
    if (this.#listening) return;
    this.#listening = true;
    this.#onListen?.();
    this.#onListen = undefined;
    const words = this.#words;
    // Let the event loop turn once before the first sleep: what comes in that time,
    // from this thread above all, costs no sleep. (The eager turn below.)
    await (this.#eager > 0 && this.#turns > 0 ? undefined : turn());
    while (this.#active > 0) {
      const seen = Atomics.load(words, this.#slot + at.S_BELL);
      this.#dispatch();
      if (this.#active === 0) break;
      if (this.#eager > 0 && await this.#turnUntilRung(seen)) continue;
      // The last may have left just now: it had no sleep to end.
      if (this.#active === 0) break;
      this.#keepAlive(true);
      if (this.#looking > 0) this.#lookTimer ??= this.#startLooking();
      Atomics.store(words, this.#slot + at.S_SLEEPING, 1);
      this.#asleep = this.#memory.sleep(words, this.#slot + at.S_BELL, seen);
      await this.#asleep;
      this.#asleep = undefined;
      Atomics.store(words, this.#slot + at.S_SLEEPING, 0);
    }
    this.#listening = false;
  }

  /**
   * Turns the event loop until the bell rings, a limited number of times, and
   * looks at the bell for a moment after each turn; the limit follows success.
   * While it does so nobody has to wake it through the kernel: it does not count as
   * sleeping.
   */
  async #turnUntilRung(seen: number): Promise<boolean> {
    if (this.#turns === 0 && --this.#sleepsUntilRetry > 0) return false;
    this.#sleepsUntilRetry = RETRY_AFTER;
    const words = this.#words;
    const bell = this.#slot + at.S_BELL;
    // Again in full: where both sides have given up looking, each has to be woken
    // for each message, until one looks for as long as that takes.
    const most = this.#turns || MOST_TURNS;
    for (let i = 0; i < most; i++) {
      await turn();
      if (this.#memory.look(words, bell, seen) || this.#active === 0) {
        this.#turns = MOST_TURNS;
        return true;
      }
    }
    this.#turns = this.#turns >> 1;
    return false;
  }

  #dispatchSoon(): void {
    if (this.#dispatchQueued) return;
    this.#dispatchQueued = true;
    queueMicrotask(() => {
      this.#dispatchQueued = false;
      this.#dispatch();
    });
  }

  /** Lets those attempt whose entries have been notified. */
  #dispatch(): void {
    const words = this.#words;
    const overflowRung =
      Atomics.exchange(words, this.#slot + at.S_OVERFLOW_RUNG, 0) === 1;
    for (const line of [...this.#lines.values()]) {
      // An attempt may have ended it: then its entry may be another's by now.
      if (this.#lines.get(line.key) !== line) continue;
      if (line.entry === NO_ENTRY) {
        if (!overflowRung) continue;
      } else if (!this.#rearm(line.entry)) continue;
      line.isHandedOn = false;
      this.#attemptIn(line);
    }
  }

  /** Lets those in a line attempt, the first to come first. */
  #attemptIn(line: Line): void {
    let isOwed = false;
    for (const waiter of [...line.waiters]) {
      if (!line.waiters.has(waiter)) continue;
      const outcome = this.#try(waiter);
      if (outcome === "took") isOwed ||= waiter.keys.length > 1;
      else isOwed = outcome === "failed";
      if (outcome === "not yet" && waiter.manner.isExclusive) break;
    }
    if (isOwed) this.wake(line.key, 1);
  }

  #startLooking(): ReturnType<typeof setInterval> {
    const timer = setInterval(() => this.#lookAgain(), LOOK_MS);
    Deno.unrefTimer(timer as unknown as number); // the sleep keeps the program alive
    return timer;
  }

  /** Lets those attempt who do so by themselves. */
  #lookAgain(): void {
    for (const line of [...this.#lines.values()]) {
      if (this.#lines.get(line.key) !== line) continue;
      const [first] = line.waiters;
      if (first?.manner.looksAgain) this.#attemptIn(line);
    }
  }

  // ---- entries --------------------------------------------------------------

  /** Leaves a note that this participant waits for a key. */
  #enlist(key: number): number {
    const words = this.#words;
    const entry = this.#takeEntry();
    if (entry === NO_ENTRY) {
      if (Atomics.load(words, this.#slot + at.S_OVERFLOWING) === 0) {
        Atomics.add(words, at.H_OVERFLOWING, 1);
        Atomics.store(words, this.#slot + at.S_OVERFLOWING, 1);
      }
      return NO_ENTRY;
    }
    // Killed in between, the bucket must be too high, never too low.
    Atomics.add(words, bucketOf(key), 1);
    words[entry + at.E_KEY] = key;
    words[entry + at.E_TICKET] = Atomics.add(words, at.H_TICKET, 1);
    Atomics.store(words, entry + at.E_STATE, at.ENTRY_WAITING);
    return entry;
  }

  /**
   * Lets an entry that was notified wait again, before its owner attempts: a
   * wake-up during the attempt counts.
   *
   * @returns Whether it was notified.
   */
  #rearm(entry: number): boolean {
    if (entry === NO_ENTRY) return false;
    return Atomics.compareExchange(
      this.#words,
      entry + at.E_STATE,
      at.ENTRY_NOTIFIED,
      at.ENTRY_WAITING,
    ) === at.ENTRY_NOTIFIED;
  }

  /** Takes the note back; a wake-up that came with it goes to the next. */
  #retire(key: number, entry: number): void {
    const words = this.#words;
    if (entry === NO_ENTRY) {
      // Stay in overflow while any line is: being rung too often is harmless.
      for (const line of this.#lines.values()) {
        if (line.entry === NO_ENTRY) return;
      }
      if (Atomics.exchange(words, this.#slot + at.S_OVERFLOWING, 0) === 1) {
        Atomics.sub(words, at.H_OVERFLOWING, 1);
      }
      return;
    }
    const was = Atomics.exchange(words, entry + at.E_STATE, at.ENTRY_FREE);
    Atomics.sub(words, bucketOf(key), 1);
    this.#freeEntries.push(entry);
    if (was === at.ENTRY_NOTIFIED) this.wake(key, 1);
  }

  #takeEntry(): number {
    const free = this.#freeEntries.pop();
    if (free !== undefined) return free;
    const used = this.#words[this.#slot + at.S_ENTRIES_USED]!;
    if (used === at.ENTRIES) return NO_ENTRY;
    Atomics.store(this.#words, this.#slot + at.S_ENTRIES_USED, used + 1);
    return this.#slot + at.S_ENTRIES + used * at.ENTRY_WORDS;
  }
}

/** One turn of the event loop: 2 µs. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for something, but not longer than that. */
async function atMost(what: Promise<void>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([what, limit]);
  clearTimeout(timer);
}

/** Index of the word that counts the waiters whose keys share a hash. */
function bucketOf(key: number): number {
  // Multiplicative hashing (Knuth, TAOCP 3, 6.4): the high bits are the mix.
  return at.H_BUCKETS + (Math.imul(key, 0x9e37_79b1) >>> 20);
}

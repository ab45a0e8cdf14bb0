/**
 * Who takes part in an arena, and who has died.
 *
 * Each process or worker thread owns one slot of the table in the arena. Its
 * **token** (generation and slot in one positive int32) is what is written into a
 * lock to say who has it: tokens are not reused for half a million starts of
 * the same slot, so an old token is recognised as *gone* even after its slot has
 * a new owner.
 *
 * The life of a slot:
 *
 * ```
 *   FREE --claim()--> RESERVED --enter()--> ALIVE --leave()--> LEFT ---+
 *    ^                    |                   |                        |
 *    |                    +------ bury() -----+--- bury() --> DEAD     |
 *    +--- release(): generation += 1 -------------------------+--------+
 *    |                                                        | locks are held
 *    +--- settle(): the last of them was released --- KEPT <--+
 * ```
 *
 * The parent claims the slot before its child starts, so that a child which dies
 * before its first instruction is buried like any other. Whoever started a child
 * learns of its end and calls `Arena.bury()`: what the dead held is *abandoned*
 * from then on, its wait entries are cleared, a wake-up it had been given is passed
 * on, and everybody who waits looks again.
 *
 * A participant that leaves in good order while it holds locks keeps them held
 * (another process may release them), so its slot is not used again before the
 * last of them has been released.
 *
 * **Who buries whom** stands in `S_PARENT`, one participant at a time: whoever
 * started it; when that one has ended, whoever buries that one. Only that one marks
 * it as dead and frees its slot. The first has been started by nobody, and may end
 * as others do. So those of whose ancestors none lives help themselves
 * ({@linkcode Participants.succeed}): one of them, chosen by a mutex, adopts whoever
 * has nobody left, and is itself the first from then on, with 0 for a parent. It
 * buries the dead among them as it buries any orphans, and adopts their children.
 *
 * ```
 *     first (dead)                 C                            C
 *       |- A (dead) -- C    ==>    |- first (dead)       ==>    |- B
 *       |- B                            |- A (dead), B
 * ```
 *
 * **Killed in between**, the heir leaves words that each say what is true: those it
 * has adopted lead to it, and the others to ancestors that have ended as well. The
 * next one takes the mutex from it, and does the same again. Nobody ever becomes its
 * own ancestor, as the heir gives up its parent before it adopts anybody. And no
 * two bury the same: a parent is replaced only after its end, by the one in the
 * mutex or by the one that buries it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import * as at from "./layout.ts";
import type { Memory } from "./memory.ts";
import { lock, unlock } from "./mutex.ts";

/** What is known of the holder of a token. */
export type Standing = "alive" | "left" | "dead";

/** The table of participants of one arena, seen by one of them. */
export class Participants {
  readonly #words: Int32Array;
  readonly #memory: Memory;

  /**
   * Opens the table.
   *
   * @param words The header and the table, as words.
   * @param memory The memory it lies in.
   */
  constructor(words: Int32Array, memory: Memory) {
    this.#words = words;
    this.#memory = memory;
  }

  /**
   * Takes a free slot for a participant that is about to start.
   *
   * @param parent Token of the one that starts it, 0 if nobody does.
   * @returns Its token.
   * @throws {RangeError} If all slots are in use.
   */
  claim(parent: number): number {
    const words = this.#words;
    // The first slot has one owner only: which process made the arena is read there,
    // also after its end.
    const isFirst = Atomics.load(words, at.H_SLOTS_USED) === 0;
    // Lowest first: wakers look through all slots below the highest ever used.
    for (let slot = isFirst ? 0 : 1; slot < at.SLOTS; slot++) {
      const base = slotWord(slot);
      const was = Atomics.compareExchange(
        words,
        base + at.S_STATE,
        at.SLOT_FREE,
        at.SLOT_RESERVED,
      );
      if (was !== at.SLOT_FREE) continue;
      // No token is 0, so no generation is. Later ones are given by release().
      const generation = Atomics.load(words, base + at.S_GENERATION) || 1;
      for (let i = at.S_PID; i < at.SLOT_WORDS; i++) words[base + i] = 0;
      words[base + at.S_PARENT] = parent;
      words[base + at.S_IDENT] = Atomics.add(words, at.H_SERIAL, 1) + 1;
      Atomics.store(words, base + at.S_GENERATION, generation);
      raise(words, at.H_SLOTS_USED, slot + 1);
      return (generation << at.TOKEN_SLOT_BITS) | slot;
    }
    throw new RangeError(
      `Cannot start another process as ${at.SLOTS} are alive`,
    );
  }

  /**
   * Says that the owner of the slot runs now.
   *
   * @param token Its token.
   * @param pid The process it runs in.
   * @throws {Error} If the slot is not reserved for it (any more): two owners of
   * one slot would undo each other's waits.
   */
  enter(token: number, pid: number): void {
    const base = slotWord(slotOf(token));
    if (
      !this.isCurrent(token) ||
      Atomics.load(this.#words, base + at.S_STATE) !== at.SLOT_RESERVED
    ) {
      throw new Error(
        "Cannot attach to shared memory as the place for it is not free any more",
      );
    }
    this.#words[base + at.S_PID] = pid;
    Atomics.store(this.#words, base + at.S_STATE, at.SLOT_ALIVE);
  }

  /**
   * Says that the owner ends in good order: what it holds stays held.
   *
   * @param token Its token.
   */
  leave(token: number): void {
    // A thread that is terminated while it ends by itself may come here after it
    // has been buried: then the slot is another's.
    if (!this.isCurrent(token)) return;
    const state = slotWord(slotOf(token)) + at.S_STATE;
    Atomics.compareExchange(
      this.#words,
      state,
      at.SLOT_ALIVE,
      at.SLOT_LEFT,
    );
  }

  /**
   * Says that the owner is about to be ended by force. If it is a thread, a mutex
   * it holds may be taken from it once it has had time to stop.
   *
   * @param token Its token.
   */
  condemn(token: number): void {
    if (!this.isCurrent(token)) return;
    this.#store(token, at.S_ENDING, at.ENDING_NOW);
  }

  /**
   * Says that the owner will be ended by force as soon as it can be, and is to begin
   * nothing any more. Until then it runs, and nothing may be taken from it.
   *
   * @param token Its token.
   */
  announceEnd(token: number): void {
    if (!this.isCurrent(token)) return;
    this.#store(token, at.S_ENDING, at.ENDING_SOON);
  }

  /** Whether the owner is being ended by force. */
  isCondemned(token: number): boolean {
    return this.load(token, at.S_ENDING) === at.ENDING_NOW;
  }

  /** Whether the owner may begin something: nobody wants it ended. */
  mayBegin(token: number): boolean {
    return this.isCurrent(token) &&
      this.load(token, at.S_ENDING) === at.ENDING_NOT;
  }

  /**
   * Marks the end of a participant; the caller has seen it end. Freeing its slot
   * is a second step (`release`), after its wait entries have been cleared.
   *
   * @param token Its token.
   */
  markEnded(token: number): void {
    if (!this.isCurrent(token)) return;
    const base = slotWord(slotOf(token));
    const state = Atomics.load(this.#words, base + at.S_STATE);
    if (state === at.SLOT_LEFT || state === at.SLOT_KEPT) return;
    Atomics.store(this.#words, base + at.S_STATE, at.SLOT_DEAD);
  }

  /**
   * Frees the slot of an ended participant for the next one, unless locks are
   * still held in its name. From here on the token is of an earlier generation, so
   * that a second burial cannot hit the next owner.
   *
   * @param token Its token.
   */
  release(token: number): void {
    if (!this.isCurrent(token)) return;
    const state = slotWord(slotOf(token)) + at.S_STATE;
    if (Atomics.load(this.#words, state) === at.SLOT_LEFT) {
      // Nobody has to look after it any more.
      this.#store(token, at.S_PARENT, 0);
      Atomics.store(this.#words, state, at.SLOT_KEPT);
      this.settle(token);
    } else this.#free(token);
  }

  /**
   * Frees the slot of one that left and has ended, once nothing is held in its
   * name any more. Called after each release of what it held; whoever marks it as
   * kept looks once more itself, so the last of the two frees it.
   *
   * @param token Its token.
   */
  settle(token: number): void {
    if (!this.isCurrent(token)) return;
    const base = slotWord(slotOf(token));
    if (Atomics.load(this.#words, base + at.S_STATE) !== at.SLOT_KEPT) return;
    if (this.locksHeld(token) > 0) return;
    // One of several who see this at once may free it.
    const was = Atomics.compareExchange(
      this.#words,
      base + at.S_STATE,
      at.SLOT_KEPT,
      at.SLOT_DEAD,
    );
    if (was === at.SLOT_KEPT) this.#free(token);
  }

  #free(token: number): void {
    const base = slotWord(slotOf(token));
    const generation = token >>> at.TOKEN_SLOT_BITS;
    const next = (generation % (at.GENERATIONS - 1)) + 1;
    Atomics.store(this.#words, base + at.S_GENERATION, next);
    Atomics.store(this.#words, base + at.S_STATE, at.SLOT_FREE);
  }

  /**
   * What is known of a token's owner. A token of an earlier generation is dead:
   * it either crashed, or left without holding anything.
   *
   * @param token A token found in shared memory.
   * @returns Its standing.
   */
  standing(token: number): Standing {
    // The state first: a slot that is freed and claimed again between the two
    // looks must not lend its new owner's state to an old token.
    const state = Atomics.load(
      this.#words,
      slotWord(slotOf(token)) + at.S_STATE,
    );
    if (!this.isCurrent(token)) return "dead";
    switch (state) {
      case at.SLOT_RESERVED:
      case at.SLOT_ALIVE:
        return "alive";
      case at.SLOT_LEFT:
      case at.SLOT_KEPT:
        return "left";
      default:
        return "dead";
    }
  }

  /**
   * Whether the owner can no longer run, told without waiting for any event: for
   * those who cannot return to their event loop to hear of it.
   *
   * @param token A token found in shared memory.
   * @returns `true` if it is certain.
   */
  isStopped(token: number): boolean {
    if (this.standing(token) !== "alive") return true;
    const base = slotWord(slotOf(token));
    const pid = Atomics.load(this.#words, base + at.S_PID);
    // A process that was asked to end may go on for as long as it likes.
    if (pid !== 0) return this.#memory.hasEnded(pid);
    return this.isCondemned(token);
  }

  /**
   * Whether the owner was a process and has been killed, or has crashed, told
   * without waiting for any event: whoever is to bury it may be calculating. Of a
   * thread that cannot be told.
   *
   * @param token A token found in shared memory.
   * @returns `true` if it is certain.
   */
  hasCrashed(token: number): boolean {
    const pid = this.load(token, at.S_PID);
    if (pid === 0 || !this.#memory.hasEnded(pid)) return false;
    // Only now: it may have left in good order just before its end. And if the slot
    // has another owner by now, the token is of an earlier generation.
    return this.standing(token) === "alive";
  }

  /** A word of the owner's slot. */
  load(token: number, word: number): number {
    return Atomics.load(this.#words, slotWord(slotOf(token)) + word);
  }

  /** Sets a word of the slot of a participant that this one has claimed. */
  store(token: number, word: number, value: number): void {
    this.#store(token, word, value);
  }

  /**
   * Counts what has to stay held when its holder leaves. Nobody else writes that
   * word, so it is no atomic addition: two of these were 40% of the time of a lock.
   *
   * @param me Token of the caller.
   * @param change How many locks more it holds.
   */
  hold(me: number, change: number): void {
    this.#words[slotWord(slotOf(me)) + at.S_LOCKS_HELD]! += change;
  }

  /**
   * Counts a lock that another one than its holder has released.
   *
   * @param holder Token of the holder.
   */
  countReturn(holder: number): void {
    const base = slotWord(slotOf(holder));
    Atomics.add(this.#words, base + at.S_LOCKS_RETURNED, 1);
  }

  /** How many locks are held in the name of a token. */
  locksHeld(token: number): number {
    const base = slotWord(slotOf(token));
    return Atomics.load(this.#words, base + at.S_LOCKS_HELD) -
      Atomics.load(this.#words, base + at.S_LOCKS_RETURNED);
  }

  /**
   * The tokens of all who have not been buried: who run, are about to, or have
   * ended and nobody has seen to it yet.
   *
   * @returns Their tokens, by slot.
   */
  unburied(): number[] {
    const tokens: number[] = [];
    const used = Atomics.load(this.#words, at.H_SLOTS_USED);
    for (let slot = 0; slot < used; slot++) {
      const base = slotWord(slot);
      const state = Atomics.load(this.#words, base + at.S_STATE);
      if (state === at.SLOT_FREE || state === at.SLOT_KEPT) continue;
      const generation = Atomics.load(this.#words, base + at.S_GENERATION);
      tokens.push((generation << at.TOKEN_SLOT_BITS) | slot);
    }
    return tokens;
  }

  /**
   * Has a participant take the place of its ancestors, if none of them lives: it
   * becomes the parent of those who have nobody left that would bury them. (See the
   * top of this file.)
   *
   * @param me Its token.
   * @returns Those that it has to bury from now on, once they have ended; some have.
   */
  succeed(me: number): number[] {
    if (!this.#isForsaken(me)) return [];
    const words = this.#words;
    lock(words, at.H_SUCCESSION, me, this);
    try {
      // Another one may have been faster, and is its parent now.
      if (!this.#isForsaken(me)) return [];
      this.#store(me, at.S_PARENT, 0);
      return this.unburied().filter((other) =>
        other !== me && this.#inherit(me, other)
      );
    } finally {
      unlock(words, at.H_SUCCESSION);
    }
  }

  /** Makes a participant the parent of one that has nobody left. */
  #inherit(me: number, token: number): boolean {
    const parent = this.load(token, at.S_PARENT);
    if (!this.#isForsaken(token, parent)) return false;
    // Whoever is just claiming that slot keeps what it claims.
    const word = slotWord(slotOf(token)) + at.S_PARENT;
    return Atomics.compareExchange(this.#words, word, parent, me) === parent;
  }

  /** Whether there is nobody that would bury it. */
  #isForsaken(
    token: number,
    parent: number = this.load(token, at.S_PARENT),
  ): boolean {
    let ancestor = parent;
    // Nobody looks after the first while it lives, nor need anybody.
    if (ancestor === 0) return this.#hasEnded(token);
    while (ancestor !== 0 && this.isCurrent(ancestor)) {
      // It buries those in between, and then has their place.
      if (!this.#hasEnded(ancestor)) return false;
      ancestor = this.load(ancestor, at.S_PARENT);
    }
    return true;
  }

  #hasEnded(token: number): boolean {
    const pid = this.load(token, at.S_PID);
    return pid !== 0 && this.#memory.hasEnded(pid);
  }

  /** Whether the token's slot has not been freed since it was claimed with it. */
  isCurrent(token: number): boolean {
    const base = slotWord(slotOf(token));
    return Atomics.load(this.#words, base + at.S_GENERATION) ===
      token >>> at.TOKEN_SLOT_BITS;
  }

  #store(token: number, word: number, value: number): void {
    Atomics.store(this.#words, slotWord(slotOf(token)) + word, value);
  }
}

/** The slot a token names. */
export function slotOf(token: number): number {
  return token & (at.SLOTS - 1);
}

/** Index of the first word of a slot. */
export function slotWord(slot: number): number {
  return at.TABLE_WORD + slot * at.SLOT_WORDS;
}

/** Raises a word to at least `value`. */
function raise(words: Int32Array, index: number, value: number): void {
  let seen = Atomics.load(words, index);
  while (seen < value) {
    const was = Atomics.compareExchange(words, index, seen, value);
    if (was === seen) return;
    seen = was;
  }
}

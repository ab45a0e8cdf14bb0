/**
 * Who has an object: the participants that could still put something into a
 * queue, the ones that hold an end of a pipe. From it a reader knows that nothing
 * more can come.
 *
 * **Guarantees.** A participant counts from the moment the object is made there
 * or is on its way there, until it closes its last copy, the last copy is
 * collected, or the participant ends, however it ends. In between there is no
 * instant at which nobody counts: a hold changes hands under the mutex, and
 * whoever finds nobody looks once more under the mutex. Once nobody has the
 * object, nobody can ever have it again.
 *
 * **On its way.** A handle for one receiver that is known, such as an argument
 * of a child, counts as that receiver's own from the start: so a parent may close
 * its copy right after it started the child. A handle in a message that anybody
 * may take counts as *in flight* until it is decoded; while that message waits
 * for room it counts as its sender's. One that is never decoded, because its
 * receiver was killed between taking the message and reading it, stays in flight.
 *
 * **Where it lies.** Each owner of a table has room for some entries in its own
 * block; more are chained to it in pages taken from the heap, which stay until
 * the owner is freed.
 *
 * ```
 *   | mutex | in flight | used | next page | entry 0 | entry 1 | . . .
 *                                            token · count · state · taken
 * ```
 *
 * **No wake-up is lost** here because none is given here: whoever lets go of a
 * hold wakes, afterwards, those who wait for it, also when a handle is not sent
 * after all (`onLetGo`); whoever buries a participant makes everybody look again.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { existingArena } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import { lock, unlock } from "../memory/mutex.ts";
import { undoIfNotSent, whileWaiting } from "./block.ts";
import type { Target } from "./block.ts";

// Words of the head of a table, and of each further page: meaning · writer · reader.
/** Mutex of the table; unused in further pages · whoever changes entries. */
const MUTEX = 0;
/** Handles on their way to nobody in particular · senders add, receivers take. */
const IN_FLIGHT = 1;
/** Entries of this page in use are all below this · locked · everybody. */
const USED = 2;
/** The next page in units of 64 bytes, 0 for none · locked · everybody. */
const NEXT = 3;
/** Bytes before the first entry. */
const HEAD_BYTES = 16;

// Words of an entry.
/** Whose it is, 0 for a free entry · locked. */
const TOKEN = 0;
/** Copies it has; 0 if it only has items to account for · locked. */
const COUNT = 1;
/** Bits for the owner of the table · the participant itself. */
const STATE = 2;
/** Items taken and not done · whoever takes one or says that it is done. */
const TAKEN = 3;
/** Bytes of an entry. */
export const HOLDER_BYTES = 16;

/** Bytes of a further page: as many participants as most programs have cores. */
const PAGE_BYTES = 1024;
const UNIT = 64;

/** Bytes of a table with room for so many participants in its first page. */
export function holdersBytes(count: number): number {
  return HEAD_BYTES + count * HOLDER_BYTES;
}

/** One page of a table. */
interface Page {
  readonly words: Int32Array;
  readonly room: number;
  /** Its entries, as far as they have been looked at. */
  readonly holders: Holder[];
}

/** One participant's line in the table. */
export class Holder {
  readonly #words: Int32Array;
  readonly #at: number;

  /**
   * Names an entry.
   *
   * @param words Words of its page.
   * @param at Index of its first word.
   */
  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  /** Whose it is, 0 if it is free. */
  get token(): number {
    return Atomics.load(this.#words, this.#at + TOKEN);
  }

  /** Copies it has. */
  get count(): number {
    return Atomics.load(this.#words, this.#at + COUNT);
  }

  /** Its bits. */
  get state(): number {
    return Atomics.load(this.#words, this.#at + STATE);
  }

  /** Sets some of its bits; only the participant itself does. */
  raise(bits: number): void {
    Atomics.or(this.#words, this.#at + STATE, bits);
  }

  /** Clears some of its bits; only the participant itself does. */
  lower(bits: number): void {
    Atomics.and(this.#words, this.#at + STATE, ~bits);
  }

  /** Items it took that are not done. */
  get taken(): number {
    return Atomics.load(this.#words, this.#at + TAKEN);
  }

  /** Adds to the items it took. */
  addTaken(count: number): void {
    Atomics.add(this.#words, this.#at + TAKEN, count);
  }

  /** Takes one off the items it took, if there is one. */
  settleOne(): boolean {
    const words = this.#words;
    const at = this.#at + TAKEN;
    for (let taken; (taken = Atomics.load(words, at)) > 0;) {
      if (Atomics.compareExchange(words, at, taken, taken - 1) === taken) {
        return true;
      }
    }
    return false;
  }

  /** Fills a free entry; the token, which makes it count, comes last. */
  open(token: number): void {
    this.#words[this.#at + COUNT] = 1;
    this.#words[this.#at + STATE] = 0;
    this.#words[this.#at + TAKEN] = 0;
    Atomics.store(this.#words, this.#at + TOKEN, token);
  }

  /** Counts one more copy. */
  add(): void {
    Atomics.add(this.#words, this.#at + COUNT, 1);
  }

  /** Counts one copy less; with nothing left to say the entry is free. */
  release(keep: boolean): void {
    if (Atomics.sub(this.#words, this.#at + COUNT, 1) > 1) return;
    Atomics.store(this.#words, this.#at + STATE, 0);
    if (this.taken === 0 && !keep) this.clear();
  }

  /** Frees it. */
  clear(): void {
    Atomics.store(this.#words, this.#at + TOKEN, 0);
  }
}

/** The table of one object. */
export class Holders {
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #pages: Page[];
  readonly #onGone: ((taken: number) => void) | undefined;
  /** Who had the object when we last looked: most likely it still does. */
  #witness: Holder | undefined;

  /**
   * Opens a table.
   *
   * @param arena Where it lies.
   * @param offset Its offset. Zeroed, it is empty.
   * @param byteLength Its length, see {@linkcode holdersBytes}.
   * @param onGone Called, under the mutex, for a participant that ended with
   * items it took and had not done.
   */
  constructor(
    arena: Arena,
    offset: number,
    byteLength: number,
    onGone?: (taken: number) => void,
  ) {
    this.#arena = arena;
    this.#words = arena.words(offset, byteLength / 4);
    this.#pages = [pageOf(this.#words)];
    this.#onGone = onGone;
  }

  /** Frees what a table has taken from the heap; nobody may use it any more. */
  static free(arena: Arena, offset: number): void {
    let unit = arena.words(offset, HEAD_BYTES / 4)[NEXT]! >>> 0;
    while (unit !== 0) {
      const next = arena.words(unit * UNIT, HEAD_BYTES / 4)[NEXT]! >>> 0;
      arena.heap.free(unit * UNIT, PAGE_BYTES);
      unit = next;
    }
  }

  /**
   * Counts one more copy.
   *
   * @param token Whose.
   * @returns Its entry, which stays where it is while there is a copy.
   */
  hold(token: number): Holder {
    return this.#locked(() => this.#hold(token));
  }

  /**
   * Counts one copy less.
   *
   * @param token Whose.
   * @param keep Whether its entry is to stay, for the items it takes.
   * @default keep {false}
   */
  release(token: number, keep: boolean = false): void {
    this.#locked(() => this.#find(token)?.release(keep));
  }

  /**
   * Counts a handle that is being encoded, until it is decoded or taken back.
   *
   * @param target For whom.
   * @param onLetGo Called after it has been taken back, when perhaps nobody has the
   * object any more.
   * @returns Whether it is in flight now, rather than the receiver's.
   */
  depart(target: Target, onLetGo: () => void): boolean {
    const { kind, token } = target;
    // A token says something only in the arena that both sides call their own.
    if (token === undefined || existingArena(kind) !== this.#arena) {
      this.#departForAny(onLetGo);
      return true;
    }
    this.hold(token);
    undoIfNotSent(() => {
      this.release(token);
      onLetGo();
    });
    return false;
  }

  #departForAny(onLetGo: () => void): void {
    const { me } = this.#arena;
    const fly = (count: number) => Atomics.add(this.#words, IN_FLIGHT, count);
    let isMine = false;
    const keep = () => {
      this.#locked(() => {
        this.#hold(me);
        fly(-1);
      });
      isMine = true;
    };
    const letGo = () => {
      this.#locked(() => {
        fly(1);
        this.#find(me)?.release(false);
      });
      isMine = false;
    };
    fly(1);
    whileWaiting({ keep, letGo });
    undoIfNotSent(() => {
      if (isMine) this.release(me);
      else this.#locked(() => fly(-1));
      onLetGo();
    });
  }

  /**
   * Counts a handle that has been decoded as a copy of this participant.
   *
   * @param inFlight What {@linkcode Holders.depart} said.
   */
  arrive(inFlight: boolean): Holder {
    const { me } = this.#arena;
    return this.#locked(() => {
      if (!inFlight) return this.#find(me) ?? this.#hold(me);
      const mine = this.#hold(me);
      Atomics.sub(this.#words, IN_FLIGHT, 1);
      return mine;
    });
  }

  /** The entry of a participant, if it has one. */
  find(token: number): Holder | undefined {
    return this.#locked(() => this.#find(token));
  }

  /** Whether anybody has the object, or a handle of it is in flight. */
  isHeld(): boolean {
    if (this.#witness && this.#isHolding(this.#witness)) return true;
    return this.isHeldBy(() => true);
  }

  /**
   * Whether anybody has the object to whom a test applies, or a handle of it is
   * in flight.
   *
   * @param counts The test.
   */
  isHeldBy(counts: (holder: Holder) => boolean): boolean {
    const isHeld = () => {
      if (Atomics.load(this.#words, IN_FLIGHT) > 0) return true;
      this.#witness = this.#first((holder) =>
        this.#isHolding(holder) && counts(holder)
      );
      return this.#witness !== undefined;
    };
    // Without the mutex one may look past a hold that is just changing hands.
    return isHeld() || this.#locked(isHeld);
  }

  /** Takes one off the items that anybody took, if anybody did. */
  settleOne(): boolean {
    return this.#first((holder) => holder.token !== 0 && holder.settleOne()) !==
      undefined;
  }

  /** Sees to the items of those who have ended. */
  settleGone(): void {
    const isOwing = (holder: Holder) =>
      holder.token !== 0 && holder.taken !== 0 && !this.#isAlive(holder.token);
    if (!this.#first(isOwing)) return;
    this.#locked(() => {
      for (let gone; (gone = this.#first(isOwing));) this.#bury(gone);
    });
  }

  #isHolding(holder: Holder): boolean {
    const { token } = holder;
    return holder.count > 0 && this.#isAlive(token);
  }

  #isAlive(token: number): boolean {
    return token !== 0 &&
      this.#arena.participants.standing(token) === "alive";
  }

  #hold(token: number): Holder {
    const known = this.#find(token);
    if (known) {
      known.add();
      return known;
    }
    const free = this.#first((holder) => !this.#isAlive(holder.token)) ??
      this.#append();
    if (free.token !== 0) this.#bury(free);
    free.open(token);
    return free;
  }

  /** Frees the entry of a participant that has ended. */
  #bury(gone: Holder): void {
    // Killed in between, they are counted twice; the other way round, never.
    if (gone.taken > 0) this.#onGone?.(gone.taken);
    gone.clear();
  }

  #find(token: number): Holder | undefined {
    return this.#first((holder) => holder.token === token);
  }

  /** The first entry below the mark of its page that passes a test. */
  #first(test: (holder: Holder) => boolean): Holder | undefined {
    for (let i = 0;; i++) {
      const page = this.#page(i);
      if (page === undefined) return undefined;
      const used = Atomics.load(page.words, USED);
      for (let entry = 0; entry < used; entry++) {
        const holder = holderOf(page, entry);
        if (test(holder)) return holder;
      }
    }
  }

  /** An entry that was never used. */
  #append(): Holder {
    for (let i = 0;; i++) {
      const page = this.#page(i) ?? this.#addPage();
      const used = page.words[USED]!;
      if (used === page.room) continue;
      Atomics.store(page.words, USED, used + 1);
      return holderOf(page, used);
    }
  }

  #page(index: number): Page | undefined {
    if (index < this.#pages.length) return this.#pages[index];
    const unit = Atomics.load(this.#pages.at(-1)!.words, NEXT) >>> 0;
    if (unit === 0) return undefined;
    const page = pageOf(this.#arena.words(unit * UNIT, PAGE_BYTES / 4));
    this.#pages.push(page);
    return page;
  }

  #addPage(): Page {
    const offset = this.#arena.heap.allocate(PAGE_BYTES);
    Atomics.store(this.#pages.at(-1)!.words, NEXT, offset / UNIT);
    return this.#page(this.#pages.length)!;
  }

  #locked<T>(section: () => T): T {
    const { me, participants } = this.#arena;
    // Each change is one store, so there is nothing to mend after a death here.
    lock(this.#words, MUTEX, me, participants);
    try {
      return section();
    } finally {
      unlock(this.#words, MUTEX);
    }
  }
}

function pageOf(words: Int32Array): Page {
  const room = (words.length * 4 - HEAD_BYTES) / HOLDER_BYTES;
  return { words, room, holders: [] };
}

function holderOf(page: Page, entry: number): Holder {
  const at = (HEAD_BYTES + entry * HOLDER_BYTES) / 4;
  return page.holders[entry] ??= new Holder(page.words, at);
}

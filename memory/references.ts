/**
 * Which blocks a participant refers to, written down where others find it: so
 * that whoever buries it can give its references back, however it ended.
 *
 * **Where.** Each participant has a list of its own: pages of the heap, chained
 * from its slot (`S_REFERENCES`), with one word for each reference.
 *
 * ```
 *   slot ──> | next page | block | block | 0 | block | . . . |
 * ```
 *
 * **Who writes.** Only the participant itself; before it has started, only the one
 * that starts it, for references that are on their way to it. The participant
 * finds those when it opens its list, and takes them for its own as the objects
 * arrive. Whoever buries it takes the whole list with one exchange, and is then
 * the only one to read it.
 *
 * **Killed between two stores**, a participant may leave a reference that is
 * counted and not written down: that block stays in use until the program ends.
 * The other way round a block that is in use could be freed, so the order is:
 * count, note; strike, uncount.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { Heap } from "./heap.ts";
import * as at from "./layout.ts";
import type { Memory } from "./memory.ts";
import { slotOf, slotWord } from "./participants.ts";

/** Bytes of a page: room for what most participants refer to. */
const PAGE_BYTES = 1024;
const PAGE_WORDS = PAGE_BYTES / 4;
/** The next page in units of 64 bytes, 0 for none. */
const NEXT = 0;
/** The first entry: a block in units of 64 bytes, 0 for none. */
const FIRST = 1;

/** One page, as its only writer sees it. */
interface Page {
  readonly unit: number;
  readonly words: Int32Array;
  /** Indexes of its free entries. */
  readonly free: number[];
}

/** Where a reference is written down. */
export interface Place {
  /** In whose list. */
  readonly list: List;
  /** On which page. */
  readonly page: Page;
  /** Index of its word. */
  readonly index: number;
}

/** The list of one participant, as its only writer sees it. */
class List {
  readonly #header: Int32Array;
  readonly #heap: Heap;
  readonly #memory: Memory;
  readonly #first: number;
  /** In the order of the chain from its end: the last is the one the slot names. */
  readonly #pages: Page[];
  /** Those with free entries. */
  readonly #roomy: Page[];
  /** References nobody here knows yet, by block. */
  readonly #arriving = new Map<number, Place[]>();

  constructor(header: Int32Array, memory: Memory, heap: Heap, token: number) {
    this.#header = header;
    this.#memory = memory;
    this.#heap = heap;
    this.#first = slotWord(slotOf(token)) + at.S_REFERENCES;
    this.#pages = [];
    let unit = header[this.#first]! >>> 0;
    while (unit !== 0) {
      const page = this.#read(unit);
      this.#pages.unshift(page);
      unit = page.words[NEXT]! >>> 0;
    }
    this.#roomy = this.#pages.filter(({ free }) => free.length > 0);
  }

  note(offset: number): Place {
    const unit = offset / at.UNIT;
    const arrived = this.#arriving.get(unit);
    if (arrived) {
      if (arrived.length === 1) this.#arriving.delete(unit);
      return arrived.pop()!;
    }
    const page = this.#roomy.at(-1) ?? this.#append();
    const index = page.free.pop()!;
    if (page.free.length === 0) this.#roomy.pop();
    Atomics.store(page.words, index, unit);
    return { list: this, page, index };
  }

  strike({ page, index }: Place): void {
    Atomics.store(page.words, index, 0);
    if (page.free.push(index) === 1) this.#roomy.push(page);
    const isEmpty = page.free.length === PAGE_WORDS - FIRST;
    if (isEmpty && this.#pages.length > 1) this.#remove(page);
  }

  #read(unit: number): Page {
    const words = this.#memory.words(unit * at.UNIT, PAGE_WORDS);
    const page: Page = { unit, words, free: [] };
    for (let index = PAGE_WORDS - 1; index >= FIRST; index--) {
      const block = words[index]! >>> 0;
      if (block === 0) page.free.push(index);
      else {
        const places = this.#arriving.get(block) ?? [];
        this.#arriving.set(block, places);
        places.push({ list: this, page, index });
      }
    }
    return page;
  }

  #append(): Page {
    const unit = this.#heap.allocate(PAGE_BYTES) / at.UNIT;
    const page = this.#read(unit);
    page.words[NEXT] = this.#header[this.#first]!;
    // From here on it is part of the list.
    Atomics.store(this.#header, this.#first, unit);
    this.#pages.push(page);
    this.#roomy.push(page);
    return page;
  }

  #remove(page: Page): void {
    const place = this.#pages.indexOf(page);
    const before = this.#pages[place + 1];
    const next = page.words[NEXT]!;
    if (before) Atomics.store(before.words, NEXT, next);
    else Atomics.store(this.#header, this.#first, next);
    this.#pages.splice(place, 1);
    this.#roomy.splice(this.#roomy.indexOf(page), 1);
    this.#heap.free(page.unit * at.UNIT, PAGE_BYTES);
  }
}

/** The references of the participants of one arena, seen by one of them. */
export class References {
  readonly #header: Int32Array;
  readonly #memory: Memory;
  readonly #heap: Heap;
  readonly #me: number;
  #mine: List | undefined;
  /** That of the one that is about to be started. */
  #next: { readonly token: number; readonly list: List } | undefined;

  /**
   * Opens the lists of an arena.
   *
   * @param header The header and the table, as words.
   * @param memory The memory it lies in.
   * @param heap Where pages come from.
   * @param me Token of the caller.
   */
  constructor(header: Int32Array, memory: Memory, heap: Heap, me: number) {
    this.#header = header;
    this.#memory = memory;
    this.#heap = heap;
    this.#me = me;
  }

  /** Takes the first page ahead of time, for those who count blocks. */
  open(): void {
    this.strike(this.note(at.HEAP_BYTE));
  }

  /**
   * Writes down a reference of the caller, which has been counted.
   *
   * @param offset Offset of the block.
   * @returns Where it stands, for {@linkcode References.strike}.
   */
  note(offset: number): Place {
    this.#mine ??= this.#open(this.#me);
    return this.#mine.note(offset);
  }

  /**
   * Writes down a counted reference of one that has not started.
   *
   * @param token Its token.
   * @param offset Offset of the block.
   * @returns Where it stands.
   */
  noteFor(token: number, offset: number): Place {
    if (this.#next?.token !== token) {
      this.#next = { token, list: this.#open(token) };
    }
    return this.#next.list.note(offset);
  }

  /**
   * Strikes a reference out, before it is uncounted.
   *
   * @param place Where it stands.
   */
  strike(place: Place): void {
    place.list.strike(place);
  }

  /**
   * Takes the list of one that has ended, before it is buried.
   *
   * @param token Its token.
   * @returns Its first page, for {@linkcode References.empty}; 0 if there is none.
   */
  take(token: number): number {
    if (this.#next?.token === token) this.#next = undefined;
    const first = slotWord(slotOf(token)) + at.S_REFERENCES;
    return Atomics.exchange(this.#header, first, 0) >>> 0;
  }

  /**
   * Looks at what is on a list that was taken.
   *
   * @param first Its first page.
   * @param visit Called with the offset of each block.
   */
  each(first: number, visit: (offset: number) => void): void {
    for (let unit = first; unit !== 0;) {
      const words = this.#memory.words(unit * at.UNIT, PAGE_WORDS);
      for (const block of words.subarray(FIRST)) {
        if (block !== 0) visit((block >>> 0) * at.UNIT);
      }
      unit = words[NEXT]! >>> 0;
    }
  }

  /**
   * Gives back all that is on a list that was taken, and the list. Its owner must
   * have stopped: a thread that is ended by force may run on for a moment.
   *
   * @param first Its first page.
   * @param giveBack Uncounts a reference to the block at an offset.
   */
  empty(first: number, giveBack: (offset: number) => void): void {
    this.each(first, giveBack);
    for (let unit = first; unit !== 0;) {
      const next = this.#memory.words(unit * at.UNIT, 1)[NEXT]! >>> 0;
      this.#heap.free(unit * at.UNIT, PAGE_BYTES);
      unit = next;
    }
  }

  #open(token: number): List {
    return new List(this.#header, this.#memory, this.#heap, token);
  }
}

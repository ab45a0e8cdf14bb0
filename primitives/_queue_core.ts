/**
 * What the three kinds of queue have in common: a ring in shared memory, and who
 * has the queue.
 *
 * **Guarantees.** An item is in the queue whole or not at all; it is given to one
 * consumer; a participant killed at any instant takes at most the one item with
 * it that it had taken and not handed out, and blocks nobody (see `ring.ts`).
 *
 * **When a loop over the queue ends.** When this participant has closed the queue
 * and it is empty; or when it is empty and nobody can put any more. The latter
 * is known from the table of those who have the queue. Each of them can put,
 * except one that received the queue from somebody else, has never put, and is
 * itself waiting in such loops. Its creator can hand it to others and therefore
 * counts until it closes the queue or ends. So workers that loop over a queue of
 * jobs all end once the jobs are done and whoever made the queue has closed it.
 *
 * **No end is missed.** A loop marks itself as waiting, then looks whether that
 * was the last thing to happen, and wakes the others if so. If something else
 * is last, closing or burying wakes them. A loop takes its mark off before the
 * item it takes is gone from the ring; so whoever finds the ring empty, everybody
 * waiting and the ring still empty without a put in between has seen an instant
 * at which all that was true.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { WireForm } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { checkedLimits, keyOf, NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import { Ring, RING_BYTES } from "../memory/ring.ts";
import type { Arena, Attempt, RingLimits, WaitOptions } from "../memory/mod.ts";
import { Block, FIRST_WORD, onLast, onLeft } from "./block.ts";
import type { HandleData, Target } from "./block.ts";
import { Holders } from "./_holders.ts";
import type { Holder } from "./_holders.ts";
import { Loops } from "./_loops.ts";
import { Outlet } from "./_outlet.ts";
import { copyOut, pack } from "./_parcel.ts";
import type { Item } from "./_parcel.ts";
import type { Parcel } from "./_parcel.ts";
import { Turns } from "./_turns.ts";
import type { SharedReadiness } from "./waitable.ts";
import { discard, onArrival } from "./wire.ts";

// Words of a queue's block: meaning · writer · reader.
/** Items that are done, modulo 2^32 · who says so · joiners, who also wait on its key. */
const DONE = FIRST_WORD;
/** Token of the participant that made the queue · it, once · loops. */
const CREATOR = FIRST_WORD + 1;
/**
 * One more than the ring's count of puts when it was found empty for good, 0 if it
 * was not · the first loop to end · the others, which would find that a loop that
 * has ended does not wait any more.
 */
const OVER_AT = FIRST_WORD + 2;
/** 1 once an item had handles in it that count · putters · the last to close. */
const HAS_HANDLES = FIRST_WORD + 3;
/** Where the ring's head block lies. */
const RING_BYTE = 64;
/** Where the table of those who have the queue lies; it takes the rest. */
const HOLDERS_BYTE = RING_BYTE + RING_BYTES;
/** Room for 23 participants before the table needs a page of its own. */
const QUEUE_BYTES = 512;

/** In the ring's head block: messages ever put, modulo 2^32 (see `ring.ts`). */
const RING_PUT = 3;

/** State of a holder: it has put. */
const HAS_PUT = 1;
/** State of a holder: all its loops wait. */
const IS_WAITING = 2;

/** What the next item of a loop is when there is none any more. */
const END: unique symbol = Symbol("end");

/** A class under which this is `true` counts the items taken and not done. */
export const COUNTS_TAKEN: unique symbol = Symbol("counts taken items");

/** Gives up the part of a queue that was collected without being closed. */
const collected = new FinalizationRegistry<QueueCore>((core) => core.close());

/** See the module. */
export class QueueCore {
  /** Whether this object puts and gets no more. */
  isClosed = false;
  /** Where the queue lies. */
  readonly arena: Arena;
  /** Its items. */
  readonly ring: Ring;
  readonly #block: Block;
  readonly #words: Int32Array;
  readonly #ringWords: Int32Array;
  readonly #holders: Holders;
  readonly #outlet: Outlet;
  readonly #inlet: Turns;
  readonly #name: string;
  readonly #countsTaken: boolean;
  #hasPut = false;
  /** This participant's entry, until nothing is to be noted there any more. */
  #holder: Holder | undefined;
  /** The loops over this copy that run, and how many of them wait. */
  #running = 0;
  #waiting = 0;
  /** The loops over all copies that this participant has. */
  readonly #loops: Loops;

  /**
   * Makes a queue, or opens one that was received.
   *
   * @param owner The public object.
   * @param cls Its `new.target`.
   * @param limits Limits of a new queue.
   */
  constructor(
    owner: object,
    // deno-lint-ignore ban-types -- any class
    cls: Function,
    limits: RingLimits,
  ) {
    this.#name = cls.name;
    this.#countsTaken = Reflect.get(cls, COUNTS_TAKEN) === true;
    this.#block = new Block(this, cls, QUEUE_BYTES, "queue");
    const { arena, offset, words } = this.#block;
    this.arena = arena;
    this.#words = words;
    this.ring = new Ring(arena, offset + RING_BYTE);
    this.#ringWords = arena.words(offset + RING_BYTE, RING_BYTES / 4);
    this.#holders = new Holders(
      arena,
      offset + HOLDERS_BYTE,
      QUEUE_BYTES - HOLDERS_BYTE,
      (taken) => this.#settle(taken),
    );
    this.#outlet = new Outlet(arena, this.ring, () => this.check());
    this.#inlet = new Turns(arena.waiting, this.ring.itemsKey);
    if (this.#block.isNew) {
      this.ring.limit(limits);
      words[CREATOR] = arena.me;
      this.#holder = this.#holders.hold(arena.me);
    }
    this.#loops = this.#block.inCommon(() => new Loops(IS_WAITING));
    if (this.#holder) this.#loops.open(this.#holder);
    collected.register(owner, this, this);
  }

  /** What to call it: its class and its address. */
  toString(): string {
    return `<${this.#name} at 0x${this.#block.offset.toString(16)}>`;
  }

  /** Throws if it is closed. */
  check(): void {
    if (!this.isClosed) return;
    throw new ProcessError(`Cannot use ${this} as its handle is closed`);
  }

  /** What stands for the queue in a message. */
  toWire(tag: string, target: unknown): WireForm {
    this.check();
    const { data } = this.#block.toWire(tag, tag, target);
    const [address, offset] = data as HandleData;
    const onLetGo = () => this.#afterLettingGo();
    const inFlight = this.#holders.depart(target as Target, onLetGo);
    return { tag, data: [address, offset, inFlight] };
  }

  /** Completes an object that was received. */
  arrive(inFlight: unknown): void {
    this.#holder = this.#holders.arrive(inFlight === true);
    this.#loops.open(this.#holder);
    onArrival(this);
  }

  // ---- putting --------------------------------------------------------------

  /** Puts an item; `false` if the time ran out. */
  put(item: unknown, options: WaitOptions): Promise<boolean> {
    this.check();
    const limits = checkedLimits(options); // before the item is in the scratch
    return this.#outlet.put(this.#pack(item), limits);
  }

  /** Puts an item if there is room. */
  putNow(item: unknown): boolean {
    return this.#outlet.putNow(this.#pack(item));
  }

  /** Puts an item, blocking the thread; `false` if the time ran out. */
  putSync(item: unknown, options: WaitOptions): boolean {
    this.check();
    const limits = checkedLimits(options);
    return this.#outlet.putSync(this.#pack(item), limits);
  }

  #pack(item: unknown): Parcel {
    this.check();
    const parcel = pack(item, { kind: this.arena.kind }, "item");
    if (!this.#hasPut) this.#holder?.raise(HAS_PUT);
    this.#hasPut = true;
    if (parcel.hasHandles) Atomics.store(this.#words, HAS_HANDLES, 1);
    return parcel;
  }

  // ---- getting --------------------------------------------------------------

  /** Takes an item if there is one and nobody waits for it. */
  getNow(): Item | typeof NOT_YET {
    return this.#inlet.now(this.#get);
  }

  /** Takes an item, waiting for one. */
  get(options: WaitOptions): Promise<Item | typeof TIMED_OUT> {
    return this.#inlet.wait(this.#get, options);
  }

  /** Takes an item, blocking the thread. */
  getSync(options: WaitOptions): Item | typeof TIMED_OUT {
    return this.#inlet.waitSync(this.#get, options);
  }

  readonly #get: Attempt<Item> = () => {
    this.check();
    return this.ring.tryTake(this.#copy) ?? NOT_YET;
  };

  readonly #copy = (message: Uint8Array): Item => {
    const copy = copyOut(message);
    // Last: killed here, an item counts as failed that somebody still gets; after
    // the ring has let go of it, it would be unfinished for ever.
    if (this.#countsTaken) this.#holder?.addTaken(1);
    return copy;
  };

  // ---- loops ----------------------------------------------------------------

  /** The items one by one, until the loop is to end. */
  async *items(): AsyncGenerator<Item, void, undefined> {
    this.check();
    this.#countLoops(1, 0);
    try {
      for (let item; (item = await this.#nextOfLoop()) !== END;) yield item;
    } finally {
      this.#countLoops(-1, 0);
      // Those that are left may all wait now, with nobody left to say so.
      if (this.#isOver()) this.arena.waiting.wake(this.ring.itemsKey);
      if (this.isClosed) this.#discardUnreachable();
    }
  }

  async #nextOfLoop(): Promise<Item | typeof END> {
    const first = this.#inlet.now(() =>
      this.ring.tryTake(this.#copy) ?? NOT_YET
    );
    if (first !== NOT_YET) return first;

    let isIdle = true;
    this.#countLoops(0, 1);
    const stopIdling = () => {
      if (isIdle) this.#countLoops(0, -1);
      isIdle = false;
    };
    const copy = (message: Uint8Array) => {
      stopIdling(); // before the ring lets go of the item, see the module
      return this.#copy(message);
    };
    const { waiting } = this.arena;
    const { itemsKey } = this.ring;
    // It may be another loop that is first in line, and looks.
    if (this.#isOver()) waiting.wake(itemsKey);
    try {
      const end = (): typeof END => {
        waiting.wake(itemsKey);
        return END;
      };
      const next = await this.#inlet.wait<Item | typeof END>(
        () => {
          const item = this.ring.tryTake(copy);
          if (item !== undefined) return item;
          return this.isClosed || this.#isOver() ? end() : NOT_YET;
        },
        {},
        false,
        // A get() before it may wait for ever; what is over is so for all.
        () => this.#isOver() ? end() : NOT_YET,
      );
      return next === TIMED_OUT ? END : next;
    } finally {
      stopIdling();
    }
  }

  #countLoops(running: number, waiting: number): void {
    this.#running += running;
    this.#waiting += waiting;
    if (!this.isClosed) this.#loops.count(running, waiting);
    else if (running < 0) this.#loops.endLast();
  }

  /** Whether the queue is empty for good. */
  #isOver(): boolean {
    const puts = this.#puts;
    if (this.ring.hasItem) return false;
    const overAt = (puts + 1) | 0;
    if (Atomics.load(this.#words, OVER_AT) === overAt) return true;
    const creator = this.#words[CREATOR]!;
    const canBePut = this.#holders.isHeldBy((holder) =>
      holder.token === creator || holder.count > 1 ||
      holder.state !== IS_WAITING
    );
    if (canBePut || this.#puts !== puts || this.ring.hasItem) return false;
    Atomics.store(this.#words, OVER_AT, overAt);
    return true;
  }

  // ---- items that are to be done ----------------------------------------------

  /** The key of those who wait until all is done. */
  get doneKey(): number {
    return keyOf(this.#block.offset + DONE * 4);
  }

  /**
   * Says that an item is done.
   *
   * @returns `false` if none is left to be done.
   */
  done(): boolean {
    const words = this.#words;
    const mine = this.#holder ?? this.#holders.find(this.arena.me);
    while (true) {
      const done = Atomics.load(words, DONE);
      const hasOwn = mine !== undefined && mine.taken > 0;
      if (((this.#puts - done) | 0) <= 0 && !hasOwn) return false;
      const was = Atomics.compareExchange(words, DONE, done, (done + 1) | 0);
      if (was === done) break;
    }
    // Last: killed here, an item counts twice; the other way round, never.
    if (!mine?.settleOne() && !this.#holders.settleOne()) mine?.addTaken(-1);
    if (this.#unfinished <= 0) this.arena.waiting.wake(this.doneKey);
    return true;
  }

  /** Whether nothing is left to be done by anybody who is alive. */
  readonly isAllDone: Attempt<true> = () => {
    this.#holders.settleGone();
    return this.#unfinished <= 0 ? true : NOT_YET;
  };

  get #puts(): number {
    return Atomics.load(this.#ringWords, RING_PUT);
  }

  get #unfinished(): number {
    // In this order: equal, they were so when the first was read.
    const done = Atomics.load(this.#words, DONE);
    return (this.#puts - done) | 0;
  }

  #settle(taken: number): void {
    const count = Math.min(taken, Math.max(0, this.#unfinished));
    Atomics.add(this.#words, DONE, count);
  }

  // ---- the end --------------------------------------------------------------

  /** How it becomes ready: there is an item to get. */
  get readiness(): SharedReadiness {
    return {
      arena: this.arena,
      keys: [this.ring.itemsKey],
      ready: () => {
        this.check();
        return this.ring.hasItem;
      },
    };
  }

  /** Gives up this participant's part. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    // Loops that hand out what is left go on counting what they take.
    const keepsCounting = this.#countsTaken && this.#running > 0;
    this.#holders.release(this.arena.me, keepsCounting);
    this.#loops.close(this.#running, this.#waiting);
    if (!keepsCounting) this.#holder = undefined;
    collected.unregister(this);
    this.#afterLettingGo();
  }

  /** What has to be done when a hold of the queue has been taken away. */
  #afterLettingGo(): void {
    const { itemsKey, spaceKey } = this.ring;
    this.arena.waiting.wake(itemsKey);
    this.arena.waiting.wake(spaceKey);
    this.#discardUnreachable();
  }

  /** Drops the items with their handles if nobody can get them any more. */
  #discardUnreachable(): void {
    if (this.#loops.isAny) return;
    discardUnreachable(this.#words, this.#holders, this.ring);
  }
}

function discardUnreachable(
  words: Int32Array,
  holders: Holders,
  ring: Ring,
): void {
  if (Atomics.load(words, HAS_HANDLES) === 0 || holders.isHeld()) return;
  for (let item; (item = ring.tryTake(copyOut));) discard(item);
}

/** One that had the queue has ended: what is in it may be nobody's now. */
function leave(arena: Arena, offset: number): void {
  const words = arena.words(offset, HAS_HANDLES + 1);
  if (words[HAS_HANDLES] === 0) return;
  const room = QUEUE_BYTES - HOLDERS_BYTE;
  const holders = new Holders(arena, offset + HOLDERS_BYTE, room);
  discardUnreachable(words, holders, new Ring(arena, offset + RING_BYTE));
}

function destroy(arena: Arena, offset: number): void {
  new Ring(arena, offset + RING_BYTE).free();
  Holders.free(arena, offset + HOLDERS_BYTE);
}

onLast("queue", destroy);
onLeft("queue", leave);

/**
 * One end of a pipe, as one object of one participant has it: a ring to read
 * from, a ring to write to, and the tables of those who have either end.
 *
 * ```
 *            end 0                  |                  end 1
 *     held by: table 0              |              held by: table 1
 *     reads  <------------------- ring 0 <------------------- writes
 *     writes -------------------> ring 1 -------------------> reads
 * ```
 *
 * A pipe that is not duplex has ring 0 only.
 *
 * **End of file.** Each end is held by the participants in its table. A reader is
 * at the end of file when nobody holds the other end and the ring is empty, in
 * this order: whatever a writer sent was in the ring before it let go. A message
 * is in the ring whole or not at all; a writer that is killed half-way leaves
 * nothing to be seen, and its readers get the end of file.
 *
 * **No wake-up is lost.** Messages and room wake as in every ring. Whoever closes
 * an end first takes its hold away and then wakes all who wait at either ring,
 * here or at the other end; the death of a holder makes everybody look. A `poll()`
 * takes nothing, so the wake-up that a message has given it is passed on.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { WireForm } from "../codec/mod.ts";
import { EofError, ProcessError } from "../errors.ts";
import { NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import { LEFT, Ring, RING_BYTES } from "../memory/ring.ts";
import type {
  Arena,
  Attempt,
  MemoryKind,
  RingLimits,
  WaitOptions,
} from "../memory/mod.ts";
import { Block, FIRST_WORD, onLast, onLeft, receive } from "./block.ts";
import type { HandleData, Target } from "./block.ts";
import { Holders, holdersBytes } from "./_holders.ts";
import { Outlet } from "./_outlet.ts";
import { copyOut } from "./_parcel.ts";
import type { Parcel } from "./_parcel.ts";
import { Turns } from "./_turns.ts";
import type { SharedReadiness } from "./waitable.ts";
import { discard, onArrival } from "./wire.ts";

// Words of a pipe's block: meaning · writer · reader.
/** 1 if both ends write · creator, once · everybody. */
const DUPLEX = FIRST_WORD;
/** The numbers of the two ends · creator, once · everybody. */
const IDS = FIRST_WORD + 1;
/**
 * Two words, 1 once a message read at that end had handles in it that count ·
 * senders · whoever finds that nobody can receive there.
 */
const HAS_HANDLES = FIRST_WORD + 3;
/** Where the rings' head blocks lie; ring `i` is read at end `i`. */
const RINGS_BYTE = 64;
/** Where the tables of those who have an end lie. */
const HOLDERS_BYTE = RINGS_BYTE + 2 * RING_BYTES;
/** Fills the block; more participants than that take further pages. */
const HOLDERS_BYTES = holdersBytes(25);
const PIPE_BYTES = 1024;

/** The last byte of a message says what it is. */
const VALUE = 0;
const BYTES = 1;
const TRAILERS: Record<Form, Uint8Array> = {
  value: Uint8Array.of(VALUE),
  bytes: Uint8Array.of(BYTES),
};

/** Which of the two ends. */
type Side = 0 | 1;

/** Whether a message is an encoded value or bytes as they are. */
export type Form = "value" | "bytes";

/**
 * Reads a message where it lies and copies what it keeps.
 *
 * @param payload The message, to be read only while this function runs.
 * @param form What it is.
 */
export type Read<T> = (payload: Uint8Array, form: Form) => T | typeof LEFT;

/** What receiving gives. */
export type Received<T> = T | typeof LEFT | typeof TIMED_OUT;

/** See the module. All waits reject once it is closed here. */
export class PipeEnd {
  readonly #block: Block;
  readonly #arena: Arena;
  readonly #side: Side;
  readonly #mine: Holders;
  readonly #peers: Holders;
  readonly #in: Ring;
  readonly #out: Ring;
  readonly #inlet: Turns;
  readonly #outlet: Outlet;
  #isClosed = false;
  /** Once nobody has the other end, nobody can have it again. */
  #isPeerGone = false;
  /** Whether something was sent since the last message: then an answer may come. */
  #hasAsked = false;

  /**
   * Makes the first end of a new pipe, or opens an end that was received.
   *
   * @param cls A class bound to the start method of a new pipe.
   * @param side Which end.
   */
  // deno-lint-ignore ban-types -- any class
  constructor(cls: Function, side: Side) {
    this.#block = new Block(this, cls, PIPE_BYTES, "pipe");
    const { arena, offset } = this.#block;
    const other = 1 - side;
    this.#side = side;
    this.#arena = arena;
    this.#mine = new Holders(arena, tableAt(offset, side), HOLDERS_BYTES);
    this.#peers = new Holders(arena, tableAt(offset, other), HOLDERS_BYTES);
    this.#in = new Ring(arena, ringAt(offset, side));
    this.#out = new Ring(arena, ringAt(offset, other));
    this.#inlet = new Turns(arena.waiting, this.#in.itemsKey);
    this.#outlet = new Outlet(arena, this.#out, () => this.#checkPeer());
  }

  /**
   * Makes a pipe.
   *
   * @param cls A class bound to the start method.
   * @param duplex Whether both ends read and write, rather than only the first
   * read and only the second write.
   * @param limits Limits of each direction.
   */
  static pair(
    // deno-lint-ignore ban-types -- any class
    cls: Function,
    duplex: boolean,
    limits: RingLimits,
  ): [PipeEnd, PipeEnd] {
    const first = new PipeEnd(cls, 0);
    const { words } = first.#block;
    words[DUPLEX] = duplex ? 1 : 0;
    words[IDS] = first.#arena.serial();
    words[IDS + 1] = first.#arena.serial();
    first.#in.limit(limits);
    first.#out.limit(limits);
    // The second is handed over like any other, with a reference of its own.
    const { data } = first.#block.toWire("", "pipe", { kind: first.kind });
    const second = receive(data, () => new PipeEnd(cls, 1));
    for (const end of [first, second]) end.#mine.hold(end.#arena.me);
    return [first, second];
  }

  /** Opens an end that was received. */
  static received(data: unknown): PipeEnd {
    return receive(data, (extra) => {
      const [side, inFlight] = extra as [Side, boolean];
      const end = new PipeEnd(PipeEnd, side);
      end.#mine.arrive(inFlight);
      onArrival(end);
      return end;
    });
  }

  /** A number that tells the ends of pipes apart. */
  get id(): number {
    return this.#block.words[IDS + this.#side]!;
  }

  /** Whether messages come out. */
  get readable(): boolean {
    return this.#side === 0 || this.#block.words[DUPLEX] === 1;
  }

  /** Whether messages can go in. */
  get writable(): boolean {
    return this.#side === 1 || this.#block.words[DUPLEX] === 1;
  }

  /** Whose participants can be at the other end. */
  get kind(): MemoryKind {
    return this.#arena.kind;
  }

  /** What stands for this end in a message. */
  toWire(tag: string, target: unknown): WireForm {
    this.#check();
    const { data } = this.#block.toWire(tag, tag, target);
    const [address, offset] = data as HandleData;
    const onLetGo = () => this.#afterLettingGo();
    const inFlight = this.#mine.depart(target as Target, onLetGo);
    return { tag, data: [address, offset, [this.#side, inFlight]] };
  }

  // ---- sending --------------------------------------------------------------

  /**
   * Sends a message; the first attempt is made before this returns.
   *
   * @param parcel The message.
   * @param form What it is.
   * @param options How long to wait for room.
   * @returns `false` if the time ran out.
   * @throws {Deno.errors.BrokenPipe} If nobody has the other end.
   */
  send(parcel: Parcel, form: Form, options: WaitOptions): Promise<boolean> {
    return this.#outlet.put(this.#prepared(parcel, form), options);
  }

  /** The same, blocking the thread. */
  sendSync(parcel: Parcel, form: Form, options: WaitOptions): boolean {
    return this.#outlet.putSync(this.#prepared(parcel, form), options);
  }

  /** Takes note of what is being sent, and adds the byte that says what it is. */
  #prepared(parcel: Parcel, form: Form): Parcel {
    if (parcel.hasHandles) {
      Atomics.store(this.#block.words, HAS_HANDLES + 1 - this.#side, 1);
    }
    this.#hasAsked = true;
    return parcel.append(TRAILERS[form]);
  }

  #checkPeer(): void {
    this.#check();
    if (!this.#isCutOff()) return;
    throw new Deno.errors.BrokenPipe(
      "Cannot send as the other end is closed",
    );
  }

  // ---- receiving ------------------------------------------------------------

  /**
   * Takes the next message, unless it is refused.
   *
   * @param read Reads it.
   * @param options How long to wait.
   * @returns What `read` gave.
   * @throws {EofError} If there is none, and nobody has the other end.
   */
  receive<T>(read: Read<T>, options: WaitOptions): Promise<Received<T>> {
    return this.#inlet.wait(this.#receiving(read), options, this.#hasAsked);
  }

  /** The same, blocking the thread. */
  receiveSync<T>(read: Read<T>, options: WaitOptions): Received<T> {
    return this.#inlet.waitSync(this.#receiving(read), options);
  }

  #receiving<T>(read: Read<T>): Attempt<T | typeof LEFT> {
    return () => {
      this.#check();
      let outcome = this.#take(read);
      if (outcome !== NOT_YET || !this.#isCutOff()) return outcome;
      // The last message may have come since the first look.
      outcome = this.#take(read);
      if (outcome !== NOT_YET) return outcome;
      throw new EofError(
        "Cannot receive as the other end is closed and everything it sent is read",
      );
    };
  }

  #take<T>(read: Read<T>): T | typeof LEFT | typeof NOT_YET {
    const outcome = this.#in.tryTake((message) => {
      this.#hasAsked = false;
      const form = message.at(-1) === BYTES ? "bytes" : "value";
      return read(message.subarray(0, -1), form);
    });
    // It is still there, and so is the duty to look: somebody else's now.
    if (outcome === LEFT) this.#arena.waiting.wake(this.#in.itemsKey, 1);
    return outcome === undefined ? NOT_YET : outcome;
  }

  // ---- readiness ------------------------------------------------------------

  /** How it becomes ready: there is a message, or the end. */
  get readiness(): SharedReadiness {
    return {
      arena: this.#arena,
      keys: [this.#in.itemsKey],
      ready: () => this.#isReady(),
    };
  }

  /** Waits until it is ready; `false` if the time ran out. */
  async poll(options: WaitOptions): Promise<boolean> {
    if (this.#isReady()) return true;
    const { waiting } = this.#arena;
    const keys = [this.#in.itemsKey];
    const isReady = await waiting.wait(keys, this.#polling, options, {
      looksAgain: true,
    });
    waiting.wake(keys[0]!, 1);
    return isReady !== TIMED_OUT;
  }

  /** The same, blocking the thread. */
  pollSync(options: WaitOptions): boolean {
    if (this.#isReady()) return true;
    const { waiting } = this.#arena;
    const keys = [this.#in.itemsKey];
    const isReady = waiting.waitSync(keys, this.#polling, options);
    waiting.wake(keys[0]!, 1);
    return isReady !== TIMED_OUT;
  }

  readonly #polling: Attempt<true> = () => this.#isReady() ? true : NOT_YET;

  #isReady(): boolean {
    this.#check();
    return this.#in.hasItem || this.#isCutOff();
  }

  // ---- the end --------------------------------------------------------------

  #isCutOff(): boolean {
    if (this.#isPeerGone) return true;
    if (this.#peers.isHeld()) return false;
    this.#isPeerGone = true;
    discardUnreachable(this.#block.words, 1 - this.#side, this.#out);
    return true;
  }

  #check(): void {
    if (!this.#isClosed) return;
    throw new ProcessError("Cannot use a connection as its handle is closed");
  }

  /** Gives this end up. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#mine.release(this.#arena.me);
    this.#afterLettingGo();
  }

  /** What has to be done when a hold of this end has been taken away. */
  #afterLettingGo(): void {
    const { waiting } = this.#arena;
    for (const ring of [this.#in, this.#out]) {
      waiting.wake(ring.itemsKey);
      waiting.wake(ring.spaceKey);
    }
    if (!this.#mine.isHeld()) {
      discardUnreachable(this.#block.words, this.#side, this.#in);
    }
    this.#isCutOff();
  }
}

function ringAt(offset: number, side: number): number {
  return offset + RINGS_BYTE + side * RING_BYTES;
}

function tableAt(offset: number, side: number): number {
  return offset + HOLDERS_BYTE + side * HOLDERS_BYTES;
}

/** Drops the messages with their handles that nobody can receive any more. */
function discardUnreachable(
  words: Int32Array,
  reader: number,
  ring: Ring,
): void {
  if (Atomics.load(words, HAS_HANDLES + reader) === 0) return;
  const take = (message: Uint8Array) => ({
    item: message.at(-1) === VALUE ? copyOut(message.subarray(0, -1)) : null,
  });
  for (let taken; (taken = ring.tryTake(take));) {
    if (taken.item) discard(taken.item);
  }
}

/** One that had the pipe has ended: what is in it may be nobody's now. */
function leave(arena: Arena, offset: number): void {
  const words = arena.words(offset, HAS_HANDLES + 2);
  for (const side of [0, 1]) {
    if (words[HAS_HANDLES + side] === 0) continue;
    const held = new Holders(arena, tableAt(offset, side), HOLDERS_BYTES);
    if (held.isHeld()) continue;
    discardUnreachable(words, side, new Ring(arena, ringAt(offset, side)));
  }
}

function destroy(arena: Arena, offset: number): void {
  for (const side of [0, 1]) {
    new Ring(arena, ringAt(offset, side)).free();
    Holders.free(arena, tableAt(offset, side));
  }
}

onLast("pipe", destroy);
onLeft("pipe", leave);

/**
 * A first-in, first-out line of messages in shared memory: what queues, pipes and
 * the pool's channels are made of. Any participant may put, any may take.
 *
 * **Memory follows the content.** Messages lie in *segments*, blocks of the heap.
 * A segment is a circle: as long as the taker keeps up, putter and taker chase
 * each other around one small segment that stays in the cache. When it is full,
 * the putter takes a larger one and leaves a sign in the old one that says where
 * to go on; the taker follows the sign and frees the old one. When a large
 * segment has drained, the putter goes back to a small one. So 100,000 messages
 * can be put before anybody takes, and the memory is given back afterwards.
 *
 * ```
 *   segment (old, full)              segment (new)
 *   | size | f5 f6 . . f1 f2 JUMP |  | size | f7 f8 0 . . . . . . . |
 *                  ^head       \________________^     ^tail
 * ```
 *
 * **A frame** starts at a multiple of 16: a header word, a sequence number, the
 * message. The header is 0 where nothing has been put yet, the length plus one
 * of a message, or a sign ({@linkcode SKIP}, {@linkcode JUMP}).
 *
 * **One store commits.** A put writes the message and a zero behind it, then the
 * header: from that store on the message is there. A take reads the message,
 * then advances the head: from that store on it is gone. Both ends have a mutex
 * (see `mutex.ts`); whoever takes it over from a holder that died brings the
 * other words in line with those two (`#mendPut`, `#mendTake`). So a killed
 * putter loses at most the message it was putting, a killed taker loses none it
 * had not taken, and nobody is blocked.
 *
 * What is to be mended has to be there still: a segment is freed only when
 * neither end starts from it any more. And it must be possible to tell what
 * belongs to a commit that happened from what belongs to one that did not, so
 * that words which count are written *before* it, to where nobody looks until it
 * has happened (`PUT_UNITS`, `TAKEN_UNITS`, `NEXT_HEAD`).
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { keyOf } from "./arena.ts";
import type { Arena } from "./arena.ts";
import { UNIT } from "./layout.ts";
import { lock, tryLock, unlock } from "./mutex.ts";

// Words of a ring's head block: meaning · writer.
/** Mutex of the putting end. */
const PUT_LOCK = 0;
/** Where the next frame goes, in units of 16 bytes · putter. */
const TAIL = 1;
/** The segment that is in, in units of 64 bytes · putter. */
const TAIL_SEGMENT = 2;
/** Messages ever put, modulo 2^32 · putter. */
const PUT = 3;
/** Mutex of the taking end. */
const TAKE_LOCK = 4;
/** Where the next frame to take is, 0 before the first put · taker. */
const HEAD = 5;
/** The segment that is in · taker. */
const HEAD_SEGMENT = 6;
/** Messages ever taken, modulo 2^32 · taker. */
const TAKEN = 7;
/**
 * 16-byte units ever put, two words: the one for the message with the sequence
 * number `n` is at `n & 1`, so that it can be written before the message is
 * there, and counts once `PUT` is `n + 1` · putter.
 */
const PUT_UNITS = 8;
/** 16-byte units ever taken, two words of which `TAKEN` tells one · taker. */
const TAKEN_UNITS = 10;
/** Most messages at a time, 0 for no limit · creator. */
const MAX_ITEMS = 12;
/** Most 16-byte units at a time · creator. */
const MAX_UNITS = 13;
/** What the take in progress will make of `HEAD` · taker. */
const NEXT_HEAD = 14;
/** And of `TAKEN` · taker. */
const NEXT_TAKEN = 15;

/** Bytes of a ring's head block. */
export const RING_BYTES: number = UNIT;

/** Sign: go on at the start of this segment. */
const SKIP = -1;
/** Sign: go on in the segment named in the next word. */
const JUMP = -2;

// Words of a segment's head.
/** Size as a power of two. */
const SIZE_LOG2 = 0;
/** The segment that follows, in units of 64 bytes; set before the sign. */
const NEXT = 1;
/** Bytes of a segment's head. */
const SEGMENT_HEAD = 64;

/** Frames start at multiples of this. */
const ALIGNMENT = 16;
/** Header word and sequence number. */
const FRAME_HEAD = 8;
/** A first segment: one page, so that 10,000 idle queues cost little. */
const FIRST_SEGMENT_LOG2 = 12;
/** Segments double up to this (1 MiB), beyond only for a larger message. */
const GROWN_SEGMENT_LOG2 = 20;
/** A drained segment larger than this is left for a smaller one: it is more than
 * the second-level cache of a core holds for one of several queues. */
const LARGE_SEGMENT_LOG2 = 18;
/** The size gone back to. */
const SMALL_SEGMENT_LOG2 = 16;

/**
 * Most bytes copied in one go, about 0.2 ms. A thread that is terminated stops
 * between two of them, and not when all of a message has been written to where
 * others write by then (see `mutex.ts`).
 */
const COPY_BYTES = 1024 * 1024;

/** Longest message: its length plus one is a positive int32. */
export const LONGEST_MESSAGE: number = 2 ** 31 - 1024;
/** Default limit for the bytes in a ring: 4 GiB. */
export const DEFAULT_MAX_BYTES: number = 4 * 2 ** 30;

/** What a reader gives back to leave a message where it is, for the next. */
export const LEFT: unique symbol = Symbol("left");

/** Limits of a ring. */
export interface RingLimits {
  /** Most messages at a time. @default {0} no limit */
  maxItems?: number | undefined;
  /** Most bytes at a time. @default {4294967296} */
  maxBytes?: number | undefined;
}

/** A message in pieces, to be laid down one behind the other. */
export interface Message {
  /** Sum of the lengths. */
  readonly byteLength: number;
  /** The pieces. */
  readonly parts: readonly Uint8Array[];
}

/**
 * A segment as this participant sees it. It may be kept beyond the segment's life:
 * a block of the heap never changes its size, so what lies at the same unit later
 * looks the same.
 */
interface Segment {
  readonly unit: number;
  readonly log2: number;
  /** Where its frames start and end, as offsets in the arena. */
  readonly start: number;
  readonly end: number;
  /** From the segment's first byte on. */
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
}

/** See the module. */
export class Ring {
  /** What a taker waits for. */
  readonly itemsKey: number;
  /** What a putter waits for. */
  readonly spaceKey: number;
  /** Token of the only participant that ever waits for items, if there is but one. */
  taker: number | undefined;
  readonly #arena: Arena;
  readonly #words: Int32Array;
  readonly #shared: boolean;
  readonly #primed: boolean;
  #putSegment: Segment | undefined;
  #takeSegment: Segment | undefined;

  /**
   * Opens a ring.
   *
   * @param arena Where it lies.
   * @param offset Offset of its head block, {@linkcode RING_BYTES} long. Zeroed, it
   * is an empty ring without limits.
   * @param options `solo` if one participant only puts and one only takes: the
   * mutexes are left out. `itemsKey` if takers wait for this ring among others.
   * `primed` if it has been put into before: then it always has memory, unless it
   * has been freed, and this participant is too late.
   */
  constructor(
    arena: Arena,
    offset: number,
    options: { solo?: boolean; itemsKey?: number; primed?: boolean } = {},
  ) {
    this.#arena = arena;
    this.#words = arena.words(offset, RING_BYTES / 4);
    this.#shared = !options.solo;
    this.#primed = options.primed ?? false;
    this.itemsKey = options.itemsKey ?? keyOf(offset);
    this.spaceKey = keyOf(offset + ALIGNMENT);
  }

  /** Sets the limits; only the creator does, before anybody uses the ring. */
  limit(limits: RingLimits): void {
    this.#words[MAX_ITEMS] = Math.min(limits.maxItems ?? 0, 2 ** 31 - 1);
    const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#words[MAX_UNITS] = Math.min(
      Math.ceil(maxBytes / ALIGNMENT),
      2 ** 31 - 1,
    );
  }

  /** Messages in the ring. */
  get count(): number {
    const words = this.#words;
    // A taker may be faster than the putter's counter.
    return Math.max(
      0,
      (Atomics.load(words, PUT) - Atomics.load(words, TAKEN)) | 0,
    );
  }

  /** Whether a limit on the number of messages is reached. */
  get isFull(): boolean {
    const maxItems = this.#words[MAX_ITEMS]!;
    return maxItems > 0 && this.count >= maxItems;
  }

  /**
   * Puts a message if there is room, and wakes a taker.
   *
   * @param message What to put.
   * @returns Whether there was room.
   * @throws {RangeError} If it can never fit.
   */
  tryPut(message: Message): boolean {
    this.checkLength(message.byteLength);
    const words = this.#words;
    let hasMore: boolean;
    if (this.#shared) this.#lockPut();
    try {
      if (!this.#hasRoom(message.byteLength)) return false;
      const at = this.#reserve(frameBytes(message.byteLength));
      this.#write(at, message);
      hasMore = this.#hasRoom(0);
    } finally {
      if (this.#shared) unlock(words, PUT_LOCK);
    }
    this.#arena.waiting.wake(this.itemsKey, 1, this.taker);
    // A take wakes one putter, and may have made room for several.
    if (hasMore) this.#arena.waiting.wake(this.spaceKey, 1);
    return true;
  }

  /**
   * Takes the oldest message, if there is one, and wakes a putter if there is a
   * limit.
   *
   * @param read Called with the message where it lies; must copy what it keeps,
   * and must not use this ring. The message is gone afterwards even if it throws,
   * unless it returns {@linkcode LEFT}.
   * @returns What it returned, `undefined` if the ring is empty.
   */
  tryTake<T>(read: (message: Uint8Array) => T): T | undefined {
    const words = this.#words;
    let hasTaken = false;
    if (this.#shared) this.#lockTake();
    try {
      const frame = this.#next();
      if (frame === undefined) return undefined;
      const { segment, offset, byteLength } = frame;
      const from = offset - segment.start + SEGMENT_HEAD + FRAME_HEAD;
      let outcome: T | undefined;
      try {
        outcome = read(segment.bytes.subarray(from, from + byteLength));
        return outcome;
      } finally {
        hasTaken = outcome !== LEFT;
        if (hasTaken) {
          const bytes = frameBytes(byteLength);
          const head = (offset + bytes) / ALIGNMENT;
          const sequence = segment.words[(from - FRAME_HEAD) / 4 + 1]!;
          countUnits(words, TAKEN_UNITS, sequence, bytes / ALIGNMENT);
          // In this order: the second means nothing without the first.
          Atomics.store(words, NEXT_HEAD, head);
          Atomics.store(words, NEXT_TAKEN, sequence + 1);
          // This store commits.
          Atomics.store(words, HEAD, head);
          Atomics.store(words, TAKEN, sequence + 1);
          if (this.#shared && segment.log2 > GROWN_SEGMENT_LOG2) this.#trim();
        }
      }
    } finally {
      if (this.#shared) unlock(words, TAKE_LOCK);
      // Only then: an attempt that fails must not wake, or a participant in
      // overflow would go on ringing itself.
      if (hasTaken) this.#arena.waiting.wake(this.spaceKey, 1);
    }
  }

  /** Whether there is a message to take. */
  get hasItem(): boolean {
    if (this.count > 0) return true;
    // A putter killed between its commit and the count: the message is there.
    const head = Atomics.load(this.#words, HEAD) >>> 0;
    if (head === 0) return false;
    const header = Atomics.load(this.#arena.words(head * ALIGNMENT, 1), 0);
    if (header >= 0) return header > 0;
    // It may lie behind a sign, which only a taker may follow.
    if (this.#shared) this.#lockTake();
    try {
      return this.#next() !== undefined;
    } finally {
      if (this.#shared) unlock(this.#words, TAKE_LOCK);
    }
  }

  /** Frees all segments; nobody may use the ring any more. */
  free(): void {
    let unit = this.#words[HEAD_SEGMENT]! >>> 0;
    while (unit !== 0) {
      const segment = this.#open(unit);
      const next = segment.words[NEXT]! >>> 0;
      // First: whoever frees the ring again must not free the segment again.
      Atomics.store(this.#words, HEAD_SEGMENT, next);
      this.#arena.heap.free(unit * UNIT, 2 ** segment.log2);
      unit = next;
    }
    this.#words.fill(0);
  }

  /**
   * Checks the length of a message, also before it waits for room.
   *
   * @param byteLength Its length.
   * @throws {RangeError} If it can never be put, not even into an empty ring.
   */
  checkLength(byteLength: number): void {
    // No length is below zero; but what were written here would be lost.
    if (byteLength > LONGEST_MESSAGE || byteLength < 0) {
      throw new RangeError(
        `Cannot send a message of ${byteLength} bytes as the limit is ${LONGEST_MESSAGE}: send it in pieces, or use SharedMemory`,
      );
    }
    const maxUnits = this.#words[MAX_UNITS]!;
    const bytes = frameBytes(byteLength);
    if (maxUnits > 0 && bytes / ALIGNMENT > maxUnits) {
      throw new RangeError(
        `Cannot put a message of ${byteLength} bytes as it takes ${bytes} in shared memory and the limit of bytes is ${
          maxUnits * ALIGNMENT
        }`,
      );
    }
  }

  #hasRoom(byteLength: number): boolean {
    if (this.isFull) return false;
    const words = this.#words;
    const maxUnits = words[MAX_UNITS]!;
    if (maxUnits === 0) return true;
    const put = words[PUT_UNITS + ((words[PUT]! - 1) & 1)]!;
    const used = (put - this.#takenUnits()) >>> 0;
    return used + frameBytes(byteLength) / ALIGNMENT <= maxUnits;
  }

  #takenUnits(): number {
    const words = this.#words;
    while (true) {
      const taken = Atomics.load(words, TAKEN);
      const units = Atomics.load(words, TAKEN_UNITS + ((taken - 1) & 1));
      // Takers go on meanwhile, and write to this word again after the next.
      if (Atomics.load(words, TAKEN) === taken) return units;
    }
  }

  // ---- putting --------------------------------------------------------------

  /** Finds a place for a frame, with a free header behind it. */
  #reserve(bytes: number): number {
    const words = this.#words;
    let segment = this.#putting();
    const tail = (words[TAIL]! >>> 0) * ALIGNMENT;
    const head = (Atomics.load(words, HEAD) >>> 0) * ALIGNMENT;
    const needed = bytes + ALIGNMENT;
    const shared = head >= segment.start && head < segment.end;

    if (
      shared && head === tail && segment.log2 > LARGE_SEGMENT_LOG2 &&
      segment.log2 > log2For(needed) + 1
    ) {
      // Drained: go on in a small one, and let the taker free this one.
      segment = this.#jump(tail, Math.max(SMALL_SEGMENT_LOG2, log2For(needed)));
      return segment.start;
    }
    if (shared && head > tail) {
      if (tail + needed <= head) return tail;
    } else {
      if (tail + needed <= segment.end) return tail;
      if (shared && segment.start + needed <= head) {
        this.#clear(segment, segment.start);
        this.#sign(segment, tail, SKIP, 0);
        return segment.start;
      }
    }
    const grown = Math.min(segment.log2 + 1, GROWN_SEGMENT_LOG2);
    return this.#jump(tail, Math.max(grown, log2For(needed))).start;
  }

  /** Lays the frame down, the header last, and moves the tail behind it. */
  #write(offset: number, message: Message): void {
    const words = this.#words;
    const segment = this.#putting();
    const bytes = frameBytes(message.byteLength);
    const local = offset - segment.start + SEGMENT_HEAD;
    let to = local + FRAME_HEAD;
    for (const part of message.parts) {
      this.#copy(part, segment, to);
      to += part.byteLength;
    }
    const sequence = words[PUT]!;
    segment.words[local / 4 + 1] = sequence;
    countUnits(words, PUT_UNITS, sequence, bytes / ALIGNMENT);
    this.#clear(segment, offset + bytes);
    // This store commits.
    Atomics.store(segment.words, local / 4, message.byteLength + 1);
    Atomics.store(words, PUT, sequence + 1);
    Atomics.store(words, TAIL, (offset + bytes) / ALIGNMENT);
  }

  /** Copies in pieces: see `COPY_BYTES`. */
  #copy(part: Uint8Array, { unit, bytes }: Segment, to: number): void {
    if (part.byteLength <= COPY_BYTES) return bytes.set(part, to);
    for (let from = 0; from < part.byteLength; from += COPY_BYTES) {
      const piece = part.subarray(from, from + COPY_BYTES);
      const { memory } = this.#arena;
      memory.populate(unit * UNIT + to + from, piece.byteLength);
      bytes.set(piece, to + from);
    }
  }

  /** The segment of the tail; the first put makes the first one. */
  #putting(): Segment {
    const words = this.#words;
    const unit = words[TAIL_SEGMENT]! >>> 0;
    if (this.#putSegment?.unit === unit && unit !== 0) return this.#putSegment;
    if (unit !== 0) return this.#putSegment = this.#open(unit);
    if (this.#primed) {
      throw new Error("Cannot put into a ring that has been freed");
    }
    const segment = this.#make(FIRST_SEGMENT_LOG2);
    words[TAIL_SEGMENT] = segment.unit;
    words[TAIL] = segment.start / ALIGNMENT;
    words[HEAD_SEGMENT] = segment.unit;
    Atomics.store(words, HEAD, segment.start / ALIGNMENT);
    return this.#putSegment = segment;
  }

  /** Goes on in a new segment, leaving a sign at the tail. */
  #jump(tail: number, log2: number): Segment {
    const words = this.#words;
    const old = this.#putSegment!;
    const segment = this.#make(log2);
    old.words[NEXT] = segment.unit;
    this.#sign(old, tail, JUMP, segment.unit);
    // From here on a taker frees the old segment: see #next().
    Atomics.store(words, TAIL_SEGMENT, segment.unit);
    words[TAIL] = segment.start / ALIGNMENT;
    return this.#putSegment = segment;
  }

  #make(log2: number): Segment {
    const offset = this.#arena.heap.allocate(2 ** log2, false);
    const head = this.#arena.words(offset, SEGMENT_HEAD / 4);
    head[SIZE_LOG2] = log2;
    head[NEXT] = 0;
    const segment = this.#open(offset / UNIT);
    this.#clear(segment, segment.start);
    return segment;
  }

  #sign(segment: Segment, offset: number, sign: number, unit: number): void {
    const word = (offset - segment.start + SEGMENT_HEAD) / 4;
    segment.words[word + 1] = unit;
    Atomics.store(segment.words, word, sign);
  }

  #clear(segment: Segment, offset: number): void {
    const word = (offset - segment.start + SEGMENT_HEAD) / 4;
    Atomics.store(segment.words, word, 0);
  }

  // ---- taking ---------------------------------------------------------------

  #next():
    | { segment: Segment; offset: number; byteLength: number }
    | undefined {
    const words = this.#words;
    while (true) {
      const offset = (Atomics.load(words, HEAD) >>> 0) * ALIGNMENT;
      if (offset === 0) return undefined;
      const unit = words[HEAD_SEGMENT]! >>> 0;
      if (this.#takeSegment?.unit !== unit) {
        this.#takeSegment = this.#open(unit);
      }
      const segment = this.#takeSegment!;
      const word = (offset - segment.start + SEGMENT_HEAD) / 4;
      const header = Atomics.load(segment.words, word);
      if (header === 0) return undefined;
      if (header > 0) return { segment, offset, byteLength: header - 1 };
      if (header === SKIP) {
        Atomics.store(words, HEAD, segment.start / ALIGNMENT);
      } else {
        // The putter has not gone on yet, and may have died. Then #mendPut()
        // starts from this segment, so it must stay; and nothing is behind it.
        if (Atomics.load(words, TAIL_SEGMENT) >>> 0 === unit) return undefined;
        const next = segment.words[word + 1]! >>> 0;
        const start = next * UNIT + SEGMENT_HEAD;
        Atomics.store(words, HEAD, start / ALIGNMENT);
        words[HEAD_SEGMENT] = next;
        this.#takeSegment = undefined;
        this.#arena.heap.free(unit * UNIT, 2 ** segment.log2);
      }
    }
  }

  /** Frees a segment made for one huge message, if nothing has come since. */
  #trim(): void {
    const words = this.#words;
    if (!tryLock(words, PUT_LOCK, this.#arena.me)) return;
    const unit = words[HEAD_SEGMENT]! >>> 0;
    if (words[HEAD] === words[TAIL]) {
      const segment = this.#open(unit);
      // Killed before the end of this, the segment is used again from its start:
      // what was taken there must not be there once more.
      this.#clear(segment, segment.start);
      // The head first: without it the ring has no segment, and is empty.
      Atomics.store(words, HEAD, 0);
      Atomics.store(words, TAIL_SEGMENT, 0);
      Atomics.store(words, HEAD_SEGMENT, 0);
      this.#takeSegment = undefined;
      this.#arena.heap.free(unit * UNIT, 2 ** segment.log2);
    }
    unlock(words, PUT_LOCK);
  }

  #open(unit: number): Segment {
    const offset = unit * UNIT;
    const log2 = this.#arena.words(offset, 1)[0]!;
    const size = 2 ** log2;
    return {
      unit,
      log2,
      start: offset + SEGMENT_HEAD,
      end: offset + size,
      words: this.#arena.words(offset, size / 4),
      bytes: this.#arena.bytes(offset, size),
    };
  }

  // ---- after a death in a section ---------------------------------------------

  #lockPut(): void {
    const { me, participants } = this.#arena;
    if (lock(this.#words, PUT_LOCK, me, participants)) this.#mendPut();
  }

  #lockTake(): void {
    const { me, participants } = this.#arena;
    if (lock(this.#words, TAKE_LOCK, me, participants)) this.#mendTake();
  }

  /** Walks from the tail over what was committed without being counted. */
  #mendPut(): void {
    const words = this.#words;
    this.#putSegment = undefined;
    const first = words[HEAD_SEGMENT]! >>> 0;
    if (Atomics.load(words, HEAD) === 0) {
      // Killed while making the first segment, or in #trim() while giving back
      // the last: if there is one, it is whole, and empty.
      words[TAIL_SEGMENT] = first;
      if (first === 0) return;
      const { start } = this.#open(first);
      words[TAIL] = start / ALIGNMENT;
      Atomics.store(words, HEAD, start / ALIGNMENT);
      return;
    }
    let segment = this.#open(words[TAIL_SEGMENT]! >>> 0);
    let tail = (words[TAIL]! >>> 0) * ALIGNMENT;
    if (tail < segment.start || tail >= segment.end) tail = segment.start;
    while (true) {
      const word = (tail - segment.start + SEGMENT_HEAD) / 4;
      const header = Atomics.load(segment.words, word);
      if (header === 0) break;
      if (header === SKIP) tail = segment.start;
      else if (header === JUMP) {
        segment = this.#open(segment.words[word + 1]! >>> 0);
        tail = segment.start;
      } else {
        Atomics.store(words, PUT, segment.words[word + 1]! + 1);
        tail += frameBytes(header - 1);
      }
    }
    Atomics.store(words, TAIL_SEGMENT, segment.unit);
    words[TAIL] = tail / ALIGNMENT;
  }

  /** Finds the segment the head is in, and counts what was taken. */
  #mendTake(): void {
    const words = this.#words;
    this.#takeSegment = undefined;
    const head = Atomics.load(words, HEAD) >>> 0;
    if (head === 0) return;
    // The last take has committed, whether or not it was counted and told.
    if (head === words[NEXT_HEAD]! >>> 0) {
      Atomics.store(words, TAKEN, words[NEXT_TAKEN]!);
      this.#arena.waiting.wake(this.spaceKey, 1);
    }
    let segment = this.#open(words[HEAD_SEGMENT]! >>> 0);
    while (
      head * ALIGNMENT < segment.start || head * ALIGNMENT >= segment.end
    ) {
      segment = this.#open(segment.words[NEXT]! >>> 0);
    }
    words[HEAD_SEGMENT] = segment.unit;
  }
}

/** Adds to a count kept in two words, as of a message: see `PUT_UNITS`. */
function countUnits(
  words: Int32Array,
  at: number,
  sequence: number,
  units: number,
): void {
  words[at + (sequence & 1)] = (words[at + (~sequence & 1)]! + units) | 0;
}

/** Bytes of a frame that holds a message of this length. */
function frameBytes(byteLength: number): number {
  return Math.ceil((byteLength + FRAME_HEAD) / ALIGNMENT) * ALIGNMENT;
}

/** The segment size for so many bytes. */
function log2For(bytes: number): number {
  return Math.ceil(Math.log2(bytes + SEGMENT_HEAD));
}

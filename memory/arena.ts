/**
 * An arena: shared memory with its participants, its heap and its waiting. See
 * `layout.ts` for what lies where.
 *
 * There is one arena per start method and program: the first process (or thread)
 * creates it when it first needs one, children attach to it. This module hands
 * them out.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { Heap } from "./heap.ts";
import * as at from "./layout.ts";
import type { Memory, MemoryHandle, MemoryKind } from "./memory.ts";
import { Participants } from "./participants.ts";
import { ProcessMemory } from "./process_memory.ts";
import { References } from "./references.ts";
import { ThreadMemory } from "./thread_memory.ts";
import { Waiting } from "./waiting.ts";

/** How to reach an arena, and as whom. */
export interface ArenaHandle {
  /** The memory. */
  readonly memory: MemoryHandle;
  /** Reserved size as a power of two; the one who attaches needs it first. */
  readonly sizeLog2: number;
  /** The token claimed for the one who attaches, 0 to claim one there. */
  readonly token: number;
}

/** See the module. */
export class Arena {
  /** Whose participants share it. */
  readonly kind: MemoryKind;
  /** This participant's token. */
  readonly me: number;
  /** The memory it lies in. */
  readonly memory: Memory;
  /** Who takes part. */
  readonly participants: Participants;
  /** Blocks. */
  readonly heap: Heap;
  /** Who refers to which blocks. */
  readonly references: References;
  /** Sleeping and waking. */
  readonly waiting: Waiting;
  readonly #header: Int32Array;

  private constructor(memory: Memory, token: number) {
    const header = memory.words(
      0,
      at.TABLE_WORD + at.SLOTS * at.SLOT_WORDS,
    );
    this.kind = memory.kind;
    this.memory = memory;
    this.#header = header;
    this.participants = new Participants(header, memory);
    this.me = token || this.participants.claim(0);
    this.participants.enter(this.me, memory.kind === "spawn" ? Deno.pid : 0);
    this.heap = new Heap(header, memory, this.participants, this.me);
    this.references = new References(header, memory, this.heap, this.me);
    this.waiting = new Waiting(header, memory, this.participants, this.me);
  }

  /**
   * Creates an arena; the caller is its first participant.
   *
   * @param kind Of which memory.
   * @param maxBytes The largest size to reserve. A process has room for about
   * 2000 mappings of the default size, which is little for tests only.
   * @default maxBytes {Infinity}
   */
  static create(kind: MemoryKind, maxBytes: number = Infinity): Arena {
    const memory = kind === "spawn"
      ? ProcessMemory.create(maxBytes)
      : ThreadMemory.create(maxBytes);
    memory.commit(at.HEAP_BYTE);
    const header = memory.words(0, at.H_FREE);
    header[at.H_MAGIC] = at.MAGIC;
    header[at.H_VERSION] = at.VERSION;
    // Into an array of our own first: shared memory is refused there.
    header[at.H_ID] = crypto.getRandomValues(new Int32Array(1))[0]!;
    header[at.H_SIZE_LOG2] = Math.log2(memory.byteLength);
    header[at.H_HEAP_TOP] = at.HEAP_BYTE / at.UNIT;
    return new Arena(memory, 0);
  }

  /**
   * Opens the arena of another participant.
   *
   * @param handle What `invite()` gave there.
   * @throws {Error} If it is gone, or not an arena of this version.
   */
  static attach(handle: ArenaHandle): Arena {
    const memory = handle.memory.kind === "spawn"
      ? ProcessMemory.attach(handle.memory, 2 ** handle.sizeLog2)
      : ThreadMemory.attach(handle.memory.buffer);
    const header = memory.words(0, at.H_FREE);
    if (
      header[at.H_MAGIC] !== at.MAGIC || header[at.H_VERSION] !== at.VERSION
    ) {
      throw new Error(
        "Cannot attach to shared memory as it belongs to another version of this package",
      );
    }
    return new Arena(memory, handle.token);
  }

  /** A random number that tells arenas apart. */
  get id(): number {
    return this.#header[at.H_ID]!;
  }

  /**
   * What another participant needs to attach.
   *
   * @param token A token claimed for it, 0 if it is to claim its own.
   * @default token {0}
   */
  handle(token = 0): ArenaHandle {
    const sizeLog2 = this.#header[at.H_SIZE_LOG2]!;
    return { memory: this.memory.handle(), sizeLog2, token };
  }

  /**
   * Claims a place for a participant that is about to start.
   *
   * @returns What it needs to attach.
   */
  invite(): ArenaHandle {
    return this.handle(this.participants.claim(this.me));
  }

  /**
   * Sees to what an ended participant leaves behind. Only whoever started it, or
   * has otherwise seen it end, may call this.
   *
   * @param token Token of the ended.
   */
  bury(token: number): void {
    if (!this.participants.isCurrent(token)) return;
    this.participants.markEnded(token);
    this.waiting.bury(token);
    this.participants.release(token);
  }

  /**
   * Words of a block.
   *
   * @param offset Offset of the first, a multiple of 4.
   * @param count How many.
   */
  words(offset: number, count: number): Int32Array {
    return this.memory.words(offset, count);
  }

  /**
   * Bytes of a block.
   *
   * @param offset Offset of the first.
   * @param count How many.
   */
  bytes(offset: number, count: number): Uint8Array {
    return this.memory.bytes(offset, count);
  }

  /** A number that no other call on this arena has given or will give. */
  serial(): number {
    return Atomics.add(this.#header, at.H_SERIAL, 1) + 1;
  }
}

/**
 * The name under which waiters and wakers meet: any address of shared memory that
 * is a multiple of 16, in a word.
 *
 * @param offset The address.
 */
export function keyOf(offset: number): number {
  return (offset / 16) | 0;
}

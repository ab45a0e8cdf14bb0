/**
 * Memory with names for one program: a list of names in the arena. It is for the
 * threads of a process, and for processes where there are no files in memory that
 * all programs see (`_named_files.ts` needs Linux).
 *
 * A name holds the memory as an object does: it counts as one reference, which
 * {@linkcode NamedBlocks.unlink} takes away. All names go with the program.
 *
 * Words of the arena's header:
 *
 * - `NAMES`: the block of the first name, in units, 0 for none · whoever has the
 *   mutex · the same.
 * - `NAMES_LOCK`: the mutex of the list (`memory/mutex.ts`) · everybody.
 *
 * Words of the block of a name, written before it is in the list: see `N_…`.
 *
 * Words of the block of the memory: word 0 counts the references (`block.ts`);
 * from byte {@linkcode DATA_BYTE} on it is all data.
 *
 * **Killed anywhere.** A name is put into the list, and taken out of it, by one
 * store, so whoever takes the mutex from a dead holder finds nothing to mend. One
 * that is killed in between leaks what it had in hand.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { HEADER_BYTES, UNIT } from "../memory/layout.ts";
import { addressOf, arenaFor } from "../memory/mod.ts";
import type { Arena, MemoryKind } from "../memory/mod.ts";
import { lock, unlock } from "../memory/mutex.ts";
import { bindTo, Block, receive } from "./block.ts";
import { missing, taken } from "./_named_memory.ts";
import type { NamedMemory, Segment } from "./_named_memory.ts";
import { viewFor } from "./_views.ts";
import type { Piece } from "./_views.ts";

const HEADER_WORDS = HEADER_BYTES / 4;
/** The last words of the header: nothing else of it reaches that far. */
const NAMES: number = HEADER_WORDS - 2;
const NAMES_LOCK: number = HEADER_WORDS - 1;

/** The next name, in units, 0 for none · creator; who takes that out · all. */
const N_NEXT = 0;
/** The block of the memory, in units · creator · all. */
const N_BLOCK = 1;
/** Bytes of the memory: lower and upper 32 bits · creator · all. */
const N_SIZE = 2;
/** Bytes of the name · creator · all. */
const N_LENGTH = 4;
/** The name, from this byte on · creator · all. */
const N_NAME_BYTE = 20;
/** Enough for the longest name: see `LONGEST_NAME`. */
const NAME_BLOCK_BYTES = 512;

/** The references of the block of the memory. */
const REFERENCES = 0;
/** Where the data start: a cache line of their own. */
const DATA_BYTE = UNIT;

/** The memory, for as long as somebody here has it. */
class Hold {
  readonly block: Block;

  constructor(kind: MemoryKind, size: number) {
    this.block = new Block(this, HOLDS[kind], blockBytes(size));
  }
}

/** Classes that say in which arena a hold is made. */
const HOLDS: Readonly<Record<MemoryKind, typeof Hold>> = {
  spawn: bindTo(Hold, "spawn"),
  worker: bindTo(Hold, "worker"),
};

function blockBytes(size: number): number {
  return DATA_BYTE + Math.ceil(size / 4) * 4;
}

class BlockSegment implements Segment {
  readonly bytes: Uint8Array;
  readonly piece: Piece;

  constructor(hold: Hold, size: number) {
    const { words } = hold.block;
    this.piece = {
      buffer: words.buffer,
      byteOffset: words.byteOffset + DATA_BYTE,
      byteLength: size,
    };
    this.bytes = viewFor(hold, this.piece, Uint8Array, size);
  }

  release(): void {
    // The views hold it, and its end gives the memory back.
  }
}

/** A name in the list. */
interface Found {
  /** Offset of its block. */
  readonly entry: number;
  /** The word that leads to it. */
  readonly link: { readonly words: Int32Array; readonly index: number };
  readonly words: Int32Array;
  readonly offset: number;
  readonly size: number;
}

/** See the module. */
export class NamedBlocks implements NamedMemory {
  readonly #kind: MemoryKind;

  /** @param kind In whose arena. */
  constructor(kind: MemoryKind) {
    this.#kind = kind;
  }

  create(name: string, size: number): Segment {
    const arena = arenaFor(this.#kind);
    const hold = new Hold(this.#kind, size);
    const { words, offset } = hold.block;
    const entry = arena.heap.allocate(NAME_BLOCK_BYTES);
    const isNew = locked(arena, (header) => {
      if (find(arena, header, name)) return false;
      Atomics.add(words, REFERENCES, 1);
      fill(arena, entry, header[NAMES]!, name, offset, size);
      Atomics.store(header, NAMES, entry / UNIT);
      return true;
    });
    if (isNew) return new BlockSegment(hold, size);
    arena.heap.free(entry, NAME_BLOCK_BYTES);
    throw taken(name);
  }

  attach(name: string): Segment {
    const arena = arenaFor(this.#kind);
    const found = locked(arena, (header) => {
      const found = find(arena, header, name);
      if (found) Atomics.add(arena.words(found.offset, 1), REFERENCES, 1);
      return found;
    });
    if (!found) throw missing("attach to", name);
    const { offset, size } = found;
    const data = [addressOf(arena), offset, null];
    return new BlockSegment(
      receive(data, () => new Hold(this.#kind, size)),
      size,
    );
  }

  unlink(name: string): void {
    const arena = arenaFor(this.#kind);
    const found = locked(arena, (header) => {
      const found = find(arena, header, name);
      if (found) {
        const { link, words } = found;
        Atomics.store(link.words, link.index, words[N_NEXT]!);
      }
      return found;
    });
    if (!found) throw missing("unlink", name);
    const { entry, offset, size } = found;
    arena.heap.free(entry, NAME_BLOCK_BYTES);
    if (Atomics.sub(arena.words(offset, 1), REFERENCES, 1) !== 1) return;
    arena.heap.free(offset, blockBytes(size));
  }
}

function locked<T>(arena: Arena, section: (header: Int32Array) => T): T {
  const header = arena.words(0, HEADER_WORDS);
  lock(header, NAMES_LOCK, arena.me, arena.participants);
  try {
    return section(header);
  } finally {
    unlock(header, NAMES_LOCK);
  }
}

function find(
  arena: Arena,
  header: Int32Array,
  name: string,
): Found | undefined {
  let link = { words: header, index: NAMES };
  while (true) {
    const entry = (link.words[link.index]! >>> 0) * UNIT;
    if (entry === 0) return undefined;
    const words = arena.words(entry, N_NAME_BYTE / 4);
    if (readName(arena, entry, words) === name) {
      const offset = (words[N_BLOCK]! >>> 0) * UNIT;
      const size = (words[N_SIZE]! >>> 0) + words[N_SIZE + 1]! * 2 ** 32;
      return { entry, link, words, offset, size };
    }
    link = { words, index: N_NEXT };
  }
}

/** A name may begin with what others take for a mark of the byte order. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

function readName(arena: Arena, entry: number, words: Int32Array): string {
  // Copied, as a decoder does not read shared memory.
  const bytes = arena.bytes(entry + N_NAME_BYTE, words[N_LENGTH]!).slice();
  return utf8.decode(bytes);
}

function fill(
  arena: Arena,
  entry: number,
  next: number,
  name: string,
  offset: number,
  size: number,
): void {
  const words = arena.words(entry, N_NAME_BYTE / 4);
  const bytes = new TextEncoder().encode(name);
  words[N_NEXT] = next;
  words[N_BLOCK] = offset / UNIT;
  words[N_SIZE] = size;
  words[N_SIZE + 1] = Math.floor(size / 2 ** 32);
  words[N_LENGTH] = bytes.length;
  arena.bytes(entry + N_NAME_BYTE, bytes.length).set(bytes);
}

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Arena } from "../../memory/mod.ts";
import { libc } from "../../memory/libc.ts";
import * as at from "../../memory/layout.ts";
import { dieAt, Fate, fated } from "./fixtures/fate.ts";
import {
  assertHeapWhole,
  eachKind,
  residentBytes,
  seeded,
  tableOf,
} from "./_world.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 4096;
/** The largest block. */
const LARGEST = 2 ** at.LARGEST_BLOCK_LOG2;

/** Operations of the model test. */
const OPERATIONS = 5000;
/** Blocks alive at a time in it. */
const MOST = 50;

/** A block in use. */
interface Block {
  readonly offset: number;
  readonly bytes: number;
  readonly tag: number;
}

function sizeOf(bytes: number): number {
  return Math.max(at.UNIT, 2 ** Math.ceil(Math.log2(bytes)));
}

eachKind(
  "Heap.allocate() gives zeroed, aligned blocks that never overlap (HEAP-01)",
  ({ arena }) => {
    const random = seeded(20_260_101);
    const normal = () =>
      Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const header = tableOf(arena);
    const blocks: Block[] = [];
    const giveBack = (index: number) => {
      const { offset, bytes, tag } = blocks.splice(index, 1)[0]!;
      const words = arena.words(offset, bytes / 4);
      assertEquals(words.findIndex((word) => word !== tag), -1, "overwritten");
      arena.heap.free(offset, bytes);
    };
    let top = 0;
    for (let round = 0; round < 2; round++) {
      for (let tag = 1; tag <= OPERATIONS; tag++) {
        if (blocks.length === MOST || (random() < 0.4 && blocks.length > 0)) {
          giveBack(Math.floor(random() * blocks.length));
          continue;
        }
        const bytes = 4 * Math.ceil(Math.exp(normal()) * 250);
        const offset = arena.heap.allocate(bytes);
        const size = sizeOf(bytes);
        assertEquals(offset % Math.min(size, at.WINDOW_BYTES), 0);
        assert(offset >= at.HEAP_BYTE);
        for (const other of blocks) {
          assert(
            offset + size <= other.offset ||
              other.offset + sizeOf(other.bytes) <= offset,
            "two blocks overlap",
          );
        }
        const words = arena.words(offset, bytes / 4);
        assertEquals(words.findIndex((word) => word !== 0), -1, "not zeroed");
        words.fill(tag);
        blocks.push({ offset, bytes, tag });
        assertEquals(arena.heap.blocks, blocks.length);
      }
      while (blocks.length > 0) giveBack(blocks.length - 1);
      assertEquals(arena.heap.blocks, 0);
      assertHeapWhole(arena);
      if (round === 0) {
        // The most of each size that can be alive at once, from the lists alone.
        for (let log2 = at.UNIT_LOG2; log2 <= 17; log2++) {
          const spare = Array.from(
            { length: MOST },
            () => arena.heap.allocate(2 ** log2),
          );
          for (const offset of spare) arena.heap.free(offset, 2 ** log2);
        }
        top = header[at.H_HEAP_TOP]!;
      }
    }
    assertEquals(header[at.H_HEAP_TOP], top, "the heap has grown");
  },
);

eachKind(
  "Heap.allocate() zeroes memory that is used again (LESSON-61)",
  ({ arena }) => {
    for (let log2 = 0; log2 <= 21; log2++) {
      const bytes = 2 ** log2;
      let before = -1;
      for (let time = 0; time < 3; time++) {
        const offset = arena.heap.allocate(bytes);
        if (time > 0) assertEquals(offset, before);
        before = offset;
        const block = arena.bytes(offset, sizeOf(bytes));
        assertEquals(block.findIndex((byte) => byte !== 0), -1);
        block.fill(0xff);
        arena.heap.free(offset, bytes);
      }
    }
    assertEquals(arena.heap.blocks, 0);
  },
);

const CHURNS = 5000;

eachKind(
  "Heap.allocate() by 4 participants at once never gives a block twice",
  async (world) => {
    const children = [1, 2, 3, 4].map((seed) =>
      world.start("heaping#churn", CHURNS, seed)
    );
    for (const child of children) await child.finished();
    assertEquals(world.arena.heap.blocks, 0);
    assertHeapWhole(world.arena);
  },
);

eachKind("Heap.allocate() refuses more than 4 GiB", ({ arena }) => {
  for (const bytes of [LARGEST + 1, 2 ** 40, Infinity, NaN]) {
    assertThrows(
      () => arena.heap.allocate(bytes),
      RangeError,
      `Cannot take ${bytes} bytes of shared memory in one piece as the limit is 4 GiB`,
    );
  }
  assertEquals(arena.heap.blocks, 0);
});

eachKind(
  "Heap.allocate() gives 4 GiB, of which only what is touched costs memory",
  ({ arena }) => {
    const offset = arena.heap.allocate(LARGEST);
    const last = arena.words(offset + LARGEST - 4, 1);
    assertEquals(last[0], 0);
    last[0] = 7;
    arena.heap.free(offset, LARGEST);
    assertEquals(last[0], 0);
    assertEquals(arena.heap.allocate(LARGEST - 1), offset);
    arena.heap.free(offset, LARGEST);
    assertEquals(arena.heap.blocks, 0);
  },
  ["spawn"],
);

eachKind(
  "Heap.allocate() without memory left says so, and goes on with what there is",
  ({ arena }) => {
    const header = tableOf(arena);
    const kept = arena.heap.allocate(2 * MIB);
    const top = header[at.H_HEAP_TOP]!;
    header[at.H_HEAP_TOP] = (arena.memory.byteLength - MIB) / at.UNIT;
    assertThrows(
      () => arena.heap.allocate(2 * MIB),
      RangeError,
      "Cannot take more shared memory as all",
    );
    assertEquals(header[at.H_HEAP_LOCK], 0);
    arena.heap.free(kept, 2 * MIB);
    assertEquals(arena.heap.allocate(2 * MIB), kept);
    arena.heap.free(kept, 2 * MIB);
    header[at.H_HEAP_TOP] = top;
    assertEquals(arena.heap.blocks, 0);
  },
);

eachKind(
  "Heap.free() gives the memory of large blocks back to the system",
  ({ arena }) => {
    const resident = () => residentBytes(arena);
    const before = resident();
    const sizes = [64 * KIB, MIB, 32 * MIB];
    const blocks = sizes.map((bytes) => ({
      offset: arena.heap.allocate(bytes),
      bytes,
    }));
    for (const { offset, bytes } of blocks) arena.bytes(offset, bytes).fill(1);
    assert(resident() - before >= 33 * MIB);
    for (const { offset, bytes } of blocks) arena.heap.free(offset, bytes);
    assert(resident() - before <= sizes.length * PAGE, "it was kept");
  },
  ["spawn"],
);

eachKind(
  "Heap.free() clears large blocks where a sandbox forbids to give pages back",
  ({ arena }) => {
    const symbols = libc() as { fallocate: (...args: unknown[]) => number };
    const { fallocate } = symbols;
    symbols.fallocate = () => -1;
    try {
      const offset = arena.heap.allocate(MIB);
      arena.bytes(offset, MIB).fill(7);
      arena.heap.free(offset, MIB);
      assertEquals(arena.heap.allocate(MIB), offset);
      const dirty = arena.bytes(offset, MIB).findIndex((byte) => byte !== 0);
      assertEquals(dirty, -1);
      arena.heap.free(offset, MIB);
    } finally {
      symbols.fallocate = fallocate;
    }
  },
  ["spawn"],
);

/** More stores than any operation makes. */
const ENOUGH = 100;

for (const bytes of [64, 4 * KIB, 256 * KIB]) {
  const operations = {
    "allocate() of a new block": (heap: Arena["heap"]) => {
      heap.allocate(2 * bytes);
    },
    "allocate() of a used block": (heap: Arena["heap"]) => {
      heap.allocate(bytes);
    },
    "free()": (heap: Arena["heap"], offset: number) => {
      heap.free(offset, bytes);
    },
  };
  for (const [name, operate] of Object.entries(operations)) {
    eachKind(
      `Heap.${name}, ${bytes} bytes, killed at any store loses at most that block`,
      (world) => {
        const { arena } = world;
        const log2 = Math.log2(bytes);
        for (let n = 1; n < ENOUGH; n++) {
          // Four blocks, of which two are free.
          const blocks = [1, 2, 3, 4].map(() => arena.heap.allocate(bytes));
          arena.heap.free(blocks[1]!, bytes);
          arena.heap.free(blocks[2]!, bytes);
          const used = arena.heap.blocks;
          const free = assertHeapWhole(arena).get(log2) ?? 0;

          const fate = new Fate();
          const handle = arena.invite();
          const victim = fated(fate, () => Arena.attach(handle));
          const died = dieAt(fate, n, () => operate(victim.heap, blocks[0]!));
          arena.bury(victim.me);

          const change = (assertHeapWhole(arena).get(log2) ?? 0) - free;
          const counted = arena.heap.blocks - used;
          if (name === "free()") {
            assert(change === 0 || change === 1);
            assert(counted === 0 || counted === -1);
          } else {
            assert(change === 0 || (change === -1 && !name.includes("new")));
            assert(counted === 0 || counted === 1);
          }
          // What others get now is theirs alone, and zeroed.
          const mine = [blocks[3]!];
          for (let i = 0; i < 6; i++) {
            const offset = arena.heap.allocate(bytes);
            const words = arena.words(offset, bytes / 4);
            assertEquals(words.findIndex((word) => word !== 0), -1);
            words[bytes / 4 - 1] = n;
            assert(!mine.includes(offset), `block given twice, store ${n}`);
            mine.push(offset);
          }
          for (const offset of mine) arena.heap.free(offset, bytes);
          assertHeapWhole(arena);
          if (!died) {
            assert(n > 4);
            return;
          }
        }
        throw new Error("It never comes to an end");
      },
    );
  }
}

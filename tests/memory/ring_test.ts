/**
 * The ring as its users see it. What happens when somebody dies in it is in
 * `ring_crash_test.ts`.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NOT_YET } from "../../memory/mod.ts";
import { LONGEST_MESSAGE, Ring, RING_BYTES } from "../../memory/ring.ts";
import type { RingLimits } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { until } from "../_support/gate.ts";
import {
  message,
  putNumber,
  takeAll,
  takeNumber,
} from "./fixtures/messages.ts";
import { labelled } from "./fixtures/messages.ts";
import { STOP } from "./fixtures/ringing.ts";
import { assertHeapWhole, eachKind, residentBytes, tableOf } from "./_world.ts";
import type { World } from "./_world.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Words of a ring's head block that tests set: see `ring.ts`. */
const PUT = 3;
const TAKEN = 7;
/** A frame is a multiple of this; its first 8 bytes are not the message's. */
const UNIT = 16;
/** Random sequences per property. */
const RUNS = 60;
/** Steps of one. */
const STEPS = 120;
const LONGEST_RANDOM = 300 * KIB;

/** A ring and its place. */
function newRing(
  { arena }: World,
  limits?: RingLimits,
): { ring: Ring; offset: number } {
  const offset = arena.heap.allocate(RING_BYTES);
  const ring = new Ring(arena, offset);
  if (limits) ring.limit(limits);
  return { ring, offset };
}

/** Frees a ring and checks that nothing of it is left. */
function dispose(
  { arena }: World,
  { ring, offset }: { ring: Ring; offset: number },
): void {
  ring.free();
  arena.heap.free(offset, RING_BYTES);
  assertEquals(arena.heap.blocks, 0, "blocks are left");
  assertHeapWhole(arena);
}

eachKind("Ring smoke: what is put first is taken first", (world) => {
  const made = newRing(world);
  const { ring } = made;
  assertEquals(takeNumber(ring), undefined);
  assertEquals(ring.hasItem, false);
  for (let i = 0; i < 10; i++) assert(putNumber(ring, i));
  assertEquals(ring.count, 10);
  assertEquals(ring.hasItem, true);
  assertEquals(takeAll(ring), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(ring.count, 0);
  assertEquals(ring.hasItem, false);
  dispose(world, made);
});

eachKind("Ring.tryPut() takes empty messages", (world) => {
  const made = newRing(world);
  const { ring } = made;
  const COUNT = 10_000;
  for (let i = 0; i < COUNT; i++) assert(ring.tryPut(message()));
  assertEquals(ring.count, COUNT);
  for (let i = 0; i < COUNT; i++) {
    assertEquals(ring.tryTake(({ byteLength }) => byteLength), 0);
  }
  assertEquals(ring.tryTake(() => 1), undefined);
  dispose(world, made);
});

eachKind(
  "Ring.tryPut() lays the parts of a message one behind the other",
  (world) => {
    const made = newRing(world);
    const parts = [[1, 2, 3], [], [4], [5, 6, 7, 8, 9]].map((part) =>
      new Uint8Array(part)
    );
    made.ring.tryPut(message(...parts));
    assertEquals(
      made.ring.tryTake((bytes) => [...bytes]),
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    dispose(world, made);
  },
);

eachKind(
  "Ring.tryTake() has taken the message even if reading throws",
  (world) => {
    const made = newRing(world);
    putNumber(made.ring, 1);
    putNumber(made.ring, 2);
    const fail = () => {
      throw new Error("unreadable");
    };
    assertThrows(() => made.ring.tryTake(fail), Error, "unreadable");
    assertEquals(made.ring.count, 1);
    assertEquals(takeAll(made.ring), [2]);
    dispose(world, made);
  },
);

eachKind(
  "Ring circles in one segment as long as the taker keeps up",
  (world) => {
    const made = newRing(world);
    const ROUNDS = 20_000;
    putNumber(made.ring, 0);
    const blocks = world.arena.heap.blocks;
    for (let i = 1; i <= ROUNDS; i++) {
      assert(putNumber(made.ring, i, 8 + (i * 13) % 1000));
      assertEquals(takeNumber(made.ring), i - 1);
    }
    assertEquals(world.arena.heap.blocks, blocks);
    dispose(world, made);
  },
);

eachKind(
  "Ring.tryPut() takes no memory for a ring that has been freed, if it is primed",
  ({ arena }) => {
    const offset = arena.heap.allocate(RING_BYTES);
    const first = new Ring(arena, offset, { solo: true });
    const late = new Ring(arena, offset, { solo: true, primed: true });
    assert(putNumber(first, 1));
    assertEquals(takeNumber(first), 1);
    assert(putNumber(late, 2));
    assertEquals(takeNumber(first), 2);

    first.free();
    const { blocks } = arena.heap;
    assertThrows(() => putNumber(late, 3), Error, "has been freed");
    assertEquals(arena.heap.blocks, blocks);
    arena.heap.free(offset, RING_BYTES);
  },
);

for (const solo of [false, true]) {
  const which = solo ? "solo" : "shared";

  eachKind(
    `Ring capacity: does what a plain list does, whatever comes when (${which})`,
    (world) => {
      const { arena } = world;
      // Two participants take turns, each with its own idea of where things lie.
      const other = world.another();
      fc.assert(
        fc.property(
          fc.array(
            fc.oneof(
              { weight: 4, arbitrary: fc.nat({ max: 600 }) },
              { weight: 2, arbitrary: fc.nat({ max: 20 * KIB }) },
              { weight: 1, arbitrary: fc.nat({ max: LONGEST_RANDOM }) },
              { weight: 6, arbitrary: fc.constant("take" as const) },
              { weight: 1, arbitrary: fc.constant("drain" as const) },
              { weight: 1, arbitrary: fc.constant("heap" as const) },
            ),
            { minLength: 1, maxLength: STEPS, size: "max" },
          ),
          fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
          fc.option(fc.integer({ min: 16, max: 400 * KIB }), {
            nil: undefined,
          }),
          (steps, maxItems, maxBytes) => {
            const offset = arena.heap.allocate(RING_BYTES);
            const rings = [
              new Ring(arena, offset, { solo }),
              new Ring(other, offset, { solo }),
            ];
            rings[0]!.limit({ maxItems, maxBytes });
            const maxUnits = Math.ceil((maxBytes ?? 4 * 2 ** 30) / UNIT);
            const expected: { number: number; units: number }[] = [];
            const held: { offset: number; bytes: number }[] = [];
            steps.forEach((step, number) => {
              // One puts and one takes where it has to be so.
              const putter = rings[solo ? 0 : number % 2]!;
              const taker = rings[solo ? 1 : (number >> 1) % 2]!;
              if (step === "heap") {
                // Takes blocks that segments have just left, or gives them back.
                const block = held.pop();
                if (block) return arena.heap.free(block.offset, block.bytes);
                const bytes = 4 * KIB << (number % 8);
                held.push({ offset: other.heap.allocate(bytes), bytes });
                return;
              }
              if (step === "take" || step === "drain") {
                let times = step === "take" ? 1 : Infinity;
                while (times-- > 0) {
                  const was = expected.shift()?.number;
                  assertEquals(takeNumber(taker), was);
                  if (was === undefined) return;
                }
                return;
              }
              const bytes = Math.max(8, step);
              const units = Math.ceil((bytes + 8) / UNIT);
              if (units > maxUnits) {
                assertThrows(
                  () => putNumber(putter, number, bytes),
                  RangeError,
                );
                return;
              }
              const used = expected.reduce((sum, { units }) => sum + units, 0);
              const fits = used + units <= maxUnits &&
                expected.length < (maxItems ?? Infinity);
              assertEquals(putNumber(putter, number, bytes), fits);
              if (fits) expected.push({ number, units });
              assertEquals(putter.count, expected.length);
              assertEquals(taker.hasItem, expected.length > 0);
              assertEquals(putter.isFull, expected.length === maxItems);
            });
            assertEquals(
              takeAll(rings[1]!),
              expected.map(({ number }) => number),
            );
            assertEquals(rings[0]!.count, 0);
            for (const { offset, bytes } of held) {
              arena.heap.free(offset, bytes);
            }
            rings[0]!.free();
            arena.heap.free(offset, RING_BYTES);
            assertEquals(arena.heap.blocks, 0);
          },
        ),
        { numRuns: RUNS, seed: 20_260_101 },
      );
      assertHeapWhole(arena);
    },
  );
}

eachKind("Ring.tryPut() refuses a message that can never fit", (world) => {
  const made = newRing(world, { maxBytes: 1000 });
  assertThrows(
    () => made.ring.tryPut({ byteLength: 1100, parts: [] }),
    RangeError,
    "Cannot put a message of 1100 bytes as it takes 1120 in shared memory and the limit of bytes is 1008",
  );
  assertThrows(
    () => made.ring.tryPut({ byteLength: LONGEST_MESSAGE + 1, parts: [] }),
    RangeError,
    `Cannot send a message of ${LONGEST_MESSAGE + 1} bytes`,
  );
  // As hot code may say of 2 GiB: written, it would go over what is not read yet.
  assertThrows(
    () => made.ring.tryPut({ byteLength: -(2 ** 31) + 15, parts: [] }),
    RangeError,
    "send it in pieces, or use SharedMemory",
  );
  assertEquals(made.ring.count, 0);
  assert(putNumber(made.ring, 1, 900));
  assertEquals(takeAll(made.ring), [1]);
  dispose(world, made);
});

eachKind("Ring.limit() holds exactly, for items and for bytes", (world) => {
  const items = newRing(world, { maxItems: 3 });
  for (let i = 0; i < 3; i++) assert(putNumber(items.ring, i));
  assert(items.ring.isFull);
  assertEquals(putNumber(items.ring, 3), false);
  assertEquals(takeNumber(items.ring), 0);
  assert(putNumber(items.ring, 4));
  assertEquals(takeAll(items.ring), [1, 2, 4]);
  items.ring.free();
  world.arena.heap.free(items.offset, RING_BYTES);

  const bytes = newRing(world, { maxBytes: 10 * UNIT });
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 10; i++) assert(putNumber(bytes.ring, i));
    assertEquals(putNumber(bytes.ring, 10), false);
    takeNumber(bytes.ring);
    assertEquals(putNumber(bytes.ring, 11, 9), false);
    assert(putNumber(bytes.ring, 12));
    takeAll(bytes.ring);
  }
  dispose(world, bytes);
});

eachKind("Ring counts on when its counters wrap around", (world) => {
  for (const start of [2 ** 31 - 3, 2 ** 32 - 3]) {
    const made = newRing(world, { maxItems: 5, maxBytes: 50 * UNIT });
    const words = world.arena.words(made.offset, RING_BYTES / 4);
    words[PUT] = start;
    words[TAKEN] = start;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) assert(putNumber(made.ring, i));
      assertEquals(made.ring.count, 5);
      assert(made.ring.isFull);
      assertEquals(putNumber(made.ring, 5), false);
      assertEquals(takeAll(made.ring), [0, 1, 2, 3, 4]);
      assertEquals(made.ring.count, 0);
      assertEquals(made.ring.hasItem, false);
    }
    made.ring.free();
    world.arena.heap.free(made.offset, RING_BYTES);
  }
});

eachKind(
  "Ring lies beyond 32 GiB as well as at the start of the arena",
  (world) => {
    // Addresses in units of 16 bytes are negative there, seen as int32.
    const header = tableOf(world.arena);
    const far = 33 * 2 ** 30;
    world.arena.memory.commit(far);
    header[at.H_HEAP_TOP] = far / at.UNIT;
    const made = newRing(world, { maxItems: 5000 });
    assert(made.offset >= far);
    for (let round = 0; round < 3; round++) {
      const numbers = Array.from({ length: 3000 }, (_, i) => i);
      for (const i of numbers) {
        assert(
          putNumber(made.ring, i, 8 + (i * 7) % 900),
        );
      }
      assertEquals(takeAll(made.ring), numbers);
    }
    dispose(world, made);
  },
  ["spawn"],
);

eachKind(
  "Ring gives the memory of one huge message back when it is taken",
  (world) => {
    const made = newRing(world);
    const HUGE = 16 * MIB;
    for (let round = 0; round < 4; round++) {
      const before = world.arena.heap.blocks;
      assert(putNumber(made.ring, round, HUGE));
      assertEquals(takeAll(made.ring), [round]);
      assertEquals(world.arena.heap.blocks <= before, true);
    }
    if (world.kind === "spawn") {
      assert(residentBytes(world.arena) < HUGE / 4, "the memory was kept");
    }
    // And goes on, with and without something behind the huge one.
    assert(putNumber(made.ring, 1));
    assert(putNumber(made.ring, 2, HUGE));
    assert(putNumber(made.ring, 3));
    assert(putNumber(made.ring, 4, HUGE));
    assertEquals(takeAll(made.ring), [1, 2, 3, 4]);
    dispose(world, made);
  },
);

eachKind(
  "Ring goes back to a small segment when a large one has drained",
  (world) => {
    const made = newRing(world);
    for (let i = 0; i < 3000; i++) putNumber(made.ring, i, 1000);
    assert(takeAll(made.ring).length === 3000);
    assertEquals(world.arena.heap.blocks, 2, "the ring and its last segment");
    if (world.kind === "spawn") {
      const large = residentBytes(world.arena);
      assert(putNumber(made.ring, 1));
      assertEquals(takeAll(made.ring), [1]);
      assert(residentBytes(world.arena) < large, "it still has the large one");
    }
    dispose(world, made);
  },
);

/** Messages put before anybody takes. */
const BACKLOG = 100_000;

eachKind(
  "Ring keeps 100,000 messages without a taker, and gives the memory back",
  (world) => {
    const made = newRing(world);
    for (let i = 0; i < BACKLOG; i++) assert(putNumber(made.ring, i, 100));
    assertEquals(made.ring.count, BACKLOG);
    if (world.kind === "spawn") {
      assert(residentBytes(world.arena) > BACKLOG * 100);
    }
    for (let i = 0; i < BACKLOG; i++) assertEquals(takeNumber(made.ring), i);
    assertEquals(world.arena.heap.blocks, 2, "the ring and its last segment");
    if (world.kind === "spawn") {
      assert(residentBytes(world.arena) < 2 * MIB, "the memory was kept");
    }
    dispose(world, made);
  },
);

eachKind("Ring.free() frees what is in it as well", (world) => {
  const made = newRing(world);
  for (let i = 0; i < 5000; i++) putNumber(made.ring, i, 8 + (i % 3) * 5000);
  assert(world.arena.heap.blocks > 10);
  dispose(world, made);
});

eachKind(
  "Ring.free() leaves an empty ring behind, even without a first put",
  (world) => {
    const made = newRing(world);
    made.ring.free();
    assertEquals(made.ring.count, 0);
    assert(putNumber(made.ring, 1));
    assertEquals(takeAll(made.ring), [1]);
    dispose(world, made);
  },
);

eachKind(
  "Ring.count is never negative while a message is on its way",
  (world) => {
    // A taker may be faster than the putter's counter.
    const made = newRing(world);
    putNumber(made.ring, 1);
    const words = world.arena.words(made.offset, RING_BYTES / 4);
    words[PUT]!--; // as if the putter stood right behind its commit
    assertEquals(made.ring.hasItem, true);
    assertEquals(takeNumber(made.ring), 1);
    assertEquals(made.ring.count, 0);
    assertEquals(made.ring.hasItem, false);
    words[PUT]!++;
    dispose(world, made);
  },
);

const PUTTERS = 4;
const TAKERS = 4;
const MESSAGES = 10_000;

for (const limits of [{}, { maxItems: 16 }, { maxBytes: 4000 }]) {
  const named = JSON.stringify(limits).replaceAll('"', "");
  eachKind(
    `Ring mpmc: 4 putters and 4 takers lose nothing, limits ${named}`,
    async (world) => {
      const made = newRing(world, limits);
      const { offset: seenOffset, words: seen } = world.words(
        PUTTERS * MESSAGES,
      );
      const way = (i: number) => i % 2 === 0 ? "sync" : "async";
      const takers = Array.from({ length: TAKERS }, (_, i) =>
        world.start(
          "ringing#take",
          made.offset,
          seenOffset,
          PUTTERS,
          MESSAGES,
          way(i),
        ));
      const putters = Array.from(
        { length: PUTTERS },
        (_, i) => world.start("ringing#put", made.offset, i, MESSAGES, way(i)),
      );
      for (const child of putters) {
        await child.finished();
      }
      for (let i = 0; i < TAKERS; i++) {
        const stop = labelled({ sender: STOP, number: 0 }, 8);
        await world.arena.waiting.wait(
          [made.ring.spaceKey],
          () => made.ring.tryPut(stop) ? true : NOT_YET,
        );
      }
      for (const child of takers) await child.finished();
      assertEquals(made.ring.count, 0);
      assertEquals(seen.findIndex((times) => times !== 1), -1);
      world.arena.heap.free(seenOffset, PUTTERS * MESSAGES * 4);
      dispose(world, made);
    },
  );
}

eachKind(
  "Ring.tryPut() lets further putters in when a take has made room for several",
  async (world) => {
    const { arena: _arena } = world;
    const made = newRing(world, { maxBytes: 4000 });
    const others = [world.another(), world.another(), world.another()];
    const done: number[] = [];
    assert(putNumber(made.ring, 0, 3900));
    const waits = others.map(async (other, i) => {
      const ring = new Ring(other, made.offset);
      await other.waiting.wait(
        [ring.spaceKey],
        () => putNumber(ring, i + 1, 100) ? true : NOT_YET,
      );
      done.push(i);
    });
    assertEquals(takeNumber(made.ring), 0); // one take, room for all three
    await until(() => done.length === 3, () => `only ${done} could put`);
    await Promise.all(waits);
    assertEquals(takeAll(made.ring), [1, 2, 3]);
    dispose(world, made);
  },
);

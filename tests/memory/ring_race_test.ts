/**
 * Two participants in the ring at once: while one puts or takes, the other acts at
 * every access to memory that the first one makes, so no interleaving of one
 * whole operation with the steps of another is left to luck.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Arena } from "../../memory/mod.ts";
import { Ring, RING_BYTES } from "../../memory/ring.ts";
import * as at from "../../memory/layout.ts";
import { Fate, fated } from "./fixtures/fate.ts";
import { message, putNumber, takeAll } from "./fixtures/messages.ts";
import { IN_HAND, SCENARIOS } from "./fixtures/scenarios.ts";
import { assertHeapWhole, eachKind, tableOf } from "./_world.ts";

const MAX_BYTES = 3 * 1024 * 1024;
/** What fits exactly. */
const LONGEST = MAX_BYTES - 8;
/** More accesses than any operation makes. */
const ENOUGH = 300;
/** What the other one puts: one that fits, one that needs a new segment. */
const BURST = [[500, 8], [501, 20_000], [502, 100]] as const;
/** Words of a ring's head block: see `ring.ts`. */
const PUT_LOCK = 0;
const TAKE_LOCK = 4;

for (const solo of [true, false]) {
  for (const scenario of SCENARIOS) {
    const which = solo ? "solo" : "shared";
    eachKind(
      `Ring stays whole whenever the other end acts: ${scenario.name}, ${which}`,
      (world) => {
        const { arena } = world;
        const header = tableOf(arena);
        const fate = new Fate();
        const handle = arena.invite();
        const slow = fated(fate, () => Arena.attach(handle));
        for (let n = 1; n < ENOUGH; n++) {
          const offset = arena.heap.allocate(RING_BYTES);
          const ring = new Ring(arena, offset, { solo });
          ring.limit({ maxBytes: MAX_BYTES });
          const words = arena.words(offset, RING_BYTES / 4);
          const expected = scenario.prepare(ring);
          const found: number[] = [];
          let result: number | undefined;
          const act = () => {
            // It would wait for the allocator, or, while the last segment is given
            // back, for the other end: that is what locks are for.
            const lock = scenario.verb === "put" ? TAKE_LOCK : PUT_LOCK;
            if (words[lock] !== 0 || header[at.H_HEAP_LOCK] !== 0) return;
            if (scenario.verb === "put") found.push(...takeAll(ring));
            else {
              for (const [number, byteLength] of BURST) {
                assert(putNumber(ring, number, byteLength));
                expected.push(number);
              }
            }
          };
          const slowRing = new Ring(slow, offset, { solo });
          const hasActed = fate.at(n, "any", act, () => {
            result = scenario.operate(slowRing);
          });
          if (scenario.verb === "put") expected.push(IN_HAND);
          if (result !== undefined) found.push(result);
          assertEquals(ring.count, expected.length - found.length);
          found.push(...takeAll(ring));
          assertEquals(found, expected, `the other acts at access ${n}`);
          assertEquals(ring.hasItem, false);
          assert(ring.tryPut(message(new Uint8Array(LONGEST))));
          assertEquals(ring.tryTake(({ byteLength }) => byteLength), LONGEST);
          ring.free();
          arena.heap.free(offset, RING_BYTES);
          assertEquals(arena.heap.blocks, 0);
          if (!hasActed) break;
          assert(n < ENOUGH - 1, "it never comes to an end");
        }
        assertHeapWhole(arena);
        arena.bury(slow.me);
      },
    );
  }
}

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { ProcessError } from "../../errors.ts";
import { BoundedSemaphore, Semaphore } from "../../primitives/semaphore.ts";
import { eachKind, look } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const TASKS = 20;
const ROUNDS = 50;

const TOO_MANY = "semaphore or lock released too many times";

function make(world: SyncWorld, n?: number): Semaphore {
  return new (world.of(Semaphore))(n);
}

function makeBounded(
  world: SyncWorld,
  n: number,
  trackHolders = false,
): BoundedSemaphore {
  return new (world.of(BoundedSemaphore))(n, { trackHolders });
}

eachKind("SEM-01 Semaphore.getValue() goes down and up", async (world) => {
  const semaphore = make(world, 2);
  assertEquals(semaphore.getValue(), 2);
  assert(await semaphore.acquire());
  assertEquals(semaphore.getValue(), 1);
  assert(semaphore.acquireSync());
  assertEquals(semaphore.getValue(), 0);
  assert(semaphore.locked());
  assertEquals(await semaphore.acquire({ block: false }), null);
  for (const value of [1, 2, 3, 4]) {
    assertEquals(semaphore.release(), undefined);
    assertEquals(semaphore.getValue(), value);
  }
});

for (const trackHolders of [false, true]) {
  const what = trackHolders
    ? "BoundedSemaphore with holders"
    : "BoundedSemaphore";
  eachKind(`SEM-02 ${what} refuses a release too many`, async (world) => {
    const semaphore = makeBounded(world, 2, trackHolders);
    assertEquals(semaphore.getValue(), 2);
    assert(await semaphore.acquire());
    assertEquals(semaphore.getValue(), 1);
    assert(semaphore.acquireSync());
    assertEquals(semaphore.getValue(), 0);
    assertEquals(await semaphore.acquire({ block: false }), null);
    semaphore.release();
    semaphore.release();
    assertThrows(() => semaphore.release(), ProcessError, TOO_MANY);
    assertEquals(semaphore.getValue(), 2);
  });

  eachKind(
    `MGR-10 ${what} takes back from one what another acquired`,
    async (world) => {
      const semaphore = makeBounded(world, 2, trackHolders);
      const other = world.another();
      const there = world.give(semaphore, other);
      there.acquireSync();
      there.acquireSync();
      world.leave(other);
      assertEquals(semaphore.getValue(), 0);
      assertEquals(await semaphore.acquire({ timeout: 10 }), null);
      semaphore.release();
      semaphore.release();
      assertEquals(semaphore.getValue(), 2);
      assertThrows(() => semaphore.release(), ProcessError, TOO_MANY);
    },
  );

  eachKind(`${what} lets so many in and no more`, async (world) => {
    const semaphore = makeBounded(world, 3, trackHolders);
    const there = world.give(semaphore, world.another());
    let inside = 0;
    async function task(mine: Semaphore): Promise<void> {
      for (let i = 0; i < ROUNDS; i++) {
        using _guard = await mine.acquire();
        assert(++inside <= 3);
        await undefined;
        inside--;
      }
    }
    await Promise.all(
      Array.from(
        { length: TASKS },
        (_, i) => task(i % 2 === 0 ? semaphore : there),
      ),
    );
    assertEquals(semaphore.getValue(), 3);
  });
}

eachKind(
  "SEM-03 Semaphore.acquire() gives null when the time runs out",
  async (world) => {
    const semaphore = make(world, 0);
    assertEquals(await semaphore.acquire({ block: false }), null);
    assertEquals(await semaphore.acquire({ block: false, timeout: 1e9 }), null);
    assertEquals(await semaphore.acquire({ timeout: 0 }), null);
    assertEquals(await semaphore.acquire({ timeout: 10 }), null);
    assertEquals(semaphore.acquireSync({ timeout: 10 }), null);
    semaphore.release();
    assertEquals(semaphore.getValue(), 1);
  },
);

eachKind("Semaphore() refuses what is not a count", (world) => {
  const make = world.of(Semaphore);
  for (const n of [-1, 0.5, NaN, Infinity, 2 ** 31]) {
    assertThrows(() => new make(n), RangeError, "'n' must be a whole number");
  }
  assertThrows(() => new make("1" as never), TypeError, "'n'");
  const makeBounded = world.of(BoundedSemaphore);
  assertThrows(() => new makeBounded(-1), RangeError, "BoundedSemaphore");
  assertThrows(
    () => new makeBounded(2 ** 20 + 1, { trackHolders: true }),
    RangeError,
    "1048576",
  );
  assertEquals(new make().getValue(), 1);
});

eachKind("Semaphore.release() cannot go beyond 2147483647", (world) => {
  const semaphore = make(world, 2 ** 31 - 1);
  assertThrows(() => semaphore.release(), ProcessError, TOO_MANY);
  assertEquals(semaphore.getValue(), 2 ** 31 - 1);
});

eachKind("Semaphore.toString() says what it is worth", (world) => {
  assertEquals(`${make(world, 2)}`, "<Semaphore(value=2)>");
  const bounded = makeBounded(world, 2);
  bounded.acquireSync();
  const text = "<BoundedSemaphore(value=1, maxvalue=2)>";
  assertEquals(`${bounded}`, text);
  assertEquals(Deno.inspect(bounded), text);
  const there = world.give(bounded, world.another());
  assertEquals(`${there}`, text);
  assert(there instanceof BoundedSemaphore && there instanceof Semaphore);
  assertThrows(() => {
    there.release();
    there.release();
  }, ProcessError);
});

eachKind(
  "Semaphore.acquire() gives a guard that releases once",
  async (world) => {
    const semaphore = make(world, 1);
    {
      using guard = await semaphore.acquire();
      assertEquals(guard?.abandoned, false);
      guard![Symbol.dispose]();
    }
    assertEquals(semaphore.getValue(), 1);
  },
);

eachKind(
  "Semaphore.release() wakes one for each unit, in order",
  async (world) => {
    const semaphore = make(world, 0);
    const there = world.give(semaphore, world.another());
    const served: number[] = [];
    const tasks = Array.from({ length: TASKS }, async (_, i) => {
      await semaphore.acquire();
      served.push(i);
    });
    for (let i = 0; i < TASKS / 2; i++) there.release();
    while (served.length < TASKS / 2) await look();
    await look();
    assertEquals(served, Array.from({ length: TASKS / 2 }, (_, i) => i));
    for (let i = 0; i < TASKS / 2; i++) semaphore.release();
    await Promise.all(tasks);
    assertEquals(served, Array.from({ length: TASKS }, (_, i) => i));
    assertEquals(semaphore.getValue(), 0);
  },
);

eachKind(
  "Semaphore.release() leaves nobody behind who could go",
  async (world) => {
    // Two units at once, waiters in two participants, one of them gives up.
    const semaphore = make(world, 0);
    const there = world.give(semaphore, world.another());
    const controller = new AbortController();
    const { signal } = controller;
    const a = semaphore.acquire({ signal });
    const b = there.acquire();
    const c = semaphore.acquire();
    semaphore.release();
    semaphore.release();
    controller.abort();
    await assertRejects(() => a);
    assert(await b);
    assert(await c);
    assertEquals(semaphore.getValue(), 0);
  },
);

eachKind(
  "Semaphore.acquire() rejects with the reason of an aborted signal and takes nothing",
  async (world) => {
    const semaphore = make(world, 1);
    const reason = new Error("stop");
    const signal = AbortSignal.abort(reason);
    assertStrictEquals(
      await assertRejects(() => semaphore.acquire({ signal })),
      reason,
    );
    assertThrows(() => semaphore.acquireSync({ signal }), Error, "stop");
    assertEquals(semaphore.getValue(), 1);
  },
);

eachKind(
  "LESSON-06 Semaphore does not know what a killed process had",
  async (world) => {
    const semaphore = makeBounded(world, 1);
    const other = world.another();
    world.give(semaphore, other).acquireSync();
    const waiting = semaphore.acquire();
    world.kill(other);
    assertEquals(await look(waiting), ["waits"]);
    semaphore.release();
    await waiting;
  },
);

eachKind(
  "LESSON-06 BoundedSemaphore with holders gets back what a killed process had",
  async (world) => {
    const semaphore = makeBounded(world, 2, true);
    const other = world.another();
    const there = world.give(semaphore, other);
    there.acquireSync();
    there.acquireSync();
    assertEquals(world.arena.participants.locksHeld(other.me), 2);
    const waiting = [semaphore.acquire(), semaphore.acquire()];
    assertEquals(await look(...waiting), ["waits", "waits"]);
    world.kill(other);
    for (const guard of await Promise.all(waiting)) {
      assertEquals(guard?.abandoned, true);
    }
    assertEquals(semaphore.getValue(), 0);
    semaphore.release();
    semaphore.release();
    assertThrows(() => semaphore.release(), ProcessError, TOO_MANY);
    assertEquals((await semaphore.acquire())?.abandoned, false);
    semaphore.release();
  },
);

eachKind(
  "BoundedSemaphore with holders gives back its own unit first",
  (world) => {
    const semaphore = makeBounded(world, 3, true);
    const other = world.another();
    const there = world.give(semaphore, other);
    there.acquireSync();
    semaphore.acquireSync();
    there.acquireSync();
    semaphore.release();
    const load = (who: { me: number }) =>
      world.arena.participants.locksHeld(who.me);
    assertEquals([load(world.arena), load(other)], [0, 2]);
    // Handing over: there is none of its own left.
    semaphore.release();
    assertEquals([load(world.arena), load(other)], [0, 1]);
    assertEquals(semaphore.getValue(), 2);
    world.kill(other);
    assertEquals(semaphore.getValue(), 3);
  },
);

eachKind(
  "BoundedSemaphore with holders gives its words back with the last object",
  async (world) => {
    const { arena } = world;
    const { blocks } = arena.heap;
    const held = () => arena.participants.locksHeld(arena.me);
    (() => {
      const semaphore = makeBounded(world, 3, true);
      semaphore.acquireSync();
      assertEquals(arena.heap.blocks, blocks + 2);
      assertEquals(held(), 1);
    })();
    await world.collect(() => arena.heap.blocks === blocks);
    assertEquals(arena.heap.blocks, blocks);
    assertEquals(held(), 0);
    // What comes back is handed out again, and is zero.
    const next = makeBounded(world, 3, true);
    assertEquals(next.getValue(), 3);
    next.acquireSync();
    next.release();
  },
);

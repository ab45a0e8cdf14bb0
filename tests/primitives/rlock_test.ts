import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { ProcessError } from "../../errors.ts";
import { Condition } from "../../primitives/condition.ts";
import { RLock } from "../../primitives/rlock.ts";
import { eachKind, look, turns } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const TASKS = 5;
const ROUNDS = 100;

const NOT_OWNED = "attempt to release recursive lock not owned by thread";

function make(world: SyncWorld): RLock {
  return new (world.of(RLock))();
}

eachKind(
  "LOCK-02 RLock.acquire() takes it as often as it is released",
  async (world) => {
    const lock = make(world);
    for (let i = 0; i < 3; i++) assert(await lock.acquire());
    for (let i = 0; i < 3; i++) assertEquals(lock.release(), undefined);
    assertThrows(() => lock.release(), ProcessError, NOT_OWNED);
  },
);

eachKind("LOCK-02 RLock.acquireSync() is the same", (world) => {
  const lock = make(world);
  for (let i = 0; i < 3; i++) assert(lock.acquireSync({ timeout: 0 }));
  for (let i = 0; i < 3; i++) lock.release();
  assertEquals(lock.locked(), false);
});

eachKind(
  "LOCK-03 RLock.acquire() gives a guard for each level",
  async (world) => {
    const lock = make(world);
    {
      using _outer = await lock.acquire();
      {
        using inner = await lock.acquire();
        assertEquals(inner?.abandoned, false);
        assertEquals(`${lock}`, "<RLock(MainProcess, 2)>");
      }
      assertEquals(`${lock}`, "<RLock(MainProcess, 1)>");
    }
    assertEquals(`${lock}`, "<RLock(None, 0)>");
  },
);

eachKind("LOCK-X2 RLock.release() is for its holder alone", (world) => {
  const lock = make(world);
  const there = world.give(lock, world.another());
  lock.acquireSync();
  assertThrows(() => there.release(), ProcessError, NOT_OWNED);
  assertEquals(there.acquireSync({ block: false }), null);
  assert(lock.locked());
  lock.release();
});

eachKind("LOCK-X2 RLock.toString() says who holds it", (world) => {
  const lock = make(world);
  const there = world.give(lock, world.another());
  assertEquals(`${lock}`, "<RLock(None, 0)>");
  lock.acquireSync();
  assertEquals(`${lock}`, "<RLock(MainProcess, 1)>");
  assertEquals(`${there}`, "<RLock(SomeOtherProcess, nonzero)>");
  assertEquals(Deno.inspect(lock), "<RLock(MainProcess, 1)>");
});

eachKind(
  "RLock.acquire() keeps participants out of each other's sections",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    let inside = 0;
    async function task(mine: RLock): Promise<void> {
      for (let i = 0; i < ROUNDS; i++) {
        using _outer = await mine.acquire();
        using _inner = await mine.acquire();
        assertEquals(++inside, 1);
        await undefined;
        inside--;
      }
    }
    await Promise.all([task(lock), task(there)]);
  },
);

eachKind("RLock.acquire() lets all tasks of the holder in", async (world) => {
  const lock = make(world);
  const there = world.give(lock, world.another());
  there.acquireSync();
  const tasks = Array.from({ length: TASKS }, () => lock.acquire());
  assertEquals(await look(tasks[0]!), ["waits"]);
  there.release();
  await Promise.all(tasks);
  assertEquals(`${lock}`, `<RLock(MainProcess, ${TASKS})>`);
  for (let i = 0; i < TASKS; i++) lock.release();
  assertEquals(lock.locked(), false);
});

for (const how of ["waits", "blocks"]) {
  eachKind(
    `RLock.acquire() lets tasks in whose participant gets it by a try that ${how}`,
    async (world) => {
      const lock = make(world);
      const there = world.give(lock, world.another());
      const elsewhere = world.give(lock, world.another());
      there.acquireSync();
      const older = elsewhere.acquire(); // it will be woken, and be too late
      const waiting = lock.acquire();
      await turns();
      there.release();
      const guard = how === "blocks"
        ? lock.acquireSync({ timeout: 0 })
        : await lock.acquire({ block: false });
      assert(guard);
      await turns();
      // It has it, though the sleep it has ended may take longer to return.
      assertEquals(`${lock}`, "<RLock(MainProcess, 2)>");
      assert(await waiting);
      lock.release();
      lock.release();
      assert(await older);
      elsewhere.release();
    },
  );
}

eachKind(
  "RLock forgets a level given up for a task that has another object of it",
  async (world) => {
    const lock = make(world);
    const condition = new (world.of(Condition))(lock);
    const same = world.give(lock, world.arena);
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = (async () => {
      using _guard = await same.acquire();
      await promise;
    })();
    const waiting = (async () => {
      using _guard = await condition.acquire();
      await condition.wait();
    })();
    while (lock.locked()) await turns(1);
    resolve();
    await slow;
    lock.acquireSync();
    condition.notify();
    lock.release();
    await waiting;
    assertEquals(`${lock}`, "<RLock(None, 0)>");
  },
);

eachKind(
  "RLock is one thing for its objects as long as there are any",
  async (world) => {
    const { arena } = world;
    const blocks = arena.heap.blocks;
    (() => {
      const lock = make(world);
      const same = world.give(lock, arena);
      lock.acquireSync();
      same.release();
      assertEquals(lock.locked(), false);
    })();
    await world.collect(() => arena.heap.blocks === blocks);
    assertEquals(arena.heap.blocks, blocks);
    assertEquals(`${make(world)}`, "<RLock(None, 0)>");
  },
);

eachKind(
  "RLock.acquire() in a loop lets another participant in",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    let isIn = false;
    const other = async () => {
      using _guard = await there.acquire();
      isIn = true;
    };
    await lock.acquire();
    const waiting = other();
    for (let i = 0; !isIn; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      lock.release();
      await lock.acquire();
      assert(i < ROUNDS, "overtaken again and again");
    }
    lock.release();
    await waiting;
  },
);

eachKind(
  "RLock.acquire() gives null when the time runs out, and takes nothing when aborted",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    there.acquireSync();
    assertEquals(await lock.acquire({ timeout: 10 }), null);
    assertEquals(await lock.acquire({ block: false }), null);
    assertEquals(lock.acquireSync({ timeout: 1 }), null);

    const controller = new AbortController();
    const reason = new Error("stop");
    const aborted = lock.acquire({ signal: controller.signal });
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => aborted), reason);
    assertStrictEquals(
      await assertRejects(() => lock.acquire({ signal: controller.signal })),
      reason,
    );
    there.release();
    assertEquals(`${lock}`, "<RLock(None, 0)>");
  },
);

eachKind(
  "LESSON-06 RLock.acquire() takes what a killed holder had, and counts afresh",
  async (world) => {
    const lock = make(world);
    const other = world.another();
    const there = world.give(lock, other);
    there.acquireSync();
    there.acquireSync();
    const waiting = lock.acquire();
    world.kill(other);
    assertEquals((await waiting)?.abandoned, true);
    assertEquals(`${lock}`, "<RLock(MainProcess, 1)>");
    assertEquals(lock.acquireSync()?.abandoned, false);
    lock.release();
    lock.release();
    assertEquals(lock.locked(), false);
  },
);

eachKind(
  "LESSON-07 RLock is abandoned as well when its holder leaves in good order",
  async (world) => {
    const lock = make(world);
    const other = world.another();
    world.give(lock, other).acquireSync();
    const waiting = lock.acquire();
    world.leave(other);
    assertEquals((await waiting)?.abandoned, true);
    lock.release();

    const leaving = world.another();
    world.give(lock, leaving).acquireSync();
    leaving.participants.leave(leaving.me); // its end is not heard of yet
    assertEquals(lock.locked(), false);
    assertEquals(lock.acquireSync({ timeout: 0 })?.abandoned, true);
    lock.release();
    world.kill(leaving);

    // The next owner of the slot is not taken for the one before.
    const next = world.give(lock, world.another());
    lock.acquireSync();
    assertThrows(() => next.release(), ProcessError, NOT_OWNED);
    lock.release();
  },
);

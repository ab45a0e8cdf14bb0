import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { encode } from "../../codec/mod.ts";
import { EncodingError, ProcessError } from "../../errors.ts";
import { identity } from "../../primitives/identity.ts";
import { Lock } from "../../primitives/lock.ts";
import { eachKind, look } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const TASKS = 10;
const ROUNDS = 100;

const TOO_MANY = "semaphore or lock released too many times";

function make(world: SyncWorld): Lock {
  return new (world.of(Lock))();
}

function held(world: SyncWorld, who = world.arena): number {
  return world.arena.participants.locksHeld(who.me);
}

eachKind(
  "LOCK-01 Lock.acquire() takes it once, release() frees it once",
  async (world) => {
    const lock = make(world);
    assert(await lock.acquire());
    assertEquals(await lock.acquire({ block: false }), null);
    assertEquals(lock.release(), undefined);
    assertThrows(() => lock.release(), ProcessError, TOO_MANY);
  },
);

eachKind("LOCK-01 Lock.acquireSync() is the same", (world) => {
  const lock = make(world);
  assert(lock.acquireSync());
  assertEquals(lock.acquireSync({ block: false }), null);
  assertEquals(lock.acquireSync({ timeout: 1 }), null);
  lock.release();
  assertEquals(lock.locked(), false);
});

eachKind(
  "LOCK-03 Lock.acquire() gives a guard that releases once",
  async (world) => {
    const lock = make(world);
    {
      using guard = await lock.acquire();
      assert(guard);
      assertEquals(guard.abandoned, false);
      assert(lock.locked());
    }
    assertEquals(lock.locked(), false);

    const guard = await lock.acquire();
    guard![Symbol.dispose]();
    await lock.acquire();
    guard![Symbol.dispose]();
    assert(lock.locked(), "a guard that was disposed before released it again");
    lock.release();
  },
);

eachKind(
  "Lock.acquire() gives nothing to dispose when it is not acquired",
  async (world) => {
    const lock = make(world);
    await lock.acquire();
    {
      using guard = await lock.acquire({ timeout: 0 });
      assertEquals(guard, null);
    }
    assert(lock.locked());
    lock.release();
  },
);

eachKind("LOCK-X2 Lock.release() may be called by anybody", (world) => {
  const lock = make(world);
  const there = world.give(lock, world.another());
  lock.acquireSync();
  assertEquals(held(world), 1);
  there.release();
  assertEquals(lock.locked(), false);
  assertEquals(held(world), 0);
  assertThrows(() => lock.release(), ProcessError, TOO_MANY);
});

eachKind("LOCK-X2 Lock.toString() says who holds it", (world) => {
  const lock = make(world);
  const there = world.give(lock, world.another());
  assertEquals(`${lock}`, "<Lock(owner=None)>");
  lock.acquireSync();
  assertEquals(`${lock}`, "<Lock(owner=MainProcess)>");
  assertEquals(`${there}`, "<Lock(owner=SomeOtherProcess)>");
  assertEquals(Deno.inspect(lock), "<Lock(owner=MainProcess)>");

  const { name } = identity;
  identity.name = "Process-7";
  assertEquals(`${lock}`, "<Lock(owner=Process-7)>");
  identity.name = name;
});

eachKind(
  "Lock.acquire() keeps tasks out of each other's sections",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    let inside = 0;
    let count = 0;
    async function task(mine: Lock): Promise<void> {
      for (let i = 0; i < ROUNDS; i++) {
        using _guard = await mine.acquire();
        assertEquals(++inside, 1);
        const seen = count;
        await undefined;
        count = seen + 1;
        inside--;
      }
    }
    await Promise.all(
      Array.from({ length: TASKS }, (_, i) => task(i % 2 === 0 ? lock : there)),
    );
    assertEquals(count, TASKS * ROUNDS);
    assertEquals(held(world), 0);
  },
);

eachKind(
  "Lock.acquire() serves the tasks of a participant in order",
  async (world) => {
    const lock = make(world);
    const served: number[] = [];
    await lock.acquire();
    const tasks = Array.from({ length: TASKS }, async (_, i) => {
      using _guard = await lock.acquire();
      served.push(i);
    });
    lock.release();
    await Promise.all(tasks);
    assertEquals(served, Array.from({ length: TASKS }, (_, i) => i));
  },
);

eachKind(
  "Lock.acquire() does not wait for a participant that was woken and is slow",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    await lock.acquire();
    const slow = there.acquire();
    const first = lock.acquire();
    lock.release(); // wakes the other one, which needs the event loop …
    const second = lock.acquire(); // … and finds the lock free
    let isServed = false;
    first.then(() => isServed = true);
    for (let i = 0; i < 100 && !isServed; i++) await undefined;
    assert(isServed, "before the event loop turned");
    lock.release();
    await second;
    lock.release();
    await slow;
    there.release();
  },
);

eachKind(
  "Lock.acquire() in a loop lets other tasks in between",
  async (world) => {
    const lock = make(world);
    const served: string[] = [];
    async function loop(name: string): Promise<void> {
      for (let i = 0; i < 4; i++) {
        using _guard = await lock.acquire();
        served.push(name);
        await undefined;
      }
    }
    await Promise.all([loop("a"), loop("b")]);
    assertEquals(served.join(""), "abababab");
  },
);

eachKind(
  "Lock.acquire() in a loop lets another participant in",
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
    // Work of a millisecond, and a microsecond in which the lock is free.
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
  "Lock.acquireSync() in a loop lets another participant in",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    let isIn = false;
    const other = async () => {
      using _guard = await there.acquire();
      isIn = true;
    };
    lock.acquireSync();
    const waiting = other();
    for (let i = 0; !isIn; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      lock.release();
      // The other needs the event loop, which a blocked thread does not turn: so
      // here courtesy can only last as long as it may.
      lock.acquireSync();
      if (i === 3) break;
    }
    lock.release();
    await waiting;
  },
);

eachKind("Lock.acquire() wakes another participant", async (world) => {
  const lock = make(world);
  const there = world.give(lock, world.another());
  using guard = await lock.acquire();
  assert(guard);
  const waiting = there.acquire();
  assertEquals(await look(waiting), ["waits"]);
  guard[Symbol.dispose]();
  assertEquals((await waiting)?.abandoned, false);
  assertEquals(`${there}`, "<Lock(owner=MainProcess)>");
  there.release();
});

eachKind("Lock.acquire() gives null when the time runs out", async (world) => {
  const lock = make(world);
  await lock.acquire();
  for (const timeout of [10, 1, 0, -1]) {
    assertEquals(await lock.acquire({ timeout }), null);
  }
  assertEquals(await lock.acquire({ block: false, timeout: 1e9 }), null);
  lock.release();
  // Nobody waits any more who could get it.
  assertEquals((await look(Promise.resolve(lock.locked())))[0], false);
});

eachKind(
  "Lock.acquire() rejects with the reason of an aborted signal and takes nothing",
  async (world) => {
    const lock = make(world);
    const reason = new Error("stop");
    assertStrictEquals(
      await assertRejects(() =>
        lock.acquire({ signal: AbortSignal.abort(reason) })
      ),
      reason,
    );
    assertEquals(lock.locked(), false);

    await lock.acquire();
    const controller = new AbortController();
    const aborted = lock.acquire({ signal: controller.signal });
    const next = lock.acquire();
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => aborted), reason);
    lock.release();
    await next;
    lock.release();
  },
);

eachKind(
  "Lock.acquire() passes a wake-up on if it is aborted at that moment",
  async (world) => {
    const lock = make(world);
    const there = world.give(lock, world.another());
    await lock.acquire();
    const controller = new AbortController();
    const first = lock.acquire({ signal: controller.signal });
    const second = there.acquire();
    lock.release(); // wakes the first …
    controller.abort(); // … which does not want it any more
    await assertRejects(() => first);
    assert(await second);
    there.release();
  },
);

eachKind("Lock.acquire() checks its options", async (world) => {
  const lock = make(world);
  const bad = (options: unknown) => () => lock.acquire(options as never);
  await assertRejects(bad({ timeout: "1" }), TypeError, "'timeout'");
  await assertRejects(bad({ timeout: NaN }), RangeError, "'timeout'");
  await assertRejects(bad({ block: 1 }), TypeError, "'block'");
  assertEquals(lock.locked(), false);
});

eachKind(
  "LESSON-06 Lock.acquire() takes what a killed holder had, and says so",
  async (world) => {
    const lock = make(world);
    const other = world.another();
    world.give(lock, other).acquireSync();
    const waiting = lock.acquire();
    assertEquals(await look(waiting), ["waits"]);
    world.kill(other);
    assertEquals((await waiting)?.abandoned, true);
    assertEquals(held(world), 1);
    lock.release();
    assertEquals((await lock.acquire())?.abandoned, false);
    lock.release();
  },
);

eachKind(
  "LESSON-06 Lock.acquireSync() takes it after the fact, once",
  (world) => {
    const lock = make(world);
    const other = world.another();
    world.give(lock, other).acquireSync();
    world.kill(other);
    assertEquals(lock.locked(), false);
    assertEquals(`${lock}`, "<Lock(owner=None)>");
    const third = world.give(lock, world.another());
    assertEquals(lock.acquireSync()?.abandoned, true);
    assertEquals(third.acquireSync({ block: false }), null);
    lock.release();
  },
);

eachKind("LESSON-06 Lock.release() frees what a killed holder had", (world) => {
  const lock = make(world);
  const other = world.another();
  world.give(lock, other).acquireSync();
  world.kill(other);
  lock.release();
  assertEquals(lock.acquireSync()?.abandoned, false);
  lock.release();
});

eachKind(
  "LESSON-06 Lock keeps its holder apart from the next owner of its slot",
  (world) => {
    const lock = make(world);
    const other = world.another();
    world.give(lock, other).acquireSync();
    world.kill(other);
    const next = world.another();
    assertEquals(next.me & 0xfff, other.me & 0xfff, "the slot is used again");
    lock.release();
    assertEquals(held(world, next), 0);
  },
);

eachKind(
  "LESSON-07 Lock stays held when its holder leaves in good order",
  async (world) => {
    const lock = make(world);
    const other = world.another();
    world.give(lock, other).acquireSync();
    world.leave(other);
    assertEquals(await lock.acquire({ timeout: 10 }), null);
    assertEquals(`${lock}`, "<Lock(owner=SomeOtherProcess)>");
    const next = world.another();
    assert((next.me & 0xfff) !== (other.me & 0xfff), "its slot is used again");
    assertEquals(lock.acquireSync({ block: false }), null);
    const waiting = lock.acquire();
    world.give(lock, next).release();
    assertEquals((await waiting)?.abandoned, false);
    lock.release();
    const last = world.another();
    assertEquals(last.me & 0xfff, other.me & 0xfff, "its slot is free now");
  },
);

eachKind(
  "LESSON-04 Lock wakes somebody else if the one it woke is killed",
  async (world) => {
    const lock = make(world);
    const other = world.another();
    const there = world.give(lock, other);
    await lock.acquire();
    const doomed = there.acquire({ signal: world.afterlife.signal });
    const waiting = lock.acquire();
    lock.release(); // wakes the doomed, who has no time to attempt
    world.kill(other, doomed);
    assert(await waiting);
    lock.release();
  },
);

eachKind(
  "LESSON-60 Lock of threads is refused for processes, by name",
  (world) => {
    const lock = make(world);
    if (world.kind === "spawn") return;
    assertThrows(
      () => encode(lock, { target: { kind: "spawn" } }),
      EncodingError,
      'Cannot send a Lock of the "worker" context to a process of the "spawn" context',
    );
  },
);

eachKind(
  "Lock that nobody can release any more is held by nobody",
  async (world) => {
    (() => make(world).acquireSync())();
    assertEquals(held(world), 1);
    await world.collect(() => held(world) === 0);
    assertEquals(held(world), 0);
  },
);

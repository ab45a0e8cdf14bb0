import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { ProcessError } from "../../errors.ts";
import { S_SLEEPING } from "../../memory/layout.ts";
import { TIMED_OUT } from "../../memory/mod.ts";
import type { WaitOptions } from "../../memory/mod.ts";
import { Condition } from "../../primitives/condition.ts";
import { Event } from "../../primitives/event.ts";
import { Lock } from "../../primitives/lock.ts";
import type { RLock } from "../../primitives/rlock.ts";
import { Semaphore } from "../../primitives/semaphore.ts";
import { Turnstile } from "../../primitives/_turnstile.ts";
import { until } from "../_support/gate.ts";
import { eachKind, look, seeded, slow, turns } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

/** Sleepers of each sort, and notifications, where they come and go. */
const CHANGING = 10;
const ROUNDS = 20;
/** More than anything takes. */
const MANY_LOOKS = 200;
/** More than fit into the block of a condition, and into its first page. */
const CROWD = 300;

const NOT_ACQUIRED = "must acquire() condition before using wait()";
const NOT_OWNED = "lock is not owned";

function make(world: SyncWorld, lock?: Lock | RLock): Condition {
  return new (world.of(Condition))(lock);
}

function makeOnLock(world: SyncWorld): Condition {
  return make(world, new (world.of(Lock))());
}

/** Waits once, with the lock, as a task does. */
async function waitOnce(
  condition: Condition,
  options?: WaitOptions,
): Promise<boolean> {
  using _guard = await condition.acquire();
  return await condition.wait(options);
}

function notify(condition: Condition, n?: number): void {
  using _guard = condition.acquireSync({ timeout: 0 });
  condition.notify(n);
}

/** How many wait, as it says itself. */
function waiters(condition: Condition): number {
  return Number(`${condition}`.match(/, (\d+)\)>$/)?.[1]);
}

async function waitersReach(condition: Condition, n: number): Promise<void> {
  for (let i = 0; waiters(condition) !== n; i++) {
    assert(i < 1000, `${waiters(condition)} of ${n} wait`);
    await turns(1);
  }
}

eachKind("COND-01 Condition.notify() wakes one of two", async (world) => {
  const condition = make(world);
  const there = world.give(condition, world.another());
  const waiting = [waitOnce(there), waitOnce(condition)];
  await waitersReach(condition, 2);
  assertEquals(await look(...waiting), ["waits", "waits"]);
  notify(condition);
  assertEquals(await waiting[0], true, "the longest waiting");
  assertEquals(await look(...waiting), [true, "waits"]);
  notify(there);
  assertEquals(await waiting[1], true);
  assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
});

eachKind("COND-02 Condition.notifyAll() wakes all", async (world) => {
  const condition = make(world);
  const there = world.give(condition, world.another());
  const sleeping = new (world.of(Semaphore))(0);
  async function task(mine: Condition, timeout?: number): Promise<boolean> {
    await mine.acquire();
    sleeping.release();
    const result = await mine.wait({ timeout });
    mine.release();
    return result;
  }
  const six = [condition, there, condition, there, condition, there];
  assertEquals(
    await Promise.all(six.map((mine) => task(mine, 10))),
    Array(6).fill(false),
  );
  assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");

  const waiting = six.map((mine) => task(mine));
  for (let i = 0; i < 12; i++) await sleeping.acquire();
  await waitersReach(condition, 6);
  assertEquals(await look(...waiting), Array(6).fill("waits"));
  await condition.acquire();
  condition.notifyAll();
  condition.release();
  assertEquals(await Promise.all(waiting), Array(6).fill(true));
  assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
});

for (
  const [what, make] of [["RLock", makeOnRLock], ["Lock", makeOnLock]] as const
) {
  eachKind(
    `COND-03 Condition.notify(n) on a ${what} wakes n, and saves nothing up`,
    async (world) => {
      const condition = make(world);
      const there = world.give(condition, world.another());
      const woken: number[] = [];
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 6; i++) {
        waiting.push((async () => {
          await waitOnce(i % 2 === 0 ? condition : there);
          woken.push(i);
        })());
        await waitersReach(condition, i + 1);
      }
      notify(condition, 2);
      while (woken.length < 2) await turns();
      await turns();
      assertEquals(woken.sort(), [0, 1]);
      notify(condition, 4);
      await Promise.all(waiting);
      notify(condition, 3);
      assertEquals(await waitOnce(condition, { timeout: 1 }), false);
      assertEquals(await waitOnce(there, { timeout: 1 }), false);
    },
  );
}

function makeOnRLock(world: SyncWorld): Condition {
  return make(world);
}

eachKind(
  "COND-04 Condition.wait() that times out has the lock again",
  async (world) => {
    const condition = make(world);
    await condition.acquire();
    const start = performance.now();
    assertEquals(await condition.wait({ timeout: 20 }), false);
    assert(performance.now() - start > 19);
    assertEquals(await condition.wait({ timeout: 0 }), false);
    assertEquals(await condition.wait({ timeout: -1 }), false);
    assertEquals(`${condition}`, "<Condition(<RLock(MainProcess, 1)>, 0)>");
    condition.release();
  },
);

eachKind("COND-05 Condition.waitFor() waits for a value", async (world) => {
  const condition = makeOnLock(world);
  const there = world.give(condition, world.another());
  let value = -1;
  async function child(): Promise<boolean> {
    using _guard = await there.acquire();
    value = 0;
    there.notify();
    return await there.waitFor(() => Promise.resolve(value === 4));
  }
  await condition.acquire();
  const result = child();
  assertEquals(await condition.waitFor(() => value === 0), true);
  condition.release();
  for (let i = 0; i < 4; i++) {
    using _guard = await condition.acquire();
    value++;
    condition.notify();
  }
  assertEquals(await result, true);
});

eachKind(
  "COND-06 Condition.waitFor() gives the last value when the time runs out",
  async (world) => {
    const condition = make(world);
    using _guard = await condition.acquire();
    const start = performance.now();
    assertEquals(await condition.waitFor(() => 0, { timeout: 20 }), 0);
    assert(performance.now() - start > 19);
    assertEquals(condition.waitForSync(() => "", { timeout: 1 }), "");
  },
);

eachKind(
  "COND-07 Condition.wait() that is aborted has the lock again, and then rejects",
  async (world) => {
    const condition = make(world);
    const there = world.give(condition, world.another());
    const controller = new AbortController();
    const reason = new Error("stop");
    await condition.acquire();
    const waiting = condition.wait({ signal: controller.signal });
    await there.acquire();
    controller.abort(reason);
    assertEquals(await look(waiting.catch(() => "rejected")), ["waits"]);
    assertEquals(waiters(there), 0);
    there.release();
    assertStrictEquals(await assertRejects(() => waiting), reason);
    assertEquals(`${condition}`, "<Condition(<RLock(MainProcess, 1)>, 0)>");

    // Aborted before: it rejects without giving the lock up.
    assertStrictEquals(
      await assertRejects(() => condition.wait({ signal: controller.signal })),
      reason,
    );
    assertThrows(() => condition.waitSync({ signal: controller.signal }));
    assertEquals(`${condition}`, "<Condition(<RLock(MainProcess, 1)>, 0)>");
    condition.release();
  },
);

eachKind("COND-X1 Condition says what is needed first", async (world) => {
  for (const condition of [make(world), makeOnLock(world)]) {
    const there = world.give(condition, world.another());
    there.acquireSync();
    for (
      const misuse of [() => condition.wait(), () => condition.waitFor(() => 0)]
    ) {
      await assertRejects(misuse, ProcessError, NOT_ACQUIRED);
    }
    assertThrows(() => condition.waitSync(), ProcessError, NOT_ACQUIRED);
    assertThrows(() => condition.notify(), ProcessError, NOT_OWNED);
    assertThrows(() => condition.notifyAll(), ProcessError, NOT_OWNED);
    assertThrows(() => there.notify(-1), RangeError, "'n'");
    assertEquals(await condition.waitFor(() => 7), 7);
    assertEquals(await condition.waitFor(() => 0, { timeout: 0 }), 0);
    assertEquals(condition.waitForSync(() => 7), 7);
    there.release();
  }
  const bad = {} as Lock;
  assertThrows(() => make(world, bad), TypeError, "a Lock or an RLock");
  assertThrows(() => make(world, null as never), TypeError, "'lock'");
});

eachKind(
  "Condition.toString() shows its lock and its waiters",
  async (world) => {
    const condition = makeOnLock(world);
    assertEquals(`${condition}`, "<Condition(<Lock(owner=None)>, 0)>");
    const waiting = waitOnce(condition);
    await waitersReach(condition, 1);
    const text = "<Condition(<Lock(owner=None)>, 1)>";
    assertEquals(Deno.inspect(condition), text);
    assertEquals(`${world.give(condition, world.another())}`, text);
    notify(condition);
    await waiting;
  },
);

eachKind("Condition.acquire() is the lock's", async (world) => {
  const lock = new (world.of(Lock))();
  const condition = make(world, lock);
  const second = make(world, lock);
  {
    using guard = await condition.acquire();
    assert(guard && lock.locked());
    assertEquals(second.acquireSync({ block: false }), null);
    assertEquals(await second.acquire({ timeout: 1 }), null);
    second.notify();
  }
  assertEquals(lock.locked(), false);
  assertThrows(() => condition.release(), ProcessError, "too many times");
});

eachKind(
  "Condition.wait() gives up all levels, and takes as many again",
  async (world) => {
    const condition = make(world);
    const there = world.give(condition, world.another());
    for (let i = 0; i < 3; i++) await condition.acquire();
    const waiting = condition.wait();
    using guard = await there.acquire();
    there.notify();
    assertEquals(await look(waiting), ["waits"]);
    guard![Symbol.dispose]();
    assertEquals(await waiting, true);
    assertEquals(`${condition}`, "<Condition(<RLock(MainProcess, 3)>, 0)>");
    for (let i = 0; i < 3; i++) condition.release();
  },
);

eachKind("Condition.wait() leaves other tasks' levels alone", async (world) => {
  const condition = make(world);
  const there = world.give(condition, world.another());
  const seen: string[] = [];
  // All acquire before anybody waits, as tasks do that start together.
  const consumers = [1, 2, 3].map(() => waitOnce(condition));
  const producer = (async () => {
    using _guard = await condition.acquire();
    await undefined;
    assertEquals(there.acquireSync({ block: false }), null, "not let go yet");
    seen.push("produced");
    condition.notifyAll();
  })();
  assertEquals(await Promise.all(consumers), [true, true, true]);
  await producer;
  assertEquals(seen, ["produced"]);
  assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
});

eachKind(
  "Condition.wait() forgets a level whose task releases it meanwhile",
  async (world) => {
    const condition = make(world);
    const there = world.give(condition, world.another());
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = (async () => {
      using _guard = await condition.acquire();
      await promise; // longer than one turn: taken for recursion
    })();
    const waiting = waitOnce(condition);
    await waitersReach(condition, 1);
    using guard = await there.acquire();
    resolve();
    await slow;
    there.notify();
    guard![Symbol.dispose]();
    assertEquals(await waiting, true);
    assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
  },
);

eachKind(
  "Condition.wait() has the lock again though a level is released in that instant",
  async (world) => {
    const condition = make(world);
    const event = new (world.of(Event))();
    const other = world.another();
    const [there, eventThere] = [condition, event].map((object) =>
      world.give(object, other)
    ) as [Condition, Event];
    const slow = (async () => {
      await condition.acquire();
      await event.wait(); // longer than one turn: taken for recursion
      condition.release();
    })();
    const texts: string[] = [];
    const waiting = (async () => {
      using _guard = await condition.acquire();
      await condition.wait();
      texts.push(`${condition}`);
    })();
    await waitersReach(condition, 1);
    await there.acquire();
    there.notify();
    await turns();
    // Both go on in the same turn, the one with the level to release first.
    there.release();
    eventThere.set();
    await Promise.all([slow, waiting]);
    assertEquals(texts, ["<Condition(<RLock(MainProcess, 1)>, 0)>"]);
    assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
  },
);

eachKind(
  "Condition.wait() that gave up a level leaves the lock to who takes it meanwhile",
  async (world) => {
    const condition = make(world);
    const there = world.give(condition, world.another());
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = (async () => {
      using _guard = await condition.acquire();
      await promise; // longer than one turn: taken for recursion
    })();
    const waiting = waitOnce(condition);
    while (!`${condition}`.includes("None")) await turns(1);
    const third = await condition.acquire();
    resolve();
    await slow; // releases its own level, which was given up
    assertEquals(there.acquireSync({ block: false }), null);
    condition.notify();
    third![Symbol.dispose]();
    assertEquals(await waiting, true);
    assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
  },
);

eachKind("Condition.waitSync() can be notified while it blocks", (world) => {
  const condition = make(world);
  const there = world.give(condition, world.another());
  condition.acquireSync();
  condition.acquireSync();
  let looks = 0;
  world.arena.waiting.onSlice(() => {
    if (looks++ === 0) notify(there);
  });
  assertEquals(condition.waitSync({ timeout: 30_000 }), true);
  world.arena.waiting.onSlice(() => {});
  assertEquals(looks, 1);
  assertEquals(`${condition}`, "<Condition(<RLock(MainProcess, 2)>, 0)>");
  assertEquals(condition.waitForSync(() => 7), 7);
  condition.release();
  condition.release();
});

eachKind("Condition holds a crowd, and wakes it in order", async (world) => {
  const condition = makeOnLock(world);
  const there = world.give(condition, world.another());
  const woken: number[] = [];
  const blocks = world.arena.heap.blocks;
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < CROWD; i++) {
    waiting.push((async () => {
      await waitOnce(i % 2 === 0 ? condition : there);
      woken.push(i);
    })());
    await waitersReach(condition, i + 1);
  }
  assertEquals(world.arena.heap.blocks - blocks, 2, "pages");
  let soFar = 0;
  for (let i = 0; i < 10; i++) {
    notify(condition, i % 3);
    soFar += i % 3;
    while (woken.length < soFar) await turns(1);
    await turns();
    assertEquals(woken.length, soFar);
  }
  using guard = await condition.acquire();
  condition.notifyAll();
  guard![Symbol.dispose]();
  await Promise.all(waiting);
  assertEquals(woken.length, CROWD);
  assertEquals(
    woken.slice(0, soFar).sort((a, b) => a - b),
    Array.from({ length: soFar }, (_, i) => i),
  );
  assertEquals(waiters(condition), 0);
});

eachKind("Condition.notify() goes by age, not by place", async (world) => {
  const condition = make(world);
  const first = waitOnce(condition, { timeout: 5 });
  await waitersReach(condition, 1);
  const second = waitOnce(condition);
  assertEquals(await first, false);
  const third = waitOnce(condition); // where the first was
  await waitersReach(condition, 2);
  notify(condition);
  assertEquals(await second, true);
  assertEquals(await look(third), ["waits"]);
  notify(condition);
  await third;
});

// ---- a notification for one who does not want it -------------------------------

eachKind(
  "Condition.wait() passes on a notification when it is aborted",
  async (world) => {
    const condition = make(world);
    const there = world.give(condition, world.another());
    const controller = new AbortController();
    const aborted = waitOnce(condition, { signal: controller.signal });
    const second = waitOnce(there);
    await waitersReach(condition, 2);
    notify(there);
    controller.abort();
    await assertRejects(() => aborted);
    assertEquals(await second, true);
  },
);

eachKind(
  "Condition.wait() that is notified as its time runs out was notified",
  async (world) => {
    const condition = make(world);
    const there = world.give(condition, world.another());
    const { waiting } = world.arena;
    const { wait } = waiting;
    // Stands in for a timer that fires just before the notification arrives:
    // 1 the time runs out, 2 it is notified, 3 it looks what has become of it.
    waiting.wait = async () => {
      waiting.wait = wait;
      await waitersReach(there, 2);
      notify(there);
      return TIMED_OUT;
    };
    const late = waitOnce(condition, { timeout: 1 });
    const next = waitOnce(there);
    assertEquals(await late, true);
    assertEquals(await look(next), ["waits"]);
    notify(condition);
    await next;
  },
);

eachKind(
  "Condition gives each notification to one, whoever gives up or dies meanwhile",
  async (world) => {
    const condition = makeOnLock(world);
    const there = world.give(condition, world.another());
    const doomed = world.another();
    const dying = world.give(condition, doomed);
    const random = seeded(7);
    for (let round = 1; round <= ROUNDS; round++) {
      let woken = 0;
      const start = async (mine: Condition, options?: WaitOptions) => {
        if (await waitOnce(mine, options).catch(() => false)) woken++;
      };
      // The older ones may not want it any more when it comes …
      const controllers = Array.from(
        { length: CHANGING },
        () => new AbortController(),
      );
      const fickle = controllers.map(({ signal }, i) => {
        const timeout = i % 3 === 0 ? 5 + random() * 5 : undefined;
        return start(i % 2 === 0 ? condition : there, { signal, timeout });
      });
      const { signal } = round < ROUNDS ? controllers[0]! : world.afterlife;
      const dead = start(dying, { signal });
      // … so that some go to the younger ones.
      const steady = Array.from(
        { length: CHANGING },
        (_, i) => start(i % 2 === 0 ? condition : there),
      );
      await turns();
      for (let i = 0; i < CHANGING; i++) {
        using _guard = await condition.acquire();
        condition.notify();
        controllers[Math.floor(random() * CHANGING)]!.abort();
        if (round === ROUNDS && i === CHANGING >> 1) world.kill(doomed, dead);
      }
      for (const controller of controllers) controller.abort();
      await Promise.all(fickle);
      await until(
        () => woken >= CHANGING,
        () => `${woken} were woken in round ${round}`,
      );
      await turns();
      assertEquals(woken, CHANGING, `round ${round}`);
      using guard = await condition.acquire();
      condition.notifyAll();
      guard![Symbol.dispose]();
      await Promise.all(steady);
    }
  },
);

eachKind(
  "LESSON-04 Condition.notify() passes over killed waiters",
  async (world) => {
    const condition = make(world);
    const other = world.another();
    const there = world.give(condition, other);
    const options = { signal: world.afterlife.signal };
    const doomed = [waitOnce(there, options), waitOnce(there, options)];
    await waitersReach(condition, 2);
    const waiting = waitOnce(condition);
    await waitersReach(condition, 3);
    world.kill(other, ...doomed);
    assertEquals(waiters(condition), 1);
    notify(condition);
    assertEquals(await waiting, true);
    notify(condition);
    assertEquals(waiters(condition), 0);
  },
);

eachKind(
  "LESSON-04 Condition gives what a killed waiter was given to the next",
  async (world) => {
    const condition = make(world);
    const other = world.another();
    const there = world.give(condition, other);
    const doomed = waitOnce(there, { signal: world.afterlife.signal });
    await waitersReach(condition, 1);
    const waiting = waitOnce(condition);
    await waitersReach(condition, 2);
    notify(condition);
    world.kill(other, doomed);
    assertEquals(await waiting, true);
  },
);

eachKind(
  "LESSON-04 Condition gives it to the next even if it was awake and had not yet the lock",
  async (world) => {
    const condition = make(world);
    const other = world.another();
    waitOnce(world.give(condition, other));
    await waitersReach(condition, 1);
    const waiting = waitOnce(condition);
    await waitersReach(condition, 2);
    const before = Object.getOwnPropertyDescriptors(Turnstile.prototype);
    let isAwake = false;
    notify(condition);
    Object.defineProperties(Turnstile.prototype, {
      isOpen: { get: () => false },
      pass: {
        value: () => {
          isAwake = true;
          return new Promise(() => {}); // it never gets that far
        },
      },
    });
    while (!isAwake) await turns();
    Object.defineProperties(Turnstile.prototype, before);
    assertEquals(await look(waiting), ["waits"]);
    world.kill(other);
    assertEquals(await waiting, true);
  },
);

eachKind(
  "LESSON-04 Condition.notify() reaches one who clears away a killed waiter",
  async (world) => {
    const condition = makeOnLock(world);
    const { arena, fate } = slow(world);
    const there = world.give(condition, arena);
    const { signal } = world.afterlife;
    let hasActed = true;
    for (let n = 1; hasActed; n++) {
      const other = world.another();
      // So many sleeps of the dead would take all threads for blocking calls.
      other.memory.sleep = () => new Promise(() => {});
      const doomed = waitOnce(world.give(condition, other), { signal });
      await waitersReach(condition, 1);
      const waiting = waitOnce(there);
      await waitersReach(condition, 2);
      const guard = await condition.acquire();
      const acted = fate.arm(n, "any", () => condition.notify());
      world.kill(other, doomed); // it looks now, and is interrupted once
      world.arena.participants.store(other.me, S_SLEEPING, 0);
      await turns();
      hasActed = acted();
      fate.disarm();
      if (!hasActed) condition.notify();
      guard![Symbol.dispose]();
      let outcome: unknown = "waits";
      for (let i = 0; i < MANY_LOOKS && outcome === "waits"; i++) {
        [outcome] = await look(waiting);
      }
      assertEquals(outcome, true, `notified at access ${n}`);
    }
  },
);

eachKind(
  "LESSON-04 Condition lets one sleep in the place of a killed waiter",
  async (world) => {
    const condition = makeOnLock(world);
    const { arena, fate } = slow(world);
    const there = world.give(condition, arena);
    const { signal } = world.afterlife;
    let hasActed = true;
    for (let n = 1; hasActed; n++) {
      const other = world.another();
      // So many sleeps of the dead would take all threads for blocking calls.
      other.memory.sleep = () => new Promise(() => {});
      const doomed = waitOnce(world.give(condition, other), { signal });
      await waitersReach(condition, 1);
      const clearing = waitOnce(there);
      await waitersReach(condition, 2);
      let late: Promise<boolean> | undefined;
      const joins = () => {
        condition.acquireSync({ timeout: 0 });
        late = condition.wait().finally(() => condition.release());
      };
      const acted = fate.arm(n, "any", joins);
      world.kill(other, doomed); // it looks now, and is interrupted once
      world.arena.participants.store(other.me, S_SLEEPING, 0);
      await turns();
      hasActed = acted();
      fate.disarm();
      const woken = late ? [clearing, late] : [clearing];
      await waitersReach(condition, woken.length);
      const asleep = woken.map(() => "waits");
      assertEquals(await look(...woken), asleep, `joined at access ${n}`);
      notify(condition, woken.length);
      assertEquals(await Promise.all(woken), woken.map(() => true));
    }
  },
);

eachKind(
  "LESSON-04 Condition gives it on once if the one who declined it is killed",
  async (world) => {
    const condition = makeOnLock(world);
    const other = world.another();
    // What is left of it in this thread would take the lock, if it heard of it.
    other.memory.sleep = () => new Promise(() => {});
    const there = world.give(condition, other);
    const controller = new AbortController();
    const { signal } = controller;
    waitOnce(there, { signal });
    await waitersReach(condition, 1);
    const waiting = [waitOnce(condition)];
    await waitersReach(condition, 2);
    waiting.push(waitOnce(condition));
    await waitersReach(condition, 3);
    const guard = await condition.acquire();
    condition.notify();
    controller.abort(); // it passes it on, and wants the lock
    await waitersReach(condition, 1);
    world.kill(other);
    world.arena.participants.store(other.me, S_SLEEPING, 0);
    await turns();
    assertEquals(waiters(condition), 1);
    guard![Symbol.dispose]();
    assertEquals(await waiting[0], true);
    assertEquals(await look(waiting[1]!), ["waits"]);
    notify(condition);
    assertEquals(await waiting[1], true);
  },
);

eachKind(
  "COND-03 Condition gives it to nobody who came later",
  async (world) => {
    const condition = make(world);
    const other = world.another();
    const there = world.give(condition, other);
    const doomed = waitOnce(there, { signal: world.afterlife.signal });
    await waitersReach(condition, 1);
    notify(condition);
    const late = waitOnce(condition);
    await waitersReach(condition, 1);
    world.kill(other, doomed);
    assertEquals(await look(late), ["waits"]);
    notify(condition);
    assertEquals(await late, true);
  },
);

for (
  const [what, make] of [["RLock", makeOnRLock], ["Lock", makeOnLock]] as const
) {
  eachKind(
    `LESSON-06 Condition.wait() has a ${what} again when its holder is killed`,
    async (world) => {
      const condition = make(world);
      const other = world.another();
      const there = world.give(condition, other);
      const waiting = waitOnce(condition);
      await waitersReach(condition, 1);
      await there.acquire();
      there.notify();
      world.kill(other);
      assertEquals(await waiting, true);
      assertMatch(`${condition}`, /None/);

      // The next one is told, wherever it is; and that is said once.
      const elsewhere = world.give(condition, world.another());
      for (const expected of [true, false]) {
        using guard = elsewhere.acquireSync({ timeout: 0 });
        assertEquals(guard!.abandoned, expected);
      }
    },
  );

  eachKind(
    `LESSON-06 Condition.waitSync() has a ${what} again when its holder is killed`,
    (world) => {
      const condition = make(world);
      const other = world.another();
      const there = world.give(condition, other);
      condition.acquireSync();
      let looks = 0;
      world.arena.waiting.onSlice(() => {
        if (looks++ > 0) return;
        there.acquireSync({ timeout: 0 });
        there.notify();
        world.kill(other);
      });
      assertEquals(condition.waitSync({ timeout: 30_000 }), true);
      world.arena.waiting.onSlice(() => {});
      condition.release();
      for (const expected of [true, false]) {
        using guard = condition.acquireSync({ timeout: 0 });
        assertEquals(guard!.abandoned, expected);
      }
    },
  );
}

eachKind(
  "Condition gives its pages back with the last object",
  async (world) => {
    const { arena } = world;
    const blocks = arena.heap.blocks;
    await (async () => {
      const condition = makeOnLock(world);
      const waiting = Array.from({ length: 20 }, () => waitOnce(condition));
      await waitersReach(condition, 20);
      using guard = await condition.acquire();
      condition.notifyAll();
      guard![Symbol.dispose]();
      await Promise.all(waiting);
    })();
    assert(arena.heap.blocks > blocks);
    await world.collect(() => arena.heap.blocks === blocks);
    assertEquals(arena.heap.blocks, blocks);
  },
);

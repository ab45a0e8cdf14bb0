/**
 * Locks, semaphores, conditions, events and barriers between real children of
 * both start methods. What one process can see by itself is tested in
 * `tests/primitives/`.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { Context } from "../../contexts/mod.ts";
import { ProcessError } from "../../errors.ts";
import { assertAllSucceed, several, start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import {
  abortAndReset,
  acquireAndReport,
  actOnce,
  hold,
  holdAndBeKilled,
  holdAndEnd,
  holdForEver,
  notifyOne,
  passAfterAction,
  passAndReport,
  passInStep,
  passOrBreak,
  setOnce,
  timeOut,
  tryAndReport,
  waitBusy,
  waitForEach,
  waitForFour,
  waitForSet,
  waitOn,
} from "../fixtures/sharers.ts";

/** As many as the reference has. */
const PARTIES = 5;
const ROUNDS = 10;
/** Waited out in full, so short. */
const SHORT_MS = 100;
/** How much of that a clock may swallow. */
const TOLERANCE_MS = 20;
/** A survivor has to hear of a death after so long. */
const SOON_MS = 2000;
const EVENTS = 200;

// ---- locks ------------------------------------------------------------------

for (const blocks of [false, true]) {
  const how = blocks ? "that blocks" : "that waits";
  contract(
    `LOCK-01 Lock held by a child ${how} is held for all`,
    async (ctx) => {
      const lock = new ctx.Lock();
      const held = SharedGate.in(ctx);
      const go = SharedGate.in(ctx);
      const child = start(ctx, hold, lock, held, go, blocks);
      await held.reaches(1, "the child holds it");
      assertEquals(await lock.acquire({ block: false }), null);
      assertEquals(lock.acquireSync({ timeout: 1 }), null);
      assert(lock.locked());
      const next = lock.acquire();
      go.set();
      using guard = await next;
      assertEquals(guard!.abandoned, false);
      await assertAllSucceed([child]);
    },
  );
}

contract("LOCK-01 Lock.release() once too often throws", async (ctx) => {
  const lock = new ctx.Lock();
  const report = Mailbox.in<string>(ctx);
  await assertAllSucceed([start(ctx, tryAndReport, lock, report)]);
  assertEquals(await report.take("what came of it"), "acquired");
  assertMatch(
    await report.take("what it looks like"),
    /^<Lock\(owner=\w+Process-\d+\)>$/,
  );
  assertEquals(await report.take("the release"), "released");
  assertThrows(
    () => lock.release(),
    ProcessError,
    "semaphore or lock released too many times",
  );
});

contract(
  "LOCK-02 RLock is taken as often as it is released, by one process",
  async (ctx) => {
    const lock = new ctx.RLock();
    for (let i = 0; i < 3; i++) assert(await lock.acquire());
    const report = Mailbox.in<string>(ctx);
    await assertAllSucceed([start(ctx, tryAndReport, lock, report)]);
    assertEquals(await report.take("what came of it"), "not acquired");
    assertEquals(
      await report.take("its owner"),
      "<RLock(SomeOtherProcess, nonzero)>",
    );
    assertMatch(await report.take("the release"), /not owned/);
    for (let i = 0; i < 3; i++) lock.release();
    assertThrows(() => lock.release(), ProcessError, "not owned");

    await assertAllSucceed([start(ctx, tryAndReport, lock, report)]);
    assertEquals(await report.take("what came of it"), "acquired");
    assertMatch(
      await report.take("its owner"),
      /^<RLock\(\w+Process-\d+, 1\)>$/,
    );
    assertEquals(await report.take("the release"), "released");
  },
);

contract(
  "LOCK-03 Lock is released at the end of a block of a child",
  async (ctx) => {
    const lock = new ctx.Lock();
    const gates = [SharedGate.in(ctx), SharedGate.in(ctx)] as const;
    gates[1].set();
    await assertAllSucceed([start(ctx, hold, lock, ...gates)]);
    assertEquals(lock.locked(), false);
  },
);

contract(
  "LOCK-X2 Lock of a child may be released here, an RLock not",
  async (ctx) => {
    const lock = new ctx.Lock();
    const rlock = new ctx.RLock();
    const held = SharedGate.in(ctx);
    const children = [lock, rlock].map((one) =>
      start(ctx, holdForEver, one, held)
    );
    await held.reaches(2, "both are held");
    assertEquals(`${lock}`, "<Lock(owner=SomeOtherProcess)>");
    assertEquals(`${rlock}`, "<RLock(SomeOtherProcess, nonzero)>");
    assertEquals(lock.release(), undefined);
    assertEquals(lock.locked(), false);
    assertThrows(() => rlock.release(), ProcessError, "not owned");
    for (const child of children) child.kill();
    await Promise.all(children.map(({ exited }) => exited));
  },
);

for (const blocks of [false, true]) {
  const how = blocks ? "one that blocks" : "one that waits";
  contract(`LESSON-06 Lock of a killed holder goes to ${how}`, async (ctx) => {
    for (const lock of [new ctx.Lock(), new ctx.RLock()]) {
      const held = SharedGate.in(ctx);
      const holder = start(ctx, holdForEver, lock, held);
      await held.reaches(1, "it is held");
      const report = Mailbox.in<boolean>(ctx);
      const waiter = start(ctx, acquireAndReport, lock, held, report, blocks);
      await held.reaches(2, "another is about to wait");
      const from = performance.now();
      holder.kill();
      assertEquals(await report.take("whether it was abandoned"), true);
      assert(performance.now() - from < SOON_MS);
      await assertAllSucceed([waiter]);
      await holder.exited;
      using guard = await lock.acquire();
      assertEquals(guard!.abandoned, false, "it is said once");
    }
  });
}

for (const name of ["Lock", "RLock", "Semaphore", "Queue"] as const) {
  contract(`${name} is not kept by one that is busy in line`, async (ctx) => {
    const isInLine = SharedGate.in(ctx);
    const held = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const one = name === "Queue"
      ? new ctx.Queue<unknown>()
      : new ctx[name](name === "Semaphore" ? 0 : undefined);
    const isLock = !("get" in one) && name !== "Semaphore";
    const holder = isLock ? start(ctx, hold, one, held, go) : undefined;
    if (isLock) await held.reaches(1, "it is held");
    const busy = start(ctx, waitBusy, one, isInLine);
    await isInLine.reaches(1, "one is in line, and busy");
    const next = "get" in one ? one.get() : one.acquire();
    if ("get" in one) await one.put("x");
    else if (isLock) go.set();
    else one.release();
    assert(await next);
    busy.kill();
    await busy.exited;
    if (holder) await assertAllSucceed([holder]);
    if ("get" in one) one.close();
    else one.release();
  });
}

for (const blocks of [false, true]) {
  const how = blocks ? "one that blocks" : "one that waits";
  contract(
    `LESSON-06 Lock of a killed holder goes to ${how} though the parent is busy`,
    async (ctx) => {
      const bounded = new ctx.BoundedSemaphore(1, { trackHolders: true });
      for (const lock of [new ctx.Lock(), new ctx.RLock(), bounded]) {
        const held = SharedGate.in(ctx);
        const go = SharedGate.in(ctx);
        const holder = start(ctx, holdAndBeKilled, lock, held, go);
        await held.reaches(1, "it is held");
        const report = Mailbox.in<boolean>(ctx);
        const waiter = start(ctx, acquireAndReport, lock, held, report, blocks);
        await held.reaches(2, "another is about to wait");
        go.set();
        // This thread hears of no end until it is back in its event loop.
        assertEquals(report.takeSync("whether it was abandoned"), true);
        await holder.exited;
        await assertAllSucceed([waiter]);
      }
    },
    { methods: ["spawn"] }, // that a thread has crashed is known to its parent alone
  );
}

contract(
  "LESSON-07 Lock stays held when its holder ends in good order",
  async (ctx) => {
    const held = SharedGate.in(ctx);
    const lock = new ctx.Lock();
    const rlock = new ctx.RLock();
    const semaphore = new ctx.Semaphore(1);
    for (const one of [lock, rlock, semaphore]) {
      await assertAllSucceed([start(ctx, holdAndEnd, one, held)]);
    }
    assertEquals(await lock.acquire({ block: false }), null);
    assertEquals(semaphore.getValue(), 0);
    lock.release();
    semaphore.release();
    assert(await lock.acquire({ block: false }));
    lock.release();
    // Nobody else may release an RLock, so it is abandoned.
    using guard = await rlock.acquire();
    assertEquals(guard!.abandoned, true);
  },
);

// ---- semaphores -------------------------------------------------------------

contract(
  "SEM-01 Semaphore counts what children acquire and release",
  async (ctx) => {
    const semaphore = new ctx.Semaphore(2);
    const held = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const children = several(2, () => start(ctx, hold, semaphore, held, go));
    await held.reaches(2, "both units are taken");
    assertEquals(semaphore.getValue(), 0);
    assertEquals(await semaphore.acquire({ block: false }), null);
    semaphore.release();
    assertEquals(semaphore.getValue(), 1);
    go.set();
    await assertAllSucceed(children);
    assertEquals(semaphore.getValue(), 3);
  },
);

contract(
  "SEM-02 BoundedSemaphore refuses a child's release too many",
  async (ctx) => {
    const semaphore = new ctx.BoundedSemaphore(2);
    const report = Mailbox.in<string>(ctx);
    await assertAllSucceed([start(ctx, tryAndReport, semaphore, report)]);
    assertEquals(await report.take("what came of it"), "acquired");
    await report.take("what it looks like");
    assertEquals(await report.take("the release"), "released");
    assertThrows(
      () => semaphore.release(),
      ProcessError,
      "semaphore or lock released too many times",
    );
  },
);

contract(
  "SEM-03 Semaphore that children hold is waited for as long as told",
  async (ctx) => {
    const semaphore = new ctx.Semaphore(1);
    const held = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const child = start(ctx, hold, semaphore, held, go);
    await held.reaches(1, "the unit is taken");
    for (const options of [{ block: false }, { timeout: 0 }, { timeout: -1 }]) {
      assertEquals(await semaphore.acquire(options), null);
    }
    const from = performance.now();
    assertEquals(await semaphore.acquire({ timeout: SHORT_MS }), null);
    assertEquals(semaphore.acquireSync({ timeout: SHORT_MS }), null);
    assert(performance.now() - from >= 2 * SHORT_MS - TOLERANCE_MS);
    go.set();
    await assertAllSucceed([child]);
  },
);

// ---- conditions -------------------------------------------------------------

/** Waits until so many sleep on a condition. */
async function allSleep(
  ctx: Context,
  condition: InstanceType<Context["Condition"]>,
  sleeping: SharedGate,
  count: number,
): Promise<void> {
  await sleeping.reaches(count, `${count} are about to wait in ${ctx}`);
  // Each has the lock until it sleeps.
  using _guard = await condition.acquire();
}

for (const blocks of [false, true]) {
  const how = blocks ? "that block" : "that wait";
  contract(
    `COND-01 COND-03 Condition.notify(n) wakes n children ${how}`,
    async (ctx) => {
      const condition = new ctx.Condition();
      const sleeping = SharedGate.in(ctx);
      const woken = SharedGate.in(ctx);
      const report = Mailbox.in<boolean>(ctx);
      const children = several(
        3,
        () =>
          start(
            ctx,
            waitOn,
            condition,
            sleeping,
            woken,
            report,
            undefined,
            blocks,
          ),
      );
      // And tasks of this process beside them.
      const tasks = Array.from(
        { length: 3 },
        () => waitOn(condition, sleeping, woken, report),
      );
      await allSleep(ctx, condition, sleeping, 6);
      assertEquals(woken.value, 0);
      for (const [n, all] of [[1, 1], [2, 3], [3, 6], [3, 6]] as const) {
        {
          using _guard = await condition.acquire();
          condition.notify(n);
        }
        await woken.reaches(all, `${all} are woken`);
        // Whoever was woken too many would have had time to say so by now: each
        // round below takes the lock that it needs.
        using _guard = await condition.acquire();
        assertEquals(woken.value, all);
      }
      await Promise.all(tasks);
      await assertAllSucceed(children);
      assertEquals(report.drain(), Array(6).fill(true));
      assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");
    },
  );
}

contract(
  "COND-02 Condition.notifyAll() wakes all, after time-outs too",
  async (ctx) => {
    const condition = new ctx.Condition();
    const sleeping = SharedGate.in(ctx);
    const woken = SharedGate.in(ctx);
    const report = Mailbox.in<boolean>(ctx);
    const starts = (timeout?: number) =>
      several(
        3,
        () => start(ctx, waitOn, condition, sleeping, woken, report, timeout),
      );
    const tasks = (timeout?: number) =>
      [1, 2, 3].map(() => waitOn(condition, sleeping, woken, report, timeout));
    let children = starts(SHORT_MS);
    await Promise.all(tasks(SHORT_MS));
    await assertAllSucceed(children);
    assertEquals(report.drain(), Array(6).fill(false));
    assertEquals(`${condition}`, "<Condition(<RLock(None, 0)>, 0)>");

    children = starts();
    const waiting = tasks();
    await allSleep(ctx, condition, sleeping, 12);
    {
      using _guard = await condition.acquire();
      condition.notifyAll();
    }
    await Promise.all(waiting);
    await assertAllSucceed(children);
    assertEquals(report.drain(), Array(6).fill(true));
  },
);

contract(
  "COND-04 Condition.wait() that times out has the lock again",
  async (ctx) => {
    const condition = new ctx.Condition();
    await condition.acquire();
    const from = performance.now();
    assertEquals(await condition.wait({ timeout: SHORT_MS }), false);
    assert(performance.now() - from >= SHORT_MS - TOLERANCE_MS);
    const report = Mailbox.in<string>(ctx);
    await assertAllSucceed([start(ctx, tryAndReport, condition, report)]);
    assertEquals(await report.take("the lock is held"), "not acquired");
    condition.release();
  },
);

for (const blocks of [false, true]) {
  const how = blocks ? "blocks" : "waits";
  contract(
    `COND-05 Condition.waitFor() in a child that ${how}`,
    async (ctx) => {
      const condition = new ctx.Condition();
      const state = new ctx.Value("i", -1);
      const report = Mailbox.in<boolean>(ctx);
      const child = start(
        ctx,
        waitForFour,
        condition,
        state,
        report,
        undefined,
        blocks,
      );
      {
        using _guard = await condition.acquire();
        assertEquals(await condition.waitFor(() => state.value === 0), true);
      }
      for (let i = 0; i < 4; i++) {
        using _guard = await condition.acquire();
        state.value++;
        condition.notify();
      }
      await assertAllSucceed([child]);
      assertEquals(report.drain(), [true]);
    },
  );

  contract(
    `COND-06 Condition.waitFor() times out in a child that ${how}`,
    async (ctx) => {
      const condition = new ctx.Condition();
      const state = new ctx.Value("i", -1);
      const report = Mailbox.in<boolean>(ctx);
      const child = start(
        ctx,
        waitForFour,
        condition,
        state,
        report,
        SHORT_MS,
        blocks,
      );
      {
        using _guard = await condition.acquire();
        assertEquals(await condition.waitFor(() => state.value === 0), true);
      }
      for (let i = 0; i < 3; i++) {
        using _guard = await condition.acquire();
        state.value++;
        condition.notify();
      }
      await assertAllSucceed([child]);
      assertEquals(report.drain(), [false]);
    },
  );
}

contract("COND-07 Condition.wait() says what came first", async (ctx) => {
  const condition = new ctx.Condition();
  using _guard = await condition.acquire();
  assertEquals(await condition.wait({ timeout: 0 }), false);
  const go = SharedGate.in(ctx);
  const child = start(ctx, notifyOne, condition, go);
  const waiting = condition.wait({ timeout: 60_000 });
  go.set();
  assertEquals(await waiting, true);
  await assertAllSucceed([child]);
  const controller = new AbortController();
  const aborted = condition.wait({ signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");
  condition.notify(); // it has the lock again
});

contract(
  "COND-X1 LESSON-04 Condition.notifyAll() does not wait for the dead",
  async (ctx) => {
    const condition = new ctx.Condition();
    const sleeping = SharedGate.in(ctx);
    const woken = SharedGate.in(ctx);
    const report = Mailbox.in<boolean>(ctx);
    const children = several(
      3,
      () => start(ctx, waitOn, condition, sleeping, woken, report),
    );
    await allSleep(ctx, condition, sleeping, 3);
    children[1]!.kill();
    const from = performance.now();
    {
      using _guard = await condition.acquire();
      condition.notifyAll();
    }
    assert(performance.now() - from < 1000);
    await woken.reaches(2, "the living are woken");
    await assertAllSucceed([children[0]!, children[2]!]);
    await children[1]!.exited;
  },
);

// ---- events -----------------------------------------------------------------

for (const blocks of [false, true]) {
  const how = blocks ? "that block" : "that wait";
  contract(`EVENT-01 Event.set() releases children ${how}`, async (ctx) => {
    const event = new ctx.Event();
    assertEquals(event.isSet(), false);
    assertEquals(await event.wait({ timeout: 0 }), false);
    const here = SharedGate.in(ctx);
    const report = Mailbox.in<boolean>(ctx);
    const children = several(
      3,
      () => start(ctx, waitForSet, event, here, report, blocks),
    );
    await here.reaches(3, "all are about to wait");
    event.set();
    await assertAllSucceed(children);
    assertEquals(report.drain(), [true, true, true]);
    event.clear();
    assertEquals(await event.wait({ timeout: 1 }), false);
    const go = SharedGate.in(ctx);
    const setter = start(ctx, setOnce, event, go);
    const waiting = event.wait();
    go.set();
    assertEquals(await waiting, true);
    await assertAllSucceed([setter]);
    assertMatch(`${event}`, /^<Event at 0x[0-9a-f]+ set>$/);
  });
}

contract(
  "LESSON-58 Event.set() and clear() at once release all children",
  async (ctx) => {
    const events = Array.from({ length: EVENTS }, () => new ctx.Event());
    const waiting = SharedGate.in(ctx);
    const came = SharedGate.in(ctx);
    const children = several(
      3,
      () => start(ctx, waitForEach, events, waiting, came),
    );
    for (const [i, event] of events.entries()) {
      await waiting.reaches((i + 1) * 3, "all wait for it");
      event.set();
      event.clear();
    }
    await assertAllSucceed(children);
    assertEquals(came.value, EVENTS * 3);
  },
);

contract("LESSON-04 Event.set() does not wait for the dead", async (ctx) => {
  const event = new ctx.Event();
  const here = SharedGate.in(ctx);
  const report = Mailbox.in<boolean>(ctx);
  const children = several(
    2,
    () => start(ctx, waitForSet, event, here, report),
  );
  await here.reaches(2, "both wait");
  children[0]!.kill();
  const from = performance.now();
  event.set();
  assert(performance.now() - from < 1000);
  await assertAllSucceed([children[1]!]);
  await children[0]!.exited;
});

// ---- barriers ---------------------------------------------------------------

for (const blocks of [false, true]) {
  const how = blocks ? "that block" : "that wait";
  contract(
    `BARR-01 BARR-02 Barrier keeps children ${how} in step`,
    async (ctx) => {
      const barrier = new ctx.Barrier(PARTIES);
      const before = SharedGate.in(ctx);
      const after = SharedGate.in(ctx);
      await assertAllSucceed(
        several(
          PARTIES,
          () => start(ctx, passInStep, barrier, before, after, ROUNDS, blocks),
        ),
      );
      assertEquals(barrier.nWaiting, 0);
      assertEquals(barrier.broken, false);
    },
  );
}

contract(
  "BARR-03 Barrier.wait() gives each child another number",
  async (ctx) => {
    const barrier = new ctx.Barrier(PARTIES);
    const report = Mailbox.in<number>(ctx);
    await assertAllSucceed(
      several(PARTIES, () => start(ctx, passAndReport, barrier, report)),
    );
    assertEquals(report.drain().sort(), [0, 1, 2, 3, 4]);
  },
);

contract(
  "BARR-04 Barrier runs its action once, before any child goes on",
  async (ctx) => {
    const barrier = new ctx.Barrier(PARTIES, { action: actOnce });
    const count = SharedGate.in(ctx);
    const report = Mailbox.in<number>(ctx);
    await assertAllSucceed(
      several(
        PARTIES,
        () => start(ctx, passAfterAction, barrier, count, report),
      ),
    );
    assertEquals(report.drain(), Array(PARTIES).fill(1));
  },
);

for (
  const [row, spoiling, passes] of [
    ["BARR-05 Barrier.abort()", "abort", 0],
    ["BARR-06 Barrier.reset()", "reset", PARTIES],
  ] as const
) {
  contract(`${row} of one child is seen by all`, async (ctx) => {
    const barrier = new ctx.Barrier(PARTIES);
    const [first, second, broken] = [1, 2, 3].map(() => SharedGate.in(ctx)) as [
      SharedGate,
      SharedGate,
      SharedGate,
    ];
    await assertAllSucceed(
      several(
        PARTIES,
        (index) =>
          start(
            ctx,
            passOrBreak,
            barrier,
            index,
            spoiling,
            first,
            second,
            broken,
          ),
      ),
    );
    assertEquals(first.value, PARTIES);
    assertEquals(second.value, passes);
    assertEquals(broken.value, PARTIES - 1);
    assertEquals(barrier.broken, spoiling === "abort");
  });
}

contract(
  "BARR-07 Barrier is reset after an abort, and all children pass",
  async (ctx) => {
    const barrier = new ctx.Barrier(PARTIES);
    const other = new ctx.Barrier(PARTIES);
    const broken = SharedGate.in(ctx);
    const passed = SharedGate.in(ctx);
    await assertAllSucceed(
      several(
        PARTIES,
        (index) =>
          start(ctx, abortAndReset, barrier, other, index, broken, passed),
      ),
    );
    assertEquals(broken.value, PARTIES - 1);
    assertEquals(passed.value, PARTIES);
  },
);

for (
  const [row, own, given] of [
    ["BARR-08 Barrier.wait() that times out", undefined, SHORT_MS],
    ["BARR-09 Barrier with a time-out of its own", SHORT_MS, undefined],
  ] as const
) {
  contract(`${row} is broken for all children`, async (ctx) => {
    const barrier = new ctx.Barrier(PARTIES, { timeout: own });
    const broken = SharedGate.in(ctx);
    await assertAllSucceed(
      several(
        PARTIES,
        (index) => start(ctx, timeOut, barrier, index, broken, given),
      ),
    );
    assertEquals(broken.value, PARTIES);
    assert(barrier.broken);
  });
}

contract("BARR-10 Barrier(1) lets a child pass at once", async (ctx) => {
  const barrier = new ctx.Barrier(1);
  const report = Mailbox.in<number>(ctx);
  await assertAllSucceed([start(ctx, passAndReport, barrier, report)]);
  assertEquals(await barrier.wait(), 0);
  assertEquals(report.drain(), [0]);
});

contract(
  "BARR-X1 Barrier is broken for children by an action that throws",
  async (ctx) => {
    const barrier = new ctx.Barrier(2, { action: actOnce });
    const report = Mailbox.in<number>(ctx);
    // Waits first, so that the action runs here, where it has not been told.
    const child = start(ctx, passAndReport, barrier, report);
    while (barrier.nWaiting === 0) await ctx.sleep(1);
    assertMatch(`${barrier}`, /waiters=1\/2/);
    await assertRejects(() => barrier.wait(), Error, "has not been told");
    assertEquals(await child.exited, 1);
    assert(barrier.broken);
    assertMatch(`${barrier}`, /broken/);
    barrier.reset();
    assertEquals(barrier.broken, false);
  },
);

contract("LESSON-04 Barrier does not wait for a killed party", async (ctx) => {
  const barrier = new ctx.Barrier(3);
  const broken = SharedGate.in(ctx);
  const children = several(2, () => start(ctx, timeOut, barrier, -1, broken));
  while (barrier.nWaiting < 2) await ctx.sleep(1);
  children[0]!.kill();
  await broken.reaches(1, "the other party learns of it");
  await assertAllSucceed([children[1]!]);
  await children[0]!.exited;
});

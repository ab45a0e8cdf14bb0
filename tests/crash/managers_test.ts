import { assert, assertEquals, assertRejects } from "@std/assert";
import * as say from "../../managers/_messages.ts";
import {
  AuthenticationError,
  BrokenBarrierError,
  EofError,
  ProcessError,
  SyncManager,
  TimeoutError,
} from "../../mod.ts";
import type {
  Context,
  LockProxy,
  Process,
  Remote,
  RLockProxy,
  SemaphoreProxy,
} from "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import { isRunning } from "../_support/proc.ts";
import { burnForEver, keepGate } from "../fixtures/manager_busy.ts";
import { know, Mark } from "../fixtures/manager_classes.ts";
import {
  acquire,
  callAndStay,
  crashAtStart,
  failToRead,
  getAndStay,
  getWithoutProxy,
  giveUpPutting,
  hangAtStart,
  holdAndCrash,
  holdAndExit,
  holdAndStay,
  holdAndThrow,
  holdWithoutProxy,
  myManagerOf,
  neverBegin,
  notifySelfAndStay,
  popAndBlock,
  putTooMuchAndEnd,
  startAndStay,
  tagOnce,
  useLater,
  waitAndStay,
  waitHoldingAndStay,
} from "../fixtures/managers.ts";
import type { MyManager, Workshop } from "../fixtures/managers.ts";
import { inChild, LEARN_MS, managed, timeOf } from "../managers/_managed.ts";
import { RawClient, valueOf } from "../managers/_raw_client.ts";

/** So long a client tries to connect to a server that does not answer. */
const CONNECT_MS = 20_000;

/** Ends a child by force, and waits until the system knows. */
async function kill(process: Process): Promise<void> {
  process.kill();
  await process.join();
}

/** Starts a child and waits until it says that it is where it is to be. */
async function started<A extends unknown[]>(
  ctx: Context,
  target: (...args: [...A, SharedGate]) => unknown,
  ...args: A
): Promise<Process> {
  const here = SharedGate.in(ctx);
  const process = new ctx.Process({
    target,
    args: [...args, here] as [...A, SharedGate],
  });
  process.start();
  await here.reaches(1, "the child is where it is to be");
  return process as unknown as Process;
}

/** Waits until the server says something of its objects. */
async function reaches(manager: SyncManager, text: string): Promise<void> {
  let info = "";
  await until(() => {
    manager.debugInfo().then((now) => info = now, () => {});
    return info.includes(text);
  }, () => `${text}: ${info}`);
}

/** What the survivor does has to be done in time. */
async function promptly(action: () => Promise<unknown>): Promise<void> {
  const ms = await timeOf(action);
  assert(ms < LEARN_MS, `it took ${ms} ms`);
}

// ---- clients --------------------------------------------------------------------

for (
  const [what, make] of [
    ["Lock", (m: SyncManager) => m.Lock()],
    ["RLock", (m: SyncManager) => m.RLock()],
    ["Semaphore", (m: SyncManager) => m.Semaphore(1)],
    ["BoundedSemaphore", (m: SyncManager) => m.BoundedSemaphore(1)],
  ] as [
    string,
    (m: SyncManager) => Promise<LockProxy | SemaphoreProxy | RLockProxy>,
  ][]
) {
  managed(
    `LESSON-07 a client killed with a ${what} abandons it, and the next is told`,
    async (m, ctx) => {
      const lock = await make(m);
      const process = await started(ctx, holdAndStay, lock);
      assertEquals(await lock.acquire({ block: false }), null);
      const waiting = lock.acquire();
      await kill(process);
      await promptly(async () => {
        const guard = await waiting;
        assertEquals(guard?.abandoned, true);
        await guard![Symbol.asyncDispose]();
      });
      const again = await lock.acquire();
      assertEquals(again?.abandoned, false, "told once");
    },
  );
}

for (const target of [holdAndCrash, holdAndThrow]) {
  managed(
    `LESSON-07 a client that ends with a lock in ${target.name}() abandons it`,
    async (m, ctx) => {
      const lock = await m.Lock();
      const process = new ctx.Process({ target, args: [lock] });
      process.start();
      await process.join();
      assert(process.exitCode !== 0);
      await promptly(async () => {
        assertEquals((await lock.acquire())?.abandoned, true);
      });
    },
  );
}

managed(
  "MGR-08 a client that ends by Deno.exit() leaves a lock held",
  async (m, ctx) => {
    const lock = await m.Lock();
    const other = await m.list([lock]);
    const process = new ctx.Process({ target: holdAndExit, args: [lock] });
    process.start();
    await process.join();
    assertEquals(process.exitCode, 0);
    // Its lease is gone, so the server has heard of its end.
    let info = "leases=2";
    await until(() => {
      m.debugInfo().then((now) => info = now);
      return !info.includes("leases=2");
    }, () => info);
    assert(await lock.locked());
    await lock.release();
    await other[Symbol.asyncDispose]();
  },
);

managed(
  "a client killed in a call leaves the others alone, and its leases go",
  async (_m, ctx) => {
    await using manager: MyManager = new (myManagerOf(ctx.getStartMethod()))();
    await manager.start();
    const workshop = await manager.create<Workshop>("Workshop");
    const process = await started(
      ctx,
      callAndStay,
      workshop as Remote<Workshop>,
    );
    assertEquals(await workshop.echo(1), 1);
    await kill(process);
    assertEquals(await workshop.echo(2), 2);
    await workshop[Symbol.asyncDispose]();
    let left = 1;
    await until(
      () => {
        manager.numberOfObjects().then((count) => left = count);
        return left === 0;
      },
      "the leases of the killed client end",
      LEARN_MS,
    );
  },
);

managed(
  "a client killed while it waits at a barrier breaks it for the others",
  async (m, ctx) => {
    const barrier = await m.Barrier(3);
    const process = await started(ctx, waitAndStay, barrier);
    const waiting = barrier.wait();
    // At once: the server may tell of the end before we hear of it ourselves.
    const broken = assertRejects(() => waiting, BrokenBarrierError);
    assertEquals(await barrier.nWaiting(), 2);
    await kill(process);
    await promptly(() => broken);
    await barrier.reset();
    assertEquals(await barrier.nWaiting(), 0);
  },
);

managed(
  "a client killed while it is to get a condition's lock back does not get it",
  async (m, ctx) => {
    const condition = await m.Condition();
    const [sign, otherSign] = [await m.Lock(), await m.Lock()];
    const first = await started(ctx, waitHoldingAndStay, condition, sign);
    const here = SharedGate.in(ctx);
    const second = new ctx.Process({
      target: waitHoldingAndStay,
      args: [condition, otherSign, here],
    });
    second.start();
    await here.reaches(1, "the second waits, too");
    await condition.acquire();
    await condition.notify();
    // The first has the news and waits for the lock, which we have.
    await kill(first);
    await promptly(async () => {
      assertEquals((await sign.acquire())?.abandoned, true);
    });
    await condition.release();
    // Neither the lock nor the news is lost with it.
    await promptly(() => here.reaches(2, "the second is told"));
    await promptly(async () => {
      assert(await condition.acquire({ timeout: LEARN_MS }), "it is free");
    });
    await condition.release();
    await kill(second as unknown as Process);
  },
);

managed(
  "a client killed with a condition's lock does not get it for its own waiter",
  async (m, ctx) => {
    const condition = await m.Condition();
    const process = await started(ctx, notifySelfAndStay, condition);
    await kill(process);
    await promptly(async () => {
      const guard = await condition.acquire({ timeout: LEARN_MS });
      assertEquals(guard?.abandoned, true);
    });
    await condition.release();
  },
);

managed(
  "a client killed while it waits for an item takes none",
  async (m, ctx) => {
    const queue = await m.Queue<number>();
    const process = await started(ctx, getAndStay, queue);
    await kill(process);
    // Before or behind the news of its end: nobody gets it but us.
    await queue.put(1);
    await promptly(async () => assertEquals(await queue.get(), 1));
  },
);

managed(
  "an item of a killed client goes back only when the list is not being updated",
  async (m, ctx) => {
    const list = await m.list(["x", "a", "b", "c"]);
    const [sign, event] = [await m.Lock(), await m.Event()];
    const process = await started(ctx, popAndBlock, list, sign);
    while (await list.length() === 4) { /* it is about to be taken */ }
    const updating = list.update(0, tagOnce, event);
    await list.length(); // behind it in the same connection, so it has begun
    await kill(process);
    await promptly(async () => {
      assertEquals((await sign.acquire())?.abandoned, true);
    });
    await event.set();
    assertEquals(await updating, "a!");
    assertEquals(await list.copy(), ["x", "a!", "b", "c"]);
  },
);

managed(
  "an item that is under way to a client that has ended goes back to the front",
  async (m) => {
    const queue = await m.Queue<number>();
    for (const item of [1, 2, 3]) await queue.put(item);
    const other = new SyncManager({ address: m.address });
    await other.connect();
    // Aborted after the request has left: the server gives the item, and gets it back.
    const theirs = await other.list([queue]);
    const shared = await theirs.get(0);
    const stop = new AbortController();
    const getting = shared.get({ signal: stop.signal });
    stop.abort(new Error("not wanted any more"));
    await assertRejects(() => getting, Error, "not wanted any more");
    await other.shutdown();
    const items = [await queue.get(), await queue.get(), await queue.get()];
    assertEquals(items, [1, 2, 3]);
  },
);

managed(
  "a wait that is aborted rejects at once and takes nothing",
  async (m) => {
    const lock = await m.Lock();
    const held = await lock.acquire();
    const stop = new AbortController();
    const waiting = lock.acquire({ signal: stop.signal });
    stop.abort("enough");
    await promptly(async () => {
      assertEquals(await waiting.catch((reason) => reason), "enough");
    });
    await held![Symbol.asyncDispose]();
    const guard = await lock.acquire({ block: false });
    assert(guard, "the aborted wait has not got it");
  },
);

// ---- servers --------------------------------------------------------------------

contract(
  "a server killed in a call rejects it, and every later one",
  async (ctx) => {
    const manager = new (myManagerOf(ctx.getStartMethod()))();
    await manager.start();
    const workshop = await manager.create<Workshop>("Workshop");
    const calls = [
      workshop.waitForEver(null),
      workshop.waitForEver(null),
    ].map((call) => call.catch((error: unknown) => error));
    await workshop.echo(0);
    manager.process!.kill();
    await promptly(async () => {
      for (const error of await Promise.all(calls)) {
        assert(error instanceof EofError, String(error));
        assert(error.message.includes("'waitForEver'"), error.message);
        assert(error.message.includes("has ended"), error.message);
      }
      await assertRejects(() => workshop.echo(1), EofError);
      // Also before anybody has heard that the process has ended.
      await assertRejects(() => manager.create("Workshop"), EofError);
      await assertRejects(() => manager.numberOfObjects(), EofError);
      await manager.shutdown();
    });
  },
);

contract("a server that a method ends rejects the call", async (ctx) => {
  const manager = new (myManagerOf(ctx.getStartMethod()))();
  await manager.start();
  const workshop = await manager.create<Workshop>("Workshop");
  await promptly(async () => {
    await assertRejects(() => workshop.exit(), EofError);
    await manager.shutdown();
  });
  assertEquals(manager.process!.exitCode, 7);
});

contract("a client in a child hears of the end of the server", async (ctx) => {
  const manager = await ctx.Manager();
  const list = await manager.list([1]);
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const process = new ctx.Process({ target: useLater, args: [list, here, go] });
  process.start();
  await here.reaches(1, "the child runs");
  await kill(manager.process!);
  go.set();
  await promptly(() => process.join());
  assertEquals(process.exitCode, 1);
  await manager.shutdown();
});

contract("start() rejects if the server ends while it starts", async (ctx) => {
  const manager = new ctx.SyncManager();
  const error = await assertRejects(
    () => manager.start(crashAtStart),
    ProcessError,
  );
  // A thread cannot be killed from inside: it crashes with an error, which is told.
  if (ctx.getStartMethod() === "spawn") {
    assert(error.message.includes("exit code -9"), error.message);
  }
}, { methods: ["spawn"] });

contract(
  "start() rejects if the server is killed while it starts",
  async (ctx) => {
    const manager = new ctx.SyncManager();
    const here = SharedGate.in(ctx);
    const starting = manager.start(hangAtStart, [here]).catch((error) => error);
    await here.reaches(1, "the initializer runs");
    await promptly(async () => {
      manager.process!.kill();
      const error = await starting;
      assert(error instanceof ProcessError, String(error));
      assert(error.message.includes("before it listened"), error.message);
    });
  },
);

contract("a server ends with the process that started it", async (ctx) => {
  const here = SharedGate.in(ctx);
  const process = new ctx.Process({
    target: startAndStay,
    args: [ctx.getStartMethod(), here],
  });
  process.start();
  await here.reaches(1, "the server runs");
  const server = here.value;
  await kill(process as unknown as Process);
  if (ctx.getStartMethod() === "spawn") {
    await until(() => !isRunning(server), "the server has ended", LEARN_MS);
  }
  // What the two had to talk about the start with, a ring and its segment, was the
  // killed one's to free, and is no shared object that whoever buries it knows of.
}, { keepsBlocks: true });

contract(
  "a wrong key is refused, and the server serves the others on",
  async (ctx) => {
    await using manager = await ctx.Manager();
    const { address } = manager;
    for (let i = 0; i < 3; i++) {
      const stranger = new SyncManager({ address, authkey: new Uint8Array(9) });
      await promptly(() =>
        assertRejects(() => stranger.connect(), AuthenticationError)
      );
    }
    assertEquals(await (await manager.list([1])).copy(), [1]);
  },
);

// ---- what is under way ------------------------------------------------------------

for (const what of ["Semaphore", "BoundedSemaphore"] as const) {
  managed(
    `a client killed before it has heard of its unit of a ${what} harms nobody if somebody has released that`,
    async (m) => {
      const semaphore = await m[what](1);
      const lock = await m.Lock();
      const client = await RawClient.to(m);
      await client.take(lock, "acquire", {});
      await client.begin(semaphore, "acquire", {});
      await semaphore.release();
      await client.die();
      assertEquals(await semaphore.value(), 1);
      // What comes behind in the server's list of what it gives up.
      assertEquals((await lock.acquire())?.abandoned, true);
    },
  );

  managed(
    `a client that gives up a unit of a ${what} which somebody has released is served on`,
    async (m) => {
      const semaphore = await m[what](1);
      using client = await RawClient.to(m);
      await client.begin(semaphore, "acquire", {});
      await semaphore.release();
      client.cancel(2);
      client.call(semaphore, "value");
      assertEquals(valueOf(await client.read(say.RESULT)), 1);
    },
  );

  managed(
    `a unit of a ${what} that was released for a client does not come back again when that is killed`,
    async (m) => {
      const semaphore = await m[what](2);
      const client = await RawClient.to(m);
      await client.take(semaphore, "acquire", {});
      await client.take(semaphore, "acquire", {});
      await semaphore.release();
      assertEquals(await semaphore.value(), 1);
      await client.die();
      assertEquals(await semaphore.value(), 2);
    },
  );
}

managed(
  "a unit that is released by somebody who has none is one of those who have ended, if there are such",
  async (m, ctx) => {
    const semaphore = await m.Semaphore(2);
    await inChild(ctx, acquire, semaphore);
    const client = await RawClient.to(m);
    await client.take(semaphore, "acquire", {});
    await semaphore.release();
    await client.die();
    assertEquals(await semaphore.value(), 2);
  },
);

managed(
  "the items that were under way to a killed client go back in their order",
  async (m) => {
    const queue = await m.Queue<number>();
    const client = await RawClient.to(m);
    for (const item of [1, 2, 3, 4]) await queue.put(item);
    for (const item of [1, 2, 3]) {
      assertEquals(await client.begin(queue, "get", {}), item);
    }
    await client.die();
    assertEquals(await queue.getValue(), [1, 2, 3, 4]);
  },
);

managed(
  "those who wait get the items of a killed client in their order",
  async (m) => {
    const queue = await m.Queue<number>();
    const client = await RawClient.to(m);
    for (const item of [1, 2, 3]) await queue.put(item);
    for (const _ of [1, 2, 3]) await client.begin(queue, "get", {});
    const getting = [queue.get(), queue.get()];
    assertEquals(await queue.qsize(), 0); // behind them, so they wait
    await client.die();
    assertEquals(await Promise.all(getting), [1, 2]);
    assertEquals(await queue.getValue(), [3]);
  },
);

managed(
  "items that were not wanted any more go back in their order",
  async (m) => {
    const queue = await m.Queue<number>();
    using client = await RawClient.to(m);
    for (const item of [1, 2, 3, 4]) await queue.put(item);
    const requests: number[] = [];
    for (const _ of [1, 2, 3]) {
      requests.push(client.call(queue, "get", {}));
      await client.read(say.TAKEN);
    }
    for (const request of requests) client.cancel(request);
    client.call(queue, "qsize");
    assertEquals(valueOf(await client.read(say.RESULT)), 4);
    assertEquals(await queue.getValue(), [1, 2, 3, 4]);
  },
);

managed(
  "an item that comes together with the end of the wait for it goes back at once",
  async (m) => {
    const queue = await m.Queue<string>();
    using client = await RawClient.to(m);
    const getting = client.call(queue, "get", {});
    // The last two go in one write, behind the first, and are read in one go.
    client.call(queue, "empty");
    client.call(queue, "put", "x", {});
    client.cancel(getting);
    assertEquals(valueOf(await client.read(say.RESULT)), true);
    // The client says nothing more, and yet it is there for others.
    await promptly(async () => assertEquals(await queue.get(), "x"));
  },
);

for (const what of ["Lock", "RLock", "Semaphore"] as const) {
  managed(
    `the news that a ${what} was abandoned is kept for somebody who hears it`,
    async (m) => {
      const lock: LockProxy | SemaphoreProxy = await m[what]();
      const first = await RawClient.to(m);
      await first.take(lock, "acquire", {});
      await first.die();
      // One does not wait any more when it comes, the other is killed.
      using second = await RawClient.to(m);
      const request = second.call(lock, "acquire", {});
      const told = valueOf(await second.read(say.TAKEN));
      assertEquals(told, { abandoned: true });
      second.cancel(request);
      const third = await RawClient.to(m);
      const toldNext = await third.begin(lock, "acquire", {});
      assertEquals(toldNext, { abandoned: true });
      await third.die();
      const guard = await lock.acquire();
      assertEquals(guard?.abandoned, true);
      await guard![Symbol.asyncDispose]();
      assertEquals((await lock.acquire())?.abandoned, false, "told once");
    },
  );
}

managed(
  "the news that an RLock was abandoned is kept if only the first of two acquisitions is given up",
  async (m) => {
    const lock = await m.RLock();
    const first = await RawClient.to(m);
    await first.take(lock, "acquire", {});
    await first.die();
    using second = await RawClient.to(m);
    const request = second.call(lock, "acquire", {});
    await second.read(say.TAKEN);
    await second.take(lock, "acquire", {});
    second.cancel(request);
    second.call(lock, "release");
    await second.read(say.RESULT);
    assertEquals((await lock.acquire())?.abandoned, true);
  },
);

managed(
  "a condition's waiter that gets an abandoned lock back leaves the news to the next",
  async (m) => {
    const condition = await m.Condition();
    await condition.acquire();
    const waiting = condition.wait();
    const client = await RawClient.to(m);
    await client.take(condition, "acquire", {});
    client.call(condition, "notify");
    await client.read(say.RESULT);
    await client.die();
    assert(await waiting);
    await condition.release();
    assertEquals((await condition.acquire())?.abandoned, true);
  },
);

managed(
  "a client that disposes its only proxy while a call waits gets the answer",
  async (m, ctx) => {
    const queue = await m.Queue<string>();
    const process = await started(ctx, getWithoutProxy, queue);
    await reaches(m, "leases=1");
    await queue.put("item");
    await process.join();
    assertEquals(process.exitCode, 0);
  },
);

for (const what of ["Lock", "RLock"] as const) {
  managed(
    `a client that disposes its only proxy of a ${what} still holds it`,
    async (m, ctx) => {
      const lock = await m[what]();
      const process = await started(ctx, holdWithoutProxy, lock);
      await reaches(m, "leases=1");
      assertEquals(await lock.acquire({ block: false }), null);
      await kill(process);
      await promptly(async () => {
        const guard = await lock.acquire({ timeout: LEARN_MS });
        assertEquals(guard?.abandoned, true);
      });
    },
  );
}

contract(
  "an item that one client cannot read goes to one that can",
  async (ctx) => {
    await using manager = new ctx.SyncManager();
    await manager.start(know);
    const queue = await manager.Queue<Mark>();
    await queue.put(new Mark(3));
    const process = await started(ctx, failToRead, queue);
    await promptly(async () => assertEquals((await queue.get()).n, 3));
    await kill(process);
  },
);

contract(
  "a server that computes for ever keeps nobody who has a time-out, or ends",
  async (ctx) => {
    const manager = new ctx.SyncManager();
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    await manager.start(keepGate, [here]);
    const dict = await manager.dict({ a: 1 });
    const queue = await manager.Queue();
    const other = new ctx.SyncManager({ address: manager.address });
    await other.connect();
    const otherQueue = await other.Queue();
    const sender = new ctx.Process({
      target: putTooMuchAndEnd,
      args: [queue, here, go],
    });
    sender.start();
    await here.reaches(1, "the child has used its proxy");
    const burning = dict.update("a", burnForEver).catch((error) => error);
    await here.reaches(2, "the server does nothing else");
    go.set();
    const idler = new ctx.Process({ target: neverBegin, args: [queue] });
    idler.start();
    const ms = await timeOf(() =>
      Promise.all([
        assertRejects(
          () => queue.get({ timeout: 1 }),
          TimeoutError,
          "has not answered",
        ),
        giveUpPutting(otherQueue).then(() => other.shutdown()),
        sender.join(),
        idler.join(),
      ])
    );
    assert(ms < CONNECT_MS, `it took ${ms} ms`);
    assertEquals([sender.exitCode, idler.exitCode], [0, 0]);
    await manager.shutdown();
    assert(await burning instanceof EofError);
  },
);

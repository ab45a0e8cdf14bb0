import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BrokenBarrierError,
  ProcessError,
  QueueEmptyError,
  QueueFullError,
} from "../../mod.ts";
import type { LockProxy } from "../../mod.ts";
import {
  acquire,
  acquireAndRelease,
  square,
  useArray,
  useBarrier,
  useDict,
  useEvent,
  useJoinableQueue,
  useList,
  useNamespace,
  usePool,
  useQueue,
  useValue,
} from "../fixtures/managers.ts";
import { inChild, managed } from "./_managed.ts";

managed(
  "MGR-07 an event is set here and cleared in a child",
  async (m, ctx) => {
    const event = await m.Event();
    await event.set();
    await inChild(ctx, useEvent, event);
    assertEquals(await event.isSet(), false);
  },
);

managed(
  "MGR-08 a lock acquired by a child that ended is released here, once",
  async (m, ctx) => {
    const lock = await m.Lock();
    await inChild(ctx, acquire, lock);
    assert(await lock.locked());
    assertEquals(await lock.acquire({ block: false }), null);
    await lock.release();
    await assertRejects(
      () => lock.release(),
      ProcessError,
      "release unlocked lock",
    );
  },
);

managed(
  "a value with a manager's lock is kept from all who have proxies of it",
  async (m, ctx) => {
    const messages = new ctx.SimpleQueue<unknown>();
    for (
      const [lock, isReentrant] of [
        [await m.Lock(), false],
        [await m.RLock(), true],
      ] as const
    ) {
      const value = new ctx.Value("i", 0, { lock });
      await messages.put(value);
      const again = await messages.get() as typeof value;
      const nested = value.withLock(() => again.withLock(() => 5));
      if (isReentrant) assertEquals(await nested, 5);
      else await assertRejects(() => nested, ProcessError, "wait for itself");
      const add = (to: typeof value) =>
        to.withLock(async () => {
          const before = to.value;
          await lock.locked(); // a round trip
          to.value = before + 1;
        });
      await Promise.all([value, again, value, again].map(add));
      assertEquals(value.value, 4);
    }
    messages.close();
  },
);

managed(
  "MGR-09 an RLock is acquired twice and released in a child",
  async (m, ctx) => {
    const lock = await m.RLock();
    await inChild(ctx, acquireAndRelease, lock);
    assertEquals(await lock.locked(), false);
    await assertRejects(
      () => lock.release(),
      ProcessError,
      "cannot release un-acquired lock",
    );
  },
);

managed(
  "MGR-10 a semaphore acquired by a child that ended is released here",
  async (m, ctx) => {
    const semaphore = await m.Semaphore();
    await inChild(ctx, acquire, semaphore);
    assertEquals(await semaphore.value(), 0);
    await semaphore.release();
    await semaphore.release();
    assertEquals(await semaphore.value(), 2);
  },
);

managed(
  "MGR-11 a bounded semaphore refuses to be released too often",
  async (m, ctx) => {
    const semaphore = await m.BoundedSemaphore(1);
    await inChild(ctx, acquire, semaphore);
    await semaphore.release();
    await assertRejects(
      () => semaphore.release(),
      ProcessError,
      "Semaphore released too many times",
    );
  },
);

managed(
  "MGR-12 a condition is acquired and released in a child",
  async (m, ctx) => {
    const condition = await m.Condition();
    await inChild(ctx, acquireAndRelease, condition);
    await assertRejects(
      () => condition.notify(),
      ProcessError,
      "cannot notify on un-acquired lock",
    );
    await assertRejects(
      () => condition.wait(),
      ProcessError,
      "cannot wait on un-acquired lock",
    );
  },
);

managed(
  "MGR-12 Condition.waitFor() waits for a predicate that is asked here",
  async (m) => {
    const lock = await m.Lock();
    const condition = await m.Condition(lock);
    let isReady = false;
    await condition.acquire();
    const waiting = condition.waitFor(() => isReady);
    // A lock of its own is given up while one waits, so this one gets it.
    await using guard = await lock.acquire();
    assert(guard);
    isReady = true;
    await condition.notifyAll();
    await guard[Symbol.asyncDispose]();
    assert(await waiting);
    assertEquals(await condition.wait({ timeout: 1 }), false);
    await condition.release();
  },
);

managed(
  "MGR-13 a barrier tells its parties and is reset in a child",
  async (m, ctx) => {
    const barrier = await m.Barrier(5);
    await inChild(ctx, useBarrier, barrier);
    assertEquals(await barrier.broken(), false);
  },
);

managed(
  "MGR-13 a barrier opens for its parties, breaks, and is made new",
  async (m) => {
    const barrier = await m.Barrier(2);
    const places = await Promise.all([barrier.wait(), barrier.wait()]);
    assertEquals(places.sort(), [0, 1]);
    await assertRejects(() => barrier.wait({ timeout: 1 }), BrokenBarrierError);
    assert(await barrier.broken());
    await assertRejects(() => barrier.wait(), BrokenBarrierError);
    await barrier.reset();
    const waiting = barrier.wait();
    assertEquals(await barrier.nWaiting(), 1);
    await barrier.abort();
    await assertRejects(() => waiting, BrokenBarrierError);
  },
);

managed(
  "MGR-13 a barrier does not count whom it refuses for his time-out",
  async (m) => {
    const barrier = await m.Barrier(2);
    await assertRejects(() => barrier.wait({ timeout: NaN }), RangeError);
    assertEquals(await barrier.nWaiting(), 0);
    await assertRejects(() => m.Barrier(2, { timeout: NaN }), RangeError);
  },
);

managed("Waits in a manager refuse what Python takes bare", async (m) => {
  const queue = await m.Queue();
  // @ts-expect-error: as in Python
  await assertRejects(() => queue.get(false), TypeError, "{ block: false }");
  const event = await m.Event();
  // @ts-expect-error: as in Python
  await assertRejects(() => event.wait(1), TypeError, "{ timeout: 1 }");
});

managed(
  "MGR-12 Condition.wait() keeps the lock if it is refused for its time-out",
  async (m) => {
    const lock = await m.Lock();
    const condition = await m.Condition(lock);
    await condition.acquire();
    const waiting = lock.acquire();
    const refused = condition.wait({ timeout: NaN });
    await assertRejects(() => refused, RangeError);
    await condition.notify();
    await condition.release();
    assert(await waiting);
  },
);

managed(
  "MGR-12 a condition takes locks only, and says so",
  async (m) => {
    const others = [await m.Semaphore(1), await m.Condition(), await m.list()];
    for (const other of others) {
      const error = await assertRejects(
        () => m.Condition(other as unknown as LockProxy),
        TypeError,
        "'lock' must be a Lock or an RLock",
      );
      assert(error.message.includes(other.typeid), error.message);
    }
    assert(await (await m.Condition(await m.RLock())).acquire());
  },
);

managed(
  "MGR-08 a guard that is disposed after its proxy gives the lock back",
  async (m) => {
    const lock = await m.Lock();
    const box = await m.list([lock]);
    {
      using guard = await lock.acquire();
      assert(guard);
      await lock[Symbol.asyncDispose]();
    }
    const again = await box.get(0);
    assertEquals(await again.locked(), false);
  },
);

managed(
  "MGR-14 a pool in the server is used and terminated in a child",
  async (m, ctx) => {
    const pool = await m.Pool(2);
    await inChild(ctx, usePool, pool);
    await assertRejects(
      () => pool.apply(square, [2]),
      ProcessError,
      "Pool not running",
    );
  },
);

managed("LESSON-51 results of a pool in the server are proxies", async (m) => {
  const before = await m.numberOfObjects();
  {
    await using pool = await m.Pool(2);
    await using result = await pool.applyAsync(square, [3]);
    assertEquals(await result.get(), 9);
    assert(await result.ready());
    assert(await result.successful());
    assertEquals(await pool.starmap(square, [[4], [5]]), [16, 25]);
    const iterator = await pool.imap(square, [1, 2, 3]);
    assertEquals(await Array.fromAsync(iterator), [1, 4, 9]);
    await iterator[Symbol.asyncDispose]();
  }
  assertEquals(await m.numberOfObjects(), before);
});

managed(
  "MGR-15 a queue is filled here and emptied in a child",
  async (m, ctx) => {
    const queue = await m.Queue<number>(2);
    await queue.put(5);
    await queue.put(6);
    await assertRejects(() => queue.putNowait(7), QueueFullError);
    await assertRejects(() => queue.put(7, { timeout: 1 }), QueueFullError);
    await inChild(ctx, useQueue, queue);
    assert(await queue.empty());
    assertEquals(await queue.full(), false);
    await assertRejects(() => queue.get({ timeout: 1 }), QueueEmptyError);
  },
);

managed("MGR-16 a joinable queue counts what is done", async (m, ctx) => {
  const queue = await m.JoinableQueue<number>(2);
  await queue.put(5);
  await queue.put(6);
  assertEquals(await queue.join({ timeout: 1 }), false);
  const joining = queue.join();
  await inChild(ctx, useJoinableQueue, queue);
  assert(await joining);
});

managed("MGR-17 a list is used in a child", async (m, ctx) => {
  const list = await m.list([5]);
  await inChild(ctx, useList, list);
  assertEquals(await list.length(), 0);
  assertEquals(await list.copy(), []);
});

managed("MGR-18 a dict is used in a child", async (m, ctx) => {
  const dict = await m.dict<string, number>({ foo: 5 });
  await inChild(ctx, useDict, dict);
  assertEquals(await dict.size(), 0);
});

managed("MGR-19 a value is set in a child", async (m, ctx) => {
  const value = await m.Value("i", 1);
  await inChild(ctx, useValue, value);
  assertEquals(await value.get(), 2);
  assertEquals(await value.getValue(), 2);
  assertEquals(await value.str(), "Value('i', 2)");
});

managed("MGR-20 an array is read in a child", async (m, ctx) => {
  const array = await m.Array("i", [0, 1]);
  await inChild(ctx, useArray, array);
  await array.set(-1, 2 ** 31);
  assertEquals(await array.toArray(), [0, -(2 ** 31)]);
  assertEquals(await array.str(), "array('i', [0, -2147483648])");
  await assertRejects(
    () => array.get(2),
    RangeError,
    "array index out of range",
  );
  await assertRejects(
    () => array.set(0, "x" as never),
    TypeError,
    "must be a number",
  );
  await array.setSlice(0, [8, 9]);
  assertEquals(await array.slice(1), [9]);
  await assertRejects(() => m.Array("x", [1]), RangeError, "type code");
  const big = await m.Array("q", [2n ** 40n]);
  assertEquals(await big.get(0), 2n ** 40n);
});

managed("MGR-21 a namespace is read in a child", async (m, ctx) => {
  const namespace = await m.Namespace<{ x: number; y: number }>();
  await namespace.set("x", 0);
  await namespace.set("y", 1);
  await inChild(ctx, useNamespace, namespace);
});

managed(
  "MGR-12 an aborted Condition.wait() has the lock again when it rejects",
  async (m) => {
    const condition = await m.Condition();
    await condition.acquire();
    const stop = new AbortController();
    const waiting = condition.wait({ signal: stop.signal });
    stop.abort("enough");
    assertEquals(await waiting.catch((reason) => reason), "enough");
    await condition.notify();
    await condition.release();
  },
);

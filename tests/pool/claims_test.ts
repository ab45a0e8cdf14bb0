/**
 * What `pool/README.md` and the documentation of the options claim, where no test
 * of the reference looks.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import {
  PoolTerminatedError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import "../../mod.ts";
import type { Progress } from "../../pool/mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import { holdSlow } from "../fixtures/pool_held.ts";
import * as work from "../fixtures/pool_targets.ts";

/** An error has to be there after so long, even on a busy machine. */
const SOON_MS = 5000;
/** More than a pool of one worker stands without any of them having done something. */
const LOSSES = 4;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

// ---- the crash-loop guard ---------------------------------------------------------

contract(
  "LESSON-14 tasks that end their workers one after the other break nothing",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const results = numbers(LOSSES).map((code) =>
      pool.applyAsync(work.exitWith, [code])
    );

    for (const [code, result] of results.entries()) {
      const error = await assertRejects(() => result.get(), WorkerLostError);
      assertEquals(error.exitCode, code);
    }
    assertEquals(await pool.apply(work.square, [3]), 9);
    assertEquals(pool.statistics().lost, LOSSES);
  },
);

contract(
  "LESSON-14 idle workers that are killed now and then break nothing",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;

    for (let round = 1; round <= 5; round++) {
      const { workers } = pool.statistics();
      const idle = workers.find(({ tasks }) => tasks === 0);
      ctx.activeChildren().find(({ name }) => name === idle?.name)!.kill();
      await until(() => pool.statistics().started === 2 + round, "replaced");
      await pool.ready;
      // Only one of them ever does anything.
      assertEquals(await pool.apply(work.square, [round]), round * round);
      if (round === 1) continue;
      assertEquals(
        pool.statistics().workers.filter(({ tasks }) => tasks > 0).length,
        1,
      );
    }
  },
);

contract("LESSON-14 the first cause is told, not the last", async (ctx) => {
  const starts = SharedGate.in(ctx);
  const pool = new ctx.Pool({
    processes: 1,
    initializer: work.exitWithOrdinal,
    initArgs: [starts],
  });

  const error = await assertRejects(
    () => pool.apply(work.square, [1]),
    WorkerLostError,
  );
  assert(starts.value > 1);
  assertInstanceOf(error.cause, WorkerLostError);
  assertEquals(error.cause.exitCode, 1);
  await pool.terminate();
});

// ---- ends -------------------------------------------------------------------------

contract(
  "terminate() ends a process that takes no notice of SIGTERM",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const result = pool.applyAsync(work.ignoreTermination, [here]);
    await here.reaches(1, "it burns, and does not listen");

    const start = performance.now();
    await pool.terminate();
    assert(performance.now() - start < SOON_MS);
    await assertRejects(() => result.get(), PoolTerminatedError);
  },
  { methods: ["spawn"] },
);

contract(
  "terminate() rejects a result whose function is still being loaded",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const method = ctx.getStartMethod();
    const loading = Promise.withResolvers<void>();
    holdSlow(method, loading.promise);
    const result = pool.applyAsync(work.returnSlow, [here, method]);
    await here.reaches(1, "it has been called");
    await until(
      () => pool.statistics().workers[0]!.tasks === 1,
      "its answer has been collected",
    );
    assertEquals(result.ready(), false);

    await pool.terminate();
    await assertRejects(() => result.get(), PoolTerminatedError);
    loading.resolve();
  },
);

contract(
  "an iterator that nobody will ask again does not keep a closed pool",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    await (async () => {
      const it = pool.imap(work.square, numbers(100), { bufferSize: 2 });
      assertEquals((await it.next()).value, 0);
    })();
    pool.close();

    await until(() => {
      collectGarbage();
      return ctx.activeChildren().length === 0;
    }, "the iterator is collected, and the workers end");
    await pool.join();
  },
);

// ---- workers with a limited life --------------------------------------------------

contract(
  "a task that is taken back does not count for maxTasksPerChild",
  async (ctx) => {
    await using pool = new ctx.Pool({ processes: 1, maxTasksPerChild: 4 });
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const blocker = pool.applyAsync(work.waitFor, [here, go]);
    const ahead = [1, 2, 3].map(() => pool.applyAsync(work.whoAmI));
    await here.reaches(1, "the worker is busy, the others lie in its ring");

    // This has them taken back, and given again.
    const urgent = pool.applyAsync(work.whoAmI, [], { priority: 1 });
    go.set();
    await blocker;
    const [first, a, b, c] = await Promise.all([urgent, ...ahead]);
    assertEquals([a, b], [first, first]);
    assert(c !== first);
  },
);

contract(
  "each worker gets handles of its own with the initializer",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const pool = new ctx.Pool({
      processes: 1,
      maxTasksPerChild: 1,
      initializer: work.keepQueue,
      initArgs: [queue],
    });
    const idents = await pool.map(work.putWhoAmI, numbers(4), 1);
    pool.close();
    await pool.join();

    assertEquals(new Set(idents).size, 4);
    for (const ident of idents) {
      assertEquals(await queue.get({ timeout: SOON_MS }), ident);
    }
    queue.close();
  },
  { sharesObjects: true },
);

// ---- cancelling -------------------------------------------------------------------

contract(
  "a chunk that is cancelled does not begin its next item",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    for (const target of [work.spinInChunk, work.waitInChunk]) {
      const here = SharedGate.in(ctx);
      const result = pool.mapAsync(target, new Array(5).fill(here), 5);
      await here.reaches(1, "the first item runs");
      result.cancel();
      await assertRejects(() => result.get(), DOMException, "cancelled");
      assertEquals(await pool.apply(work.square, [3]), 9);
      assertEquals(here.value, 1);
    }
    assertEquals(pool.statistics().stopped, 0);
  },
);

contract("currentTask() is that of the running task only", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const seen = Mailbox.in<number | null>(ctx);

  await pool.map(work.lookAfterwards, [seen, seen], 1);
  assertEquals(await seen.take("a timer looks"), null);
  assertEquals(await seen.take("another one looks"), null);
});

contract("a signal that outlives its work is let go", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const { signal } = new AbortController();
  let listeners = 0;
  for (const [name, change] of [["add", 1], ["remove", -1]] as const) {
    const method = `${name}EventListener` as const;
    const original = signal[method].bind(signal) as (...args: never[]) => void;
    Object.defineProperty(signal, method, {
      value: (...args: never[]) => {
        listeners += change;
        original(...args);
      },
    });
  }

  const result = pool.applyAsync(work.square, [2], { signal });
  assertEquals(listeners, 1);
  assertEquals(await result.get({ signal }), 4);
  await pool.map(work.square, [1, 2], { signal });
  await assertRejects(() => pool.apply(work.toInt, ["x"], { signal }));
  const it = pool.imap(work.square, [1, 2], { signal });
  for await (const _ of it);
  const left = pool.imap(work.square, numbers(100), { signal });
  await left.next({ signal });
  await left.return();
  await assertRejects(
    () => pool.imap(work.slowly, [100]).next({ signal, timeout: 1 }),
    TimeoutError,
  );
  assertEquals(listeners, 0);
});

// ---- retries, failures, limits, progress ---------------------------------------------

contract("retries holds for each chunk of a map, and of imap", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const tries = SharedGate.in(ctx);
  const items = numbers(4).map((i) => ({ i, tries }));

  // The worker dies at each of the first two attempts at an odd item.
  assertEquals(
    await pool.map(work.exitTwiceWhenOdd, items, { chunkSize: 2, retries: 2 }),
    [0, 1, 2, 3],
  );
  assertEquals(tries.value, 6);
  tries.set(0);
  assertEquals(
    await Array.fromAsync(
      pool.imap(work.exitTwiceWhenOdd, items, { retries: 2 }),
    ),
    [0, 1, 2, 3],
  );
  tries.set(0);
  await assertRejects(
    () => pool.map(work.exitTwiceWhenOdd, items, { retries: 1 }),
    WorkerLostError,
  );
});

contract("map() throws the first failure to arrive", async (ctx) => {
  await using pool = new ctx.Pool(2);
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const items = numbers(2).map((i) => ({ i, here, go }));

  const result = pool.mapAsync(work.failInTurn, items, 1);
  await here.reaches(1, "the second has failed");
  await until(() => pool.statistics().tasks.held === 1, "it has arrived");
  assertEquals(result.ready(), false);
  go.set();
  await assertRejects(() => result.get(), RangeError, "item 1");
});

contract("with a time limit each item is a task of its own", async (ctx) => {
  await using pool = new ctx.Pool(1);

  await pool.map(work.square, numbers(40), { timeout: SOON_MS });
  assertEquals(pool.statistics().tasks.submitted, 40);
});

contract("onProgress is not called for every item", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const reports: Progress[] = [];
  const start = performance.now();

  await pool.map(work.square, numbers(2000), {
    chunkSize: 1,
    onProgress: (progress) => reports.push(progress),
  });
  const most = (performance.now() - start) / 100 + 2;
  assert(reports.length <= most, `it was called ${reports.length} times`);
  for (const [i, { done }] of reports.entries()) {
    if (i > 0) assert(done > reports[i - 1]!.done);
  }
  assertEquals(reports.at(-1)!.done, 2000);
});

contract(
  "a task does not wait behind a long one while a worker is free",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    // Half of the others lie in the ring of the worker that is busy.
    const long = pool.applyAsync(work.waitFor, [here, go, 7]);
    const others = numbers(12).map((i) => pool.applyAsync(work.square, [i]));

    for (const [i, other] of others.entries()) {
      assertEquals(await other, i * i);
    }
    assertEquals(long.ready(), false);
    go.set();
    assertEquals(await long, 7);
  },
);

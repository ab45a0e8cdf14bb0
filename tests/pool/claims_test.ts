/**
 * What `pool/README.md` and the documentation of the options claim, where no test
 * of the reference looks.
 *
 * @module
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  EncodingError,
  PoolTerminatedError,
  ProcessError,
  RemoteError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import { setSink } from "../../_log.ts";
import "../../mod.ts";
import type { Pool, Progress } from "../../pool/mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { countedSignal } from "../_support/listeners.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import { childThreads } from "../_support/proc.ts";
import * as copies from "../fixtures/pool_copies.ts";
import { holdSlow } from "../fixtures/pool_held.ts";
import { late } from "../fixtures/pool_late.ts";
import * as work from "../fixtures/pool_targets.ts";

/** An error has to be there after so long, even on a busy machine. */
const SOON_MS = 5000;
/** After so long a cancelled task is stopped. */
const GRACE_MS = 1000;
/** Bytes that stand out. */
const BIG_BYTES = 16 * 2 ** 20;
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

contract("a pool that has ended is not kept by anybody", async (ctx) => {
  const pools: WeakRef<object>[] = [];
  await (async () => {
    for (const end of ["terminate", "close"] as const) {
      const pool = new ctx.Pool(1);
      assertEquals(await pool.apply(work.square, [3]), 9);
      await pool[end]();
      await pool.join();
      pools.push(new WeakRef(pool));
    }
  })();
  await until(() => {
    collectGarbage();
    return pools.every((pool) => pool.deref() === undefined);
  }, "they are collected");
});

contract(
  "POOL-31 what a task has registered for the end of its worker is done then",
  async (ctx) => {
    const ends = Mailbox.in<number>(ctx);
    const pool = new ctx.Pool({ processes: 1, maxTasksPerChild: 1 });
    const idents = await pool.map(work.tellAtExit, [ends, ends], 1);
    pool.close();
    await pool.join();

    assertEquals(ends.drain(), idents);
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

contract(
  "cancel() of a task gives back at once what lies behind it",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    await pool.apply(work.blockAfterwards, [here, go]);
    await here.reaches(1, "the idle worker takes nothing");
    const first = pool.applyAsync(work.square, [1]);
    const second = pool.applyAsync(work.square, [2]);

    first.cancel();
    await assertRejects(() => first.get(), DOMException);
    go.set();
    assertEquals(await second, 4);
  },
);

contract(
  "a cancelled task that ends within its second costs no other its worker",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const gates = numbers(4).map(() => SharedGate.in(ctx));
    const [here, go, nextHere, nextGo] = gates as [
      SharedGate,
      SharedGate,
      SharedGate,
      SharedGate,
    ];
    await pool.ready;
    const cancelled = pool.applyAsync(work.waitFor, [here, go, 1]);
    const next = pool.applyAsync(work.waitFor, [nextHere, nextGo, 2]);
    await here.reaches(1, "the first runs");
    cancelled.cancel();
    const end = performance.now() + GRACE_MS;
    go.set();
    nextHere.reachesSync(1, "the next one runs, and the pool does not know");
    while (performance.now() < end);

    await assertRejects(() => cancelled.get(), DOMException);
    // The second has passed: its timer strikes in this turn.
    assertEquals(await next.wait({ timeout: 1 }), false);
    nextGo.set();
    assertEquals(await next, 2);
    assertEquals(pool.statistics().stopped, 0);
  },
);

contract("a task that waits is not run when it is cancelled", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const calls = SharedGate.in(ctx);
  // While priorities are about nothing is given ahead: all wait in the queue.
  const blocker = pool.applyAsync(work.waitFor, [here, go], { priority: 1 });
  await here.reaches(1, "the worker is busy");
  const results = numbers(4).map((i) =>
    pool.applyAsync(work.countedSquare, [i, calls])
  );
  assertEquals(pool.statistics().tasks.waiting, 4);

  results[1]!.cancel();
  results[2]!.cancel();
  assertEquals(pool.statistics().tasks.waiting, 2);
  go.set();
  await blocker;
  assertEquals(await Promise.all([results[0], results[3]]), [0, 9]);
  assertEquals(calls.value, 2);
});

contract("PoolIterator.return() gives up what was begun", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const here = SharedGate.in(ctx);
  const it = pool.imap(work.waitInChunk, new Array(20).fill(here));
  await here.reaches(1, "the first item runs");

  await it.return();
  assertEquals(await pool.apply(work.square, [3]), 9);
  assertEquals(here.value, 1);
  assertEquals(pool.statistics().stopped, 0);
});

contract("currentTask() is that of the running task only", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const seen = Mailbox.in<number | null>(ctx);

  await pool.map(work.lookAfterwards, [seen, seen], 1);
  assertEquals(await seen.take("a timer looks"), null);
  assertEquals(await seen.take("another one looks"), null);
});

contract(
  "a signal that is aborted while the arguments are encoded is in time",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const calls = SharedGate.in(ctx);
    const controller = new AbortController();
    const item = {
      lock: new ctx.Lock(),
      calls,
      get last() {
        controller.abort(new EvalError("enough"));
        return 1;
      },
    };

    const { signal } = controller;
    const result = pool.applyAsync(work.countCall, [item], { signal });
    await assertRejects(() => result.get(), EvalError);
    assertEquals(await pool.apply(work.square, [3]), 9);
    assertEquals(calls.value, 0);
    assertEquals(pool.statistics().tasks.submitted, 1);
  },
);

contract("a signal that outlives its work is let go", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const { signal, count } = countedSignal();

  const result = pool.applyAsync(work.square, [2], { signal });
  assertEquals(count(), 1);
  assertEquals(await result.get({ signal }), 4);
  await pool.map(work.square, [1, 2], { signal });
  await assertRejects(() => pool.apply(work.toInt, ["x"], { signal }));
  const refused = () => pool.applyAsync(work.identity, [() => {}], { signal });
  assertThrows(refused, EncodingError);
  const it = pool.imap(work.square, [1, 2], { signal });
  for await (const _ of it);
  // Nor does an iterator have to be asked once more than it has results.
  const asked = pool.imap(work.square, [1, 2], { signal });
  for (let i = 0; i < 2; i++) await asked.next();
  assertEquals(count(), 0);
  const left = pool.imap(work.square, numbers(100), { signal });
  await left.next({ signal });
  await left.return();
  await assertRejects(
    () => pool.imap(work.slowly, [100]).next({ signal, timeout: 1 }),
    TimeoutError,
  );
  assertEquals(count(), 0);
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

contract(
  "retries run the items that were given, though the list has changed",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const tries = SharedGate.in(ctx);
    const retries = 1;
    const args: [SharedGate, number] = [tries, 1];
    for (const change of ["clear", "push"] as const) {
      tries.set(0);
      const items = [args, args, args];
      const all = pool.starmap(work.exitUntil, items, {
        chunkSize: 5,
        retries,
      });
      if (change === "clear") items.length = 0;
      else items.push(args, args);
      assertEquals(await all, ["at last", "at last", "at last"]);
    }
    tries.set(0);
    const result = pool.apply(work.exitUntil, args, { retries });
    args.length = 0 as 2;
    assertEquals(await result, "at last");
  },
);

contract(
  "Pool that is ended while a task is being encoded again fails that task",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    let ended: Promise<void> | undefined;
    let encoded = 0;
    const item = {
      lock: new ctx.Lock(),
      get last() {
        if (++encoded > 1) ended = pool.terminate();
        return 1;
      },
    };
    const exit = work.exitWith as (item: unknown) => never;
    await assertRejects(
      () => pool.apply(exit, [item], { retries: 1 }),
      PoolTerminatedError,
    );
    assertEquals(encoded, 2);
    await ended;
  },
);

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

contract(
  "timeout frees the processor that a thread has used",
  async (ctx) => {
    const before = childThreads().length;
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    await assertRejects(
      () => pool.apply(work.burn, [here], { timeout: 100 }),
      TimeoutError,
    );
    assertEquals(await pool.apply(work.square, [3]), 9);

    // The system has one thread less: the one that took its place is there.
    await until(
      () => childThreads().length === before + 1,
      () => `the thread that burns ends: ${childThreads()}`,
    );
  },
  { methods: ["worker"] },
);

contract(
  "timeout does not count while the task's module is being loaded",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    assertEquals(await pool.apply(late, [5], { timeout: 100 }), 5);
  },
);

contract(
  "timeout holds for what lies behind tasks without one",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const first = pool.applyAsync(work.waitFor, [here, go]);
    const burning = pool.applyAsync(work.burn, [here], { timeout: 100 });
    await here.reaches(1, "the first runs, the other lies in the ring");

    go.set();
    await first;
    await assertRejects(() => burning.get(), TimeoutError);
  },
);

contract("with a time limit each item is a task of its own", async (ctx) => {
  await using pool = new ctx.Pool(1);

  await pool.map(work.square, numbers(40), { timeout: SOON_MS });
  assertEquals(pool.statistics().tasks.submitted, 40);
});

contract(
  "onProgress counts only items that have been done, also with failFast",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    for (const failFast of [true, false]) {
      const reports: number[][] = [];
      const options = {
        chunkSize: 9,
        failFast,
        onProgress: ({ done, failed, total }: Progress) => {
          reports.push([done, failed, total!]);
        },
      };
      await assertRejects(
        () => pool.map(work.throwAtThree, [1, 2, 3, 4, 5], options),
        RangeError,
      );
      assertEquals(reports, [[failFast ? 2 : 4, 1, 5]]);
    }
  },
);

contract(
  "map() waits for all items, though one throws what a terminated pool does",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const items = numbers(2).map((i) => ({ i, here, go }));

    const result = pool.mapAsync(work.seemTerminated, items, 1);
    await here.reaches(1, "the second runs");
    await until(() => pool.statistics().tasks.held === 1, "the first failed");
    assertEquals(result.ready(), false);
    go.set();
    await assertRejects(() => result.get(), PoolTerminatedError, "another");
  },
);

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
  for (const [i, { done, failed, total, rate, etaMs }] of reports.entries()) {
    if (i > 0) assert(done > reports[i - 1]!.done);
    assertEquals([failed, total], [0, 2000]);
    // As long as it would take at the rate so far.
    assertAlmostEquals(etaMs!, (2000 - done) / rate * 1000, 1e-6);
  }
  assertEquals(reports.at(-1)!.done, 2000);
});

// By what is known of its tasks after short ones, a worker can be given them all.
for (const [when, rounds] of [["", 0], [", after short ones", 5]] as const) {
  contract(
    `a task does not wait behind a long one while a worker is free${when}`,
    async (ctx) => {
      await using pool = new ctx.Pool(2);
      await pool.ready;
      for (let round = 0; round < rounds; round++) {
        const short = numbers(2000).map((i) => pool.apply(work.square, [i]));
        assertEquals((await Promise.all(short)).at(-1), 1999 * 1999);
      }
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
}

contract(
  "whatever a task throws is its own outcome, and no other's",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const outcome = (target: typeof work.throwOddity, name: string) =>
      pool.apply(target as (name: string) => unknown, [name]).then(
        () => assert(false, "it did not throw"),
        (error) => error,
      );

    for (const target of [work.throwOddity, work.throwOddityLater]) {
      const throwing = target as typeof work.throwOddity;
      assertEquals(await outcome(throwing, "null"), null);
      assertEquals(await outcome(throwing, "undefined"), undefined);
      assertEquals(await outcome(throwing, "text"), "just text");
      assertEquals(await outcome(throwing, "plain"), {
        then: 1,
        toString: null,
      });
      for (
        const [name, kind, message] of [
          ["symbol", RemoteError, /Symbol\(.?a sign.?\)/],
          ["frozen", RangeError, /^frozen$/],
          ["aggregate", AggregateError, /^many$/],
          ["dom", DOMException, /^not here$/],
          ["circular", RangeError, /^circular$/],
          ["getter", RangeError, /^$/],
          ["deno", Deno.errors.NotFound, /no.such.file/],
        ] as const
      ) {
        const error = await outcome(throwing, name);
        assertInstanceOf(error, kind as ErrorConstructor, name);
        assertMatch(error.message, message);
        if (kind !== RemoteError) assertInstanceOf(error.cause, RemoteError);
      }
    }
    assertEquals(await pool.apply(work.square, [3]), 9);
    assertEquals(pool.statistics().lost, 0);
  },
);

contract(
  "iterators can be each other's source, in one pool",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    const second = pool.imap(work.square, numbers(100), 3);
    const fourth = pool.imap(work.square, second, 7);
    assertEquals(
      await Array.fromAsync(fourth),
      numbers(100).map((i) => i ** 4),
    );
    // And end with each other.
    const endless = (function* () {
      for (let i = 0;; i++) yield i;
    })();
    const inner = pool.imap(work.square, endless);
    for await (const value of pool.imap(work.square, inner)) {
      if (value > 1000) break;
    }
    assertEquals(endless.next().done, true);
  },
);

contract(
  "LESSON-23 what a block leaves undone is said in the log",
  async (ctx) => {
    const warnings: string[] = [];
    const former = setSink({
      write: (severity, message) => {
        if (severity !== "warn") return;
        warnings.push(typeof message === "string" ? message : message());
      },
      getState: () => ({ level: 0, toStderr: false }),
      setState: () => {},
    });
    try {
      const here = SharedGate.in(ctx);
      {
        await using pool = new ctx.Pool(1);
        const results = [1, 2].map(() => pool.applyAsync(work.stay, [here]));
        await here.reaches(1, "one runs");
        assertEquals(results.length, 2);
      }
      assertMatch(warnings.join(), /with 2 tasks that are not done/);
      warnings.length = 0;
      {
        await using pool = new ctx.Pool(1);
        await pool.apply(work.square, [2]);
      }
      assertEquals(warnings, []);
    } finally {
      setSink(former);
    }
  },
);

// ---- big arguments ------------------------------------------------------------------

contract(
  "a big argument is copied to shared memory once, and out of it once",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const big = new Uint8Array(BIG_BYTES);
    const most = 1.1 * BIG_BYTES;

    const submits = {
      "a call": () => pool.apply(copies.copiedBytes, [big]),
      "an iterator": async () => {
        const { value } = await pool.imap(copies.copiedBytes, [big]).next();
        return value!;
      },
      "a map": async () => (await pool.map(copies.copiedBytes, [big]))[0]!,
    };
    for (const [what, submit] of Object.entries(submits)) {
      await pool.apply(copies.watchCopies);
      copies.watchCopies();
      const there = await submit();
      const sent = copies.copiedBytes();
      copies.stopWatching();
      assert(sent <= most, `${what} copied ${sent} bytes to send them`);
      assert(there <= most, `${what} copied ${there} bytes to receive them`);
    }
    // The same if it has to wait in the queue, where it may be moved about.
    await pool.apply(copies.watchCopies);
    const blocker = pool.applyAsync(work.waitFor, [here, go]);
    await here.reaches(1, "the worker is busy");
    copies.watchCopies();
    const waiting = pool.applyAsync(copies.copiedBytes, [big]);
    const urgent = pool.applyAsync(work.square, [2], { priority: 1 });
    go.set();
    await blocker;
    assertEquals(await urgent, 4);
    const there = await waiting;
    const sent = copies.copiedBytes();
    copies.stopWatching();
    assert(sent <= most && there <= most, `${sent} and ${there} bytes`);
    assert(sent >= BIG_BYTES, "copies are not counted");
  },
);

contract(
  "big arguments leave nothing behind, whatever becomes of their task",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const big = new Uint8Array(2 ** 20).fill(7);
    const bigs = new Array(4).fill(big);
    const expected = new Array(4).fill(big.length);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);

    // Done, by a call, a map and an iterator.
    assertEquals(await pool.apply(work.identity, [big]), big);
    assertEquals(await pool.map(work.lengthOf, bigs, 1), expected);
    assertEquals(
      await Array.fromAsync(pool.imap(work.lengthOf, bigs)),
      expected,
    );
    // Refused: a later item cannot be sent, or nobody wants it any more.
    await assertRejects(
      () => pool.map(work.identity<unknown>, [big, big, () => {}], 1),
      EncodingError,
      "items[2]",
    );
    await assertRejects(
      () => pool.map(work.lengthOf, bigs, { signal: AbortSignal.abort() }),
      DOMException,
    );
    // Given up before it began, from the queue and from the ring.
    const blocker = pool.applyAsync(work.waitFor, [here, go]);
    await here.reaches(1, "the worker is busy");
    const waiting = bigs.map((big) => pool.applyAsync(work.lengthOf, [big]));
    for (const result of waiting) result.cancel();
    go.set();
    await blocker;
    // Run again, and taken from the one who does so too slowly.
    const tries = SharedGate.in(ctx);
    assertEquals(
      await pool.apply(work.exitOnceWith, [tries, big], { retries: 1 }),
      big.length,
    );
    await assertRejects(
      () => pool.apply(work.burnWith, [here, big], { timeout: 100 }),
      TimeoutError,
    );
    // Lost, running and waiting, with the pool.
    here.set(0);
    const burning = pool.applyAsync(work.burnWith, [here, big]);
    const behind = pool.mapAsync(work.lengthOf, bigs, 1);
    await here.reaches(1, "it burns");
    await pool.terminate();
    for (const result of [burning, behind]) {
      await assertRejects(() => Promise.resolve(result), PoolTerminatedError);
    }
    // The harness counts the blocks of shared memory.
  },
);

contract(
  "Pool that is ended while work is being encoded refuses that work",
  async (ctx) => {
    const big = new Uint8Array(1 << 20);
    for (const end of ["close", "terminate"] as const) {
      const ways: ((pool: Pool, item: unknown) => Promise<unknown>)[] = [
        (pool, item) => pool.apply(work.identity, [item]),
        async (pool, item) => await pool.applyAsync(work.identity, [item]),
        (pool, item) => pool.map(work.identity, [big, item], 1),
        (pool, item) => pool.starmap(work.identity, [[big], [item]]),
        (pool, item) => pool.apply(work.identity, [[big, item]]),
      ];
      for (const submit of ways) {
        const pool = new ctx.Pool(1);
        const item = {
          lock: new ctx.Lock(),
          get last() {
            void pool[end]();
            return 1;
          },
        };
        const error = await assertRejects(
          () => submit(pool, item),
          ProcessError,
        );
        assertEquals(error.message, "Pool not running");
        await pool.terminate();
      }
      // An iterator may go on submitting when its pool is closed.
      const pool = new ctx.Pool(1);
      const results = pool.imap(work.identity, [{
        get last() {
          void pool[end]();
          return 1;
        },
      }]);
      if (end === "close") {
        assertEquals(await Array.fromAsync(results), [{ last: 1 }]);
      } else {
        await assertRejects(() => results.next(), PoolTerminatedError);
      }
      await pool.join();
    }
  },
);

contract(
  "startTimeout ends a pool whose workers do not come to take tasks",
  async (ctx) => {
    for (const initializer of [work.burn, work.block, work.stay]) {
      const begun = SharedGate.in(ctx);
      const pool = new ctx.Pool({
        processes: 2,
        startTimeout: 1000,
        initializer: initializer as (begun: SharedGate) => unknown,
        initArgs: [begun],
      });
      const pending = pool.map(work.square, [1, 2, 3]);
      const error = await assertRejects(() => pending, ProcessError);
      assertMatch(
        error.message,
        /PoolWorker-\d takes no tasks 1000 ms after its start/,
      );
      await assertRejects(() => pool.ready, ProcessError, "takes no tasks");
      await assertRejects(() => pool.apply(work.square, [1]), ProcessError);
      await pool.terminate();
    }
    // Nor does one that is closed wait for them.
    const begun = SharedGate.in(ctx);
    const closed = new ctx.Pool({
      processes: 1,
      startTimeout: 1000,
      initializer: work.stay,
      initArgs: [begun],
    });
    const { ready } = closed;
    closed.close();
    await assertRejects(() => ready, ProcessError, "takes no tasks");
    await closed.join();
    // Those that come in time are not ended later.
    await using pool = new ctx.Pool({ processes: 1, startTimeout: 20_000 });
    assertEquals(await pool.map(work.square, [1, 2, 3]), [1, 4, 9]);
    for (const startTimeout of [0, -1, NaN]) {
      assertThrows(() => new ctx.Pool({ startTimeout }), RangeError);
    }
    // A pool that nobody waits for does not keep the program, nor does its timer.
    await using _idle = new ctx.Pool({ processes: 1, startTimeout: Infinity });
  },
);

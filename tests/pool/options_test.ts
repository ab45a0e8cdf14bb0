import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  EncodingError,
  PoolTerminatedError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import { setSink } from "../../_log.ts";
import { currentTask } from "../../mod.ts";
import type { Progress } from "../../pool/mod.ts";
import { ThreadPool } from "../../pool/mod.ts";
import { contract, once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import { processEntry } from "../_support/proc.ts";
import * as work from "../fixtures/pool_targets.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

// ---- time limits ----------------------------------------------------------------

contract(
  "timeout ends a task that runs too long, and frees the processor",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);

    const result = pool.applyAsync(work.burn, [here], { timeout: 100 });
    const behind = pool.applyAsync(work.square, [5]);
    await here.reaches(1, "the task burns");
    const [busy] = ctx.activeChildren();
    const error = await assertRejects(() => result.get(), TimeoutError);
    assertMatch(error.message, /task "burn" as it ran longer than 100 ms/);
    assertEquals(await behind, 25);
    assertEquals(busy!.isAlive(), false);
    const { stopped, lost, restarts } = pool.statistics();
    assertEquals([stopped, lost, restarts], [1, 0, 1]);
  },
);

contract(
  "timeout counts from the start of the task, not from its submission",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    // Together they take longer than one may.
    const results = numbers(8).map((i) =>
      pool.applyAsync(work.squareLater, [i, 100], { timeout: 600 })
    );
    for (const [i, result] of results.entries()) {
      assertEquals(
        await result,
        i * i,
      );
    }
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    await using slow = new ctx.Pool({
      processes: 1,
      initializer: work.initializeAfter,
      initArgs: [here, go],
    });
    const late = slow.applyAsync(work.square, [3], { timeout: 50 });
    await here.reaches(1, "the worker is still starting");
    assertEquals(await late.wait({ timeout: 100 }), false);
    go.set();
    assertEquals(await late, 9);
  },
);

contract("timeout is that of each item, and costs no other", async (ctx) => {
  await using pool = new ctx.Pool(2);

  const it = pool.imap(work.burnAtTwo, numbers(5), { timeout: 300 });
  for (let i = 0; i < 5; i++) {
    if (i === 2) await assertRejects(() => it.next(), TimeoutError, "item 2");
    else assertEquals(await it.next(), { done: false, value: i });
  }
  // Within a chunk, too, whose items take longer together than one may.
  assertEquals(
    await pool.map(work.slowly, new Array(8).fill(100), {
      chunkSize: 8,
      timeout: 600,
    }),
    new Array(8).fill(100),
  );
  await assertRejects(
    () => pool.map(work.burnAtTwo, numbers(5), { chunkSize: 5, timeout: 300 }),
    TimeoutError,
    "item 2",
  );
  for (const wrong of [0, -1]) {
    assertThrows(
      () => pool.applyAsync(work.square, [1], { timeout: wrong }),
      RangeError,
    );
  }
});

contract(
  "timeout holds for a task whose turn comes because others are taken away",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const idleMayGo = SharedGate.in(ctx);
    const busy = pool.applyAsync(work.waitFor, [here, go]);
    await here.reaches(1, "the first worker is busy");
    await pool.apply(work.blockAfterwards, [here, idleMayGo]);
    await here.reaches(2, "the second does not take what it is given");
    // Every other one is for the second worker.
    const others = [1, 2].map((x) => pool.applyAsync(work.square, [x]));
    const burning = pool.applyAsync(work.burn, [here], { timeout: 100 });
    go.set();
    await busy;
    // The first worker has taken over what was ahead of the task that burns.
    assertEquals(await Promise.all(others), [1, 4]);
    assertEquals(pool.statistics().tasks.held, 1);

    idleMayGo.set();
    await here.reaches(3, "it burns");
    await assertRejects(() => burning.get(), TimeoutError);
  },
);

// ---- cancelling -------------------------------------------------------------------

contract(
  "cancel() gives up one task and leaves its neighbours alone",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const running = pool.applyAsync(work.waitFor, [here, go, 1]);
    const second = pool.applyAsync(work.waitFor, [here, go, 2]);
    const third = pool.applyAsync(work.waitFor, [here, go, 3]);
    await here.reaches(1, "the first runs");

    second.cancel();
    await assertRejects(() => second.get(), DOMException, "cancelled");
    second.cancel();
    go.set();
    assertEquals(await running, 1);
    assertEquals(await third, 3);
    assertEquals(here.value, 2);
    assertEquals(pool.statistics().stopped, 0);
  },
);

contract(
  "currentTask().signal tells a task that it is cancelled",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const reasons = Mailbox.in<string>(ctx);

    for (const target of [work.spinUntilCancelled, work.waitUntilCancelled]) {
      const here = SharedGate.in(ctx);
      const result = pool.applyAsync(target, [here, reasons]);
      await here.reaches(1, "the task runs");
      result.cancel();
      await assertRejects(() => result.get(), DOMException);
      assertEquals(await reasons.take("the task ends by itself"), "AbortError");
    }
    assertEquals(await pool.apply(work.square, [3]), 9);
    const { stopped, started } = pool.statistics();
    assertEquals([stopped, started], [0, 1]);
  },
);

contract(
  "a cancelled task that does not listen is stopped with its worker",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const controller = new AbortController();
    const result = pool.applyAsync(work.burn, [here], {
      signal: controller.signal,
    });
    const behind = pool.applyAsync(work.square, [4]);
    await here.reaches(1, "the task burns");

    controller.abort(new EvalError("enough"));
    await assertRejects(() => result.get(), EvalError, "enough");
    assertEquals(await behind, 16);
    assertEquals(pool.statistics().stopped, 1);
  },
);

contract(
  "signal gives up a map, an iterator, and what has not begun",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const blocker = pool.applyAsync(work.waitFor, [here, go]);
    await here.reaches(1, "the pool is busy");
    const aborted = AbortSignal.abort(new EvalError("before"));
    const calls = SharedGate.in(ctx);
    const items = numbers(10).map((i) => [i, calls] as [number, SharedGate]);

    await assertRejects(
      () => pool.apply(work.square, [1], { signal: aborted }),
      EvalError,
    );
    await assertRejects(
      () => pool.map(work.square, [1, 2], { signal: aborted }),
      EvalError,
    );
    assertThrows(
      () => pool.imap(work.square, [1], { signal: aborted }),
      EvalError,
    );
    const controller = new AbortController();
    const { signal } = controller;
    const mapped = pool.starmap(work.countedSquare, items, {
      signal,
      chunkSize: 1,
    });
    let finished = false;
    const source = (function* () {
      try {
        while (true) yield 1;
      } finally {
        finished = true;
      }
    })();
    const it = pool.imap(work.square, source, { signal });
    const next = it.next();
    controller.abort(new EvalError("enough"));
    await assertRejects(() => mapped, EvalError);
    await assertRejects(() => next, EvalError);
    assertEquals(await it.next(), { done: true, value: undefined });
    assertEquals(finished, true);
    go.set();
    await blocker;
    assertEquals(await pool.apply(work.square, [3]), 9);
    assertEquals(calls.value, 0);
    assertEquals(pool.statistics().stopped, 0);
  },
);

contract("currentTask().index is the item's", async (ctx) => {
  await using pool = new ctx.Pool(2);

  assertEquals(currentTask(), null);
  assertEquals(
    await pool.map(work.getIndex, numbers(7).reverse(), 3),
    numbers(7),
  );
  assertEquals(await pool.apply(work.getIndex, ["x"]), 0);
});

// ---- retries, priorities ------------------------------------------------------------

contract("retries runs a task again whose worker died", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const tries = SharedGate.in(ctx);

  assertEquals(
    await pool.apply(work.exitUntil, [tries, 2], { retries: 2 }),
    "at last",
  );
  assertEquals(tries.value, 3);
  tries.set(0);
  await assertRejects(
    () => pool.apply(work.exitUntil, [tries, 2], { retries: 1 }),
    WorkerLostError,
  );
  assertEquals(tries.value, 2);
  // An error that is thrown is final.
  tries.set(0);
  await assertRejects(
    () => pool.apply(work.toInt, ["x"], { retries: 5 }),
    RangeError,
  );
  assertEquals(await pool.map(work.square, [1, 2], { retries: 1 }), [1, 4]);
});

contract(
  "priority decides what begins first, whenever it was submitted",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const names = Mailbox.in<string>(ctx);
    const blocker = pool.applyAsync(work.waitFor, [here, go]);
    const submit = (name: string, priority?: number) =>
      pool.applyAsync(work.order, [names, name], { priority });
    const results = [submit("a"), submit("b")];
    await here.reaches(1, "the pool is busy");

    results.push(submit("low", -1), submit("high", 5), submit("c"));
    results.push(submit("higher", 7), submit("high too", 5));
    go.set();
    await blocker;
    await Promise.all(results);
    assertEquals(names.drain(), [
      "higher",
      "high",
      "high too",
      "a",
      "b",
      "c",
      "low",
    ]);
  },
);

contract(
  "priority decides also while the workers are still starting",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const names = Mailbox.in<string>(ctx);
    await using pool = new ctx.Pool({
      processes: 1,
      initializer: work.initializeAfter,
      initArgs: [here, go],
    });
    await here.reaches(1, "the worker is starting");

    const results = [0, 1, 2, 3, -1].map((priority) =>
      pool.apply(work.order, [names, `${priority}`], { priority })
    );
    go.set();
    await Promise.all(results);
    assertEquals(names.drain(), ["3", "2", "1", "0", "-1"]);
  },
);

// ---- the workers ----------------------------------------------------------------------

contract(
  "minProcesses and idleTimeout let the pool grow and shrink",
  async (ctx) => {
    await using pool = new ctx.Pool({
      processes: 3,
      minProcesses: 0,
      idleTimeout: 50,
    });
    assertEquals(pool.statistics().workers, []);
    assertMatch(String(pool), /pool_size=3/);

    for (let round = 0; round < 2; round++) {
      assertEquals(await pool.apply(work.square, [3]), 9);
      assertEquals(pool.statistics().workers.length, 1);
      const here = SharedGate.in(ctx);
      const idents = await pool.map(work.meetThree, new Array(3).fill(here), 1);
      assertEquals(new Set(idents).size, 3);
      await until(
        () => pool.statistics().workers.length === 0,
        "the idle are sent away",
      );
    }
    assertThrows(
      () => new ctx.Pool({ processes: 2, minProcesses: 3 }),
      RangeError,
    );
    assertThrows(() => new ctx.Pool({ idleTimeout: -1 }), RangeError);
  },
);

contract("an elastic pool does its work after close()", async (ctx) => {
  const pool = new ctx.Pool({ processes: 2, minProcesses: 0, idleTimeout: 10 });
  const result = pool.mapAsync(work.square, numbers(50), 1);
  pool.close();
  await pool.join();

  assertEquals(await result, numbers(50).map((i) => i * i));
  const unused = new ctx.Pool({ processes: 2, minProcesses: 0 });
  unused.close();
  await unused.join();
  await using another = new ctx.Pool({ processes: 2, minProcesses: 0 });
  await another.ready;
});

contract(
  "maxMemoryPerChildMb replaces a worker that has grown",
  async (ctx) => {
    const limit = ctx.getStartMethod() === "spawn" ? 200 : 100;
    await using pool = new ctx.Pool({
      processes: 1,
      maxMemoryPerChildMb: limit,
    });

    const first = await pool.apply(work.whoAmI);
    assertEquals(await pool.apply(work.whoAmI), first);
    assertEquals(await pool.apply(work.grow, [limit + 50]), first);
    assertNotEquals(await pool.apply(work.whoAmI), first);
    assertEquals(pool.statistics().recycled, 1);
    assertThrows(() => new ctx.Pool({ maxMemoryPerChildMb: 0 }), RangeError);
  },
);

contract(
  "maxMemoryPerChildMb that no worker can keep lets each do something",
  async (ctx) => {
    const warnings: string[] = [];
    const former = setSink({
      write: (severity, message) => {
        if (severity === "warn") warnings.push(String(message));
      },
      getState: () => ({ level: 0, toStderr: false }),
      setState: () => {},
    });
    try {
      await using pool = new ctx.Pool({ processes: 2, maxMemoryPerChildMb: 1 });
      await pool.ready;
      assertEquals(pool.statistics().started, 2);
      const idents = new Set<number>();
      for (let i = 0; i < 3; i++) idents.add(await pool.apply(work.whoAmI));
      assertEquals(idents.size, 3);
    } finally {
      setSink(former);
    }
    assertEquals(warnings.length, 1);
    assertMatch(warnings[0]!, /needs \d+ MiB.*'maxMemoryPerChildMb' is 1$/);
  },
);

contract(
  "finalizer runs in each worker that ends in good order",
  async (ctx) => {
    const ends = Mailbox.in<number>(ctx);
    const pool = new ctx.Pool({
      processes: 2,
      maxTasksPerChild: 1,
      initializer: work.keep,
      initArgs: [ends],
      finalizer: work.finalize,
    });
    const idents = await pool.map(work.whoAmINow, numbers(3), 1);
    pool.close();
    await pool.join();

    const ended = ends.drain();
    for (const ident of idents) assert(ended.includes(ident));
    assertEquals(ended.length, pool.statistics().started);
    // One that fails is told of, and harms nobody.
    const warnings: string[] = [];
    const former = setSink({
      write: (severity, message) => {
        if (severity === "warn") warnings.push(String(message));
      },
      getState: () => ({ level: 0, toStderr: false }),
      setState: () => {},
    });
    const failing = new ctx.Pool({
      processes: 1,
      finalizer: work.failToFinalize,
    });
    assertEquals(await failing.apply(work.square, [2]), 4);
    failing.close();
    await failing.join();
    setSink(former);
    assertMatch(warnings.join(), /failed while it ended/);
  },
);

contract(
  "what a task leaves running does not keep a closed pool from ending",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    await pool.apply(work.leaveTimer);
    const start = performance.now();
    pool.close();
    await pool.join();
    // It has ended by itself: one that does not is stopped after ten seconds.
    assert(performance.now() - start < 8000);
  },
);

contract("timers of tasks go on while the worker is busy", async (ctx) => {
  await using pool = new ctx.Pool(1);
  await pool.apply(work.countTurns);

  const turns = await pool.map(work.busy, new Array(20).fill(5), 1);
  assert(turns.at(-1)! > turns[0]!, `the timer was called at ${turns}`);
});

contract("ready is fulfilled when all workers have begun", async (ctx) => {
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  await using pool = new ctx.Pool({
    processes: 2,
    initializer: work.initializeAfter,
    initArgs: [here, go],
  });
  let isReady = false;
  const ready = pool.ready.then(() => isReady = true);
  await here.reaches(2, "both initialize");
  assertEquals(isReady, false);
  const states = () => pool.statistics().workers.map(({ state }) => state);
  assertEquals(states(), ["starting", "starting"]);
  go.set();
  await ready;
  await pool.ready;
  assertEquals(states(), ["idle", "idle"]);
  await pool.terminate();
  const late = new ctx.Pool(1);
  const never = late.ready;
  await late.terminate();
  await assertRejects(() => never, PoolTerminatedError);
});

contract("statistics() tells what the pool has done", async (ctx) => {
  await using pool = new ctx.Pool(2);
  await pool.ready;
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  await pool.map(work.square, numbers(10), 5);
  await assertRejects(() => pool.apply(work.toInt, ["x"]));
  const running = pool.applyAsync(work.waitFor, [here, go]);
  await here.reaches(1, "one runs");

  const statistics = pool.statistics();
  assert(Object.isFrozen(statistics));
  assertEquals(statistics.tasks, {
    submitted: 4,
    done: 2,
    failed: 1,
    cancelled: 0,
    waiting: 0,
    held: 1,
  });
  assertEquals(
    statistics.workers.map(({ state }) => state).sort(),
    ["busy", "idle"],
  );
  for (const worker of statistics.workers) {
    assert(Object.isFrozen(worker));
    assert(worker.startupMs! > 0);
    assert(worker.memoryMb! > 1);
    assert(worker.busyRatio >= 0 && worker.busyRatio <= 1);
    assert(worker.busyMs >= 0 && worker.waitingMs >= 0);
  }
  const idents = statistics.workers.map(({ ident }) => ident);
  assertEquals(idents, ctx.activeChildren().map(({ ident }) => ident));
  const done = statistics.workers.map(({ tasks }) => tasks);
  assertEquals(done.reduce((sum, tasks) => sum + tasks), 3);
  go.set();
  await running;
  assertEquals(statistics.tasks.held, 1); // it was a snapshot
});

contract(
  "statistics() remembers what those did that have ended",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const pool = new ctx.Pool({
      processes: 1,
      maxTasksPerChild: 2,
      initializer: work.initializeAfter,
      initArgs: [here, go],
    });
    const submitted = performance.now();
    const results = numbers(5).map((i) => pool.applyAsync(work.square, [i]));
    await here.reaches(1, "the first worker is starting");
    await until(() => performance.now() > submitted + 200, "it takes its time");
    go.set();
    await Promise.all(results);
    pool.close();
    await pool.join();

    const { workers, ended, tasks } = pool.statistics();
    assertEquals(workers, []);
    assert(Object.isFrozen(ended));
    assertEquals(ended.map(({ tasks }) => tasks), [2, 2, 1]);
    assertEquals(
      ended.map(({ state }) => state),
      new Array(3).fill("ended"),
    );
    assertEquals(tasks.done, 5);
    // It has had tasks for all of its start, but that is not work.
    const [first] = ended;
    assert(first!.startupMs! > 200);
    assert(first!.busyMs < 200, `it was busy for ${first!.busyMs} ms`);
    // A pool that goes on for ever does not remember all of them.
    await using long = new ctx.Pool({ processes: 2, maxTasksPerChild: 1 });
    assertEquals(await long.map(work.square, numbers(4), 1), [0, 1, 4, 9]);
    await until(() => long.statistics().ended.length >= 3, "they have ended");
  },
);

contract(
  "onProgress tells how far a map or an iterator has come",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const told: Progress[] = [];
    const onProgress = (progress: Progress) => told.push(progress);

    await pool.map(work.square, numbers(20), { chunkSize: 5, onProgress });
    const { done, failed, total, etaMs } = told.at(-1)!;
    assertEquals([done, failed, total, etaMs], [20, 0, 20, 0]);
    assert(told.at(-1)!.rate > 0);
    told.length = 0;
    const it = pool.imap(work.throwAtThree, numbers(5), { onProgress });
    for (let i = 0; i < 6; i++) await it.next().catch(() => {});
    const last = told.at(-1)!;
    assertEquals([last.done, last.failed, last.total], [4, 1, 5]);
    assertEquals(told[0]!.total, null);
  },
);

contract(
  "a process that is no daemon can have a pool of its own",
  async (ctx) => {
    const mailbox = Mailbox.in(ctx);
    const process = new ctx.Process({
      target: work.useOwnPool,
      args: [mailbox, [1, 2, 3]],
    });
    process.start();
    await process.join();

    assertEquals(process.exitCode, 0);
    assertEquals(mailbox.drain(), [[1, 4, 9], 0]);
  },
);

contract("memoryLimitMb makes a greedy task its own loss", async (ctx) => {
  await using pool = new ctx.Pool({ processes: 1, memoryLimitMb: 64 });

  await assertRejects(() => pool.apply(work.exhaust), WorkerLostError);
  assertEquals(await pool.apply(work.square, [3]), 9);
});

contract(
  "handles in arguments that are sent again are counted once",
  async (ctx) => {
    // The gate is not counted, but the encoding of each try is its own.
    await using pool = new ctx.Pool(1);
    const tries = SharedGate.in(ctx);
    const given = { times: 1 };
    const result = pool.applyAsync(work.exitUntil, [tries, given.times], {
      retries: 3,
    });
    assertEquals(await result, "at last");
    const unsendable: [unknown] = [{ ok: true }];
    assertEquals(
      await pool.apply(work.identity, unsendable, { retries: 1 }),
      { ok: true },
    );
  },
);

contract("an initializer that cannot be sent is refused at once", (ctx) => {
  assertThrows(
    () => new ctx.Pool({ processes: 2, initializer: () => {} }),
    EncodingError,
  );
  assertThrows(
    () =>
      new ctx.Pool({
        processes: 2,
        initializer: work.identity<unknown>,
        initArgs: [() => {}],
      }),
    EncodingError,
    "initArgs[0]",
  );
});

once("ThreadPool is a pool of threads, whatever the default is", async () => {
  await using pool = new ThreadPool(2);

  assertMatch(String(pool), /^<multiprocessing\.pool\.ThreadPool state=RUN/);
  assertEquals(await pool.map(work.square, [1, 2, 3]), [1, 4, 9]);
  const [worker] = pool.statistics().workers;
  assertEquals(worker!.pid, Deno.pid);
  assertNotEquals(worker!.ident, Deno.pid);
});

contract("permissions, env and cwd are those of the workers", async (ctx) => {
  await using pool = new ctx.Pool({
    processes: 1,
    permissions: { env: true },
    env: { POOL_TEST: "yes" },
    cwd: "/",
  });

  assertEquals(await pool.apply(work.look, ["POOL_TEST"]), ["yes", "prompt"]);
}, { methods: ["spawn"] });

contract("a thread refuses what only a process can have", (ctx) => {
  assertThrows(
    () => new ctx.Pool({ processes: 2, env: { A: "1" } }),
    TypeError,
    "env",
  );
}, { methods: ["worker"] });

contract("an idle pool takes no processor time", async (ctx) => {
  await using pool = new ctx.Pool(1);
  await pool.apply(work.square, [3]);
  await until(
    () => pool.statistics().tasks.held === 0,
    "the pool has nothing to do",
  );
  const child = ctx.activeChildren()[0]!;
  const ticks = () => processEntry(child.pid!)!.ticks;
  // Falling asleep may take a moment.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert(ticks() - before <= 2, `it took ${ticks() - before} ticks`);
}, { methods: ["spawn"] });

// ---- what is no option ----------------------------------------------------------

/** What is given to whatever it is, types or not. */
type Loose = (...args: unknown[]) => unknown;

contract(
  "options that are given as in Python are refused, and what is right is said",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const methods = pool as unknown as Record<string, Loose>;
    const Pool = ctx.Pool as unknown as new (...args: unknown[]) => unknown;
    const result = pool.applyAsync(work.square, [3]);
    const it = pool.imap(work.square, [3]);
    const refused: [ask: () => unknown, right: string][] = [
      [() => new Pool(1, work.nothing, [1]), "initArgs"],
      [() => new Pool({ processes: 1, initargs: [1] }), "'initArgs'"],
      [() => new Pool({ maxtasksperchild: 1 }), "'maxTasksPerChild'"],
      [() => new Pool({ context: ctx }), "getContext(method)"],
      [() => result.get(0.1 as never), "{ timeout: 1000 }"],
      [() => result.wait(0.1 as never), "{ timeout: 1000 }"],
      [() => it.next(0.1 as never), "{ timeout: 1000 }"],
    ];
    for (const name of ["mapAsync", "starmapAsync", "applyAsync"]) {
      const ask = () => methods[name]!(work.square, [], {}, () => {});
      refused.push([ask, "callback"]);
    }
    for (const name of ["map", "mapAsync", "starmap", "imap", "apply"]) {
      const ask = (options: object) => () =>
        methods[name]!(work.square, [], options);
      refused.push(
        [ask({ chunksize: 2 }), "'chunkSize'"],
        [ask({ error_callback: () => {} }), "'errorCallback'"],
        [ask({ kwds: {} }), "among its arguments"],
      );
    }

    for (const [ask, right] of refused) {
      await assertRejects(async () => await ask(), TypeError, right);
    }
    assertEquals(await result, 9);
    assertEquals(await Array.fromAsync(it), [9]);
  },
);

contract("options of the wrong type are a TypeError", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const ask = (options: unknown) => () =>
    pool.map(work.square, [1], options as number);

  for (const name of ["chunkSize", "retries", "bufferSize", "priority"]) {
    for (const wrong of ["2", null, [2], 2n]) {
      await assertRejects(ask({ [name]: wrong }), TypeError, `'${name}'`);
    }
  }
  for (const wrong of [3, "yes", null]) {
    await assertRejects(ask({ failFast: wrong }), TypeError, "'failFast'");
  }
  await assertRejects(ask("2"), TypeError, "{ chunkSize: 4 }, or a chunk size");
  for (const name of ["minProcesses", "maxMemoryPerChildMb", "processes"]) {
    const options = { [name]: "2" } as Record<string, never>;
    assertThrows(() => new ctx.Pool(options), TypeError, `'${name}'`);
  }
});

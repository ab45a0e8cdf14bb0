import {
  assert,
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
  WorkerLostError,
} from "../../errors.ts";
import "../../mod.ts";
import type { Pool } from "../../pool/mod.ts";
import { clearGraves } from "../../contexts/graves.ts";
import { arenaFor } from "../../memory/mod.ts";
import { complaints } from "../_support/complaints.ts";
import { contract, once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import { unreachable } from "../fixtures/pool_broken.ts";
import * as work from "../fixtures/pool_targets.ts";

/** How many items a test takes when many are wanted. */
const MANY = 100;
/** An error has to be there after so long, even on a busy machine. */
const SOON_MS = 2000;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Fails if something takes longer than two seconds. */
async function soon<T>(work: Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work;
  } finally {
    const took = performance.now() - start;
    assert(took < SOON_MS, `it took ${took} ms`);
  }
}

contract("LESSON-01 a killed worker costs exactly its task", async (ctx) => {
  await using pool = new ctx.Pool(2);
  await pool.ready;
  const results = numbers(MANY).map((i) =>
    pool.applyAsync(work.exitAtFive, [i])
  );

  const error = await soon(
    assertRejects(() => results[5]!.get(), WorkerLostError),
  );
  assertEquals(error.exitCode, 3);
  assertEquals(typeof error.ident, "number");
  assertMatch(error.message, /task "exitAtFive".*PoolWorker-\d.*exit code 3/);
  for (const [i, result] of results.entries()) {
    if (i !== 5) assertEquals(await result, i);
  }
  assertEquals(await pool.map(work.square, [1, 2, 3]), [1, 4, 9]);
  assertEquals(pool.statistics().lost, 1);
});

contract(
  "LESSON-01 a map loses as a whole, an imap only the item",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    await soon(
      assertRejects(
        () => pool.map(work.exitAtFive, numbers(20), 1),
        WorkerLostError,
        'task "exitAtFive" for item 5',
      ),
    );
    const it = pool.imap(work.exitAtFive, numbers(10));
    for (let i = 0; i < 10; i++) {
      if (i === 5) await assertRejects(() => it.next(), WorkerLostError);
      else assertEquals(await it.next(), { done: false, value: i });
    }
    assertEquals(await it.next(), { done: true, value: undefined });
  },
);

contract("LESSON-01 a process that kills itself", async (ctx) => {
  await using pool = new ctx.Pool(2);

  const error = await assertRejects(
    () => pool.apply(work.killSelf),
    WorkerLostError,
  );
  assertEquals([error.exitCode, error.signal], [-9, "SIGKILL"]);
  assertEquals(await pool.apply(work.square, [3]), 9);
}, { methods: ["spawn"] });

contract("LESSON-02 an idle worker that is killed is replaced", async (ctx) => {
  await using pool = new ctx.Pool(2);
  await pool.ready;
  for (const child of ctx.activeChildren()) child.kill();

  assertEquals(await pool.apply(work.square, [3]), 9);
  await until(() => pool.statistics().started === 4, "both are replaced");
  assertEquals(await pool.map(work.square, numbers(4)), [0, 1, 4, 9]);
});

contract("LESSON-03 a task that exits is lost, the next runs", async (ctx) => {
  await using pool = new ctx.Pool(1);

  for (const code of [3, 0]) {
    const error = await assertRejects(
      () => pool.apply(work.exitWith, [code]),
      WorkerLostError,
    );
    assertEquals(error.exitCode, code);
    assertEquals(await pool.apply(work.square, [3]), 9);
  }
});

contract("LESSON-03 a worker with an uncaught error is lost", async (ctx) => {
  await using pool = new ctx.Pool(1);

  const error = await assertRejects(
    () => pool.apply(work.throwUncaught),
    WorkerLostError,
  );
  assertEquals(error.exitCode, 1);
  assertEquals(await pool.apply(work.square, [3]), 9);
});

contract(
  "LESSON-07 terminate() abandons what its tasks hold",
  async (ctx) => {
    const lock = new ctx.Lock();
    const here = SharedGate.in(ctx);
    const pool = new ctx.Pool(1);
    pool.applyAsync(work.stayWith, [lock, here]);
    await here.reaches(1, "the task holds the lock");
    await pool.terminate();
    using guard = await lock.acquire({ timeout: SOON_MS });
    assertEquals(guard?.abandoned, true);
  },
);

contract(
  "a thread that was stopped leaves its memory for a moment",
  async (ctx) => {
    // It may still write its last answer: not into the place of another worker.
    const { heap } = arenaFor("worker");
    clearGraves(0);
    const before = heap.blocks;
    const here = SharedGate.in(ctx);
    const pool = new ctx.Pool(1);
    pool.applyAsync(work.stay, [here]);
    await here.reaches(1, "the task runs");
    await pool.terminate();
    const gate = 1;
    assert(heap.blocks > before + gate, "it was given to others at once");
    clearGraves(0);
    assertEquals(heap.blocks, before + gate);
  },
  { methods: ["worker"] },
);

contract("LESSON-08 terminate() rejects all that is pending", async (ctx) => {
  const pool = new ctx.Pool(2);
  const here = SharedGate.in(ctx);
  const running = pool.applyAsync(work.stay, [here]);
  const waiting = pool.mapAsync(work.stay, new Array(100).fill(here), 1);
  const it = pool.imap(work.stay, new Array(100).fill(here));
  const next = it.next();
  await here.reaches(2, "two tasks run");
  await pool.terminate();

  await assertRejects(() => running.get(), PoolTerminatedError);
  await assertRejects(() => waiting.get(), PoolTerminatedError);
  await assertRejects(() => next, PoolTerminatedError);
  assertEquals(await it.next(), { done: true, value: undefined });
});

contract(
  "LESSON-12 an error that cannot be rebuilt is its task's error only",
  async (ctx) => {
    work.registerFragile();
    const pool = new ctx.Pool(1);

    const error = await assertRejects(
      () => pool.apply(work.throwFragile),
      RemoteError,
      "Fragile: handle with care",
    );
    assertMatch(error.remoteStack, /pool_targets\.ts/);
    assertMatch(error.message, /task "throwFragile"/);
    const it = pool.imap(work.fragileAtThree, [2, 3, 4], 3);
    assertEquals(await it.next(), { done: false, value: 2 });
    await assertRejects(() => it.next(), RemoteError, "handle with care");
    assertEquals(await it.next(), { done: false, value: 4 });
    assertEquals(await pool.apply(work.square, [3]), 9);
    await pool.terminate();
  },
);

contract(
  "LESSON-12 an error that cannot be sent whole comes without that part",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    const error = await assertRejects(
      () => pool.apply(work.throwUnsendable),
      RangeError,
      "with a secret",
    ) as RangeError & { code: string; secret?: unknown };
    assertEquals(error.code, "E_SECRET");
    assertEquals(error.secret, undefined);
    assertMatch((error.cause as RemoteError).remoteStack, /throwUnsendable/);
    await assertRejects(
      () => pool.apply(work.throwFunction),
      RemoteError,
      "Function",
    );
  },
);

contract(
  "LESSON-12 what is thrown may refuse to be shown as text",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    work.registerBoxed(() => {
      throw Object.create(null);
    });
    try {
      await assertRejects(
        () => pool.apply(work.box, [1]),
        RemoteError,
        'Cannot rebuild the result of task "box": an error that refuses',
      );
    } finally {
      work.registerBoxed();
    }
    assertEquals((await pool.apply(work.box, [2])).value, 2);

    const broken = new ctx.Pool({
      processes: 1,
      initializer: work.throwOddity,
      initArgs: ["plain"],
    });
    await assertRejects(
      () => broken.ready,
      ProcessError,
      "an error that refuses",
    );
    await broken.terminate();
  },
);

contract("LESSON-13 a callback that throws harms nobody", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const fail = (reason: unknown) => () => {
    throw reason;
  };
  using heard = complaints();

  const result = pool.applyAsync(work.square, [3], {
    callback: fail(new Error("from a callback")),
  });
  assertEquals(await result, 9);
  await assertRejects(
    () =>
      pool.apply(work.toInt, ["x"], {
        errorCallback: fail(Object.create(null)),
      }),
    RangeError,
  );
  const onProgress = () => Promise.reject(new Error("from progress"));
  assertEquals(await pool.map(work.square, [2], { onProgress }), [4]);
  assertEquals(await pool.apply(work.square, [4]), 16);

  const [first, second, third] = heard.said;
  assertEquals(heard.said.length, 3);
  assertMatch(first!, /^Error in the 'callback' of .*from a callback\n/);
  assertMatch(second!, /^Error in the 'errorCallback' of /);
  assertMatch(third!, /^Error in the 'onProgress' of .*from progress\n/);
});

contract(
  "LESSON-14 a failing initializer breaks the pool with its error",
  async (ctx) => {
    const starts = SharedGate.in(ctx);
    const pool = new ctx.Pool({
      processes: 2,
      initializer: work.failToInitialize,
      initArgs: [starts],
    });
    const pending = pool.applyAsync(work.square, [1]);

    const error = await assertRejects(
      () => pending.get(),
      ProcessError,
      "RangeError: no key found",
    );
    assertInstanceOf(error.cause, RangeError);
    assertMatch(
      ((error.cause as RangeError).cause as RemoteError).remoteStack,
      /failToInitialize/,
    );
    assertThrows(() => pool.applyAsync(work.square, [1]), ProcessError);
    await assertRejects(() => pool.ready, ProcessError, "no key found");
    pool.close();
    await pool.join();
    assert(starts.value <= 4, `${starts.value} processes were started`);
  },
);

contract("LESSON-14 so does one that ends its process", async (ctx) => {
  const starts = SharedGate.in(ctx);
  const pool = new ctx.Pool({
    processes: 2,
    initializer: work.exitInInitializer,
    initArgs: [starts, 9],
  });

  const error = await assertRejects(
    () => pool.apply(work.square, [1]),
    WorkerLostError,
    "exit code 9",
  );
  assertInstanceOf(error.cause, WorkerLostError);
  assertEquals(error.cause.exitCode, 9);
  await pool.terminate();
  assert(starts.value <= 4, `${starts.value} processes were started`);
});

contract(
  "LESSON-14 a module that cannot be loaded is told as the cause",
  async (ctx) => {
    const pool = new ctx.Pool({ processes: 2, initializer: unreachable });

    await assertRejects(
      () => pool.apply(work.square, [1]),
      ProcessError,
      "this module does not load",
    );
    assert(pool.statistics().started <= 4);
    await pool.terminate();
    // As a task it is that task's error.
    await using another = new ctx.Pool(1);
    await assertRejects(
      () => another.apply(unreachable),
      Error,
      "this module does not load",
    );
    assertEquals(await another.apply(work.square, [3]), 9);
  },
);

contract(
  "LESSON-14 a pool whose workers cannot be started fails all it was given",
  async (ctx) => {
    const ways: ((pool: Pool) => Promise<unknown>)[] = [
      (pool) => pool.apply(work.square, [1]),
      (pool) => pool.map(work.square, numbers(MANY), 1),
      (pool) => pool.starmap(work.multiply, [[1, 2], [3, 4], [5, 6]], 1),
      (pool) => pool.map(work.square, numbers(3), { failFast: true }),
    ];
    const brokenPool = () =>
      // It has no workers before it has work.
      new ctx.Pool({
        processes: 2,
        minProcesses: 0,
        initializer: work.nothing as (value: unknown) => void,
        initArgs: [() => {}],
      });
    for (const submit of ways) {
      const pool = brokenPool();
      await assertRejects(() => submit(pool as Pool), EncodingError);
      await pool.terminate();
      assertEquals(pool.statistics().tasks.waiting, 0);
    }
    const pool = brokenPool();
    const it = pool.imap(work.square, numbers(3));
    await assertRejects(() => it.next(), EncodingError);
    assertEquals(await it.next(), { done: true, value: undefined });
    await pool.terminate();
  },
);

contract(
  "LESSON-15 Pool.imap() takes a bounded number ahead of an endless source",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    let pulled = 0;
    let finished = false;
    function* endless(): Generator<number> {
      try {
        while (true) yield pulled++;
      } finally {
        finished = true;
      }
    }

    const taken: number[] = [];
    for await (const value of pool.imap(work.square, endless())) {
      taken.push(value);
      if (taken.length === 10) break;
    }
    assertEquals(taken, numbers(10).map((i) => i * i));
    assert(pulled <= 10 + 8, `${pulled} were pulled`);
    assertEquals(finished, true);

    pulled = 0;
    async function* endlessLater(): AsyncGenerator<number> {
      while (true) yield await Promise.resolve(pulled++);
    }
    const it = pool.imapUnordered(work.square, endlessLater(), {
      chunkSize: 2,
      bufferSize: 4,
    });
    for (let i = 0; i < 6; i++) await it.next();
    await it.return();
    assert(pulled <= 6 + 4, `${pulled} were pulled`);
    assertEquals(await it.next(), { done: true, value: undefined });
    await until(() => pool.statistics().tasks.held === 0, "nothing goes on");
  },
);

contract(
  "LESSON-16 Pool.map() counts what comes, not what is promised",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    class Sized {
      readonly length = 5;
      constructor(readonly items: Iterable<number>) {}
      *[Symbol.iterator](): Generator<number> {
        yield* this.items;
      }
    }
    function* breaking(): Generator<number> {
      yield 1;
      throw new EvalError("it breaks");
    }

    await assertRejects(
      () => pool.map(work.square, new Sized(breaking())),
      EvalError,
    );
    assertEquals(await pool.map(work.square, new Sized([1, 2])), [1, 4]);
  },
);

contract(
  "LESSON-17 a chunk has at least one item, and nothing is a result",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    for (const wrong of [0, -1, 1.5, NaN]) {
      assertThrows(
        () => pool.mapAsync(work.square, [1], wrong),
        RangeError,
        "Chunksize must be 1+",
      );
    }
    const called: unknown[] = [];
    pool.mapAsync(work.square, [], { callback: (value) => called.push(value) });
    assertEquals(called, [[]]);
  },
);

contract(
  "LESSON-18 failFast rejects at once and gives up the rest",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const calls = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const tuples = numbers(50).map((i) =>
      [i, calls, go] as [number, SharedGate, SharedGate]
    );

    await assertRejects(
      () =>
        pool.starmap(work.failFirst, tuples, { failFast: true, chunkSize: 5 }),
      RangeError,
    );
    go.set();
    await until(() => pool.statistics().tasks.held === 0, "nothing goes on");
    // The chunk that failed stopped, too; the next may just have begun.
    assert(calls.value <= 2);
    assertEquals(pool.statistics().tasks.cancelled, 9);
    pool.close();
    await pool.join();
  },
);

contract(
  "LESSON-19 of a chunk only what cannot be sent is lost",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    const it = pool.imap(work.unsendableAtThree, numbers(5), 5);
    for (let i = 0; i < 5; i++) {
      if (i === 3) {
        await assertRejects(() => it.next(), EncodingError, "sending result");
      } else assertEquals(await it.next(), { done: false, value: i });
    }
    const unsendable = pool.imap(work.identity, [1, () => {}, 3]);
    assertEquals((await unsendable.next()).value, 1);
    await assertRejects(() => unsendable.next(), EncodingError, "items[1]");
    assertEquals((await unsendable.next()).value, 3);
  },
);

contract("LESSON-24 a slow callback delays no other result", async (ctx) => {
  await using pool = new ctx.Pool(2);
  const { promise, resolve } = Promise.withResolvers<void>();

  const slow = pool.applyAsync(work.square, [2], { callback: () => promise });
  const other = pool.applyAsync(work.square, [3]);
  assertEquals(await other, 9);
  assertEquals(await slow, 4);
  resolve();
});

contract(
  "LESSON-25 results come in order whatever the order they are done in",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const go = SharedGate.in(ctx);
    const items = numbers(6).map((i) => ({ i, go, opens: i === 5 }));

    // The first can only end after the last has begun.
    const it = pool.imap(work.firstWaits, items);
    for (let i = 0; i < 6; i++) {
      assertEquals(await it.next(), { done: false, value: i });
    }

    go.set(0);
    const shut = items.map((item) => ({ ...item, opens: false }));
    const unordered = pool.imapUnordered(work.firstWaits, shut);
    const others: unknown[] = [];
    while (others.length < 5) others.push((await unordered.next()).value);
    assertEquals(others.sort(), [1, 2, 3, 4, 5]);
    go.set();
    assertEquals(await unordered.next(), { done: false, value: 0 });
  },
);

once("a rejected AsyncResult that nobody awaits harms nobody", async () => {
  const { Pool } = await import("../../mod.ts");
  const pool = new Pool(1);
  const failed = pool.applyAsync(work.toInt, ["x"]);
  await failed.wait();
  const here = SharedGate.in((await import("../../mod.ts")).getContext());
  const promises = [
    pool.apply(work.stay, [here]),
    pool.map(work.stay, [here, here]),
    pool.starmap(work.stay, [[here]]),
  ];
  await here.reaches(1, "one runs");
  await pool.terminate();
  // An unhandled rejection would fail this test now.
  await new Promise((resolve) => setTimeout(resolve));
  for (const promise of promises) {
    await assertRejects(() => promise, PoolTerminatedError);
  }
});

contract(
  "close() lets iterators go on, and join() has them take the rest",
  async (ctx) => {
    const pool = new ctx.Pool(2);
    const it = pool.imap(work.square, numbers(MANY));
    assertEquals((await it.next()).value, 0);
    pool.close();
    assertEquals((await it.next()).value, 1);
    await pool.join();

    for (let i = 2; i < MANY; i++) assertEquals((await it.next()).value, i * i);
    assertEquals((await it.next()).done, true);
  },
);

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  EncodingError,
  PoolTerminatedError,
  ProcessError,
  RemoteError,
} from "../../errors.ts";
import { setSink } from "../../_log.ts";
import { TimeoutError } from "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

/** How many items a test takes when many are wanted. */
const MANY = 100;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const squares = (count: number) => numbers(count).map((i) => i * i);

class SayWhenError extends Error {}

function* throwingAt(total: number, when: number): Generator<number> {
  for (let i = 0; i < total; i++) {
    if (i === when) throw new SayWhenError("somebody said when");
    yield i;
  }
}

contract(
  "POOL-01 Pool.apply() gives what the function returns",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    assertEquals(await pool.apply(work.square, [5]), 25);
    assertEquals(await pool.apply(work.squareLater, [3]), 9);
    assertEquals(await pool.apply(work.nothing), undefined);
  },
);

contract("POOL-02 Pool.map() gives all values in order", async (ctx) => {
  await using pool = new ctx.Pool(2);

  assertEquals(await pool.map(work.square, numbers(10)), squares(10));
  assertEquals(await pool.map(work.square, numbers(MANY), 20), squares(MANY));
  const asynchronous = (async function* () {
    yield* numbers(10);
  })();
  assertEquals(await pool.map(work.square, asynchronous), squares(10));
});

contract(
  "POOL-03 Pool.starmap() spreads each item into arguments",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const tuples = numbers(10).map((i) => [i, 9 - i] as [number, number]);
    const products = tuples.map(([x, y]) => x * y);
    const many = numbers(MANY).map((i) => [i, MANY - i] as [number, number]);

    assertEquals(await pool.starmap(work.multiply, tuples), products);
    assertEquals(
      await pool.starmap(work.multiply, many, { chunkSize: 20 }),
      many.map(([x, y]) => x * y),
    );
    const wrong = [[1, 2], 3] as [number, number][];
    await assertRejects(
      () => pool.starmap(work.multiply, wrong),
      TypeError,
      "item 1",
    );
  },
);

contract(
  "POOL-04 Pool.starmapAsync() gives its result at once",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const many = numbers(MANY).map((i) => [i, MANY - i] as [number, number]);

    const result = pool.starmapAsync(work.multiply, many);
    assertEquals(await result.get(), many.map(([x, y]) => x * y));
  },
);

contract("POOL-05 Pool.mapAsync() gives its result at once", async (ctx) => {
  await using pool = new ctx.Pool(2);

  const result = pool.mapAsync(work.square, numbers(10));
  assertEquals(result.ready(), false);
  assertEquals(await result.get(), squares(10));
  assertEquals(await result.get(), squares(10));
  assertEquals(result.successful(), true);
});

contract(
  "POOL-06 callbacks are called once, before wait() returns",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const called: unknown[] = [];
    const options = {
      callback: (value: unknown) => called.push(value),
      errorCallback: (error: unknown) => called.push(error),
    };

    assert(await pool.mapAsync(work.toInt, ["1"], options).wait());
    assertEquals(called, [[1]]);
    called.length = 0;
    assert(await pool.mapAsync(work.toInt, ["a"], options).wait());
    assertEquals(called.length, 1);
    assertInstanceOf(called[0], RangeError);
  },
);

contract(
  "POOL-07 LESSON-19 Pool.map() refuses items that cannot be sent",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const items = numbers(10).map(() => ({
      get boom(): number {
        throw new EvalError("cannot pickle");
      },
    }));

    await assertRejects(
      () => pool.map(work.identity, items),
      EvalError,
      "cannot pickle",
    );
    assertThrows(() => pool.mapAsync(work.identity, items), EvalError);
    await assertRejects(
      () => pool.map(work.identity, [1, () => {}]),
      EncodingError,
      "items[1]",
    );
    assertEquals(await pool.apply(work.square, [3]), 9);
  },
);

contract(
  "POOL-08 Pool.mapAsync() over nothing is ready at once",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    const result = pool.mapAsync(work.square, [], 1);
    assertEquals(await result.get({ timeout: 0 }), []);
  },
);

contract(
  "POOL-09 Pool.map() rejects with the error of the iterable",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    for (let i = 0; i < 2; i++) {
      await assertRejects(
        () => pool.map(work.square, throwingAt(1, 0)),
        SayWhenError,
      );
    }
    await assertRejects(
      () => pool.map(work.square, throwingAt(10, 3)),
      SayWhenError,
    );
    class Liar {
      readonly length = 1;
      *[Symbol.iterator](): Generator<number> {
        yield* throwingAt(2, 1);
      }
    }
    for (let i = 0; i < 2; i++) {
      await assertRejects(
        () => pool.map(work.square, new Liar()),
        SayWhenError,
      );
    }
    assertEquals(await pool.apply(work.square, [3]), 9);
  },
);

contract(
  "POOL-10 Pool.applyAsync() gives its result when it is there",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);

    const result = pool.applyAsync(work.waitFor, [here, go, 49]);
    await here.reaches(1, "the task runs");
    assertEquals(result.ready(), false);
    go.set();
    assertEquals(await result.get(), 49);
    assertEquals(await result, 49);
  },
);

contract(
  "POOL-11 AsyncResult.get() gives up in time, and the task goes on",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const result = pool.applyAsync(work.stay, [here]);
    await here.reaches(1, "the task runs");

    const start = performance.now();
    await assertRejects(() => result.get({ timeout: 100 }), TimeoutError);
    assert(performance.now() - start > 90);
    assertEquals(await result.wait({ timeout: 0 }), false);
    await assertRejects(
      () => result.get({ signal: AbortSignal.abort("no longer") }),
    ).then((reason) => assertEquals(reason as unknown, "no longer"), () => {});
    await pool.terminate();
    await pool.join();
  },
);

contract(
  "POOL-12 Pool.imap() gives the values in order, then its end",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    assertEquals(
      await Array.fromAsync(pool.imap(work.square, numbers(10))),
      squares(10),
    );
    for (const chunkSize of [1, 100]) {
      const it = pool.imap(work.square, numbers(1000), { chunkSize });
      for (let i = 0; i < 1000; i++) {
        assertEquals(await it.next(), { done: false, value: i * i });
      }
      assertEquals(await it.next(), { done: true, value: undefined });
      assertEquals(await it.next(), { done: true, value: undefined });
    }
  },
);

contract(
  "POOL-13 Pool.imap() gives the iterable's error after the good values",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    for (let i = 0; i < 2; i++) {
      const it = pool.imap(work.square, throwingAt(1, 0));
      await assertRejects(() => it.next(), SayWhenError);
    }
    const goodValues = async (
      [total, when]: [number, number],
      chunkSize: number,
    ) => {
      const it = pool.imap(work.square, throwingAt(total, when), chunkSize);
      const values: number[] = [];
      await assertRejects(async () => {
        for await (const value of it) values.push(value);
      }, SayWhenError);
      assertEquals(await it.next(), { done: true, value: undefined });
      return values;
    };
    assertEquals(await goodValues([10, 3], 1), squares(3));
    assertEquals(await goodValues([20, 7], 2), squares(6));
    assertEquals(await goodValues([20, 7], 4), squares(4));
  },
);

contract(
  "POOL-14 Pool.imapUnordered() gives all values in some order",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const all = async (count: number, chunkSize: number) => {
      const it = pool.imapUnordered(work.square, numbers(count), chunkSize);
      return (await Array.fromAsync(it)).sort((a, b) => a - b);
    };

    assertEquals(await all(10, 1), squares(10));
    assertEquals(await all(1000, 100), squares(1000));
  },
);

contract(
  "POOL-15 Pool.imapUnordered() gives the iterable's error, too",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    for (const [total, when] of [[1, 0], [10, 3], [20, 7]] as const) {
      const it = pool.imapUnordered(work.square, throwingAt(total, when));
      const values: number[] = [];
      await assertRejects(async () => {
        for await (const value of it) values.push(value);
      }, SayWhenError);
      assertEquals(values.sort((a, b) => a - b), squares(when));
    }
  },
);

contract(
  "POOL-16 new Pool() has as many workers as it is told",
  async (ctx) => {
    for (const wrong of [0, -1, 1.5, NaN]) {
      assertThrows(
        () => new ctx.Pool(wrong),
        RangeError,
        "Number of processes must be at least 1",
      );
    }
    assertThrows(() => new ctx.Pool("2" as unknown as number), TypeError);
    await using pool = new ctx.Pool(3);
    assertEquals(pool.statistics().workers.length, 3);
    const here = SharedGate.in(ctx);
    const idents = await pool.map(work.meetThree, [here, here, here], 1);
    assertEquals(new Set(idents).size, 3);
    const names = pool.statistics().workers.map(({ name }) => name);
    const method = ctx.getStartMethod() === "spawn" ? "Spawn" : "Worker";
    assertEquals(names, [1, 2, 3].map((n) => `${method}PoolWorker-${n}`));
  },
);

contract(
  "POOL-17 Pool.terminate() ends at once, however much is left",
  async (ctx) => {
    const pool = new ctx.Pool(3);
    const here = SharedGate.in(ctx);
    const items = new Array(10_000).fill(here);
    const result = pool.mapAsync(work.stay, items, 1);
    await here.reaches(3, "the tasks run");

    const start = performance.now();
    await pool.terminate();
    await pool.join();
    assert(performance.now() - start < 5000);
    assertEquals(result.successful(), false);
  },
);

contract("POOL-18 nothing maps to nothing", async (ctx) => {
  await using pool = new ctx.Pool(1);

  assertEquals(await pool.map(work.square, []), []);
  assertEquals(await pool.starmap(work.multiply, []), []);
  assertEquals(await Array.fromAsync(pool.imap(work.square, [])), []);
  assertEquals(await Array.fromAsync(pool.imapUnordered(work.square, [])), []);
  assertEquals(await pool.mapAsync(work.square, []).get(), []);
});

contract(
  "POOL-19 the end of a block of `await using` terminates the pool",
  async (ctx) => {
    let result;
    const pool = new ctx.Pool(2);
    {
      await using inside = pool;
      result = inside.mapAsync(work.square, numbers(10));
      assertEquals(await result, squares(10));
    }
    assertMatch(String(pool), /state=TERMINATE/);
    assertThrows(
      () => pool.mapAsync(work.square, [1]),
      ProcessError,
      "Pool not running",
    );
  },
);

contract(
  "POOL-20 an error of a task tells where it comes from",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    const error = await assertRejects(
      () => pool.apply(work.throwRich),
      TypeError,
      "rich",
    ) as TypeError & { code: string; detail: unknown };
    assertEquals(error.code, "E_RICH");
    assertEquals(error.detail, { at: [1, 2] });
    const remote = error.cause;
    assertInstanceOf(remote, RemoteError);
    assertMatch(remote.remoteName, /^(Spawn|Worker)PoolWorker-1$/);
    assertMatch(remote.remoteStack, /at throwRich .*pool_targets\.ts:\d+/);
    assertMatch(remote.message, /task "throwRich" failed in \w+-1: TypeError/);
    assertInstanceOf(remote.cause, RangeError);
    assertMatch(Deno.inspect(error), /pool_targets\.ts/);
    assertEquals(Object.keys(error).sort(), ["code", "detail"]);
    // The same with the item of a map, in the middle of its chunk.
    const ofMap = await assertRejects(
      () => pool.map(work.throwAtThree, numbers(5), 5),
      RangeError,
      "item 3",
    );
    assertMatch(String(ofMap.cause), /task "throwAtThree" for item 3/);
    // One of the iterable is of here.
    const ofSource = await assertRejects(
      () => pool.map(work.square, throwingAt(1, 0)),
      SayWhenError,
    );
    assertEquals(ofSource.cause, undefined);
  },
);

contract("POOL-21 an error keeps its class", async (ctx) => {
  await using pool = new ctx.Pool(1);

  const error = await assertRejects(() => pool.apply(work.toInt, ["x"]));
  assertStrictEquals(Object.getPrototypeOf(error), RangeError.prototype);
  const text = await pool.apply(work.throwText).catch((error) => error);
  assertEquals(text, "just text");
});

contract(
  "POOL-22 LESSON-18 Pool.map() fails when all has been done, with large errors",
  async (ctx) => {
    const pool = new ctx.Pool(2);
    const ended = SharedGate.in(ctx);
    const tuples: [number, SharedGate][] = [[0, ended], [200, ended]];

    const start = performance.now();
    await assertRejects(
      () => pool.starmap(work.throwBig, tuples, 1),
      RangeError,
    );
    assertEquals(ended.value, 2);
    assert(performance.now() - start > 180);
    pool.close();
    await pool.join();
  },
);

contract(
  "POOL-23 LESSON-22 arguments and results are not held",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const references = await (async () => {
      const items = numbers(10).map((id) => ({ id }));
      const results = await pool.map(work.identity, items);
      await Array.fromAsync(pool.imap(work.identity, items));
      return [...items, ...results].map((item) => new WeakRef<object>(item));
    })();

    await until(() => {
      collectGarbage();
      return references.every((reference) => !reference.deref());
    }, "arguments and results are collected");
  },
);

contract(
  "POOL-24 a pool that is not running says so in a block, too",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    {
      await using _pool = pool;
    }
    {
      await using again = pool;
      assertThrows(
        () => again.applyAsync(work.square, [1]),
        ProcessError,
        "Pool not running",
      );
    }
    await pool[Symbol.asyncDispose]();
    await pool.join();
  },
);

contract("Pool can be disposed while it is closing", async (ctx) => {
  const pool = new ctx.Pool(1);
  const here = SharedGate.in(ctx);
  const result = pool.applyAsync(work.stay, [here]);
  await here.reaches(1, "it runs");
  pool.close();
  await pool[Symbol.asyncDispose]();
  await assertRejects(() => result.get(), PoolTerminatedError);
});

contract(
  "POOL-25 a running pool that nobody holds is ended, and it is said",
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
      await (async () => {
        const pool = new ctx.Pool(1);
        await pool.apply(work.square, [2]);
      })();
      await until(() => {
        collectGarbage();
        return warnings.length > 0;
      }, "the pool is collected");
      assertMatch(warnings[0]!, /unclosed running multiprocessing pool/);
      await until(() => ctx.activeChildren().length === 0, "its worker ends");
    } finally {
      setSink(former);
    }
  },
);

contract("POOL-25 a pool with work is not collected", async (ctx) => {
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const result = (() => {
    const pool = new ctx.Pool(1);
    return pool.applyAsync(work.waitFor, [here, go, 5]);
  })();
  await here.reaches(1, "the task runs");

  for (let i = 0; i < 5; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve));
  }
  go.set();
  assertEquals(await result, 5);
  await until(() => {
    collectGarbage();
    return ctx.activeChildren().length === 0;
  }, "the pool is collected after that");
});

contract("POOL-26 errorCallback gets the error", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const errors: unknown[] = [];

  const result = pool.applyAsync(work.toInt, ["x"], {
    errorCallback: (error) => errors.push(error),
  });
  const error = await assertRejects(() => result.get(), RangeError);
  assertEquals(errors, [error]);
});

contract(
  "POOL-27 LESSON-19 a result that cannot be sent is its task's error",
  async (ctx) => {
    const pool = new ctx.Pool(2);
    const called: unknown[] = [];
    const before = await pool.map(work.whoAmINow, numbers(2), 1);

    for (let i = 0; i < 20; i++) {
      const result = pool.applyAsync(work.returnFunction, [], {
        errorCallback: (error) => called.push(error),
      });
      const error = await assertRejects(
        () => result.get(),
        EncodingError,
        "Error sending result: '[Function",
      );
      assertMatch(error.message, /Reason: 'EncodingError: .*'/);
    }
    assertEquals(called.length, 20);
    assertEquals(pool.statistics().lost, 0);
    assertEquals(pool.statistics().started, 2);
    assertEquals(before.length, 2);
    pool.close();
    await pool.join();
  },
);

contract(
  "POOL-28 LESSON-21 workers with maxTasksPerChild are replaced",
  async (ctx) => {
    const pool = new ctx.Pool({ processes: 3, maxTasksPerChild: 10 });
    const before = pool.statistics().workers.map(({ ident }) => ident);

    const results = numbers(MANY).map((i) => pool.applyAsync(work.square, [i]));
    for (const [i, result] of results.entries()) {
      assertEquals(await result, i * i);
    }
    await until(
      () => pool.statistics().started >= 10,
      "all used workers have been replaced",
    );
    const after = pool.statistics().workers.map(({ ident }) => ident);
    assertEquals(after.filter((ident) => ident === null), []);
    for (const ident of before) assert(!after.includes(ident));
    pool.close();
    await pool.join();
    // At most nine tasks of each of three workers are not a full number.
    assert(pool.statistics().recycled >= (MANY - 27) / 10);
  },
);

contract(
  "POOL-29 LESSON-21 workers are replaced after close() while work remains",
  async (ctx) => {
    const pool = new ctx.Pool({ processes: 3, maxTasksPerChild: 1 });
    const results = numbers(6).map((i) =>
      pool.applyAsync(work.squareLater, [i, 30])
    );
    pool.close();
    await pool.join();

    assertEquals(
      results.map((result) => result.ready()),
      new Array(6).fill(true),
    );
    for (const [i, result] of results.entries()) {
      assertEquals(
        await result,
        i * i,
      );
    }
  },
);

contract("POOL-30 maxTasksPerChild has to be a positive number", (ctx) => {
  for (const wrong of [0, -1, 0.5, "12"]) {
    assertThrows(
      () => new ctx.Pool({ processes: 3, maxTasksPerChild: wrong as number }),
      RangeError,
      "maxtasksperchild must be a positive int or None",
    );
  }
});

contract(
  "POOL-32 the initializer runs exactly once in each worker",
  async (ctx) => {
    assertThrows(
      () => new ctx.Pool({ initializer: 1 as unknown as () => void }),
      TypeError,
      "initializer must be a callable",
    );
    const calls = SharedGate.in(ctx);
    const pool = new ctx.Pool({
      processes: 1,
      initializer: work.initialize,
      initArgs: [calls, 5],
    });
    assertEquals(await pool.apply(work.getInitialized), 5);
    pool.close();
    await pool.join();
    assertEquals(calls.value, 1);

    const unused = new ctx.Pool({
      processes: 1,
      initializer: work.initialize,
      initArgs: [calls, 5],
    });
    unused.close();
    await unused.join();
    assertEquals(calls.value, 2);
  },
);

contract(
  "POOL-33 LESSON-21 a start that fails ends the workers started before",
  async (ctx) => {
    let starts = 0;
    const failing = <C extends new (...args: never[]) => object>(Base: C): C =>
      new Proxy(Base, {
        construct(target, args, newTarget) {
          if (++starts === 4) throw new URIError("Manually induced OSError");
          return Reflect.construct(target, args, newTarget);
        },
      });
    const threads = (globalThis as unknown as {
      process: { getBuiltinModule(name: string): { Worker: typeof Worker } };
    }).process.getBuiltinModule("node:worker_threads");
    const { Command } = Deno;
    const { Worker: Thread } = threads;
    Deno.Command = failing(Command);
    threads.Worker = failing(Thread);
    try {
      assertThrows(() => new ctx.Pool(5), URIError, "Manually induced OSError");
    } finally {
      Deno.Command = Command;
      threads.Worker = Thread;
    }
    assertEquals(starts, 4);
    await until(
      () => ctx.activeChildren().length === 0,
      "the others have been ended",
    );
  },
);

contract(
  "POOL-X1 SEED-13 LESSON-21 a worker is replaced after its tasks: A A B B C",
  async (ctx) => {
    const pool = new ctx.Pool({ processes: 1, maxTasksPerChild: 2 });
    const results = numbers(5).map(() => pool.applyAsync(work.whoAmI));
    pool.close();
    await pool.join();

    const [a, a2, b, b2, c] = await Promise.all(results);
    assertEquals([a, b], [a2, b2]);
    assertEquals(new Set([a, b, c]).size, 3);
  },
);

contract(
  "POOL-X2 SEED-14 the callback is called before get() returns",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const said: unknown[] = [];

    const result = pool.applyAsync(work.square, [10], {
      callback: (value) => {
        said.push(`${value + 1} In show`, result.ready());
      },
    });
    said.push(await result.get());
    assertEquals(said, ["101 In show", false, 100]);
    said.length = 0;
    const failing = pool.applyAsync(work.toInt, ["x"], {
      errorCallback: () => {
        said.push(failing.ready());
      },
    });
    await failing.wait();
    assertEquals(said, [false]);
  },
);

contract("AsyncResult and PoolIterator say how far they are", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const shown = (value: unknown) => {
    assertEquals(Deno.inspect(value), String(value));
    return String(value);
  };

  const result = pool.applyAsync(work.square, [3]);
  assertEquals(shown(result), "<AsyncResult pending>");
  await result;
  assertEquals(shown(result), "<AsyncResult fulfilled>");
  const failure = pool.applyAsync(work.toInt, ["x"]);
  await failure.wait();
  assertEquals(shown(failure), "<AsyncResult rejected>");

  const it = pool.imap(work.square, [1, 2]);
  assertEquals(shown(it), "<PoolIterator taken=0>");
  await it.next();
  assertEquals(shown(it), "<PoolIterator taken=1>");
  await it.return();
  assertEquals(shown(it), "<PoolIterator taken=1 ended>");
});

contract("POOL-X3 misuse is refused in the reference's words", async (ctx) => {
  const pool = new ctx.Pool(2);
  assertMatch(
    String(pool),
    /^<multiprocessing\.pool\.Pool state=RUN pool_size=2>$/,
  );
  assertEquals(Deno.inspect(pool), String(pool));
  await assertRejects(() => pool.join(), ProcessError, "Pool is still running");
  assertThrows(
    () => pool.imap(work.square, [], 0),
    RangeError,
    "Chunksize must be 1+, not 0",
  );
  assertThrows(() => pool.applyAsync((x: number) => x, [1]), EncodingError);
  await assertRejects(() => pool.apply((x: number) => x, [1]), EncodingError);
  assertThrows(
    () => pool.applyAsync(work.identity, [pool]),
    EncodingError,
    "pool objects cannot be passed between processes or pickled",
  );
  assertThrows(
    () => pool.applyAsync(5 as unknown as () => void),
    TypeError,
    "must be a function",
  );
  assertThrows(
    () => pool.applyAsync(work.square, 5 as unknown as [number]),
    TypeError,
    "must be an array",
  );
  assertThrows(
    () => pool.mapAsync(work.square, 5 as unknown as number[]),
    TypeError,
    "not iterable",
  );
  assertThrows(
    () => pool.imap(work.square, null as unknown as number[]),
    TypeError,
    "not iterable",
  );
  const result = pool.applyAsync(work.square, [2]);
  assertThrows(() => result.successful(), ProcessError, "not ready");
  pool.close();
  pool.close();
  assertMatch(String(pool), /state=CLOSE/);
  for (
    const submit of [
      () => pool.applyAsync(work.square, [1]),
      () => pool.mapAsync(work.square, [1]),
      () => pool.starmapAsync(work.multiply, [[1, 2]]),
      () => pool.imap(work.square, [1]),
      () => pool.imapUnordered(work.square, [1]),
    ]
  ) assertThrows(submit, ProcessError, "Pool not running");
  await pool.join();
  await pool.join();
  assertEquals(await result, 4);
  await pool.terminate();
  await pool.terminate();
  await pool.join();
  assertMatch(String(pool), /state=TERMINATE/);
});

contract(
  "POOL-X4 Pool.imap() gives an item's error in its place, and goes on",
  async (ctx) => {
    await using pool = new ctx.Pool(2);

    for (const chunkSize of [1, 2, 5]) {
      const it = pool.imap(work.throwAtThree, [2, 3, 4], { chunkSize });
      assertEquals(await it.next(), { done: false, value: 2 });
      await assertRejects(() => it.next(), RangeError, "item 3");
      assertEquals(await it.next(), { done: false, value: 4 });
      assertEquals(await it.next(), { done: true, value: undefined });
    }
  },
);

contract(
  "POOL-X4 PoolIterator.next() gives up in time, and loses nothing",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const cases = [1, 2, 3, 10].flatMap((chunkSize) =>
      (["imap", "imapUnordered"] as const).map((method) =>
        [chunkSize, method] as const
      )
    );
    for (const [chunkSize, method] of cases) {
      const here = SharedGate.in(ctx);
      const go = SharedGate.in(ctx);
      const items = numbers(3).map((i) => ({ here, go, i }));
      const it = pool[method](work.waitAtZero, items, { chunkSize });
      await here.reaches(1, "the first runs");
      await assertRejects(() => it.next({ timeout: 0 }), TimeoutError);
      await assertRejects(() => it.next({ timeout: 20 }), TimeoutError);
      const aborted = it.next({ signal: AbortSignal.abort(new EvalError()) });
      await assertRejects(() => aborted, EvalError);
      go.set();
      for (let i = 0; i < 3; i++) {
        assertEquals(await it.next(), { done: false, value: i });
      }
      assertEquals(await it.next({ timeout: 0 }), {
        done: true,
        value: undefined,
      });
    }
  },
);

contract("POOL-X5 a worker may not have children", async (ctx) => {
  await using pool = new ctx.Pool(1);

  await assertRejects(
    () => pool.apply(work.tryToStart),
    ProcessError,
    "daemonic processes are not allowed to have children",
  );
  assertEquals(await pool.apply(work.square, [3]), 9);
});

contract(
  "POOL-X6 the default chunk is a quarter of a worker's share",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const chunks = async (count: number) => {
      const before = pool.statistics().tasks.submitted;
      await pool.map(work.square, numbers(count));
      return pool.statistics().tasks.submitted - before;
    };

    assertEquals(await chunks(10), 10 / 2); // chunks of 2
    assertEquals(await chunks(100), Math.ceil(100 / 13)); // chunks of 13
    assertEquals(await chunks(1), 1);
  },
);

contract("POOL-X7 64 MiB come back whole", async (ctx) => {
  await using pool = new ctx.Pool(1);

  const result = await pool.apply(work.bytes, [64 * 2 ** 20]);
  assertEquals(result.byteLength, 64 * 2 ** 20);
  assertEquals([result[0], result.at(-1)], [7, 7]);
  const there = new Float64Array(2 ** 20).fill(0.5);
  const back = await pool.apply(work.identity, [there]) as Float64Array;
  assertEquals(back.length, there.length);
  assertEquals(back.at(-1), 0.5);
  assert(back.buffer !== there.buffer);
});

contract(
  "SEED-05 what is not done when the pool ends is rejected",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const { resA, resB } = await (async () => {
      await using pool = new ctx.Pool(4);
      const resA = pool.applyAsync(work.square, [20]);
      const resB = pool.applyAsync(work.stay, [here]);
      await assertRejects(() => resB.get({ timeout: 50 }), TimeoutError);
      assertEquals(await pool.apply(work.square, [2]), 4);
      await resA;
      return { resA, resB };
    })();

    assertEquals(await resA, 400);
    const error = await assertRejects(() => resB.get(), ProcessError);
    assertEquals(error.name, "PoolTerminatedError");
  },
);

contract("SEED-15 each chunk is done in order", async (ctx) => {
  await using pool = new ctx.Pool(2);

  const both = await pool.map(work.stamp, numbers(20), 10);
  for (const run of [both.slice(0, 10), both.slice(10)]) {
    for (const [i, [ident]] of run.entries()) {
      assertEquals(ident, run[0]![0]);
      if (i > 0) assert(run[i]![1] >= run[i - 1]![1]);
    }
  }
  const one = await pool.map(work.stamp, numbers(20), 20);
  assertEquals(new Set(one.map(([ident]) => ident)).size, 1);
});

contract(
  "SEED-16 Pool.starmap() gives what the function returns, nothing too",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const tuples = numbers(20).map((i) => [i, i + 20] as [number, number]);

    assertEquals(
      await pool.starmap(work.ignoreBoth, tuples, { chunkSize: 1 }),
      new Array(20).fill(undefined),
    );
  },
);

/** Answers that are collected while a program goes on making calls. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  PoolTerminatedError,
  ProcessError,
  WorkerLostError,
} from "../../errors.ts";
import type { Pool } from "../../mod.ts";
import "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

/** A run of calls has at least so many: more than workers are given ahead. */
const LEAST = 5000;
/** A run that takes longer does not come to an end. */
const RUN_MS = 20_000;

const nap = new Int32Array(new SharedArrayBuffer(4));

/**
 * Makes calls one after the other, in which the program never waits, until that is
 * so; slowly when there are enough.
 */
function run<T>(call: (i: number) => T, isDone: () => boolean): T[] {
  const calls: T[] = [];
  const endMs = performance.now() + RUN_MS;
  while (calls.length < LEAST || !isDone()) {
    calls.push(call(calls.length));
    if (calls.length < LEAST) continue;
    Atomics.wait(nap, 0, 0, 0.1);
    if (performance.now() > endMs) throw new Error("the run does not end");
  }
  return calls;
}

const done = (pool: Pool) => pool.statistics().tasks.done;
const squares = (count: number) =>
  Array.from({ length: count }, (_, i) => i * i);

contract("Pool goes on while a program makes calls", async (ctx) => {
  await using pool = new ctx.Pool(2);
  await pool.ready;
  let heard = 0;
  const calls = run((i) => {
    const call = pool.apply(work.square, [i]);
    call.then(() => heard++);
    return call;
  }, () => done(pool) > LEAST);
  // Who waits for a promise hears of it in a run of code of its own, as ever.
  assertEquals(heard, 0);
  assertEquals(await Promise.all(calls), squares(calls.length));
});

contract("Pool runs no callback while a program makes calls", async (ctx) => {
  await using pool = new ctx.Pool(2);
  await pool.ready;
  const answers = SharedGate.in(ctx);
  let heard = 0;
  const callback = () => heard++;
  const first = pool.applyAsync(work.square, [3], { callback });
  const calls = run(
    (i) => pool.apply(work.countedSquare, [i, answers]),
    () => answers.value > 0,
  );
  for (let i = 0; i < LEAST; i++) calls.push(pool.apply(work.square, [i]));
  assertEquals([heard, done(pool)], [0, 0]);
  assertEquals(await first, 9);
  assertEquals(heard, 1);
  await Promise.all(calls);
  // And goes on as before when there is none left to be run.
  const before = done(pool);
  const more = run(
    (i) => pool.apply(work.square, [i]),
    () => done(pool) > before + LEAST,
  );
  assertEquals(await Promise.all(more), squares(more.length));
});

contract(
  "Pool can be called by what is decoded while a program makes calls",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    const inner: Promise<number>[] = [];
    work.registerBoxed(() => {
      if (inner.length < LEAST) inner.push(pool.apply(work.square, [7]));
    });
    const calls = run((i) => pool.apply(work.box, [i]), () => inner.length > 0);
    const boxes = await Promise.all(calls);
    assert(boxes.every((box) => box instanceof work.Boxed));
    assertEquals(boxes.map(({ value }) => value), [...boxes.keys()]);
    work.registerBoxed();
    assert((await Promise.all(inner)).every((value) => value === 49));
  },
);

contract(
  "Pool refuses a call as soon as it is broken, and fails those before",
  async (ctx) => {
    const starts = SharedGate.in(ctx);
    await using pool = new ctx.Pool({
      processes: 2,
      initializer: work.failToInitialize,
      initArgs: [starts],
    });
    let refused: unknown;
    const calls = run((i) => pool.apply(work.square, [i]), () => {
      try {
        pool.applyAsync(work.square, [1]);
      } catch (error) {
        refused = error;
      }
      return refused !== undefined;
    });
    assert(refused instanceof ProcessError, `${refused}`);
    for (const outcome of await Promise.allSettled(calls)) {
      assertEquals(outcome.status, "rejected");
    }
  },
);

contract(
  "a worker that ends while a program makes calls costs one of them",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    const lost = LEAST / 2;
    const calls = run(
      (i) => pool.apply(work.exitAt, [i, lost, 3]),
      () => done(pool) > 0,
    );
    const outcomes = await Promise.allSettled(calls);
    const failed = outcomes.flatMap((one, i) =>
      one.status === "rejected" ? [[i, one.reason]] : []
    );
    assertEquals(failed.map(([i]) => i), [lost]);
    assert(failed[0]![1] instanceof WorkerLostError);
  },
);

contract(
  "Pool.terminate() fails 50,000 pending calls within 2 s",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const calls = Array.from(
      { length: 50_000 },
      (_, i) => pool.apply(work.square, [i]),
    );
    const start = performance.now();
    await pool.terminate();
    const outcomes = await Promise.allSettled(calls);
    const took = performance.now() - start;
    assert(took < 2000, `it took ${took} ms`);
    const failed = outcomes.filter(({ status }) => status === "rejected");
    assert(failed.length > 0);
    for (const one of failed) {
      const { reason } = one as PromiseRejectedResult;
      assertInstanceOf(reason, PoolTerminatedError);
    }
  },
);

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  PoolTerminatedError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

/** Pools that are terminated, per start method. */
const ROUNDS = 200;
/** As many rounds of them in one test: each has a limit of its own. */
const ROUNDS_PER_TEST = 25;
/** Pools that are closed, each with several generations of workers. */
const CLOSED_ROUNDS = 8;
/** Tasks of each. */
const TASKS_PER_ROUND = 50;
/** The latest moment to terminate, in milliseconds: most have begun by then. */
const LATEST_MS = 60;
/** Starting as many workers takes long where other things run as well. */
const LIMIT_MS = 300_000;
/** Tasks of the test with murders. */
const MANY_TASKS = 10_000;
/** How long each works, in milliseconds. */
const TASK_MS = 0.1;
/** Milliseconds between two murders. */
const MURDER_EVERY_MS = 50;
/**
 * A machine on which a start takes longer than a worker has to live would never
 * get anything done: after so many milliseconds the rest is done in peace. Where
 * nothing else runs all is done in a fifth of that.
 */
const MURDER_FOR_MS = 10_000;
/** Tasks of the tests with one death. */
const SOME_TASKS = 100;
/** A survivor has to hear of it after so long. */
const SOON_MS = 2000;
/** And, on a machine that is busy with other things, so many starts of a pool. */
const SOON_STARTS = 5;

for (let part = 1; part <= ROUNDS / ROUNDS_PER_TEST; part++) {
  contract(
    `LESSON-20 terminate() at any moment ends all, part ${part}`,
    async (ctx) => {
      for (let round = 0; round < ROUNDS_PER_TEST; round++) {
        const pool = new ctx.Pool(2);
        const results = Array.from(
          { length: TASKS_PER_ROUND },
          (_, i) => pool.applyAsync(work.square, [i]),
        );
        const ms = Math.random() * LATEST_MS;
        await new Promise((resolve) => setTimeout(resolve, ms));
        await pool.terminate();
        await pool.join();
        for (const [i, result] of results.entries()) {
          assert(
            result.ready(),
            `round ${round}: ${i} is pending after ${ms} ms`,
          );
          if (result.successful()) assertEquals(await result, i * i);
          else {
            assertInstanceOf(
              await result.catch((error) => error),
              PoolTerminatedError,
            );
          }
        }
        assertEquals(ctx.activeChildren(), []);
      }
    },
    { limitMs: LIMIT_MS },
  );
}

contract("LESSON-20 close() at any moment finishes all", async (ctx) => {
  for (let round = 0; round < CLOSED_ROUNDS; round++) {
    const pool = new ctx.Pool({ processes: 2, maxTasksPerChild: 20 });
    const results = Array.from(
      { length: TASKS_PER_ROUND },
      (_, i) => pool.applyAsync(work.square, [i]),
    );
    const ms = Math.random() * LATEST_MS;
    await new Promise((resolve) => setTimeout(resolve, ms));
    pool.close();
    await pool.join();
    for (const [i, result] of results.entries()) {
      assertEquals(await result, i * i);
    }
  }
});

contract(
  "LESSON-01 no result is missing while workers are being killed",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    const results = Array.from(
      { length: MANY_TASKS },
      (_, i) => pool.applyAsync(work.spin, [i, TASK_MS]),
    );
    let murders = 0;
    const peaceMs = performance.now() + MURDER_FOR_MS;
    const murderer = setInterval(() => {
      if (performance.now() > peaceMs) return clearInterval(murderer);
      const names = pool.statistics().workers
        .filter(({ tasks, state }) => tasks > 0 && state !== "leaving")
        .map(({ name }) => name);
      const victims = ctx.activeChildren().filter((child) =>
        names.includes(child.name)
      );
      const victim = victims[Math.floor(Math.random() * victims.length)];
      if (!victim) return;
      victim.kill();
      murders++;
    }, MURDER_EVERY_MS);
    let lost = 0;
    for (const [i, result] of results.entries()) {
      try {
        assertEquals(await result, i);
      } catch (error) {
        assertInstanceOf(error, WorkerLostError);
        lost++;
      }
    }
    clearInterval(murderer);
    assert(murders > 0, "nobody was killed");
    // A worker that was waiting for its next task when it was killed costs none.
    assert(lost <= murders, `${lost} lost in ${murders} murders`);
    assert(pool.statistics().lost > 0);
    assertEquals(await pool.map(work.square, [1, 2, 3]), [1, 4, 9]);
  },
  { limitMs: LIMIT_MS },
);

contract("LESSON-01 of many tasks exactly the one is lost", async (ctx) => {
  const createdMs = performance.now();
  await using pool = new ctx.Pool(2);
  await pool.ready;
  const soonMs = SOON_MS + SOON_STARTS * (performance.now() - createdMs);
  const isThread = ctx.getStartMethod() === "worker";
  const ends = [
    () => pool.applyAsync(work.exitWith, [3]),
    ...(isThread ? [] : [() => pool.applyAsync(work.killSelf)]),
    () => pool.applyAsync(work.burn, [SharedGate.in(ctx)], { timeout: 100 }),
  ];
  for (const [round, end] of ends.entries()) {
    const results = Array.from(
      { length: SOME_TASKS },
      (_, i) => i === 50 ? end() : pool.applyAsync(work.square, [i]),
    );
    const start = performance.now();
    for (const [i, result] of results.entries()) {
      if (i !== 50) assertEquals(await result, i * i);
      else {
        const error = await (result as PromiseLike<unknown>).then(
          () => undefined,
          (error) => error,
        );
        assertInstanceOf(
          error,
          round === ends.length - 1 ? TimeoutError : WorkerLostError,
        );
        assert(performance.now() - start < soonMs);
      }
    }
    assertEquals(await pool.apply(work.square, [9]), 81);
  }
});

contract("LESSON-01 a task that burns is ended with the pool", async (ctx) => {
  const createdMs = performance.now();
  const pool = new ctx.Pool(2);
  await pool.ready;
  const soonMs = SOON_MS + SOON_STARTS * (performance.now() - createdMs);
  const here = SharedGate.in(ctx);
  const results = Array.from(
    { length: SOME_TASKS },
    (_, i) => i === 50 ? undefined : pool.applyAsync(work.square, [i]),
  );
  const burning = pool.applyAsync(work.burn, [here]);
  await here.reaches(1, "it burns");
  for (const [i, result] of results.entries()) {
    if (result) assertEquals(await result, i * i);
  }
  const children = ctx.activeChildren();
  const start = performance.now();
  await pool.terminate();
  assert(performance.now() - start < soonMs);
  assertInstanceOf(await burning.catch((error) => error), PoolTerminatedError);
  await until(
    () => children.every((child) => !child.isAlive()),
    "its processor is free",
  );
});

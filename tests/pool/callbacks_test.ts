/**
 * What a program does to its pool in the moment in which the pool tells it
 * something: from callbacks, and where a result is awaited.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import {
  PoolTerminatedError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import "../../mod.ts";
import type { AsyncResult, Pool } from "../../pool/mod.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

/** How long a task may run that is to run longer. */
const SHORT_MS = 50;
/** How long one may run that ends in time, however busy the machine is. */
const ENOUGH_MS = 2000;

/** Does not return to the event loop for so long. */
function beBusy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Has the pool see that its worker has begun its task: from now on time counts. */
function lookAtTime(pool: Pool): void {
  // What lies behind that task is taken back.
  pool.applyAsync(work.square, [1]).cancel();
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

// ---- when a worker has ended ------------------------------------------------------

contract(
  "what an errorCallback submits is done, though a worker has just died",
  async (ctx) => {
    for (const processes of [1, 2]) {
      await using pool = new ctx.Pool(processes);
      await pool.ready;
      for (const fate of [work.exitWith, work.throwUncaught]) {
        let again: Promise<number> | undefined;
        const lost = pool.applyAsync(fate as (code: number) => unknown, [3], {
          errorCallback: () => again = pool.apply(work.square, [3]),
        });
        await assertRejects(() => lost.get(), WorkerLostError);
        assertEquals(await again, 9);
      }
      assertEquals(pool.statistics().lost, 2);
    }
  },
);

contract(
  "PoolIterator goes on behind a lost item when there is room for one only",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    const it = pool.imap(work.exitAtFive, [1, 5, 2, 5, 3], { bufferSize: 1 });
    assertEquals((await it.next()).value, 1);
    await assertRejects(() => it.next(), WorkerLostError);
    assertEquals((await it.next()).value, 2);
    await assertRejects(() => it.next(), WorkerLostError);
    assertEquals(await Array.fromAsync(it), [3]);
  },
);

contract(
  "failFast loses nobody else's work when a worker dies",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    for (const way of ["map", "imap"] as const) {
      const here = SharedGate.in(ctx);
      const go = SharedGate.in(ctx);
      const items = [0, 1].map((i) => ({ i, here, go }));
      const options = { chunkSize: 1, failFast: true };
      const failing = way === "map"
        ? pool.map(work.exitInTurn, items, options)
        : Array.fromAsync(pool.imap(work.exitInTurn, items, options));
      await here.reaches(2, "both run");
      // They lie in the rings of both.
      const others = numbers(6).map((i) => pool.apply(work.square, [i]));
      go.set();
      await assertRejects(() => failing, WorkerLostError);
      assertEquals(await Promise.all(others), numbers(6).map((i) => i * i));
    }
  },
);

contract(
  "terminate() from an errorCallback ends what the dead worker had, too",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    await pool.ready;
    let ended: Promise<void> | undefined;
    const lost = pool.applyAsync(work.exitWith, [3], {
      errorCallback: () => ended = pool.terminate(),
    });
    const behind = numbers(3).map((i) => pool.apply(work.square, [i]));

    await assertRejects(() => lost.get(), WorkerLostError);
    for (const result of behind) {
      await assertRejects(() => result, PoolTerminatedError);
    }
    await ended;
  },
);

contract(
  "what is submitted behind a lost task is done, after many short ones",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    await pool.ready;
    // By what is known of its tasks, several go to the worker in a row.
    for (let round = 0; round < 5; round++) {
      const short = numbers(2000).map((i) => pool.apply(work.square, [i]));
      assertEquals((await Promise.all(short)).at(-1), 1999 * 1999);
    }

    const lost = pool.apply(work.exitWith, [3]);
    const behind = numbers(3).map((i) => pool.apply(work.square, [i]));
    await assertRejects(() => lost, WorkerLostError);
    const next = numbers(5).map((i) => pool.apply(work.square, [i]));
    assertEquals(await Promise.all(behind), [0, 1, 4]);
    assertEquals(await Promise.all(next), [0, 1, 4, 9, 16]);
  },
);

// ---- when a task has run for too long -----------------------------------------------

contract(
  "what an errorCallback submits when time is up takes nobody's arguments",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    let again: Promise<string> | undefined;
    const late = pool.applyAsync(work.burn, [here], {
      timeout: SHORT_MS,
      errorCallback: () => again = pool.apply(work.identity<string>, ["again"]),
    });
    await here.reaches(1, "it runs");
    lookAtTime(pool);
    // The pool hears of nothing until this is submitted, ahead of all others.
    beBusy(2 * SHORT_MS);
    const urgent = pool.apply(work.identity<string>, ["first"], {
      priority: 1,
    });

    await assertRejects(() => late.get(), TimeoutError);
    assertEquals(await urgent, "first");
    assertEquals(await again, "again");
  },
);

contract(
  "terminate() from an errorCallback ends what is being submitted",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    let ended: Promise<void> | undefined;
    const late = pool.applyAsync(work.burn, [here], {
      timeout: SHORT_MS,
      errorCallback: () => ended = pool.terminate(),
    });
    await here.reaches(1, "it runs");
    lookAtTime(pool);
    beBusy(2 * SHORT_MS);
    const urgent = pool.apply(work.square, [3], { priority: 1 });

    await assertRejects(() => late.get(), TimeoutError);
    await assertRejects(() => urgent, PoolTerminatedError);
    await ended;
  },
);

contract(
  "a task that has ended in time has not run for too long",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    await pool.ready;
    const inTime = pool.apply(work.waitFor, [here, go, 7], {
      timeout: ENOUGH_MS,
    });
    await here.reaches(1, "it runs");
    lookAtTime(pool);
    go.set();
    // It ends at once; the pool does not hear of it before its time is up.
    beBusy(ENOUGH_MS + SHORT_MS);
    const urgent = pool.apply(work.square, [3], { priority: 1 });

    assertEquals(await inTime, 7);
    assertEquals(await urgent, 9);
    assertEquals(pool.statistics().stopped, 0);
  },
);

// ---- when a result is there ---------------------------------------------------------

contract(
  "cancel() from a callback changes nothing for its own result",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const outcomes: string[] = [];
    const callbacks = (name: string, then: () => void) => ({
      callback: (value: unknown) => {
        outcomes.push(`${name}: ${value}`);
        then();
      },
      errorCallback: (error: unknown) => {
        outcomes.push(`${name}: ${(error as Error).name}`);
        then();
      },
    });

    const good: AsyncResult<number> = pool.applyAsync(
      work.square,
      [3],
      callbacks("good", () => good.cancel()),
    );
    assertEquals(await good, 9);
    const all: AsyncResult<number[]> = pool.mapAsync(
      work.square,
      [3],
      callbacks("all", () => all.cancel()),
    );
    assertEquals(await all, [9]);
    assertEquals(outcomes, ["good: 9", "all: 9"]);

    // The first to fail gives up all of them.
    outcomes.length = 0;
    const here = SharedGate.in(ctx);
    const results: AsyncResult<unknown>[] = [];
    const cancelAll = () => results.forEach((result) => result.cancel());
    results.push(
      pool.applyAsync(work.waitInChunk, [here], callbacks("first", cancelAll)),
    );
    await here.reaches(1, "it runs");
    results.push(
      pool.applyAsync(work.toInt, ["x"], callbacks("bad", cancelAll)),
    );
    await assertRejects(() => results[1]!.get(), RangeError);
    await assertRejects(() => results[0]!.get(), DOMException, "cancelled");
    assertEquals(outcomes, ["bad: RangeError", "first: AbortError"]);
  },
);

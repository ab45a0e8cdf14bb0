/**
 * What a program does to its pool in the moment in which the pool tells it
 * something: from callbacks, and where a result is awaited.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { WorkerLostError } from "../../errors.ts";
import "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

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

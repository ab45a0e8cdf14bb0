/**
 * Handles of shared objects that are in the messages of a pool and that nobody
 * takes: their memory comes back. What is left of it is counted after each test.
 *
 * @module
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EncodingError, PoolTerminatedError } from "../../errors.ts";
import "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import { unreachable } from "../fixtures/pool_broken.ts";
import * as work from "../fixtures/pool_targets.ts";

contract(
  "a handle in what a cancelled task gives or throws is given back",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    for (const throws of [false, true]) {
      for (const way of ["call", "chunk"] as const) {
        const here = SharedGate.in(ctx);
        const go = SharedGate.in(ctx);
        const item = { lock: new ctx.Lock(), throws, here, go };
        const result = way === "call"
          ? pool.applyAsync(work.lockLater, [item])
          : pool.mapAsync(work.lockLater, [item]);
        await here.reaches(1, "the task runs");
        result.cancel();
        go.set();
        await assertRejects(() => result.get(), DOMException);
        assertEquals(await pool.apply(work.square, [3]), 9);
      }
    }
    assertEquals(pool.statistics().lost, 0);
  },
);

contract(
  "a handle in an answer that is there when the pool is terminated is given back",
  async (ctx) => {
    for (const throws of [false, true]) {
      const pool = new ctx.Pool(1);
      await pool.ready;
      const here = SharedGate.in(ctx);
      const go = SharedGate.in(ctx);
      go.set();
      const item = { lock: new ctx.Lock(), throws, here: go, go };
      const result = pool.applyAsync(work.lockLater, [item]);
      pool.applyAsync(work.stay, [here]);
      // Nothing is collected while this thread is blocked.
      here.reachesSync(1, "the task behind it runs");
      const terminated = pool.terminate();
      await assertRejects(() => result.get(), PoolTerminatedError);
      await terminated;
    }
  },
);

contract(
  "a handle beside what cannot be sent is given back",
  async (ctx) => {
    await using pool = new ctx.Pool(1);

    await assertRejects(
      () => pool.map(work.lockOrFunction, [new ctx.Lock(), null], 2),
      EncodingError,
    );
    await assertRejects(
      () => pool.apply(work.throwWith, [new ctx.Lock(), true]),
      RangeError,
    );
    assertThrows(
      () =>
        pool.mapAsync(
          work.identity,
          [new ctx.Lock(), () => {}] as unknown[],
          2,
        ),
      EncodingError,
      "items[1]",
    );
  },
);

contract(
  "a handle in the arguments of a function that cannot be loaded is given back",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const lock = new ctx.Lock();
    const fn = unreachable as (lock: unknown) => void;

    for (let attempt = 0; attempt < 2; attempt++) {
      await assertRejects(
        () => pool.apply(fn, [lock]),
        Error,
        "this module does not load",
      );
    }
    assertEquals(await pool.apply(work.square, [3]), 9);
  },
);

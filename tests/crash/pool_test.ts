/**
 * The crash matrix of the pool: every way in which a worker can fail, at every
 * point of its life, for both start methods. Whoever waits gets a clear error
 * within two seconds, the others get their results, and the pool goes on.
 *
 * ```
 *                initializing  taking       running      returning    idle
 *   throws       broken        its error    its error    unsendable   replaced
 *   unsendable   broken        its error    its error    unsendable   replaced
 *   exits        broken        lost         lost         lost         replaced
 *   kill -9      broken        lost         lost         lost         replaced
 *   no memory    broken        lost         lost         lost         replaced
 *   loops        terminate()   cancel()     time limit   time limit   terminate()
 * ```
 *
 * *Taking* is the decoding of an argument whose class has a hook that fails,
 * *returning* the encoding of a result likewise, *idle* a timer that strikes when
 * the worker has nothing to do. A process kills itself, a thread is killed by the
 * test. An endless loop is ended by what the last line says.
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
  EncodingError,
  PoolTerminatedError,
  ProcessError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import "../../mod.ts";
import type { Context } from "../../contexts/mod.ts";
import type { AsyncResult, Pool } from "../../pool/mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import {
  dieAtWrite,
  FATES,
  misfortuneAtStart,
  misfortuneLater,
  misfortuneNow,
  Ominous,
  plain,
  returnOmen,
  takeOmen,
} from "../fixtures/pool_fates.ts";
import type { Fate } from "../fixtures/pool_fates.ts";

/** A survivor has to hear of it after so long … */
const SOON_MS = 2000;
/** … and, on a machine that is busy with other things, so many starts of a pool. */
const SOON_STARTS = 5;
/** Tasks before the one that fails, and as many behind it. */
const OTHERS = 10;
/** A heap that is soon exhausted. */
const MEMORY_LIMIT_MB = 64;
/** How long a task that loops may run. */
const TIMEOUT_MS = 200;

/** After how many writes a worker is killed at most: it does its tasks in fewer. */
const MOST_WRITES = 200;

/** The points of a task's life. */
type Point = "taking" | "running" | "returning";

// deno-lint-ignore no-explicit-any -- as assertRejects() has it
type ErrorClass = new (...args: any[]) => Error;

/** What comes of a task that is struck. */
const OUTCOMES: Record<Fate, Record<Point, ErrorClass>> = {
  throw: {
    taking: RangeError,
    running: RangeError,
    // What fails while it is encoded is a result that cannot be sent.
    returning: EncodingError,
  },
  unsendable: {
    taking: RangeError,
    running: RangeError,
    returning: EncodingError,
  },
  exit: lost(),
  kill: lost(),
  memory: lost(),
  loop: {
    taking: DOMException,
    running: TimeoutError,
    returning: TimeoutError,
  },
};

function lost(): Record<Point, ErrorClass> {
  return {
    taking: WorkerLostError,
    running: WorkerLostError,
    returning: WorkerLostError,
  };
}

/** Submits what is to be struck. */
const SUBMIT: Record<
  Point,
  (pool: Pool, begun: SharedGate, fate: Fate) => AsyncResult<unknown>
> = {
  taking: (pool, begun, fate) =>
    pool.applyAsync(takeOmen, [new Ominous(begun, fate, "taken")]),
  running: (pool, begun, fate) =>
    pool.applyAsync(misfortuneNow, [begun, fate], limit(fate)),
  returning: (pool, begun, fate) =>
    pool.applyAsync(returnOmen, [begun, fate], limit(fate)),
};

/** Fails if it is not soon after `sinceMs`, for a pool that took so long to start. */
function assertSoon(sinceMs: number, startupMs: number): void {
  const took = performance.now() - sinceMs;
  const limitMs = SOON_MS + SOON_STARTS * startupMs;
  assert(took < limitMs, `it took ${took} ms of ${limitMs}`);
}

function limit(fate: Fate): { timeout: number | undefined } {
  return { timeout: fate === "loop" ? TIMEOUT_MS : undefined };
}

function smallPool(ctx: Context, processes = 2): Pool {
  return new ctx.Pool({ processes, memoryLimitMb: MEMORY_LIMIT_MB });
}

function plainTasks(pool: Pool): AsyncResult<number>[] {
  return Array.from(
    { length: OTHERS },
    (_, i) => pool.applyAsync(plain, [i]),
  );
}

/** Kills a thread that waits for it; a process has done so itself. */
function killIfThread(ctx: Context, begun: SharedGate, fate: Fate): void {
  if (fate !== "kill" || ctx.getStartMethod() === "spawn") return;
  ctx.activeChildren().find(({ ident }) => ident === begun.value)!.kill();
}

for (const fate of FATES) {
  contract(`crash matrix: ${fate} while initializing`, async (ctx) => {
    const begun = SharedGate.in(ctx);
    const createdMs = performance.now();
    const pool = new ctx.Pool({
      processes: 2,
      memoryLimitMb: MEMORY_LIMIT_MB,
      initializer: misfortuneAtStart,
      initArgs: [begun, fate],
    });
    const pending = plainTasks(pool);
    if (fate === "loop") {
      await begun.reaches(2, "both loop");
      const start = performance.now();
      await pool.terminate();
      assertSoon(start, start - createdMs);
      for (const result of pending) {
        await assertRejects(() => result.get(), PoolTerminatedError);
      }
      return;
    }
    if (fate === "kill" && ctx.getStartMethod() === "worker") {
      let last = 0;
      const isBroken = () => pending[0]!.ready();
      while (!isBroken()) {
        const hasBegun = () => begun.value !== last || isBroken();
        await until(hasBegun, "another one begins");
        last = begun.value;
        for (const child of ctx.activeChildren()) child.kill();
      }
    }
    // Out of memory takes its time, and that several times in a row.
    for (const result of pending) {
      const error = await assertRejects(() => result.get(), ProcessError);
      assertInstanceOf(
        error.cause,
        OUTCOMES[fate].running,
        "it tells the first cause",
      );
    }
    await assertRejects(() => pool.apply(plain, [1]), ProcessError);
    assert(pool.statistics().started <= 4);
    await pool.terminate();
  });

  for (const point of Object.keys(SUBMIT) as Point[]) {
    contract(`crash matrix: ${fate} while ${point}`, async (ctx) => {
      const createdMs = performance.now();
      await using pool = smallPool(ctx);
      await pool.ready;
      const startupMs = performance.now() - createdMs;
      const begun = SharedGate.in(ctx);
      const before = plainTasks(pool);
      const fated = SUBMIT[point](pool, begun, fate);
      const after = plainTasks(pool);
      await begun.reaches(1, "the misfortune begins");

      const start = performance.now();
      killIfThread(ctx, begun, fate);
      // Its arguments are being decoded: that is not the task's time yet.
      if (fate === "loop" && point === "taking") fated.cancel();
      await assertRejects(() => fated.get(), OUTCOMES[fate][point]);
      assertSoon(start, startupMs);
      for (const results of [before, after]) {
        for (const [i, result] of results.entries()) {
          assertEquals(await result, i);
        }
      }
      assertEquals(await pool.map(plain, [7, 8], 1), [7, 8]);
      const isLost = OUTCOMES[fate][point] === WorkerLostError;
      assertEquals(pool.statistics().lost, isLost ? 1 : 0);
    });
  }

  contract(`crash matrix: ${fate} while idle`, async (ctx) => {
    const createdMs = performance.now();
    await using pool = smallPool(ctx, 1);
    await pool.ready;
    const startupMs = performance.now() - createdMs;
    const begun = SharedGate.in(ctx);
    await pool.apply(misfortuneLater, [begun, fate]);
    await begun.reaches(1, "the idle worker fails");
    if (fate === "loop") {
      const unlucky = pool.applyAsync(plain, [1]);
      const start = performance.now();
      await pool.terminate();
      await assertRejects(() => unlucky.get(), PoolTerminatedError);
      assertSoon(start, startupMs);
      return;
    }
    killIfThread(ctx, begun, fate);
    await until(() => pool.statistics().started === 2, "it is replaced");
    assertEquals(await pool.apply(plain, [3]), 3);
    assertEquals(pool.statistics().lost, 1);
  });
}

// A thread cannot be killed between two of its own steps: only by another thread,
// which would have to know where it is.
contract(
  "crash sweep: a process that dies at any of its writes costs one task at most",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const expected = ["armed", 1, [2, 3], 4];
    const losses = new Set<number>();
    for (let count = 1;; count++) {
      assert(count < MOST_WRITES, "it never comes to an end");
      const before = pool.statistics().lost;
      const outcomes = await Promise.allSettled<unknown>([
        pool.applyAsync(dieAtWrite, [count]),
        pool.applyAsync(plain, [1]),
        pool.mapAsync(plain, [2, 3], 2),
      ]);
      // And one more when the worker has nothing to do.
      outcomes.push(...await Promise.allSettled([pool.apply(plain, [4])]));
      if (pool.statistics().lost === before) break; // it has done all of them

      const message = `killed after ${count} writes: ${Deno.inspect(outcomes)}`;
      const lost = outcomes.filter(({ status }) => status === "rejected");
      assert(lost.length <= 1, message);
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === "rejected") {
          assertInstanceOf(outcome.reason, WorkerLostError, message);
          losses.add(i);
        } else assertEquals(outcome.value, expected[i], message);
      }
      assertEquals(await pool.apply(plain, [5]), 5);
    }
    // It has been killed before, in and after each of them. (Only the sweep as a
    // whole does that: some have just one or two writes of their own.)
    assertEquals([...losses].sort(), [0, 1, 2, 3]);
  },
  { methods: ["spawn"] },
);

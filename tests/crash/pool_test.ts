/**
 * The crash matrix of the pool: every way in which a worker can fail, at every
 * point of a task's life, for both start methods. Whoever waits gets a clear error
 * within two seconds, the others their results, and the pool goes on.
 *
 * ```
 *                   initializer  taking  running  returning  idle
 *   throws               x          x       x         x        x
 *   unsendable error     x          x       x         x        -
 *   exit                 x          x       x         x        x
 *   kill -9              x          x       x         x        x
 *   out of memory        x          x       x         x        -
 *   endless loop         x          x       x         x        x
 * ```
 *
 * *Taking* is the decoding of an argument whose class has a hook that fails,
 * *returning* the encoding of a result likewise, *idle* a timer that strikes when
 * the worker has nothing to do. An endless loop ends by the task's time limit
 * while running, else by `terminate()`.
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
  PoolTerminatedError,
  ProcessError,
  TimeoutError,
  WorkerLostError,
} from "../../errors.ts";
import "../../mod.ts";
import type { Context } from "../../contexts/mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import {
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

/** A survivor has to hear of it after so long. */
const SOON_MS = 2000;
/** Tasks beside the one that fails. */
const OTHERS = 10;
/** A heap that is soon exhausted. */
const MEMORY_LIMIT_MB = 64;

/** What a fate ends in for whoever waits. */
// deno-lint-ignore no-explicit-any -- as assertRejects() has it
const ERRORS: Record<Fate, (new (...args: any[]) => Error) | undefined> = {
  throw: RangeError,
  unsendable: RangeError,
  exit: WorkerLostError,
  kill: WorkerLostError,
  memory: WorkerLostError,
  loop: undefined, // the test ends it
};

/** A thread cannot be killed from inside without its process. */
function fatesOf(ctx: Context): Fate[] {
  const isThread = ctx.getStartMethod() === "worker";
  return FATES.filter((fate) => !(isThread && fate === "kill"));
}

function smallPool(ctx: Context, processes = 2) {
  return new ctx.Pool({ processes, memoryLimitMb: MEMORY_LIMIT_MB });
}

/** Fails if an error does not come within two seconds of `begun`. */
async function soon(begun: SharedGate, work: Promise<unknown>): Promise<void> {
  await begun.reaches(1, "the misfortune begins");
  const start = performance.now();
  await work;
  const took = performance.now() - start;
  assert(took < SOON_MS, `it took ${took} ms`);
}

for (const fate of FATES) {
  const title = (point: string) => `crash matrix: ${fate} while ${point}`;
  const methods = fate === "kill" ? ["spawn"] as const : undefined;
  const options = methods ? { methods } : {};

  contract(title("initializing"), async (ctx) => {
    const begun = SharedGate.in(ctx);
    const pool = new ctx.Pool({
      processes: 2,
      memoryLimitMb: MEMORY_LIMIT_MB,
      initializer: misfortuneAtStart,
      initArgs: [begun, fate],
    });
    const pending = [1, 2].map((x) => pool.applyAsync(plain, [x]));
    if (fate === "loop") {
      await begun.reaches(2, "both loop");
      await pool.terminate();
      for (const result of pending) {
        await assertRejects(() => result.get(), PoolTerminatedError);
      }
      return;
    }
    for (const result of pending) {
      // Out of memory takes its time, and that several times in a row.
      await assertRejects(() => result.get(), ProcessError);
    }
    assert(pool.statistics().started <= 4);
    assert(begun.value <= 4);
    await pool.terminate();
  }, options);

  contract(title("taking"), async (ctx) => {
    await using pool = smallPool(ctx);
    await pool.ready;
    const begun = SharedGate.in(ctx);
    const others = (n: number) =>
      Array.from({ length: n }, (_, i) => pool.applyAsync(plain, [i]));
    const before = others(OTHERS);
    const fated = pool.applyAsync(takeOmen, [
      new Ominous(begun, fate, "taken"),
    ]);
    const after = others(OTHERS);
    await struck(begun, fate, fated, pool);
    if (fate === "loop") return;
    for (const results of [before, after]) {
      for (const [i, result] of results.entries()) {
        assertEquals(await result, i);
      }
    }
    assertEquals(await pool.apply(plain, [7]), 7);
  }, options);

  contract(title("running"), async (ctx) => {
    await using pool = smallPool(ctx);
    await pool.ready;
    const begun = SharedGate.in(ctx);
    const before = Array.from(
      { length: OTHERS },
      (_, i) => pool.applyAsync(plain, [i]),
    );
    const timeout = fate === "loop" ? 200 : undefined;
    const fated = pool.applyAsync(misfortuneNow, [begun, fate], { timeout });
    const after = Array.from(
      { length: OTHERS },
      (_, i) => pool.applyAsync(plain, [i]),
    );
    await soon(
      begun,
      assertRejects(() => fated.get(), ERRORS[fate] ?? TimeoutError),
    );
    for (const results of [before, after]) {
      for (const [i, result] of results.entries()) {
        assertEquals(await result, i);
      }
    }
    assertEquals(await pool.apply(plain, [7]), 7);
  }, options);

  contract(title("returning"), async (ctx) => {
    await using pool = smallPool(ctx);
    await pool.ready;
    const begun = SharedGate.in(ctx);
    const fated = pool.applyAsync(returnOmen, [begun, fate]);
    const after = Array.from(
      { length: OTHERS },
      (_, i) => pool.applyAsync(plain, [i]),
    );
    await struck(begun, fate, fated, pool);
    if (fate === "loop") return;
    for (const [i, result] of after.entries()) assertEquals(await result, i);
    assertEquals(await pool.apply(plain, [7]), 7);
  }, options);

  if (fate === "memory" || fate === "unsendable") continue;
  contract(title("idle"), async (ctx) => {
    assert(fatesOf(ctx).includes(fate));
    await using pool = smallPool(ctx, 1);
    const begun = SharedGate.in(ctx);
    await pool.apply(misfortuneLater, [begun, fate]);
    await begun.reaches(1, "the idle worker fails");
    if (fate === "loop") {
      const unlucky = pool.applyAsync(plain, [1]);
      const start = performance.now();
      await pool.terminate();
      await assertRejects(() => unlucky.get(), PoolTerminatedError);
      assert(performance.now() - start < SOON_MS);
      return;
    }
    await until(() => pool.statistics().started === 2, "it is replaced");
    assertEquals(await pool.apply(plain, [3]), 3);
    assertEquals(pool.statistics().lost, 1);
  }, options);
}

/** Sees to it that a task which cannot succeed fails as it should. */
async function struck(
  begun: SharedGate,
  fate: Fate,
  fated: { get(): Promise<unknown> },
  pool: { terminate(): Promise<void> },
): Promise<void> {
  await begun.reaches(1, "the misfortune begins");
  const start = performance.now();
  if (fate === "loop") {
    // Nothing but the end of the pool helps: there was no time limit.
    await pool.terminate();
    await assertRejects(() => fated.get(), PoolTerminatedError);
  } else {
    const error = await assertRejects(() => fated.get());
    assertInstanceOf(error, Error);
    // What fails while it is encoded is a result that cannot be sent.
    const isSent = ["exit", "kill", "memory"].includes(fate);
    if (isSent) assertInstanceOf(error, WorkerLostError);
    else assert(!(error instanceof WorkerLostError), String(error));
  }
  const took = performance.now() - start;
  assert(took < SOON_MS, `it took ${took} ms`);
}

contract(
  "crash matrix: a process killed from outside while it runs a task",
  async (ctx) => {
    await using pool = smallPool(ctx);
    await pool.ready;
    const begun = SharedGate.in(ctx);
    const fated = pool.applyAsync(misfortuneNow, [begun, "loop"]);
    await begun.reaches(1, "the task burns");
    for (const child of ctx.activeChildren()) child.kill();

    await soon(begun, assertRejects(() => fated.get(), WorkerLostError));
    assertEquals(await pool.apply(plain, [7]), 7);
  },
);

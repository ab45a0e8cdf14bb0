/**
 * Results, and giving up waiting for one. The end of a block ends its pool: what
 * was not done is rejected, rather than waited for for ever.
 *
 * Python: `with Pool(4) as pool:`, `AsyncResult.get(timeout=1)`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_05_results_in_time.ts [--method spawn|worker]
 * ```
 */
import {
  type AsyncResult,
  getContext,
  PoolTerminatedError,
  ProcessError,
  sleep,
  TimeoutError,
} from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** The square. */
export function f(x: number): number {
  return x * x;
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  let resA: AsyncResult<number>;
  let resB: AsyncResult<void>;
  const pool = new ctx.Pool(4);
  {
    await using _end = pool;
    resA = pool.applyAsync(f, [20]);
    resB = pool.applyAsync(sleep, [10_000]);
    // On a machine that is busy a second may be too short for the first.
    await resA.wait();
    try {
      // Waiting ends after a second; the task goes on. (To end the task as well,
      // give the time limit to applyAsync().)
      console.log(await resB.get({ timeout: 1000 }));
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      console.log("得 resB 值超時");
    }
    console.log("pool 此時仍可使用");
  }
  console.log("pool 已不可使用");
  // What was done is still there.
  console.log("resA", await resA.get({ timeout: 1000 }));

  // What was not is rejected, and no more is taken. Nothing is printed if so.
  const failure = await resB.catch((error) => error);
  if (!(failure instanceof PoolTerminatedError)) throw failure;
  try {
    pool.applyAsync(f, [20]);
    throw new Error("The pool takes work");
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    if (error.message !== "Pool not running") throw error;
  }
}

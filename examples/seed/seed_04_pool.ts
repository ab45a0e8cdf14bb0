/**
 * Five tasks for a pool of three workers, which take the next one when they have
 * done the last.
 *
 * Python: `Pool.apply_async()` with an `error_callback`, `close()`, `join()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_04_pool.ts [--method spawn|worker] [--fail]
 * ```
 *
 * With `--fail` one task throws, and the error callback is told.
 */
import { currentProcess, getContext, sleep } from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** Hears of what went wrong in a task; the cause has the stack of the worker. */
function handleError(error: unknown): void {
  console.error(error);
}

/** A task that takes its time. */
export async function longTimeTask(
  name: number,
  fails: boolean,
): Promise<void> {
  if (fails) throw new RangeError(`任務 ${name} on purpose`);
  console.log(`任務 ${name} (${currentProcess().ident}) 開始`);
  const startMs = performance.now();
  await sleep(3000);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(`任務 ${name} 執行 ${seconds.toFixed(2)} seconds.`);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const fails = Deno.args.includes("--fail");
  console.log(`Parent process ${Deno.pid}.`);
  {
    await using pool = new ctx.Pool(3);
    for (let i = 0; i < 5; i++) {
      pool.applyAsync(longTimeTask, [i, fails && i === 4], {
        errorCallback: handleError,
      });
    }
    console.log("等待所有 child processes 完成");
    // No more tasks. Without this and join(), the end of the block would end the
    // pool with what it had not done.
    pool.close();
    await pool.join();
  }
  console.log("所有 child processes 完成");
}

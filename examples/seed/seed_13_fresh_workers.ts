/**
 * A worker that is replaced after two tasks.
 *
 * Python: `Pool(1, maxtasksperchild=2)`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_13_fresh_workers.ts [--method spawn|worker]
 * ```
 */
import { currentProcess, getContext } from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** Says who runs it. */
export function f(): void {
  console.log(`PID: ${currentProcess().ident}`);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const pool = new ctx.Pool({ processes: 1, maxTasksPerChild: 2 });
  for (let i = 0; i < 5; i++) pool.applyAsync(f);
  // Without these two lines the program would end, and the pool with it, before
  // the tasks are done.
  pool.close();
  await pool.join();
}

/**
 * A worker is given its items in chunks, and does each chunk in order: two chunks
 * of ten run beside each other, one chunk of twenty runs in one worker.
 *
 * Python: `pool.map(f, range(20), chunksize=10)`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_15_chunks.ts [--method spawn|worker] [--one-chunk]
 * ```
 */
import { getContext, sleep } from "../../mod.ts";
import { range, startMethod } from "./_common.ts";

/** Takes a moment, so that there is something to see. */
export async function f(x: number): Promise<void> {
  await sleep(100);
  console.log(x);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const pool = new ctx.Pool(2);
  // So that both begin at once. It need not be waited for otherwise.
  await pool.ready;
  const chunkSize = Deno.args.includes("--one-chunk") ? 20 : 10;
  await pool.map(f, range(0, 20), { chunkSize });
}

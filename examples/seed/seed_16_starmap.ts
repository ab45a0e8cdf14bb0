/**
 * A function with more than one argument.
 *
 * Python: `pool.starmap(f, zip(range(20), range(20, 40)), chunksize=1)`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_16_starmap.ts [--method spawn|worker]
 * ```
 */
import { getContext } from "../../mod.ts";
import { range, startMethod } from "./_common.ts";

/** Prints both. */
export function f(x: number, y: number): void {
  console.log(x, y);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const pool = new ctx.Pool();
  const pairs = range(0, 20).map((x): [number, number] => [x, x + 20]);
  await pool.starmap(f, pairs, { chunkSize: 1 });
}

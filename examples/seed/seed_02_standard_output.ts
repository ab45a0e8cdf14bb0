/**
 * What children write is not lost, even without an end of line, and even if nobody
 * closes the pool: nothing is kept in a buffer of the child's, so there is nothing
 * to flush.
 *
 * Python: `print(x, end=" ", flush=True)`, or `close()` and `join()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_02_standard_output.ts [--method spawn|worker]
 * ```
 */
import { currentProcess, getContext, sleep } from "../../mod.ts";
import { listed, range, startMethod } from "./_common.ts";

/** Writes its argument, and a space where a line would end. */
export async function f(x: number): Promise<number> {
  await sleep(100);
  Deno.stdout.writeSync(new TextEncoder().encode(`${x} `));
  return x;
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const pool = new ctx.Pool();
  console.log(listed(await pool.map(f, range(0, 10))));
  // Neither close() nor join(): an idle pool does not keep the program alive, and
  // its workers end with it.
}

// In this process and in each worker, which all write to the same place.
console.log(`stdout: ${currentProcess().ident}`);

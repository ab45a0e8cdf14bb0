/**
 * A queue: first in, first out. What is put into it is copied.
 *
 * Python: `Queue.put()`, `Queue.get()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_06_queue.ts [--method spawn|worker]
 * ```
 */
import { getContext, type Queue } from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** Puts two things. */
export async function f(q: Queue<unknown>): Promise<void> {
  await q.put([42, null, "hello"]);
  await q.put(2);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const q = new ctx.Queue<unknown>();
  const p = new ctx.Process({ target: f, args: [q] });
  p.start();
  console.log(await q.get()); // [ 42, null, "hello" ]
  console.log(await q.get()); // 2
  await p.join();
}

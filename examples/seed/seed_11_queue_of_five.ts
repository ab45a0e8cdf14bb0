/**
 * A queue with room for five things. The program ends even though nobody takes them
 * out.
 *
 * Python: `Queue(5)`, `put(…, False)`, `qsize()`, `full()`, `join_thread()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_11_queue_of_five.ts [--method spawn|worker]
 * ```
 */
import { getContext } from "../../mod.ts";
import { startMethod } from "./_common.ts";

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const q = new ctx.Queue<unknown>(5);
  console.log(q.empty()); // true
  console.log(q.qsize()); // 0

  // Without waiting for room: if there is none, a QueueFullError says so.
  const now = { block: false };
  await q.put([1, 2, 3], now);
  await q.put(1, now);
  await q.put("123", now);
  await q.put(new Set([1, 2, 3]), now);
  await q.put({ list: [1, 2, 3], dict: { "1": 1, "2": 2 } }, now);

  // Exact at the moment of asking; others may put and take meanwhile.
  console.log(q.qsize()); // 5
  console.log(q.full()); // true

  q.close();
  await q.joinThread();
}

/**
 * A dict and a list that live in a process of their own, the manager's: slower than
 * shared memory, but they take any value, and can be used over the network.
 *
 * Python: `with Manager() as manager:`, `manager.dict()`, `manager.list()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi --allow-net examples/seed/seed_09_manager.ts [--method spawn|worker]
 * ```
 */
import { type DictProxy, getContext, type ListProxy } from "../../mod.ts";
import { listed, range, startMethod } from "./_common.ts";

/** Changes both. Each change is a message, so it is awaited. */
export async function f(
  d: DictProxy<number | string, unknown>,
  l: ListProxy<number>,
): Promise<void> {
  await d.set(1, "1");
  await d.set("2", 2);
  await d.set(0.25, null);
  await l.reverse();
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  await using manager = await ctx.Manager();
  const d = await manager.dict<number | string, unknown>();
  const l = await manager.list(range(0, 10));
  console.log(await d.copy()); // Map(0) {}
  console.log(listed(await l.copy())); // [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

  const p = new ctx.Process({ target: f, args: [d, l] });
  p.start();
  await p.join();

  // Keys keep their types: the number 1, the text "2".
  console.log(await d.copy()); // Map(3) { 1 => "1", "2" => 2, 0.25 => null }
  console.log(listed(await l.copy())); // [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
}

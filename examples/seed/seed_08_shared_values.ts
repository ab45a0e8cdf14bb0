/**
 * A number and an array in shared memory: what the child changes, its parent sees.
 *
 * Python: `Value("d", 0.0)`, `Array("i", range(10))`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_08_shared_values.ts [--method spawn|worker]
 * ```
 */
import { getContext, type SharedItems, type SharedValue } from "../../mod.ts";
import { listed, range, startMethod } from "./_common.ts";

/** Sets the number, and negates the items. */
export function f(n: SharedValue<"d">, a: SharedItems<"i">): void {
  n.value = 3.1415927;
  for (let i = 0; i < a.length; i++) a.set(i, -a.at(i)!);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const num = new ctx.Value("d", 0);
  const arr = new ctx.Array("i", range(0, 10));
  console.log(num.value); // 0
  console.log(listed(arr)); // [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  const p = new ctx.Process({ target: f, args: [num, arr] });
  p.start();
  await p.join();
  console.log(num.value); // 3.1415927
  console.log(listed(arr)); // [0, -1, -2, -3, -4, -5, -6, -7, -8, -9]
}

/**
 * A callback is called in this process, before the result can be had.
 *
 * Python: `apply_async(f, (10,), callback=show)`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_14_callback.ts [--method spawn|worker]
 * ```
 */
import { getContext } from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** The square. */
export function f(x: number): number {
  return x * x;
}

function show(x: number): void {
  console.log(x + 1, "In show");
}

function handleError(error: unknown): void {
  console.error(error);
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  await using pool = new ctx.Pool();
  const result = pool.applyAsync(f, [10], {
    callback: show,
    errorCallback: handleError,
  });
  // Two processes and their modules have to be loaded first.
  console.log(await result.get({ timeout: 10_000 }));
}

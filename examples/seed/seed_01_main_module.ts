/**
 * Each child loads the main module: whatever stands at its top level runs there,
 * too, with `import.meta.main` being false. So a program starts its children below
 * `if (import.meta.main)`, or each child would start children of its own.
 *
 * Python: `if __name__ == "__main__":`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_01_main_module.ts [--method spawn|worker]
 * ```
 *
 * It prints a line from this process, and one from each child that had something to
 * do.
 */
import { currentProcess, getContext } from "../../mod.ts";
import { range, startMethod } from "./_common.ts";

/** What the workers do. */
export function f(x: number): number {
  return x;
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  // As many workers as there are processors.
  const pool = new ctx.Pool();
  await pool.map(f, range(0, 10));
  pool.close();
  await pool.join();
}

// Not below the guard: this process gets here last, each worker when it loads the
// module for its first task. A thread has the process id of its program; `ident` is
// what tells children apart.
console.log(`pid:${currentProcess().ident} main:${import.meta.main}`);

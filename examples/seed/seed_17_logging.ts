/**
 * What the package does, on standard error. Children say it too, each line once,
 * although each of them loads this module and calls `logToStderr()` again.
 *
 * Python: `log_to_stderr()`, `logger.setLevel(logging.INFO)`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi --allow-net examples/seed/seed_17_logging.ts [--method spawn|worker]
 * ```
 */
import { getContext, logToStderr } from "../../mod.ts";
import { startMethod } from "./_common.ts";

logToStderr("INFO");

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const m = await ctx.Manager();
  // In Python dropping the manager ends it. Nothing can be told to have been dropped
  // here, so it is said.
  await m.shutdown();
}

/**
 * A process before it is started, while it runs and after it was ended.
 *
 * Python: `Process.is_alive()`, `terminate()`, `exitcode`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_10_terminate.ts [--method spawn|worker]
 * ```
 */
import { Process, setStartMethod, sleep } from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** What the exit code of a process is that SIGTERM ended. */
const SIGTERM = 15;

if (import.meta.main) {
  setStartMethod(startMethod());
  // A function of the package is a target like any other.
  const p = new Process({ target: sleep, args: [1_000_000] });
  console.log(String(p), p.isAlive());

  p.start();
  console.log(String(p), p.isAlive());

  p.terminate();
  // To wait for its end would be better: `await p.join()`.
  await sleep(100);
  console.log(String(p), p.isAlive());
  console.log(p.exitCode === -SIGTERM);
}

/**
 * Ten processes, and a lock that only one of them has at a time. In which order
 * they get it is nobody's business.
 *
 * Python: `Process`, `Lock`, `set_start_method()`, `freeze_support()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_03_process_and_lock.ts [--method spawn|worker]
 * ```
 */
import {
  freezeSupport,
  Lock,
  Process,
  setStartMethod,
  sleep,
} from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** Stops, and starts again when it has the lock. */
export async function f(lock: Lock, i: number): Promise<void> {
  const name = String(i).padStart(2);
  console.log(`${name} Stop`);
  await sleep(1000);
  // The lock is released at the end of the block, whatever happens in it: nobody
  // can forget to, and the next one does not wait for ever.
  using _guard = await lock.acquire();
  console.log(`${name} Start`);
}

if (import.meta.main) {
  // Not needed for a compiled program, and does nothing: here for those who look
  // for it.
  freezeSupport();
  // Once per program. `Process` and `Lock` belong to it from then on.
  setStartMethod(startMethod());
  const lock = new Lock();
  for (let i = 0; i < 10; i++) {
    const process = new Process({ target: f, args: [lock, i] });
    process.start();
    // Waits for a tenth of a second at most, and says whether the process has
    // ended. It has not.
    await process.join({ timeout: 100 });
  }
  // The program ends when its children have.
}

/**
 * What a thread may still touch that has been ended.
 *
 * Deno tells of the end of a thread before its last steps have been made. Whatever
 * runs is interrupted, but a module that was being loaded (by the user's own import:
 * with those of this package its end waits, see `worker.ts`) is not loaded any more:
 * that rejects, with `null`, and what awaits it runs, on a busy machine tens of
 * milliseconds after everybody has been told. It looks whether it has been buried
 * before it writes, and may lose its processor between the look and the write. So
 * shared memory that such a thread knows by its address is not given to others
 * until some time later: an answer to the task of a pool that is no more was taken
 * for that of a new pool in the same place.
 *
 * Nothing tells when a thread is still. Nor is there a timer: the graves are
 * cleared when the next one is dug.
 *
 * Runs in whoever has had children.
 *
 * @module
 */
import { farewells } from "./current.ts";

/** What was a thread's. */
interface Grave {
  readonly giveBack: () => void;
  readonly since: number;
}

/** After so many milliseconds, at least, a thread that was ended is still. */
const STILL_MS = 1000;

const graves: Grave[] = [];

/**
 * Gives something back when a thread that has ended does not touch it any more.
 *
 * @param giveBack Gives it back.
 */
export function whenStill(giveBack: () => void): void {
  clearGraves();
  graves.push({ giveBack, since: performance.now() });
}

/**
 * Gives back what has been kept for long enough.
 *
 * @param afterMs How long that is.
 * @default afterMs {1000}
 */
export function clearGraves(afterMs: number = STILL_MS): void {
  const until = performance.now() - afterMs;
  while (graves.length > 0 && graves[0]!.since <= until) {
    graves.shift()!.giveBack();
  }
}

// Whoever buries this participant does not know what it has not given back yet.
farewells.add(() => clearGraves(0));

/**
 * The main thread of a child of a compiled program; see `standalone.ts`.
 *
 * The front door imports it before anything else. It does nothing unless this
 * program is such a child: then the import never returns.
 *
 * The main thread is blocked, not left to an endless `await`: other modules of
 * the program, which do not import this package, would be evaluated meanwhile. A
 * blocked thread hears no events, so the thread that does the work says itself
 * how it ends. Signals have their usual effect on the process, and running out of
 * memory ends it, as there is no limit for the thread alone.
 *
 * Runs in the child.
 *
 * @module
 */
import { builtin } from "./_node.ts";
import { isStandalone, readPlace } from "./standalone.ts";
import type { Place } from "./standalone.ts";
import { threadEntry } from "./_thread_entry.ts";

/** Module that does the child's work. */
const THREAD_MODULE = new URL("./standalone_thread.ts", import.meta.url);

/** Word that tells how far the thread is: one of the states below · thread. */
export const STATE = 0;
/** Word with the exit code, once it has ended · thread. */
export const CODE = 1;

/** Nothing of it has run yet. */
const STARTING = 0;
/** It runs. */
export const RUNNING = 1;
/** It has ended. */
export const ENDED = 2;

/** A thread that does not come up in this time never will. */
const START_LIMIT_MS = 60_000;

/** What the thread is given. */
export interface StandaloneData {
  /** Marks the data as ours. */
  readonly multiprocessing: "standalone";
  /** Where the child's memory is. */
  readonly place: Place;
  /** The words it reports to. */
  readonly outcome: Int32Array;
}

/** Whether this is the first thread of the process. */
function isMainThread(): boolean {
  return !("DedicatedWorkerGlobalScope" in globalThis);
}

/** Has the work of the child done, and gives its exit code. */
function beChild(place: Place): number {
  const outcome = new Int32Array(new SharedArrayBuffer(8));
  const workerData: StandaloneData = {
    multiprocessing: "standalone",
    place,
    outcome,
  };
  const threads = builtin("node:worker_threads");
  // Not a copy of the environment: to make one, Deno would ask the user for it.
  new threads.Worker(threadEntry(THREAD_MODULE), {
    workerData,
    env: threads.SHARE_ENV,
    argv: Deno.args.slice(0, -1),
  });
  const answer = Atomics.wait(outcome, STATE, STARTING, START_LIMIT_MS);
  if (answer === "timed-out") {
    console.error("Cannot be a child process as its thread does not start");
    return 1;
  }
  Atomics.wait(outcome, STATE, RUNNING);
  return outcome[CODE]!;
}

if (isStandalone() && isMainThread()) {
  const place = readPlace(Deno.args);
  if (place?.parentPid === Deno.ppid) Deno.exit(beChild(place));
}

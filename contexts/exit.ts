/**
 * How a participant ends in good order:
 *
 * ```
 *   callbacks of priority 0 and above, the highest first
 *   daemons are terminated, then all children are waited for
 *   the remaining callbacks
 * ```
 *
 * Of equal priorities the one registered last comes first. In a child this follows
 * the target, and each step is awaited. The first process has no target: there it
 * follows when the program has nothing left to do, and is awaited as well. If the
 * program calls `Deno.exit()` instead, nothing can be awaited any more: the same
 * steps are begun in the same order, and daemons are ended, but not waited for. The
 * last thing that anybody does is to say so in shared memory ({@linkcode leave}). An
 * uncaught error and a signal end a first process without any of this; daemons die
 * with it all the same, as the kernel, or Deno, sees to it, and others find out that
 * it has ended (`_reaper.ts`).
 *
 * | priority | whose                                        |
 * | -------- | -------------------------------------------- |
 * | 15       | pools: before their workers, which are daemons |
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { log } from "../_log.ts";
import { eachArena } from "../memory/mod.ts";
import { children, current, farewells } from "./current.ts";
import { exitReason } from "./exit_code.ts";

/** Something to do at exit. */
interface ExitCallback {
  readonly priority: number;
  readonly order: number;
  readonly run: () => unknown;
}

/** So long may daemons take to end once they have been told to. */
const DAEMON_GRACE_MS = 1000;

const callbacks = new Set<ExitCallback>();
let registered = 0;
let listening = false;
/** Whether the exit sequence is being awaited. */
let isRunning = false;

/**
 * Has something done at exit: the highest priority first, and of equal ones the
 * one registered last.
 *
 * @param run What to do. It is awaited, unless the program ends by `Deno.exit()`.
 * @param priority Its place in the order; below zero after the children.
 * @returns Takes it back.
 */
export function atExit(run: () => unknown, priority: number): () => void {
  const callback = { priority, order: registered++, run };
  callbacks.add(callback);
  listenForEnd();
  return () => {
    callbacks.delete(callback);
  };
}

/**
 * Ends this process (or, in a worker, this thread) with what Python makes of the
 * reason: nothing is 0, a boolean or an integer is the code, and anything else
 * is written to stderr and gives 1.
 *
 * **Differs from Python:** `finally` blocks are not run, as nothing is thrown.
 *
 * @example
 * ```ts
 * import { exit } from "@deno-mp/multiprocessing";
 *
 * function main(): void {
 *   exit("cannot go on"); // code 1, the text on stderr
 * }
 * console.log(typeof main);
 * ```
 *
 * @param reason Why.
 * @default reason {undefined}
 */
export function exit(reason?: unknown): never {
  const { code, text } = exitReason(reason);
  if (text !== undefined) {
    try {
      Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
    } catch {
      // Its stderr is closed: the exit code has to tell.
    }
  }
  Deno.exit(code);
}

/**
 * The exit sequence where it can be awaited. A second call does nothing, unless
 * something has come since: what a target left running, timers and servers, runs
 * on when the sequence is over, and may register callbacks and start children.
 */
export async function exitSequence(): Promise<void> {
  if (isRunning || !isDue()) return;
  isRunning = true;
  await runSequence();
  // Registered by the sequence itself: it would never come to an end.
  callbacks.clear();
  isRunning = false;
}

/** Whether there is anything to be done at exit that has not been. */
function isDue(): boolean {
  return !current.isExiting || callbacks.size > 0 || children.size > 0;
}

async function runSequence(): Promise<void> {
  if (!current.isExiting) log.info("process shutting down");
  current.isExiting = true;
  log.debug('running all "atexit" finalizers with priority >= 0');
  for (const run of due(0)) await attempt(run);
  const daemons = endDaemons();
  if (current.hasFailed && children.size > 0) abandon();
  const deadline = performance.now() + DAEMON_GRACE_MS;
  for (const child of [...children]) {
    log.info(`calling join() for process ${child.name}`);
    const timeout = Math.max(0, deadline - performance.now());
    if (daemons.has(child) && !await child.join({ timeout })) {
      // It does not listen, and nobody is to be kept waiting by daemons.
      child.kill();
    }
    await child.join();
  }
  log.debug('running the remaining "atexit" finalizers');
  for (const run of due(-Infinity)) await attempt(run);
}

/**
 * Abandons what is held by one that has failed before it waits for its children:
 * they may themselves be waiting for that.
 */
function abandon(): void {
  eachArena(({ participants, me, waiting }) => {
    participants.markEnded(me);
    waiting.wakeEverybody();
  });
}

/** The same where nothing can be awaited any more. */
export function exitSequenceSync(): void {
  if (!isDue()) return;
  if (!current.isExiting) log.info("process shutting down");
  current.isExiting = true;
  log.debug('running all "atexit" finalizers with priority >= 0');
  for (const run of due(0)) void attempt(run);
  endDaemons();
  log.debug('running the remaining "atexit" finalizers');
  for (const run of due(-Infinity)) void attempt(run);
}

/**
 * Ends what must not outlive this participant when it ends, and runs what has been
 * registered, however it ends.
 */
export function listenForEnd(): void {
  if (listening) return;
  listening = true;
  // Heard in a first process that has nothing left to do. Refusing to end lets
  // what is awaited go on; once nothing is, it is heard again.
  globalThis.addEventListener("beforeunload", (event) => {
    if (isRunning || !isDue()) return;
    event.preventDefault();
    void exitSequence();
  });
  globalThis.addEventListener("unload", () => {
    exitSequenceSync();
    // A child leaves as its host says: see `_child.ts`.
    if (!current.parent) leave();
  });
}

/**
 * Says in all shared memory that this participant ends now: in good order, unless
 * it has failed. Others go on from then on, whether it is buried soon or not.
 */
export function leave(): void {
  for (const run of farewells) run();
  // A thread may take part among processes too.
  eachArena(({ participants, me, waiting }) => {
    if (current.hasFailed) participants.markEnded(me);
    else participants.leave(me);
    waiting.wakeEverybody();
  });
}

function endDaemons(): ReadonlySet<unknown> {
  const daemons = new Set<unknown>();
  for (const child of children) {
    if (!child.daemon) continue;
    daemons.add(child);
    log.info(`calling terminate() for daemon ${child.name}`);
    child.terminate();
  }
  return daemons;
}

/**
 * The callbacks from a priority on, in their order. One that has been taken back
 * by the time it would be its turn is left out; one that is registered meanwhile
 * is not part of this round.
 */
function* due(lowest: number): Generator<() => unknown> {
  const chosen = [...callbacks].filter(({ priority }) => priority >= lowest);
  chosen.sort((a, b) => b.priority - a.priority || b.order - a.order);
  for (const callback of chosen) {
    if (callbacks.delete(callback)) yield callback.run;
  }
}

async function attempt(run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    // The rest has to be done all the same, and nobody is left to be told.
    console.error(error);
  }
}

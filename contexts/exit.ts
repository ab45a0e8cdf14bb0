/**
 * How a participant ends in good order: callbacks by priority, then its children,
 * then the rest of the callbacks.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { log } from "../_log.ts";
import { children, current } from "./current.ts";
import { exitReason } from "./exit_code.ts";

/** Something to do at exit. */
interface ExitCallback {
  readonly priority: number;
  readonly order: number;
  readonly run: () => unknown;
}

const callbacks = new Set<ExitCallback>();
let registered = 0;
let listening = false;

/**
 * Has something done at exit: the highest priority first, and of equal ones the
 * one registered last.
 *
 * @param run What to do. At the end of a child it is awaited; when the first
 * process ends it can only act at once.
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
    Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  }
  Deno.exit(code);
}

/** The exit sequence of a child, in which it can wait for its own children. */
export async function exitSequence(): Promise<void> {
  if (current.isExiting) return;
  current.isExiting = true;
  log.info("process shutting down");
  log.debug('running all "atexit" finalizers with priority >= 0');
  for (const callback of due(0)) await attempt(callback);
  endDaemons();
  for (const child of [...children]) {
    log.info(`calling join() for process ${child.name}`);
    await child.join();
  }
  log.debug('running the remaining "atexit" finalizers');
  for (const callback of due(-Infinity)) await attempt(callback);
}

/** The same where nothing can be awaited any more. */
function exitSequenceSync(): void {
  if (current.isExiting) return;
  current.isExiting = true;
  log.info("process shutting down");
  for (const callback of due(0)) void attempt(callback);
  endDaemons();
  for (const callback of due(-Infinity)) void attempt(callback);
}

/** Ends what must not outlive this participant when it ends. */
export function listenForEnd(): void {
  if (listening) return;
  listening = true;
  globalThis.addEventListener("unload", exitSequenceSync);
}

function endDaemons(): void {
  for (const child of children) {
    if (!child.daemon) continue;
    log.info(`calling terminate() for daemon ${child.name}`);
    child.terminate();
  }
}

/** Takes the callbacks from a priority on, in their order. */
function due(lowest: number): ExitCallback[] {
  const chosen = [...callbacks].filter(({ priority }) => priority >= lowest);
  for (const callback of chosen) callbacks.delete(callback);
  return chosen.sort((a, b) => b.priority - a.priority || b.order - a.order);
}

async function attempt({ run }: ExitCallback): Promise<void> {
  try {
    await run();
  } catch (error) {
    // The rest has to be done all the same, and nobody is left to be told.
    console.error(error);
  }
}

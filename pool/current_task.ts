/**
 * {@linkcode currentTask}: what a task can know of itself while it runs.
 *
 * Runs in the child.
 *
 * @module
 */
import { NOT_YET } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import { C_CANCEL } from "./_protocol.ts";
import type { Channel } from "./_protocol.ts";

/** A task of a pool, as it sees itself. */
export interface CurrentTask {
  /**
   * Aborted when the task is cancelled. A task that never awaits has to ask
   * `currentTask()` again to see it.
   */
  readonly signal: AbortSignal;
  /** Its index among the items of its `map`; 0 of an `apply`. */
  readonly index: number;
}

// The running task. Plain variables, because a worker runs one at a time, and
// setting them must cost next to nothing.
let arena: Arena;
let channel: Channel;
let sequence = 0;
let index = 0;
let controller: AbortController | undefined;
let listening: AbortController | undefined;

/** Says which pool this is a worker of. */
export function enterPool(itsArena: Arena, itsChannel: Channel): void {
  arena = itsArena;
  channel = itsChannel;
}

/** Says which task runs now. */
export function beginTask(itsSequence: number, itsIndex: number): void {
  sequence = itsSequence;
  index = itsIndex;
}

/** Says that none does. */
export function endTask(): void {
  sequence = 0;
  controller = undefined;
  listening?.abort();
  listening = undefined;
}

/**
 * The task that is running, if this is a worker of a pool and runs one.
 *
 * @example Outside of a pool there is none
 * ```ts
 * import { currentTask } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(currentTask(), null);
 * ```
 */
export function currentTask(): CurrentTask | null {
  if (sequence === 0) return null;
  if (isCancelled()) getController().abort(reason());
  return {
    index,
    get signal() {
      return getController().signal;
    },
  };
}

function getController(): AbortController {
  if (controller) return controller;
  const mine = controller = new AbortController();
  if (isCancelled()) mine.abort(reason());
  else listen(mine);
  return mine;
}

/** Hears of a cancellation for as long as the task runs. */
function listen(mine: AbortController): void {
  const end = listening = new AbortController();
  arena.waiting.wait(
    [channel.cancelKey],
    () => isCancelled() ? true : NOT_YET,
    { signal: end.signal },
  ).then(() => mine.abort(reason()), () => {
    // The task has ended without being cancelled.
  });
}

function isCancelled(): boolean {
  return sequence !== 0 && Atomics.load(channel.control, C_CANCEL) === sequence;
}

function reason(): DOMException {
  return new DOMException("The task was cancelled", "AbortError");
}

/**
 * {@linkcode wait}: until one of several objects is ready.
 *
 * Objects in shared memory are waited for together, with one wait for each arena
 * they lie in; all others have a promise. Whatever happens first ends the wait,
 * and the rest is cancelled.
 *
 * **No wake-up is lost.** Nothing is taken here; so a wake-up that a message or
 * an item has given to this wait is passed on afterwards, to the next who waits
 * for it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  checkedTimeout,
  checkOptions,
  checkSignal,
  LONGEST_TIMER_MS,
  NOT_YET,
} from "../memory/mod.ts";
import type { Arena, WaitOptions } from "../memory/mod.ts";
import { readinessOf } from "./waitable.ts";
import type { Readiness, SharedReadiness } from "./waitable.ts";

/**
 * Waits until at least one of several objects is ready: a connection when there
 * is a message or the end, a queue when there is an item, the sentinel of a
 * process when it has ended.
 *
 * - **Order:** the result has the order of the input, and all that are ready.
 * - **Nothing is taken:** another process may be faster at taking it.
 * - **Cancelling:** an aborted wait rejects with the signal's reason.
 * - **Differs from Python:** queues can be waited for directly; sockets and files
 *   cannot. The same object may be there twice.
 *
 * @example Whichever comes first
 * ```ts
 * import { Pipe, wait } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = Pipe<string>();
 * const [c, d] = Pipe<string>();
 * await d.send("hello");
 * assertEquals(await wait([a, c]), [c]);
 * assertEquals(await wait([a, b], { timeout: 0 }), []);
 * ```
 *
 * @param objects What to wait for: connections, queues, sentinels.
 * @param options How long to wait.
 * @returns Those that are ready; none if the time ran out.
 * @throws {TypeError} If `objects` is no list, or one of them is nothing to wait for.
 * @throws {ProcessError} If one of them is closed.
 */
export async function wait<T extends object>(
  objects: Iterable<T>,
  options: WaitOptions = {},
): Promise<T[]> {
  checkOptions(options);
  const timeout = checkedTimeout(options.timeout);
  const waited = Array.from(checkedList(objects), (object, i) => ({
    object,
    readiness: checkedReadiness(object, i),
  }));
  const ready = () =>
    waited.filter(({ readiness }) => readiness.ready())
      .map(({ object }) => object);

  const { signal } = options;
  const deadline = performance.now() + timeout;
  for (;;) {
    // Each time: one that is aborted between two looks does not tell again.
    checkSignal(signal);
    const found = ready();
    if (found.length > 0 || performance.now() >= deadline) return found;
    // Looked at again, as another may have been faster.
    await something(
      waited.map((one) => one.readiness),
      deadline,
      signal,
    );
  }
}

/** `Array.from()` takes what is no list for an empty one, which is never ready. */
function checkedList<T>(objects: Iterable<T>): Iterable<T> {
  if (
    typeof objects === "object" &&
    typeof objects?.[Symbol.iterator] === "function"
  ) return objects;
  throw new TypeError(
    `Cannot wait for objects as they must be a list, as in wait([connection]): they are ${
      Deno.inspect(objects)
    }`,
  );
}

function checkedReadiness(object: unknown, index: number): Readiness {
  const readiness = readinessOf(object);
  if (readiness) return readiness;
  throw new TypeError(
    `Cannot wait for objects[${index}] as it is no connection, queue or sentinel: it is ${
      Deno.inspect(object)
    }`,
  );
}

/** Waits until one may be ready, the time is up or the signal aborted. */
async function something(
  readinesses: readonly Readiness[],
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const onAbort = () => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  const left = Math.max(0, deadline - performance.now());
  const leftMs = Math.min(left, LONGEST_TIMER_MS);
  const timer = deadline < Infinity ? setTimeout(resolve, leftMs) : undefined;
  const losers = new AbortController();
  for (const wait of waits(readinesses, losers.signal)) {
    wait.then(resolve, reject);
  }
  try {
    await promise;
  } finally {
    losers.abort();
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Begins to wait: once for each arena, and for each promise. */
function* waits(
  readinesses: readonly Readiness[],
  signal: AbortSignal,
): Iterable<Promise<unknown>> {
  const inArena = new Map<Arena, SharedReadiness[]>();
  for (const readiness of readinesses) {
    if (!("arena" in readiness)) {
      yield readiness.promise(signal);
      continue;
    }
    const others = inArena.get(readiness.arena);
    if (others) others.push(readiness);
    else inArena.set(readiness.arena, [readiness]);
  }
  for (const [arena, shared] of inArena) yield waitIn(arena, shared, signal);
}

async function waitIn(
  { waiting }: Arena,
  shared: readonly SharedReadiness[],
  signal: AbortSignal,
): Promise<void> {
  const keys = [...new Set(shared.flatMap((readiness) => readiness.keys))];
  const isAnyReady = () =>
    shared.some((readiness) => readiness.ready()) || NOT_YET;
  try {
    await waiting.wait(keys, isAnyReady, { signal });
  } finally {
    for (const key of keys) waiting.wake(key, 1);
  }
}

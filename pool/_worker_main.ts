/**
 * What a pool worker does: it takes orders, one after the other, and answers.
 *
 * The number of the task is written down before its order is gone from the ring.
 * So if this worker dies, the parent knows which task it was in, and that none of
 * those behind it had begun.
 *
 * **Waiting for an order** goes in three steps: look for a moment, because the
 * next order is often on its way; then, in a process, block the thread for a
 * moment, because waking from that is much faster than through the event loop;
 * then sleep in the event loop, where the user's timers and messages go on.
 *
 * **A thread that has been ended** may go on for a moment: promises that break
 * because of its end reject, and what awaits them runs, while the parent has been
 * told of the end: see `contexts/graves.ts`. So nothing here touches shared memory
 * without having looked whether this is still a participant.
 *
 * Runs in the child.
 *
 * @module
 */
import { log } from "../_log.ts";
import { parentBufferPort } from "../contexts/buffer_port.ts";
import { current, NEVER } from "../contexts/current.ts";
import { exitSequence } from "../contexts/exit.ts";
import { load, register } from "../contexts/functions.ts";
import type { FunctionReference } from "../contexts/functions.ts";
import { arenaFor, keyOf, NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Arena, MemoryKind } from "../memory/mod.ts";
import { unknownTag } from "../codec/handles.ts";
import { takeBack } from "../primitives/block.ts";
import { toMessage } from "../primitives/to_wire.ts";
import type { Sent } from "../primitives/to_wire.ts";
import { arrived, fromMessage } from "../primitives/wire.ts";
import type { Arrival } from "../primitives/wire.ts";
import { callWithAll, callWithItem } from "./_calls.ts";
import type { Callable } from "./_calls.ts";
import { packed, trySending, unsendable } from "./_failures.ts";
import { openParcel } from "./_parcel.ts";
import {
  APART,
  C_CANCEL,
  C_ITEM,
  C_MEMORY_KIB,
  C_RUNNING,
  C_STARTUP_MS,
  C_STOP,
  C_TASK_NS,
  CALL,
  Channel,
  CHUNK,
  EACH_FAIL_FAST,
  EACH_SPREAD,
  EACH_SPREAD_FAIL_FAST,
  EXIT,
  FAILURE,
  framed,
  functionOf,
  HEAD_BYTES,
  indexOf,
  INITIALIZER_FAILED,
  kindOf,
  LOADING,
  READY,
  sequenceOf,
  SHARED,
  unframe,
  VALUE,
} from "./_protocol.ts";
import type { ChunkResults, Thrown } from "./_protocol.ts";
import { beginTask, endTask, enterPool } from "./current_task.ts";

/** Shared buffers that a message refers to by their places. */
type Buffers = readonly SharedArrayBuffer[];

/**
 * What a worker is told of how it is to begin and to end. The arguments are apart:
 * their classes may come from the module of the initializer.
 */
export type Setup = readonly [
  initializer: Callable | null,
  finalizer: Callable | null,
  initArgs: Uint8Array,
];

/**
 * How long to look for the next order before sleeping, in milliseconds. A parent
 * that answers a result with a new task does so within this time, and both are
 * spared a sleep and a wake. Longer only burns a core that others may need.
 */
const LOOK_MS = 0.05;
/**
 * After looking in vain a few times, each half as long, it is tried again after so
 * many sleeps. (With 64 workers on 2 cores, those that look keep from working those
 * that have something to do.)
 */
const LOOK_AGAIN = 16;
/** A longer task is told as one of this length: what fits into a word. */
const LONGEST_TASK_NS = 2e9;
/** Looks between two glances at the clock, about a microsecond. */
const LOOKS = 32;
/**
 * How long a process blocks its thread after that, in milliseconds. It costs no
 * processor, but user's timers wait for so long. A thread does not: it is as fast
 * without, and Deno complains when it is terminated while it blocks.
 */
const BLOCK_MS = 2;
/** It has looked before; with 64 workers on 2 cores more would keep others from work. */
const BLOCK_LOOKS = 4;
/** Let the event loop turn this often, in milliseconds, while there is work. */
const TURN_MS = 10;
/** Look at the memory after a task that took so long, in milliseconds … */
const LOOK_AT_MEMORY_AFTER_MS = 1;
/** … and after shorter ones this often. A look takes 10 µs. */
const LOOK_AT_MEMORY_EVERY_MS = 50;
/** Orders up to this size are copied to the same place every time. */
const SCRATCH_BYTES = 64 * 1024;

/**
 * The target of a pool's processes.
 *
 * @param kind Start method of the pool.
 * @param offset Its channel.
 * @param poolOffset The pool's block.
 * @param owner Token of the participant whose pool it is.
 * @param startedAt When it was started, as `Date.now()` there.
 * @param setup A {@linkcode Setup}, encoded apart: what fails in reading it is
 * told to the pool, not just printed.
 */
export async function poolWorker(
  kind: MemoryKind,
  offset: number,
  poolOffset: number,
  owner: number,
  startedAt: number,
  setup: Uint8Array | null,
): Promise<void> {
  const arena = arenaFor(kind);
  const channel = new Channel(arena, offset, keyOf(poolOffset), owner, true);
  globalThis.addEventListener("unload", () => isOver = true);
  if (kind === "worker") endWhenStopped(arena, channel);
  const worker = new PoolWorkerMain(arena, channel);
  let finalizer: Callable | null = null;
  try {
    finalizer = await begin(setup);
  } catch (error) {
    if (isEnding(arena)) await NEVER;
    worker.answerThrown(INITIALIZER_FAILED, 0, error);
    return await leave();
  }
  worker.ready(Date.now() - startedAt);
  await worker.serve();
  await finalizer?.();
  await leave();
}

register(import.meta, { poolWorker });

/** Whether this worker has begun to end: whatever runs now, runs too late. */
let isOver = false;

/** Whether this thread is being ended: then what is thrown in it is no news. */
function isEnding({ participants, me }: Arena): boolean {
  return isOver || participants.isStopped(me);
}

/** Runs the initializer; gives what is to be run at the end. */
async function begin(setup: Uint8Array | null): Promise<Callable | null> {
  if (!setup) return null;
  const [initializer, finalizer, initArgs] = await arrived(setup) as Setup;
  const args = await arrived(initArgs, current.buffers) as unknown[];
  await initializer?.(...args);
  return finalizer;
}

/** Ends in good order, whatever timers and servers tasks have left running. */
async function leave(): Promise<void> {
  await exitSequence();
  log.info(`process exiting with exitcode ${Deno.exitCode}`);
  Deno.exit();
}

/**
 * Ends this thread when the parent wants it to end at once: as a signal ends a
 * process, so that what its task holds is abandoned.
 */
function endWhenStopped(arena: Arena, { control, stopKey }: Channel): void {
  const attempt = () => Atomics.load(control, C_STOP) === 1 || NOT_YET;
  arena.waiting.wait([stopKey], attempt).then(() => {
    isOver = true;
    current.hasFailed = true;
    Deno.exit();
  });
}

class PoolWorkerMain {
  readonly #arena: Arena;
  readonly #channel: Channel;
  readonly #control: Int32Array;
  readonly #target: { readonly kind: MemoryKind };
  /** What shared buffers come through, and go. */
  readonly #port = parentBufferPort();
  readonly #functions = new Map<number, Callable | FunctionReference>();
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  #memoryLookedMs = 0;
  /** When the last task ended, 0 if that is not known. */
  #endedMs = 0;
  /** How long a task takes of late, in milliseconds. */
  #taskMs = LOOK_AT_MEMORY_AFTER_MS;
  /** How long to look before the next sleep. */
  #lookMs = LOOK_MS;
  #sleepsUntilLook = LOOK_AGAIN;
  // The order in hand. One object for each would be one more to collect.
  #kind = 0;
  #sequence = 0;
  #fn = 0;
  #index = 0;
  #body: Uint8Array = this.#scratch;
  /** Whether it refers to shared buffers. */
  #isShared = false;
  #served = 0;

  constructor(arena: Arena, channel: Channel) {
    this.#arena = arena;
    this.#channel = channel;
    this.#control = channel.control;
    this.#target = { kind: arena.kind };
    enterPool(arena, channel);
  }

  /** Says that it takes orders from now on. */
  ready(startupMs: number): void {
    if (this.#isGone) return;
    this.#lookAtMemory();
    // Never 0, which means that it is not ready.
    Atomics.store(this.#control, C_STARTUP_MS, Math.max(1, startupMs));
    this.#channel.answers.tryPut(framed(READY));
  }

  async serve(): Promise<void> {
    let turnedMs = performance.now();
    while (true) {
      if (this.#isGone) await NEVER;
      const isThere = this.#take();
      if (!isThere && !this.#lookForOrder()) {
        await this.#sleepForOrder();
        turnedMs = performance.now();
      }
      // A task that was there begins where the last one ended: to read the clock
      // once more takes as long as to do a short one.
      const begunMs = isThere && this.#endedMs || performance.now();
      this.#endedMs = 0;
      if (begunMs - turnedMs > TURN_MS) {
        // Timers and messages of the user's code must not starve.
        await new Promise((resolve) => setImmediate(resolve));
        turnedMs = performance.now();
      }
      if (this.#kind === EXIT) {
        log.debug(() =>
          `worker got sentinel -- exiting after ${this.#served} tasks`
        );
        return;
      }
      this.#served++;
      const pending = this.#run(begunMs);
      if (pending) await pending;
    }
  }

  /** Sends what a task has thrown. */
  answerThrown(kind: number, sequence: number, error: unknown): void {
    const thrown = packed(error, this.#arena.kind);
    const message = toMessage(thrown, this.#target, "error");
    // Looked at last: what is above takes its time.
    if (isEnding(this.#arena)) return;
    this.#channel.answers.tryPut(framed(kind, sequence, 0, 0, message));
  }

  /** Whether it has been buried: see the top. */
  get #isGone(): boolean {
    const { participants, me } = this.#arena;
    return isOver || !participants.isCurrent(me);
  }

  // ---- orders ---------------------------------------------------------------

  #lookForOrder(): boolean {
    if (this.#look()) return true;
    if (this.#arena.kind === "worker") return false;
    const { orders } = this.#channel;
    const outcome = this.#arena.waiting.waitSync(
      [orders.itemsKey],
      () => this.#take() || NOT_YET,
      { timeout: BLOCK_MS },
      BLOCK_LOOKS,
    );
    return outcome !== TIMED_OUT;
  }

  /** Looks for the next order for a moment, which is as long as that helps. */
  #look(): boolean {
    if (this.#lookMs === 0 && --this.#sleepsUntilLook > 0) return false;
    this.#sleepsUntilLook = LOOK_AGAIN;
    const { orders } = this.#channel;
    const untilMs = performance.now() + (this.#lookMs || LOOK_MS);
    do {
      // The clock is not read each time: that takes ten times as long as to look.
      for (let i = 0; i < LOOKS; i++) {
        if (orders.count === 0 || !this.#take()) continue;
        this.#lookMs = LOOK_MS;
        return true;
      }
    } while (performance.now() < untilMs);
    this.#lookMs = this.#lookMs > LOOK_MS / 8 ? this.#lookMs / 2 : 0;
    return false;
  }

  async #sleepForOrder(): Promise<void> {
    this.#port?.read(); // what was recalled need not be kept until the next order
    await this.#arena.waiting.wait(
      [this.#channel.orders.itemsKey],
      () => this.#take() || NOT_YET,
    );
  }

  #take(): boolean {
    if (this.#isGone) return false;
    return this.#channel.orders.tryTake(this.#read) ?? false;
  }

  #read = (message: Uint8Array): true => {
    this.#sequence = sequenceOf(message);
    // Before anything is done with it: from here on a death is its death.
    Atomics.store(this.#control, C_ITEM, LOADING);
    Atomics.store(this.#control, C_RUNNING, this.#sequence);
    const kind = kindOf(message);
    this.#kind = kind & ~(APART | SHARED);
    this.#isShared = (kind & SHARED) !== 0;
    this.#fn = functionOf(message);
    this.#index = indexOf(message);
    const { byteLength } = message;
    if (kind & APART) {
      this.#body = openParcel(this.#arena, message.subarray(HEAD_BYTES));
    } else if (byteLength > SCRATCH_BYTES) {
      this.#body = message.slice(HEAD_BYTES);
    } else {
      // Decoding keeps nothing of the bytes.
      this.#scratch.set(message);
      this.#body = this.#scratch.subarray(HEAD_BYTES, byteLength);
    }
    return true;
  };

  /** Runs a task; returns a promise only if it has to be waited for. */
  #run(begunMs: number): Promise<void> | undefined {
    const body = this.#body;
    this.#body = this.#scratch; // a big one need not be kept
    const buffers = this.#isShared
      ? this.#port?.take(this.#sequence)
      : undefined;
    const fn = this.#functions.get(this.#fn);
    // The classes of its arguments may come from its module: that comes first.
    if (typeof fn !== "function") return this.#runWhenLoaded(body, buffers);
    let arrival: Arrival;
    try {
      arrival = fromMessage(body, buffers);
    } catch (error) {
      if (unknownTag(error) !== undefined) {
        return this.#runWhenLoaded(body, buffers);
      }
      this.answerThrown(FAILURE, this.#sequence, error);
      return undefined;
    }
    if (arrival.loading) return this.#runWhenArrived(fn, arrival);
    return this.#runNow(fn, arrival.value as unknown[], begunMs);
  }

  async #runWhenLoaded(
    body: Uint8Array,
    buffers: Buffers | undefined,
  ): Promise<void> {
    let fn: Callable;
    let args: unknown[];
    try {
      fn = await this.#load(this.#fn);
    } catch (error) {
      if (this.#isGone) return;
      // Nobody else takes what is in them: a handle stands for one reference.
      await arrived(body, buffers).catch(() => {});
      this.answerThrown(FAILURE, this.#sequence, error);
      return;
    }
    if (this.#isGone) return;
    try {
      args = await arrived(body, buffers) as unknown[];
    } catch (error) {
      this.answerThrown(FAILURE, this.#sequence, error);
      return;
    }
    if (this.#isGone) return;
    await this.#runNow(fn, args, performance.now());
  }

  /** Runs a task whose arguments are there, but not all that belongs to them. */
  async #runWhenArrived(
    fn: Callable,
    { value, loading }: Arrival,
  ): Promise<void> {
    try {
      await loading;
    } catch (error) {
      this.answerThrown(FAILURE, this.#sequence, error);
      return;
    }
    if (this.#isGone) return;
    await this.#runNow(fn, value as unknown[], performance.now());
  }

  async #load(number: number): Promise<Callable> {
    const define = (message: Uint8Array) => {
      const { value } = fromMessage(message, undefined, HEAD_BYTES);
      this.#functions.set(functionOf(message), value as FunctionReference);
      return true;
    };
    while (this.#channel.definitions.tryTake(define));
    const fn = this.#functions.get(number)!;
    if (typeof fn === "function") return fn;
    const loaded = await load(fn) as Callable;
    this.#functions.set(number, loaded);
    return loaded;
  }

  // ---- calls ------------------------------------------------------------------

  #runNow(
    fn: Callable,
    args: unknown[],
    begunMs: number,
  ): Promise<void> | undefined {
    if (this.#kind === CALL) return this.#call(fn, args, begunMs);
    const isSpread = this.#kind === EACH_SPREAD ||
      this.#kind === EACH_SPREAD_FAIL_FAST;
    const call = isSpread ? callWithAll : callWithItem;
    return this.#callEach((i) => call(fn, args[i]), args.length, begunMs);
  }

  #call(
    fn: Callable,
    args: unknown[],
    begunMs: number,
  ): Promise<void> | undefined {
    this.#beginItem(0);
    let result: unknown;
    try {
      result = callWithAll(fn, args);
    } catch (error) {
      this.#end(begunMs);
      this.answerThrown(FAILURE, this.#sequence, error);
      return undefined;
    }
    if (isThenable(result)) return this.#settle(result, begunMs);
    this.#end(begunMs);
    this.#answerValue(result);
    return undefined;
  }

  async #settle(
    result: PromiseLike<unknown>,
    begunMs: number,
  ): Promise<void> {
    let value: unknown;
    try {
      value = await result;
    } catch (error) {
      if (this.#isGone) return;
      this.#end(begunMs);
      this.answerThrown(FAILURE, this.#sequence, error);
      return;
    }
    if (this.#isGone) return;
    this.#end(begunMs);
    this.#answerValue(value);
  }

  /** Makes each call of a chunk; what one throws does not stop the others. */
  #callEach(
    callItem: (i: number) => unknown,
    count: number,
    begunMs: number,
  ): Promise<void> | undefined {
    const results = new Results(this.#stopsAtFailure);
    const { values } = results;
    const control = this.#control;
    const sequence = this.#sequence;
    const first = this.#index;
    for (let i = 0; i < count && !results.isStopped; i++) {
      if (Atomics.load(control, C_CANCEL) === sequence) break;
      // A plain store, as nothing is ordered by it: an atomic one, and the look
      // through #isCancelled, took a fifth of the time of a short item.
      control[C_ITEM] = i;
      beginTask(sequence, first + i);
      try {
        const result = callItem(i);
        if (isThenable(result)) {
          return this.#awaitEach(callItem, count, begunMs, results, result);
        }
        values.push(result);
      } catch (error) {
        results.fail(packed(error, this.#arena.kind));
      }
    }
    this.#end(begunMs);
    this.#answerChunk(results);
    return undefined;
  }

  /** Goes on with a chunk from its first item that returned a promise. */
  async #awaitEach(
    callItem: (i: number) => unknown,
    count: number,
    begunMs: number,
    results: Results,
    first: PromiseLike<unknown>,
  ): Promise<void> {
    const start = results.values.length;
    for (let i = start; i < count && !results.isStopped; i++) {
      if (this.#isCancelled) break;
      if (i > start) this.#beginItem(i);
      try {
        results.values.push(await (i === start ? first : callItem(i)));
      } catch (error) {
        results.fail(packed(error, this.#arena.kind));
      }
      if (this.#isGone) return;
    }
    this.#end(begunMs);
    this.#answerChunk(results);
  }

  get #stopsAtFailure(): boolean {
    return this.#kind === EACH_FAIL_FAST ||
      this.#kind === EACH_SPREAD_FAIL_FAST;
  }

  /** Then nobody wants to know what the rest of the chunk comes to. */
  get #isCancelled(): boolean {
    return Atomics.load(this.#control, C_CANCEL) === this.#sequence;
  }

  #beginItem(item: number): void {
    Atomics.store(this.#control, C_ITEM, item);
    beginTask(this.#sequence, this.#index + item);
  }

  #end(begunMs: number): void {
    endTask();
    const nowMs = this.#endedMs = performance.now();
    const tookMs = nowMs - begunMs;
    // The first ones load their module, some are held up: what was fast once can
    // be so again.
    this.#taskMs = Math.min(tookMs, (this.#taskMs + tookMs) / 2);
    this.#control[C_TASK_NS] = Math.min(
      Math.max(1, this.#taskMs * 1e6),
      LONGEST_TASK_NS,
    );
    if (
      tookMs < LOOK_AT_MEMORY_AFTER_MS &&
      nowMs - this.#memoryLookedMs < LOOK_AT_MEMORY_EVERY_MS
    ) return;
    this.#memoryLookedMs = nowMs;
    this.#lookAtMemory();
  }

  /** Before the answer, so that the parent sees it with the answer. */
  #lookAtMemory(): void {
    const { rss, heapUsed } = Deno.memoryUsage();
    // A thread has a heap of its own and shares all else with its process.
    const bytes = this.#arena.kind === "spawn" ? rss : heapUsed;
    Atomics.store(this.#control, C_MEMORY_KIB, Math.ceil(bytes / 1024));
  }

  // ---- answers ------------------------------------------------------------------

  #answerValue(value: unknown): void {
    try {
      this.#put(VALUE, toMessage(value, this.#target, "result", true));
    } catch (reason) {
      this.answerThrown(FAILURE, this.#sequence, unsendable(value, reason));
    }
  }

  #answerChunk(results: Results): void {
    try {
      this.#putChunk(results);
      return;
    } catch {
      // One of the values cannot be sent: see which, and send the others.
    }
    for (const [i, value] of results.values.entries()) {
      try {
        trySending(value, this.#target, "result", true);
      } catch (reason) {
        const error = unsendable(value, reason);
        results.failAt(i, packed(error, this.#arena.kind));
      }
    }
    try {
      this.#putChunk(results);
    } catch (reason) {
      // Too much for one message.
      const error = unsendable(results.values, reason);
      this.answerThrown(FAILURE, this.#sequence, error);
    }
  }

  #putChunk(results: Results): void {
    this.#put(CHUNK, toMessage(results.asSent, this.#target, "result", true));
  }

  #put(kind: number, body: Sent): void {
    if (this.#isGone) return;
    if (body.buffers) {
      kind |= SHARED;
      this.#port!.post(this.#sequence, body.buffers);
    }
    try {
      this.#channel.answers.tryPut(framed(kind, this.#sequence, 0, 0, body));
    } catch (error) {
      takeBack(body); // there is no room for so much
      throw error;
    }
    if (body.parts.length > 1) unframe();
  }
}

/** What the items of a chunk came to. */
class Results {
  readonly values: unknown[] = [];
  readonly errors: [index: number, thrown: Thrown][] = [];
  readonly #stopsAtFailure: boolean;

  constructor(stopsAtFailure: boolean) {
    this.#stopsAtFailure = stopsAtFailure;
  }

  fail(thrown: Thrown): void {
    this.errors.push([this.values.length, thrown]);
    this.values.push(undefined);
  }

  failAt(index: number, thrown: Thrown): void {
    this.values[index] = undefined;
    this.errors.push([index, thrown]);
  }

  get isStopped(): boolean {
    return this.#stopsAtFailure && this.errors.length > 0;
  }

  get asSent(): ChunkResults {
    return [this.values, this.errors];
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== "object" || value === null) return false;
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    return false; // a value that cannot be looked at: sending it will tell
  }
}

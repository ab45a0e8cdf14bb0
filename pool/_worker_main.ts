/**
 * What a pool worker does: it takes orders, one after the other, and answers.
 *
 * The number of the task is written down before anything of it runs. So if this
 * worker dies, the parent knows which task it was in, and that none of those
 * behind it had begun.
 *
 * Runs in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import { current } from "../contexts/_current.ts";
import { load, register } from "../contexts/functions.ts";
import type { FunctionReference } from "../contexts/functions.ts";
import { arenaFor, keyOf, NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Arena, MemoryKind, Message } from "../memory/mod.ts";
import { fromMessage, toMessage } from "../primitives/_wire.ts";
import {
  C_ITEM,
  C_RUNNING,
  CALL,
  Channel,
  CHUNK,
  EACH_SPREAD,
  EXIT,
  FAILURE,
  framed,
  INITIALIZER_FAILED,
  READY,
  take,
  VALUE,
} from "./_protocol.ts";
import type { ChunkResults, Taken } from "./_protocol.ts";
import { beginTask, endTask } from "./current_task.ts";

type Callable = (...args: unknown[]) => unknown;

/**
 * How long to look for the next order before sleeping, in milliseconds. A parent
 * that answers a result with a new task does so within this time, and both are
 * spared a sleep and a wake. Longer only burns a core that others may need.
 */
const LOOK_MS = 0.05;
/** How long to block the thread for the next order, in milliseconds. */
const BLOCK_MS = 2;
/** Let the event loop turn this often, in milliseconds, while there is work. */
const TURN_MS = 10;

/**
 * The target of a pool's processes.
 *
 * @param kind Start method of the pool.
 * @param offset Its channel.
 * @param poolOffset The pool's block.
 * @param initializer Called first, if given.
 * @param initArgs With these.
 */
export async function poolWorker(
  kind: MemoryKind,
  offset: number,
  poolOffset: number,
  initializer: Callable | null,
  initArgs: unknown[],
): Promise<void> {
  const arena = arenaFor(kind);
  const worker = new Worker(
    arena,
    new Channel(arena, offset, keyOf(poolOffset)),
  );
  if (initializer) {
    try {
      await initializer(...initArgs);
    } catch (error) {
      worker.answer(INITIALIZER_FAILED, 0, error);
      return;
    }
  }
  await worker.serve();
}

register(import.meta, { poolWorker });

class Worker {
  readonly #arena: Arena;
  readonly #channel: Channel;
  readonly #functions = new Map<number, Callable | FunctionReference>();

  constructor(arena: Arena, channel: Channel) {
    this.#arena = arena;
    this.#channel = channel;
  }

  async serve(): Promise<void> {
    this.#channel.answers.tryPut(framed(READY));
    let turnedMs = performance.now();
    while (true) {
      let order = this.#lookForOrder();
      if (!order) {
        order = await this.#nextOrder();
        turnedMs = performance.now();
      } else if (performance.now() - turnedMs > TURN_MS) {
        // Timers and messages of the user's code must not starve.
        await new Promise((resolve) => setImmediate(resolve));
        turnedMs = performance.now();
      }
      if (order.kind === EXIT) return;
      const pending = this.#run(order);
      if (pending) await pending;
    }
  }

  /** Sends an answer; what cannot be sent becomes the reason why. */
  answer(kind: number, sequence: number, value: unknown): void {
    const { answers } = this.#channel;
    const target = { kind: this.#arena.kind };
    const root = kind === VALUE || kind === CHUNK ? "result" : "error";
    let body: Message;
    try {
      body = toMessage(value, target, root);
    } catch (reason) {
      body = toMessage(unsendable(value, reason), target, root);
      if (kind !== INITIALIZER_FAILED) kind = FAILURE;
    }
    answers.tryPut(framed(kind, sequence, 0, 0, body));
  }

  #lookForOrder(): Taken | undefined {
    const { orders } = this.#channel;
    const order = take(orders);
    if (order) return order;
    const untilMs = performance.now() + LOOK_MS;
    do {
      if (orders.hasItem) return take(orders);
    } while (performance.now() < untilMs);
    return undefined;
  }

  async #nextOrder(): Promise<Taken> {
    const { orders } = this.#channel;
    const { waiting } = this.#arena;
    const keys = [orders.itemsKey];
    const attempt = () => take(orders) ?? NOT_YET;
    if (this.#arena.kind === "spawn") {
      // Blocking is the fastest way for a process to sleep and wake; but not for
      // long, as timers of the user's code may be due. (A thread is as fast
      // without, and Deno complains when it is terminated while it blocks.)
      const soon = waiting.waitSync(keys, attempt, { timeout: BLOCK_MS });
      if (soon !== TIMED_OUT) return soon;
    }
    return await waiting.wait(keys, attempt) as Taken;
  }

  /** Runs a task; returns a promise only if it has to be waited for. */
  #run(order: Taken): Promise<void> | undefined {
    const { control } = this.#channel;
    Atomics.store(control, C_ITEM, 0);
    Atomics.store(control, C_RUNNING, order.sequence);
    const fn = this.#functions.get(order.fn);
    try {
      const { value, loading } = fromMessage(order.body);
      const args = value as unknown[];
      if (loading || typeof fn !== "function") {
        return this.#runWhenLoaded(order, args, loading);
      }
      return this.#runNow(fn, order, args);
    } catch (error) {
      this.answer(FAILURE, order.sequence, error);
    }
    return undefined;
  }

  async #runWhenLoaded(
    order: Taken,
    args: unknown[],
    loading: Promise<unknown> | undefined,
  ): Promise<void> {
    try {
      await loading;
      const fn = await this.#load(order.fn);
      await this.#runNow(fn, order, args);
    } catch (error) {
      this.answer(FAILURE, order.sequence, error);
    }
  }

  async #load(number: number): Promise<Callable> {
    let definition;
    while ((definition = take(this.#channel.definitions))) {
      const { value } = fromMessage(definition.body);
      this.#functions.set(definition.fn, value as FunctionReference);
    }
    const fn = this.#functions.get(number)!;
    if (typeof fn === "function") return fn;
    current.isBootstrapping = true;
    try {
      const loaded = await load(fn) as Callable;
      this.#functions.set(number, loaded);
      return loaded;
    } finally {
      current.isBootstrapping = false;
    }
  }

  #runNow(
    fn: Callable,
    order: Taken,
    args: unknown[],
  ): Promise<void> | undefined {
    if (order.kind === CALL) return this.#call(fn, order, args);
    const callItem = order.kind === EACH_SPREAD
      ? (i: number) => fn(...args[i] as unknown[])
      : (i: number) => fn(args[i]);
    return this.#callEach(callItem, order, args.length);
  }

  #call(
    fn: Callable,
    { sequence, index }: Taken,
    args: unknown[],
  ): Promise<void> | undefined {
    beginTask(this.#arena, this.#channel, sequence, index);
    try {
      const result = fn(...args);
      if (isThenable(result)) return this.#settle(result, sequence);
      endTask();
      this.answer(VALUE, sequence, result);
    } catch (error) {
      endTask();
      this.answer(FAILURE, sequence, error);
    }
    return undefined;
  }

  async #settle(result: PromiseLike<unknown>, sequence: number): Promise<void> {
    let value: unknown;
    let kind = VALUE;
    try {
      value = await result;
    } catch (error) {
      kind = FAILURE;
      value = error;
    }
    endTask();
    this.answer(kind, sequence, value);
  }

  /** Makes each call of a chunk; what one throws does not stop the others. */
  #callEach(
    callItem: (i: number) => unknown,
    { sequence, index }: Taken,
    count: number,
  ): Promise<void> | undefined {
    const results = new Results();
    for (let i = 0; i < count; i++) {
      this.#beginItem(sequence, index, i);
      try {
        const result = callItem(i);
        if (isThenable(result)) {
          return this.#awaitEach(
            callItem,
            { sequence, index },
            count,
            results,
            result,
          );
        }
        results.values.push(result);
      } catch (error) {
        results.fail(error);
      }
    }
    endTask();
    this.answer(CHUNK, sequence, results.asSent);
    return undefined;
  }

  /** Goes on with a chunk from its first item that returned a promise. */
  async #awaitEach(
    callItem: (i: number) => unknown,
    { sequence, index }: { sequence: number; index: number },
    count: number,
    results: Results,
    first: PromiseLike<unknown>,
  ): Promise<void> {
    const start = results.values.length;
    for (let i = start; i < count; i++) {
      if (i > start) this.#beginItem(sequence, index, i);
      try {
        results.values.push(await (i === start ? first : callItem(i)));
      } catch (error) {
        results.fail(error);
      }
    }
    endTask();
    this.answer(CHUNK, sequence, results.asSent);
  }

  #beginItem(sequence: number, first: number, i: number): void {
    Atomics.store(this.#channel.control, C_ITEM, i);
    beginTask(this.#arena, this.#channel, sequence, first + i);
  }
}

/** What the items of a chunk came to. */
class Results {
  readonly values: unknown[] = [];
  readonly errors: [index: number, error: unknown][] = [];

  fail(error: unknown): void {
    this.errors.push([this.values.length, error]);
    this.values.push(undefined);
  }

  get asSent(): ChunkResults {
    return [this.values, this.errors];
  }
}

/** The error that stands for a result or an error that cannot be sent. */
function unsendable(value: unknown, reason: unknown): EncodingError {
  const path = reason instanceof EncodingError ? reason.path : "";
  return new EncodingError(
    `Error sending result: '${shown(value)}'. Reason: '${reason}'`,
    { path },
  );
}

/** A value in one short line. */
function shown(value: unknown): string {
  const text = Deno.inspect(value, {
    depth: 1,
    iterableLimit: 5,
    strAbbreviateSize: 100,
    compact: true,
    breakLength: Infinity,
  });
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

/** Characters of a value shown in an error. */
const MOST_SHOWN = 300;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

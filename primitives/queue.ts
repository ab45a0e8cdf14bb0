/**
 * {@linkcode Queue}: values from many producers to many consumers, first in,
 * first out.
 *
 * A queue is a ring in shared memory (`memory/ring.ts`), and there is nothing
 * else: no thread that feeds it and no process that owns it. So a put is done
 * when it is done: the item is in the queue, a child that has put may end at
 * once, and nobody has to read before that child can be joined.
 *
 * Its words and guarantees are described in `_queue_core.ts`; why no wake-up is
 * lost, in `_outlet.ts` for putting, `_turns.ts` for getting, and
 * `memory/waiting.ts` for both.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { ProcessError, QueueEmptyError, QueueFullError } from "../errors.ts";
import { NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { RingLimits, WaitOptions } from "../memory/mod.ts";
import { receive, travelsAs } from "./block.ts";
import { showAsText } from "./inspect.ts";
import { checkedMaxBytes } from "./_parcel.ts";
import { QueueCore } from "./_queue_core.ts";
import { becomesReady } from "./waitable.ts";
import { fromMessage, opened } from "./wire.ts";

/** Settings of a {@linkcode Queue}. */
export interface QueueOptions {
  /**
   * Most bytes in the queue at a time. A put that would go beyond waits, as it
   * does when there are too many items; an item that is larger than this alone
   * is refused.
   *
   * @default {4294967296} 4 GiB
   */
  maxBytes?: number | undefined;
}

/** Settings of one put or get. */
export interface QueueWaitOptions extends WaitOptions {
  /**
   * Whether to wait at all. `false` is the same as a `timeout` of 0.
   *
   * @default {true}
   */
  block?: boolean | undefined;
}

/** Gives the shared part of a queue to the classes built on it. */
export let coreOf: (queue: Queue) => QueueCore;

/**
 * A queue between processes: any of them may put, any may get.
 *
 * - **Order:** items of one producer arrive in the order of its calls; those of
 *   several are interleaved as they came. Each item goes to one consumer.
 * - **Values:** copied when `put()` is called: what happens to the value later
 *   is not seen by anybody. What cannot be copied is refused there. Locks,
 *   queues, connections and the other shared objects can be put.
 * - **Back-pressure:** with a `maxSize`, and at `maxBytes`, a put waits until
 *   somebody gets. Memory follows the content and is given back.
 * - **Closing:** {@linkcode Queue.close} says that *this process* puts and gets no
 *   more. Others go on.
 * - **Looping:** `for await (const item of queue)` ends once the queue is empty
 *   and this process has closed it; or empty and nobody can put any more, as
 *   whoever made it has closed it or ended, and so has everybody else who has
 *   it, other than those who have never put and wait in such a loop themselves.
 *   So put all jobs, close, and the loops of all workers end.
 * - **Cancelling:** an aborted or timed-out put puts nothing, such a get takes
 *   nothing.
 * - **Death:** a process killed at any moment blocks nobody, and takes with it at
 *   most the item it was just getting.
 * - **Differs from Python:** there is no feeder thread. Errors of encoding reach
 *   the caller of `put()`, `empty()` is exact right after a put, and joining a
 *   child before its items are read cannot dead-lock.
 *
 * @example Putting and getting
 * ```ts
 * import { Queue } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const queue = new Queue<string>(2);
 * await queue.put("a");
 * queue.putNowait("b");
 * assert(queue.full());
 * assertEquals(await queue.get(), "a");
 * assertEquals(queue.getNowait(), "b");
 * ```
 *
 * @example Reading until it is closed
 * ```ts
 * import { Queue } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<number>();
 * const reading = Array.fromAsync(queue);
 * for (let i = 0; i < 3; i++) await queue.put(i);
 * queue.close();
 * assertEquals(await reading, [0, 1, 2]);
 * ```
 */
export class Queue<T = unknown> {
  readonly #core: QueueCore;

  static {
    coreOf = (queue) => queue.#core;
    travelsAs<Queue>(
      Queue,
      (queue, target) => queue.#core.toWire("Queue", target),
    );
    registerTag("Queue", (data) =>
      receive(data, (inFlight) => {
        const queue = new Queue();
        queue.#core.arrive(inFlight);
        return queue;
      }));
    becomesReady<Queue>(Queue, (queue) => queue.#core.readiness);
    showAsText(Queue);
  }

  /**
   * Creates a queue.
   *
   * @param maxSize Most items at a time; zero or less for no limit.
   * @default maxSize {0}
   * @param options Further limits.
   * @throws {TypeError} If `maxSize` or `maxBytes` is not a number.
   * @throws {RangeError} If `maxSize` is not an integer, or `maxBytes` not above 0.
   */
  constructor(maxSize: number = 0, options: QueueOptions = {}) {
    this.#core = new QueueCore(this, new.target, limits(maxSize, options));
  }

  /**
   * Puts an item, waiting for room if there is a limit. The value is copied
   * before this function returns its promise.
   *
   * @param item What to put.
   * @param options How long to wait.
   * @throws {QueueFullError} If there was no room in time.
   * @throws {EncodingError} If the item cannot travel; nothing has been put.
   * @throws {RangeError} If the item alone is larger than `maxBytes`.
   * @throws {ProcessError} If this process has closed the queue.
   */
  async put(item: T, options: QueueWaitOptions = {}): Promise<void> {
    if (!await this.#core.put(item, waitOptions(options))) throw this.#full();
  }

  /**
   * Puts an item if there is room.
   *
   * @param item What to put.
   * @throws {QueueFullError} If there is no room, or if puts of this process are
   * waiting for it already.
   * @throws {EncodingError} If the item cannot travel; nothing has been put.
   * @throws {RangeError} If the item alone is larger than `maxBytes`.
   * @throws {ProcessError} If this process has closed the queue.
   */
  putNowait(item: T): void {
    if (!this.#core.putNow(item)) throw this.#full();
  }

  /**
   * {@linkcode Queue.put}, blocking the thread.
   *
   * @param item What to put.
   * @param options How long to wait.
   * @throws {QueueFullError} If there was no room in time.
   * @throws {EncodingError} If the item cannot travel; nothing has been put.
   * @throws {RangeError} If the item alone is larger than `maxBytes`.
   * @throws {ProcessError} If this process has closed the queue.
   */
  putSync(item: T, options: QueueWaitOptions = {}): void {
    if (!this.#core.putSync(item, waitOptions(options))) throw this.#full();
  }

  /**
   * Gets the oldest item, waiting for one.
   *
   * @param options How long to wait.
   * @returns The item.
   * @throws {QueueEmptyError} If there was none in time.
   * @throws {EncodingError} If the item cannot be made here, as a class in it is
   * not registered; it is used up.
   * @throws {ProcessError} If this process has closed the queue.
   */
  async get(options: QueueWaitOptions = {}): Promise<T> {
    const item = await this.#core.get(waitOptions(options));
    if (item === TIMED_OUT) throw this.#empty();
    const arrival = opened(item);
    const { value } = arrival instanceof Promise ? await arrival : arrival;
    return value as T;
  }

  /**
   * Gets the oldest item if there is one.
   *
   * @returns The item.
   * @throws {QueueEmptyError} If there is none, or if gets of this process are
   * waiting for it already.
   * @throws {EncodingError} If the item cannot be made here; it is used up.
   * @throws {ProcessError} If this process has closed the queue.
   */
  getNowait(): T {
    const item = this.#core.getNow();
    if (item === NOT_YET) throw this.#empty();
    return fromMessage(item).value as T;
  }

  /**
   * {@linkcode Queue.get}, blocking the thread. Gets of this process that are
   * waiting already are served first.
   *
   * @param options How long to wait.
   * @returns The item.
   * @throws {QueueEmptyError} If there was none in time.
   * @throws {EncodingError} If the item cannot be made here; it is used up.
   * @throws {ProcessError} If this process has closed the queue.
   */
  getSync(options: QueueWaitOptions = {}): T {
    const item = this.#core.getSync(waitOptions(options));
    if (item === TIMED_OUT) throw this.#empty();
    return fromMessage(item).value as T;
  }

  /**
   * How many items are in the queue. Others may change it at any time.
   *
   * @returns The number of items.
   */
  qsize(): number {
    return this.#core.ring.count;
  }

  /**
   * Whether there is nothing to get. Others may change it at any time.
   *
   * @returns Whether the queue is empty.
   * @throws {ProcessError} If this process has closed the queue.
   */
  empty(): boolean {
    this.#core.check();
    return !this.#core.ring.hasItem;
  }

  /**
   * Whether there are `maxSize` items. Others may change it at any time.
   *
   * @returns Whether the queue is full.
   */
  full(): boolean {
    return this.#core.ring.isFull;
  }

  /**
   * Says that this process puts and gets no more. Doing it twice is fine.
   *
   * - **Waiting calls** of this process reject; its loops hand out what is left in
   *   the queue and end.
   * - **Others** go on. Items that are in the queue stay there.
   */
  close(): void {
    this.#core.close();
  }

  /** Closes the queue. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Does nothing: there is no feeder thread to wait for, as whatever was put is
   * in the queue already.
   *
   * @throws {ProcessError} If this process has not closed the queue.
   */
  joinThread(): Promise<void> {
    if (this.#core.isClosed) return Promise.resolve();
    return Promise.reject(
      new ProcessError(`Cannot join as Queue ${this} is not closed`),
    );
  }

  /** Does nothing: no process waits for its items to be read before it ends. */
  cancelJoinThread(): void {}

  /**
   * Reads items until the queue is closed; see the class.
   *
   * @returns The items.
   * @throws {ProcessError} If this process has closed the queue before.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const item of this.#core.items()) {
      const arrival = opened(item);
      const { value } = arrival instanceof Promise ? await arrival : arrival;
      yield value as T;
    }
  }

  /**
   * Describes the queue.
   *
   * @returns Its class and its address, as `<Queue at 0x…>`.
   */
  toString(): string {
    return this.#core.toString();
  }

  #full(): QueueFullError {
    return new QueueFullError(`Cannot put into ${this} as it is full`);
  }

  #empty(): QueueEmptyError {
    return new QueueEmptyError(`Cannot get from ${this} as it is empty`);
  }
}

/** Checks what the constructor was given. */
function limits(maxSize: number, options: QueueOptions): RingLimits {
  if (typeof maxSize !== "number") {
    throw new TypeError(
      `Cannot create a queue as 'maxSize' must be a number: it is ${
        Deno.inspect(maxSize)
      }`,
    );
  }
  if (!Number.isInteger(maxSize)) {
    throw new RangeError(
      `Cannot create a queue as 'maxSize' must be an integer: it is ${maxSize}`,
    );
  }
  return {
    maxItems: Math.max(0, maxSize),
    maxBytes: checkedMaxBytes("a queue", options.maxBytes),
  };
}

function waitOptions(options: QueueWaitOptions): WaitOptions {
  if (options.block ?? true) return options;
  return { timeout: 0, signal: options.signal };
}

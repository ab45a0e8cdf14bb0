/**
 * {@linkcode SimpleQueue}: a queue with nothing but put and get.
 *
 * It is the same ring as that of `queue.ts`, with the same guarantees; see there
 * and in `_queue_core.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { QueueEmptyError, QueueFullError } from "../errors.ts";
import { TIMED_OUT } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { receive, travelsAs } from "./block.ts";
import { showAsText } from "./inspect.ts";
import { QueueCore } from "./_queue_core.ts";
import { becomesReady } from "./waitable.ts";
import { fromMessage, opened } from "./wire.ts";

/**
 * A queue between processes without a limit on the number of items.
 *
 * - **Order:** items of one producer arrive in the order of its calls. Each item
 *   goes to one consumer.
 * - **Values:** copied when `put()` is called.
 * - **Back-pressure:** at 4 GiB, a put waits.
 * - **Closing:** {@linkcode SimpleQueue.close} says that *this process* puts and gets
 *   no more. Others go on.
 * - **Cancelling:** an aborted or timed-out wait puts or takes nothing.
 * - **Death:** a process killed at any moment blocks nobody, and takes with it at
 *   most the item it was just getting.
 *
 * @example Putting and getting
 * ```ts
 * import { SimpleQueue } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const queue = new SimpleQueue<string>();
 * await queue.put("a");
 * assertEquals(await queue.get(), "a");
 * assert(queue.empty());
 * ```
 */
export class SimpleQueue<T = unknown> {
  readonly #core: QueueCore;

  static {
    travelsAs<SimpleQueue>(
      SimpleQueue,
      (queue, target) => queue.#core.toWire("SimpleQueue", target),
    );
    registerTag("SimpleQueue", (data) =>
      receive(data, (inFlight) => {
        const queue = new SimpleQueue();
        queue.#core.arrive(inFlight);
        return queue;
      }));
    becomesReady<SimpleQueue>(SimpleQueue, (queue) => queue.#core.readiness);
    showAsText(SimpleQueue);
  }

  /** Creates a queue. */
  constructor() {
    this.#core = new QueueCore(this, new.target, {});
  }

  /**
   * Puts an item. The value is copied before this function returns its promise.
   *
   * @param item What to put.
   * @param options How long to wait if there are 4 GiB in the queue.
   * @throws {QueueFullError} If there was no room in time.
   * @throws {EncodingError} If the item cannot travel; nothing has been put.
   * @throws {ProcessError} If this process has closed the queue.
   */
  async put(item: T, options: WaitOptions = {}): Promise<void> {
    if (!await this.#core.put(item, options)) throw this.#full();
  }

  /**
   * {@linkcode SimpleQueue.put}, blocking the thread.
   *
   * @param item What to put.
   * @param options How long to wait if there are 4 GiB in the queue.
   * @throws {QueueFullError} If there was no room in time.
   * @throws {EncodingError} If the item cannot travel; nothing has been put.
   * @throws {ProcessError} If this process has closed the queue.
   */
  putSync(item: T, options: WaitOptions = {}): void {
    if (!this.#core.putSync(item, options)) throw this.#full();
  }

  /**
   * Gets the oldest item, waiting for one.
   *
   * @param options How long to wait.
   * @returns The item.
   * @throws {QueueEmptyError} If there was none in time.
   * @throws {EncodingError} If the item cannot be made here; it is used up.
   * @throws {ProcessError} If this process has closed the queue.
   */
  async get(options: WaitOptions = {}): Promise<T> {
    const item = await this.#core.get(options);
    if (item === TIMED_OUT) throw this.#empty();
    const arrival = opened(item);
    const { value } = arrival instanceof Promise ? await arrival : arrival;
    return value as T;
  }

  /**
   * {@linkcode SimpleQueue.get}, blocking the thread.
   *
   * @param options How long to wait.
   * @returns The item.
   * @throws {QueueEmptyError} If there was none in time.
   * @throws {EncodingError} If the item cannot be made here; it is used up.
   * @throws {ProcessError} If this process has closed the queue.
   */
  getSync(options: WaitOptions = {}): T {
    const item = this.#core.getSync(options);
    if (item === TIMED_OUT) throw this.#empty();
    return fromMessage(item).value as T;
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

  /** Says that this process puts and gets no more. Doing it twice is fine. */
  close(): void {
    this.#core.close();
  }

  /** Closes the queue. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Describes the queue.
   *
   * @returns Its class and its address, as `<SimpleQueue at 0x…>`.
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

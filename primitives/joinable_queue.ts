/**
 * {@linkcode JoinableQueue}: a queue that knows when everything put into it has
 * been dealt with.
 *
 * **What is counted.** Unfinished is what was ever put less what is done. The
 * first is the ring's own count, which survives the death of a putter; the
 * second is one word of the queue's block, to which `taskDone()` adds. Joiners
 * wait on the key of that word, and whoever makes the two equal wakes them.
 *
 * **Who owes what.** Each participant's line in the table of those who have the
 * queue also counts the items it took and has not reported done. When it ends,
 * however it ends, whoever joins adds what it owed to what is done, once; burying
 * it has made all joiners look again. A participant killed between the two
 * stores that take an item, or report it, is off by one in its count, and then
 * always so that the item counts as done once too often: `join()` may return one
 * item early, but never hangs.
 *
 * The words are described in `_queue_core.ts` and `_holders.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { TIMED_OUT } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { receive, travelsAs } from "./block.ts";
import { COUNTS_TAKEN } from "./_queue_core.ts";
import { coreOf, Queue } from "./queue.ts";
import type { QueueOptions } from "./queue.ts";

/**
 * A {@linkcode Queue} whose items are each to be reported done.
 *
 * - **Counting:** each put adds one unfinished item, each
 *   {@linkcode JoinableQueue.taskDone} takes one off, and
 *   {@linkcode JoinableQueue.join} waits until none is left.
 * - **Death:** items that a process took and had not reported done when it ended,
 *   by a crash or otherwise, count as done: `join()` never waits for somebody who
 *   is gone. They are lost and not given to anybody else.
 * - **Differs from Python:** there a worker that dies with an item in hand makes
 *   `join()` hang.
 *
 * @example Waiting until all is done
 * ```ts
 * import { JoinableQueue } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new JoinableQueue<number>();
 * for (let i = 0; i < 3; i++) await queue.put(i);
 *
 * let sum = 0;
 * (async () => {
 *   for await (const item of queue) {
 *     sum += item;
 *     queue.taskDone();
 *   }
 * })();
 * await queue.join();
 * assertEquals(sum, 3);
 * queue.close();
 * ```
 */
export class JoinableQueue<T = unknown> extends Queue<T> {
  static {
    Object.defineProperty(this, COUNTS_TAKEN, { value: true });
    travelsAs<JoinableQueue>(
      JoinableQueue,
      (queue, target) => coreOf(queue).toWire("JoinableQueue", target),
    );
    registerTag("JoinableQueue", (data) =>
      receive(data, (inFlight) => {
        const queue = new JoinableQueue();
        coreOf(queue).arrive(inFlight);
        return queue;
      }));
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
    super(maxSize, options);
  }

  /**
   * Reports an item done, normally one that this process got. Closing the queue
   * does not prevent it.
   *
   * @throws {ProcessError} If every item put so far is done already.
   */
  taskDone(): void {
    if (coreOf(this).done()) return;
    throw new ProcessError(
      `Cannot report another item of ${this} done: task_done() called too many times`,
    );
  }

  /**
   * Waits until every item that was put is done. Closing the queue does not
   * prevent it.
   *
   * @param options How long to wait.
   * @returns `false` if the time ran out.
   */
  async join(options: WaitOptions = {}): Promise<boolean> {
    const { arena, doneKey, isAllDone } = coreOf(this);
    const { waiting } = arena;
    return await waiting.wait([doneKey], isAllDone, options) !== TIMED_OUT;
  }

  /**
   * {@linkcode JoinableQueue.join}, blocking the thread.
   *
   * @param options How long to wait.
   * @returns `false` if the time ran out.
   */
  joinSync(options: WaitOptions = {}): boolean {
    const { arena, doneKey, isAllDone } = coreOf(this);
    return arena.waiting.waitSync([doneKey], isAllDone, options) !== TIMED_OUT;
  }
}

/**
 * Queues that live in the server.
 *
 * An item that was given out goes back to the front unless it arrives: if the client
 * is killed meanwhile, or does not wait any more, nothing is lost.
 *
 * Runs in the server.
 *
 * @module
 */
import { ProcessError, QueueEmptyError, QueueFullError } from "../errors.ts";
import { Line, ManagedObject } from "./_managed.ts";
import type { Call, Patience } from "./_managed.ts";

/** A queue, with or without a count of what is done. */
export class ManagedQueue extends ManagedObject {
  readonly #maxSize: number;
  readonly #items: unknown[] = [];
  readonly #readers = new Line();
  readonly #writers = new Line();
  readonly #joiners = new Line();
  #unfinished = 0;

  /** Starts empty; without a limit if that is not above 0. */
  constructor(maxSize: number = 0) {
    super();
    if (!Number.isInteger(maxSize)) {
      throw new TypeError(
        `Cannot create a queue as 'maxSize' must be an integer: it is ${
          Deno.inspect(maxSize)
        }`,
      );
    }
    this.#maxSize = maxSize > 0 ? maxSize : Infinity;
  }

  async put(call: Call, item: unknown, patience: Patience): Promise<void> {
    const isDone = await this.#writers.wait(call, patience, () => {
      if (this.full()) return undefined;
      this.#items.push(item);
      this.#unfinished++;
      return true;
    });
    if (!isDone) {
      throw new QueueFullError(
        "Cannot put into the manager's queue as it is full",
      );
    }
    this.#readers.look();
  }

  async get(call: Call, patience: Patience): Promise<unknown> {
    const taken = await this.#readers.wait(
      call,
      patience,
      () => this.#items.length > 0 ? [this.#items.shift()] : undefined,
    );
    if (!taken) {
      throw new QueueEmptyError(
        "Cannot get from the manager's queue as it is empty",
      );
    }
    call.taken(() => {
      this.#items.unshift(taken[0]);
      this.#readers.look();
    });
    this.#writers.look();
    return taken[0];
  }

  qsize(): number {
    return this.#items.length;
  }

  empty(): boolean {
    return this.#items.length === 0;
  }

  full(): boolean {
    return this.#items.length >= this.#maxSize;
  }

  taskDone(): void {
    if (this.#unfinished === 0) {
      throw new ProcessError(
        "Cannot report another item of the manager's queue done: task_done() called too many times",
      );
    }
    this.#unfinished--;
    this.#joiners.look();
  }

  async join(call: Call, patience: Patience): Promise<boolean> {
    const isDone = () => this.#unfinished === 0 || undefined;
    return await this.#joiners.wait(call, patience, isDone) ?? false;
  }

  override toPlain(): unknown {
    return [...this.#items];
  }

  override toText(): string {
    return `<Queue of ${this.#items.length} items>`;
  }

  override contents(): Iterable<unknown> {
    return this.#items;
  }
}

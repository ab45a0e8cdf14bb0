/**
 * Queues that live in the server.
 *
 * An item that was given out goes back to the front unless it arrives: if the client
 * is killed meanwhile, or does not wait any more, nothing is lost. Several that go
 * back come in their old order, whichever is back first.
 *
 * Runs in the server.
 *
 * @module
 */
import { ProcessError, QueueEmptyError, QueueFullError } from "../errors.ts";
import { Line, ManagedObject } from "./_managed.ts";
import type { Call, Patience } from "./_managed.ts";

/** An item, and its place in the order in which items were put. */
interface Item {
  readonly value: unknown;
  readonly place: number;
}

/** A queue, with or without a count of what is done. */
export class ManagedQueue extends ManagedObject {
  readonly #maxSize: number;
  readonly #items: Item[] = [];
  readonly #readers = new Line();
  readonly #writers = new Line();
  readonly #joiners = new Line();
  #unfinished = 0;
  #places = 0;

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
      this.#items.push({ value: item, place: this.#places++ });
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
      () => this.#items.shift(),
    );
    if (!taken) {
      throw new QueueEmptyError(
        "Cannot get from the manager's queue as it is empty",
      );
    }
    call.taken(() => this.#putBack(taken));
    this.#writers.look();
    return taken.value;
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
    return this.#items.map(({ value }) => value);
  }

  override toText(): string {
    return `<Queue of ${this.#items.length} items>`;
  }

  override contents(): Iterable<unknown> {
    return this.#items.map(({ value }) => value);
  }

  #putBack(item: Item): void {
    const behind = this.#items.findIndex(({ place }) => place > item.place);
    this.#items.splice(behind < 0 ? this.#items.length : behind, 0, item);
    // Those of a client that has ended come back one after the other, the newest
    // first: whoever waits gets the oldest, so it has to wait for that.
    queueMicrotask(() => this.#readers.look());
  }
}

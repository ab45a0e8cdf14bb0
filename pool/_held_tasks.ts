/**
 * The tasks a worker has been given and has not answered, oldest first: a circle
 * of places in an array.
 *
 * It answers in the order in which it was given them, so the one looked for almost
 * always is the oldest. Those taken back leave holes, which are passed over, and
 * closed before the circle is made larger.
 *
 * Not a `Map`, which would seem made for it: V8 gives a `Map` that is added to and
 * deleted from a new table now and then, and the old one keeps the new one alive
 * (Deno 2.9.6, V8 15.0). Once a full collection has moved a table to where
 * collections are rare, all that follow it, and with them all tasks there ever
 * were, are moved there too, until the next full one: the collector had seven times
 * as much to do.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { Task } from "./_task.ts";

/** Places at first; a power of two, as are all numbers of places. */
const FIRST_PLACES = 16;

/** See the module. */
export class HeldTasks implements Iterable<Task> {
  #places = new Array<Task | undefined>(FIRST_PLACES).fill(undefined);
  /** Where the oldest is, if there is one; counts on, beyond the last place. */
  #head = 0;
  /** Where the next goes. */
  #tail = 0;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The oldest. */
  get oldest(): Task | undefined {
    return this.#at(this.#head);
  }

  /** Adds one. */
  push(task: Task): void {
    if (this.#tail - this.#head === this.#places.length) this.#makeRoom();
    this.#places[this.#tail++ & (this.#places.length - 1)] = task;
    this.#size++;
  }

  /**
   * Finds one.
   *
   * @param sequence Its number.
   */
  get(sequence: number): Task | undefined {
    for (let i = this.#head; i < this.#tail; i++) {
      const task = this.#at(i);
      if (task?.sequence === sequence) return task;
    }
    return undefined;
  }

  /**
   * Takes one out.
   *
   * @param task The task.
   * @returns Whether it was there.
   */
  delete(task: Task): boolean {
    let i = this.#head;
    while (i < this.#tail && this.#at(i) !== task) i++;
    if (i >= this.#tail) return false;
    this.#places[i & (this.#places.length - 1)] = undefined;
    this.#size--;
    if (this.#size === 0) this.#head = this.#tail = 0;
    else while (this.#at(this.#head) === undefined) this.#head++;
    return true;
  }

  /** The tasks, oldest first, as they are now. */
  [Symbol.iterator](): Iterator<Task> {
    return this.#all()[Symbol.iterator]();
  }

  #all(): Task[] {
    const tasks: Task[] = [];
    for (let i = this.#head; i < this.#tail; i++) {
      const task = this.#at(i);
      if (task) tasks.push(task);
    }
    return tasks;
  }

  #at(i: number): Task | undefined {
    return this.#places[i & (this.#places.length - 1)];
  }

  /** Closes the holes, and doubles the places if there are not many. */
  #makeRoom(): void {
    const tasks = this.#all();
    let { length } = this.#places;
    if (tasks.length * 2 > length) length *= 2;
    this.#places = new Array<Task | undefined>(length).fill(undefined);
    for (let i = 0; i < tasks.length; i++) this.#places[i] = tasks[i];
    this.#head = 0;
    this.#tail = tasks.length;
  }
}

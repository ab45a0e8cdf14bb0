/**
 * A line: who came first goes first. Each costs the same however long the line is,
 * unlike with `shift()` of an array, which moves all that follow.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** Places that were left are given back from so many on, if they are the half. */
const SLACK = 64;

/** See the module. */
export class Fifo<T> {
  /** Those who have gone are `undefined`. */
  #items: (T | undefined)[] = [];
  #head = 0;

  /** How many are in the line. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Who goes next. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Puts something at the end. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first, if there is one. */
  take(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head >= SLACK && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes away those that are not kept. */
  keepOnly(isKept: (item: T) => boolean): void {
    this.#items = this.takeAll().filter(isKept);
  }

  /** Takes all. */
  takeAll(): T[] {
    const items = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return items;
  }
}

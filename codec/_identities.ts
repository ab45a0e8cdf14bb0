/**
 * Which objects a message has met, and in which order.
 *
 * Nearly all messages are small, so the objects are first kept in a short list,
 * then in a Set. Only if one of them comes twice, their places are needed, and a
 * Map is made. That costs one look-up for each object where a Map from the start
 * would cost two.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** Objects up to which a list of them is searched faster than a Set. */
const FEW = 16;

/** See the module. */
export class Identities {
  /** How many objects have an id; the next one gets this. */
  count = 0;
  readonly #few: (object | undefined)[] = new Array(FEW).fill(undefined);
  #many: Set<object> | undefined;
  #ids: Map<object, number> | undefined;

  /** Gives the id of an object met before; else gives it one and returns -1. */
  meet(value: object): number {
    const count = this.count;
    if (this.#ids !== undefined) {
      const id = this.#ids.get(value);
      if (id !== undefined) return id;
      this.#ids.set(value, count);
    } else if (this.#many !== undefined) {
      this.#many.add(value);
      if (this.#many.size === count) return this.#number(this.#many, value);
    } else {
      for (let i = 0; i < count; i++) if (this.#few[i] === value) return i;
      if (count < FEW) this.#few[count] = value;
      else this.#many = new Set(this.#few as object[]).add(value);
    }
    this.count = count + 1;
    return -1;
  }

  #number(many: ReadonlySet<object>, value: object): number {
    const ids = new Map<object, number>();
    // In the order of insertion, which is that of the ids.
    for (const met of many) ids.set(met, ids.size);
    this.#ids = ids;
    return ids.get(value) as number;
  }

  /** Forgets all objects. */
  clear(): void {
    const few = Math.min(this.count, FEW);
    for (let i = 0; i < few; i++) this.#few[i] = undefined;
    this.count = 0;
    this.#many = undefined;
    this.#ids = undefined;
  }
}

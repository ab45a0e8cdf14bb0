/**
 * The containers that live in the server: dict, list, namespace, value, array.
 *
 * **Atomic.** There is one thread, so each method happens at once. `update()`, whose
 * function may be asynchronous, keeps whoever wants to change the same key waiting
 * meanwhile; reading goes on. Whoever changes many keys waits at each by itself. What
 * was taken and did not arrive goes back in its turn, too: its client can be killed in
 * the middle of an update.
 *
 * Runs in the server.
 *
 * @module
 */
import { hashOf, isEqualTo } from "./_equality.ts";
import { ManagedObject } from "./_managed.ts";
import type { Call } from "./_managed.ts";

/** What changes a value: gets it and what else was given, and gives a new one. */
type Change = (value: unknown, ...args: unknown[]) => unknown;

/** Has actions with the same key wait for each other, in their order. */
class Turns {
  readonly #last = new Map<unknown, Promise<void>>();

  /**
   * Does something when nobody else is at the key. If nobody is, that is now.
   *
   * @param key The key.
   * @param action What to do.
   */
  take<T>(key: unknown, action: () => T): T | Promise<Awaited<T>> {
    const before = this.#last.get(key);
    const result = before ? before.then(action) : action();
    if (result instanceof Promise) {
      const end = result.then(() => {}, () => {}).then(() => {
        if (this.#last.get(key) === end) this.#last.delete(key);
      });
      this.#last.set(key, end);
    }
    return result as T | Promise<Awaited<T>>;
  }

  /** The keys that somebody is at. */
  get taken(): Set<unknown> {
    return new Set(this.#last.keys());
  }

  /** Whether somebody is at a key. */
  isTaken(key: unknown): boolean {
    return this.#last.has(key);
  }

  /** Fulfilled when nobody is at a key that is there now. */
  async quiet(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}

/** Done when all of some are, which is at once if none of them has to wait. */
function whenAll(waits: readonly unknown[]): Promise<void> | undefined {
  const pending = waits.filter((wait) => wait instanceof Promise);
  return pending.length > 0 ? Promise.all(pending).then(() => {}) : undefined;
}

/** A key and its value. */
type Entry = [key: unknown, value: unknown];

/**
 * A `Map` in the server. Keys are compared by value, also arrays and objects, which
 * arrive as a new one each time.
 */
export class ManagedDict extends ManagedObject {
  readonly #entries = new Map<unknown, Entry>();
  readonly #turns = new Turns();

  /** Starts with some entries. */
  constructor(entries: readonly Entry[] = []) {
    super();
    for (const [key, value] of entries) this.#put(key, value);
  }

  get(_call: Call, key: unknown, absent?: unknown): unknown {
    const entry = this.#entries.get(hashOf(key));
    return entry ? entry[1] : absent;
  }

  has(_call: Call, key: unknown): boolean {
    return this.#entries.has(hashOf(key));
  }

  size(): number {
    return this.#entries.size;
  }

  set(_call: Call, key: unknown, value: unknown): unknown {
    return this.#turns.take(hashOf(key), () => this.#put(key, value));
  }

  delete(_call: Call, key: unknown): unknown {
    const hash = hashOf(key);
    return this.#turns.take(hash, () => this.#entries.delete(hash));
  }

  setDefault(_call: Call, key: unknown, value: unknown): unknown {
    const hash = hashOf(key);
    return this.#turns.take(hash, () => {
      const entry = this.#entries.get(hash);
      if (entry) return entry[1];
      this.#put(key, value);
      return value;
    });
  }

  pop(call: Call, key: unknown, ...absent: [unknown?]): unknown {
    const hash = hashOf(key);
    return this.#turns.take(hash, () => {
      const entry = this.#entries.get(hash);
      if (!entry) {
        if (absent.length > 0) return absent[0];
        throw new RangeError(
          `Cannot pop ${Deno.inspect(key)} as the dict has no such key`,
        );
      }
      this.#entries.delete(hash);
      call.taken(() => this.#putBack(hash, entry));
      return entry[1];
    });
  }

  async popItem(call: Call): Promise<unknown> {
    while (true) {
      const last = [...this.#entries].at(-1);
      if (!last) {
        throw new RangeError("Cannot pop an item as the dict is empty");
      }
      const [hash, entry] = last;
      if (this.#turns.isTaken(hash)) {
        await this.#turns.quiet();
        continue;
      }
      this.#entries.delete(hash);
      call.taken(() => this.#putBack(hash, entry));
      return entry;
    }
  }

  merge(_call: Call, entries: readonly Entry[]): unknown {
    const waits: unknown[] = [];
    for (const [key, value] of entries) {
      const put = () => this.#put(key, value);
      waits.push(this.#turns.take(hashOf(key), put));
    }
    return whenAll(waits);
  }

  update(_call: Call, key: unknown, change: Change, args: unknown[]): unknown {
    const hash = hashOf(key);
    return this.#turns.take(hash, () => {
      const store = (value: unknown) => {
        this.#put(key, value);
        return value;
      };
      const value = change(this.#entries.get(hash)?.[1], ...args);
      return value instanceof Promise ? value.then(store) : store(value);
    });
  }

  clear(): unknown {
    const { taken } = this.#turns;
    for (const hash of this.#entries.keys()) {
      if (!taken.has(hash)) this.#entries.delete(hash);
    }
    // Each of these in its own turn: if all had to wait until nobody is at any key, an
    // update that sets another key would wait for us, and we for it.
    const remove = (hash: unknown) => () => this.#entries.delete(hash);
    return whenAll(
      [...taken].map((hash) => this.#turns.take(hash, remove(hash))),
    );
  }

  keys(): unknown[] {
    return this.#all().map(([key]) => key);
  }

  values(): unknown[] {
    return this.#all().map(([, value]) => value);
  }

  entries(): Entry[] {
    return this.#all();
  }

  copy(): Map<unknown, unknown> {
    return new Map(this.#all());
  }

  /** The keys, as long as their number stays the same. */
  *iterate(): Generator<unknown, void, undefined> {
    const { size } = this.#entries;
    const check = () => {
      if (this.#entries.size === size) return;
      throw new RangeError(
        "Cannot go on with the loop as dictionary changed size during iteration",
      );
    };
    for (const key of this.keys()) {
      check();
      yield key;
    }
    check();
  }

  override toPlain(): unknown {
    return this.copy();
  }

  override toText(): string {
    return Deno.inspect(this.copy());
  }

  override contents(): Iterable<unknown> {
    return this.#all().flat();
  }

  #all(): Entry[] {
    return [...this.#entries.values()];
  }

  #put(key: unknown, value: unknown): void {
    this.#entries.set(hashOf(key), [key, value]);
  }

  #putBack(hash: unknown, entry: Entry): unknown {
    return this.#turns.take(hash, () => {
      if (!this.#entries.has(hash)) this.#entries.set(hash, entry);
    });
  }
}

/** An array in the server. Negative indexes count from the end, as in Python. */
export class ManagedList extends ManagedObject {
  #items: unknown[];
  readonly #turns = new Turns();

  /** Starts with some items. */
  constructor(items: readonly unknown[] = []) {
    super();
    this.#items = [...items];
  }

  get(_call: Call, index: number): unknown {
    return this.#items[this.#at(index, "list index out of range")];
  }

  length(): number {
    return this.#items.length;
  }

  set(_call: Call, index: number, value: unknown): unknown {
    return this.#change(() => {
      const at = this.#at(index, "list assignment index out of range");
      this.#items[at] = value;
    });
  }

  push(_call: Call, ...items: unknown[]): unknown {
    return this.#change(() => this.#append(items));
  }

  extend(_call: Call, items: readonly unknown[]): unknown {
    return this.#change(() => {
      this.#append(items);
    });
  }

  insert(_call: Call, index: number, item: unknown): unknown {
    return this.#change(() => {
      this.#items.splice(index, 0, item);
    });
  }

  pop(call: Call, index: number = -1): unknown {
    return this.#change(() => {
      if (this.#items.length === 0) {
        throw new RangeError("Cannot pop an item: pop from empty list");
      }
      const at = this.#at(index, "pop index out of range");
      const [item] = this.#items.splice(at, 1);
      call.taken(() => this.#change(() => this.#items.splice(at, 0, item)));
      return item;
    });
  }

  remove(_call: Call, item: unknown): unknown {
    return this.#change(() => {
      const at = this.#find(item);
      if (at >= 0) this.#items.splice(at, 1);
      else throw missing("remove", item);
    });
  }

  delete(_call: Call, start: number, end?: number): unknown {
    return this.#change(() => {
      if (end === undefined) {
        const at = this.#at(start, "list assignment index out of range");
        this.#items.splice(at, 1);
        return;
      }
      const [from, to] = this.#range(start, end);
      this.#items.splice(from, to - from);
    });
  }

  reverse(): unknown {
    return this.#change(() => {
      this.#items.reverse();
    });
  }

  sort(
    _call: Call,
    compare: ((a: unknown, b: unknown) => number) | null,
    isReversed: boolean,
  ): unknown {
    return this.#change(() => {
      const direction = isReversed ? -1 : 1;
      const by = compare ?? natural;
      // Sorted apart: a function that throws leaves the list as it was.
      this.#items = this.#items.toSorted((a, b) => direction * by(a, b));
    });
  }

  index(_call: Call, item: unknown, from?: number, to?: number): number {
    const [start, end] = this.#range(from ?? 0, to ?? this.#items.length);
    const at = this.#find(item, start, end);
    if (at < 0) throw missing("find", item);
    return at;
  }

  count(_call: Call, item: unknown): number {
    return this.#items.filter(isEqualTo(item)).length;
  }

  includes(_call: Call, item: unknown): boolean {
    return this.#find(item) >= 0;
  }

  slice(_call: Call, start?: number, end?: number): unknown[] {
    return this.#items.slice(start, end);
  }

  setSlice(
    _call: Call,
    start: number,
    end: number,
    items: readonly unknown[],
  ): unknown {
    return this.#change(() => {
      const [from, to] = this.#range(start, end);
      const before = this.#items.slice(0, from);
      const behind = this.#items.slice(Math.max(from, to));
      this.#items = [...before, ...items, ...behind];
    });
  }

  concat(_call: Call, items: readonly unknown[]): unknown[] {
    return [...this.#items, ...items];
  }

  repeat(_call: Call, times: number): unknown {
    return this.#change(() => {
      const once = this.#items;
      this.#items = Array.from({ length: Math.max(times, 0) }, () => once)
        .flat();
    });
  }

  clear(): unknown {
    return this.#change(() => {
      this.#items = [];
    });
  }

  copy(): unknown[] {
    return [...this.#items];
  }

  update(_call: Call, index: number, change: Change, args: unknown[]): unknown {
    return this.#change(() => {
      const at = this.#at(index, "list index out of range");
      const store = (value: unknown) => this.#items[at] = value;
      const value = change(this.#items[at], ...args);
      return value instanceof Promise ? value.then(store) : store(value);
    });
  }

  override toPlain(): unknown {
    return this.copy();
  }

  override toText(): string {
    return Deno.inspect(this.#items);
  }

  override contents(): Iterable<unknown> {
    return this.#items;
  }

  /** One by one: as arguments of one call, many would not fit onto the stack. */
  #append(items: readonly unknown[]): number {
    for (const item of items) this.#items.push(item);
    return this.#items.length;
  }

  /** Indexes move, so changes wait for any `update()` of the list. */
  #change<T>(action: () => T): T | Promise<Awaited<T>> {
    return this.#turns.take("list", action);
  }

  #at(index: number, words: string): number {
    if (!Number.isInteger(index)) {
      throw new TypeError(
        `Cannot use 'index' as it must be an integer: it is ${
          Deno.inspect(index)
        }`,
      );
    }
    const at = index < 0 ? index + this.#items.length : index;
    if (at >= 0 && at < this.#items.length) return at;
    throw new RangeError(
      `Cannot use index ${index} of ${this.#items.length} items: ${words}`,
    );
  }

  #range(start: number, end: number): [number, number] {
    const { length } = this.#items;
    const clamped = (at: number) =>
      Math.min(Math.max(at < 0 ? at + length : at, 0), length);
    return [clamped(start), clamped(end)];
  }

  #find(item: unknown, from = 0, to = this.#items.length): number {
    const isEqual = isEqualTo(item);
    for (let at = from; at < to; at++) {
      if (isEqual(this.#items[at])) return at;
    }
    return -1;
  }
}

/** Named values. */
export class ManagedNamespace extends ManagedObject {
  readonly #values: Map<string, unknown>;

  /** Starts with some names. */
  constructor(values: Readonly<Record<string, unknown>> = {}) {
    super();
    this.#values = new Map(Object.entries(values));
  }

  get(_call: Call, name: string): unknown {
    if (this.#values.has(name)) return this.#values.get(name);
    throw unknownName("get", name);
  }

  has(_call: Call, name: string): boolean {
    return this.#values.has(name);
  }

  set(_call: Call, name: string, value: unknown): void {
    this.#values.set(name, value);
  }

  delete(_call: Call, name: string): void {
    if (!this.#values.delete(name)) throw unknownName("delete", name);
  }

  names(): string[] {
    return [...this.#values.keys()];
  }

  override toPlain(): unknown {
    return Object.fromEntries(this.#values);
  }

  override toText(): string {
    const parts = [...this.#values].map(([name, value]) =>
      `${name}=${literal(value)}`
    );
    return `Namespace(${parts.join(", ")})`;
  }

  override contents(): Iterable<unknown> {
    return this.#values.values();
  }
}

/** One value. */
export class ManagedValue extends ManagedObject {
  readonly #code: string;
  readonly #turns = new Turns();
  #value: unknown;

  /** Starts with a value; the code is only shown. */
  constructor(code: string, value: unknown) {
    super();
    this.#code = code;
    this.#value = value;
  }

  get(): unknown {
    return this.#value;
  }

  set(_call: Call, value: unknown): unknown {
    return this.#turns.take("value", () => {
      this.#value = value;
    });
  }

  update(_call: Call, change: Change, args: unknown[]): unknown {
    return this.#turns.take("value", () => {
      const store = (value: unknown) => this.#value = value;
      const value = change(this.#value, ...args);
      return value instanceof Promise ? value.then(store) : store(value);
    });
  }

  override toPlain(): unknown {
    return this.#value;
  }

  override toText(): string {
    return `Value('${this.#code}', ${literal(this.#value)})`;
  }

  override contents(): Iterable<unknown> {
    return [this.#value];
  }
}

/** Numbers of one kind, a fixed number of them. */
export class ManagedArray extends ManagedObject {
  readonly #code: string;
  readonly #items: NumberArray;

  /** Starts with some numbers. */
  constructor(code: string, items: readonly (number | bigint)[]) {
    super();
    this.#code = code;
    this.#items = arrayOf(code, items);
  }

  get(_call: Call, index: number): number | bigint {
    return this.#items[this.#at(index, "array index out of range")]!;
  }

  set(_call: Call, index: number, value: number | bigint): void {
    const at = this.#at(index, "array assignment index out of range");
    this.#items[at] = checkedNumber(this.#items, value);
  }

  length(): number {
    return this.#items.length;
  }

  slice(_call: Call, start?: number, end?: number): (number | bigint)[] {
    return [...this.#items.slice(start, end)];
  }

  setSlice(
    _call: Call,
    start: number,
    items: readonly (number | bigint)[],
  ): void {
    const values = items.map((item) => checkedNumber(this.#items, item));
    if (start < 0 || start + values.length > this.#items.length) {
      throw new RangeError(
        `Cannot set ${values.length} items from index ${start} on as the array has ${this.#items.length}`,
      );
    }
    for (const [i, value] of values.entries()) this.#items[start + i] = value;
  }

  override toPlain(): unknown {
    return [...this.#items];
  }

  override toText(): string {
    return `array('${this.#code}', [${[...this.#items].join(", ")}])`;
  }

  #at(index: number, words: string): number {
    const { length } = this.#items;
    const at = index < 0 ? index + length : index;
    if (Number.isInteger(at) && at >= 0 && at < length) return at;
    throw new RangeError(
      `Cannot use index ${index} of ${length} items: ${words}`,
    );
  }
}

/** An array that takes and gives numbers or bigints, by its kind. */
type NumberArray = { [index: number]: number | bigint } & {
  readonly length: number;
  slice(start?: number, end?: number): Iterable<number | bigint>;
} & Iterable<number | bigint>;

const ARRAYS: Readonly<
  Record<string, { from(items: readonly never[]): unknown }>
> = {
  b: Int8Array,
  B: Uint8Array,
  h: Int16Array,
  H: Uint16Array,
  i: Int32Array,
  I: Uint32Array,
  l: BigInt64Array,
  L: BigUint64Array,
  q: BigInt64Array,
  Q: BigUint64Array,
  f: Float32Array,
  d: Float64Array,
};

function arrayOf(
  code: string,
  items: readonly (number | bigint)[],
): NumberArray {
  const cls = Object.hasOwn(ARRAYS, code) ? ARRAYS[code] : undefined;
  if (!cls) {
    throw new RangeError(
      `Cannot create an array as its type code must be one of ${
        Object.keys(ARRAYS).join(" ")
      }: it is ${Deno.inspect(code)}`,
    );
  }
  return cls.from(items as readonly never[]) as NumberArray;
}

function checkedNumber(
  items: NumberArray,
  value: number | bigint,
): number | bigint {
  const isBig = items instanceof BigInt64Array ||
    items instanceof BigUint64Array;
  if (isBig ? typeof value === "bigint" : typeof value === "number") {
    return value;
  }
  throw new TypeError(
    `Cannot set an item as it must be a ${isBig ? "bigint" : "number"}: it is ${
      Deno.inspect(value)
    }`,
  );
}

/** Numbers by size, texts by code units; others have no order. */
function natural(a: unknown, b: unknown): number {
  const isNumber = (value: unknown) =>
    typeof value === "number" || typeof value === "bigint" ||
    typeof value === "boolean";
  const areComparable = isNumber(a) && isNumber(b) ||
    typeof a === "string" && typeof b === "string" ||
    a instanceof Date && b instanceof Date;
  if (!areComparable) {
    throw new TypeError(
      `Cannot sort as ${Deno.inspect(a)} and ${
        Deno.inspect(b)
      } have no order: give a function that compares`,
    );
  }
  return a! < b! ? -1 : a! > b! ? 1 : 0;
}

/** A value as Python would write it, as far as that is simple. */
function literal(value: unknown): string {
  if (typeof value === "string") return `'${value}'`;
  return Deno.inspect(value, { compact: true, breakLength: Infinity });
}

function missing(action: string, item: unknown): RangeError {
  return new RangeError(
    `Cannot ${action} ${Deno.inspect(item)} as it is not in list`,
  );
}

function unknownName(action: string, name: string): RangeError {
  return new RangeError(
    `Cannot ${action} '${name}': 'Namespace' object has no attribute '${name}'`,
  );
}

/**
 * Proxies of containers in the server: dict, list, namespace, value, array.
 *
 * Runs in the client.
 *
 * @module
 */
import { loopOver } from "./iterator.ts";
import { BaseProxy, knowProxyClass } from "./proxy.ts";

/** Changes a value in the server: gets it, and what else was given. */
export type Change<V, A extends unknown[]> = (
  value: V,
  ...args: A
) => V | Promise<V>;

/** What a dict can be made of. */
export type DictEntries<K, V> =
  | Iterable<readonly [K, V]>
  | (unknown extends K ? Readonly<Record<string, V>>
    : K extends string ? Readonly<Record<string, V>>
    : never);

/**
 * Entries as a list, as they travel.
 *
 * @param entries What was given.
 */
export function entriesOf(entries: unknown): [unknown, unknown][] {
  if (typeof entries !== "object" || entries === null) {
    throw new TypeError(
      `Cannot take entries from what is no Map, list of pairs or object: it is ${
        Deno.inspect(entries)
      }`,
    );
  }
  const pairs = Symbol.iterator in entries
    ? [...entries as Iterable<[unknown, unknown]>]
    : Object.entries(entries);
  for (const pair of pairs) {
    if (Array.isArray(pair) && pair.length === 2) continue;
    throw new TypeError(
      `Cannot take an entry as it is no pair of key and value: it is ${
        Deno.inspect(pair)
      }`,
    );
  }
  return pairs;
}

/**
 * A dict in the server, with the methods of a `Map`, and of Python's dict.
 *
 * - **Keys** keep their type, and are compared by value: `[1, 2]` is the same key
 *   each time, and `{ a: 1, b: 2 }` is `{ b: 2, a: 1 }`. They are in the order in
 *   which they came.
 * - **Values are copies:** changing one changes nothing in the server. Set it again,
 *   or use {@linkcode DictProxy.update}.
 * - **Loops** give the keys, as in Python, asking for each; if the number of keys
 *   changes meanwhile they end with a `RangeError`.
 * - **Differs from Python:** `get()` of a missing key is `undefined`, as with a
 *   `Map`; `pop()` of one is a `RangeError` where Python has a `KeyError`.
 *
 * @example One step that nobody comes between
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const stock = await manager.dict<string, number>({ apples: 3 });
 * await stock.set("pears", 2);
 * assertEquals(await stock.pop("apples"), 3);
 * assertEquals(await stock.copy(), new Map([["pears", 2]]));
 * ```
 */
export class DictProxy<K = unknown, V = unknown> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "get",
    "set",
    "has",
    "delete",
    "size",
    "keys",
    "values",
    "entries",
    "pop",
    "popItem",
    "setDefault",
    "merge",
    "update",
    "clear",
    "copy",
    "iterate",
  ];

  /**
   * The value of a key.
   *
   * @param key The key.
   */
  async get(key: K): Promise<V | undefined>;
  /**
   * The value of a key, or another if it is missing.
   *
   * @param key The key.
   * @param absent What to give if it is missing.
   */
  async get<D>(key: K, absent: D): Promise<V | D>;
  async get(key: K, ...absent: unknown[]): Promise<unknown> {
    return await this.invoke("get", [key, ...absent]);
  }

  /**
   * Sets the value of a key.
   *
   * @param key The key.
   * @param value The value.
   */
  async set(key: K, value: V): Promise<void> {
    await this.invoke("set", [key, value]);
  }

  /**
   * Whether there is a key.
   *
   * @param key The key.
   */
  async has(key: K): Promise<boolean> {
    return await this.invoke("has", [key]);
  }

  /**
   * Takes a key away.
   *
   * @param key The key.
   * @returns Whether it was there.
   */
  async delete(key: K): Promise<boolean> {
    return await this.invoke("delete", [key]);
  }

  /** How many keys there are. */
  async size(): Promise<number> {
    return await this.invoke("size", []);
  }

  /** All keys. */
  async keys(): Promise<K[]> {
    return await this.invoke("keys", []);
  }

  /** All values. */
  async values(): Promise<V[]> {
    return await this.invoke("values", []);
  }

  /** All keys with their values. */
  async entries(): Promise<[K, V][]> {
    return await this.invoke("entries", []);
  }

  /**
   * The same, by Python's name.
   *
   * @returns Keys and values.
   */
  async items(): Promise<[K, V][]> {
    return await this.entries();
  }

  /**
   * Takes a key away and gives its value.
   *
   * @param key The key.
   * @throws {RangeError} If it is missing.
   */
  async pop(key: K): Promise<V>;
  /**
   * Takes a key away and gives its value, or another if it is missing.
   *
   * @param key The key.
   * @param absent What to give if it is missing.
   */
  async pop<D>(key: K, absent: D): Promise<V | D>;
  async pop(key: K, ...absent: unknown[]): Promise<unknown> {
    return await this.invoke("pop", [key, ...absent]);
  }

  /**
   * Takes the key away that came last.
   *
   * @returns It and its value.
   * @throws {RangeError} If there is none.
   */
  async popItem(): Promise<[K, V]> {
    return await this.invoke("popItem", []);
  }

  /**
   * The value of a key, which is set first if it is missing.
   *
   * @param key The key.
   * @param value The value if it is missing.
   */
  async setDefault(key: K, value: V): Promise<V> {
    return await this.invoke("setDefault", [key, value]);
  }

  /**
   * Changes a value in the server, with its key locked: nobody else changes it
   * meanwhile, so nothing is lost.
   *
   * The function goes by reference and runs in the server, so it has to be exported
   * by its module. A server runs functions of its own program, that is of the
   * processes that descend from the same first one, and those it was given with the
   * option `functions`.
   *
   * @param key The key.
   * @param change Gets the value (`undefined` if the key is missing) and the
   * arguments; gives the new value. It gets the value itself, not a copy: what it
   * changes in place is changed, and seen by readers, before it returns.
   * @param args Further arguments.
   * @returns The new value.
   * @throws What the function throws. The value stays then, but for what the function
   * has changed in place.
   */
  async update<A extends unknown[]>(
    key: K,
    // deno-lint-ignore no-explicit-any -- V, or undefined for a missing key
    change: Change<any, A>,
    ...args: A
  ): Promise<V>;
  /**
   * Sets many keys.
   *
   * @param entries A Map, a list of pairs, or an object.
   */
  async update(entries: DictEntries<K, V>): Promise<void>;
  async update(...given: unknown[]): Promise<unknown> {
    if (given.length === 1) {
      return await this.invoke("merge", [entriesOf(given[0])]);
    }
    const [key, change, ...args] = given;
    checkChange(change);
    return await this.invoke("update", [key, change, args]);
  }

  /** Takes all keys away; those that are being updated once that is done. */
  async clear(): Promise<void> {
    await this.invoke("clear", []);
  }

  /** A copy of all of it. */
  async copy(): Promise<Map<K, V>> {
    return await this.invoke("copy", []);
  }

  /** A copy of all of it. */
  override async getValue(): Promise<Map<K, V>> {
    return await this.copy();
  }

  /** The keys, one by one. */
  [Symbol.asyncIterator](): AsyncGenerator<K, void, undefined> {
    return loopOver<K>(() => this.invoke("iterate", []));
  }
}

/** How to sort; see {@linkcode ListProxy.sort}. */
export interface SortOptions<T> {
  /** Compares two items, in the server; by default numbers by size, texts by code. */
  compare?: ((a: T, b: T) => number) | undefined;
  /**
   * Whether the largest come first.
   *
   * @default {false}
   */
  reverse?: boolean | undefined;
}

/**
 * A list in the server. Negative indexes count from the end.
 *
 * - **Items are copies:** changing one changes nothing in the server. Set it again,
 *   or use {@linkcode ListProxy.update}. They are compared by value.
 * - **Loops** ask for each item by its index; {@linkcode ListProxy.copy} is faster.
 * - **Differs from Python:** an index that is not there is a `RangeError`.
 *
 * @example As an array, with messages
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const list = await manager.list([3, 1, 2]);
 * await list.append(0);
 * await list.sort();
 * assertEquals(await list.slice(0, 2), [0, 1]);
 * assertEquals(await list.length(), 4);
 * ```
 */
export class ListProxy<T = unknown> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "get",
    "set",
    "length",
    "push",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "index",
    "count",
    "includes",
    "slice",
    "setSlice",
    "delete",
    "concat",
    "repeat",
    "clear",
    "copy",
    "update",
  ];

  /**
   * An item.
   *
   * @param index Where it is.
   * @throws {RangeError} If there is none.
   */
  async get(index: number): Promise<T> {
    return await this.invoke("get", [index]);
  }

  /**
   * Puts another item in the place of one.
   *
   * @param index Where it is.
   * @param item The item.
   * @throws {RangeError} If there is none.
   */
  async set(index: number, item: T): Promise<void> {
    await this.invoke("set", [index, item]);
  }

  /** How many items there are. */
  async length(): Promise<number> {
    return await this.invoke("length", []);
  }

  /**
   * Puts an item at the end.
   *
   * @param item The item.
   */
  async append(item: T): Promise<void> {
    await this.invoke("push", [item]);
  }

  /**
   * Puts items at the end.
   *
   * @param items The items.
   * @returns How many there are then.
   */
  async push(...items: T[]): Promise<number> {
    return await this.invoke("push", items);
  }

  /**
   * Puts items at the end.
   *
   * @param items The items.
   */
  async extend(items: Iterable<T>): Promise<void> {
    await this.invoke("extend", [[...items]]);
  }

  /**
   * Puts an item before another.
   *
   * @param index Where that is.
   * @param item The item.
   */
  async insert(index: number, item: T): Promise<void> {
    await this.invoke("insert", [index, item]);
  }

  /**
   * Takes an item away and gives it.
   *
   * @param index Where it is.
   * @default index {-1}
   * @throws {RangeError} If there is none.
   */
  async pop(index: number = -1): Promise<T> {
    return await this.invoke("pop", [index]);
  }

  /**
   * Takes the first item away that is equal to another.
   *
   * @param item The other.
   * @throws {RangeError} If there is none.
   */
  async remove(item: T): Promise<void> {
    await this.invoke("remove", [item]);
  }

  /**
   * Takes an item away, or those from one index to before another.
   *
   * @param start The index.
   * @param end The other.
   * @throws {RangeError} If there is no item at the one index.
   */
  async delete(start: number, end?: number): Promise<void> {
    await this.invoke("delete", end === undefined ? [start] : [start, end]);
  }

  /** Turns the order round. */
  async reverse(): Promise<void> {
    await this.invoke("reverse", []);
  }

  /**
   * Sorts it.
   *
   * - **Differs from `Array`:** numbers are sorted by size.
   *
   * @param options How; or a function that compares.
   * @throws {TypeError} If there are items that have no order.
   */
  async sort(
    options: SortOptions<T> | ((a: T, b: T) => number) = {},
  ): Promise<void> {
    const { compare = null, reverse = false } = typeof options === "function"
      ? { compare: options }
      : options;
    await this.invoke("sort", [compare, reverse]);
  }

  /**
   * Where the first item is that is equal to another.
   *
   * @param item The other.
   * @param start Where to begin.
   * @param end Where to stop.
   * @throws {RangeError} If there is none.
   */
  async index(item: T, start?: number, end?: number): Promise<number> {
    return await this.invoke("index", [item, start, end]);
  }

  /**
   * How many items are equal to another.
   *
   * @param item The other.
   */
  async count(item: T): Promise<number> {
    return await this.invoke("count", [item]);
  }

  /**
   * Whether an item is equal to another.
   *
   * @param item The other.
   */
  async includes(item: T): Promise<boolean> {
    return await this.invoke("includes", [item]);
  }

  /**
   * Items from one index to before another.
   *
   * @param start The index; the beginning if not given.
   * @param end The other; the end if not given.
   */
  async slice(start?: number, end?: number): Promise<T[]> {
    return await this.invoke("slice", [start, end]);
  }

  /**
   * Puts items in the place of those from one index to before another.
   *
   * @param start The index.
   * @param end The other.
   * @param items The items; as many as one likes.
   */
  async setSlice(
    start: number,
    end: number,
    items: Iterable<T>,
  ): Promise<void> {
    await this.invoke("setSlice", [start, end, [...items]]);
  }

  /**
   * The items, and others behind them. The list stays as it is.
   *
   * @param items The others.
   */
  async concat(items: Iterable<T>): Promise<T[]> {
    return await this.invoke("concat", [[...items]]);
  }

  /**
   * Has the list hold its items several times over, as `*=` in Python.
   *
   * @param times How often.
   */
  async repeat(times: number): Promise<void> {
    await this.invoke("repeat", [times]);
  }

  /** Takes all items away. */
  async clear(): Promise<void> {
    await this.invoke("clear", []);
  }

  /** A copy of all of it. */
  async copy(): Promise<T[]> {
    return await this.invoke("copy", []);
  }

  /** A copy of all of it. */
  override async getValue(): Promise<T[]> {
    return await this.copy();
  }

  /**
   * Changes an item in the server, with the list locked; see
   * {@linkcode DictProxy.update}.
   *
   * @param index Where it is.
   * @param change Gets the item and the arguments; gives the new item.
   * @param args Further arguments.
   * @returns The new item.
   * @throws {RangeError} If there is none.
   * @throws What the function throws. The item stays then, but for what the function
   * has changed in place.
   */
  async update<A extends unknown[]>(
    index: number,
    // deno-lint-ignore no-explicit-any -- T as the function has it
    change: Change<any, A>,
    ...args: A
  ): Promise<T> {
    checkChange(change);
    return await this.invoke("update", [index, change, args]);
  }

  /** The items, one by one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (let index = 0;; index++) {
      // Not by get(): that there is no more is no error here.
      const items = await this.slice(index, index + 1);
      if (items.length === 0) return;
      yield items[0] as T;
    }
  }
}

/**
 * Named values in the server. Names that begin with `_` stay in this proxy.
 *
 * - **Differs from Python:** attributes are read and set by methods, as both take
 *   time and can fail.
 *
 * @example Names and values
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const names = await manager.Namespace({ host: "localhost", port: 80 });
 * await names.set("port", 8080);
 * assertEquals(await names.get("port"), 8080);
 * ```
 */
export class NamespaceProxy<
  N extends object = Record<string, unknown>,
> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "get",
    "set",
    "has",
    "delete",
    "names",
  ];

  readonly #own = new Map<string, unknown>();

  /**
   * The value of a name.
   *
   * @param name The name.
   * @throws {RangeError} If there is none.
   */
  async get<K extends keyof N & string>(name: K): Promise<N[K]> {
    if (isOwn(name) && this.#own.has(name)) return this.#own.get(name) as N[K];
    return await this.invoke("get", [name]);
  }

  /**
   * Sets the value of a name.
   *
   * @param name The name.
   * @param value The value.
   */
  async set<K extends keyof N & string>(name: K, value: N[K]): Promise<void> {
    if (isOwn(name)) this.#own.set(name, value);
    else await this.invoke("set", [name, value]);
  }

  /**
   * Whether there is a name.
   *
   * @param name The name.
   */
  async has(name: string): Promise<boolean> {
    return isOwn(name) ? this.#own.has(name) : await this.invoke("has", [name]);
  }

  /**
   * Takes a name away.
   *
   * @param name The name.
   * @throws {RangeError} If there is none.
   */
  async delete(name: keyof N & string): Promise<void> {
    if (isOwn(name) && this.#own.delete(name)) return;
    await this.invoke("delete", [name]);
  }

  /** All names in the server. */
  async names(): Promise<string[]> {
    return await this.invoke("names", []);
  }

  /** A copy of all of it. */
  override async getValue(): Promise<N> {
    return await super.getValue() as N;
  }
}

function isOwn(name: string): boolean {
  return name.startsWith("_");
}

/**
 * One value in the server.
 *
 * @example Any value
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const value = await manager.Value("i", 1);
 * await value.set(2);
 * assertEquals(await value.get(), 2);
 * ```
 */
export class ValueProxy<T = unknown> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = ["get", "set", "update"];

  /** The value. */
  async get(): Promise<T> {
    return await this.invoke("get", []);
  }

  /**
   * Sets it.
   *
   * @param value The new one.
   */
  async set(value: T): Promise<void> {
    await this.invoke("set", [value]);
  }

  /**
   * Changes it in the server, while nobody else can; see
   * {@linkcode DictProxy.update}.
   *
   * @param change Gets the value and the arguments; gives the new value.
   * @param args Further arguments.
   * @returns The new value.
   * @throws What the function throws. The value stays then, but for what the function
   * has changed in place.
   */
  async update<A extends unknown[]>(
    // deno-lint-ignore no-explicit-any -- T as the function has it
    change: Change<any, A>,
    ...args: A
  ): Promise<T> {
    checkChange(change);
    return await this.invoke("update", [change, args]);
  }

  /** The value. */
  override async getValue(): Promise<T> {
    return await this.get();
  }
}

/**
 * Numbers of one kind in the server; their number is fixed.
 *
 * @example Numbers of one type
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const array = await manager.Array("i", [1, 2, 3]);
 * await array.set(0, 10);
 * assertEquals(await array.get(0), 10);
 * assertEquals(await array.length(), 3);
 * ```
 */
export class ArrayProxy<T extends number | bigint = number> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "get",
    "set",
    "length",
    "slice",
    "setSlice",
  ];

  /**
   * An item.
   *
   * @param index Where it is; negative ones count from the end.
   * @throws {RangeError} If there is none.
   */
  async get(index: number): Promise<T> {
    return await this.invoke("get", [index]);
  }

  /**
   * Sets an item.
   *
   * @param index Where it is.
   * @param value The new one.
   * @throws {RangeError} If there is none.
   */
  async set(index: number, value: T): Promise<void> {
    await this.invoke("set", [index, value]);
  }

  /** How many items there are. */
  async length(): Promise<number> {
    return await this.invoke("length", []);
  }

  /**
   * Items from one index to before another.
   *
   * @param start The index; the beginning if not given.
   * @param end The other; the end if not given.
   */
  async slice(start?: number, end?: number): Promise<T[]> {
    return await this.invoke("slice", [start, end]);
  }

  /**
   * Sets items from an index on.
   *
   * @param start The index.
   * @param items The items.
   * @throws {RangeError} If they do not fit.
   */
  async setSlice(start: number, items: Iterable<T>): Promise<void> {
    await this.invoke("setSlice", [start, [...items]]);
  }

  /** All items. */
  async toArray(): Promise<T[]> {
    return await this.slice();
  }

  /** All items. */
  override async getValue(): Promise<T[]> {
    return await this.slice();
  }

  /** The items, as they are at the beginning of the loop. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    yield* await this.slice();
  }
}

function checkChange(change: unknown): void {
  if (typeof change === "function") return;
  throw new TypeError(
    `Cannot update as what changes the value must be a function: it is ${
      Deno.inspect(change)
    }`,
  );
}

for (
  const cls of [DictProxy, ListProxy, NamespaceProxy, ValueProxy, ArrayProxy]
) knowProxyClass(cls);

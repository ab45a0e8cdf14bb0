/**
 * What compiles and what does not. Nothing of this runs but the empty test: the
 * compiler is what checks.
 *
 * @module
 */
import type {
  AsyncResult,
  Pool,
  PoolIterator,
  PoolOptions,
} from "../../pool/mod.ts";
import { Pool as PoolClass, ThreadPool } from "../../pool/mod.ts";

declare const pool: Pool;
declare function square(x: number): number;
declare function later(x: number): Promise<string>;
declare function add(x: number, y: number): number;
declare function none(): boolean;
declare function optional(x?: number): number;
declare function same<T>(x: T): T;
declare function prepare(name: string, count: number): void;

/** Compiles only if the two types are the same. */
function exactly<A>() {
  return <B>(
    _value: B,
    ..._same: (<T>() => T extends A ? 1 : 2) extends
      (<T>() => T extends B ? 1 : 2) ? [] : [never]
  ): void => {};
}

/** Never called. */
export function _compiled(): void {
  exactly<Promise<number[]>>()(pool.map(square, [1, 2]));
  exactly<Promise<string[]>>()(pool.map(later, new Set([1])));
  exactly<Promise<number>>()(pool.apply(add, [1, 2]));
  exactly<Promise<string>>()(pool.apply(later, [1]));
  exactly<Promise<boolean>>()(pool.apply(none));
  exactly<Promise<boolean>>()(pool.apply(none, [], { timeout: 5 }));
  exactly<Promise<number>>()(pool.apply(optional));
  exactly<Promise<number>>()(pool.apply(optional, [1]));
  exactly<AsyncResult<number>>()(pool.applyAsync(square, [1]));
  exactly<AsyncResult<number[]>>()(pool.mapAsync(square, [1]));
  exactly<Promise<number[]>>()(pool.starmap(add, [[1, 2]]));
  exactly<AsyncResult<number[]>>()(pool.starmapAsync(add, [[1, 2]]));
  exactly<PoolIterator<number>>()(pool.imap(square, [1], 5));
  exactly<PoolIterator<string>>()(pool.imapUnordered(later, [1]));
  exactly<Promise<number[]>>()(pool.map(
    square,
    (async function* () {
      yield 1;
    })(),
  ));
  // A list of results of several kinds.
  const _results: AsyncResult<unknown>[] = [
    pool.applyAsync(square, [1]),
    pool.mapAsync(later, [1]),
  ];
  const _iterators: AsyncIterableIterator<unknown>[] = [
    pool.imap(square, [1]),
    pool.imapUnordered(later, [1]),
  ];
  const _iterator: PoolIterator<number | string> = pool.imap(square, [1]);
  pool.apply(same, [5]);
  pool.applyAsync(square, [1], {
    callback: (value: number) => value,
    signal: new AbortController().signal,
    priority: 1,
  });
  pool.map(square, [1], { callback: (values: number[]) => values });
  new PoolClass({ initializer: prepare, initArgs: ["a", 1] });
  new PoolClass({ initializer: none, finalizer: none });
  new ThreadPool({ processes: 2, initializer: prepare, initArgs: ["a", 1] });
  const _anyPool: Pool = new PoolClass({
    initializer: prepare,
    initArgs: ["a", 1],
  });
  const _options: PoolOptions<[number]> = { initializer: square };

  // @ts-expect-error: wrong type of the item
  pool.map(square, ["a"]);
  // @ts-expect-error: wrong type of the argument
  pool.apply(square, ["a"]);
  // @ts-expect-error: the argument is missing
  pool.apply(square);
  // @ts-expect-error: the argument is missing
  pool.apply(square, []);
  // @ts-expect-error: one argument too many
  pool.apply(square, [1, 2]);
  // @ts-expect-error: one argument is missing
  pool.applyAsync(add, [1]);
  // @ts-expect-error: a map gives one argument
  pool.map(add, [1]);
  // @ts-expect-error: a tuple that is too short
  pool.starmap(add, [[1]]);
  // @ts-expect-error: not a tuple
  pool.starmap(square, [1]);
  // @ts-expect-error: not iterable
  pool.map(square, 5);
  const asynchronous = (async function* () {
    yield 1;
  })();
  // @ts-expect-error: mapAsync() cannot wait for its input
  pool.mapAsync(square, asynchronous);
  // @ts-expect-error: not a function
  pool.apply("square", [1]);
  // @ts-expect-error: wrong type of the value
  pool.applyAsync(square, [1], { callback: (value: string) => value });
  // @ts-expect-error: no such option
  pool.apply(square, [1], { timeOut: 5 });
  // @ts-expect-error: wrong types for the initializer
  new PoolClass({ initializer: prepare, initArgs: [1, "a"] });
  // @ts-expect-error: no such option
  new PoolClass({ workers: 2 });
}

Deno.test("the types of the pool let through what works, and only that", () => {
  // See above: this file would not compile.
});

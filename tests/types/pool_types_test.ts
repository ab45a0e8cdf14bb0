/**
 * What of the pool compiles and what does not. Nothing of this runs but the empty
 * test: the compiler is what checks.
 *
 * @module
 */
import type { Context } from "../../contexts/mod.ts";
import type {
  AsyncResult,
  CurrentTask,
  Pool,
  PoolIterator,
  PoolOptions,
  Progress,
} from "../../pool/mod.ts";
import { currentTask, Pool as PoolClass, ThreadPool } from "../../pool/mod.ts";
import { exactly } from "./_exactly.ts";

declare const pool: Pool;
declare const context: Context;
declare function square(x: number): number;
declare function later(x: number): Promise<string>;
declare function add(x: number, y: number): number;
declare function none(): boolean;
declare function optional(x?: number): number;
declare function mixed(x: number, y?: string): number;
declare function rest(...xs: number[]): number;
declare function same<T>(x: T): T;
declare function nothing(x: number): void;
declare function prepare(name: string, count: number): void;
declare function numbers(): AsyncGenerator<number>;
declare function tuples(): AsyncGenerator<[number, number]>;

/** Never called: calls. */
export function _calls(): void {
  exactly<Promise<number>>()(pool.apply(add, [1, 2]));
  exactly<Promise<string>>()(pool.apply(later, [1]));
  exactly<Promise<boolean>>()(pool.apply(none));
  exactly<Promise<boolean>>()(pool.apply(none, [], { timeout: 5 }));
  exactly<Promise<number>>()(pool.apply(optional));
  exactly<Promise<number>>()(pool.apply(optional, [1]));
  exactly<Promise<number>>()(pool.apply(mixed, [1]));
  exactly<Promise<number>>()(pool.apply(mixed, [1, "a"]));
  exactly<Promise<number>>()(pool.apply(rest, [1, 2, 3]));
  exactly<Promise<number>>()(pool.apply(rest, new Array<number>(3)));
  exactly<Promise<number>>()(pool.apply(add, [1, 2] as const));
  exactly<Promise<void>>()(pool.apply(nothing, [1]));
  exactly<Promise<number>>()(pool.apply(same, [5]));
  exactly<AsyncResult<number>>()(pool.applyAsync(square, [1]));
  exactly<AsyncResult<string>>()(pool.applyAsync(later, [1]));
  exactly<AsyncResult<boolean>>()(pool.applyAsync(none));

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
  // @ts-expect-error: wrong type of the second argument
  pool.applyAsync(mixed, [1, 2]);
  // @ts-expect-error: the arguments are a list
  pool.apply(square, 1);
  // @ts-expect-error: not a function
  pool.apply("square", [1]);
}

/** Never called: maps. */
export function _maps(): void {
  exactly<Promise<number[]>>()(pool.map(square, [1]));
  exactly<Promise<number[]>>()(pool.map(square, [1, 2] as const));
  exactly<Promise<string[]>>()(pool.map(later, new Set([1])));
  exactly<Promise<number[]>>()(pool.map(square, numbers()));
  exactly<Promise<void[]>>()(pool.map(nothing, [1], 5));
  exactly<Promise<number[]>>()(pool.map(mixed, [1]));
  exactly<AsyncResult<number[]>>()(pool.mapAsync(square, [1]));
  exactly<AsyncResult<string[]>>()(pool.mapAsync(later, [1], 2));
  exactly<Promise<number[]>>()(pool.starmap(add, [[1, 2]]));
  exactly<Promise<number[]>>()(pool.starmap(add, [[1, 2]] as const));
  exactly<Promise<number[]>>()(pool.starmap(add, tuples()));
  exactly<Promise<number[]>>()(pool.starmap(add, new Map([[1, 2]])));
  exactly<Promise<number[]>>()(pool.starmap(add, [3, 4].entries(), 5));
  exactly<Promise<number[]>>()(pool.starmap(mixed, [[1], [1, "a"]]));
  exactly<AsyncResult<number[]>>()(pool.starmapAsync(add, [[1, 2]]));
  exactly<PoolIterator<number>>()(pool.imap(square, [1], 5));
  exactly<PoolIterator<number>>()(pool.imap(square, numbers()));
  exactly<PoolIterator<string>>()(pool.imapUnordered(later, [1]));
  exactly<Promise<IteratorResult<number, undefined>>>()(
    pool.imap(square, [1]).next({ timeout: 5 }),
  );

  // @ts-expect-error: wrong type of the item
  pool.map(square, ["a"]);
  // @ts-expect-error: wrong type of the item
  pool.imap(square, new Set(["a"]));
  // @ts-expect-error: a map gives one argument
  pool.map(add, [1]);
  // @ts-expect-error: a tuple that is too short
  pool.starmap(add, [[1]]);
  // @ts-expect-error: wrong type in a tuple
  pool.starmap(add, [[1, "2"]]);
  // @ts-expect-error: not a tuple
  pool.starmap(square, [1]);
  // @ts-expect-error: not iterable
  pool.map(square, 5);
  // @ts-expect-error: mapAsync() cannot wait for its input
  pool.mapAsync(square, numbers());
  // @ts-expect-error: nor can starmapAsync()
  pool.starmapAsync(add, tuples());
}

/** Never called: options. */
export function _options(): void {
  const { signal } = new AbortController();
  const task = { timeout: 5, signal, retries: 1, priority: 1 };
  const errorCallback = (error: unknown) => error;
  const onProgress = (progress: Progress) => progress.etaMs;
  pool.apply(square, [1], { ...task, callback: (value: number) => value });
  pool.apply(none, [], { callback: (value: boolean) => value });
  pool.applyAsync(square, [1], { ...task, callback: (value) => value + 1 });
  pool.applyAsync(later, [1], { callback: (value: string) => value });
  pool.map(square, [1], {
    ...task,
    chunkSize: 5,
    failFast: true,
    callback: (values: number[]) => values,
    errorCallback,
    onProgress,
  });
  pool.imap(square, [1], {
    ...task,
    chunkSize: 5,
    bufferSize: 5,
    failFast: true,
    onProgress,
  });
  // What may be missing may be undefined.
  pool.map(square, [1], { chunkSize: undefined, timeout: undefined });

  // @ts-expect-error: wrong type of the value
  pool.applyAsync(square, [1], { callback: (value: string) => value });
  // @ts-expect-error: a map calls back with all values
  pool.map(square, [1], { callback: (value: number) => value });
  // @ts-expect-error: no such option
  pool.apply(square, [1], { timeOut: 5 });
  // @ts-expect-error: nothing can be called back by what has no end
  pool.imap(square, [1], { callback: () => {} });
  // @ts-expect-error: the size of a chunk is a number
  pool.map(square, [1], "5");
}

/** Never called: pools and results. */
export function _pools(): void {
  exactly<Promise<void>>()(pool.join());
  exactly<Promise<void>>()(pool.terminate());
  exactly<void>()(pool.close());
  exactly<CurrentTask | null>()(currentTask());
  const result = pool.applyAsync(square, [1]);
  exactly<Promise<number>>()(result.get({ timeout: 5 }));
  exactly<Promise<boolean>>()(result.wait());
  exactly<Promise<string>>()(result.then((value) => value.toFixed()));
  // Results and iterators of several kinds in one list.
  const _results: AsyncResult<unknown>[] = [
    result,
    pool.mapAsync(later, [1]),
  ];
  const _iterators: PoolIterator<unknown>[] = [
    pool.imap(square, [1]),
    pool.imapUnordered(later, [1]),
  ];
  const _iterable: AsyncIterableIterator<number> = pool.imap(square, [1]);
  const _promise: PromiseLike<number> = result;

  new PoolClass({ initializer: prepare, initArgs: ["a", 1] });
  new PoolClass({ initializer: prepare, initArgs: ["a", 1] as const });
  new PoolClass({ initializer: none, finalizer: none });
  new PoolClass({ processes: 2, maxTasksPerChild: 5, permissions: "none" });
  new ThreadPool({ processes: 2, initializer: prepare, initArgs: ["a", 1] });
  new context.Pool(2);
  new context.Pool({ processes: 2, initializer: prepare, initArgs: ["a", 1] });
  exactly<Promise<number[]>>()(new context.Pool(2).map(square, [1]));
  const _anyPool: Pool = new PoolClass({
    initializer: prepare,
    initArgs: ["a", 1],
  });
  const _options: PoolOptions<[number]> = { initializer: square };

  // @ts-expect-error: wrong types for the initializer
  new PoolClass({ initializer: prepare, initArgs: [1, "a"] });
  // @ts-expect-error: the same of a context's pool
  new context.Pool({ initializer: prepare, initArgs: [1, "a"] });
  // @ts-expect-error: no such option
  new PoolClass({ workers: 2 });
}

Deno.test("the types of the pool let through what works, and only that", () => {
  // See above: this file would not compile.
});

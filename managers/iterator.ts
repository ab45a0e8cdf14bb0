/**
 * {@linkcode IteratorProxy}: a generator or other iterator in the server.
 *
 * Runs in the client.
 *
 * @module
 */
import { BaseProxy } from "./proxy.ts";
import type { Origin } from "./proxy.ts";

/**
 * An iterator in the server. Each step is asked of it, and it is used up by whoever
 * asks.
 *
 * A loop that is left early ends it (`return()`), and its lease.
 *
 * @example What a method gives one by one
 * ```ts
 * import { IteratorProxy, register, SyncManager } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * class Countdown {
 *   *from(n: number): Generator<number> {
 *     while (n > 0) yield n--;
 *   }
 * }
 * register(import.meta, { Countdown });
 * class CountdownManager extends SyncManager {
 *   static {
 *     this.register("Countdown", {
 *       callable: Countdown,
 *       methodToTypeid: { from: "Iterator" },
 *     });
 *   }
 * }
 *
 * const server = await new CountdownManager().getServer();
 * const ending = new AbortController();
 * const serving = server.serveForever({ signal: ending.signal });
 * {
 *   await using client = new CountdownManager({ address: server.address });
 *   await client.connect();
 *   const countdown = await client.create("Countdown");
 *   const numbers = await countdown.callMethod("from", 3);
 *   assert(numbers instanceof IteratorProxy);
 *   assertEquals(await Array.fromAsync(numbers), [3, 2, 1]);
 * }
 * ending.abort();
 * await serving;
 * ```
 */
export class IteratorProxy<T = unknown> extends BaseProxy
  implements AsyncIterableIterator<T> {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = ["next", "return", "throw"];

  /**
   * The next value.
   *
   * @param value What the generator is given.
   */
  async next(...value: [] | [unknown]): Promise<IteratorResult<T, undefined>> {
    return await this.invoke("next", value);
  }

  /**
   * Ends it; if it has no `return()`, its lease alone.
   *
   * @param value What it is to give as its result.
   */
  async return(value?: unknown): Promise<IteratorResult<T, undefined>> {
    try {
      if (this.#hasReturn) return await this.invoke("return", [value]);
      return { done: true, value: undefined };
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /**
   * Throws an error where the generator is.
   *
   * @param error The error.
   * @throws {TypeError} If it is an iterator that nothing can be thrown into.
   */
  async throw(error?: unknown): Promise<IteratorResult<T, undefined>> {
    return await this.invoke("throw", [error]);
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #hasReturn: boolean;

  /**
   * Not for users: managers make proxies.
   *
   * @param origin Where it comes from.
   */
  constructor(origin: Origin) {
    super(origin);
    this.#hasReturn = origin.exposed.includes("return");
  }
}

/**
 * Loops over an iterator that was made for this loop alone.
 *
 * @param start Makes it.
 */
export async function* loopOver<T>(
  start: () => Promise<IteratorProxy<T>>,
): AsyncGenerator<T, void, undefined> {
  await using iterator = await start();
  while (true) {
    const { done, value } = await iterator.next();
    if (done) return;
    yield value;
  }
}

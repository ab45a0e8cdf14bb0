/**
 * Proxies of what a `SyncManager` makes, apart from the containers (see
 * `containers.ts`): queues, locks, events, barriers, iterators, pools.
 *
 * This is also what a child loads to know proxies that are sent to it.
 *
 * Runs in the client.
 *
 * @module
 */
import { checkOptions } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import type { AcquireOptions, Guard } from "../primitives/mod.ts";
import type { QueueWaitOptions } from "../primitives/mod.ts";
import { identifies } from "../primitives/lock_identity.ts";
import "./containers.ts";
import { IteratorProxy } from "./iterator.ts";
import { BaseProxy, knowProxyClass, originOf } from "./proxy.ts";
import type { CallOptions } from "./proxy.ts";
import "./_remote.ts";

/** The part of a wait that the server sees to. */
function patience(
  options: { timeout?: number | undefined; block?: boolean | undefined },
): { timeout?: number; block?: boolean } {
  checkOptions(options);
  const { timeout, block } = options;
  return {
    // What lasts for ever is not said: JSON could not say it.
    ...timeout === undefined || timeout === Infinity ? {} : { timeout },
    ...block === undefined ? {} : { block },
  };
}

/** The part that is seen to here: also of the time-out, if the server cannot. */
function limits({ timeout, signal }: WaitOptions): CallOptions {
  return { timeout, signal };
}

// ---- queues -------------------------------------------------------------------

/**
 * A queue in the server.
 *
 * - **Death:** an item that was under way to a client that is killed goes back to
 *   the front. Items are copies.
 *
 * @example A queue that any program can reach
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const queue = await manager.Queue<string>();
 * await queue.put("hello");
 * assertEquals(await queue.qsize(), 1);
 * assertEquals(await queue.get(), "hello");
 * ```
 */
export class QueueProxy<T = unknown> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "put",
    "get",
    "qsize",
    "empty",
    "full",
    "taskDone",
    "join",
  ];

  /**
   * Puts an item at the end.
   *
   * @param item The item.
   * @param options How long to wait for room.
   * @throws {QueueFullError} If there is none in time.
   */
  async put(item: T, options: QueueWaitOptions = {}): Promise<void> {
    await this.invoke("put", [item, patience(options)], limits(options));
  }

  /**
   * Takes the item at the front.
   *
   * @param options How long to wait for one.
   * @throws {QueueEmptyError} If there is none in time.
   */
  async get(options: QueueWaitOptions = {}): Promise<T> {
    return await this.invoke("get", [patience(options)], limits(options));
  }

  /**
   * Puts an item, if there is room now.
   *
   * @param item The item.
   * @throws {QueueFullError} If there is none.
   */
  async putNowait(item: T): Promise<void> {
    await this.put(item, { block: false });
  }

  /**
   * Takes an item, if there is one now.
   *
   * @throws {QueueEmptyError} If there is none.
   */
  async getNowait(): Promise<T> {
    return await this.get({ block: false });
  }

  /** How many items there are. */
  async qsize(): Promise<number> {
    return await this.invoke("qsize", []);
  }

  /** Whether there are none. */
  async empty(): Promise<boolean> {
    return await this.invoke("empty", []);
  }

  /** Whether there is no room. */
  async full(): Promise<boolean> {
    return await this.invoke("full", []);
  }
}

/**
 * A queue in the server that counts what is done.
 *
 * @example All is done
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const queue = await manager.JoinableQueue<string>();
 * await queue.put("job");
 * assertEquals(await queue.get(), "job");
 * await queue.taskDone();
 * await queue.join();
 * ```
 */
export class JoinableQueueProxy<T = unknown> extends QueueProxy<T> {
  /**
   * Says that one item that was taken is done.
   *
   * @throws {ProcessError} If all are.
   */
  async taskDone(): Promise<void> {
    await this.invoke("taskDone", []);
  }

  /**
   * Waits until all that was put is done.
   *
   * @param options How long to wait.
   * @returns Whether it is.
   */
  async join(options: WaitOptions = {}): Promise<boolean> {
    return await this.invoke("join", [patience(options)], limits(options));
  }
}

// ---- locks --------------------------------------------------------------------

/** What has been acquired in a manager. Disposing it gives it back, once. */
export interface ProxyGuard extends Guard, AsyncDisposable {}

class Held implements ProxyGuard {
  readonly abandoned: boolean;
  #release: (() => Promise<void>) | undefined;

  constructor(abandoned: boolean, release: () => Promise<void>) {
    this.abandoned = abandoned;
    this.#release = release;
  }

  [Symbol.dispose](): void {
    // If that fails the server is gone, and the lock with it; or just the lock, of
    // which nobody has a proxy any more.
    this[Symbol.asyncDispose]().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    await release?.();
  }
}

/**
 * A lock in the server.
 *
 * - **Guards:** `using guard = await lock.acquire()` sends the release on its way at
 *   the end of the block; `await using` waits until it is done. A guard outlives the
 *   proxy.
 * - **Death:** a client that crashes abandons the lock, and the next to acquire it
 *   is told: `guard.abandoned`. One that ends in good order leaves it held, for
 *   somebody else to release.
 *
 * @example What can be acquired
 * ```ts
 * import { AcquirerProxy, Manager } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * await using manager = await Manager();
 * const lock = await manager.Lock();
 * assert(lock instanceof AcquirerProxy);
 * ```
 */
export class AcquirerProxy extends BaseProxy {
  static {
    identifies(this, (proxy: AcquirerProxy) => ({
      realm: originOf(proxy).session,
      id: proxy.id,
      isReentrant: proxy instanceof RLockProxy,
    }));
  }

  /** The methods that can be called. */
  static readonly exposed: readonly string[] = ["acquire", "release", "locked"];

  /**
   * Acquires it.
   *
   * @param options How long to wait.
   * @returns What gives it back when disposed; `null` if it was not acquired.
   */
  async acquire(options: AcquireOptions = {}): Promise<ProxyGuard | null> {
    const acquired = await this.invoke<{ abandoned: boolean } | null>(
      "acquire",
      [patience(options)],
      limits(options),
    );
    // Also once the proxy is disposed: what has been acquired can be given back.
    const release = async () => {
      const origin = originOf(this);
      await origin.session.call(origin, "release", [], {});
    };
    return acquired && new Held(acquired.abandoned, release);
  }

  /**
   * Releases it.
   *
   * @throws {ProcessError} If it is not held, or not by this process where that
   * matters.
   */
  async release(): Promise<void> {
    await this.invoke("release", []);
  }
}

/**
 * A lock in the server that anybody may release.
 *
 * @example For the length of a block
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * await using manager = await Manager();
 * const lock = await manager.Lock();
 * {
 *   await using guard = await lock.acquire();
 *   assert(guard);
 *   assert(await lock.locked());
 * }
 * assert(!await lock.locked());
 * ```
 */
export class LockProxy extends AcquirerProxy {
  /** Whether somebody holds it. */
  async locked(): Promise<boolean> {
    return await this.invoke("locked", []);
  }
}

/**
 * A lock in the server that its owner may acquire again. The owner is the process or
 * thread; tasks within one are not told apart.
 *
 * @example Twice by the same
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * await using manager = await Manager();
 * const lock = await manager.RLock();
 * await lock.acquire();
 * assert(await lock.acquire());
 * await lock.release();
 * await lock.release();
 * assert(!await lock.locked());
 * ```
 */
export class RLockProxy extends LockProxy {}

/**
 * A semaphore in the server, bounded or not.
 *
 * - **Releasing** gives back a unit of one's own, or, having none, one of a client
 *   that has ended, or else anybody's; or adds one that was never taken, if it is
 *   not bounded.
 * - **Death:** the units of a client that crashes come back, unless they have been
 *   given back for it.
 *
 * @example Two at a time
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const semaphore = await manager.Semaphore(2);
 * await semaphore.acquire();
 * assertEquals(await semaphore.value(), 1);
 * await semaphore.release();
 * ```
 */
export class SemaphoreProxy extends AcquirerProxy {
  /** The methods that can be called. */
  static override readonly exposed: readonly string[] = [
    "acquire",
    "release",
    "value",
  ];

  /** How many permits are left. */
  async value(): Promise<number> {
    return await this.invoke("value", []);
  }

  /** The same. */
  override async getValue(): Promise<number> {
    return await this.value();
  }
}

/**
 * A condition in the server.
 *
 * @example Waiting for something to be so
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const condition = await manager.Condition();
 * await condition.acquire();
 * assertEquals(await condition.waitFor(() => true), true);
 * await condition.notifyAll();
 * await condition.release();
 * ```
 */
export class ConditionProxy extends AcquirerProxy {
  /** The methods that can be called. */
  static override readonly exposed: readonly string[] = [
    "acquire",
    "release",
    "wait",
    "notify",
    "notifyAll",
  ];

  /**
   * Lets go of the lock, waits to be notified, and takes the lock again.
   *
   * - **Cancelling:** also an aborted wait takes the lock again before it rejects.
   *
   * @param options How long to wait.
   * @returns Whether it was notified.
   * @throws {ProcessError} If the lock is not held.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    const { signal } = options;
    return await this.invoke("wait", [patience(options)], {
      signal,
      // Until then the lock is not held again, and cannot be released.
      settlesLate: true,
    });
  }

  /**
   * Waits until a predicate holds. It is called here, with the lock held.
   *
   * @param predicate What has to hold.
   * @param options How long to wait in all.
   * @returns What it gave last.
   */
  async waitFor<R>(
    predicate: () => R,
    { timeout = Infinity, signal }: WaitOptions = {},
  ): Promise<Awaited<R>> {
    const deadline = performance.now() + timeout;
    while (true) {
      const result = await predicate();
      const left = deadline - performance.now();
      if (result || left <= 0) return result;
      await this.wait({ timeout: left, signal });
    }
  }

  /**
   * Wakes some of those who wait.
   *
   * @param n How many at most.
   * @default n {1}
   * @throws {ProcessError} If the lock is not held.
   */
  async notify(n: number = 1): Promise<void> {
    await this.invoke("notify", [n]);
  }

  /**
   * Wakes all who wait.
   *
   * @throws {ProcessError} If the lock is not held.
   */
  async notifyAll(): Promise<void> {
    await this.invoke("notifyAll", []);
  }
}

/**
 * A flag in the server.
 *
 * @example Set and waited for
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * await using manager = await Manager();
 * const event = await manager.Event();
 * await event.set();
 * assert(await event.wait());
 * await event.clear();
 * assert(!await event.isSet());
 * ```
 */
export class EventProxy extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "isSet",
    "set",
    "clear",
    "wait",
  ];

  /** Whether it is set. */
  async isSet(): Promise<boolean> {
    return await this.invoke("isSet", []);
  }

  /** Sets it, and wakes all who wait. */
  async set(): Promise<void> {
    await this.invoke("set", []);
  }

  /** Clears it. */
  async clear(): Promise<void> {
    await this.invoke("clear", []);
  }

  /**
   * Waits until it is set.
   *
   * @param options How long to wait.
   * @returns Whether it is.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    return await this.invoke("wait", [patience(options)], limits(options));
  }
}

/**
 * A barrier in the server.
 *
 * - **Death:** if a client ends, or gives up, while it waits, the barrier breaks, so
 *   that the others do not wait for it.
 *
 * @example A party of one
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const barrier = await manager.Barrier(1);
 * assertEquals(await barrier.wait(), 0);
 * assertEquals(await barrier.parties(), 1);
 * ```
 */
export class BarrierProxy extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "wait",
    "reset",
    "abort",
    "parties",
    "nWaiting",
    "broken",
  ];

  /**
   * Waits until all parties are here.
   *
   * @param options How long to wait.
   * @returns Which of the parties this is, from 0.
   * @throws {BrokenBarrierError} If the barrier is broken, or breaks.
   */
  async wait(options: WaitOptions = {}): Promise<number> {
    const { signal } = options;
    // Whoever comes last waits for the action, however long that takes.
    return await this.invoke("wait", [patience(options)], { signal });
  }

  /** Makes it as new; those who wait get a `BrokenBarrierError`. */
  async reset(): Promise<void> {
    await this.invoke("reset", []);
  }

  /** Breaks it. */
  async abort(): Promise<void> {
    await this.invoke("abort", []);
  }

  /** How many it takes. */
  async parties(): Promise<number> {
    return await this.invoke("parties", []);
  }

  /** How many wait. */
  async nWaiting(): Promise<number> {
    return await this.invoke("nWaiting", []);
  }

  /** Whether it is broken. */
  async broken(): Promise<boolean> {
    return await this.invoke("broken", []);
  }
}

// ---- pools --------------------------------------------------------------------

/** How tasks of a manager's pool are run. */
export interface PoolProxyOptions {
  /** How many items go to a worker at a time. */
  chunkSize?: number | undefined;
  /** How long a task may take. */
  timeout?: number | undefined;
  /** Aborting it gives up. */
  signal?: AbortSignal | undefined;
}

/** A function of some kind. */
// deno-lint-ignore no-explicit-any -- its arguments are checked where it is given
type AnyTask<R> = (...args: any[]) => R;

/**
 * A pool whose workers are children of the server. Functions go by reference, so
 * only this program and its children can use it.
 *
 * `await using` terminates it.
 *
 * @example Workers of the server
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * await using pool = await manager.Pool(1);
 * assertEquals(await pool.map(square, [1, 2, 3]), [1, 4, 9]);
 * ```
 */
export class PoolProxy extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "apply",
    "applyAsync",
    "map",
    "mapAsync",
    "starmap",
    "starmapAsync",
    "imap",
    "imapUnordered",
    "close",
    "join",
    "terminate",
  ];

  /**
   * Calls a function in a worker.
   *
   * @param fn The function.
   * @param args Its arguments.
   * @param options How.
   */
  async apply<A extends unknown[], R>(
    fn: (...args: A) => R,
    args: A = [] as unknown as A,
    options: PoolProxyOptions = {},
  ): Promise<Awaited<R>> {
    return await this.#run("apply", [fn, args], options);
  }

  /**
   * Calls a function with each item; gives the results in order.
   *
   * @param fn The function.
   * @param items The items.
   * @param options How.
   */
  async map<T, R>(
    fn: (item: T) => R,
    items: Iterable<T>,
    options: PoolProxyOptions = {},
  ): Promise<Awaited<R>[]> {
    return await this.#run("map", [fn, [...items]], options);
  }

  /**
   * The same, with the items as arguments.
   *
   * @param fn The function.
   * @param items Lists of arguments.
   * @param options How.
   */
  async starmap<A extends unknown[], R>(
    fn: (...args: A) => R,
    items: Iterable<A>,
    options: PoolProxyOptions = {},
  ): Promise<Awaited<R>[]> {
    return await this.#run("starmap", [fn, [...items]], options);
  }

  /**
   * Begins to call a function; the result stays in the server until it is asked for.
   *
   * @param fn The function.
   * @param args Its arguments.
   * @param options How.
   */
  async applyAsync<A extends unknown[], R>(
    fn: (...args: A) => R,
    args: A = [] as unknown as A,
    options: PoolProxyOptions = {},
  ): Promise<AsyncResultProxy<Awaited<R>>> {
    return await this.#start("applyAsync", [fn, args], options);
  }

  /**
   * Begins to call a function with each item.
   *
   * @param fn The function.
   * @param items The items.
   * @param options How.
   */
  async mapAsync<T, R>(
    fn: (item: T) => R,
    items: Iterable<T>,
    options: PoolProxyOptions = {},
  ): Promise<AsyncResultProxy<Awaited<R>[]>> {
    return await this.#start("mapAsync", [fn, [...items]], options);
  }

  /**
   * Begins to call a function with items as arguments.
   *
   * @param fn The function.
   * @param items Lists of arguments.
   * @param options How.
   */
  async starmapAsync<A extends unknown[], R>(
    fn: (...args: A) => R,
    items: Iterable<A>,
    options: PoolProxyOptions = {},
  ): Promise<AsyncResultProxy<Awaited<R>[]>> {
    return await this.#start("starmapAsync", [fn, [...items]], options);
  }

  /**
   * Calls a function with each item; the results can be taken one by one, in order.
   *
   * @param fn The function.
   * @param items The items.
   * @param options How.
   */
  async imap<T, R>(
    fn: (item: T) => R,
    items: Iterable<T>,
    options: PoolProxyOptions = {},
  ): Promise<IteratorProxy<Awaited<R>>> {
    return await this.#start("imap", [fn, [...items]], options);
  }

  /**
   * The same, in the order in which they are done.
   *
   * @param fn The function.
   * @param items The items.
   * @param options How.
   */
  async imapUnordered<T, R>(
    fn: (item: T) => R,
    items: Iterable<T>,
    options: PoolProxyOptions = {},
  ): Promise<IteratorProxy<Awaited<R>>> {
    return await this.#start("imapUnordered", [fn, [...items]], options);
  }

  /** Lets nothing more in. */
  async close(): Promise<void> {
    await this.invoke("close", []);
  }

  /** Waits until all is done; the pool has to be closed. */
  async join(): Promise<void> {
    await this.invoke("join", []);
  }

  /** Ends it now. */
  async terminate(): Promise<void> {
    await this.invoke("terminate", []);
  }

  /** Terminates it. */
  override async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.terminate();
    } finally {
      await super[Symbol.asyncDispose]();
    }
  }

  async #run<R>(
    method: string,
    [fn, args]: readonly [AnyTask<unknown>, unknown],
    { signal, chunkSize, timeout }: PoolProxyOptions,
  ): Promise<R> {
    const options = {
      ...chunkSize === undefined ? {} : { chunkSize },
      ...timeout === undefined ? {} : { timeout },
    };
    return await this.invoke(method, [fn, args, options], { signal });
  }

  async #start<P>(
    method: string,
    call: readonly [AnyTask<unknown>, unknown],
    options: PoolProxyOptions,
  ): Promise<P> {
    return await this.#run(method, call, options);
  }
}

/**
 * A result that stays in the server until it is asked for.
 *
 * @example A result that waits in the server
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "../examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * await using pool = await manager.Pool(1);
 * const result = await pool.applyAsync(square, [3]);
 * assertEquals(await result.get(), 9);
 * ```
 */
export class AsyncResultProxy<T = unknown> extends BaseProxy {
  /** The methods that can be called. */
  static readonly exposed: readonly string[] = [
    "get",
    "wait",
    "ready",
    "successful",
  ];

  /**
   * The result, once it is there.
   *
   * @param options How long to wait.
   * @throws {TimeoutError} If it is not there in time.
   */
  async get(options: WaitOptions = {}): Promise<T> {
    return await this.invoke("get", [patience(options)], limits(options));
  }

  /**
   * Waits until it is there.
   *
   * @param options How long to wait.
   * @returns Whether it is.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    return await this.invoke("wait", [patience(options)], limits(options));
  }

  /** Whether it is there. */
  async ready(): Promise<boolean> {
    return await this.invoke("ready", []);
  }

  /** Whether it is one, and no error. */
  async successful(): Promise<boolean> {
    return await this.invoke("successful", []);
  }
}

for (
  const cls of [
    QueueProxy,
    JoinableQueueProxy,
    LockProxy,
    RLockProxy,
    SemaphoreProxy,
    ConditionProxy,
    EventProxy,
    BarrierProxy,
    PoolProxy,
    AsyncResultProxy,
    IteratorProxy,
  ]
) knowProxyClass(cls);

export { IteratorProxy };

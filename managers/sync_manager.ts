/**
 * {@linkcode SyncManager}: a manager of the usual containers, locks and queues; and
 * {@linkcode Manager}, which starts one.
 *
 * Runs in the client.
 *
 * @module
 */
import type { MemoryKind } from "../memory/mod.ts";
import type { PoolOptions } from "../pool/mod.ts";
import { bindTo } from "../primitives/block.ts";
import { SYNC_TYPES } from "./_sync_types.ts";
import { BaseManager } from "./base_manager.ts";
import type { ManagerOptions } from "./base_manager.ts";
import { entriesOf } from "./containers.ts";
import type {
  ArrayProxy,
  DictEntries,
  DictProxy,
  ListProxy,
  NamespaceProxy,
  ValueProxy,
} from "./containers.ts";
import type {
  BarrierProxy,
  ConditionProxy,
  EventProxy,
  JoinableQueueProxy,
  LockProxy,
  PoolProxy,
  QueueProxy,
  RLockProxy,
  SemaphoreProxy,
} from "./proxies.ts";
import type { BaseProxy } from "./proxy.ts";
import { addType } from "./registry.ts";

/** How a barrier of a manager is made. */
export interface ManagedBarrierOptions {
  /** What the last one to come has the server call; sent as a target is. */
  action?: (() => unknown) | undefined;
  /** How long to wait, unless `wait()` says otherwise. */
  timeout?: number | undefined;
}

/**
 * A manager of containers, locks and queues that live in its server.
 *
 * @example Its types
 * ```ts
 * import { SyncManager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(typeof SyncManager.prototype.dict, "function");
 * ```
 */
export class SyncManager extends BaseManager {
  static {
    for (const [typeid, options] of Object.entries(SYNC_TYPES)) {
      addType(this, typeid, options);
    }
  }

  /**
   * Makes a dict of an object.
   *
   * @param entries Its first keys and values.
   */
  dict<V>(entries: Readonly<Record<string, V>>): Promise<DictProxy<string, V>>;
  /**
   * Makes a dict.
   *
   * @param entries What is in it at first: a Map, a list of pairs, or an object.
   */
  dict<K = unknown, V = unknown>(
    entries?: DictEntries<K, V>,
  ): Promise<DictProxy<K, V>>;
  async dict(entries?: unknown): Promise<DictProxy<unknown, unknown>> {
    return await this.#make(
      "dict",
      entries === undefined ? [] : [entriesOf(entries)],
    );
  }

  /**
   * Makes a list.
   *
   * @param items What is in it at first.
   */
  async list<T = unknown>(items?: Iterable<T>): Promise<ListProxy<T>> {
    return await this.#make("list", items === undefined ? [] : [[...items]]);
  }

  /**
   * Makes a namespace.
   *
   * @param values Its first names.
   */
  async Namespace<N extends object = Record<string, unknown>>(
    values?: Partial<N>,
  ): Promise<NamespaceProxy<N>> {
    return await this.#make("Namespace", values === undefined ? [] : [values]);
  }

  /**
   * Makes a value.
   *
   * @param code A type code, which is only shown.
   * @param value The value.
   */
  async Value<T = unknown>(code: string, value: T): Promise<ValueProxy<T>> {
    return await this.#make("Value", [code, value]);
  }

  /**
   * Makes an array of numbers.
   *
   * @param code Their type: one of `b B h H i I f d`.
   * @param items The numbers.
   * @throws {RangeError} If there is no such code.
   */
  Array(
    code: string,
    items: Iterable<number>,
  ): Promise<ArrayProxy<number>>;
  /**
   * Makes an array of bigints.
   *
   * @param code Their type: one of `l L q Q`.
   * @param items The bigints.
   * @throws {RangeError} If there is no such code.
   */
  Array(
    code: string,
    items: Iterable<bigint>,
  ): Promise<ArrayProxy<bigint>>;
  async Array(
    code: string,
    items: Iterable<number | bigint>,
    // deno-lint-ignore no-explicit-any -- the overloads say which
  ): Promise<ArrayProxy<any>> {
    return await this.#make("Array", [code, [...items]]);
  }

  /**
   * Makes a queue.
   *
   * @param maxSize How many items it takes; any number if not above 0.
   */
  async Queue<T = unknown>(maxSize: number = 0): Promise<QueueProxy<T>> {
    return await this.#make("Queue", [maxSize]);
  }

  /**
   * Makes a queue that counts what is done.
   *
   * @param maxSize How many items it takes; any number if not above 0.
   */
  async JoinableQueue<T = unknown>(
    maxSize: number = 0,
  ): Promise<JoinableQueueProxy<T>> {
    return await this.#make("JoinableQueue", [maxSize]);
  }

  /** Makes a lock that anybody may release. */
  async Lock(): Promise<LockProxy> {
    return await this.#make("Lock", []);
  }

  /** Makes a lock that its owner may acquire again. */
  async RLock(): Promise<RLockProxy> {
    return await this.#make("RLock", []);
  }

  /**
   * Makes a semaphore.
   *
   * @param value How many permits it has.
   * @default value {1}
   */
  async Semaphore(value: number = 1): Promise<SemaphoreProxy> {
    return await this.#make("Semaphore", [value]);
  }

  /**
   * Makes a semaphore that never has more permits than at first.
   *
   * @param value How many.
   * @default value {1}
   */
  async BoundedSemaphore(value: number = 1): Promise<SemaphoreProxy> {
    return await this.#make("BoundedSemaphore", [value]);
  }

  /**
   * Makes a condition.
   *
   * @param lock Its lock, a Lock or an RLock of this manager; a new RLock if not given.
   * @throws {TypeError} If it is something else.
   */
  async Condition(lock?: LockProxy): Promise<ConditionProxy> {
    return await this.#make("Condition", lock === undefined ? [] : [lock]);
  }

  /** Makes an event. */
  async Event(): Promise<EventProxy> {
    return await this.#make("Event", []);
  }

  /**
   * Makes a barrier.
   *
   * @param parties How many it takes.
   * @param options What to do when they are there, and how long to wait.
   * @throws {RangeError} If there are none, or the time-out is `NaN`.
   */
  async Barrier(
    parties: number,
    { action, timeout }: ManagedBarrierOptions = {},
  ): Promise<BarrierProxy> {
    return await this.#make("Barrier", [
      parties,
      action ?? null,
      ...timeout === undefined ? [] : [timeout],
    ]);
  }

  /**
   * Starts a pool in the server.
   *
   * @param options How many workers, or what they are to be.
   */
  async Pool<I extends unknown[] = []>(
    options?: number | PoolOptions<I>,
  ): Promise<PoolProxy> {
    return await this.#make("Pool", options === undefined ? [] : [options]);
  }

  async #make<P>(typeid: string, args: unknown[]): Promise<P> {
    const proxy: BaseProxy = await this.create(typeid, ...args);
    return proxy as unknown as P;
  }
}

/**
 * The function that starts a manager of a start method.
 *
 * @param kind The start method.
 */
export function managerFor(kind: MemoryKind): typeof Manager {
  const Bound = bindTo(SyncManager, kind);
  return async (options = {}) => {
    const manager = new Bound(options);
    await manager.start();
    return manager;
  };
}

/**
 * Starts a {@linkcode SyncManager} of the default start method.
 *
 * @example A dict and a list, for everybody who has a proxy of them
 * ```ts
 * import { Manager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const scores = await manager.dict<string, number>({ ada: 1 });
 * await scores.set("bob", 2);
 * const names = await manager.list(await scores.keys());
 * assertEquals(await names.copy(), ["ada", "bob"]);
 * ```
 *
 * @param options Where it is, and who may use it.
 * @returns The manager, started.
 */
export async function Manager(
  options: ManagerOptions = {},
): Promise<SyncManager> {
  const manager = new SyncManager(options);
  await manager.start();
  return manager;
}

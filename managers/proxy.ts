/**
 * {@linkcode BaseProxy}: stands here for an object in the server of a manager.
 *
 * A proxy is a lease: the server keeps the object at least until the proxy is
 * disposed, collected, or its process has ended. How it does so is the affair of
 * its {@linkcode Session}.
 *
 * Runs in the client, and in the server for objects within objects.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import type { WireForm } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { travelsAs } from "../primitives/block.ts";
import type { Target } from "../primitives/block.ts";
import { showAsText } from "../primitives/inspect.ts";
import { PROXY_TAG } from "../primitives/wire.ts";
import { Peer } from "./_wire.ts";

/** The class of proxies of a type. */
export type ProxyClass<P extends BaseProxy = BaseProxy> = {
  /** Makes one; only the library does. */
  new (origin: Origin): P;
  /**
   * The methods its objects expose, unless their type is registered with others.
   *
   * @default those that do not begin with `_`
   */
  readonly exposed?: readonly string[];
};

/** How to make a call. */
export interface CallOptions {
  /** Aborting it gives the call up; what it would have taken is not taken. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long the object is to wait, if that is all the call takes. Should the server
   * not answer for long after that, the call is given up as well.
   */
  readonly timeout?: number | undefined;
  /** Whether the aborted call settles only when the server is done with it. */
  readonly settlesLate?: boolean;
  /** What the arguments are called in an error. */
  readonly root?: string;
  /** The class of the proxy it gives, if it gives one. */
  readonly proxyClass?: ProxyClass;
}

/** Whoever passes calls on to the objects of a server. */
export interface Session {
  /** Calls a method of an object. */
  call(
    origin: Origin,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown>;
  /** A proxy is gone. */
  release(origin: Origin): void;
  /** Plain data that stands for a proxy for participants of this program. */
  depart(origin: Origin, target: Target): unknown;
}

/** Where a proxy comes from: only the library makes it. */
export interface Origin {
  /** The number of the object. */
  readonly id: number;
  /** The type of the object. */
  readonly typeid: string;
  /** The methods that can be called. */
  readonly exposed: readonly string[];
  /** The name of the class of its proxies. */
  readonly proxy: string;
}

/** The same, with who passes calls on. */
export interface LinkedOrigin extends Origin {
  /** Who passes calls on. */
  readonly session: Session;
}

/** Gives the origin of a proxy, for this room. */
export let originOf: (proxy: BaseProxy) => LinkedOrigin;

/** Proxies that were collected without being disposed. */
const collected = new FinalizationRegistry<LinkedOrigin>((origin) =>
  origin.session.release(origin)
);

/** A proxy that arrived in a message of this program; supplied by `_remote.ts`. */
export let arrivals: (data: unknown) => object;

/** Supplies the way in which proxies arrive. */
export function setArrivals(arrive: (data: unknown) => object): void {
  arrivals = arrive;
}

/**
 * Stands for an object in the server of a manager. All that is done with it is done
 * there: so all methods are asynchronous, arguments and results are copies.
 *
 * - **Lease:** the object lives as long as there are proxies of it, anywhere, or
 *   other objects that hold it. Disposing a proxy gives its lease up; so does the
 *   end of its process, whatever ends it.
 * - **Sending:** proxies can be arguments of processes and tasks, go through queues
 *   and pipes, and into other managed objects. The object stays until the proxy has
 *   arrived, also if the sender has disposed its own.
 * - **Order:** calls made through one process take effect in their order.
 * - **Time-outs** are kept by the server. If that is busy for 5 s beyond one, with a
 *   function that does not end, the call rejects with a `TimeoutError`.
 * - **Death:** once the server is gone every call rejects with an `EofError`.
 * - **Differs from Python:** nothing here looks like the object itself: it is
 *   `await dict.get("x")`, not `dict["x"]`.
 *
 * @example What every proxy has
 * ```ts
 * import { BaseProxy, Manager } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using manager = await Manager();
 * const list = await manager.list([1, 2]);
 * assert(list instanceof BaseProxy);
 * assertEquals(await list.getValue(), [1, 2]);
 * assertEquals(await list.callMethod("count", 2), 1);
 * ```
 */
export class BaseProxy {
  static {
    originOf = (proxy) => proxy.#origin;
    showAsText(this);
    travelsAs(this, (proxy: BaseProxy, target): WireForm => {
      proxy.#check("send");
      const data = target instanceof Peer
        ? target.lend(proxy)
        : proxy.#origin.session.depart(proxy.#origin, target as Target);
      return { tag: PROXY_TAG, data };
    });
    registerTag(
      PROXY_TAG,
      (data, source) =>
        source instanceof Peer ? source.borrow(data) : arrivals(data),
    );
  }

  readonly #origin: LinkedOrigin;
  #isDisposed = false;

  /**
   * Not for users: managers make proxies.
   *
   * @param origin Where it comes from.
   */
  constructor(origin: Origin) {
    this.#origin = origin as LinkedOrigin;
    collected.register(this, this.#origin, this);
  }

  /** The type of its object, by the name it is registered with. */
  get typeid(): string {
    return this.#origin.typeid;
  }

  /** The number of its object. No other object of the server ever has it. */
  get id(): number {
    return this.#origin.id;
  }

  /**
   * Calls a method of the object.
   *
   * @param name Which.
   * @param args Its arguments.
   * @returns What it gives.
   * @throws {EncodingError} If an argument cannot be sent. Nothing has been done.
   * @throws {RemoteError} If the method is not exposed, or its result cannot be sent.
   * @throws {EofError} If the server has ended.
   * @throws {ProcessError} If the proxy was disposed.
   */
  async callMethod(name: string, ...args: unknown[]): Promise<unknown> {
    return await this.invoke(name, args);
  }

  /**
   * The same with more to say, for subclasses.
   *
   * @param name Which method.
   * @param args Its arguments.
   * @param options How to call.
   */
  protected async invoke<T>(
    name: string,
    args: readonly unknown[],
    options: CallOptions = {},
  ): Promise<T> {
    this.#check(`call '${name}' of`);
    const { session } = this.#origin;
    return await session.call(this.#origin, name, args, options) as T;
  }

  /** A copy of the object. */
  async getValue(): Promise<unknown> {
    return await this.invoke("#getValue", []);
  }

  /**
   * The object's own description.
   *
   * @returns The description, or that of the proxy if the object gives none.
   */
  async str(): Promise<string> {
    try {
      return await this.invoke<string>("#str", []);
    } catch {
      return `${this.toString().slice(0, -1)}; 'str()' failed>`;
    }
  }

  /** Gives up the lease: the proxy cannot be used any more. Twice is fine. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    collected.unregister(this);
    this.#origin.session.release(this.#origin);
  }

  /** The same; whatever is asked of the server afterwards finds it done. */
  // deno-lint-ignore require-await -- `await using` and subclasses that wait
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
  }

  /** Describes the proxy: `<DictProxy object, typeid 'dict' at 0x1>`. */
  toString(): string {
    const { typeid, id } = this.#origin;
    return `<${this.constructor.name} object, typeid '${typeid}' at 0x${
      id.toString(16)
    }>`;
  }

  #check(action: string): void {
    if (!this.#isDisposed) return;
    throw new ProcessError(`Cannot ${action} ${this} as it was disposed`);
  }
}

/**
 * Names that a proxy of any type has for itself. A `then` would have it called by
 * whoever awaits the proxy.
 */
const RESERVED: ReadonlySet<string> = new Set([
  "then",
  "constructor",
  "callMethod",
  "invoke",
  "toString",
  "id",
  "typeid",
]);

/**
 * A proxy of an object of any type: it has the methods that are exposed, also
 * instead of `getValue()` and `str()`. Only `then`, `callMethod`, `invoke`,
 * `toString`, `id` and `typeid` are its own;
 * {@linkcode BaseProxy.callMethod} calls those of the object.
 *
 * @example Of a registered class
 * ```ts
 * import { AutoProxy, BaseManager, register } from "@deno-mp/multiprocessing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * class Counter {
 *   count = 0;
 *   add(n: number): number {
 *     return this.count += n;
 *   }
 * }
 * register(import.meta, { Counter });
 * class CounterManager extends BaseManager {
 *   static {
 *     this.register("Counter", { callable: Counter });
 *   }
 * }
 *
 * const manager = new CounterManager();
 * const server = await manager.getServer(); // in this process, for once
 * const ending = new AbortController();
 * const serving = server.serveForever({ signal: ending.signal });
 * await using client = new CounterManager({ address: server.address });
 * await client.connect();
 * const counter = await client.create<Counter>("Counter");
 * assert(counter instanceof AutoProxy);
 * assertEquals(await counter.add(2), 2);
 * ending.abort();
 * await serving;
 * ```
 */
export class AutoProxy extends BaseProxy {
  /**
   * Not for users: managers make proxies.
   *
   * @param origin Where it comes from.
   */
  constructor(origin: Origin) {
    super(origin);
    for (const name of origin.exposed) {
      if (RESERVED.has(name)) continue;
      const value = (...args: unknown[]) => this.invoke(name, args);
      Object.defineProperty(this, name, { value });
    }
  }
}

/** Classes of proxies by name. */
const classes = new Map<string, ProxyClass>([
  [BaseProxy.name, BaseProxy],
  [AutoProxy.name, AutoProxy],
]);

/**
 * Makes a class of proxies known, so that those that arrive are of it.
 *
 * @param cls The class.
 * @throws {TypeError} If another class has its name.
 */
export function knowProxyClass(cls: ProxyClass): void {
  const holder = classes.get(cls.name);
  if (holder && holder !== cls) {
    throw new TypeError(
      `Cannot register class "${cls.name}" for proxies as another class has that name, by which they arrive: give one of the two another`,
    );
  }
  classes.set(cls.name, cls);
}

/**
 * Makes a proxy.
 *
 * @param origin Where it comes from.
 * @param cls Its class; by default the one that is known by the name.
 */
export function proxyFor(
  origin: LinkedOrigin,
  cls?: ProxyClass,
): BaseProxy {
  return new (cls ?? classes.get(origin.proxy) ?? AutoProxy)(origin);
}

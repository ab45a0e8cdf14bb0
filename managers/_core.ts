/**
 * {@linkcode Core}: what the clients of a server have in common: its types, its
 * objects, and how a method of one is called.
 *
 * Runs in the server.
 *
 * @module
 */
import { EncodingError, ProcessError, RemoteError } from "../errors.ts";
import { current } from "../contexts/current.ts";
import { refer } from "../contexts/functions.ts";
import type { FunctionReference } from "../contexts/functions.ts";
import { preloadRoom } from "../contexts/preload.ts";
import type { Target } from "../primitives/block.ts";
import { shown } from "../primitives/failures.ts";
import type { Address, Digest } from "../network/mod.ts";
import { Holds } from "./_holds.ts";
import { ManagedObject } from "./_managed.ts";
import type { Call } from "./_managed.ts";
import { Objects } from "./_objects.ts";
import type { LocalOrigin, Referent } from "./_objects.ts";
import { BaseProxy, originOf, proxyFor } from "./proxy.ts";
import type { CallOptions, Origin, Session } from "./proxy.ts";
import { publicMethods } from "./registry.ts";
import type { Registration } from "./registry.ts";
import { binaryWire, Peer } from "./_wire.ts";
import type { SerializerName, Wire } from "./_wire.ts";
import { wireNamed } from "./_wires.ts";

// deno-lint-ignore ban-types -- any function or class
type AnyFunction = Function;

/** What a call has led to: a value, or an object that stays here. */
export interface Outcome {
  /** The value. */
  readonly value?: unknown;
  /** The object, which has a lease for whoever is told of it. */
  readonly referent?: Referent;
}

/** What a server is made of. */
export interface CoreOptions {
  /** Its types. */
  readonly types: ReadonlyMap<string, Registration>;
  /** Functions that clients of other programs may name. */
  readonly functions: readonly AnyFunction[];
  /** How values are written. */
  readonly serializer: SerializerName;
  /** How long a proxy under way stays whose sender has ended. */
  readonly handoverTimeoutMs: number;
  /** What the server itself can be asked for. */
  readonly self: (core: Core) => ManagedObject;
}

/** Any method. */
type Methods = Record<string, (...args: unknown[]) => unknown>;

/** See the module. */
export class Core {
  /** What no other server has. */
  readonly id: string = crypto.randomUUID();
  /** The name of its process, for errors. */
  readonly name: string = current.name;
  /** How values are written. */
  readonly wire: Wire;
  /** Its objects. */
  readonly objects: Objects = new Objects();
  /** Proxies under way. */
  readonly holds: Holds;
  /** Calls of proxies that are in the server. */
  readonly local: LocalSession;
  /** Where it listens, once it does. */
  address: Address = "";
  /** Its digest, for those to whom its proxies go. */
  digest: Digest | undefined;
  /** Its key, for the same. */
  key: Uint8Array = new Uint8Array(0);

  readonly #types: ReadonlyMap<string, Registration>;
  readonly #functions = new Map<string, AnyFunction>();
  readonly #self: ManagedObject;

  /**
   * Makes a server that does not listen yet.
   *
   * @param options What it is made of.
   */
  constructor(options: CoreOptions) {
    this.#types = options.types;
    this.wire = wireNamed(options.serializer);
    this.holds = new Holds(this.objects, options.handoverTimeoutMs);
    this.local = new LocalSession(this);
    this.#self = options.self(this);
    for (const fn of options.functions) {
      this.#functions.set(keyOf(refer(fn, "functions")), fn);
    }
  }

  /** A function that clients of other programs may name, too. */
  functionOf(reference: unknown): AnyFunction | undefined {
    return this.#functions.get(keyOf(reference as FunctionReference));
  }

  /**
   * Makes an object of a type.
   *
   * @param typeid The type.
   * @param args What its callable gets.
   */
  create(typeid: string, args: readonly unknown[]): Outcome | Promise<Outcome> {
    const type = this.#type(typeid);
    const { callable } = type;
    if (!callable) {
      if (args.length === 1) return { referent: this.#add(type, args[0]) };
      throw new RemoteError(
        `Cannot create an object of type '${typeid}' as it is registered without a callable here`,
        this.name,
        "",
      );
    }
    const value = isClass(callable)
      ? Reflect.construct(callable, args)
      : callable(...args);
    if (!(value instanceof Promise)) {
      return { referent: this.#add(type, value) };
    }
    return value.then((value) => ({ referent: this.#add(type, value) }));
  }

  /**
   * Calls a method of an object.
   *
   * @param call The call.
   * @param referent The object; `undefined` if there is none of that number.
   * @param method Which method.
   * @param args Its arguments.
   */
  call(
    call: Call,
    referent: Referent | undefined,
    method: string,
    args: readonly unknown[],
  ): Outcome | Promise<Outcome> {
    if (!referent) {
      throw new ProcessError(
        `Cannot call '${method}' as the object does not exist any more: all that had a lease have given it up`,
      );
    }
    const { value, typeid } = referent;
    if (method === "#getValue") return { value: plain(value) };
    if (method === "#str") return { value: text(value) };
    if (!referent.exposed.includes(method)) {
      throw new RemoteError(
        `method '${method}' of '${typeid}' object is not in exposed=[${
          referent.exposed.map((name) => `'${name}'`).join(", ")
        }]`,
        this.name,
        "",
      );
    }
    const result = value instanceof ManagedObject
      ? (value as unknown as Methods)[method]!(call, ...args)
      : callOwn(value, typeid, method, args);
    // Not what all objects have: 'toString' is nobody's type.
    const resultType = Object.hasOwn(referent.methodToTypeid, method)
      ? referent.methodToTypeid[method]
      : undefined;
    const settle = (value: unknown): Outcome =>
      resultType === undefined
        ? { value }
        : { referent: this.#add(this.#type(resultType), value) };
    return result instanceof Promise ? result.then(settle) : settle(result);
  }

  /** Calls a method of the server itself. */
  ask(
    call: Call,
    method: string,
    args: readonly unknown[],
  ): Outcome | Promise<Outcome> {
    const methods = this.#self as unknown as Methods;
    const isKnown = Object.hasOwn(Object.getPrototypeOf(methods), method);
    if (!isKnown || method === "constructor") {
      throw new RemoteError(
        `the server has no method '${method}'`,
        this.name,
        "",
      );
    }
    const value = methods[method]!(call, ...args);
    return value instanceof Promise
      ? value.then((value) => ({ value }))
      : { value };
  }

  /** A proxy in the server for one of its objects. */
  localProxy(id: unknown): BaseProxy {
    const referent = this.objects.find(id);
    if (!referent) {
      throw new ProcessError(
        "Cannot use the object as it does not exist any more: all that had a lease have given it up",
      );
    }
    referent.isStored = true;
    const { typeid, exposed, proxy } = referent;
    const origin: LocalOrigin = {
      session: this.local,
      referent,
      id: referent.id,
      typeid,
      exposed,
      proxy,
    };
    return proxyFor(origin);
  }

  #type(typeid: string): Registration {
    const type = this.#types.get(typeid);
    if (type) return type;
    throw new RemoteError(
      `Cannot create an object as the server has no type '${typeid}': it has ${
        [...this.#types.keys()].join(", ")
      }`,
      this.name,
      "",
    );
  }

  #add(type: Registration, value: unknown): Referent {
    const { typeid, methodToTypeid, proxy } = type;
    const exposed = type.exposed ?? publicMethods(value);
    return this.objects.add(value, { typeid, exposed, methodToTypeid, proxy });
  }
}

/** Calls of proxies that are in the server, to objects of the same server. */
class LocalSession implements Session {
  readonly #core: Core;
  readonly #peer: Peer;
  #passing: object[] = [];
  #tickets = 0;

  constructor(core: Core) {
    this.#core = core;
    // They stay in this process, so they go by their place in a list.
    this.#peer = new Peer({
      lend: (proxy) => this.#passing.push(proxy) - 1,
      borrow: (at) => this.#passing[at as number]!,
      refer: (fn) => this.#passing.push(fn) - 1,
      restore: (at) => ({
        fn: this.#passing[at as number] as AnyFunction,
        loading: undefined,
      }),
    });
  }

  async call(
    origin: Origin,
    method: string,
    args: readonly unknown[],
    { signal = new AbortController().signal, proxyClass }: CallOptions,
  ): Promise<unknown> {
    const { referent } = origin as LocalOrigin;
    const call: Call = { client: SERVER, signal, taken: () => {} };
    const given = args.map((arg) => this.#copy(arg));
    const { value, referent: result } = await this.#core.call(
      call,
      referent,
      method,
      given,
    );
    if (!result) return this.#copy(value);
    const { id, typeid, exposed, proxy } = result;
    result.isStored = true;
    const local: LocalOrigin = {
      session: this,
      referent: result,
      id,
      typeid,
      exposed,
      proxy,
    };
    const made = proxyFor(local, proxyClass);
    this.#core.objects.release(result);
    return made;
  }

  /** Its object stays as long as somebody can reach the proxy. */
  release(): void {}

  depart(origin: Origin, _target: Target): unknown {
    const { address, wire, digest, id, key, holds } = this.#core;
    const { referent } = origin as LocalOrigin;
    const ticket = `${id}:${++this.#tickets}`;
    holds.hold(ticket, referent);
    preloadRoom(import.meta.resolve("./proxies.ts"));
    const isOwnKey = key.every((byte, i) => byte === current.authkey[i]);
    return [
      address,
      wire.name,
      digest ?? null,
      id,
      isOwnKey && key.length === current.authkey.length ? null : key,
      ticket,
      referent.describe(),
    ];
  }

  /** What another process would get; functions are what they are. */
  #copy(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    this.#passing = [];
    const body = binaryWire.body(value, "value", this.#peer);
    const copy = binaryWire.readBody(body, this.#peer).value;
    this.#passing = [];
    return copy;
  }
}

/** The server as its own client: it does not end before it ends. */
const SERVER: Call["client"] = {
  isGone: false,
  isFamily: true,
  onGone: () => () => {},
};

/** Calls a method of an object of a user's type. */
function callOwn(
  value: unknown,
  typeid: string,
  method: string,
  args: readonly unknown[],
): unknown {
  const own = Object(value) as Partial<Methods>;
  if (typeof own[method] === "function") {
    return Reflect.apply(own[method], value, args);
  }
  // An iterator need not have this one; then there is nothing to do at its end.
  if (method === "return" && typeof own.next === "function") {
    return { done: true, value: args[0] };
  }
  throw new TypeError(
    `Cannot call '${method}' as the object of type '${typeid}' has no such method`,
  );
}

function plain(value: unknown): unknown {
  return value instanceof ManagedObject ? value.toPlain() : value;
}

function text(value: unknown): string {
  if (value instanceof ManagedObject) return value.toText();
  const { toString } = Object(value);
  return typeof toString === "function" &&
      toString !== Object.prototype.toString
    ? String(value)
    : shown(value);
}

function keyOf(reference: FunctionReference): string {
  return `${reference?.hash} ${reference?.name}`;
}

function isClass(callable: AnyFunction): boolean {
  return /^class\b/.test(Function.prototype.toString.call(callable));
}

/** The object behind a proxy that is in the server; for types that need it. */
export function objectOf(proxy: unknown): unknown {
  if (!(proxy instanceof BaseProxy)) return proxy;
  const { referent } = originOf(proxy) as Partial<LocalOrigin>;
  if (referent) return referent.value;
  throw new EncodingError(
    "Cannot use a proxy of another manager for that: it has to be of the same one",
  );
}

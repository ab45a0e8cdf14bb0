/**
 * Which types of objects a manager has: what makes them, what can be called, and
 * what stands for them here.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import { AutoProxy, knowProxyClass } from "./proxy.ts";
import type { ProxyClass } from "./proxy.ts";

// deno-lint-ignore ban-types -- any function or class
type AnyFunction = Function;

/** What is said of a type of objects; see `BaseManager.register()`. */
export interface RegisterOptions {
  /**
   * What makes an object in the server: a class, or a function that gives one. The
   * server has to find it, so it has to be exported by its module, or known by
   * `register()`. Without one, the type can be used with servers that have it.
   */
  // deno-lint-ignore ban-types -- any function or class
  callable?: Function | undefined;
  /**
   * The methods that can be called.
   *
   * @default those of the proxy type, or all of the object that do not begin with `_`
   */
  exposed?: readonly string[] | undefined;
  /** Methods whose results stay in the server, and the types they are of. */
  methodToTypeid?: Readonly<Record<string, string>> | undefined;
  /**
   * The class of its proxies. They arrive by its name, so no other class of proxies
   * may have that.
   *
   * @default {AutoProxy}
   */
  proxyType?: ProxyClass | undefined;
  /**
   * Whether managers get a method of the type's name that creates an object.
   *
   * @default {true}
   */
  createMethod?: boolean | undefined;
}

/** A type of objects. */
export interface Registration {
  /** Its name. */
  readonly typeid: string;
  /** What makes an object. */
  readonly callable: AnyFunction | undefined;
  /** The name of what makes an object in `_types.ts`, for types of this package. */
  readonly maker?: string | undefined;
  /** What can be called; by default what the object has. */
  readonly exposed: readonly string[] | undefined;
  /** Types of results that stay in the server. */
  readonly methodToTypeid: Readonly<Record<string, string>>;
  /** The name of the class of its proxies. */
  readonly proxy: string;
  /** That class, where it is known. */
  readonly proxyType?: ProxyClass;
}

/** What each class of managers has been given itself. */
const registered = new WeakMap<AnyFunction, Map<string, Registration>>();

/**
 * Adds a type to a class of managers, and to those that extend it.
 *
 * @param manager The class.
 * @param typeid The name of the type.
 * @param options What it is.
 * @throws {TypeError} If something is of the wrong type, or if another class of
 * proxies has the name of that one.
 */
export function addType(
  manager: AnyFunction,
  typeid: string,
  options: RegisterOptions & Pick<Registration, "maker">,
): void {
  const { callable, maker, exposed, methodToTypeid = {}, proxyType } = options;
  if (typeof typeid !== "string" || typeid === "") {
    throw new TypeError(
      `Cannot register a type as 'typeid' must be a string: it is ${
        Deno.inspect(typeid)
      }`,
    );
  }
  check(typeid, "callable", callable, typeof callable === "function");
  check(typeid, "proxyType", proxyType, typeof proxyType === "function");
  check(
    typeid,
    "exposed",
    exposed,
    Array.isArray(exposed) &&
      exposed.every((name) => typeof name === "string"),
  );
  const types = registered.get(manager) ?? new Map<string, Registration>();
  registered.set(manager, types);
  if (proxyType) knowProxyClass(proxyType);
  types.set(typeid, {
    typeid,
    callable,
    maker,
    exposed: exposed ?? proxyType?.exposed,
    methodToTypeid,
    proxy: (proxyType ?? AutoProxy).name,
    proxyType: proxyType ?? AutoProxy,
  });
}

/**
 * All types of a class of managers: its own, and those of the classes it extends.
 *
 * @param manager The class.
 */
export function typesOf(manager: AnyFunction): Map<string, Registration> {
  const base = Object.getPrototypeOf(manager);
  const types = typeof base === "function" && base !== Function.prototype
    ? typesOf(base)
    : new Map<string, Registration>();
  for (const [typeid, type] of registered.get(manager) ?? []) {
    types.set(typeid, type);
  }
  return types;
}

/**
 * The methods of an object of a user's type that can be called: its functions that
 * do not begin with `_`.
 *
 * @param value The object.
 */
export function publicMethods(value: unknown): string[] {
  const names = new Set<string>();
  let at: object | null = Object(value);
  while (at !== null && at !== Object.prototype && at !== Function.prototype) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name === "constructor" || name.startsWith("_")) continue;
      const property = Object.getOwnPropertyDescriptor(at, name)!;
      if (typeof property.value === "function") names.add(name);
    }
    at = Object.getPrototypeOf(at);
  }
  return [...names];
}

function check(
  typeid: string,
  name: string,
  value: unknown,
  isRight: boolean,
): void {
  if (value === undefined || isRight) return;
  throw new TypeError(
    `Cannot register type "${typeid}" as '${name}' is not what it has to be: it is ${
      Deno.inspect(value)
    }`,
  );
}

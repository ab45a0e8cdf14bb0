/**
 * How errors travel: with their class, name, message, stack, cause and whatever
 * else a program has put on them. Structured cloning keeps much less.
 *
 * On the wire an error is its class, then (for a DOMException) its name and
 * message, then the stack, then two lists of properties: the hidden ones, which
 * `new Error()` itself would have made, and the enumerable ones.
 *
 * No constructor of a subclass runs on the receiving side, as its arguments are
 * not known: `Error` makes the object, with the prototype of the class.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import * as libraryErrors from "../errors.ts";
import { classNamed, classOf } from "./classes.ts";

// deno-lint-ignore ban-types -- only ever the third argument of construct()
type ErrorClass = Function;

/** Names before which this stands belong to registered classes. */
const REGISTERED = ":";
/** The class whose name and message cannot be set later. */
const DOM_EXCEPTION = "DOMException";

const byName = new Map<string, ErrorClass>();
const byPrototype = new Map<object, string>();

for (
  const name of [
    "Error",
    "EvalError",
    "RangeError",
    "ReferenceError",
    "SyntaxError",
    "TypeError",
    "URIError",
    "AggregateError",
    "SuppressedError",
    DOM_EXCEPTION,
  ]
) {
  know(name, Reflect.get(globalThis, name));
}
for (const [name, cls] of Object.entries(Deno.errors)) {
  know(`Deno.${name}`, cls);
}
for (const [name, cls] of Object.entries(libraryErrors)) know(name, cls);

function know(name: string, cls: ErrorClass | undefined): void {
  if (cls === undefined) return;
  byName.set(name, cls);
  byPrototype.set(cls.prototype, name);
}

/** A property that travels, and where it is shown in a path. */
export type Property = readonly [key: string, value: unknown];

/** What is known of an error before its properties are looked at. */
export interface ErrorHead {
  /** The class, as on the wire. */
  readonly className: string;
  /** Name and message of a DOMException; nothing for others. */
  readonly fixed: readonly string[];
  /** A prototype with the name and so on that the receiver will have anyway. */
  readonly defaults: object | undefined;
}

/** Finds the nearest class of an error that the other side has too. */
export function errorHead(error: Error): ErrorHead {
  let prototype = Object.getPrototypeOf(error);
  const registered = prototype === null ? undefined : classOf(prototype);
  if (registered !== undefined) {
    const className = REGISTERED + registered.name;
    return { className, fixed: [], defaults: prototype };
  }
  let className: string | undefined;
  while (prototype !== null) {
    className = byPrototype.get(prototype);
    if (className !== undefined) break;
    prototype = Object.getPrototypeOf(prototype);
  }
  if (className === DOM_EXCEPTION) {
    const fixed = [error.name, error.message];
    return { className, fixed, defaults: undefined };
  }
  // Without a known prototype it comes from another realm.
  return {
    className: className ?? "Error",
    fixed: [],
    defaults: prototype ?? Error.prototype,
  };
}

/** What `new Error()` and its likes set without making it enumerable. */
const HIDDEN = [
  "name",
  "message",
  "cause",
  "errors",
  "error",
  "suppressed",
  "code",
];

/** Lists what travels besides the enumerable properties and the stack. */
export function hiddenProperties(error: Error, head: ErrorHead): Property[] {
  const properties: Property[] = [];
  for (const key of HIDDEN) {
    const own = Object.getOwnPropertyDescriptor(error, key);
    if (own === undefined) {
      const value = inherited(error, head, key);
      if (value !== undefined) properties.push([key, value]);
    } else if (!own.enumerable && "value" in own) {
      const value = key === "message" ? String(own.value) : own.value;
      properties.push([key, value]);
    }
  }
  return properties;
}

/**
 * The name, message or code that a class which is not known on the other side
 * gives its errors.
 */
function inherited(
  error: Error,
  { defaults }: ErrorHead,
  key: string,
): unknown {
  if (defaults === undefined) return undefined;
  const value: unknown = Reflect.get(error, key);
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  // As a getter sees it, since a class may compute its message or code.
  return value === Reflect.get(defaults, key) ? undefined : value;
}

/** Makes an error of a class, to be filled. */
export function newError(className: string): Error {
  const cls = className.startsWith(REGISTERED)
    ? classNamed(className.slice(REGISTERED.length))?.cls
    // A newer peer may know a class that is not there yet.
    : byName.get(className) ?? Error;
  if (cls === undefined) {
    throw new libraryErrors.EncodingError(
      `Cannot decode an error of class "${
        className.slice(REGISTERED.length)
      }" as no such class is registered here: call registerClass() in a module that both sides load`,
    );
  }
  return Reflect.construct(Error, [], cls);
}

/** Whether name and message follow the name of the class. */
export function isFixed(className: string): boolean {
  return className === DOM_EXCEPTION;
}

/** Sets a property as the class itself would. */
export function setProperty(
  error: Error,
  key: string,
  value: unknown,
  enumerable: boolean,
): void {
  Object.defineProperty(error, key, {
    value,
    enumerable,
    writable: true,
    configurable: true,
  });
}

/**
 * Classes whose instances keep their class when they travel.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** How instances of a class travel; see {@linkcode registerClass}. */
export interface RegisterClassOptions<T> {
  /**
   * The name that stands for the class in messages, the same on both sides.
   *
   * @default {cls.name}
   */
  name?: string;
  /**
   * Gives what to send for an instance: anything that can be encoded itself.
   * Without it, the own enumerable fields are sent.
   */
  encode?: (instance: T) => unknown;
  /**
   * Makes an instance of what was sent. Without it, the fields are set on an
   * object with the prototype of the class, and no constructor runs.
   */
  decode?: (data: unknown) => T;
}

/** A class that is registered. */
export interface RegisteredClass {
  readonly name: string;
  // deno-lint-ignore ban-types -- never called, only its prototype is used
  readonly cls: Function;
  readonly isError: boolean;
  readonly encode: ((instance: unknown) => unknown) | undefined;
  readonly decode: ((data: unknown) => unknown) | undefined;
}

const byName = new Map<string, RegisteredClass>();
const byPrototype = new Map<object, RegisteredClass>();

/**
 * Lets instances of a class keep their class when they travel. Both sides have
 * to register it, so do it in a module that both load, best in the one that
 * holds the class.
 *
 * Without this an instance arrives as a plain object with its own fields, as
 * with `structuredClone()`. Private fields (`#x`) are never seen: a class that
 * has them needs both hooks. Instances of a subclass are not covered by the
 * registration of its base.
 *
 * - **Differs from Python:** `pickle` finds any class by module and name;
 *   here nothing is loaded because a message says so.
 *
 * @example A class whose instances keep their methods
 * ```ts
 * import { registerClass, SimpleQueue } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * class Point {
 *   constructor(public x: number, public y: number) {}
 *   norm(): number {
 *     return Math.hypot(this.x, this.y);
 *   }
 * }
 * registerClass(Point);
 *
 * const queue = new SimpleQueue<Point>();
 * await queue.put(new Point(3, 4));
 * assertEquals((await queue.get()).norm(), 5);
 * ```
 *
 * @param cls The class.
 * @param options Another name, or hooks for what its fields alone do not tell.
 * @throws {TypeError} If it has no name, if another class has that name, or if
 * it extends a built-in class that fields alone cannot bring back, without both
 * hooks.
 */
export function registerClass<T>(
  cls: new (...args: never[]) => T,
  options: RegisterClassOptions<T> = {},
): void {
  const name = options.name ?? cls.name;
  const prototype: object = cls.prototype;
  if (name === "") {
    throw new TypeError("Cannot register a class without a name: give one");
  }
  const holder = byName.get(name);
  if (holder !== undefined && holder.cls !== cls) {
    throw new TypeError(
      `Cannot register class "${name}" as another class has that name: give one of the two another`,
    );
  }
  const base = builtInBase(prototype);
  if (base !== undefined && !(options.encode && options.decode)) {
    throw new TypeError(
      `Cannot register class "${name}" as it extends ${base} and its fields alone cannot bring it back: give "encode" and "decode"`,
    );
  }
  const former = byPrototype.get(prototype);
  if (former !== undefined) byName.delete(former.name);
  const registered: RegisteredClass = {
    name,
    cls,
    isError: prototype instanceof Error,
    encode: options.encode as RegisteredClass["encode"],
    decode: options.decode as RegisteredClass["decode"],
  };
  byName.set(name, registered);
  byPrototype.set(prototype, registered);
}

/** Built-in classes whose instances are more than their fields. */
const BUILT_IN: readonly {
  readonly name: string;
  readonly prototype: object;
}[] = [
  Array,
  ArrayBuffer,
  BigInt,
  Boolean,
  DataView,
  Date,
  DOMException,
  EventTarget,
  Function,
  Map,
  Number,
  Promise,
  RegExp,
  Set,
  SharedArrayBuffer,
  String,
  { name: "TypedArray", prototype: Object.getPrototypeOf(Int8Array.prototype) },
  URL,
  WeakMap,
  WeakRef,
  WeakSet,
];

function builtInBase(prototype: object): string | undefined {
  return BUILT_IN.find((base) =>
    Object.prototype.isPrototypeOf.call(base.prototype, prototype)
  )?.name;
}

/** The registered class whose instances have this prototype. */
export function classOf(prototype: object): RegisteredClass | undefined {
  return byPrototype.get(prototype);
}

/** The registered class of this name. */
export function classNamed(name: string): RegisteredClass | undefined {
  return byName.get(name);
}

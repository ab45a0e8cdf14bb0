/**
 * What an object really is, for those that are neither plain objects nor arrays.
 *
 * The prototype only gives a first guess, which is kept for each prototype. The
 * engine then says whether the object has the inner parts that go with it, since
 * structured cloning goes by those alone: `Object.create(Map.prototype)` is a
 * plain object to it, and so it is here.
 *
 * `node:util/types` is where Deno tells about inner parts and proxies; JavaScript
 * itself offers nothing for the latter. It is the one import of a built-in module.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  isAnyArrayBuffer,
  isArgumentsObject,
  isBigIntObject,
  isBooleanObject,
  isBoxedPrimitive,
  isDate,
  isMap,
  isModuleNamespaceObject,
  isNativeError,
  isNumberObject,
  isPromise,
  isProxy,
  isRegExp,
  isSet,
  isSharedArrayBuffer,
  isStringObject,
  isWeakMap,
  isWeakSet,
} from "node:util/types";

export {
  isArgumentsObject,
  isModuleNamespaceObject,
  isProxy,
  isSharedArrayBuffer,
};

/** What an object really is. */
export type Kind =
  | "plain"
  | "map"
  | "set"
  | "date"
  | "regexp"
  | "error"
  | "view"
  | "buffer"
  | "shared buffer"
  | "boxed"
  | "url"
  | { readonly refused: string };

const readHref = Object.getOwnPropertyDescriptor(URL.prototype, "href")?.get;

/** A guess by prototype, and what must be true of the object for it to hold. */
interface Guess {
  readonly kind: Kind;
  readonly holds: (value: object) => boolean;
}

/** What the engine can be asked whether an object is. */
const BRANDS: readonly (readonly [prototype: object, guess: Guess])[] = [
  [Map.prototype, { kind: "map", holds: isMap }],
  [Set.prototype, { kind: "set", holds: isSet }],
  [Date.prototype, { kind: "date", holds: isDate }],
  [RegExp.prototype, { kind: "regexp", holds: isRegExp }],
  [Object.getPrototypeOf(Int8Array.prototype), {
    kind: "view",
    holds: ArrayBuffer.isView,
  }],
  [DataView.prototype, { kind: "view", holds: ArrayBuffer.isView }],
  [SharedArrayBuffer.prototype, {
    kind: "shared buffer",
    holds: isSharedArrayBuffer,
  }],
  [ArrayBuffer.prototype, { kind: "buffer", holds: isAnyArrayBuffer }],
  [Promise.prototype, { kind: { refused: "Promise" }, holds: isPromise }],
  [WeakMap.prototype, { kind: { refused: "WeakMap" }, holds: isWeakMap }],
  [WeakSet.prototype, { kind: { refused: "WeakSet" }, holds: isWeakSet }],
  ...[Number, String, Boolean, BigInt, Symbol].map((
    { prototype },
  ): [object, Guess] => [prototype, {
    kind: "boxed",
    holds: isBoxedPrimitive,
  }]),
];

/** For what the engine cannot be asked: the prototype must do. */
function byPrototypeAlone(kind: Kind): Guess {
  return { kind, holds: () => true };
}

const PLAIN: Guess = byPrototypeAlone("plain");

const BUILT_IN: ReadonlyMap<object, Guess> = new Map([
  ...BRANDS,
  [Error.prototype, byPrototypeAlone("error")],
  [URL.prototype, { kind: "url", holds: isUrl }],
  // A class of the user may extend these, and cloning sees nothing of them.
  ...[Object, Function, Array, Iterator].map((
    { prototype },
  ): [object, Guess] => [prototype, PLAIN]),
]);

/** Guesses for all prototypes that came so far. */
const guesses = new WeakMap<object, Guess>();

function isUrl(value: object): boolean {
  try {
    readHref?.call(value);
    return true;
  } catch {
    // A getter of a platform class refuses objects without the inner parts.
    return false;
  }
}

/**
 * Names of the classes that come with the runtime. Taken once, so that a class
 * that a program puts on `globalThis` later is not mistaken for one.
 */
const PLATFORM: readonly (readonly [space: object, names: Set<string>])[] = [
  [globalThis, new Set(Object.getOwnPropertyNames(globalThis))],
  [Deno, new Set(Object.getOwnPropertyNames(Deno))],
];

/** The name of the runtime's class that has this prototype, if one has. */
function platformClass(prototype: object): string | undefined {
  const constructor: unknown = Object
    .getOwnPropertyDescriptor(prototype, "constructor")?.value;
  if (typeof constructor !== "function") return undefined;
  const { name } = constructor;
  for (const [space, names] of PLATFORM) {
    if (names.has(name) && Reflect.get(space, name) === constructor) {
      return name;
    }
  }
  return undefined;
}

/** Finds the guess for a prototype by what is above it. */
function guessFor(prototype: object): Guess {
  for (
    let link: object | null = prototype;
    link !== null;
    link = Object.getPrototypeOf(link)
  ) {
    const guess = BUILT_IN.get(link);
    if (guess !== undefined && guess !== PLAIN) return guess;
  }
  for (
    let link: object | null = prototype;
    link !== null && BUILT_IN.get(link) !== PLAIN;
    link = Object.getPrototypeOf(link)
  ) {
    const name = platformClass(link);
    if (name !== undefined) return byPrototypeAlone({ refused: name });
  }
  return PLAIN;
}

/**
 * Says what an object is that has this prototype, which is neither `null` nor
 * `Object.prototype`.
 */
export function kindOf(value: object, prototype: object): Kind {
  let guess = guesses.get(prototype);
  if (guess === undefined) {
    guess = guessFor(prototype);
    guesses.set(prototype, guess);
  }
  return guess.holds(value) ? guess.kind : "plain";
}

/**
 * Says what an object is whose prototype says that it is a plain one.
 *
 * @param value The object.
 * @param keys Its names: what has none may be something else.
 */
export function plainKindOf(value: object, keys: readonly string[]): Kind {
  if (keys.length > 0 && keys[0] !== "0") return "plain";
  const kind = hiddenKindOf(value);
  return kind === "plain" && keys.length === 0 ? emptyKindOf(value) : kind;
}

/**
 * Says what an object is whose prototype does not tell: that was replaced, or it
 * comes from another realm (`node:vm`).
 */
function hiddenKindOf(value: object): Kind {
  if (isNativeError(value)) return "error";
  if (isArgumentsObject(value)) return { refused: "arguments object" };
  return BRANDS.find(([, { holds }]) => holds(value))?.[1].kind ?? "plain";
}

/**
 * Says whether an object without any own names is a plain one, or something that
 * only the engine makes, such as an iterator.
 */
function emptyKindOf(value: object): Kind {
  const prototype: object | null = Object.getPrototypeOf(value);
  let kind = prototype === null ? undefined : emptyKinds.get(prototype);
  if (kind === undefined) {
    kind = clonesToPlain(value) ? "plain" : { refused: nameOf(value) };
    if (prototype !== null) emptyKinds.set(prototype, kind);
  }
  return kind;
}

/** Kinds found out by cloning, as that takes long. */
const emptyKinds = new WeakMap<object, Kind>();

/** Asks the engine itself, which here has no getters to call. */
function clonesToPlain(value: object): boolean {
  try {
    return Object.getPrototypeOf(structuredClone(value)) === Object.prototype;
  } catch {
    // It has no other reason to throw than what the object is.
    return false;
  }
}

/** What an object calls itself, such as "Array Iterator". */
function nameOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** The primitive in a boxed one. */
export function unboxed(value: object): unknown {
  if (isStringObject(value)) return String.prototype.valueOf.call(value);
  if (isNumberObject(value)) return Number.prototype.valueOf.call(value);
  if (isBooleanObject(value)) return Boolean.prototype.valueOf.call(value);
  if (isBigIntObject(value)) return BigInt.prototype.valueOf.call(value);
  return Symbol.prototype.valueOf.call(value);
}

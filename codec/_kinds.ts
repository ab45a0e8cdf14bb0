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
  isGeneratorObject,
  isMap,
  isMapIterator,
  isModuleNamespaceObject,
  isNativeError,
  isNumberObject,
  isPromise,
  isProxy,
  isRegExp,
  isSet,
  isSetIterator,
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

/** A guess by prototype, and what must be true of the object for it to hold. */
interface Guess {
  readonly kind: Kind;
  readonly holds: (value: object) => boolean;
}

const PLAIN: Guess = { kind: "plain", holds: () => true };

/** In the order of how often an object of no known prototype is one of them. */
const GUESSES: readonly (readonly [prototype: object, guess: Guess])[] = [
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

/** The inner parts of these cannot be asked for, so the prototype must do. */
function byPrototypeAlone(kind: Kind): Guess {
  return { kind, holds: () => true };
}

/** Guesses for what is built in; made when the first other object comes. */
let builtIn: Map<object, Guess> | undefined;
/** Guesses for all prototypes that came so far. */
const guesses = new WeakMap<object, Guess>();

function builtInGuesses(): Map<object, Guess> {
  const known = new Map(GUESSES);
  known.set(Error.prototype, byPrototypeAlone("error"));
  known.set(URL.prototype, { kind: "url", holds: isUrl });
  // Without looking further: these are what a class of the user may extend.
  for (const { prototype } of [Object, Function, Array, Iterator]) {
    known.set(prototype, PLAIN);
  }
  for (const iterator of iterators()) {
    const name = Object.prototype.toString.call(iterator).slice(8, -1);
    known.set(iterator, byPrototypeAlone({ refused: name }));
  }
  for (const namespace of namespaces()) {
    for (const name of Object.getOwnPropertyNames(namespace)) {
      const { prototype } = Object(Reflect.get(namespace, name));
      if (typeof prototype !== "object" || known.has(prototype)) continue;
      known.set(prototype, byPrototypeAlone({ refused: name }));
    }
  }
  return known;
}

/** Prototypes of the iterators that built-in functions return. */
function iterators(): object[] {
  const samples = [
    [].values(),
    "".matchAll(/a/g),
    ""[Symbol.iterator](),
    new Map().values(),
    new Set().values(),
    Iterator.from([]).drop(1),
    Iterator.from({ next: () => ({ done: true, value: undefined }) }),
  ];
  const generators = [function* () {}, async function* () {}].map(
    (generator) => Object.getPrototypeOf(generator.prototype),
  );
  return [
    ...samples.map((sample) => Object.getPrototypeOf(sample)),
    ...generators,
  ];
}

function namespaces(): object[] {
  const { Temporal } = globalThis as { Temporal?: object };
  return Temporal ? [Intl, Temporal] : [Intl];
}

const readHref = Object.getOwnPropertyDescriptor(URL.prototype, "href")?.get;

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
  const known = builtIn ??= builtInGuesses();
  for (
    let link: object | null = prototype;
    link !== null;
    link = Object.getPrototypeOf(link)
  ) {
    const guess = known.get(link);
    if (guess !== undefined && guess !== PLAIN) return guess;
  }
  for (
    let link: object | null = prototype;
    link !== null && known.get(link) !== PLAIN;
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
 * Says what an object is whose prototype tells nothing: it was replaced, or it
 * comes from another realm (`node:vm`).
 */
export function hiddenKindOf(value: object): Kind {
  if (isNativeError(value)) return "error";
  if (isArgumentsObject(value)) return { refused: "arguments object" };
  if (isModuleNamespaceObject(value)) return { refused: "module" };
  if (isGeneratorObject(value)) return { refused: "Generator" };
  if (isMapIterator(value)) return { refused: "Map Iterator" };
  if (isSetIterator(value)) return { refused: "Set Iterator" };
  return GUESSES.find(([, { holds }]) => holds(value))?.[1].kind ?? "plain";
}

/** The primitive in a boxed one. */
export function unboxed(value: object): unknown {
  if (isStringObject(value)) return String.prototype.valueOf.call(value);
  if (isNumberObject(value)) return Number.prototype.valueOf.call(value);
  if (isBooleanObject(value)) return Boolean.prototype.valueOf.call(value);
  if (isBigIntObject(value)) return BigInt.prototype.valueOf.call(value);
  return Symbol.prototype.valueOf.call(value);
}

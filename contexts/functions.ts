/**
 * Functions travel by reference: the URL of their module and the name under which
 * it exports them. The receiver imports the module and takes the export.
 *
 * JavaScript does not tell which module a function comes from, so the sender has
 * to find out. It looks, in this order, at
 *
 * 1. what was registered with {@linkcode register};
 * 2. the modules of the calls that led here, the main module, and what these
 *    import, for an export of the function's name (see `_source.ts`);
 * 3. the place of the function according to the inspector, if that did not tell it
 *    for certain and the program has been given `--allow-sys`;
 * 4. what these modules import under that name from elsewhere (`jsr:`, `https:`).
 *
 * A name can mislead: so the reference carries a hash of the function's source,
 * and the receiver takes nothing whose source differs. Code itself never travels.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import { setFunctionCarrier } from "../primitives/wire.ts";
import { current, importInChild } from "./current.ts";
import { moduleOf } from "./_inspect.ts";
import {
  callingModules,
  isInNoFile,
  mayDeclare,
  readModule,
  readText,
} from "./_source.ts";

// deno-lint-ignore ban-types -- any function
type AnyFunction = Function;

/** Where a function is to be found; plain data. */
export interface FunctionReference {
  /** Modules to look in, the likeliest first. */
  readonly modules: readonly string[];
  /** The name of the export, or the registered name. */
  readonly name: string;
  /** Whether it was registered rather than exported. */
  readonly registered: boolean;
  /** Hash of its source text. */
  readonly hash: number;
}

/** Names of functions by module, as registered in this thread. */
const registry = new Map<string, Map<string, AnyFunction>>();
/** References already found, and functions already loaded. */
const references = new WeakMap<AnyFunction, FunctionReference>();
const loaded = new Map<string, AnyFunction>();

/** The main module of the program, which a child is told by its parent. */
let mainModule: string | undefined;
let mainOfParent = false;

/** How many modules to read at most in search of a function. */
const MOST_MODULES = 500;

/** The rooms of this package, relative to its root. */
const OWN_FILE =
  /^(?:codec|contexts|managers|memory|network|pool|primitives)\/|^(?:mod|errors|logging|_log)\.ts/;
const OWN_ROOT = new URL("../", import.meta.url).href;

/**
 * Makes functions known that another process is to find under these names, for
 * example because they are not exported, or are made by another function. The
 * module has to do it whenever it is loaded, so at its top level.
 *
 * @example
 * ```ts
 * import { register } from "@deno-mp/multiprocessing";
 *
 * const double = (x: number) => 2 * x;
 * register(import.meta, { double });
 * ```
 *
 * @param meta `import.meta` of the module that holds the functions.
 * @param functions The functions by name.
 * @throws {TypeError} If one of them is not a function.
 */
export function register(
  meta: ImportMeta,
  // deno-lint-ignore ban-types -- any function
  functions: Record<string, Function>,
): void {
  const url = moduleUrl(meta.url);
  const names = registry.get(url) ?? new Map<string, AnyFunction>();
  for (const [name, fn] of Object.entries(functions)) {
    if (typeof fn !== "function") {
      throw new TypeError(
        `Cannot register "${name}" as it is not a function: it is ${
          Deno.inspect(fn)
        }`,
      );
    }
    names.set(name, fn);
    const hash = hashOf(fn);
    references.set(fn, { modules: [url], name, registered: true, hash });
  }
  registry.set(url, names);
}

/** Tells a child which module its program started with. */
export function setMainModule(url: string | undefined): void {
  mainModule = url;
  mainOfParent = true;
}

/** URL of the module the program started with, if it has one. */
export function getMainModule(): string | undefined {
  if (mainOfParent) return mainModule;
  try {
    return Deno.mainModule;
  } catch {
    return undefined;
  }
}

/**
 * Finds the reference of a function.
 *
 * @param fn The function.
 * @param path What to call it in an error, such as `target`.
 * @throws {EncodingError} If no other process could find it.
 */
export function refer(fn: AnyFunction, path: string): FunctionReference {
  const known = references.get(fn);
  if (known && !isInNoFile(known.modules[0]!)) return known;
  refuseUnnamed(fn, path);
  const looked = search(fn);
  const reference = referenceFrom(looked, fn) ??
    fail(fn, path, looked.unresolved);
  references.set(fn, reference);
  return reference;
}

/**
 * Loads the function that a reference names.
 *
 * @param reference A reference from another participant.
 * @throws {EncodingError} If the modules do not have it.
 */
export async function load(
  reference: FunctionReference,
): Promise<AnyFunction> {
  const ready = loadedFunction(reference);
  if (ready) return ready;
  const misses: string[] = [];
  const found = new Map<AnyFunction, string>();
  for (const url of reference.modules) {
    let namespace: Record<string, unknown>;
    try {
      namespace = await (current.parent ? importInChild(url) : import(url));
    } catch (error) {
      if (reference.modules.length === 1) throw error;
      misses.push(`${url} cannot be loaded: ${error}`);
      continue;
    }
    const fn = pick(reference, url, namespace);
    if (typeof fn === "function") found.set(fn, url);
    else misses.push(`${url} ${fn}`);
  }
  if (found.size > 1) {
    throw new EncodingError(
      `Cannot tell which function "${reference.name}" is meant as ${
        [...found.values()].join(" and ")
      } have one of the same text: call ${registering(reference.name)} in them`,
      { path: reference.name },
    );
  }
  for (const [fn, url] of found) {
    loaded.set(keyOf(reference), fn);
    references.set(fn, { ...reference, modules: [url] });
    return fn;
  }
  throw new EncodingError(
    `Cannot find function "${reference.name}" in this process as ${
      misses.join(", and ")
    }: export it from its module, or use ${registering(reference.name)}`,
    { path: reference.name },
  );
}

/** The function a reference names, if its module has been loaded for it. */
export function loadedFunction(
  reference: FunctionReference,
): AnyFunction | undefined {
  if (reference.registered) {
    const fn = registry.get(reference.modules[0]!)?.get(reference.name);
    if (fn) return fn;
  }
  return loaded.get(keyOf(reference));
}

/**
 * The function of a reference, or a stand-in that has it once it is loaded.
 *
 * @param data A reference as it came in a message.
 */
export function restore(
  data: unknown,
): { fn: AnyFunction; loading: Promise<void> | undefined } {
  const reference = checkedReference(data);
  const ready = loadedFunction(reference);
  if (ready) return { fn: ready, loading: undefined };
  let target: AnyFunction | undefined;
  const loading = load(reference).then((fn) => {
    target = fn;
    // It may be a class: then this has its static members, too, and its objects.
    Object.setPrototypeOf(standIn, fn);
    standIn.prototype = fn.prototype;
  });
  // Whoever waits for it is told, and whoever calls it; but perhaps nobody does.
  loading.catch(() => {});
  const standIn = function (this: unknown, ...args: unknown[]): unknown {
    if (!target) {
      if (new.target) throw notLoaded(reference);
      return loading.then(() => target!.apply(this, args));
    }
    return new.target
      ? Reflect.construct(target, args)
      : target.apply(this, args);
  };
  Object.defineProperty(standIn, "name", { value: reference.name });
  references.set(standIn, reference);
  return { fn: standIn, loading };
}

/** Calls can wait for a module, constructions cannot. */
function notLoaded({ name }: FunctionReference): EncodingError {
  return new EncodingError(
    `Cannot construct "${name}" as its module is still being loaded: receive it without blocking, or import it before`,
    { path: name },
  );
}

function checkedReference(data: unknown): FunctionReference {
  const { modules, name, registered, hash } = data as FunctionReference;
  if (
    !Array.isArray(modules) || modules.some((url) => typeof url !== "string") ||
    typeof name !== "string" || typeof registered !== "boolean" ||
    typeof hash !== "number"
  ) {
    throw new EncodingError("Cannot read a reference to a function");
  }
  return { modules, name, registered, hash };
}

function refuseUnnamed(fn: AnyFunction, path: string): void {
  const source = Function.prototype.toString.call(fn);
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) {
    throw new EncodingError(
      `Cannot send ${
        describe(fn)
      } as it is built in or bound, and has no module another process could load: wrap it in an exported function: "${path}"`,
      { path },
    );
  }
  if (fn.name === "") {
    throw new EncodingError(
      `Cannot send an anonymous function as another process could not find it: export it under a name from its module, or use register(import.meta, { name }): "${path}"`,
      { path },
    );
  }
}

/** What was looked at in search of a function. */
interface Search {
  /** Modules whose text may hold it, and what it is called in them. */
  readonly likely: { url: string; name: string }[];
  /** Modules that export something of that name, but hardly this. */
  readonly unlikely: { url: string; name: string }[];
  /** What cannot be read, and is likely to have it. */
  readonly unread: string[];
  /** What cannot be read, and may have something of that name. */
  readonly remote: string[];
  /** What is imported under names that only the importing module understands. */
  readonly unresolved: string[];
  /** Whether there may be modules beside those that were looked at. */
  isPartial: boolean;
}

/**
 * Looks for a function in the modules of the calls that led here, the main module,
 * and all that these import. In all, not only until it seems to be found: another
 * one may have a function of that name and text, which means something else there.
 */
function search(fn: AnyFunction): Search {
  const main = getMainModule();
  const calling = callingModules(isOwn);
  const queue = new Set(main ? [...calling, main] : calling);
  const near = new Set(queue);
  const found: Search = {
    likely: [],
    unlikely: [],
    unread: [],
    remote: [],
    unresolved: [],
    isPartial: false,
  };
  const source = Function.prototype.toString.call(fn);
  let looked = 0;
  for (const url of queue) {
    if (++looked > MOST_MODULES) {
      found.isPartial = true;
      break;
    }
    const text = readModule(url);
    if (text === undefined) {
      found.isPartial = true;
      if (near.has(url)) found.unread.push(url);
    }
    if (!text) continue;
    if (text.isOpen) found.isPartial = true;
    const name = text.exports.get(fn.name);
    if (name !== undefined) {
      // The text of a module does not tell functions apart that differ in little.
      const may = mayDeclare(readText(url) ?? "", fn.name, source);
      (may ? found.likely : found.unlikely).push({ url, name });
    }
    for (const specifier of text.imports) {
      const imported = resolve(specifier, url);
      if (imported === undefined) {
        found.unresolved.push(`"${specifier}" in ${url}`);
        found.isPartial = true;
      } else if (isOwn(imported)) continue;
      else if (imported.startsWith("file:")) queue.add(imported);
      else {
        const isIt = ([name, from]: readonly [string, string]) =>
          name === fn.name && from === specifier;
        if (text.sources.some(isIt)) found.remote.push(imported);
      }
    }
  }
  return found;
}

/** The reference to a function, if what a search has found leads to it. */
function referenceFrom(
  { likely, unlikely, unread, remote, isPartial }: Search,
  fn: AnyFunction,
): FunctionReference | undefined {
  const hash = hashOf(fn);
  const isCertain = likely.length === 1 && !isPartial;
  const place = isCertain ? undefined : inspectedModule(fn);
  if (place) {
    const text = readModule(place);
    const name = text === undefined ? fn.name : text?.exports.get(fn.name);
    if (name) return { modules: [place], name, registered: false, hash };
  }
  if (likely.length > 0) {
    const modules = likely.map(({ url }) => url);
    return { modules, name: likely[0]!.name, registered: false, hash };
  }
  // The child will see what these export.
  const modules = [...unlikely.map(({ url }) => url), ...remote, ...unread];
  if (modules.length === 0) return undefined;
  const name = unlikely[0]?.name ?? fn.name;
  return { modules, name, registered: false, hash };
}

function resolve(specifier: string, from: string): string | undefined {
  try {
    return /^(?:\.{0,2}\/|[a-z]+:)/.test(specifier)
      ? new URL(specifier, from).href
      : import.meta.resolve(specifier);
  } catch {
    return undefined; // an import that only its own module can resolve
  }
}

/**
 * The module of a function, according to the inspector. Costs about 45 ms the
 * first time, so it comes last.
 */
function inspectedModule(fn: AnyFunction): string | undefined {
  const { state } = Deno.permissions.querySync({
    name: "sys",
    kind: "inspector" as "hostname",
  });
  if (state !== "granted") return undefined;
  const url = moduleOf(fn);
  // What is in no module has a name of another kind: `[eval]`.
  return url && /^(?:file|https?|data):/.test(url) ? url : undefined;
}

/** The function, or why it is not the one. */
function pick(
  reference: FunctionReference,
  url: string,
  namespace: Record<string, unknown>,
): AnyFunction | string {
  const { name, hash, registered } = reference;
  if (registered) {
    return registry.get(moduleUrl(url))?.get(name) ??
      "does not register it when it is loaded";
  }
  const fn = namespace[name];
  if (typeof fn === "function" && hashOf(fn) === hash) return fn;
  for (const other of Object.values(namespace)) {
    if (typeof other === "function" && hashOf(other) === hash) return other;
  }
  return typeof fn === "function"
    ? "exports another function of that name (a closure cannot be sent)"
    : "does not export it";
}

function fail(
  fn: AnyFunction,
  path: string,
  unresolved: readonly string[],
): never {
  const main = getMainModule();
  const looked = [...new Set([...callingModules(isOwn), main])]
    .filter((url) => url !== undefined);
  if (looked.some(isInNoFile)) {
    throw new EncodingError(
      `Cannot send ${
        describe(fn)
      } as another process could not find it: a program from standard input, \`deno eval\` or the REPL is in no file that could be read; export it from a module of its own, and call ${
        registering(fn.name)
      } there or allow --allow-sys: "${path}"`,
      { path },
    );
  }
  const where = looked.join(", ");
  throw new EncodingError(
    `Cannot send ${
      describe(fn)
    } as another process could not find it: it is not exported by ${
      where || "any module (code without a module cannot be loaded again)"
    } nor by what that imports${
      unresolved.length > 0
        ? ` (not looked at, as only its own module can resolve it: ${
          unresolved.join(", ")
        })`
        : ""
    }; export it from its module, or use ${registering(fn.name)}: "${path}"`,
    { path },
  );
}

/** How to make a function known; one that is a default export needs a name. */
function registering(name: string): string {
  return `register(import.meta, { ${name === "default" ? "name" : name} })`;
}

function describe(fn: AnyFunction): string {
  return fn.name ? `function "${fn.name}"` : "an anonymous function";
}

function isOwn(url: string): boolean {
  return url.startsWith(OWN_ROOT) && OWN_FILE.test(url.slice(OWN_ROOT.length));
}

/** A module's URL without what distinguishes loads of the same file. */
function moduleUrl(url: string): string {
  const end = url.indexOf("#");
  return end < 0 ? url : url.slice(0, end);
}

function keyOf(reference: FunctionReference): string {
  return `${reference.hash} ${reference.name} ${reference.modules.join(" ")}`;
}

const hashes = new WeakMap<AnyFunction, number>();

/** FNV-1a (Fowler, Noll, Vo) over the source text's UTF-16 units. */
function hashOf(fn: AnyFunction): number {
  const known = hashes.get(fn);
  if (known !== undefined) return known;
  const text = Function.prototype.toString.call(fn);
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  }
  hashes.set(fn, hash);
  return hash;
}

setFunctionCarrier({ refer, restore });

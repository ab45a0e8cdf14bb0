/**
 * What a module's text says about its exports and imports: enough to tell at the
 * call whether a function can be reached from outside, without loading anything.
 *
 * This is a reading aid, not a parser. Where it is mistaken in favour of a
 * function, the child notices (it compares the source of what it loaded); where
 * it is mistaken against one, `register()` helps and the error says so.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** What was found in a module's text. */
export interface ModuleText {
  /** Exported names by the name in the module, `default` included. */
  readonly exports: ReadonlyMap<string, string>;
  /** What it imports from, as written. */
  readonly imports: readonly string[];
  /** Where it has a name from, as written, by the name it has there. */
  readonly sources: readonly (readonly [name: string, from: string])[];
  /** Whether it imports what its text does not tell: `import(name)`. */
  readonly isOpen: boolean;
}

const EXPORTED_FUNCTION =
  /\bexport\s+(default\s+)?(?:async\s+)?function\s*\*?\s*([\w$]*)/g;
const EXPORTED_CLASS =
  /\bexport\s+(default\s+)?(?:abstract\s+)?class\s+([\w$]*)/g;
/** All of the statement up to a semicolon or a line that starts anew. */
const EXPORTED_BINDING =
  /\bexport\s+(?:const|let|var)\s+((?:[^;\n]|\n(?=[\s)}\]]))*)/g;
const EXPORTED_LIST =
  /\bexport\s*(?:type\s*)?\{([^}]*)\}(?:\s*from\s*["']([^"']+)["'])?/g;
const EXPORTED_DEFAULT =
  /\bexport\s+default\s+(?!async\b|function\b|class\b)([\w$]+)/g;
/** What has no name in its module, either: such a function is called "default". */
const ANY_DEFAULT = /\bexport\s+default\b/;
/** In CommonJS: `exports.a = …` and `module.exports = { a, b: … }`. */
const COMMON_EXPORT = /\bexports\.([\w$]+)\s*=(?!=)/g;
const COMMON_EXPORTS = /\bmodule\.exports\s*=\s*\{([^}]*)/g;
/** Of `import()`, too, if it says what. */
const IMPORTED =
  /\b(?:import|export)\b(?:[^"';]*?\bfrom|\s*\()?\s*["']([^"'\n]+)["']/g;
const COMPUTED_IMPORT = /\bimport\s*\((?!\s*["'])/;
/** What is got or handed on by its name; `import type` gives nothing to be sent. */
const NAMED_FROM =
  /\b(?:import|export)\s*(?:[\w$]+\s*,\s*)?\{([^}]*)\}\s*from\s*["']([^"'\n]+)["']/g;
/** A name being declared in a binding: before a type, a value or the next one. */
const BOUND_NAME = /(?:^|[,{[])\s*([\w$]+)\s*(?=[:=,}\]]|$)/g;
/** The left side of `const { a, b: [c] } = …`. */
const PATTERN = /^\s*[{[].*[}\]](?=\s*=)/s;
/** What nests within a value, innermost: nothing in it is declared. */
const NESTED = /\([^()[\]{}]*\)|\[[^()[\]{}]*\]|\{[^()[\]{}]*\}/g;
/** What nests and goes on behind the end of the text. */
const UNCLOSED = /[([{].*$/s;

/**
 * Reads a module's text.
 *
 * @param text Its source, TypeScript or JavaScript.
 */
export function readModuleText(text: string): ModuleText {
  const exports = new Map<string, string>();
  for (const pattern of [EXPORTED_FUNCTION, EXPORTED_CLASS]) {
    for (const [, isDefault, name] of text.matchAll(pattern)) {
      if (isDefault) exports.set(name || "default", "default");
      else if (name) exports.set(name, name);
    }
  }
  for (const [, declared] of text.matchAll(EXPORTED_BINDING)) {
    for (const [, name] of leftSides(declared!).matchAll(BOUND_NAME)) {
      exports.set(name!, name!);
    }
  }
  for (const [, name] of text.matchAll(EXPORTED_DEFAULT)) {
    exports.set(name!, "default");
  }
  for (const [, list, from] of text.matchAll(EXPORTED_LIST)) {
    if (from !== undefined) continue; // found where it is declared
    for (const item of list!.split(",")) {
      const [local, exported] = item.trim().split(/\s+as\s+/);
      if (local) exports.set(local.trim(), (exported ?? local).trim());
    }
  }
  if (ANY_DEFAULT.test(text)) exports.set("default", "default");
  for (const [, name] of text.matchAll(COMMON_EXPORT)) {
    exports.set(name!, name!);
  }
  for (const [, list] of text.matchAll(COMMON_EXPORTS)) {
    for (const [, name] of leftSides(list!).matchAll(BOUND_NAME)) {
      exports.set(name!, name!);
    }
  }
  const imports = [...text.matchAll(IMPORTED)].map(([, from]) => from!);
  const sources = [...text.matchAll(NAMED_FROM)].flatMap(([, list, from]) =>
    list!.split(",").map((item) =>
      [item.trim().split(/\s+as\s+/)[0]!, from!] as const
    )
  );
  const isOpen = COMPUTED_IMPORT.test(text);
  return { exports, imports, sources, isOpen };
}

/** Names, numbers and strings, comments apart. */
const WORD =
  /\/\/[^\n]*|\/\*[^]*?\*\/|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|[\w$]+/g;
/** How far behind its name the words of a function may lie: types are words, too. */
const REACH = 8;

/**
 * Whether a module's text may be where a function was declared: whether the words
 * of its source come there in the same order. (What is compiled from TypeScript
 * has words less, and other punctuation.)
 *
 * @param text The text of the module.
 * @param name What the function is called in it.
 * @param source The source of the function.
 */
export function mayDeclare(
  text: string,
  name: string,
  source: string,
): boolean {
  const wanted = wordsOf(source).filter((word) => !OMITTED.has(word));
  const words = wordsOf(text);
  const limit = wanted.length * REACH + REACH;
  for (let start = words.indexOf(name); start >= 0;) {
    // An arrow function has its name in front of its source.
    let next = wanted[0] === name ? 1 : 0;
    for (let i = start + 1; i < start + limit && next < wanted.length; i++) {
      if (words[i] === wanted[next]) next++;
    }
    if (next === wanted.length) return true;
    start = words.indexOf(name, start + 1);
  }
  return false;
}

/** Words that stand before the name, or that are there in one form only. */
const OMITTED = new Set(["async", "function", "class", "declare", "readonly"]);

function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [word, double, single] of text.matchAll(WORD)) {
    if (word.startsWith("//") || word.startsWith("/*")) continue;
    words.push(double ?? single ?? word);
  }
  return words;
}

/** A declaration without what nests within its values. */
function leftSides(declared: string): string {
  const pattern = PATTERN.exec(declared)?.[0];
  if (pattern !== undefined) return pattern;
  let text = declared;
  for (let before = ""; text !== before;) {
    before = text;
    text = before.replace(NESTED, "");
  }
  return text.replace(UNCLOSED, "");
}

/** What has been read, as each function is looked for in all that is imported. */
const known = new Map<string, ModuleText>();

/**
 * What is said by a local module, if it may be read without asking.
 *
 * @param url Its URL.
 * @returns `undefined` if it cannot be read here, `null` if there is none: the
 * text of `deno eval` is in no file.
 */
export function readModule(url: string): ModuleText | null | undefined {
  if (isInNoFile(url)) return null;
  const read = known.get(url);
  if (read) return read;
  const text = readText(url);
  if (text === undefined) return undefined;
  const module = readModuleText(text);
  known.set(url, module);
  return module;
}

/**
 * The text of a local module, if it may be read without asking.
 *
 * @param url Its URL.
 */
export function readText(url: string): string | undefined {
  if (!url.startsWith("file:")) return undefined;
  try {
    const path = new URL(url);
    const { state } = Deno.permissions.querySync({ name: "read", path });
    return state === "granted" ? Deno.readTextFileSync(path) : undefined;
  } catch {
    return undefined; // gone or unreadable: then nothing is known of it
  }
}

/** What Deno calls the text it was given by `eval`, on stdin or in the REPL. */
const IN_NO_FILE = /\/\$deno\$(?:eval|stdin|repl)\.\w+$/;

/** Whether the text of a module is in no file, so that nobody else can load it. */
export function isInNoFile(url: string): boolean {
  return IN_NO_FILE.test(url);
}

/** A line of a stack that names a place in a module; all may be in its path. */
const PLACE =
  /(?:^\s*at (?:async )?|\()((?:file|https?|data|blob):.*):\d+:\d+\)?$/;

/** How V8 makes the text of a stack. */
interface StackSettings {
  stackTraceLimit?: number | undefined;
  prepareStackTrace?: unknown;
}

/**
 * The modules of the calls that led here, innermost first.
 *
 * @param isOwn Whether a module is one of this library's, to be left out.
 */
export function callingModules(isOwn: (url: string) => boolean): string[] {
  const settings = Error as StackSettings;
  const { stackTraceLimit, prepareStackTrace } = settings;
  settings.stackTraceLimit = 64;
  // A program's own may make anything of a stack.
  if (prepareStackTrace) settings.prepareStackTrace = undefined;
  const stack = new Error().stack ?? "";
  settings.stackTraceLimit = stackTraceLimit;
  if (prepareStackTrace) settings.prepareStackTrace = prepareStackTrace;
  const urls = new Set<string>();
  for (const line of stack.split("\n")) {
    if (line.includes("eval at ")) continue; // not the place itself
    const place = PLACE.exec(line)?.[1];
    // Deno shows it decoded.
    const url = place && URL.parse(place)?.href;
    if (url && !isOwn(url)) urls.add(url);
  }
  return [...urls];
}

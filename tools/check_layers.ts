/**
 * Checks which file imports which, so that the house stays as it was drawn: a
 * lower room is complete in itself and can be read, tested and changed without
 * the rooms above it.
 *
 * - An import of values points down, to a room in {@linkcode MAY_IMPORT}.
 *   `import type` may look up: it is gone when the program runs.
 * - `_file.ts` belongs to its folder and the folders below.
 * - Files do not import each other in a circle: what runs first would depend on
 *   where one enters, and a child enters elsewhere than its parent.
 * - What a child runs first ({@linkcode CHILDREN}) loads nothing at once that it
 *   may never need ({@linkcode NOT_AT_ONCE}), by whatever way: half of the start of
 *   a child is loading.
 * - What is published imports `@std/*` and, where {@linkcode EXTRAS} says so,
 *   `node:*` or `npm:*`. Each of them costs every child its start-up time, hence the
 *   list. `@std/log` is for `logging.ts` alone, which only `mod.ts` loads at once.
 *
 * Deno itself reads the imports (`deno info --json`), so comments, strings and
 * new syntax are no trouble. Not seen: modules named by a computed `import()` or
 * by `new URL()`.
 *
 * Run by `deno task layers`.
 *
 * @module
 */
import { dirname, fromFileUrl, join, relative, toFileUrl } from "@std/path";
import { findPublishedFiles } from "./published_files.ts";

/** What everybody may import. */
const GROUND = ["errors.ts", "_log.ts"];

/** Whom a room, or a file in the root, may import values from. */
const MAY_IMPORT: Record<string, string[]> = {
  "errors.ts": [],
  "_log.ts": ["errors.ts"],
  "logging.ts": GROUND,
  memory: GROUND,
  codec: GROUND,
  primitives: [...GROUND, "memory", "codec"],
  network: [...GROUND, "memory", "codec", "primitives"],
  contexts: [...GROUND, "memory", "codec", "primitives"],
  pool: [...GROUND, "memory", "codec", "primitives", "contexts"],
  managers: [
    ...GROUND,
    "memory",
    "codec",
    "primitives",
    "contexts",
    "network",
    // A manager has pools among its objects.
    "pool",
  ],
  "progress.ts": [],
  "mod.ts": [
    ...GROUND,
    "logging.ts",
    "memory",
    "codec",
    "primitives",
    "network",
    "contexts",
    "pool",
    "managers",
  ],
};

/** What is loaded only when needed, by `import()` with a literal. */
const MAY_LOAD_LATER: Record<string, string[]> = {
  "_log.ts": ["logging.ts"],
};

/** The parts of `node:`, and the libraries of npm, that a file may load at once. */
const EXTRAS: Record<string, string[]> = {
  "codec/_kinds.ts": ["node:util/types"],
  "primitives/_section.ts": ["node:async_hooks"],
  // An entry point of its own: no part of the library imports it.
  "progress.ts": [
    "npm:cli-progress@^3.12.0",
    "npm:cli-table3@^0.6.5",
    "node:process",
  ],
};

/** What children run first. */
const CHILDREN = ["contexts/spawn_child.ts", "contexts/worker_child.ts"];

/** What is for sending, for starting others, and for shared objects. */
const NOT_AT_ONCE = [
  "codec/encoder.ts",
  "contexts/process.ts",
  "logging.ts",
  "memory/ring.ts",
  "primitives/mod.ts",
  "primitives/to_wire.ts",
];

/** How an import takes effect: at once, when it is reached, or never. */
type Kind = "value" | "dynamic" | "type";

/** One import or re-export. */
interface Import {
  /** The importing file, from the root of the tree. */
  from: string;
  /** The line, counted from 1. */
  line: number;
  /** The imported file, from the root of the tree, or the name of a package. */
  to: string;
  /** Whether a file was imported, rather than a package. */
  isFile: boolean;
  /** How it takes effect. */
  kind: Kind;
}

/** The part of `deno info --json` that is read here. */
interface Graph {
  modules: Array<{
    specifier: string;
    error?: string;
    dependencies?: Array<{
      specifier: string;
      code?: Target;
      type?: Target;
      isDynamic?: boolean;
    }>;
  }>;
}

interface Target {
  specifier?: string;
  span: { start: { line: number } };
}

/**
 * Checks a tree.
 *
 * @param root The folder with `deno.json` in it.
 * @returns One line for each import that should not be there.
 */
export async function checkLayers(root: string): Promise<string[]> {
  const files = await findPublishedFiles(root);
  const { imports, unreadable } = await readImports(root, files);
  return [
    ...unreadable,
    ...imports.flatMap((each) => {
      const complaint = judge(each);
      return complaint === null
        ? []
        : [`${each.from}:${each.line} ${complaint}`];
    }),
    ...findCircles(imports),
    ...findBallast(imports),
  ];
}

async function readImports(
  root: string,
  files: string[],
): Promise<{ imports: Import[]; unreadable: string[] }> {
  const toUrl = (file: string): string => toFileUrl(join(root, file)).href;
  const entry = files.map((file) => `import ${JSON.stringify(toUrl(file))};`)
    .join("\n");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "info",
      "--json",
      "--no-lock",
      "--no-remote",
      "--no-npm",
      `data:text/typescript,${encodeURIComponent(entry)}`,
    ],
    cwd: root,
  }).output();
  if (!success) {
    throw new Error(
      `Cannot read the imports: ${new TextDecoder().decode(stderr)}`,
    );
  }

  const graph: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const fileOf = new Map(files.map((file) => [toUrl(file), file]));
  const imports: Import[] = [];
  const unreadable: string[] = [];
  for (const { specifier, error, dependencies = [] } of graph.modules) {
    const from = fileOf.get(specifier);
    if (from === undefined) continue;
    if (error !== undefined) unreadable.push(`${from}: ${error}`);
    for (const dependency of dependencies) {
      const target = dependency.code ?? dependency.type;
      if (target === undefined) continue;
      const file = /^(\.{0,2}\/|file:)/.test(dependency.specifier)
        ? target.specifier
        : undefined;
      imports.push({
        from,
        line: target.span.start.line + 1,
        to: file === undefined ? dependency.specifier : toPath(root, file),
        isFile: file !== undefined,
        kind: dependency.code === undefined
          ? "type"
          : dependency.isDynamic
          ? "dynamic"
          : "value",
      });
    }
  }
  return { imports, unreadable };
}

function toPath(root: string, url: string): string {
  return relative(root, fromFileUrl(url)).replaceAll("\\", "/");
}

/** Gives what is wrong with an import, or `null`. */
function judge(each: Import): string | null {
  return each.isFile ? judgeFile(each) : judgePackage(each);
}

function judgeFile({ from, to, kind }: Import): string | null {
  const name = to.slice(to.lastIndexOf("/") + 1);
  const owner = dirname(to);
  if (
    name.startsWith("_") && owner !== "." && !from.startsWith(`${owner}/`)
  ) {
    return `Cannot import "${to}" as a file with "_" belongs to its folder`;
  }
  const here = roomOf(from);
  const there = roomOf(to);
  if (here === there) return null;
  if (kind === "type" && MAY_IMPORT[there] !== undefined) return null;

  const allowed = [
    ...MAY_IMPORT[here] ?? [],
    ...kind === "dynamic" ? MAY_LOAD_LATER[here] ?? [] : [],
  ];
  if (allowed.includes(there)) return null;
  if (MAY_IMPORT[here] === undefined) {
    return `Cannot place "${from}" as its room is not in MAY_IMPORT`;
  }
  return `Cannot import "${to}" as ${here} may import only: ${
    allowed.join(", ") || "nothing"
  }`;
}

function judgePackage({ from, to, kind }: Import): string | null {
  if (to.startsWith("@std/assert")) {
    return `Cannot import "${to}" as it is for tests and snippets`;
  }
  if (/^@std\/log(\/|$)/.test(to)) {
    return from === "logging.ts"
      ? null
      : `Cannot import "${to}" as it is for logging.ts only`;
  }
  if (to.startsWith("@std/")) return null;
  if (EXTRAS[from]?.includes(to)) return null;
  if (to.startsWith("node:") && kind === "type") return null;
  return `Cannot import "${to}" as it is not in EXTRAS for this file`;
}

function roomOf(path: string): string {
  return path.split("/", 1)[0] ?? path;
}

/** What each file loads at once. */
function loadedBy(imports: Import[]): Map<string, string[]> {
  const next = new Map<string, string[]>();
  for (const { from, to, kind } of imports) {
    if (kind !== "value") continue;
    next.set(from, [...next.get(from) ?? [], to]);
  }
  return next;
}

/** Finds what children load too early, each with the way to it. */
function findBallast(imports: Import[]): string[] {
  const next = loadedBy(imports);
  const found: string[] = [];
  for (const child of CHILDREN) {
    const ways = new Map([[child, child]]);
    for (const [file, way] of ways) {
      if (NOT_AT_ONCE.includes(file)) {
        found.push(`Cannot have a child load "${file}" at once: ${way}`);
        continue;
      }
      for (const other of next.get(file) ?? []) {
        if (!ways.has(other)) ways.set(other, `${way} -> ${other}`);
      }
    }
  }
  return found;
}

/** Finds the circles of imports that run at once, each told once. */
function findCircles(imports: Import[]): string[] {
  const next = loadedBy(imports);
  const circles: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  function visit(file: string): void {
    const start = path.indexOf(file);
    if (start >= 0) {
      const circle = [...path.slice(start), file].join(" -> ");
      circles.push(`Cannot have a circle of imports: ${circle}`);
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const other of next.get(file) ?? []) visit(other);
    path.pop();
    done.add(file);
  }
  for (const file of next.keys()) visit(file);
  return circles;
}

if (import.meta.main) {
  const violations = await checkLayers(join(import.meta.dirname ?? ".", ".."));
  for (const violation of violations) console.error(violation);
  if (violations.length > 0) {
    console.error(`${violations.length} imports go where they must not`);
    Deno.exit(1);
  }
}

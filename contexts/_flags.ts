/**
 * The flags a child process has to be started with to see the world as its parent
 * does: the same permissions, configuration and unstable features.
 *
 * The command line of this process says it best, and on Linux it can be read.
 * Elsewhere, what was granted is asked for, and the configuration is looked for
 * where Deno looks for it.
 *
 * Runs in the parent.
 *
 * @module
 */
import { commandLine, isThere } from "../memory/mod.ts";
import { current } from "./current.ts";
import { getMainModule } from "./functions.ts";

/** Flags without a value, or with one after "=", that a child takes over. */
const KEPT =
  /^(?:-A|-P|--permission-set|--allow-|--deny-|--ignore-|--no-config|--import-map|--lock|--no-lock|--frozen|--node-modules-dir|--vendor|--unstable|--cert|--unsafely-ignore-certificate-errors|--v8-flags|--cached-only|--no-remote|--no-npm|--location|--seed|--conditions|--config|-[RWNESI](?:=|$)|--minimum-dependency-age|--preserve-symlinks)/;
/** Flags whose value is the next argument when it is not after "=". */
const VALUE_FOLLOWS =
  /^(?:-c|--config|--import-map|--cert|--location|--seed|--conditions|--min-dep-age|--minimum-dependency-age|--ext|--node-modules-linker|--inspect-publish-uid|--preload|--require|-L|--log-level|--filter|--coverage-threshold|--reporter|--junit-path|--retry|--repeats|--shard|--related|--port|--host)$/;
/** Flags whose value is a path, or a list of paths. */
const PATH_FLAG =
  /^(?:--config|--import-map|--cert|--lock|--(?:allow|deny|ignore)-(?:read|write)|-[RW])=/;
/** Flags whose value is a list of names and paths. */
const NAME_OR_PATH_FLAG = /^--(?:allow|deny)-(?:run|ffi)=/;
/** Subcommands that run programs. */
const SUBCOMMANDS = new Set(["run", "test", "bench", "serve", "eval"]);
/** Those whose flags may also stand behind the names of modules. */
const MIXED_SUBCOMMANDS = new Set(["test", "bench"]);

/**
 * Where this process was started: what the paths in its flags are relative to.
 * Taken now, as the program may go elsewhere, and its children may be sent there.
 * A thread is told, as the program may have gone elsewhere before.
 */
export function startFolder(): string {
  return current.startFolder ?? OWN_FOLDER;
}

const OWN_FOLDER = workingFolder();

/** The kinds of permission, and how they are granted on the command line. */
const PERMISSIONS = [
  "read",
  "write",
  "net",
  "env",
  "sys",
  "run",
  "ffi",
  "import",
] as const;

/** Short flags of permissions. */
const SHORT: Readonly<Record<string, string>> = {
  A: "all",
  R: "read",
  W: "write",
  N: "net",
  E: "env",
  S: "sys",
  I: "import",
};
/** A flag that grants something: its name, and what exactly if it says so. */
const GRANT = /^(?:--allow-([a-z]+)|-([ARWNESI]))(?:=(.*))?$/s;
/** Which part of a permission an item of such a flag is. */
const PART: Readonly<Record<string, string>> = {
  read: "path",
  write: "path",
  ffi: "path",
  net: "host",
  import: "host",
  env: "variable",
  sys: "kind",
  run: "command",
};

let found: { flags: string[]; permissions: string[] } | undefined;

/** Flags for a child, without its permissions. */
export function childFlags(): string[] {
  return ownFlags().flags;
}

/**
 * Flags for the permissions of a child.
 *
 * @param wanted What it may do; by default what this process may.
 * @param modules What it has to read beside the main module: where its target is.
 * @throws {TypeError} If it is not a permissions object.
 */
export function permissionFlags(
  wanted: Deno.PermissionOptions | undefined,
  modules: readonly string[] = [],
): string[] {
  if (wanted === undefined || wanted === "inherit") {
    return ownFlags().permissions.flatMap(stillGranted);
  }
  const given: Deno.PermissionOptionsObject = wanted === "none" ? {} : wanted;
  if (typeof given !== "object" || given === null) {
    throw new TypeError(
      `Cannot start a process as 'permissions' must be an object, "inherit" or "none": it is ${
        Deno.inspect(wanted)
      }`,
    );
  }
  const flags: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (!isPermissionName(name)) {
      throw new TypeError(
        `Cannot start a process as 'permissions' has no "${name}": it has ${
          PERMISSIONS.join(", ")
        }`,
      );
    }
    if (value === "inherit") flags.push(...inherited(name));
    else if (value === true) flags.push(`--allow-${name}`);
    else if (value !== false && value !== undefined) {
      const items = checkedItems(name, value);
      if (items.length > 0) flags.push(`--allow-${name}=${items.join(",")}`);
    }
  }
  // What the child needs to reach the shared memory and to load its modules.
  if (!flags.includes("--allow-ffi")) flags.push("--allow-ffi");
  if (!flags.includes("--allow-read")) {
    const folders = withoutComma(moduleFolders(modules));
    flags.push(`--allow-read=${folders.join(",")}`);
  }
  return flags;
}

/** What Deno does not take together with others, and those. */
const CONTRADICTIONS = [
  [/^(?:-c|--config|--no-config)(?:=|$)/, /^--(?:no-)?config(?:=|$)/],
  [/^(?:-A|--allow-all)$/, /^(?:--allow-|-[RWNESI](?:=|$))/],
] as const;

/**
 * Flags without those that further ones contradict: what is said for one child is
 * meant instead.
 *
 * @param flags Flags of this process.
 * @param further What comes behind.
 */
export function withoutContradicted(
  flags: readonly string[],
  further: readonly string[],
): string[] {
  const replaced = CONTRADICTIONS.filter(([theirs]) =>
    further.some((flag) => theirs.test(flag))
  );
  return flags.filter((flag) => !replaced.some(([, ours]) => ours.test(flag)));
}

/** The flags with which this process has one permission, or a part of it. */
function inherited(name: string): string[] {
  return ownFlags().permissions.flatMap(stillGranted).flatMap((flag) => {
    if (isGrantOf(flag, "all")) return [`--allow-${name}`];
    if (isGrantOf(flag, name)) {
      const items = GRANT.exec(flag)![3];
      return [`--allow-${name}${items === undefined ? "" : `=${items}`}`];
    }
    // What a set of permissions in the configuration grants, only Deno knows.
    if (/^(?:-P|--permission-set)/.test(flag)) {
      return isGranted({ name }) ? [`--allow-${name}`] : [];
    }
    return new RegExp(`^--(?:deny|ignore)-${name}(?:=|$)`).test(flag)
      ? [flag]
      : [];
  });
}

function isGrantOf(flag: string, name: string): boolean {
  const [, long, short] = GRANT.exec(flag) ?? [];
  return (long ?? SHORT[short ?? ""]) === name;
}

/** A flag of this process without what it has given up in the meantime. */
function stillGranted(flag: string): string[] {
  const [, long, short, items] = GRANT.exec(flag) ?? [];
  const name = long ?? SHORT[short ?? ""];
  if (name !== "all" && !isPermissionName(name)) return [flag];
  if (name === "all") {
    const granted = PERMISSIONS.filter((name) => isGranted({ name }));
    return granted.length === PERMISSIONS.length
      ? [flag]
      : granted.map((name) => `--allow-${name}`);
  }
  if (items === undefined) return isGranted({ name }) ? [flag] : [];
  const kept = items.split(",").filter((item) =>
    // Of a subnet Deno does not tell whether it was granted.
    (name === "net" && item.includes("/")) ||
    !isPrompted({ name, [PART[name]!]: item })
  );
  return kept.length === 0 ? [] : [`--allow-${name}=${kept.join(",")}`];
}

function isPermissionName(name: string | undefined): name is string {
  return (PERMISSIONS as readonly (string | undefined)[]).includes(name);
}

function isGranted(descriptor: { name: string }): boolean {
  const { state } = Deno.permissions.querySync(
    descriptor as Deno.PermissionDescriptor,
  );
  return state === "granted";
}

/** Whether it is certain that something has not been granted, or not any more. */
function isPrompted(
  descriptor: { name: string; [part: string]: string },
): boolean {
  try {
    const { state } = Deno.permissions.querySync(
      descriptor as unknown as Deno.PermissionDescriptor,
    );
    return state === "prompt";
  } catch {
    return false; // nothing that can be asked for, such as a pattern
  }
}

/** What exactly is to be granted. */
function checkedItems(name: string, value: unknown): string[] {
  const isItem = (item: unknown) =>
    typeof item === "string" || item instanceof URL;
  if (!Array.isArray(value) || !value.every(isItem)) {
    throw new TypeError(
      `Cannot start a process as 'permissions.${name}' must be true, false, "inherit" or an array of strings: it is ${
        Deno.inspect(value)
      }`,
    );
  }
  return withoutComma(
    value.map(String).map((item) =>
      item.startsWith("file:") ? pathOf(new URL(item)) : item
    ),
  );
}

/** What is to be granted and has a comma cannot be said in Deno's flags. */
function withoutComma(items: string[]): string[] {
  const bad = items.find((item) => item.includes(","));
  if (bad === undefined) return items;
  throw new TypeError(
    `Cannot start a process with permission for "${bad}" as Deno takes no comma there: grant all of that kind with true, or rename it`,
  );
}

function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname);
}

/** Folders a child has to read to load its modules. */
function moduleFolders(modules: readonly string[]): string[] {
  const main = getMainModule();
  const files = main ? [main, ...modules] : modules;
  const urls = [new URL("../", import.meta.url)];
  for (const file of files) {
    if (file.startsWith("file:")) urls.push(new URL("./", file));
  }
  const folders = urls.filter((url) => url.protocol === "file:").map(pathOf);
  return [...new Set(folders)];
}

function ownFlags(): { flags: string[]; permissions: string[] } {
  if (found) return found;
  const line = commandLine();
  const kept = line ? keptFlags(line) : grantedFlags();
  const isPermission = (flag: string) =>
    /^(?:-A|-P|-[RWNESI](?:=|$)|--permission-set|--allow-|--deny-|--ignore-)/
      .test(flag);
  const flags = kept.filter((flag) => !isPermission(flag));
  if (!flags.some((flag) => /^(?:-c|--config|--no-config)/.test(flag))) {
    flags.push(...configFlags(flags));
  }
  return found = {
    flags: ["--quiet", "--no-prompt", ...flags],
    permissions: kept.filter(isPermission),
  };
}

/**
 * The flags of a command line that a child takes over, each one argument.
 *
 * @param line The command line, program first.
 * @param folder What its paths are relative to.
 */
export function keptFlags(
  line: readonly string[],
  folder: string = startFolder(),
): string[] {
  const flags: string[] = [];
  let subcommand: string | undefined;
  for (let i = 1; i < line.length; i++) {
    const argument = line[i]!;
    if (argument === "-" || argument === "--") break; // then the program's own
    if (!argument.startsWith("-")) {
      if (subcommand === undefined && SUBCOMMANDS.has(argument)) {
        subcommand = argument;
        // It may do everything, and has no flag that says so.
        if (subcommand === "eval") flags.push("--allow-all");
        continue;
      }
      if (MIXED_SUBCOMMANDS.has(subcommand ?? "")) continue;
      break; // the module: what follows is the program's own
    }
    if (takesNext(argument, line[i + 1])) {
      const name = argument === "-c" ? "--config" : argument;
      const value = line[++i] ?? "";
      if (KEPT.test(name)) flags.push(placed(`${name}=${value}`, folder));
    } else if (KEPT.test(argument)) flags.push(placed(argument, folder));
    else if (/^-[A-Za-z]{2,}$/.test(argument)) {
      // Short flags in one word, such as -RN.
      for (const letter of argument.slice(1)) {
        if ("ARWNESI".includes(letter)) flags.push(`-${letter}`);
      }
    }
  }
  return flags;
}

function takesNext(flag: string, next: string | undefined): boolean {
  // The only flag whose value may be left out and yet stands behind a space.
  if (flag === "--lock") return next !== undefined && !next.startsWith("-");
  return VALUE_FOLLOWS.test(flag);
}

/** A flag that means the same wherever it is given. */
function placed(flag: string, folder: string): string {
  const isPath = PATH_FLAG.test(flag);
  if (!isPath && !NAME_OR_PATH_FLAG.test(flag)) return flag;
  const [name] = flag.split("=", 1);
  const items = flag.slice(name!.length + 1).split(",");
  const places = items.map((item) => {
    const isName = !isPath && !item.includes("/");
    const isAbsolute = item.startsWith("/") || /^[a-z]+:/.test(item);
    return isName || isAbsolute || item === "" ? item : `${folder}/${item}`;
  });
  return `${name}=${withoutComma(places).join(",")}`;
}

function workingFolder(): string {
  try {
    return Deno.cwd();
  } catch {
    return "."; // it has been removed: relative paths lead nowhere anyway
  }
}

function grantedFlags(): string[] {
  const flags: string[] = [];
  for (const name of PERMISSIONS) {
    const { state } = Deno.permissions.querySync({ name });
    if (state === "granted") flags.push(`--allow-${name}`);
  }
  return flags;
}

/** The configuration Deno found for the main module, as flags. */
function configFlags(others: readonly string[]): string[] {
  const config = nearest(["deno.json", "deno.jsonc"]);
  if (config) return [`--config=${pathOf(config)}`];
  const npm = nearest(["package.json"]);
  return npm ? ["--no-config", ...packageFlags(npm, others)] : ["--no-config"];
}

/**
 * What a `package.json` means to Deno, which no flag leads it to: it looks for one
 * from the module that it is given to run, and that is one of this package.
 */
function packageFlags(file: URL, others: readonly string[]): string[] {
  const has = (name: string) => others.some((flag) => flag.startsWith(name));
  const flags: string[] = [];
  if (!has("--node-modules-dir")) flags.push("--node-modules-dir=manual");
  const imports = packageImports(file);
  if (Object.keys(imports).length > 0 && !has("--import-map")) {
    const map = encodeURIComponent(JSON.stringify({ imports }));
    flags.push(`--import-map=data:application/json,${map}`);
  }
  return flags;
}

/** Its names that start with `#`, as far as they lead to one place. */
function packageImports(file: URL): Record<string, string> {
  const found: Record<string, string> = {};
  try {
    const { imports = {} } = JSON.parse(Deno.readTextFileSync(file));
    for (const [name, place] of Object.entries(imports)) {
      if (typeof place !== "string" || name.includes("*")) continue;
      found[name] = place.startsWith("./") ? new URL(place, file).href : place;
    }
  } catch {
    // It may not be read, or is none: then its names stay unknown.
  }
  return found;
}

/** The nearest file of some names, from the main module upwards. */
function nearest(names: readonly string[]): URL | undefined {
  const main = getMainModule();
  let folder = main?.startsWith("file:") ? new URL("./", main) : undefined;
  while (folder) {
    for (const name of names) {
      const file = new URL(name, folder);
      if (isFile(file)) return file;
    }
    const above: URL = new URL("../", folder);
    folder = above.href === folder.href ? undefined : above;
  }
  return undefined;
}

function isFile(url: URL): boolean {
  try {
    const { state } = Deno.permissions.querySync({ name: "read", path: url });
    // Deno reads its configuration without asking: so it is there all the same.
    if (state !== "granted") return isThere(pathOf(url));
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

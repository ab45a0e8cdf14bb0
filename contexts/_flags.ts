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
import { commandLine } from "../memory/mod.ts";
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
 */
const START_FOLDER = workingFolder();

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

let found: { flags: string[]; permissions: string[] } | undefined;

/** Flags for a child, without its permissions. */
export function childFlags(): string[] {
  return ownFlags().flags;
}

/**
 * Flags for the permissions of a child.
 *
 * @param wanted What it may do; by default what this process may.
 * @throws {TypeError} If it is not a permissions object.
 */
export function permissionFlags(
  wanted: Deno.PermissionOptions | undefined,
): string[] {
  if (wanted === undefined || wanted === "inherit") {
    return ownFlags().permissions;
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
    if (!(PERMISSIONS as readonly string[]).includes(name)) {
      throw new TypeError(
        `Cannot start a process as 'permissions' has no "${name}": it has ${
          PERMISSIONS.join(", ")
        }`,
      );
    }
    if (value === true) flags.push(`--allow-${name}`);
    else if (value === "inherit") {
      flags.push(
        ...ownFlags().permissions.filter((flag) =>
          flag === "-A" || flag === "--allow-all" ||
          flag.startsWith(`--allow-${name}`) ||
          flag.startsWith(`--deny-${name}`)
        ).map((flag) => flag.includes(name) ? flag : `--allow-${name}`),
      );
    } else if (Array.isArray(value) && value.length > 0) {
      flags.push(`--allow-${name}=${value.map(String).join(",")}`);
    }
  }
  // What the child needs to reach the shared memory and to load its modules.
  if (given.ffi !== true) flags.push("--allow-ffi");
  if (given.read !== true && given.read !== "inherit") {
    flags.push(`--allow-read=${moduleFolders().join(",")}`);
  }
  return flags;
}

/** Folders a child has to read to load its modules. */
function moduleFolders(): string[] {
  const own = new URL("../", import.meta.url);
  const main = getMainModule();
  const urls = main ? [own, new URL("./", main)] : [own];
  return urls.filter((url) => url.protocol === "file:").map((url) =>
    decodeURIComponent(url.pathname)
  );
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
    flags.push(configFlag());
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
  folder: string = START_FOLDER,
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
  // Items end at a comma; a comma in a path is written twice.
  const items = flag.slice(name!.length + 1).split(/(?<!,),(?!,)/);
  const places = items.map((item) => {
    const isName = !isPath && !item.includes("/");
    const isAbsolute = item.startsWith("/") || /^[a-z]+:/.test(item);
    return isName || isAbsolute || item === ""
      ? item
      : `${folder.replaceAll(",", ",,")}/${item}`;
  });
  return `${name}=${places.join(",")}`;
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

/** The configuration Deno found for the main module, as a flag. */
function configFlag(): string {
  const main = getMainModule();
  let folder = main?.startsWith("file:") ? new URL("./", main) : undefined;
  while (folder) {
    for (const name of ["deno.json", "deno.jsonc"]) {
      const file = new URL(name, folder);
      if (isFile(file)) return `--config=${decodeURIComponent(file.pathname)}`;
    }
    const above: URL = new URL("../", folder);
    folder = above.href === folder.href ? undefined : above;
  }
  return "--no-config";
}

function isFile(url: URL): boolean {
  try {
    const { state } = Deno.permissions.querySync({ name: "read", path: url });
    return state === "granted" && Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

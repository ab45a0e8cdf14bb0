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
/** Kept flags whose value is the next argument when it is not after "=". */
const VALUE_FOLLOWS =
  /^(?:-c|--config|--import-map|--cert|--location|--seed|--conditions|--minimum-dependency-age)$/;
/** Subcommands that take the flags of `deno run`. */
const SUBCOMMANDS = new Set(["run", "test", "bench", "serve", "task", "eval"]);

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
 */
export function keptFlags(line: readonly string[]): string[] {
  const flags: string[] = [];
  let i = SUBCOMMANDS.has(line[1] ?? "") ? 2 : 1;
  for (; i < line.length; i++) {
    const argument = line[i]!;
    if (!argument.startsWith("-")) break; // the module: what follows is its own
    if (argument === "--") break;
    if (VALUE_FOLLOWS.test(argument)) {
      const name = argument === "-c" ? "--config" : argument;
      flags.push(`${name}=${line[++i] ?? ""}`);
    } else if (KEPT.test(argument)) flags.push(argument);
    else if (/^-[A-Za-z]{2,}$/.test(argument)) {
      // Short flags in one word, such as -RN.
      for (const letter of argument.slice(1)) {
        if ("ARWNESI".includes(letter)) flags.push(`-${letter}`);
      }
    }
  }
  return flags;
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

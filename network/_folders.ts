/**
 * Temporary folders for sockets. A program that ends removes its own; one that is
 * killed, by SIGTERM too, leaves it, and the next program that makes such a folder
 * removes it. So the name tells whose it is:
 *
 * ```
 *   mp-<process id>-<pid namespace>-<something unique>
 * ```
 *
 * A folder goes only if it is of this pid namespace and no such process runs. Where
 * that cannot be known (not on Linux, or nothing may be read), it stays: the system
 * clears its temporary files some day.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { log } from "../_log.ts";

const FOLDER_REGEXP = /^mp-(\d+)-(\d+)-/;

/** The namespace of those who do not know theirs. */
const UNKNOWN = "0";

let namespace: string | undefined;

/**
 * Makes a folder that only this user can look into.
 *
 * @param parent Where; in the system's folder of temporary files if not given.
 */
export function makeTempFolder(parent?: string): string {
  const folder = Deno.makeTempDirSync({
    ...(parent === undefined ? {} : { dir: parent }),
    prefix: `mp-${Deno.pid}-${pidNamespace()}-`,
  });
  log.info(`created temp directory ${folder}`);
  sweepOnce(folder.slice(0, folder.lastIndexOf("/")));
  return folder;
}

const swept = new Set<string>();

/** Removes what the dead have left in a folder; once is enough for a program. */
function sweepOnce(parent: string): void {
  if (swept.has(parent)) return;
  swept.add(parent);
  if (pidNamespace() === UNKNOWN || !mayRead(parent)) return;
  for (const { name } of Deno.readDirSync(parent)) {
    const match = name.match(FOLDER_REGEXP);
    if (!match || match[2] !== pidNamespace() || isRunning(match[1]!)) continue;
    try {
      Deno.removeSync(`${parent}/${name}`, { recursive: true });
      log.debug(`removed temp directory ${parent}/${name} of the dead`);
    } catch {
      // Somebody else's, or somebody has been faster.
    }
  }
}

/** Tells pid namespaces apart: a container may share the folder. */
function pidNamespace(): string {
  if (namespace !== undefined) return namespace;
  namespace = UNKNOWN;
  if (Deno.build.os === "linux" && mayRead("/proc")) {
    try {
      const link = Deno.readLinkSync("/proc/self/ns/pid");
      namespace = link.match(/\d+/)?.[0] ?? UNKNOWN;
    } catch {
      // Not to be known here.
    }
  }
  return namespace;
}

function isRunning(pid: string): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function mayRead(path: string): boolean {
  const { state } = Deno.permissions.querySync({ name: "read", path });
  return state === "granted";
}

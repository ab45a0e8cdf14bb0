/**
 * Temporary folders for sockets. A program that ends removes its own; one that is
 * killed, by SIGTERM too, leaves it, and the next program that makes such a folder
 * removes it.
 *
 * **Whose it is** tells a lock on a file in it, which the system lets go of when its
 * holder ends, however it ends. A process id would be given to somebody else some
 * day, and means another process to a container that shares the folder.
 *
 * ```
 *   maker                          whoever sweeps
 *   -----                          --------------
 *   make the folder
 *   make the file in it            a folder without the file is left alone for a
 *   lock it                          minute: it is being made
 *   is it still there?             lock it; if that works, nobody lives here:
 *     if not, begin again            remove the file, then the folder
 * ```
 *
 * The last step of the maker is for one whose file was locked by a sweeper before
 * the maker could.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { log } from "../_log.ts";

/** How the names of folders begin. */
const PREFIX = "mp-";
const NAME_REGEXP = /^mp-[0-9a-f]+$/;
/** The file that is locked. */
const LOCK = "lock";
/** A folder without a lock that is older has been left by the dead. */
const MAKING_MS = 60_000;

/** A folder that only this user can look into. */
export interface TempFolder {
  /** Where it is. */
  readonly path: string;
  /** Removes it with what is in it. */
  remove(): void;
}

/**
 * Makes a folder.
 *
 * @param parent Where; in the system's folder of temporary files if not given.
 */
export function makeTempFolder(parent?: string): TempFolder {
  const dir = parent === undefined ? {} : { dir: parent };
  while (true) {
    const path = Deno.makeTempDirSync({ ...dir, prefix: PREFIX });
    const file = openLock(path, true);
    if (!file) continue;
    log.info(`created temp directory ${path}`);
    sweepOnce(path.slice(0, path.lastIndexOf("/")));
    const remove = () => {
      removeAll(path);
      file.close();
    };
    return { path, remove };
  }
}

const swept = new Set<string>();

/** Removes what the dead have left in a folder; once is enough for a program. */
function sweepOnce(parent: string): void {
  if (swept.has(parent)) return;
  swept.add(parent);
  const { state } = Deno.permissions.querySync({ name: "read", path: parent });
  if (state !== "granted") return; // and it must not be asked for
  for (const { name, isDirectory } of Deno.readDirSync(parent)) {
    if (isDirectory && NAME_REGEXP.test(name)) sweep(`${parent}/${name}`);
  }
}

function sweep(path: string): void {
  try {
    using file = openLock(path, false);
    if (!file && (hasLock(path) || ageMs(path) < MAKING_MS)) return;
    // The file first: its maker looks whether it is there.
    if (file) Deno.removeSync(`${path}/${LOCK}`);
    removeAll(path);
    log.debug(`removed temp directory ${path} of a program that was killed`);
  } catch {
    // Somebody else's, or somebody has been faster.
  }
}

/** Locks a folder; gives nothing if somebody else has. */
function openLock(folder: string, create: boolean): Deno.FsFile | undefined {
  const path = `${folder}/${LOCK}`;
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: true, create });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  if (file.tryLockSync(true) && hasLock(folder)) return file;
  file.close();
  return undefined;
}

function hasLock(folder: string): boolean {
  try {
    return Deno.statSync(`${folder}/${LOCK}`).isFile;
  } catch {
    return false;
  }
}

function ageMs(path: string): number {
  return Date.now() - (Deno.statSync(path).mtime?.getTime() ?? Date.now());
}

/**
 * Removes a file, or a folder with all that is in it, if it is there.
 *
 * @param path Where it is.
 */
export function removeAll(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    // Somebody has tidied up before.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

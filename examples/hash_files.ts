/**
 * Computes the SHA-256 of all files below some folders, in parallel, and shows how
 * far it has come.
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/hash_files.ts \
 *   [--method spawn|worker] [PATH…]
 * ```
 *
 * What it prints is what `sha256sum` prints. The bar is on standard error, and only
 * if that is a terminal. A file that cannot be read is named at the end, and makes
 * the exit code 1; the others are hashed all the same.
 *
 * Worth a look: a task that throws costs its item only, as each result is awaited on
 * its own; `imap` takes the paths as results are taken, so a million files are never
 * in memory at once; progress is one option.
 *
 * @module
 */
import { getContext, type Progress } from "../mod.ts";
import { startMethod, words } from "./_arguments.ts";

/** Bytes that are read at once: a file need not fit into memory. */
const PIECE_BYTES = 1 << 20;

/** The hash of a file, or why there is none. */
export interface Hashed {
  readonly path: string;
  readonly sha256: string | null;
  readonly problem: string | null;
}

/** Hashes one file. This is what the workers run. */
export async function hashFile(path: string): Promise<Hashed> {
  // Not at the top of the module: only workers need it, and it takes a while.
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  const piece = new Uint8Array(PIECE_BYTES);
  try {
    using file = Deno.openSync(path);
    let count: number | null;
    while ((count = file.readSync(piece)) !== null) {
      hash.update(piece.subarray(0, count));
    }
  } catch (error) {
    return { path, sha256: null, problem: (error as Error).name };
  }
  return { path, sha256: hash.digest("hex"), problem: null };
}

/** All files below a path, sorted; of links, only those that were named. */
function* filesBelow(path: string): Generator<string> {
  if (!Deno.statSync(path).isDirectory) {
    yield path;
    return;
  }
  const entries = [...Deno.readDirSync(path)];
  for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const inside = `${path.replace(/\/$/, "")}/${entry.name}`;
    if (entry.isDirectory) yield* filesBelow(inside);
    else if (entry.isFile) yield inside;
  }
}

async function main(): Promise<number> {
  const ctx = getContext(startMethod());
  const paths = words();
  if (paths.length === 0) paths.push(".");
  const files = paths.flatMap((path) => [...filesBelow(path)]);

  // Below the guard, so that workers do not load a library for a bar they never
  // draw.
  const { ProgressBar } = await import("../progress.ts");
  using bar = new ProgressBar("files");
  const onProgress = (progress: Progress) => bar.update(progress);

  await using pool = new ctx.Pool();
  const problems: Hashed[] = [];
  for await (
    const hashed of pool.imap(hashFile, files, { chunkSize: 8, onProgress })
  ) {
    if (hashed.problem === null) {
      console.log(`${hashed.sha256}  ${hashed.path}`);
    } else problems.push(hashed);
  }
  bar.end();
  for (const { path, problem } of problems) {
    console.error(`${path}: ${problem}`);
  }
  return problems.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exitCode = await main();

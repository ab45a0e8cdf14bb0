/**
 * Rehearses the publishing of the package: JSR refuses types that it cannot see
 * without a type checker ("slow types"), files that are missing, and imports that
 * lead out of the package. Better here than on the day of a release.
 *
 * It works on a copy in a temporary folder. `links` point at folders inside of the
 * package that are not published, and Deno refuses that combination; in the copy
 * they stand beside the package.
 *
 * Run by `deno task publish:check`.
 *
 * @module
 */
import { basename, dirname, join } from "@std/path";
import { readConfig } from "./published_files.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");

/** Lists the files that git knows, or would with `git add --all`. */
async function listFiles(): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: ROOT,
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot list files: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout).split("\0").filter((file) => file !== "");
}

/** Copies a file; one that git knows and somebody has deleted is left out. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  try {
    await Deno.copyFile(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Lays the package and, beside it, what it links to; gives the package. */
async function layOut(folder: string): Promise<string> {
  const { links, ...config } = await readConfig(ROOT);
  const linked = new Map(links.map((link) => {
    const path = link.replace(/^\.\//, "");
    return [path, `linked/${basename(path)}`];
  }));
  for (const file of await listFiles()) {
    const [link, target] = [...linked].find(([path]) =>
      file.startsWith(`${path}/`)
    ) ?? ["", "package"];
    await copy(
      join(ROOT, file),
      join(folder, target, link === "" ? file : file.slice(link.length)),
    );
  }
  await Deno.writeTextFile(
    join(folder, "package", "deno.json"),
    JSON.stringify({
      ...config,
      links: [...linked.values()].map((path) => `../${path}`),
    }),
  );
  return join(folder, "package");
}

const folder = await Deno.makeTempDir();
let code: number;
try {
  const child = new Deno.Command(Deno.execPath(), {
    // The copy is no checkout, hence "dirty".
    args: ["publish", "--dry-run", "--allow-dirty"],
    cwd: await layOut(folder),
  }).spawn();
  ({ code } = await child.status);
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit(code);

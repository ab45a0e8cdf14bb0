/**
 * Says which files of the tree are published, from what `deno.json` says.
 *
 * @module
 */
import { join } from "@std/path";

/** The part of `deno.json` that the tools read. */
export interface PackageConfig {
  /** The doors of the package: export path to file. */
  exports: Record<string, string>;
  /** The stand-ins for packages. */
  links: string[];
  /** What is left out when publishing. */
  publish?: { exclude?: string[] };
}

/**
 * Reads the configuration of the package.
 *
 * @param root The folder with `deno.json` in it.
 * @returns What it says.
 */
export async function readConfig(root: string): Promise<PackageConfig> {
  return JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
}

/**
 * Finds the published source files.
 *
 * @param root The folder with `deno.json` in it.
 * @returns Their paths from there, sorted, with `/` on every system.
 */
export async function findPublishedFiles(root: string): Promise<string[]> {
  const excluded = new Set((await readConfig(root)).publish?.exclude);
  const files: string[] = [];
  async function visit(folder: string): Promise<void> {
    for await (const entry of Deno.readDir(join(root, folder))) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (excluded.has(path) || entry.name.startsWith(".")) continue;
      if (entry.isDirectory) await visit(path);
      else if (/\.[mc]?[jt]sx?$/.test(path)) files.push(path);
    }
  }
  await visit("");
  return files.sort();
}

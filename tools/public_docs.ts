/**
 * Looks after the documentation that users see in their editor.
 *
 * - `lint`: each symbol that can be reached through the exports of `deno.json` has
 *   a comment, and every type in its signature is exported, too.
 * - `test`: the snippets in the comments run, and what they assert is true. A
 *   snippet that has rotted is worse than none.
 *
 * It reads the files from `deno.json`, so that a new door is not forgotten here.
 *
 * Run by `deno task doc:lint` and `deno task test:doc`.
 *
 * @module
 */
import { join } from "@std/path";
import { findPublishedFiles, readConfig } from "./published_files.ts";

const ROOT = join(import.meta.dirname ?? ".", "..");

/** Deno takes a linked package for a part of this one: its types are ours, too. */
const LINKED_TYPES = ["tools/std/log/mod.ts"];

async function chooseArgs(mode: string | undefined): Promise<string[]> {
  switch (mode) {
    case "lint": {
      const { exports } = await readConfig(ROOT);
      return ["doc", "--lint", ...Object.values(exports), ...LINKED_TYPES];
    }
    case "test":
      return ["test", "--allow-all", "--doc", ...await findFilesWithSnippets()];
    default:
      throw new TypeError(`Cannot do "${mode}": say "lint" or "test"`);
  }
}

async function findFilesWithSnippets(): Promise<string[]> {
  const found: string[] = [];
  for (const file of await findPublishedFiles(ROOT)) {
    const text = await Deno.readTextFile(join(ROOT, file));
    if (/^\s*\* ```ts$/m.test(text)) found.push(file);
  }
  return found;
}

const child = new Deno.Command(Deno.execPath(), {
  args: await chooseArgs(Deno.args[0]),
  cwd: ROOT,
}).spawn();
Deno.exit((await child.status).code);

/**
 * Looks after the documentation that users see in their editor.
 *
 * - `lint`: each symbol that can be reached through the exports of `deno.json` has
 *   a comment, and every type in its signature is exported, too. Each class,
 *   function and constant has an example.
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

/** What has to be shown: the rest is types, whose use is shown with these. */
const SHOWN_KINDS = ["class", "function", "variable"];

/** The part of `deno doc --json` that is read here. */
interface DocJson {
  nodes: Record<string, { symbols: DocSymbol[] }>;
}

interface DocSymbol {
  name: string;
  declarations: Array<{
    kind: string;
    location: { filename: string; line: number };
    jsDoc?: { doc?: string; tags?: Array<{ kind: string }> };
  }>;
}

/**
 * Finds what has no example.
 *
 * @param json What `deno doc --json` printed.
 * @returns A line for each.
 */
export function findWithoutExample(json: string): string[] {
  const { nodes }: DocJson = JSON.parse(json);
  const found = new Set<string>();
  for (const { symbols } of Object.values(nodes)) {
    for (const { name, declarations } of symbols) {
      const shown = declarations.filter(({ kind }) =>
        SHOWN_KINDS.includes(kind)
      );
      // One of several overloads is enough.
      const hasExample = shown.some(({ jsDoc }) =>
        jsDoc?.tags?.some(({ kind }) => kind === "example") ||
        jsDoc?.doc?.includes("```ts\n")
      );
      if (shown.length === 0 || hasExample) continue;
      const { filename, line } = shown[0]!.location;
      if (LINKED_TYPES.some((file) => filename.endsWith(file))) continue;
      found.add(`${filename}:${line + 1} ${name} has no example`);
    }
  }
  return [...found].sort();
}

async function deno(
  args: readonly string[],
  stdout: "inherit" | "piped",
): Promise<{ code: number; text: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    stdout,
  }).spawn();
  const text = stdout === "piped"
    ? await new Response(child.stdout).text()
    : "";
  return { code: (await child.status).code, text };
}

async function lint(): Promise<number> {
  const { exports } = await readConfig(ROOT);
  const doors = Object.values(exports);
  const linted = await deno(
    ["doc", "--lint", ...doors, ...LINKED_TYPES],
    "inherit",
  );
  if (linted.code !== 0) return linted.code;
  const { code, text } = await deno(["doc", "--json", ...doors], "piped");
  if (code !== 0) return code;
  const missing = findWithoutExample(text);
  for (const line of missing) console.error(line);
  return missing.length === 0 ? 0 : 1;
}

async function test(): Promise<number> {
  const files: string[] = [];
  for (const file of await findPublishedFiles(ROOT)) {
    const text = await Deno.readTextFile(join(ROOT, file));
    if (/^\s*\* ```ts$/m.test(text)) files.push(file);
  }
  return (await deno(["test", "--allow-all", "--doc", ...files], "inherit"))
    .code;
}

if (import.meta.main) {
  const mode = Deno.args[0];
  if (mode === "lint") Deno.exit(await lint());
  if (mode === "test") Deno.exit(await test());
  throw new TypeError(`Cannot do "${mode}": say "lint" or "test"`);
}

/**
 * Takes the snippets out of the guides, so that they can be checked and run: a
 * guide that has rotted is worse than none.
 *
 * A block that is fenced with `ts` is a module. The word behind says more:
 *
 * - nothing: it is type-checked and run, and has to end with 0. Each
 *   `console.log(…); // text` in it has to print that text, in that order.
 * - `check`: it is only type-checked, as it shows something that fails, or needs
 *   what is not here.
 * - `ignore`: it is not looked at, as it is no module.
 *
 * A block that begins with `// name.ts` is a file that the other blocks of its guide
 * can import.
 *
 * @module
 */
import { dirname, join, toFileUrl } from "@std/path";
import { readConfig } from "./published_files.ts";

/** A snippet of a guide. */
export interface Snippet {
  /** The guide, from the root of the tree. */
  readonly guide: string;
  /** Line of the guide on which it starts, counted from 1. */
  readonly line: number;
  /** What its file is called. */
  readonly file: string;
  /** Whether it is to be run, too. */
  readonly runs: boolean;
  /** Its text, as in the guide. */
  readonly text: string;
  /** What it is to print, if it says so. */
  readonly output: readonly string[];
}

const FENCE_REGEXP = /^( *)```(\w*)(?: (.*))?$/;
const NAME_REGEXP = /^\/\/ (\w+\.ts)$/;
const OUTPUT_REGEXP = /^\s*console\.log\(.*\); \/\/ (.*)$/;

/**
 * Finds the snippets of a guide.
 *
 * @param guide Its path from the root of the tree.
 * @param markdown Its text.
 * @throws {SyntaxError} If it says something of a snippet that has no meaning.
 */
export function findSnippets(guide: string, markdown: string): Snippet[] {
  const snippets: Snippet[] = [];
  const lines = markdown.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const [, margin, language, mode] = lines[i]!.match(FENCE_REGEXP) ?? [];
    if (language === undefined) continue;
    const start = i + 1;
    while (++i < lines.length && lines[i] !== `${margin}\`\`\``);
    if (language !== "ts" || mode === "ignore") continue;
    if (mode !== undefined && mode !== "check") {
      throw new SyntaxError(
        `${guide}:${start} Cannot understand "${mode}": say "check" or "ignore"`,
      );
    }
    const body = lines.slice(start, i).map((line) =>
      line.slice(margin!.length)
    );
    snippets.push({
      guide,
      line: start,
      file: body[0]?.match(NAME_REGEXP)?.[1] ?? `line_${start}.ts`,
      runs: mode === undefined,
      text: body.join("\n") + "\n",
      output: body.flatMap((line) => line.match(OUTPUT_REGEXP)?.[1] ?? []),
    });
  }
  return snippets;
}

/**
 * Finds the guides of a tree: `README.md` and all in `docs/` and `examples/`.
 *
 * @param root The folder with `deno.json` in it.
 */
export async function findGuides(root: string): Promise<string[]> {
  const guides = ["README.md"];
  for (const folder of ["docs", "examples"]) {
    for await (const { name } of Deno.readDir(join(root, folder))) {
      if (name.endsWith(".md")) guides.push(`${folder}/${name}`);
    }
  }
  return guides.sort();
}

/**
 * Writes the snippets of a guide where they can be run from.
 *
 * @param root The folder with `deno.json` in it.
 * @param snippets What {@linkcode findSnippets} gave.
 * @param folder Where to write them.
 */
export async function layOut(
  root: string,
  snippets: readonly Snippet[],
  folder: string,
): Promise<void> {
  const config = await readConfig(root) as
    & { name?: string }
    & Awaited<
      ReturnType<typeof readConfig>
    >;
  const doors = new Map(
    Object.entries(config.exports).map(([door, file]) => [
      door.replace(/^\./, config.name ?? ""),
      toFileUrl(join(root, file)).href,
    ]),
  );
  for (const { guide, file, text } of snippets) {
    // The package by its name, and files beside the guide: neither is there.
    const placed = text.replaceAll(
      /(from |import\(|import )"([^"]+)"/g,
      (whole, before: string, specifier: string) => {
        const door = doors.get(specifier.replace(/^jsr:/, ""));
        if (door) return `${before}"${door}"`;
        if (!specifier.startsWith("../")) return whole;
        const path = join(root, dirname(guide), specifier);
        return `${before}"${toFileUrl(path).href}"`;
      },
    );
    await Deno.writeTextFile(join(folder, file), placed);
  }
}

/** The snippets in the guides are right: they pass the type checker, and run. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { findGuides, findSnippets, layOut } from "../../tools/guides.ts";
import type { Snippet } from "../../tools/guides.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const CONFIG = join(ROOT, "deno.json");

const guides = new Map<string, Snippet[]>();
for (const guide of await findGuides(ROOT)) {
  const text = await Deno.readTextFile(join(ROOT, guide));
  const snippets = findSnippets(guide, text);
  if (snippets.length > 0) guides.set(guide, snippets);
}

async function deno(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

Deno.test("there are guides with snippets", () => {
  assert(guides.size > 3, `${[...guides.keys()]}`);
});

Deno.test("the snippets of the guides are right", async (test) => {
  const folder = await Deno.makeTempDir({ prefix: "guides_" });
  const paths = new Map<Snippet, string>();
  try {
    for (const [guide, snippets] of guides) {
      const inside = join(folder, guide.replaceAll("/", "_"));
      await Deno.mkdir(inside);
      await layOut(ROOT, snippets, inside);
      for (const snippet of snippets) {
        paths.set(snippet, join(inside, snippet.file));
      }
    }
    // At once, as the checker takes its time to begin.
    await test.step("all have the right types", async () => {
      const { code, stderr } = await deno(
        "check",
        "--no-lock",
        "--config",
        CONFIG,
        ...paths.values(),
      );
      assertEquals(code, 0, stderr);
    });
    for (const [{ guide, line, runs, output }, path] of paths) {
      if (!runs) continue;
      await test.step(`${guide}:${line} runs`, async () => {
        const { code, stdout, stderr } = await deno(
          "run",
          "--quiet",
          "--no-lock",
          "--no-check",
          "--allow-all",
          "--config",
          CONFIG,
          path,
        );
        assertEquals(code, 0, stderr);
        if (output.length === 0) return;
        assertEquals(stdout.trimEnd().split("\n"), output, stderr);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** Words of places that only whoever wrote the text could look at. */
const FOREIGN_REGEXP = new RegExp(
  [
    "BEHAV" + "IOURS\\b",
    "DESIGN" + "\\.md",
    "STYLE" + "\\.md",
    "PEERS" +
    "\\.md",
    "/work" + "/",
    "/home" + "/\\w+",
    "/root" + "/",
  ].join("|"),
);

Deno.test("no file speaks of documents and folders that are not here", async () => {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "-z"],
    cwd: ROOT,
  }).output();
  const found: string[] = [];
  for (const file of new TextDecoder().decode(stdout).split("\0")) {
    if (!/\.(ts|md|json|yml)$/.test(file)) continue;
    const text = await Deno.readTextFile(`${ROOT}${file}`).catch(() => "");
    for (const [i, line] of text.split("\n").entries()) {
      if (FOREIGN_REGEXP.test(line)) found.push(`${file}:${i + 1} ${line}`);
    }
  }
  assertEquals(found, []);
});

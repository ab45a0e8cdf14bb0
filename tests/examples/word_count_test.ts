import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

const EXAMPLE = new URL("../../examples/word_count.ts", import.meta.url);
/** What the README says the program needs, and not one flag more. */
const FLAGS = ["--allow-read", "--allow-run", "--allow-ffi", "--no-prompt"];

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(...args: string[]): Promise<Run> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--config", config, ...FLAGS, EXAMPLE.href, ...args],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** A folder with three files of text, one of bytes and one nobody may read. */
async function withFolder(
  body: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/a.txt`,
      "one two two three three three",
    );
    await Deno.writeTextFile(`${folder}/b.txt`, "Three, TWO; don’t");
    await Deno.mkdir(`${folder}/sub`);
    await Deno.writeTextFile(`${folder}/sub/c.md`, "");
    await Deno.writeFile(`${folder}/d.bin`, new Uint8Array([1, 0, 2]));
    await Deno.writeFile(`${folder}/e.txt`, new Uint8Array([0xff, 0x41]));
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const method of ["spawn", "worker", "none"]) {
  Deno.test(`word_count counts the same words and names what it skips (${method})`, async () => {
    await withFolder(async (folder) => {
      const { code, stdout, stderr } = await run("--method", method, folder);
      assertEquals(stderr, "");
      assertEquals(code, 0);
      assertMatch(
        stdout,
        /^ +4 {2}three\n +3 {2}two\n +1 {2}don’t\n +1 {2}one\n/,
      );
      assertStringIncludes(stdout, "9 words, 4 of them different, in 3 files");
      assertStringIncludes(stdout, "2 files were not counted");
      assertStringIncludes(stdout, `${folder}/d.bin is not text`);
      assertStringIncludes(stdout, `${folder}/e.txt is not UTF-8`);
    });
  });
}

Deno.test("word_count --compare finds the three totals of this repository equal", async () => {
  const { code, stdout } = await run("--compare", "--processes", "2");
  assertStringIncludes(stdout, "All three totals are equal.");
  assertEquals(code, 0);
});

for (
  const [args, message] of [
    [["--method", "fork"], "--method is spawn, worker or none"],
    [["--processes", "0"], "--processes is a whole number of at least 1"],
    [["--fast"], 'there is no option "--fast"'],
    [["/no/such/folder"], '"/no/such/folder" cannot be read'],
  ] as const
) {
  Deno.test(`word_count refuses ${args.join(" ")} and says why`, async () => {
    const { code, stdout, stderr } = await run(...args);
    assertEquals(stdout, "");
    assertStringIncludes(stderr, message);
    assertEquals(code, 2);
  });
}

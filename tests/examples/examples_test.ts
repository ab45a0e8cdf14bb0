/** The examples print what they should, with the permissions they document. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { drawRow, takeImage } from "../../examples/mandelbrot.ts";
import { RawArray } from "../../primitives/mod.ts";
import { findPythons } from "../network/_python.ts";
import { runExample } from "./_example.ts";

const METHODS = ["spawn", "worker"] as const;
const SPAWN = ["--allow-read", "--allow-run", "--allow-ffi"];

/** What an example documents for a start method. */
function permissions(method: string, ...more: string[]): string[] {
  return [...(method === "spawn" ? SPAWN : ["--allow-read"]), ...more];
}

async function withFolder(
  body: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const method of METHODS) {
  Deno.test(`hash_files gives the hashes, in order, and names what it cannot read (${method})`, async () => {
    await withFolder(async (folder) => {
      const expected: string[] = [];
      await Deno.mkdir(`${folder}/sub`);
      for (let i = 0; i < 30; i++) {
        const path = `${folder}/${i % 3 === 0 ? "sub/" : ""}${i}.bin`;
        const bytes = new Uint8Array(i * 50_000).fill(i);
        await Deno.writeFile(path, bytes);
        const hash = createHash("sha256").update(bytes).digest("hex");
        expected.push(`${hash}  ${path}`);
      }
      // A socket cannot be opened; nor can it be read by root.
      using _listener = Deno.listen({
        transport: "unix",
        path: `${folder}/socket`,
      });
      const pathOf = (line: string) => line.slice(66);
      const before = (a: string, b: string) => pathOf(a) < pathOf(b) ? -1 : 1;

      const end = await runExample(
        "hash_files.ts",
        ["--method", method, folder, `${folder}/socket`],
        permissions(method),
      );
      assertEquals(end.texts, expected.toSorted(before));
      assertMatch(end.stderr, /^\S+\/socket: \w+\n$/);
      assertEquals(end.code, 1);
    });
  });

  Deno.test(`mandelbrot draws the same picture as one thread does (${method})`, async () => {
    await withFolder(async (folder) => {
      const size = 120;
      const out = `${folder}/picture.pgm`;
      const end = await runExample(
        "mandelbrot.ts",
        ["--method", method, "--size", `${size}`, "--out", out],
        permissions(method, `--allow-write=${out}`),
      );
      assertEquals(end.stderr, "");
      assertEquals(end.texts, [`${out}: ${size} x ${size}`]);

      const here = new RawArray("B", size * size);
      takeImage(here, size);
      for (let y = 0; y < size; y++) drawRow(y);
      const head = new TextEncoder().encode(`P5\n${size} ${size}\n255\n`);
      const file = await Deno.readFile(out);
      assertEquals(file.subarray(0, head.length), head);
      assertEquals(file.subarray(head.length), here.view.slice());
      // It is a picture: the set is in its middle, and the corners are not of it.
      assertEquals(here.at(size * (size / 2) + size * 0.75 | 0), 255);
      assert(here.at(0)! < 64);
    });
  });

  Deno.test(`mandelbrot prints a picture of letters (${method})`, async () => {
    const { texts, stderr, code } = await runExample(
      "mandelbrot.ts",
      ["--method", method, "--size", "20"],
      permissions(method),
    );
    assertEquals([stderr, code, texts.length], ["", 0, 20]);
    assertMatch(texts[10]!, /@{10}/);
    // The set is its own mirror image.
    assertEquals(texts.slice(10), texts.slice(0, 10).reverse());
  });

  Deno.test(`worker_farm tells what became of each page (${method})`, async () => {
    const { texts, stderr, code } = await runExample(
      "worker_farm.ts",
      ["--method", method, "--pages", "20"],
      permissions(method, "--allow-net=127.0.0.1"),
    );
    assertEquals([stderr, code], ["", 0]);
    // Of ten pages 3 is there at the third try, 5 never answers, 7 and 8 harm
    // whoever reads them, and 9 is not there. Page n has n words, page 0 one.
    assertEquals(texts, [
      "   2 failed",
      "  12 fetched",
      "   2 killed its worker",
      "   4 too slow",
      "93 words",
      "4 workers had died, 4 were stopped",
    ]);
  });
}

for (const method of METHODS) {
  Deno.test(`shared_manager has its jobs done by another program (${method})`, async () => {
    const { texts, stderr, code } = await runExample(
      "shared_manager.ts",
      ["--method", method],
      [...SPAWN, "--allow-net=127.0.0.1"],
    );
    assertEquals([stderr, code], ["", 0]);
    assertEquals(texts, [
      "The other program has done 5 jobs",
      "4 primes up to 10",
      "25 primes up to 100",
      "168 primes up to 1000",
      "1229 primes up to 10000",
      "9592 primes up to 100000",
    ]);
  });
}

for (
  const [example, args, message] of [
    ["shared_manager.ts", ["use"], "The first word is serve, or use"],
    ["mandelbrot.ts", ["--size", "big"], "--size is a whole number"],
    ["worker_farm.ts", ["--pages"], "--pages needs a value"],
    ["hash_files.ts", ["--method", "fork"], "--method is spawn or worker"],
  ] as const
) {
  Deno.test(`${example} refuses ${args.join(" ")} and says why`, async () => {
    const { texts, stderr, code } = await runExample(example, args);
    assertEquals([texts, code], [[], 2]);
    assert(stderr.startsWith(message), stderr);
  });
}

for (const { path, version } of await findPythons()) {
  Deno.test(`talk_to_python gives jobs to Python ${version} and prints the answers`, async () => {
    const { texts, stderr, code } = await runExample(
      "talk_to_python.ts",
      [path],
      ["--allow-read", "--allow-write", "--allow-net", `--allow-run=${path}`],
    );
    assertEquals([stderr, code], ["", 0]);
    assertEquals(texts, [
      "{ id: 1, mean: 3, python: 3 }",
      "{ id: 2, mean: 4, python: 3 }",
      "{ id: 3, mean: 5, python: 3 }",
      "Python has ended with 0",
    ]);
  });
}

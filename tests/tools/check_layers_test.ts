import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { checkLayers } from "../../tools/check_layers.ts";

/** Lays a tree of files in a temporary folder and gives what is wrong with it. */
async function check(files: Record<string, string>): Promise<string[]> {
  const root = await Deno.makeTempDir();
  try {
    const config = { publish: { exclude: ["tests", "tools"] } };
    const all = { "deno.json": JSON.stringify(config), ...files };
    for (const [path, text] of Object.entries(all)) {
      await Deno.mkdir(dirname(join(root, path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    return await checkLayers(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("checkLayers() accepts imports that point down", async () => {
  const found = await check({
    "mod.ts": `export * from "./pool/mod.ts"; export * from "./logging.ts";`,
    "pool/mod.ts": `import "../contexts/mod.ts"; import "./_task.ts";`,
    "pool/_task.ts": `import "../memory/mod.ts";`,
    "contexts/mod.ts": `import "../primitives/mod.ts";`,
    "primitives/mod.ts": `import "../memory/mod.ts"; import "../codec/mod.ts";`,
    "memory/mod.ts": `import "../errors.ts"; import "../_log.ts";`,
    "codec/mod.ts": `import "../errors.ts";`,
    "_log.ts": `export const load = () => import("./logging.ts");`,
    "logging.ts": `import "./_log.ts"; import "@std/log";`,
    "errors.ts": "",
  });

  assertEquals(found, []);
});

Deno.test("checkLayers() refuses a value from above, with file and line", async () => {
  const found = await check({
    "memory/ring.ts":
      `// A comment\nimport { Pool } from "../pool/mod.ts";\nPool;`,
    "pool/mod.ts": "export const Pool = 1;",
  });

  assertEquals(found, [
    'memory/ring.ts:2 Cannot import "pool/mod.ts" as memory may import only: errors.ts, _log.ts',
  ]);
});

Deno.test("checkLayers() refuses a re-export from above", async () => {
  const found = await check({
    "contexts/mod.ts": `export * from "../pool/mod.ts";`,
    "pool/mod.ts": "export const Pool = 1;",
  });

  assertEquals(found.length, 1);
});

Deno.test("checkLayers() lets import type look up", async () => {
  const found = await check({
    "contexts/mod.ts": `import type { Pool } from "../pool/mod.ts";
      export type { Pool } from "../pool/mod.ts";
      export type Made = typeof import("../pool/mod.ts") | Pool;`,
    "pool/mod.ts": "export type Pool = 1;",
  });

  assertEquals(found, []);
});

Deno.test("checkLayers() refuses what looks like an import type but loads the file", async () => {
  const found = await check({
    "contexts/mod.ts": `import { type Pool } from "../pool/mod.ts";
      export const pool: Pool = 1;`,
    "pool/mod.ts": "export type Pool = 1;",
  });

  assertEquals(found.length, 1);
});

Deno.test("checkLayers() refuses imports between siblings", async () => {
  const found = await check({
    "memory/mod.ts": `import "../codec/mod.ts";`,
    "codec/mod.ts": "",
    "pool/mod.ts": `import "../managers/mod.ts";`,
    "managers/mod.ts": `import "../network/mod.ts";`,
    "network/mod.ts": "",
  });

  assertEquals(found, [
    'memory/mod.ts:1 Cannot import "codec/mod.ts" as memory may import only: errors.ts, _log.ts',
    'pool/mod.ts:1 Cannot import "managers/mod.ts" as pool may import only: errors.ts, _log.ts, memory, codec, primitives, contexts',
  ]);
});

Deno.test("checkLayers() refuses import() of what is above", async () => {
  const found = await check({
    "memory/mod.ts": `export const load = () => import("../contexts/mod.ts");`,
    "contexts/mod.ts": "",
  });

  assertEquals(found.length, 1);
});

Deno.test("checkLayers() refuses _file.ts outside of its folder, even for types", async () => {
  const found = await check({
    "contexts/mod.ts": `import type { Words } from "../memory/_words.ts";
      export type Some = Words;`,
    "contexts/spawn/child.ts": `import "../_start.ts";`,
    "contexts/_start.ts": `import "../_log.ts";`,
    "memory/_words.ts": "export type Words = 1;",
    "_log.ts": "",
  });

  assertEquals(found, [
    'contexts/mod.ts:1 Cannot import "memory/_words.ts" as a file with "_" belongs to its folder',
  ]);
});

Deno.test("checkLayers() tells a circle once, as a path", async () => {
  const found = await check({
    "memory/a.ts": `import "./b.ts";`,
    "memory/b.ts": `import "./c.ts";`,
    "memory/c.ts": `import "./a.ts";`,
    "memory/d.ts": `import "./a.ts";`,
  });

  assertEquals(found, [
    "Cannot have a circle of imports: memory/a.ts -> memory/b.ts -> memory/c.ts -> memory/a.ts",
  ]);
});

Deno.test("checkLayers() accepts a circle that is closed by a type", async () => {
  const found = await check({
    "memory/a.ts": `import { b } from "./b.ts"; export type A = typeof b;`,
    "memory/b.ts": `import type { A } from "./a.ts"; export const b = 1 as A;`,
  });

  assertEquals(found, []);
});

Deno.test("checkLayers() refuses packages that users would have to fetch", async () => {
  const found = await check({
    "codec/a.ts": `import "npm:msgpackr";`,
    "codec/b.ts": `import "https://example.com/x.ts";`,
    "codec/c.ts": `import { assert } from "@std/assert"; assert(1);`,
    "codec/d.ts": `import { join } from "@std/path"; join("a");`,
  });

  assertEquals(found, [
    'codec/a.ts:1 Cannot import "npm:msgpackr" as it is not in EXTRAS for this file',
    'codec/b.ts:1 Cannot import "https://example.com/x.ts" as it is not in EXTRAS for this file',
    'codec/c.ts:1 Cannot import "@std/assert" as it is for tests and snippets',
  ]);
});

Deno.test("checkLayers() keeps @std/log behind logging.ts, and that behind mod.ts", async () => {
  const found = await check({
    "contexts/mod.ts": `import "../logging.ts"; import "@std/log/levels";`,
    "logging.ts": `import "@std/log";`,
  });

  assertEquals(found, [
    'contexts/mod.ts:1 Cannot import "logging.ts" as contexts may import only: errors.ts, _log.ts, memory, codec, primitives',
    'contexts/mod.ts:1 Cannot import "@std/log/levels" as it is for logging.ts only',
  ]);
});

Deno.test("checkLayers() refuses node: where it is not listed, types aside", async () => {
  const found = await check({
    "memory/a.ts": `import { cpus } from "node:os"; cpus();`,
    "memory/b.ts": `import type { Worker } from "node:worker_threads";
      export type W = Worker;`,
    "codec/_kinds.ts": `import { isProxy } from "node:util/types"; isProxy;`,
  });

  assertEquals(found, [
    'memory/a.ts:1 Cannot import "node:os" as it is not in EXTRAS for this file',
  ]);
});

Deno.test("checkLayers() refuses a file in no known room, and imports from tests", async () => {
  const found = await check({
    "extras/mod.ts": `import "../memory/mod.ts";`,
    "memory/mod.ts": `import "../tests/gate.ts";`,
    "tests/gate.ts": `import "../extras/mod.ts";`,
  });

  assertEquals(found, [
    'extras/mod.ts:1 Cannot place "extras/mod.ts" as its room is not in MAY_IMPORT',
    'memory/mod.ts:1 Cannot import "tests/gate.ts" as memory may import only: errors.ts, _log.ts',
  ]);
});

Deno.test("checkLayers() reports a file that Deno cannot read", async () => {
  const found = await check({ "memory/mod.ts": `import { from` });

  assertEquals(found.length, 1);
  assertEquals(found[0]?.startsWith("memory/mod.ts: "), true);
});

Deno.test("checkLayers() keeps out of a child what it may never need", async () => {
  const found = await check({
    "contexts/spawn_child.ts": `import "./_child.ts";`,
    "contexts/_child.ts": `import "../primitives/wire.ts";
      export const start = () => import("./process.ts");`,
    "contexts/process.ts": `import "../primitives/mod.ts";`,
    "primitives/mod.ts": "",
    "primitives/wire.ts": `import "../codec/encoder.ts";
      import type { Ring } from "../memory/ring.ts";
      export type { Ring };`,
    "codec/encoder.ts": "",
    "memory/ring.ts": "export type Ring = 1;",
  });

  assertEquals(found, [
    'Cannot have a child load "codec/encoder.ts" at once: contexts/spawn_child.ts -> contexts/_child.ts -> primitives/wire.ts -> codec/encoder.ts',
  ]);
});

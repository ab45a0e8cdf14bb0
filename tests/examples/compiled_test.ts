/**
 * A compiled program. It can be made only where Deno can fetch what it is made of;
 * elsewhere that test is skipped, and its name says so. Beside it the same program
 * takes the same path without being compiled, everywhere; `standalone_test.ts` looks
 * at that path in detail.
 */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { once } from "../_support/contract.ts";
import { describeEnd, runProgram } from "../_support/program.ts";
import { runExample } from "./_example.ts";

const APP = new URL("../../examples/compiled_app.ts", import.meta.url);
const FORCE = import.meta.resolve("../fixtures/force_standalone.ts");
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const PERMISSIONS = ["--allow-read", "--allow-run", "--allow-ffi"];
const OUTPUT = [
  "spawn: adder says 385, exit 0",
  "worker: adder says 385, exit 0",
];
/** Compiling takes a second; fetching what it takes may take longer. */
const COMPILE_MS = 120_000;

async function compile(
  module: string,
  output: string,
  signal: AbortSignal,
): Promise<string | null> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--no-lock",
      "--config",
      CONFIG,
      ...PERMISSIONS,
      "--output",
      output,
      module,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal,
  }).output();
  return success ? null : new TextDecoder().decode(stderr);
}

/** Why nothing can be compiled here; `null` if it can. */
async function obstacle(): Promise<string | null> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/empty.ts`, "");
    const signal = AbortSignal.timeout(COMPILE_MS);
    const error = await compile(
      `${folder}/empty.ts`,
      `${folder}/empty`,
      signal,
    );
    if (error === null) return null;
    if (signal.aborted) {
      return "fetching what Deno compiles with takes too long";
    }
    // Any other failure is one of the test.
    return /base binary|denort/.test(error)
      ? "what Deno compiles with cannot be fetched here"
      : null;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const reason = await obstacle();

Deno.test({
  name: `compiled_app runs when it is compiled${
    reason === null ? "" : ` (skipped: ${reason})`
  }`,
  ignore: reason !== null,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const app = join(folder, "app");
      const signal = AbortSignal.timeout(COMPILE_MS);
      assertEquals(await compile(APP.href, app, signal), null);
      const { code, stdout, stderr } = await new Deno.Command(app, {
        args: ["10"],
        // Nothing of this repository is near, and no Deno is on the path.
        cwd: folder,
        env: { NO_COLOR: "1", PATH: "" },
        stdin: "null",
        signal: AbortSignal.timeout(60_000),
      }).output();
      const text = new TextDecoder();
      assertEquals(text.decode(stderr), "");
      assertEquals(text.decode(stdout).trim().split("\n"), OUTPUT);
      assertEquals(code, 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

once("compiled_app takes the path of compiled programs", async () => {
  const end = await runProgram(
    `
    import "${FORCE}";
    import { main } from "${APP.href}";
    if (import.meta.main) await main(Deno.args);
  `,
    { args: ["10"] },
  );
  assertEquals(end.stderr, "", describeEnd(end));
  assertEquals(end.stdout.trim().split("\n"), OUTPUT);
  assertEquals([end.code, end.left], [0, []]);
});

Deno.test("compiled_app runs uncompiled", async () => {
  const { texts, stderr, code } = await runExample("compiled_app.ts", ["10"]);
  assertEquals([texts, stderr, code], [OUTPUT, "", 0]);
});

/**
 * The package as its users get it: loaded from a server, by a program that lies
 * somewhere else and has a cache of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { contract } from "../_support/contract.ts";
import { describeEnd, runProgram } from "../_support/program.ts";

const ROOT = new URL("../../", import.meta.url);

/** Serves the package to this machine, and a program if there is one. */
function servePackage(program?: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const text = pathname === "/program.ts"
        ? program
        : await Deno.readTextFile(new URL(`.${pathname}`, ROOT));
      return new Response(text, {
        headers: { "content-type": "application/typescript" },
      });
    },
  );
}

/** What a program has to be allowed that is loaded from such a server. */
function flagsFor(port: number): string[] {
  return [
    "run",
    "--allow-read",
    "--allow-run",
    "--allow-ffi",
    "--allow-net",
    `--allow-import=127.0.0.1:${port}`,
  ];
}

/** Where the package finds what the registry would give it. */
function configuration(): string {
  const log = new URL("tools/std/log/mod.ts", ROOT).href;
  const imports = Object.fromEntries(
    ["base-handler", "console-handler", "get-logger", "levels", "logger"]
      .map((name) => [`@std/log/${name}`, log]),
  );
  return JSON.stringify({ imports });
}

contract(
  "A program that has the package from a server starts all kinds of children",
  async (ctx) => {
    await using server = servePackage();
    const { port } = server.addr;
    const end = await runProgram(
      `
      import { getContext, sleep } from "http://127.0.0.1:${port}/mod.ts";
      import { addOne, square } from "./tasks.ts";
      if (import.meta.main) {
        const ctx = getContext("${ctx.getStartMethod()}");
        ctx.logToStderr("ERROR");
        await using pool = new ctx.Pool(2);
        console.log(await pool.map(square, [1, 2, 3]));
        // What a child does not load before it is sent some.
        const total = new ctx.Value("i", 5);
        await pool.apply(addOne, [total]);
        const process = new ctx.Process({ target: addOne, args: [total] });
        process.start();
        console.log(await process.exited, total.value);
        const pause = new ctx.Process({ target: sleep, args: [1] });
        pause.start();
        console.log(await pause.exited);
        await using manager = await ctx.Manager();
        const list = await manager.list([1]);
        await pool.apply(addOne, [list]);
        console.log(await list.copy());
      }
    `,
      {
        flags: flagsFor(port),
        config: null,
        cwd: (folder) => folder,
        env: { DENO_DIR: "cache" },
        files: {
          "deno.json": configuration(),
          // Knows nothing of the package.
          "tasks.ts": `
          export const square = (x: number) => x * x;
          interface Shared {
            append?(x: number): Promise<void>;
            withLock?(add: () => void): Promise<void>;
            value: number;
          }
          export async function addOne(shared: Shared): Promise<void> {
            if (shared.append) await shared.append(1);
            else await shared.withLock!(() => void shared.value++);
          }
        `,
        },
      },
    );
    assertEquals(end.code, 0, describeEnd(end));
    assertEquals(
      end.stdout,
      "[ 1, 4, 9 ]\n0 7\n0\n[ 1, 1 ]\n",
      describeEnd(end),
    );
  },
  // It loads all there is, and compiles it.
  { limitMs: 90_000 },
);

contract(
  "MAIN-02 a program that comes from a server itself",
  async (ctx) => {
    await using server = servePackage(`
      import { getContext } from "./mod.ts";
      export const square = (x: number) => x * x;
      if (import.meta.main) {
        const ctx = getContext("${ctx.getStartMethod()}");
        await using pool = new ctx.Pool(1);
        console.log(await pool.map(square, [1, 2, 3]));
        const process = new ctx.Process({ target: square, args: [1] });
        process.start();
        console.log(await process.exited);
      }
    `);
    const { port } = server.addr;
    const end = await runProgram("", {
      main: () => `http://127.0.0.1:${port}/program.ts`,
      // Deno looks for none where the program is not a file.
      flags: [...flagsFor(port), "--config=deno.json"],
      config: null,
      cwd: (folder) => folder,
      env: { DENO_DIR: "cache" },
      files: { "deno.json": configuration() },
    });
    assertEquals(end.stdout, "[ 1, 4, 9 ]\n0\n", describeEnd(end));
  },
  { limitMs: 90_000 },
);

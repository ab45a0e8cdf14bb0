import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { relative } from "@std/path";
import { contract } from "../_support/contract.ts";
import { describeEnd, runProgram } from "../_support/program.ts";
import type { ProgramOptions } from "../_support/program.ts";

/** The front door. */
const FRONT_DOOR = import.meta.resolve("../../mod.ts");
/** Where the stand-ins for `@std` are. */
const STD = new URL("../../tools/std/", import.meta.url).pathname;

/** A main module that squares three numbers. */
function squares(method: string, door = FRONT_DOOR): string {
  return `
    import { getContext } from "${door}";
    export function f(x: number): number { return x * x; }
    if (import.meta.main) {
      const pool = new (getContext("${method}").Pool)(2);
      console.log("${method} ->", await pool.mapAsync(f, [1, 2, 3]));
      pool.close();
      await pool.join();
    }
  `;
}

/** A configuration that leads to the library under a name of its own. */
const OWN_CONFIG = JSON.stringify({
  imports: {
    multiprocessing: FRONT_DOOR,
    "@std/assert": "jsr:@std/assert@^1",
    "@std/async": "jsr:@std/async@^1",
    "@std/log": "jsr:@std/log@^0.224.14",
    "@std/path": "jsr:@std/path@^1",
  },
  links: ["assert", "async", "log", "path"].map((name) => `${STD}${name}`),
  tasks: { squares: "deno run --quiet -A main.ts" },
});

const files = { "deno.json": OWN_CONFIG };
const WAYS: Record<string, ProgramOptions & { door?: string }> = {
  "its path": {},
  "a relative path from elsewhere": {
    cwd: () => "/usr",
    main: (folder) => relative("/usr", `${folder}/main.ts`),
  },
  "a file: URL": { main: (folder) => `file://${folder}/main.ts` },
  "no subcommand": { flags: ["-A"] },
  "flags in one word": {
    flags: ["run", "-RN", "--allow-ffi", "--allow-run", "-S", "--no-prompt"],
  },
  "flags whose values follow": {
    flags: ["run", "--seed", "1", "--location", "http://localhost/", "-A"],
  },
  "a configuration of its own": {
    files,
    config: null,
    door: "multiprocessing",
  },
  "a configuration of its own, from elsewhere": {
    files,
    config: null,
    cwd: () => "/usr",
    door: "multiprocessing",
  },
  "a configuration named by a relative path": {
    files: { "sub/deno.json": OWN_CONFIG },
    config: "sub/deno.json",
    door: "multiprocessing",
  },
  "deno task": {
    files,
    config: null,
    flags: ["task"],
    main: () => "squares",
    door: "multiprocessing",
  },
};

for (const [way, { door, ...options }] of Object.entries(WAYS)) {
  contract(`MAIN-02 a program that is started by ${way}`, async (ctx) => {
    const method = ctx.getStartMethod();
    const end = await runProgram(squares(method, door), options);
    assertEquals(end.stdout, `${method} -> [ 1, 4, 9 ]\n`, describeEnd(end));
    assertEquals(end.stderr, "");
    assertEquals(end.code, 0);
    assertEquals(end.left, []);
  });
}

contract("MAIN-02 a main module with a top-level await", async (ctx) => {
  const method = ctx.getStartMethod();
  const end = await runProgram(`
    import { getContext } from "${FRONT_DOOR}";
    const two = await Promise.resolve(2);
    export function f(x: number): number { return x ** two; }
    if (import.meta.main) {
      const pool = new (getContext("${method}").Pool)(2);
      console.log("${method} ->", await pool.mapAsync(f, [1, 2, 3]));
      pool.close();
      await pool.join();
    }
  `);
  assertEquals(end.stdout, `${method} -> [ 1, 4, 9 ]\n`, describeEnd(end));
  assertEquals(end.stderr, "");
});

contract("MAIN-02 a function of a test module, in deno test", async (ctx) => {
  const method = ctx.getStartMethod();
  const end = await runProgram("", {
    // Without the sanitizers that the project's configuration turns on: the C
    // library is opened by the first child, and stays open.
    flags: ["test", "--no-check", ".", "-A"],
    files: {
      "deno.json": OWN_CONFIG,
      "squares_test.ts": `
        import { getContext } from "${FRONT_DOOR}";
        export function f(x: number): number { return x * x; }
        Deno.test("squares", async () => {
          const pool = new (getContext("${method}").Pool)(2);
          const squares = await pool.mapAsync(f, [1, 2, 3]);
          pool.close();
          await pool.join();
          if (String(squares) !== "1,4,9") throw new Error(String(squares));
        });
      `,
    },
    config: null,
    main: null,
  });
  assertEquals(end.code, 0, describeEnd(end));
  assertMatch(end.stdout, /1 passed/);
});

contract(
  "Process and Queue leave nothing for Deno's sanitizers",
  async (ctx) => {
    const end = await runProgram("", {
      files: {
        "sanitized_test.ts": `
        import { getContext } from "${FRONT_DOOR}";
        const ctx = getContext("${ctx.getStartMethod()}");
        // The C library is opened once, and stays open: before the first test.
        new ctx.Lock();
        export async function echo(inbox, outbox) {
          for (let i = 0; i < 3; i++) await outbox.put(await inbox.get());
        }
        for (let run = 0; run < 3; run++) {
          Deno.test("run " + run, async () => {
            const [inbox, outbox] = [new ctx.Queue(), new ctx.Queue()];
            const process = new ctx.Process({
              target: echo,
              args: [inbox, outbox],
            });
            process.start();
            for (let i = 0; i < 3; i++) {
              await inbox.put(i);
              if (await outbox.get() !== i) throw new Error("not " + i);
            }
            await outbox.get({ timeout: 1 }).catch(() => {});
            await process.join();
          });
        }
      `,
      },
      flags: ["test", "-A", "--no-check", "."],
      main: null,
    });
    assertEquals(end.code, 0, describeEnd(end));
    assertMatch(end.stdout, /3 passed/);
  },
);

contract("MAIN-02 a program without a module of its own", async (ctx) => {
  const text = `
    import { getContext } from "${FRONT_DOOR}";
    function f(x) { return x * x; }
    const { Process } = getContext("${ctx.getStartMethod()}");
    new Process({ target: f, args: [1] }).start();
  `;
  for (
    const options of [
      { flags: ["eval"], main: () => text },
      { flags: ["run", "-A"], main: () => "-", stdin: text },
    ]
  ) {
    const end = await runProgram("", options);
    assertNotEquals(end.code, 0);
    assertMatch(
      end.stderr,
      /EncodingError: Cannot send function "f" as another process could not find it/,
      describeEnd(end),
    );
  }
});

contract(
  "MAIN-02 a program without a module uses what is registered",
  async (ctx) => {
    const text = `
      import { getContext } from "${FRONT_DOOR}";
      const { Process, sleep } = getContext("${ctx.getStartMethod()}");
      const process = new Process({ target: sleep, args: [1] });
      process.start();
      console.log(await process.exited);
    `;
    for (
      const options of [
        { flags: ["eval"], main: () => text },
        { flags: ["run", "-A"], main: () => "-", stdin: text },
      ]
    ) {
      const end = await runProgram("", options);
      assertEquals(end.stdout, "0\n", describeEnd(end));
    }
  },
);

contract("MAIN-01 a program without a guard is no fork bomb", async (ctx) => {
  const end = await runProgram(`
    import { getContext } from "${FRONT_DOOR}";
    export function target() { console.log("123"); }
    const { Process } = getContext("${ctx.getStartMethod()}");
    const process = new Process({ target });
    process.start();
    await process.join();
    Deno.exit(process.exitCode!);
  `);
  assertEquals(end.code, 1, describeEnd(end));
  assertEquals(end.stdout, "");
  assertMatch(end.stderr, /RuntimeError.*bootstrapping phase/s);
  assertMatch(end.stderr, /if \(import\.meta\.main\)/);
  assertEquals(end.stderr.match(/bootstrapping phase/g)!.length, 1);
  assertEquals(end.left, []);
});

contract(
  "MAIN-01 nor is one that only sends a function of its own",
  async (ctx) => {
    const end = await runProgram(
      `
    import { getContext } from "${FRONT_DOOR}";
    import { call } from "./call.ts";
    export function fn() { console.log("123"); }
    const { Process } = getContext("${ctx.getStartMethod()}");
    const process = new Process({ target: call, args: [fn] });
    process.start();
    await process.join();
    Deno.exit(process.exitCode!);
  `,
      { files: { "call.ts": "export function call(fn) { fn(); }" } },
    );
    assertEquals(end.code, 1, describeEnd(end));
    assertEquals(end.stdout, "");
    assertMatch(end.stderr, /RuntimeError.*bootstrapping phase/s);
    assertEquals(end.left, []);
  },
);

/** Programs without a guard, whose children come to their module in some way. */
const UNGUARDED: Record<string, { text: string; call?: string }> = {
  "gets to its start after an await": {
    text: `
      export function target() { console.log("123"); }
      async function main() {
        await new Promise((resolve) => setTimeout(resolve, 200));
        const process = new (getContext(method).Process)({ target });
        process.start();
        await process.join();
        // Or it would have to live until its parent has awaited that as well.
        if (process.exitCode) Deno.exit(process.exitCode);
      }
      main();
    `,
  },
  "sends a function of its own in a message": {
    text: `
      import { call } from "./call.ts";
      export function target() { console.log("123"); }
      const { Process, Queue } = getContext(method);
      const jobs = new Queue();
      const process = new Process({ target: call, args: [jobs] });
      process.start();
      await jobs.put(target);
      await process.join();
      Deno.exit(process.exitCode);
    `,
    call: "export async function call(jobs) { (await jobs.get())(); }",
  },
  "has a pool": {
    text: `
      export function target() { console.log("123"); }
      await using pool = new (getContext(method).Pool)(1);
      await pool.apply(target);
    `,
  },
  "has a manager call a function of its own": {
    text: `
      export function target() { console.log("123"); }
      await using manager = await getContext(method).Manager();
      const dict = await manager.dict();
      await dict.update("key", target);
    `,
  },
};

for (const [what, { text, call }] of Object.entries(UNGUARDED)) {
  contract(
    `MAIN-01 a program without a guard that ${what} has no grandchildren`,
    async (ctx) => {
      const end = await runProgram(
        `
          import { currentProcess, getContext } from "${FRONT_DOOR}";
          const method = "${ctx.getStartMethod()}";
          if (currentProcess().name.split(":").length > 2) Deno.exit(99);
          console.log("loaded");
          ${text}
        `,
        { files: call === undefined ? {} : { "call.ts": call } },
      );
      assertEquals(end.code, 1, describeEnd(end));
      // By the program and by its child, whose target may have run.
      assertMatch(end.stdout, /^loaded\nloaded\n(123\n)?$/, describeEnd(end));
      assertMatch(
        end.stderr,
        /bootstrapping phase.*if \(import\.meta\.main\)/s,
      );
      assertEquals(end.left, []);
    },
  );
}

contract(
  "MAIN-01 a child starts others while a module is loaded elsewhere in it",
  async (ctx) => {
    const end = await runProgram(
      `
        import { getContext } from "${FRONT_DOOR}";
        import { child } from "./child.ts";
        import { slow } from "./slow.ts";
        if (import.meta.main) {
          const { Process, Queue } = getContext("${ctx.getStartMethod()}");
          const queue = new Queue();
          const process = new Process({ target: child, args: [queue] });
          process.start();
          await queue.put(slow);
          console.log(await process.exited);
        }
      `,
      {
        files: {
          "slow.ts": `
            export function slow() { console.log("loaded"); }
            await globalThis.delay?.();
          `,
          "child.ts": `
            import { getContext } from "${FRONT_DOOR}";
            export function grandchild() { console.log("started"); }
            export async function child(queue) {
              const loading = Promise.withResolvers();
              const started = Promise.withResolvers();
              globalThis.delay = () => {
                loading.resolve();
                return started.promise;
              };
              const got = queue.get();
              await loading.promise;
              const { Process } = getContext("${ctx.getStartMethod()}");
              const process = new Process({ target: grandchild });
              process.start();
              await process.join();
              started.resolve();
              await (await got)();
            }
          `,
        },
      },
    );
    assertEquals(end.stdout, "started\nloaded\n0\n", describeEnd(end));
  },
);

contract("MAIN-03 two grandchildren fill and drain one queue", async (ctx) => {
  const end = await runProgram(`
    import { getContext } from "${FRONT_DOOR}";
    const method = "${ctx.getStartMethod()}";
    export async function fill(queue, count) {
      for (let i = 0; i < count; i++) await queue.put(i);
    }
    export async function drain(queue, count) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += await queue.get();
      Deno.exit(sum);
    }
    export async function child() {
      const { Process, Queue } = getContext(method);
      const queue = new Queue();
      const filler = new Process({ target: fill, args: [queue, 20] });
      const drainer = new Process({ target: drain, args: [queue, 20] });
      filler.start();
      drainer.start();
      await filler.join();
      await drainer.join();
      Deno.exit(drainer.exitCode);
    }
    if (import.meta.main) {
      const process = new (getContext(method).Process)({ target: child });
      process.start();
      Deno.exit(await process.exited);
    }
  `);
  assertEquals(end.code, 190, describeEnd(end));
  assertEquals(end.stderr, "");
});

contract(
  "MAIN-02 a child has the arguments of its program, in Node's place too",
  async (ctx) => {
    const end = await runProgram(
      `
        import { parseArgs } from "node:util";
        import { getContext } from "${FRONT_DOOR}";
        const { values } = parseArgs({ options: { n: { type: "string" } } });
        export function target() {
          console.log(Deno.args.join(), process.argv.slice(2).join(), values.n);
        }
        if (import.meta.main) {
          const { Process } = getContext("${ctx.getStartMethod()}");
          const process = new Process({ target });
          process.start();
          console.log(await process.exited);
        }
      `,
      { args: ["--n=3"] },
    );
    assertEquals(end.stdout, "--n=3 --n=3 3\n0\n", describeEnd(end));
    assertEquals(end.stderr, "");
  },
);

contract("MAIN-02 a program that goes elsewhere finds its way", async (ctx) => {
  const end = await runProgram(
    `
      import { getContext } from "multiprocessing";
      export function target() { console.log(Deno.cwd()); }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        Deno.chdir("/");
        const process = new Process({ target });
        process.start();
        console.log(await process.exited);
      }
    `,
    {
      files: { "sub/deno.json": OWN_CONFIG },
      config: "sub/deno.json",
      main: () => "main.ts",
      flags: [
        "run",
        "--allow-read=.,/",
        "--allow-ffi",
        "--allow-run",
        "--allow-env",
        "--allow-sys",
      ],
    },
  );
  assertEquals(end.stdout, "/\n0\n", describeEnd(end));
});

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { activeChildren, register } from "../../contexts/mod.ts";
import type { Context } from "../../contexts/mod.ts";
import { EncodingError } from "../../errors.ts";
import "../../mod.ts";
import { contract, once } from "../_support/contract.ts";
import { Mailbox } from "../_support/meeting.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";
import * as barrel from "../fixtures/barrel.ts";
import { putClass, putUnreachable } from "../fixtures/carriers.ts";
import type { Elsewhere } from "../fixtures/elsewhere.ts";
import byDefault, {
  arrow,
  asynchronous,
  call,
  declared,
  inside,
  known,
  makeClosure,
  makeNamesake,
  renamed,
  ThreadUpperCaser,
  UpperCaser,
} from "../fixtures/functions.ts";
import { ignore, lengthOf } from "../fixtures/plain.ts";
import {
  ignore as giveBack,
  lengthOf as lengthIfAny,
} from "../fixtures/namesake.ts";

/** Any target at all. */
type Target = (...args: unknown[]) => unknown;

for (
  const [what, target, says] of [
    ["a declared function", declared, "declared"],
    ["an asynchronous function", asynchronous, "asynchronous"],
    ["a constant", arrow, "arrow"],
    ["a renamed export", renamed, "renamed"],
    ["a default export", byDefault, "byDefault"],
    ["a registered function", known.registered, "registered"],
    ["a function handed on by another module", barrel.arrow, "arrow"],
  ] as const
) {
  contract(`Process runs ${what}`, async (ctx) => {
    const mailbox = Mailbox.in<string>(ctx);
    const process = new ctx.Process({ target, args: [mailbox] });
    process.start();
    assertEquals(await mailbox.take("what the target says"), says);
    await process.join();
    assertEquals(process.exitCode, 0);
  });
}

contract("Process takes functions as arguments", async (ctx) => {
  const mailbox = Mailbox.in<string>(ctx);
  for (const fn of [declared, known.registered, arrow]) {
    const process = new ctx.Process({ target: call, args: [fn, mailbox] });
    process.start();
    await process.join();
    assertEquals(process.exitCode, 0);
  }
  assertEquals(mailbox.drain(), ["declared", "registered", "arrow"]);
});

/** Starts what cannot be started, and gives the message. */
function refusal(ctx: Context, target: Target, ...args: unknown[]): string {
  const process = new ctx.Process({ target, args });
  const error = assertThrows(() => process.start(), EncodingError);
  assertEquals(process.exitCode, null);
  assertEquals(process.isAlive(), false);
  assertEquals(process.pid, null);
  assertEquals(activeChildren(), []);
  return error.message;
}

contract(
  "Queue hands out a function whose module fails to load, and the call tells",
  async (ctx) => {
    const queue = new ctx.Queue<unknown>();
    const child = new ctx.Process({ target: putUnreachable, args: [queue, 4] });
    child.start();
    await child.join();
    assertEquals(child.exitCode, 0);
    // Whoever waits is told at once, whoever does not when it is called. Nobody else
    // is: an error that nobody handles would end the program.
    const wanted = "It is for children only";
    await assertRejects(() => queue.get(), Error, wanted);
    const [first] = queue.getNowait() as [() => Promise<void>];
    await assertRejects(() => first(), Error, wanted);
    assertEquals(typeof queue.getSync(), "function");
    await assertRejects(() => queue.get(), Error, wanted);
    queue.close();
  },
);

/** What is needed, and nothing that helps to find functions. */
const FLAGS = ["run", "--allow-read", "--allow-run", "--allow-ffi"];
/** The front door. */
const PACKAGE = import.meta.resolve("../../mod.ts");

const STD = new URL("../../tools/std/", import.meta.url).pathname;
const STD_NAMES = ["assert", "async", "log", "path"];
/** What leads to the libraries that this package imports. */
const STANDARD = {
  imports: Object.fromEntries(
    STD_NAMES.map((name) => [`@std/${name}`, `jsr:@std/${name}`]),
  ),
  links: STD_NAMES.map((name) => `${STD}${name}`),
};

/** A program that has functions called in a pool, and writes what comes of it. */
function caller(ctx: Context, imports: string, calls: string): string {
  return `
    import { getContext } from "${PACKAGE}";
    ${imports}
    if (import.meta.main) {
      await using pool = new (getContext("${ctx.getStartMethod()}").Pool)(1);
      const said = (error: Error) => error.name + ": " + error.message;
      ${calls}
    }
  `;
}

contract(
  "Pool finds a function by the inspector where reading does not lead to it",
  async (ctx) => {
    const source = caller(
      ctx,
      'const { far } = await import("./fa" + "r.ts");',
      "console.log(await pool.map(far, [1, 2]).catch(said));",
    );
    const files = { "far.ts": "export const far = (x: number) => x * 10;" };
    const found = await runProgram(source, {
      flags: [...FLAGS, "--allow-sys"],
      files,
    });
    assertEquals(found.stdout, "[ 10, 20 ]\n", describeEnd(found));
    const refused = await runProgram(source, { flags: FLAGS, files });
    assertMatch(
      refused.stdout,
      /^EncodingError: Cannot send function "far" .* register\(import\.meta, \{ far \}\)/,
      describeEnd(refused),
    );
  },
);

contract(
  "Pool never runs a function of the same text in another module",
  async (ctx) => {
    const source = caller(
      ctx,
      `import { tell as tellA } from "./a.ts";
       import { tell as tellB } from "./b.ts";`,
      `console.log(await pool.apply(tellA).catch(said));
       console.log(await pool.apply(tellB).catch(said));`,
    );
    const twin = (who: string) =>
      `const who = "${who}"; export function tell() { return who; }`;
    const files = { "a.ts": twin("a"), "b.ts": twin("b") };
    const told = await runProgram(source, {
      flags: [...FLAGS, "--allow-sys"],
      files,
    });
    assertEquals(told.stdout, "a\nb\n", describeEnd(told));
    const refused = await runProgram(source, { flags: FLAGS, files });
    for (const line of refused.stdout.trim().split("\n")) {
      assertMatch(
        line,
        /^EncodingError: Cannot tell which function "tell" .*a\.ts and .*b\.ts/,
      );
    }
    const registered = await runProgram(source, {
      flags: FLAGS,
      files: Object.fromEntries(
        Object.entries(files).map(([name, text]) => [
          name,
          `import { register } from "${PACKAGE}"; ${text}
           register(import.meta, { tell });`,
        ]),
      ),
    });
    assertEquals(registered.stdout, "a\nb\n", describeEnd(registered));
  },
);

for (
  const [what, imports] of [
    ["beyond another", 'import { other } from "./between.ts";'],
    ["imported later", 'const { tell: other } = await import("./b.ts");'],
  ] as const
) {
  contract(
    `Pool never runs a function of the same text in a module that is ${what}`,
    async (ctx) => {
      const source = caller(
        ctx,
        `import { tell } from "./a.ts"; ${imports}`,
        `console.log(await pool.apply(tell).catch(said));
         console.log(await pool.apply(other).catch(said));`,
      );
      const twin = (who: string) =>
        `const who = "${who}"; export function tell() { return who; }`;
      const files = {
        "a.ts": twin("a"),
        "b.ts": twin("b"),
        "between.ts": 'export { tell as other } from "./b.ts";',
      };
      const told = await runProgram(source, {
        flags: [...FLAGS, "--allow-sys"],
        files,
      });
      assertEquals(told.stdout, "a\nb\n", describeEnd(told));
      const refused = await runProgram(source, { flags: FLAGS, files });
      for (const line of refused.stdout.trim().split("\n")) {
        assertMatch(
          line,
          /^EncodingError: Cannot tell which function "tell" .*a\.ts and .*b\.ts/,
        );
      }
    },
  );
}

contract(
  "Pool finds a function in whatever way it is exported",
  async (ctx) => {
    const files = {
      "with (brackets)/sub.ts": `
      import { getContext } from "${PACKAGE}";
      export function twice(x: number) { return 2 * x; }
      export async function run(method: "spawn") {
        await using pool = new (getContext(method).Pool)(1);
        return await pool.apply(twice, [1]);
      }
    `,
      "one.ts": "export default (x: number) => x * 100;",
      "two.js": "export default async x => x * 200;",
      "later.ts": "export function later(x: number) { return x * 300; }",
      "common.cjs": `
      exports.one = function one(x) { return x * 400; };
      exports.two = async function two(x) { return x * 500; };
    `,
      "all.cjs": `
      function listed(x) { return x * 600; }
      module.exports = { listed, given: (x) => x * 700 };
    `,
    };
    const end = await runProgram(
      caller(
        ctx,
        `import one from "./one.ts";
       import two from "./two.js";
       import common from "./common.cjs";
       import { given, listed } from "./all.cjs";
       const { later } = await import("./later.ts");`,
        `const all = [one, two, later, common.one, common.two, listed, given];
       for (const fn of all) {
         console.log(await pool.apply(fn, [1]).catch(said));
       }
       Error.prepareStackTrace = (_, sites) => sites;
       const { run } = await import("./with%20(brackets)/" + "sub.ts");
       console.log(await run("${ctx.getStartMethod()}").catch(said));`,
      ),
      { flags: [...FLAGS, "--no-check"], files },
    );
    assertEquals(
      end.stdout,
      "100\n200\n300\n400\n500\n600\n700\n2\n",
      describeEnd(end),
    );
  },
);

contract(
  "Pool says what it cannot resolve in search of a function",
  async (ctx) => {
    const source = caller(
      ctx,
      'import { far } from "@mine/far.ts";',
      "console.log(await pool.map(far, [1, 2]).catch(said));",
    );
    const end = await runProgram("", {
      flags: [...FLAGS, "--no-check"],
      config: null,
      main: (folder) => `${folder}/member/main.ts`,
      files: {
        "deno.json": JSON.stringify({ workspace: ["./member"], ...STANDARD }),
        "member/deno.json": JSON.stringify({ imports: { "@mine/": "./lib/" } }),
        "member/lib/far.ts": "export const far = (x: number) => x * 10;",
        "member/main.ts": source,
      },
    });
    assertMatch(
      end.stdout,
      /nor by what that imports \(not looked at, .*: "@mine\/far\.ts" in file:.*main\.ts\); export it/,
      describeEnd(end),
    );
  },
);

contract(
  "Pool runs functions of a program from standard input if they are in a file",
  async (ctx) => {
    const stdin = caller(
      ctx,
      'import { far } from "./far.ts"; export function here() {}',
      `console.log(await pool.map(far, [1, 2]).catch(said));
       console.log(await pool.apply(here).catch(said));`,
    );
    const options = {
      main: () => "-",
      stdin,
      cwd: (folder: string) => folder,
      files: { "far.ts": "export const far = (x: number) => x * 10;" },
    };
    const why = (name: string) =>
      `EncodingError: Cannot send function "${name}" as another process could not find it: a program from standard input, `;
    const end = await runProgram("", {
      ...options,
      flags: [...FLAGS, "--allow-sys"],
    });
    const [first, second] = end.stdout.split("\n");
    assertEquals(first, "[ 10, 20 ]", describeEnd(end));
    assert(second!.startsWith(why("here")), second);
    const refused = await runProgram("", { ...options, flags: FLAGS });
    assert(refused.stdout.startsWith(why("far")), describeEnd(refused));
  },
);

contract(
  "Pool runs a function that the program has from another package",
  async (ctx) => {
    const end = await runProgram(
      caller(
        ctx,
        'import { delay as wait } from "npm:deno-std@1.4.0/async/delay.js";',
        "console.log(await pool.map(wait, [1, 2]).catch(said));",
      ),
      { flags: FLAGS },
    );
    assertEquals(end.stdout, "[ undefined, undefined ]\n", describeEnd(end));
  },
);

contract(
  "Queue.getNowait() gives a class that can be used once it is loaded",
  async (ctx) => {
    const queue = new ctx.Queue<typeof Elsewhere>();
    const child = new ctx.Process({ target: putClass, args: [queue] });
    child.start();
    await child.join();
    const Early = queue.getNowait();
    const error = assertThrows(() => new Early(1), EncodingError);
    assertMatch(
      error.message,
      /^Cannot construct "Elsewhere" as its module is/,
    );
    const Late = await queue.get();
    assertEquals(new Late(2).number, 2);
    const early = new Early(1);
    assertEquals([early.number, early instanceof Early, Early.least], [
      1,
      true,
      3,
    ]);
    queue.close();
  },
  { methods: ["spawn"] }, // for the next one it would be loaded
);

contract("Process.start() refuses a function that is not exported", (ctx) => {
  const message = refusal(ctx, inside.hidden as Target);
  assertMatch(message, /^Cannot send function "hidden"/);
  assertMatch(message, /not exported by .*functions_test\.ts/);
  assertMatch(message, /register\(import\.meta, \{ hidden \}\): "target"$/);
});

contract("Process.start() refuses a closure", (ctx) => {
  const message = refusal(ctx, makeClosure("text") as Target);
  assertMatch(message, /^Cannot send function "closure".*"target"$/);
});

contract("Process.start() refuses an anonymous function", (ctx) => {
  assertMatch(
    refusal(ctx, (() => () => {})()),
    /^Cannot send an anonymous function .*export it under a name.*"target"$/,
  );
});

contract("Process.start() refuses bound and built-in functions", (ctx) => {
  for (const target of [declared.bind(null), Math.max, console.log]) {
    assertMatch(
      refusal(ctx, target as Target),
      /^Cannot send function .* built in or bound.*wrap it.*"target"$/,
    );
  }
});

contract("Process.start() names the argument that cannot be sent", (ctx) => {
  const target = call as Target;
  for (
    const [args, path] of [
      [[1, { list: [0, () => {}] }], "args[1].list[1]"],
      [[Symbol("no")], "args[0]"],
      [[new Map([["key", new WeakMap()]])], 'args[0].get("key")'],
      [[Promise.resolve()], "args[0]"],
    ] as const
  ) {
    const message = refusal(ctx, target, ...args);
    assertMatch(message, /^Cannot (send|encode)/);
    assert(message.includes(`"${path}"`), message);
  }
});

contract("Process.start() can be tried again after a refusal", async (ctx) => {
  const args: unknown[] = [];
  const process = new ctx.Process({ target: call as Target, args: [args] });
  args.push(Symbol("no"));
  assertThrows(() => process.start(), EncodingError);
  args.pop();
  process.start();
  await process.join();
  assertEquals(process.exitCode, 1); // there is nothing to call: but it ran
});

contract(
  "Pool tells functions of one name in two modules apart",
  async (ctx) => {
    // The second is looked for in the module of the first, too.
    await using pool = new ctx.Pool(1);
    assertEquals(await pool.map(ignore, ["a"]), [undefined]);
    assertEquals(await pool.map(giveBack<string>, ["a"]), ["a"]);
    // Not even their words do: the child sees.
    assertEquals(await pool.map(lengthOf, ["ab"]), [2]);
    assertEquals(await pool.apply(lengthIfAny, [undefined]), undefined);
    await assertRejects(() => pool.map(lengthOf, [undefined!]), TypeError);
  },
);

contract("Process does not run a namesake of its target", async (ctx) => {
  const mailbox = Mailbox.in<string>(ctx);
  const process = new ctx.Process({
    target: makeNamesake("namesake"),
    args: [mailbox],
  });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 1);
  assertEquals(mailbox.count, 0);
});

contract("Process tells of a namesake, and what to do", async (ctx) => {
  const end = await runProgram(
    `
      import { getContext } from "${LIBRARY}";
      export function work() { console.log("the exported one"); }
      function make(text: string) {
        const work = () => console.log(text);
        return work;
      }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        const process = new Process({ target: make("a closure") });
        process.start();
        console.log(await process.exited);
      }
    `,
  );
  assertEquals(end.stdout, "1\n", describeEnd(end));
  assertMatch(
    end.stderr,
    /EncodingError: Cannot find function "work" in this process as .*main\.ts exports another function of that name.*register\(/,
  );
});

contract("PROC-24 a class of Process with a run() of its own", async (ctx) => {
  const isSpawn = ctx.getStartMethod() === "spawn";
  const cls = isSpawn ? UpperCaser : ThreadUpperCaser;
  const process = new cls({ daemon: true });
  assertMatch(process.name, new RegExp(`^${cls.name}-\\d+$`));
  process.start();
  process.inner.close();
  const { outer } = process;

  // It is of its own class there, and its constructor has not been run again.
  assertEquals(
    await outer.recv(),
    `${process.name} 0 <${cls.name} name='${process.name}' pid=${process.pid} parent=${Deno.pid} started daemon>`,
  );
  for (const word of ["hello", "world"]) {
    await outer.send(word);
    assertEquals(await outer.recv(), word.toUpperCase());
  }
  await outer.send(null);
  await process.join();
  assertEquals(process.exitCode, 0);
  outer.close();
});

once("register() refuses what is not a function", () => {
  assertThrows(
    () => register(import.meta, { three: 3 as never }),
    TypeError,
    'Cannot register "three" as it is not a function',
  );
});

for (
  const [what, text, complaint] of [
    ["has a syntax error", "export function target( {", /expected|Expected/],
    [
      "throws while it is loaded",
      'export function target() {}\nif (!Deno.args.includes("parent")) throw new RangeError("on purpose");',
      /RangeError: on purpose/,
    ],
    [
      "imports what is not there",
      'import "./missing.ts"; export function target() {}',
      /Module not found .*missing\.ts/,
    ],
  ] as const
) {
  contract(
    `LESSON-41 a target whose module ${what} fails the child`,
    async (ctx) => {
      // Loading it in the parent would fail as well: it is broken afterwards.
      const end = await runProgram(
        `
        import { getContext } from "${LIBRARY}";
        import { target } from "./target.ts";
        if (import.meta.main) {
          ${
          text === null
            ? 'Deno.removeSync(new URL("./target.ts", import.meta.url));'
            : `Deno.writeTextFileSync(new URL("./target.ts", import.meta.url), ${
              JSON.stringify(text)
            });`
        }
          const { Process } = getContext("${ctx.getStartMethod()}");
          const process = new Process({ target, name: "P" });
          process.start();
          console.log(await process.exited, process.exitCode);
        }
      `,
        {
          files: {
            "target.ts": "export function target() {}\n",
          },
        },
      );
      assertEquals(end.stdout, "1 1\n", describeEnd(end));
      assertMatch(end.stderr, /^Process P:\n/);
      assertMatch(end.stderr, complaint);
      assertEquals(end.code, 0);
    },
  );
}

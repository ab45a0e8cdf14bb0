import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  keptFlags,
  permissionFlags,
  withoutContradicted,
} from "../../contexts/_flags.ts";
import { contract } from "../_support/contract.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";

for (
  const [line, kept] of [
    ["deno run -A main.ts", "-A"],
    ["deno main.ts -A", ""],
    ["deno -A main.ts", "-A"],
    ["deno run main.ts --allow-net", ""],
    ["deno run --allow-read=/a,/b -W main.ts", "--allow-read=/a,/b -W"],
    ["deno -q run -RN main.ts", "-R -N"],
    ["deno --log-level debug run -A main.ts", "-A"],
    ["deno run --log-level=debug --seed 7 -A main.ts", "--seed=7 -A"],
    ["deno run -c deno.json main.ts", "--config=/here/deno.json"],
    ["deno run --config=sub/deno.json main.ts", "--config=/here/sub/deno.json"],
    ["deno run --config /etc/deno.json main.ts", "--config=/etc/deno.json"],
    [
      "deno run --import-map https://localhost/map.json main.ts",
      "--import-map=https://localhost/map.json",
    ],
    ["deno run --lock -A main.ts", "--lock -A"],
    ["deno run --lock deno.lock -A main.ts", "--lock=/here/deno.lock -A"],
    ["deno run --lock=deno.lock main.ts", "--lock=/here/deno.lock"],
    ["deno run --no-lock --no-config main.ts", "--no-lock --no-config"],
    ["deno run -R=.,/b,c main.ts", "-R=/here/.,/b,/here/c"],
    ["deno run --allow-read=a,b,/c main.ts", "--allow-read=/here/a,/here/b,/c"],
    ["deno run --deny-write=tmp main.ts", "--deny-write=/here/tmp"],
    ["deno run --allow-ffi=libc.so.6 main.ts", "--allow-ffi=libc.so.6"],
    ["deno run --allow-run=deno,./x main.ts", "--allow-run=deno,/here/./x"],
    ["deno run --allow-net=a:80 --allow-env=A,B main.ts", "same"],
    ["deno run --v8-flags=--expose-gc --unstable-kv main.ts", "same"],
    ["deno run --inspect --watch --check -A main.ts", "-A"],
    ["deno run -A --ext ts main", "-A"],
    ["deno run -A - --allow-none", "-A"],
    ["deno run -A -- -x", "-A"],
    ["deno test --filter name -A tests", "-A"],
    ["deno test tests -A --shuffle", "-A"],
    ["deno test -A tests -- --allow-none", "-A"],
    ["deno bench one.ts -A", "-A"],
    ["deno serve --port 80 -N main.ts", "-N"],
    ["deno eval console.log()", "--allow-all"],
    ["deno run -P main.ts", "-P"],
    ["deno run -P=named main.ts", "-P=named"],
    ["deno", ""],
  ] as const
) {
  Deno.test(`keptFlags() of "${line}"`, () => {
    const expected = kept === "same"
      ? line.slice("deno run ".length, -" main.ts".length)
      : kept;
    assertEquals(keptFlags(line.split(" "), "/here").join(" "), expected);
  });
}

Deno.test("withoutContradicted() lets further flags have their way", () => {
  const flags = ["--quiet", "--config=/a", "--allow-read=/b", "-N", "--seed=1"];
  for (
    const [further, left] of [
      [["--seed=2"], flags],
      [["--no-config"], ["--quiet", "--allow-read=/b", "-N", "--seed=1"]],
      [["-c", "/c"], ["--quiet", "--allow-read=/b", "-N", "--seed=1"]],
      [["-A"], ["--quiet", "--config=/a", "--seed=1"]],
    ] as const
  ) {
    assertEquals(withoutContradicted(flags, further), left);
  }
});

Deno.test("permissionFlags() refuses what is not a permission", () => {
  assertThrows(
    () => permissionFlags({ fly: true } as never),
    TypeError,
    "'permissions' has no \"fly\": it has read,",
  );
  assertThrows(
    () => permissionFlags("all" as never),
    TypeError,
    "'permissions' must be an object",
  );
});

Deno.test("permissionFlags() refuses what is no value of a permission", () => {
  for (const value of ["data", "yes", 1, [1], {}, null]) {
    assertThrows(
      () => permissionFlags({ read: value } as never),
      TypeError,
      "'permissions.read' must be true, false, \"inherit\" or an array of strings",
    );
  }
});

Deno.test("permissionFlags() takes URLs for paths, but no comma", () => {
  const read = ["/a", new URL("file:///c%20d"), "file:///e"];
  assertEquals(permissionFlags({ read })[0], "--allow-read=/a,/c d,/e");
  assertThrows(
    () => permissionFlags({ read: ["/a,b"] }),
    TypeError,
    'Cannot start a process with permission for "/a,b" as Deno takes no comma there',
  );
  assertThrows(
    () => permissionFlags({ net: true }, ["file:///a,b/target.ts"]),
    TypeError,
    '"/a,b/"',
  );
});

/** Says what it may do. */
const STATES = `
  const states = ["read", "write", "net", "env", "run", "ffi", "sys"].map(
    (name) => name + " " + Deno.permissions.querySync({ name }).state,
  );
  console.log(states.join());
`;

contract(
  "PROC-32 a grandchild has the flags of its grandparent",
  async (ctx) => {
    const end = await runProgram(
      `
        import { getContext } from "${LIBRARY}";
        const method = "${ctx.getStartMethod()}";
        export function flags() {
          ${STATES}
          console.log(typeof gc, typeof Deno.openKv, location.href);
        }
        export async function child() {
          flags();
          const process = new (getContext(method).Process)({ target: flags });
          process.start();
          Deno.exit(await process.exited);
        }
        if (import.meta.main) {
          flags();
          const process = new (getContext(method).Process)({ target: child });
          process.start();
          console.log(await process.exited);
        }
      `,
      {
        flags: [
          "run",
          "--v8-flags=--expose-gc",
          "--unstable-kv",
          "--location",
          "http://localhost/test",
          "--allow-run",
          "--allow-ffi",
          "--allow-read",
          "--allow-env",
          "--deny-env=SECRET",
          "--no-prompt",
        ],
      },
    );
    const [states, others] = end.stdout.split("\n");
    assertEquals(
      states,
      "read granted,write prompt,net prompt,env granted,run granted,ffi granted,sys prompt",
    );
    assertEquals(others, "function function http://localhost/test");
    const report = `${states}\n${others}\n`;
    assertEquals(
      end.stdout,
      `${report}${report}${report}0\n`,
      describeEnd(end),
    );
  },
  { methods: ["spawn"] },
);

contract(
  "LESSON-39 Process.permissions are what a child may do",
  async () => {
    const end = await runProgram(
      `
        import { getContext } from "${LIBRARY}";
        export function flags() { ${STATES} }
        if (import.meta.main) {
          for (
            const permissions of [
              undefined,
              "inherit",
              "none",
              {},
              { net: true },
              { net: ["localhost:80"], env: "inherit", read: true },
              { write: ["/tmp"], run: "inherit", sys: ["hostname"] },
            ]
          ) {
            const { Process } = getContext("spawn");
            const process = new Process({ target: flags, permissions });
            process.start();
            console.log(await process.exited);
          }
        }
      `,
    );
    const all =
      "read granted,write granted,net granted,env granted,run granted,ffi granted,sys granted";
    const none =
      "read prompt,write prompt,net prompt,env prompt,run prompt,ffi granted,sys prompt";
    assertEquals(
      end.stdout.split("\n").filter((line) => line !== "0"),
      [
        all,
        all,
        none,
        none,
        none.replace("net prompt", "net granted"),
        none.replace("env prompt", "env granted")
          .replace("read prompt", "read granted"),
        none.replace("run prompt", "run granted"),
        "",
      ],
      describeEnd(end),
    );
  },
  { methods: ["spawn"] },
);

contract(
  "Process has no permission that its program has given up",
  async () => {
    for (const flags of [["-A"], ["-RNE", "--allow-run", "--allow-ffi"]]) {
      const end = await runProgram(
        `
        import { getContext } from "${LIBRARY}";
        export function flags() { ${STATES} }
        if (import.meta.main) {
          Deno.permissions.revokeSync({ name: "net" });
          flags();
          const { Process } = getContext("spawn");
          for (const permissions of ["inherit", { net: "inherit" }]) {
            const process = new Process({ target: flags, permissions });
            process.start();
            console.log(await process.exited);
          }
        }
      `,
        { flags: ["run", "--no-prompt", ...flags] },
      );
      const [own, theirs, code, few] = end.stdout.split("\n");
      assertMatch(own!, /read granted.*net prompt/, describeEnd(end));
      assertEquals([theirs, code], [own, "0"]);
      assertMatch(few!, /net prompt/);
    }
  },
  { methods: ["spawn"] },
);

contract("Process inherits a permission however it was granted", async () => {
  const end = await runProgram(
    `
      import { getContext } from "${LIBRARY}";
      export function flags() { ${STATES} }
      if (import.meta.main) {
        const { Process } = getContext("spawn");
        for (
          const permissions of [
            { net: "inherit" },
            { read: "inherit" },
            { env: "inherit" },
          ]
        ) {
          const process = new Process({ target: flags, permissions });
          process.start();
          console.log(await process.exited);
        }
      }
    `,
    {
      flags: [
        "run",
        "--no-prompt",
        "-N",
        "-E=HOME",
        "--allow-run",
        "--allow-ffi",
        "--allow-read=.,/usr",
      ],
    },
  );
  const lines = end.stdout.split("\n").filter((line) => line !== "0");
  assertEquals(lines.length, 4, describeEnd(end));
  assertMatch(lines[0]!, /net granted/);
  assertMatch(lines[1]!, /^read prompt,write prompt,net prompt/);
}, { methods: ["spawn"] });

contract(
  "Process may read the module of its target, wherever it is",
  async () => {
    const end = await runProgram("", {
      main: (folder) => `${folder}/app and more/main.ts`,
      files: {
        "app and more/main.ts": `
        import { getContext } from "${LIBRARY}";
        import { target } from "../lib/target.ts";
        if (import.meta.main) {
          const { Process } = getContext("spawn");
          const permissions = { net: true };
          const process = new Process({ target, permissions });
          process.start();
          console.log(await process.exited);
        }
      `,
        "lib/target.ts": 'export function target() { console.log("there"); }',
      },
    });
    assertEquals(end.stdout, "there\n0\n", describeEnd(end));
  },
  { methods: ["spawn"] },
);

contract("Process has the configuration its program may not read", async () => {
  const end = await runProgram("", {
    config: null,
    main: (folder) => `${folder}/src/main.ts`,
    flags: [
      "run",
      "--no-prompt",
      "--allow-run",
      "--allow-ffi",
      `--allow-read=src,${new URL("../../", import.meta.url).pathname}`,
    ],
    files: {
      "deno.json": JSON.stringify({ imports: { mine: "./src/mine.ts" } }),
      "src/mine.ts": 'export function mine() { console.log("found"); }',
      "src/main.ts": `
        import { getContext } from "${LIBRARY}";
        import { mine } from "mine";
        export function target() { mine(); }
        if (import.meta.main) {
          const process = new (getContext("spawn").Process)({ target });
          process.start();
          console.log(await process.exited);
        }
      `,
    },
  });
  assertEquals(end.stdout, "found\n0\n", describeEnd(end));
}, { methods: ["spawn"] });

contract("Process has the package.json of its program", async () => {
  const end = await runProgram(
    `
      import { getContext } from "${LIBRARY}";
      import { dependency } from "dependency";
      import { own } from "#own";
      export function target() { console.log(dependency(), own()); }
      if (import.meta.main) {
        const process = new (getContext("spawn").Process)({ target });
        process.start();
        console.log(await process.exited);
      }
    `,
    {
      config: null,
      files: {
        "package.json": JSON.stringify({
          type: "module",
          dependencies: { dependency: "*" },
          imports: { "#own": "./own.ts" },
        }),
        "own.ts": 'export function own() { return "own"; }',
        "node_modules/dependency/package.json": JSON.stringify({
          name: "dependency",
          version: "1.0.0",
          type: "module",
          exports: "./main.js",
        }),
        "node_modules/dependency/main.js":
          'export function dependency() { return "dependency"; }',
      },
    },
  );
  assertEquals(end.stdout, "dependency own\n0\n", describeEnd(end));
}, { methods: ["spawn"] });

contract("a thread gives its children the program's flags", async () => {
  const end = await runProgram(
    `
      import { getContext } from "${LIBRARY}";
      export function leaf() { console.log("leaf"); }
      export async function thread() {
        const process = new (getContext("spawn").Process)({ target: leaf });
        process.start();
        console.log(await process.exited);
      }
      if (import.meta.main) {
        Deno.chdir("/usr");
        const child = new (getContext("worker").Process)({ target: thread });
        child.start();
        console.log(await child.exited);
      }
    `,
    {
      main: () => "main.ts",
      flags: [
        "run",
        "--no-prompt",
        "--allow-run",
        "--allow-ffi",
        `--allow-read=.,/usr,${new URL("../../", import.meta.url).pathname}`,
      ],
    },
  );
  assertEquals(end.stdout, "leaf\n0\n0\n", describeEnd(end));
}, { methods: ["worker"] });

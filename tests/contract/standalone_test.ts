import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  ARGUMENT,
  forceStandalone,
  isStandalone,
  readPlace,
} from "../../contexts/standalone.ts";
import { getContext } from "../../contexts/mod.ts";
import { assertThrows } from "@std/assert";
import { once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { endsBusyDaemons } from "../_support/portable.ts";
import { isRunning } from "../_support/proc.ts";
import {
  describeEnd,
  LIBRARY,
  runProgram,
  startProgram,
} from "../_support/program.ts";
import type { ProgramEnd } from "../_support/program.ts";

/** Makes a program take the path of a compiled one. */
const FORCE = import.meta.resolve("../fixtures/force_standalone.ts");

/** A program that takes the path of a compiled one. */
function compiled(text: string): string {
  return `
    import "${FORCE}";
    import { currentProcess, exit, getContext, parentProcess } from "${LIBRARY}";
    ${text}
  `;
}

async function run(text: string, args: string[] = []): Promise<ProgramEnd> {
  return await runProgram(compiled(text), { args });
}

once(
  "standalone: a child is the program itself, in a thread of its own process",
  async () => {
    const end = await run(
      `
      export async function target(inbox, outbox) {
        const word = await inbox.get();
        await outbox.put({
          word,
          pid: Deno.pid,
          parent: parentProcess().pid,
          name: currentProcess().name,
          args: Deno.args,
          argv: process.argv.slice(2),
          isMain: import.meta.main,
          main: Deno.readTextFileSync("/proc/self/cmdline").split("\\0").at(-2),
        });
        console.log("stdout of the child");
        console.error("stderr of the child");
        return "not the exit code";
      }
      if (import.meta.main) {
        const { Process, Queue } = getContext("spawn");
        const [inbox, outbox] = [new Queue(), new Queue()];
        const process = new Process({ target, args: [inbox, outbox], name: "P" });
        process.start();
        await inbox.put("hello");
        const report = await outbox.get();
        const code = await process.exited;
        console.log(JSON.stringify({ ...report, code, own: Deno.pid, theirs: process.pid }));
      }
    `,
      ["one", "two"],
    );
    assertEquals(end.code, 0, describeEnd(end));
    const [line, json] = end.stdout.trim().split("\n");
    assertEquals(line, "stdout of the child");
    assertEquals(end.stderr, "stderr of the child\n");
    const report = JSON.parse(json!);
    assertEquals(report.code, 0);
    assertEquals(report.word, "hello");
    assertEquals(report.pid, report.theirs);
    assertEquals(report.parent, report.own);
    assertEquals(report.name, "P");
    assertEquals(report.args, ["one", "two"]);
    assertEquals(report.argv, ["one", "two"]);
    assertEquals(report.isMain, false);
    assert(report.pid !== report.own);
    // Nothing ran but the program, with its arguments and the mark.
    assertMatch(report.main, new RegExp(`^${ARGUMENT}(:\\d+){5}$`));
  },
);

for (
  const [what, body, code] of [
    ["returns", "", 0],
    ["sets an exit code and returns", "Deno.exitCode = 7", 7],
    ["calls Deno.exit()", "Deno.exit(3)", 3],
    ["calls Deno.exit() later", "setTimeout(() => Deno.exit(4), 5)", 4],
    ["calls process.exit()", "process.exit(5)", 5],
    ["calls exit() with a text", 'exit("a reason")', 1],
    ["throws", 'throw new RangeError("on purpose")', 1],
    ["throws later", 'setTimeout(() => { throw new Error("late") }, 5)', 1],
    [
      "rejects",
      'Promise.reject(new Error("unheard")); await new Promise(() => {})',
      1,
    ],
    [
      "is killed",
      'Deno.kill(Deno.pid, "SIGKILL"); await new Promise(() => {})',
      -9,
    ],
    [
      "is interrupted",
      'Deno.kill(Deno.pid, "SIGTERM"); await new Promise(() => {})',
      -15,
    ],
    [
      "returns with a timer left",
      "setTimeout(() => console.log('timer'), 20)",
      0,
    ],
  ] as const
) {
  once(`standalone: a child that ${what} ends with ${code}`, async () => {
    const end = await run(`
      addEventListener("unload", () => {
        if (!import.meta.main) console.log("unload", Deno.exitCode);
      });
      export async function target() { ${body} }
      if (import.meta.main) {
        const process = new (getContext("spawn").Process)({ target });
        process.start();
        console.log("exited", await process.exited);
      }
    `);
    const told = code < 0 ? "" : `unload ${code}\n`;
    const timer = what.includes("timer") ? "timer\n" : "";
    assertEquals(
      end.stdout,
      `${timer}${told}exited ${code}\n`,
      describeEnd(end),
    );
    if (what.includes("throws")) assertMatch(end.stderr, /^Process .*-1:\n/);
  });
}

once(
  "standalone: a busy child is terminated, one that listens hears of it",
  async () => {
    const end = await run(`
    export async function busy(event) { event.set(); while (true); }
    export async function listening(event) {
      Deno.addSignalListener("SIGTERM", () => Deno.exit(9));
      event.set();
      await new Promise((resolve) => setTimeout(resolve, 1e9));
    }
    if (import.meta.main) {
      const { Process, Event } = getContext("spawn");
      for (const target of [busy, listening]) {
        const event = new Event();
        const process = new Process({ target, args: [event] });
        process.start();
        await event.wait();
        process.terminate();
        console.log("exited", await process.exited);
      }
    }
  `);
    assertEquals(end.stdout, "exited -15\nexited 9\n", describeEnd(end));
  },
);

once("standalone: a child has children of both kinds", async () => {
  const end = await run(`
    export function grandchild(method) {
      console.log(method, parentProcess().name, parentProcess().pid);
    }
    export async function child() {
      console.log("child", Deno.pid);
      for (const method of ["spawn", "worker"]) {
        const { Process } = getContext(method);
        const process = new Process({ target: grandchild, args: [method] });
        process.start();
        if (await process.exited !== 0) Deno.exit(1);
      }
    }
    if (import.meta.main) {
      const { Process } = getContext("spawn");
      const process = new Process({ target: child, name: "child" });
      process.start();
      Deno.exit(await process.exited);
    }
  `);
  assertEquals(end.code, 0, describeEnd(end));
  const pid = /child (\d+)/.exec(end.stdout)![1];
  assertEquals(
    end.stdout,
    `child ${pid}\nspawn child ${pid}\nworker child ${pid}\n`,
  );
});

once("standalone: a program without a guard is no fork bomb", async () => {
  const end = await run(`
    export function target() { console.log("123"); }
    const process = new (getContext("spawn").Process)({ target });
    process.start();
    await process.join();
    Deno.exit(process.exitCode!);
  `);
  assertEquals(end.code, 1, describeEnd(end));
  assertEquals(end.stdout, "");
  assertMatch(end.stderr, /RuntimeError.*bootstrapping phase/s);
  assertEquals(end.left, []);
});

once(
  "standalone: the body of the program does not run in a child",
  async () => {
    const end = await runProgram(
      `
      import "./first.ts";
      import "${FORCE}";
      import { getContext } from "${LIBRARY}";
      import { target } from "./target.ts";
      import "./last.ts";
      console.log("body");
      const process = new (getContext("spawn").Process)({ target });
      process.start();
      console.log(await process.exited);
    `,
      {
        files: {
          "first.ts": 'console.log("first");',
          "target.ts": 'export function target() { console.log("target"); }',
          "last.ts": 'console.log("last");',
        },
      },
    );
    assertEquals(
      end.stdout,
      "first\\nlast\\nbody\\nfirst\\ntarget\\n0\\n".replaceAll("\\n", "\n"),
      describeEnd(end),
    );
  },
);

once(
  "standalone: the mark counts for nobody but the child it was made for",
  async () => {
    const mark = `${ARGUMENT}:1:1:1:28:4097`;
    const end = await run("console.log('body', Deno.args.length);", [mark]);
    assertEquals(end.stdout, "body 1\n", describeEnd(end));
    // Nor in a program that is not compiled.
    const other = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      console.log("body", getContext("spawn").getStartMethod());
    `,
      { args: [`${ARGUMENT}:${Deno.pid}:${Deno.pid}:9:28:4097`] },
    );
    assertEquals(other.stdout, "body spawn\n", describeEnd(other));
  },
);

once("standalone: a daemon ends with a program that is killed", async () => {
  await using program = await startProgram(compiled(`
    export function burner() {
      console.log("burner", Deno.pid);
      while (true);
    }
    if (import.meta.main) {
      new (getContext("spawn").Process)({ target: burner, daemon: true }).start();
      setInterval(() => {}, 1e9);
    }
  `));
  const [, pid] = await program.says(/burner (\d+)/);
  program.signal("SIGKILL");
  if (!endsBusyDaemons) return Deno.kill(Number(pid), "SIGKILL");
  await until(() => !isRunning(Number(pid)), "the daemon ends");
});

once("standalone: what is compiled in cannot be changed", () => {
  assertEquals(isStandalone(), false);
  forceStandalone(true);
  try {
    for (
      const [name, settings] of [
        ["permissions", { permissions: "none" }],
        ["execArgs", { execArgs: [] }],
        ["memoryLimitMb", { memoryLimitMb: 64 }],
      ] as const
    ) {
      const process = new (getContext("spawn").Process)(settings as object);
      assertThrows(
        () => process.start(),
        TypeError,
        `Cannot start a process with '${name}' as a compiled program`,
      );
    }
  } finally {
    forceStandalone(false);
  }
});

Deno.test("readPlace() reads what was written, and nothing else", () => {
  assertEquals(readPlace(["a", `${ARGUMENT}:1:2:3:4:5`]), {
    parentPid: 1,
    pid: 2,
    fd: 3,
    sizeLog2: 4,
    token: 5,
  });
  for (
    const args of [
      [],
      [""],
      [ARGUMENT],
      [`${ARGUMENT}:1:2:3:4`],
      [`${ARGUMENT}:1:2:3:4:5:6`],
      [`${ARGUMENT}:1:2:3:4:x`],
      [`${ARGUMENT}:1:2:3:4:-5`],
      [`${ARGUMENT}:1:2:3:4:`],
      [`${ARGUMENT}:1:2:3:4:5`, "behind"],
    ]
  ) {
    assertEquals(readPlace(args), undefined, args.join(" "));
  }
});

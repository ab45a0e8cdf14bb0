import { assert, assertEquals, assertThrows } from "@std/assert";
import { Finalize } from "../../contexts/mod.ts";
import { contract, once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { Mailbox } from "../_support/meeting.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";
import {
  finalizeInOrder,
  finalizeWhileChanging,
} from "../fixtures/finalizers.ts";

const FRONT_DOOR = import.meta.resolve("../../mod.ts");

/** Time in which what must not happen would happen, in milliseconds. */
const MOMENT_MS = 100;

/** What the reference's test of the same row expects. */
const ORDER = ["b", "d10", "d03", "d02", "d01", "e", "STOP"];

contract("FIN-01 Finalize calls back by priority at exit", async (ctx) => {
  const mailbox = Mailbox.in<string>(ctx);
  const process = new ctx.Process({ target: finalizeInOrder, args: [mailbox] });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 0);
  assertEquals(mailbox.drain(), ORDER);
});

once(
  "FIN-01 Finalize calls back by priority in the first process",
  async () => {
    const end = await runProgram(`
    import { finalizeInOrder } from "${
      import.meta.resolve("../fixtures/finalizers.ts")
    }";
    finalizeInOrder({ put: (word) => console.log(word) });
  `);
    assertEquals(end.stdout.trim().split("\n"), ORDER, describeEnd(end));
    assertEquals(end.code, 0);
  },
);

contract(
  "Finalize calls back also if it was made after the target returned",
  async (ctx) => {
    const end = await runProgram(`
      import { Finalize, getContext } from "${FRONT_DOOR}";
      const ctx = getContext("${ctx.getStartMethod()}");
      export async function daemon(here) {
        here.set();
        await new Promise(() => setInterval(() => {}, 1e6));
      }
      export function target() {
        setTimeout(async () => {
          const finalized = (word) => console.log(word);
          new Finalize(null, finalized, { args: ["last"], exitPriority: -1 });
          new Finalize(null, finalized, { args: ["first"], exitPriority: 1 });
          const here = new ctx.Event();
          const args = [here];
          new ctx.Process({ target: daemon, args, daemon: true }).start();
          await here.wait();
          console.log("returns");
        }, 1);
      }
      if (import.meta.main) {
        const process = new ctx.Process({ target });
        process.start();
        console.log(await process.exited);
      }
    `);
    assertEquals(end.stdout, "returns\nfirst\nlast\n0\n", describeEnd(end));
    assertEquals(end.left, []);
  },
);

once("FIN-01 Finalize calls back when its object is collected", async () => {
  const done: string[] = [];
  let object: object | null = {};
  const finalize = new Finalize(object, (word: string) => done.push(word), {
    args: ["a"],
  });
  assert(finalize.stillActive());
  object = null;
  await until(() => {
    collectGarbage();
    return done.length > 0;
  }, "the object is collected");
  assertEquals(done, ["a"]);
  assert(!finalize.stillActive());
  assertEquals(finalize(), undefined);
  assertEquals(done, ["a"]);
});

contract(
  "FIN-02 Finalize may be made and cancelled while others are called",
  async (ctx) => {
    const mailbox = Mailbox.in<number>(ctx);
    const process = new ctx.Process({
      target: finalizeWhileChanging,
      args: [mailbox],
    });
    process.start();
    await process.join();
    assertEquals(process.exitCode, 0);
    // One in two was cancelled by its neighbour, and the late ones came, too.
    assertEquals(mailbox.drain(), [100, 100]);
  },
);

once("FIN-X1 Finalize is called once", () => {
  const calls: unknown[] = [];
  const finalize = new Finalize(
    {},
    (...args: unknown[]) => {
      calls.push(args);
      return "result";
    },
    { args: [1, "two"] },
  );
  assert(finalize.stillActive());
  assertEquals(finalize(), "result");
  assertEquals(finalize(), undefined);
  assertEquals(calls, [[1, "two"]]);
  assert(!finalize.stillActive());
});

once("FIN-X1 Finalize.cancel() has it never called", () => {
  let called = false;
  const finalize = new Finalize(null, () => called = true, { exitPriority: 0 });
  finalize.cancel();
  assert(!finalize.stillActive());
  assertEquals(finalize(), undefined);
  finalize.cancel();
  assert(!called);
});

once("FIN-X1 Finalize is called at the end of a block of using", () => {
  let calls = 0;
  {
    using finalize = new Finalize(null, () => calls++, { exitPriority: 0 });
    assert(finalize.stillActive());
  }
  assertEquals(calls, 1);
});

once("FIN-X1 Finalize describes itself", () => {
  function print(): void {}
  const finalize = new Finalize(null, print, {
    args: ["cb"] as never,
    exitPriority: 3,
  });
  const text =
    '<Finalize object, callback=print, args=[ "cb" ], exitPriority=3>';
  assertEquals(String(finalize), text);
  assertEquals(Deno.inspect(finalize), text);
  assert(finalize instanceof Finalize);
  finalize();
  assertEquals(String(finalize), "<Finalize object, dead>");
});

once("FIN-X1 Finalize refuses what makes no sense, and why", () => {
  const nothing = () => {};
  assertThrows(
    () => new Finalize(null, nothing),
    TypeError,
    "without object, exitPriority cannot be null",
  );
  for (const exitPriority of [1.5, "1", NaN] as never[]) {
    assertThrows(
      () => new Finalize(null, nothing, { exitPriority }),
      TypeError,
      "'exitPriority' must be null or an integer",
    );
  }
  assertThrows(
    () => new Finalize({}, "nothing" as never),
    TypeError,
    "its callback must be a function",
  );
  assertThrows(
    () => new Finalize(1 as never, nothing),
    TypeError,
    "the object must be one, or null",
  );
  assertThrows(
    () => new Finalize({}, nothing, { args: "x" as never }),
    TypeError,
    "'args' must be an array",
  );
});

once("FIN-X1 an error in a Finalize is printed, the rest goes on", async () => {
  const end = await runProgram(`
    import { Finalize } from "${LIBRARY}";
    const at = (exitPriority, run) => new Finalize(null, run, { exitPriority });
    at(2, () => { throw new Error("on purpose"); });
    at(1, async () => { await null; throw new RangeError("later"); });
    at(0, () => console.log("the rest"));
  `);
  assertEquals(end.stdout, "the rest\n", describeEnd(end));
  assert(end.stderr.includes("Error: on purpose"), end.stderr);
  assert(end.stderr.includes("RangeError: later"), end.stderr);
  assertEquals(end.code, 0);
});

contract(
  "LESSON-35 the first process ends its daemons between its finalizers",
  async (ctx) => {
    const end = await runProgram(`
      import { activeChildren, Finalize, getContext, logToStderr } from
        "${FRONT_DOOR}";
      export async function daemon(ready) {
        await ready.put("here");
        await new Promise((resolve) => setTimeout(resolve, 1e9));
      }
      if (import.meta.main) {
        const ctx = getContext("${ctx.getStartMethod()}");
        const count = async () => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return activeChildren().length;
        };
        const at = (exitPriority, run) =>
          new Finalize(null, run, { exitPriority });
        at(-1, async () => console.log("after:", await count()));
        at(0, async () => console.log("before:", await count()));
        const ready = new ctx.SimpleQueue();
        const process = new ctx.Process({
          target: daemon, args: [ready], daemon: true, name: "D",
        });
        process.start();
        await ready.get();
        logToStderr("DEBUG");
      }
    `);
    assertEquals(end.stdout, "before: 1\nafter: 0\n", describeEnd(end));
    assertEquals(end.stderr.trim().split("\n"), [
      "[INFO/MainProcess] process shutting down",
      '[DEBUG/MainProcess] running all "atexit" finalizers with priority >= 0',
      "[INFO/MainProcess] calling terminate() for daemon D",
      "[INFO/MainProcess] calling join() for process D",
      '[DEBUG/MainProcess] running the remaining "atexit" finalizers',
    ]);
    assertEquals([end.code, end.left], [0, []]);
  },
);

contract(
  "LESSON-35 Deno.exit() in the first process runs its finalizers",
  async (ctx) => {
    const end = await runProgram(`
      import { Finalize, getContext } from "${FRONT_DOOR}";
      export async function daemon(ready) {
        await ready.put("here");
        await new Promise((resolve) => setTimeout(resolve, 1e9));
      }
      if (import.meta.main) {
        const ctx = getContext("${ctx.getStartMethod()}");
        for (const exitPriority of [-1, 0, 10]) {
          new Finalize(null, () => console.log(exitPriority), { exitPriority });
        }
        const ready = new ctx.SimpleQueue();
        new ctx.Process({ target: daemon, args: [ready], daemon: true }).start();
        await ready.get();
        Deno.exit(3);
      }
    `);
    assertEquals(end.stdout, "10\n0\n-1\n", describeEnd(end));
    assertEquals(end.code, 3);
    await until(() => end.left.every(({ pid }) => !isThere(pid)), "all end");
  },
);

contract("a daemon that does not listen is ended all the same", async () => {
  const end = await runProgram(`
    import { getContext } from "${FRONT_DOOR}";
    export async function deaf(ready) {
      Deno.addSignalListener("SIGTERM", () => console.log("no"));
      await ready.put("here");
      setInterval(() => {}, 1e6);
      await new Promise(() => {});
    }
    if (import.meta.main) {
      const ctx = getContext("spawn");
      const ready = new ctx.SimpleQueue();
      new ctx.Process({ target: deaf, args: [ready], daemon: true }).start();
      await ready.get();
    }
  `);
  assertEquals(end.stdout, "no\n", describeEnd(end));
  assertEquals([end.code, end.left], [0, []]);
}, { methods: ["spawn"] });

contract("a child may leave its pool to its exit sequence", async (ctx) => {
  const end = await runProgram(`
    import { getContext, logToStderr } from "${FRONT_DOOR}";
    export function square(x) { return x * x; }
    export async function child(method) {
      const pool = new (getContext(method).Pool)(2);
      console.log(await pool.map(square, [1, 2, 3]));
      globalThis.pool = pool;
    }
    if (import.meta.main) {
      logToStderr("DEBUG");
      const method = "${ctx.getStartMethod()}";
      const { Process } = getContext(method);
      const process = new Process({ target: child, args: [method], name: "C" });
      process.start();
      console.log(await process.exited);
    }
  `);
  assertEquals(end.stdout, "[ 1, 4, 9 ]\n0\n", describeEnd(end));
  const started = end.stderr.match(/added worker/g) ?? [];
  assertEquals(started.length, 2, describeEnd(end));
  assertEquals(end.left, []);
});

function isThere(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/stat`).split(" ")[2] !== "Z";
  } catch {
    return false;
  }
}

contract(
  "Finalize is not called in a child that is killed while it loads its target",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      import { never } from "./slow.ts";
      const { Process } = getContext("${ctx.getStartMethod()}");
      const process = new Process({ target: never });
      process.start();
      while (!await Deno.stat("loading").catch(() => null));
      process.kill();
      await process.join();
      console.log("exit code", process.exitCode);
      // A thread whose loading has been cut short may go on for a moment.
      await new Promise((resolve) => setTimeout(resolve, ${MOMENT_MS}));
    `,
      {
        files: {
          "slow.ts": `
            import { Finalize, parentProcess } from "${LIBRARY}";
            export function never() {}
            if (parentProcess()) {
              new Finalize(null, () => console.log("finalized"), {
                exitPriority: 0,
              });
              await Deno.writeTextFile("loading", "");
              await import("${FRONT_DOOR}"); // takes a while
            }
          `,
        },
        cwd: (folder) => folder,
      },
    );
    assertEquals(end.stdout, "exit code -9\n", describeEnd(end));
    assertEquals(end.stderr, "");
  },
);

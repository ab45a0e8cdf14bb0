import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import * as frontDoor from "../../mod.ts";
import {
  Context,
  getAllStartMethods,
  getContext,
  getStartMethod,
  Process,
  setPreload,
  setStartMethod,
} from "../../contexts/mod.ts";
import { EncodingError, ProcessError } from "../../errors.ts";
import { contract, once } from "../_support/contract.ts";
import { Mailbox } from "../_support/meeting.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";
import { handOn, introduce, nothing, putInto } from "../fixtures/targets.ts";
import type { SelfReport } from "../fixtures/targets.ts";

/** The front door. */
const FRONT_DOOR = import.meta.resolve("../../mod.ts");

contract("CTX-01 Context has its start method", async (ctx) => {
  const method = ctx.getStartMethod();
  assertStrictEquals(getContext(method), ctx);
  assertStrictEquals(ctx.getContext(), ctx);
  assertEquals(ctx.getContext("worker").getStartMethod(), "worker");
  for (const other of ["spawn", "worker", null] as const) {
    assertThrows(
      () => ctx.setStartMethod(other),
      ProcessError,
      "cannot set start method of concrete context",
    );
  }

  const mailbox = Mailbox.in<SelfReport>(ctx);
  const process = new ctx.Process({ target: introduce, args: [mailbox] });
  process.start();
  const { startMethod } = await mailbox.take("the child's report");
  await process.join();
  assertEquals(startMethod, method);
});

once("CTX-01 getContext() refuses what is not a start method", () => {
  assertThrows(
    () => getContext("xyz" as never),
    RangeError,
    'cannot find context for "xyz": there are "spawn" and "worker"',
  );
  for (const method of ["fork", "forkserver"]) {
    assertThrows(
      () => getContext(method as never),
      RangeError,
      `cannot find context for '${method}': Deno cannot fork a running process; use "worker"`,
    );
    assertThrows(
      () => setStartMethod(method as never, { force: true }),
      RangeError,
      "cannot find context",
    );
  }
});

once("CTX-02 setPreload() refuses what is not a list of modules", () => {
  for (const list of [[1, 2, 3], "module", null, [{}]]) {
    assertThrows(
      () => setPreload(list as never),
      TypeError,
      "module_names must be a list of strings",
    );
  }
});

contract("CTX-03 setStartMethod() chooses the default", async (ctx) => {
  const method = ctx.getStartMethod();
  try {
    setStartMethod(method, { force: true });
    assertEquals(getStartMethod(), method);
    assertEquals(getContext().getStartMethod(), method);
    for (const name of [getContext().constructor.name, ctx.Process.name]) {
      assertMatch(name, new RegExp(`^${method}`, "i"));
    }

    const mailbox = Mailbox.in<SelfReport>(ctx);
    const process = new Process({ target: introduce, args: [mailbox] });
    assertMatch(process.name, /^Process-\d+$/);
    process.start();
    const self = await mailbox.take("the child's report");
    await process.join();
    assertEquals(self.startMethod, method);
    assertEquals(process.pid === Deno.pid, method === "worker");

    assertThrows(
      () => setStartMethod(method),
      ProcessError,
      "context has already been set",
    );
  } finally {
    setStartMethod(null, { force: true });
  }
});

once("CTX-03 getStartMethod() fixes the default unless it allows none", () => {
  setStartMethod(null, { force: true });
  try {
    assertEquals(getStartMethod({ allowNone: true }), null);
    assertEquals(getStartMethod({ allowNone: true }), null);
    assertEquals(getStartMethod(), "spawn");
    assertEquals(getStartMethod({ allowNone: true }), "spawn");
    assertThrows(() => setStartMethod("worker"), ProcessError, "already");
  } finally {
    setStartMethod(null, { force: true });
  }
  setStartMethod("worker");
  assertEquals(getStartMethod(), "worker");
  setStartMethod(null, { force: true });
});

once("CTX-04 getAllStartMethods() has the default first", () => {
  assertEquals(getAllStartMethods(), ["spawn", "worker"]);
  getAllStartMethods().pop();
  assertEquals(getAllStartMethods(), ["spawn", "worker"]);
});

contract("CTX-05 setPreload() of a module that makes a lock", async (ctx) => {
  const end = await runProgram(
    `
      import { getContext, setPreload } from "${LIBRARY}";
      export function target() {
        console.log((globalThis as any).preloaded);
      }
      if (import.meta.main) {
        setPreload([
          import.meta.resolve("./preloaded.ts"),
          new URL("./missing.ts", import.meta.url),
        ]);
        const { Process } = getContext("${ctx.getStartMethod()}");
        const process = new Process({ target });
        process.start();
        console.log(await process.exited);
      }
    `,
    {
      files: {
        "preloaded.ts": `
          import { getContext } from "${LIBRARY}";
          const lock = new (getContext("${ctx.getStartMethod()}").Lock)();
          await lock.acquire();
          lock.release();
          (globalThis as any).preloaded = "ok";
        `,
      },
    },
  );
  assertEquals(end.stdout, "ok\n0\n", describeEnd(end));
  assertEquals(end.stderr, "");
});

once("CTX-06 Process.start() refuses what belongs to threads", () => {
  const [spawn, worker] = [getContext("spawn"), getContext("worker")];
  for (const object of [new worker.Queue(), new worker.Lock()]) {
    const process = new spawn.Process({
      target: putInto as (...args: unknown[]) => unknown,
      args: [{ nested: object }],
    });
    const error = assertThrows(() => process.start(), EncodingError);
    assertMatch(error.message, /"worker"/);
    assertMatch(error.message, /"spawn"/);
    assertMatch(error.message, /getContext\("spawn"\)/);
  }
});

contract(
  "CTX-06 Process takes a queue of processes into a thread",
  async (ctx) => {
    const queue = new (getContext("spawn").Queue)<unknown>();
    const process = new ctx.Process({ target: putInto, args: [queue, 2] });
    process.start();
    assertEquals(await queue.get(), 2);
    await process.join();
    assertEquals(process.exitCode, 0);
  },
  { methods: ["worker"] },
);

contract("CTX-07 Process hands on a queue that it was given", async (ctx) => {
  const queue = new ctx.Queue<number>();
  const process = new ctx.Process({
    target: handOn,
    args: [queue, 2, ctx.getStartMethod()],
  });
  process.start();
  const results = [await queue.get(), await queue.get()];
  await process.join();
  assertEquals(new Set(results), new Set([1, 2]));
  assertEquals(process.exitCode, 0);
});

contract(
  "CTX-07 Process hands on a queue across start methods",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const process = new ctx.Process({
      target: handOn,
      args: [queue, 2, "worker"],
    });
    process.start();
    const results = [await queue.get(), await queue.get()];
    await process.join();
    assertEquals(new Set(results), new Set([1, 2]));
    assertEquals(process.exitCode, 0);
  },
  { methods: ["spawn"] },
);

contract(
  "CTX-08 a semaphore of the main module leaves no trace",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      const ctx = getContext("${ctx.getStartMethod()}");
      const semaphore = new ctx.Semaphore();
      export function target() { semaphore.getValue(); }
      if (import.meta.main) {
        const process = new ctx.Process({ target });
        process.start();
        await process.join();
        console.log(process.exitCode, semaphore.getValue());
      }
    `,
    );
    assertEquals(end.stdout, "0 1\n", describeEnd(end));
    assertEquals(end.stderr, "");
    assertEquals(end.code, 0);
    assertEquals(end.left, []);
  },
);

for (const door of [LIBRARY, FRONT_DOOR]) {
  const name = door.slice(door.lastIndexOf("/", door.length - 8) + 1);
  once(`CTX-10 importing ${name} needs no permission`, async () => {
    for (const flags of [["run"], ["run", "--no-prompt"]]) {
      const end = await runProgram(
        `
          import * as multiprocessing from "${door}";
          const { cpuCount, getAllStartMethods, getContext, parentProcess } =
            multiprocessing;
          console.log(Object.keys(multiprocessing).length > 10);
          console.log(cpuCount() > 0, getAllStartMethods(), parentProcess());
          console.log(getContext("worker").getStartMethod());
        `,
        // With an answer to any question that should not be asked.
        { flags, stdin: "n\n" },
      );
      assertEquals(
        end.stdout,
        'true\ntrue [ "spawn", "worker" ] null\nworker\n',
        describeEnd(end),
      );
      assertEquals(end.stderr, "");
      assertEquals(end.code, 0);
    }
  });
}

contract("CTX-09 Context has what the front door has", (ctx) => {
  const own = [
    ...Object.getOwnPropertyNames(Context.prototype),
    ...Object.keys(ctx),
  ].filter((name) => name !== "constructor");
  assert(own.length > 20, own.join());
  const missing = own.filter((name) => !(name in frontDoor));
  assertEquals(missing, []);
  for (const name of own) {
    const member = (ctx as unknown as Record<string, unknown>)[name];
    assertEquals(typeof member, "function", name);
  }
});

once("CTX-09 the front door has no more than it should", () => {
  const names = Object.keys(frontDoor);
  for (const name of ["SUBDEBUG", "SUBWARNING", "default", "complete"]) {
    assert(!names.includes(name), name);
  }
  assertEquals(names.filter((name) => name.startsWith("_")), []);
});

once("CTX-11 each room exports what it declares", async () => {
  const rooms = [
    "codec",
    "contexts",
    "memory",
    "network",
    "pool",
    "primitives",
  ];
  for (const room of rooms) {
    const exports = await import(`../../${room}/mod.ts`);
    const names = Object.keys(exports);
    assert(names.length > 0, room);
    assertEquals(names.filter((name) => exports[name] === undefined), [], room);
  }
});

contract(
  "CTX-12 a module that uses a queue while it is imported",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      import { got } from "./imported.ts";
      console.log(got);
    `,
      {
        files: {
          "imported.ts": `
          import { getContext } from "${LIBRARY}";
          const queue = new (getContext("${ctx.getStartMethod()}").Queue)();
          await queue.put("through");
          export const got = await queue.get({ timeout: 3000 });
        `,
        },
      },
    );
    assertEquals(end.stdout, "through\n", describeEnd(end));
    assertEquals(end.stderr, "");
  },
);

contract("Context gives the same class each time", (ctx) => {
  assertStrictEquals(ctx.Process, ctx.Process);
  assertStrictEquals(ctx.Queue, ctx.Queue);
  assert(new ctx.Process() instanceof Process);
  assert(new ctx.Process() instanceof ctx.Process);
  const other = getContext(
    ctx.getStartMethod() === "spawn" ? "worker" : "spawn",
  );
  assert(!(new ctx.Process() instanceof other.Process));
});

contract(
  "Process takes the settings of a process into a child",
  async (ctx) => {
    const end = await runProgram(
      `
        import { getContext } from "${LIBRARY}";
        export function target() {
          console.log(Deno.env.get("MP_TEST"), Deno.cwd(), typeof (globalThis as any).gc);
        }
        if (import.meta.main) {
          const { Process } = getContext("spawn");
          for (const cwd of ["/", new URL("file:///tmp")]) {
            const process = new Process({
              target,
              env: { MP_TEST: "set" },
              cwd,
              execArgs: ["--v8-flags=--expose-gc"],
            });
            process.start();
            console.log(await process.exited);
          }
        }
      `,
    );
    assertEquals(
      end.stdout,
      "set / function\n0\nset /tmp function\n0\n",
      describeEnd(end),
    );
    assertEquals(ctx.getStartMethod(), "spawn");
  },
  { methods: ["spawn"] },
);

contract("Process refuses the settings of a process for a thread", (ctx) => {
  for (
    const settings of [
      { permissions: "none" },
      { env: { A: "1" } },
      { cwd: "/" },
      { execArgs: [] },
    ] as const
  ) {
    const process = new ctx.Process({ target: nothing, ...settings as object });
    assertThrows(
      () => process.start(),
      TypeError,
      `Cannot start a worker with '${
        Object.keys(settings)[0]
      }' as a thread shares its process: use getContext("spawn")`,
    );
    assertEquals(process.isAlive(), false);
  }
}, { methods: ["worker"] });

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  activeChildren,
  AuthKey,
  cpuCount,
  currentProcess,
  parentProcess,
  setExecutable,
} from "../../contexts/mod.ts";
import type { Process } from "../../contexts/mod.ts";
import type { WaitOptions } from "../../memory/mod.ts";
import { ProcessError } from "../../errors.ts";
import { contract, once } from "../_support/contract.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import { until } from "../_support/gate.ts";
import {
  block,
  burn,
  echo,
  exitWith,
  fail,
  introduce,
  introduceInto,
  introduceParent,
  nameChild,
  nothing,
  putInto,
  recurse,
  stay,
  takeFrom,
  tryToStart,
  waitFor,
  waitForEvent,
} from "../fixtures/targets.ts";
import type { SelfReport } from "../fixtures/targets.ts";

/** How many children run side by side. */
const MANY = 5;

once("PROC-01 currentProcess() in the first process", () => {
  const self = currentProcess();

  assertEquals(self.name, "MainProcess");
  assertEquals(self.isAlive(), true);
  assertEquals(self.daemon, false);
  assertEquals(self.pid, Deno.pid);
  assertEquals(self.ident, Deno.pid);
  assertEquals(self.exitCode, null);
  assertInstanceOf(self.authkey, AuthKey);
  assertEquals(self.authkey.length, 32);
  assertEquals(
    String(self),
    "<_MainProcess name='MainProcess' parent=None started>",
  );
});

contract("PROC-01 currentProcess() in a child", async (ctx) => {
  const mailbox = Mailbox.in<SelfReport>(ctx);
  const process = new ctx.Process({
    target: introduce,
    args: [mailbox],
    name: "child",
  });
  process.start();
  const self = await mailbox.take("the child's report");
  await process.join();

  assertEquals(self.isAlive, true);
  assertEquals(self.daemon, false);
  assertEquals(self.exitCode, null);
  assertEquals(self.authkey.length, 32);
  assertEquals(self.startMethod, ctx.getStartMethod());
  assertEquals(self.children, 0);
  assertEquals(self.isMain, false);
  assertEquals(
    self.text,
    `<Process name='child' pid=${self.pid} parent=${Deno.pid} started>`,
  );
});

contract(
  "PROC-02 setExecutable() takes a path, a URL and its text",
  async (ctx) => {
    const url = new URL(`file://${Deno.execPath()}`);
    try {
      for (const path of [Deno.execPath(), url, url.href]) {
        setExecutable(path);
        const process = new ctx.Process();
        process.start();
        await process.join();
        assertEquals(process.exitCode, 0, String(path));
      }
      assertThrows(() => setExecutable(3 as never), TypeError, "executable");
      assertThrows(
        () => setExecutable(new URL("https://localhost/deno")),
        TypeError,
        "executable",
      );
    } finally {
      setExecutable(Deno.execPath());
    }
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-02 setExecutable() of something that is not there makes start() throw",
  (ctx) => {
    try {
      setExecutable("/nowhere/deno");
      const process = new ctx.Process();
      assertThrows(() => process.start(), Deno.errors.NotFound);
      assertEquals(process.exitCode, null);
      assertEquals(process.isAlive(), false);
      assertEquals(activeChildren(), []);
    } finally {
      setExecutable(Deno.execPath());
    }
  },
  { methods: ["spawn"] },
);

contract("PROC-03 Process passes its arguments on", async (ctx) => {
  const when = new Date(0);
  const args = [
    1,
    "str",
    [1],
    [[], {}],
    { when, big: 2n ** 70n, map: new Map([[1, new Set([-0])]]) },
    undefined,
    null,
    NaN,
    new Uint8Array([1, 2, 3]),
  ];
  const queues = args.map(() => new ctx.Queue(1));
  const processes = args.map((arg, i) =>
    new ctx.Process({ target: putInto, args: [queues[i]!, arg] })
  );
  for (const process of processes) process.start();
  for (const [i, arg] of args.entries()) {
    assertEquals(await queues[i]!.get(), arg);
    await processes[i]!.join();
    assertEquals(processes[i]!.exitCode, 0);
  }
});

contract("PROC-03 Process passes any number of arguments on", async (ctx) => {
  const counts = [0, 1, 2, 7];
  const mailboxes = counts.map(() => Mailbox.in<unknown[]>(ctx));
  const processes = counts.map((count, i) =>
    new ctx.Process({
      target: echo,
      args: [mailboxes[i]!, ...Array(count).fill(count)],
    })
  );
  for (const process of processes) process.start();
  for (const [i, count] of counts.entries()) {
    const args = await mailboxes[i]!.take("the arguments");
    assertEquals(args, Array(count).fill(count));
    await processes[i]!.join();
  }
});

contract("PROC-03 Process copies its arguments at start()", async (ctx) => {
  const mailbox = Mailbox.in<unknown[]>(ctx);
  const items = ["before"];
  const process = new ctx.Process({ target: echo, args: [mailbox, items] });
  items.push("before start()");
  process.start();
  items.push("after start()");

  assertEquals(await mailbox.take("the arguments"), [[
    "before",
    "before start()",
  ]]);
  await process.join();
});

contract("PROC-04 Process.daemon is the current one's by default", (ctx) => {
  const { Process } = ctx;
  assertEquals(new Process().daemon, currentProcess().daemon);
  assertEquals(new Process({ daemon: true }).daemon, true);
  assertEquals(new Process({ daemon: false }).daemon, false);

  const process = new Process();
  process.daemon = true;
  assertEquals(process.daemon, true);
});

contract("PROC-05 parentProcess() has the parent's name", async (ctx) => {
  assertEquals(parentProcess(), null);

  const mailbox = Mailbox.in(ctx);
  const process = new ctx.Process({ target: introduceParent, args: [mailbox] });
  process.start();

  assertEquals(await mailbox.take("who the parent is"), [
    Deno.pid,
    "MainProcess",
    true,
    "<_ParentProcess name='MainProcess' parent=None unknown>",
  ]);
  await process.join();
});

contract("PROC-07 Process tells its state through its life", async (ctx) => {
  const { Process } = ctx;
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const holder = new Process({ target: waitFor, args: [here, go] });

  assertEquals(holder.isAlive(), false);
  assertEquals(holder.pid, null);
  assertEquals(holder.ident, null);
  assertEquals(holder.exitCode, null);
  assert(!activeChildren().includes(holder as Process));
  assert(holder.authkey.equals(currentProcess().authkey));

  holder.start();
  await here.reaches(1, "the child runs");
  assertEquals(holder.isAlive(), true);
  assertEquals(holder.exitCode, null);
  assert(activeChildren().includes(holder as Process));

  go.set();
  assertEquals(await holder.join(), true);
  assertEquals(holder.exitCode, 0);
  assertEquals(await holder.exited, 0);
  assertEquals(holder.isAlive(), false);
  assertEquals(activeChildren(), []);

  const options = { hello: 23, bye: 2.54 };
  const queue = new ctx.Queue<SelfReport>(1);
  const process = new Process({
    target: introduceInto,
    args: [queue, 1, 2, options],
    name: "SomeProcess",
    daemon: true,
  });
  process.start();
  const self = await queue.get();
  await process.join();

  assertEquals(self.args, [1, 2, options]);
  assertEquals(self.name, "SomeProcess");
  assertEquals(self.daemon, true);
  assertEquals(self.authkey, currentProcess().authkey.reveal());
  assertEquals(self.pid, process.pid);
  assertEquals(self.ident, process.ident);
});

contract("PROC-08 Process.ident tells children apart", async (ctx) => {
  const mailbox = Mailbox.in<SelfReport>(ctx);
  const processes = Array.from(
    { length: 2 },
    () => new ctx.Process({ target: introduce, args: [mailbox] }),
  );
  for (const process of processes) process.start();
  const idents = [currentProcess().ident];
  const pids = [currentProcess().pid];
  for (const process of processes) {
    const self = await mailbox.take("a child's report");
    idents.push(self.ident);
    pids.push(self.pid);
    await process.join();
  }

  assertEquals(new Set(idents).size, 3);
  const expected = ctx.getStartMethod() === "spawn" ? 3 : 1;
  assertEquals(new Set(pids).size, expected);
});

for (
  const [row, verb, exitCode] of [
    ["PROC-09", "terminate", -15],
    ["PROC-10", "kill", -9],
  ] as const
) {
  for (
    const [what, target] of [["sleeping", stay], ["busy", burn], [
      "blocked",
      block,
    ]] as const
  ) {
    contract(`${row} Process.${verb}() ends a ${what} daemon`, async (ctx) => {
      const here = SharedGate.in(ctx);
      const process = new ctx.Process({ target, args: [here], daemon: true });
      process.start();
      await here.reaches(1, "the child runs");

      assertEquals(process.isAlive(), true);
      assert(activeChildren().includes(process as Process));
      assertEquals(process.exitCode, null);
      assertEquals(await process.join({ timeout: 0 }), false);
      assertEquals(await process.join({ timeout: -1 }), false);
      assertEquals(process.isAlive(), true);

      process[verb]();
      process[verb](); // while it ends, and once more below: nothing happens
      assertEquals(await process.join(), true);
      assertEquals(process.isAlive(), false);
      assertEquals(activeChildren(), []);
      assertEquals(process.exitCode, exitCode);
      process[verb]();
      assertEquals(process.exitCode, exitCode);
    });
  }
}

once("PROC-11 cpuCount() is a whole number of at least 1", () => {
  assert(Number.isInteger(cpuCount()) && cpuCount() >= 1);
});

contract("PROC-12 activeChildren() has those that live", async (ctx) => {
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const process = new ctx.Process({
    target: waitFor,
    args: [here, go],
    daemon: true,
  });
  assertEquals(activeChildren(), []);
  process.start();
  assertEquals(activeChildren(), [process as Process]);
  activeChildren().pop(); // a copy: nobody else's business
  assertEquals(activeChildren().length, 1);
  go.set();
  await process.join();
  assertEquals(activeChildren(), []);
});

contract("PROC-13 Process has children of its own", async (ctx) => {
  const mailbox = Mailbox.in<number[]>(ctx);
  const process = new ctx.Process({
    target: recurse,
    args: [mailbox, [], ctx.getStartMethod()],
  });
  process.start();
  await process.join();

  assertEquals(process.exitCode, 0);
  assertEquals(mailbox.drain(), [[], [0], [0, 0], [0, 1], [1], [1, 0], [1, 1]]);
});

contract(
  "Process.memoryLimitMb may be any number that is enough",
  async (ctx) => {
    const process = new ctx.Process({ target: nothing, memoryLimitMb: 64.5 });
    process.start();
    assertEquals(await process.exited, 0);
    if (ctx.getStartMethod() === "spawn") return;
    for (const memoryLimitMb of [1, 15.9]) {
      const late = new ctx.Process({ target: nothing, memoryLimitMb });
      assertThrows(
        () => late.start(),
        RangeError,
        `Cannot start a worker as 'memoryLimitMb' must be at least 16: it is ${memoryLimitMb}`,
      );
    }
    const least = new ctx.Process({ target: nothing, memoryLimitMb: 16 });
    least.start();
    assertEquals(await least.exited, 0);
  },
);

contract("PROC-14 Process.sentinel is ready at the end", async (ctx) => {
  const event = new ctx.Event();
  const process = new ctx.Process({ target: waitForEvent, args: [event] });
  assertThrows(() => process.sentinel, ProcessError, "process not started");
  process.start();
  const { sentinel } = process;
  assertEquals(await ctx.wait([sentinel], { timeout: 0 }), []);
  assertEquals(sentinel.ready, false);
  const ready = ctx.wait([sentinel]);
  event.set();
  assertEquals(await ready, [sentinel]);
  await process.join();
  assertEquals(sentinel.ready, true);
  assertEquals(await ctx.wait([sentinel], { timeout: 0 }), [sentinel]);
  assertEquals(process.sentinel, sentinel);
});

contract("PROC-15 Process.close() lets go of an ended child", async (ctx) => {
  const queue = new ctx.Queue<null>();
  let process: Process | undefined = new ctx.Process({
    target: takeFrom,
    args: [queue],
  }) as Process;
  process.start();
  assertThrows(
    () => process!.close(),
    ProcessError,
    "Cannot close a process while it is still running. You should first call join() or terminate().",
  );
  await queue.put(null);
  await process.join();
  assertEquals(process.isAlive(), false);
  assertEquals(process.exitCode, 0);
  process.close();
  assertThrows(() => process!.isAlive(), ProcessError, CLOSED);
  await assertRejects(() => process!.join(), ProcessError, CLOSED);
  assertThrows(() => process!.terminate(), ProcessError, CLOSED);
  process.close();

  const reference = new WeakRef(process);
  process = undefined;
  await until(() => {
    collectGarbage();
    return reference.deref() === undefined;
  }, "a closed Process is collected");
});

const CLOSED = "process object is closed";

contract("PROC-16 many children at once", async (ctx) => {
  const processes = Array.from(
    { length: MANY },
    () => new ctx.Process({ target: ctx.sleep, args: [10] }),
  );
  for (const process of processes) process.start();
  await Promise.all(processes.map((process) => process.join()));
  assertEquals(processes.map(({ exitCode }) => exitCode), Array(MANY).fill(0));
});

contract(
  "PROC-16 Process.terminate() ends a child that starts",
  async (ctx) => {
    const processes = Array.from(
      { length: MANY },
      () => new ctx.Process({ target: stay }),
    );
    for (const process of processes) {
      process.start();
      process.terminate();
    }
    await Promise.all(processes.map((process) => process.join()));
    assertEquals(
      processes.map(({ exitCode }) => exitCode),
      Array(MANY).fill(-15),
    );
  },
);

contract("PROC-17 Process does not keep its arguments alive", async (ctx) => {
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const [process, reference] = (() => {
    const argument = { text: "not kept" };
    const process = new ctx.Process({
      target: waitFor as (...args: unknown[]) => unknown,
      args: [here, go, argument],
    });
    return [process, new WeakRef(argument)];
  })();
  process.start();
  await until(() => {
    collectGarbage();
    return reference.deref() === undefined;
  }, "an argument is collected while the child runs");
  go.set();
  await process.join();
  assertEquals(process.exitCode, 0);
});

contract("PROC-X1 Process.toString() describes each state", async (ctx) => {
  const { Process } = ctx;
  const method = ctx.getStartMethod();
  const cls = method === "spawn" ? "SpawnProcess" : "WorkerProcess";
  const parent = Deno.pid;
  const here = SharedGate.in(ctx);

  const idle = new Process({ name: "p" });
  assertEquals(String(idle), `<${cls} name='p' parent=${parent} initial>`);
  idle.daemon = true;
  assertEquals(
    String(idle),
    `<${cls} name='p' parent=${parent} initial daemon>`,
  );
  assertEquals(Deno.inspect(idle), String(idle));

  const killed = new Process({ target: stay, args: [here], name: "p" });
  killed.start();
  const { pid } = killed;
  assertEquals(
    String(killed),
    `<${cls} name='p' pid=${pid} parent=${parent} started>`,
  );
  killed.kill();
  await killed.join();
  assertEquals(
    String(killed),
    `<${cls} name='p' pid=${pid} parent=${parent} stopped exitcode=-SIGKILL>`,
  );
  killed.close();
  assertEquals(String(killed), `<${cls} name='p' parent=${parent} closed>`);

  const codes = [0, 1, 200];
  const processes = codes.map((code) =>
    new Process({ target: exitWith, args: [code], name: "p", daemon: true })
  );
  for (const process of processes) process.start();
  for (const [i, process] of processes.entries()) {
    await process.join();
    assertEquals(
      String(process),
      `<${cls} name='p' pid=${process.pid} parent=${parent} stopped exitcode=${
        codes[i]
      } daemon>`,
    );
  }
});

contract("PROC-X2 Process.start() twice is an error", async (ctx) => {
  const process = new ctx.Process({ target: nothing });
  process.start();
  assertThrows(() => process.start(), ProcessError, "start a process twice");
  await process.join();
  assertThrows(() => process.start(), ProcessError, "start a process twice");
});

contract(
  "PROC-X2 Process.start() twice, from within, is an error",
  async (ctx) => {
    const mailbox = Mailbox.in(ctx);
    let error: unknown;
    const greedy = {
      get x(): number {
        try {
          process.start();
        } catch (caught) {
          error = caught;
        }
        return 1;
      },
    };
    const process = new ctx.Process({
      target: echo as (...args: unknown[]) => unknown,
      args: [mailbox, greedy],
    });
    process.start();
    await process.join();
    assertInstanceOf(error, ProcessError);
    assertEquals(error.message, "cannot start a process twice");
    assertEquals(mailbox.drain(), [[{ x: 1 }]]);
  },
);

contract("PROC-X2 Process.daemon cannot be set after start()", async (ctx) => {
  const process = new ctx.Process({ target: nothing });
  process.start();
  assertThrows(
    () => process.daemon = true,
    ProcessError,
    "process has already started",
  );
  await process.join();
});

contract("PROC-X2 Process is not used before start()", async (ctx) => {
  const process = new ctx.Process({ target: nothing });
  await assertRejects(
    () => process.join(),
    ProcessError,
    "can only join a started process",
  );
  assertThrows(() => process.terminate(), ProcessError, "a started process");
  assertThrows(() => process.kill(), ProcessError, "a started process");
  assertEquals(process.isAlive(), false);
  assertEquals(process.exitCode, null);
});

contract("PROC-X2 Process refuses a group", (ctx) => {
  assertThrows(
    () => new ctx.Process({ group: 1 } as never),
    TypeError,
    "group argument must be None for now",
  );
  new ctx.Process({ group: null } as never);
});

contract("PROC-X2 Process.name must be a string", (ctx) => {
  assertThrows(
    () => new ctx.Process({ name: 3 as never }),
    TypeError,
    "name must be a string",
  );
  const process = new ctx.Process();
  assertThrows(
    () => process.name = 3 as never,
    TypeError,
    "name must be a string",
  );
  process.name = "renamed";
  assertEquals(process.name, "renamed");
});

contract("PROC-X2 Process refuses options of a wrong shape", (ctx) => {
  const { Process } = ctx;
  for (
    const options of [
      { target: "nothing" },
      { target: {} },
      { args: "text" },
      { args: {} },
      { memoryLimitMb: 0 },
      { memoryLimitMb: NaN },
      { memoryLimitMb: Infinity },
      { memoryLimitMb: "64" },
      { execArgs: "--seed=1" },
      { execArgs: [1] },
      { env: "x" },
      { env: { A: 3 } },
      { cwd: 3 },
      { signal: {} },
    ]
  ) {
    const error = assertThrows(() => new Process(options as never), Error);
    assert(
      error instanceof TypeError || error instanceof RangeError,
      `${Deno.inspect(options)}: ${error}`,
    );
    assertMatch(error.message, new RegExp(Object.keys(options)[0]!));
  }
});

contract("options that are given as in Python are refused", async (ctx) => {
  const process = new ctx.Process({ target: stay });
  process.start();
  const positional = {
    "Process()": () => new ctx.Process(nothing as never),
    "Process.join()": () => process.join(0.1 as never),
    "Pipe()": () => ctx.Pipe(false as never),
    "Value()": () => new ctx.Value("i", 0, false as never),
    "Array()": () => new ctx.Array("i", 1, false as never),
    "Barrier()": () => new ctx.Barrier(2, nothing as never),
    "SharedMemory()": () => new ctx.SharedMemory("name" as never),
    "ShareableList()": () => new ctx.ShareableList([], "name" as never),
  };
  for (const [name, call] of Object.entries(positional)) {
    await assertRejects(
      // deno-lint-ignore require-await -- so that what is thrown rejects
      async () => call(),
      TypeError,
      "as the options must be an object, such as { ",
      name,
    );
  }
  assertThrows(
    () => new ctx.Process({ target: nothing, kwargs: { a: 1 } } as never),
    TypeError,
    "Cannot create a process as there is no option 'kwargs': give the target an object among its 'args'",
  );
  process.kill();
  await process.join();
});

contract(
  "PROC-X2 Process that is closed refuses all but its name",
  async (ctx) => {
    const process = new ctx.Process({ target: nothing, name: "closed" });
    process.start();
    await process.join();
    process.close();

    await assertRejects(() => process.join(), ProcessError, CLOSED);
    for (
      const use of [
        () => process.isAlive(),
        () => process.terminate(),
        () => process.kill(),
        () => process.start(),
        () => process.exitCode,
        () => process.pid,
        () => process.ident,
        () => process.sentinel,
      ]
    ) {
      assertThrows(use, ProcessError, CLOSED, String(use));
    }
    assertEquals(process.name, "closed");
    assertEquals(process.daemon, false);
    assertEquals(
      String(process),
      `<${process.constructor.name} name='closed' parent=${Deno.pid} closed>`,
    );
  },
);

contract("PROC-X3 Process has a name with its number", async (ctx) => {
  const method = ctx.getStartMethod();
  const cls = method === "spawn" ? "SpawnProcess" : "WorkerProcess";
  const [first, second] = [new ctx.Process(), new ctx.Process()];
  assertMatch(first.name, new RegExp(`^${cls}-\\d+$`));
  const number = Number(first.name.split("-")[1]);
  assertEquals(second.name, `${cls}-${number + 1}`);

  const mailbox = Mailbox.in(ctx);
  const process = new ctx.Process({
    target: nameChild,
    args: [mailbox, method],
  });
  process.start();
  await process.join();
  const [name] = await mailbox.take("a grandchild's name") as string[];
  assertEquals(name, `${cls}-${number + 2}:1`);
});

contract(
  "PROC-X3 Process.terminate() after the end does nothing",
  async (ctx) => {
    const process = new ctx.Process({ target: nothing });
    process.start();
    await process.join();
    process.terminate();
    process.kill();
    assertEquals(process.exitCode, 0);
    assertEquals(await process.exited, 0);
  },
);

contract("PROC-X6 Process that is a daemon has no children", async (ctx) => {
  const mailbox = Mailbox.in<string>(ctx);
  const process = new ctx.Process({
    target: tryToStart,
    args: [mailbox, ctx.getStartMethod()],
    daemon: true,
  });
  process.start();
  await process.join();
  assertEquals(
    await mailbox.take("what came of the attempt"),
    "ProcessError: daemonic processes are not allowed to have children",
  );
});

contract("LESSON-11 Process.join() serves many at once", async (ctx) => {
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const process = new ctx.Process({ target: waitFor, args: [here, go] });
  process.start();
  const joins = Array.from({ length: 10 }, () => process.join());
  const early = process.join({ timeout: 1 });
  assertEquals(await early, false);
  go.set();
  assertEquals(await Promise.all(joins), Array(10).fill(true));
  assertEquals(await process.join({ timeout: 0 }), true);
  assertEquals(process.exitCode, 0);
});

contract("Process keeps nothing of those who no longer wait", async (ctx) => {
  const process = new ctx.Process({ target: stay });
  process.start();
  const { sentinel } = process;
  const waits = {
    join: (limit: WaitOptions) => process.join(limit),
    wait: (limit: WaitOptions) => ctx.wait([sentinel], limit),
  };
  for (const [name, wait] of Object.entries(waits)) {
    const many = () =>
      Promise.all(Array.from({ length: 1000 }, () => wait({ timeout: 0.01 })));
    await many();
    const before = heapUsed();
    for (let i = 0; i < 5; i++) await many();
    const kept = heapUsed() - before;
    assert(kept < 5000 * 100, `${name}() keeps ${kept} bytes of 5000`);
  }
  process.kill();
  await process.join();
});

/** Bytes of the heap that are in use. */
function heapUsed(): number {
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}

contract("Process.join() is ended by its signal", async (ctx) => {
  const process = new ctx.Process({ target: stay });
  process.start();
  const controller = new AbortController();
  const reason = new Error("on purpose");
  const join = process.join({ signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => join), reason);
  assertEquals(
    await assertRejects(() => process.join({ signal: controller.signal })),
    reason,
  );
  assertEquals(process.isAlive(), true);
  process.terminate();
  await process.join();
});

contract("Process.join() checks its timeout", async (ctx) => {
  const process = new ctx.Process({ target: stay });
  process.start();
  await assertRejects(() => process.join({ timeout: NaN }), RangeError, "NaN");
  await assertRejects(
    () => process.join({ timeout: "1" as never }),
    TypeError,
    "timeout",
  );
  process.terminate();
  await process.join();
});

contract("Process is terminated by its signal", async (ctx) => {
  const here = SharedGate.in(ctx);
  const controller = new AbortController();
  const process = new ctx.Process({
    target: stay,
    args: [here],
    signal: controller.signal,
  });
  process.start();
  await here.reaches(1, "the child runs");
  controller.abort();
  await process.join();
  assertEquals(process.exitCode, -15);

  const late = new ctx.Process({ target: stay, signal: controller.signal });
  assertThrows(() => late.start(), DOMException, "abort");

  // Also if that happens while the arguments are read.
  const control = new AbortController();
  const within = new ctx.Process({
    target: stay as (...args: unknown[]) => unknown,
    args: [undefined, {
      get x() {
        control.abort();
        return 1;
      },
    }],
    signal: control.signal,
  });
  within.start();
  await within.join();
  assertEquals(within.exitCode, -15);
  assertEquals(activeChildren(), []);
});

contract("Process[Symbol.asyncDispose]() ends a daemon", async (ctx) => {
  const here = SharedGate.in(ctx);
  const process = new ctx.Process({
    target: stay,
    args: [here],
    daemon: true,
  });
  {
    await using disposed = process;
    disposed.start();
    await here.reaches(1, "the child runs");
  }
  assertThrows(() => process.exitCode, ProcessError, CLOSED);
  assertEquals(await process.exited, -15);
  await process[Symbol.asyncDispose]();
});

contract("Process[Symbol.asyncDispose]() waits for others", async (ctx) => {
  const here = SharedGate.in(ctx);
  const go = SharedGate.in(ctx);
  const process = new ctx.Process({ target: waitFor, args: [here, go] });
  {
    await using disposed = process;
    disposed.start();
    go.set();
  }
  assertEquals(await process.exited, 0);
  await using _unstarted = new ctx.Process();
});

contract("Process.authkey goes to its children", async (ctx) => {
  const mailbox = Mailbox.in<SelfReport>(ctx);
  const process = new ctx.Process({ target: introduce, args: [mailbox] });
  process.authkey = new Uint8Array([1, 2, 3]);
  assertThrows(
    () => process.authkey = "secret" as never,
    TypeError,
    "must be bytes",
  );
  process.start();
  const { authkey } = await mailbox.take("the child's report");
  await process.join();
  assertEquals(authkey, new Uint8Array([1, 2, 3]));
  assertNotEquals(authkey, currentProcess().authkey.reveal());
});

contract("Process and AuthKey cannot be arguments", (ctx) => {
  const other = new ctx.Process({ name: "other" });
  const owner = new ctx.Process({
    target: echo as (...args: unknown[]) => unknown,
    args: [{ list: [other] }],
  });
  assertThrows(
    () => owner.start(),
    ProcessError,
    'Cannot send process "other" as it belongs to the process that created it',
  );
  const key = new ctx.Process({
    target: echo as (...args: unknown[]) => unknown,
    args: [currentProcess().authkey],
  });
  assertThrows(() => key.start(), ProcessError, "for security reasons");
  const { authkey } = currentProcess();
  assertThrows(() => JSON.stringify({ authkey }), ProcessError);
  assertEquals(structuredClone(authkey) as unknown, {}); // says nothing
  assertEquals(String(authkey), "<AuthKey: 32 bytes>");
  assertEquals(
    Deno.inspect({ key: authkey }),
    "{ key: <AuthKey: 32 bytes> }",
  );
  assertEquals(activeChildren(), []);
});

contract("Process without a target does nothing", async (ctx) => {
  const process = new ctx.Process();
  process.start();
  await process.join();
  assertEquals(process.exitCode, 0);
});

contract("Process that failed can be described and closed", async (ctx) => {
  const process = new ctx.Process({ target: fail, args: ["on purpose"] });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 1);
  assertMatch(String(process), /stopped exitcode=1>$/);
  process.close();
});

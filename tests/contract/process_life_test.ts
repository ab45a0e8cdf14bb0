import { assert, assertEquals, assertMatch } from "@std/assert";
import { sleep } from "../../contexts/mod.ts";
import { arenaFor, S_PID } from "../../memory/mod.ts";
import { Client } from "../../network/mod.ts";
import type { Address } from "../../network/mod.ts";
import { contract, once } from "../_support/contract.ts";
import { until, untilSync } from "../_support/gate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import { isRunning } from "../_support/proc.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";
import { CONFIG, startProgram } from "../_support/program.ts";
import { meetNow } from "../fixtures/fates.ts";
import {
  answerSignalled,
  closeSelf,
  denoExit,
  exitInOrder,
  exitWith,
  fail,
  failLater,
  failWithLock,
  hearSignal,
  leaveChildren,
  leaveTimers,
  listenSignalled,
  listFiles,
  listFilesTogether,
  nothing,
  poolInChild,
  queueInChild,
  rejectLater,
  setEvent,
  setExitCode,
  signalParent,
  startAndReport,
  startMourner,
  startOrphan,
  stay,
  survive,
} from "../fixtures/targets.ts";

/** How many children run side by side. */
const MANY = 5;
/** More than the system keeps of what is on its way. */
const LARGE_BYTES = 4 * 1024 * 1024;
/** Over how many moments of a start the ends are spread. */
const KILLS = 20;

contract(
  "PROC-06 ParentProcess.join() hears of the parent's end",
  async (ctx) => {
    const mailbox = Mailbox.in<string>(ctx);
    const process = new ctx.Process({
      target: startOrphan,
      args: [mailbox, "spawn"],
    });
    process.start();
    assertEquals(await mailbox.take("what the grandchild sees"), "alive");
    process.terminate();
    await process.join();
    assertEquals(await mailbox.take("what the grandchild sees"), "not alive");
  },
  { methods: ["spawn"] },
);

for (const fails of [false, true]) {
  contract(
    `LESSON-10 an orphan that ends before its parent is buried leaves nothing${
      fails ? ", failing" : ""
    }`,
    async (ctx) => {
      const here = SharedGate.in(ctx);
      const process = new ctx.Process({
        target: startMourner,
        args: [here, fails],
      });
      process.start();
      await here.reaches(1, "the grandchild runs");
      const { memory, participants } = arenaFor("spawn");
      const orphan = participants.unburied().at(-1)!;
      process.kill();
      // From here on this thread hears of nothing, as if it were very busy.
      here.reachesSync(2, "the grandchild has seen its parent die");
      const pid = participants.load(orphan, S_PID);
      assert(pid !== process.pid && pid !== Deno.pid);
      untilSync(() => memory.hasEnded(pid), "the grandchild ends");
      await process.join();
      // What is left is looked for after each test.
    },
    { methods: ["spawn"] },
  );
}

contract(
  "PROC-18 children share no files with their siblings",
  async (ctx) => {
    const mailbox = Mailbox.in<string[]>(ctx);
    const here = SharedGate.in(ctx);
    const processes = Array.from(
      { length: MANY },
      () =>
        new ctx.Process({
          target: listFilesTogether,
          args: [mailbox, here, MANY],
        }),
    );
    for (const process of processes) process.start();
    await Promise.all(processes.map((process) => process.join()));
    // Counting tells nothing: Deno opens some for itself, in one child earlier than
    // in another. But pipes and sockets have names. What all have, they have from
    // before the first of them was started; a sibling's, only later ones could have.
    const lists = mailbox.drain().map((files) =>
      new Set(files.filter((file) => /^(pipe|socket):/.test(file)))
    );
    assertEquals(lists.length, MANY);
    const ofAll = lists.reduce((all, list) => all.intersection(list));
    for (const [i, list] of lists.entries()) {
      for (const other of lists.slice(i + 1)) {
        assertEquals(list.intersection(other), ofAll);
      }
    }
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-19 a child stays for what its target left running",
  async (ctx) => {
    const gate = SharedGate.in(ctx);
    const process = new ctx.Process({ target: leaveTimers, args: [gate, 100] });
    process.start();
    await process.join();
    assertEquals(gate.value, 1);
    assertEquals(process.exitCode, 0);
  },
);

for (
  const [who, closing] of [["the parent", true], ["a child", false]] as const
) {
  contract(
    `${closing ? "PROC-20" : "PROC-21"} ${who} without stdout and stderr`,
    async (ctx) => {
      const method = ctx.getStartMethod();
      for (
        const breaking of [
          "Deno.stdout.close(); Deno.stderr.close();",
          "console.log = console.error = () => { throw new Error('broken') };",
        ]
      ) {
        const end = await runProgram(
          `
            import { getContext } from "${LIBRARY}";
            export function target() {
              ${closing ? "" : breaking}
              Deno.writeTextFileSync("here", "it ran");
            }
            if (import.meta.main) {
              ${closing ? breaking : ""}
              const { Process } = getContext("${method}");
              const process = new Process({ target });
              process.start();
              const code = await process.exited;
              Deno.exit(10 + code + Deno.readTextFileSync("here").length);
            }
          `,
        );
        assertEquals(end.code, 10 + "it ran".length, describeEnd(end));
      }
    },
  );
}

contract(
  "PROC-25 PROC-X4 an error in a child is on stderr, whole",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      import { divide } from "./divide.ts";
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        const process = new Process({ target: divide, args: [0], name: "P" });
        process.start();
        Deno.exit(await process.exited);
      }
    `,
      {
        files: {
          "divide.ts": `
          export function divide(by: number): number {
            if (by === 0) {
              throw new RangeError("division by zero", { cause: "a test" });
            }
            return 1 / by;
          }
        `,
        },
      },
    );
    assertEquals(end.code, 1, describeEnd(end));
    assertEquals(end.stdout, "");
    assertMatch(end.stderr, /^Process P:\nRangeError: division by zero\n/);
    assertMatch(end.stderr, /at divide \(file:\/\/.*\/divide\.ts:4:\d+\)/);
    assertMatch(end.stderr, /cause.*a test/s);
  },
);

contract(
  "Process goes on after an error that a listener of its own deals with",
  async (ctx) => {
    for (const ofNode of [false, true]) {
      for (const kind of ["error", "unhandledrejection"] as const) {
        const mailbox = Mailbox.in<string>(ctx);
        const process = new ctx.Process({
          target: survive,
          args: [mailbox, kind, ofNode],
        });
        process.start();
        await process.join();
        assertMatch(
          mailbox.drain().join(),
          ofNode ? /it failed$/ : /^(Range)?Error: it failed true$/,
        );
        assertEquals(process.exitCode, 0);
      }
    }
  },
);

contract(
  "PROC-26 exit() ends a child with what its reason means",
  async (ctx) => {
    const codes = [
      [true, 1],
      [false, 0],
      [8, 8],
      [null, 0],
      [undefined, 0],
      [[], 0],
      [256, 0],
      [300, 44],
      [-1, 255],
      ["ignore this", 1],
      [[1, 2, 3], 1],
      [1.5, 1],
    ] as const;
    const processes = codes.map(([reason]) =>
      new ctx.Process({ target: exitWith, args: [reason] })
    );
    for (const process of processes) process.start();
    for (const [i, [reason, code]] of codes.entries()) {
      assertEquals(await processes[i]!.exited, code, Deno.inspect(reason));
    }
  },
);

contract("PROC-26 exit() writes its reason to stderr", async (ctx) => {
  const end = await runProgram(
    `
      import { exit, getContext } from "${LIBRARY}";
      export function target(reason: unknown) { exit(reason); }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        for (const reason of ["ignore this", [1, 2, 3], 8, null]) {
          const process = new Process({ target, args: [reason] });
          process.start();
          await process.join();
        }
        exit("and the parent");
      }
    `,
  );
  assertEquals(end.code, 1, describeEnd(end));
  assertEquals(end.stderr, "ignore this\n[ 1, 2, 3 ]\nand the parent\n");
});

contract("PROC-26 exit() ends a child whose stderr is closed", async (ctx) => {
  const end = await runProgram(`
    import { exit, getContext } from "${LIBRARY}";
    export function target() {
      Deno.stderr.close();
      exit("a reason");
    }
    if (import.meta.main) {
      const { Process } = getContext("${ctx.getStartMethod()}");
      const process = new Process({ target });
      process.start();
      console.log(await process.exited);
    }
  `);
  assertEquals(end.stdout, "1\n", describeEnd(end));
});

contract("PROC-26 Deno.exit() and Deno.exitCode in a child", async (ctx) => {
  const codes = [
    [denoExit, 0, 0],
    [denoExit, 3, 3],
    [denoExit, 200, 200],
    [denoExit, 256, 0],
    [denoExit, 300, 44],
    [denoExit, -1, 255],
    [setExitCode, 7, 7],
  ] as const;
  const processes = codes.map(([target, given]) =>
    new ctx.Process({ target, args: [given] })
  );
  for (const process of processes) process.start();
  for (const [i, [target, given, code]] of codes.entries()) {
    assertEquals(
      await processes[i]!.exited,
      code,
      `${target.name}(${given})`,
    );
  }
});

contract(
  "PROC-27 a child makes a queue for a child of its own",
  async (ctx) => {
    const mailbox = Mailbox.in<string>(ctx);
    const process = new ctx.Process({
      target: queueInChild,
      args: [mailbox, ctx.getStartMethod()],
    });
    process.start();
    await process.join();
    assertEquals(process.exitCode, 0);
    assertMatch(mailbox.drain().join(), /^QueueEmptyError: /);
  },
);

contract("PROC-28 a child has a pool of its own", async (ctx) => {
  const mailbox = Mailbox.in<number[]>(ctx);
  const process = new ctx.Process({
    target: poolInChild,
    args: [mailbox, ctx.getStartMethod()],
  });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 0);
  assertEquals(mailbox.drain(), [[1, 4, 9, 16, 25, 36, 49]]);
});

contract("a child in a child ends before it", async (ctx) => {
  const mailbox = Mailbox.in(ctx);
  const process = new ctx.Process({
    target: startAndReport,
    args: [mailbox, ctx.getStartMethod()],
    name: "child",
  });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 0);
  assertEquals(mailbox.drain(), [["child"], 0]);
});

contract(
  "PROC-30 Process.join() goes on after a signal",
  async (ctx) => {
    const go = SharedGate.in(ctx);
    let heard = 0;
    const onSignal = () => {
      heard++;
      go.set();
    };
    Deno.addSignalListener("SIGUSR1", onSignal);
    try {
      const process = new ctx.Process({
        target: signalParent,
        args: ["SIGUSR1", go],
      });
      process.start();
      assertEquals(await process.join(), true);
      assertEquals(process.exitCode, 0);
      assertEquals(heard, 1);
    } finally {
      Deno.removeSignalListener("SIGUSR1", onSignal);
    }
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-30 a child hears the signals it listens for",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const process = new ctx.Process({
      target: hearSignal,
      args: [here, "SIGUSR1"],
    });
    process.start();
    await here.reaches(1, "the child listens");
    Deno.kill(process.pid!, "SIGUSR1");
    await here.reaches(2, "the child has heard the signal");
    await process.join();
    assertEquals(process.exitCode, 0);
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-31 a child does not inherit the parent's files",
  async (ctx) => {
    const mailbox = Mailbox.in<string[]>(ctx);
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const path = await Deno.makeTempFile();
    const file = await Deno.open(path);
    const ours = Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return ""; // the folder itself
      }
    });
    assert(ours.includes(path));
    const sockets = ours.filter((link) => link.startsWith("socket:"));
    assert(sockets.length > 0);

    const process = new ctx.Process({ target: listFiles, args: [mailbox] });
    process.start();
    const theirs = await mailbox.take("the files of the child");
    await process.join();
    listener.close();
    file.close();
    await Deno.remove(path);

    assert(!theirs.includes(path), theirs.join());
    for (const socket of sockets) assert(!theirs.includes(socket), socket);
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-33 signals do not disturb a connection",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe();
    const process = new ctx.Process({
      target: answerSignalled,
      args: [theirs, LARGE_BYTES],
    });
    process.start();
    theirs.close();
    assertEquals(await ours.recv(), "ready");
    Deno.kill(process.pid!, "SIGUSR1");
    await ours.send(1234);
    assertEquals(await ours.recv(), 1234);
    Deno.kill(process.pid!, "SIGUSR1");
    assertEquals((await ours.recvBytes()).byteLength, LARGE_BYTES);
    await ours.send("no more signals");
    await process.join();
    assertEquals(process.exitCode, 0);
    ours.close();
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-34 a signal does not disturb a listener",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe();
    const process = new ctx.Process({
      target: listenSignalled,
      args: [theirs],
    });
    process.start();
    theirs.close();
    const address = await ours.recv() as Address;
    Deno.kill(process.pid!, "SIGUSR1");
    const client = await Client(address);
    assertEquals(await client.recv(), "welcome");
    await process.join();
    assertEquals(process.exitCode, 0);
    client.close();
    ours.close();
  },
  { methods: ["spawn"] },
);

contract(
  "PROC-X5 a program waits for its children, and ends its daemons",
  async (ctx) => {
    await using program = await startProgram(
      `
      import { getContext } from "${LIBRARY}";
      export async function daemon() {
        console.log("daemon", Deno.pid);
        await new Promise((resolve) => setTimeout(resolve, 1e9));
        console.log("daemon survived");
      }
      export async function child(path: string) {
        console.log("child runs");
        while (true) {
          try {
            Deno.statSync(path);
            break;
          } catch {
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }
        console.log("child ends");
      }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        new Process({ target: daemon, daemon: true }).start();
        new Process({ target: child, args: ["go"] }).start();
        addEventListener("unload", () => console.log("main ends"));
      }
    `,
    );
    await program.says(/child runs/);
    const [, pid] = await program.says(/daemon (\d+)/);
    const { cwd } = await processFolder(program.pid);
    await Deno.writeTextFile(`${cwd}/go`, "");
    const end = await program.ended;

    assertEquals(end.code, 0, describeEnd(end));
    assertMatch(end.stdout, /child ends\n(.*\n)*main ends\n/);
    assert(!end.stdout.includes("survived"));
    if (ctx.getStartMethod() === "spawn") {
      await until(() => !isRunning(Number(pid)), "the daemon ends");
    }
    assertEquals(end.stderr, "");
  },
);

function processFolder(pid: number): { cwd: string } {
  return { cwd: Deno.readLinkSync(`/proc/${pid}/cwd`) };
}

contract(
  "PROC-X5 a child ends its daemons and waits for its children",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const process = new ctx.Process({
      target: leaveChildren,
      args: [here, go, ctx.getStartMethod()],
    });
    process.start();
    await here.reaches(2, "both grandchildren run");
    assertEquals(await process.join({ timeout: 1 }), false);
    go.set();
    await process.join();
    assertEquals(process.exitCode, 0);
    // That the daemon has gone is seen by the register of what tests leave.
  },
);

contract(
  "Process that failed abandons what it holds before it waits for its children",
  async (ctx) => {
    const lock = new ctx.Lock();
    const [report, theirs] = ctx.Pipe<boolean>();
    const process = new ctx.Process({
      target: failWithLock,
      args: [lock, theirs, ctx.getStartMethod()],
    });
    process.start();
    assertEquals(await report.recv(), true, "it was abandoned");
    await process.join();
    assertEquals(process.exitCode, 1);
    report.close();
    theirs.close();
  },
);

contract(
  "PROC-X5 daemons that do not listen keep a program for one second in all",
  async (ctx) => {
    const end = await runProgram(`
      import { getContext } from "${LIBRARY}";
      const { Event, Process } = getContext("${ctx.getStartMethod()}");
      export async function stay(here) {
        Deno.addSignalListener("SIGTERM", () => {});
        here.set();
        await new Promise(() => {});
      }
      if (import.meta.main) {
        for (let i = 0; i < ${MANY}; i++) {
          const here = new Event();
          new Process({ target: stay, args: [here], daemon: true }).start();
          await here.wait();
        }
        const begun = performance.now();
        globalThis.addEventListener("unload", () => {
          console.log(Math.round(performance.now() - begun));
        });
      }
    `);
    const tookMs = Number(end.stdout);
    assert(tookMs > 500 && tookMs < MANY * 1000, describeEnd(end));
    assertEquals(end.left, []);
  },
  { methods: ["spawn"] },
);

contract("PROC-X7 an argument may be dropped after start()", async (ctx) => {
  const process = new ctx.Process({
    target: setEvent,
    args: [new ctx.Event(), new Uint8Array(100_000).fill(1)],
  });
  process.start();
  collectGarbage(); // nothing here holds the event any more
  await process.join();
  assertEquals(process.exitCode, 0);
});

contract("LESSON-35 the exit sequence runs by priority", async (ctx) => {
  const mailbox = Mailbox.in<string>(ctx);
  const process = new ctx.Process({ target: exitInOrder, args: [mailbox] });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 0);
  assertEquals(mailbox.drain(), [
    "first",
    "second, registered later",
    "third, fails",
    "last",
  ]);
});

contract("LESSON-36 Ctrl-C leaves nobody behind", async (ctx) => {
  await using program = await startProgram(
    `
      import { getContext } from "${LIBRARY}";
      export async function target(n: number) {
        console.log("child", n);
        await new Promise((resolve) => setTimeout(resolve, 1e9));
      }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        for (const n of [1, 2]) {
          new Process({ target, args: [n], daemon: n === 1 }).start();
        }
      }
    `,
  );
  await program.says(/child 1/);
  await program.says(/child 2/);
  program.signalGroup("SIGINT");
  const end = await program.ended;
  assertEquals(end.signal, "SIGINT", describeEnd(end));
  assertEquals(end.stderr, "");
  await until(() => program.running().length === 0, "all of it ends");
});

contract(
  "LESSON-37 the standard input of a child is empty",
  async (ctx) => {
    const end = await runProgram(
      `
        import { getContext } from "${LIBRARY}";
        export async function target() {
          console.log("read", await Deno.stdin.read(new Uint8Array(9)));
        }
        if (import.meta.main) {
          const { Process } = getContext("${ctx.getStartMethod()}");
          const process = new Process({ target });
          process.start();
          await process.join();
          const bytes = new Uint8Array(5);
          console.log("parent", await Deno.stdin.read(bytes));
        }
      `,
      { stdin: "input" },
    );
    assertEquals(end.stdout, "read null\nparent 5\n", describeEnd(end));
  },
  { methods: ["spawn"] },
);

contract(
  "LESSON-40 the key of a child is not in its command line or environment",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const process = new ctx.Process({ target: stay, args: [here] });
    process.start();
    await here.reaches(1, "the child runs");
    const key = process.authkey.reveal();
    const places = ["cmdline", "environ"].map((name) =>
      Deno.readFileSync(`/proc/${process.pid}/${name}`)
    );
    process.terminate();
    await process.join();
    for (const bytes of places) {
      const text = Array.from(bytes, (byte) => String.fromCharCode(byte))
        .join("");
      for (const form of [String.fromCharCode(...key), key.toHex()]) {
        assert(!text.includes(form));
      }
      assert(!text.includes(key.toBase64()));
    }
  },
  { methods: ["spawn"] },
);

contract(
  "LESSON-65 a child that throws in the event loop ends with 1",
  async (ctx) => {
    for (const target of [fail, failLater, rejectLater]) {
      const process = new ctx.Process({ target, args: ["on purpose"] });
      process.start();
      await process.join();
      assertEquals(process.exitCode, 1, target.name);
    }
  },
);

contract(
  "Process that is a daemon keeps the program while it is joined",
  async (ctx) => {
    const method = ctx.getStartMethod();
    for (
      const waiting of [
        "await process.join()",
        "(await ctx.wait([process.sentinel])).length === 1",
        "await process.join({ timeout: 30_000 })",
      ]
    ) {
      const end = await runProgram(`
      import { getContext } from "${LIBRARY}";
      if (import.meta.main) {
        const ctx = getContext("${method}");
        const process = new ctx.Process({
          target: ctx.sleep,
          args: [100],
          daemon: true,
        });
        process.start();
        console.log(${waiting});
      }
    `);
      assertEquals(end.stdout, "true\n", describeEnd(end));
      assertEquals(end.stderr, "");
    }
  },
);

contract(
  "Process that is a daemon does not keep the program by itself",
  async (ctx) => {
    const end = await runProgram(`
    import { getContext } from "${LIBRARY}";
    if (import.meta.main) {
      const { Process, sleep } = getContext("${ctx.getStartMethod()}");
      const process = new Process({ target: sleep, args: [1e9], daemon: true });
      process.start();
      console.log(await process.join({ timeout: 1 }), process.isAlive());
    }
  `);
    assertEquals(end.stdout, "false true\n", describeEnd(end));
    assertEquals(end.code, 0);
    assertEquals(end.left, []);
  },
);

contract("LESSON-42 a child says whom it waits for", async (ctx) => {
  const end = await runProgram(`
    import { getContext } from "${LIBRARY}";
    import { logToStderr } from "${import.meta.resolve("../../logging.ts")}";
    export async function child(method: "spawn") {
      const { Process, sleep } = getContext(method);
      new Process({ target: sleep, args: [1e9], daemon: true, name: "daemon" })
        .start();
      new Process({ target: sleep, args: [50], name: "grandchild" }).start();
    }
    if (import.meta.main) {
      logToStderr("INFO");
      const method = "${ctx.getStartMethod()}";
      const process = new (getContext(method).Process)({
        target: child,
        args: [method],
        name: "child",
      });
      process.start();
      await process.join();
    }
  `);
  const lines = end.stderr.trim().split("\n").filter((line) =>
    line.startsWith("[INFO/child]")
  );
  assertEquals(lines, [
    "[INFO/child] child process calling self.run()",
    "[INFO/child] process shutting down",
    "[INFO/child] calling terminate() for daemon daemon",
    // It may take a moment to be gone.
    ...lines.filter((line) => line.endsWith("join() for process daemon")),
    "[INFO/child] calling join() for process grandchild",
    "[INFO/child] process exiting with exitcode 0",
  ], describeEnd(end));
});

contract(
  "Process.run() of a subclass calls the target with super.run()",
  async (ctx) => {
    const end = await runProgram(`
      import { getContext } from "${LIBRARY}";
      const { Process } = getContext("${ctx.getStartMethod()}");
      export function target(...args) { console.log("target", ...args); }
      export class Framed extends Process {
        extra = 5;
        async run() {
          console.log("before", Object.keys(this).join());
          await super.run();
          console.log("after");
        }
      }
      if (import.meta.main) {
        for (const options of [{ target, args: [1, "two"] }, {}]) {
          const process = new Framed(options);
          process.start();
          console.log(await process.exited);
        }
      }
    `);
    assertEquals(
      end.stdout,
      "before extra\ntarget 1 two\nafter\n0\nbefore extra\nafter\n0\n",
      describeEnd(end),
    );
  },
);

contract(
  "Process takes what a subclass declares as fields for its properties",
  async (ctx) => {
    const end = await runProgram(`
      import { currentProcess, getContext } from "${LIBRARY}";
      const { Process } = getContext("${ctx.getStartMethod()}");
      export class Named extends Process {
        name = "N";
        daemon = true;
        run() {
          console.log(this.name, currentProcess().name, this.daemon);
        }
      }
      if (import.meta.main) {
        const process = new Named();
        process.start();
        console.log(String(process).replaceAll(/\\d+/g, ""));
        await process.join();
      }
    `);
    assertEquals(
      end.stdout,
      "<Named name='N' pid= parent= started daemon>\nN N true\n",
      describeEnd(end),
    );
  },
);

contract("Process.name of a renamed child is the same for all", async (ctx) => {
  const end = await runProgram(`
    import { currentProcess, getContext, parentProcess } from "${LIBRARY}";
    const ctx = getContext("${ctx.getStartMethod()}");
    export function grandchild() { console.log(parentProcess().name); }
    export class Crawler extends ctx.Process {
      async run() {
        this.name = "Crawler";
        const lock = new ctx.Lock();
        await lock.acquire();
        console.log(currentProcess().name, String(lock), String(this));
        const process = new ctx.Process({ target: grandchild });
        process.start();
        await process.join();
        throw new Error("on purpose");
      }
    }
    if (import.meta.main) {
      const process = new Crawler();
      process.start();
      await process.join();
    }
  `);
  assertMatch(
    end.stdout,
    /^Crawler <Lock\(owner=Crawler\)> <Crawler name='Crawler' .*\nCrawler\n$/,
    describeEnd(end),
  );
  assertMatch(end.stderr, /^Process Crawler:/);
});

contract("Process.run() runs the target here, if it is called here", (ctx) => {
  const process = new ctx.Process({ target: Math.max, args: [1, 3, 2] });
  assertEquals(process.run(), 3);
  assertEquals(new ctx.Process().run(), undefined);
  assertEquals(process.isAlive(), false);
});

contract(
  "LESSON-65 a thread that closes itself ends",
  async (ctx) => {
    const process = new ctx.Process({ target: closeSelf });
    process.start();
    await process.join();
    assertEquals(typeof process.exitCode, "number");
  },
  { methods: ["worker"] },
);

once(
  "PROC a process that does nothing does not load node:worker_threads",
  async () => {
    const end = await runProgram(`
    import { getContext } from "${LIBRARY}";
    export function target() {}
    if (import.meta.main) {
      const process = new (getContext("spawn").Process)({ target });
      process.start();
      console.log(await process.exited);
    }
  `);
    assertEquals(end.stdout, "0\n", describeEnd(end));
  },
);

/** Checking the types of all of the library takes a loaded machine half a minute. */
const CHECK_LIMIT_MS = 150_000;

contract("Process runs in a program that is type-checked", async (ctx) => {
  const end = await runProgram(
    `
      import { getContext } from "${LIBRARY}";
      export function target(): void { console.log("checked"); }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        const process = new Process({ target });
        process.start();
        console.log(await process.exited);
      }
    `,
    // Deno checks the modules of threads against other types.
    { flags: ["run", "--check", "-A"], limitMs: CHECK_LIMIT_MS },
  );
  assertEquals(end.stdout, "checked\n0\n", describeEnd(end));
}, { methods: ["worker"], limitMs: CHECK_LIMIT_MS });

contract("A thread starts without being type-checked", async () => {
  // In an empty folder: Deno notes what it has checked, and checks it no more.
  const folder = await Deno.makeTempDir();
  try {
    const main = `${folder}/main.ts`;
    await Deno.writeTextFile(
      main,
      `
      import { getContext } from "${LIBRARY}";
      export function target(): void { console.log("it runs"); }
      if (import.meta.main) {
        const { Process } = getContext("worker");
        const process = new Process({ target });
        process.start();
        await process.join();
      }
    `,
    );
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--check", "-A", "--no-lock", "--config", CONFIG, main],
      env: { DENO_DIR: `${folder}/cache`, NO_COLOR: "1" },
    }).output();
    const [output, news] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assertEquals(output, "it runs\n", news);
    const checked = news!.split("\n").filter((line) => /^Check /.test(line));
    assertEquals(checked.length, 1, news);
    assertMatch(checked[0]!, /main\.ts$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, { methods: ["worker"], limitMs: CHECK_LIMIT_MS });

contract(
  "Process.kill() at any moment of the start of a thread ends it",
  async (ctx) => {
    const start = performance.now();
    const measured = new ctx.Process({ target: nothing });
    measured.start();
    await measured.join();
    const startMs = performance.now() - start;
    // Where its start is depends on the time; that none burns on, as whoever looks
    // for what a test has left would see, does not.
    for (let i = 0; i < KILLS; i++) {
      const begun = SharedGate.in(ctx);
      const child = new ctx.Process({ target: meetNow, args: ["loop", begun] });
      child.start();
      await sleep(startMs * i / KILLS);
      child.kill();
      await child.join();
      assertEquals(child.exitCode, -9);
    }
  },
  { methods: ["worker"] },
);

// Deno would panic if it were interrupted while it makes a part of itself.
contract(
  "Process.kill() of a child that loads leaves the program alive",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      import { begun } from "./begin.ts";
      import { target } from "./target.ts";
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        for (let i = 0; i < ${KILLS}; i++) {
          const child = new Process({ target });
          child.start();
          while (!Deno.readTextFileSync(begun));
          // Somewhere in what follows; a timer would be too coarse.
          const momentMs = performance.now() + i / 4;
          while (performance.now() < momentMs);
          child.kill();
          await child.join();
          Deno.writeTextFileSync(begun, "");
        }
        console.log("alive");
      }
    `,
      {
        files: {
          "begin.ts": `
            import { parentProcess } from "${LIBRARY}";
            export const begun = import.meta.dirname + "/begun.txt";
            if (parentProcess()) Deno.writeTextFileSync(begun, "yes");
          `,
          "begun.txt": "",
          "target.ts": `
            import "./begin.ts";
            import "node:http";
            import "node:crypto";
            import "node:child_process";
            export function target(): void {}
          `,
        },
      },
    );
    assertEquals(end.stdout, "alive\n", describeEnd(end));
    assertEquals(end.stderr, "");
  },
);

contract(
  "Process.kill() of a child that loads keeps its target from beginning",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      import { begun, target } from "./target.ts";
      if (import.meta.main) {
        const child = new (getContext("${ctx.getStartMethod()}").Process)({ target });
        child.start();
        while (!Deno.readTextFileSync(begun));
        child.kill();
        // Too busy to interrupt it when it has loaded.
        const start = performance.now();
        while (performance.now() - start < 300);
        await child.join();
        console.log(child.exitCode, Deno.readTextFileSync(begun));
      }
    `,
      {
        files: {
          "begun.txt": "",
          "target.ts": `
            import { parentProcess } from "${LIBRARY}";
            export const begun = import.meta.dirname + "/begun.txt";
            if (parentProcess()) {
              Deno.writeTextFileSync(begun, "loads");
              const start = performance.now();
              while (performance.now() - start < 100);
            }
            export function target(): void {
              Deno.writeTextFileSync(begun, "runs");
            }
          `,
        },
      },
    );
    assertEquals(end.stdout, "-9 loads\n", describeEnd(end));
  },
);

contract(
  "Process.kill() of a child whose module never has been loaded ends it",
  async (ctx) => {
    const end = await runProgram(
      `
      import { getContext } from "${LIBRARY}";
      import { target } from "./target.ts";
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        const child = new Process({ target });
        child.start();
        await new Promise((resolve) => setTimeout(resolve, 500));
        const start = performance.now();
        child.kill();
        await child.join();
        console.log(child.exitCode, performance.now() - start < 2000);
        Deno.exit();
      }
    `,
      {
        files: {
          "target.ts": `
            import { parentProcess } from "${LIBRARY}";
            while (parentProcess());
            export function target(): void {}
          `,
        },
      },
    );
    assertEquals(end.stdout, "-9 true\n", describeEnd(end));
  },
);

contract(
  "Process.join() in the moment in which the child ends tells that it has",
  async (ctx) => {
    const children = Array.from(
      { length: MANY },
      () => new ctx.Process({ target: nothing, daemon: true }),
    );
    for (const child of children) child.start();
    // Between the end and the news of it there is less than a turn of the event
    // loop: so each is joined in every turn until its end is known.
    const joins: Promise<boolean>[] = [];
    while (children.some(({ exitCode }) => exitCode === null)) {
      for (const child of children) joins.push(child.join());
      await new Promise((resolve) => setTimeout(resolve));
    }
    assert((await Promise.all(joins)).every((hasEnded) => hasEnded));
  },
);

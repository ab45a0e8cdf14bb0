import { assert, assertEquals } from "@std/assert";
import { activeChildren, getContext } from "../../contexts/mod.ts";
import { ARGUMENT } from "../../contexts/standalone.ts";
import type { Context, Process, StartMethod } from "../../contexts/mod.ts";
import { contract, once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import { endsBusyDaemons } from "../_support/portable.ts";
import { isRunning } from "../_support/proc.ts";
import { CONFIG, LIBRARY, startProgram } from "../_support/program.ts";
import { target } from "../fixtures/fatal_module.ts";
import {
  eatInPromises,
  eatLater,
  eatSlowly,
  meet,
  meetAtExit,
} from "../fixtures/fates.ts";
import type { Fate } from "../fixtures/fates.ts";
import { countAll, haveSent, killSender } from "../fixtures/mourners.ts";
import type { Holder } from "../fixtures/mourners.ts";
import {
  startAndStay,
  startBusyAndStay,
  startWaiting,
  waitFor,
} from "../fixtures/targets.ts";

/** How soon a parent has to hear of the end of its child. */
const LEARN_MS = 2000;
/** Filling the memory takes its time, and the garbage collector's. */
const EAT_MS = 20_000;
/** How long a parent takes to die. */
const DYING_MS = 1500;
/** A parent that is told nothing gives up blocking. */
const HANG_MS = 20_000;
/** What is sent before a death. */
const MESSAGES = 3;
/** A descriptor that no process has. */
const NO_FILE = 99_999;
/** Enough for a child to start with. */
const MEMORY_LIMIT_MB = 48;

const FATES: readonly Fate[] = ["throw", "exit", "kill", "memory", "loop"];

/** How a child is made that meets its fate at a certain time of its life. */
const TIMES: Record<
  string,
  (ctx: Context, fate: Fate, here: SharedGate) => Process
> = {
  "while it loads its module": (ctx, fate, here) =>
    new ctx.Process({
      target,
      name: `${fate} at ${here.place}`,
      memoryLimitMb: MEMORY_LIMIT_MB,
    }) as Process,
  "while it runs": (ctx, fate, here) =>
    new ctx.Process({
      target: meet,
      args: [fate, here],
      memoryLimitMb: MEMORY_LIMIT_MB,
    }) as Process,
  "in its exit sequence": (ctx, fate, here) =>
    new ctx.Process({
      target: meetAtExit,
      args: [fate, here],
      memoryLimitMb: MEMORY_LIMIT_MB,
    }) as Process,
};

for (const [time, make] of Object.entries(TIMES)) {
  for (const fate of FATES) {
    contract(`Process that meets "${fate}" ${time}`, async (ctx) => {
      const here = SharedGate.in(ctx);
      const there = SharedGate.in(ctx);
      const go = SharedGate.in(ctx);
      const sibling = new ctx.Process({ target: waitFor, args: [there, go] });
      const process = make(ctx, fate, here);
      sibling.start();
      process.start();
      await there.reaches(1, "its sibling runs");
      await here.reaches(1, "the child is about to meet its fate");

      const from = performance.now();
      if (fate === "kill") process.kill();
      if (fate === "loop") process.terminate();
      const exitCode = await process.exited;
      const tookMs = performance.now() - from;

      assert(
        tookMs < (fate === "memory" ? EAT_MS : LEARN_MS),
        `it takes ${tookMs} ms to hear of it`,
      );
      assertExitCode(exitCode, fate, time, ctx);
      assertEquals(process.exitCode, exitCode);
      assertEquals(process.isAlive(), false);
      assertEquals(process.sentinel.ready, true);
      assertEquals(await process.join({ timeout: 0 }), true);
      assertEquals(activeChildren(), [sibling as Process]);

      // The others go on.
      assertEquals(sibling.isAlive(), true);
      go.set();
      assertEquals(await sibling.exited, 0);
    });
  }
}

function assertExitCode(
  exitCode: number,
  fate: Fate,
  time: string,
  ctx: Context,
): void {
  switch (fate) {
    case "throw":
      // What fails in the exit sequence is printed, and the rest is done.
      return assertEquals(exitCode, time === "in its exit sequence" ? 0 : 1);
    case "exit":
      return assertEquals(exitCode, 3);
    case "kill":
      return assertEquals(exitCode, -9);
    case "loop":
      return assertEquals(exitCode, -15);
    case "memory":
      // V8 ends a process by a signal; of a thread it ends just the thread.
      if (ctx.getStartMethod() === "spawn") assert(exitCode < 0, `${exitCode}`);
      else assertEquals(exitCode, 1);
  }
}

for (const target of [eatSlowly, eatInPromises, eatLater]) {
  contract(`Process out of memory in ${target.name}()`, async (ctx) => {
    const here = SharedGate.in(ctx);
    const process = new ctx.Process({
      target,
      args: [here],
      memoryLimitMb: MEMORY_LIMIT_MB,
    });
    process.start();
    assertExitCode(await process.exited, "memory", "", ctx);
  });
}

contract(
  "LESSON-10 a killed program leaves no daemons behind",
  async (ctx) => {
    await using program = await startProgram(`
      import { getContext } from "${LIBRARY}";
      export async function sleeper(what: string) {
        console.log(what, Deno.pid);
        await new Promise((resolve) => setTimeout(resolve, 1e9));
      }
      export function burner() {
        console.log("burner", Deno.pid);
        while (true);
      }
      if (import.meta.main) {
        const { Process } = getContext("${ctx.getStartMethod()}");
        new Process({ target: sleeper, args: ["sleeper"], daemon: true })
          .start();
        new Process({ target: burner, daemon: true }).start();
        new Process({ target: sleeper, args: ["survivor"] }).start();
      }
    `);
    const pids: number[] = [];
    for (const name of ["sleeper", "burner", "survivor"]) {
      const [, pid] = await program.says(new RegExp(`${name} (\\d+)`));
      pids.push(Number(pid));
    }
    const [sleeper, burner, survivor] = pids as [number, number, number];
    program.signal("SIGKILL");
    // A thread ends with its process.
    const burnerEnds = endsBusyDaemons || ctx.getStartMethod() === "worker";
    await until(
      () => !isRunning(sleeper) && !(burnerEnds && isRunning(burner)),
      "the daemons end",
      LEARN_MS,
    );
    if (!burnerEnds) Deno.kill(burner, "SIGKILL");
    // What is not a daemon lives on, if it is not in the same process.
    assertEquals(isRunning(survivor), ctx.getStartMethod() === "spawn");
  },
);

contract(
  "a daemon that starts as its parent dies does not stay",
  async (ctx) => {
    await using program = await startProgram(`
    import { getContext } from "${LIBRARY}";
    export async function sleeper() {
      await new Promise((resolve) => setTimeout(resolve, 1e9));
    }
    if (import.meta.main) {
      const { Process } = getContext("${ctx.getStartMethod()}");
      for (let i = 0; i < 3; i++) {
        new Process({ target: sleeper, daemon: true }).start();
      }
      Deno.kill(Deno.pid, "SIGKILL");
    }
  `);
    await program.ended;
    await until(() => program.running().length === 0, "the daemons end");
  },
);

/** Ways to nest: a child, its child, its child. */
const NESTS: readonly StartMethod[][] = [
  ["worker", "worker"],
  ["spawn", "worker"],
  ["worker", "spawn"],
  ["spawn", "spawn"],
];

contract("Process that is killed takes its threads with it", async (ctx) => {
  const here = SharedGate.in(getContext("spawn"));
  const process = new ctx.Process({
    target: startAndStay,
    args: [here, ["worker", "worker"]],
  });
  process.start();
  await here.reaches(3, "three generations run");
  process.kill();
  assertEquals(await process.exited, -9);
  // The register of what tests leave waits for all three to be gone.
});

contract(
  "Process that is killed takes its busy threads with it",
  async (ctx) => {
    const count = SharedGate.in(getContext("spawn"));
    const process = new ctx.Process({
      target: startBusyAndStay,
      args: [count, "worker"],
    });
    process.start();
    await count.reaches(1, "the grandchild counts");
    process.kill();
    assertEquals(await process.exited, -9);
    await comesToRest(count);
  },
);

for (const [first, second] of NESTS) {
  // A process started by a thread does not outlive a thread that is killed: Deno
  // ends what belongs to a thread along with it.
  const isLost = first === "worker" && second === "spawn";
  once(
    `Process (${first}) that is killed, with a child of its own (${second})`,
    async () => {
      const spawn = getContext("spawn");
      const here = SharedGate.in(spawn);
      const go = SharedGate.in(spawn);
      const pids = Mailbox.in<number>(spawn);
      const process = new (getContext(first!).Process)({
        target: startWaiting,
        args: [here, go, pids, second!],
      });
      process.start();
      await here.reaches(2, "two generations run");
      const pid = await pids.take("where the grandchild runs");
      process.kill();
      assertEquals(await process.exited, -9);
      if (second === "spawn" && !isLost) {
        // It is not a daemon: it goes on, and ends when it likes.
        assert(isRunning(pid));
        go.set();
        await here.reaches(3, "the grandchild has gone on");
      }
    },
  );

  // The daemon is busy.
  if (second === "spawn" && !endsBusyDaemons) continue;
  once(
    `Process (${first}) that is killed, with a daemon of its own (${second})`,
    async () => {
      const spawn = getContext("spawn");
      const count = SharedGate.in(spawn);
      const process = new (getContext(first!).Process)({
        target: startBusyAndStay,
        args: [count, second!, true],
      });
      process.start();
      await count.reaches(1, "the grandchild counts");
      process.kill();
      assertEquals(await process.exited, -9);
      await comesToRest(count);
    },
  );
}

/** Waits until nobody counts any more. */
async function comesToRest(count: SharedGate): Promise<void> {
  let before = -1;
  await until(
    () => {
      // Nobody is blocked: who counts, counts while this thread blocks.
      Atomics.wait(nap, 0, 0, COUNT_MS);
      const now = count.value;
      const isAtRest = now === before;
      before = now;
      return isAtRest;
    },
    "a busy grandchild ends",
    LEARN_MS,
  );
}
const nap = new Int32Array(new SharedArrayBuffer(4));
/** A busy counter counts thousands in this time, on any machine. */
const COUNT_MS = 100;

contract(
  "Process children end in any order, and all are heard of",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const gates = Array.from({ length: 4 }, () => SharedGate.in(ctx));
    const processes = gates.map((go) =>
      new ctx.Process({ target: waitFor, args: [here, go] })
    );
    for (const process of processes) process.start();
    await here.reaches(4, "all run");
    gates[2]!.set();
    assertEquals(await processes[2]!.exited, 0);
    processes[0]!.kill();
    assertEquals(await processes[0]!.exited, -9);
    assertEquals(
      new Set(activeChildren()),
      new Set([processes[1], processes[3]]) as Set<unknown>,
    );
    gates[3]!.set();
    processes[1]!.terminate();
    assertEquals(await Promise.all(processes.map(({ exited }) => exited)), [
      -9,
      -15,
      0,
      0,
    ]);
  },
);

const HOLDERS: readonly Holder[] = [
  "child",
  "thread of the child",
  "child of the child",
];

for (const holder of HOLDERS) {
  // Its parent blocks on memory of the one kind or of the other.
  for (const method of ["spawn", "worker"] as const) {
    once(
      `Process that is killed while its parent blocks and is missed by others: a ${holder}, by a ${method}`,
      async () => {
        const { Process, Pipe } = getContext("spawn");
        const other = getContext(method);
        const pids = Mailbox.in<number>(getContext("spawn"));
        const counted = SharedGate.in(getContext("spawn"));
        const go = SharedGate.in(getContext("spawn"));
        const result = new other.Queue<number>();
        const [reading, writing] = Pipe<number>({ duplex: false });
        const victim = new Process({
          target: haveSent,
          args: [writing, MESSAGES, holder, pids],
        });
        const counter = new other.Process({
          target: countAll,
          args: [reading, counted, result],
        });
        victim.start();
        counter.start();
        reading.close();
        writing.close();
        const killer = new Process({
          target: killSender,
          args: [victim.pid!, pids, counted, MESSAGES, go],
        });
        killer.start();
        assertEquals(result.getSync({ timeout: HANG_MS }), MESSAGES);
        go.set();
        result.close();
        assertEquals(await victim.exited, -9);
        assertEquals(await counter.exited, 0);
        assertEquals(await killer.exited, 0);
      },
    );
  }
}

once(
  "a child whose parent is dying for long says nothing of it (spawn)",
  async () => {
    // A process that is killed gives back its memory first, and its children with
    // its last thread. Here the first has happened from the start.
    const child = import.meta.resolve("../../contexts/spawn_child.ts");
    const place = `${ARGUMENT}:${Deno.pid}:${Deno.pid}:${NO_FILE}:20:1`;
    await using program = await startProgram(`
      const args = ["run", "-A", "--config", ${JSON.stringify(CONFIG)}];
      new Deno.Command(Deno.execPath(), {
        args: [...args, "${child}", "${place}".replaceAll("${Deno.pid}", Deno.pid)],
      }).spawn();
      console.log("started");
      setInterval(() => {}, 1000);
    `);
    await program.says(/started\n/);
    // Long enough for it to start and to look in vain for a while; were it
    // shorter, the test would notice less, and pass.
    await new Promise((resolve) => setTimeout(resolve, DYING_MS));
    program.signal("SIGKILL");
    await until(() => program.running().length === 0, "the child has ended");
    assertEquals(await program.complaints(), "");
  },
);

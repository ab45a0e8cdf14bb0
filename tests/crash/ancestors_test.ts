/**
 * The first process ends, however it does so: nobody has started it, so nobody is
 * told. Its descendants have to go on, also when one of them ends later.
 *
 * Runs in the parent; the programs are processes of their own.
 *
 * @module
 */
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { describeProcess } from "../_support/proc.ts";
import { LIBRARY, startProgram } from "../_support/program.ts";
import type { Program } from "../_support/program.ts";

const HEIRS = import.meta.resolve("../fixtures/heirs.ts");

/** What each of the heirs waits in at once. */
const WAYS: readonly (readonly string[])[] = [
  ["recv()", "loop over the queue", "acquire()"],
  ["loop over the connection"],
  ["recvSync()"],
  ["acquireSync()"],
];

/** How the first process ends. In good order, it leaves its locks held. */
const ENDS: Record<string, { act: string; keepsLocks: boolean }> = {
  "is killed": { act: `Deno.kill(Deno.pid, "SIGKILL")`, keepsLocks: false },
  "calls Deno.exit()": { act: "Deno.exit(3)", keepsLocks: true },
  "throws": { act: `throw new Error("on purpose")`, keepsLocks: false },
};

/** Links of a chain: more than one takes the place of the one before. */
const LINKS = 4;

for (const [end, { act, keepsLocks }] of Object.entries(ENDS)) {
  for (const heirs of ["children", "grandchildren"]) {
    // Deno kills the children of a program that fails.
    if (end === "throws" && heirs === "children") continue;
    contract(
      `a first process that ${end}, with ${heirs} that wait`,
      async () => {
        const start = heirs === "children"
          ? "startHeirs(ways, estate)"
          : "new Process({ target: haveHeirs, args: [ways, estate] }).start()";
        await using program = await startProgram(`
          import { getContext } from "${LIBRARY}";
          import { haveHeirs, startHeirs } from "${HEIRS}";
          if (import.meta.main) {
            const { Process, Pipe, Queue, Lock } = getContext("spawn");
            const [ours, connection] = Pipe();
            const queue = new Queue();
            const locks = [new Lock(), new Lock()];
            for (const lock of locks) await lock.acquire();
            const estate = {
              connection,
              queue,
              locks,
              keepsLocks: ${keepsLocks},
            };
            const ways = ${JSON.stringify(WAYS)};
            Deno.addSignalListener("SIGUSR1", () => { ${act} });
            ${start};
            connection.close();
            globalThis.kept = [ours, queue];
          }
        `);
        for (const way of WAYS.flat()) await says(program, `${way} waits`);
        program.signal("SIGUSR1");
        await program.ended;
        if (heirs === "grandchildren" && end !== "throws") {
          const [, middle] = await says(program, "middle (\\d+)");
          Deno.kill(Number(middle), "SIGKILL");
        }
        for (const way of WAYS.flat()) {
          await says(program, `${way} gives ${outcomeOf(way, keepsLocks)}`);
        }
        await untilNobodyRuns(program);
      },
      { methods: ["spawn"] },
    );
  }
}

function outcomeOf(way: string, keepsLocks: boolean): string {
  if (way.startsWith("loop")) return "its end";
  return way.startsWith("recv") ? "EofError" : String(!keepsLocks);
}

contract(
  "a first process that is killed, and its heirs one after the other",
  async () => {
    await using program = await startProgram(`
      import { getContext } from "${LIBRARY}";
      import { beLink } from "${HEIRS}";
      if (import.meta.main) {
        const { Process, Pipe } = getContext("spawn");
        let before = null;
        for (let place = 1; place <= ${LINKS}; place++) {
          const [next, end] = Pipe();
          new Process({ target: beLink, args: [place, next, before] }).start();
          next.close();
          before?.close();
          before = end;
        }
        globalThis.kept = before;
      }
    `);
    const pids = [program.pid];
    for (let place = LINKS; place >= 1; place--) {
      const [, pid] = await says(program, `link ${place} is (\\d+)`);
      pids.push(Number(pid));
    }
    for (let place = LINKS; place >= 1; place--) {
      Deno.kill(pids.shift()!, "SIGKILL");
      await says(program, `link ${place} gets EofError`);
    }
    Deno.kill(pids.shift()!, "SIGKILL");
    await untilNobodyRuns(program);
  },
  { methods: ["spawn"] },
);

/** Waits for something on standard output, whether the program runs or not. */
async function says(
  program: Program,
  pattern: string,
): Promise<RegExpExecArray> {
  const line = new RegExp(`^${pattern.replaceAll("()", "\\(\\)")}$`, "m");
  let match: RegExpExecArray | null = null;
  await until(
    () => (match = line.exec(program.stdout)) !== null,
    () => `"${pattern}" is said, not only:\n${program.stdout}`,
  );
  return match!;
}

async function untilNobodyRuns(program: Program): Promise<void> {
  await until(
    () => program.running().length === 0,
    () => program.running().map(describeProcess).join("\n"),
  );
}

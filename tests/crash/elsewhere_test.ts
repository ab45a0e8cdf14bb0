/**
 * A thread comes to the memory of processes by itself: it was started before its
 * program had any, and was sent something of it, or it makes that memory. Whoever
 * hears of its end sees to what it leaves there.
 *
 * Runs in the parent; the programs are processes of their own, as this one has had
 * that memory from the start.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { once } from "../_support/contract.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";

const MEMORY = import.meta.resolve("../../memory/mod.ts");

/** How the thread ends, and what becomes of the lock it holds. */
const ENDS: Record<string, { thread: string; main: string; lock: string }> = {
  "is killed": {
    thread: "await new Promise(() => setInterval(() => {}, 1e9));",
    main: "thread.kill();",
    lock: "abandoned",
  },
  "throws": {
    thread: `throw new Error("on purpose");`,
    main: "",
    lock: "abandoned",
  },
  "returns": { thread: "", main: "", lock: "still held" },
};

for (const [end, { thread, main, lock }] of Object.entries(ENDS)) {
  for (const nested of [false, true]) {
    // It ends with its parent.
    if (nested && end !== "is killed") continue;
    once(
      `a thread ${
        nested ? "of a thread " : ""
      }that ${end} after it was sent something of the spawn context`,
      async () => {
        const outcome = await runProgram(`
          import { getContext } from "${LIBRARY}";
          import { arenaFor } from "${MEMORY}";
          export async function hold(mail, answer) {
            await answer.put("it runs");
            const [lock, end] = globalThis.kept = await mail.get();
            await lock.acquire();
            await answer.put("held");
            ${thread}
          }
          export async function nest(mail, answer) {
            const { Process } = getContext("worker");
            new Process({ target: hold, args: [mail, answer] }).start();
          }
          if (import.meta.main) {
            const { Process, Queue } = getContext("worker");
            const mail = new Queue(), answer = new Queue();
            const thread = new Process({
              target: ${nested ? "nest" : "hold"},
              args: [mail, answer],
            });
            thread.start();
            console.log(await answer.get());
            const spawn = getContext("spawn");
            const [ours, end] = spawn.Pipe();
            const lock = new spawn.Lock();
            await mail.put([lock, end]);
            end.close();
            console.log(await answer.get());
            ${main}
            console.log(await ours.recv().catch(({ name }) => name));
            await thread.join();
            const guard = await lock.acquire({ timeout: 0 });
            console.log(guard?.abandoned ? "abandoned" : "still held");
            if (!guard) lock.release();
            console.log(arenaFor("spawn").participants.unburied().length);
          }
        `);
        assertEquals(
          outcome.stdout,
          `it runs\nheld\nEofError\n${lock}\n1\n`,
          describeEnd(outcome),
        );
      },
    );
  }
}

once("a thread that is killed after it made the spawn context", async () => {
  const outcome = await runProgram(`
    import { getContext } from "${LIBRARY}";
    import { arenaFor } from "${MEMORY}";
    export async function make(mail) {
      const spawn = getContext("spawn");
      const lock = new spawn.Lock();
      await lock.acquire();
      const [ours, theirs] = spawn.Pipe();
      globalThis.kept = [lock, ours];
      await mail.put([lock, theirs]);
      theirs.close();
      await new Promise(() => setInterval(() => {}, 1e9));
    }
    if (import.meta.main) {
      const { Process, Queue } = getContext("worker");
      const mail = new Queue();
      const thread = new Process({ target: make, args: [mail] });
      thread.start();
      const [lock, connection] = await mail.get();
      thread.kill();
      console.log(await connection.recv().catch(({ name }) => name));
      console.log((await lock.acquire()).abandoned);
      console.log(arenaFor("spawn").participants.unburied().length);
    }
  `);
  assertEquals(outcome.stdout, "EofError\ntrue\n1\n", describeEnd(outcome));
});

/**
 * The thread that does the work of a child of a compiled program; see
 * `standalone.ts`. To the program it looks like the main thread of a process: its
 * end is that of the process.
 *
 * Does nothing when it is only imported.
 *
 * Runs in the child.
 *
 * @module
 */
import { adoptFrom } from "../memory/mod.ts";
import { live } from "./_child.ts";
import { builtin, nodeProcess } from "./_node.ts";
import { CODE, ENDED, RUNNING, STATE } from "./standalone_child.ts";
import type { StandaloneData } from "./standalone_child.ts";

/** Lives the life of a child process. */
export async function main(): Promise<void> {
  const { place, outcome } = builtin("node:worker_threads")
    .workerData as StandaloneData;
  endWithProcess(outcome);
  report(outcome, RUNNING);
  const { pid, fd, sizeLog2, token } = place;
  const memory = { kind: "spawn", pid, fd } as const;
  const arena = adoptFrom({ memory, sizeLog2, token });
  await live(arena, {
    ident: Deno.pid,
    exit: (code) => Deno.exit(code),
    onLeave: (listener) => globalThis.addEventListener("unload", listener),
    brace: () => {},
    release: () => {},
  });
}

/**
 * Has the end of this thread end the process, after all who listen for it have
 * been told. In a thread, `Deno.exit()` tells those who listen for "unload", and
 * any other end those who listen for Node's "exit"; in a process the latter tells
 * both, so here it does too.
 */
function endWithProcess(outcome: Int32Array): void {
  let isEnding = false;
  const end = (alreadyTold: "unload" | "exit") => {
    isEnding = true;
    // This is heard first, as it listened first: so the others are told by it.
    if (alreadyTold === "exit") {
      nodeProcess().emit("exit", Number(Deno.exitCode));
    }
    globalThis.dispatchEvent(new Event("unload"));
    outcome[CODE] = Number(Deno.exitCode);
    report(outcome, ENDED);
    // The main thread ends the process now. Nothing more may happen here.
    Atomics.wait(outcome, STATE, ENDED);
  };
  globalThis.addEventListener("unload", (event) => {
    if (isEnding) return;
    event.stopImmediatePropagation();
    end("unload");
  });
  nodeProcess().on("exit", () => {
    if (!isEnding) end("exit");
  });
}

function report(outcome: Int32Array, state: number): void {
  Atomics.store(outcome, STATE, state);
  Atomics.notify(outcome, STATE);
}

if (import.meta.main) main();

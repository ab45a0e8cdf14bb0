import { assert, assertEquals } from "@std/assert";
import { activeChildren } from "../../contexts/mod.ts";
import type { Context, Process } from "../../contexts/mod.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import { target } from "../fixtures/fatal_module.ts";
import {
  eatInPromises,
  eatSlowly,
  meet,
  meetAtExit,
} from "../fixtures/fates.ts";
import type { Fate } from "../fixtures/fates.ts";
import { burn, startAndStay, stay, waitFor } from "../fixtures/targets.ts";

/** How soon a parent has to hear of the end of its child. */
const LEARN_MS = 2000;
/** Filling the memory takes its time, and the garbage collector's. */
const EAT_MS = 20_000;
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

for (const target of [eatSlowly, eatInPromises]) {
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
void [burn, startAndStay, stay];

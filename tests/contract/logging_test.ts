import { assertEquals } from "@std/assert";
import { contract } from "../_support/contract.ts";
import { describeEnd, runProgram } from "../_support/program.ts";

const FRONT_DOOR = import.meta.resolve("../../mod.ts");

contract("LOG-02 a child and its child take over the level", async (ctx) => {
  const end = await runProgram(`
    import { getContext, getLogger } from "${FRONT_DOOR}";
    const method = "${ctx.getStartMethod()}";
    export async function report(depth) {
      console.log(depth, getLogger().levelName, getLogger().handlers.length);
      if (depth === 2) return;
      const { Process } = getContext(method);
      const process = new Process({ target: report, args: [depth + 1] });
      process.start();
      await process.join();
    }
    if (import.meta.main) {
      getLogger().levelName = "ERROR";
      await report(0);
    }
  `);
  assertEquals(
    end.stdout,
    "0 ERROR 0\n1 ERROR 0\n2 ERROR 0\n",
    describeEnd(end),
  );
  assertEquals(end.stderr, "");
});

contract("LOG-01 nothing is written below the level", async (ctx) => {
  const end = await runProgram(`
    import { getContext, getLogger, logToStderr } from "${FRONT_DOOR}";
    export function target() {
      getLogger().info("not of interest");
      getLogger().warn("worth a look");
    }
    if (import.meta.main) {
      logToStderr("WARN");
      const { Process } = getContext("${ctx.getStartMethod()}");
      const process = new Process({ target, name: "P" });
      process.start();
      await process.join();
      getLogger().debug("nor this");
    }
  `);
  assertEquals(end.stderr, "[WARN/P] worth a look\n", describeEnd(end));
});

contract("LOG-01 the life of a child is told, each line once", async (ctx) => {
  const end = await runProgram(`
    import { getContext, logToStderr } from "${FRONT_DOOR}";
    // In the child, too: its parent has already asked for it.
    logToStderr("INFO");
    export function target() { console.error("the target runs"); }
    if (import.meta.main) {
      const { Process } = getContext("${ctx.getStartMethod()}");
      const process = new Process({ target, name: "P" });
      process.start();
      await process.join();
    }
  `);
  assertEquals(end.stderr.trim().split("\n"), [
    "[INFO/P] child process calling self.run()",
    "the target runs",
    "[INFO/P] process shutting down",
    "[INFO/P] process exiting with exitcode 0",
    "[INFO/MainProcess] process shutting down",
  ], describeEnd(end));
});

contract("LOG-01 the life of a pool is told", async (ctx) => {
  const end = await runProgram(`
    import { getContext, logToStderr } from "${FRONT_DOOR}";
    export function square(x) { return x * x; }
    if (import.meta.main) {
      logToStderr("DEBUG");
      const ctx = getContext("${ctx.getStartMethod()}");
      const pool = new ctx.Pool(1);
      await pool.apply(square, [2]);
      await pool.apply(square, [3]);
      pool.close();
      await pool.join();
    }
  `);
  const name = ctx.getStartMethod() === "spawn"
    ? "SpawnPoolWorker-1"
    : "WorkerPoolWorker-1";
  const own = end.stderr.trim().split("\n").filter((line) =>
    line.startsWith("[DEBUG/MainProcess]") && !line.includes("atexit")
  );
  assertEquals(own, [
    "[DEBUG/MainProcess] added worker",
    "[DEBUG/MainProcess] closing pool",
    `[DEBUG/MainProcess] cleaning up ${name}`,
  ], describeEnd(end));
  const theirs = end.stderr.trim().split("\n").filter((line) =>
    line.includes(`/${name}]`)
  );
  assertEquals(theirs, [
    `[INFO/${name}] child process calling self.run()`,
    `[DEBUG/${name}] worker got sentinel -- exiting after 2 tasks`,
    `[INFO/${name}] process shutting down`,
    `[DEBUG/${name}] running all "atexit" finalizers with priority >= 0`,
    `[DEBUG/${name}] running the remaining "atexit" finalizers`,
    `[INFO/${name}] process exiting with exitcode 0`,
  ], describeEnd(end));
});

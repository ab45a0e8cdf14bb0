import { assertEquals, assertMatch } from "@std/assert";
import { insights, ProgressBar } from "../../progress.ts";
import { contract, once } from "../_support/contract.ts";
import { runProgram } from "../_support/program.ts";
import * as work from "../fixtures/pool_targets.ts";
import "../../mod.ts";

contract("ProgressBar shows how far a map has come", async (ctx) => {
  await using pool = new ctx.Pool(1);
  const lines: string[] = [];
  using bar = new ProgressBar("squares", {
    width: 10,
    draw: (line) => lines.push(line),
  });

  await pool.map(work.square, [1, 2, 3, 4], {
    chunkSize: 1,
    onProgress: bar.update,
  });
  assertMatch(lines.at(-1)!, /^squares █{10} 100% 4\/4 [\d.]+\/s$/);
});

contract("insights() tells what the workers did", async (ctx) => {
  await using pool = new ctx.Pool(2);
  await pool.map(work.square, [1, 2, 3, 4], 1);

  const lines = insights(pool.statistics()).split("\n");
  assertMatch(lines[0]!, /^worker +tasks +busy +busy ms +waiting ms/);
  assertMatch(lines[1]!, /^\w+PoolWorker-1 +\d+ +\d+%/);
  assertEquals(lines[3], "4 tasks done, 0 failed, 0 cancelled");
});

once(
  "ProgressBar draws nothing where there is no terminal, and asks for nothing",
  async () => {
    const module = import.meta.resolve("../../progress.ts");
    const { code, stdout, stderr } = await runProgram(
      `import { ProgressBar, showInsights } from ${JSON.stringify(module)};
     const bar = new ProgressBar("x");
     bar.update({ done: 1, failed: 0, total: null, rate: 1, etaMs: null });
     bar.end();
     showInsights({ workers: [], tasks: {} });
     console.log("done");`,
      { flags: ["run", "--no-prompt", "--no-check"] },
    );

    assertEquals([code, stdout, stderr], [0, "done\n", ""]);
  },
);

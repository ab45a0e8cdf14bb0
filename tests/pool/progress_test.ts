import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { insights, ProgressBar } from "../../progress.ts";
import { contract, once } from "../_support/contract.ts";
import { runProgram } from "../_support/program.ts";
import * as work from "../fixtures/pool_targets.ts";
import "../../mod.ts";

const LIBRARY = JSON.stringify(import.meta.resolve("../../mod.ts"));
const PROGRESS = JSON.stringify(import.meta.resolve("../../progress.ts"));
/** Runs a command on a terminal of its own; part of util-linux. */
const SCRIPT = "/usr/bin/script";

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
  // An iterator does not know how much there is, until it does.
  lines.length = 0;
  const source = (function* () {
    yield* [2, 3, 4];
  })();
  const it = pool.imap(work.throwAtThree, source, {
    bufferSize: 1,
    onProgress: bar.update,
  });
  for (let i = 0; i < 4; i++) await it.next().catch(() => {});
  assertMatch(lines[0]!, /^squares 1 [\d.]+\/s$/);
  assertMatch(lines.at(-1)!, /^squares █{10} 100% 3\/3 [\d.]+\/s 1 failed$/);
});

once("ProgressBar tells how much time is left", () => {
  const lines: string[] = [];
  const bar = new ProgressBar("", {
    width: 4,
    draw: (line) => lines.push(line),
  });
  const at = { done: 1, failed: 1, total: 8, rate: 123.4 };
  for (const etaMs of [900, 61_000, 3_720_000]) bar.update({ ...at, etaMs });
  bar.update({ ...at, total: 0, done: 0, failed: 0, etaMs: null });

  assertEquals(lines, [
    "█░░░ 25% 2/8 123/s 1 failed 1 s left",
    "█░░░ 25% 2/8 123/s 1 failed 1 min 1 s left",
    "█░░░ 25% 2/8 123/s 1 failed 1 h 2 min left",
    "████ 100% 0/0 123/s",
  ]);
});

once("ProgressBar draws no more once it has been ended", () => {
  const lines: string[] = [];
  const bar = new ProgressBar("", { draw: (line) => lines.push(line) });
  const progress = { done: 1, failed: 0, total: null, rate: 1, etaMs: null };
  bar.update(progress);
  bar.end();
  bar.update(progress);
  assertEquals(lines, ["1 1.0/s"]);
});

once("ProgressBar draws whatever it is told", () => {
  const lines: string[] = [];
  const draw = (line: string) => lines.push(line);
  const bar = new ProgressBar("", { width: 2, draw });
  const progress = { done: 1, failed: 0, total: 2, rate: 1, etaMs: null };
  bar.update({ ...progress, etaMs: Infinity });
  bar.update({ ...progress, rate: NaN });
  bar.update({ ...progress, done: 5 });
  assertEquals(lines, ["█░ 50% 1/2 1.0/s", "█░ 50% 1/2", "██ 100% 5/2 1.0/s"]);
  for (const width of [-1, 0.5, NaN]) {
    assertThrows(() => new ProgressBar("", { width }), RangeError, "'width'");
  }
});

contract("insights() tells what the workers did, to the end", async (ctx) => {
  const pool = new ctx.Pool({ processes: 2, maxTasksPerChild: 1 });
  await pool.map(work.square, [1, 2, 3, 4], 1);
  pool.close();
  await pool.join();

  const lines = insights(pool.statistics()).split("\n");
  assertMatch(lines[1]!, /^│ worker +│ state +│ tasks │ busy │ busy ms │/);
  const workers = lines.filter((line) => /PoolWorker-\d/.test(line));
  assertEquals(workers.length, pool.statistics().started);
  for (const line of workers) assertMatch(line, /│ ended │ +[01] │ +\d+% │/);
  assertEquals(
    lines.filter((line) => /^\d+ tasks done/.test(line)),
    ["4 tasks done, 0 failed, 0 cancelled"],
  );
  assertMatch(lines.at(-1)!, /^the workers were busy for \d+% of their time$/);
});

/** A program that shows progress, with its output on standard output. */
function program(method: string, bar: string): string {
  return `import { getContext, sleep } from ${LIBRARY};
import { ProgressBar, showInsights } from ${PROGRESS};
if (import.meta.main) {
  const pool = new (getContext("${method}").Pool)(2);
  ${bar}
  const results = await pool.map(sleep, new Array(8).fill(60), {
    chunkSize: 1,
    onProgress: bar.update,
  });
  console.log("results:", results.length);
  pool.close();
  await pool.join();
  showInsights(pool.statistics());
}
`;
}

contract(
  "ProgressBar draws nothing where there is no terminal",
  async (ctx) => {
    const end = await runProgram(
      program(ctx.getStartMethod(), `using bar = new ProgressBar("naps");`),
    );

    assertEquals([end.code, end.stdout, end.stderr], [0, "results: 8\n", ""]);
  },
);

/** Runs a program on a terminal; gives what that has got. */
async function onTerminal(source: string, columns = 80): Promise<string> {
  const command = [Deno.execPath(), "run", "-A", "--no-lock", "--quiet"];
  // The program starts itself again, by way of what gives it a terminal.
  const starter = `
const file = new URL("shown.ts", import.meta.url).pathname;
const command = ${
    JSON.stringify(command)
  }.concat("--config", Deno.args[0], file);
const { code, stdout } = await new Deno.Command(${JSON.stringify(SCRIPT)}, {
  args: ["-qec", "stty cols ${columns}; " + command.join(" "), "/dev/null"],
  stdin: "null",
  stderr: "inherit",
}).output();
Deno.stdout.writeSync(stdout);
Deno.exit(code);
`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const end = await runProgram(starter, {
    files: { "shown.ts": source },
    args: [config],
  });
  assertEquals([end.code, end.stderr], [0, ""], end.stdout);
  assertEquals(end.left, []);
  return end.stdout;
}

const hasScript = await Deno.stat(SCRIPT).then(() => true, () => false);
for (const method of ["spawn", "worker"]) {
  for (
    const [what, bar] of [
      ["that is disposed of", `using bar = new ProgressBar("naps");`],
      ["that nobody ends", `const bar = new ProgressBar("naps");`],
    ] as const
  ) {
    Deno.test({
      name:
        `ProgressBar draws on a terminal, one ${what}, and insights follow (${method})`,
      // Nothing else here can tell whether it draws on a terminal.
      ignore: !hasScript,
      fn: async () => {
        const text = await onTerminal(program(method, bar));

        const [drawn, ...rest] = text.split("results: 8");
        assertEquals(rest.length, 1, text);
        // Each drawing goes over the one before, and the last one stays.
        assertEquals(drawn!.split("\n").length, 2, text);
        const draws = drawn!.split("\x1b[1G").slice(1);
        assert(draws.length >= 2, text);
        assertMatch(draws[0]!, /naps .*░ \d+% [1-7]\/8/);
        assertMatch(draws.at(-1)!, /naps █+ 100% 8\/8/);
        assertMatch(rest[0]!, /PoolWorker-1 +│ ended │/);
        assertMatch(rest[0]!, /8 tasks done, 0 failed, 0 cancelled\r?\n/);
        // The terminal is left as it was: it wraps lines and shows its cursor.
        assert(!text.includes("\x1b[?7l") && !text.includes("\x1b[?25l"), text);
      },
    });
  }

  Deno.test({
    name:
      `ProgressBar does not keep a program alive whose job does not end (${method})`,
    ignore: !hasScript, // as above
    fn: async () => {
      const text = await onTerminal(
        `
import { getContext, sleep } from ${LIBRARY};
import { ProgressBar } from ${PROGRESS};
if (import.meta.main) {
  globalThis.pool = new (getContext("${method}").Pool)(1);
  const bar = new ProgressBar("naps");
  const naps = globalThis.pool.imap(sleep, new Array(9).fill(1), {
    bufferSize: 1,
    onProgress: bar.update,
  });
  await naps.next();
}`,
        10,
      );

      // And it is no longer than a line.
      const draws = text.split("\x1b[1G").slice(1);
      for (const draw of draws) {
        assertMatch(draw.split("\x1b")[0]!, /^naps [12] [\d.]{2}$/);
      }
      assertMatch(text, /\r\n$/);
    },
  });
}

once(
  "ProgressBar and insights() ask for no permission",
  async () => {
    const { code, stdout, stderr } = await runProgram(
      `import { insights, ProgressBar, showInsights } from ${PROGRESS};
     const bar = new ProgressBar("x");
     bar.update({ done: 1, failed: 0, total: null, rate: 1, etaMs: null });
     bar.end();
     const statistics = { workers: [], ended: [], tasks: {} };
     showInsights(statistics);
     console.log(insights(statistics).includes("│ worker │"));`,
      { flags: ["run", "--no-prompt", "--no-check"] },
    );

    assertEquals([code, stdout, stderr], [0, "true\n", ""]);
  },
);

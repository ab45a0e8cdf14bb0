/**
 * The programs of the document that this package was written to replace, each in
 * `examples/seed/`, under both start methods. Values and lines have to be exactly
 * those; where their order is open, it is said here.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { runExample } from "./_example.ts";
import type { ExampleEnd, Line } from "./_example.ts";

const METHODS = ["spawn", "worker"] as const;

/** Registers a test for each start method, of a program that ends well. */
function seed(
  id: string,
  claim: string,
  file: string,
  check: (end: ExampleEnd) => void,
  {
    args = [] as string[],
    stderr = /^$/,
    permissions = undefined as string[] | undefined,
  } = {},
): void {
  for (const method of METHODS) {
    Deno.test(`${id} ${claim} (${method})`, async () => {
      const end = await runExample(`seed/${file}`, [
        "--method",
        method,
        ...args,
      ], permissions);
      assertMatch(end.stderr, stderr);
      assertEquals(end.code, 0);
      check(end);
    });
  }
}

/** A program whose lines are known to the last letter. */
function exact(id: string, claim: string, file: string, lines: string[]): void {
  seed(id, claim, file, ({ texts }) => assertEquals(texts, lines));
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first }, (_, i) => first + i);
}

function find(lines: readonly Line[], text: string): Line {
  const found = lines.filter((line) => line.text === text);
  assertEquals(found.length, 1, `"${text}" in ${Deno.inspect(lines)}`);
  return found[0]!;
}

/** How many workers a pool has if nobody says. */
const PROCESSORS = navigator.hardwareConcurrency;
/** Timers may be a little early, and clocks differ. */
const EARLY_MS = 100;
/** How late something may come on a machine that is kept busy. */
const LATE_MS = 15_000;

seed(
  "SEED-01",
  "children load the main module, and are not main",
  "seed_01_main_module.ts",
  ({ texts }) => {
    const parsed = texts.map((text) => text.match(/^pid:(\d+) main:(\w+)$/)!);
    assertEquals(parsed.at(-1)![2], "true");
    const children = parsed.slice(0, -1);
    assert(children.length >= 1 && children.length <= PROCESSORS);
    for (const child of children) assertEquals(child[2], "false");
    assertEquals(new Set(parsed.map((match) => match[1])).size, texts.length);
  },
);

seed(
  "SEED-02",
  "nothing that children write is lost",
  "seed_02_standard_output.ts",
  ({ texts }) => {
    const all = texts.join("\n");
    const idents = all.match(/stdout: \d+/g)!;
    assert(idents.length >= 2 && idents.length <= PROCESSORS + 1, all);
    const rest = all.replace(/stdout: \d+(\n|$)/g, "");
    const [written, list] = rest.split("[");
    assertEquals(list!.trim(), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9]");
    const seen = written!.trim().split(/\s+/).map(Number).sort();
    assertEquals(seen, numbers(0, 10));
  },
);

seed(
  "SEED-03",
  "ten children stop, and start one after the other",
  "seed_03_process_and_lock.ts",
  ({ lines, ms }) => {
    assertEquals(lines.length, 20);
    for (const i of numbers(0, 10)) {
      const name = String(i).padStart(2);
      const stop = find(lines, `${name} Stop`);
      const start = find(lines, `${name} Start`);
      assert(start.ms - stop.ms >= 1000 - EARLY_MS, `${name} has not slept`);
    }
    // Ten times join() with a time limit of 100 ms; then the program waits.
    assert(ms >= 10 * 100 + 1000 - EARLY_MS);
    assert(lines[0]!.ms < 10 * 1000, "join() does not wait for the end");
  },
);

seed(
  "SEED-04",
  "three workers do five tasks",
  "seed_04_pool.ts",
  ({ lines, texts }) => {
    assertEquals(texts.length, 13, texts.join("\n"));
    assertMatch(texts[0]!, /^Parent process \d+\.$/);
    assertEquals(texts.at(-1), "所有 child processes 完成");
    const starts = texts.filter((text) => text.endsWith("開始"));
    const waiting = texts.indexOf("等待所有 child processes 完成");
    assert(waiting >= 1 && waiting <= texts.indexOf(starts[2]!), `${texts}`);

    const idents = starts.map((text) => text.match(/^任務 \d \((\d+)\)/)![1]);
    assertEquals(starts.length, 5);
    assertEquals(new Set(idents.slice(0, 3)).size, 3);
    assertEquals(new Set(idents).size, 3);
    const ends = lines.filter(({ text }) => / seconds\.$/.test(text));
    for (const { text } of ends) {
      const [, seconds] = text.match(/^任務 \d 執行 (\d\.\d\d) seconds\.$/)!;
      assert(Number(seconds) >= 3 - EARLY_MS / 1000, text);
    }
    assertEquals(ends.length, 5);
    // The fourth and fifth begin when others have ended.
    const fourth = find(lines, starts[3]!);
    assert(ends.filter(({ ms }) => ms <= fourth.ms).length >= 1);
    const took = lines.at(-1)!.ms - find(lines, starts[0]!).ms;
    assert(took >= 6000 - EARLY_MS && took < 6000 + LATE_MS, `${took} ms`);
  },
);

seed(
  "SEED-04",
  "a task that throws is told to the error callback, with its stack",
  "seed_04_pool.ts",
  ({ texts, stderr }) => {
    assertEquals(texts.filter((text) => text.endsWith("開始")).length, 4);
    assertEquals(stderr.match(/^RangeError: 任務 4 on purpose$/gm)?.length, 1);
    assertMatch(stderr, /RemoteError/);
    assertMatch(stderr, /at longTimeTask \(.*seed_04_pool\.ts:\d+/);
  },
  { args: ["--fail"], stderr: /on purpose/ },
);

seed(
  "SEED-05",
  "waiting has an end, and so has the pool",
  "seed_05_results_in_time.ts",
  ({ texts, ms }) => {
    assertEquals(texts, [
      "得 resB 值超時",
      "pool 此時仍可使用",
      "pool 已不可使用",
      "resA 400",
    ]);
    // The task of ten seconds was not waited for.
    assert(ms >= 1000 - EARLY_MS && ms < 9500, `${ms} ms`);
  },
);

exact(
  "SEED-06",
  "a queue copies, first in, first out",
  "seed_06_queue.ts",
  ['[ 42, null, "hello" ]', "2"],
);

seed(
  "SEED-07",
  "closing an end in the child does not close it in the parent",
  "seed_07_pipe.ts",
  ({ texts }) => {
    const list = '[ 42, null, "hello" ]';
    assertEquals(texts.filter((text) => text !== list), [
      "In f",
      "2",
      "b_conn close true",
      "Out f",
      "b_conn close false",
    ]);
    const at = texts.indexOf(list);
    assert(at > texts.indexOf("2") && at < texts.length - 1, `${texts}`);
  },
);

exact(
  "SEED-08",
  "what the child changes its parent sees",
  "seed_08_shared_values.ts",
  [
    "0",
    "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]",
    "3.1415927",
    "[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]",
  ],
);

/** Managers are reached through sockets. */
const WITH_SOCKETS = [
  "--allow-read",
  "--allow-run",
  "--allow-ffi",
  "--allow-net",
];

seed(
  "SEED-09",
  "what the child changes in the manager its parent sees",
  "seed_09_manager.ts",
  ({ texts }) =>
    assertEquals(texts, [
      "Map(0) {}",
      "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]",
      'Map(3) { 1 => "1", "2" => 2, 0.25 => null }',
      "[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]",
    ]),
  { permissions: WITH_SOCKETS },
);

seed(
  "SEED-10",
  "a process tells its state",
  "seed_10_terminate.ts",
  ({ texts }) => {
    const [, parent] = texts[0]!.match(/parent=(\d+)/)!;
    const [, pid] = texts[1]!.match(/pid=(\d+)/)!;
    const started = `<Process name='Process-1' pid=${pid} parent=${parent}`;
    assertEquals(texts, [
      `<Process name='Process-1' parent=${parent} initial> false`,
      `${started} started> true`,
      `${started} stopped exitcode=-SIGTERM> false`,
      "true",
    ]);
  },
);

exact(
  "SEED-11",
  "a queue that nobody empties does not keep the program",
  "seed_11_queue_of_five.ts",
  ["true", "0", "5", "true"],
);

exact("SEED-12", "both ends of a pipe, and bytes", "seed_12_bytes.ts", [
  "true",
  '[ 1, "hello", null ]',
  "thank you",
  "[0, 0, 0, 0, 1, 2, 3, 4, 0, 0]",
]);

seed(
  "SEED-13",
  "a worker is replaced after two tasks",
  "seed_13_fresh_workers.ts",
  ({ texts }) => {
    const idents = texts.map((text) => text.match(/^PID: (\d+)$/)![1]);
    const [a, , b, , c] = idents;
    assertEquals(idents, [a, a, b, b, c]);
    assertEquals(new Set(idents).size, 3);
  },
);

exact(
  "SEED-14",
  "the callback comes before the result",
  "seed_14_callback.ts",
  ["101 In show", "100"],
);

seed(
  "SEED-15",
  "two chunks of ten run beside each other, each in order",
  "seed_15_chunks.ts",
  ({ lines }) => {
    const seen = lines.map(({ text }) => Number(text));
    assertEquals(seen.toSorted((a, b) => a - b), numbers(0, 20));
    assertEquals(seen.filter((x) => x < 10), numbers(0, 10));
    assertEquals(seen.filter((x) => x >= 10), numbers(10, 20));
    // Each has begun before the other was done.
    assert(find(lines, "0").ms < find(lines, "19").ms);
    assert(find(lines, "10").ms < find(lines, "9").ms);
  },
);

seed(
  "SEED-15",
  "one chunk of twenty is done by one worker",
  "seed_15_chunks.ts",
  ({ lines, texts }) => {
    assertEquals(texts, numbers(0, 20).map(String));
    const took = lines.at(-1)!.ms - lines[0]!.ms;
    assert(took >= 1900 - EARLY_MS, `${took} ms`);
  },
  { args: ["--one-chunk"] },
);

seed(
  "SEED-16",
  "a function with two arguments",
  "seed_16_starmap.ts",
  ({ texts }) => {
    assertEquals(
      texts.toSorted(),
      numbers(0, 20).map((x) => `${x} ${x + 20}`).sort(),
    );
  },
);

seed(
  "SEED-17",
  "the log tells of the manager, each line once",
  "seed_17_logging.ts",
  ({ texts, stderr }) => {
    assertEquals(texts, []);
    const lines = stderr.trim().split("\n");
    assertMatch(lines[1]!, /^\[INFO\/SyncManager-1\] manager serving at '.+'$/);
    assertEquals(lines.toSpliced(1, 1), [
      "[INFO/SyncManager-1] child process calling self.run()",
      "[INFO/MainProcess] sending shutdown message to manager",
      "[INFO/SyncManager-1] process shutting down",
      "[INFO/SyncManager-1] process exiting with exitcode 0",
      "[INFO/MainProcess] process shutting down",
    ]);
  },
  { permissions: WITH_SOCKETS, stderr: /INFO/ },
);

Deno.test("the programs refuse a start method that there is not, and say why", async () => {
  const { code, texts, stderr } = await runExample("seed/seed_06_queue.ts", [
    "--method",
    "fork",
  ]);
  assertEquals([code, texts], [2, []]);
  assertEquals(stderr, '--method is spawn or worker, not "fork"\n');
});

import { assert, assertEquals, assertMatch } from "@std/assert";
import { once } from "../_support/contract.ts";
import { describeEnd, runProgram, startProgram } from "../_support/program.ts";

const LIBRARY = JSON.stringify(import.meta.resolve("../../mod.ts"));
const METHODS = ["spawn", "worker"] as const;

/** A program's main module, for a start method. */
function program(method: string, functions: string, main: string): string {
  return `import { currentProcess, getContext, sleep } from ${LIBRARY};
${functions}
if (import.meta.main) {
  const ctx = getContext(${JSON.stringify(method)});
${main}
}
`;
}

for (const method of METHODS) {
  once(`POOL-31 an idle pool lets the program end (${method})`, async () => {
    const end = await runProgram(program(
      method,
      "export function f(x) { return x * x; }",
      `  globalThis.pool = new ctx.Pool(1);
  console.log(await globalThis.pool.map(f, [1, 2, 3]));`,
    ));
    assertEquals(
      [end.code, end.stdout],
      [0, "[ 1, 4, 9 ]\n"],
      describeEnd(end),
    );
    assertEquals(end.left, []);
  });

  once(`POOL-31 so does one that nobody has used (${method})`, async () => {
    const end = await runProgram(
      program(method, "", "  globalThis.pool = new ctx.Pool(2);"),
    );
    assertEquals([end.code, end.left], [0, []], describeEnd(end));
  });

  once(
    `SEED-01 children load the main module, not as main (${method})`,
    async () => {
      const end = await runProgram(program(
        method,
        `console.log(\`ident:\${currentProcess().ident} main:\${import.meta.main}\`);
export function f(x) { return x * x; }`,
        `  const pool = new ctx.Pool(2);
  console.log(JSON.stringify(await pool.map(f, [...Array(10).keys()])));
  pool.close();
  await pool.join();`,
      ));
      assertEquals(end.code, 0, describeEnd(end));
      const lines = end.stdout.trim().split("\n");
      assertMatch(lines[0]!, /^ident:\d+ main:true$/);
      const children = lines.slice(1).filter((line) =>
        line.startsWith("ident")
      );
      assert(children.length >= 1 && children.length <= 2, end.stdout);
      for (const line of children) assertMatch(line, /main:false$/);
      assertEquals(lines.at(-1), "[0,1,4,9,16,25,36,49,64,81]");
      assertEquals(new Set([lines[0], ...children]).size, children.length + 1);
    },
  );

  once(`SEED-02 nothing that a task writes is lost (${method})`, async () => {
    const end = await runProgram(program(
      method,
      `export function f(x) {
  Deno.stdout.writeSync(new TextEncoder().encode(x + " "));
  return x;
}`,
      `  const pool = new ctx.Pool(2);
  console.log(JSON.stringify(await pool.map(f, [...Array(10).keys()])));`,
    ));
    assertEquals(end.code, 0, describeEnd(end));
    const [texts, list] = end.stdout.split("[");
    assertEquals(
      texts!.trim().split(" ").map(Number).sort(),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    assertEquals(list, "0,1,2,3,4,5,6,7,8,9]\n");
  });

  once(`SEED-04 three workers do five tasks (${method})`, async () => {
    const end = await runProgram(program(
      method,
      `export async function longTask(name) {
  console.log(\`task \${name} starts in \${currentProcess().ident}\`);
  await sleep(200);
  console.log(\`task \${name} ends\`);
}`,
      `  const pool = new ctx.Pool(3);
  await pool.ready;
  console.log("begin");
  for (let i = 0; i < 5; i++) {
    pool.applyAsync(longTask, [i], { errorCallback: (e) => console.log(e) });
  }
  console.log("waiting");
  pool.close();
  await pool.join();
  console.log("all done");`,
    ));
    assertEquals(end.code, 0, describeEnd(end));
    const lines = end.stdout.trim().split("\n");
    assertEquals(lines.length, 13, end.stdout);
    assertEquals([lines[0], lines[1], lines.at(-1)], [
      "begin",
      "waiting",
      "all done",
    ]);
    const starts = lines.filter((line) => / starts in /.test(line));
    const idents = starts.map((line) => line.split(" ").at(-1));
    assertEquals(new Set(idents).size, 3);
    const firstEnd = lines.findIndex((line) => / ends$/.test(line));
    const fourth = lines.indexOf(starts[3]!);
    assert(firstEnd < fourth, end.stdout);
  });

  once(
    `LESSON-36 Ctrl-C ends a program and its pool, with no noise (${method})`,
    async () => {
      await using running = await startProgram(program(
        method,
        `export async function f() {
  console.log("running");
  await sleep(60000);
}`,
        `  const pool = new ctx.Pool(2);
  await pool.map(f, [1, 2, 3, 4], 1);`,
      ));
      await running.says(/running\n[^]*running\n/);
      running.signalGroup("SIGINT");
      const end = await running.ended;
      assert(end.code === 130 || end.signal === "SIGINT", describeEnd(end));
      assert(end.stderr.trim().split("\n").length <= 1, end.stderr);
      // The kernel ends the workers with their parent, which takes a moment.
      const start = performance.now();
      while (running.running().length > 0 && performance.now() - start < 5000) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assertEquals(running.running(), []);
    },
  );

  once(
    `a pool that is terminated at the end of a block leaves nothing (${method})`,
    async () => {
      const end = await runProgram(program(
        method,
        "export function f() { while (true); }",
        `  {
    await using pool = new ctx.Pool(2);
    pool.map(f, [1, 2]);
    pool.applyAsync(f, []);
    await sleep(50);
  }
  console.log("ended");`,
      ));
      assertEquals([end.code, end.stdout], [0, "ended\n"], describeEnd(end));
      assertEquals(end.left, []);
    },
  );
}

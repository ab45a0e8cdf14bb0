import { assert, assertEquals, assertMatch } from "@std/assert";
import { once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { describeEnd, runProgram, startProgram } from "../_support/program.ts";
import type { Program } from "../_support/program.ts";

const LIBRARY = JSON.stringify(import.meta.resolve("../../mod.ts"));
/** An orphan may live for so long, even on a busy machine. */
const SOON_MS = 5000;
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

/** The kernel ends the workers with their parent, which takes a moment. */
async function allEnd(program: Program): Promise<void> {
  await until(() => program.running().length === 0, "all of it ends", SOON_MS);
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
    `a broken pool lets the program end, whoever asks whether it is ready (${method})`,
    async () => {
      const end = await runProgram(program(
        method,
        "export function f() {}",
        `  const pool = new ctx.Pool({
    processes: 1,
    minProcesses: 0,
    initializer: f,
    initArgs: [() => {}],
  });
  const work = pool.apply(f);
  pool.ready.catch((error) => console.log("ready:", error.name));
  await work.catch((error) => console.log("work:", error.name));`,
      ));
      assertEquals(end.code, 0, describeEnd(end));
      assertEquals(end.stdout, "ready: EncodingError\nwork: EncodingError\n");
    },
  );

  once(
    `LESSON-13 a callback that throws does not end the program (${method})`,
    async () => {
      const end = await runProgram(program(
        method,
        "export function f(x) { return x * x; }",
        `  const pool = new ctx.Pool(1);
  const callback = () => { throw new Error("it throws"); };
  console.log(await pool.apply(f, [3], { callback }));
  console.log(await pool.apply(f, [4]));
  await pool.terminate();
  console.log("the end");`,
      ));
      assertEquals(
        [end.code, end.stdout],
        [0, "9\n16\nthe end\n"],
        describeEnd(end),
      );
      assertMatch(
        end.stderr,
        /^Error in the 'callback' of a pool's work: Error: it throws\n/,
      );
    },
  );

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
      assertEquals(
        [end.code, end.signal, end.stderr],
        [130, "SIGINT", ""],
        describeEnd(end),
      );
      await allEnd(running);
    },
  );

  once(
    `LESSON-36 a program that handles Ctrl-C says one thing and exits with 130 (${method})`,
    async () => {
      await using running = await startProgram(program(
        method,
        `export async function f() {
  console.log("running");
  await sleep(60000);
}`,
        `  await using pool = new ctx.Pool(2);
  const work = pool.map(f, [1, 2, 3, 4], 1);
  const interrupted = new Promise((resolve) =>
    Deno.addSignalListener("SIGINT", resolve)
  );
  await Promise.race([work, interrupted]);
  // The workers have not been hit by it: this program decides.
  console.error("interrupted;", pool.statistics().lost, "lost");
  await pool.terminate();
  await work.catch((error) => console.log(error.name));
  Deno.exit(130);`,
      ));
      await running.says(/running\n[^]*running\n/);
      running.signalGroup("SIGINT");
      const end = await running.ended;
      assertEquals(
        [end.code, end.signal, end.stderr],
        [130, null, "interrupted; 0 lost\n"],
        describeEnd(end),
      );
      assertMatch(end.stdout, /PoolTerminatedError\n$/);
      await allEnd(running);
    },
  );

  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    once(
      `LESSON-36 nothing is left, and nothing said, of a pool that is starting at ${signal} (${method})`,
      async () => {
        for (let ms = 0; ms < 60; ms += 20) {
          await using running = await startProgram(program(
            method,
            "export function f() {}",
            `  const pool = new ctx.Pool(4);
  console.log("starting");
  await pool.map(f, [1, 2, 3, 4], 1);
  await sleep(60000);`,
          ));
          await running.says(/starting\n/);
          await new Promise((resolve) => setTimeout(resolve, ms));
          // The first is for all of the group, the second for the program alone.
          if (signal === "SIGINT") running.signalGroup(signal);
          else running.signal(signal);
          await allEnd(running);
          assertEquals((await running.ended).signal, signal);
          assertEquals(await running.complaints(), "");
        }
      },
    );
  }

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

import { assertEquals, assertMatch } from "@std/assert";
import { contract } from "../_support/contract.ts";
import { describeEnd, LIBRARY, runProgram } from "../_support/program.ts";

/** What a program of each start method cannot do without. */
const NEEDED = {
  spawn: ["--allow-ffi", "--allow-run", "--allow-read"],
  worker: ["--allow-read"],
};

function program(method: string): string {
  return `
    import { getContext } from "${LIBRARY}";
    export function target() { console.log("the child runs"); }
    if (import.meta.main) {
      const process = new (getContext("${method}").Process)({ target });
      process.start();
      console.log(await process.exited);
    }
  `;
}

contract("Process runs with no more permissions than it needs", async (ctx) => {
  const method = ctx.getStartMethod();
  const end = await runProgram(program(method), {
    flags: ["run", "--no-prompt", ...NEEDED[method]],
  });
  assertEquals(end.stdout, "the child runs\n0\n", describeEnd(end));
  assertEquals(end.stderr, "");
});

contract("Process names the permission that is missing", async (ctx) => {
  const method = ctx.getStartMethod();
  for (const missing of NEEDED[method]) {
    const flags = NEEDED[method].filter((flag) => flag !== missing);
    const end = await runProgram(program(method), {
      flags: ["run", "--no-prompt", ...flags],
    });
    assertMatch(
      end.stderr,
      new RegExp(
        `(run with ${missing}|run again with the ${missing} flag)`,
      ),
      describeEnd(end),
    );
    // A child that may not read its module says so itself, and ends with 1.
    const isChild = missing === "--allow-read";
    assertEquals(end.code, isChild ? 0 : 1);
    assertEquals(end.stdout, isChild ? "1\n" : "");
    assertEquals(end.left, []);
  }
});

contract("Process asks for no permission, even if it could", async (ctx) => {
  const method = ctx.getStartMethod();
  const end = await runProgram(program(method), {
    flags: ["run", ...NEEDED[method]],
    // With an answer to any question that should not be asked.
    stdin: "n\nn\nn\n",
  });
  assertEquals(end.stdout, "the child runs\n0\n", describeEnd(end));
  assertEquals(end.stderr, "");
});

import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { checkUsable } from "../../contexts/_launchers.ts";
import { contract, once } from "../_support/contract.ts";
import {
  describeEnd,
  LIBRARY,
  runProgram,
  SCRIPT,
} from "../_support/program.ts";

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

contract("Process asks for no permission in a terminal", async (ctx) => {
  const isThere = await Deno.stat(SCRIPT).catch(() => undefined);
  if (!isThere) return console.warn(`Not tested, as there is no ${SCRIPT}`);
  const method = ctx.getStartMethod();
  const flags = ["--allow-ffi", "--allow-run", "--allow-read"];
  const end = await runProgram(program(method), {
    flags: ["run", ...flags],
    terminal: true,
  });
  assertEquals(
    end.stdout.replaceAll("\r", ""),
    "the child runs\n0\n",
    describeEnd(end),
  );
});

contract(
  "the environment of a thread is that of its program",
  async () => {
    const end = await runProgram(`
      import { getContext } from "${LIBRARY}";
      export async function target(queue) {
        const name = await queue.get();
        console.log(Deno.env.get(name), process.env[name]);
      }
      if (import.meta.main) {
        const { Process, Queue } = getContext("worker");
        const queue = new Queue();
        const child = new Process({ target, args: [queue] });
        child.start();
        Deno.env.set("WHO", "the program");
        await queue.put("WHO");
        console.log(await child.exited);
      }
    `);
    assertEquals(
      end.stdout,
      "the program the program\n0\n",
      describeEnd(end),
    );
  },
  { methods: ["worker"] },
);

once("a start method says so where it cannot work", () => {
  for (const os of ["freebsd", "android"] as const) {
    assertThrows(
      () => checkUsable("spawn", os),
      Deno.errors.NotSupported,
      `on ${os}, only on linux, darwin, windows: use getContext("worker")`,
    );
    checkUsable("worker", os);
  }
  for (const os of ["linux", "darwin", "windows"] as const) {
    checkUsable("spawn", os);
  }
});

contract("Process.permissions hold, whatever the child tries", async () => {
  const secret = await Deno.makeTempFile();
  await Deno.writeTextFile(secret, "secret");
  const end = await runProgram(
    `
    import { getContext } from "${LIBRARY}";
    export async function tries(secret) {
      const attempts = {
        read: () => Deno.readTextFile(secret),
        write: () => Deno.writeTextFile(secret, ""),
        net: () => Deno.connect({ hostname: "127.0.0.1", port: 1 }),
        env: () => Deno.env.get("HOME"),
        sys: () => Deno.hostname(),
        run: () => new Deno.Command(Deno.execPath()).output(),
        import: () => import(secret),
        worker: () => new Promise((_, reject) => {
          // Nor does a thread of the child's get more than the child has.
          const text = "try { Deno.readTextFileSync(" +
            JSON.stringify(secret) + "); postMessage('read') } " +
            "catch (error) { postMessage(error.name) }";
          const worker = new Worker(
            "data:text/javascript," + encodeURIComponent(text),
            { type: "module" },
          );
          worker.onmessage = ({ data }) => {
            worker.terminate();
            reject({ name: data });
          };
        }),
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        let outcome = "done";
        try {
          await attempt();
        } catch (error) {
          outcome = error.name;
        }
        console.log(name, outcome);
      }
      // What every child process has, and the guide says so.
      for (const name of ["ffi", "read"]) {
        console.log(name, Deno.permissions.querySync({ name }).state);
      }
    }
    if (import.meta.main) {
      const { Process } = getContext("spawn");
      const process = new Process({
        target: tries,
        args: [Deno.args[0]],
        permissions: "none",
      });
      process.start();
      console.log(await process.exited);
    }
  `,
    { args: [secret] },
  );
  assertEquals(
    end.stdout.trim().split("\n"),
    [
      "read NotCapable",
      "write NotCapable",
      "net NotCapable",
      "env NotCapable",
      "sys NotCapable",
      "run NotCapable",
      "import TypeError",
      "worker NotCapable",
      "ffi granted",
      "read prompt",
      "0",
    ],
    describeEnd(end),
  );
  assertEquals(await Deno.readTextFile(secret), "secret");
  await Deno.remove(secret);
}, { methods: ["spawn"] });

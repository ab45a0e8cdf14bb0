import { assert, assertEquals } from "@std/assert";
import { once } from "../_support/contract.ts";
import { CONFIG, runProgram } from "../_support/program.ts";

/** Makes a program take the path of a compiled one. */
const FORCE = JSON.stringify(
  import.meta.resolve("../fixtures/force_standalone.ts"),
);
const FRONT_DOOR = JSON.stringify(import.meta.resolve("../../mod.ts"));

for (const method of ["spawn", "worker"]) {
  once(
    `SEED-17 a manager's life is logged, each line once (${method})`,
    async () => {
      const { code, stderr } = await runProgram(
        `
        import { getContext, getLogger, logToStderr } from ${FRONT_DOOR};
        if (import.meta.main) {
          logToStderr("INFO");
          getLogger().warn("doomed");
          const m = await getContext("${method}").Manager();
          await m.shutdown();
        }
      `,
        { config: CONFIG },
      );
      assertEquals(code, 0);
      const lines = stderr.trim().split("\n")
        .filter((line) => !line.includes("SyncManager-1] process exiting"));
      assert(
        lines[2]?.startsWith(
          "[INFO/SyncManager-1] manager serving at '@multiprocessing-",
        ),
        stderr,
      );
      lines[2] = "serving";
      assertEquals(lines, [
        "[WARN/MainProcess] doomed",
        "[INFO/SyncManager-1] child process calling self.run()",
        "serving",
        "[INFO/MainProcess] sending shutdown message to manager",
        "[INFO/SyncManager-1] process shutting down",
        "[INFO/MainProcess] process shutting down",
      ], stderr);
      assert(
        stderr.includes("[INFO/SyncManager-1] process exiting with exitcode 0"),
        stderr,
      );
    },
  );

  once(
    `a program with a manager that it does not shut down comes to its end (${method})`,
    async () => {
      const end = await runProgram(
        `
        import { getContext } from ${FRONT_DOOR};
        if (import.meta.main) {
          const m = await getContext("${method}").Manager();
          const list = await m.list([1]);
          console.log(await list.copy());
        }
      `,
        { config: CONFIG },
      );
      assertEquals([end.code, end.stdout, end.stderr, end.left], [
        0,
        "[ 1 ]\n",
        "",
        [],
      ]);
    },
  );

  once(
    `a child whose module does not import the package gets proxies (${method})`,
    async () => {
      const end = await runProgram(
        `
        import { getContext } from ${FRONT_DOOR};
        import { use } from "./plain.ts";
        const ctx = getContext("${method}");
        await using m = await ctx.Manager();
        const list = await m.list([1]);
        const process = new ctx.Process({ target: use, args: [list] });
        process.start();
        await process.join();
        console.log(process.exitCode, await list.copy());
      `,
        {
          config: CONFIG,
          files: {
            "plain.ts":
              "export async function use(list) { await list.append(2); }",
          },
        },
      );
      assertEquals([end.code, end.stdout, end.stderr], [0, "0 [ 1, 2 ]\n", ""]);
    },
  );
}

once(
  "a manager needs --allow-net beside what processes need, and says so",
  async () => {
    const source = `
    import { getContext } from ${FRONT_DOOR};
    if (import.meta.main) {
      await using m = await getContext("worker").Manager();
      console.log(await (await m.list([1])).copy());
    }
  `;
    const flags = ["run", "--no-prompt", "--allow-read"];
    const without = await runProgram(source, { config: CONFIG, flags });
    assertEquals(without.code, 1);
    assert(without.stderr.includes("--allow-net"), without.stderr);
    const given = await runProgram(source, {
      config: CONFIG,
      flags: [...flags, "--allow-net"],
    });
    assertEquals([given.code, given.stdout, given.stderr], [0, "[ 1 ]\n", ""]);
  },
);

once("importing the package asks for no permission", async () => {
  const { code, stdout, stderr } = await runProgram(
    `import { SyncManager } from ${FRONT_DOOR}; console.log(SyncManager.name);`,
    { config: CONFIG, flags: ["run", "--no-prompt"] },
  );
  assertEquals([code, stdout, stderr], [0, "SyncManager\n", ""]);
});

for (const method of ["spawn", "worker"]) {
  once(
    `a program that takes the path of a compiled one has managers (${method})`,
    async () => {
      const end = await runProgram(
        `
        import ${FORCE};
        import { getContext } from ${FRONT_DOOR};
        export class Counter {
          #n = 0;
          add(n) { return this.#n += n; }
        }
        export async function use(counter, list) {
          await counter.add(2);
          await list.append(await counter.add(3));
        }
        if (import.meta.main) {
          const ctx = getContext("${method}");
          class M extends ctx.SyncManager {}
          M.register("Counter", { callable: Counter });
          await using m = new M();
          await m.start();
          const list = await m.list([1]);
          const counter = await m.create("Counter");
          const process = new ctx.Process({ target: use, args: [counter, list] });
          process.start();
          await process.join();
          console.log(process.exitCode, await list.copy());
        }
      `,
        { config: CONFIG },
      );
      assertEquals([end.code, end.stdout, end.stderr], [0, "0 [ 1, 5 ]\n", ""]);
    },
  );
}

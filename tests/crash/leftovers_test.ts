/**
 * What has a name in the file system outlives a program that is killed. Nobody
 * watches over it: the next program that makes such a thing removes what the dead
 * have left.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { getContext } from "../../contexts/mod.ts";
import { once } from "../_support/contract.ts";
import { isPortable } from "../_support/portable.ts";
import {
  describeEnd,
  runProgram,
  startProgram,
  undisturbed,
} from "../_support/program.ts";

const FRONT_DOOR = import.meta.resolve("../../mod.ts");

/** A folder for the temporary files of programs. */
class TempFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<TempFolder> {
    // With a path that is short enough for that of a socket.
    const path = await Deno.makeTempDir({ dir: "/tmp", prefix: "mpt_" });
    return new TempFolder(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** A program that listens somewhere, says where, and goes on for ever. */
const LISTENS = `
  import { Listener, logToStderr } from "${FRONT_DOOR}";
  const listener = new Listener();
  console.log("at", listener.address);
  await listener.accept();
`;

for (const signal of ["SIGTERM", "SIGKILL", "SIGINT"] as const) {
  once(
    `RT-01 the socket of a program that ended by ${signal} is removed by the next one`,
    async () => {
      await using folder = await TempFolder.make();
      const temp = folder.path;
      const env = { TMPDIR: temp };
      await using killed = await startProgram(LISTENS, { env });
      await using living = await startProgram(LISTENS, { env });
      await killed.says(/at .*\n/);
      const [, kept] = await living.says(/at (.*)\n/);
      killed.signal(signal);
      assertEquals((await killed.ended).signal, signal);
      assertEquals(namesIn(temp).length, 2);

      const end = await runProgram(
        `
      import { Client, Listener, logToStderr } from "${FRONT_DOOR}";
      logToStderr("DEBUG");
      const listener = new Listener();
      listener.close();
    `,
        { env },
      );
      assertEquals(end.code, 0, describeEnd(end));
      assertEquals(
        namesIn(temp).map((name) => `${temp}/${name}/listener`),
        [kept],
      );
      const [created, removed] = end.stderr.split("\n");
      assert(created!.startsWith("[INFO/MainProcess] created temp directory "));
      assert(
        removed!.startsWith("[DEBUG/MainProcess] removed temp directory "),
      );
      living.signal("SIGKILL");
      await living.ended;
    },
  );
}

once(
  "RT-01 folders of others, and those being made, are left alone",
  async () => {
    await using folder = await TempFolder.make();
    const temp = folder.path;
    // An old one without a lock has been left while it was being made.
    const names = ["mp-123abc", "mp-123abc.d", "mp-no", "other", "mp-456"];
    for (const name of names) await Deno.mkdir(`${temp}/${name}`);
    const old = new Date(Date.now() - 3600_000);
    await Deno.utime(`${temp}/mp-456`, old, old);
    await Deno.writeTextFile(`${temp}/other/lock`, "");
    // A lock that somebody holds, whatever process that is.
    await Deno.writeTextFile(`${temp}/mp-123abc/lock`, "");
    using held = await Deno.open(`${temp}/mp-123abc/lock`, { write: true });
    await held.lock(true);

    const program = `
    import { Listener } from "${FRONT_DOOR}";
    new Listener().close();
  `;
    const end = await runProgram(program, { env: { TMPDIR: temp } });
    assertEquals(end.code, 0, describeEnd(end));
    assertEquals(namesIn(temp), names.slice(0, -1).sort());

    await held.unlock();
    await runProgram(program, { env: { TMPDIR: temp } });
    assertEquals(namesIn(temp), ["mp-123abc.d", "mp-no", "other"]);
  },
);

once("Listener leaves no folder when it may not listen", async () => {
  await using folder = await TempFolder.make();
  const end = await runProgram(
    `
    import { Listener } from "${FRONT_DOOR}";
    new Listener();
  `,
    {
      env: { TMPDIR: folder.path },
      flags: ["run", "--no-prompt", "--allow-read", "--allow-write"],
    },
  );
  assertEquals(end.code, 1);
  assert(end.stderr.includes("Requires net access"), describeEnd(end));
  assertEquals(namesIn(folder.path), []);
});

once("RT-02 a program that ends in good order leaves no folder", async () => {
  await using folder = await TempFolder.make();
  const temp = folder.path;
  for (const last of ["", "Deno.exit(3);", "listener.close();"]) {
    const end = await runProgram(
      `
      import { Listener } from "${FRONT_DOOR}";
      const listener = new Listener();
      ${last}
    `,
      { env: { TMPDIR: temp } },
    );
    assertEquals(end.stderr, "", describeEnd(end));
    assertEquals(namesIn(temp), []);
  }
});

/**
 * Has a program make named memory and end; the result lists what is left of that.
 * Nothing, if not all of it was left when it had ended.
 */
async function leaveNames(
  signal: "SIGTERM" | "SIGKILL",
): Promise<(() => string[]) | undefined> {
  await using killed = await startProgram(`
    import { getContext } from "${FRONT_DOOR}";
    const { SharedMemory, ShareableList } = getContext("spawn");
    const memory = new SharedMemory({ create: true, size: 100 });
    const list = new ShareableList([1, 2, 3]);
    console.log("names", memory.name, list.shm.name);
    setInterval(() => {}, 1e6);
  `);
  const [, ...names] = await killed.says(/names (\S+) (\S+)\n/);
  const there = () => {
    const all = namesIn("/dev/shm");
    return names.filter((name) => all.includes(name!)) as string[];
  };
  assertEquals(there(), names);
  killed.signal(signal);
  assertEquals((await killed.ended).signal, signal);
  return there().length === names.length ? there : undefined;
}

// Portable memory has no file of its own for each name: it goes with the program.
for (const signal of isPortable ? [] : ["SIGTERM", "SIGKILL"] as const) {
  once(
    `RT-01 named memory of a program that ended by ${signal} is removed by the next one`,
    async () => {
      const there = await undisturbed(() => leaveNames(signal));

      const end = await runProgram(`
      import { getContext } from "${FRONT_DOOR}";
      const { SharedMemory } = getContext("spawn");
      using memory = new SharedMemory({ create: true, size: 100 });
      memory.unlink();
    `);
      assertEquals(end.code, 0, describeEnd(end));
      assertEquals(there(), []);
    },
  );
}

if (!isPortable) {
  once(
    "RT-02 named memory that a thread has made stays after it, until the program ends",
    async () => {
      await using program = await startProgram(`
      import { getContext } from "${FRONT_DOOR}";
      const threads = getContext("worker"), { SharedMemory, Process } =
        getContext("spawn");

      function create(name) {
        new SharedMemory({ create: true, size: 100, name }).close();
      }
      export async function createInAll(names) {
        create(names[0]);
        const children = [
          new Process({ target: create, args: [names[1]] }),
          new threads.Process({ target: create, args: [names[2]] }),
        ];
        for (const child of children) child.start();
        for (const child of children) await child.join();
      }
      export { create };

      if (import.meta.main) {
        const names = ["", "_process", "_thread"].map((end) =>
          "mpt_" + Deno.pid + end
        );
        const child = new threads.Process({ target: createInAll, args: [names] });
        child.start();
        await child.join();
        const last = "mpt_" + Deno.pid + "_exit";
        const leaver = new threads.Process({ target: createAndExit, args: [last] });
        leaver.start();
        await leaver.join();
        const told = new Promise((resolve) => {
          Deno.addSignalListener("SIGUSR1", resolve); // before anybody is told
        });
        console.log("names", ...names, last);
        await told;
        Deno.exit();
      }
      export function createAndExit(name) {
        create(name);
        Deno.exit();
      }
    `);
      const [, ...names] = await program.says(
        /names (\S+) (\S+) (\S+) (\S+)\n/,
      );
      const there = () =>
        names.filter((name) => namesIn("/dev/shm").includes(name!));
      assertEquals(there(), names);
      program.signal("SIGUSR1");
      assertEquals((await program.ended).code, 0);
      assertEquals(there(), []);
    },
  );
}

once("RT-06 a name that is too long is refused, and leaves nothing", () => {
  const { SharedMemory } = getContext("spawn");
  const name = "n".repeat(300);
  assertThrows(
    () => new SharedMemory({ name, create: true, size: 10 }),
    RangeError,
    "its name must have at most",
  );
  const own = namesIn("/dev/shm").filter((file) =>
    file.includes("nnnnn") || file.includes(`.${Deno.pid}.`)
  );
  assertEquals(own, []);
});

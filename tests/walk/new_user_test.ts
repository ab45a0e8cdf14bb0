/**
 * What somebody does who has just found the package: a folder of his own, far from
 * this repository, with the files that are published and nothing else.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { basename, dirname, fromFileUrl, join } from "@std/path";
import { findPublishedFiles, readConfig } from "../../tools/published_files.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const NAME = "@deno-mp/multiprocessing";

/** What the README says a program needs. */
const PERMISSIONS = {
  spawn: ["--allow-read", "--allow-run", "--allow-ffi"],
  worker: ["--allow-read"],
};

/** The first program of the README, for a start method. */
function program(door: string, method: string): string {
  return `import { getContext } from "${door}";

export function square(x: number): number {
  return x * x;
}

if (import.meta.main) {
  const ctx = getContext("${method}");
  await using pool = new ctx.Pool(2);
  console.log(await pool.map(square, [1, 2, 3]));
}
`;
}

/** A fresh folder with the published package in `package/`. */
class Stranger implements AsyncDisposable {
  readonly folder: string;
  readonly #version: string;
  readonly #std: readonly string[];

  private constructor(folder: string, version: string, std: string[]) {
    this.folder = folder;
    this.#version = version;
    this.#std = std;
  }

  static async arrives(): Promise<Stranger> {
    const folder = await Deno.makeTempDir({ prefix: "new_user_" });
    const { links, ...config } = await readConfig(ROOT);
    const { version } = config as unknown as { version: string };
    for (const file of await findPublishedFiles(ROOT)) {
      await copy(join(ROOT, file), join(folder, "package", file));
    }
    await Deno.writeTextFile(
      join(folder, "package", "deno.json"),
      JSON.stringify(config),
    );
    // Where there is no registry these stand in for packages of it.
    const std: string[] = [];
    for (const link of links) {
      const target = join("std", basename(link));
      for await (const { name } of Deno.readDir(join(ROOT, link))) {
        await copy(join(ROOT, link, name), join(folder, target, name));
      }
      std.push(target);
    }
    return new Stranger(folder, version, std);
  }

  /** A configuration that knows the package by its name. */
  get config(): Record<string, unknown> {
    return {
      imports: { [NAME]: `jsr:${NAME}@^${this.#version}` },
      links: ["package", ...this.#std].map((path) => `../${path}`),
    };
  }

  /** One that knows only what the package itself imports. */
  get configByPath(): Record<string, unknown> {
    return {
      imports: {
        "@std/async": "jsr:@std/async@^1",
        "@std/log": "jsr:@std/log@^0.224.14",
        "@std/path": "jsr:@std/path@^1",
      },
      links: this.#std.map((path) => `../${path}`),
    };
  }

  async writes(files: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.folder, "app", path);
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
  }

  async runs(
    ...args: string[]
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: join(this.folder, "app"),
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  await Deno.copyFile(from, to);
}

for (const method of ["spawn", "worker"] as const) {
  const flags = PERMISSIONS[method];

  Deno.test(`a new user runs the first program by the package's name, with deno task (${method})`, async () => {
    await using user = await Stranger.arrives();
    await user.writes({
      "main.ts": program(NAME, method),
      "deno.json": JSON.stringify({
        ...user.config,
        tasks: {
          start: `deno run --quiet --no-prompt ${flags.join(" ")} main.ts`,
        },
      }),
    });
    const { code, stdout, stderr } = await user.runs(
      "task",
      "--quiet",
      "start",
    );
    assertEquals([stdout, stderr, code], ["[ 1, 4, 9 ]\n", "", 0]);
  });

  Deno.test(`a new user runs the first program by the package's path (${method})`, async () => {
    await using user = await Stranger.arrives();
    await user.writes({
      "main.ts": program("../package/mod.ts", method),
      "deno.json": JSON.stringify(user.configByPath),
    });
    const { code, stdout, stderr } = await user.runs(
      "run",
      "--quiet",
      "--no-prompt",
      ...flags,
      "main.ts",
    );
    assertEquals([stdout, stderr, code], ["[ 1, 4, 9 ]\n", "", 0]);
  });

  Deno.test(`no permission of the documented ones is too much (${method})`, async () => {
    await using user = await Stranger.arrives();
    await user.writes({
      "main.ts": program(NAME, method),
      "deno.json": JSON.stringify(user.config),
    });
    for (const flag of flags) {
      const { code, stdout, stderr } = await user.runs(
        "run",
        "--quiet",
        "--no-prompt",
        ...flags.filter((other) => other !== flag),
        "main.ts",
      );
      assertEquals(stdout, "");
      assertStringIncludes(stderr, flag);
      assertEquals(code, 1);
    }
  });
}

Deno.test("a new user may narrow the permissions down", async () => {
  await using user = await Stranger.arrives();
  await user.writes({
    "main.ts": program(NAME, "spawn"),
    "deno.json": JSON.stringify(user.config),
  });
  const { code, stdout, stderr } = await user.runs(
    "run",
    "--quiet",
    "--no-prompt",
    // The modules of the program, and the package as it lies on this disk, with
    // those it imports: from a registry, they would need no permission.
    "--allow-read=.,../package,../std",
    `--allow-run=${Deno.execPath()}`,
    "--allow-ffi",
    "main.ts",
  );
  assertEquals([stdout, stderr, code], ["[ 1, 4, 9 ]\n", "", 0]);
});

Deno.test("CTX-10 each door of the package opens silently, without any permission", async () => {
  await using user = await Stranger.arrives();
  const { exports } = await readConfig(ROOT);
  // Progress on the terminal comes with a library of npm.
  const doors = Object.keys(exports).filter((door) => door !== "./progress");
  const files = Object.fromEntries(doors.map((door, i) => {
    const name = door.replace(/^\./, NAME);
    const text = `import * as door from "${name}";
      console.log(Object.keys(door).length > 0);`;
    return [`door_${i}.ts`, text];
  }));
  await user.writes({ ...files, "deno.json": JSON.stringify(user.config) });
  for (const [i, door] of doors.entries()) {
    const { code, stdout, stderr } = await user.runs(
      "run",
      "--quiet",
      "--no-prompt",
      `door_${i}.ts`,
    );
    assertEquals([door, stdout, stderr, code], [door, "true\n", "", 0]);
  }
});

for (const method of ["spawn", "worker"] as const) {
  Deno.test(`a room can be used without the front door (${method})`, async () => {
    await using user = await Stranger.arrives();
    await user.writes({
      "deno.json": JSON.stringify(user.config),
      "main.ts": `
        import { Pool } from "${NAME}/pool";
        import { getContext, setStartMethod } from "${NAME}/contexts";
        import { Queue } from "${NAME}/primitives";
        import type { Queue as AnyQueue } from "${NAME}/primitives";

        export async function double(queue: AnyQueue<number>): Promise<void> {
          await queue.put(2 * await queue.get());
        }
        export function square(x: number): number {
          return x * x;
        }

        if (import.meta.main) {
          setStartMethod("${method}");
          const pool = new Pool(1);
          console.log(await pool.map(square, [1, 2, 3]));
          pool.close();
          await pool.join();
          const { Process } = getContext();
          const queue = new Queue<number>();
          await queue.put(21);
          const process = new Process({ target: double, args: [queue] });
          process.start();
          await process.join();
          console.log(await queue.get());
          try {
            getContext().Pool;
          } catch (error) {
            console.log((error as Error).message);
          }
        }
      `,
    });
    const { code, stdout, stderr } = await user.runs(
      "run",
      "--quiet",
      "--no-prompt",
      ...PERMISSIONS[method],
      "main.ts",
    );
    assertEquals([stderr, code], ["", 0]);
    const lines = stdout.trim().split("\n");
    assertEquals(lines.slice(0, 2), ["[ 1, 4, 9 ]", "42"]);
    assertMatch(
      lines[2]!,
      /^Cannot give Pool as nobody has loaded it: import /,
    );
  });
}

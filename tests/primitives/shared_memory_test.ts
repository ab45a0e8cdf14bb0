import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { decode, encode } from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";
import { bindTo } from "../../primitives/block.ts";
import { names, SharedMemory } from "../../primitives/shared_memory.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { isPortable } from "../_support/portable.ts";
import { runProgram, startProgram, undisturbed } from "../_support/program.ts";
import type { Program } from "../_support/program.ts";
import { eachKind, turns } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

/**
 * Registers a test of names that all programs see: on systems without files in
 * memory they are known to one program only.
 */
function amongPrograms(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name, ignore: isPortable, fn });
}

const { AlreadyExists, NotFound } = Deno.errors;
const SIZE = 512;
const LARGE = 64 * 2 ** 20;
const FOLDER = "/dev/shm";

/** A name nobody else has. */
function freshName(): string {
  return `test_${Deno.pid}_${crypto.randomUUID()}`;
}

// Opens the C library, which stays open: the first test that needs it would seem
// to leak it.
assertThrows(
  () => new (bindTo(SharedMemory, "spawn"))({ name: freshName() }),
  NotFound,
);

function create(world: SyncWorld, size = SIZE, name?: string): SharedMemory {
  return new (world.of(SharedMemory))({ create: true, size, name });
}

function attach(world: SyncWorld, name: string): SharedMemory {
  return new (world.of(SharedMemory))({ name });
}

eachKind("SHM-01 SharedMemory is found by its name", (world) => {
  const name = freshName();
  using memory = create(world, SIZE, name);
  assertEquals(memory.name, name);
  assertEquals(memory.size, SIZE);
  assertEquals(memory.buf!.length, SIZE);
  assertEquals(String(memory), `SharedMemory('${name}', size=512)`);
  assertEquals(Deno.inspect(memory), String(memory));
  assert(memory.buf!.every((byte) => byte === 0));
  memory.buf![0] = 42;
  assertEquals(memory.buf![0], 42);

  using same = attach(world, name);
  assertEquals(same.buf![0], 42);
  same.buf![1] = 43;
  assertEquals(memory.buf![1], 43);
  using sized = new (world.of(SharedMemory))({ name, size: 3 });
  assertEquals(sized.size, SIZE);

  assertThrows(() => create(world, SIZE, name), AlreadyExists, name);
  memory.unlink();
  assertThrows(() => memory.unlink(), NotFound, name);
  assertThrows(() => same.unlink(), NotFound, name);
  assertThrows(() => attach(world, name), NotFound, name);
  assertEquals(same.buf![1], 43);
});

eachKind(
  "SHM-01 SharedMemory can take over a name that was unlinked",
  (world) => {
    using first = create(world);
    first.buf![0] = 1;
    first.unlink();
    using second = create(world, 16, first.name);
    assertEquals([second.size, second.buf![0]], [16, 0]);
    assertEquals(first.buf![0], 1);
    second.unlink();
  },
);

eachKind("SharedMemory is found by a name of any characters", (world) => {
  // The first is what others take for a mark of the byte order.
  for (const start of ["\ufeff", "語", "😀", " "]) {
    const name = start + freshName();
    using memory = create(world, SIZE, name);
    memory.buf![0] = 42;
    using same = attach(world, name);
    assertEquals(same.buf![0], 42);
    assertThrows(() => create(world, SIZE, name), AlreadyExists, name);
    memory.unlink();
    assertThrows(() => attach(world, name), NotFound, name);
  }
});

eachKind("SHM-01 SharedMemory.close() ends the use of it here", (world) => {
  const memory = create(world);
  using other = attach(world, memory.name);
  memory.close();
  assertEquals(memory.buf, null);
  memory.close();
  assertEquals([memory.size, memory.name], [SIZE, other.name]);
  other.buf![0] = 5;
  using third = attach(world, memory.name);
  assertEquals(third.buf![0], 5);
  memory.unlink();
  {
    using disposed = create(world);
    disposed.unlink();
    disposed.close();
  }
});

eachKind("SHM-02 SharedMemory takes another name if one is taken", (world) => {
  const { next } = names;
  const [taken, free] = [freshName(), freshName()];
  const queue = [taken, taken, free];
  using first = create(world, 1, taken);
  try {
    names.next = () => queue.shift()!;
    using second = create(world);
    assertEquals(second.name, free);
    second.unlink();
    names.next = () => taken;
    assertThrows(() => create(world), AlreadyExists, taken);
  } finally {
    names.next = next;
  }
  first.unlink();
  using third = create(world);
  assert(/^psm_[0-9a-f]{8}$/.test(third.name));
  third.unlink();
});

eachKind("SHM-03 SharedMemory refuses a size that is none", (world) => {
  const Memory = world.of(SharedMemory);
  const positive = "'size' must be a positive";
  for (const size of [-1, -2, 0, 1.5, NaN, Infinity]) {
    assertThrows(
      () => new Memory({ create: true, size }),
      RangeError,
      positive,
    );
  }
  assertThrows(
    () => new Memory({ create: true }),
    RangeError,
    "'size' must be a positive number different from zero",
  );
  assertThrows(
    () => new Memory({ create: true, size: "5" as never }),
    TypeError,
    "'size' must be a number",
  );
  assertThrows(() => new Memory({ create: true, size: 2 ** 52 }), RangeError);
});

eachKind("SHM-03 SharedMemory refuses a name that is none", (world) => {
  const Memory = world.of(SharedMemory);
  const without = "'name' can only be None if create=True";
  assertThrows(() => new Memory(), TypeError, without);
  assertThrows(() => new Memory({ size: 5 }), TypeError, without);
  for (const name of ["", ".", "..", "a/b", "/a", "a\0b", "\ud800", 5, null]) {
    const options = { name: name as string, create: true, size: 1 };
    assertThrows(() => new Memory(options), TypeError, "without slashes");
  }
  for (const name of ["...", "a b", "語", "-x", "a.b"]) {
    using memory = create(world, 1, `${freshName()}${name}`);
    attach(world, memory.name).close();
    memory.unlink();
  }
});

eachKind("SHM-03 SharedMemory refuses a name that is too long", (world) => {
  const longest = `test_${crypto.randomUUID()}`.padEnd(190, "x");
  using memory = create(world, SIZE, longest);
  assertEquals(attach(world, longest).size, SIZE);
  const { blocks } = world.arena.heap;
  for (const name of [`${longest}x`, "é".repeat(100), "x".repeat(1000)]) {
    assertThrows(
      () => create(world, SIZE, name),
      RangeError,
      "as its name must have at most 190 bytes",
    );
  }
  assertEquals(world.arena.heap.blocks, blocks);
  memory.unlink();
});

eachKind("SHM-04 SharedMemory arrives as the same memory", (world) => {
  using memory = create(world);
  using theirs = world.give(memory, world.another());
  assertEquals([theirs.name, theirs.size], [memory.name, memory.size]);
  theirs.buf![3] = 7;
  memory.buf![4] = 8;
  assertEquals([...memory.buf!.subarray(3, 5)], [7, 8]);
  assertEquals([...theirs.buf!.subarray(3, 5)], [7, 8]);
  // Its name is all that is sent.
  memory.close();
  world.give(memory, world.another()).close();
  memory.unlink();
});

Deno.test({
  name: "SharedMemory leaves no file open, whatever becomes of it",
  ignore: isPortable,
  fn: () => {
    const Memory = bindTo(SharedMemory, "spawn");
    const countFiles = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const use = () => {
      const name = freshName();
      using memory = new Memory({ create: true, size: SIZE, name });
      using _ = new Memory({ name });
      // Looks through the folder, in case the other is one of the dead.
      const again = () => new Memory({ create: true, size: SIZE, name });
      assertThrows(again, AlreadyExists);
      memory.unlink();
      assertThrows(() => new Memory({ name }), NotFound);
    };
    use();
    const before = countFiles();
    for (let i = 0; i < 10; i++) use();
    assertEquals(countFiles(), before);
  },
});

eachKind("SHM-05 SharedMemory does not arrive once it is unlinked", (world) => {
  const memory = create(world);
  const bytes = encode(memory, { target: { kind: world.kind } });
  memory.close();
  memory.unlink();
  assertThrows(() => decode(bytes), NotFound, memory.name);
});

Deno.test("SharedMemory of threads cannot be sent to a process", () => {
  using memory = new (bindTo(SharedMemory, "worker"))({
    create: true,
    size: 1,
  });
  assertThrows(
    () => encode(memory, { target: { kind: "spawn" } }),
    EncodingError,
    'Cannot send a SharedMemory of the "worker" context to a process',
  );
  memory.unlink();
});

Deno.test("SharedMemory of threads has names of its own", () => {
  const name = freshName();
  using threads = new (bindTo(SharedMemory, "worker"))({
    create: true,
    size: 1,
    name,
  });
  using processes = new (bindTo(SharedMemory, "spawn"))({
    create: true,
    size: 2,
    name,
  });
  threads.buf![0] = 1;
  assertEquals(processes.buf![0], 0);
  threads.unlink();
  processes.unlink();
});

eachKind(
  "SharedMemory.buf stays good for whoever has a view",
  async (world) => {
    const memory = create(world, LARGE);
    const view = memory.buf!.subarray(LARGE - 8);
    const numbers = new Float64Array(view.buffer, view.byteOffset, 1);
    memory.close();
    memory.unlink();
    await collect();
    numbers[0] = 0.5;
    assertEquals(view[6], 0xe0);
  },
);

eachKind(
  "SharedMemory is given back when nobody can see it",
  async (world) => {
    const { heap } = world.arena;
    const blocks = heap.blocks;
    for (const isClosed of [true, false]) {
      const name = use(world, isClosed);
      await collected(() => heap.blocks === blocks && !isMapped(name));
      assertEquals([heap.blocks, isMapped(name)], [blocks, false]);
    }
  },
);

function use(world: SyncWorld, isClosed: boolean): string {
  const memory = create(world, LARGE);
  const other = attach(world, memory.name);
  other.buf!.fill(1);
  memory.unlink();
  assertEquals(isMapped(memory.name), world.kind === "spawn" && !isPortable);
  if (isClosed) {
    memory.close();
    other.close();
  }
  return memory.name;
}

amongPrograms(
  "SharedMemory stays mapped if its buffer was transferred",
  async () => {
    const Memory = bindTo(SharedMemory, "spawn");
    const { name, moved } = (() => {
      using memory = new Memory({ create: true, size: SIZE });
      using other = new Memory({ name: memory.name });
      memory.unlink();
      memory.buf![0] = 5;
      const moved = (other.buf!.buffer as ArrayBuffer).transfer();
      return { name: memory.name, moved };
    })();
    await collect();
    assert(isMapped(name));
    assertEquals(new Uint8Array(moved)[0], 5);
  },
);

/** Whether this process has attached to it, and not been rid of it since. */
function isMapped(name: string): boolean {
  return Deno.readTextFileSync("/proc/self/maps").includes(`/${name}`);
}

async function collect(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collectGarbage();
    await turns(2);
  }
}

async function collected(isDone: () => boolean): Promise<void> {
  for (let i = 0; !isDone() && i < 100; i++) {
    collectGarbage();
    await turns(2);
  }
}

// ---- other programs -----------------------------------------------------------

const MODULE = import.meta.resolve("../../primitives/shared_memory.ts");

function program(body: string): string {
  return `import { SharedMemory } from "${MODULE}";\n${body}`;
}

const ATTACH_AND_WRITE = program(`
const memory = new SharedMemory({ name: Deno.args[0] });
memory.buf.set(new TextEncoder().encode("howdy"));
if (Deno.args[1] === "unlink") memory.unlink();
if (Deno.args[1] === "die") Deno.kill(Deno.pid, "SIGKILL");
memory.close();
`);

const CREATE_AND_STAY = program(`
const name = Deno.args[0];
const memory = new SharedMemory({ create: true, size: 1000, name });
memory.buf[0] = 42;
console.log("ready", memory.name);
if (Deno.args[1] === "wait") await new Promise((resolve) => setTimeout(resolve, 1e6));
if (Deno.args[1] === "exit") Deno.exit(3);
if (Deno.args[1] === "throw") throw new Error("mine");
`);

for (const how of ["close", "die"]) {
  amongPrograms(
    `SHM-X1 SharedMemory survives another program that attached (${how})`,
    async () => {
      using memory = new (bindTo(SharedMemory, "spawn"))({
        create: true,
        size: SIZE,
      });
      const { signal, stderr } = await runProgram(ATTACH_AND_WRITE, {
        args: [memory.name, how],
      });
      assertEquals(
        { signal, stderr },
        { signal: how === "die" ? "SIGKILL" : null, stderr: "" },
      );
      assertEquals(new TextDecoder().decode(memory.buf!.slice(0, 5)), "howdy");
      new (bindTo(SharedMemory, "spawn"))({ name: memory.name }).close();
      memory.unlink();
    },
  );
}

amongPrograms(
  "SHM-06 SharedMemory.unlink() of another program is for all",
  async () => {
    using memory = new (bindTo(SharedMemory, "spawn"))({
      create: true,
      size: SIZE,
    });
    await runProgram(ATTACH_AND_WRITE, { args: [memory.name, "unlink"] });
    assertEquals(new TextDecoder().decode(memory.buf!.slice(0, 5)), "howdy");
    assertThrows(() => memory.unlink(), NotFound);
  },
);

for (const how of ["end", "exit"]) {
  amongPrograms(
    `SharedMemory goes with the program that created it (${how})`,
    async () => {
      const name = freshName();
      await runProgram(CREATE_AND_STAY, { args: [name, how] });
      assertEquals(filesOf(name), []);
    },
  );
}

for (const how of ["SIGTERM", "SIGKILL", "throw"] as const) {
  amongPrograms(
    `SHM-13 SharedMemory of a killed program goes when it is next looked for (${how})`,
    async () => {
      const name = await undisturbed(() => leave(how));
      const { stderr } = await runProgram(ATTACH_AND_WRITE, { args: [name] });
      assert(
        stderr.includes(`shared memory "${name}" as there is none`),
        stderr,
      );
      assertEquals(filesOf(name), []);
    },
  );
}

amongPrograms(
  "SHM-13 SharedMemory takes over the name of a killed program",
  async () => {
    const name = freshName();
    const Memory = bindTo(SharedMemory, "spawn");
    // One that has just looked does not look again at once, but when it matters.
    assertThrows(() => new Memory({ name }), NotFound);
    await kill(name, "SIGKILL");
    using memory = new Memory({ create: true, size: 5, name });
    assertEquals([memory.size, memory.buf![0]], [5, 0]);
    assertThrows(
      () => new Memory({ create: true, size: 5, name }),
      AlreadyExists,
    );
    memory.unlink();
    assertEquals(filesOf(name), []);
  },
);

/** The name of what a killed program has left, if it was all left. */
async function leave(
  how: "SIGTERM" | "SIGKILL" | "throw",
): Promise<string | undefined> {
  const name = freshName();
  await kill(name, how);
  return filesOf(name).length === 2 ? name : undefined; // segment and marker
}

async function kill(name: string, how: "SIGTERM" | "SIGKILL" | "throw") {
  await using program: Program = await startProgram(CREATE_AND_STAY, {
    args: [name, how === "throw" ? how : "wait"],
  });
  await program.says(/ready/);
  if (how !== "throw") program.signal(how);
  await program.ended;
}

amongPrograms(
  "SharedMemory clears up only what is left of the dead",
  async () => {
    const namespace = Deno.readLinkSync("/proc/self/ns/pid").match(/\d+/)![0];
    const dead = await endedProcess();
    const place = (name: string, size = 0) => {
      const path = `${FOLDER}/${name}`;
      Deno.writeFileSync(path, new Uint8Array(size));
      return Deno.statSync(path).ino;
    };
    const [stale, renewed, foreign, living] = [1, 2, 3, 4].map(() =>
      freshName()
    );
    const markers = [
      [stale, `.mp.${dead}.${namespace}.1.${place(stale!, 8)}.${stale}`],
      [
        renewed,
        `.mp.${dead}.${namespace}.1.${place(renewed!, 8)! + 1}.${renewed}`,
      ],
      [foreign, `.mp.${dead}.1.1.${place(foreign!, 8)}.${foreign}`],
      [living, `.mp.${Deno.pid}.${namespace}.1.${place(living!, 8)}.${living}`],
    ] as const;
    for (const [, marker] of markers) place(marker);
    const draft = `.mp.${dead}.${namespace}.1.0.${freshName()}`;
    place(draft, 8);

    await runProgram(CREATE_AND_STAY, { args: [freshName()] });

    assertEquals(filesOf(stale!), []);
    assertEquals(filesOf(draft), []);
    assertEquals(
      filesOf(renewed!),
      [renewed],
      "somebody else has made it anew",
    );
    assertEquals(filesOf(foreign!).length, 2, "of another container");
    assertEquals(filesOf(living!).length, 2);
    for (const name of [renewed!, foreign!, living!]) {
      for (const file of filesOf(name)) Deno.removeSync(`${FOLDER}/${file}`);
    }
  },
);

async function endedProcess(): Promise<number> {
  const child = new Deno.Command("true").spawn();
  await child.status;
  return child.pid;
}

/** Files that have a name in theirs: the segment, and markers. */
function filesOf(name: string): string[] {
  const files = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name);
  return files.filter((file) => file.includes(name)).sort();
}

Deno.test("SharedMemory belongs to the program: a child may end before others attach", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
import { Process } from "${import.meta.resolve("../../contexts/mod.ts")}";
import { SharedMemory } from "${MODULE}";
import { Value } from "${import.meta.resolve("../../primitives/value.ts")}";
export function create(name) {
  const memory = new SharedMemory({ create: true, size: 8, name });
  memory.buf[0] = 42;
}
export function change(memory) {
  memory.buf[0]++;
}
if (import.meta.main) {
  const [name] = Deno.args;
  const run = async (target, ...args) => {
    const child = new Process({ target, args });
    child.start();
    await child.join();
  };
  await run(create, name);
  const memory = new SharedMemory({ name });
  await run(change, memory);
  console.log(memory.buf[0]);
}
`,
    { args: [childName] },
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertEquals(stdout, "43\n");
  assertEquals(filesOf(childName), []);
});
const childName = freshName();

const canMount = isRoot() && await mounts();

Deno.test({
  name: "SharedMemory says so when there is no room, and leaves nothing",
  ignore: !canMount || isPortable, // needs the right to mount a small /dev/shm
  fn: async () => {
    const source = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(
      source,
      program(`
const refusals = [];
for (const size of [2 ** 20, 3 * 2 ** 20]) {
  try {
    const memory = new SharedMemory({ create: true, size });
    memory.buf.fill(1);
    refusals.push(null);
  } catch (error) {
    refusals.push(\`\${error.name}: \${error.message}\`);
  }
}
console.log(JSON.stringify([refusals, [...Deno.readDirSync("/dev/shm")].length]));
`),
    );
    const deno = `${Deno.execPath()} run -A --quiet --no-lock`;
    const { stdout, stderr } = await inSmallFolder(`${deno} ${source}`);
    await Deno.remove(source);
    assertEquals(stderr, "");
    assertEquals(JSON.parse(stdout), [[
      null,
      "RangeError: Cannot create shared memory of 3145728 bytes as /dev/shm has no room for it: error 28",
    ], 2]);
  },
});

function isRoot(): boolean {
  return Deno.uid() === 0;
}

async function mounts(): Promise<boolean> {
  return (await inSmallFolder("true")).code === 0;
}

async function inSmallFolder(command: string) {
  const mount = "mount -t tmpfs -o size=2m tmpfs /dev/shm";
  try {
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: ["-m", "sh", "-c", `${mount} && exec ${command}`],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  } catch {
    return { code: 1, stdout: "", stderr: "" };
  }
}

// ---- CPython --------------------------------------------------------------------

const hasPython = await python("from multiprocessing import shared_memory")
  .then(({ code }) => code === 0, () => false);

async function python(source: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("python3", {
    args: ["-c", source, ...args],
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

Deno.test({
  name: "SharedMemory can be opened by CPython",
  ignore: !hasPython || isPortable,
  fn: async () => {
    using memory = new (bindTo(SharedMemory, "spawn"))({
      create: true,
      size: SIZE,
    });
    memory.buf!.set(new TextEncoder().encode("hello"));
    // Before 3.13 it would take what it opens for its own.
    const { stdout, stderr } = await python(
      `
import sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(name=sys.argv[1])
resource_tracker.unregister("/" + sys.argv[1], "shared_memory")
print(bytes(memory.buf[:5]), memory.size)
memory.buf[:5] = b"howdy"
memory.close()
`,
      memory.name,
    );
    assertEquals({ stdout, stderr }, { stdout: "b'hello' 512\n", stderr: "" });
    assertEquals(new TextDecoder().decode(memory.buf!.slice(0, 5)), "howdy");
    memory.unlink();
  },
});

Deno.test({
  name: "SharedMemory opens what CPython has created",
  ignore: !hasPython || isPortable,
  fn: async () => {
    const source = program(`
const memory = new SharedMemory({ name: Deno.args[0] });
console.log(memory.size, new TextDecoder().decode(memory.buf.slice(0, 5)));
memory.buf.set(new TextEncoder().encode("howdy"));
memory.close();
`);
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, source);
    const { stdout, stderr } = await python(
      `
import subprocess, sys
from multiprocessing import shared_memory
memory = shared_memory.SharedMemory(create=True, size=100)
memory.buf[:5] = b"hello"
print(subprocess.check_output(sys.argv[1:] + [memory.name]))
print(bytes(memory.buf[:5]))
memory.close()
memory.unlink()
`,
      Deno.execPath(),
      "run",
      "--allow-all",
      "--quiet",
      "--no-lock",
      file,
    );
    await Deno.remove(file);
    assertEquals({ stdout, stderr }, {
      stdout: "b'100 hello\\n'\nb'howdy'\n",
      stderr: "",
    });
  },
});

Deno.test("SharedMemory needs FFI under spawn, and says so", async () => {
  const { code, stderr } = await runProgram(CREATE_AND_STAY, {
    flags: ["run", "--no-prompt"],
    args: [freshName()],
  });
  assertEquals(code, 1);
  assert(/NotCapable/.test(stderr), stderr);
  assertFalse(/Uncaught \(in promise\) TypeError/.test(stderr));
});

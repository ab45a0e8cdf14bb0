/**
 * The memory and the doorbells of systems without memfd and futexes, tried on
 * Linux.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Doorbell } from "../../memory/_doorbell.ts";
import { pathOf } from "../../memory/_file_mapping.ts";
import { FIRST_NAME, freshName, placeOf } from "../../memory/_mapping.ts";
import { posix } from "../../memory/_posix.ts";
import { commandLine, createMapping, hasEnded } from "../../memory/_system.ts";
import { Arena, keyOf, NOT_YET } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { ProcessMemory } from "../../memory/process_memory.ts";
import type { Make } from "../../memory/process_memory.ts";
import { until } from "../_support/gate.ts";

posix(); // opened once and for all: it would seem a leak of the first test
createMapping([2 ** 20], false);

const PROGRAM = new URL("./fixtures/portable_main.ts", import.meta.url);
const BYTES = 2 ** 28;
/** Only ends what would hang. */
const LONG_MS = 30_000;
/** Datagrams of somebody who does not belong to the program. */
const FLOOD = 5000;
const PORTABLE: Make = { isNamed: true, usesDoorbells: true };
const NATIVE: Make = { isNamed: false, usesDoorbells: false };
/** A bell and a port, as they lie in a slot. */
const BELL = at.S_BELL;

/** A program that has such memory. */
class Program {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(how: string, end: "return" | "kill") {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-config", PROGRAM.href, how, end],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#reader = this.#child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
  }

  /** What it has found: the number of its file, and what lies in it. */
  async says(): Promise<{ file: number; value: number }> {
    while (true) {
      const match = this.#text.match(/file (\d+) says (\d+)\n/);
      if (match) return { file: Number(match[1]), value: Number(match[2]) };
      const { value, done } = await this.#reader.read();
      assert(!done, "it has ended without a word");
      this.#text += value;
    }
  }

  async end(): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
    await this.#reader.cancel();
  }
}

function exists(file: number): boolean {
  try {
    Deno.statSync(pathOf(file));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("names are no descriptors, and know their place", () => {
  for (let i = 0; i < 1000; i++) {
    const file = freshName(i % 3);
    assert(file >= FIRST_NAME && Number.isSafeInteger(file));
    assertEquals(placeOf(file), i % 3);
  }
});

Deno.test("LESSON-53 the file of a program is there until its last process ends", async () => {
  const first = new Program("create", "return");
  const { file, value } = await first.says();
  assertEquals(value, 1);
  const { mode, size } = Deno.statSync(pathOf(file));
  assertEquals([mode! & 0o777, size], [0o600, BYTES]);
  const second = new Program(String(file), "return");
  assertEquals(await second.says(), { file, value: 2 });
  await first.end();
  assert(exists(file), "somebody still has it");
  const third = new Program(String(file), "return");
  assertEquals(await third.says(), { file, value: 3 });
  await second.end();
  await third.end();
  assertEquals(exists(file), false);
  assertThrows(
    () => ProcessMemory.attach({ kind: "spawn", pid: 0, fd: file }, BYTES),
    Error,
    "Cannot open shared memory",
  );
});

Deno.test("LESSON-53 the file of a killed program is removed by the next", async () => {
  const victim = new Program("create", "kill");
  const { file } = await victim.says();
  const living = new Program("create", "return");
  const { file: other } = await living.says();
  assert(exists(file), "its program lives");
  await victim.end();
  assert(exists(file), "nobody has looked yet");
  const next = new Program("create", "return");
  await next.says();
  assertEquals(exists(file), false);
  assert(exists(other), "its program lives");
  await living.end();
  await next.end();
});

Deno.test("memory in a file is zero again after discard()", async () => {
  const memory = ProcessMemory.create(BYTES, PORTABLE);
  const handle = memory.handle();
  assert(handle.kind === "spawn");
  const blocks = () => Deno.statSync(pathOf(handle.fd)).blocks! * 512;
  const offset = 16 * 2 ** 20;
  memory.bytes(offset, 2 ** 20).fill(1);
  assert(blocks() >= 2 ** 20);
  memory.discard(offset, 2 ** 20);
  assert(blocks() < 2 ** 20);
  assert(memory.bytes(offset, 2 ** 20).every((byte) => byte === 0));
  // What another thread of this process sees of it, which has no descriptor.
  const other = ProcessMemory.attach(handle, BYTES);
  memory.bytes(offset, 2 ** 20).fill(2);
  other.discard(offset, 2 ** 20);
  assert(memory.bytes(offset, 2 ** 20).every((byte) => byte === 0));
  await Promise.resolve();
});

Deno.test("memory has a name only if it needs one", () => {
  const { fd, kind } = ProcessMemory.create(BYTES, NATIVE)
    .handle() as { fd: number; kind: string };
  assertEquals(kind, "spawn");
  assert(fd < FIRST_NAME);
  assert(createMapping([BYTES], true).file >= FIRST_NAME);
});

// ---- doorbells --------------------------------------------------------------

/** A slot of somebody who sleeps, as wakers see it. */
function slot(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * at.SLOT_WORDS));
}

Deno.test("Doorbell.sleep() ends by a ring, and not before", async () => {
  const words = slot();
  const [mine, theirs] = [new Doorbell(), new Doorbell()];
  let isAwake = false;
  const sleeping = mine.sleep(words, BELL, 0).then(() => isAwake = true);
  await until(() => words[at.S_PORT] !== 0, "it sleeps");
  // A ring in vain: the bell has not changed.
  theirs.ring(words, BELL);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(isAwake, false);
  Atomics.add(words, BELL, 1);
  theirs.ring(words, BELL);
  await sleeping;
});

Deno.test("Doorbell.sleep() does not begin if the bell has rung before", async () => {
  const words = slot();
  Atomics.add(words, BELL, 1);
  await new Doorbell().sleep(words, BELL, 0);
});

Deno.test("Doorbell.sleep() ends even if the system has lost the ring", async () => {
  const words = slot();
  const sleeping = new Doorbell().sleep(words, BELL, 0);
  await until(() => words[at.S_PORT] !== 0, "it sleeps");
  Atomics.add(words, BELL, 1); // and no datagram comes
  await sleeping;
});

Deno.test("Doorbell.sleep() does not mind a flood from elsewhere", async () => {
  const words = slot();
  const [mine, stranger] = [new Doorbell(), new Doorbell()];
  let isAwake = false;
  const sleeping = mine.sleep(words, BELL, 0).then(() => isAwake = true);
  await until(() => words[at.S_PORT] !== 0, "it sleeps");
  for (let i = 0; i < FLOOD; i++) {
    stranger.ring(words, BELL);
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(isAwake, false);
  // A ring among them, which may find no more room, is heard all the same.
  Atomics.add(words, BELL, 1);
  stranger.ring(words, BELL);
  await sleeping;
});

Deno.test("Doorbell.ring() of one that has never slept does nothing", () => {
  new Doorbell().ring(slot(), BELL);
});

Deno.test("Doorbell.sleepSync() ends in time, by a change or by none", () => {
  const words = slot();
  const bell = new Doorbell();
  bell.sleepSync(words, BELL, 1, LONG_MS); // the word differs
  const from = performance.now();
  bell.sleepSync(words, BELL, 0, 20);
  assert(performance.now() - from >= 20);
});

/** The ways in which a named file is used: elsewhere, and where /proc is closed. */
for (const usesDoorbells of [true, false]) {
  const how = usesDoorbells ? "doorbells" : "futexes";
  Deno.test(`waits in a named file end by ${how}`, async () => {
    const memory = ProcessMemory.create(BYTES, {
      isNamed: true,
      usesDoorbells,
    });
    memory.commit(at.HEAP_BYTE);
    const header = memory.words(0, at.H_FREE);
    header[at.H_MAGIC] = at.MAGIC;
    header[at.H_VERSION] = at.VERSION;
    header[at.H_SIZE_LOG2] = Math.log2(memory.byteLength);
    header[at.H_HEAP_TOP] = at.HEAP_BYTE / at.UNIT;
    const { fd } = memory.handle() as { fd: number };
    // Each maps it for itself, as other processes do.
    const attach = () =>
      Arena.attach({
        memory: { kind: "spawn", pid: Deno.pid, fd },
        sizeLog2: header[at.H_SIZE_LOG2]!,
        token: 0,
      });
    const [one, two] = [attach(), attach()];
    const offset = one.heap.allocate(4);
    const key = keyOf(offset);
    const words = two.words(offset, 1);
    for (let round = 1; round <= 100; round++) {
      const waiting = two.waiting.wait(
        [key],
        () => Atomics.load(words, 0) === round ? round : NOT_YET,
      );
      if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve));
      Atomics.store(one.words(offset, 1), 0, round);
      one.waiting.wake(key);
      assertEquals(await waiting, round);
    }
    await until(
      () => two.participants.load(two.me, at.S_SLEEPING) === 0,
      "a sleep is pending",
    );
  });
}

// ---- processes --------------------------------------------------------------

Deno.test("hasEnded() and commandLine() know this process", () => {
  assertEquals(hasEnded(Deno.pid), false);
  assertEquals(hasEnded(2 ** 22 + 1), true, "nobody has this id");
  assert(commandLine()!.includes("test"));
});

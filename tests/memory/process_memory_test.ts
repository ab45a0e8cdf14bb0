/**
 * What only processes have: files, futexes, and the ends of others seen from
 * outside.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { untilSync } from "../_support/gate.ts";
import { H_FREE } from "../../memory/layout.ts";
import { eachKind } from "./_world.ts";

/** See `layout.ts`. */
const UNUSED = 13;

eachKind(
  "ProcessMemory.hasEnded() tells the living from the ended, reaped or not",
  async ({ arena }) => {
    const { memory } = arena;
    assertEquals(memory.hasEnded(Deno.pid), false);
    const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
    assertEquals(memory.hasEnded(child.pid), false);
    child.kill("SIGKILL");
    // Nothing is awaited, so it is not reaped: it is a zombie.
    untilSync(() => memory.hasEnded(child.pid), "its end is seen");
    await child.status;
    assertEquals(memory.hasEnded(child.pid), true);
  },
  ["spawn"],
);

eachKind(
  "ProcessMemory.hasEnded() does not take its own lack of files for an end",
  async () => {
    const { code, stderr } = await new Deno.Command("sh", {
      args: [
        "-c",
        'ulimit -n 64; exec "$@"',
        "sh",
        Deno.execPath(),
        "run",
        "--quiet",
        "--no-check",
        "--no-config",
        "--allow-all",
        new URL("./fixtures/out_of_files.ts", import.meta.url).href,
      ],
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    assertEquals(code, 0);
  },
  ["spawn"],
);

eachKind(
  "ProcessMemory.sleepSync() wakes up in time, early or late",
  ({ arena }) => {
    // A word of the header that nobody uses, for there alone it can sleep.
    const words = arena.words(0, H_FREE).subarray(UNUSED, UNUSED + 1);
    const start = performance.now();
    arena.memory.sleepSync(words, 0, 1, 10_000); // the word differs
    assert(performance.now() - start < 5000);
    arena.memory.sleepSync(words, 0, 0, 0.000_1);
    arena.memory.sleepSync(words, 0, 0, 20);
    assert(performance.now() - start >= 20);
  },
);

eachKind(
  "ProcessMemory is mapped and opened once for all threads of a process",
  (world) => {
    const before = mappings();
    const files = [...Deno.readDirSync("/proc/self/fd")].length;
    // What a thread is given to attach with names this process.
    world.another().words(0, H_FREE);
    assertEquals(mappings(), before);
    assertEquals([...Deno.readDirSync("/proc/self/fd")].length, files);
  },
  ["spawn"],
);

/** How often a range of shared memory is mapped here. */
function mappings(): number {
  return Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => /[/:]multiprocessing\b(?!_)/.test(line)).length;
}

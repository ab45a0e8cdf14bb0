import { assertEquals } from "@std/assert";
import { clearGraves } from "../../contexts/graves.ts";
import { arenaFor } from "../../memory/mod.ts";
import { Startup } from "../../managers/_startup.ts";

// Made before, so that its C library seems no leak of the test's.
arenaFor("spawn");

for (const kind of ["spawn", "worker"] as const) {
  Deno.test(`Startup.free() gives the place of the answer back when nobody can write there (${kind})`, () => {
    const { heap } = arenaFor(kind);
    clearGraves(0);
    const blocks = heap.blocks;
    new Startup(kind).free();
    // A thread may write for a moment after its end, a process cannot.
    assertEquals(heap.blocks, kind === "worker" ? blocks + 1 : blocks);
    clearGraves(0);
    assertEquals(heap.blocks, blocks);
  });
}

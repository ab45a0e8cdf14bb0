/**
 * The register of what a test may leave behind: nothing. Deno's sanitizers see
 * neither threads nor processes nor shared memory, so this looks for them.
 *
 * Runs in the parent.
 *
 * @module
 */
import { activeChildren } from "../../contexts/mod.ts";
import { clearGraves } from "../../contexts/graves.ts";
import * as at from "../../memory/layout.ts";
import { arenaFor } from "../../memory/mod.ts";
import type { Arena, MemoryKind } from "../../memory/mod.ts";
import { slotOf, slotWord } from "../../memory/participants.ts";
import { collectGarbage } from "./garbage.ts";
import { until } from "./gate.ts";
import { childThreads, describeProcess, processes } from "./proc.ts";

const KINDS: readonly MemoryKind[] = ["spawn", "worker"];

// Both arenas, and with them the C library, are opened once and stay: made here,
// they do not look like leaks of the first test that needs them.
const arenas: readonly Arena[] = KINDS.map(arenaFor);
// So is the list of what this process refers to.
for (const { references } of arenas) references.open();

/** A folder of our own for all temporary files, of children too. */
const TEMP_DIR = Deno.makeTempDirSync({ prefix: "multiprocessing_test_" });
// The other test modules run in this process, and have its environment.
const ORIGINAL_TEMP_DIR = Deno.env.get("TMPDIR");
Deno.env.set("TMPDIR", TEMP_DIR);
globalThis.addEventListener("unload", () => {
  if (ORIGINAL_TEMP_DIR === undefined) Deno.env.delete("TMPDIR");
  else Deno.env.set("TMPDIR", ORIGINAL_TEMP_DIR);
  Deno.removeSync(TEMP_DIR, { recursive: true });
});

/** An interrupted thread has stopped after so long. */
const STILL_MS = 100;

const SHARED_FILES = "/dev/shm";

/** Whether the last test may have left blocks to be collected. */
let hasGarbage = false;

/** What there was before a test. */
export interface Inventory {
  /** Blocks in use, by arena, if they count. */
  readonly blocks: readonly number[] | undefined;
  /** Threads of children, as the system counts them. */
  readonly threads: number;
  /** Names in the folder of POSIX shared memory. */
  readonly sharedFiles: ReadonlySet<string>;
}

/** Takes stock before a test. */
export function inventory(
  { countsBlocks }: { countsBlocks: boolean },
): Inventory {
  // What a test that did not count has left to be collected must not come back
  // while this one counts.
  if (countsBlocks && hasGarbage) collectGarbage();
  hasGarbage = !countsBlocks;
  return {
    blocks: countsBlocks ? arenas.map(({ heap }) => heap.blocks) : undefined,
    threads: childThreads().length,
    sharedFiles: new Set(namesIn(SHARED_FILES)),
  };
}

/**
 * What is left after a test that was not there before; nothing, if all is well.
 * What only waits to be collected is not counted as left.
 *
 * @param before What there was.
 */
export function leftovers(before: Inventory): string[] {
  const threads = childThreads().length - before.threads;
  clearGraves(threads > 0 ? STILL_MS : 0);
  const left: string[] = [];
  for (const child of activeChildren()) left.push(`active child ${child}`);
  for (const [i, arena] of arenas.entries()) {
    left.push(...others(arena));
    const { pending } = arena.waiting;
    if (pending > 0) left.push(`${pending} waits in ${arena.kind}`);
    if (!before.blocks) continue;
    const blocks = arena.heap.blocks - before.blocks[i]!;
    if (blocks > 0) {
      collectGarbage();
      left.push(`${blocks} blocks in ${arena.kind}`);
    }
  }
  const children = processes(({ ppid }) => ppid === Deno.pid);
  left.push(...children.map(describeProcess));
  // One that burns on after its end has been told is no child any more.
  if (threads > 0) left.push(`${threads} threads that have not ended`);
  left.push(...namesIn(TEMP_DIR).map((name) => `temporary file ${name}`));
  for (const name of namesIn(SHARED_FILES)) {
    // Others on this machine make files there too: ours carry our process id.
    if (!before.sharedFiles.has(name) && name.includes(String(Deno.pid))) {
      left.push(`shared memory file ${name}`);
    }
  }
  return left;
}

/** Who and what there is now, for the message of a hang. */
export function stateOfTheWorld(): string {
  const lines = activeChildren().map((child) => `active child ${child}`);
  for (const arena of arenas) {
    lines.push(...others(arena));
    lines.push(`${arena.waiting.pending} waits here in ${arena.kind}`);
  }
  lines.push(
    ...processes(({ ppid }) => ppid === Deno.pid).map(describeProcess),
  );
  return lines.join("\n");
}

/** Everybody but us who has a slot, whether alive or not buried yet. */
function others(arena: Arena): string[] {
  const found: string[] = [];
  const words = arena.words(0, at.TABLE_WORD + at.SLOTS * at.SLOT_WORDS);
  for (let slot = 0; slot < words[at.H_SLOTS_USED]!; slot++) {
    const base = slotWord(slot);
    const state = Atomics.load(words, base + at.S_STATE);
    if (state === at.SLOT_FREE || slot === slotOf(arena.me)) continue;
    found.push(
      `participant in ${arena.kind}: slot ${slot}, ${STATES[state]}, ident ${
        words[base + at.S_IDENT]
      }, pid ${words[base + at.S_PID]}, holds ${
        arena.participants.locksHeld(slot)
      } locks`,
    );
  }
  return found;
}

/** Names of the `SLOT_…` states. */
const STATES = ["free", "reserved", "alive", "left", "dead", "kept"];

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * Waits until a child waits for something: it has left its note, and does nothing
 * more by itself.
 *
 * @param kind Its start method.
 * @param ident Its ident.
 */
export async function untilItWaits(
  kind: MemoryKind,
  ident: number,
): Promise<void> {
  const arena = arenas[KINDS.indexOf(kind)]!;
  const words = arena.words(0, at.TABLE_WORD + at.SLOTS * at.SLOT_WORDS);
  const waits = () => {
    for (let slot = 0; slot < words[at.H_SLOTS_USED]!; slot++) {
      const base = slotWord(slot);
      const word = kind === "spawn" ? at.S_PID : at.S_IDENT;
      if (words[base + word] !== ident) continue;
      for (let i = 0; i < at.ENTRIES; i++) {
        const entry = base + at.S_ENTRIES + i * at.ENTRY_WORDS;
        const state = Atomics.load(words, entry + at.E_STATE);
        if (state === at.ENTRY_WAITING) return true;
      }
    }
    return false;
  };
  await until(waits, "the child waits");
}

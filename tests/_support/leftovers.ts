/**
 * The register of what a test may leave behind: nothing. Deno's sanitizers see
 * neither threads nor processes nor shared memory, so this looks for them.
 *
 * Runs in the parent.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { activeChildren } from "../../contexts/mod.ts";
import { arenaFor, S_IDENT, S_PID } from "../../memory/mod.ts";
import type { Arena, MemoryKind } from "../../memory/mod.ts";
import { describeProcess, processes } from "./proc.ts";

const KINDS: readonly MemoryKind[] = ["spawn", "worker"];

// Both arenas, and with them the C library, are opened once and stay: made here,
// they do not look like leaks of the first test that needs them.
const arenas: readonly Arena[] = KINDS.map(arenaFor);

/** A folder of our own for all temporary files, of children too. */
const TEMP_DIR = Deno.makeTempDirSync({ prefix: "multiprocessing_test_" });
Deno.env.set("TMPDIR", TEMP_DIR);
globalThis.addEventListener("unload", () => {
  Deno.removeSync(TEMP_DIR, { recursive: true });
});

const SHARED_FILES = "/dev/shm";

setFlagsFromString("--expose-gc");
/** Collects garbage at once. */
export const collectGarbage: () => void = runInNewContext("gc");

/** What there was before a test. */
export interface Inventory {
  /** Blocks in use, by arena. */
  readonly blocks: readonly number[];
  /** Names in the folder of POSIX shared memory. */
  readonly sharedFiles: ReadonlySet<string>;
}

/** Takes stock before a test. */
export function inventory(): Inventory {
  return {
    blocks: arenas.map(({ heap }) => heap.blocks),
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
  const left: string[] = [];
  for (const child of activeChildren()) left.push(`active child ${child}`);
  for (const [i, arena] of arenas.entries()) {
    for (const token of arena.participants.alive()) {
      if (token === arena.me) continue;
      left.push(`participant in ${describeParticipant(arena, token)}`);
    }
    const { pending } = arena.waiting;
    if (pending > 0) left.push(`${pending} waits in ${arena.kind}`);
    const blocks = arena.heap.blocks - before.blocks[i]!;
    if (blocks > 0) {
      collectGarbage();
      left.push(`${blocks} blocks in ${arena.kind}`);
    }
  }
  const children = processes(({ ppid }) => ppid === Deno.pid);
  left.push(...children.map(describeProcess));
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
    for (const token of arena.participants.alive()) {
      lines.push(`participant in ${describeParticipant(arena, token)}`);
    }
    lines.push(`${arena.waiting.pending} waits here in ${arena.kind}`);
  }
  lines.push(
    ...processes(({ ppid }) => ppid === Deno.pid).map(describeProcess),
  );
  return lines.join("\n");
}

function describeParticipant(arena: Arena, token: number): string {
  const { participants } = arena;
  const pid = participants.load(token, S_PID);
  const ident = participants.load(token, S_IDENT);
  const self = token === arena.me ? ", this one" : "";
  return `${arena.kind}: token ${token}, ident ${ident}, pid ${pid}${self}`;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

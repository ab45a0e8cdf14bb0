/**
 * Seeing to what ended children leave behind in shared memory; the only caller of
 * `Arena.bury`.
 *
 * A child's end is learnt from its exit event. A thread that blocks in a `…Sync`
 * call hears no events, so while it blocks it looks at its children itself.
 *
 * The children of a child that died: a thread's threads have died with it, and are
 * buried with it. A process's processes live on unless they are daemons, and
 * nobody hears of their end, so they are looked after from time to time.
 *
 * Runs in the parent.
 *
 * @module
 */
import { S_PARENT, S_PID } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";

/** Milliseconds between two looks at adopted processes. */
const ORPHAN_LOOK_MS = 250;

/** A child whose end may have to be seen rather than heard. */
interface Watched {
  readonly arena: Arena;
  readonly token: number;
  readonly pid: number;
}

const watched = new Set<Watched>();
const slicing = new WeakSet<Arena>();
const orphans = new Set<Watched>();
let orphanTimer: ReturnType<typeof setInterval> | undefined;

/**
 * Has a child looked at while this thread blocks.
 *
 * @param arena Its arena.
 * @param token Its token.
 * @param pid Its process id.
 * @returns Ends that.
 */
export function watch(arena: Arena, token: number, pid: number): () => void {
  const entry = { arena, token, pid };
  watched.add(entry);
  if (!slicing.has(arena)) {
    slicing.add(arena);
    arena.waiting.onSlice(lookAtChildren);
  }
  return () => {
    watched.delete(entry);
  };
}

/**
 * Buries an ended child.
 *
 * @param arena Its arena.
 * @param token Its token.
 */
export function reap(arena: Arena, token: number): void {
  const heirs = arena.participants.alive().filter((other) =>
    arena.participants.load(other, S_PARENT) === token
  );
  arena.bury(token);
  for (const heir of heirs) {
    if (arena.kind === "worker") reap(arena, heir);
    else adopt({ arena, token: heir, pid: pidOf(arena, heir) });
  }
}

function lookAtChildren(): void {
  for (const child of watched) {
    // Only marks it: the exit event, when it can be heard, does the rest.
    if (child.arena.memory.hasEnded(child.pid)) {
      child.arena.participants.markEnded(child.token);
    }
  }
}

function adopt(orphan: Watched): void {
  orphans.add(orphan);
  orphanTimer ??= setInterval(lookAtOrphans, ORPHAN_LOOK_MS);
  Deno.unrefTimer(orphanTimer as unknown as number);
}

function lookAtOrphans(): void {
  for (const orphan of [...orphans]) {
    const { arena, token, pid } = orphan;
    if (pid !== 0 && !arena.memory.hasEnded(pid)) continue;
    orphans.delete(orphan);
    reap(arena, token);
  }
  if (orphans.size > 0) return;
  clearInterval(orphanTimer);
  orphanTimer = undefined;
}

function pidOf(arena: Arena, token: number): number {
  return arena.participants.load(token, S_PID);
}

/**
 * Seeing to what ended children leave behind in shared memory; the only caller of
 * `Arena.bury`.
 *
 * A child's end is learnt from its exit event. A thread that blocks in a `…Sync`
 * call hears no events, so while it blocks it looks at its children itself.
 *
 * The children of a child that died: those in the same process were its threads,
 * have died with it, and are buried with it. Processes live on unless they are
 * daemons, and nobody hears of their end, so whoever buries their parent takes
 * its place, and looks after them from time to time.
 *
 * Runs in the parent.
 *
 * @module
 */
import { S_ENDING, S_PARENT, S_PID } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import { giveBack, leave } from "../primitives/block.ts";
import { loadAllKinds } from "../primitives/wire.ts";
import { dropBirth } from "./birth.ts";
import { clearGraves, whenStill } from "./graves.ts";

/** Milliseconds between two looks at adopted processes. */
const ORPHAN_LOOK_MS = 250;
/**
 * How often to look at an orphan of which no process is known. Its parent died
 * between claiming its slot and starting it, or writing down what it started, so
 * that it is there by now or never will be.
 */
const UNKNOWN_LOOKS = 40;

/** A child whose end may have to be seen rather than heard. */
interface Watched {
  readonly arena: Arena;
  readonly token: number;
  readonly pid: number;
}

/** A process whose parent is dead. */
interface Orphan {
  readonly arena: Arena;
  readonly token: number;
  looks: number;
}

const watched = new Set<Watched>();
const slicing = new WeakSet<Arena>();
const orphans = new Set<Orphan>();
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
 * Buries an ended child, and frees the record it was started with.
 *
 * @param arena Its arena.
 * @param token Its token.
 */
export function reap(arena: Arena, token: number): void {
  const { participants } = arena;
  const pid = pidOf(arena, token);
  // Those that have ended as well: under load this is heard long after the death,
  // and an orphan may have seen it, and have left, in the meantime.
  const heirs = participants.unburied().filter((other) =>
    participants.load(other, S_PARENT) === token
  );
  dropBirth(arena, token);
  const mayRunOn = isInterruptedThread(arena, token, pid);
  const list = participants.isCurrent(token) ? arena.references.take(token) : 0;
  arena.bury(token);
  const unknown = leaveAll(arena, list);
  if (unknown.length > 0) {
    // The dead had objects of kinds that this participant has not loaded.
    void loadAllKinds().then(() => {
      for (const offset of unknown) leave(arena, offset);
      bequeath(arena, list, mayRunOn);
    });
  } else bequeath(arena, list, mayRunOn);
  clearGraves();
  for (const heir of heirs) {
    const wasThread = arena.kind === "worker" ||
      (pid !== 0 && pidOf(arena, heir) === pid);
    if (wasThread) reap(arena, heir);
    else adopt(arena, heir);
  }
}

/** Whether it is a thread that may not have taken notice of its end yet. */
function isInterruptedThread(
  { kind, participants }: Arena,
  token: number,
  pid: number,
): boolean {
  return participants.load(token, S_ENDING) === 1 &&
    (kind === "worker" || pid === Deno.pid);
}

/** Looks after what the dead had; returns those of kinds that are not known here. */
function leaveAll(arena: Arena, list: number): number[] {
  const unknown: number[] = [];
  arena.references.each(list, (offset) => {
    if (!leave(arena, offset)) unknown.push(offset);
  });
  return unknown;
}

/** Gives back what the dead had, once it does not touch it any more. */
function bequeath(arena: Arena, list: number, mayRunOn: boolean): void {
  const giveBackAll = () => {
    arena.references.empty(list, (offset) => giveBack(arena, offset));
  };
  if (mayRunOn) whenStill(giveBackAll);
  else giveBackAll();
}

function lookAtChildren(): void {
  for (const child of watched) {
    // Only marks it: the exit event, when it can be heard, does the rest.
    if (child.arena.memory.hasEnded(child.pid)) {
      child.arena.participants.markEnded(child.token);
    }
  }
}

function adopt(arena: Arena, token: number): void {
  // Should this participant die too, its own reaper finds the orphan.
  arena.participants.store(token, S_PARENT, arena.me);
  orphans.add({ arena, token, looks: 0 });
  orphanTimer ??= setInterval(lookAtOrphans, ORPHAN_LOOK_MS);
  Deno.unrefTimer(orphanTimer as unknown as number);
}

function lookAtOrphans(): void {
  for (const orphan of [...orphans]) {
    const { arena, token } = orphan;
    const pid = pidOf(arena, token);
    const isOver = pid === 0
      ? ++orphan.looks > UNKNOWN_LOOKS
      : arena.memory.hasEnded(pid);
    if (!isOver) continue;
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

/**
 * Seeing to what ended children leave behind in shared memory; the only caller of
 * `Arena.bury`.
 *
 * A child's end is learnt from its exit event. A thread that blocks in a `…Sync`
 * call hears no events, so while it blocks it looks at its children itself, and
 * buries those that have ended.
 *
 * The children of a child that died: those in the same process were its threads,
 * have died with it, and are buried with it. Processes live on unless they are
 * daemons, and nobody hears of their end, so whoever buries their parent takes
 * its place, and looks after them from time to time.
 *
 * **The first process** has no parent. So a process whose parent has ended looks
 * whether any of its ancestors is left to see to that, and if not takes the place
 * of them all: `memory/participants.ts` says how just one of several does. It looks
 * on a timer that keeps nobody alive: the end of a process can be had as an event
 * only by what keeps the event loop, or one of Deno's threads, busy. It begins with
 * its first wait: who waits for nothing misses nobody, and a timer takes 4 ms of a
 * short life. Daemons need not look, as they end with their parent, nor threads,
 * whose process does.
 *
 * **No wake-up is lost:** whoever finds that a participant has ended marks it, and
 * after that wakes everybody (`Waiting.bury()`). If it is ended itself in between,
 * it is found, and so is what it has not buried, by the next of its descendants.
 *
 * Runs in the parent, and in each process that is no daemon.
 *
 * @module
 */
import {
  eachArena,
  locate,
  S_PARENT,
  S_PID,
  takePlaces,
} from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import { giveBack, leave } from "../primitives/block.ts";
import { loadAllKinds } from "../primitives/wire.ts";
import { dropBirth } from "./birth.ts";
import { clearGraves, whenStill } from "./graves.ts";

/** Milliseconds between two looks at adopted processes. */
const ORPHAN_LOOK_MS = 250;
/**
 * Milliseconds between two looks at a parent. One takes an idle process 0.35 ms: to
 * wake up for a timer is a third of that, to see how another process is 17 µs, but
 * hardly anything of either is in the processor's caches.
 */
const PARENT_LOOK_MS = 1000;
/**
 * For how many milliseconds to wait for an orphan of which no process is known. Its
 * parent died between claiming its slot and starting it, or writing down what it
 * started, so that it is there by then or never will be.
 */
const UNKNOWN_MS = 10_000;

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
  readonly since: number;
}

const watched = new Set<Watched>();
const orphans = new Set<Orphan>();
let orphanTimer: ReturnType<typeof setInterval> | undefined;
let parentTimer: ReturnType<typeof setInterval> | undefined;
/** Where this process has ancestors to look at. */
let birthplace: Arena | undefined;
let slicing = false;

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
  lookWhileBlocked();
  return () => {
    watched.delete(entry);
  };
}

/**
 * Has this process look whether its ancestors live, from time to time.
 *
 * @param arena Where it was born.
 */
export function watchAncestors(arena: Arena): void {
  birthplace = arena;
  lookWhileBlocked();
  eachArena(({ waiting }) => waiting.onListen(lookAtTimes));
}

function lookAtTimes(): void {
  if (parentTimer !== undefined) return;
  parentTimer = setInterval(() => {
    lookAtAncestors();
    lookAtOrphans();
  }, PARENT_LOOK_MS);
  Deno.unrefTimer(parentTimer as unknown as number);
}

/**
 * Buries an ended child, and frees the record it was started with.
 *
 * @param arena Its arena.
 * @param token Its token.
 */
export function reap(arena: Arena, token: number): void {
  const { participants } = arena;
  // Seen before it was heard: then the slot is free, or another's.
  if (!participants.isCurrent(token)) return;
  const pid = pidOf(arena, token);
  // Those that have ended as well: under load this is heard long after the death,
  // and an orphan may have seen it, and have left, in the meantime.
  const heirs = participants.unburied().filter((other) =>
    participants.load(other, S_PARENT) === token
  );
  // While their parent can be found, so that they always lead to somebody.
  for (const heir of heirs) {
    const wasThread = arena.kind === "worker" ||
      (pid !== 0 && pidOf(arena, heir) === pid);
    if (wasThread) {
      // Threads of a thread are interrupted with it.
      if (arena.kind === "worker" || pid === Deno.pid) {
        participants.condemn(heir);
      }
      reap(arena, heir);
    } else {
      participants.store(heir, S_PARENT, arena.me);
      lookAfter(arena, heir);
    }
  }
  buryElsewhere(arena, token);
  dropBirth(arena, token);
  const mayRunOn = isInterruptedThread(arena, token, pid);
  const list = arena.references.take(token);
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
}

/** Buries it where it has come to take part by itself: nobody else does. */
function buryElsewhere(home: Arena, token: number): void {
  const isCondemned = home.participants.isCondemned(token);
  for (const { address, token: there } of takePlaces(home, token)) {
    let arena: Arena;
    try {
      arena = locate(address);
    } catch {
      continue; // gone, or out of reach: then nobody here has anything of it
    }
    if (isCondemned) arena.participants.condemn(there);
    reap(arena, there);
  }
}

/** Whether it is a thread that may not have taken notice of its end yet. */
function isInterruptedThread(
  { kind, participants }: Arena,
  token: number,
  pid: number,
): boolean {
  return participants.isCondemned(token) &&
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

/** Has the end of others seen in the middle of a `…Sync` call, on whatever. */
function lookWhileBlocked(): void {
  if (slicing) return;
  slicing = true;
  eachArena(({ waiting }) => waiting.onSlice(look));
}

function look(): void {
  lookAtChildren();
  lookAtAncestors();
  lookAtOrphans();
}

function lookAtChildren(): void {
  for (const { arena, token, pid } of watched) {
    // Its exit event, when it can be heard, finds nothing left to be done here.
    if (arena.memory.hasEnded(pid)) reap(arena, token);
  }
}

function lookAtAncestors(): void {
  if (!birthplace) return;
  const { participants, me } = birthplace;
  for (const heir of participants.succeed(me)) lookAfter(birthplace, heir);
}

function lookAfter(arena: Arena, token: number): void {
  orphans.add({ arena, token, since: performance.now() });
  orphanTimer ??= setInterval(lookAtOrphans, ORPHAN_LOOK_MS);
  Deno.unrefTimer(orphanTimer as unknown as number);
}

function lookAtOrphans(): void {
  // Those that are found by burying one of them as well.
  for (const orphan of orphans) {
    const { arena, token } = orphan;
    if (arena.participants.load(token, S_PARENT) !== arena.me) {
      // Its slot was being claimed by another one: that one sees to it.
      orphans.delete(orphan);
      continue;
    }
    const pid = pidOf(arena, token);
    const isOver = pid === 0
      ? performance.now() - orphan.since > UNKNOWN_MS
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

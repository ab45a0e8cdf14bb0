import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Arena,
  S_IDENT,
  S_PARENT,
  S_PID,
  takePlaces,
} from "../../memory/mod.ts";
import type { Participants } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { slotOf, slotWord } from "../../memory/participants.ts";
import { notePlace } from "../../memory/places.ts";
import { eachKind, tableOf } from "./_world.ts";

const CHILDREN = 4;
const CLAIMS = 200;

eachKind(
  "Participants.claim() reserves a place, enter() fills it",
  ({ arena }) => {
    const { participants } = arena;
    const token = participants.claim(arena.me);
    assert(token > 0);
    assertEquals(participants.standing(token), "alive");
    assertEquals(participants.isStopped(token), false);
    assertEquals(participants.load(token, S_PARENT), arena.me);
    assertEquals(participants.unburied(), [arena.me, token]);
    participants.enter(token, arena.kind === "spawn" ? Deno.pid : 0);
    assertEquals(participants.standing(token), "alive");
    assertEquals(participants.isStopped(token), false);
    arena.bury(token);
    assertEquals(participants.standing(token), "dead");
    assertEquals(participants.isStopped(token), true);
    assertEquals(participants.unburied(), [arena.me]);
  },
);

eachKind(
  "Participants.leave() keeps the place of one that holds locks",
  ({ arena }) => {
    const { participants } = arena;
    const [holder, other] = [
      participants.claim(arena.me),
      participants.claim(0),
    ];
    for (const token of [holder, other]) participants.enter(token, 0);
    participants.hold(holder, 1);
    for (const token of [holder, other]) {
      participants.leave(token);
      assertEquals(participants.standing(token), "left");
      arena.bury(token);
    }
    assertEquals(participants.standing(holder), "left");
    assertEquals(participants.locksHeld(holder), 1);
    assertEquals(participants.standing(other), "dead");
    const next = participants.claim(0);
    assertEquals(slotOf(next), slotOf(other));
    assertEquals(participants.claim(0) === holder, false);

    // Freed by the last release, once.
    participants.settle(holder);
    assertEquals(participants.standing(holder), "left");
    participants.hold(holder, -1);
    participants.settle(holder);
    participants.settle(holder);
    assertEquals(participants.standing(holder), "dead");
    assertEquals(slotOf(participants.claim(0)), slotOf(holder));
  },
);

eachKind(
  "Participants.markEnded() makes what one held abandoned, whatever it held",
  ({ arena }) => {
    const { participants } = arena;
    const token = participants.claim(0);
    participants.enter(token, 0);
    participants.hold(token, 1);
    participants.markEnded(token);
    assertEquals(participants.standing(token), "dead");
    participants.release(token);
    assertEquals(participants.isCurrent(token), false);
  },
);

eachKind(
  "Participants.standing() of a token of an earlier generation is dead",
  ({ arena }) => {
    const { participants } = arena;
    const first = participants.claim(0);
    arena.bury(first);
    const second = participants.claim(0);
    assertEquals(slotOf(second), slotOf(first));
    assert(second !== first);
    assertEquals(participants.standing(first), "dead");
    assertEquals(participants.standing(second), "alive");
    assertEquals(participants.isCurrent(first), false);
    assertEquals(participants.isCurrent(second), true);
    assertEquals(participants.standing(0), "dead");
  },
);

eachKind(
  "Arena.bury() a second time leaves the next owner alone",
  ({ arena }) => {
    const { participants } = arena;
    const first = participants.claim(0);
    participants.enter(first, 0);
    arena.bury(first);
    arena.bury(first);
    const second = participants.claim(0);
    arena.bury(first);
    participants.markEnded(first);
    participants.release(first);
    participants.condemn(first);
    assertEquals(participants.standing(second), "alive");
    assertEquals(participants.isStopped(second), false);
    // Nor does it before the next owner has come.
    arena.bury(second);
    arena.bury(first);
    const header = tableOf(arena);
    assertEquals(header[slotWord(slotOf(first)) + at.S_STATE], at.SLOT_FREE);
  },
);

eachKind(
  "Participants.claim() gives a clean place, and numbers never given before",
  ({ arena }) => {
    const { participants } = arena;
    const idents = new Set([participants.load(arena.me, S_IDENT)]);
    const header = tableOf(arena);
    for (let i = 0; i < 100; i++) {
      const token = participants.claim(arena.me);
      const ident = participants.load(token, S_IDENT);
      assert(!idents.has(ident));
      idents.add(ident);
      const base = slotWord(slotOf(token));
      const given = [at.S_STATE, at.S_GENERATION, at.S_PARENT, at.S_IDENT];
      for (let word = 0; word < at.SLOT_WORDS; word++) {
        if (given.includes(word)) continue;
        assertEquals(header[base + word], 0, `word ${word}`);
        header[base + word] = -1; // what its owner may leave there
      }
      // What Arena.bury() follows.
      for (
        const word of [at.S_ENTRIES_USED, at.S_OVERFLOWING, at.S_REFERENCES]
      ) {
        header[base + word] = 0;
      }
      arena.bury(token);
    }
  },
);

eachKind(
  "Participants.claim() goes round: tokens stay positive and not 0",
  ({ arena }) => {
    const { participants } = arena;
    const token = participants.claim(0);
    arena.bury(token);
    const header = tableOf(arena);
    const base = slotWord(slotOf(token));
    header[base + at.S_GENERATION] = at.GENERATIONS - 1;
    const last = participants.claim(0);
    assertEquals(
      last,
      ((at.GENERATIONS - 1) << at.TOKEN_SLOT_BITS) + slotOf(token),
    );
    assert(last > 0);
    arena.bury(last);
    const first = participants.claim(0);
    assertEquals(header[base + at.S_GENERATION], 1);
    assert(first > 0);
    assertEquals(participants.standing(last), "dead");
  },
);

eachKind(
  "Participants.claim() refuses when all places are taken",
  ({ arena }) => {
    const { participants } = arena;
    const tokens = Array.from(
      { length: at.SLOTS - 1 },
      () => participants.claim(0),
    );
    assertEquals(new Set(tokens.map(slotOf)).size, at.SLOTS - 1);
    assertThrows(
      () => participants.claim(0),
      RangeError,
      "Cannot start another process as 4096 are alive",
    );
    arena.bury(tokens[77]!);
    assertEquals(slotOf(participants.claim(0)), slotOf(tokens[77]!));
  },
);

eachKind(
  "Participants.claim() by 4 at once gives each place once",
  async (world) => {
    const { offset, words } = world.words(CHILDREN * CLAIMS);
    const children = Array.from(
      { length: CHILDREN },
      (_, i) => world.start("heaping#claims", offset + i * CLAIMS * 4, CLAIMS),
    );
    for (const child of children) await child.finished();
    const slots = new Set([...words].map(slotOf));
    assertEquals(slots.size, CHILDREN * CLAIMS);
  },
);

eachKind(
  "Participants.isStopped() is true of a process that has ended, before it is buried",
  async (world) => {
    const { participants } = world.arena;
    const { offset, gate } = world.gate();
    const { offset: mutex } = world.words(1);
    const child = world.start("mutexing#holdForEver", mutex, offset);
    await gate.reaches(1, "it is up");
    assert(participants.load(child.token, S_PID) > 0);
    assertEquals(participants.isStopped(child.token), false);
    participants.condemn(child.token);
    assertEquals(
      participants.isStopped(child.token),
      false,
      "asked is not ended",
    );
    child.kill();
    const deadline = performance.now() + 20_000;
    while (!participants.isStopped(child.token)) {
      assert(performance.now() < deadline, "its end is not seen");
    }
    assertEquals(participants.standing(child.token), "alive");
    await child.ended;
  },
  ["spawn"],
);

eachKind(
  "Participants.condemn() makes a thread one that can be taken from",
  ({ arena }) => {
    const { participants } = arena;
    const token = participants.claim(0);
    participants.enter(token, 0);
    assertEquals(participants.isStopped(token), false);
    participants.condemn(token);
    assertEquals(participants.isStopped(token), true);
    assertEquals(participants.standing(token), "alive");
  },
  ["worker"],
);

eachKind(
  "Participants.announceEnd() takes nothing from one that is to begin nothing",
  ({ arena }) => {
    const { participants } = arena;
    const token = participants.claim(0);
    participants.enter(token, 0);
    assert(participants.mayBegin(token));
    participants.announceEnd(token);
    assertEquals(participants.mayBegin(token), false);
    assertEquals(participants.isCondemned(token), false);
    assertEquals(participants.isStopped(token), false);
    participants.condemn(token);
    assertEquals(participants.mayBegin(token), false);
    assert(participants.isCondemned(token));
    arena.bury(token);
    assertEquals(participants.mayBegin(token), false, "its place is another's");
  },
  ["worker"],
);

/** Nobody has this process id. */
const GONE = 2 ** 22 + 1;

/** Claims a place for one that runs in a process. */
function enter(
  participants: Participants,
  parent: number,
  pid: number,
): number {
  const token = participants.claim(parent);
  participants.enter(token, pid);
  return token;
}

eachKind(
  "Participants.succeed() gives those who have nobody left to one of them",
  ({ arena }) => {
    const { participants } = arena;
    const parentOf = (token: number) => participants.load(token, S_PARENT);
    const first = enter(participants, 0, GONE);
    const thread = enter(participants, first, GONE);
    const dead = enter(participants, first, GONE);
    const child = enter(participants, first, Deno.pid);
    const heir = enter(participants, dead, Deno.pid);
    const below = enter(participants, child, Deno.pid);
    const joined = enter(participants, 0, GONE);
    const starting = participants.claim(first);

    assertEquals(participants.succeed(arena.me), [], "it is a first one");
    assertEquals(participants.succeed(below), [], "its parent lives");
    // The others follow when the first is buried.
    assertEquals(participants.succeed(heir), [first, joined]);
    for (const token of [first, joined]) assertEquals(parentOf(token), heir);
    for (const token of [thread, dead, child, starting]) {
      assertEquals(parentOf(token), first);
    }
    assertEquals(parentOf(heir), 0);
    assertEquals(parentOf(arena.me), 0, "one who lives needs nobody");
    assertEquals(participants.succeed(heir), [], "it is the first now");
    assertEquals(participants.succeed(child), [], "the heir lives");

    // The heir ends as well, in the middle of it all.
    arena.bury(first);
    participants.store(heir, S_PID, GONE);
    tableOf(arena)[at.H_SUCCESSION] = heir;
    const rest = [thread, dead, heir, starting];
    assertEquals(participants.succeed(child), rest);
    for (const token of rest) assertEquals(parentOf(token), child);
    assertEquals(parentOf(joined), heir);
    assertEquals(parentOf(below), child);
    assertEquals(parentOf(child), 0);
    assertEquals(tableOf(arena)[at.H_SUCCESSION], 0);
    for (const token of [...rest, joined, child, below]) arena.bury(token);
  },
  ["spawn"],
);

eachKind(
  "Participants.succeed() of one whose parent was buried without it",
  ({ arena }) => {
    const { participants } = arena;
    const first = enter(participants, 0, GONE);
    const [one, other] = [
      enter(participants, first, Deno.pid),
      enter(participants, first, Deno.pid),
    ];
    arena.bury(first);
    assertEquals(participants.succeed(other), [one]);
    assertEquals(participants.succeed(one), []);
    for (const token of [one, other]) arena.bury(token);
  },
  ["spawn"],
);

eachKind(
  "Participants.claim() gives the place of the first to nobody else",
  ({ arena }) => {
    const { participants } = arena;
    assertEquals(slotOf(arena.me), 0);
    const other = participants.claim(0);
    arena.bury(arena.me);
    const next = participants.claim(0);
    assertEquals(slotOf(next), slotOf(other) + 1);
    for (const token of [other, next]) arena.bury(token);
  },
);

eachKind(
  "takePlaces() gives what notePlace() has written down",
  ({ arena }) => {
    const { heap, me } = arena;
    const blocks = heap.blocks;
    const places = [1, 2].map((token) => ({
      address: ["spawn", -(2 ** 31) + token, 77, 2 ** 50 + token, 36] as const,
      token,
    }));
    for (const place of places) notePlace(arena, place);
    assertEquals(takePlaces(arena, me), places.toReversed());
    assertEquals(takePlaces(arena, me), []);
    assertEquals(heap.blocks, blocks);
    // By the time it writes, it may have been buried, and its place be another's.
    const late = Arena.attach(arena.invite());
    arena.bury(late.me);
    const { token } = arena.invite();
    assertEquals(slotOf(token), slotOf(late.me));
    notePlace(late, places[0]!);
    assertEquals(takePlaces(arena, token), []);
    arena.bury(token);
  },
);

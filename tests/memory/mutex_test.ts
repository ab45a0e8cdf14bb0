import { assert, assertEquals } from "@std/assert";
import { lock, tryLock, unlock } from "../../memory/mutex.ts";
import { eachKind } from "./_world.ts";

const CHILDREN = 4;
const INCREMENTS = 100_000;
/** Longer than it takes to suspect a holder of having died. */
const LONG_MS = 400;
/** How soon the mutex of a dead holder has to be free. */
const SOON_MS = 2000;

eachKind(
  "lock() lets one in at a time: 4 participants, 100,000 times each",
  async (world) => {
    const { offset, words } = world.words(2);
    const children = world.startAll(
      CHILDREN,
      "mutexing#increments",
      offset,
      INCREMENTS,
    );
    for (const child of children) await child.finished();
    assertEquals([...words], [0, CHILDREN * INCREMENTS]);
  },
);

eachKind("tryLock() takes what is free, and only that", (world) => {
  const { words } = world.words(1);
  const other = world.another();
  assertEquals(tryLock(words, 0, world.arena.me), true);
  assertEquals(tryLock(words, 0, other.me), false);
  assertEquals(tryLock(words, 0, world.arena.me), false);
  unlock(words, 0);
  assertEquals(tryLock(words, 0, other.me), true);
  unlock(words, 0);
});

eachKind(
  "lock() takes over from a holder that was killed, with the event loop blocked",
  async (world) => {
    const { me, participants } = world.arena;
    const { offset, words } = world.words(1);
    const { offset: gateOffset, gate } = world.gate();
    const child = world.start("mutexing#holdForEver", offset, gateOffset);
    await gate.reaches(1, "it holds the mutex");
    child.kill();
    // Nothing is awaited: the end of the child cannot be heard.
    const start = performance.now();
    assertEquals(lock(words, 0, me, participants), true);
    assert(performance.now() - start < SOON_MS);
    assertEquals(participants.standing(child.token), "alive", "not buried yet");
    unlock(words, 0);
    assertEquals(lock(words, 0, me, participants), false);
    unlock(words, 0);
    await child.ended;
  },
);

eachKind(
  "lock() takes over from a holder that was killed and buried",
  async (world) => {
    const { me, participants } = world.arena;
    const { offset, words } = world.words(1);
    const { offset: gateOffset, gate } = world.gate();
    const child = world.start("mutexing#holdForEver", offset, gateOffset);
    await gate.reaches(1, "it holds the mutex");
    child.kill();
    await child.ended;
    assertEquals(words[0], child.token);
    assertEquals(lock(words, 0, me, participants), true);
    unlock(words, 0);
  },
);

eachKind(
  "lock() waits for a holder that takes long, and lives",
  async (world) => {
    const { me, participants } = world.arena;
    const { offset, words } = world.words(2);
    const { offset: gateOffset, gate } = world.gate();
    const child = world.start("mutexing#holdLong", offset, gateOffset, LONG_MS);
    await gate.reaches(1, "it holds the mutex");
    assertEquals(lock(words, 0, me, participants), false);
    assertEquals(words[1], 1);
    unlock(words, 0);
    await child.finished();
  },
);

eachKind(
  "lock() waits for a process that was asked to end, and lives on",
  async (world) => {
    // It may handle SIGTERM, and finish what it is doing.
    const { me, participants } = world.arena;
    const { offset, words } = world.words(2);
    const { offset: gateOffset, gate } = world.gate();
    const child = world.start("mutexing#holdLong", offset, gateOffset, LONG_MS);
    await gate.reaches(1, "it holds the mutex");
    participants.condemn(child.token);
    assertEquals(lock(words, 0, me, participants), false);
    assertEquals(words[1], 1);
    unlock(words, 0);
    await child.finished();
  },
  ["spawn"],
);

eachKind(
  "lock() takes over from a holder whose token is of an earlier generation",
  (world) => {
    const { me, participants } = world.arena;
    const { words } = world.words(1);
    const gone = world.arena.invite();
    words[0] = gone.token;
    world.arena.bury(gone.token);
    const next = world.arena.invite();
    assertEquals(lock(words, 0, me, participants), true);
    unlock(words, 0);
    world.arena.bury(next.token);
  },
);

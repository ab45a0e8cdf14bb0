/**
 * A participant dies while it waits, wakes or gives up: at every store there is.
 * Afterwards nobody who waits is forgotten, and nobody who comes later is.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Arena, NOT_YET } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { until } from "../_support/gate.ts";
import { dieAt, Died, Fate, fated } from "./fixtures/fate.ts";
import { Permits } from "./fixtures/permits.ts";
import { eachEntry, eachKind, stateOf, tableOf } from "./_world.ts";
import type { World } from "./_world.ts";

/** More stores than any operation makes. */
const ENOUGH = 100;
const never = () => NOT_YET;

/** Makes someone do something and die before its n-th store, and buries it. */
function suffer(
  world: World,
  n: number,
  operate: (victim: Arena, arm: (run: () => unknown) => void) => void,
): boolean {
  const fate = new Fate();
  const handle = world.arena.invite();
  const victim = fated(fate, () => Arena.attach(handle));
  // What it does after its death must not count.
  victim.memory.sleep = () => new Promise(() => {});
  victim.memory.keepAlive = () => {};
  let died = false;
  operate(victim, (run) => died = dieAt(fate, n, run));
  // One that has lived dies now.
  fate.before = () => {
    throw new Died();
  };
  world.arena.bury(victim.me);
  return died;
}

/** Kills at the first store, the second … until it lives. */
async function atEachStore(
  run: (n: number) => Promise<boolean>,
): Promise<void> {
  for (let n = 1; n < ENOUGH; n++) {
    if (!await run(n)) {
      assert(n > 2, "it makes no stores");
      return;
    }
  }
  throw new Error("It never comes to an end");
}

/**
 * Checks that a wait and a wake-up work, in the same bucket and without another
 * participant's overflow to help, and that nothing counts too low.
 */
async function checkHealth(
  { arena }: World,
  waiter: Arena,
  offset: number,
): Promise<void> {
  const words = tableOf(arena);
  for (let bucket = 0; bucket < at.BUCKETS; bucket++) {
    assert(words[at.H_BUCKETS + bucket]! >= 0, "a bucket is too low");
  }
  assert(words[at.H_OVERFLOWING]! >= 0, "the overflow is counted too low");
  const permits = new Permits(waiter, offset);
  const wait = waiter.waiting.wait([permits.key], permits.attempt);
  new Permits(arena, offset).release();
  await settled("a wait after a death", wait);
  assertEquals(permits.count, 0);
  let inUse = 0;
  eachEntry(arena, (_, entry) => {
    if (words[entry + at.E_STATE] !== at.ENTRY_FREE) inUse++;
  });
  assertEquals(inUse, 0, stateOf(arena));
}

async function settled(what: string, wait: Promise<unknown>): Promise<void> {
  let isSettled = false;
  wait.catch(() => {}).then(() => isSettled = true);
  await until(() => isSettled, `lost: ${what}`);
}

/** Counters that a killed participant leaves too high: see `waiting.ts`. */
function forgive(world: World): void {
  const words = tableOf(world.arena);
  words.fill(0, at.H_BUCKETS, at.H_BUCKETS + at.BUCKETS);
  words[at.H_OVERFLOWING] = 0;
}

/** Occupies all entries of a participant. */
function fill({ waiting }: Arena): () => Promise<unknown> {
  const controller = new AbortController();
  const { signal } = controller;
  const waits = Array.from(
    { length: at.ENTRIES },
    (_, i) => waiting.wait([i + 1], never, { signal }),
  );
  return () => {
    controller.abort(new Error("over"));
    return Promise.allSettled(waits);
  };
}

for (const place of ["an entry", "overflow"]) {
  eachKind(
    `Waiting.wait() killed at any store leaves others alone, with ${place}`,
    async (world) => {
      const { offset } = world.words(1);
      const waiter = world.another();
      await atEachStore(async (n) => {
        const died = suffer(world, n, (victim, arm) => {
          if (place === "overflow") fill(victim);
          const permits = new Permits(victim, offset);
          arm(() => victim.waiting.wait([permits.key], permits.attempt));
        });
        await checkHealth(world, waiter, offset);
        return died;
      });
      forgive(world);
    },
  );

  eachKind(
    `Waiting.waitSync() killed at any store leaves others alone, with ${place}`,
    async (world) => {
      const { offset } = world.words(1);
      const waiter = world.another();
      await atEachStore(async (n) => {
        const died = suffer(world, n, (victim, arm) => {
          if (place === "overflow") fill(victim);
          const permits = new Permits(victim, offset);
          let looks = 0;
          victim.memory.sleepSync = () => {
            if (++looks === 3) new Permits(world.arena, offset).release();
          };
          arm(() => victim.waiting.waitSync([permits.key], permits.attempt));
        });
        const left = new Permits(world.arena, offset);
        while (left.tryTake());
        await checkHealth(world, waiter, offset);
        return died;
      });
      forgive(world);
    },
  );
}

for (const count of [1, Infinity]) {
  eachKind(
    `Waiting.wake() killed at any store is made good when it is buried, count ${count}`,
    async (world) => {
      const { offset } = world.words(1);
      const inEntry = world.another();
      const inOverflow = world.another();
      const empty = fill(inOverflow);
      await atEachStore(async (n) => {
        const waits = [inEntry, inOverflow].map((waiter) => {
          const permits = new Permits(waiter, offset);
          return waiter.waiting.wait([permits.key], permits.attempt);
        });
        // Both sleep, and hear of nothing but their bells.
        await until(
          () =>
            [inEntry, inOverflow].every(({ me }) =>
              world.arena.participants.load(me, at.S_SLEEPING) === 1
            ),
          "they sleep",
        );
        const words = world.arena.words(offset, 1);
        const died = suffer(world, n, (victim, arm) => {
          const permits = new Permits(victim, offset);
          Atomics.store(words, 0, 2);
          arm(() => victim.waiting.wake(permits.key, count));
        });
        for (const wait of waits) await settled(`killed at store ${n}`, wait);
        assertEquals(words[0], 0);
        return died;
      });
      await empty();
    },
  );
}

eachKind(
  "Waiting.wait() given up and killed at any store passes its wake-up on",
  async (world) => {
    const { offset } = world.words(1);
    const waiter = world.another();
    const younger = world.another();
    await atEachStore(async (n) => {
      let wait: Promise<unknown>;
      const died = suffer(world, n, (victim, arm) => {
        const controller = new AbortController();
        const { signal } = controller;
        const own = new Permits(victim, offset);
        victim.waiting.wait([own.key], own.attempt, { signal }).catch(() => {});
        const permits = new Permits(younger, offset);
        wait = younger.waiting.wait([permits.key], permits.attempt);
        new Permits(world.arena, offset).release();
        arm(() => controller.abort());
      });
      await settled(`killed at store ${n}`, wait!);
      await checkHealth(world, waiter, offset);
      return died;
    });
    forgive(world);
  },
);

eachKind(
  "Waiting.bury() killed at any store can be done again",
  async (world) => {
    const { offset } = world.words(1);
    const waiter = world.another();
    const younger = world.another();
    await atEachStore(async (n) => {
      const handle = world.arena.invite();
      const dead = fated(new Fate(), () => Arena.attach(handle));
      dead.memory.sleep = () => new Promise(() => {});
      dead.memory.keepAlive = () => {};
      for (const key of [1, 2, 3]) dead.waiting.wait([key], never);

      const own = new Permits(dead, offset);
      dead.waiting.wait([own.key], own.attempt);
      const permits = new Permits(younger, offset);
      const wait = younger.waiting.wait([permits.key], permits.attempt);
      new Permits(world.arena, offset).release();
      const died = suffer(world, n, (victim, arm) => {
        arm(() => victim.bury(dead.me));
      });
      world.arena.bury(dead.me);
      await settled(`killed at store ${n}`, wait);
      await checkHealth(world, waiter, offset);
      return died;
    });
    forgive(world);
  },
);

eachKind(
  "Waiting: a waiter killed after it was notified passes its wake-up on (LESSON-05)",
  async (world) => {
    const { offset, words } = world.words(1);
    const { offset: gateOffset, gate } = world.gate();
    const { offset: doneOffset, gate: done } = world.gate();
    const older = world.start("waiting#waitBlocked", offset, gateOffset);
    await gate.reaches(1, "it waits");
    const younger = world.start("waiting#takeOne", offset, doneOffset, "async");
    await until(() => entriesWaiting(world.arena) === 2, "both wait");
    new Permits(world.arena, offset).release();
    assertEquals(done.value, 0);
    older.kill();
    await older.ended;
    await younger.finished();
    assertEquals(words[0], 0);
  },
);

function entriesWaiting(arena: Arena): number {
  const words = tableOf(arena);
  let count = 0;
  eachEntry(arena, (_, entry) => {
    if (words[entry + at.E_STATE] === at.ENTRY_WAITING) count++;
  });
  return count;
}

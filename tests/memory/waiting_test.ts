/**
 * Waiting as its users see it. Races are forced in `waiting_race_test.ts`, deaths
 * in `waiting_crash_test.ts`.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { checkedTimeout, keyOf, NOT_YET, TIMED_OUT } from "../../memory/mod.ts";
import { Ring, RING_BYTES } from "../../memory/ring.ts";
import type { Arena, WaitOptions } from "../../memory/mod.ts";
import type { Memory } from "../../memory/memory.ts";
import { Waiting } from "../../memory/waiting.ts";
import * as at from "../../memory/layout.ts";
import { until } from "../_support/gate.ts";
import { putNumber, takeNumber } from "./fixtures/messages.ts";
import { Permits } from "./fixtures/permits.ts";
import { eachEntry, eachKind, tableOf } from "./_world.ts";
import type { World } from "./_world.ts";

const never = () => NOT_YET;

/** A semaphore without permits, and this participant's view of it. */
function newPermits(world: World): { offset: number; permits: Permits } {
  const { offset } = world.words(1);
  return { offset, permits: new Permits(world.arena, offset) };
}

/** Takes a permit as another participant of this thread. */
function take(
  arena: Arena,
  offset: number,
  options?: WaitOptions,
): Promise<unknown> {
  const permits = new Permits(arena, offset);
  return arena.waiting.wait([permits.key], permits.attempt, options);
}

/** How many wait entries are in use, or of one participant. */
function entriesInUse(arena: Arena, token?: number): number {
  let count = 0;
  eachEntry(arena, (slot, entry) => {
    if (token !== undefined && slot !== token % at.SLOTS) return;
    if (tableOf(arena)[entry + at.E_STATE] !== at.ENTRY_FREE) count++;
  });
  return count;
}

eachKind(
  "Waiting.wait() attempts at once, and leaves no trace when it succeeds",
  async ({ arena }) => {
    let attempts = 0;
    const result = arena.waiting.wait([1], () => ++attempts);
    assertEquals(attempts, 1);
    assertEquals(arena.waiting.pending, 0);
    assertEquals(await result, 1);
  },
);

eachKind(
  "Waiting.wait() is fulfilled by a wake-up after a change",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const { offset: doneOffset, gate } = world.gate();
    for (const way of ["async", "sync"]) {
      const child = world.start("waiting#takeOne", offset, doneOffset, way);
      await until(
        () => entriesInUse(world.arena, child.token) === 1,
        "it waits",
      );
      permits.release();
      await child.finished();
    }
    assertEquals(gate.value, 2);
    assertEquals(permits.count, 0);
  },
);

eachKind(
  "Waiting.waitSync() is fulfilled by a wake-up after a change",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const COUNT = 100;
    const child = world.start(
      "waiting#releaseToSleeper",
      offset,
      world.arena.me,
      COUNT,
    );
    let slices = 0;
    world.arena.waiting.onSlice(() => slices++);
    for (let i = 0; i < COUNT; i++) {
      const outcome = world.arena.waiting.waitSync(
        [permits.key],
        permits.attempt,
        { timeout: 20_000 },
      );
      assertEquals(outcome, true);
    }
    await child.finished();
    assertEquals(permits.count, 0);
  },
);

eachKind(
  "Waiting.waitSync() calls what onSlice() was given while it blocks",
  ({ arena }) => {
    let slices = 0;
    arena.waiting.onSlice(() => slices++);
    const attempt = () => slices < 3 ? NOT_YET : "seen";
    assertEquals(arena.waiting.waitSync([1], attempt), "seen");
  },
);

for (const timeout of [0, -1, -Infinity]) {
  eachKind(
    `Waiting.wait() with timeout ${timeout} tries once`,
    async ({ arena }) => {
      let attempts = 0;
      const attempt = () => {
        attempts++;
        return NOT_YET;
      };
      assertEquals(
        await arena.waiting.wait([1], attempt, { timeout }),
        TIMED_OUT,
      );
      assertEquals(attempts, 1);
      assertEquals(
        arena.waiting.waitSync([1], attempt, { timeout }),
        TIMED_OUT,
      );
      assertEquals(attempts, 2);
      assertEquals(await arena.waiting.wait([1], () => 7, { timeout }), 7);
    },
  );
}

eachKind(
  "Waiting.wait() gives up when its time runs out, not before",
  async ({ arena }) => {
    for (const way of ["async", "sync"]) {
      const start = performance.now();
      const outcome = way === "sync"
        ? arena.waiting.waitSync([1], never, { timeout: 60 })
        : await arena.waiting.wait([1], never, { timeout: 60 });
      assertEquals(outcome, TIMED_OUT);
      assert(performance.now() - start >= 60);
    }
  },
);

/** Time for others to act, on a busy machine too. */
const BUSY_MS = 500;

eachKind(
  "Waiting.wait() takes what came in time, if its thread was busy until it was late",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const other = world.another();
    const waits = [1, 2].map(() => take(other, offset, { timeout: BUSY_MS }));
    const late = take(other, offset, { timeout: BUSY_MS + 1 });
    await until(
      () => other.participants.load(other.me, at.S_SLEEPING) === 1,
      "it sleeps",
    );
    permits.release();
    permits.release();
    const start = performance.now();
    while (performance.now() - start < BUSY_MS + 10);
    assertEquals(await Promise.all([...waits, late]), [true, true, TIMED_OUT]);
  },
);

eachKind(
  "Waiting.wait() takes timeouts longer than a timer can be",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const timeouts = [2 ** 31, 2 ** 40, Number.MAX_VALUE, Infinity];
    const other = world.another();
    const waits = timeouts.map((timeout) => take(other, offset, { timeout }));
    for (const _ of waits) permits.release();
    assertEquals(await Promise.all(waits), [true, true, true, true]);
  },
);

eachKind("Waiting.wait() refuses what is no timeout", async ({ arena }) => {
  const wrong = [
    [NaN, RangeError, "Cannot wait as 'timeout' must not be NaN"],
    ["1", TypeError, "'timeout' must be a number of milliseconds: it is \"1\""],
    [null, TypeError, "it is null"],
  ] as const;
  for (const [value, type, message] of wrong) {
    const options = { timeout: value as number };
    const attempt = () => {
      throw new Error("It must not be attempted");
    };
    await assertRejects(
      () => arena.waiting.wait([1], attempt, options),
      type,
      message,
    );
    assertThrows(() => arena.waiting.waitSync([1], attempt, options), type);
    assertThrows(() => checkedTimeout(value as number), type);
  }
  assertEquals(checkedTimeout(undefined), Infinity);
});

eachKind(
  "Waiting.wait() rejects with the signal's reason when aborted, before and during",
  async (world) => {
    const { arena } = world;
    const reason = new Error("no longer wanted");
    const before = AbortSignal.abort(reason);
    const attempt = () => {
      throw new Error("It must not be attempted");
    };
    const early = arena.waiting.wait([1], attempt, { signal: before });
    assertEquals(await early.catch((error) => error), reason);
    assertThrows(
      () => arena.waiting.waitSync([1], attempt, { signal: before }),
      Error,
      "no longer wanted",
    );

    const controller = new AbortController();
    const { signal } = controller;
    const waits = [1, 2, 2].map((key) =>
      arena.waiting.wait([key], never, { signal })
    );
    assertEquals(entriesInUse(arena), 2, "one for each key");
    controller.abort(reason);
    assertEquals(entriesInUse(arena), 0);
    for (const wait of waits) {
      assertEquals(await wait.catch((error) => error), reason);
    }
  },
);

eachKind(
  "Waiting.wait() goes on after an attempt has aborted its own signal",
  async (world) => {
    const { offset, permits } = newPermits(world);
    for (const attemptThatAborts of [1, 2, 3]) {
      for (const outcome of [NOT_YET, "taken"] as const) {
        const controller = new AbortController();
        let attempts = 0;
        const attempt = () => {
          if (++attempts < attemptThatAborts) return NOT_YET;
          controller.abort(new Error("by itself"));
          return outcome;
        };
        const wait = world.arena.waiting.wait([permits.key], attempt, {
          signal: controller.signal,
        });
        const settled = wait.catch((error) => error.message);
        if (attemptThatAborts === 3) world.arena.waiting.wake(permits.key);
        const first = attemptThatAborts === 1 && outcome === "taken";
        assertEquals(await settled, first ? "taken" : "by itself");
        assertEquals(world.arena.waiting.pending, 0);
      }
    }
    // And others are still heard.
    const other = world.another();
    const wait = take(world.arena, offset);
    new Permits(other, offset).release();
    assertEquals(await wait, true);
  },
);

eachKind(
  "Waiting.wait() rejects with what an attempt throws",
  async (world) => {
    const { permits } = newPermits(world);
    for (const failing of [1, 2, 3]) {
      let attempts = 0;
      const attempt = () => {
        if (++attempts === failing) throw new Error(`attempt ${failing}`);
        return NOT_YET;
      };
      const wait = world.arena.waiting.wait([permits.key], attempt);
      if (failing === 3) world.arena.waiting.wake(permits.key);
      await assertRejects(() => wait, Error, `attempt ${failing}`);
    }
  },
);

for (const start of [0, 2 ** 31 - 3, 2 ** 32 - 3]) {
  eachKind(
    `Waiting.wake() fairness: the oldest first, tickets from ${start}`,
    async (world) => {
      tableOf(world.arena)[at.H_TICKET] = start;
      const { offset, permits } = newPermits(world);
      const order = [3, 0, 4, 1, 2]; // not that of their slots
      const others = order.map(() => world.another());
      const done: number[] = [];
      const waits = order.map((i) =>
        take(others[i]!, offset).then(() => done.push(i))
      );
      for (let i = 0; i < order.length; i++) {
        permits.release();
        await until(() => done.length === i + 1, `waiter ${order[i]}`);
      }
      await Promise.all(waits);
      assertEquals(done, order);
    },
  );
}

eachKind(
  "Waiting.wake() with a count wakes so many, without one all",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const others = Array.from({ length: 6 }, () => world.another());
    const views = others.map((other) => new Permits(other, offset));
    const waits = others.map((other, i) =>
      other.waiting.wait([permits.key], views[i]!.attempt)
    );
    const attempts = () => views.filter((view) => view.attempts > 2).length;
    assertEquals(attempts(), 0, "two each: before and after the entry");
    world.arena.waiting.wake(permits.key, 2);
    await until(() => attempts() === 2, "two attempts");
    world.arena.waiting.wake(permits.key);
    const sum = () => views.reduce((sum, { attempts }) => sum + attempts, 0);
    await until(() => sum() === 6 * 3 + 2, "six more attempts");
    assertEquals(views.map((view) => view.attempts), [4, 4, 3, 3, 3, 3]);
    for (const _ of others) permits.release();
    await Promise.all(waits);
  },
);

eachKind(
  "Waiting.wake() of one participant leaves the notes of others as they are",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const others = Array.from({ length: 3 }, () => world.another());
    const views = others.map((other) => new Permits(other, offset));
    const waits = others.map((other, i) =>
      other.waiting.wait([permits.key], views[i]!.attempt)
    );
    world.arena.waiting.wake(permits.key, 1, others[1]!.me);
    await until(() => views[1]!.attempts === 3, "it attempts again");
    assertEquals(views.map((view) => view.attempts), [2, 3, 2]);
    // It has a note still, and so have the others.
    assertEquals(entriesInUse(world.arena), 3);
    for (const _ of others) permits.release();
    await Promise.all(waits);
  },
);

eachKind("Waiting.wake() of another key attempts nothing", async (world) => {
  const { offset, permits } = newPermits(world);
  const other = world.another();
  const view = new Permits(other, offset);
  const wait = other.waiting.wait([permits.key], view.attempt);
  // The same bucket (see `waiting.ts`), and so not told apart by it.
  const bucket = (key: number) => Math.imul(key, 0x9e37_79b1) >>> 20;
  let twin = permits.key + 1;
  while (bucket(twin) !== bucket(permits.key)) twin++;
  world.arena.waiting.wake(twin);
  world.arena.waiting.wake(permits.key + 1);
  permits.release();
  assertEquals(await wait, true);
  assertEquals(view.attempts, 3);
});

eachKind(
  "Waiting.wakeEverybody() makes all look again, whatever they wait for",
  async (world) => {
    const others = [world.another(), world.another(), world.arena];
    let isOpen = false;
    const waits = others.flatMap((other) =>
      [1, 2, 3].map((key) =>
        other.waiting.wait([key], () => isOpen ? true : NOT_YET)
      )
    );
    isOpen = true;
    world.arena.waiting.wakeEverybody();
    await Promise.all(waits);
  },
);

eachKind(
  "Waiting.wait() with exclusive makes one attempt for those behind it",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const views = [1, 2, 3].map(() => new Permits(world.arena, offset));
    const waits = views.map((view) =>
      world.arena.waiting.wait([permits.key], view.attempt, {}, {
        isExclusive: true,
      })
    );
    assertEquals(views.map((view) => view.attempts), [2, 2, 2]);
    world.arena.waiting.wake(permits.key, 1);
    await until(() => views[0]!.attempts === 3, "an attempt");
    assertEquals(views.map((view) => view.attempts), [3, 2, 2]);
    for (const _ of views) permits.release();
    await Promise.all(waits);
    assertEquals(permits.count, 0);
  },
);

eachKind("Waiting.wait() on several keys is woken by each", async (world) => {
  const keys = [10, 20, 30];
  const other = world.another();
  for (const key of keys) {
    let isOpen = false;
    const wait = other.waiting.wait(
      [...keys, keys[0]!],
      () => isOpen ? key : NOT_YET,
    );
    isOpen = true;
    world.arena.waiting.wake(key, 1);
    assertEquals(await wait, key);
  }
});

/** More than a participant has entries for. */
const MANY = 150;

eachKind(
  "Waiting.wait() on more keys than there are entries is woken by each",
  async (world) => {
    assert(MANY > at.ENTRIES);
    const { offset } = world.words(4 * MANY);
    const other = world.another();
    const all = Array.from({ length: MANY }, (_, i) => offset + 16 * i);
    const waits = all.map((offset) => take(other, offset));
    assertEquals(tableOf(world.arena)[at.H_OVERFLOWING], 1);
    const done: number[] = [];
    waits.forEach((wait, i) => wait.then(() => done.push(i)));
    // The last first, so that those without an entry stay the longest.
    const order = all.map((_, i) => (i * 7) % MANY);
    for (const i of order) {
      new Permits(world.arena, all[i]!).release();
      await until(() => done.at(-1) === i, `wait ${i}`);
    }
    await Promise.all(waits);
    assertEquals(done, order);
  },
);

eachKind(
  "Waiting.waitSync() without a free entry is woken all the same",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const controller = new AbortController();
    const { signal } = controller;
    const pending = Array.from(
      { length: at.ENTRIES },
      (_, i) => world.arena.waiting.wait([i + 1], never, { signal }),
    );
    const child = world.start(
      "waiting#releaseToSleeper",
      offset,
      world.arena.me,
      1,
    );
    const outcome = world.arena.waiting.waitSync(
      [permits.key],
      permits.attempt,
    );
    assertEquals(outcome, true);
    controller.abort(new Error("over"));
    assertEquals((await Promise.allSettled(pending)).length, at.ENTRIES);
    await child.finished();
  },
);

eachKind(
  "Ring.tryTake() in vain, in overflow, does not keep its own participant busy",
  async (world) => {
    const { arena } = world;
    const other = world.another();
    const offsets = Array.from(
      { length: MANY },
      () => arena.heap.allocate(RING_BYTES),
    );
    let attempts = 0;
    const waits = offsets.map((offset) => {
      const ring = new Ring(other, offset);
      return other.waiting.wait([ring.itemsKey], () => {
        // It would ring itself in microtasks, and no timer would be heard.
        if (++attempts > MANY ** 3) throw new Error("It keeps itself busy");
        return takeNumber(ring) ?? NOT_YET;
      });
    });
    for (const [i, wait] of waits.entries()) {
      assert(putNumber(new Ring(arena, offsets[i]!), i));
      assertEquals(await wait, i);
      await new Promise((resolve) => setTimeout(resolve));
    }
    for (const offset of offsets) new Ring(arena, offset).free();
  },
);

/** Waits at once, more than Deno has threads for blocking calls. */
const PENDING = 500;
const READS = 100;

eachKind(
  "Waiting.wait() makes one blocking call at most, however many wait",
  async (world) => {
    const { offset } = world.words(4 * PENDING);
    const other = world.another();
    const { memory } = other;
    const sleep = memory.sleep.bind(memory);
    let sleeping = 0;
    let most = 0;
    memory.sleep = async (...args) => {
      most = Math.max(most, ++sleeping);
      await sleep(...args);
      sleeping--;
    };
    const all = Array.from({ length: PENDING }, (_, i) => offset + 16 * i);
    const waits = all.map((offset) => take(other, offset));
    // The turn of the event loop before the first sleep can be a long one: Deno
    // may finish all of the reads in it.
    await until(() => sleeping > 0, "the call is made");
    for (let i = 0; i < READS; i++) {
      assert((await Deno.readTextFile(new URL(import.meta.url))).length > 0);
    }
    assertEquals(sleeping, 1);
    for (const offset of all) new Permits(world.arena, offset).release();
    await Promise.all(waits);
    assertEquals(most, 1);
    await until(() => sleeping === 0, "the call has ended");
  },
);

eachKind(
  "Waiting.waitSync() gets what was offered to an older wait of its own thread",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const older = take(world.arena, offset);
    const child = world.start(
      "waiting#releaseToSleeper",
      offset,
      world.arena.me,
      1,
    );
    const start = performance.now();
    const outcome = world.arena.waiting.waitSync(
      [permits.key],
      permits.attempt,
      {
        timeout: 20_000,
      },
    );
    assertEquals(outcome, true);
    assert(performance.now() - start < 20_000);
    await child.finished();
    assertEquals(world.arena.waiting.pending, 1);
    permits.release();
    assertEquals(await older, true);
  },
);

eachKind(
  "Waiting.waitSync() leaves other waits of its thread what it heard of them",
  async (world) => {
    const { permits, offset } = newPermits(world);
    const { offset: otherOffset } = newPermits(world);
    const older = take(world.arena, otherOffset);
    const other = world.another();
    // The ring for the older wait comes while this thread blocks for something
    // else, and must not be forgotten.
    const outcome = world.arena.waiting.waitSync([permits.key], () => {
      if (entriesInUse(world.arena) < 2) return NOT_YET;
      new Permits(other, otherOffset).release();
      return "heard";
    });
    assertEquals(outcome, "heard");
    assertEquals(await older, true);
    assertEquals(new Permits(world.arena, offset).count, 0);
  },
);

eachKind(
  "Waiting.waitSync() lets others have what its own event loop was woken for",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const { offset: doneOffset, gate } = world.gate();
    const older = take(world.arena, offset);
    const child = world.start("waiting#takeOne", offset, doneOffset, "async");
    await until(
      () => entriesInUse(world.arena, child.token) === 1,
      "the child waits",
    );
    permits.release();
    const outcome = world.arena.waiting.waitSync(
      [1],
      () => gate.value === 1 ? true : NOT_YET,
      { timeout: 20_000 },
    );
    assertEquals(outcome, true);
    await child.finished();
    // And it is still in line itself.
    permits.release();
    assertEquals(await older, true);
  },
);

eachKind(
  "Waiting.wait() with looksAgain takes what a busy one was woken for",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const { offset: gateOffset, gate } = world.gate();
    const child = world.start("waiting#waitBlocked", offset, gateOffset);
    await gate.reaches(1, "the child is busy");
    const view = new Permits(world.another(), offset);
    // Without a time limit, at which it would look in any case.
    const wait = (looksAgain: boolean) =>
      world.arena.waiting.wait([permits.key], permits.attempt, {}, {
        looksAgain,
      });
    const looking = wait(true);
    view.release();
    assertEquals(await looking, true);
    assertEquals(permits.count, 0);
    // Nothing is left of that: others do not look.
    const { attempts } = permits;
    const asleep = wait(false);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assertEquals(permits.attempts, attempts + 2);
    view.release();
    child.kill(); // what it was given is passed on now
    await child.ended;
    assertEquals(await asleep, true);
  },
);

eachKind(
  "Waiting.wait() is over in time though all threads for blocking calls are taken",
  async (world) => {
    const other = world.another();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { sleep } = other.memory;
    // Stands for a call that has not begun.
    other.memory.sleep = async (...args) => {
      await promise;
      await sleep.apply(other.memory, args);
    };
    const outcome = await other.waiting.wait([1], never, { timeout: 20 });
    assertEquals(outcome, TIMED_OUT);
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = other.waiting.wait([1], never, { signal });
    controller.abort(new Error("not needed"));
    await assertRejects(() => aborted, Error, "not needed");
    // It begins, sees that the bell has rung, and is over.
    resolve();
    await until(
      () => other.participants.load(other.me, at.S_SLEEPING) === 0,
      "the call has ended",
    );
    assertEquals(other.waiting.pending, 0);
  },
);

/** Each round of the second kind goes through two event loops. */
const ROUNDS = { sync: 20_000, async: 10_000, eager: 10_000 };

for (const way of ["sync", "async", "eager"] as const) {
  eachKind(
    `Waiting ping-pong: ${ROUNDS[way]} rounds between two participants, ${way}`,
    async (world) => {
      const { offset, words } = world.words(8);
      const child = world.start("waiting#pong", offset, ROUNDS[way], way);
      const { waiting } = world.arena;
      if (way === "eager") waiting.beEager(true);
      const [pingKey, pongKey] = [keyOf(offset), keyOf(offset + 16)];
      for (let round = 1; round <= ROUNDS[way]; round++) {
        Atomics.store(words, 0, round);
        waiting.wake(pingKey, 1);
        const attempt = () => Atomics.load(words, 1) >= round ? true : NOT_YET;
        if (way === "sync") waiting.waitSync([pongKey], attempt);
        else await waiting.wait([pongKey], attempt);
      }
      await child.finished();
    },
  );
}

eachKind(
  "Waiting.wait() ends without holding its program back",
  async (world) => {
    const { offset } = newPermits(world);
    await world.start("waiting#waitInVain", offset).finished();
  },
);

/** Wake-ups by sleeping, after which an eager one turns for nothing no more. */
const SLEEPS = 9;

eachKind(
  "Waiting.wait() of an eager one rejects if it is aborted as the one before it ends",
  async (world) => {
    const other = world.another();
    const { waiting } = other;
    waiting.beEager(true);
    const controller = new AbortController();
    const { signal } = controller;
    const last = waiting.wait([1], never, { signal });
    const aborted = assertRejects(() => last, Error, "not needed");
    let isOpen = false;
    const first = waiting.wait([2], () => {
      if (!isOpen) return NOT_YET;
      // Between the look that finds one more wait and the sleep.
      queueMicrotask(() => controller.abort(new Error("not needed")));
      return true;
    });
    const sleeps = () =>
      until(
        () => other.participants.load(other.me, at.S_SLEEPING) === 1,
        "it sleeps",
      );
    for (let i = 0; i < SLEEPS; i++) {
      await sleeps();
      world.arena.waiting.wake(2);
      await new Promise((resolve) => setTimeout(resolve));
    }
    await sleeps();
    isOpen = true;
    world.arena.waiting.wake(2);
    assertEquals(await first, true);
    await aborted;
    waiting.beEager(false);
  },
);

/** Long enough for a program that nothing keeps alive to end. */
const IDLE_MS = 300;

eachKind(
  "Waiting.wait() keeps its participant alive as long as it lasts",
  async (world) => {
    const { offset, permits } = newPermits(world);
    const { offset: doneOffset, gate } = world.gate();
    const child = world.startFrail(
      "waiting#takeOne",
      offset,
      doneOffset,
      "async",
    );
    await until(
      () => world.arena.participants.load(child.token, at.S_SLEEPING) === 1,
      "it sleeps",
    );
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    assertEquals(world.children.size, 1, "it has ended");
    permits.release();
    await child.finished();
    assertEquals(gate.value, 1);
  },
);

eachKind(
  "Waiting.waitSync() need not sleep because it once had to, where a wake is slow",
  ({ arena }) => {
    /** How often one looks until the other side has woken up and answered. */
    const SLOW_WAKE = 12;
    const NEVER = Infinity;
    let [answersAfter, hasAnswered, looks, sleeps] = [SLOW_WAKE, false, 0, 0];
    const memory = {
      own: () => {},
      look: () => hasAnswered = ++looks >= answersAfter,
      sleepSync: () => {
        sleeps++;
        hasAnswered = true;
      },
    } as unknown as Memory;
    const { participants, me } = arena;
    const waiting = new Waiting(tableOf(arena), memory, participants, me);
    const ask = () => {
      [looks, hasAnswered] = [0, false];
      waiting.waitSync([1], () => hasAnswered || NOT_YET);
    };
    const sleepsOf = (asks: number) => {
      sleeps = 0;
      for (let i = 0; i < asks; i++) ask();
      return sleeps;
    };
    assertEquals(sleepsOf(10), 0);
    answersAfter = NEVER;
    assertEquals(sleepsOf(1), 1, "something has come in between");
    answersAfter = SLOW_WAKE;
    assert(sleepsOf(100) <= 20);
    assertEquals(sleepsOf(10), 0, "it is as before");
    // On a processor that both share it hardly looks at all.
    answersAfter = NEVER;
    let all = 0;
    for (let i = 0; i < 1000; i++) {
      ask();
      all += looks;
    }
    assert(all < 1000, `${all} looks before 1000 sleeps`);
    // Nor is it slow for ever after that.
    answersAfter = SLOW_WAKE;
    sleepsOf(100);
    assertEquals(sleepsOf(100), 0);
  },
);

for (const kind of ["worker", "spawn"]) {
  Deno.test(`Waiting.wait() lets its program go when it is over (${kind})`, async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--no-config",
        "--allow-all",
        new URL("./fixtures/alone.ts", import.meta.url).href,
        kind,
      ],
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals(text(stderr), "");
    assertEquals(text(stdout), "woken\nleft alone\n");
    assertEquals(code, 0);
  });
}

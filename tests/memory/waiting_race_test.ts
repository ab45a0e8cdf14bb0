/**
 * The races of waiting, forced: one participant acts at every access to memory
 * that another one makes, so that the change and the wake-up fall once between
 * any two steps of the table in `waiting.ts`.
 *
 * ```
 *     waiter                              |  waker
 *  1  attempt: not yet                    |
 *  2  bucket += 1; entry := WAITING       |  a  change what is waited for
 *  3  attempt: not yet                    |  b  bucket > 0? else done
 *  4  seen := bell; any entry notified?   |  c  entry: WAITING -> NOTIFIED
 *  5  sleep while bell = seen             |  d  bell += 1; wake the sleeper
 * ```
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Arena, NOT_YET, TIMED_OUT } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { slotOf, slotWord } from "../../memory/participants.ts";
import { until } from "../_support/gate.ts";
import { Fate, fated } from "./fixtures/fate.ts";
import { Permits } from "./fixtures/permits.ts";
import { assertQuiet, eachKind, tableOf } from "./_world.ts";
import type { Attempt } from "../../memory/mod.ts";
import type { World } from "./_world.ts";

/** More accesses than any operation makes. */
const ENOUGH = 400;
const never: Attempt<true> = () => NOT_YET;

/** A participant whose accesses can be interrupted. */
function slow(world: World): { arena: Arena; fate: Fate } {
  const fate = new Fate();
  const handle = world.arena.invite();
  const arena = world.adopt(fated(fate, () => Arena.attach(handle)));
  return { arena, fate };
}

/** Has a participant hear of nothing but the end of its own last wait. */
function deafen({ memory, me }: Arena): void {
  const bell = slotWord(slotOf(me)) + at.S_BELL;
  const wake = memory.wake.bind(memory);
  let end = () => {};
  memory.sleep = () => new Promise((resolve) => end = resolve);
  memory.wake = (words, index) => index === bell ? end() : wake(words, index);
}

/** Fails loudly instead of waiting for ever. */
async function settled(what: string, waits: Promise<unknown>[]): Promise<void> {
  let left = waits.length;
  for (const wait of waits) wait.catch(() => {}).then(() => left--);
  await until(() => left === 0, `lost: ${what}`);
}

/** Runs a case for the first access, the second … until there are no more. */
async function atEachAccess(
  run: (n: number) => boolean | Promise<boolean>,
): Promise<void> {
  for (let n = 1; n < ENOUGH; n++) {
    if (!await run(n)) {
      assert(n > 3, "nothing was interrupted");
      return;
    }
  }
  throw new Error("It never comes to an end");
}

/** Occupies all entries of a participant. */
function fill({ waiting }: Arena): () => Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const waits = Array.from(
    { length: at.ENTRIES },
    (_, i) => waiting.wait([i + 1], never, { signal }),
  );
  return async () => {
    controller.abort(new Error("over"));
    await Promise.allSettled(waits);
  };
}

for (
  const place of [
    "in an entry",
    "in overflow",
    "eager",
    "looked for in one slot",
  ]
) {
  eachKind(
    `Waiting.wait() hears of a change between any two of its steps, ${place}`,
    async (world) => {
      // 1 | a b | 2 3, then 1 2 | a b c d | 3, then 1 2 3 | a b c d | 4 5 …: the whole
      // of the waker's side, at each access of the waiter's.
      const { offset } = world.words(1);
      const { arena, fate } = slow(world);
      const empty = place === "in overflow" ? fill(arena) : undefined;
      if (place === "eager") arena.waiting.beEager(true);
      const waker = new Permits(world.arena, offset);
      if (place === "looked for in one slot") waker.only = arena.me;
      const waiter = new Permits(arena, offset);
      await atEachAccess(async (n) => {
        let wait: Promise<unknown>;
        const hasActed = fate.at(n, "any", () => waker.release(), () => {
          wait = arena.waiting.wait([waiter.key], waiter.attempt);
        });
        if (!hasActed) waker.release();
        await settled(`released at access ${n}`, [wait!]);
        assertEquals(await wait!, true);
        assertEquals(waker.count, 0);
        return hasActed;
      });
      await empty?.();
    },
  );

  eachKind(
    `Waiting.wait() hears of a change while it looks up for nothing, ${place}`,
    async (world) => {
      // … 5 | a' b' c' d' | 4 | a b c d | 5: the second wake-up falls into the steps
      // with which the waiter answers the first, in vain.
      const { offset } = world.words(1);
      const { arena, fate } = slow(world);
      const empty = place === "in overflow" ? fill(arena) : undefined;
      if (place === "eager") arena.waiting.beEager(true);
      const waker = new Permits(world.arena, offset);
      if (place === "looked for in one slot") waker.only = arena.me;
      const waiter = new Permits(arena, offset);
      await atEachAccess(async (n) => {
        const wait = arena.waiting.wait([waiter.key], waiter.attempt);
        // One step of the event loop, and it sleeps.
        await new Promise((resolve) => setTimeout(resolve));
        const attempts = waiter.attempts;
        const hasActed = fate.arm(n, "any", () => waker.release());
        world.arena.waiting.wake(waiter.key, 1);
        await until(
          () => hasActed() || waiter.attempts > attempts,
          "it looks up",
        );
        await until(
          () =>
            hasActed() || arena.participants.load(arena.me, at.S_SLEEPING) > 0,
          "it sleeps again",
        );
        const acted = hasActed();
        fate.disarm();
        if (!acted) waker.release();
        await settled(`released at access ${n}`, [wait]);
        assertEquals(waker.count, 0);
        return acted;
      });
      await empty?.();
    },
  );

  eachKind(
    `Waiting.waitSync() does not sleep after a change between any two of its steps, ${place}`,
    async (world) => {
      const { offset } = world.words(1);
      const { arena, fate } = slow(world);
      const empty = place === "in overflow" ? fill(arena) : undefined;
      if (place === "eager") arena.waiting.beEager(true);
      const waker = new Permits(world.arena, offset);
      if (place === "looked for in one slot") waker.only = arena.me;
      const waiter = new Permits(arena, offset);
      const table = tableOf(world.arena);
      await atEachAccess((n) => {
        let hasReleased = false;
        const release = () => {
          if (hasReleased) return;
          hasReleased = true;
          waker.release();
        };
        // It would be woken by its own looking up, sooner or later; so see whether
        // it would have slept at all.
        arena.memory.sleepSync = (_, index, expected) => {
          if (Atomics.load(table, index) !== expected) return;
          if (hasReleased) {
            throw new Error(`It sleeps, released at access ${n}`);
          }
          release();
        };
        const acted = fate.at(n, "any", release, () => {
          const { waiting } = arena;
          assertEquals(waiting.waitSync([waiter.key], waiter.attempt), true);
        });
        assertEquals(waker.count, 0);
        return acted;
      });
      await empty?.();
    },
  );

  eachKind(
    `Waiting.wake() reaches who begins to wait between any two of its steps, ${place}`,
    async (world) => {
      // a | 1 | b, a b | 1 2 3 | c …: the whole of the waiter's side up to its sleep,
      // at each access of the waker's.
      const { offset } = world.words(1);
      const { arena, fate } = slow(world);
      const other = world.another();
      const empty = place === "in overflow" ? fill(other) : undefined;
      if (place === "eager") other.waiting.beEager(true);
      const waker = new Permits(arena, offset);
      if (place === "looked for in one slot") waker.only = other.me;
      const waiter = new Permits(other, offset);
      await atEachAccess(async (n) => {
        let wait: Promise<unknown> | undefined;
        const begin = () => {
          wait = other.waiting.wait([waiter.key], waiter.attempt);
        };
        const hasActed = fate.at(n, "any", begin, () => waker.release());
        if (!hasActed) begin();
        await settled(`began at access ${n}`, [wait!]);
        assertEquals(waker.count, 0);
        return hasActed;
      });
      await empty?.();
    },
  );
}

for (const end of ["abort", "timeout"]) {
  eachKind(
    `Waiting.wait() ended by ${end} passes on a wake-up that comes between any two of its steps`,
    async (world) => {
      const { offset } = world.words(1);
      const { arena, fate } = slow(world);
      const other = world.another();
      const waker = new Permits(world.arena, offset);
      const first = new Permits(arena, offset);
      const second = new Permits(other, offset);
      deafen(arena);
      await atEachAccess(async (n) => {
        const controller = new AbortController();
        let isOver: boolean;
        let older: Promise<unknown>;
        let timeout = 20;
        do {
          isOver = false;
          const limit = end === "abort"
            ? { signal: controller.signal }
            : { timeout };
          older = arena.waiting.wait([first.key], first.attempt, limit);
          older.catch(() => {}).then(() => isOver = true);
          await until(
            () =>
              isOver ||
              arena.participants.load(arena.me, at.S_SLEEPING) === 1,
            "it sleeps",
          );
          timeout *= 2; // if the machine was slower than that
        } while (isOver);
        const younger = other.waiting.wait([second.key], second.attempt);
        let acted: boolean;
        if (end === "abort") {
          acted = fate.at(n, "any", () => waker.release(), () => {
            controller.abort(new Error("given up"));
          });
          await assertRejects(() => older, Error, "given up");
        } else {
          const hasActed = fate.arm(n, "any", () => waker.release());
          const outcome = await older;
          acted = hasActed();
          fate.disarm();
          // In its last attempt it may get what came: then it owes nothing.
          if (outcome !== TIMED_OUT) waker.release();
        }
        if (!acted) waker.release();
        await settled(`released at access ${n}`, [younger]);
        assertEquals(waker.count, 0);
        return acted;
      });
    },
  );
}

eachKind(
  "Waiting.wait() takes no wake-up for what its entry was for before",
  async (world) => {
    const { offset } = world.words(1);
    const { offset: elsewhere } = world.words(1);
    const { arena, fate } = slow(world);
    const other = world.another();
    const waker = new Permits(world.arena, offset);
    const [first, second] = [arena, other].map((of) => new Permits(of, offset));
    const idle = new Permits(arena, elsewhere);
    await atEachAccess(async (n) => {
      // Leaves an entry with the key, and a ticket older than that of the waiter.
      const { waiting } = arena;
      await waiting.wait([first!.key], first!.attempt, { timeout: 1 });
      const wait = other.waiting.wait([second!.key], second!.attempt);
      const controller = new AbortController();
      const { signal } = controller;
      let begun: Promise<unknown>;
      const acted = fate.at(n, "any", () => waker.release(), () => {
        begun = waiting.wait([idle.key], never, { signal });
      });
      if (!acted) waker.release();
      await settled(`released at access ${n}`, [wait]);
      assertEquals(waker.count, 0);
      controller.abort(new Error("enough"));
      await assertRejects(() => begun, Error, "enough");
      return acted;
    });
  },
);

eachKind(
  "Waiting.wake() finds another waiter when the oldest gives up between any two of its steps",
  async (world) => {
    const { offset } = world.words(1);
    const { arena, fate } = slow(world);
    const others = [world.another(), world.another()];
    const waker = new Permits(arena, offset);
    await atEachAccess(async (n) => {
      const controller = new AbortController();
      const waits = others.map((other, i) => {
        const permits = new Permits(other, offset);
        const options = i === 0 ? { signal: controller.signal } : {};
        return other.waiting.wait([permits.key], permits.attempt, options);
      });
      waits[0]!.catch(() => {});
      const hasActed = fate.at(
        n,
        "any",
        () => controller.abort(),
        () => waker.release(),
      );
      if (!hasActed) {
        // It has been given to the oldest; the next one is for the other.
        await settled("the oldest", [waits[0]!]);
        waker.release();
      }
      await settled(`given up at access ${n}`, waits);
      assertEquals(waker.count, 0);
      return hasActed;
    });
  },
);

eachKind(
  "Waiting.wake() is not taken in by an entry that changes hands between its steps",
  async (world) => {
    // The oldest is chosen; before access n its entry comes to stand for another
    // key, and before access m > n for the first key again, with a younger wait
    // that cannot use the permit. The waker may have hit either, and must not
    // take that for success: the steady one is the oldest now.
    const { offset } = world.words(1);
    const { arena, fate } = slow(world);
    const [changing, steady] = [world.another(), world.another()];
    const waker = new Permits(arena, offset);
    const otherKey = waker.key + 12_345;
    let pairs = 0;
    for (let n = 1; n < ENOUGH; n++) {
      let nHasActed = false;
      await atEachAccess(async (gap) => {
        pairs++;
        const mine = new Permits(changing, offset);
        const theirs = new Permits(steady, offset);
        const begin = (key: number, attempt: Attempt<true>) => {
          const controller = new AbortController();
          const { signal } = controller;
          const wait = changing.waiting.wait([key], attempt, { signal });
          wait.catch(() => {});
          return { wait, controller };
        };
        let current = begin(mine.key, mine.attempt);
        const younger = steady.waiting.wait([theirs.key], theirs.attempt);
        const change = (key: number, attempt: Attempt<true>) => {
          current.controller.abort();
          current = begin(key, attempt);
        };
        const first = fate.arm(n, "any", () => change(otherKey, never));
        const outer = fate.before;
        const second = fate.arm(
          n + gap,
          "any",
          () => change(mine.key, never),
        );
        const inner = fate.before;
        fate.before = (access) => {
          outer(access);
          inner(access);
        };
        waker.release();
        fate.disarm();
        nHasActed = first();
        let isDone = false;
        const done = () => isDone = true;
        younger.then(done);
        current.wait.then(done, () => {});
        await until(() => isDone, `lost: changed at ${n} and ${n + gap}`);
        assertEquals(waker.count, 0);
        // Leave nobody behind.
        current.controller.abort();
        waker.release();
        await settled("the other", [younger]);
        if (waker.count > 0) assertEquals(waker.tryTake(), true);
        return second() || gap < 4;
      });
      if (!nHasActed) break;
    }
    assert(pairs > 50, "nothing was interrupted");
  },
);

eachKind(
  "Waiting.wake() of one participant reaches its wait in whatever entry, changed between any two of its steps",
  async (world) => {
    const { offset } = world.words(1);
    const { arena, fate } = slow(world);
    const other = world.another();
    const waker = new Permits(arena, offset);
    waker.only = other.me;
    const waiter = new Permits(other, offset);
    await atEachAccess(async (n) => {
      const [first, others] = [new AbortController(), new AbortController()];
      const begin = (key: number, { signal }: AbortController) =>
        other.waiting.wait([key], never, { signal }).catch(() => {});
      begin(waiter.key, first);
      let wait: Promise<unknown>;
      const change = () => {
        first.abort();
        // This one gets its entry, and the one that can use the permit another.
        begin(waiter.key + 12_345, others);
        wait = other.waiting.wait([waiter.key], waiter.attempt);
      };
      const hasActed = fate.at(n, "any", change, () => waker.release());
      if (!hasActed) change();
      await settled(`changed at access ${n}`, [wait!]);
      assertEquals(waker.count, 0);
      others.abort();
      return hasActed;
    });
  },
);

eachKind("Waiting.wake() by two at once wakes two", async (world) => {
  const { offset } = world.words(1);
  const { arena, fate } = slow(world);
  const others = [world.another(), world.another()];
  const [slowWaker, fastWaker] = [
    new Permits(arena, offset),
    new Permits(world.arena, offset),
  ];
  await atEachAccess(async (n) => {
    const waits = others.map((other) => {
      const permits = new Permits(other, offset);
      return other.waiting.wait([permits.key], permits.attempt);
    });
    const hasActed = fate.at(
      n,
      "any",
      () => fastWaker.release(),
      () => slowWaker.release(),
    );
    if (!hasActed) fastWaker.release();
    await settled(`the second at access ${n}`, waits);
    assertEquals(fastWaker.count, 0);
    return hasActed;
  });
});

eachKind(
  "Waiting.wait() on several keys passes on a wake-up that it did not need",
  async (world) => {
    // 1  the older waits for two keys, the younger for the first of them
    // 2  a permit of the first key: the older is notified
    // 3  before it looks, a permit of the second: the older takes that one
    // 4  the younger has to be told of the first, or nobody takes it
    for (const way of ["async", "sync"]) {
      const offsets = [world.words(1).offset, world.words(1).offset] as const;
      const [older, younger] = [world.another(), world.another()];
      const views = offsets.map((offset) => new Permits(older, offset));
      const wakers = offsets.map((offset) => new Permits(world.arena, offset));
      const keys = views.map(({ key }) => key);
      let isTold = false;
      const attempt = () => isTold && views[1]!.tryTake() ? "second" : NOT_YET;
      const begin = () => {
        const permits = new Permits(younger, offsets[0]);
        return younger.waiting.wait([permits.key], permits.attempt);
      };
      const act = () => {
        isTold = true;
        wakers[0]!.release();
        wakers[1]!.release();
      };
      let wait: Promise<unknown>;
      if (way === "async") {
        const first = older.waiting.wait(keys, attempt);
        wait = begin();
        act();
        assertEquals(await first, "second");
      } else {
        older.memory.sleepSync = () => {
          if (isTold) return;
          wait = begin();
          act();
        };
        assertEquals(older.waiting.waitSync(keys, attempt), "second");
      }
      await settled("the first key", [wait!]);
    }
  },
);

eachKind(
  "Waiting.wait() passes a wake-up on when its attempt throws",
  async (world) => {
    for (const way of ["async", "sync"]) {
      const { offset } = world.words(1);
      const [older, younger] = [world.another(), world.another()];
      const waker = new Permits(world.arena, offset);
      let isTold = false;
      const attempt = () => {
        if (isTold) throw new Error("broken");
        return NOT_YET;
      };
      let wait: Promise<unknown>;
      const act = () => {
        const permits = new Permits(younger, offset);
        wait = younger.waiting.wait([permits.key], permits.attempt);
        isTold = true;
        waker.release();
      };
      if (way === "async") {
        const first = older.waiting.wait([waker.key], attempt);
        act();
        await assertRejects(() => first, Error, "broken");
      } else {
        older.memory.sleepSync = act;
        await assertRejects(
          async () => await older.waiting.waitSync([waker.key], attempt),
          Error,
          "broken",
        );
      }
      await settled("the younger", [wait!]);
      assertEquals(waker.count, 0);
    }
  },
);

eachKind(
  "Waiting.wait() is woken though its entry was another's when the bell was heard",
  async (world) => {
    // 1  all look up; the first one's attempt ends the second wait
    // 2  it begins a third, which gets the entry of the second, and is notified
    // 3  the second is over: looking it up would take the third's wake-up away
    const { offset } = world.words(1);
    const other = world.another();
    const waker = new Permits(world.arena, offset);
    const permits = new Permits(other, offset);
    const controller = new AbortController();
    let third: Promise<unknown>;
    let isTold = false;
    const attempt = () => {
      if (!isTold) return NOT_YET;
      controller.abort();
      third = other.waiting.wait([permits.key], permits.attempt);
      waker.release();
      return true;
    };
    const first = other.waiting.wait([1], attempt);
    const { signal } = controller;
    const second = other.waiting.wait([2], never, { signal });
    second.catch(() => {});
    isTold = true;
    world.arena.waiting.wake(1);
    await settled("the first two", [first, second]);
    await settled("the third", [third!]);
    assertEquals(waker.count, 0);
  },
);

eachKind(
  "Waiting.waitSync() is rung again after a wake-up in vain",
  (world) => {
    // 1  notified, but overtaken: the attempt fails, and it sleeps again
    // 2  notified once more: its bell must have been rung, or it sleeps on
    const { offset } = world.words(1);
    const other = world.another();
    const waker = new Permits(world.arena, offset);
    const waiter = new Permits(other, offset);
    let sleeps = 0;
    other.memory.sleepSync = (words, index, expected) => {
      waker.release();
      assert(
        Atomics.load(words, index) !== expected,
        `its bell is not rung in sleep ${sleeps}`,
      );
      if (++sleeps < 5) assert(waker.tryTake());
    };
    const outcome = other.waiting.waitSync([waiter.key], waiter.attempt);
    assertEquals(outcome, true);
    assertEquals(sleeps, 5);
  },
);

eachKind(
  "Waiting.wait() in overflow by two is counted for each",
  async (world) => {
    // Comes and goes at each access of the other's coming and going.
    const { offset } = world.words(1);
    const { arena, fate } = slow(world);
    const other = world.another();
    const emptyFirst = fill(arena);
    const emptySecond = fill(other);
    const waker = new Permits(world.arena, offset);
    const waiter = new Permits(other, offset);
    await atEachAccess(async (n) => {
      const controller = new AbortController();
      let wait: Promise<unknown> | undefined;
      const hasActed = fate.at(n, "any", () => {
        wait = other.waiting.wait([waiter.key], waiter.attempt);
      }, () => {
        const { signal } = controller;
        arena.waiting.wait([1000], never, { signal }).catch(() => {});
        controller.abort();
      });
      if (!hasActed) return false;
      assertEquals(tableOf(world.arena)[at.H_OVERFLOWING], 1);
      waker.release();
      await settled(`came at access ${n}`, [wait!]);
      assertEquals(tableOf(world.arena)[at.H_OVERFLOWING], 0);
      return true;
    });
    await emptyFirst();
    await emptySecond();
    assertQuiet(world.arena);
  },
);

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { BrokenBarrierError } from "../../errors.ts";
import type { WaitOptions } from "../../memory/mod.ts";
import { Barrier } from "../../primitives/barrier.ts";
import type { BarrierOptions } from "../../primitives/barrier.ts";
import { eachKind, look, slow, turns } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const N = 5;
const MANY_ROUNDS = 1000;
const TIMEOUT_MS = 20;

function make(
  world: SyncWorld,
  parties: number = N,
  options?: BarrierOptions,
): Barrier {
  return new (world.of(Barrier))(parties, options);
}

/** The barrier as the parties have it: every other one in another participant. */
function spread(world: SyncWorld, barrier: Barrier, parties = N): Barrier[] {
  const there = world.give(barrier, world.another());
  return Array.from(
    { length: parties },
    (_, i) => i % 2 === 0 ? barrier : there,
  );
}

function waitAll(all: Barrier[], options?: WaitOptions): Promise<number>[] {
  return all.map((barrier) => barrier.wait(options));
}

/** What each wait gave: its index, or the name of its error. */
async function fates(waits: Promise<number>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(waits);
  return settled.map((each) =>
    each.status === "fulfilled" ? each.value : each.reason.name
  );
}

const BROKEN = "BrokenBarrierError";

eachKind(
  "BARR-01 BARR-02 Barrier.wait() keeps the parties in step for ten rounds",
  async (world) => {
    const barrier = make(world);
    const results: number[][] = [[], []];
    async function party(mine: Barrier): Promise<void> {
      for (let i = 0; i < 10; i++) {
        results[0]!.push(i);
        assertEquals(results[1]!.length, i * N);
        await mine.wait();
        results[1]!.push(i);
        assertEquals(results[0]!.length, (i + 1) * N);
        await mine.wait();
      }
    }
    await Promise.all(spread(world, barrier).map(party));
    assertEquals(barrier.nWaiting, 0);
    assertEquals(barrier.broken, false);
  },
);

eachKind(
  "BARR-03 Barrier.wait() gives each party another number",
  async (world) => {
    const barrier = make(world);
    const indexes = await Promise.all(waitAll(spread(world, barrier)));
    assertEquals(indexes, [0, 1, 2, 3, 4]);
  },
);

eachKind(
  "BARR-04 Barrier runs its action once, in the last party, before any passes",
  async (world) => {
    const seen: string[] = [];
    let calls = 0;
    const action = async () => {
      await undefined;
      assertEquals(barrier.nWaiting, N);
      calls++;
    };
    const barrier = make(world, N, { action });
    for (let round = 1; round <= 3; round++) {
      await Promise.all(
        spread(world, barrier).map(async (mine, i) => {
          const index = await mine.wait();
          assertEquals(calls, round);
          seen.push(`${i}:${index}`);
        }),
      );
    }
    assertEquals(seen.length, 3 * N);
  },
);

eachKind(
  "BARR-05 Barrier.abort() rejects those who wait and those who come",
  async (world) => {
    const barrier = make(world);
    const parties = spread(world, barrier);
    const results: [number, number] = [0, 0];
    await Promise.all(parties.map(async (mine) => {
      try {
        const i = await mine.wait();
        if (i === N >> 1) return mine.abort();
        await mine.wait();
        results[0]++;
      } catch (error) {
        assert(error instanceof BrokenBarrierError);
        results[1]++;
      }
    }));
    assertEquals(results, [0, N - 1]);
    assert(barrier.broken && parties[1]!.broken);
    await assertRejects(() => barrier.wait(), BrokenBarrierError, "is broken");
    assertEquals(barrier.nWaiting, 0);
  },
);

eachKind(
  "BARR-06 Barrier.reset() rejects those who wait, and starts afresh",
  async (world) => {
    const barrier = make(world);
    const parties = spread(world, barrier);
    const waits = waitAll(parties.slice(1));
    assertEquals(barrier.nWaiting, N - 1);
    barrier.reset();
    assertEquals(barrier.nWaiting, 0);
    // Some come before the others have left.
    const next = waitAll(parties);
    assertEquals(await fates(waits), Array(N - 1).fill(BROKEN));
    assertEquals((await Promise.all(next)).sort(), [0, 1, 2, 3, 4]);
    assertEquals(barrier.broken, false);
  },
);

eachKind(
  "BARR-07 Barrier.reset() after an abort lets all pass again",
  async (world) => {
    const barrier = make(world);
    const parties = spread(world, barrier);
    const waits = waitAll(parties.slice(1));
    parties[1]!.abort();
    assertEquals(await fates(waits), Array(N - 1).fill(BROKEN));
    barrier.reset();
    barrier.reset();
    assertEquals(barrier.broken, false);
    assertEquals((await Promise.all(waitAll(parties))).sort(), [0, 1, 2, 3, 4]);
  },
);

eachKind(
  "BARR-08 Barrier.wait() that times out breaks it for all",
  async (world) => {
    const barrier = make(world);
    const [late, ...parties] = spread(world, barrier);
    const waits = waitAll(parties, { timeout: TIMEOUT_MS });
    assertEquals(await fates(waits), Array(N - 1).fill(BROKEN));
    assertEquals(await fates([late!.wait()]), [BROKEN]);
    assert(barrier.broken);
  },
);

eachKind("BARR-09 Barrier has a timeout of its own", async (world) => {
  const barrier = make(world, N, { timeout: TIMEOUT_MS });
  const parties = spread(world, barrier);
  const waits = waitAll(parties.slice(1));
  assertEquals(await fates(waits), Array(N - 1).fill(BROKEN));
  barrier.reset();
  const patient = barrier.wait({ timeout: 1e9 });
  const impatient = parties[1]!.wait();
  assertEquals(await fates([patient, impatient]), [BROKEN, BROKEN]);
});

eachKind("BARR-10 Barrier(1) lets one pass at once", async (world) => {
  const barrier = make(world, 1);
  assertEquals(await barrier.wait(), 0);
  assertEquals(await barrier.wait({ timeout: 0 }), 0);
  assertEquals(barrier.waitSync(), 0);
  assertEquals(await Promise.all(waitAll(spread(world, barrier))), [
    0,
    0,
    0,
    0,
    0,
  ]);
});

eachKind("BARR-11 Barrier.wait() for a thousand rounds", async (world) => {
  const barrier = make(world);
  const sent: number[] = [];
  await Promise.all(
    spread(world, barrier).map(async (mine) => {
      for (let i = 0; i < MANY_ROUNDS; i++) {
        await mine.wait();
        sent.push(i);
      }
    }),
  );
  assertEquals(
    sent,
    Array.from({ length: MANY_ROUNDS * N }, (_, i) => Math.floor(i / N)),
  );
});

eachKind("BARR-X1 Barrier is broken when its action throws", async (world) => {
  let isFaulty = true;
  const action = () => {
    if (isFaulty) throw new Error("no action");
  };
  const barrier = make(world, 2, { action });
  const [a, b] = spread(world, barrier, 2);
  const first = a!.wait();
  await assertRejects(() => b!.wait(), Error, "no action");
  await assertRejects(() => first, BrokenBarrierError);
  assert(barrier.broken);
  isFaulty = false;
  barrier.reset();
  assertEquals(await Promise.all([a!.wait(), b!.wait()]), [0, 1]);
});

eachKind("BARR-X1 Barrier.toString() shows who waits", async (world) => {
  const barrier = make(world, 2);
  const at = "<multiprocessing\\.synchronize\\.Barrier at 0x[0-9a-f]+";
  assertMatch(`${barrier}`, new RegExp(`^${at}: waiters=0/2>$`));
  const waiting = barrier.wait();
  assertMatch(Deno.inspect(barrier), new RegExp(`^${at}: waiters=1/2>$`));
  barrier.abort();
  assertMatch(`${barrier}`, new RegExp(`^${at}: broken>$`));
  await assertRejects(() => waiting);
});

eachKind("Barrier() refuses what makes no sense", (world) => {
  const make = world.of(Barrier);
  for (const parties of [0, -1, 1.5, NaN, 2 ** 20 + 1]) {
    assertThrows(() => new make(parties), RangeError, "'parties'");
  }
  assertThrows(() => new make("2" as never), TypeError, "'parties'");
  assertThrows(
    () => new make(2, { action: 1 as never }),
    TypeError,
    "'action'",
  );
  assertThrows(() => new make(2, { timeout: NaN }), RangeError, "'timeout'");
  assertEquals(new make(2 ** 20).parties, 2 ** 20);
});

eachKind("Barrier.parties and the action travel", async (world) => {
  let calls = 0;
  const barrier = make(world, 2, {
    action: () => calls++,
    timeout: TIMEOUT_MS,
  });
  const there = world.give(barrier, world.another());
  assertEquals(there.parties, 2);
  await Promise.all([barrier.wait(), there.wait()]);
  assertEquals(calls, 1);
  await assertRejects(() => there.wait(), BrokenBarrierError);
});

eachKind(
  "Barrier.wait() refuses bad options and stays whole",
  async (world) => {
    const barrier = make(world, 2);
    const bad = { timeout: "1" as never };
    await assertRejects(() => barrier.wait(bad), TypeError);
    assertThrows(() => barrier.waitSync(bad), TypeError);
    assertEquals(barrier.broken, false);
  },
);

eachKind(
  "Barrier.wait() that is aborted rejects with the reason, and breaks it",
  async (world) => {
    const barrier = make(world, 3);
    const there = world.give(barrier, world.another());
    const controller = new AbortController();
    const reason = new Error("stop");
    const other = there.wait();
    const aborted = barrier.wait({ signal: controller.signal });
    assertEquals(await look(other, aborted), ["waits", "waits"]);
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => aborted), reason);
    await assertRejects(() => other, BrokenBarrierError);

    barrier.reset();
    const waiting = there.wait();
    assertStrictEquals(
      await assertRejects(() => barrier.wait({ signal: controller.signal })),
      reason,
    );
    await assertRejects(() => waiting, BrokenBarrierError);
    barrier.reset();
    assertThrows(
      () => barrier.waitSync({ signal: controller.signal }),
      Error,
      "stop",
    );
    assert(barrier.broken);
  },
);

eachKind(
  "Barrier.wait() that is aborted when the round is complete has passed",
  async (world) => {
    const barrier = make(world, 2);
    const there = world.give(barrier, world.another());
    const controller = new AbortController();
    const first = barrier.wait({ signal: controller.signal });
    assertEquals(await look(first), ["waits"]);
    const second = there.wait();
    controller.abort();
    assertEquals(await Promise.all([first, second]), [0, 1]);
    assertEquals(barrier.broken, false);
  },
);

eachKind(
  "Barrier.abort() does not call back those who have passed",
  async (world) => {
    const barrier = make(world);
    const parties = spread(world, barrier);
    const waits = waitAll(parties);
    barrier.abort(); // they have not even been woken
    assertEquals(await Promise.all(waits), [0, 1, 2, 3, 4]);
    assert(barrier.broken);
    barrier.reset();
    assertEquals((await Promise.all(waitAll(parties))).sort(), [0, 1, 2, 3, 4]);
  },
);

eachKind(
  "Barrier.wait() for more tasks than parties makes groups",
  async (world) => {
    const barrier = make(world, 2);
    const waits = waitAll(spread(world, barrier, 20));
    const indexes = await Promise.all(waits);
    assertEquals(indexes.filter((index) => index === 0).length, 10);
    assertEquals(indexes.filter((index) => index === 1).length, 10);
  },
);

eachKind(
  "Barrier.wait() does not time out while the action runs",
  async (world) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const barrier = make(world, 2, { action: () => promise });
    const there = world.give(barrier, world.another());
    const first = there.wait({ timeout: TIMEOUT_MS });
    const second = barrier.wait({ timeout: TIMEOUT_MS });
    await new Promise((resolve) => setTimeout(resolve, 2 * TIMEOUT_MS));
    assertEquals(await look(first, second), ["waits", "waits"]);
    assertEquals(barrier.broken, false);
    resolve();
    assertEquals(await Promise.all([first, second]), [0, 1]);
  },
);

for (const end of ["abort", "reset"] as const) {
  eachKind(
    `Barrier.${end}() while the action runs calls the round off`,
    async (world) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const barrier = make(world, 2, { action: () => promise });
      const there = world.give(barrier, world.another());
      const waits = [there.wait(), barrier.wait()];
      assertEquals(await look(...waits), ["waits", "waits"]);
      there[end]();
      assertEquals(await fates([waits[0]!]), [BROKEN]);
      resolve();
      assertEquals(await fates(waits), [BROKEN, BROKEN]);
      assertEquals(barrier.broken, end === "abort");
      if (end === "abort") return;
      assertEquals(await Promise.all([there.wait(), barrier.wait()]), [0, 1]);
    },
  );
}

eachKind(
  "Barrier.waitSync() passes with others, and times out without",
  async (world) => {
    const barrier = make(world, 2);
    const there = world.give(barrier, world.another());
    const first = there.wait();
    assertEquals(barrier.waitSync(), 1);
    assertEquals(await first, 0);
    assertThrows(() => there.waitSync({ timeout: 1 }), BrokenBarrierError);
    assert(barrier.broken);
    assertThrows(() => barrier.waitSync(), BrokenBarrierError);

    let calls = 0;
    const acting = make(world, 1, { action: () => calls++ });
    assertEquals(acting.waitSync(), 0);
    assertEquals(calls, 1);
    const asynchronous = make(world, 1, { action: () => Promise.resolve() });
    assertThrows(() => asynchronous.waitSync(), TypeError, "asynchronous");
    assert(asynchronous.broken);
  },
);

eachKind(
  "Barrier.wait() with what is no signal or no time leaves the barrier alone",
  async (world) => {
    const barrier = make(world, 2);
    const waiting = barrier.wait();
    for (const bad of [{ signal: "x" }, { timeout: "1" }, { timeout: null }]) {
      const options = bad as unknown as WaitOptions;
      await assertRejects(() => barrier.wait(options), TypeError);
      assertThrows(() => barrier.waitSync(options), TypeError);
    }
    assertEquals(await barrier.wait(), 1);
    assertEquals(await waiting, 0);
  },
);

for (const end of ["aborted", "late"]) {
  eachKind(
    `Barrier.wait() that is ${end} before it arrives breaks the next round, not the one of the action`,
    async (world) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const barrier = make(world, 2, { action: () => promise });
      const round = waitAll(spread(world, barrier, 2));
      await turns();
      const options = end === "aborted"
        ? { signal: AbortSignal.abort(new Error("stop")) }
        : { timeout: 1 };
      const third = end === "aborted" ? "Error" : BROKEN;
      assertEquals(await fates([barrier.wait(options)]), [third]);
      assert(barrier.broken);
      assertEquals(await fates([barrier.wait()]), [BROKEN]);
      resolve();
      assertEquals((await Promise.all(round)).sort(), [0, 1]);
      assert(barrier.broken);
      assertEquals(await fates([barrier.wait()]), [BROKEN]);
      barrier.reset();
      assertEquals(barrier.broken, false);
    },
  );
}

eachKind(
  "Barrier.wait() that runs the action is ended by its signal too",
  async (world) => {
    const { promise, reject } = Promise.withResolvers<void>();
    const barrier = make(world, 2, { action: () => promise });
    const controller = new AbortController();
    const other = barrier.wait();
    const acting = barrier.wait({ signal: controller.signal });
    assertEquals(await look(other, acting), ["waits", "waits"]);
    controller.abort(new TypeError("stop"));
    assertEquals(await fates([other, acting]), [BROKEN, "TypeError"]);
    reject(new Error("nobody hears of this"));
    await turns();
    assert(barrier.broken);
  },
);

eachKind(
  "Barrier.waitSync() with an action that rejects later ends nothing",
  async (world) => {
    const action = () => Promise.reject(new Error("nobody hears of this"));
    const barrier = make(world, 1, { action });
    assertThrows(() => barrier.waitSync(), TypeError, "asynchronous");
    await turns();
  },
);

// ---- deaths ----------------------------------------------------------------------

eachKind(
  "LESSON-04 Barrier is broken at once when a waiting party is killed",
  async (world) => {
    const barrier = make(world, 3);
    const other = world.another();
    const doomed = world.give(barrier, other).wait({
      signal: world.afterlife.signal,
    });
    const waiting = barrier.wait();
    assertEquals(barrier.nWaiting, 2);
    world.kill(other, doomed);
    await assertRejects(() => waiting, BrokenBarrierError);
    assert(barrier.broken);
    barrier.reset();
    assertEquals(
      (await Promise.all(waitAll([barrier, barrier, barrier]))).sort(),
      [0, 1, 2],
    );
  },
);

eachKind(
  "LESSON-04 Barrier tells who comes later that a waiting party was killed",
  async (world) => {
    const barrier = make(world, 2);
    const other = world.another();
    const doomed = world.give(barrier, other).wait({
      signal: world.afterlife.signal,
    });
    world.kill(other, doomed);
    await assertRejects(() => barrier.wait(), BrokenBarrierError);
    barrier.reset();
    assertEquals(barrier.nWaiting, 0);
    assertEquals(barrier.broken, false);
    const waits = waitAll([barrier, barrier]);
    assertEquals(await Promise.all(waits), [0, 1]);
  },
);

eachKind(
  "LESSON-04 Barrier is broken when the party that runs the action is killed",
  async (world) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const barrier = make(world, 2, { action: () => promise });
    const other = world.another();
    const waiting = barrier.wait();
    const doomed = world.give(barrier, other).wait();
    assertEquals(await look(waiting), ["waits"]);
    world.kill(other, doomed);
    await assertRejects(() => waiting, BrokenBarrierError);
    resolve();
    await assertRejects(() => doomed);
  },
);

eachKind(
  "LESSON-04 Barrier goes on when one is killed that has passed and not yet left",
  async (world) => {
    const barrier = make(world, 2);
    const other = world.another();
    const { wait } = other.waiting;
    let waits = 0;
    // It arrives, and never sees what becomes of the round.
    other.waiting.wait = (...args) =>
      waits++ === 0
        ? wait.apply(other.waiting, args as never) as Promise<never>
        : new Promise(() => {});
    world.give(barrier, other).wait();
    const passing = barrier.wait(); // completes the round
    const next = barrier.wait(); // has to wait until all have left
    assertEquals(barrier.nWaiting, 0);
    assertEquals(await passing, 1);
    assertEquals(await look(next), ["waits"]);
    assertEquals(barrier.nWaiting, 0);
    world.kill(other);
    assertEquals(await look(next), ["waits"]);
    assertEquals(barrier.nWaiting, 1);
    assertEquals(await barrier.wait(), 1);
    assertEquals(await next, 0);
  },
);

eachKind(
  "LESSON-04 Barrier is not broken by one who looks after a dead party of the round before",
  async (world) => {
    const { arena, fate } = slow(world);
    let hasActed = true;
    for (let n = 1; hasActed; n++) {
      const barrier = make(world, 2);
      const there = world.give(barrier, arena);
      const other = world.another();
      const { wait } = other.waiting;
      let waits = 0;
      other.waiting.wait = (...args) =>
        waits++ === 0
          ? wait.apply(other.waiting, args as never) as Promise<never>
          : new Promise(() => {});
      world.give(barrier, other).wait();
      await barrier.wait();
      world.kill(other);
      // Between any two steps of the look the next round begins.
      let next: Promise<number> | undefined;
      const begin = () => next = barrier.wait();
      hasActed = fate.at(n, "any", begin, () => there.broken);
      if (!hasActed) begin();
      assertEquals(barrier.broken, false, `begun at access ${n}`);
      assertEquals(await there.wait(), 1);
      assertEquals(await next, 0);
    }
  },
);

eachKind(
  "LESSON-04 Barrier.wait() sees what a killed party has completed",
  async (world) => {
    const barrier = make(world, 2);
    const other = world.another();
    const there = world.give(barrier, other);
    const waiting = barrier.wait();
    assertEquals(await look(waiting), ["waits"]);
    other.waiting.wake = () => {}; // killed before it could wake anybody
    const last = there.wait();
    assertEquals(await look(waiting), ["waits"]);
    await last;
    world.kill(other);
    assertEquals(await waiting, 0);
    assertEquals(barrier.broken, false);
    await turns();
  },
);

/**
 * What is shared, under load: by many, for many rounds, with murders; and memory
 * that comes back.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Process } from "../../contexts/mod.ts";
import type { Lock, Value } from "../../primitives/mod.ts";
import { assertAllSucceed, several, start } from "../_support/children.ts";
import { contract, once } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { Mailbox } from "../_support/meeting.ts";
import { describeEnd, runProgram } from "../_support/program.ts";
import { consume, produce } from "../fixtures/crowds.ts";
import {
  incrementLocked,
  incrementLockedAsync,
  passMany,
} from "../fixtures/sharers.ts";

/** Processes that add to one value, and how often each does. */
const ADDERS = 10;
const ADDS = 1000;
/** Parties of a barrier, and how often they pass it. */
const PARTIES = 5;
const ROUNDS = 1000;
/** Producers, consumers, and items of each producer. */
const PRODUCERS = 8;
const CONSUMERS = 8;
const ITEMS = 10_000;
/** How many of them are killed, and milliseconds from one to the next. */
const MURDERS = 16;
const LONGEST_PAUSE_MS = 60;
/** Through one queue, one after the other. */
const QUEUED_ITEMS = 1_000_000;
/** Made and dropped. */
const DROPPED_LOCKS = 100_000;
/** What a heap may grow by and not shrink again. */
const MARGIN_BYTES = 48 * 1024 * 1024;

/** Up to 32 children each: on a busy machine they need longer to start. */
const PATIENT = { limitMs: 300_000 };

for (
  const [how, target] of [
    ["blocking", incrementLocked],
    ["waiting", incrementLockedAsync],
  ] as const
) {
  contract(
    `LOCK-X1 LESSON-57 10 processes add 1,000 times under a lock, ${how}`,
    async (ctx) => {
      const value = new ctx.Value("i", 0) as unknown as Value<"i">;
      await assertAllSucceed(
        several(ADDERS, () => start(ctx, target, value, ADDS)),
      );
      assertEquals(value.value, ADDERS * ADDS);
    },
    PATIENT,
  );
}

for (const blocks of [true, false]) {
  const how = blocks ? "blocking" : "waiting";
  contract(
    `BARR-11 LESSON-59 5 parties pass a barrier 1,000 times, ${how}`,
    async (ctx) => {
      const barrier = new ctx.Barrier(PARTIES);
      const lock = new ctx.Lock() as Lock;
      const report = Mailbox.in<number>(ctx);
      await assertAllSucceed(
        several(
          PARTIES,
          () => start(ctx, passMany, barrier, report, lock, ROUNDS, blocks),
        ),
      );
      // Nobody enters a round before all have left the one before.
      const expected = Array.from(
        { length: PARTIES * ROUNDS },
        (_, i) => Math.floor(i / PARTIES),
      );
      assertEquals(report.drain(), expected);
      assertEquals([barrier.nWaiting, barrier.broken], [0, false]);
    },
    PATIENT,
  );
}

contract(
  "LESSON-05 8 producers and 8 consumers of 10,000 items each, 16 of them killed",
  async (ctx) => {
    const queue = new ctx.Queue<number | null>(1000);
    const begun = new ctx.RawArray("i", PRODUCERS);
    const seen = new ctx.RawArray("B", PRODUCERS * ITEMS);
    const crowd = new Crowd([
      ...Array.from(
        { length: PRODUCERS },
        (_, i) => () => start(ctx, produce, queue, i, ITEMS, begun),
      ),
      ...Array.from(
        { length: CONSUMERS },
        (_, i) => () => start(ctx, consume, queue, i % 2 === 0, seen),
      ),
    ]);
    for (let i = 0; i < MURDERS; i++) {
      await ctx.sleep(Math.random() * LONGEST_PAUSE_MS);
      await crowd.killOne();
    }
    const killed = crowd.killed;
    assert(killed > 0, "they have all ended before the first murder");
    await crowd.ends(0, PRODUCERS);
    for (let i = 0; i < CONSUMERS; i++) await queue.put(null);
    await crowd.ends(PRODUCERS, PRODUCERS + CONSUMERS);

    const counts = seen.toArray();
    const lost = counts.filter((count) => count === 0).length;
    const twice = counts.filter((count) => count > 1).length;
    assertEquals(twice, 0, "items that were got twice");
    assert(lost <= killed, `${lost} are lost, and ${killed} were killed`);
    assertEquals(queue.empty(), true);
  },
  PATIENT,
);

/** Children, each of which is replaced when it is killed. */
class Crowd {
  /** How many have been killed in their work. */
  killed = 0;
  readonly #makers: readonly (() => Process)[];
  readonly #members: Process[];

  constructor(makers: readonly (() => Process)[]) {
    this.#makers = makers;
    this.#members = makers.map((make) => make());
  }

  /** Kills one at random and puts another in its place. */
  async killOne(): Promise<void> {
    const place = Math.floor(Math.random() * this.#members.length);
    const victim = this.#members[place]!;
    victim.kill();
    await victim.exited;
    // It may have been faster.
    if (victim.exitCode === 0) return;
    this.killed++;
    this.#members[place] = this.#makers[place]!();
  }

  /** Waits until some have done their work. */
  async ends(from: number, to: number): Promise<void> {
    const some = this.#members.slice(from, to);
    await until(
      () => some.every((one) => !one.isAlive()),
      "all are done",
      PATIENT.limitMs,
    );
    await assertAllSucceed(some);
  }
}

const LIBRARY = import.meta.resolve("../../contexts/mod.ts");

/** A program that says how much its memory has grown by. */
function growth(method: string, work: string): string {
  return `
import { getContext } from ${JSON.stringify(LIBRARY)};
const ctx = getContext("${method}");
async function work() {
${work}
}
async function settled() {
  for (let i = 0; i < 20; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return Deno.memoryUsage().rss;
}
await work(); // what is compiled and loaded once does not count
const before = await settled();
await work();
console.log(await settled() - before);
`;
}

for (const method of ["spawn", "worker"]) {
  for (
    const [what, work] of [
      [
        "1,000,000 items through a queue",
        `const queue = new ctx.Queue();
  for (let n = 0; n < ${QUEUED_ITEMS}; n += 100_000) {
    for (let i = 0; i < 100_000; i++) queue.putNowait({ n, i });
    for (let i = 0; i < 100_000; i++) {
      if (queue.getNowait().i !== i) throw new Error("not in order");
    }
  }
  queue.close();`,
      ],
      [
        "100,000 locks made and dropped",
        `for (let n = 0; n < ${DROPPED_LOCKS}; n += 10_000) {
    let locks = Array.from({ length: 10_000 }, () => new ctx.Lock());
    using _guard = locks[n % 7].acquireSync();
    locks = [];
    gc();
    await new Promise((resolve) => setTimeout(resolve));
  }`,
      ],
    ] as const
  ) {
    once(`Memory returns after ${what} (${method})`, async () => {
      const end = await runProgram(growth(method, work), {
        flags: ["run", "--allow-all", "--v8-flags=--expose-gc"],
      });
      assertEquals(end.code, 0, describeEnd(end));
      const grownBytes = Number(end.stdout);
      assert(
        grownBytes < MARGIN_BYTES,
        `it has grown by ${Math.round(grownBytes / 1024)} KiB`,
      );
    });
  }
}

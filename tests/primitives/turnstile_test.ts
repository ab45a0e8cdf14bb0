import { assert, assertEquals, assertRejects } from "@std/assert";
import { S_SLEEPING } from "../../memory/layout.ts";
import { NOT_YET, TIMED_OUT } from "../../memory/mod.ts";
import { Block, FIRST_WORD } from "../../primitives/block.ts";
import { Lock } from "../../primitives/lock.ts";
import { Semaphore } from "../../primitives/semaphore.ts";
import { Turnstile, TURNSTILE_WORDS } from "../../primitives/_turnstile.ts";
import { until } from "../_support/gate.ts";
import { eachKind, look, turns } from "./_sync_world.ts";

/** A thing that one at a time can have, and what is counted in front of it. */
class Thing {
  readonly #words: Int32Array;
  readonly #turnstile: Turnstile;

  constructor() {
    const block = new Block(this, new.target, 64);
    this.#words = block.words;
    this.#turnstile = Turnstile.of(block, FIRST_WORD + 1);
  }

  take = (): true | typeof NOT_YET =>
    Atomics.compareExchange(this.#words, FIRST_WORD, 0, 1) === 0 || NOT_YET;

  pass(
    timeout: number,
    signal?: AbortSignal,
  ): Promise<true | typeof TIMED_OUT> {
    const isFree = () => this.#words[FIRST_WORD] === 0;
    return this.#turnstile.pass(this.take, { timeout, signal }, isFree);
  }

  passSync(timeout: number): true | typeof TIMED_OUT {
    return this.#turnstile.passSync(this.take, { timeout });
  }

  release(): void {
    Atomics.store(this.#words, FIRST_WORD, 0);
    this.#turnstile.open();
  }

  /** All words of the turnstile: who waits, asks, and had a turn. */
  get counts(): number[] {
    const start = FIRST_WORD + 1;
    return [...this.#words.subarray(start, start + TURNSTILE_WORDS)];
  }
}

/** Longer than anybody waits before it asks for courtesy. */
const IMPATIENT_MS = 5;
/** Holding back ends after a millisecond, perhaps too soon for the test. */
const TRIES = 10;

eachKind("Turnstile counts who waits, however it ends", async (world) => {
  const thing = new (world.of(Thing))();
  assertEquals(await thing.pass(Infinity), true);
  assertEquals(thing.counts, [0, 0, 0]);

  const controller = new AbortController();
  const aborted = thing.pass(Infinity, controller.signal);
  const late = thing.pass(5);
  const served = thing.pass(Infinity);
  assertEquals(thing.counts[0], 3);

  controller.abort(new Error("not needed"));
  await assertRejects(() => aborted, Error, "not needed");
  assertEquals(await late, TIMED_OUT);
  assertEquals(thing.counts[0], 1);

  thing.release();
  assertEquals(await served, true);
  // Who has asked for courtesy takes that back.
  assertEquals(thing.passSync(IMPATIENT_MS), TIMED_OUT);
  assertEquals(thing.counts.slice(0, 2), [0, 0]);
  assertEquals(await thing.pass(IMPATIENT_MS), TIMED_OUT);
  assertEquals(thing.counts.slice(0, 2), [0, 0]);
});

eachKind(
  "Turnstile lets the next in line in if the first gives up as it is woken",
  async (world) => {
    const thing = new (world.of(Thing))();
    await thing.pass(Infinity);
    const controller = new AbortController();
    const first = thing.pass(Infinity, controller.signal);
    const second = thing.pass(Infinity);
    await turns();
    thing.release();
    controller.abort(new Error("not needed"));
    await assertRejects(() => first, Error, "not needed");
    assertEquals(await second, true);
    assertEquals(thing.counts[0], 0);
  },
);

eachKind(
  "Turnstile lets the first in line in if one comes and who was woken is slow",
  async (world) => {
    const lock = new (world.of(Lock))();
    const slow = world.another();
    const there = world.give(lock, slow);
    const { promise: isAwake, resolve: wakeUp } = Promise.withResolvers<void>();
    slow.memory.sleep = () => isAwake;
    await lock.acquire();
    const third = there.acquire();
    const first = lock.acquire();
    await turns();
    lock.release();
    assertEquals(await look(first), ["waits"]);
    const second = lock.acquire();
    (await first)![Symbol.dispose]();
    (await second)![Symbol.dispose]();
    wakeUp();
    (await third)![Symbol.dispose]();
  },
);

eachKind(
  "Turnstile lets the next in if one gives up that has held back",
  async (world) => {
    for (let i = 0; i < TRIES; i++) {
      const lock = new (world.of(Lock))();
      const slow = world.another();
      const asking = world.give(lock, slow);
      const quick = world.give(lock, world.another());
      const next = world.give(lock, world.another());
      const { promise: isAwake, resolve } = Promise.withResolvers<void>();
      let isAsleep = false;
      await lock.acquire();
      const first = asking.acquire();
      const { participants } = world.arena;
      const isWaiting = () => participants.load(slow.me, S_SLEEPING) === 1;
      await until(isWaiting, "it does not wait");
      await new Promise((resolve) => setTimeout(resolve, IMPATIENT_MS));
      slow.memory.sleep = () => {
        isAsleep = true;
        return isAwake;
      };
      // It is overtaken, asks for courtesy, and does not hear of its turn.
      lock.release();
      lock.acquireSync({ timeout: 0 });
      await until(() => isAsleep, "it has not asked");
      lock.release();

      const controller = new AbortController();
      const polite = lock.acquire({ signal: controller.signal });
      const guard = quick.acquireSync({ timeout: 0 });
      const last = next.acquire();
      guard?.[Symbol.dispose](); // a turn for who holds back, which it declines
      await new Promise(setImmediate);
      controller.abort();
      // Or has it held back for long enough by now, and taken it?
      (await polite.catch(() => null))?.[Symbol.dispose]();
      (await last)![Symbol.dispose]();
      resolve();
      (await first)![Symbol.dispose]();
    }
  },
);

/** Rounds after which one who waits is not let in at all. */
const ROUNDS = 100;

for (const what of [Lock, Semaphore]) {
  eachKind(
    `${what.name}.acquire() in a loop lets a task in that has another object of it`,
    async (world) => {
      const lock = new (world.of(what))();
      const same = world.give(lock, world.arena);
      let isIn = false;
      const other = async () => {
        using _guard = await same.acquire();
        isIn = true;
      };
      await lock.acquire();
      const waiting = other();
      for (let i = 0; !isIn; i++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        lock.release();
        await lock.acquire();
        assert(i < ROUNDS, "overtaken again and again");
      }
      lock.release();
      await waiting;
    },
  );
}

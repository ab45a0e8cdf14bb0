import { assert, assertEquals, assertRejects } from "@std/assert";
import { NOT_YET, TIMED_OUT } from "../../memory/mod.ts";
import { Block, FIRST_WORD } from "../../primitives/block.ts";
import { Lock } from "../../primitives/lock.ts";
import { Semaphore } from "../../primitives/semaphore.ts";
import { Turnstile, TURNSTILE_WORDS } from "../../primitives/_turnstile.ts";
import { eachKind } from "./_sync_world.ts";

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
  assertEquals(thing.passSync(5), TIMED_OUT);
  assertEquals(thing.counts[0], 0);
});

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

/**
 * How iterators of a pool end before their source does.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import "../../mod.ts";
import type { Progress } from "../../pool/mod.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

/** A loop has to be left after so long, even on a busy machine. */
const SOON_MS = 4000;

/** Numbers without end, and whether they have been closed. */
function endless(): { source: Generator<number>; isClosed: () => boolean } {
  let closed = false;
  const source = (function* () {
    try {
      for (let i = 0;; i++) yield i;
    } finally {
      closed = true;
    }
  })();
  return { source, isClosed: () => closed };
}

contract(
  "PoolIterator.return() waits for the clean-up of a source that is on its way",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    let closed = false;
    async function* ticking(): AsyncGenerator<number> {
      try {
        for (let i = 0;; i++) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          yield i;
        }
      } finally {
        closed = true;
      }
    }

    for await (const value of pool.imap(work.square, ticking())) {
      if (value === 4) break;
    }
    assertEquals(closed, true);
  },
);

contract(
  "PoolIterator.return() does not wait for ever for an item that never comes",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const { promise, resolve } = Promise.withResolvers<void>();
    let closed = false;
    async function* stalling(): AsyncGenerator<number> {
      try {
        yield 1;
        yield 2;
        await promise;
      } finally {
        closed = true;
      }
    }

    const start = performance.now();
    const taken: number[] = [];
    for await (const value of pool.imap(work.square, stalling())) {
      taken.push(value);
      if (taken.length === 2) break;
    }
    assert(performance.now() - start < SOON_MS);
    assertEquals([taken, closed], [[1, 4], false]);
    resolve();
    await until(() => closed, "the source closes once it can");
    // The pool has not been waiting for it, either.
    pool.close();
    await pool.join();
  },
);

contract(
  "failFast ends an iterator with the first failure, and closes its source",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    for (const chunkSize of [1, 4]) {
      for (const isOrdered of [true, false]) {
        const { source, isClosed } = endless();
        const reports: Progress[] = [];
        const options = {
          failFast: true,
          chunkSize,
          onProgress: (progress: Progress) => reports.push(progress),
        };
        const it = isOrdered
          ? pool.imap(work.throwAtThree, source, options)
          : pool.imapUnordered(work.throwAtThree, source, options);
        await assertRejects(
          async () => {
            for await (const _ of it);
          },
          RangeError,
          "item 3",
        );
        assertEquals(isClosed(), true);
        assertEquals(await it.next(), { done: true, value: undefined });
        assertEquals(reports.filter(({ failed }) => failed > 1), []);
      }
    }
    await until(() => pool.statistics().tasks.held === 0, "nothing goes on");
    // Where nothing fails it changes nothing.
    assertEquals(
      await Array.fromAsync(
        pool.imap(work.square, [1, 2, 3], { failFast: true }),
      ),
      [1, 4, 9],
    );
  },
);

contract(
  "failFast stops the chunk of an iterator at the item that fails",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const calls = SharedGate.in(ctx);
    const items = Array.from({ length: 8 }, (_, i) => ({ i, calls }));

    const it = pool.imap(work.countThenThrowAtThree, items, {
      chunkSize: 8,
      failFast: true,
    });
    await assertRejects(() => it.next(), RangeError, "item 3");
    assertEquals(calls.value, 4);
  },
);

contract(
  "a source may abort the signal of its own iterator",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const controller = new AbortController();
    let closed = false;
    function* aborting(): Generator<number> {
      try {
        yield 1;
        controller.abort(new EvalError("enough"));
        yield 2;
      } finally {
        closed = true;
      }
    }

    const it = pool.imap(work.square, aborting(), {
      signal: controller.signal,
      bufferSize: 1,
    });
    assertEquals(await it.next(), { done: false, value: 1 });
    await assertRejects(() => it.next(), EvalError, "enough");
    assertEquals(await it.next(), { done: true, value: undefined });
    assertEquals(closed, true);
  },
);

contract(
  "two loops over one iterator share its results",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const it = pool.imap(work.square, [1, 2, 3, 4, 5, 6]);

    const both = await Promise.all([
      Array.fromAsync(it),
      Array.fromAsync(it),
    ]);
    assertEquals(
      both.flat().sort((a, b) => a - b),
      [1, 4, 9, 16, 25, 36],
    );
  },
);

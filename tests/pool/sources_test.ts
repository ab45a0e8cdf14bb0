/**
 * Maps over items that come one after the other, and how they end before their
 * source does.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  EncodingError,
  PoolTerminatedError,
  ProcessError,
} from "../../errors.ts";
import "../../mod.ts";
import type { Pool } from "../../pool/mod.ts";
import { complaints } from "../_support/complaints.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

/** A source that gives one item and then owes the next for ever. */
class Stalling<T> implements AsyncIterable<T>, AsyncIterator<T> {
  asked = 0;
  isClosed = false;

  constructor(readonly first: T) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.asked++ > 0) return new Promise(() => {});
    return Promise.resolve({ done: false, value: this.first });
  }

  return(): Promise<IteratorResult<T>> {
    this.isClosed = true;
    return Promise.resolve({ done: true, value: undefined });
  }
}

/** Gives the first, and the others when they may come. */
async function* inTwoGoes<T>(
  [first, ...others]: T[],
  mayGoOn: Promise<void>,
): AsyncGenerator<T> {
  yield first!;
  await mayGoOn;
  yield* others;
}

contract(
  "Pool.map() of items to come is given up with its signal",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const controller = new AbortController();
    const { signal } = controller;
    const errors: unknown[] = [];
    const options = { signal, errorCallback: errors.push.bind(errors) };
    const items = new Stalling(1);
    const tuples = new Stalling<[number, number]>([1, 2]);

    const results = [
      pool.map(work.square, items, options),
      pool.starmap(work.multiply, tuples, options),
    ];
    await until(() => items.asked + tuples.asked === 4, "both stall");
    const reason = new EvalError("enough");
    controller.abort(reason);
    for (const result of results) await assertRejects(() => result, EvalError);
    assertEquals([items.isClosed, tuples.isClosed], [true, true]);
    assertEquals(errors, [reason, reason]);
    // Nothing of it keeps the pool.
    pool.close();
    await pool.join();
  },
);

contract(
  "Pool.map() of items to come refuses at once what it can",
  async (ctx) => {
    const items = new Stalling(1);
    const refused: (readonly [
      map: (pool: Pool) => Promise<unknown>,
      error: new (...args: never[]) => Error,
    ])[] = [
      [(pool) => pool.map(1 as never, items), TypeError],
      [(pool) => pool.map(work.square, items, -1), RangeError],
      [(pool) => pool.map(() => {}, items), EncodingError],
      [
        (pool) => pool.map(work.square, items, { signal: AbortSignal.abort() }),
        DOMException,
      ],
    ];
    const pool = new ctx.Pool(1) as Pool;
    for (const [map, kind] of refused) {
      await assertRejects(() => map(pool), kind as typeof Error);
    }
    await pool.terminate();
    await assertRejects(
      () => pool.map(work.square, items),
      ProcessError,
      "Pool not running",
    );
    assertEquals(items.asked, 0);
  },
);

contract(
  "terminate() ends a map whose items are still coming",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    const items = new Stalling(1);
    const errors: unknown[] = [];
    const result = pool.map(work.square, items, {
      errorCallback: (error) => errors.push(error),
    });
    await until(() => items.asked === 2, "it stalls");

    await pool.terminate();
    const error = await assertRejects(() => result, PoolTerminatedError);
    assertEquals(errors, [error]);
    assert(items.isClosed);
  },
);

contract(
  "a pool that breaks ends a map whose items are still coming",
  async (ctx) => {
    const starts = SharedGate.in(ctx);
    const items = new Stalling(1);
    const pool = new ctx.Pool({
      processes: 1,
      initializer: work.failToInitialize,
      initArgs: [starts],
    });
    const result = pool.map(work.square, items);
    await assertRejects(() => pool.ready, ProcessError);

    await assertRejects(() => result, ProcessError, "no key found");
    assert(items.isClosed);
    await pool.terminate();
  },
);

contract(
  "join() of a closed pool waits for a map whose items are still coming",
  async (ctx) => {
    for (const minProcesses of [0, 1]) {
      const pool = new ctx.Pool({ processes: 1, minProcesses });
      const go = Promise.withResolvers<void>();
      const squares = pool.map(work.square, inTwoGoes([1, 2, 3], go.promise));
      const products = pool.starmap(
        work.multiply,
        inTwoGoes<[number, number]>([[1, 2], [3, 4]], go.promise),
      );
      pool.close();
      const joined = pool.join();
      go.resolve();

      assertEquals(await squares, [1, 4, 9]);
      assertEquals(await products, [2, 12]);
      await joined;
    }
  },
);

contract(
  "Pool.map() rejects with what its source throws, or gives that is no item",
  async (ctx) => {
    const pool = new ctx.Pool(1);
    async function* failing(): AsyncGenerator<number> {
      yield await Promise.resolve(1);
      throw new EvalError("it breaks");
    }
    async function* notTuples(): AsyncGenerator<[number, number]> {
      yield await Promise.resolve(3 as never);
    }

    await assertRejects(() => pool.map(work.square, failing()), EvalError);
    await assertRejects(
      () => pool.starmap(work.multiply, notTuples()),
      TypeError,
      "item 0",
    );
    pool.close();
    await pool.join();
  },
);

contract(
  "a source that fails when it is closed early ends nothing but itself",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const controller = new AbortController();
    const { signal } = controller;
    const items = [1, 2].map((first) =>
      Object.assign(new Stalling(first), {
        return: () => Promise.reject(new Error(`source ${first} fails`)),
      })
    );
    using heard = complaints();

    const mapped = pool.map(work.square, items[0]!, { signal });
    const iterated = pool.imap(work.square, items[1]!, { signal });
    controller.abort(new EvalError("enough"));
    await assertRejects(() => mapped, EvalError);
    await assertRejects(() => iterated.next(), EvalError);
    await until(() => heard.said.length === 2, "both are told of");
    for (const [i, said] of heard.said.entries()) {
      assertMatch(said, /^Error in the end of the source of /);
      assertStringIncludes(said, `source ${i + 1} fails`);
    }
    assertEquals(await pool.apply(work.square, [4]), 16);
  },
);

import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { Context } from "../../contexts/mod.ts";
import { EncodingError, QueueFullError, TimeoutError } from "../../errors.ts";
import { killThreadWith, stay } from "../fixtures/targets.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import { waitFor } from "../fixtures/pool_targets.ts";
import {
  addOrExit,
  addTo,
  addToAll,
  addUnder,
  answerTwice,
  appendToAll,
  appendToEach,
  appendToReceived,
  appendUnder,
  ignore,
  keep,
  keepTotal,
  makeShared,
  makeUnder,
  throwShared,
} from "../fixtures/plain.ts";
import { Elsewhere } from "../fixtures/elsewhere.ts";
import "../../mod.ts";

/** Fails if the memory of a lock that is in use has been given to another. */
async function assertStillOwn(
  ctx: Context,
  lock: InstanceType<Context["Lock"]>,
): Promise<void> {
  const others = Array.from({ length: 50 }, () => new ctx.Lock());
  await lock.acquire();
  for (const other of others) {
    assertEquals(await other.acquire({ block: false }) !== null, true);
    other.release();
  }
  lock.release();
}

contract(
  "Process hands a connection to a module that does not import the package",
  async (ctx) => {
    const [here, there] = ctx.Pipe<number>();
    const process = new ctx.Process({ target: answerTwice, args: [there] });
    process.start();
    there.close();
    await here.send(21);
    assertEquals(await here.recv({ timeout: 20_000 }), 42);
    await process.join();
    assertEquals(process.exitCode, 0);
    here.close();
  },
);

contract(
  "Process that is killed as it starts gives back what it was sent",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const process = new ctx.Process({
      target: stay as (...args: unknown[]) => unknown,
      args: [queue, new ctx.Lock(), new ctx.Event()],
    });
    process.start();
    process.kill();
    await process.exited;
    queue.close();
  },
);

contract(
  "Pool hands shared objects to a module that does not import the package",
  async (ctx) => {
    const given = { lock: new ctx.Lock(), total: new ctx.Value("i", 0) };
    {
      await using pool = new ctx.Pool(1);
      // Known once they have come, and not taken twice where the first has made
      // them known.
      await pool.starmap(addUnder, [[1, given], [2, given], [3, given]]);
      assertEquals(given.total.value, 6);
      await pool.apply(addUnder, [4, given]);
    }
    await using pool = new ctx.Pool({
      processes: 2,
      initializer: keep,
      initArgs: [given],
    });
    await pool.starmap(addUnder, [[5, undefined], [6, given]]);
    assertEquals(given.total.value, 21);
  },
);

contract(
  "Pool takes a shared object once that comes with what is not loaded yet",
  async (ctx) => {
    const lock = new ctx.Lock();
    await using pool = new ctx.Pool(1);
    await pool.apply(makeUnder, [lock, null]); // locks are known from now on
    assertEquals(
      await pool.apply(makeUnder, [lock, Elsewhere]),
      [7, true, 3],
    );
    // Whatever the worker had is given back, and no more than that.
    await pool.terminate();
    await assertStillOwn(ctx, lock);
  },
);

contract(
  "Children that were there before the manager take its proxies",
  async (ctx) => {
    const lock = new ctx.Lock();
    await using pool = new ctx.Pool(1);
    await pool.apply(addUnder, [1, {
      lock,
      total: new ctx.Value("i", 0),
    }]);
    const queue = new ctx.Queue<unknown>();
    const simple = new ctx.SimpleQueue<unknown>();
    const [reader, writer] = ctx.Pipe<unknown>();
    const looped = new ctx.Queue<unknown>();
    const children = [
      new ctx.Process({ target: appendToEach, args: [queue as never] }),
      new ctx.Process({ target: appendToEach, args: [simple as never] }),
      new ctx.Process({ target: appendToReceived, args: [reader as never] }),
      new ctx.Process({ target: appendToAll, args: [looped as never] }),
    ];
    for (const child of children) child.start();

    await using manager = await ctx.Manager();
    const list = await manager.list<unknown>();
    // The pool's worker knows locks, but no proxies: nothing is taken twice.
    for (let i = 0; i < 3; i++) {
      await pool.apply(appendUnder, [lock, list, i]);
    }
    for (const put of [queue, simple, looped]) {
      await put.put(list);
      await put.put(null);
    }
    await writer.send(list);
    await writer.send(null);
    for (const child of children) await child.join();
    assertEquals(children.map(({ exitCode }) => exitCode), [0, 0, 0, 0]);
    assertEquals(
      (await list.copy()).toSorted(),
      [0, 1, 2, "got", "got", "got", "got"],
    );
    list[Symbol.dispose]();
    await pool.terminate();
    await assertStillOwn(ctx, lock);
    for (const queue of [looped, simple]) queue.close();
    queue.close();
    reader.close();
    writer.close();
  },
);

contract(
  "Queue and Connection give back what they could not send",
  async (ctx) => {
    const full = new ctx.Queue<unknown>(1);
    await full.put("no more");
    const sent = () => [new ctx.Lock(), new ctx.Value("i", 1), new ctx.Queue()];
    await assertRejects(
      () => full.put(sent(), { timeout: 10 }),
      QueueFullError,
    );
    assertThrows(() => full.putSync(sent(), { timeout: 10 }), QueueFullError);
    assertThrows(() => full.putNowait(sent()), QueueFullError);

    const [reader, writer] = ctx.Pipe<unknown>({ maxBytes: 1024 });
    await writer.send(new Uint8Array(900));
    const tooMuch = [sent(), new Uint8Array(300)];
    await assertRejects(
      () => writer.send(tooMuch, { timeout: 10 }),
      TimeoutError,
    );
    assertEquals(await full.get(), "no more");
    reader.close();
    writer.close();
    full.close();
  },
);

contract(
  "Queue and Connection give back what nobody has taken",
  async (ctx) => {
    const queue = new ctx.Queue<unknown>();
    await queue.put([new ctx.Lock(), new ctx.Event()]);
    const [reader, writer] = ctx.Pipe<unknown>();
    await writer.send([new ctx.Semaphore(1), new ctx.Barrier(2)]);
    reader.close();
    writer.close();
    queue.close();
  },
);

contract(
  "Pool gives back what is in tasks that never run",
  async (ctx) => {
    const given = () => ({
      lock: new ctx.Lock(),
      total: new ctx.Value("i", 0),
    });
    await using pool = new ctx.Pool(1);
    await pool.ready;
    const here = SharedGate.in(ctx);
    const ends: Promise<unknown>[] = [
      pool.apply(waitFor, [here, SharedGate.in(ctx)]),
    ];
    await here.reaches(1, "the worker is busy");
    const some = Array.from(
      { length: 20 },
      () => pool.applyAsync(addUnder, [1, given()]),
    );
    ends.push(...some.map((task) => task.get()));
    ends.push(pool.starmap(addUnder, [[1, given()], [1, given()]]));
    const [bytes, lock] = [new Uint8Array(1 << 20), new ctx.Lock()];
    ends.push(pool.apply(ignore, [bytes, lock]));
    const outcomes = Promise.allSettled(ends);
    for (const task of some.slice(5, 15)) task.cancel();
    pool.terminate();
    await pool.join();
    for (const { status } of await outcomes) assertEquals(status, "rejected");
  },
);

contract(
  "SharedArrayBuffer crosses to a thread as it starts",
  async (ctx) => {
    const words = new Int32Array(new SharedArrayBuffer(8), 4);
    const child = new ctx.Process({ target: addTo, args: [1, words] });
    child.start();
    await child.join();
    assertEquals([child.exitCode, words[0]], [0, 1]);

    await using pool = new ctx.Pool({
      processes: 2,
      initializer: keepTotal,
      initArgs: [words],
    });
    await pool.map(addTo, [10, 20, 30], { chunkSize: 1 });
    assertEquals(words[0], 61);
  },
  { methods: ["worker"] },
);

contract(
  "SharedArrayBuffer crosses to a thread with each task, and back with its result",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    const words = new Int32Array(new SharedArrayBuffer(24), 8, 3);
    const back = await pool.apply(addToAll, [{ words, amount: 1 }]);
    assertEquals([back.byteOffset, back.length, back[2]], [8, 3, 1]);
    back[0]! += 10; // it is the same memory
    assertEquals([...words], [11, 1, 1]);

    // In chunks, one by one, as lists of arguments, beside much else.
    const additions = Array.from({ length: 20 }, () => ({ words, amount: 1 }));
    await pool.map(addToAll, additions, { chunkSize: 3 });
    for await (const same of pool.imapUnordered(addToAll, additions)) {
      assertEquals(same.length, 3);
    }
    await pool.starmap(addTo, [[100, words], [100, words]]);
    const much = { words, amount: 1000, more: new Uint8Array(1 << 20) };
    await Promise.all([1, 2, 3].map(() => pool.apply(addToAll, [much])));
    assertEquals([...words], [3251, 3041, 3041]);

    // Made by a worker.
    const made = await pool.map(makeShared, [1, 2, 3], 2);
    assertEquals(made.map(([number]) => number), [1, 2, 3]);
    await pool.map(addToAll, made.map((words) => ({ words, amount: 1 })));
    assertEquals(made.map(([number]) => number), [2, 3, 4]);
  },
  { methods: ["worker"] },
);

contract(
  "SharedArrayBuffer goes to whichever worker runs the task in the end",
  async (ctx) => {
    await using pool = new ctx.Pool(2);
    await pool.ready;
    const words = new Int32Array(new SharedArrayBuffer(8));
    const [here, go] = [SharedGate.in(ctx), SharedGate.in(ctx)];
    const long = pool.apply(waitFor, [here, go]);
    await here.reaches(1, "a worker is busy");
    // Some of them lie behind the long one, until the other worker has time.
    const tasks = Array.from(
      { length: 60 },
      () => pool.applyAsync(addTo, [1, words]),
    );
    for (const task of tasks.slice(40)) task.cancel();
    await Promise.all(tasks.slice(0, 40));
    go.arrive();
    await long;
    // Those that were cancelled may have begun, but not those that were not given.
    await pool.apply(addTo, [1000, words]);
    const sum = words[0]!;
    assertEquals(sum >= 1040 && sum < 1060, true, `the sum is ${sum}`);

    // Its worker dies: it is handed over once more.
    await pool.apply(addOrExit, [words], { retries: 1 });
    assertEquals([words[0]! - sum, words[1]], [1, 1]);
  },
  { methods: ["worker"] },
);

contract(
  "SharedArrayBuffer on an error is lost, and the error is not",
  async (ctx) => {
    await using pool = new ctx.Pool(1);
    const words = new Int32Array(new SharedArrayBuffer(8));
    const error = await assertRejects(() => pool.apply(throwShared, [words]));
    assertMatch(String(error), /It carries something/);
  },
  { methods: ["worker"] },
);

contract(
  "SharedArrayBuffer is refused where it cannot cross",
  async (ctx) => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    const isThread = ctx.getStartMethod() === "worker";
    using queue = new ctx.Queue<unknown>();
    const [reader, writer] = ctx.Pipe<unknown>();
    await using pool = new ctx.Pool(1);
    const child = new ctx.Process({ target: addTo, args: [1, words] });
    const ways: [send: () => unknown, path: string][] = [
      [() => queue.put({ words }), "item.words"],
      [() => writer.send([words]), "value[0]"],
    ];
    if (!isThread) {
      ways.push(
        [() => pool.apply(addTo, [1, words]), "args[1]"],
        [() => pool.map(addToAll, [{ words, amount: 1 }]), "items[0].words"],
        [() => child.start(), "args[1]"],
      );
    }
    const why = isThread
      ? /those and the results of a pool's tasks.*: "/
      : /process: use SharedMemory or RawArray: "/;
    for (const [send, path] of ways) {
      const error = await assertRejects(
        async () => await send(),
        EncodingError,
      );
      assertMatch(error.message, why);
      assertEquals(error.path, path);
    }
    reader.close();
    writer.close();
    if (isThread) return;
    const error = await assertRejects(
      () => pool.apply(makeShared, [1]),
      EncodingError,
    );
    assertMatch(
      error.message,
      /process: use SharedMemory or RawArray: "result/,
    );
  },
);

contract(
  "what a killed thread had is given back by a process that ends at once",
  async (ctx) => {
    // Afterwards no block is in use: the harness counts them.
    const queue = new ctx.Queue<string>();
    const process = new ctx.Process({ target: killThreadWith, args: [queue] });
    process.start();
    await process.join();
    assertEquals(process.exitCode, 0);
  },
  { methods: ["spawn"] },
);

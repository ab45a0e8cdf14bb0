/**
 * wait() in one process, on both kinds of memory.
 *
 * @module
 */
import {
  assertEquals,
  assertGreaterOrEqual,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { ProcessError } from "../../errors.ts";
import { becomesReady } from "../../primitives/waitable.ts";
import { pipeFor } from "../../primitives/pipe.ts";
import { Queue } from "../../primitives/queue.ts";
import { SimpleQueue } from "../../primitives/simple_queue.ts";
import { wait } from "../../primitives/wait.ts";
import { arenaFor } from "../../memory/mod.ts";
import { eachKind, look } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

/** Waited out in full, so short. */
const SHORT_MS = 50;
/** What timers may be early by, and clocks be coarse. */
const TOLERANCE_MS = 5;
/** Only ends what would hang. */
const LONG_MS = 30_000;

/** Something with a promise, as the sentinel of a process. */
class Flag {
  static {
    becomesReady<Flag>(Flag, (flag) => ({
      ready: () => flag.#isUp,
      promise: (signal) => {
        flag.#asked++;
        signal.addEventListener("abort", () => flag.#asked--);
        return flag.#up.promise;
      },
    }));
  }

  readonly #up = Promise.withResolvers<void>();
  #isUp = false;
  #asked = 0;

  /** How many wait for it. */
  get asked(): number {
    return this.#asked;
  }

  raise(): void {
    this.#isUp = true;
    this.#up.resolve();
  }
}

/** One test for each kind of memory. */
function each(
  name: string,
  body: (
    Pipe: ReturnType<typeof pipeFor>,
    world: SyncWorld,
  ) => Promise<void> | void,
) {
  eachKind(name, (world) => body(pipeFor(world.kind), world));
}

async function took(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

each(
  "WAIT-01 wait() serves several writers until their end",
  async (Pipe, world) => {
    const writers = Array.from({ length: 4 }, (_, i) => {
      const [reader, writer] = Pipe<[number, number]>({ duplex: false });
      const child = world.another();
      const theirs = world.give(writer, child);
      writer.close();
      const writing = (async () => {
        for (let n = 0; n < 10; n++) await theirs.send([n, i]);
        theirs.close();
      })();
      return { reader, child, writing };
    });
    let readers = writers.map(({ reader }) => reader);
    const messages: string[] = [];
    while (readers.length > 0) {
      for (const reader of await wait(readers)) {
        try {
          messages.push((await reader.recv()).join(" "));
        } catch {
          reader.close();
          readers = readers.filter((other) => other !== reader);
        }
      }
    }
    const expected = writers.flatMap((_, i) =>
      Array.from({ length: 10 }, (_, n) => `${n} ${i}`)
    );
    assertEquals(messages.sort(), expected.sort());
    for (const { child, writing } of writers) {
      await writing;
      world.kill(child);
    }
  },
);

each("WAIT-05 wait() gives nothing when its time is up", async (Pipe) => {
  const [a, b] = Pipe<string>();
  const ms = await took(async () =>
    assertEquals(await wait([a, b], { timeout: SHORT_MS }), [])
  );
  assertGreaterOrEqual(ms, SHORT_MS - TOLERANCE_MS);
  await b.send("hello");
  assertEquals(await wait([a, b], { timeout: LONG_MS }), [a]);
});

each(
  "WAIT-06 wait() waits for sentinels and connections together",
  async (Pipe) => {
    const [a, b] = Pipe<null>();
    const sentinel = new Flag();
    const waiting = wait([a, sentinel, b], { timeout: LONG_MS });
    assertEquals(await look(waiting), ["waits"]);
    assertEquals(sentinel.asked, 1);
    sentinel.raise();
    assertEquals(await waiting, [sentinel]);
    assertEquals(sentinel.asked, 0);
    await a.send(null);
    assertEquals(await wait([a, sentinel, b]), [sentinel, b]);
    await b.send(null);
    assertEquals(await wait([a, sentinel, b]), [a, sentinel, b]);
  },
);

each("WAIT-07 wait() with a negative timeout looks once", async (Pipe) => {
  const [a, b] = Pipe();
  using _held = b; // collected, it would be closed, and the other end ready
  const ms = await took(async () =>
    assertEquals(await wait([a], { timeout: -1 }), [])
  );
  assertLess(ms, 1000);
});

each(
  "WAIT-X1 wait() keeps the order, takes the end for ready, and waits for nothing",
  async (Pipe) => {
    const pipes = [Pipe(), Pipe(), Pipe(), Pipe()];
    using _held = pipes[2]![1];
    const ends = pipes.map(([end]) => end);
    await pipes[3]![1].send(1);
    pipes[1]![1].close();
    await pipes[0]![1].send(1);
    const ready = await wait(ends);
    assertEquals(ready.map((end) => ends.indexOf(end)), [0, 1, 3]);
    // In the other order, twice the same, and from anything that can be iterated.
    const twice = new Set([ends[3]!, ends[2]!, ends[0]!]);
    assertEquals([...await wait(twice)].map((end) => ends.indexOf(end)), [
      3,
      0,
    ]);
    assertEquals((await wait([ends[0]!, ends[0]!])).length, 2);

    const ms = await took(async () =>
      assertEquals(await wait([], { timeout: SHORT_MS }), [])
    );
    assertGreaterOrEqual(ms, SHORT_MS - TOLERANCE_MS);
  },
);

each("wait() is woken by each of its objects", async (Pipe, world) => {
  const [a, b] = Pipe<number>();
  const queue = new (world.of(Queue))<number>();
  const simple = new (world.of(SimpleQueue))<number>();
  const objects = [b, queue, simple];
  let waiting = wait(objects);
  await simple.put(1);
  assertEquals(await waiting, [simple]);
  await simple.get();
  waiting = wait(objects);
  await queue.put(1);
  assertEquals(await waiting, [queue]);
  await queue.get();
  waiting = wait(objects);
  a.close();
  assertEquals(await waiting, [b]);
});

Deno.test("wait() waits for both kinds of memory at once", async () => {
  const [a, b] = pipeFor("worker")<number>();
  const [c, d] = pipeFor("spawn")<number>();
  const waits = () => [
    arenaFor("worker").waiting.pending,
    arenaFor("spawn").waiting.pending,
  ];
  for (const [sender, receiver] of [[b, a], [d, c]] as const) {
    const waiting = wait([a, c]);
    assertEquals(await look(waiting), ["waits"]);
    assertEquals(waits(), [1, 1]);
    await sender.send(1);
    assertEquals(await waiting, [receiver]);
    assertEquals(waits(), [0, 0]);
    await receiver.recv();
  }
  await look();
});

each(
  "wait() rejects with the signal's reason and leaves nothing behind",
  async (Pipe, { arena }) => {
    const [a, b] = Pipe();
    using _held = b; // collected, it would be closed, and the other end ready
    const flag = new Flag();
    const reason = new Error("stop");
    const abort = new AbortController();
    const waiting = wait([a, flag], { signal: abort.signal });
    const empty = wait([], { signal: abort.signal });
    assertEquals(await look(waiting, empty), ["waits", "waits"]);
    abort.abort(reason);
    for (const wait of [waiting, empty]) {
      assertStrictEquals(await wait.catch((error) => error), reason);
    }
    assertEquals([arena.waiting.pending, flag.asked], [0, 0]);
    assertStrictEquals(
      await wait([a], { signal: abort.signal }).catch((error) => error),
      reason,
    );
  },
);

each("wait() passes its wake-up on", async (Pipe, world) => {
  const [a, b] = Pipe<number>();
  const queue = new (world.of(Queue))<number>();
  const child = world.another();
  const [theirEnd, theirQueue] = world.give([b, queue] as const, child);
  // The one that began first is woken first, and takes nothing.
  const ready = wait([b, queue]);
  const message = theirEnd.recv();
  await a.send(1);
  assertEquals(await ready, [b]);
  assertEquals(await message, 1);
  const again = wait([b, queue]);
  const item = theirQueue.get();
  await queue.put(2);
  assertEquals(await again, [queue]);
  assertEquals(await item, 2);
  // For one alone it is not the waiting itself that does so.
  const last = wait([b]);
  const lastMessage = theirEnd.recv();
  await a.send(3);
  assertEquals(await last, [b]);
  assertEquals(await lastMessage, 3);
  world.kill(child);
});

each(
  "wait() refuses what is closed or nothing to wait for",
  async (Pipe, world) => {
    const [a, b] = Pipe({ duplex: false });
    const queue = new (world.of(Queue))();
    await assertRejects(() => wait([b]), ProcessError, "write-only");
    for (const nothing of [{}, new Map(), null, 7, "text"]) {
      await assertRejects(
        () => wait([a, nothing as object]),
        TypeError,
        "objects[1]",
      );
    }
    const waiting = wait([a, queue]);
    queue.close();
    await assertRejects(() => waiting, ProcessError, "is closed");
    await assertRejects(() => wait([queue]), ProcessError, "is closed");
    a.close();
    await assertRejects(() => wait([a]), ProcessError, "handle is closed");
  },
);

each("wait() refuses what is no list of objects", async (Pipe) => {
  const [a, b] = Pipe<string>();
  await b.send("ready");
  const wrong: unknown[] = [a, a.recv, {}, 1, true, "", null, undefined];
  for (const objects of wrong) {
    await assertRejects(
      () => wait(objects as Iterable<object>),
      TypeError,
      "as in wait([connection])",
    );
  }
  assertEquals(await wait(new Set([a])), [a]);
  a.close();
  b.close();
});

/**
 * Queue, JoinableQueue and SimpleQueue in one process, on both kinds of memory.
 * Where it takes more than one participant, others are attached to the same
 * memory by the same thread; burying one stands for its death.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  EncodingError,
  ProcessError,
  QueueEmptyError,
  QueueFullError,
} from "../../errors.ts";
import { adopt } from "../../memory/arenas.ts";
import type { Arena, MemoryKind } from "../../memory/mod.ts";
import { bindTo } from "../../primitives/block.ts";
import { toMessage } from "../../primitives/to_wire.ts";
import { fromMessage } from "../../primitives/wire.ts";
import { JoinableQueue } from "../../primitives/joinable_queue.ts";
import { pipeFor } from "../../primitives/pipe.ts";
import { Queue } from "../../primitives/queue.ts";
import { SimpleQueue } from "../../primitives/simple_queue.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { until } from "../_support/gate.ts";
import { eachKind } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

/** Waited out in full, so short. */
const SHORT_MS = 50;
/** What timers may be early by, and clocks be coarse. */
const TOLERANCE_MS = 5;
/** Only ends what would hang. */
const LONG_MS = 30_000;
const MANY_ITEMS = 100_000;
const VERY_MANY_ITEMS = 1_000_000;
const LARGE_BYTES = 64 * 1024 * 1024;
/** Above the longest message. */
const TOO_LARGE_BYTES = 2 ** 31;

/** What a test works with. */
class World {
  readonly Queue: typeof Queue;
  readonly JoinableQueue: typeof JoinableQueue;
  readonly SimpleQueue: typeof SimpleQueue;
  readonly Pipe: ReturnType<typeof pipeFor>;
  readonly kind: MemoryKind;
  readonly arena: Arena;
  /** For waits of those who die: the thread in which they are lives on. */
  readonly signal: AbortSignal;
  readonly #world: SyncWorld;

  constructor(world: SyncWorld) {
    this.#world = world;
    this.kind = world.kind;
    this.arena = world.arena;
    this.signal = world.afterlife.signal;
    this.Queue = world.of(Queue);
    this.JoinableQueue = world.of(JoinableQueue);
    this.SimpleQueue = world.of(SimpleQueue);
    this.Pipe = pipeFor(world.kind);
  }

  /** Another participant, with its own objects for what it is given. */
  participant<A extends unknown[]>(...args: A): Participant<A> {
    const arena = this.#world.another();
    return {
      arena,
      args: this.#world.give(args, arena),
      dies: (...waits) => this.#world.kill(arena, ...waits),
    };
  }

  /** Runs as another participant: what is made or received then is its own. */
  as<T>(arena: Arena, run: () => T): T {
    adopt(arena);
    try {
      return run();
    } finally {
      adopt(this.arena);
    }
  }
}

interface Participant<A> {
  readonly arena: Arena;
  readonly args: A;
  /** @param waits What it was waiting for. */
  dies(...waits: Promise<unknown>[]): void;
}

/** One test for each kind of memory. */
function each(name: string, body: (world: World) => Promise<void> | void) {
  eachKind(name, (world) => body(new World(world)));
}

async function took(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

// ---- the reference's own tests ------------------------------------------------

each(
  "QUEUE-01 Queue.put() fills a queue up to its limit",
  async ({ Queue }) => {
    const queue = new Queue<number>(6);
    assert(queue.empty());
    assert(!queue.full());
    await queue.put(1);
    await queue.put(2, { block: true });
    await queue.put(3, { block: true, timeout: undefined });
    await queue.put(4, { block: false });
    await queue.put(5, { block: false, timeout: undefined });
    queue.putNowait(6);
    assert(!queue.empty());
    assert(queue.full());

    for (
      const put of [
        () => queue.put(7, { block: false }),
        () => queue.put(7, { block: false, timeout: LONG_MS }),
        () => queue.put(7, { timeout: 0 }),
        () => queue.put(7, { timeout: -1 }),
      ]
    ) await assertRejects(put, QueueFullError, "is full");
    assertThrows(() => queue.putNowait(7), QueueFullError, "is full");
    const ms = await took(() =>
      assertRejects(() => queue.put(7, { timeout: SHORT_MS }), QueueFullError)
    );
    assertGreaterOrEqual(ms, SHORT_MS - TOLERANCE_MS);

    for (let i = 1; i <= 6; i++) assertEquals(await queue.get(), i);
    assert(queue.empty());
    assert(!queue.full());
  },
);

each("QUEUE-02 Queue.get() gives items in order", async ({ Queue }) => {
  const queue = new Queue<number>();
  for (const item of [2, 3, 4, 5]) queue.putNowait(item);
  assertEquals(await queue.get({ block: true, timeout: undefined }), 2);
  assertEquals(await queue.get(), 3);
  assertEquals(await queue.get({ timeout: LONG_MS }), 4);
  assertEquals(queue.getNowait(), 5);
  assert(queue.empty());

  for (
    const get of [
      () => queue.get({ block: false }),
      () => queue.get({ block: false, timeout: LONG_MS }),
      () => queue.get({ timeout: -1 }),
    ]
  ) await assertRejects(get, QueueEmptyError, "is empty");
  assertThrows(() => queue.getNowait(), QueueEmptyError, "is empty");
});

each("QUEUE-03 Queue carries what several participants put", async (world) => {
  const queue = new world.Queue<number>();
  for (let i = 0; i < 10; i++) await queue.put(i);
  const { args: [theirs], dies } = world.participant(queue);
  for (let i = 10; i < 20; i++) await theirs.put(i);
  dies();
  for (let i = 0; i < 20; i++) assertEquals(await queue.get(), i);
  await assertRejects(() => queue.get({ block: false }), QueueEmptyError);
});

each("QUEUE-04 Queue.qsize() counts", async ({ Queue }) => {
  const queue = new Queue<number>();
  assertEquals(queue.qsize(), 0);
  await queue.put(1);
  assertEquals(queue.qsize(), 1);
  await queue.put(5);
  assertEquals(queue.qsize(), 2);
  await queue.get();
  assertEquals(queue.qsize(), 1);
  await queue.get();
  assertEquals(queue.qsize(), 0);
});

each(
  "QUEUE-05 JoinableQueue.join() waits for every taskDone()",
  async (world) => {
    const queue = new world.JoinableQueue<number | null>();
    const done: number[] = [];
    const worker = async () => {
      for (let item; (item = await queue.get()) !== null;) {
        done.push(item);
        queue.taskDone();
      }
    };
    const workers = [worker(), worker(), worker(), worker()];
    for (let i = 0; i < 10; i++) await queue.put(i);
    assert(await queue.join());
    assertEquals(done.sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const _ of workers) await queue.put(null);
    await Promise.all(workers);
  },
);

each("QUEUE-06 Queue.get() waits as long as it is told", async ({ Queue }) => {
  const queue = new Queue();
  const ms = await took(() =>
    assertRejects(() => queue.get({ timeout: SHORT_MS }), QueueEmptyError)
  );
  assertGreaterOrEqual(ms, SHORT_MS - TOLERANCE_MS);
});

each(
  "QUEUE-07 Queue.put() rejects what cannot travel, and keeps its slot",
  async (world) => {
    const queue = new world.Queue<unknown>(1);
    const error = await assertRejects(
      () => queue.put({ deep: [Symbol("no")] }),
      EncodingError,
    );
    assertEquals(error.path, "item.deep[0]");
    assertThrows(() => queue.putNowait(() => {}), EncodingError);
    assertThrows(() => queue.putSync(new WeakMap()), EncodingError);
    assertEquals(queue.qsize(), 0);
    await queue.put(true, { timeout: 0 });
    assertEquals(queue.qsize(), 1);
    assertEquals(await queue.get(), true);
    assert(queue.empty());
  },
);

each(
  "QUEUE-09 Queue.put() and get() throw once it is closed",
  async (world) => {
    for (const queue of [new world.Queue(), new world.JoinableQueue()]) {
      queue.close();
      await assertRejects(() => queue.put(1), ProcessError, "is closed");
      await assertRejects(() => queue.get(), ProcessError, "is closed");
      assertThrows(() => queue.putNowait(1), ProcessError, "is closed");
      assertThrows(() => queue.getNowait(), ProcessError, "is closed");
      assertThrows(() => queue.putSync(1), ProcessError, "is closed");
      assertThrows(() => queue.getSync(), ProcessError, "is closed");
      await assertRejects(
        () => Array.fromAsync(queue),
        ProcessError,
        "is closed",
      );
      queue.close();
    }
  },
);

each("QUEUE-10 SimpleQueue.empty() sees what others put", async (world) => {
  const queue = new world.SimpleQueue<boolean>();
  assert(queue.empty());
  const { args: [theirs], dies } = world.participant(queue);
  await theirs.put(theirs.empty());
  await theirs.put(theirs.empty());
  dies();
  assert(!queue.empty());
  assertEquals(await queue.get(), true);
  assertEquals(queue.getSync(), false);
  assert(queue.empty());
});

each(
  "QUEUE-11 QUEUE-12 SimpleQueue is closed once and for all",
  async (world) => {
    const queue = new world.SimpleQueue();
    queue.close();
    queue.close();
    await assertRejects(() => queue.put(1), ProcessError, "handle is closed");
    await assertRejects(() => queue.get(), ProcessError, "handle is closed");
    assertThrows(() => queue.putSync(1), ProcessError, "handle is closed");
    assertThrows(() => queue.getSync(), ProcessError, "handle is closed");
    assertThrows(() => queue.empty(), ProcessError, "handle is closed");
  },
);

// ---- measured on the reference ---------------------------------------------------

each("QUEUE-X1 Queue keeps the order of each producer", async (world) => {
  const queue = new world.Queue<[string, number]>();
  const a = world.participant(queue);
  const b = world.participant(queue);
  await Promise.all(
    ([["a", a.args[0]], ["b", b.args[0]]] as const).map(async ([name, end]) => {
      for (const i of [0, 1, 2]) await end.put([name, i]);
    }),
  );
  const items = [];
  for (let i = 0; i < 6; i++) items.push(await queue.get());
  assert(queue.empty());
  for (const name of ["a", "b"]) {
    const numbers = items.filter(([from]) => from === name).map(([, i]) => i);
    assertEquals(numbers, [0, 1, 2]);
  }
  a.dies();
  b.dies();
});

each(
  "QUEUE-X2 Queue.put() sends what the value was at the call",
  async (world) => {
    const queue = new world.Queue<number[]>(1);
    const samples = new world.Queue<Uint8Array>(1);
    const item = [1];
    const first = queue.put(item);
    item.push(2);
    await first;
    // And also if it has to wait, and if the codec refers to it meanwhile.
    const second = queue.put(item);
    item.push(3);
    const large = new Uint8Array(100_000).fill(7);
    samples.putNowait(large);
    const third = samples.put(large);
    large.fill(8);
    assertEquals(await queue.get(), [1]);
    assertEquals(await queue.get(), [1, 2]);
    await second;
    await samples.get();
    assertEquals((await samples.get()).every((byte) => byte === 7), true);
    await third;
  },
);

each("QUEUE-X3 Queue answers after close() what it can", async (world) => {
  const queue = new world.JoinableQueue<number>(2);
  await queue.put(1);
  const error = await assertRejects(() => queue.joinThread(), ProcessError);
  assertMatch(error.message, /Queue .* is not closed/);
  queue.cancelJoinThread();
  queue.close();
  assertEquals(queue.qsize(), 1);
  assertEquals(queue.full(), false);
  assertThrows(() => queue.empty(), ProcessError, "handle is closed");
  await queue.joinThread();
  queue.taskDone();
  assertThrows(
    () => queue.taskDone(),
    ProcessError,
    "task_done() called too many times",
  );
  assert(await queue.join());
  assert(new world.JoinableQueue().joinSync());
});

each("QUEUE-X3 Queue has no limit if maxSize is not above 0", async (world) => {
  for (const maxSize of [0, -1, -100]) {
    const queue = new world.Queue<number>(maxSize);
    for (let i = 0; i < 1000; i++) queue.putNowait(i);
    assert(!queue.full());
    await assertRejects(
      () => new world.Queue().get({ timeout: -1 }),
      QueueEmptyError,
    );
  }
});

each("QUEUE-X4 Queue carries queues and connections", async (world) => {
  const outer = new world.Queue<unknown>();
  const inner = new world.JoinableQueue<number>(3);
  const simple = new world.SimpleQueue<number>();
  const [a, b] = world.Pipe<number>();
  const { args: [theirs], dies, arena } = world.participant(outer);
  await outer.put({ inner, simple, a });
  const got = world.as(arena, () => theirs.getNowait()) as {
    inner: typeof inner;
    simple: typeof simple;
    a: typeof a;
  };
  await got.inner.put(1);
  await got.simple.put(2);
  await got.a.send(3);
  assertEquals(await inner.get(), 1);
  assertEquals(await simple.get(), 2);
  assertEquals(await b.recv(), 3);
  inner.taskDone();
  dies();
});

Deno.test("QUEUE-X4 a worker queue cannot go to a process", async () => {
  const inner = new (bindTo(Queue, "worker"))();
  const outer = new (bindTo(Queue, "spawn"))();
  const error = await assertRejects(() => outer.put([inner]), EncodingError);
  assertMatch(error.message, /"worker".*"spawn"/);
});

// ---- the seed -----------------------------------------------------------------

each("SEED-06 Queue gives copies, first in, first out", async (world) => {
  const queue = new world.Queue<unknown>();
  const { args: [theirs], dies } = world.participant(queue);
  await theirs.put([42, null, "hello"]);
  await theirs.put(2);
  dies();
  assertEquals(await queue.get(), [42, null, "hello"]);
  assertEquals(await queue.get(), 2);
});

each("SEED-11 Queue of five things nobody reads", async ({ Queue }) => {
  const queue = new Queue<unknown>(5);
  assert(queue.empty());
  assertEquals(queue.qsize(), 0);
  for (const item of [[1], 2, "three", new Set([4]), { five: { six: 7 } }]) {
    await queue.put(item, { block: false });
  }
  assertEquals(queue.qsize(), 5);
  assert(queue.full());
  queue.close();
  await queue.joinThread();
});

// ---- order ------------------------------------------------------------------------

each("Queue.put() keeps its order when it has to wait", async ({ Queue }) => {
  const queue = new Queue<number>(1);
  const puts = [0, 1, 2, 3].map((i) => queue.put(i));
  assertEquals(queue.getNowait(), 0);
  // There is room, but two wait for it.
  assertThrows(() => queue.putNowait(9), QueueFullError);
  puts.push(queue.put(4));
  for (let i = 1; i < 5; i++) assertEquals(await queue.get(), i);
  await Promise.all(puts);
  assert(queue.empty());
});

each("Queue.get() serves in the order of the calls", async ({ Queue }) => {
  const queue = new Queue<number>();
  const first = queue.get();
  const second = queue.get();
  await queue.put(1);
  // The item is there, but somebody waits for it.
  assertThrows(() => queue.getNowait(), QueueEmptyError);
  const third = queue.get();
  await queue.put(2);
  await queue.put(3);
  assertEquals(await Promise.all([first, second, third]), [1, 2, 3]);
});

each(
  "Queue.getSync() and putSync() serve those who wait first",
  async (world) => {
    const queue = new world.Queue<number>(2);
    const got = [queue.get(), queue.get({ timeout: LONG_MS })];
    const { args: [theirs], dies } = world.participant(queue);
    theirs.putSync(1);
    theirs.putSync(2);
    assertThrows(() => queue.getSync({ timeout: 0 }), QueueEmptyError);
    theirs.putSync(3);
    assertEquals(queue.getSync(), 3);
    assertEquals(await Promise.all(got), [1, 2]);

    const puts = [10, 11, 12, 13].map((i) => queue.put(i));
    theirs.getSync();
    theirs.getSync();
    assertThrows(() => queue.putSync(14, { timeout: 0 }), QueueFullError);
    theirs.getSync();
    queue.putSync(14);
    await Promise.all(puts);
    assertEquals([await queue.get(), await queue.get()], [13, 14]);
    dies();
  },
);

each("Queue.get() keeps what getSync() has got for it", async (world) => {
  const queue = new world.Queue<number>();
  const { args: [theirs], dies } = world.participant(queue);
  const abort = new AbortController();
  const served = queue.get({ signal: abort.signal });
  const timed = queue.get({ timeout: SHORT_MS });
  for (const i of [1, 2, 3]) theirs.putSync(i);
  assertEquals(queue.getSync(), 3);
  // Too late: both have been taken from the queue.
  abort.abort();
  // Its time is up as well, which it cannot be told before.
  const until = performance.now() + 2 * SHORT_MS;
  while (performance.now() < until);
  assertEquals(await served, 1);
  assertEquals(await timed, 2);
  dies();
});

each(
  "Queue.get() that getSync() has served needs no other wake-up",
  async (world) => {
    const queue = new world.Queue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    // They wait longest, so that the item wakes them and not us.
    const other = theirs.get();
    const mine = queue.get();
    queue.putNowait(1);
    assertThrows(() => queue.getSync({ timeout: 0 }), QueueEmptyError);
    assertEquals(await mine, 1);
    queue.putNowait(2);
    assertEquals(await other, 2);
    dies();
  },
);

each(
  "Queue.get() of another participant gets what is passed on",
  async (world) => {
    const queue = new world.Queue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    const abort = new AbortController();
    const mine = queue.get({ signal: abort.signal });
    const other = theirs.get();
    // The wake-up goes to `mine`, which gives up before it has looked.
    theirs.putSync(1, { timeout: 0 });
    abort.abort("enough");
    assertEquals(await assertRejectsWith(mine), "enough");
    assertEquals(await other, 1);
    dies();
  },
);

async function assertRejectsWith(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("It did not reject");
}

// ---- cancelling --------------------------------------------------------------------

each(
  "Queue.get() rejects with the signal's reason and takes nothing",
  async (world) => {
    const queue = new world.Queue<number>();
    const reason = new Error("stop");
    const abort = new AbortController();
    const pending = queue.get({ signal: abort.signal });
    abort.abort(reason);
    assertStrictEquals(await assertRejectsWith(pending), reason);
    await queue.put(1);
    const late = queue.get({ signal: abort.signal });
    assertStrictEquals(await assertRejectsWith(late), reason);
    assertThrows(() => queue.getSync({ signal: abort.signal }), Error, "stop");
    assertEquals(queue.qsize(), 1);
  },
);

each(
  "Queue.put() rejects with the signal's reason and puts nothing",
  async (world) => {
    const queue = new world.Queue<number>(1);
    const reason = new Error("stop");
    const abort = new AbortController();
    await queue.put(1);
    const pending = queue.put(2, { signal: abort.signal });
    const behind = queue.put(3);
    abort.abort(reason);
    assertStrictEquals(await assertRejectsWith(pending), reason);
    assertEquals(await queue.get(), 1);
    await behind;
    assertEquals(await queue.get(), 3);
    const late = queue.put(4, { signal: abort.signal });
    assertStrictEquals(await assertRejectsWith(late), reason);
    assert(queue.empty());
  },
);

each("Queue checks timeouts also when it need not wait", async ({ Queue }) => {
  const queue = new Queue<number>();
  await assertRejects(() => queue.put(1, { timeout: NaN }), RangeError, "NaN");
  await assertRejects(
    () => queue.put(1, { timeout: "1" as unknown as number }),
    TypeError,
    "timeout",
  );
  assert(queue.empty());
  queue.putNowait(1);
  await assertRejects(() => queue.get({ timeout: NaN }), RangeError, "NaN");
  assertThrows(() => queue.getSync({ timeout: NaN }), RangeError, "NaN");
  assertEquals(queue.qsize(), 1);
});

// ---- closing ------------------------------------------------------------------------

each(
  "Queue.close() rejects waiting calls of this object alone",
  async (world) => {
    const queue = new world.Queue<number>(1);
    const { args: [theirs], dies } = world.participant(queue);
    const get = queue.get();
    const other = theirs.get();
    queue.close();
    await assertRejects(() => get, ProcessError, "is closed");
    theirs.putSync(1);
    assertEquals(await other, 1);

    const full = new world.Queue<number>(1);
    full.putNowait(1);
    const put = full.put(2);
    full.close();
    await assertRejects(() => put, ProcessError, "is closed");
    assertEquals(full.qsize(), 1);
    dies();
  },
);

each("Queue can be disposed, twice", ({ Queue }) => {
  let kept;
  {
    using queue = new Queue();
    kept = queue;
  }
  assertThrows(() => kept.putNowait(1), ProcessError, "is closed");
  kept[Symbol.dispose]();
});

// ---- loops ----------------------------------------------------------------------------

each(
  "Queue loops hand out what is left when it is closed here",
  async ({ Queue }) => {
    const queue = new Queue<number>();
    const seen: number[] = [];
    const loop = (async () => {
      for await (const item of queue) {
        seen.push(item);
        if (item === 0) queue.close();
      }
    })();
    for (let i = 0; i < 3; i++) queue.putNowait(i);
    await loop;
    assertEquals(seen, [0, 1, 2]);
  },
);

each(
  "Queue loops of workers end when its maker has closed it",
  async (world) => {
    const queue = new world.Queue<number>();
    const a = world.participant(queue);
    const b = world.participant(queue);
    const loops = [a, b].map(({ args: [end] }) => Array.fromAsync(end));
    for (let i = 0; i < 10; i++) await queue.put(i);
    queue.close();
    const seen = (await Promise.all(loops)).flat();
    assertEquals(seen.sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    a.dies();
    b.dies();
  },
);

each("Queue loops of workers end when its maker has died", async (world) => {
  const maker = world.participant();
  const queue = world.as(maker.arena, () => new world.Queue<number>());
  const bytes = structuredClone(
    toMessage(queue, {
      kind: world.kind,
    }, "queue").parts[0]!,
  );
  const mine = fromMessage(bytes).value as Queue<number>;
  const loop = Array.fromAsync(mine);
  await queue.put(1);
  maker.dies();
  assertEquals(await loop, [1]);
});

each("Queue loops go on while somebody may still put", async (world) => {
  const queue = new world.Queue<number>();
  const reader = world.participant(queue);
  const writer = world.participant(queue);
  const silent = world.participant(queue);
  const seen: number[] = [];
  const loop = (async () => {
    for await (const item of reader.args[0]) seen.push(item);
  })();
  queue.close();
  // One that never uses it might; one that has put might again.
  await writer.args[0].put(1);
  assertEquals(await Promise.race([loop, turn()]), "turn");
  silent.dies();
  assertEquals(await Promise.race([loop, turn()]), "turn");
  await writer.args[0].put(2);
  writer.args[0].close();
  await loop;
  assertEquals(seen, [1, 2]);
  reader.dies();
  writer.dies();
});

each("Queue loops of its maker go on until it closes it", async (world) => {
  const queue = new world.Queue<number>();
  const loop = Array.fromAsync(queue);
  for (let i = 0; i < 3; i++) {
    const { args: [theirs], dies } = world.participant(queue);
    await theirs.put(i);
    theirs.close();
    dies();
    assertEquals(await Promise.race([loop, turn()]), "turn");
  }
  queue.close();
  assertEquals(await loop, [0, 1, 2]);
});

each("Queue loops can be left, and then anything may be put", async (world) => {
  const queue = new world.Queue<number>();
  const a = world.participant(queue);
  const b = world.participant(queue);
  for (let i = 0; i < 3; i++) await queue.put(i);
  for await (const item of a.args[0]) {
    assertEquals(item, 0);
    break;
  }
  queue.close();
  const loop = Array.fromAsync(b.args[0]);
  assertEquals(await Promise.race([loop, turn()]), "turn");
  await a.args[0].put(3);
  a.args[0].close();
  assertEquals(await loop, [1, 2, 3]);
  a.dies();
  b.dies();
});

each(
  "Queue loops of one process share the items, and end together",
  async (world) => {
    const queue = new world.Queue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    const loops = [Array.fromAsync(theirs), Array.fromAsync(theirs)];
    for (let i = 0; i < 10; i++) await queue.put(i);
    queue.close();
    const seen = (await Promise.all(loops)).flat();
    assertEquals(seen.sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    dies();
  },
);

each(
  "Queue loops go on while one that has put waits with them",
  async (world) => {
    const queue = new world.Queue<number>();
    const a = world.participant(queue);
    const b = world.participant(queue);
    const loops = [a, b].map(({ args: [theirs] }) => Array.fromAsync(theirs));
    await a.args[0].put(1);
    queue.close();
    assertEquals(await Promise.race([...loops, turn()]), "turn");
    a.args[0].close();
    assertEquals((await Promise.all(loops)).flat(), [1]);
    a.dies();
    b.dies();
  },
);

for (const how of ["is left", "goes on"] as const) {
  each(
    `Queue loops end when the last that had an item ${how}`,
    async (world) => {
      const queue = new world.Queue<number>();
      const { args: [theirs], dies } = world.participant(queue);
      const { promise: isDone, resolve } = Promise.withResolvers<void>();
      const first = Array.fromAsync(theirs);
      const last = (async () => {
        for await (const _ of theirs) {
          await isDone;
          if (how === "is left") break;
        }
      })();
      assertEquals(await Promise.race([first, turn()]), "turn");
      // For the first in line; the second for the other.
      await queue.put(1);
      await queue.put(2);
      queue.close();
      assertEquals(await Promise.race([first, turn()]), "turn");
      resolve();
      await last;
      assertEquals(await first, [1]);
      dies();
    },
  );
}

each("Queue loops count a queue that is in a message", async (world) => {
  const queue = new world.Queue<number>();
  const mail = new world.Queue<typeof queue>();
  const reader = world.participant(queue);
  const loop = Array.fromAsync(reader.args[0]);
  await mail.put(queue);
  queue.close();
  assertEquals(await Promise.race([loop, turn()]), "turn");
  const again = await mail.get();
  await again.put(1);
  again.close();
  assertEquals(await loop, [1]);
  reader.dies();
});

/** A turn of the event loop, for what would happen at once to have happened. */
function turn(): Promise<"turn"> {
  return new Promise((resolve) => setTimeout(() => resolve("turn"), 1));
}

// ---- death ----------------------------------------------------------------------------

each(
  "LESSON-05 Queue.get() works after another was killed in it",
  async (world) => {
    const queue = new world.Queue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    dies(theirs.get({ signal: world.signal }));
    await queue.put(1);
    assertEquals(await queue.get({ timeout: LONG_MS }), 1);
  },
);

each("Queue can be given away after a death in its table", async (world) => {
  const queue = new world.Queue<number>();
  const dead = world.participant();
  // As if it had been killed while it held the mutex of the table.
  const offset = Number(/0x[0-9a-f]+/.exec(`${queue}`)![0]);
  const table = world.arena.words(offset + 128, 1);
  Atomics.store(table, 0, dead.arena.me);
  dead.dies();
  const { args: [theirs], dies } = world.participant(queue);
  await theirs.put(1);
  assertEquals(await queue.get(), 1);
  dies();
});

each(
  "LESSON-29 JoinableQueue.join() does not wait for the dead",
  async (world) => {
    const queue = new world.JoinableQueue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    for (let i = 0; i < 3; i++) await queue.put(i);
    await theirs.get();
    await theirs.get();
    theirs.taskDone();
    await queue.get();
    const joined = queue.join();
    queue.taskDone();
    assertEquals(await Promise.race([joined, turn()]), "turn");
    dies();
    assert(await joined);
    assertThrows(() => queue.taskDone(), ProcessError, "too many times");
    // Nor does it forget those who come after.
    await queue.put(4);
    assertEquals(await queue.join({ timeout: 0 }), false);
    await queue.get();
    queue.taskDone();
    assert(queue.joinSync({ timeout: 0 }));
  },
);

each(
  "JoinableQueue.taskDone() may be called by somebody else",
  async (world) => {
    const queue = new world.JoinableQueue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    await queue.put(1);
    await queue.put(2);
    await theirs.get();
    queue.taskDone();
    dies();
    assertEquals(await queue.join({ timeout: 0 }), false);
    await queue.get();
    queue.taskDone();
    assert(await queue.join({ timeout: 0 }));
  },
);

each(
  "JoinableQueue loops count what they take after close()",
  async (world) => {
    const queue = new world.JoinableQueue<number>();
    const { args: [theirs], dies } = world.participant(queue);
    for (let i = 0; i < 3; i++) await queue.put(i);
    await theirs.get();
    for await (const item of queue) {
      if (item === 1) queue.close();
      queue.taskDone();
    }
    // All but theirs are done, and that is known to be theirs.
    assertEquals(await queue.join({ timeout: 0 }), false);
    dies();
    assert(await queue.join());
  },
);

each(
  "JoinableQueue.join() times out, aborts, and can be shared",
  async (world) => {
    const queue = new world.JoinableQueue<number>();
    await queue.put(1);
    assertEquals(await queue.join({ timeout: SHORT_MS }), false);
    assertEquals(queue.joinSync({ timeout: SHORT_MS }), false);
    const reason = new Error("stop");
    const signal = AbortSignal.abort(reason);
    assertStrictEquals(await assertRejectsWith(queue.join({ signal })), reason);
    const { args: [theirs], dies } = world.participant(queue);
    const joined = theirs.join();
    await queue.get();
    queue.taskDone();
    assert(await joined);
    dies();
  },
);

each("Queue has room for more participants than its table", async (world) => {
  const queue = new world.JoinableQueue<number>();
  const others = Array.from({ length: 100 }, () => world.participant(queue));
  for (const { args: [theirs] } of others) theirs.putSync(1);
  for (const { args: [theirs] } of others) theirs.getSync();
  const joined = queue.join();
  for (const { dies } of others) dies();
  assert(await joined);
  // Lines of the dead are used again.
  const later = Array.from({ length: 100 }, () => world.participant(queue));
  for (const { dies } of later) dies();
});

// ---- limits --------------------------------------------------------------------------

each("LESSON-26 Queue takes 100,000 items before any is got", async (world) => {
  const { arena } = world;
  const queue = new world.Queue<{ i: number; text: string }>();
  await queue.put({ i: -1, text: "" });
  await queue.get();
  const blocks = arena.heap.blocks;
  for (let i = 0; i < MANY_ITEMS; i++) {
    await queue.put({ i, text: `item ${i}` });
  }
  assertEquals(queue.qsize(), MANY_ITEMS);
  assert(arena.heap.blocks > blocks);
  for (let i = 0; i < MANY_ITEMS; i++) {
    assertEquals((await queue.get()).i, i);
  }
  assert(queue.empty());
  assertEquals(arena.heap.blocks, blocks, "memory is given back");
});

each("Queue carries 1,000,000 small items", async ({ Queue }) => {
  const queue = new Queue<number>(1000);
  const putting = (async () => {
    for (let i = 0; i < VERY_MANY_ITEMS; i++) await queue.put(i);
  })();
  for (let i = 0; i < VERY_MANY_ITEMS; i++) {
    if (await queue.get() !== i) throw new Error(`Not ${i}`);
  }
  await putting;
  assert(queue.empty());
});

each("Queue carries items of 64 MB", async ({ Queue }) => {
  const queue = new Queue<Uint8Array>();
  for (let i = 0; i < 2; i++) {
    await queue.put(new Uint8Array(LARGE_BYTES).fill(i + 1));
  }
  for (let i = 0; i < 2; i++) {
    const item = await queue.get();
    assertEquals(item.byteLength, LARGE_BYTES);
    assertEquals([item[0], item.at(-1)], [i + 1, i + 1]);
  }
});

each(
  "Queue.put() refuses an item that is too long for any message",
  async ({ Queue }) => {
    // Zeroes that nobody has touched cost no memory.
    const item = new Uint8Array(TOO_LARGE_BYTES);
    const queue = new Queue<Uint8Array>();
    await assertRejects(
      () => queue.put(item),
      RangeError,
      "send it in pieces, or use SharedMemory",
    );
    assertThrows(() => queue.putNowait(item), RangeError);
    assertEquals(queue.qsize(), 0);
    await queue.put(new Uint8Array(10));
    assertEquals((await queue.get()).byteLength, 10);
  },
);

each("Queue makes puts wait at maxBytes", async ({ Queue }) => {
  const queue = new Queue<Uint8Array>(0, { maxBytes: 1024 });
  await queue.put(new Uint8Array(500));
  await assertRejects(
    () => queue.put(new Uint8Array(600), { timeout: 0 }),
    QueueFullError,
  );
  const large = queue.put(new Uint8Array(900));
  // Would fit, but has to wait behind the large one, until that gives up.
  const abort = new AbortController();
  const larger = queue.put(new Uint8Array(800), { signal: abort.signal });
  const small = queue.put(new Uint8Array(10));
  assertEquals((await queue.get()).byteLength, 500);
  await large;
  abort.abort();
  await assertRejects(() => larger);
  await small;
  assertEquals((await queue.get()).byteLength, 900);
  assertEquals((await queue.get()).byteLength, 10);
  await assertRejects(
    () => queue.put(new Uint8Array(1024)),
    RangeError,
    "takes 1040 in shared memory and the limit of bytes is 1024",
  );
  assert(queue.empty());
});

each("Queue lets small items in when a large one gives up", async (world) => {
  const queue = new world.Queue<Uint8Array>(0, { maxBytes: 1024 });
  const { args: [theirs], dies } = world.participant(queue);
  await queue.put(new Uint8Array(500));
  await queue.put(new Uint8Array(400));
  const large = queue.put(new Uint8Array(900), { timeout: SHORT_MS });
  const small = theirs.put(new Uint8Array(300));
  // Makes room for the small one, but the large one waits longer and is woken.
  assertEquals((await queue.get()).byteLength, 500);
  await assertRejects(() => large, QueueFullError);
  await small;
  dies();
});

each(
  "Queue that is collected gives its memory back",
  async ({ Queue, arena }) => {
    const blocks = arena.heap.blocks;
    (() => {
      const queue = new Queue<Uint8Array>();
      for (let i = 0; i < 100; i++) queue.putNowait(new Uint8Array(10_000));
      assertGreaterOrEqual(arena.heap.blocks, blocks + 2);
    })();
    await until(() => {
      collectGarbage();
      return arena.heap.blocks === blocks;
    }, () => `${arena.heap.blocks - blocks} blocks are given back`);
  },
);

each("Queue refuses limits that are none", ({ Queue }) => {
  for (const maxSize of [NaN, 1.5, Infinity]) {
    assertThrows(() => new Queue(maxSize), RangeError, "'maxSize'");
  }
  for (const maxSize of ["10", null, {}]) {
    assertThrows(() => new Queue(maxSize as number), TypeError, "'maxSize'");
  }
  for (const maxBytes of [NaN, 0, -1]) {
    assertThrows(() => new Queue(0, { maxBytes }), RangeError, "'maxBytes'");
  }
  assertThrows(
    () => new Queue(0, { maxBytes: "1" as unknown as number }),
    TypeError,
    "'maxBytes'",
  );
});

// ---- handles ---------------------------------------------------------------------------

each("Queue.put() takes handles back that were not put", async (world) => {
  const queue = new world.Queue<unknown>(1, { maxBytes: 10_000 });
  const [a, b] = world.Pipe();
  await queue.put(0);
  assertThrows(() => queue.putNowait(a), QueueFullError);
  assertThrows(() => queue.putSync(a, { timeout: 0 }), QueueFullError);
  await assertRejects(() => queue.put(a, { timeout: 0 }), QueueFullError);
  await assertRejects(
    () => queue.put([a, () => {}], { timeout: 0 }),
    EncodingError,
  );
  await assertRejects(
    () => queue.put(a, { signal: AbortSignal.timeout(1) }),
    DOMException,
  );
  await assertRejects(
    () => queue.put([a, new Uint8Array(20_000)]),
    RangeError,
  );
  a.close();
  // If one of them still counted, this would wait for ever.
  assert(await b.poll({ timeout: 0 }));
});

// ---- describing --------------------------------------------------------------------------

each("Queue describes itself as the reference does", (world) => {
  assertMatch(`${new world.Queue()}`, /^<Queue at 0x[0-9a-f]+>$/);
  assertMatch(`${new world.JoinableQueue()}`, /^<JoinableQueue at 0x/);
  assertMatch(Deno.inspect(new world.SimpleQueue()), /^<SimpleQueue at 0x/);
});

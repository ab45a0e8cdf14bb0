/**
 * Queues between real children of both start methods. What one process can see by
 * itself is tested in `tests/primitives/queue_test.ts`.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  EncodingError,
  EofError,
  ProcessError,
  QueueEmptyError,
  QueueFullError,
} from "../../errors.ts";
import { assertAllSucceed, several, start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import {
  addUp,
  getAll,
  getOne,
  loopAfterRefusal,
  loopBehindGet,
  loopOverCopies,
  patterned,
  putAll,
  putBytes,
  putEmptiness,
  putNumbers,
  takeAndStay,
  useParcel,
  work,
} from "../fixtures/carriers.ts";
import type { Parcel } from "../fixtures/carriers.ts";

/** Waited out in full, so short. */
const SHORT_MS = 100;
/** How much of that a clock may swallow. */
const TOLERANCE_MS = 20;
/** Enough to fill any buffer of the system many times. */
const MANY_ITEMS = 100_000;
const LARGE_BYTES = 64 * 1024 * 1024;
const WORKERS = 4;
const JOBS = 10;

for (const blocks of [false, true]) {
  const how = blocks ? "a child that blocks" : "a child";
  contract(`QUEUE-01 Queue is full until ${how} gets`, async (ctx) => {
    const queue = new ctx.Queue<number>(6);
    assertEquals([queue.empty(), queue.full()], [true, false]);
    const report = Mailbox.in(ctx);
    const go = SharedGate.in(ctx);
    const child = start(ctx, getAll, queue, 6, report, go, blocks);
    await queue.put(1);
    await queue.put(2, { block: true });
    await queue.put(3, { timeout: 1000 });
    await queue.put(4, { block: false });
    queue.putSync(5);
    queue.putNowait(6);
    assertEquals([queue.empty(), queue.full()], [false, true]);
    assertThrows(() => queue.putNowait(7), QueueFullError);
    await assertRejects(() => queue.put(7, { block: false }), QueueFullError);
    const from = performance.now();
    await assertRejects(
      () => queue.put(7, { timeout: SHORT_MS }),
      QueueFullError,
    );
    assert(performance.now() - from >= SHORT_MS - TOLERANCE_MS);
    go.set();
    await assertAllSucceed([child]);
    assertEquals(report.drain(), [1, 2, 3, 4, 5, 6]);
    assertEquals([queue.empty(), queue.full()], [true, false]);
  });

  contract(`QUEUE-02 Queue gives in order what ${how} put`, async (ctx) => {
    const queue = new ctx.Queue<number>();
    const child = start(ctx, putAll, queue, [2, 3, 4, 5], blocks);
    assertEquals(await queue.get(), 2);
    assertEquals(queue.getSync(), 3);
    assertEquals(await queue.get({ timeout: 30_000 }), 4);
    await assertAllSucceed([child]);
    assertEquals(queue.getNowait(), 5);
    assertEquals(queue.empty(), true);
    assertThrows(() => queue.getNowait(), QueueEmptyError);
    await assertRejects(
      () => queue.get({ block: false, timeout: 1000 }),
      QueueEmptyError,
    );
  });
}

contract(
  "QUEUE-03 LESSON-28 Queue carries what parent and child put",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    for (let i = 0; i < 10; i++) await queue.put(i);
    const later = Array.from({ length: 10 }, (_, i) => 10 + i);
    await assertAllSucceed([start(ctx, putAll, queue, later)]);
    for (let i = 0; i < 20; i++) assertEquals(queue.getNowait(), i);
    assertThrows(() => queue.getNowait(), QueueEmptyError);
  },
);

contract(
  "QUEUE-04 LESSON-28 Queue.qsize() and empty() are exact across processes",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    assertEquals(queue.qsize(), 0);
    await assertAllSucceed([start(ctx, putAll, queue, [1, 2])]);
    assertEquals([queue.qsize(), queue.empty()], [2, false]);
    const report = Mailbox.in(ctx);
    const go = SharedGate.in(ctx);
    go.set();
    await assertAllSucceed([start(ctx, getAll, queue, 1, report, go)]);
    assertEquals(queue.qsize(), 1);
    queue.getNowait();
    assertEquals([queue.qsize(), queue.empty()], [0, true]);
  },
);

contract(
  "QUEUE-05 JoinableQueue.join() waits for all jobs of all workers",
  async (ctx) => {
    const queue = new ctx.JoinableQueue<number | null>();
    const done = SharedGate.in(ctx);
    const workers = several(WORKERS, () => start(ctx, work, queue, done));
    for (let i = 0; i < JOBS; i++) await queue.put(i);
    assertEquals(await queue.join(), true);
    assertEquals(done.value, JOBS);
    for (const _ of workers) await queue.put(null);
    await assertAllSucceed(workers);
    assertEquals(queue.joinSync(), true);
    assertThrows(
      () => queue.taskDone(),
      ProcessError,
      "task_done() called too many times",
    );
  },
);

contract("QUEUE-06 Queue.get() waits as long as it is told", async (ctx) => {
  const queue = new ctx.Queue();
  for (
    const get of [
      () => queue.get({ timeout: SHORT_MS }),
      () => Promise.try(() => queue.getSync({ timeout: SHORT_MS })),
    ]
  ) {
    const from = performance.now();
    await assertRejects(get, QueueEmptyError);
    assert(performance.now() - from >= SHORT_MS - TOLERANCE_MS);
  }
});

contract(
  "QUEUE-07 LESSON-27 Queue.put() rejects what cannot travel, and keeps its slot",
  async (ctx) => {
    const queue = new ctx.Queue<unknown>(1);
    await assertRejects(() => queue.put(() => {}), EncodingError);
    await assertRejects(() => queue.put({ a: [Symbol("x")] }), EncodingError);
    assertEquals(queue.qsize(), 0);
    await queue.put(true);
    assertEquals(queue.qsize(), 1);
    const report = Mailbox.in(ctx);
    const go = SharedGate.in(ctx);
    go.set();
    await assertAllSucceed([start(ctx, getAll, queue, 1, report, go)]);
    assertEquals(report.drain(), [true]);
    assertEquals(queue.empty(), true);
  },
);

contract(
  "QUEUE-09 Queue that is closed here is open for a child",
  async (ctx) => {
    for (
      const queue of [new ctx.Queue<number>(), new ctx.JoinableQueue<number>()]
    ) {
      const report = Mailbox.in(ctx);
      const go = SharedGate.in(ctx);
      await queue.put(1);
      const child = start(ctx, getAll, queue, 1, report, go);
      queue.close();
      await assertRejects(() => queue.put(2), ProcessError, "closed");
      await assertRejects(() => queue.get(), ProcessError, "closed");
      go.set();
      await assertAllSucceed([child]);
      assertEquals(report.drain(), [1]);
    }
  },
);

contract(
  "QUEUE-10 SimpleQueue.empty() sees what another process put",
  async (ctx) => {
    const queue = new ctx.SimpleQueue<boolean>();
    assertEquals(queue.empty(), true);
    await assertAllSucceed([start(ctx, putEmptiness, queue)]);
    assertEquals(queue.empty(), false);
    assertEquals(await queue.get(), true);
    assertEquals(queue.getSync(), false);
    assertEquals(queue.empty(), true);
  },
);

contract(
  "QUEUE-11 QUEUE-12 SimpleQueue is closed for this process alone",
  async (ctx) => {
    const queue = new ctx.SimpleQueue<boolean>();
    const report = Mailbox.in(ctx);
    const go = SharedGate.in(ctx);
    await queue.put(true);
    const child = start(ctx, getAll, queue, 1, report, go);
    queue.close();
    queue.close();
    await assertRejects(() => queue.get(), ProcessError, "closed");
    assertThrows(() => queue.empty(), ProcessError, "closed");
    go.set();
    await assertAllSucceed([child]);
    assertEquals(report.drain(), [true]);
  },
);

contract("QUEUE-X1 Queue keeps the order of each producer", async (ctx) => {
  const queue = new ctx.Queue<number>();
  await assertAllSucceed(
    several(
      2,
      (i) => start(ctx, putAll, queue, [0, 1, 2].map((n) => 10 * i + n)),
    ),
  );
  const items = Array.from({ length: 6 }, () => queue.getNowait());
  for (const i of [0, 10]) {
    const ofOne = items.filter((item) => item >= i && item < i + 10);
    assertEquals(ofOne, [i, i + 1, i + 2]);
  }
});

contract(
  "QUEUE-X2 LESSON-27 Queue.put() sends what the value was at the call",
  async (ctx) => {
    const queue = new ctx.Queue<number[]>();
    const value = [1];
    const put = queue.put(value);
    value.push(2);
    await put;
    const report = Mailbox.in(ctx);
    const go = SharedGate.in(ctx);
    go.set();
    await assertAllSucceed([start(ctx, getAll, queue, 1, report, go)]);
    assertEquals(report.drain(), [[1]]);
  },
);

contract(
  "QUEUE-X3 Queue loops in children end when all have closed it",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const report = Mailbox.in<number>(ctx);
    const children = several(WORKERS, () => start(ctx, addUp, queue, report));
    for (let i = 1; i <= 100; i++) await queue.put(i);
    queue.close();
    await assertAllSucceed(children);
    const sums = report.drain();
    assertEquals(sums.length, WORKERS);
    assertEquals(sums.reduce((a, b) => a + b), 5050);
  },
);

contract(
  "QUEUE-X4 Queue carries handles of all kinds to a running child, which uses them",
  async (ctx) => {
    const queue = new ctx.Queue<Parcel>();
    const child = start(ctx, useParcel, queue);
    const [here, there] = ctx.Pipe<string>();
    const memory = new ctx.SharedMemory({ create: true, size: 8 });
    const list = new ctx.ShareableList(["unset"]);
    const parcel = {
      lock: new ctx.Lock(),
      rlock: new ctx.RLock(),
      semaphore: new ctx.Semaphore(1),
      bounded: new ctx.BoundedSemaphore(1),
      condition: new ctx.Condition(),
      event: new ctx.Event(),
      barrier: new ctx.Barrier(2),
      value: new ctx.Value("i", 37),
      raw: new ctx.RawValue("d", 0),
      array: new ctx.Array("i", [1, 2, 3]),
      struct: new ctx.RawValue({ x: "i", y: "d" }),
      answers: new ctx.Queue<string>(),
      jobs: new ctx.JoinableQueue<string>(),
      simple: new ctx.SimpleQueue<string>(),
      connection: there,
      memory,
      list,
    };
    await parcel.jobs.put("job");
    using guard = await parcel.condition.acquire();
    assert(guard);
    await queue.put(parcel as unknown as Parcel);
    there.close();
    assertEquals(await parcel.condition.wait(), true);
    guard[Symbol.dispose]();
    await parcel.barrier.wait();
    await parcel.event.wait();
    assertEquals(parcel.value.value, 42);
    assertEquals(parcel.raw.value, 0.5);
    assertEquals(parcel.array.toArray(), [1, 2, 7]);
    assertEquals(parcel.struct.toObject(), { x: 1, y: 2.5 });
    assertEquals(await parcel.answers.get(), "put");
    assertEquals(await parcel.simple.get(), "put simply");
    assertEquals(await parcel.jobs.join(), true);
    assertEquals(await here.recv(), "sent");
    assertEquals(memory.buf![0], 42);
    assertEquals(list.at(0), "set");
    for (const one of [memory, list.shm]) {
      one.close();
      one.unlink();
    }
    await assertAllSucceed([child]);
  },
);

contract(
  "LESSON-05 Queue of a killed consumer serves the others",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const here = SharedGate.in(ctx);
    const report = Mailbox.in(ctx);
    const children = several(2, () => start(ctx, getOne, queue, here, report));
    await here.reaches(2, "both wait in get()");
    children[0]!.kill();
    await queue.put(1);
    assertEquals(await report.take("the other gets it"), 1);
    await assertAllSucceed([children[1]!]);
    await children[0]!.exited;
  },
);

contract(
  "LESSON-26 Queue holds 100,000 items of a child that has ended",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const child = start(ctx, putNumbers, queue, MANY_ITEMS);
    assertEquals(await child.join({ timeout: 30_000 }), true);
    assertEquals(child.exitCode, 0);
    assertEquals(queue.qsize(), MANY_ITEMS);
    for (let i = 0; i < MANY_ITEMS; i++) {
      if (queue.getNowait() !== i) throw new Error(`Not ${i}`);
    }
    assertEquals(queue.empty(), true);
  },
);

contract("Queue carries items of 64 MB between processes", async (ctx) => {
  const queue = new ctx.Queue<Uint8Array>();
  const child = start(ctx, putBytes, queue, LARGE_BYTES);
  await assertAllSucceed([child]);
  const item = await queue.get();
  // Compared as one: the assertion would take minutes to look at each byte.
  assert(isSame(item, patterned(LARGE_BYTES)));
});

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer);
  const [x, y] = [words(a), words(b)];
  return x.length === y.length && x.every((word, i) => word === y[i]);
}

contract(
  "LESSON-29 JoinableQueue.join() settles when a worker is killed",
  async (ctx) => {
    const queue = new ctx.JoinableQueue<number>();
    const here = SharedGate.in(ctx);
    const worker = start(ctx, takeAndStay, queue, here);
    await queue.put(1);
    await here.reaches(1, "the worker has the job");
    const joined = queue.join();
    worker.kill();
    assertEquals(await joined, true);
    await worker.exited;
  },
);

contract(
  "Queue's loop ends though a get() before it goes on waiting",
  async (ctx) => {
    const queue = new ctx.Queue<number>();
    const here = SharedGate.in(ctx);
    const worker = start(ctx, loopBehindGet, queue, here);
    await here.reaches(1, "the worker loops");
    queue.close();
    await assertAllSucceed([worker]);
  },
);

contract("Queue's loop ends though a put was refused", async (ctx) => {
  const queue = new ctx.Queue<unknown>();
  const here = SharedGate.in(ctx);
  const worker = start(ctx, loopAfterRefusal, queue, here);
  await here.reaches(1, "the put is refused");
  queue.close();
  await assertAllSucceed([worker]);
});

for (const Class of ["Queue", "JoinableQueue"] as const) {
  contract(
    `${Class}'s loop ends though one over a second copy has ended before`,
    async (ctx) => {
      const queue = new ctx[Class]<number>();
      const mail = new ctx.Queue<typeof queue>();
      const here = SharedGate.in(ctx);
      const worker = start(ctx, loopOverCopies, queue, mail, here, "waiting");
      await mail.put(queue);
      await here.reaches(1, "one copy is closed");
      queue.close();
      mail.close();
      await assertAllSucceed([worker]);
    },
  );

  contract(
    `${Class}'s loop ends though one over a second copy was left`,
    async (ctx) => {
      const queue = new ctx[Class]<number>();
      const mail = new ctx.Queue<typeof queue>();
      const here = SharedGate.in(ctx);
      const worker = start(ctx, loopOverCopies, queue, mail, here, "reading");
      await mail.put(queue);
      await here.reaches(1, "both loop");
      while (here.value < 2) {
        await queue.put(1);
        await until(() => queue.empty(), () => "nobody gets");
      }
      queue.close();
      mail.close();
      await assertAllSucceed([worker]);
    },
  );
}

contract(
  "Queue gives up what is left in it when the last loop over it is left",
  async (ctx) => {
    const queue = new ctx.Queue<unknown>();
    const [here, there] = ctx.Pipe<string>();
    await queue.put("first");
    await queue.put(there);
    there.close();
    for await (const _ of queue) {
      queue.close();
      break;
    }
    await assertRejects(() => here.recv(), EofError);
    here.close();
  },
);

contract(
  "Queue refuses at once what can never be put, also while others wait",
  async (ctx) => {
    using queue = new ctx.Queue<unknown>(1, { maxBytes: 1000 });
    const large = new Uint8Array(5000);
    await queue.put("first");
    const second = queue.put("second");
    const text = /takes 50\d\d in shared memory and the limit of bytes is 1008/;
    const thrown = assertThrows(() => queue.putNowait(large), RangeError);
    assertMatch(thrown.message, text);
    const error = await assertRejects(() => queue.put(large), RangeError);
    assertMatch(error.message, text);
    await queue.get();
    await second;
  },
);

contract(
  "A put or send is not disturbed by what reading its options does",
  async (ctx) => {
    using queue = new ctx.Queue<string>();
    await queue.put("what was put first", {
      get timeout() {
        queue.putNowait("put in between, by it");
        return 1000;
      },
    });
    assertEquals(queue.getNowait(), "put in between, by it");
    assertEquals(queue.getNowait(), "what was put first");

    const [a, b] = ctx.Pipe<string>();
    await a.send("what was sent first", {
      get timeout() {
        a.sendSync("sent in between, by it");
        return 1000;
      },
    });
    assertEquals(await b.recv(), "sent in between, by it");
    assertEquals(await b.recv(), "what was sent first");
    a.close();
    b.close();
  },
);

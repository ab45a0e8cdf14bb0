/**
 * All that waits takes `{ timeout, signal }`, and means the same by it: each way of
 * waiting, with each kind of limit, where nothing ever comes.
 *
 * @module
 */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { getContext } from "../../contexts/mod.ts";
import type { Context } from "../../contexts/mod.ts";
import "../../mod.ts";
import type { SyncManager, WaitOptions } from "../../mod.ts";
import { start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { countedSignal } from "../_support/listeners.ts";
import { overlongTimers } from "../_support/timers.ts";
import { isPortable } from "../_support/portable.ts";
import * as work from "../fixtures/pool_targets.ts";
import { SharedGate } from "../_support/meeting.ts";
import { waitTwice } from "../fixtures/sharers.ts";
import { stay } from "../fixtures/targets.ts";

/** Waited out in full, so short. */
const SHORT_MS = 20;
/** Longer than a timer can be. */
const YEARS_MS = 2 ** 40;
const BYTES = new Uint8Array(900);

/** Something to wait for that does not come. */
type Wait = (options: WaitOptions) => Promise<unknown>;

/** What a way of waiting gives when the time is up: a value, or an error's name. */
type Late = null | false | string;

/** What waits are made of; what is made is ended with the test. */
interface World {
  readonly ctx: Context;
  /** A worker that is busy for ever. */
  readonly pool: InstanceType<Context["Pool"]>;
  readonly manager: SyncManager;
  /** Has something done at the end. */
  atEnd(act: () => unknown): void;
  /** Has another process hold something. */
  heldByAnother(lock: unknown): Promise<void>;
}

type Way = readonly [late: Late, make: (world: World) => Promise<Wait> | Wait];

const ways: Record<string, Way> = {
  "Lock.acquire": [null, async ({ ctx, heldByAnother }) => {
    const lock = new ctx.Lock();
    await heldByAnother(lock);
    return (options) => lock.acquire(options);
  }],
  "RLock.acquire": [null, async ({ ctx, heldByAnother }) => {
    const lock = new ctx.RLock();
    await heldByAnother(lock);
    return (options) => lock.acquire(options);
  }],
  "Semaphore.acquire": [null, ({ ctx }) => {
    const semaphore = new ctx.Semaphore(0);
    return (options) => semaphore.acquire(options);
  }],
  "Condition.wait": [false, async ({ ctx }) => {
    const condition = new ctx.Condition();
    await condition.acquire();
    return (options) => condition.wait(options);
  }],
  "Condition.waitFor": [false, async ({ ctx }) => {
    const condition = new ctx.Condition();
    await condition.acquire();
    return (options) => condition.waitFor(() => false, options);
  }],
  "Event.wait": [false, ({ ctx }) => {
    const event = new ctx.Event();
    return (options) => event.wait(options);
  }],
  "Barrier.wait": ["BrokenBarrierError", ({ ctx }) => {
    const barrier = new ctx.Barrier(2);
    return (options) => barrier.wait(options);
  }],
  "Queue.get": ["QueueEmptyError", ({ ctx, atEnd }) => {
    const queue = new ctx.Queue();
    atEnd(() => queue.close());
    return (options) => queue.get(options);
  }],
  "Queue.put": ["QueueFullError", async ({ ctx, atEnd }) => {
    const queue = new ctx.Queue(1);
    atEnd(() => queue.close());
    await queue.put(1);
    return (options) => queue.put(2, options);
  }],
  "JoinableQueue.join": [false, async ({ ctx, atEnd }) => {
    const queue = new ctx.JoinableQueue();
    atEnd(() => queue.close());
    await queue.put(1);
    return (options) => queue.join(options);
  }],
  "SimpleQueue.get": ["QueueEmptyError", ({ ctx, atEnd }) => {
    const queue = new ctx.SimpleQueue();
    atEnd(() => queue.close());
    return (options) => queue.get(options);
  }],
  "Connection.recv": ["TimeoutError", ({ ctx, atEnd }) => {
    const ends = ctx.Pipe();
    atEnd(() => ends.forEach((end) => end.close()));
    return (options) => ends[0].recv(options);
  }],
  "Connection.recvBytes": ["TimeoutError", ({ ctx, atEnd }) => {
    const ends = ctx.Pipe();
    atEnd(() => ends.forEach((end) => end.close()));
    return (options) => ends[0].recvBytes(undefined, options);
  }],
  "Connection.poll": [false, ({ ctx, atEnd }) => {
    const ends = ctx.Pipe();
    atEnd(() => ends.forEach((end) => end.close()));
    // Without a time it looks once, as in Python.
    return (options) => ends[0].poll({ timeout: Infinity, ...options });
  }],
  "Connection.send": ["TimeoutError", async ({ ctx, atEnd }) => {
    const ends = ctx.Pipe({ maxBytes: 1000 });
    atEnd(() => ends.forEach((end) => end.close()));
    await ends[0].send(BYTES);
    return (options) => ends[0].send(BYTES, options);
  }],
  "Process.join": [false, ({ ctx, atEnd }) => {
    const process = new ctx.Process({
      target: stay as () => Promise<void>,
      daemon: true,
    });
    process.start();
    atEnd(() => {
      process.kill();
      return process.exited;
    });
    return (options) => process.join(options);
  }],
  "AsyncResult.get": ["TimeoutError", ({ pool }) => {
    const result = pool.applyAsync(work.square, [1]);
    return (options) => result.get(options);
  }],
  "AsyncResult.wait": [false, ({ pool }) => {
    const result = pool.applyAsync(work.square, [1]);
    return (options) => result.wait(options);
  }],
  "PoolIterator.next": ["TimeoutError", ({ pool }) => {
    const results = pool.imap(work.square, [1]);
    return (options) => results.next(options);
  }],
  "Listener.accept": ["TimeoutError", ({ ctx, atEnd }) => {
    const listener = new ctx.Listener();
    atEnd(() => listener.close());
    return (options) => listener.accept(options);
  }],
  "wait": ["[]", ({ ctx, atEnd }) => {
    const queue = new ctx.Queue();
    atEnd(() => queue.close());
    return (options) => ctx.wait([queue], options);
  }],
  "a manager's Queue.get": ["QueueEmptyError", async ({ manager }) => {
    const queue = await manager.Queue();
    return (options) => queue.get(options);
  }],
  "a manager's Queue.put": ["QueueFullError", async ({ manager }) => {
    const queue = await manager.Queue(1);
    await queue.put(1);
    return (options) => queue.put(2, options);
  }],
  "a manager's JoinableQueue.join": [false, async ({ manager }) => {
    const queue = await manager.JoinableQueue();
    await queue.put(1);
    return (options) => queue.join(options);
  }],
  "a manager's Event.wait": [false, async ({ manager }) => {
    const event = await manager.Event();
    return (options) => event.wait(options);
  }],
  "a manager's Lock.acquire": [null, async ({ manager }) => {
    const lock = await manager.Lock();
    await lock.acquire();
    return (options) => lock.acquire(options);
  }],
  "a manager's Semaphore.acquire": [null, async ({ manager }) => {
    const semaphore = await manager.Semaphore(0);
    return (options) => semaphore.acquire(options);
  }],
  "a manager's Condition.wait": [false, async ({ manager }) => {
    const condition = await manager.Condition();
    await condition.acquire();
    return (options) => condition.wait(options);
  }],
  "a manager's Barrier.wait": ["BrokenBarrierError", async ({ manager }) => {
    const barrier = await manager.Barrier(2);
    return (options) => barrier.wait(options);
  }],
};

/** What a wait gives when its time is up. */
async function late(wait: Wait, limits: WaitOptions): Promise<Late> {
  try {
    const value = await wait(limits);
    return Array.isArray(value) ? Deno.inspect(value) : value as Late;
  } catch (error) {
    return (error as Error).name;
  }
}

for (const [name, [whenLate, make]] of Object.entries(ways)) {
  contract(`${name}() is limited by a time and a signal`, async (ctx) => {
    const ends: (() => unknown)[] = [];
    await using pool = new ctx.Pool(1);
    await using manager = await ctx.Manager();
    const go = SharedGate.in(ctx);
    if (name.startsWith("AsyncResult") || name.startsWith("PoolIterator")) {
      const here = SharedGate.in(ctx);
      const busy = pool.apply(work.waitFor, [here, go]);
      busy.catch(() => {}); // it ends with the pool
      await here.reaches(1, "the worker is busy");
    }
    const world: World = {
      ctx,
      pool,
      manager,
      atEnd: (act) => void ends.push(act),
      heldByAnother: async (lock) => {
        const here = SharedGate.in(ctx);
        const holder = new ctx.Process({
          target: work.stayWith as (...args: unknown[]) => Promise<void>,
          args: [lock, here],
          daemon: true,
        });
        holder.start();
        await here.reaches(1, "it is held");
        ends.push(() => {
          holder.kill();
          return holder.exited;
        });
      },
    };

    for (const timeout of [0, -1, SHORT_MS]) {
      const wait = await make(world);
      const { signal, count } = countedSignal();
      const result = await late(wait, { timeout, signal });
      assertEquals(result, whenLate, `after ${timeout} ms`);
      assertEquals(count(), 0, "listeners that a lasting signal is left with");
    }
    const reason = new Error("mine");
    for (const signal of [AbortSignal.abort(reason), abortedSoon(reason)]) {
      const wait = await make(world);
      const error = await assertRejects(() => wait({ signal }), Error);
      assertEquals(error, reason);
    }
    {
      using timers = overlongTimers();
      const wait = await make(world);
      const signal = abortedSoon(reason);
      const limits = { timeout: YEARS_MS, signal };
      assertEquals(await assertRejects(() => wait(limits), Error), reason);
      assertEquals(timers.seen, []);
    }
    const bad = [
      [{ timeout: NaN }, RangeError, /'timeout'/],
      [{ timeout: "5" }, TypeError, /'timeout'/],
      [{ signal: {} }, TypeError, /'signal' must be an AbortSignal/],
    ] as const;
    for (const [options, Class, message] of bad) {
      const wait = await make(world);
      const error = await assertRejects(
        () => wait({ timeout: SHORT_MS, ...options } as WaitOptions),
        Class,
      );
      assertMatch(error.message, message);
    }
    for (const end of ends) await end();
  });
}

contract(
  "Time limits of a pool, a manager, a listener may be years",
  async (ctx) => {
    using timers = overlongTimers();
    {
      await using pool = new ctx.Pool({
        processes: 2,
        minProcesses: 1,
        idleTimeout: YEARS_MS,
        startTimeout: YEARS_MS,
      });
      const limits = { timeout: YEARS_MS };
      const tasks = [1, 2, 3].map((n) =>
        pool.applyAsync(work.square, [n], limits).get(limits)
      );
      assertEquals(await Promise.all(tasks), [1, 4, 9]);
      assertEquals(await pool.map(work.square, [1, 2, 3], limits), [1, 4, 9]);
    }
    {
      await using manager = await ctx.Manager({
        shutdownTimeout: YEARS_MS,
        handshakeTimeout: YEARS_MS,
        handoverTimeout: YEARS_MS,
      });
      const list = await manager.list([1]);
      assertEquals(await list.get(0), 1);
    }
    {
      await using listener = new ctx.Listener(undefined, {
        handshakeTimeout: YEARS_MS,
      });
      const accepted = listener.accept();
      using client = await ctx.Client(listener.address);
      using end = await accepted;
      await client.send(1);
      assertEquals(await end.recv(), 1);
    }
    assertEquals(timers.seen, []);
  },
);

/** Ways of waiting that Python gives a time, or whether to block, as arguments. */
const bareInPython = [
  "Lock.acquire",
  "RLock.acquire",
  "Semaphore.acquire",
  "Condition.wait",
  "Condition.waitFor",
  "Event.wait",
  "Barrier.wait",
  "Queue.get",
  "Queue.put",
  "JoinableQueue.join",
  "SimpleQueue.get",
  "Connection.recv",
  "Connection.send",
  "wait",
];

contract("What waits says how to write what Python takes bare", async (ctx) => {
  const ends: (() => unknown)[] = [];
  const world = {
    ctx,
    atEnd: (act: () => unknown) => void ends.push(act),
    heldByAnother: () => Promise.resolve(), // it is not even tried
  } as unknown as World;
  const bare = [
    [5, "{ timeout: 5 }, in milliseconds: they are 5"],
    [false, "{ block: false }: they are false"],
    ["5", "{ timeout: 1000 }: they are"],
  ] as const;
  for (const name of bareInPython) {
    const wait = await ways[name]![1](world);
    for (const [value, example] of bare) {
      await assertRejects(
        async () => await wait(value as unknown as WaitOptions),
        TypeError,
        `Cannot wait as the options must be an object, such as ${example}`,
        name,
      );
    }
  }
  for (const end of ends) await end();
});

/**
 * What threads of this process have for sleeping among processes, as the system
 * sees it: calls of `FUTEX_WAIT`, or sockets where there are none.
 */
function sleepers(): number {
  const read = (path: string, text: (path: string) => string) => {
    try {
      return text(path);
    } catch {
      return ""; // it has just gone
    }
  };
  if (isPortable) {
    return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) =>
      read(`/proc/self/fd/${name}`, Deno.readLinkSync).startsWith("socket:")
    ).length;
  }
  return [...Deno.readDirSync("/proc/self/task")].filter(({ name }) => {
    const path = `/proc/self/task/${name}/syscall`;
    return /^202 \S+ 0x0 /.test(read(path, Deno.readTextFileSync));
  }).length;
}

for (const end of ["ends", "is ended"]) {
  contract(
    `A thread that ${end} while it waits among processes leaves no sleep behind`,
    async (ctx) => {
      const { Event } = getContext("spawn");
      const [first, second] = [new Event(), new Event()];
      const here = SharedGate.in(ctx);
      await first.wait({ timeout: 1 }); // this thread may keep what it has for that
      const before = sleepers();
      const child = start(ctx, waitTwice, first, second, here);
      await here.reaches(1, "it is about to wait");
      await until(() => sleepers() > before, "it sleeps");
      first.set();
      await here.reaches(2, "it is about to wait again");
      if (end === "ends") second.set();
      else child.kill();
      await child.exited;
      await until(() => sleepers() <= before, "its sleep is over");
    },
    // A socket is closed later then: see `memory/_doorbell.ts`.
    { methods: end === "is ended" && isPortable ? [] : ["worker"] },
  );
}

/** A signal that is aborted while somebody waits. */
function abortedSoon(reason: Error): AbortSignal {
  const control = new AbortController();
  setTimeout(() => control.abort(reason), SHORT_MS);
  return control.signal;
}

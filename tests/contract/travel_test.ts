/**
 * Everything travels every way: one of each kind of thing that can be sent, by each
 * way there is, to children that know nothing of it before.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Context } from "../../contexts/mod.ts";
import "../../mod.ts";
import type { ListProxy, Pool, SyncManager } from "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { Elsewhere } from "../fixtures/elsewhere.ts";
import { square } from "../fixtures/targets.ts";
import * as travel from "../fixtures/travellers.ts";
import type { Parcel } from "../fixtures/travellers.ts";

/** What is sent by one way, and what has to stay for as long as it is in use. */
interface Luggage extends AsyncDisposable {
  /** One of each kind, and some of them together. */
  readonly parcels: Parcel[];
}

/** Makes one of each. */
async function pack(ctx: Context, manager: SyncManager): Promise<Luggage> {
  const [one, peer] = ctx.Pipe<unknown>();
  const [two, secondPeer] = ctx.Pipe<unknown>();
  const list = await manager.list<unknown>();
  const memory = new ctx.SharedMemory({ create: true, size: 16 });
  const shareable = new ctx.ShareableList([1, 2]);
  const queues = [
    new ctx.Queue(),
    new ctx.JoinableQueue(),
    new ctx.SimpleQueue(),
    new ctx.Queue(),
  ] as const;
  const parcels: Parcel[] = [
    ["proxy", list],
    ["Lock", new ctx.Lock()],
    ["RLock", new ctx.RLock()],
    ["Semaphore", new ctx.Semaphore(1)],
    ["BoundedSemaphore", new ctx.BoundedSemaphore(1)],
    ["Condition", new ctx.Condition()],
    ["Event", new ctx.Event()],
    ["Barrier", new ctx.Barrier(1)],
    ["Value", new ctx.Value("i", 1)],
    ["RawValue", new ctx.RawValue("d", 1)],
    ["Array", new ctx.Array("i", [1, 2])],
    ["struct", new ctx.Value({ n: "i", x: "d" }, { n: 1, x: 2 })],
    ["Queue", queues[0]],
    ["JoinableQueue", queues[1]],
    ["SimpleQueue", queues[2]],
    ["Connection", one],
    ["SharedMemory", memory],
    ["ShareableList", shareable],
    ["function", square],
    ["URL", new URL("https://example.com/")],
    ["error", new RangeError("as it was")],
    ["all", {
      Lock: new ctx.Lock(),
      proxy: list,
      function: square,
      Queue: queues[3],
      Connection: two,
    }],
  ];
  return {
    parcels,
    [Symbol.asyncDispose]() {
      (list as ListProxy<unknown>)[Symbol.dispose]();
      for (const end of [one, peer, two, secondPeer, ...queues]) end.close();
      for (const shared of [memory, shareable.shm]) {
        shared.close();
        shared.unlink();
      }
      return Promise.resolve();
    },
  };
}

/** Runs a target that reports each kind, to its end. */
async function reported(
  ctx: Context,
  // deno-lint-ignore no-explicit-any -- any function that takes reports last
  target: (...args: any[]) => unknown,
  args: unknown[],
  count: number,
): Promise<string[]> {
  using reports = new ctx.Queue<string>();
  const child = new ctx.Process({ target, args: [...args, reports] });
  child.start();
  const kinds: string[] = [];
  while (kinds.length < count) {
    kinds.push(await reports.get({ timeout: 20_000 }));
  }
  await child.join();
  assertEquals(child.exitCode, 0);
  return kinds;
}

/** Puts all into a queue, from which a child gets them. */
async function byQueue(
  ctx: Context,
  queue: { put(parcel: Parcel): Promise<void>; close(): void },
  // deno-lint-ignore no-explicit-any -- see `reported()`
  target: (...args: any[]) => unknown,
  parcels: Parcel[],
): Promise<string[]> {
  for (const parcel of parcels) await queue.put(parcel);
  const { length } = parcels;
  const kinds = await reported(ctx, target, [queue, length], length);
  queue.close();
  return kinds;
}

/** Sends all through a pipe, from which a child receives them. */
async function byPipe(
  ctx: Context,
  // deno-lint-ignore no-explicit-any -- see `reported()`
  target: (...args: any[]) => unknown,
  parcels: Parcel[],
): Promise<string[]> {
  const [here, there] = ctx.Pipe<Parcel>();
  for (const parcel of parcels) await here.send(parcel);
  const { length } = parcels;
  const kinds = await reported(ctx, target, [there, length], length);
  here.close();
  there.close();
  return kinds;
}

/** Uses what has come back. */
async function used(parcels: Iterable<Parcel>): Promise<string[]> {
  const kinds: string[] = [];
  for (const [kind, it] of parcels) kinds.push(await travel.use(kind, it));
  return kinds;
}

/** A way, by its name: gives the kinds that have arrived and been used. */
type Way = (
  ctx: Context,
  parcels: Parcel[],
  before: Pool,
) => Promise<string[]>;

const ways: Record<string, Way> = {
  "the arguments of a process": (ctx, parcels) =>
    reported(ctx, travel.useAll, [parcels], parcels.length),
  "Queue.get()": (ctx, parcels) =>
    byQueue(ctx, new ctx.Queue<Parcel>(), travel.useEachGot, parcels),
  "Queue.getSync()": (ctx, parcels) =>
    byQueue(ctx, new ctx.Queue<Parcel>(), travel.useEachGotSync, parcels),
  "a loop over a Queue": (ctx, parcels) =>
    byQueue(ctx, new ctx.Queue<Parcel>(), travel.useEachOf, parcels),
  "SimpleQueue.get()": (ctx, parcels) =>
    byQueue(ctx, new ctx.SimpleQueue<Parcel>(), travel.useEachGot, parcels),
  "Connection.recv()": (ctx, parcels) =>
    byPipe(ctx, travel.useEachReceived, parcels),
  "Connection.recvSync()": (ctx, parcels) =>
    byPipe(ctx, travel.useEachReceivedSync, parcels),
  "the tasks of a pool": async (_ctx, parcels, before) =>
    await before.starmap(travel.use, parcels, 1),
  "the initArgs of a pool": async (ctx, parcels) => {
    await using pool = new ctx.Pool({
      processes: 1,
      initializer: travel.keep,
      initArgs: [parcels],
    });
    return await pool.apply(travel.useKept);
  },
  "the results of a pool": async (_ctx, parcels, before) => {
    const back: Parcel[] = [];
    for (const parcel of parcels) {
      back.push(await before.apply(travel.giveBack<Parcel>, [parcel]));
    }
    return await used(back);
  },
  "the results of imap()": async (_ctx, parcels, before) =>
    await used(
      await Array.fromAsync(before.imap(travel.giveBack<Parcel>, parcels)),
    ),
  "a Queue from a child": async (ctx, parcels) => {
    using queue = new ctx.Queue<Parcel>();
    const child = new ctx.Process({
      target: travel.handOn as (...args: unknown[]) => unknown,
      args: [parcels, queue],
    });
    child.start();
    const back: Parcel[] = [];
    while (back.length < parcels.length) {
      back.push(await queue.get({ timeout: 20_000 }));
    }
    await child.join();
    return await used(back);
  },
};

for (const [name, send] of Object.entries(ways)) {
  contract(`Everything that can be sent arrives by ${name}`, async (ctx) => {
    // From before the manager and all the rest.
    await using before = new ctx.Pool(1);
    await before.ready;
    await using manager = await ctx.Manager();
    await using luggage = await pack(ctx, manager);
    const { parcels } = luggage;
    // A class can be called when it is loaded, and those who block do not wait.
    if (!name.includes("Sync")) parcels.push(["class", Elsewhere]);
    assertEquals(
      await send(ctx, parcels, before),
      parcels.map(([kind]) => kind),
    );
  });
}

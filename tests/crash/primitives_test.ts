/**
 * The crash matrix of all that is shared: every way in which a process can end
 * badly, at every point of its use of each of them, for both start methods.
 * Whoever waits goes on within two seconds, nothing is lost but what the victim
 * had in hand, and everything can be used afterwards.
 *
 * ```
 *                 starting  idle  taking  running  giving back  holding
 *   throws           x       x      x        x          x          x
 *   exit             x       x      x        x          x          x
 *   killed           x       x      x        x          x          x
 *   out of memory    x       x      x        x          x          x
 *   endless loop     x       x      x        x          x          x
 * ```
 *
 * One victim has one of each: locks, semaphores, a condition, an event, a
 * barrier, queues, a pipe, a value with its lock. *Starting* is the decoding of
 * its arguments, *taking* a wait in progress on each of them, *running* is after
 * a use of each, *giving back* in the same turn in which each was released, put or
 * sent, *holding* while each lock is held and each item in hand.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokenBarrierError, EofError } from "../../errors.ts";
import type { Context, Process } from "../../contexts/mod.ts";
import type {
  Connection,
  Lock,
  RLock,
  Semaphore,
} from "../../primitives/mod.ts";
import { start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { untilItWaits } from "../_support/leftovers.ts";
import { SharedGate } from "../_support/meeting.ts";
import type { Fate } from "../fixtures/fates.ts";
import {
  beVictim,
  block,
  BLOCKING_WAITS,
  neverRun,
  Omen,
} from "../fixtures/primitive_fates.ts";
import type { Moment, Shared } from "../fixtures/primitive_fates.ts";

/** How soon a survivor has to go on. */
const SOON_MS = 2000;
/** Filling the memory takes its time, and the garbage collector's. */
const EAT_MS = 20_000;
/** Enough for a child to start with. */
const MEMORY_LIMIT_MB = 48;

const FATES: readonly Fate[] = ["throw", "exit", "kill", "memory", "loop"];
const MOMENTS: readonly Moment[] = [
  "while it starts",
  "idle",
  "taking",
  "running",
  "giving back",
  "holding",
];

/** What is shared, and our end of the pipe. */
interface World extends Shared {
  readonly ours: Connection<string>;
}

function makeWorld(ctx: Context): World {
  const [ours, connection] = ctx.Pipe<string>();
  return {
    ours,
    connection,
    lock: new ctx.Lock(),
    rlock: new ctx.RLock(),
    semaphore: new ctx.Semaphore(1),
    tracked: new ctx.BoundedSemaphore(1, { trackHolders: true }),
    condition: new ctx.Condition(new ctx.Lock()),
    event: new ctx.Event(),
    barrier: new ctx.Barrier(3),
    value: new ctx.Value("i", 0) as Shared["value"],
    queue: new ctx.Queue<string>(),
    jobs: new ctx.JoinableQueue<string>(),
    simple: new ctx.SimpleQueue<string>(),
  };
}

/** All that is held by at most one at a time. */
function locksOf(
  { lock, rlock, value, condition }: Shared,
): [string, Pick<Lock | RLock, "acquire" | "release">][] {
  return [
    ["Lock", lock],
    ["RLock", rlock],
    ["the lock of a Value", value.getLock()],
    ["the lock of a Condition", condition],
  ];
}

/** What the victim needs to get as far as its moment, and no further. */
async function prepare(world: World, moment: Moment): Promise<void> {
  if (moment === "taking") {
    const { lock, rlock, value, semaphore, tracked } = world;
    for (const one of [lock, rlock, value.getLock(), semaphore, tracked]) {
      await one.acquire();
    }
    return;
  }
  if (moment === "idle" || moment === "while it starts") return;
  for (const queue of [world.queue, world.jobs, world.simple]) {
    await queue.put("for the victim");
    await queue.put("for the next");
  }
  await world.ours.send("for the victim");
}

for (const fate of FATES) {
  for (const moment of MOMENTS) {
    contract(`crash matrix: ${fate} ${moment}`, async (ctx, test) => {
      const world = makeWorld(ctx);
      await prepare(world, moment);
      const here = SharedGate.in(ctx);
      const process = startVictim(ctx, world, moment, fate, here);
      world.connection.close();
      await here.reaches(1, "the victim is about to meet its fate");

      // Those who wait already have to hear of it.
      const limitMs = fate === "memory" ? EAT_MS : SOON_MS;
      const waits = startWaits(world, moment, limitMs);
      const from = performance.now();
      if (fate === "kill") process.kill();
      if (fate === "loop") process.terminate();
      const keeps = fate === "exit";
      await process.exited;
      assert(process.exitCode !== 0, "the victim has met its fate");
      await test.step("who waited has gone on", async () => {
        await checkWaits(world, waits, moment, keeps);
        const tookMs = performance.now() - from;
        assert(tookMs < limitMs, `it took ${tookMs} ms`);
      });
      for (const [what, check] of CHECKS) {
        await test.step(what, () => check(world, moment, keeps));
      }
      world.ours.close();
      // Deno keeps the steps of a test, and with them what they refer to.
    }, { keepsBlocks: true });
  }
}

function startVictim(
  ctx: Context,
  world: World,
  moment: Moment,
  fate: Fate,
  here: SharedGate,
): Process {
  const { ours: _, ...shared } = world;
  const memoryLimitMb = MEMORY_LIMIT_MB;
  const process = moment === "while it starts"
    ? new ctx.Process({
      target: neverRun,
      args: [shared, new Omen(fate, here)],
      memoryLimitMb,
    })
    : new ctx.Process({
      target: beVictim,
      args: [shared, moment, fate, here],
      memoryLimitMb,
    });
  process.start();
  return process as unknown as Process;
}

/** Waits that the end of the victim has to end. */
interface Waits {
  readonly locks: Promise<{ abandoned: boolean } | null>[];
  readonly tracked: Promise<{ abandoned: boolean } | null> | undefined;
  readonly barrier: Promise<unknown> | undefined;
  readonly end: Promise<unknown>;
}

function startWaits(world: World, moment: Moment, timeout: number): Waits {
  const isHeld = moment === "holding";
  return {
    locks: isHeld
      ? locksOf(world).map(([, lock]) => lock.acquire({ timeout }))
      : [],
    tracked: isHeld ? world.tracked.acquire({ timeout }) : undefined,
    barrier: moment === "taking"
      ? world.barrier.wait().catch((error: unknown) => error)
      : undefined,
    end: readToEnd(world.ours),
  };
}

async function readToEnd(connection: Connection<string>): Promise<string[]> {
  const messages: string[] = [];
  try {
    while (true) messages.push(await connection.recv());
  } catch (error) {
    if (!(error instanceof EofError)) throw error;
    return messages;
  }
}

async function checkWaits(
  world: World,
  waits: Waits,
  moment: Moment,
  keeps: boolean,
): Promise<void> {
  if (keeps) {
    // Held by one that has ended in good order: somebody else has to release.
    if (moment === "holding") {
      world.lock.release();
      world.condition.release();
      world.tracked.release();
    }
  }
  const locks = locksOf(world);
  for (const [i, wait] of waits.locks.entries()) {
    const guard = await wait;
    const [name, lock] = locks[i]!;
    assert(guard, `${name} is acquired`);
    // An RLock can be released by its owner alone, so it is abandoned anyway.
    const isOwned = name === "RLock" || name === "the lock of a Value";
    assertEquals(guard.abandoned, isOwned || !keeps, `${name} is abandoned`);
    lock.release();
  }
  if (waits.tracked) {
    const guard = await waits.tracked;
    assertEquals(guard?.abandoned, !keeps, "a tracked unit is abandoned");
    world.tracked.release();
  }
  if (waits.barrier) {
    const error = await waits.barrier;
    assert(error instanceof BrokenBarrierError, "the barrier is broken");
  }
  assertEquals(
    await waits.end,
    gaveBack(moment) ? ["from the victim"] : [],
    "the victim's end of the pipe is closed",
  );
}

function gaveBack(moment: Moment): boolean {
  return moment === "running" || moment === "giving back";
}

/** What must be so afterwards. */
const CHECKS: readonly [
  string,
  (world: World, moment: Moment, keeps: boolean) => Promise<void>,
][] = [
  ["locks can be taken", async (world, moment) => {
    for (const [name, lock] of locksOf(world)) {
      // Held by this process since before the victim came.
      const isOurs = moment === "taking" && name !== "the lock of a Condition";
      if (isOurs) lock.release();
      const guard = await lock.acquire({ timeout: SOON_MS });
      assertEquals(guard?.abandoned, false, name);
      lock.release();
    }
  }],
  [
    "a Semaphore has all units but what the victim had",
    async (world, moment) => {
      const { semaphore, tracked } = world;
      if (moment === "taking") {
        for (const one of [semaphore, tracked]) {
          one.release();
        }
      }
      // Who has a unit is not known unless it is tracked.
      assertEquals(semaphore.getValue(), moment === "holding" ? 0 : 1);
      if (moment === "holding") semaphore.release();
      for (const one of [semaphore, tracked]) {
        assert(await (one as Semaphore).acquire({ timeout: SOON_MS }));
        one.release();
        assertEquals(one.getValue(), 1);
      }
    },
  ],
  ["a Condition wakes the living", async ({ condition }) => {
    const waiting = (async () => {
      using _guard = await condition.acquire();
      return await condition.wait({ timeout: SOON_MS });
    })();
    using guard = await condition.acquire();
    assert(guard);
    condition.notifyAll();
    guard[Symbol.dispose]();
    assertEquals(await waiting, true);
  }],
  ["an Event can be set", async ({ event }, moment) => {
    assertEquals(event.isSet(), gaveBack(moment));
    event.clear();
    const waiting = event.wait({ timeout: SOON_MS });
    event.set();
    assertEquals(await waiting, true);
  }],
  ["a Barrier can be reset and passed", async ({ barrier }) => {
    barrier.reset();
    const passes = [barrier.wait(), barrier.wait(), barrier.wait()];
    assertEquals((await Promise.all(passes)).sort(), [0, 1, 2]);
  }],
  ["a Value has what was stored", async ({ value }, moment) => {
    const hasStored = gaveBack(moment) || moment === "holding";
    assertEquals(value.value, hasStored ? 1 : 0);
    assertEquals(await value.withLock(() => value.add(1)), hasStored ? 2 : 1);
  }],
  ["queues have lost nothing", async (world, moment) => {
    for (const queue of [world.queue, world.jobs, world.simple]) {
      await queue.put("the last");
      const expected = gaveBack(moment) || moment === "holding"
        ? ["for the next"]
        : [];
      if (gaveBack(moment)) expected.push("from the victim");
      for (const item of [...expected, "the last"]) {
        assertEquals(await queue.get({ timeout: SOON_MS }), item);
      }
      assertEquals(queue.empty(), true);
    }
  }],
  [
    "JoinableQueue.join() does not wait for the victim",
    async ({ jobs }, moment) => {
      const taken = gaveBack(moment) ? 3 : moment === "holding" ? 2 : 1;
      for (let i = 0; i < taken; i++) jobs.taskDone();
      assertEquals(await jobs.join({ timeout: SOON_MS }), true);
    },
  ],
];

contract("crash matrix: killed while its thread blocks", async (ctx) => {
  for (const what of Object.keys(BLOCKING_WAITS)) {
    const world = makeWorld(ctx);
    await prepare(world, "taking");
    const here = SharedGate.in(ctx);
    const { ours, ...shared } = world;
    const process = start(ctx, block, shared, what, here);
    world.connection.close();
    await here.reaches(1, "the victim is about to block");
    // Killed before it waits, it would leave the lock abandoned, or a block it has
    // just taken.
    await untilItWaits(ctx.getStartMethod(), process.ident!);
    const from = performance.now();
    process.kill();
    await assertRejects(() => ours.recv(), EofError);
    await process.exited;
    const tookMs = performance.now() - from;
    assert(tookMs < SOON_MS, `${what} holds the others up for ${tookMs} ms`);
    for (const [name, check] of CHECKS) {
      if (name.startsWith("JoinableQueue") || name.startsWith("queues")) {
        continue;
      }
      await check(world, "taking", false);
    }
    for (const queue of [world.queue, world.simple]) {
      await queue.put("the last");
      assertEquals(await queue.get({ timeout: SOON_MS }), "the last");
    }
    ours.close();
  }
});

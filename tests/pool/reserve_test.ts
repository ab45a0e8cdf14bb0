import { assertEquals } from "@std/assert";
import { HeldTasks } from "../../pool/_held_tasks.ts";
import { Reserve } from "../../pool/_reserve.ts";
import type { Watched } from "../../pool/_reserve.ts";
import type { Task } from "../../pool/_task.ts";
import "../../mod.ts";
import { contract, once } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import * as work from "../fixtures/pool_targets.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A worker with so many tasks. */
class FakeWorker implements Watched {
  readonly tasks = new HeldTasks();
  isBrisk = true;
  answered = 0;

  constructor(tasks: number) {
    for (const i of numbers(tasks)) this.tasks.push({ sequence: i } as Task);
  }
}

/** A reserve on a machine with two cores, whose looks can be waited for. */
function makeReserve(tasks: readonly number[], onCollect = () => {}) {
  const workers = tasks.map((count) => new FakeWorker(count));
  const set: ReadonlySet<Watched> = new Set(workers);
  let looked = () => {};
  const events = { collect: onCollect, pump: () => looked() };
  const reserve = new Reserve({ workers: set, awaited: set }, events, 2);
  const nextLook = () => {
    reserve.watch();
    return new Promise<void>((resolve) => looked = resolve);
  };
  return { reserve, workers, nextLook };
}

once("Reserve leaves the others asleep while enough are brisk", () => {
  assertEquals(makeReserve([5, 5, 0]).reserve.wakeable, 0);
  assertEquals(makeReserve([5, 0, 0]).reserve.wakeable, 1);
  assertEquals(makeReserve([0, 0, 0]).reserve.wakeable, 2);
  assertEquals(makeReserve([1, 1, 1]).reserve.wakeable, 0);
});

once("Reserve keeps nobody where there are no more workers than cores", () => {
  assertEquals(makeReserve([5, 0]).reserve.wakeable, Infinity);
});

once("Reserve keeps nobody while a worker has longer tasks", () => {
  const { reserve, workers } = makeReserve([5, 5, 0]);
  workers[1]!.isBrisk = false;
  assertEquals(reserve.wakeable, Infinity);
});

once("Reserve calls up twice as many at each look at a stalled", async () => {
  const { reserve, workers, nextLook } = makeReserve(
    [5, 5, 0, 0, 0, 0, 0, 0, 0],
    () => workers[1]!.answered++, // it lay there all the time
  );
  await nextLook();
  assertEquals(reserve.wakeable, 2);
  await nextLook();
  assertEquals(reserve.wakeable, 6);
  await nextLook();
  assertEquals(reserve.wakeable, Infinity);
  reserve.stop();
  assertEquals(reserve.wakeable, 0);
});

once("Reserve is what it was when all have answered", async () => {
  const { reserve, workers, nextLook } = makeReserve([5, 5, 0, 0, 0]);
  await nextLook();
  assertEquals(reserve.wakeable, 2);
  for (const worker of workers) worker.answered++;
  // One that has nothing to do any more is not one that has stalled.
  for (const task of workers[1]!.tasks) workers[1]!.tasks.delete(task);
  const look = nextLook();
  workers[0]!.answered++;
  await look;
  assertEquals(reserve.wakeable, 1);
});

once("Reserve leaves no timer when there are no tasks any more", () => {
  const { reserve } = makeReserve([5, 5, 0]);
  reserve.watch();
  reserve.watch(); // already does
  reserve.stop();
});

contract(
  "Pool wakes all its workers for long tasks after short ones",
  async (ctx) => {
    const size = navigator.hardwareConcurrency + 2;
    await using pool = new ctx.Pool(size);
    await pool.ready;
    for (const _ of numbers(5)) {
      const short = numbers(2000).map((i) => pool.apply(work.square, [i]));
      assertEquals((await Promise.all(short)).at(-1), 1999 * 1999);
    }
    // Each waits for all the others; who is left asleep would keep them for ever.
    const here = SharedGate.in(ctx);
    const meeting = numbers(size).map(() =>
      pool.apply(work.meet, [here, size])
    );
    await Promise.all(meeting);
  },
);

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Task } from "../../pool/_task.ts";
import { TaskQueue } from "../../pool/_task_queue.ts";
import { once } from "../_support/contract.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { until } from "../_support/gate.ts";

/** How many priorities there are when there are many. */
const MANY = 1000;

interface FakeTask {
  readonly sequence: number;
  readonly work: { readonly settings: { readonly priority: number } };
  isAbandoned: boolean;
}

let made = 0;

function makeTask(priority: number): Task & FakeTask {
  const task: FakeTask = {
    sequence: made++,
    work: { settings: { priority } },
    isAbandoned: false,
  };
  return task as Task & FakeTask;
}

function abandon(queue: TaskQueue, task: FakeTask): void {
  task.isAbandoned = true;
  queue.forget();
}

once(
  "TaskQueue gives the highest priority first, of equal ones the oldest",
  () => {
    const steps = fc.array(
      fc.record({
        kind: fc.constantFrom("push", "push", "shift", "putBack", "abandon"),
        priority: fc.integer({ min: -1, max: 2 }),
        at: fc.nat(99),
      }),
      { maxLength: 300 },
    );
    fc.assert(fc.property(steps, (steps) => {
      const queue = new TaskQueue();
      let waiting: (Task & FakeTask)[] = [];
      const taken: (Task & FakeTask)[] = [];
      const next = () =>
        waiting.toSorted((a, b) =>
          b.work.settings.priority - a.work.settings.priority
        )[0];
      for (const { kind, priority, at } of steps) {
        if (kind === "push") {
          const task = makeTask(priority);
          queue.push(task);
          waiting.push(task);
        } else if (kind === "shift") {
          const expected = next();
          assertEquals(queue.shift()?.sequence, expected?.sequence);
          if (!expected) continue;
          waiting = waiting.filter((task) => task !== expected);
          taken.push(expected);
        } else if (kind === "putBack") {
          const back = taken.splice(-2);
          queue.putBack(back);
          waiting.unshift(...back);
        } else if (waiting.length > 0) {
          const [task] = waiting.splice(at % waiting.length, 1);
          abandon(queue, task!);
        }
        assertEquals(queue.size, waiting.length);
      }
      const rest = queue.clear();
      assertEquals(rest.length, waiting.length);
      assertEquals(queue.shift(), undefined);
    }));
  },
);

once(
  "TaskQueue looks through the priorities that wait, not those that have",
  () => {
    for (const direction of [1, -1]) {
      const queue = new TaskQueue();
      queue.push(makeTask(-MANY)); // always waits
      let looks = 0;
      for (let i = 1; i <= MANY; i++) {
        const priority = {
          valueOf: () => {
            looks++;
            return direction * i;
          },
        };
        queue.push(makeTask(priority as unknown as number));
        assert(queue.shift() !== undefined);
      }
      assertEquals(queue.size, 1);
      assert(looks < 10 * MANY, `it looked ${looks} times`);
    }
  },
);

once(
  "TaskQueue keeps nothing of what has been abandoned when it is empty",
  async () => {
    const queue = new TaskQueue();
    const tasks: WeakRef<Task>[] = [];
    (() => {
      const [first, second, third] = [0, 0, 1].map(makeTask);
      for (const task of [first!, second!, third!]) {
        queue.push(task);
        tasks.push(new WeakRef(task));
      }
      abandon(queue, second!);
      abandon(queue, third!);
      assertEquals(queue.shift(), first);
      const last = makeTask(0);
      queue.push(last);
      tasks.push(new WeakRef(last));
      abandon(queue, last);
    })();

    assertEquals(queue.size, 0);
    await until(() => {
      collectGarbage();
      return tasks.every((task) => task.deref() === undefined);
    }, "they are collected");
  },
);

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { HeldTasks } from "../../pool/_held_tasks.ts";
import type { Task } from "../../pool/_task.ts";
import { once } from "../_support/contract.ts";

const makeTask = (sequence: number) => ({ sequence }) as Task;
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const sequences = (held: HeldTasks) => [...held].map((task) => task.sequence);

once("HeldTasks answers as a Map by number does, whatever is done", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constant({ kind: "push" as const, at: 0 }) },
      {
        weight: 2,
        arbitrary: fc.constant({ kind: "oldest" as const, at: 0 }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("any" as const),
          at: fc.nat(99),
        }),
      },
    ),
    { maxLength: 400 },
  );
  fc.assert(fc.property(steps, (steps) => {
    const held = new HeldTasks();
    const expected = new Map<number, Task>();
    let next = 0;
    for (const { kind, at } of steps) {
      if (kind === "push") {
        const task = makeTask(next++);
        held.push(task);
        expected.set(task.sequence, task);
      } else {
        const all = [...expected.values()];
        const task = kind === "oldest" ? all[0] : all[at % all.length];
        if (!task) continue;
        assertEquals(held.get(task.sequence), task);
        assertEquals(held.delete(task), true);
        assertEquals(held.delete(task), false);
        assertEquals(held.get(task.sequence), undefined);
        expected.delete(task.sequence);
      }
      assertEquals(held.size, expected.size);
      assertEquals(held.oldest, expected.values().next().value);
    }
    assertEquals([...held], [...expected.values()]);
  }));
});

once("HeldTasks closes the holes of those that were taken out", () => {
  const held = new HeldTasks();
  const tasks = numbers(1000).map(makeTask);
  // The oldest stays: a long task, while those behind it go elsewhere.
  held.push(tasks[0]!);
  for (const task of tasks.slice(1)) {
    held.push(task);
    if (task.sequence % 100 !== 0) held.delete(task);
  }
  assertEquals(sequences(held), [
    0,
    100,
    200,
    300,
    400,
    500,
    600,
    700,
    800,
    900,
  ]);
});

once("HeldTasks can be emptied while it is walked over", () => {
  const held = new HeldTasks();
  for (const i of numbers(20)) held.push(makeTask(i));
  const seen: number[] = [];
  for (const task of held) {
    held.delete(task);
    seen.push(task.sequence);
  }
  assertEquals(seen, numbers(20));
  assertEquals(held.size, 0);
  assertEquals(held.oldest, undefined);
});

/**
 * What our workers and children do in the benchmarks.
 *
 * @module
 */
import type { Connection, Queue, SharedMemory } from "../../mod.ts";

/** A task as cheap as can be. */
export function square(x: number): number {
  return x * x;
}

/** A task that takes about a millisecond of pure calculation. */
export function calculate(seed: number): number {
  let x = seed + 1;
  for (let i = 0; i < 400_000; i++) x = (Math.imul(x, 1664525) + i) | 0;
  return x;
}

/** Gives back what it was given. */
export function same<T>(value: T): T {
  return value;
}

/** A process that does nothing. */
export function nothing(): void {}

/** Answers each message with itself until `null` comes. */
export async function echo(end: Connection<unknown>): Promise<void> {
  while (true) {
    const value = await end.recv();
    if (value === null) return;
    await end.send(value);
  }
}

/** The same, blocking. */
export function echoSync(end: Connection<unknown>): void {
  while (true) {
    const value = end.recvSync();
    if (value === null) return;
    end.sendSync(value);
  }
}

/** Puts as many small objects as it is told to, each time it is told to. */
export function produce(orders: Queue<number>, items: Queue<unknown>): void {
  while (true) {
    const count = orders.getSync();
    if (count === 0) return;
    for (let i = 0; i < count; i++) {
      items.putSync({ id: i, name: "item", done: false });
    }
  }
}

/** Adds up an array in shared memory, each time it is told to. */
export async function total(
  memory: SharedMemory,
  end: Connection<number>,
): Promise<void> {
  const numbers = new Float64Array(memory.buf!.buffer, memory.buf!.byteOffset);
  while (true) {
    const count = await end.recv();
    if (count === 0) return;
    numbers[0] = numbers[count - 1]! + 1;
    await end.send(numbers[0]);
  }
}

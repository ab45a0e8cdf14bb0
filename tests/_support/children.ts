/**
 * Children in a line: to start them, and to see that all went well.
 *
 * Runs in the parent.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Context, Process } from "../../contexts/mod.ts";

/** Starts a child. */
export function start<A extends unknown[]>(
  ctx: Context,
  target: (...args: A) => unknown,
  ...args: A
): Process {
  const process = new ctx.Process({ target, args });
  process.start();
  return process as unknown as Process;
}

/**
 * Starts several.
 *
 * @param count How many.
 * @param one Starts the one with a certain number.
 */
export function several(
  count: number,
  one: (index: number) => Process,
): Process[] {
  return Array.from({ length: count }, (_, index) => one(index));
}

/** Waits for the end of all, and checks that it was a good one. */
export async function assertAllSucceed(
  processes: readonly Process[],
): Promise<void> {
  const codes = await Promise.all(processes.map(({ exited }) => exited));
  assertEquals(codes, processes.map(() => 0), "exit codes");
}

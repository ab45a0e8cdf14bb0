/**
 * What tests of managers have in common: one body for both start methods, with a
 * manager that has been started and is shut down afterwards.
 *
 * Runs in the parent.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import "../../mod.ts"; // hands managers to the contexts
import type { Context, SyncManager } from "../../mod.ts";
import { contract } from "../_support/contract.ts";
import type { ContractOptions } from "../_support/contract.ts";

/** How soon the survivor has to know. */
export const LEARN_MS = 2000;

/**
 * Registers a test of a `SyncManager` for each start method.
 *
 * @param name Its row, symbol and claim.
 * @param body What to do.
 * @param options Whether its children get other objects.
 */
export function managed(
  name: string,
  body: (manager: SyncManager, ctx: Context) => Promise<void>,
  options: ContractOptions = {},
): void {
  contract(name, async (ctx) => {
    await using manager = await ctx.Manager();
    await body(manager, ctx);
  }, options);
}

/**
 * Runs a function in a child, which has to end well.
 *
 * @param ctx Its context.
 * @param target The function.
 * @param args Its arguments.
 */
export async function inChild<A extends unknown[]>(
  ctx: Context,
  target: (...args: A) => unknown,
  ...args: A
): Promise<void> {
  const process = new ctx.Process({ target, args });
  process.start();
  await process.join();
  assertEquals(process.exitCode, 0, `the child that runs ${target.name}`);
}

/**
 * The milliseconds something takes.
 *
 * @param action What.
 */
export async function timeOf(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

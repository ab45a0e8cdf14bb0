/**
 * What is true of one start method is tested for all: one body, registered once
 * for each. After each test nothing may be left: see `leftovers.ts`.
 *
 * Runs in the parent.
 *
 * @module
 */
import { activeChildren, getContext } from "../../contexts/mod.ts";
import type { Context, StartMethod } from "../../contexts/mod.ts";
import { until } from "./gate.ts";
import { inventory, leftovers, stateOfTheWorld } from "./leftovers.ts";
import { freeMeetings } from "./meeting.ts";

/** What a contract says. */
export type ContractBody = (
  context: Context,
  test: Deno.TestContext,
) => void | Promise<void>;

/** Settings of {@linkcode contract}. */
export interface ContractOptions {
  /**
   * The start methods it is about.
   *
   * @default {["spawn", "worker"]}
   */
  methods?: readonly StartMethod[];
  /**
   * Whether blocks of shared memory may still be in use at the end. Whoever needs
   * it says why.
   *
   * @default {false}
   */
  keepsBlocks?: boolean;
  /**
   * A test that takes longer hangs. To be raised by those that start many
   * children: on a busy machine that is what takes the time.
   *
   * @default {60_000}
   */
  limitMs?: number;
}

/** A test that takes longer hangs. */
const LIMIT_MS = 60_000;
/** So long may what has been ended take to be gone. */
const SETTLE_MS = 5000;

// Loaded once and for all; nothing of that is a leak of the first test.
await import("node:worker_threads");

/**
 * Registers a test for each start method.
 *
 * @param name Its row in `docs/conformance.md`, if it has one, symbol and claim.
 * @param body What to do.
 * @param options For which start methods.
 */
export function contract(
  name: string,
  body: ContractBody,
  options: ContractOptions = {},
): void {
  for (const method of options.methods ?? ["spawn", "worker"]) {
    Deno.test(`${name} (${method})`, async (test) => {
      await leavingNothing(() => body(getContext(method), test), options);
    });
  }
}

/**
 * Registers a test that has no start method.
 *
 * @param name Its row, symbol and claim.
 * @param body What to do.
 */
export function once(
  name: string,
  body: (test: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test(name, async (test) => await leavingNothing(() => body(test)));
}

async function leavingNothing(
  body: () => void | Promise<void>,
  { keepsBlocks = false, limitMs = LIMIT_MS }: ContractOptions = {},
): Promise<void> {
  const before = inventory({ countsBlocks: !keepsBlocks });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const state = stateOfTheWorld();
      reject(new Error(`The test takes longer than ${limitMs} ms\n${state}`));
    }, limitMs);
  });
  try {
    await Promise.race([body(), hang]);
    const children = activeChildren();
    if (children.length > 0) {
      throw new Error(`The test leaves children: ${children.join(", ")}`);
    }
  } finally {
    clearTimeout(timer);
    for (const child of activeChildren()) {
      child.kill();
      await child.exited;
    }
    freeMeetings();
  }
  let left: string[] = [];
  await until(
    () => {
      left = leftovers(before);
      return left.length === 0;
    },
    () => `the test has left\n  ${left.join("\n  ")}`,
    SETTLE_MS,
  );
}

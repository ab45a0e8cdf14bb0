/**
 * What every side written in JavaScript does: set up, say so, and measure a round
 * each time it is told to. Runs in Deno and in Node.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";

/** For so long each side does its work before it is measured. */
const WARM_UP_MS = 2000;

/**
 * Takes turns until the input ends.
 *
 * @param {{ round(): unknown, end?(): unknown }} side What to do.
 */
export async function takeTurns({ round, end }) {
  // The compilers have 20,000 short tasks to get done with their work.
  const warmAt = performance.now() + WARM_UP_MS;
  do await round(); while (performance.now() < warmAt);
  console.log("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await round()));
  }
  await end?.();
  process.exit(0);
}

/**
 * Times operations one by one; gives the median and the 99th percentile in µs.
 *
 * @param {number} count How many.
 * @param {(i: number) => unknown} operation What to time.
 */
export async function eachTimed(count, operation) {
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await operation(i);
    times[i] = performance.now() - start;
  }
  times.sort();
  return {
    value: times[count >> 1] * 1000,
    p99: times[Math.floor(count * 0.99)] * 1000,
  };
}

/**
 * The same for operations that do not wait.
 *
 * @param {number} count How many.
 * @param {(i: number) => unknown} operation What to time.
 */
export function eachTimedSync(count, operation) {
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    operation(i);
    times[i] = performance.now() - start;
  }
  times.sort();
  return {
    value: times[count >> 1] * 1000,
    p99: times[Math.floor(count * 0.99)] * 1000,
  };
}

/**
 * Operations a second.
 *
 * @param {number} count How many the work is.
 * @param {() => unknown} work What to time.
 */
export async function rate(count, work) {
  const start = performance.now();
  await work();
  return { value: count / (performance.now() - start) * 1000 };
}

/**
 * Calls per second when all are made at once. A tenth of them is made before, and
 * not timed: between two turns of a side the others have theirs, for half a minute,
 * in which V8 throws compiled code away.
 *
 * @param {number} count How many.
 * @param {(i: number) => Promise<unknown>} call Makes one.
 */
export async function burstRate(count, call) {
  const all = async (count) => {
    const results = [];
    for (let i = 0; i < count; i++) results.push(call(i));
    await Promise.all(results);
  };
  await all(Math.ceil(count / 10));
  return await rate(count, () => all(count));
}

/**
 * Microseconds of one operation, when many are timed together.
 *
 * @param {number} count How many the work is.
 * @param {() => unknown} work What to time.
 */
export async function mean(count, work) {
  const start = performance.now();
  await work();
  return { value: (performance.now() - start) / count * 1000 };
}

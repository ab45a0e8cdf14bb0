/**
 * Collecting garbage when a test asks for it: left to itself, the engine does so
 * some time, or never.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

/** Collects what nobody refers to; finalizers run in a later turn. */
export const collectGarbage: () => void = runInNewContext("gc");

/** Bytes that something refers to, once what nothing refers to is collected. */
export function memoryInUse(): number {
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

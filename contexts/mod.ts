/**
 * How a child comes to life: contexts, processes, and what they know of each
 * other.
 *
 * Pools, connections and the logger stand above this room: a context gives them
 * once they have been imported by the package's front door.
 *
 * @example A function running beside this program
 * ```ts
 * import { getContext, sleep } from "@deno-mp/multiprocessing/contexts";
 * import { assertEquals } from "@std/assert";
 *
 * const { Process } = getContext("worker");
 * const process = new Process({ target: sleep, args: [10] });
 * process.start();
 * await process.join();
 * assertEquals(process.exitCode, 0);
 * ```
 *
 * @module
 */
import "./standalone_child.ts"; // first: in such a child nothing else may run

export { AuthKey } from "./authkey.ts";
export {
  Context,
  freezeSupport,
  getAllStartMethods,
  getContext,
  getStartMethod,
  setExecutable,
  setStartMethod,
} from "./context.ts";
export type {
  GetStartMethodOptions,
  SetStartMethodOptions,
  StartMethod,
  UpperRooms,
} from "./context.ts";
export { exit } from "./exit.ts";
export {
  activeChildren,
  cpuCount,
  currentProcess,
  ParentProcess,
  parentProcess,
} from "./family.ts";
export type { ParentFacts } from "./family.ts";
export { Finalize } from "./finalize.ts";
export type { FinalizeOptions } from "./finalize.ts";
export { register } from "./functions.ts";
export { setPreload } from "./preload.ts";
export { Process } from "./process.ts";
export type { ProcessInfo, ProcessOptions } from "./process.ts";
export { Sentinel } from "./sentinel.ts";
export { sleep } from "./sleep.ts";

// What children run. Named here so that `deno compile` puts it into the program.
import "./standalone_thread.ts";
import "./worker_child.ts";

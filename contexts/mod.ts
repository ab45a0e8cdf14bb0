/**
 * How a child comes to life: contexts, processes, and what they know of each
 * other.
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
export { setPreload } from "./_preload.ts";
export { Process } from "./process.ts";
export type { ProcessInfo, ProcessOptions } from "./process.ts";
export { Sentinel } from "./sentinel.ts";
export { sleep } from "./sleep.ts";

// What children run. Named here so that `deno compile` puts it into the program.
import "./standalone_thread.ts";
import "./worker_child.ts";

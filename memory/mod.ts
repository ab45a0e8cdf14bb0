/**
 * Shared words and bytes: to allocate, attach, wait and wake; who is alive, and
 * what the dead leave behind. Internal: nothing here is part of the public
 * contract.
 *
 * `ring.ts` has a door of its own: most children have no use for a ring.
 *
 * @module
 */
export { Arena, keyOf } from "./arena.ts";
export type { ArenaHandle } from "./arena.ts";
export {
  addressOf,
  adoptFrom,
  arenaFor,
  eachArena,
  existingArena,
  isPortable,
  locate,
} from "./arenas.ts";
export type { ArenaAddress } from "./arenas.ts";
export type { Heap } from "./heap.ts";
export type { Memory, MemoryHandle, MemoryKind } from "./memory.ts";
export type { Participants, Standing } from "./participants.ts";
export { takePlaces } from "./places.ts";
export type { Place } from "./references.ts";
export type { Message, Ring, RingLimits } from "./ring.ts";
export {
  checkedLimits,
  checkedTimeout,
  checkIsSignal,
  checkOptions,
  checkOptionsObject,
  checkSignal,
  LONGEST_TIMER_MS,
} from "./limits.ts";
export { NOT_YET, TIMED_OUT } from "./waiting.ts";
export type { Attempt, Manner, Waiting, WaitOptions } from "./waiting.ts";
export {
  S_BIRTH,
  S_EXIT_NOTE,
  S_IDENT,
  S_LOADING,
  S_PARENT,
  S_PID,
} from "./layout.ts";
export {
  commandLine,
  dieWithParent,
  ignoreInterrupt,
  isGranted,
  isThere,
} from "./_system.ts";

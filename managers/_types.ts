/**
 * What makes the objects of a `SyncManager`.
 *
 * Runs in the server; whoever starts one loads it for its references.
 *
 * @module
 */
import { kindOf } from "../primitives/block.ts";
import { register } from "../contexts/functions.ts";
import { Pool } from "../pool/mod.ts";
import { objectOf } from "./_core.ts";
import {
  ManagedArray,
  ManagedDict,
  ManagedList,
  ManagedNamespace,
  ManagedValue,
} from "./_containers.ts";
import type { ManagedObject } from "./_managed.ts";
import { ManagedPool } from "./_pool_object.ts";
import { ManagedQueue } from "./_queues.ts";
import {
  AnyLock,
  ManagedBarrier,
  ManagedCondition,
  ManagedEvent,
  ManagedLock,
  ManagedRLock,
  ManagedSemaphore,
} from "./_sync.ts";
import type { Guarding } from "./_sync.ts";
const all = {
  makeDict: (entries?: [unknown, unknown][]) => new ManagedDict(entries),
  makeList: (items?: unknown[]) => new ManagedList(items),
  makeNamespace: (values?: Record<string, unknown>) =>
    new ManagedNamespace(values),
  makeValue: (code: string, value: unknown) => new ManagedValue(code, value),
  makeArray: (code: string, items: (number | bigint)[]) =>
    new ManagedArray(code, items),
  makeQueue: (maxSize?: number) => new ManagedQueue(maxSize),
  makeLock: () => new ManagedLock(),
  makeRLock: () => new ManagedRLock(),
  makeSemaphore: (value = 1) => new ManagedSemaphore(value, false),
  makeBoundedSemaphore: (value = 1) => new ManagedSemaphore(value, true),
  makeCondition: (lock?: unknown) =>
    new ManagedCondition(lock === undefined ? undefined : guardingOf(lock)),
  makeEvent: () => new ManagedEvent(),
  makeBarrier: (
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number,
  ) => new ManagedBarrier(parties, action, timeout),
  makePool: (options?: ConstructorParameters<typeof Pool>[0]) =>
    new ManagedPool(kindOf(Pool), options),
};

/** A condition has to know whose its lock is, which not all can say. */
function guardingOf(lock: unknown): Guarding {
  const object = objectOf(lock);
  if (object instanceof AnyLock) return object;
  throw new TypeError(
    `Cannot create a condition as 'lock' must be a Lock or an RLock of this manager: it is ${lock}`,
  );
}

/** What makes them, by name. */
export const makers: Readonly<
  Record<string, (...args: never[]) => ManagedObject>
> = all;

// So that each server finds them.
register(import.meta, makers);

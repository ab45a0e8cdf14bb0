/**
 * What makes the objects of a `SyncManager`, and which proxies stand for them.
 *
 * Runs in the server (making) and in the client (naming).
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
import { ManagedPool } from "./_pool_object.ts";
import { ManagedQueue } from "./_queues.ts";
import {
  ManagedBarrier,
  ManagedCondition,
  ManagedEvent,
  ManagedLock,
  ManagedRLock,
  ManagedSemaphore,
} from "./_sync.ts";
import type { Guarding } from "./_sync.ts";
import {
  ArrayProxy,
  DictProxy,
  ListProxy,
  NamespaceProxy,
  ValueProxy,
} from "./containers.ts";
import {
  AsyncResultProxy,
  BarrierProxy,
  ConditionProxy,
  EventProxy,
  IteratorProxy,
  JoinableQueueProxy,
  LockProxy,
  PoolProxy,
  QueueProxy,
  RLockProxy,
  SemaphoreProxy,
} from "./proxies.ts";
import type { RegisterOptions } from "./registry.ts";

const makers = {
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
    new ManagedCondition(
      lock === undefined ? undefined : objectOf(lock) as Guarding,
    ),
  makeEvent: () => new ManagedEvent(),
  makeBarrier: (
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number,
  ) => new ManagedBarrier(parties, action, timeout),
  makePool: (options?: ConstructorParameters<typeof Pool>[0]) =>
    new ManagedPool(kindOf(Pool), options),
};

// So that each server finds them.
register(import.meta, makers);

/** The types of a `SyncManager`. */
export const SYNC_TYPES: Readonly<Record<string, RegisterOptions>> = {
  dict: {
    callable: makers.makeDict,
    proxyType: DictProxy,
    methodToTypeid: { iterate: "Iterator" },
  },
  list: { callable: makers.makeList, proxyType: ListProxy },
  Namespace: { callable: makers.makeNamespace, proxyType: NamespaceProxy },
  Value: { callable: makers.makeValue, proxyType: ValueProxy },
  Array: { callable: makers.makeArray, proxyType: ArrayProxy },
  Queue: { callable: makers.makeQueue, proxyType: QueueProxy },
  JoinableQueue: {
    callable: makers.makeQueue,
    proxyType: JoinableQueueProxy,
  },
  Lock: { callable: makers.makeLock, proxyType: LockProxy },
  RLock: { callable: makers.makeRLock, proxyType: RLockProxy },
  Semaphore: { callable: makers.makeSemaphore, proxyType: SemaphoreProxy },
  BoundedSemaphore: {
    callable: makers.makeBoundedSemaphore,
    proxyType: SemaphoreProxy,
  },
  Condition: { callable: makers.makeCondition, proxyType: ConditionProxy },
  Event: { callable: makers.makeEvent, proxyType: EventProxy },
  Barrier: { callable: makers.makeBarrier, proxyType: BarrierProxy },
  Pool: {
    callable: makers.makePool,
    proxyType: PoolProxy,
    methodToTypeid: {
      applyAsync: "AsyncResult",
      mapAsync: "AsyncResult",
      starmapAsync: "AsyncResult",
      imap: "Iterator",
      imapUnordered: "Iterator",
    },
  },
  // Results only.
  Iterator: { proxyType: IteratorProxy, createMethod: false },
  AsyncResult: { proxyType: AsyncResultProxy, createMethod: false },
};

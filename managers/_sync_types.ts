/**
 * The types of a `SyncManager`, as its clients see them. What makes the objects is
 * called by its name in `_types.ts`, which only servers need: each child loads the
 * front door of this package, and few of them are servers.
 *
 * Runs in the client.
 *
 * @module
 */
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

/** A type and the name of what makes its objects. */
interface SyncType extends RegisterOptions {
  /** See `makers`. */
  readonly maker?: string;
}

/** See the module. */
export const SYNC_TYPES: Readonly<Record<string, SyncType>> = {
  dict: {
    maker: "makeDict",
    proxyType: DictProxy,
    methodToTypeid: { iterate: "Iterator" },
  },
  list: { maker: "makeList", proxyType: ListProxy },
  Namespace: { maker: "makeNamespace", proxyType: NamespaceProxy },
  Value: { maker: "makeValue", proxyType: ValueProxy },
  Array: { maker: "makeArray", proxyType: ArrayProxy },
  Queue: { maker: "makeQueue", proxyType: QueueProxy },
  JoinableQueue: { maker: "makeQueue", proxyType: JoinableQueueProxy },
  Lock: { maker: "makeLock", proxyType: LockProxy },
  RLock: { maker: "makeRLock", proxyType: RLockProxy },
  Semaphore: { maker: "makeSemaphore", proxyType: SemaphoreProxy },
  BoundedSemaphore: {
    maker: "makeBoundedSemaphore",
    proxyType: SemaphoreProxy,
  },
  Condition: { maker: "makeCondition", proxyType: ConditionProxy },
  Event: { maker: "makeEvent", proxyType: EventProxy },
  Barrier: { maker: "makeBarrier", proxyType: BarrierProxy },
  Pool: {
    maker: "makePool",
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
  Iterator: { proxyType: IteratorProxy },
  AsyncResult: { proxyType: AsyncResultProxy },
};

/**
 * Objects that live in a server and are used from everywhere: other processes,
 * other programs, other machines. README.md in this folder has the protocol.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
export { BaseManager } from "./base_manager.ts";
export type { ManagerOptions, Remote, Reserved } from "./base_manager.ts";
export {
  ArrayProxy,
  DictProxy,
  ListProxy,
  NamespaceProxy,
  ValueProxy,
} from "./containers.ts";
export type { Change, DictEntries, SortOptions } from "./containers.ts";
export {
  AcquirerProxy,
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
export type { PoolProxyOptions, ProxyGuard } from "./proxies.ts";
export { AutoProxy, BaseProxy } from "./proxy.ts";
export type { CallOptions, Origin, ProxyClass } from "./proxy.ts";
export type { RegisterOptions } from "./registry.ts";
export type { Server } from "./server.ts";
export { SharedMemoryManager } from "./shared_memory_manager.ts";
export { Manager, SyncManager } from "./sync_manager.ts";
export type { ManagedBarrierOptions } from "./sync_manager.ts";
export type { SerializerName } from "./_wire.ts";

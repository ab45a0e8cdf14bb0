/**
 * Python's `multiprocessing` for Deno: processes and threads, pools of workers, and
 * what they share, with the same names and without its hangs.
 *
 * The rooms behind this door, from the bottom: `memory/` (shared words, waiting) and
 * `codec/` (values to bytes), `primitives/` (what is shared), `contexts/` (how
 * children come to life), `pool/`, `managers/`. Arrows point down only.
 *
 * @example Squares in parallel
 * ```ts
 * import { getContext } from "@deno-mp/multiprocessing";
 *
 * export function square(x: number): number {
 *   return x * x;
 * }
 *
 * if (import.meta.main) {
 *   const ctx = getContext("spawn"); // or "worker"
 *   await using pool = new ctx.Pool(4);
 *   console.log(await pool.map(square, [1, 2, 3])); // [ 1, 4, 9 ]
 * }
 * ```
 *
 * @module
 */
import { complete } from "./contexts/context.ts";
import { getLogger, logToStderr } from "./logging.ts";
import {
  BaseManager,
  SharedMemoryManager,
  SyncManager,
} from "./managers/mod.ts";
import { managerFor } from "./managers/sync_manager.ts";
import { Client, Listener } from "./network/mod.ts";
import { Pool } from "./pool/mod.ts";

complete({
  Pool,
  managerFor,
  BaseManager,
  SyncManager,
  SharedMemoryManager,
  Listener,
  Client,
  getLogger,
  logToStderr,
});

export { registerClass } from "./codec/mod.ts";
export type { RegisterClassOptions } from "./codec/mod.ts";
export {
  activeChildren,
  AuthKey,
  Context,
  cpuCount,
  currentProcess,
  exit,
  Finalize,
  freezeSupport,
  getAllStartMethods,
  getContext,
  getStartMethod,
  ParentProcess,
  parentProcess,
  Process,
  register,
  Sentinel,
  setExecutable,
  setPreload,
  setStartMethod,
  sleep,
} from "./contexts/mod.ts";
export type {
  FinalizeOptions,
  GetStartMethodOptions,
  ParentFacts,
  ProcessInfo,
  ProcessOptions,
  SetStartMethodOptions,
  StartMethod,
  UpperRooms,
} from "./contexts/mod.ts";
export {
  AuthenticationError,
  BrokenBarrierError,
  BufferTooShortError,
  EncodingError,
  EofError,
  PoolTerminatedError,
  ProcessError,
  QueueEmptyError,
  QueueFullError,
  RemoteError,
  TimeoutError,
  WorkerLostError,
} from "./errors.ts";
export type { EncodingErrorOptions, WorkerLossDetails } from "./errors.ts";
export { getLogger, logToStderr } from "./logging.ts";
export type { LevelName, Logger } from "./logging.ts";
export {
  AcquirerProxy,
  ArrayProxy,
  AsyncResultProxy,
  AutoProxy,
  BarrierProxy,
  BaseManager,
  BaseProxy,
  ConditionProxy,
  DictProxy,
  EventProxy,
  IteratorProxy,
  JoinableQueueProxy,
  ListProxy,
  LockProxy,
  Manager,
  NamespaceProxy,
  PoolProxy,
  QueueProxy,
  RLockProxy,
  SemaphoreProxy,
  SharedMemoryManager,
  SyncManager,
  ValueProxy,
} from "./managers/mod.ts";
export type {
  CallOptions,
  Change,
  DictEntries,
  ManagedBarrierOptions,
  ManagerOptions,
  Origin,
  PoolProxyOptions,
  ProxyClass,
  ProxyGuard,
  RegisterOptions,
  Remote,
  Reserved,
  SerializerName,
  Server,
  SortOptions,
} from "./managers/mod.ts";
export {
  answerChallenge,
  Client,
  deliverChallenge,
  Listener,
  recvJson,
  sendJson,
  SocketConnection,
} from "./network/mod.ts";
export type {
  Address,
  AnyConnection,
  AuthKeyLike,
  ChallengeConnection,
  ChallengeOptions,
  ClientOptions,
  Digest,
  Family,
  ListenerOptions,
  NetAddress,
} from "./network/mod.ts";
export {
  Array,
  Barrier,
  BoundedSemaphore,
  Condition,
  Connection,
  copy,
  Event,
  JoinableQueue,
  Lock,
  Pipe,
  Queue,
  RawArray,
  RawValue,
  RLock,
  Semaphore,
  ShareableList,
  SharedMemory,
  SimpleQueue,
  synchronized,
  Value,
  wait,
} from "./primitives/mod.ts";
export type {
  AcquireOptions,
  AmountOf,
  ArrayConstructor,
  BarrierOptions,
  BoundedSemaphoreOptions,
  CodeTypes,
  CopyOf,
  ElementType,
  Guard,
  InitialOf,
  InputOf,
  ItemOf,
  ItemsOf,
  LockLike,
  LockOptions,
  NoLockOptions,
  PipeOptions,
  QueueOptions,
  QueueWaitOptions,
  RawArrayConstructor,
  RawStruct,
  RawValueConstructor,
  ShareableItem,
  ShareableListOptions,
  SharedItems,
  SharedMemoryOptions,
  SharedText,
  SharedValue,
  StructFields,
  StructMethods,
  StructRecord,
  Synchronized,
  TypeCode,
  ValueConstructor,
  ValueOf,
  ViewClass,
  ViewOf,
  ViewTypes,
  WaitOptions,
} from "./primitives/mod.ts";
export {
  AsyncResult,
  currentTask,
  Pool,
  PoolIterator,
  ThreadPool,
} from "./pool/mod.ts";
export type {
  AnyIterable,
  ApplyOptions,
  CurrentTask,
  ImapOptions,
  MapOptions,
  PoolOptions,
  PoolStatistics,
  Progress,
  TaskOptions,
  TaskStatistics,
  WorkerState,
  WorkerStatistics,
} from "./pool/mod.ts";

/**
 * What parent and child share: locks and other ways to wait for each other, queues
 * and pipes, values, arrays and memory with a name.
 *
 * @example A queue and a lock
 * ```ts
 * import { Lock, Queue } from "@deno-mp/multiprocessing/primitives";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<string>();
 * const lock = new Lock();
 * {
 *   using _guard = await lock.acquire();
 *   await queue.put("hello");
 * }
 * assertEquals(await queue.get(), "hello");
 * ```
 *
 * @module
 */
export { Array, RawArray } from "./array.ts";
export type {
  ArrayConstructor,
  CopyOf,
  ElementType,
  InputOf,
  ItemOf,
  ItemsOf,
  RawArrayConstructor,
  SharedItems,
  SharedText,
  ViewClass,
  ViewOf,
  ViewTypes,
} from "./array.ts";
export { Barrier } from "./barrier.ts";
export type { BarrierOptions } from "./barrier.ts";
export { Condition } from "./condition.ts";
export type { AcquireOptions, Guard, WaitOptions } from "./condition.ts";
export { Connection } from "./connection.ts";
export { Event } from "./event.ts";
export { JoinableQueue } from "./joinable_queue.ts";
export { Lock } from "./lock.ts";
export { Pipe } from "./pipe.ts";
export type { PipeOptions } from "./pipe.ts";
export { Queue } from "./queue.ts";
export type { QueueOptions, QueueWaitOptions } from "./queue.ts";
export { RLock } from "./rlock.ts";
export { BoundedSemaphore, Semaphore } from "./semaphore.ts";
export type { BoundedSemaphoreOptions } from "./semaphore.ts";
export { ShareableList } from "./shareable_list.ts";
export type { ShareableItem, ShareableListOptions } from "./shareable_list.ts";
export { SharedMemory } from "./shared_memory.ts";
export type { SharedMemoryOptions } from "./shared_memory.ts";
export { SimpleQueue } from "./simple_queue.ts";
export { copy, RawValue, synchronized, Value } from "./value.ts";
export type {
  AmountOf,
  CodeTypes,
  InitialOf,
  LockLike,
  LockOptions,
  NoLockOptions,
  RawStruct,
  RawValueConstructor,
  SharedValue,
  StructFields,
  StructMethods,
  StructRecord,
  Synchronized,
  TypeCode,
  ValueConstructor,
  ValueOf,
} from "./value.ts";
export { wait } from "./wait.ts";

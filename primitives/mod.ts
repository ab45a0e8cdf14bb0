/**
 * What parent and child share: locks and other ways to wait for each other, queues
 * and pipes.
 *
 * @module
 */
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
export { SimpleQueue } from "./simple_queue.ts";
export { wait } from "./wait.ts";

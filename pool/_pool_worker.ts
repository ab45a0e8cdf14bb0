/**
 * One worker of a pool, as the parent sees it: its process, its channel, and the
 * tasks it has been given and not answered, oldest first.
 *
 * Runs in the parent.
 *
 * @module
 */
import { INTERNAL, Process } from "../contexts/process.ts";
import type { ProcessOptions } from "../contexts/process.ts";
import type { Arena } from "../memory/mod.ts";
import { bindTo } from "../primitives/_block.ts";
import {
  C_CANCEL,
  C_ITEM,
  C_RUNNING,
  Channel,
  CHANNEL_BYTES,
  DEFINE,
  EXIT,
  framed,
  take,
} from "./_protocol.ts";
import type { Taken } from "./_protocol.ts";
import type { Task } from "./_task.ts";
import { poolWorker } from "./_worker_main.ts";

/** How long a worker may take to end when it is asked to, in milliseconds. */
const END_GRACE_MS = 1500;

/** What a worker is started with. */
export interface WorkerSettings {
  /** Name of its process. */
  readonly name: string;
  /** Called first in it. */
  readonly initializer: ((...args: never[]) => unknown) | null;
  /** With these. */
  readonly initArgs: unknown[];
  /** Tasks it may run; `Infinity` for no limit. */
  readonly maxTasks: number;
  /** Options of its process. */
  readonly options: Omit<ProcessOptions, "target" | "args" | "name" | "daemon">;
}

/** See the module. */
export class PoolWorker {
  /** Its process. */
  readonly process: Process;
  /** Tasks it has and has not answered, by number, oldest first. */
  readonly tasks: Map<number, Task> = new Map();
  /** Whether it has run its initializer. */
  isReady = false;
  /** Whether it has been told to exit, or is being stopped. */
  isLeaving = false;
  /** Bytes of the arguments of its tasks. */
  bytes = 0;
  /** Checks the time of the task it runs. */
  timer: ReturnType<typeof setTimeout> | undefined;
  /** When it began its oldest task, as far as the parent can know. */
  begunMs = 0;
  readonly #arena: Arena;
  readonly #channel: Channel;
  readonly #knownFunctions = new Set<number>();
  #tasksLeft: number;
  #isFreed = false;

  /**
   * Starts a worker.
   *
   * @param arena Where its channel lies.
   * @param poolOffset The pool's block.
   * @param answersKey What the pool waits for.
   * @param settings What it is started with.
   * @param onEnd Told when it has ended.
   */
  constructor(
    arena: Arena,
    poolOffset: number,
    answersKey: number,
    settings: WorkerSettings,
    onEnd: (worker: PoolWorker) => void,
  ) {
    this.#arena = arena;
    this.#tasksLeft = settings.maxTasks;
    const offset = arena.heap.allocate(CHANNEL_BYTES);
    this.#channel = new Channel(arena, offset, answersKey);
    const Bound = bindTo(Process, arena.kind);
    const internal = {
      [INTERNAL]: { ignoreInterrupt: true, onEnd: () => onEnd(this) },
    };
    this.process = new Bound({
      ...settings.options,
      ...internal,
      target: poolWorker as (...args: unknown[]) => unknown,
      args: [
        arena.kind,
        offset,
        poolOffset,
        settings.initializer,
        settings.initArgs,
      ],
      name: settings.name,
      daemon: true,
    });
    try {
      this.process.start();
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Whether it can be given another task. */
  get isOpen(): boolean {
    return !this.isLeaving && this.#tasksLeft > 0;
  }

  /** Whether it has nothing left to do and may not be given more. */
  get isSpent(): boolean {
    return this.#tasksLeft === 0 && this.tasks.size === 0 && !this.isLeaving;
  }

  /** Number of the task it runs, or ran last. */
  get running(): number {
    return Atomics.load(this.#channel.control, C_RUNNING);
  }

  /** Which item of its chunk it is at. */
  get item(): number {
    return Atomics.load(this.#channel.control, C_ITEM);
  }

  /**
   * Gives it a task.
   *
   * @param task The task.
   * @param reference Gives its function's reference, the first time.
   */
  give(task: Task, reference: (fn: number) => Uint8Array): void {
    const { orders, definitions } = this.#channel;
    if (!this.#knownFunctions.has(task.fn)) {
      this.#knownFunctions.add(task.fn);
      definitions.tryPut(framed(DEFINE, 0, task.fn, 0, reference(task.fn)));
    }
    if (this.tasks.size === 0) this.begunMs = performance.now();
    task.worker = this;
    this.tasks.set(task.sequence, task);
    this.bytes += task.body.byteLength;
    this.#tasksLeft--;
    orders.tryPut(
      framed(task.kind, task.sequence, task.fn, task.index, task.body),
    );
  }

  /** Forgets a task: it has been answered, or moves elsewhere. */
  forget(task: Task): void {
    if (!this.tasks.delete(task.sequence)) return;
    clearTimeout(task.graceTimer);
    this.bytes -= task.body.byteLength;
    task.worker = undefined;
  }

  /** Takes the next answer, if there is one. */
  answer(): Taken | undefined {
    return this.#isFreed ? undefined : take(this.#channel.answers);
  }

  /**
   * Takes back a task that it has not taken yet.
   *
   * @returns The oldest such task.
   */
  takeBack(): Task | undefined {
    const order = take(this.#channel.orders);
    if (!order) return undefined;
    const task = this.tasks.get(order.sequence);
    if (!task) return undefined;
    this.forget(task);
    this.#tasksLeft++;
    return task;
  }

  /** Tells it to end when it is done. */
  sendExit(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.#channel.orders.tryPut(framed(EXIT));
  }

  /** Tells the task it runs that it should stop. */
  sendCancel(task: Task): void {
    Atomics.store(this.#channel.control, C_CANCEL, task.sequence);
    this.#arena.waiting.wake(this.#channel.cancelKey);
  }

  /** Ends it by force: politely first, as its own children may listen to that. */
  stop(): void {
    this.isLeaving = true;
    if (this.#killTimer !== undefined || this.#isFreed) return;
    this.process.terminate();
    this.#killTimer = setTimeout(() => this.process.kill(), END_GRACE_MS);
    Deno.unrefTimer(this.#killTimer as unknown as number);
  }
  #killTimer: ReturnType<typeof setTimeout> | undefined;

  /** Frees its channel; it has ended. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    clearTimeout(this.timer);
    clearTimeout(this.#killTimer);
    for (const task of this.tasks.values()) clearTimeout(task.graceTimer);
    this.#channel.free();
  }
}

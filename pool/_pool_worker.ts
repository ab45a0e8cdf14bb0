/**
 * One worker of a pool, as the parent sees it: its process, its channel, and the
 * tasks it has been given and not answered, oldest first.
 *
 * ```
 *   STARTING --its initializer has run--> READY --sendExit()--> LEAVING --> ENDED
 *       |                                   |                     |
 *       +-----------------------------------+------- stop() ------+-> STOPPING
 * ```
 *
 * Whatever state it is in, it can end at any moment. Nothing is given to one that
 * has ended, though its channel is there until what lies in it has been seen to.
 *
 * Runs in the parent.
 *
 * @module
 */
import { BufferPort } from "../contexts/buffer_port.ts";
import { whenStill } from "../contexts/graves.ts";
import { INTERNAL, Process } from "../contexts/process.ts";
import { log } from "../_log.ts";
import { LONGEST_TIMER_MS } from "../memory/mod.ts";
import type { Arena, Message } from "../memory/mod.ts";
import { bindTo } from "../primitives/block.ts";
import { HeldTasks } from "./_held_tasks.ts";
import {
  APART,
  C_CANCEL,
  C_ITEM,
  C_MEMORY_KIB,
  C_RUNNING,
  C_STARTUP_MS,
  C_STOP,
  C_TASK_NS,
  Channel,
  CHANNEL_BYTES,
  DEFINE,
  EXIT,
  framed,
  HEAD_BYTES,
  sequenceOf,
  SHARED,
  unframe,
} from "./_protocol.ts";
import type { Parcel } from "./_parcel.ts";
import type { ResolvedPoolOptions } from "./pool_options.ts";
import type { WorkerState, WorkerStatistics } from "./statistics.ts";
import type { Task } from "./_task.ts";
import { poolWorker } from "./_worker_main.ts";

/** How long a process may take to end when it is stopped, in milliseconds. */
const STOP_GRACE_MS = 1000;
/** How long a thread may take to hear that it is to end, in milliseconds. */
const HEAR_MS = 100;
/** The same while it is starting, and cannot hear anything yet. */
const START_MS = 1000;
/** The same when it has been told to exit: its finalizer takes its time. */
const EXIT_GRACE_MS = 10_000;
/**
 * Tasks a worker is given at first, the running one included; then as many as
 * turn out to be needed, see {@linkcode PoolWorker.adapt}.
 */
const FIRST_WINDOW = 8;
/** One that runs and one that waits. */
const LEAST_WINDOW = 2;
/** No more, however short they are: memory, and the time to move them. */
const MOST_WINDOW = 512;
/** How long the parent may take to come back, in milliseconds. */
const RUNWAY_MS = 1;
/** From this window on, which means tasks of 50 µs or less, a worker is brisk. */
const BRISK_WINDOW = 20;
/**
 * After so many longer ones in a row it is not. One is seen twice if its time is
 * read when it has ended and its answer is not there yet.
 */
const LASTING = 3;
/** In how many goes a worker's window is filled. */
const STRIDES = 8;

/** Whose worker it is. */
export interface WorkerOwner {
  /**
   * Those from whom something may come: they are starting, or have tasks. A worker
   * sees to it itself. (Most of a large pool are idle, and looking at all of them
   * for each answer took as long as a short task.)
   */
  readonly awaited: Set<PoolWorker>;
  /** It is not ready after the time that it may take for that. */
  late(worker: PoolWorker): void;
  /** It has ended. */
  ended(worker: PoolWorker): void;
}

/** See the module. */
export class PoolWorker {
  /** Its process. */
  readonly process: Process;
  /** Tasks it has and has not answered, oldest first. */
  readonly tasks: HeldTasks = new HeldTasks();
  /** How many tasks it may have at a time. */
  window: number = FIRST_WINDOW;
  /** Bytes of the arguments of its tasks. */
  bytes = 0;
  /** Tasks it has answered. */
  answered = 0;
  /** Whether a task was lost with it. */
  hasLost = false;
  /** Looks after the time of the task it runs: see `_time_limits.ts`. */
  watch: {
    timer: ReturnType<typeof setTimeout> | undefined;
    sequence: number;
    item: number;
    sinceMs: number;
    /** Whether its time was up at the last look, and the timer is about to say so. */
    isUp: boolean;
  } | undefined;
  readonly #arena: Arena;
  readonly #awaited: Set<PoolWorker>;
  readonly #channel: Channel;
  /** What shared buffers go through to a thread and back. */
  readonly #buffers: BufferPort | undefined;
  readonly #knownFunctions = new Set<number>();
  /** Arguments of tasks it has been stopped in. */
  readonly #parcels: Parcel[] = [];
  readonly #startedMs = performance.now();
  #tasksLeft: number;
  #state: "open" | "leaving" | "stopping" | "ended" = "open";
  /** Whether it ended because it was told to exit. */
  #hasLeft = false;
  #endTimer: ReturnType<typeof setTimeout> | undefined;
  #startTimer: ReturnType<typeof setTimeout> | undefined;
  #isFreed = false;
  #busyMs = 0;
  /** When it got its first task, or gave its last answer, or began. */
  #changedMs: number = this.#startedMs;
  #hasBegun = false;
  /** How often in a row its tasks were not short. */
  #slow = LASTING;

  /**
   * Starts a worker.
   *
   * @param arena Where its channel lies.
   * @param poolOffset The pool's block.
   * @param answersKey What the pool waits for.
   * @param name Name of its process.
   * @param options What the pool is made with.
   * @param setup Gives what it is told at the start, encoded for it alone.
   * @param owner Whose it is.
   * @throws What starting a process throws.
   */
  constructor(
    arena: Arena,
    poolOffset: number,
    answersKey: number,
    name: string,
    options: ResolvedPoolOptions,
    setup: (token: number, buffers: SharedArrayBuffer[]) => Uint8Array | null,
    owner: WorkerOwner,
  ) {
    this.#arena = arena;
    this.#awaited = owner.awaited;
    this.#tasksLeft = options.maxTasks;
    const offset = arena.heap.allocate(CHANNEL_BYTES);
    this.#channel = new Channel(arena, offset, answersKey, arena.me, false);
    this.#channel.prime();
    const [here, there] = arena.kind === "worker" ? BufferPort.pair() : [];
    this.#buffers = here;
    const Bound = bindTo(Process, arena.kind);
    const internal = {
      [INTERNAL]: {
        ignoreInterrupt: true,
        port: there,
        onEnd: () => owner.ended(this),
        argsFor: (token: number, buffers: SharedArrayBuffer[]) => {
          this.#channel.orders.taker = token;
          return [
            arena.kind,
            offset,
            poolOffset,
            arena.me,
            Date.now(),
            setup(token, buffers),
          ];
        },
      },
    };
    try {
      this.process = new Bound({
        ...options.process,
        ...internal,
        target: poolWorker as (...args: unknown[]) => unknown,
        name,
        daemon: true,
      });
      this.process.start();
    } catch (error) {
      this.free();
      throw error;
    }
    this.#awaited.add(this);
    if (options.startMs === Infinity) return;
    this.#startTimer = setTimeout(() => {
      const isEnding = this.#state === "stopping" || this.#state === "ended";
      if (!this.isReady && !isEnding) owner.late(this);
    }, Math.min(options.startMs, LONGEST_TIMER_MS));
    Deno.unrefTimer(this.#startTimer as unknown as number);
  }

  // ---- what is known of it ------------------------------------------------------

  /** Whether it has run its initializer. */
  get isReady(): boolean {
    return !this.#isFreed &&
      Atomics.load(this.#channel.control, C_STARTUP_MS) > 0;
  }

  /** Whether it has been told to exit, is being stopped, or has ended. */
  get isLeaving(): boolean {
    return this.#state !== "open";
  }

  /** Whether it can be given another task. */
  get isOpen(): boolean {
    return this.#state === "open" && this.#tasksLeft > 0;
  }

  /** Whether it has done all the tasks it may. */
  get isSpent(): boolean {
    return this.#tasksLeft === 0 && this.tasks.size === 0;
  }

  /** Tasks it has that another one could do sooner. */
  get spare(): number {
    if (this.#state !== "open") return 0;
    return this.isReady ? this.tasks.size - 1 : this.tasks.size;
  }

  /** Number of the task it has taken last. */
  get running(): number {
    return Atomics.load(this.#channel.control, C_RUNNING);
  }

  /** Which item of its chunk it is at. */
  get item(): number {
    return Atomics.load(this.#channel.control, C_ITEM);
  }

  /** MiB of memory in use when it last looked, 0 before that. */
  get memoryMb(): number {
    if (this.#isFreed) return 0;
    return Atomics.load(this.#channel.control, C_MEMORY_KIB) / 1024;
  }

  /** Milliseconds since its start. */
  get ageMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Milliseconds for which it has had no task; 0 if it has one. */
  get idleMs(): number {
    return this.tasks.size > 0 ? 0 : performance.now() - this.#changedMs;
  }

  /**
   * All of that, for people.
   *
   * @param hasEnded Whether this is the last time.
   */
  statistics(hasEnded = false): WorkerStatistics {
    const startupMs = Atomics.load(this.#channel.control, C_STARTUP_MS);
    const isBusy = this.tasks.size > 0;
    const nowMs = performance.now();
    const isWorking = isBusy && this.#hasBegun;
    const busyMs = this.#busyMs + (isWorking ? nowMs - this.#changedMs : 0);
    const lifeMs = Math.max(0, nowMs - this.#startedMs - startupMs);
    const { name, pid, ident } = this.process;
    return Object.freeze({
      name,
      pid,
      ident,
      state: hasEnded ? "ended" : this.#shownState(isBusy),
      tasks: this.answered,
      startupMs: startupMs || null,
      busyMs,
      waitingMs: startupMs > 0 ? Math.max(0, lifeMs - busyMs) : 0,
      busyRatio: startupMs > 0 && lifeMs > 0 ? Math.min(1, busyMs / lifeMs) : 0,
      memoryMb: this.memoryMb || null,
    });
  }

  #shownState(isBusy: boolean): WorkerState {
    if (this.isLeaving) return "leaving";
    if (!this.isReady) return "starting";
    return isBusy ? "busy" : "idle";
  }

  // ---- tasks --------------------------------------------------------------------

  /**
   * Gives it a task.
   *
   * @param task The task.
   * @param body Its arguments, encoded.
   * @param reference Gives its function's reference, the first time.
   * @throws {RangeError} If there is not enough shared memory.
   */
  give(
    task: Task,
    body: Message | Uint8Array,
    reference: (fn: number) => Uint8Array,
  ): void {
    if (this.#isFreed) { // its memory may be somebody else's by now
      throw new Error("Cannot give a task to a worker that has ended");
    }
    const { orders, definitions } = this.#channel;
    const { sequence, work, parcel, buffers } = task;
    const { fn } = work;
    if (!this.#knownFunctions.has(fn)) {
      definitions.tryPut(framed(DEFINE, 0, fn, 0, reference(fn)));
      this.#knownFunctions.add(fn);
    }
    let { kind } = work;
    if (parcel) kind |= APART;
    if (buffers) {
      kind |= SHARED;
      this.#buffers!.post(sequence, buffers);
    }
    task.byteLength = parcel ? parcel.byteLength : body.byteLength;
    try {
      orders.tryPut(framed(kind, sequence, fn, task.index, body));
    } catch (error) {
      if (buffers) this.#buffers!.recall(sequence);
      throw error;
    } finally {
      unframe();
    }
    if (this.tasks.size === 0) {
      this.#changedMs = performance.now();
      this.#awaited.add(this);
    }
    task.worker = this;
    task.workerName = this.process.name;
    task.handOver(); // it is in the ring now
    this.tasks.push(task);
    this.bytes += task.byteLength;
    this.#tasksLeft--;
  }

  /** Forgets a task: it has been answered, or goes elsewhere. */
  forget(task: Task): void {
    if (!this.tasks.delete(task)) return;
    this.bytes -= task.byteLength;
    task.worker = undefined;
    if (this.tasks.size > 0) return;
    const nowMs = performance.now();
    if (this.#hasBegun) {
      this.#busyMs += nowMs - this.#changedMs;
      this.#awaited.delete(this);
    }
    this.#changedMs = nowMs;
  }

  /**
   * Forgets a task while the worker may still be at it, until it has ended.
   *
   * @param task The task.
   */
  disown(task: Task): void {
    this.forget(task);
    const parcel = task.takeParcel();
    if (parcel) this.#parcels.push(parcel);
  }

  /**
   * Takes its next answer, if there is one.
   *
   * @param read Called with it where it lies; must copy what it keeps.
   * @returns Whether there was one.
   */
  takeAnswer(read: (message: Uint8Array) => true): boolean {
    return !this.#isFreed && this.#channel.answers.tryTake(read) === true;
  }

  /** The shared buffers that came with the answer to a task. */
  takeBuffers(
    sequence: number,
  ): readonly SharedArrayBuffer[] | undefined {
    return this.#buffers?.take(sequence);
  }

  /**
   * Takes back the oldest task that it has not taken yet.
   *
   * @returns The task, with its arguments.
   */
  takeBack(): Task | undefined {
    // An order to exit is the last one: then nothing is left to take back.
    if (this.#state === "leaving" || this.tasks.size === 0) return undefined;
    let task: Task | undefined;
    const read = (message: Uint8Array): true => {
      const sequence = sequenceOf(message);
      task = this.tasks.get(sequence);
      // It died just as it was taking this one, which therefore is lost.
      if (sequence === this.running) task = undefined;
      task?.takeIn(message.slice(HEAD_BYTES));
      return true;
    };
    while (this.#channel.orders.tryTake(read)) {
      if (!task) continue;
      this.forget(task);
      if (task.buffers) this.#buffers!.recall(task.sequence);
      this.#tasksLeft++;
      return task;
    }
    return undefined;
  }

  /** Takes back all that it has not taken yet, the oldest first. */
  takeBackAll(): Task[] {
    const tasks: Task[] = [];
    let task = this.takeBack();
    while (task) {
      tasks.push(task);
      task = this.takeBack();
    }
    return tasks;
  }

  /**
   * Learns from the worker how long its tasks take, and so how many of them it
   * needs to have lying ready: as many as keep it busy until the parent comes
   * back. More would be there for nothing, and would have to be moved when another
   * worker is free, or something more urgent comes.
   *
   * The worker measures it, as the time between answers is that of waiting for a
   * processor, too: of 64 workers on 2 cores, each was given 2 tasks at a time, and
   * waking it for them took a hundred times as long as to do them.
   */
  adapt(): void {
    const taskMs = this.#channel.control[C_TASK_NS]! / 1e6;
    if (taskMs === 0) return;
    const window = Math.ceil(RUNWAY_MS / taskMs);
    this.window = Math.max(LEAST_WINDOW, Math.min(MOST_WINDOW, window));
    this.#slow = window >= BRISK_WINDOW ? 0 : this.#slow + 1;
  }

  /**
   * How many tasks it is given in a row where others have room, too: an eighth of
   * its window. Of short ones it so gets some for each time it is woken: dealt out
   * one by one to 64 workers, each task woke one of them, at 100 µs and more.
   */
  get stride(): number {
    return Math.ceil(this.window / STRIDES);
  }

  /**
   * Whether its tasks take less time than to wake somebody for them. One that took
   * longer does not count: it may have lost its processor for a moment.
   */
  get isBrisk(): boolean {
    return this.#slow < LASTING;
  }

  /** Says that it has begun to take orders: its time counts from now. */
  begin(): void {
    this.#hasBegun = true;
    clearTimeout(this.#startTimer);
    this.#changedMs = performance.now();
    if (this.tasks.size === 0) this.#awaited.delete(this);
  }

  /** Tells the task it runs that it should stop. */
  sendCancel(task: Task): void {
    Atomics.store(this.#channel.control, C_CANCEL, task.sequence);
    this.#arena.waiting.wake(this.#channel.cancelKey);
  }

  // ---- its end ------------------------------------------------------------------

  /** Tells it to end when it has done its tasks. */
  sendExit(): void {
    if (this.#state !== "open") return;
    this.#state = "leaving";
    this.#channel.orders.tryPut(framed(EXIT));
    this.#stopIfItStays();
  }

  #stopIfItStays(): void {
    this.#endAfter(EXIT_GRACE_MS, () => {
      // Its last task, or its initializer, may take as long as it likes.
      if (this.tasks.size > 0 || !this.isReady) return this.#stopIfItStays();
      log.warn(`stopping ${this.process.name}: it does not end by itself`);
      this.stop();
    });
  }

  /**
   * Ends it now, whatever it does.
   *
   * A process is asked by SIGTERM first, as its own children may listen to that.
   * A thread is asked in its own way: one that is interrupted by force in the
   * middle of our code may still write to shared memory after its end has been
   * told, so force is for those that are busy with the user's code.
   *
   * @param isBusy Whether it is certain that it will not hear.
   */
  stop(isBusy = false): void {
    if (this.#state === "stopping" || this.#state === "ended") return;
    this.#state = "stopping";
    if (this.#arena.kind === "spawn") {
      this.process.terminate();
      this.#endAfter(STOP_GRACE_MS, () => this.process.kill());
      return;
    }
    if (isBusy) return this.process.terminate();
    const { control, stopKey } = this.#channel;
    Atomics.store(control, C_STOP, 1);
    this.#arena.waiting.wake(stopKey);
    const ms = this.isReady ? HEAR_MS : START_MS;
    this.#endAfter(ms, () => this.process.terminate());
  }

  #endAfter(ms: number, end: () => void): void {
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(end, ms);
    Deno.unrefTimer(this.#endTimer as unknown as number);
  }

  /** Says that it has ended. What it was given can still be taken back. */
  end(): void {
    this.#hasLeft = this.#state === "leaving";
    this.#state = "ended";
  }

  /** Frees its channel; it has ended, or could not be started. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.#awaited.delete(this);
    clearTimeout(this.watch?.timer);
    clearTimeout(this.#startTimer);
    clearTimeout(this.#endTimer);
    this.#buffers?.close();
    const giveBack = () => {
      for (const parcel of this.#parcels) parcel.free();
      this.#channel.free();
    };
    const mayRunOn = this.#arena.kind === "worker" && !this.#hasLeft;
    if (mayRunOn) whenStill(giveBack);
    else giveBack();
  }
}

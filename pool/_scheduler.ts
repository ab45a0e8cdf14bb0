/**
 * Which worker does what, and what happens when one dies. Workers share no queue
 * and no lock: the parent hands out every task, so it knows at any time who has
 * which, and a death costs exactly the task that was running.
 *
 * ```
 *            parent                          |            worker
 *  submit -> queue -> give --- orders ---------> take, write down its number, run
 *                      ^  <-- take back -----+       |
 *  settle <- collect <----------- answers <----------+
 *                 ^                          |
 *                 +-- one key wakes the parent for the answers of all workers
 * ```
 *
 * **Ahead.** A worker is given up to {@linkcode AHEAD} tasks beyond the one it
 * runs, so that it finds the next without waiting for the parent. When another
 * worker has nothing to do, the parent takes such a task back from the ring and
 * gives it there: a task never waits behind a long one while somebody is free.
 *
 * **A worker ends.** Its answers are collected first. Of the tasks then left with
 * it, the one whose number it had written down is lost ({@linkcode
 * WorkerLostError}, or run again if it has retries left); the others had not
 * begun, and go back to the head of the queue. A new worker takes its place.
 *
 * **It never comes to work.** A failed initializer breaks the pool with its error
 * as the cause. So do workers that end, one after the other, without having done
 * anything: more in a row than the pool has places.
 *
 * States: RUN -> CLOSE (nothing new) -> end; RUN or CLOSE -> TERMINATE (nothing
 * at all). A broken pool is in RUN or CLOSE, and refuses and fails everything.
 *
 * Runs in the parent.
 *
 * @module
 */
import {
  PoolTerminatedError,
  ProcessError,
  RemoteError,
  TimeoutError,
  WorkerLostError,
} from "../errors.ts";
import { log } from "../_log.ts";
import { refer } from "../contexts/functions.ts";
import { arenaFor, keyOf, NOT_YET } from "../memory/mod.ts";
import type { Arena, MemoryKind, Message } from "../memory/mod.ts";
import { fromMessage, toMessage } from "../primitives/_wire.ts";
import { PoolWorker } from "./_pool_worker.ts";
import type { WorkerSettings } from "./_pool_worker.ts";
import { CHUNK, FAILURE, INITIALIZER_FAILED, READY } from "./_protocol.ts";
import type { ChunkResults, Taken } from "./_protocol.ts";
import type { Task, TaskOutcome } from "./_task.ts";

/** The states of a pool. */
export type PoolState = "RUN" | "CLOSE" | "TERMINATE";

/**
 * Tasks a worker has beyond the one it runs. Enough that a worker with tasks of a
 * few microseconds does not run dry while the parent is busy; more only means
 * more to take back.
 */
const AHEAD = 256;
/** Nothing is given ahead to a worker that has this many bytes of arguments. */
const AHEAD_BYTES = 256 * 1024;
/** How long a cancelled task may go on before its worker is stopped, in ms. */
const CANCEL_GRACE_MS = 1000;
/** How often to look whether a task with a time limit has begun, in ms. */
const BEGIN_LOOK_MS = 10;
/** Bytes of a pool's block: only its address is used, as a key. */
const POOL_BYTES = 64;

/** What a pool is made with. */
export interface SchedulerSettings extends Omit<WorkerSettings, "name"> {
  /** Start method. */
  readonly kind: MemoryKind;
  /** Workers. */
  readonly processes: number;
}

/** What is submitted. */
export type Submission = Pick<
  Task,
  "kind" | "fn" | "index" | "body" | "timeoutMs" | "label" | "retries" | "done"
>;

/** See the module. */
export class Scheduler {
  readonly #settings: SchedulerSettings;
  readonly #arena: Arena;
  readonly #offset: number;
  readonly #key: number;
  readonly #workers = new Set<PoolWorker>();
  readonly #queue: Task[] = [];
  /** Where the queue starts: taking from its head must not move the rest. */
  #queueHead = 0;
  readonly #functions = new Map<number, Uint8Array>();
  // deno-lint-ignore ban-types -- any function
  readonly #functionNumbers = new WeakMap<Function, number>();
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #state: PoolState = "RUN";
  #breakage: Error | undefined;
  #sequence = 0;
  #functionCount = 0;
  #workerCount = 0;
  /** Tasks submitted and not settled. */
  #outstanding = 0;
  #isListening = false;
  #isPumping = false;
  /** Workers that ended in a row without having done anything. */
  #barrenEnds = 0;

  /**
   * Starts the workers.
   *
   * @param settings What the pool is made with.
   * @throws What starting a worker throws; those started are ended again.
   */
  constructor(settings: SchedulerSettings) {
    this.#settings = settings;
    this.#arena = arenaFor(settings.kind);
    this.#offset = this.#arena.heap.allocate(POOL_BYTES);
    this.#key = keyOf(this.#offset);
    try {
      for (let i = 0; i < settings.processes; i++) this.#startWorker();
    } catch (error) {
      this.terminate();
      throw error;
    }
  }

  /** Its state. */
  get state(): PoolState {
    return this.#state;
  }

  /** Workers it is to have. */
  get size(): number {
    return this.#settings.processes;
  }

  /** Start method. */
  get kind(): MemoryKind {
    return this.#settings.kind;
  }

  /** Its workers now. */
  get workers(): Iterable<PoolWorker> {
    return this.#workers;
  }

  /** Tasks submitted and not settled. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /**
   * Refuses work where none is taken.
   *
   * @throws {ProcessError} If the pool is not running, or is broken.
   */
  checkRunning(): void {
    if (this.#state !== "RUN") throw new ProcessError("Pool not running");
    if (this.#breakage) throw this.#breakage;
  }

  /**
   * Number of a function among all that workers may be told of.
   *
   * @param fn The function.
   * @throws {EncodingError} If no worker could find it.
   */
  // deno-lint-ignore ban-types -- any function
  numberOf(fn: Function): number {
    const known = this.#functionNumbers.get(fn);
    if (known !== undefined) return known;
    const reference = refer(fn, "function");
    const number = ++this.#functionCount;
    this.#functions.set(number, this.encode(reference, "function"));
    this.#functionNumbers.set(fn, number);
    return number;
  }

  /**
   * Encodes a value for a worker, as it is now.
   *
   * @param value The value.
   * @param root What to call it in an error.
   * @throws {EncodingError} If it cannot be sent.
   */
  encode(value: unknown, root: string): Uint8Array {
    return gathered(toMessage(value, { kind: this.kind }, root));
  }

  /**
   * Takes work on.
   *
   * @param submission The work.
   */
  submit(submission: Submission): Task {
    const task: Task = {
      ...submission,
      sequence: this.#sequence = (this.#sequence + 1) & 0x7fff_ffff || 1,
      worker: undefined,
      graceTimer: undefined,
      isAbandoned: false,
    };
    this.#outstanding++;
    this.#queue.push(task);
    this.#pumpSoon();
    return task;
  }

  /**
   * Gives a task up. Its job has settled what it needs.
   *
   * @param task The task.
   */
  abandon(task: Task): void {
    if (task.isAbandoned) return;
    task.isAbandoned = true;
    const { worker } = task;
    if (!worker) {
      const at = this.#queue.indexOf(task, this.#queueHead);
      if (at < 0) return; // it is done
      this.#queue.splice(at, 1);
      this.#settled();
      return;
    }
    worker.sendCancel(task);
    task.graceTimer = setTimeout(() => {
      log.info(`stopping ${worker.process.name}: its task was cancelled`);
      worker.stop();
    }, CANCEL_GRACE_MS);
  }

  /** Takes nothing new; workers end when all is done. */
  close(): void {
    if (this.#state !== "RUN") return;
    log.debug("closing pool");
    this.#state = "CLOSE";
    this.#endIfDone();
  }

  /** Ends everything now. */
  terminate(): Promise<void> {
    if (this.#state === "TERMINATE") return this.#ended.promise;
    log.debug("terminating pool");
    this.#state = "TERMINATE";
    this.#failAll(
      new PoolTerminatedError(
        "Cannot finish the task as the pool was terminated",
      ),
    );
    for (const worker of this.#workers) worker.stop();
    this.#checkEnded();
    return this.join();
  }

  /** Fulfilled when all workers have ended. */
  async join(): Promise<void> {
    // Workers are daemons: only somebody who waits for them keeps the program.
    for (const worker of this.#workers) await worker.process.join();
    if (this.#workers.size > 0) return await this.join();
    await this.#ended.promise;
  }

  // ---- workers --------------------------------------------------------------

  #startWorker(): void {
    const method = this.kind === "spawn" ? "Spawn" : "Worker";
    const name = `${method}PoolWorker-${++this.#workerCount}`;
    const worker = new PoolWorker(
      this.#arena,
      this.#offset,
      this.#key,
      { ...this.#settings, name },
      (worker) => this.#onEnd(worker),
    );
    this.#workers.add(worker);
    log.debug("added worker");
  }

  #onEnd(worker: PoolWorker): void {
    this.#collectFrom(worker);
    this.#workers.delete(worker);
    const running = worker.running;
    worker.free();
    const unbegun: Task[] = [];
    for (const task of worker.tasks.values()) {
      task.worker = undefined;
      if (task.isAbandoned) this.#settled();
      else if (task.sequence !== running) unbegun.push(task);
      else if (task.retries > 0) {
        task.retries--;
        unbegun.push(task);
      } else this.#settle(task, { kind: FAILURE, value: lost(worker, task) });
    }
    worker.tasks.clear();
    this.#putBack(unbegun);
    if (!worker.isLeaving) this.#countEnd(worker);
    if (this.#state === "TERMINATE") this.#checkEnded();
    else {
      this.#replace();
      this.#endIfDone();
      this.#pump();
    }
  }

  #countEnd(worker: PoolWorker): void {
    const { name, exitCode } = worker.process;
    log.info(`${name} ended unexpectedly with exitcode ${exitCode}`);
    if (++this.#barrenEnds <= this.size) return;
    this.#break(
      new WorkerLostError(
        `Cannot go on with the pool as ${this.#barrenEnds} workers in a row ended before they had done anything, the last (${name}) with exit code ${exitCode}: see what they wrote to stderr`,
        lossDetails(worker),
      ),
    );
  }

  #replace(): void {
    if (this.#breakage) return;
    const isNeeded = this.#state === "RUN" || this.#outstanding > 0;
    while (isNeeded && this.#workers.size < this.size) {
      try {
        this.#startWorker();
      } catch (error) {
        this.#break(error as Error);
        return;
      }
    }
  }

  #break(cause: Error): void {
    if (this.#breakage) return;
    this.#breakage = cause;
    this.#failAll(cause);
    for (const worker of this.#workers) worker.stop();
    this.#checkEnded();
  }

  #endIfDone(): void {
    if (this.#state !== "CLOSE" || this.#outstanding > 0) return;
    for (const worker of this.#workers) worker.sendExit();
    this.#checkEnded();
  }

  #checkEnded(): void {
    if (this.#state === "RUN" || this.#workers.size > 0 || this.#isGone) return;
    this.#isGone = true;
    this.#arena.heap.free(this.#offset, POOL_BYTES);
    this.#ended.resolve();
  }
  #isGone = false;

  // ---- tasks ----------------------------------------------------------------

  /** Hands out after the current run of code: it may be submitting many. */
  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      // Not before: an answer to a task must not come before submit() has
      // returned the task to the one who waits for it.
      if (this.#outstanding > 0) this.#listen();
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#state === "TERMINATE") return;
    while (this.#queueHead < this.#queue.length) {
      const worker = this.#leastLoaded();
      if (!worker) break;
      const task = this.#queue[this.#queueHead]!;
      this.#queue[this.#queueHead++] = undefined!;
      this.#give(worker, task);
    }
    if (this.#queueHead === this.#queue.length) {
      this.#queue.length = this.#queueHead = 0;
      this.#level();
    } else if (this.#queueHead > 1024) {
      this.#queue.splice(0, this.#queueHead);
      this.#queueHead = 0;
    }
  }

  #give(worker: PoolWorker, task: Task): void {
    const isFirst = worker.tasks.size === 0;
    worker.give(task, (fn) => this.#functions.get(fn)!);
    if (isFirst) this.#watchTime(worker);
  }

  #leastLoaded(): PoolWorker | undefined {
    let least: PoolWorker | undefined;
    for (const worker of this.#workers) {
      if (!worker.isOpen) continue;
      const load = worker.tasks.size;
      if (load === 0) return worker;
      if (load > AHEAD || worker.bytes > AHEAD_BYTES) continue;
      if (!least || load < least.tasks.size) least = worker;
    }
    return least;
  }

  /** Takes tasks back from the busy for those who have none. */
  #level(): void {
    for (const idle of this.#workers) {
      if (!idle.isOpen || idle.tasks.size > 0) continue;
      let busiest: PoolWorker | undefined;
      for (const worker of this.#workers) {
        if (worker.tasks.size < 2) continue;
        if (!busiest || worker.tasks.size > busiest.tasks.size) {
          busiest = worker;
        }
      }
      const task = busiest?.takeBack();
      if (!task) return;
      this.#give(idle, task);
    }
  }

  #putBack(tasks: Task[]): void {
    this.#queue.splice(0, this.#queueHead, ...tasks);
    this.#queueHead = 0;
  }

  #failAll(error: Error): void {
    const waiting = this.#queue.splice(0).slice(this.#queueHead);
    this.#queueHead = 0;
    for (const task of waiting) {
      this.#settle(task, { kind: FAILURE, value: error });
    }
    for (const worker of this.#workers) {
      clearTimeout(worker.timer);
      for (const task of [...worker.tasks.values()]) {
        worker.forget(task);
        this.#settle(task, { kind: FAILURE, value: error });
      }
    }
  }

  #settle(task: Task, outcome: TaskOutcome): void {
    if (!task.isAbandoned) task.done(outcome);
    this.#settled();
  }

  #settled(): void {
    if (--this.#outstanding > 0) return;
    this.#arena.waiting.wake(this.#key); // ends the listening
    this.#endIfDone();
  }

  // ---- answers --------------------------------------------------------------

  /** Collects answers for as long as any are due. */
  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    const { waiting } = this.#arena;
    waiting.beEager(true);
    waiting.wait([this.#key], () => {
      this.#collect();
      if (this.#outstanding > 0) return NOT_YET;
      this.#isListening = false;
      waiting.beEager(false);
      return true;
    });
  }

  #collect(): void {
    let any = false;
    for (const worker of this.#workers) {
      if (this.#collectFrom(worker)) any = true;
    }
    if (any) this.#pump();
  }

  #collectFrom(worker: PoolWorker): boolean {
    let answer = worker.answer();
    if (!answer) return false;
    while (answer) {
      this.#take(worker, answer);
      answer = worker.answer();
    }
    this.#watchTime(worker);
    if (worker.isSpent) this.#retire(worker);
    return true;
  }

  /** A worker has done all the tasks it may: the next takes its place. */
  #retire(worker: PoolWorker): void {
    worker.sendExit();
    // Replaced when it has ended, so that there are never more than asked for.
  }

  #take(worker: PoolWorker, answer: Taken): void {
    if (answer.kind === READY) {
      worker.isReady = true;
      return;
    }
    if (answer.kind === INITIALIZER_FAILED) {
      const { value } = fromMessage(answer.body);
      worker.isLeaving = true;
      this.#break(withRemoteCause(value, worker) as Error);
      return;
    }
    const task = worker.tasks.get(answer.sequence);
    if (!task) return;
    this.#barrenEnds = 0;
    worker.forget(task);
    worker.begunMs = performance.now();
    if (task.isAbandoned) this.#settled();
    else this.#open(task, worker, answer);
  }

  /** Decodes an answer; one that cannot be is its own task's failure. */
  #open(task: Task, worker: PoolWorker, { kind, body }: Taken): void {
    try {
      const { value, loading } = fromMessage(body);
      const outcome = { kind, value: relayed(kind, value, worker) };
      if (!loading) this.#settle(task, outcome);
      else {
        loading.then(
          () => this.#settle(task, outcome),
          (error) => this.#settle(task, { kind: FAILURE, value: error }),
        );
      }
    } catch (error) {
      const value = new RemoteError(
        `Cannot rebuild the result of ${task.label}: ${error}`,
        worker.process.name,
        error instanceof Error ? error.stack ?? "" : String(error),
        { cause: error },
      );
      this.#settle(task, { kind: FAILURE, value });
    }
  }

  // ---- time limits ------------------------------------------------------------

  /** Sees to it that the task which a worker runs does not run for too long. */
  #watchTime(worker: PoolWorker): void {
    clearTimeout(worker.timer);
    const [task] = worker.tasks.values();
    if (!task || task.timeoutMs === Infinity) return;
    const item = worker.item;
    const hasBegun = worker.running === task.sequence;
    const leftMs = hasBegun
      ? worker.begunMs + task.timeoutMs - performance.now()
      : Math.min(task.timeoutMs, BEGIN_LOOK_MS);
    worker.timer = setTimeout(
      () => this.#onTime(worker, task, hasBegun, item),
      Math.max(0, leftMs),
    );
    Deno.unrefTimer(worker.timer as unknown as number);
  }

  #onTime(
    worker: PoolWorker,
    task: Task,
    hadBegun: boolean,
    item: number,
  ): void {
    if (this.#collectFrom(worker)) return this.#pump();
    const isSame = hadBegun && worker.item === item;
    if (!isSame || worker.running !== task.sequence) {
      // It has not begun, or began or went to the next item after the watch
      // was set: its time counts from now, at most this look too late.
      worker.begunMs = performance.now();
      return this.#watchTime(worker);
    }
    worker.forget(task);
    this.#settle(task, {
      kind: FAILURE,
      value: new TimeoutError(
        `Cannot finish ${task.label} as it ran longer than ${task.timeoutMs} ms`,
      ),
    });
    // Only its end frees the processor. What it had not begun moves on.
    worker.stop();
  }
}

/** One array of bytes for a message in pieces. */
function gathered(message: Message): Uint8Array {
  const bytes = new Uint8Array(message.byteLength);
  let at = 0;
  for (const part of message.parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function lost(worker: PoolWorker, task: Task): WorkerLostError {
  const { name, exitCode } = worker.process;
  return new WorkerLostError(
    `Cannot finish ${task.label} as its worker ${name} ended while running it, with exit code ${exitCode}`,
    lossDetails(worker),
  );
}

function lossDetails(worker: PoolWorker): {
  exitCode: number | null;
  signal: Deno.Signal | null;
  ident: number | null;
} {
  const { exitCode, ident, endSignal: signal } = worker.process;
  return { exitCode, signal, ident };
}

/** Gives errors from a worker their far side as the cause. */
function relayed(kind: number, value: unknown, worker: PoolWorker): unknown {
  if (kind === FAILURE) return withRemoteCause(value, worker);
  if (kind !== CHUNK) return value;
  const [values, errors] = value as ChunkResults;
  if (errors.length === 0) return value;
  return [
    values,
    errors.map(([i, error]) => [i, withRemoteCause(error, worker)]),
  ];
}

function withRemoteCause(error: unknown, worker: PoolWorker): unknown {
  if (!(error instanceof Error)) return error;
  const options = error.cause === undefined ? {} : { cause: error.cause };
  error.cause = new RemoteError(
    `${error.name}: ${error.message}`,
    worker.process.name,
    error.stack ?? String(error),
    options,
  );
  return error;
}

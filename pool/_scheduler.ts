/**
 * Which worker does what, and what happens when one dies. Workers share no queue
 * and no lock: the parent hands out every task, so it knows at any time who has
 * which, and a death costs exactly the task that was running. `README.md` beside
 * this file has the picture, and the list of ways in which a worker can end.
 *
 * **Ahead.** A worker is given some tasks beyond the one it runs, so that it finds
 * the next without waiting for the parent: the *window* of `_pool_worker.ts`. When
 * another worker has nothing to do, the parent takes such tasks back from the
 * ring and gives them there: a task never waits behind a long one while somebody
 * is free. While tasks of different priorities are about, nothing is given
 * ahead.
 *
 * **Listening.** All workers ring one bell. The parent listens while tasks are
 * outstanding, and a moment longer, because the next call often follows the last
 * result. It does not listen when there is nothing to do, so an idle pool does
 * not keep the program alive.
 *
 * States: RUN -> CLOSE (nothing new) -> end; RUN or CLOSE -> TERMINATE (nothing
 * at all). A broken pool is in RUN or CLOSE, and refuses and fails everything.
 *
 * Runs in the parent.
 *
 * @module
 */
import {
  EncodingError,
  PoolTerminatedError,
  ProcessError,
  RemoteError,
  TimeoutError,
  WorkerLostError,
} from "../errors.ts";
import { log } from "../_log.ts";
import { atExit } from "../contexts/exit.ts";
import { refer } from "../contexts/functions.ts";
import { arenaFor, keyOf, NOT_YET } from "../memory/mod.ts";
import type { Arena, MemoryKind, Message } from "../memory/mod.ts";
import { toMessage } from "../primitives/to_wire.ts";
import { emptied, fromMessage } from "../primitives/wire.ts";
import type { Arrival } from "../primitives/wire.ts";
import { Crew, howItEnded, lossDetails } from "./_crew.ts";
import { asText, dropErrors, dropThrown, unpacked } from "./_failures.ts";
import { carriedBy, giveBack, noteCarried } from "./_carried.ts";
import { OpenJobs } from "./_open_jobs.ts";
import { Parcel, PARCEL_BYTES } from "./_parcel.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import { Reserve } from "./_reserve.ts";
import type { ResolvedPoolOptions } from "./pool_options.ts";
import {
  CHUNK,
  FAILURE,
  gathered,
  HEAD_BYTES,
  INITIALIZER_FAILED,
  kindOf,
  LONGEST_BODY,
  READY,
  sequenceOf,
  SHARED,
} from "./_protocol.ts";
import type { ChunkResults, Thrown } from "./_protocol.ts";
import type { PoolStatistics } from "./statistics.ts";
import { Task } from "./_task.ts";
import type { Body, Job, TaskSettings, Work } from "./_task.ts";
import { TaskQueue } from "./_task_queue.ts";
import { watchTime } from "./_time_limits.ts";

/** When a pool that nobody has ended is ended at exit; see `contexts/exit.ts`. */
const EXIT_PRIORITY = 15;

/** The states of a pool. */
export type PoolState = "INIT" | "RUN" | "CLOSE" | "TERMINATE";

// deno-lint-ignore ban-types -- any function
type AnyFunction = Function;

/** Nothing is given ahead to a worker that has this many bytes of arguments. */
const AHEAD_BYTES = 256 * 1024;
/** So many calls are made until the next look for answers. */
const CALLS_PER_LOOK = 64;
/** How long a cancelled task may go on before its worker is stopped, in ms. */
const CANCEL_GRACE_MS = 1000;
/** How long to go on listening when nothing is outstanding, in milliseconds. */
const LINGER_MS = 1;
/** Bytes of a pool's block: only its address is used, as a key. */
const POOL_BYTES = 64;

/** See the module. */
export class Scheduler {
  /** Start method. */
  readonly kind: MemoryKind;
  /** The most workers there may be. */
  readonly size: number;
  /** Iterators that may submit more. */
  readonly openJobs: OpenJobs;
  readonly #options: ResolvedPoolOptions;
  readonly #arena: Arena;
  readonly #target: { readonly kind: MemoryKind };
  readonly #offset: number;
  readonly #key: number;
  readonly #crew: Crew;
  readonly #reserve: Reserve;
  readonly #queue = new TaskQueue();
  readonly #functions = new Map<number, Uint8Array>();
  readonly #functionNumbers = new WeakMap<AnyFunction, number>();
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #forgetExit: () => void;
  /** The pool, held while it has work: nobody else may be holding it. */
  #owner: WeakRef<object> | undefined;
  #held: object | undefined;
  #state: PoolState = "INIT";
  #breakage: Error | undefined;
  #sequence = 0;
  #functionCount = 0;
  /** What was to be done last: calls in a row have it in common. */
  #lastWork: Work | undefined;
  /** Tasks submitted and not settled. */
  #outstanding = 0;
  /** Those among them whose priority is not the default. */
  #prioritised = 0;
  /** Those among them whose end may run code of the user's. */
  #loud = 0;
  #callsUntilLook = CALLS_PER_LOOK;
  #isCollecting = false;
  #isListening = false;
  /** Fulfilled when the last listening has ended. */
  #listened: Promise<unknown> | undefined;
  #lingerTimer: ReturnType<typeof setTimeout> | undefined;
  #readiness: PromiseWithResolvers<void> | undefined;
  #isReadyTold = false;
  /** Who was given the last task, and how many more it gets in a row. */
  #favoured: PoolWorker | undefined;
  #strideLeft = 0;
  /** Whether it has been said that workers start with more memory than they may use. */
  #isTight = false;
  #isGone = false;
  readonly #opening = new Set<Task>();
  readonly #count = {
    submitted: 0,
    done: 0,
    failed: 0,
    cancelled: 0,
    recycled: 0,
    stopped: 0,
  };

  /**
   * Starts the workers.
   *
   * @param kind Start method.
   * @param options What the pool is made with.
   * @throws What starting a worker throws; those started are ended again.
   */
  constructor(kind: MemoryKind, options: ResolvedPoolOptions) {
    this.kind = kind;
    this.size = options.most;
    this.#options = options;
    this.#target = { kind };
    this.#arena = arenaFor(kind);
    this.#offset = this.#arena.heap.allocate(POOL_BYTES);
    this.#key = keyOf(this.#offset);
    this.#crew = new Crew(options, this.#arena, this.#offset, this.#key, {
      needed: () => this.#needed(),
      ended: (worker) => this.#onWorkerEnd(worker),
      changed: () => this.#onCrewChange(),
      broke: (cause) => this.#break(cause),
    });
    this.#reserve = new Reserve(this.#crew, {
      collect: () => this.#collect(),
      pump: () => this.#pump(),
    });
    this.openJobs = new OpenJobs(() => this.#endIfDone());
    this.#state = "RUN";
    // Before the workers are ended as the daemons they are: no others are to take
    // their places.
    this.#forgetExit = atExit(() => {
      log.debug("finalizing pool");
      return this.terminate();
    }, EXIT_PRIORITY);
    try {
      this.#crew.hire();
    } catch (error) {
      this.terminate();
      throw error;
    }
  }

  // ---- the pool as a whole ------------------------------------------------------

  /** Its state. */
  get state(): PoolState {
    return this.#state;
  }

  /** Tasks submitted and not settled. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Says whose scheduler this is. */
  belongsTo(pool: object): void {
    this.#owner = new WeakRef(pool);
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

  /** Takes nothing new; workers end when all is done. */
  close(): void {
    if (this.#state !== "RUN") return;
    log.debug("closing pool");
    this.#state = "CLOSE";
    this.#stopLingering();
    this.#endIfDone();
  }

  /** Ends everything now. */
  terminate(): Promise<void> {
    if (this.#state === "TERMINATE") return this.join();
    log.debug("terminating pool");
    this.#state = "TERMINATE";
    this.#stopLingering();
    this.#failAll(terminated());
    this.#checkEnded();
    return this.join();
  }

  /** Fulfilled when all workers have ended. */
  async join(): Promise<void> {
    // Whoever waits for the end of the pool waits for what iterators have not
    // submitted yet; they may not be waiting for anything but room.
    this.openJobs.hurry();
    // Workers are daemons: only somebody who waits for them keeps the program.
    while (this.#crew.workers.size > 0) {
      const [worker] = this.#crew.workers;
      await worker!.process.join();
    }
    await this.#ended.promise;
    // Nothing is left of a pool that has ended, not even a sleep that is over.
    await this.#listened;
  }

  /** Fulfilled when all workers there are take tasks. */
  whenReady(): Promise<void> {
    if (!this.#readiness) {
      this.#readiness = Promise.withResolvers();
      if (this.#breakage) this.#failReady(this.#breakage);
      else if (this.#isGone || this.#state === "TERMINATE") this.#neverReady();
      else {
        this.#checkReady();
        this.#listenSoon();
      }
    }
    return this.#readiness.promise;
  }

  /** What there is to be told. */
  statistics(): PoolStatistics {
    const { submitted, done, failed, cancelled, recycled, stopped } =
      this.#count;
    const { started, restarts, lost } = this.#crew;
    const workers = [...this.#crew.workers].map((one) => one.statistics());
    const waiting = this.#queue.size;
    const held = this.#outstanding - waiting;
    return Object.freeze({
      workers: Object.freeze(workers),
      ended: Object.freeze([...this.#crew.ended]),
      tasks: Object.freeze(
        { submitted, done, failed, cancelled, waiting, held },
      ),
      started,
      restarts,
      lost,
      recycled,
      stopped,
    });
  }

  // ---- submitting ---------------------------------------------------------------

  /**
   * What there is to do, said once for many tasks.
   *
   * @param kind What kind of order it is.
   * @param fn The function.
   * @param settings How it is to be run.
   * @throws {EncodingError} If no worker could find the function.
   */
  workOf(kind: number, fn: AnyFunction, settings: TaskSettings): Work {
    const number = this.#numberOf(fn);
    const last = this.#lastWork;
    const isSame = last?.fn === number && last.kind === kind &&
      last.settings === settings;
    if (isSame) return last;
    return this.#lastWork = { kind, fn: number, fnName: fn.name, settings };
  }

  readonly #referenceOf = (fn: number): Uint8Array => this.#functions.get(fn)!;

  /** Number of a function among all that workers may be told of. */
  #numberOf(fn: AnyFunction): number {
    const known = this.#functionNumbers.get(fn);
    if (known !== undefined) return known;
    const reference = refer(fn, "function");
    const number = ++this.#functionCount;
    this.#functions.set(number, gathered(this.message(reference, "function")));
    this.#functionNumbers.set(fn, number);
    return number;
  }

  /**
   * Encodes a value for a worker, as it is now.
   *
   * @param value The value.
   * @param root What to call it in an error.
   * @returns The bytes, valid until the next encoding.
   * @throws {EncodingError} If it cannot be sent.
   */
  message(value: unknown, root: string): Message {
    const message = toMessage(value, this.#target, root, true);
    if (message.byteLength <= LONGEST_BODY) {
      noteCarried(message, message);
      return message;
    }
    giveBack(message);
    throw new EncodingError(
      `Cannot send ${message.byteLength} bytes to a worker as the limit is ${LONGEST_BODY}: send it in pieces, or use SharedMemory`,
      { path: root },
    );
  }

  /**
   * The same, to keep: apart if it is big.
   *
   * @param value The value.
   * @param root What to call it in an error.
   * @throws {EncodingError} If it cannot be sent.
   * @throws {RangeError} If there is not enough shared memory.
   */
  encode(value: unknown, root: string): Body {
    const message = this.message(value, root);
    const body = message.byteLength > PARCEL_BYTES
      ? this.#apart(message)
      : gathered(message);
    noteCarried(body, carriedBy(message));
    return body;
  }

  /** Puts big arguments apart; if there is no room for them, they are not sent. */
  #apart(message: Message): Parcel {
    try {
      return new Parcel(this.#arena, message);
    } catch (error) {
      giveBack(carriedBy(message));
      throw error;
    }
  }

  /**
   * Takes work on.
   *
   * @param work What there is to do.
   * @param index Index of the first item in the job.
   * @param count Number of items, 0 for a call.
   * @param job Who wants to know.
   * @param body The arguments, encoded; big ones are put apart.
   * @param encodeAgain Encodes them once more, needed only if there are retries.
   */
  submit(
    work: Work,
    index: number,
    count: number,
    job: Job,
    body: Message | Body,
    encodeAgain?: () => Body,
  ): Task {
    const lasting = body instanceof Uint8Array || body instanceof Parcel
      ? body
      : body.byteLength > PARCEL_BYTES
      ? this.#apart(body)
      : undefined;
    this.#sequence = (this.#sequence + 1) & 0x7fff_ffff || 1;
    const task = new Task(
      this.#sequence,
      work,
      index,
      count,
      job,
    );
    if (encodeAgain) task.allowRetries(work.settings.retries, encodeAgain);
    task.carried = carriedBy(body);
    this.#count.submitted++;
    if (this.#outstanding++ === 0) this.#held = this.#owner?.deref();
    if (!job.isQuiet) this.#loud++;
    const isPrioritised = work.settings.priority !== 0;
    if (isPrioritised && this.#prioritised++ === 0) this.#recallAll();
    // Straight into the ring if it can be: then the bytes are copied only once.
    const worker = this.#queue.size === 0 ? this.#idlest() : undefined;
    if (lasting) task.keep(lasting);
    else if (!worker) task.keep(body as Message);
    if (worker) this.#give(worker, task, task.body ?? body as Message);
    // The pool may have been ended since the caller has looked.
    else if (this.#isRuined) this.#failSoon(task, this.#ruin());
    else this.#queue.push(task);
    this.#hire();
    this.#listenSoon();
    return task;
  }

  /**
   * Gives tasks up. Their job has settled what it needs.
   *
   * @param tasks The tasks.
   */
  abandon(tasks: Iterable<Task>): void {
    const holders = new Set<PoolWorker>();
    for (const task of tasks) {
      if (task.isAbandoned || task.isSettled) continue;
      task.isAbandoned = true;
      this.#count.cancelled++;
      if (task.worker) holders.add(task.worker);
      else {
        if (task.hasBody) this.#queue.forget();
        this.#finish(task);
      }
    }
    for (const worker of holders) {
      this.#recall(worker); // which sees to those that have not begun
      for (const task of worker.tasks) {
        if (task.isAbandoned && !task.graceTimer) this.#cancel(worker, task);
      }
      watchTime(worker, this.#timeLimitEvents); // see level()
    }
    if (holders.size > 0) this.#pump();
  }

  /** Tells a running task to stop, and sees to it that it does. */
  #cancel(worker: PoolWorker, task: Task): void {
    worker.sendCancel(task);
    task.graceTimer = setTimeout(() => {
      // It may have ended, and the worker be at another one.
      this.#timeLimitEvents.collect(worker);
      if (task.isSettled) return;
      log.info(`stopping ${worker.process.name}: its task was cancelled`);
      this.#stop(worker);
    }, CANCEL_GRACE_MS);
  }

  // ---- workers ------------------------------------------------------------------

  #needed(): number {
    const { most, least } = this.#options;
    if (this.#isRuined) return 0;
    const busy = Math.min(most, this.#outstanding);
    return this.#state === "RUN" ? Math.max(least, busy) : busy;
  }

  #hire(): void {
    try {
      this.#crew.hire();
    } catch (error) {
      this.#break(error as Error);
    }
  }

  #onWorkerEnd(worker: PoolWorker): void {
    while (this.#takeAnswer(worker));
    clearTimeout(worker.watch?.timer);
    const untaken = worker.takeBackAll();
    const running = [...worker.tasks];
    for (const task of running) worker.forget(task);
    this.#putBack(untaken);
    for (const task of running) this.#onLoss(worker, task);
  }

  /** A worker has ended while it ran this task. */
  #onLoss(worker: PoolWorker, task: Task): void {
    worker.hasLost = true;
    if (task.isAbandoned) return this.#finish(task);
    try {
      if (task.retry()) return this.#putAgain(task);
    } catch (error) {
      return this.#settle(task, FAILURE, error);
    }
    const error = new WorkerLostError(
      `Cannot finish ${task.label} as its worker ${worker.process.name} ended while running ${
        task.labelAt(Math.max(0, worker.item))
      }, with ${howItEnded(worker)}`,
      lossDetails(worker),
    );
    this.#settle(task, FAILURE, error);
  }

  /** To encode it again has run code of the user's, which may have ended the pool. */
  #putAgain(task: Task): void {
    if (this.#isRuined) this.#settle(task, FAILURE, this.#ruin());
    else this.#queue.putBack([task]);
  }

  #onCrewChange(): void {
    this.#checkReady();
    this.#pump();
    this.#endIfDone();
    this.#checkEnded();
  }

  /** Ends a worker because of its task. The others it has go elsewhere. */
  #stop(worker: PoolWorker): void {
    this.#count.stopped++;
    this.#recall(worker);
    worker.stop(true);
    this.#pump();
  }

  /** A worker has done all the tasks it may: the next takes its place. */
  #retireIfDue(worker: PoolWorker): void {
    if (worker.isLeaving) return;
    // The next would be as large at its start: each is to do a task at least.
    const isBloated = worker.answered > 0 && this.#isBloated(worker);
    if (!worker.isSpent && !isBloated) return;
    this.#count.recycled++;
    this.#recall(worker);
    worker.sendExit();
  }

  #isBloated(worker: PoolWorker): boolean {
    return worker.memoryMb > this.#options.maxMemoryMb;
  }

  #break(cause: Error): void {
    if (this.#isRuined) return;
    log.error(() => `the pool is broken: ${cause.message}`);
    this.#breakage = cause;
    this.#stopLingering();
    this.#failAll(cause);
    this.#checkEnded();
  }

  #endIfDone(): void {
    if (this.#state !== "CLOSE" || this.#outstanding > 0) return;
    if (this.openJobs.size > 0 && !this.#breakage) return;
    this.#crew.dismiss();
    this.#checkEnded();
  }

  #checkEnded(): void {
    const { workers } = this.#crew;
    if (this.#state === "RUN" || workers.size > 0 || this.#isGone) return;
    if (this.#outstanding > 0 || this.#needed() > 0) return;
    if (this.#state === "CLOSE" && this.openJobs.size > 0) return;
    this.#isGone = true;
    this.#forgetExit();
    this.#stopLingering();
    this.#neverReady();
    this.#arena.heap.free(this.#offset, POOL_BYTES);
    this.#ended.resolve();
  }

  #checkReady(): void {
    if (!this.#readiness || this.#isReadyTold) return;
    for (const worker of this.#crew.workers) if (!worker.isReady) return;
    this.#readiness.resolve();
    this.#isReadyTold = true;
  }

  #failReady(error: Error): void {
    if (!this.#readiness || this.#isReadyTold) return;
    this.#isReadyTold = true;
    this.#readiness.reject(error);
  }

  #neverReady(): void {
    if (this.#isReadyTold) return;
    this.#readiness?.promise.catch(() => {}); // not a failure of anything
    this.#failReady(
      new PoolTerminatedError(
        "Cannot tell when the pool is ready as it was ended before",
      ),
    );
  }

  // ---- handing out --------------------------------------------------------------

  #pump(): void {
    if (this.#isRuined) return;
    if (this.#queue.size > 0) this.#handOut();
    if (this.#queue.size === 0) this.#level();
    if (this.#wakeable === 0) this.#reserve.watch();
  }

  /** How many who have nothing to do may be given something. */
  get #wakeable(): number {
    // With priorities about, nobody has more than one task, however short it is.
    return this.#prioritised > 0 ? Infinity : this.#reserve.wakeable;
  }

  /** Some tasks to each that has room, the idle first, then another round. */
  #handOut(): void {
    const roomy = this.#roomy();
    while (roomy.length > 0) {
      const share = Math.max(1, Math.ceil(this.#queue.size / roomy.length));
      for (let i = 0; i < roomy.length;) {
        const worker = roomy[i]!;
        let left = Math.min(worker.stride, share);
        while (left-- > 0 && this.#hasRoom(worker)) {
          const task = this.#queue.shift();
          if (!task) return;
          this.#give(worker, task, task.body!);
        }
        if (this.#hasRoom(worker)) i++;
        else roomy.splice(i, 1);
      }
    }
  }

  /** Those who may get some, who is to be given first first. */
  #roomy(): PoolWorker[] {
    let wakeable = this.#wakeable;
    const roomy: PoolWorker[] = [];
    const { workers, awaited } = this.#crew;
    for (const worker of wakeable > 0 ? workers : awaited) {
      if (!this.#hasRoom(worker)) continue;
      if (worker.tasks.size > 0 || wakeable-- > 0) roomy.push(worker);
    }
    return roomy.sort((a, b) => order(a) - order(b));
  }

  #hasRoom(worker: PoolWorker): boolean {
    if (!worker.isOpen) return false;
    const load = worker.tasks.size;
    // One that is starting begins with nothing yet: something may come that is more
    // urgent than what it would be given.
    if (load === 0) return this.#prioritised === 0 || worker.isReady;
    const window = this.#prioritised > 0 ? 1 : worker.window;
    return load < window && worker.bytes < AHEAD_BYTES;
  }

  /** Who is to get the next task, if somebody has room. */
  #idlest(): PoolWorker | undefined {
    if (this.#strideLeft > 0 && this.#hasRoom(this.#favoured!)) {
      this.#strideLeft--;
      return this.#favoured;
    }
    let idlest: PoolWorker | undefined;
    const mayWake = this.#wakeable > 0;
    if (!mayWake) this.#reserve.watch();
    const { workers, awaited } = this.#crew;
    for (const worker of mayWake ? workers : awaited) {
      if (!this.#hasRoom(worker)) continue;
      if (worker.tasks.size === 0 && worker.isReady) return worker;
      if (!idlest || order(worker) < order(idlest)) idlest = worker;
    }
    // Nobody becomes idle before answers are collected.
    this.#favoured = idlest;
    this.#strideLeft = idlest ? idlest.stride - 1 : 0;
    return idlest;
  }

  #give(worker: PoolWorker, task: Task, body: Message | Uint8Array): void {
    const isFirst = worker.tasks.size === 0;
    try {
      worker.give(task, body, this.#referenceOf);
    } catch (error) {
      return this.#failSoon(task, error); // not enough memory for this one
    }
    if (isFirst) watchTime(worker, this.#timeLimitEvents);
  }

  /** Takes tasks back from the busiest for those who have none. */
  #level(): void {
    let wakeable = this.#wakeable;
    for (const idle of this.#crew.workers) {
      if (!idle.isOpen || !idle.isReady || idle.tasks.size > 0) continue;
      const busiest = this.#busiest();
      if (!busiest || wakeable-- <= 0) return;
      // Half of what it has too many: nobody knows who will be free first.
      for (let n = Math.ceil(busiest.spare / 2); n > 0 && idle.isOpen; n--) {
        const task = busiest.takeBack();
        if (!task) break;
        this.#give(idle, task, task.body!);
      }
      // Another task may be its first now, and have begun in the meantime.
      watchTime(busiest, this.#timeLimitEvents);
    }
  }

  #busiest(): PoolWorker | undefined {
    let busiest: PoolWorker | undefined;
    let most = 0;
    for (const worker of this.#crew.awaited) {
      const { spare } = worker;
      if (spare <= most) continue;
      busiest = worker;
      most = spare;
    }
    return busiest;
  }

  #recall(worker: PoolWorker): void {
    this.#putBack(worker.takeBackAll());
  }

  #recallAll(): void {
    for (const worker of this.#crew.workers) {
      this.#recall(worker);
      watchTime(worker, this.#timeLimitEvents); // see level()
    }
    this.#pump();
  }

  #putBack(tasks: readonly Task[]): void {
    this.#queue.putBack(tasks.filter((task) => !task.isAbandoned));
    for (const task of tasks) if (task.isAbandoned) this.#finish(task);
  }

  // ---- settling -------------------------------------------------------------------

  /** Whether nothing is done any more. */
  get #isRuined(): boolean {
    return this.#state === "TERMINATE" || this.#breakage !== undefined;
  }

  /** What all fails with then. */
  #ruin(): Error {
    return this.#breakage ?? terminated();
  }

  /** A job must not hear of the end of a task that it has not got from submit() yet. */
  #failSoon(task: Task, error: unknown): void {
    task.giveBack();
    queueMicrotask(() => this.#settle(task, FAILURE, error));
  }

  #failAll(error: Error): void {
    // First, or they would submit more.
    this.openJobs.fail(error);
    const tasks = new Set([...this.#opening, ...this.#queue.clear()]);
    for (const worker of this.#crew.workers) {
      clearTimeout(worker.watch?.timer);
      for (const task of worker.takeBackAll()) tasks.add(task);
      for (const task of [...worker.tasks]) {
        worker.disown(task);
        tasks.add(task);
      }
    }
    // Before any callback can do anything else.
    this.#crew.stop();
    for (const task of tasks) this.#settle(task, FAILURE, error);
    if (error instanceof PoolTerminatedError) this.#neverReady();
    else this.#failReady(error);
  }

  #settle(task: Task, kind: number, value: unknown): void {
    if (task.isSettled) return;
    const isWanted = !task.isAbandoned;
    this.#finish(task);
    if (!isWanted) return;
    if (kind === FAILURE) this.#count.failed++;
    else this.#count.done++;
    task.job.ended(task, kind, value);
  }

  #finish(task: Task): void {
    if (task.isSettled) return;
    task.isSettled = true;
    task.dropBody();
    task.dropParcel();
    clearTimeout(task.graceTimer);
    if (!task.job.isQuiet) this.#loud--;
    if (task.work.settings.priority !== 0) this.#prioritised--;
    if (--this.#outstanding > 0) return;
    this.#held = undefined;
    this.#reserve.stop();
    this.#linger();
    this.#endIfDone();
  }

  // ---- answers --------------------------------------------------------------------

  /**
   * Listens from the end of this run of code on. Not before: a task must not be
   * answered before submit() has returned it to whoever waits for it.
   */
  #listenSoon(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    queueMicrotask(() => this.#listen());
  }

  /** Collects answers for as long as any are due. */
  #listen(): void {
    const { waiting } = this.#arena;
    const end = () => {
      this.#isListening = false;
      waiting.beEager(false);
      return true;
    };
    waiting.beEager(true);
    this.#listened = waiting.wait([this.#key], () => {
      try {
        this.#collect();
      } catch (error) {
        reportError(error); // a fault of ours must not make the pool deaf
      }
      return this.#isAwaited ? NOT_YET : end();
    });
  }

  get #isAwaited(): boolean {
    if (this.#isGone) return false;
    return this.#outstanding > 0 || this.#lingerTimer !== undefined ||
      (this.#readiness !== undefined && !this.#isReadyTold);
  }

  /** Goes on listening for a moment: see the top. */
  #linger(): void {
    if (!this.#isListening || this.#lingerTimer !== undefined) return;
    if (this.#state !== "RUN" || this.#breakage) return this.#stopLingering();
    this.#lingerTimer = setTimeout(() => this.#stopLingering(), LINGER_MS);
  }

  #stopLingering(): void {
    clearTimeout(this.#lingerTimer);
    this.#lingerTimer = undefined;
    // Ends the listening, if that is what it means.
    if (!this.#isAwaited) this.#arena.waiting.wake(this.#key);
  }

  /**
   * Collects answers in the middle of a run of calls, which is when nobody listens:
   * a program that makes 100,000 calls at once leaves no time for it until the
   * last. To be called before each of them, it does so now and then, if there are
   * more than the workers can be given.
   *
   * So workers go on, and calls that have been answered need not be kept, nor
   * moved twice by the collector, until all have been made: which of many took as
   * long again as to do them. No callback may run meanwhile, so it waits while there
   * is any work that has one. The hooks of a registered class in a result do run:
   * they make a value, wherever that is.
   */
  catchUp(): void {
    if (this.#queue.size === 0 || --this.#callsUntilLook > 0) return;
    this.#callsUntilLook = CALLS_PER_LOOK;
    if (this.#loud === 0) this.#collect();
  }

  #collect(): void {
    // What is being decoded may make a call.
    if (this.#isCollecting) return;
    this.#isCollecting = true;
    try {
      let any = false;
      // As they are now: what an answer leads to may be given to them at once.
      for (const worker of [...this.#crew.awaited]) {
        if (this.#collectFrom(worker)) any = true;
      }
      if (!any) return;
      this.#strideLeft = 0;
      this.#pump();
    } finally {
      this.#isCollecting = false;
    }
  }

  #collectFrom(worker: PoolWorker): boolean {
    if (!this.#takeAnswer(worker)) return false;
    while (this.#takeAnswer(worker));
    worker.adapt();
    this.#retireIfDue(worker);
    watchTime(worker, this.#timeLimitEvents);
    return true;
  }

  #takeAnswer(worker: PoolWorker): boolean {
    this.#answering = worker;
    if (!worker.takeAnswer(this.#readAnswer)) return false;
    const kind = this.#answerKind;
    if (kind === READY) this.#onReady(worker);
    else if (kind === INITIALIZER_FAILED) this.#onInitializerFailed(worker);
    else this.#onAnswer(worker, kind);
    return true;
  }

  #onReady(worker: PoolWorker): void {
    worker.begin();
    this.#checkReady();
    if (this.#isTight || !this.#isBloated(worker)) return;
    this.#isTight = true;
    log.warn(
      `workers are replaced as soon as they have done something: ${worker.process.name} needs ${
        Math.ceil(worker.memoryMb)
      } MiB before that, and 'maxMemoryPerChildMb' is ${this.#options.maxMemoryMb}`,
    );
  }

  // The answer in hand. It is decoded where it lies, and dealt with afterwards:
  // what it leads to must not happen while it is being taken.
  #answering: PoolWorker | undefined;
  #answerKind = 0;
  #answered: Task | undefined;
  #arrival: Arrival | undefined;
  #misfortune: unknown;

  #readAnswer = (message: Uint8Array): true => {
    const worker = this.#answering!;
    const sequence = sequenceOf(message);
    const kind = this.#answerKind = kindOf(message) & ~SHARED;
    const task = worker.tasks.get(sequence);
    this.#answered = task;
    this.#arrival = this.#misfortune = undefined;
    const buffers = kindOf(message) & SHARED
      ? worker.takeBuffers(sequence)
      : undefined;
    if (kind === READY) return true; // and no more than that
    const isWanted = kind === INITIALIZER_FAILED || (task && !task.isAbandoned);
    try {
      if (isWanted) this.#arrival = fromMessage(message, buffers, HEAD_BYTES);
      else dropAnswer(kind, emptied(message, buffers, HEAD_BYTES));
    } catch (error) {
      this.#misfortune = error;
    }
    return true;
  };

  #onInitializerFailed(worker: PoolWorker): void {
    const { name } = worker.process;
    const error = this.#arrival
      ? unpacked(this.#arrival.value as Thrown, name, "the initializer")
      : this.#misfortune;
    this.#arrival = undefined;
    this.#break(
      new ProcessError(
        `Cannot go on with the pool as its initializer failed in ${name}: ${
          asText(error)
        }`,
        { cause: error },
      ),
    );
  }

  #onAnswer(worker: PoolWorker, kind: number): void {
    const task = this.#answered;
    const arrival = this.#arrival;
    this.#answered = this.#arrival = undefined;
    if (!task) return;
    worker.answered++;
    this.#crew.hasServed();
    worker.forget(task);
    if (task.isAbandoned) this.#finish(task);
    else if (!arrival) this.#onUnreadable(worker, task);
    else if (kind === FAILURE) {
      const thrown = arrival.value as Thrown;
      const { name } = worker.process;
      this.#settle(task, FAILURE, unpacked(thrown, name, task.label));
    } else if (arrival.loading) {
      this.#settleWhenLoaded(task, kind, arrival);
    } else this.#settle(task, kind, arrival.value);
  }

  /** A result that cannot be decoded is its own task's failure. */
  #onUnreadable(worker: PoolWorker, task: Task): void {
    const reason = this.#misfortune;
    this.#misfortune = undefined;
    const error = new RemoteError(
      `Cannot rebuild the result of ${task.label}: ${asText(reason)}`,
      worker.process.name,
      reason instanceof Error ? reason.stack ?? "" : asText(reason),
      { cause: reason },
    );
    this.#settle(task, FAILURE, error);
  }

  async #settleWhenLoaded(
    task: Task,
    kind: number,
    arrival: Arrival,
  ): Promise<void> {
    // Until then it is nobody's, and has to be found if the pool ends.
    this.#opening.add(task);
    let failure: { readonly error: unknown } | undefined;
    try {
      await arrival.loading;
    } catch (error) {
      failure = { error };
    }
    if (failure || task.isSettled || task.isAbandoned) {
      dropAnswer(kind, arrival.value);
    }
    if (failure) this.#settle(task, FAILURE, failure.error);
    else this.#settle(task, kind, arrival.value);
    this.#opening.delete(task);
  }

  // ---- time limits ------------------------------------------------------------------

  readonly #timeLimitEvents = {
    collect: (worker: PoolWorker): boolean => {
      if (!this.#collectFrom(worker)) return false;
      this.#pump();
      return true;
    },
    overrun: (worker: PoolWorker, task: Task): void => {
      const label = task.labelAt(Math.max(0, worker.item));
      const who = label === task.label ? "it" : label;
      worker.disown(task);
      // Only its end frees the processor.
      this.#stop(worker);
      this.#settle(
        task,
        FAILURE,
        new TimeoutError(
          `Cannot finish ${task.label} as ${who} ran longer than ${task.work.settings.timeoutMs} ms`,
        ),
      );
    },
  };
}

/**
 * Made where it is needed, and not kept: an error refers to whatever it was made
 * in, and nothing that is kept for an unused pool may refer to that.
 */
function terminated(): PoolTerminatedError {
  return new PoolTerminatedError(
    "Cannot finish the task as the pool was terminated",
  );
}

/**
 * Lets go of an answer that nobody wants. That it was decoded takes the handles out
 * of it, but for those of errors, which are encoded apart.
 */
function dropAnswer(kind: number, value: unknown): void {
  if (kind === FAILURE) dropThrown(value as Thrown);
  else if (kind === CHUNK) dropErrors(value as ChunkResults);
}

/** Who is to be given a task first: the idle, the ready, those with less. */
function order(worker: PoolWorker): number {
  return worker.tasks.size * 2 + (worker.isReady ? 0 : 1);
}

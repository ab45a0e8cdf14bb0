/**
 * The workers of a pool: how many there are, who comes, who goes, and when it is
 * hopeless.
 *
 * **How many.** At least `least`, more if there are more tasks than workers, never
 * more than `most`. One that ends is replaced if it is still needed, and only when
 * it has ended, so that there are never more than asked for. One beyond `least`
 * that has had nothing to do for a while is sent away.
 *
 * **When it is hopeless.** A worker that ends soon after its start without having
 * done anything, for whatever reason, is *barren*. If more of them than the pool
 * has places (five at most) come one after the other, the next would end the
 * same way: the pool is broken, and the first of them is the cause. A worker that
 * says why it cannot begin (its initializer failed) breaks the pool at once, and so
 * does one that takes longer to begin than it may.
 *
 * Runs in the parent.
 *
 * @module
 */
import { ProcessError, WorkerLostError } from "../errors.ts";
import { log } from "../_log.ts";
import { LONGEST_TIMER_MS } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import { toMessage } from "../primitives/to_wire.ts";
import { gathered } from "./_protocol.ts";
import { PoolWorker } from "./_pool_worker.ts";
import type { ResolvedPoolOptions } from "./pool_options.ts";
import type { WorkerStatistics } from "./statistics.ts";
import type { Setup } from "./_worker_main.ts";

/** A worker that lives longer than this, in milliseconds, is not barren. */
const BARREN_LIFE_MS = 10_000;
/** Barren workers in a row after which there is no hope even in a large pool. */
const MOST_BARREN = 4;

/** Of so many that have ended it is kept what they did. */
const MOST_REMEMBERED = 100;

/** What the crew's owner has to do with its workers. */
export interface CrewEvents {
  /** Workers that are needed now. */
  needed(): number;
  /** A worker has ended: its tasks have to be seen to. */
  ended(worker: PoolWorker): void;
  /** And now it has been replaced, if that was needed. */
  changed(): void;
  /** There is no hope. */
  broke(cause: Error): void;
}

/** See the module. */
export class Crew {
  /** All that have not ended. */
  readonly workers: Set<PoolWorker> = new Set();
  /** Those of them from whom something may come. */
  readonly awaited: Set<PoolWorker> = new Set();
  /** What the last of those that have ended did. */
  readonly ended: WorkerStatistics[] = [];
  /** How many have been started. */
  started = 0;
  /** How many of them in place of another one. */
  restarts = 0;
  /** How many ended without having been asked to. */
  lost = 0;
  readonly #options: ResolvedPoolOptions;
  readonly #arena: Arena;
  readonly #offset: number;
  readonly #key: number;
  readonly #events: CrewEvents;
  /** The reasons of the last barren ends, in a row. */
  #barren: WorkerLostError[] = [];
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /**
   * Makes a crew without workers.
   *
   * @param options What the pool is made with.
   * @param arena Where their channels lie.
   * @param offset The pool's block.
   * @param key What the pool waits for.
   * @param events What its owner does.
   */
  constructor(
    options: ResolvedPoolOptions,
    arena: Arena,
    offset: number,
    key: number,
    events: CrewEvents,
  ) {
    this.#options = options;
    this.#arena = arena;
    this.#offset = offset;
    this.#key = key;
    this.#events = events;
  }

  /**
   * Starts as many workers as are missing.
   *
   * @throws What starting a worker throws.
   */
  hire(): void {
    if (this.#isClosed) return;
    while (this.workers.size < this.#events.needed()) this.#start();
    if (this.workers.size > this.#options.least) this.#watchIdle();
  }

  /** Tells all to exit when they have done what they have. */
  dismiss(): void {
    this.#close();
    for (const worker of this.workers) worker.sendExit();
  }

  /** Ends all by force. */
  stop(): void {
    this.#close();
    for (const worker of this.workers) worker.stop();
  }

  #close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
  }

  #start(): void {
    const { kind } = this.#arena;
    const method = kind === "spawn" ? "Spawn" : "Worker";
    const worker = new PoolWorker(
      this.#arena,
      this.#offset,
      this.#key,
      `${method}PoolWorker-${this.started + 1}`,
      this.#options,
      (token, buffers) => this.#setup(token, buffers),
      {
        awaited: this.awaited,
        late: (worker) => this.#onLate(worker),
        ended: (worker) => this.#onEnd(worker),
      },
    );
    this.started++;
    this.workers.add(worker);
    log.debug("added worker");
  }

  /**
   * For each worker anew: handles in it are counted by who decodes them, or given
   * back if that one does not live to do so.
   */
  #setup(token: number, buffers: SharedArrayBuffer[]): Uint8Array | null {
    const { initializer, initArgs, finalizer } = this.#options;
    if (!initializer && !finalizer) return null;
    const target = { kind: this.#arena.kind, token };
    const args = gathered(
      toMessage(initArgs, target, "initArgs", buffers),
    );
    const setup: Setup = [initializer as Setup[0], finalizer, args];
    return gathered(toMessage(setup, target, "[initializer, finalizer]"));
  }

  /** Others would take as long. */
  #onLate({ process: { name } }: PoolWorker): void {
    this.#events.broke(
      new ProcessError(
        `Cannot go on with the pool as ${name} takes no tasks ${this.#options.startMs} ms after its start: its modules and the initializer take longer than 'startTimeout' allows`,
      ),
    );
  }

  #onEnd(worker: PoolWorker): void {
    const wasLeaving = worker.isLeaving;
    log.debug(() => `cleaning up ${worker.process.name}`);
    // First: what its tasks came to runs code of the user's, which may submit more.
    worker.end();
    this.#events.ended(worker);
    this.workers.delete(worker);
    this.ended.push(worker.statistics(true));
    if (this.ended.length > MOST_REMEMBERED) this.ended.shift();
    worker.free();
    if (!wasLeaving) this.#judge(worker);
    else if (worker.process.exitCode === 1) {
      log.warn(
        `${worker.process.name} failed while it ended: see what it wrote to stderr`,
      );
    }
    const before = this.started;
    try {
      this.hire();
    } catch (error) {
      this.#events.broke(error as Error);
    }
    if (this.started > before) this.restarts++;
    this.#events.changed();
  }

  /** What an unexpected end means. */
  #judge(worker: PoolWorker): void {
    const { name, exitCode } = worker.process;
    log.info(`${name} ended unexpectedly with exitcode ${exitCode}`);
    this.lost++;
    const isBarren = worker.answered === 0 && !worker.hasLost &&
      worker.ageMs < BARREN_LIFE_MS;
    if (!isBarren) {
      this.#barren = [];
      return;
    }
    this.#barren.push(
      new WorkerLostError(
        `${name} ended before it had done anything, with ${
          howItEnded(worker)
        }: see what it wrote to stderr`,
        lossDetails(worker),
      ),
    );
    const count = this.#barren.length;
    if (count <= Math.min(this.#options.most, MOST_BARREN)) return;
    const [first] = this.#barren;
    this.#events.broke(
      new WorkerLostError(
        `Cannot go on with the pool as ${count} workers in a row ended before they had done anything: ${
          first!.message
        }`,
        { ...lossDetails(worker), cause: first },
      ),
    );
  }

  /** Forgets the barren ends: somebody has done something. */
  hasServed(): void {
    if (this.#barren.length > 0) this.#barren = [];
  }

  // ---- those with nothing to do -----------------------------------------------

  #watchIdle(): void {
    if (this.#idleTimer !== undefined || this.#options.idleMs === Infinity) {
      return;
    }
    this.#lookAtIdleIn(this.#options.idleMs);
  }

  #lookAtIdleIn(ms: number): void {
    this.#idleTimer = setTimeout(
      () => this.#sendIdleAway(),
      Math.max(1, Math.min(ms, LONGEST_TIMER_MS)),
    );
    Deno.unrefTimer(this.#idleTimer as unknown as number);
  }

  #sendIdleAway(): void {
    this.#idleTimer = undefined;
    const { least, idleMs } = this.#options;
    let nextMs = idleMs;
    let staying = 0;
    for (const worker of this.workers) if (!worker.isLeaving) staying++;
    for (const worker of this.workers) {
      if (staying <= least) break;
      if (worker.isLeaving || worker.tasks.size > 0 || !worker.isReady) {
        continue;
      }
      const leftMs = idleMs - worker.idleMs;
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
      else {
        log.debug("removing an idle worker");
        worker.sendExit();
        staying--;
      }
    }
    if (staying > least) this.#lookAtIdleIn(nextMs);
  }
}

/** How a worker ended, for a message. */
export function howItEnded(worker: PoolWorker): string {
  const { exitCode, endSignal } = worker.process;
  return endSignal === null
    ? `exit code ${exitCode}`
    : `exit code ${exitCode} (${endSignal})`;
}

/** How a worker ended, for a program. */
export function lossDetails(worker: PoolWorker): {
  exitCode: number | null;
  signal: Deno.Signal | null;
  ident: number | null;
} {
  const { exitCode, ident, endSignal: signal } = worker.process;
  return { exitCode, signal, ident };
}

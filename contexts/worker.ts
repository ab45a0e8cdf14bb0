/**
 * The start method `worker`: a child is a thread of this process.
 *
 * It is a Worker of `node:worker_threads`, because that tells of its end with an
 * exit code, whatever ends it, and survives running out of memory; the Web's
 * Worker does neither.
 *
 * **Stopping a busy thread.** Deno's `terminate()` alone lets a thread that never
 * returns to its event loop burn on. It does interrupt one that holds a Web Lock
 * (so that the lock can be passed on safely); so the child takes a lock of its
 * own before any user code runs (see `worker_child.ts`). Needs Deno 2.9.4.
 *
 * One that is ended before it has that lock is not interrupted, and Deno looks for
 * its end only between two turns of the event loop: a module imported at run time
 * and all that it imports in turn may be one turn, up to and with a target that
 * never returns. So whoever ends a thread first says so in shared memory, then looks
 * for the lock; the thread takes the lock, then looks for the word. One of the two
 * sees the other: it is interrupted, or begins nothing.
 *
 * **Not while it loads.** Deno makes many of its own parts when they are first
 * touched, those of `node:` when they are first imported, and panics if it is
 * interrupted there: the whole program would be gone (one in five, for a module that
 * imports `node:http`). So the thread says in shared memory when it loads a module
 * (`current.ts`), and is then told that it is to begin nothing any more, and not
 * interrupted before it has loaded, or for {@linkcode PATIENCE_MS}: the module may
 * itself never return. It says that it loads, then looks whether it is wanted dead;
 * whoever ends it says that, then looks whether it loads: again one sees the other.
 *
 * The end of a thread is told before the interruption takes effect: measured, 0.1 ms
 * before it, 0.5 ms at most if a core is free. Nothing tells when it has, so the end
 * of a thread that was interrupted is passed on {@linkcode REST_MS} later: whoever
 * buries it must not meet it at work.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { builtin } from "./_node.ts";
import { existingArena, S_LOADING, S_PID } from "../memory/mod.ts";
import type { ArenaHandle } from "../memory/mod.ts";
import type { Ending, Launched, Launcher, LaunchRequest } from "./launch.ts";
import { reap } from "./_reaper.ts";
import { threadEntry } from "./_thread_entry.ts";

/** Module that a thread runs. */
const CHILD_MODULE = new URL("./worker_child.ts", import.meta.url);

/**
 * Heap limit of a thread in MiB where none is asked for: V8's own for a process
 * with enough memory. Without a limit, a thread that runs out of memory takes
 * the whole process with it.
 */
const DEFAULT_MEMORY_LIMIT_MB = 4096;

/**
 * The least such limit. A thread that has not enough for its own start takes the
 * whole process with it: measured, with 4 MiB and less.
 */
const LEAST_MEMORY_LIMIT_MB = 16;

/** How long an interrupted thread may run on after its end is told. */
const REST_MS = 3;

/** For how long an end waits at most while the thread loads a module. */
const PATIENCE_MS = 1000;

/** Milliseconds between two looks whether it still does. */
const PATIENCE_LOOK_MS = 2;

/** Settings a thread cannot have, and why. */
const PROCESS_ONLY = ["permissions", "env", "cwd", "execArgs"] as const;

/** What a thread is given. */
export interface ThreadData {
  /** Marks the data as ours. */
  readonly multiprocessing: true;
  /** What it needs to attach. */
  readonly handle: ArenaHandle;
  /** The arena of processes, if this process has one. */
  readonly processes: ArenaHandle | undefined;
  /** Its heap limit in MiB. */
  readonly memoryLimitMb: number;
  /** Shared buffers that its arguments refer to. */
  readonly buffers: readonly SharedArrayBuffer[];
  /** What it gets further ones through, if anything. */
  readonly port: MessagePort | undefined;
}

/** See the module. */
export const worker: Launcher = { launch };

function launch(request: LaunchRequest): Launched {
  for (const name of PROCESS_ONLY) {
    if (request[name] !== undefined) {
      throw new TypeError(
        `Cannot start a worker with '${name}' as a thread shares its process: use getContext("spawn")`,
      );
    }
  }
  const { memoryLimitMb = DEFAULT_MEMORY_LIMIT_MB } = request;
  if (memoryLimitMb < LEAST_MEMORY_LIMIT_MB) {
    throw new RangeError(
      `Cannot start a worker as 'memoryLimitMb' must be at least ${LEAST_MEMORY_LIMIT_MB}: it is ${memoryLimitMb}`,
    );
  }
  const processes = inviteToProcesses();
  const data: ThreadData = {
    multiprocessing: true,
    handle: request.handle,
    processes,
    memoryLimitMb,
    buffers: request.buffers,
    port: request.port,
  };
  const threads = builtin("node:worker_threads");
  try {
    const thread = new threads.Worker(threadEntry(CHILD_MODULE), {
      name: request.name,
      workerData: data,
      // Not a copy: to make one, Deno would ask the user for all variables.
      env: threads.SHARE_ENV,
      // `process.argv` as in the program: like `Deno.args`, and as in a process.
      argv: [...Deno.args],
      transferList: request.port ? [request.port] : [],
      resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb },
    });
    return new ChildThread(thread, request, processes?.token);
  } catch (error) {
    if (processes) reap(existingArena("spawn")!, processes.token);
    throw error;
  }
}

/** A thread takes part among processes too, if there are any. */
function inviteToProcesses(): ArenaHandle | undefined {
  const arena = existingArena("spawn");
  const handle = arena?.invite();
  // Where it runs is known before it says so itself.
  if (handle) arena!.participants.store(handle.token, S_PID, Deno.pid);
  return handle;
}

type Thread = InstanceType<
  typeof import("node:worker_threads").Worker
>;

class ChildThread implements Launched {
  readonly pid: number = Deno.pid;
  readonly ended: Promise<Ending>;
  readonly #thread: Thread;
  /** Where it was born, and its place there. */
  readonly #arena = existingArena("worker")!;
  readonly #token: number;
  /** Its place among processes, if there are any. */
  readonly #processToken: number | undefined;
  /** The signal it was ended with, as far as a thread can have one. */
  #signal: "SIGTERM" | "SIGKILL" | null = null;
  #hasEnded = false;

  constructor(
    thread: Thread,
    { daemon, handle }: LaunchRequest,
    processToken: number | undefined,
  ) {
    this.#thread = thread;
    this.#token = handle.token;
    this.#processToken = processToken;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    // Without a listener an error in the thread would end this process. What
    // happened has been printed, and the exit code tells the rest.
    thread.on("error", () => {});
    thread.on("exit", (code: number) => {
      this.#hasEnded = true;
      const tell = () => {
        if (processToken !== undefined) {
          reap(existingArena("spawn")!, processToken);
        }
        const bySignal = this.#signal === "SIGKILL" ? -9 : -15;
        resolve({
          // Of a process, too, the system keeps no more than the low eight bits.
          exitCode: this.#signal ? bySignal : code & 0xff,
          signal: this.#signal,
        });
      };
      if (this.#signal) setTimeout(tell, REST_MS);
      else tell();
    });
    if (daemon) thread.unref();
  }

  end(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#hasEnded || this.#signal) return;
    this.#signal = signal;
    this.#arena.participants.announceEnd(this.#token);
    if (!this.#isLoading()) return this.#interrupt();
    const sinceMs = performance.now();
    const timer = setInterval(() => {
      const waitsMs = performance.now() - sinceMs;
      if (this.#isLoading() && waitsMs < PATIENCE_MS) return;
      clearInterval(timer);
      this.#interrupt();
    }, PATIENCE_LOOK_MS);
    // Not this, but who waits for the thread, keeps the program alive.
    Deno.unrefTimer(timer as unknown as number);
  }

  #isLoading(): boolean {
    // If it has ended meanwhile, its place may be another's.
    return !this.#hasEnded &&
      this.#arena.participants.load(this.#token, S_LOADING) === 1;
  }

  #interrupt(): void {
    if (this.#hasEnded) return;
    this.#arena.participants.condemn(this.#token);
    if (this.#processToken !== undefined) {
      existingArena("spawn")!.participants.condemn(this.#processToken);
    }
    this.#thread.terminate();
  }

  keepAlive(on: boolean): void {
    if (this.#hasEnded) return;
    if (on) this.#thread.ref();
    else this.#thread.unref();
  }
}

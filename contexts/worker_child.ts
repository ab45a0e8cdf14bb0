/**
 * The program that a worker thread runs. Does nothing when it is only imported.
 *
 * Runs in the child.
 *
 * @module
 */
import { adoptFrom, S_IDENT, S_LOADING } from "../memory/mod.ts";
import { live } from "./_child.ts";
import { current, NEVER } from "./current.ts";
import { builtin, nodeProcess } from "./_node.ts";
import type { ThreadData } from "./worker.ts";

/** The part of the Web Locks API that is used; Deno's types lack it. */
interface LockManager {
  request(name: string, callback: () => Promise<void>): Promise<void>;
}

/** Milliseconds between two looks at the heap limit. Each costs an idle thread 50 µs. */
const HEAP_LOOK_MS = 500;

/** Lives the life of a worker thread. */
export async function main(): Promise<void> {
  const data = builtin("node:worker_threads").workerData as ThreadData;
  const arena = adoptFrom(data.handle);
  if (data.processes) adoptFrom(data.processes);
  current.buffers = data.buffers;
  current.port = data.port;
  const { participants, me } = arena;
  const isWantedDead = () => !participants.mayBegin(me);
  current.truce = {
    setLoading: (on) => {
      // It may have been buried while it loaded: then the place is another's.
      if (participants.isCurrent(me)) {
        participants.store(me, S_LOADING, Number(on));
      }
    },
    isWantedDead,
  };

  const watch = watchHeap(data.memoryLimitMb);
  let release = () => {};
  await live(arena, {
    ident: participants.load(me, S_IDENT),
    exit: (code) => Deno.exit(code),
    onLeave: (listener) => {
      globalThis.addEventListener("unload", listener);
      nodeProcess().on("exit", listener);
    },
    // As late as can be: what Deno makes when it is first touched is made by now.
    brace: () => {
      release = holdLifeLock(me);
      return isWantedDead() ? NEVER : undefined;
    },
    release: () => {
      clearInterval(watch);
      release();
    },
  });
}

/** Holding a lock lets `terminate()` interrupt this thread: see `worker.ts`. */
function holdLifeLock(token: number): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Not `Navigator &`: Deno checks the modules of threads against types in which
  // that name is missing, and refuses to run what does not pass.
  const { locks } = navigator as unknown as { locks: LockManager };
  locks.request(
    `multiprocessing ${Deno.pid} ${token} ${crypto.randomUUID()}`,
    () => promise,
  );
  return resolve;
}

/**
 * Ends this thread when it has run out of memory. V8 raises the limit and
 * interrupts the code that ran, and Deno does not notice if that code was called
 * from the event loop: then nothing would ever be heard of it again.
 */
function watchHeap(limitMb: number): number {
  const { getHeapStatistics } = builtin("node:v8");
  const limit = getHeapStatistics().heap_size_limit;
  const timer = setInterval(() => {
    if (getHeapStatistics().heap_size_limit <= limit) return;
    clearInterval(timer);
    // Like any error nobody caught: it is reported, and the thread ends with 1.
    reportError(
      new RangeError(
        `Cannot go on as the heap limit of ${limitMb} MiB was reached`,
      ),
    );
  }, HEAP_LOOK_MS) as unknown as number;
  Deno.unrefTimer(timer);
  return timer;
}

if (import.meta.main) main();

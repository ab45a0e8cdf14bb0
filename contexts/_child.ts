/**
 * What a child does from its first to its last instruction, whatever it is.
 *
 * ```
 *   attach -> read the facts -> load the target -> read the arguments
 *          -> run -> exit sequence -> leave
 * ```
 *
 * **Leaving** in good order means: the target returned, or somebody called
 * `exit()` or `Deno.exit()`. What is held then stays held. An error that nobody
 * caught, a signal, or running out of memory is not: what is held is abandoned.
 *
 * Runs in the child.
 *
 * @module
 */
import { applyLogState, log, setProcessNameSource } from "../_log.ts";
import { setDefaultKind } from "../primitives/block.ts";
import { identity } from "../primitives/identity.ts";
import type { Arena } from "../memory/mod.ts";
import { dieWithParent, ignoreInterrupt } from "../memory/mod.ts";
import { readBirth } from "./birth.ts";
import type { Birth, Read } from "./birth.ts";
import { current, importInChild, NEVER } from "./current.ts";
import { exitSequence, exitSequenceSync, leave } from "./exit.ts";
import { load, setMainModule } from "./functions.ts";
import { nodeProcess } from "./_node.ts";
import { hideArgument } from "./standalone.ts";

/** Milliseconds between two looks at a parent that this process dies with. */
const PARENT_LOOK_MS = 100;

/** What differs between a process and a thread. */
export interface Host {
  /** What tells this child from others. */
  readonly ident: number;
  /** Ends this child at once. */
  exit(code: number): never;
  /** Calls back when this child ends by itself or by `Deno.exit()`. */
  onLeave(listener: () => void): void;
  /** Comes before all code of the user's: see `worker_child.ts`. */
  brace(): void | Promise<never>;
  /** Lets a thread end by itself: see `worker_child.ts`. */
  release(): void;
}

/**
 * Lives a child's life.
 *
 * @param arena Where it was born.
 * @param host What it is.
 */
export async function live(arena: Arena, host: Host): Promise<void> {
  host.onLeave(exitSequenceSync);
  host.onLeave(leave);
  const isStopped = () => arena.participants.isStopped(arena.me);
  const fail = (error: unknown) => {
    current.hasFailed = true;
    // What is thrown in a thread because it is being ended is no news.
    if (!isStopped()) report(error);
  };
  for (const type of ["error", "unhandledrejection"] as const) {
    globalThis.addEventListener(type, (event) => {
      whenUnhandled(event, () => {
        fail(
          event instanceof PromiseRejectionEvent
            ? event.reason
            : (event as ErrorEvent).error ?? (event as ErrorEvent).message,
        );
        log.info("process exiting with exitcode 1");
        host.exit(1);
      });
    });
  }
  try {
    const record = readBirth(arena);
    await become(record.birth, arena, host);
    await host.brace();
    await run(record);
  } catch (error) {
    fail(error);
    // Nor is there anything left to be done in it: see `graves.ts`.
    if (isStopped()) await NEVER;
  }
  await exitSequence().catch(fail);
  const code = current.hasFailed ? 1 : Number(Deno.exitCode);
  log.info(`process exiting with exitcode ${code}`);
  if (current.hasFailed) host.exit(1);
  // What the target left running (timers, servers) keeps the child alive.
  host.release();
}

/** Takes on the identity its parent has given it. */
async function become(
  birth: Birth,
  arena: Arena,
  host: Host,
): Promise<void> {
  const { parent, method } = birth;
  hideArgument();
  current.name = identity.name = birth.name;
  setProcessNameSource(() => current.name);
  current.identity = birth.identity;
  current.daemon = birth.daemon;
  current.ident = host.ident;
  current.authkey = birth.authkey;
  current.family = birth.family;
  current.method = method;
  current.startFolder = birth.startFolder;
  current.parent = { ...parent, method };
  setDefaultKind(() => current.method!);
  setMainModule(birth.mainModule);
  if (arena.kind === "spawn") {
    if (birth.daemon && !dieWithParent(parent.pid)) {
      watchParent(parent.pid, arena, host);
    }
    if (birth.ignoreInterrupt) ignoreInterrupt();
    // The parent may have died before the kernel was asked.
    if (birth.daemon && Deno.ppid !== parent.pid) host.exit(1);
    if (!birth.daemon) {
      // Most children are daemons, and start without it.
      const { watchAncestors } = await import("./_reaper.ts");
      watchAncestors(arena);
    }
  }
  if (birth.log) await applyLogState(birth.log);
}

/**
 * Ends this process soon after its parent, where the system is not certain to do
 * that. One that never returns to its event loop does not notice.
 */
function watchParent(pid: number, { memory }: Arena, host: Host): void {
  const timer = setInterval(() => {
    if (Deno.ppid !== pid || memory.hasEnded(pid)) host.exit(1);
  }, PARENT_LOOK_MS);
  Deno.unrefTimer(timer as unknown as number);
}

async function run({ birth, readArgs }: Read): Promise<void> {
  for (const url of birth.preload) {
    try {
      await importInChild(url);
    } catch {
      // A hint only: what is truly needed is loaded, and reported, below.
    }
  }
  const target = birth.target ? await load(birth.target) : undefined;
  const value = await readArgs(current.buffers);
  if (birth.isClass) {
    current.process = current.selfProcess!(target!, value as object);
    log.info("child process calling self.run()");
    await current.process.run();
  } else {
    log.info("child process calling self.run()");
    await target?.(...(value as unknown[]));
  }
}

/**
 * Does something about an error if no listener of the user's does, who says so by
 * `preventDefault()`, as in any program. They hear of it after this; those of
 * `process.on()` at last, if nobody has prevented anything, and need not say so.
 */
function whenUnhandled(event: Event, act: () => void): void {
  const name = event.type === "error"
    ? "uncaughtException"
    : "unhandledRejection";
  if (nodeProcess().listenerCount(name) > 0) return;
  let isHandled = false;
  event.preventDefault(); // or this child would end before they have been heard
  Object.defineProperty(event, "preventDefault", {
    value: () => void (isHandled = true),
  });
  queueMicrotask(() => {
    if (!isHandled) act();
  });
}

/** Writes what went wrong to stderr, in one piece. */
function report(error: unknown): void {
  const text = error instanceof Error
    ? Deno.inspect(error, { colors: false })
    : `Uncaught ${Deno.inspect(error)}`;
  try {
    Deno.stderr.writeSync(
      new TextEncoder().encode(`Process ${current.name}:\n${text}\n`),
    );
  } catch {
    // Its stderr is closed: the exit code has to tell.
  }
}

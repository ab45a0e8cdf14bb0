/**
 * {@linkcode Process}: a function running in a child, and what is known of it.
 *
 * Runs in the parent; in the child, one Process stands for the child itself.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { EncodingError, ProcessError } from "../errors.ts";
import { getLogState } from "../_log.ts";
import {
  arenaFor,
  checkedTimeout,
  checkOptionsObject,
  checkSignal,
  LONGEST_TIMER_MS,
  S_IDENT,
  S_PID,
} from "../memory/mod.ts";
import type { Arena, MemoryKind, WaitOptions } from "../memory/mod.ts";
import { kindOf, travelsAs } from "../primitives/block.ts";
import { identity } from "../primitives/identity.ts";
import { showAsText } from "../primitives/inspect.ts";
import { toMessage } from "../primitives/to_wire.ts";
import { AuthKey } from "./authkey.ts";
import { writeBirth } from "./_birth_writer.ts";
import { children, current, isLoading, nextIdentity } from "./current.ts";
import { exitCodeText } from "./exit_code.ts";
import { listenForEnd } from "./exit.ts";
import { startFolder } from "./_flags.ts";
import { getMainModule, refer } from "./functions.ts";
import { launcherFor } from "./_launchers.ts";
import type { Launched } from "./launch.ts";
import { preloaded } from "./preload.ts";
import { reap, watch } from "./_reaper.ts";
import { Sentinel } from "./sentinel.ts";

/** What a {@linkcode Process} is to run, and how. */
export interface ProcessOptions<A extends unknown[] = unknown[]> {
  /**
   * The function to run. Another process has to find it, so it has to be exported
   * by its module, or known by `register()`.
   */
  target?: ((...args: A) => unknown) | undefined;
  /**
   * Its arguments, copied to the child; a `SharedArrayBuffer` is shared with a
   * thread, and refused by a process.
   *
   * @default {[]}
   */
  args?: A | undefined;
  /**
   * A name for people.
   *
   * @default {"Process-1"} and so on
   */
  name?: string | undefined;
  /**
   * Whether it ends with this process, and may have no children.
   *
   * @default that of the current process
   */
  daemon?: boolean | undefined;
  /**
   * What the child may do, as in `Deno.test`; only `spawn`.
   *
   * @default {"inherit"}
   */
  permissions?: Deno.PermissionOptions | undefined;
  /** Environment variables to add to this process's; only `spawn`. */
  env?: Record<string, string> | undefined;
  /** Working directory of the child; only `spawn`. */
  cwd?: string | URL | undefined;
  /**
   * Further flags for `deno run`, instead of those of this process that they
   * contradict; only `spawn`.
   */
  execArgs?: string[] | undefined;
  /** Limit of the child's JavaScript heap in MiB; for a thread at least 16. */
  memoryLimitMb?: number | undefined;
  /** Aborting it terminates the child. */
  signal?: AbortSignal | undefined;
}

/** The options that do not depend on the target. */
type Settings = Omit<ProcessOptions, "target" | "args">;

/** What can be said of the process one is in. */
export interface ProcessInfo {
  /** Its name. */
  readonly name: string;
  /** Whether it ends with its parent. */
  readonly daemon: boolean;
  /** Its process id; a worker thread has that of its process. */
  readonly pid: number | null;
  /** What tells it from others: the process id, or a thread's own number. */
  readonly ident: number | null;
  /** `null`: it runs. */
  readonly exitCode: number | null;
  /** The key its connections authenticate with. */
  readonly authkey: AuthKey;
  /** Whether it runs: it does. */
  isAlive(): boolean;
}

/** Settings that only this library's own children have. */
export interface InternalOptions {
  /** Whether Ctrl-C is the parent's business alone. */
  readonly ignoreInterrupt?: boolean;
  /** Gives the arguments, once it is known who will read them. */
  readonly argsFor?: (
    token: number,
    buffers: SharedArrayBuffer[],
  ) => unknown[];
  /** What a thread is to get shared buffers through: see `buffer_port.ts`. */
  readonly port?: MessagePort | undefined;
  /** Modules to load before the arguments are read: classes in them come from there. */
  readonly preload?: readonly string[];
  /** What the exit of the child means to its owner. */
  readonly onEnd?: (process: Process) => void;
}

/** Options that are not for users travel under this key. */
export const INTERNAL: unique symbol = Symbol("internal options");

/** How a Process object came to be in a child. */
const SELF: unique symbol = Symbol("the process itself");

/**
 * What the target and its arguments are called beside the fields of a subclass's
 * object, on their way: names that no field has by chance.
 */
interface Work {
  "#target"?: ((...args: never[]) => unknown) | undefined;
  "#args"?: unknown[];
}

/** A new child. */
interface Child {
  readonly launched: Launched;
  readonly arena: Arena;
  readonly token: number;
  readonly ident: number;
}

/** What Python's options are here. */
const HERE = {
  kwargs: "give the target an object among its 'args'",
};

/** Names of the settings that go to the launcher as they are. */
const SETTINGS = [
  "permissions",
  "env",
  "cwd",
  "execArgs",
  "memoryLimitMb",
] as const;

/**
 * A function running beside this one, in a process (`spawn`) or in a thread
 * (`worker`).
 *
 * - **Starting:** `start()` returns at once. What cannot be sent is refused there.
 * - **End:** `join()` waits for it, {@linkcode Process.exited} tells the exit code
 *   of Python: 0, 1 after an uncaught error, the negative number of a signal.
 * - **Daemons** end with this process, whatever ends it; others keep it alive.
 * - **Subclassing:** `class Crawler extends ctx.Process { override run() … }`, exported
 *   from its module. The child gets the object's own public fields; the
 *   constructor is not run again there.
 * - **Differs from Python:** `join()` says whether the child has ended, `kwargs`
 *   do not exist, a lambda cannot be a target.
 *
 * @example Running a function beside this program
 * ```ts
 * import { Process, sleep } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const process = new Process({ target: sleep, args: [10] });
 * process.start();
 * await process.join();
 * assertEquals(process.exitCode, 0);
 * ```
 *
 * @typeParam A Types of the target's arguments.
 */
export class Process<A extends unknown[] = unknown[]> {
  static {
    showAsText(this);
    travelsAs(this, (process) => {
      throw new EncodingError(
        `Cannot send process "${process.#name}" as it belongs to the process that created it`,
      );
    });
  }

  readonly #options: Settings;
  readonly #internal: InternalOptions;
  readonly #identity: readonly number[];
  readonly #isSelf: boolean;
  readonly #exited: PromiseWithResolvers<number> = Promise.withResolvers();
  /**
   * Who waits for its end, as long as they do: what a promise is to call in the end
   * it keeps until then, also for those who have given up.
   */
  readonly #waiters: Set<() => void> = new Set();
  readonly #parentPid: number;
  #name: string;
  #daemon: boolean;
  #authkey: AuthKey;
  #child: Child | undefined;
  #exitCode: number | null = null;
  #isClosed = false;
  #sentinel: Sentinel | undefined;
  // Kept without their types, so that any Process can stand for any other.
  #target: ((...args: never[]) => unknown) | undefined;
  #args: unknown[] = [];

  /**
   * Prepares a child; `start()` brings it to life.
   *
   * @param options What it is to run.
   * @throws {TypeError} If an option has the wrong type.
   */
  constructor(options: ProcessOptions<A> = {}) {
    checkOptionsObject(options, "create a process", "{ target: main }", HERE);
    this.#isSelf = SELF in options;
    // Not the options themselves: they hold the target and the arguments.
    this.#options = { ...chosen(options), signal: options.signal };
    this.#internal = (options as { [INTERNAL]?: InternalOptions })[INTERNAL] ??
      {};
    this.#parentPid = Deno.pid;
    this.#authkey = new AuthKey(current.authkey);
    if (this.#isSelf) {
      this.#identity = current.identity;
      this.#name = current.name;
      this.#daemon = current.daemon;
      // For a subclass whose run() calls this one's.
      this.#target = options.target;
      this.#args = options.args ?? [];
      return;
    }
    checkOptions(options);
    this.#identity = nextIdentity();
    this.#name = options.name ??
      `${new.target.name || "Process"}-${this.#identity.join(":")}`;
    this.#daemon = Boolean(options.daemon ?? current.daemon);
    this.#target = options.target;
    this.#args = [...(options.args ?? [])];
  }

  /**
   * What the child does: calls the target. A subclass may do something else.
   *
   * @returns Anything; a Promise is awaited.
   */
  run(): unknown {
    return this.#target?.(...this.#args as never[]);
  }

  /**
   * Brings the child to life. Returns at once.
   *
   * @throws {ProcessError} If it was started before or is closed, or if this
   * process is a daemon or is itself still starting.
   * @throws {EncodingError} If the target or an argument cannot be sent; the message
   * names which, and what to do.
   * @throws {TypeError} If an option is not one this start method has.
   * @throws {RangeError} If `memoryLimitMb` is not enough for a thread.
   * @throws {Deno.errors.NotCapable} If a permission is missing.
   */
  start(): void {
    this.#checkOpen();
    if (this.#isSelf) {
      throw new ProcessError(
        "can only start a process object created by current process",
      );
    }
    if (this.#child || this.#isStarting) {
      throw new ProcessError("cannot start a process twice");
    }
    this.#adoptFields();
    // Before what is said of daemons: a pool's worker is one, too, and which of the
    // two its program can mend is the guard.
    if (isLoading()) throw new ProcessError(BOOTSTRAPPING);
    if (current.daemon) {
      throw new ProcessError(
        "daemonic processes are not allowed to have children",
      );
    }
    const { signal } = this.#options;
    checkSignal(signal);

    const child = this.#launchOnce();
    this.#child = child;
    // What was sent need not be kept alive here.
    this.#target = undefined;
    this.#args = [];
    children.add(this);
    listenForEnd();
    const onAbort = () => this.terminate();
    signal?.addEventListener("abort", onAbort, { once: true });
    // By a getter of what was sent, which may do anything.
    if (signal?.aborted) onAbort();
    const stopWatching = watch(child.arena, child.token, child.launched.pid);
    child.launched.ended.then((ending) => {
      stopWatching();
      signal?.removeEventListener("abort", onAbort);
      this.#exitCode = ending.exitCode;
      this.#endSignal = ending.signal;
      children.delete(this);
      reap(child.arena, child.token);
      this.#internal.onEnd?.(this);
      this.#exited.resolve(ending.exitCode);
      for (const tell of this.#waiters) tell();
    });
  }

  /**
   * Waits for the child to end.
   *
   * @param options How long to wait.
   * @returns Whether it has ended.
   * @throws {ProcessError} If it was not started, is closed, or is this process.
   * @throws {TypeError} If the options are no object, or one of them no limit.
   */
  async join(options: WaitOptions = {}): Promise<boolean> {
    this.#checkOpen();
    if (this.#isSelf) throw new ProcessError("can only join a child process");
    if (!this.#child) {
      throw new ProcessError("can only join a started process");
    }
    checkOptionsObject(options, "wait", "{ timeout: 1000 }");
    const timeout = checkedTimeout(options.timeout);
    checkSignal(options.signal);
    if (this.#exitCode !== null) return true;
    if (timeout <= 0) return false;
    // A daemon does not keep the program alive by itself, a wait for it does.
    const { launched } = this.#child;
    this.#joiners++;
    launched.keepAlive(true);
    try {
      return await untilTold(this.#waiters, timeout, options.signal);
    } finally {
      if (--this.#joiners === 0 && this.#daemon) launched.keepAlive(false);
    }
  }
  #joiners = 0;

  /**
   * Whether the child runs.
   *
   * @throws {ProcessError} If it is closed.
   */
  isAlive(): boolean {
    this.#checkOpen();
    if (this.#isSelf) return true;
    return this.#child !== undefined && this.#exitCode === null;
  }

  /**
   * Ends the child now: SIGTERM to a process, an interruption to a thread, busy
   * or not. Its `finally` blocks are not run. Does nothing after its end.
   *
   * @throws {ProcessError} If it was not started or is closed.
   */
  terminate(): void {
    this.#end("SIGTERM", "terminate");
  }

  /**
   * The same with SIGKILL, which a process cannot refuse. To a thread it makes no
   * difference but for the exit code.
   *
   * @throws {ProcessError} If it was not started or is closed.
   */
  kill(): void {
    this.#end("SIGKILL", "kill");
  }

  /**
   * Lets go of an ended child: everything but its name is unusable from then on.
   *
   * @throws {ProcessError} If it still runs.
   */
  close(): void {
    if (this.#isClosed) return;
    if (this.#isSelf || (this.#child && this.#exitCode === null)) {
      throw new ProcessError(
        "Cannot close a process while it is still running. You should first call join() or terminate().",
      );
    }
    this.#isClosed = true;
  }

  /** Its name, for people; need not be unique. */
  get name(): string {
    return this.#isSelf ? current.name : this.#name;
  }

  /**
   * Renames it; the child is not told, nor is anybody else than this process and
   * those that it starts from then on.
   *
   * @throws {TypeError} If it is not a string.
   */
  set name(name: string) {
    if (typeof name !== "string") throw new TypeError("name must be a string");
    this.#name = name;
    if (this.#isSelf) current.name = identity.name = name;
  }

  /** Whether it ends with this process. */
  get daemon(): boolean {
    return this.#daemon;
  }

  /**
   * Decides whether it ends with this process.
   *
   * @throws {ProcessError} If it has been started.
   */
  set daemon(daemon: boolean) {
    if (this.#child || this.#isSelf) {
      throw new ProcessError("process has already started");
    }
    this.#daemon = Boolean(daemon);
  }

  /** Its process id, `null` before the start; a thread has that of its process. */
  get pid(): number | null {
    this.#checkOpen();
    if (this.#isSelf) return Deno.pid;
    return this.#child?.launched.pid ?? null;
  }

  /** What tells it from others: the process id, or a number of its own in a thread. */
  get ident(): number | null {
    this.#checkOpen();
    if (this.#isSelf) return current.ident;
    return this.#child?.ident ?? null;
  }

  /** Its exit code; `null` before its end, negative for a signal. */
  get exitCode(): number | null {
    this.#checkOpen();
    return this.#exitCode;
  }

  /** The signal that ended it, `null` if none did. */
  get endSignal(): Deno.Signal | null {
    return this.#endSignal;
  }
  #endSignal: Deno.Signal | null = null;

  /** The key its connections authenticate with, at first that of this process. */
  get authkey(): AuthKey {
    return this.#authkey;
  }

  /**
   * Sets the key.
   *
   * @throws {TypeError} If it is not bytes.
   */
  set authkey(key: AuthKey | Uint8Array) {
    this.#authkey = key instanceof AuthKey ? key : new AuthKey(key);
    if (this.#isSelf) current.authkey = this.#authkey.reveal();
  }

  /**
   * What `wait()` takes to wait for its end.
   *
   * @throws {ProcessError} If it was not started or is closed.
   */
  get sentinel(): Sentinel {
    this.#checkOpen();
    if (!this.#child) throw new ProcessError("process not started");
    return this.#sentinel ??= new Sentinel(
      () => this.#exitCode !== null,
      this.#exited.promise,
      this.#waiters,
    );
  }

  /** Fulfilled with the exit code at its end. */
  get exited(): Promise<number> {
    return this.#exited.promise;
  }

  /** Terminates a daemon, waits for any other, and closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    if (this.#child) {
      if (this.#daemon) this.terminate();
      await this.join();
    }
    this.close();
  }

  /** Describes it as Python does: `<Process name='Process-1' pid=8 parent=7 started>`. */
  toString(): string {
    const parts = [`${this.constructor.name} name='${this.name}'`];
    if (!this.#isClosed) {
      const pid = this.pid;
      if (pid !== null) parts.push(`pid=${pid}`);
    }
    parts.push(
      `parent=${this.#isSelf ? current.parent?.pid : this.#parentPid}`,
    );
    parts.push(this.#state());
    if (!this.#isClosed && this.#exitCode !== null) {
      parts.push(`exitcode=${exitCodeText(this.#exitCode)}`);
    }
    if (this.#daemon) parts.push("daemon");
    return `<${parts.join(" ")}>`;
  }

  #state(): string {
    if (this.#isClosed) return "closed";
    if (this.#isSelf) return "started";
    if (!this.#child) return "initial";
    return this.#exitCode === null ? "started" : "stopped";
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ProcessError("process object is closed");
  }

  #end(signal: "SIGTERM" | "SIGKILL", verb: string): void {
    this.#checkOpen();
    if (this.#isSelf || !this.#child) {
      throw new ProcessError(`can only ${verb} a started process`);
    }
    if (this.#exitCode !== null) return;
    this.#child.launched.end(signal);
  }

  /**
   * What a subclass declares as a field hides what is said here of the property of
   * that name: so it is set, as the subclass meant it.
   */
  #adoptFields(): void {
    for (const name of ["name", "daemon", "authkey"] as const) {
      const field = Object.getOwnPropertyDescriptor(this, name);
      if (
        !field || !("value" in field) || !Reflect.deleteProperty(this, name)
      ) {
        continue;
      }
      Reflect.set(this, name, field.value);
    }
  }

  /** Not again from within: a getter of what is sent may do anything. */
  #launchOnce(): Child {
    this.#isStarting = true;
    try {
      return this.#launch();
    } finally {
      this.#isStarting = false;
    }
  }
  #isStarting = false;

  #work(): Work {
    return this.#target ? { "#target": this.#target, "#args": this.#args } : {};
  }

  #launch(): Child {
    const method = kindOf(this.constructor);
    const isClass = this.run !== Process.prototype.run;
    const what = isClass ? this.constructor : this.#target;
    const target = what ? refer(what, isClass ? "class" : "target") : null;
    const arena = arenaFor(method);
    const handle = arena.invite();
    const { token } = handle;
    const buffers: SharedArrayBuffer[] = [];
    try {
      const sent = isClass
        ? { ...this, ...this.#work() }
        : this.#internal.argsFor?.(token, buffers) ?? this.#args;
      const root = isClass ? "this" : "args";
      const receiver = { kind: method, token };
      const args = toMessage(sent, receiver, root, buffers);
      writeBirth(arena, token, {
        name: this.#name,
        identity: this.#identity,
        daemon: this.#daemon,
        ignoreInterrupt: this.#internal.ignoreInterrupt ?? false,
        authkey: this.#authkey.reveal(),
        family: current.family,
        method,
        parent: {
          name: current.name,
          pid: Deno.pid,
          ident: current.ident,
          token: arena.me,
        },
        mainModule: getMainModule(),
        startFolder: method === "worker" ? startFolder() : undefined,
        preload: [...preloaded(), ...this.#internal.preload ?? []],
        target,
        isClass,
        log: getLogState(),
        memoryLimitMb: this.#options.memoryLimitMb ?? null,
      }, args);
      const request = {
        ...chosen(this.#options),
        handle,
        name: this.#name,
        modules: target?.modules ?? [],
        daemon: this.#daemon,
        buffers,
        port: this.#internal.port,
      };
      const launched = launcherFor(method).launch(request);
      // So that it is known even if it or this process dies before it says so.
      if (method === "spawn") {
        arena.participants.store(token, S_PID, launched.pid);
      }
      const ident = method === "spawn"
        ? launched.pid
        : arena.participants.load(token, S_IDENT);
      return { launched, arena, token, ident };
    } catch (error) {
      reap(arena, token);
      throw error;
    }
  }
}

/** What a start by a child's modules is told. */
const BOOTSTRAPPING =
  "RuntimeError: An attempt has been made to start a new process before the current process has finished its bootstrapping phase. The module that holds the target, or another function that is sent, is loaded again in each child, so what starts processes has to stand below if (import.meta.main) { … }";

/**
 * Makes the object that stands for a child inside it: of its own class, with its
 * fields, but without running the constructors of subclasses again.
 *
 * @param cls Its class.
 * @param fields Its own fields, as they were at the start.
 */
export function selfProcess(
  // deno-lint-ignore ban-types -- a class whose constructor is not called
  cls: Function,
  fields: object,
): Process {
  const { "#target": target, "#args": args, ...own } = fields as Work;
  const options = { [SELF]: true, target, args };
  const self: Process = Reflect.construct(Process, [options], cls);
  return Object.assign(self, own);
}

current.selfProcess = selfProcess;

function checkOptions<A extends unknown[]>(options: ProcessOptions<A>): void {
  const { target, args, name, execArgs, memoryLimitMb, signal } = options;
  const { cwd, env } = options;
  if ("group" in options && (options as { group?: unknown }).group != null) {
    throw new TypeError("group argument must be None for now");
  }
  if (target !== undefined && typeof target !== "function") {
    throw new TypeError(
      `Cannot create a process as 'target' must be a function: it is ${
        Deno.inspect(target)
      }`,
    );
  }
  if (args !== undefined && !Array.isArray(args)) {
    throw new TypeError(
      `Cannot create a process as 'args' must be an array: it is ${
        Deno.inspect(args)
      }`,
    );
  }
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError("name must be a string");
  }
  if (
    execArgs !== undefined && !(Array.isArray(execArgs) &&
      execArgs.every((argument) => typeof argument === "string"))
  ) {
    throw new TypeError(
      `Cannot create a process as 'execArgs' must be an array of strings: it is ${
        Deno.inspect(execArgs)
      }`,
    );
  }
  if (env !== undefined && !isRecordOfStrings(env)) {
    throw new TypeError(
      `Cannot create a process as 'env' must be an object of strings: it is ${
        Deno.inspect(env)
      }`,
    );
  }
  if (
    cwd !== undefined && typeof cwd !== "string" && !(cwd instanceof URL)
  ) {
    throw new TypeError(
      `Cannot create a process as 'cwd' must be a path or a URL: it is ${
        Deno.inspect(cwd)
      }`,
    );
  }
  if (
    memoryLimitMb !== undefined &&
    !(Number.isFinite(memoryLimitMb) && memoryLimitMb >= 1)
  ) {
    throw new RangeError(
      `Cannot create a process as 'memoryLimitMb' must be a number of at least 1: it is ${
        Deno.inspect(memoryLimitMb)
      }`,
    );
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(
      `Cannot create a process as 'signal' must be an AbortSignal: it is ${
        Deno.inspect(signal)
      }`,
    );
  }
}

function isRecordOfStrings(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === "string");
}

function chosen(options: Settings): Partial<Settings> {
  return Object.fromEntries(
    SETTINGS.filter((name) => options[name] !== undefined)
      .map((name) => [name, options[name]]),
  );
}

/** Waits to be told, at most so long. Leaves nothing behind. */
async function untilTold(
  waiters: Set<() => void>,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const onEnd = () => resolve(true);
  const onAbort = () => reject(signal!.reason);
  const timer = timeout === Infinity
    ? undefined
    : setTimeout(() => resolve(false), Math.min(timeout, LONGEST_TIMER_MS));
  signal?.addEventListener("abort", onAbort);
  waiters.add(onEnd);
  try {
    return await promise;
  } finally {
    waiters.delete(onEnd);
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The start method of a class of Process. */
// deno-lint-ignore ban-types -- any class
export function methodOf(cls: Function): MemoryKind {
  return kindOf(cls);
}

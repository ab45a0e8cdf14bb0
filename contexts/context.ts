/**
 * {@linkcode Context}: everything of this package for one start method, and the
 * choice of the default one.
 *
 * The classes of the rooms above this one are handed in by the front door,
 * `mod.ts`: see {@linkcode complete}.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerClass } from "../codec/mod.ts";
import { ProcessError } from "../errors.ts";
import { bindTo, setDefaultKind } from "../primitives/block.ts";
import { Array, RawArray } from "../primitives/array.ts";
import { Barrier } from "../primitives/barrier.ts";
import { Condition } from "../primitives/condition.ts";
import { Event } from "../primitives/event.ts";
import { JoinableQueue } from "../primitives/joinable_queue.ts";
import { Lock } from "../primitives/lock.ts";
import { pipeFor } from "../primitives/pipe.ts";
import type { Pipe } from "../primitives/pipe.ts";
import { Queue } from "../primitives/queue.ts";
import { RLock } from "../primitives/rlock.ts";
import { BoundedSemaphore, Semaphore } from "../primitives/semaphore.ts";
import { ShareableList } from "../primitives/shareable_list.ts";
import { SharedMemory } from "../primitives/shared_memory.ts";
import { SimpleQueue } from "../primitives/simple_queue.ts";
import { RawValue, Value } from "../primitives/value.ts";
import { wait } from "../primitives/wait.ts";
import { current } from "./current.ts";
import { EXEC } from "./_exec.ts";
import { exit } from "./exit.ts";
import {
  activeChildren,
  cpuCount,
  currentProcess,
  parentProcess,
} from "./family.ts";
import { register } from "./functions.ts";
import { checkUsable } from "./_launchers.ts";
import { setPreload } from "./preload.ts";
import { Process } from "./process.ts";
import { sleep } from "./sleep.ts";

/**
 * How children come to life: `spawn` as processes, `worker` as threads of this one.
 */
export type StartMethod = "spawn" | "worker";

/** Options of {@linkcode getStartMethod}. */
export interface GetStartMethodOptions {
  /**
   * Whether to give `null` if none has been chosen, rather than choose the first.
   *
   * @default {false}
   */
  allowNone?: boolean;
}

/** Options of {@linkcode setStartMethod}. */
export interface SetStartMethodOptions {
  /**
   * Whether to change a choice that has been made.
   *
   * @default {false}
   */
  force?: boolean;
}

const START_METHODS: readonly StartMethod[] = ["spawn", "worker"];

/** What this room cannot import itself; see {@linkcode complete}. */
export interface UpperRooms {
  /** See `pool/`. */
  readonly Pool: typeof import("../pool/mod.ts").Pool;
  /** See `managers/`. */
  readonly managerFor: (
    method: StartMethod,
  ) => typeof import("../managers/mod.ts").Manager;
  /** See `managers/`. */
  readonly BaseManager: typeof import("../managers/mod.ts").BaseManager;
  /** See `managers/`. */
  readonly SyncManager: typeof import("../managers/mod.ts").SyncManager;
  /** See `managers/`. */
  readonly SharedMemoryManager:
    typeof import("../managers/mod.ts").SharedMemoryManager;
  /** See `network/`. */
  readonly Listener: typeof import("../network/mod.ts").Listener;
  /** See `network/`. */
  readonly Client: typeof import("../network/mod.ts").Client;
  /** See `logging.ts`. */
  readonly getLogger: typeof import("../logging.ts").getLogger;
  /** See `logging.ts`. */
  readonly logToStderr: typeof import("../logging.ts").logToStderr;
}

let upper: Partial<UpperRooms> = {};

/** Hands in what stands above this room; the front door does it. */
export function complete(rooms: Partial<UpperRooms>): void {
  upper = { ...upper, ...rooms };
}

/** Something of a room above this one, if it has been loaded. */
function above<N extends keyof UpperRooms>(name: N): UpperRooms[N] {
  const part = upper[name];
  if (part !== undefined) return part as UpperRooms[N];
  throw new ProcessError(
    `Cannot give ${name} as nobody has loaded it: import "@deno-mp/multiprocessing" itself`,
  );
}

/**
 * Everything of this package for one start method.
 *
 * @example Choosing threads
 * ```ts
 * import { getContext } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const ctx = getContext("worker");
 * assertEquals(ctx.getStartMethod(), "worker");
 * ```
 */
export class Context {
  readonly #method: StartMethod;
  readonly #classes = new Map<unknown, unknown>();

  /**
   * Not for users: see {@linkcode getContext}.
   *
   * @param method Its start method.
   */
  constructor(method: StartMethod) {
    this.#method = method;
    this.Pipe = pipeFor(method);
  }

  /** See {@linkcode Process}. */
  get Process(): typeof Process {
    return this.#bind(Process, true);
  }

  /** See `Pool`. */
  get Pool(): UpperRooms["Pool"] {
    return this.#bind(above("Pool"));
  }

  /** See `Manager`. */
  get Manager(): typeof import("../managers/mod.ts").Manager {
    return this.#manager ??= above("managerFor")(this.#method);
  }
  #manager: typeof import("../managers/mod.ts").Manager | undefined;

  /** See `BaseManager`. */
  get BaseManager(): UpperRooms["BaseManager"] {
    return this.#bind(above("BaseManager"));
  }

  /** See `SyncManager`. */
  get SyncManager(): UpperRooms["SyncManager"] {
    return this.#bind(above("SyncManager"));
  }

  /** See `SharedMemoryManager`. */
  get SharedMemoryManager(): UpperRooms["SharedMemoryManager"] {
    return this.#bind(above("SharedMemoryManager"));
  }

  /** See {@linkcode Lock}. */
  get Lock(): typeof Lock {
    return this.#bind(Lock);
  }

  /** See {@linkcode RLock}. */
  get RLock(): typeof RLock {
    return this.#bind(RLock);
  }

  /** See {@linkcode Semaphore}. */
  get Semaphore(): typeof Semaphore {
    return this.#bind(Semaphore);
  }

  /** See {@linkcode BoundedSemaphore}. */
  get BoundedSemaphore(): typeof BoundedSemaphore {
    return this.#bind(BoundedSemaphore);
  }

  /** See {@linkcode Condition}. */
  get Condition(): typeof Condition {
    return this.#bind(Condition);
  }

  /** See {@linkcode Event}. */
  get Event(): typeof Event {
    return this.#bind(Event);
  }

  /** See {@linkcode Barrier}. */
  get Barrier(): typeof Barrier {
    return this.#bind(Barrier);
  }

  /** See {@linkcode Queue}. */
  get Queue(): typeof Queue {
    return this.#bind(Queue);
  }

  /** See {@linkcode JoinableQueue}. */
  get JoinableQueue(): typeof JoinableQueue {
    return this.#bind(JoinableQueue);
  }

  /** See {@linkcode SimpleQueue}. */
  get SimpleQueue(): typeof SimpleQueue {
    return this.#bind(SimpleQueue);
  }

  /** See {@linkcode Value}. */
  get Value(): typeof Value {
    return this.#bind(Value);
  }

  /** See {@linkcode RawValue}. */
  get RawValue(): typeof RawValue {
    return this.#bind(RawValue);
  }

  /** See {@linkcode Array}. */
  get Array(): typeof Array {
    return this.#bind(Array);
  }

  /** See {@linkcode RawArray}. */
  get RawArray(): typeof RawArray {
    return this.#bind(RawArray);
  }

  /** See {@linkcode SharedMemory}. */
  get SharedMemory(): typeof SharedMemory {
    return this.#bind(SharedMemory);
  }

  /** See {@linkcode ShareableList}. */
  get ShareableList(): typeof ShareableList {
    return this.#bind(ShareableList);
  }

  /** See {@linkcode Pipe}. */
  readonly Pipe: typeof Pipe;
  /** See {@linkcode wait}. */
  readonly wait: typeof wait = wait;
  /** See {@linkcode getAllStartMethods}. */
  readonly getAllStartMethods: () => StartMethod[] = getAllStartMethods;
  /** See {@linkcode cpuCount}. */
  readonly cpuCount: () => number = cpuCount;
  /** See {@linkcode currentProcess}. */
  readonly currentProcess: typeof currentProcess = currentProcess;
  /** See {@linkcode parentProcess}. */
  readonly parentProcess: typeof parentProcess = parentProcess;
  /** See {@linkcode activeChildren}. */
  readonly activeChildren: typeof activeChildren = activeChildren;
  /** See {@linkcode setExecutable}. */
  readonly setExecutable: typeof setExecutable = setExecutable;
  /** See {@linkcode setPreload}. */
  readonly setPreload: typeof setPreload = setPreload;
  /** See {@linkcode freezeSupport}. */
  readonly freezeSupport: typeof freezeSupport = freezeSupport;
  /** See {@linkcode register}. */
  readonly register: typeof register = register;
  /** See {@linkcode registerClass}. */
  readonly registerClass: typeof registerClass = registerClass;
  /** See {@linkcode sleep}. */
  readonly sleep: typeof sleep = sleep;
  /** See {@linkcode exit}. */
  readonly exit: typeof exit = exit;

  /** See `getLogger`. */
  get getLogger(): UpperRooms["getLogger"] {
    return above("getLogger");
  }

  /** See `logToStderr`. */
  get logToStderr(): UpperRooms["logToStderr"] {
    return above("logToStderr");
  }

  /** See `Listener`. */
  get Listener(): UpperRooms["Listener"] {
    return above("Listener");
  }

  /** See `Client`. */
  get Client(): UpperRooms["Client"] {
    return above("Client");
  }

  /**
   * Another context, or this one.
   *
   * @param method Its start method; by default this one's.
   */
  getContext(method?: StartMethod): Context {
    return method === undefined ? this : getContext(method);
  }

  /** The start method of this context. */
  getStartMethod(_options?: GetStartMethodOptions): StartMethod {
    return this.#method;
  }

  /**
   * Refuses: this context has its start method.
   *
   * @throws {ProcessError} Always.
   */
  setStartMethod(
    _method: StartMethod | null,
    _options?: SetStartMethodOptions,
  ): void {
    throw new ProcessError("cannot set start method of concrete context");
  }

  #bind<C extends new (...args: never[]) => object>(
    cls: C,
    isPrefixed = false,
  ): C {
    let bound = this.#classes.get(cls) as C | undefined;
    if (!bound) {
      bound = bindTo(cls, this.#method);
      this.#classes.set(cls, bound);
      if (isPrefixed) {
        const value = `${capitalised(this.#method)}${cls.name}`;
        Object.defineProperty(bound, "name", { value });
      }
    }
    return bound;
  }
}

/** The context of processes. */
class SpawnContext extends Context {}
/** The context of threads. */
class WorkerContext extends Context {}

const contexts: Readonly<Record<StartMethod, Context>> = {
  spawn: new SpawnContext("spawn"),
  worker: new WorkerContext("worker"),
};

let chosen: StartMethod | null = null;

/**
 * The context of a start method, which has all classes and functions of this
 * package for it.
 *
 * @example
 * ```ts
 * import { getContext } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(getContext("worker").getStartMethod(), "worker");
 * ```
 *
 * @param method The start method; by default the chosen one, which is fixed then.
 * @throws {RangeError} If there is no such start method.
 * @throws {Deno.errors.NotCapable} If `spawn` lacks `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} If it is `spawn`, and this system is none
 * on which processes can share memory.
 */
export function getContext(method?: StartMethod): Context {
  const wanted = method === undefined ? getStartMethod() : checked(method);
  checkUsable(wanted);
  return contexts[wanted];
}

/**
 * The start methods there are, the default first.
 *
 * @example
 * ```ts
 * import { getAllStartMethods } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(getAllStartMethods(), ["spawn", "worker"]);
 * ```
 */
export function getAllStartMethods(): StartMethod[] {
  return [...START_METHODS];
}

/**
 * The default start method; asking for it fixes it.
 *
 * @example Asking fixes it
 * ```ts
 * import { getStartMethod, setStartMethod } from "@deno-mp/multiprocessing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * setStartMethod(null, { force: true });
 * assertEquals(getStartMethod({ allowNone: true }), null);
 * assertEquals(getStartMethod(), "spawn");
 * assertThrows(() => setStartMethod("worker"), Error, "already been set");
 * ```
 */
export function getStartMethod(): StartMethod;
/**
 * The default start method.
 *
 * @param options Whether to leave it open.
 */
export function getStartMethod(
  options: GetStartMethodOptions,
): StartMethod | null;
export function getStartMethod(
  options: GetStartMethodOptions = {},
): StartMethod | null {
  if (chosen === null && !options.allowNone) {
    chosen = current.method ?? START_METHODS[0]!;
  }
  return chosen;
}

/**
 * Chooses the default start method, once per program.
 *
 * @example
 * ```ts
 * import { getStartMethod, setStartMethod } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * setStartMethod("worker", { force: true });
 * assertEquals(getStartMethod(), "worker");
 * ```
 *
 * @param method The start method, or `null` to leave it open again.
 * @param options Whether to change a choice that has been made.
 * @throws {ProcessError} If it has been chosen already.
 * @throws {RangeError} If there is no such start method.
 */
export function setStartMethod(
  method: StartMethod | null,
  options: SetStartMethodOptions = {},
): void {
  if (chosen !== null && !options.force) {
    throw new ProcessError("context has already been set");
  }
  chosen = method === null ? null : checked(method);
}

/**
 * Chooses the program that runs child processes.
 *
 * @example
 * ```ts
 * import { setExecutable } from "@deno-mp/multiprocessing";
 *
 * setExecutable(Deno.execPath());
 * ```
 *
 * @param path Its path or `file:` URL: a Deno.
 * @default path {Deno.execPath()}
 * @throws {TypeError} If it is neither.
 */
export function setExecutable(path: string | URL): void {
  if (typeof path === "string" && !path.startsWith("file:")) {
    EXEC.path = path;
    return;
  }
  const url = path instanceof URL || typeof path === "string"
    ? new URL(path)
    : undefined;
  if (url?.protocol !== "file:") {
    throw new TypeError(
      `Cannot set the executable as it must be a path or a file: URL: it is ${
        Deno.inspect(path)
      }`,
    );
  }
  EXEC.path = decodeURIComponent(url.pathname);
}

/**
 * Does nothing, and is here for those who look for it: a compiled program needs
 * no such call.
 *
 * @example
 * ```ts
 * import { freezeSupport } from "@deno-mp/multiprocessing";
 *
 * freezeSupport();
 * ```
 */
export function freezeSupport(): void {}

function checked(method: unknown): StartMethod {
  if (START_METHODS.includes(method as StartMethod)) {
    return method as StartMethod;
  }
  if (method === "fork" || method === "forkserver") {
    throw new RangeError(
      `cannot find context for '${method}': Deno cannot fork a running process; use "worker" for children that start fast and share memory, or "spawn"`,
    );
  }
  throw new RangeError(
    `cannot find context for ${Deno.inspect(method)}: there are ${
      START_METHODS.map((name) => `"${name}"`).join(" and ")
    }`,
  );
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

setDefaultKind(() => getStartMethod());

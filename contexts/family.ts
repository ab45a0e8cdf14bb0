/**
 * Who is here: this process, its parent, its children.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { arenaFor, NOT_YET, TIMED_OUT } from "../memory/mod.ts";
import type { Arena, WaitOptions } from "../memory/mod.ts";
import { checkedTimeout } from "../memory/mod.ts";
import { showAsText } from "../primitives/inspect.ts";
import { AuthKey } from "./authkey.ts";
import { children, current } from "./current.ts";
import type { Parent } from "./current.ts";
import { Process, selfProcess } from "./process.ts";
import type { ProcessInfo } from "./process.ts";

/** Milliseconds between two looks at a parent whose end nobody tells us of. */
const PARENT_LOOK_MS = 100;

/**
 * The process (or worker thread) this code runs in.
 *
 * @example
 * ```ts
 * import { currentProcess } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(currentProcess().name, "MainProcess");
 * ```
 */
export function currentProcess(): ProcessInfo {
  if (!current.parent) return mainProcess;
  return current.process ??= selfProcess(Process, {});
}

/**
 * The process that started this one, `null` in the first.
 *
 * @example
 * ```ts
 * import { parentProcess } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parentProcess(), null);
 * ```
 */
export function parentProcess(): ParentProcess | null {
  return parent ??= current.parent ? new ParentProcess(current.parent) : null;
}

/**
 * The children of this process that are alive.
 *
 * @example
 * ```ts
 * import { activeChildren } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(activeChildren(), []);
 * ```
 */
export function activeChildren(): Process[] {
  return [...children];
}

/**
 * How many processors the system has.
 *
 * @example
 * ```ts
 * import { cpuCount } from "@deno-mp/multiprocessing";
 * import { assert } from "@std/assert";
 *
 * assert(cpuCount() >= 1);
 * ```
 */
export function cpuCount(): number {
  return navigator.hardwareConcurrency;
}

class MainProcess implements ProcessInfo {
  #key: AuthKey | undefined;
  readonly name = "MainProcess";
  readonly daemon = false;
  readonly pid: number = Deno.pid;
  readonly ident: number = Deno.pid;
  readonly exitCode = null;

  get authkey(): AuthKey {
    return this.#key ??= new AuthKey(current.authkey);
  }

  set authkey(key: AuthKey | Uint8Array) {
    this.#key = key instanceof AuthKey ? key : new AuthKey(key);
    current.authkey = this.#key.reveal();
  }

  isAlive(): boolean {
    return true;
  }

  toString(): string {
    return "<_MainProcess name='MainProcess' parent=None started>";
  }
}

showAsText(MainProcess);

const mainProcess = new MainProcess();
let parent: ParentProcess | null = null;

/**
 * The process that started this one, as this one sees it.
 *
 * @example Only children have one
 * ```ts
 * import { ParentProcess, parentProcess } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const parent = parentProcess();
 * if (parent instanceof ParentProcess) console.log("child of", parent.name);
 * else assertEquals(parent, null);
 * ```
 */
export class ParentProcess {
  /** Its name. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** What tells it from others. */
  readonly ident: number;
  readonly #token: number;
  readonly #arena: Arena;

  /**
   * Not for users: see {@linkcode parentProcess}.
   *
   * @param facts What this process was told of it.
   */
  constructor(facts: ParentFacts) {
    this.name = facts.name;
    this.pid = facts.pid;
    this.ident = facts.ident;
    const { token, method } = facts as Parent;
    this.#token = token;
    this.#arena = arenaFor(method);
  }

  /** Whether it still runs. */
  isAlive(): boolean {
    const { participants, kind, memory } = this.#arena;
    if (participants.standing(this.#token) !== "alive") return false;
    return kind === "worker" ||
      (Deno.ppid === this.pid && !memory.hasEnded(this.pid));
  }

  /**
   * Waits for its end.
   *
   * @param options How long to wait.
   * @returns Whether it has ended.
   */
  async join(options: WaitOptions = {}): Promise<boolean> {
    const deadline = performance.now() + checkedTimeout(options.timeout);
    const attempt = () => this.isAlive() ? NOT_YET : true;
    while (true) {
      // Its own parent may bury it, which wakes us; or nobody is left to do so.
      const left = deadline - performance.now();
      const outcome = await this.#arena.waiting.wait([], attempt, {
        timeout: Math.min(left, PARENT_LOOK_MS),
        signal: options.signal,
      });
      if (outcome !== TIMED_OUT) return true;
      if (left <= PARENT_LOOK_MS) return !this.isAlive();
    }
  }

  /** Describes it as Python does. */
  toString(): string {
    return `<_ParentProcess name='${this.name}' parent=None unknown>`;
  }
}

showAsText(ParentProcess);

/** What is known of a parent. */
export interface ParentFacts {
  /** Its name. */
  readonly name: string;
  /** Its process id. */
  readonly pid: number;
  /** What tells it from others. */
  readonly ident: number;
}

/**
 * Who this participant is, and which children it has.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import type { MemoryKind } from "../memory/mod.ts";
import type { Process } from "./process.ts";

/** What a child is told of its parent; `null` in the first process. */
export interface Parent {
  readonly name: string;
  readonly pid: number;
  readonly ident: number;
  readonly token: number;
  readonly method: MemoryKind;
}

/**
 * What a thread and whoever ends it tell each other, so that it is not interrupted
 * while it loads a module: see `worker.ts`.
 */
export interface Truce {
  /** Says whether it may not be interrupted now. */
  setLoading(on: boolean): void;
  /** Whether it is to be ended: then nothing may begin in it any more. */
  isWantedDead(): boolean;
}

/** The state of this participant. */
export interface Current {
  /** Its name; `MainProcess` in the first. */
  name: string;
  /** Whether it ends with its parent, and so may have no children. */
  daemon: boolean;
  /** Process id, or a number of its own in a thread. */
  ident: number;
  /** What connections authenticate with; children inherit it. */
  authkey: Uint8Array;
  /**
   * What all participants of one program have and nobody else: children inherit it,
   * and nothing changes it. Who has it may have functions run by the others.
   */
  family: Uint8Array;
  /** Which child of which child it is, for names: `[10, 1]`. */
  identity: readonly number[];
  /** Its parent. */
  parent: Parent | null;
  /** The start method it was itself started with. */
  method: MemoryKind | null;
  /** Where its program was started, for a thread: see `_flags.ts`. */
  startFolder: string | undefined;
  /** Whether it ends because of an error: then it abandons what it holds. */
  hasFailed: boolean;
  /** Whether its exit sequence has begun. */
  isExiting: boolean;
  /** What it tells those who may end it, and they it, if it is a thread. */
  truce: Truce | undefined;
  /** The object that stands for it, once somebody has asked for it. */
  process: Process | null;
  /**
   * Makes such an object of a class. Supplied by `process.ts`, which the module of
   * each such class loads: a child that calls a function does without.
   */
  // deno-lint-ignore ban-types -- a class whose constructor is not called
  selfProcess: ((cls: Function, fields: object) => Process) | null;
  /**
   * Shared buffers that its arguments refer to; only a thread has any. Kept, as
   * those of a pool's initializer are read after those of the thread.
   */
  buffers: readonly SharedArrayBuffer[];
  /** Where further ones come from, if it was given that: see `buffer_port.ts`. */
  port: MessagePort | undefined;
}

/** See the module. */
export const current: Current = {
  name: "MainProcess",
  daemon: false,
  ident: Deno.pid,
  authkey: crypto.getRandomValues(new Uint8Array(32)),
  family: crypto.getRandomValues(new Uint8Array(32)),
  identity: [],
  parent: null,
  method: null,
  startFolder: undefined,
  hasFailed: false,
  isExiting: false,
  truce: undefined,
  process: null,
  selfProcess: null,
  buffers: [],
  port: undefined,
};

/** What those wait for in whom nothing may happen any more. */
export const NEVER: Promise<never> = new Promise(() => {});

/** Children that have been started and not been found ended. */
export const children: Set<Process> = new Set();

/** What remains to be done in the moment in which this participant leaves. */
export const farewells: Set<() => void> = new Set();

let started = 0;

/** Which child of this participant the next one is. */
export function nextIdentity(): readonly number[] {
  return [...current.identity, ++started];
}

/**
 * What knows in whose course a call is made, also after awaits and in timers: the
 * inside of Node's `AsyncLocalStorage`. That one costs each child 5 ms to load,
 * this one nothing. As nothing promises that it stays, there is a way without it.
 */
interface AsyncVariable {
  get(): unknown;
  /** Gives what is to be put back. */
  enter(value: unknown): unknown;
}

interface Internals {
  core?: {
    AsyncVariable?: new () => AsyncVariable;
    setAsyncContext?: (context: unknown) => void;
  };
}

const { internal } = Deno as unknown as { internal: "internal" };
const { AsyncVariable, setAsyncContext } =
  (Deno as unknown as { internal?: Internals })[internal]?.core ?? {};
const loading = AsyncVariable && setAsyncContext && new AsyncVariable();
/** How many loads are under way. */
let loads = 0;

/**
 * Loads a module of the user's in a child, where nothing that it does at its top
 * level, or has begun there, may start children: it would start itself again.
 *
 * A thread that is to be ended does not come back from here: it is not interrupted
 * while it loads, and would begin what comes next.
 *
 * @param url Its URL.
 */
export async function importInChild(
  url: string,
): Promise<Record<string, unknown>> {
  if (++loads === 1) current.truce?.setLoading(true);
  try {
    // After that was said: whoever ends it has heard it, or is heard here.
    if (current.truce?.isWantedDead()) await NEVER;
    const before = loading?.enter(true);
    const module = import(url);
    if (loading) setAsyncContext!(before);
    return await module;
  } finally {
    if (--loads === 0) current.truce?.setLoading(false);
    if (current.truce?.isWantedDead()) await NEVER;
  }
}

/**
 * Whether this is done by a module that a child loads, at its top level. (Without
 * what knows that: whether a child loads one.)
 */
export function isLoading(): boolean {
  return loading ? loading.get() === true : loads > 0;
}

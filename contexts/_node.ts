/**
 * The parts of `node:` this library cannot do without, loaded when first needed:
 * loading `node:worker_threads` costs 40 ms, which a program of processes should
 * not pay.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type * as inspectorModule from "node:inspector";
import type * as v8Module from "node:v8";
import type * as workerThreadsModule from "node:worker_threads";

interface Builtins {
  "node:inspector": typeof inspectorModule;
  "node:v8": typeof v8Module;
  "node:worker_threads": typeof workerThreadsModule;
}

interface NodeProcess {
  getBuiltinModule<N extends keyof Builtins>(name: N): Builtins[N];
  on(event: "exit", listener: (code: number) => void): void;
  listenerCount(event: "uncaughtException" | "unhandledRejection"): number;
  nextTick<A extends unknown[]>(run: (...args: A) => void, ...args: A): void;
  emit(event: "exit", code: number): void;
  exitCode: number | string | undefined;
}

/**
 * Node's `process`. A global of Deno, made when it is first touched: that costs
 * 12 ms, which a child process should not pay.
 */
export function nodeProcess(): NodeProcess {
  return (globalThis as unknown as { process: NodeProcess }).process;
}

/**
 * A builtin module.
 *
 * @param name Its name.
 */
export function builtin<N extends keyof Builtins>(name: N): Builtins[N] {
  return nodeProcess().getBuiltinModule(name);
}

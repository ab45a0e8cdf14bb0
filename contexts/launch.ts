/**
 * What a start method has to supply: to bring a child to life, to tell of its end,
 * and to end it. `spawn.ts` and `worker.ts` each export one {@linkcode Launcher}.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import type { ArenaHandle } from "../memory/mod.ts";

/** Settings of a child that only some start methods can honour. */
export interface ChildSettings {
  /** What the child may do, `spawn` only. */
  permissions?: Deno.PermissionOptions | undefined;
  /** Its environment variables, added to the parent's, `spawn` only. */
  env?: Record<string, string> | undefined;
  /** Its working directory, `spawn` only. */
  cwd?: string | URL | undefined;
  /** Further arguments for `deno run`, `spawn` only. */
  execArgs?: string[] | undefined;
  /** Limit of its heap in MiB. */
  memoryLimitMb?: number | undefined;
}

/** What to start. */
export interface LaunchRequest extends ChildSettings {
  /** What the child needs to attach. */
  readonly handle: ArenaHandle;
  /** Its name. */
  readonly name: string;
  /** Modules that may hold its target. */
  readonly modules: readonly string[];
  /** Whether it ends with its parent. */
  readonly daemon: boolean;
  /** Shared buffers that its arguments refer to, `worker` only. */
  readonly buffers: readonly SharedArrayBuffer[];
  /** What it is to get further ones through, `worker` only. */
  readonly port: MessagePort | undefined;
}

/** How a child ended. */
export interface Ending {
  /** As in Python: negative for a signal. */
  readonly exitCode: number;
  /** The signal, if one ended it. */
  readonly signal: Deno.Signal | null;
}

/** A child that has been started. */
export interface Launched {
  /** Process id of the child. */
  readonly pid: number;
  /** Fulfilled when the child has ended; never rejected. */
  readonly ended: Promise<Ending>;
  /** Ends it by force. Does nothing if it has ended. */
  end(signal: "SIGTERM" | "SIGKILL"): void;
  /** Whether its life keeps the program alive. */
  keepAlive(on: boolean): void;
}

/** See the module. */
export interface Launcher {
  /**
   * Starts a child.
   *
   * @throws {TypeError} If a setting is not one this start method has.
   */
  launch(request: LaunchRequest): Launched;
}

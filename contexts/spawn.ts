/**
 * The start method `spawn`: a child is a Deno process of its own.
 *
 * It runs the library's child module, never the user's, with the flags of this
 * process: permissions, configuration, `--unstable-*`. Where it finds the shared
 * memory is in its last argument, behind those of this program; everything else
 * it reads there. A compiled program has no `deno run`: it runs itself, and the
 * last argument tells it to be a child (see `standalone.ts`).
 *
 * Runs in the parent.
 *
 * @module
 */
import { EXEC } from "./_exec.ts";
import { exitCodeOf } from "./exit_code.ts";
import { childFlags, permissionFlags, withoutContradicted } from "./_flags.ts";
import { getMainModule } from "./functions.ts";
import { ARGUMENT, isStandalone, refuseCompiledIn } from "./standalone.ts";
import type { Ending, Launched, Launcher, LaunchRequest } from "./launch.ts";

/** Module that a child process runs. */
const CHILD_MODULE = new URL("./spawn_child.ts", import.meta.url).href;

/** See the module. */
export const spawn: Launcher = { launch };

function launch(request: LaunchRequest): Launched {
  const { handle, daemon } = request;
  if (handle.memory.kind !== "spawn") {
    throw new TypeError("Cannot start a process on the memory of threads");
  }
  const place = [
    ARGUMENT,
    Deno.pid,
    handle.memory.pid,
    handle.memory.fd,
    handle.sizeLog2,
    handle.token,
  ].join(":");
  const args = [...commandFor(request), ...Deno.args, place];
  const command = new Deno.Command(EXEC.path ?? Deno.execPath(), {
    args,
    ...(request.env ? { env: request.env } : {}),
    ...(request.cwd !== undefined ? { cwd: request.cwd } : {}),
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  });
  return new ChildProcess(command.spawn(), daemon);
}

/** What comes before the arguments of the program. */
function commandFor(request: LaunchRequest): string[] {
  if (!isStandalone()) {
    const { execArgs = [], memoryLimitMb, modules, permissions } = request;
    const flags = [
      ...childFlags(),
      ...permissionFlags(permissions, modules),
      ...memoryFlags(memoryLimitMb),
    ];
    return [
      "run",
      ...withoutContradicted(flags, execArgs),
      ...execArgs,
      CHILD_MODULE,
    ];
  }
  refuseCompiledIn(request);
  if (Deno.build.standalone) return [];
  // A test that takes this path without a compiled program.
  return [
    "run",
    ...childFlags(),
    ...permissionFlags(undefined),
    getMainModule()!,
  ];
}

function memoryFlags(limitMb: number | undefined): string[] {
  return limitMb === undefined
    ? []
    : [`--v8-flags=--max-old-space-size=${Math.floor(limitMb)}`];
}

class ChildProcess implements Launched {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  readonly #child: Deno.ChildProcess;
  #hasEnded = false;

  constructor(child: Deno.ChildProcess, daemon: boolean) {
    this.#child = child;
    this.pid = child.pid;
    this.ended = child.status.then((status) => {
      this.#hasEnded = true;
      return { exitCode: exitCodeOf(status), signal: status.signal };
    });
    if (daemon) child.unref();
  }

  end(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#hasEnded) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended this instant, and the news is on its way: Deno refuses to
      // signal a process it has already waited for, which is what we want.
    }
  }

  keepAlive(on: boolean): void {
    if (this.#hasEnded) return;
    try {
      if (on) this.#child.ref();
      else this.#child.unref();
    } catch (error) {
      // It has ended this instant, and the news is on its way, see end(): there is
      // nothing left that could be waited for.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

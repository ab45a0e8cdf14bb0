/**
 * Being a child in a compiled program. `deno compile` makes a program that cannot
 * `deno run` anything, so a child is the program itself, started again with a
 * last argument that says so.
 *
 * ```
 *   parent                        child: the same program
 *   ------                        -----------------------
 *   spawn.ts: run this program,   main thread (standalone_child.ts):
 *     its arguments and               sees the argument, starts the thread,
 *     the argument below              waits for its end, exits with its code
 *                                 thread (standalone_thread.ts):
 *                                     does what spawn_child.ts does elsewhere
 * ```
 *
 * `standalone_child.ts` is evaluated before the program's own body, because the
 * program imports the package. It blocks the main thread, so that the body is
 * never reached: it does not run twice, and there is no fork bomb. What the
 * program imports before this package has been evaluated by then, as it is in
 * any child that loads the main module.
 *
 * The argument is honoured only from the parent it names, so that nothing
 * inherits it.
 *
 * Runs in the parent (to start one) and in the child (to be one).
 *
 * @module
 */
import type { ChildSettings } from "./launch.ts";

/** How the last argument of a child starts. */
export const ARGUMENT = "--multiprocessing-child";

/** What a compiled program has been given once and for all. */
const COMPILED_IN = ["execArgs", "memoryLimitMb"] as const;

/** Set by tests to take this path without a compiled program. */
let forced = false;

/** Whether children have to be started as copies of this program. */
export function isStandalone(): boolean {
  return forced || Deno.build.standalone;
}

/** Takes the path of a compiled program in a test. */
export function forceStandalone(on: boolean): void {
  forced = on;
}

/** Where a child process finds its memory. */
export interface Place {
  /** Process that started it. */
  readonly parentPid: number;
  /** Process that has the memory open. */
  readonly pid: number;
  /** Its descriptor there. */
  readonly fd: number;
  /** Reserved size as a power of two. */
  readonly sizeLog2: number;
  /** The child's token. */
  readonly token: number;
}

/**
 * Reads where this process finds its memory, if it is a child.
 *
 * @param args Its arguments.
 */
export function readPlace(args: readonly string[]): Place | undefined {
  const [mark, ...numbers] = (args.at(-1) ?? "").split(":");
  if (mark !== ARGUMENT || numbers.length !== 5) return undefined;
  const [parentPid, pid, fd, sizeLog2, token] = numbers.map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (!numbers.every((text) => /^\d+$/.test(text))) return undefined;
  return { parentPid, pid, fd, sizeLog2, token };
}

/**
 * Shows the program's own modules the arguments that their parent was given,
 * without the one that is for this package.
 */
export function hideArgument(): void {
  if (!Deno.args.at(-1)?.startsWith(`${ARGUMENT}:`)) return;
  // In place, as Deno makes `process.argv` of the same array, when it is touched.
  if (!Object.isFrozen(Deno.args)) return void (Deno.args as string[]).pop();
  const value = Object.freeze(Deno.args.slice(0, -1));
  Object.defineProperty(Deno, "args", {
    value,
    configurable: true,
    enumerable: true,
  });
}

/**
 * Checks that a compiled program can start a child with these settings.
 *
 * @throws {TypeError} If one of them is decided when a program is compiled.
 */
export function refuseCompiledIn(settings: ChildSettings): void {
  const { permissions = "inherit" } = settings;
  const refused = permissions === "inherit"
    ? COMPILED_IN.find((name) => settings[name] !== undefined)
    : "permissions";
  if (refused === undefined) return;
  throw new TypeError(
    `Cannot start a process with '${refused}' as a compiled program cannot change what it was compiled with: give the flags to deno compile`,
  );
}

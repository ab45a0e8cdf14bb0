/**
 * Being a child in a compiled program. `deno compile` makes a program that cannot
 * `deno run` anything, so a child is the program itself, started again with a
 * last argument that says so.
 *
 * This module is evaluated before the program's own body, because the program
 * imports the package. If the argument is there, it starts a worker in this
 * process that does the child's work, parks the main thread so that the body is
 * never reached, and exits with the child's code. The body never runs twice,
 * and there is no fork bomb.
 *
 * The argument is honoured only from the parent it names, so that nothing
 * inherits it.
 *
 * Runs in the parent (to start one) and in the child (to be one).
 *
 * @module
 */

/** How the last argument of a child starts. */
export const ARGUMENT = "--multiprocessing-child";

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

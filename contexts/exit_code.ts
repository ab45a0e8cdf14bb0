/**
 * Exit codes as Python has them.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** Numbers of the signals that end processes; the same on all Unix systems. */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: Deno.build.os === "darwin" ? 10 : 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: Deno.build.os === "darwin" ? 30 : 10,
  SIGSEGV: 11,
  SIGUSR2: Deno.build.os === "darwin" ? 31 : 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

/**
 * The exit code of a process: its own, or the negative number of the signal that
 * ended it. Never guessed from a code above 128, which a program may choose.
 *
 * @param status How it ended.
 */
export function exitCodeOf(status: Deno.CommandStatus): number {
  if (status.signal === null) return status.code;
  return -(SIGNAL_NUMBERS[status.signal] ?? status.code - 128);
}

/**
 * An exit code for people: `-SIGKILL`, `3`.
 *
 * @param exitCode The code.
 */
export function exitCodeText(exitCode: number): string {
  if (exitCode >= 0) return String(exitCode);
  for (const [name, number] of Object.entries(SIGNAL_NUMBERS)) {
    if (number === -exitCode) return `-${name}`;
  }
  return String(exitCode);
}

/**
 * What a reason to exit means: nothing, an empty list, `true` and `false` and
 * numbers are codes; anything else is a message and code 1.
 *
 * @param reason What `exit()` was given.
 */
export function exitReason(
  reason: unknown,
): { code: number; text: string | undefined } {
  if (reason === undefined || reason === null) {
    return { code: 0, text: undefined };
  }
  if (typeof reason === "boolean") {
    return { code: reason ? 1 : 0, text: undefined };
  }
  if (typeof reason === "number" && Number.isInteger(reason)) {
    // The system keeps the low eight bits, of negative numbers too.
    return { code: ((reason % 256) + 256) % 256, text: undefined };
  }
  if (Array.isArray(reason) && reason.length === 0) {
    return { code: 0, text: undefined };
  }
  const text = typeof reason === "string" ? reason : Deno.inspect(reason);
  return { code: 1, text };
}

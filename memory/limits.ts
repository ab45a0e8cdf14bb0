/**
 * What limits a wait, and the checks that all waits have in common.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** The longest delay a timer takes, in milliseconds. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1;

/**
 * Checks that options are an object. In Python the same is given by position or by
 * other names, which would go unheard: a wait without its limit, say.
 *
 * @param options What was given.
 * @param action What cannot be done then, for the message.
 * @param example What would be right.
 * @param here What some of Python's names are here.
 */
export function checkOptionsObject(
  options: object,
  action: string,
  example: string,
  here: Readonly<Record<string, string>> = {},
): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action} as the options must be an object, such as ${example}: they are ${
        Deno.inspect(options)
      }`,
    );
  }
  const foreign = Object.keys(here).find((name) => name in options);
  if (foreign === undefined) return;
  throw new TypeError(
    `Cannot ${action} as there is no option '${foreign}': ${here[foreign]}`,
  );
}

/**
 * Checks a time.
 *
 * @param timeout What was given.
 * @param name What it was given as.
 * @returns The time in milliseconds, `Infinity` for ever.
 */
export function checkedTimeout(
  timeout: number | undefined,
  name: string = "timeout",
): number {
  if (timeout === undefined) return Infinity;
  if (typeof timeout !== "number") {
    throw new TypeError(
      `Cannot wait as '${name}' must be a number of milliseconds: it is ${
        Deno.inspect(timeout)
      }`,
    );
  }
  if (Number.isNaN(timeout)) {
    throw new RangeError(`Cannot wait as '${name}' must not be NaN`);
  }
  return timeout;
}

/**
 * Checks that options are some. In Python, a time or whether to block stands in
 * their place: read as options, such a value has no limits, and one would wait for
 * ever.
 *
 * @param options What was given.
 * @throws {TypeError} If it is no object.
 */
export function checkOptions(options: object): void {
  if (typeof options === "object" && options !== null) return;
  const example = typeof options === "boolean"
    ? `{ block: ${options} }`
    : typeof options === "number"
    ? `{ timeout: ${options} }, in milliseconds`
    : "{ timeout: 1000 }";
  checkOptionsObject(options, "wait", example);
}

/** What limits a wait, read once and checked. */
export interface WaitLimits {
  /** Milliseconds, `Infinity` for ever. */
  readonly timeout: number;
  /** What ends it early; it was not aborted when it was looked at. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads what limits a wait. Options may be getters of the program, which may do
 * anything: so this comes before whatever they could disturb.
 *
 * @param options What was given.
 * @throws {TypeError} If something is not what it has to be.
 * @throws The signal's reason, if it is aborted.
 */
export function checkedLimits(
  options: {
    timeout?: number | undefined;
    signal?: AbortSignal | undefined;
  },
): WaitLimits {
  checkOptions(options);
  const timeout = checkedTimeout(options.timeout);
  const { signal } = options;
  checkSignal(signal);
  return { timeout, signal };
}

/**
 * Checks a signal.
 *
 * @param signal What was given.
 * @throws Its reason, if it is aborted.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  checkIsSignal(signal);
  signal.throwIfAborted();
}

/** Checks that a signal is one, aborted or not. */
export function checkIsSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new TypeError(
    `Cannot wait as 'signal' must be an AbortSignal: it is ${
      Deno.inspect(signal)
    }`,
  );
}

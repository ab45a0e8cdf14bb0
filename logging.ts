/**
 * The library's logger: what it says about processes that start, end and get
 * lost. It is silent until a program asks for it.
 *
 * The logger is one of `@std/log`, so levels, handlers and formatters are those
 * of that package. This is the only file that imports it.
 *
 * Runs in the parent and in the child.
 *
 * @example Watching a pool at work
 * ```ts
 * import { getLogger } from "@deno-mp/multiprocessing/logging";
 * import { assertEquals } from "@std/assert";
 *
 * const logger = getLogger();
 * logger.levelName = "INFO";
 * assertEquals(logger.loggerName, "multiprocessing");
 * ```
 *
 * @module
 */
import { BaseHandler } from "@std/log/base-handler";
import { getLogger as getRegisteredLogger } from "@std/log/get-logger";
import type { LevelName, LogLevel } from "@std/log/levels";
import type { Logger } from "@std/log/logger";
import { getProcessName, setSink } from "./_log.ts";

export type { LevelName, Logger };

/** The name under which `@std/log` knows the logger. */
const LOGGER_NAME = "multiprocessing";

/**
 * The number Python gives to messages below `DEBUG`. It is here for programs
 * that compare numbers: `@std/log` has no such level, so nothing is logged at it.
 *
 * @example Its place
 * ```ts
 * import { SUBDEBUG } from "@deno-mp/multiprocessing/logging";
 * import { LogLevels } from "@std/log";
 * import { assert } from "@std/assert";
 *
 * assert(SUBDEBUG < LogLevels.DEBUG);
 * ```
 */
export const SUBDEBUG = 5;

/**
 * The number Python gives to messages between `INFO` and `WARNING`. It is here
 * for programs that compare numbers: `@std/log` has no such level, so nothing is
 * logged at it.
 *
 * @example Its place
 * ```ts
 * import { SUBWARNING } from "@deno-mp/multiprocessing/logging";
 * import { LogLevels } from "@std/log";
 * import { assert } from "@std/assert";
 *
 * assert(SUBWARNING > LogLevels.INFO);
 * ```
 */
export const SUBWARNING = 25;

/** Writes `[LEVEL/ProcessName] message`, each in one go. */
class StderrHandler extends BaseHandler {
  constructor() {
    super("NOTSET", {
      formatter: ({ levelName, msg }) =>
        `[${levelName}/${getProcessName()}] ${msg}`,
    });
  }

  override log(line: string): void {
    writeLine(line);
  }
}

function writeLine(line: string): void {
  // Not `console.error()`, which may write the text and its end apart: lines of
  // several processes would run into each other.
  let rest = new TextEncoder().encode(`${line}\n`);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
  } catch {
    // Nobody reads standard error any more. There is no other place to say so,
    // and a program must not end because its log does.
  }
}

const stderrHandler = new StderrHandler();
let current: Logger | undefined;

/**
 * Gives the logger of the library, named `multiprocessing`. It is the same object
 * each time.
 *
 * - **Silent:** it has no handler until {@linkcode logToStderr} is called, or
 *   `handlers.push()`.
 * - **Level:** `NOTSET` at first, which lets every message through.
 * - **Children:** a process started from here takes over the level, and logs to
 *   standard error if this one does. Other handlers stay here.
 * - **Differs from Python:** the levels are those of `@std/log`, with its names
 *   (`WARN` where Python has `WARNING`) and without numbers in between. `NOTSET`
 *   means every message, where Python asks the root logger.
 *
 * @example Collecting messages
 * ```ts
 * import { getLogger } from "@deno-mp/multiprocessing/logging";
 * import { BaseHandler } from "@std/log";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * class Collector extends BaseHandler {
 *   override log(line: string) {
 *     lines.push(line);
 *   }
 * }
 * getLogger().handlers.push(new Collector("WARN"));
 *
 * getLogger().info("not of interest");
 * getLogger().warn("worth a look");
 * assertEquals(lines, ["WARN worth a look"]);
 * ```
 *
 * @returns The logger.
 */
export function getLogger(): Logger {
  // `setup()` of `@std/log` forgets all loggers. If the program's own set-up
  // speaks of ours, that is the one it wants; if not, ours stays as it was
  // rather than falling silent.
  const registered = getRegisteredLogger(LOGGER_NAME);
  if (current === undefined || registered.handlers.length > 0) {
    current = registered;
  }
  return current;
}

/**
 * Lets the logger write to standard error, as `[LEVEL/ProcessName] message`.
 *
 * - **Once:** however often it is called, each message is one line.
 * - **Children:** processes started from now on do the same.
 *
 * Further arguments of `logger.info(message, …)` are not part of the line; they
 * are for handlers of your own.
 *
 * @example Seeing what the library does
 * ```ts
 * import { logToStderr } from "@deno-mp/multiprocessing/logging";
 * import { assertEquals } from "@std/assert";
 *
 * const logger = logToStderr("INFO");
 * logger.info("hello"); // [INFO/MainProcess] hello
 * assertEquals(logger.levelName, "INFO");
 * ```
 *
 * @param level The lowest level to write. Stays as it is if not given.
 * @returns The logger.
 */
export function logToStderr(level?: LevelName): Logger {
  const logger = getLogger();
  if (level !== undefined) logger.levelName = level;
  if (!logger.handlers.includes(stderrHandler)) {
    logger.handlers.push(stderrHandler);
  }
  return logger;
}

setSink({
  write(severity, message): void {
    const logger = getLogger();
    // With nobody to read it, a message that is costly to make is not made.
    if (logger.handlers.length === 0) return;
    try {
      logger[severity](typeof message === "string" ? () => message : message);
    } catch (error) {
      // A handler of the program's: what is at work here has to go on without it.
      writeLine(`Cannot log a message: ${Deno.inspect(error)}`);
    }
  },
  getState() {
    const { level, handlers } = getLogger();
    return { level, toStderr: handlers.includes(stderrHandler) };
  },
  setState({ level, toStderr }): void {
    // The number was a LogLevel in the parent; one of another version of
    // `@std/log` is refused by the setter.
    getLogger().level = level as LogLevel;
    if (toStderr) logToStderr();
  },
});

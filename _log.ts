/**
 * The library's own way to say what it does. It costs one branch per message
 * until somebody listens: `@std/log` must not be loaded by a child whose parent
 * does not log, so it stands behind a sink that `logging.ts` installs.
 *
 * ```text
 *   contexts, pool, managers …  -- log.info() -->  _log.ts  -- sink -->  logging.ts  -->  @std/log
 *   a starting child            -- applyLogState(), imports logging.ts only if need be --^
 * ```
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** A message, or a function giving it, which is called only if it is written. */
export type LogMessage = string | (() => string);

/** How much a message matters, by the names of `@std/log`'s methods. */
export type LogSeverity = "debug" | "info" | "warn" | "error" | "critical";

/** What a child takes over from its parent (plain data, so that it travels). */
export interface LogState {
  /** The number of the level; 0 lets everything through. */
  level: number;
  /** Whether messages go to standard error. */
  toStderr: boolean;
}

/** The other end: whoever knows the real logger. */
export interface LogSink {
  /** Passes a message to the logger. Must not throw because of it. */
  write(severity: LogSeverity, message: LogMessage): void;
  /** Tells the settings as they are now. */
  getState(): LogState;
  /** Takes over somebody else's settings. */
  setState(state: LogState): void;
}

let sink: LogSink | null = null;
let processNameSource: () => string = () => "MainProcess";

/** One method per severity. A message says what happens, in the reference's words. */
export const log: Readonly<
  Record<LogSeverity, (message: LogMessage) => void>
> = {
  debug: (message) => sink?.write("debug", message),
  info: (message) => sink?.write("info", message),
  warn: (message) => sink?.write("warn", message),
  error: (message) => sink?.write("error", message),
  critical: (message) => sink?.write("critical", message),
};

/**
 * Decides where messages go from now on.
 *
 * @param next The new end; `null` for nowhere.
 * @returns The end until now, to be put back by tests.
 */
export function setSink(next: LogSink | null): LogSink | null {
  const previous = sink;
  sink = next;
  return previous;
}

/**
 * Decides what each line calls this process.
 *
 * @param source Asked once per line, as the name of a process can change.
 */
export function setProcessNameSource(source: () => string): void {
  processNameSource = source;
}

/**
 * Tells what this process is called in log lines.
 *
 * @returns The name, `MainProcess` unless a source was set.
 */
export function getProcessName(): string {
  return processNameSource();
}

/**
 * Tells the settings that a child should take over.
 *
 * @returns The settings now; those of silence if nobody has asked for a logger.
 */
export function getLogState(): LogState {
  return sink?.getState() ?? { level: 0, toStderr: false };
}

/**
 * Not named in the import, but computed: Deno would look through it, and through
 * the package it is built on, as each child starts, though few children need it.
 */
const LOGGING = new URL("./logging.ts", import.meta.url).href;

/**
 * Takes over the settings of the parent. To be awaited before the user's module
 * is imported: what it then asks for is asked of a logger that is set up.
 *
 * @param state What {@linkcode getLogState} gave in the parent.
 */
export async function applyLogState(state: LogState): Promise<void> {
  if (state.level === 0 && !state.toStderr) return;
  if (sink === null) await import(LOGGING);
  sink?.setState(state);
}

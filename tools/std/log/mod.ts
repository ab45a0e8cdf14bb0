/**
 * Stands in for jsr:@std/log@0.224 where that registry is out of reach: the part
 * that `logging.ts` and handlers of one's own need, with the same names and the
 * same meaning. See ../README.md for why it exists.
 *
 * It imports nothing, as each child process that logs loads it.
 *
 * @module
 */

/** The levels and their numbers. A message passes at its level and above. */
export const LogLevels = {
  NOTSET: 0,
  DEBUG: 10,
  INFO: 20,
  WARN: 30,
  ERROR: 40,
  CRITICAL: 50,
} as const;

/** The name of a level. */
export type LevelName = Exclude<keyof typeof LogLevels, number>;

/** The number of a level. */
export type LogLevel = typeof LogLevels[LevelName];

/** The names of the levels, from the lowest to the highest. */
export const LogLevelNames: LevelName[] = Object.keys(LogLevels).filter((
  name,
): name is LevelName => name in LogLevels);

/** Gives the number of a level. */
export function getLevelByName(name: LevelName): LogLevel {
  const level: LogLevel | undefined = LogLevels[name];
  if (level === undefined) {
    throw new Error(`Cannot get log level: no level named ${name}`);
  }
  return level;
}

/** Gives the name of a level. */
export function getLevelName(level: LogLevel): LevelName {
  const name = LogLevelNames.find((name) => LogLevels[name] === level);
  if (name === undefined) {
    throw new Error(`Cannot get log level: no level ${level}`);
  }
  return name;
}

/** What a {@linkcode LogRecord} is made of. */
export interface LogRecordOptions {
  /** The message, as text. */
  msg: string;
  /** The further arguments of the call. */
  args: unknown[];
  /** The level of the call. */
  level: LogLevel;
  /** Who was called. */
  loggerName: string;
}

/** One message on its way to the handlers. */
export class LogRecord {
  /** The message, as text. */
  readonly msg: string;
  /** The number of the level. */
  readonly level: LogLevel;
  /** The name of the level. */
  readonly levelName: LevelName;
  /** The logger that made the record. */
  readonly loggerName: string;
  readonly #args: unknown[];
  readonly #datetime = new Date();

  /** Makes a record of now. */
  constructor(options: LogRecordOptions) {
    this.msg = options.msg;
    this.level = options.level;
    this.levelName = getLevelName(options.level);
    this.loggerName = options.loggerName;
    this.#args = [...options.args];
  }

  /** A copy: what one handler does to it the next does not see. */
  get args(): unknown[] {
    return [...this.#args];
  }

  /** A copy of the time at which the record was made. */
  get datetime(): Date {
    return new Date(this.#datetime);
  }
}

/** Turns a record into the text that is written. */
export type FormatterFunction = (logRecord: LogRecord) => string;

/** Settings of a {@linkcode BaseHandler}. */
export interface BaseHandlerOptions {
  /** How to turn a record into text; `LEVEL message` if not given. */
  formatter?: FormatterFunction;
}

/** Somewhere for records to go. A subclass says where, in `log()`. */
export abstract class BaseHandler {
  #level: LogLevel;
  /** How a record becomes text. */
  formatter: FormatterFunction;

  /** Makes a handler for that level and above. */
  constructor(levelName: LevelName, options: BaseHandlerOptions = {}) {
    this.#level = getLevelByName(levelName);
    this.formatter = options.formatter ??
      (({ levelName, msg }) => `${levelName} ${msg}`);
  }

  /** The number of the lowest level that passes. */
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    this.#level = getLevelByName(getLevelName(level));
  }

  /** The name of the lowest level that passes. */
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = getLevelByName(levelName);
  }

  /** Logs the record if its level is high enough. */
  handle(logRecord: LogRecord): void {
    if (logRecord.level >= this.#level) this.log(this.format(logRecord));
  }

  /** Turns the record into text. */
  format(logRecord: LogRecord): string {
    return this.formatter(logRecord);
  }

  /** Puts the text where it belongs. */
  abstract log(msg: string): void;

  /** Called by {@linkcode setup} when the handler comes into use. */
  setup(): void {}

  /** Called by {@linkcode setup} when the handler goes out of use. */
  destroy(): void {}

  /** The same as {@linkcode BaseHandler.destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Settings of a {@linkcode ConsoleHandler}. */
export interface ConsoleHandlerOptions extends BaseHandlerOptions {
  /** Whether levels have colors. On if not given. */
  useColors?: boolean;
}

/** The escape codes before a line; a line without is printed as it is. */
const COLORS: Partial<Record<LogLevel, string>> = {
  [LogLevels.INFO]: "\x1b[34m",
  [LogLevels.WARN]: "\x1b[33m",
  [LogLevels.ERROR]: "\x1b[31m",
  [LogLevels.CRITICAL]: "\x1b[1;31m",
};

/** Writes records to the console, that is, to standard output. */
export class ConsoleHandler extends BaseHandler {
  readonly #useColors: boolean;

  /** Makes a handler for that level and above. */
  constructor(levelName: LevelName, options: ConsoleHandlerOptions = {}) {
    super(levelName, options);
    this.#useColors = options.useColors ?? true;
  }

  /** Turns the record into text, in the color of its level. */
  override format(logRecord: LogRecord): string {
    const text = super.format(logRecord);
    const color = COLORS[logRecord.level];
    if (color === undefined || !this.#useColors || Deno.noColor) return text;
    return `${color}${text}\x1b[0m`;
  }

  /** Prints the text. */
  override log(msg: string): void {
    console.log(msg);
  }
}

/** Any function, to tell a message from a function that gives one. */
// deno-lint-ignore no-explicit-any
export type GenericFunction = (...args: any[]) => any;

/** Settings of a {@linkcode Logger}. */
export interface LoggerOptions {
  /** Where records go; nowhere if not given. */
  handlers?: BaseHandler[];
}

/** Passes the messages of its level and above to its handlers. */
export class Logger {
  #level: LogLevel;
  readonly #loggerName: string;
  /** Where records go. */
  handlers: BaseHandler[];

  /** Makes a logger of its own, which {@linkcode getLogger} does not know. */
  constructor(
    loggerName: string,
    levelName: LevelName,
    options: LoggerOptions = {},
  ) {
    this.#loggerName = loggerName;
    this.#level = getLevelByName(levelName);
    this.handlers = options.handlers ?? [];
  }

  /** What the logger is called. */
  get loggerName(): string {
    return this.#loggerName;
  }

  /** The number of the lowest level that passes. */
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    if (!LogLevelNames.some((name) => LogLevels[name] === level)) {
      throw new TypeError(`Invalid log level: ${level}`);
    }
    this.#level = level;
  }

  /** The name of the lowest level that passes. */
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = getLevelByName(levelName);
  }

  /** Logs what the function gives, at level `DEBUG`. */
  debug<T>(msg: () => T, ...args: unknown[]): T | undefined;
  /** Logs the value as text, at level `DEBUG`. */
  debug<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  debug(msg: unknown, ...args: unknown[]): unknown {
    return this.#log(LogLevels.DEBUG, msg, args);
  }

  /** Logs what the function gives, at level `INFO`. */
  info<T>(msg: () => T, ...args: unknown[]): T | undefined;
  /** Logs the value as text, at level `INFO`. */
  info<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  info(msg: unknown, ...args: unknown[]): unknown {
    return this.#log(LogLevels.INFO, msg, args);
  }

  /** Logs what the function gives, at level `WARN`. */
  warn<T>(msg: () => T, ...args: unknown[]): T | undefined;
  /** Logs the value as text, at level `WARN`. */
  warn<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  warn(msg: unknown, ...args: unknown[]): unknown {
    return this.#log(LogLevels.WARN, msg, args);
  }

  /** Logs what the function gives, at level `ERROR`. */
  error<T>(msg: () => T, ...args: unknown[]): T | undefined;
  /** Logs the value as text, at level `ERROR`. */
  error<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  error(msg: unknown, ...args: unknown[]): unknown {
    return this.#log(LogLevels.ERROR, msg, args);
  }

  /** Logs what the function gives, at level `CRITICAL`. */
  critical<T>(msg: () => T, ...args: unknown[]): T | undefined;
  /** Logs the value as text, at level `CRITICAL`. */
  critical<T>(
    msg: T extends GenericFunction ? never : T,
    ...args: unknown[]
  ): T;
  critical(msg: unknown, ...args: unknown[]): unknown {
    return this.#log(LogLevels.CRITICAL, msg, args);
  }

  /** The value behind `msg` comes back; a function is called only if it counts. */
  #log(level: LogLevel, msg: unknown, args: unknown[]): unknown {
    const isLazy = typeof msg === "function";
    if (level < this.#level) return isLazy ? undefined : msg;
    const value: unknown = isLazy ? msg() : msg;
    const record = new LogRecord({
      msg: asText(value),
      args,
      level,
      loggerName: this.#loggerName,
    });
    for (const handler of this.handlers) handler.handle(record);
    return value;
  }
}

function asText(value: unknown, quoted = false): string {
  switch (typeof value) {
    case "string":
      return quoted ? `"${value}"` : value;
    case "function":
      return "undefined";
    case "object":
      if (value === null) return "null";
      if (value instanceof Error) return value.stack ?? String(value);
      return `{${
        Object.entries(value).map(([key, v]) => `"${key}":${asText(v, true)}`)
          .join(",")
      }}`;
    default:
      return String(value);
  }
}

/** One logger in a {@linkcode LogConfig}. */
export interface LoggerConfig {
  /** Its level; `INFO` if not given. */
  level?: LevelName;
  /** Its handlers, by their names in the config. */
  handlers?: string[];
}

/** What {@linkcode setup} is given. */
export interface LogConfig {
  /** The handlers, by name. */
  handlers?: Record<string, BaseHandler>;
  /** The loggers, by name. */
  loggers?: Record<string, LoggerConfig>;
}

const handlers = new Map<string, BaseHandler>();
const loggers = new Map<string, Logger>();

/** Replaces all loggers and handlers. Those that are not named are forgotten. */
export function setup(config: LogConfig): void {
  for (const handler of handlers.values()) handler.destroy();
  handlers.clear();
  loggers.clear();

  const wanted = { default: new ConsoleHandler("INFO"), ...config.handlers };
  for (const [name, handler] of Object.entries<BaseHandler>(wanted)) {
    handler.setup();
    handlers.set(name, handler);
  }

  const named: Record<string, LoggerConfig> = {
    default: { level: "INFO", handlers: ["default"] },
    ...config.loggers,
  };
  for (
    const [name, { level = "INFO", handlers: names = [] }] of Object.entries(
      named,
    )
  ) {
    const own = names.map((name) => handlers.get(name))
      .filter((handler) => handler !== undefined);
    loggers.set(name, new Logger(name, level, { handlers: own }));
  }
}

/** Gives the logger of that name, made silent if it was not there. */
export function getLogger(name = "default"): Logger {
  let logger = loggers.get(name);
  if (logger === undefined) {
    logger = new Logger(name, "NOTSET");
    loggers.set(name, logger);
  }
  return logger;
}

setup({});

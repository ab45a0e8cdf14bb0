import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertThrows,
} from "@std/assert";
import * as assertModule from "@std/assert";
import * as asyncModule from "@std/async";
import {
  BaseHandler,
  ConsoleHandler,
  getLevelByName,
  getLevelName,
  getLogger,
  Logger,
  LogLevelNames,
  LogLevels,
  LogRecord,
  setup,
} from "@std/log";
import * as pathModule from "@std/path";

/** Keeps what it is given. */
class Collector extends BaseHandler {
  readonly lines: string[] = [];
  isDestroyed = false;
  override log(line: string): void {
    this.lines.push(line);
  }
  override destroy(): void {
    this.isDestroyed = true;
  }
}

for (
  const [name, module] of Object.entries<object>({
    assert: assertModule,
    async: asyncModule,
    path: pathModule,
  })
) {
  Deno.test(`@std/${name} has each value that its types promise`, async () => {
    const types = await Deno.readTextFile(
      new URL(`../../tools/std/${name}/types.d.ts`, import.meta.url),
    );
    const promised = types.matchAll(/^export (?:class|const|function) (\w+)/gm)
      .map((match) => match[1] ?? "").toArray();

    assert(promised.length > 0);
    assertEquals(promised.filter((value) => !(value in module)), []);
  });
}

Deno.test("getLevelByName() and getLevelName() undo each other", () => {
  assertEquals(LogLevelNames, [
    "NOTSET",
    "DEBUG",
    "INFO",
    "WARN",
    "ERROR",
    "CRITICAL",
  ]);
  for (const name of LogLevelNames) {
    assertEquals(getLevelName(getLevelByName(name)), name);
  }
  assertEquals(getLevelByName("CRITICAL"), 50);
});

Deno.test("getLevelByName() and getLevelName() refuse what does not exist", () => {
  // @ts-expect-error Python's name
  assertThrows(() => getLevelByName("WARNING"), Error, "no level named");
  // @ts-expect-error Python's number
  assertThrows(() => getLevelName(25), Error, "no level 25");
});

Deno.test("Logger gives back the message, or what a lazy message gave", () => {
  const logger = new Logger("a", "INFO");

  assertEquals(logger.info("text"), "text");
  assertEquals(logger.debug("below, and yet"), "below, and yet");
  assertEquals(logger.info(() => 7), 7);
  assertEquals(logger.debug(() => assert(false, "called")), undefined);
});

Deno.test("Logger turns every kind of message into text", () => {
  const collector = new Collector("NOTSET", { formatter: ({ msg }) => msg });
  const logger = new Logger("a", "NOTSET", { handlers: [collector] });

  logger.info(null);
  logger.info(1n);
  logger.info({ a: "b", c: [1] });
  logger.info(new Error("broken"));

  const [empty, bigint, object, error] = collector.lines;
  assertEquals([empty, bigint, object], [
    "null",
    "1",
    '{"a":"b","c":{"0":1}}',
  ]);
  assertMatch(error ?? "", /^Error: broken\n {4}at /);
});

Deno.test("BaseHandler.handle() gives the formatter all of the record", () => {
  const records: LogRecord[] = [];
  const collector = new Collector("WARN", {
    formatter: (record) => `${records.push(record)}`,
  });
  const logger = new Logger("a", "NOTSET", { handlers: [collector] });

  logger.info("below the handler's level");
  logger.error("broken", 1, "two");

  const [record] = records;
  assertEquals(collector.lines, ["1"]);
  assertInstanceOf(record, LogRecord);
  assertInstanceOf(record.datetime, Date);
  assertEquals(
    [record.level, record.levelName, record.loggerName, record.args],
    [LogLevels.ERROR, "ERROR", "a", [1, "two"]],
  );
});

Deno.test("ConsoleHandler.format() colors the line unless told not to", () => {
  const record = new LogRecord({
    msg: "broken",
    args: [],
    level: LogLevels.ERROR,
    loggerName: "a",
  });

  assertEquals(
    new ConsoleHandler("INFO", { useColors: false }).format(record),
    "ERROR broken",
  );
  assertEquals(
    new ConsoleHandler("INFO").format(record),
    Deno.noColor ? "ERROR broken" : "\x1b[31mERROR broken\x1b[0m",
  );
});

Deno.test("getLogger() makes a silent logger of an unknown name, once", () => {
  const logger = getLogger("tests of @std/log");

  assertEquals(getLogger("tests of @std/log"), logger);
  assertEquals([logger.levelName, logger.handlers], ["NOTSET", []]);
  assertInstanceOf(getLogger().handlers[0], ConsoleHandler);
});

Deno.test("setup() replaces loggers and handlers", () => {
  const first = new Collector("INFO");
  const second = new Collector("INFO");
  try {
    setup({ handlers: { first }, loggers: { a: { handlers: ["first"] } } });
    const a = getLogger("a");
    setup({ handlers: { second }, loggers: { b: { level: "ERROR" } } });

    assertEquals([first.isDestroyed, second.isDestroyed], [true, false]);
    assertEquals(a.handlers, [first]);
    assertEquals(getLogger("a").handlers, []);
    assertEquals(getLogger("b").levelName, "ERROR");
  } finally {
    setup({});
  }
});

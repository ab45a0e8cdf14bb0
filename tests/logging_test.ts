import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { BaseHandler, setup } from "@std/log";
import { fromFileUrl } from "@std/path";
import {
  applyLogState,
  getLogState,
  getProcessName,
  log,
  type LogSink,
  setProcessNameSource,
  setSink,
} from "../_log.ts";
import { getLogger, SUBDEBUG, SUBWARNING } from "../logging.ts";

/** Keeps what it is given, as `LEVEL message`. */
class Collector extends BaseHandler {
  readonly lines: string[] = [];
  override log(line: string): void {
    this.lines.push(line);
  }
}

/** Listens to the logger until disposed, then makes it silent again. */
function listen(): Collector & Disposable {
  const collector = new Collector("NOTSET");
  getLogger().handlers.push(collector);
  return Object.assign(collector, {
    [Symbol.dispose]() {
      getLogger().handlers.length = 0;
      getLogger().levelName = "NOTSET";
    },
  });
}

/** Runs a program of its own, as only that has a standard error to look at. */
async function run(body: string): Promise<{ stdout: string; stderr: string }> {
  const program = `
    import * as internal from ${
    JSON.stringify(import.meta.resolve("../_log.ts"))
  };
    const LOGGING_URL = ${JSON.stringify(import.meta.resolve("../logging.ts"))};
    ${body}`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-lock",
      // As every child has for the modules it loads.
      `--allow-read=${fromFileUrl(import.meta.resolve("../"))}`,
      "--config",
      fromFileUrl(import.meta.resolve("../deno.json")),
      "-",
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The line that loads the logger, for the programs that {@linkcode run} runs. */
const LOGGING = "const { getLogger, logToStderr } = await import(LOGGING_URL);";

Deno.test("getLogger() gives the same silent logger each time (LOG-01)", () => {
  const logger = getLogger();

  assertEquals(getLogger(), logger);
  assertEquals(logger.loggerName, "multiprocessing");
  assertEquals(logger.levelName, "NOTSET");
  assertEquals(logger.level, 0);
  assertEquals(logger.handlers, []);
});

Deno.test("getLogger() lets the level be set, and nothing below it through (LOG-01)", () => {
  using collector = listen();
  const logger = getLogger();

  logger.levelName = "ERROR";
  logger.debug("not written");
  logger.info("not written");
  logger.error("written");
  logger.level = 10;
  logger.debug("written, too");

  assertEquals(collector.lines, ["ERROR written", "DEBUG written, too"]);
});

Deno.test("getLogger() refuses a level between those that exist", () => {
  assertThrows(
    () => {
      // @ts-expect-error 32 is no level of @std/log
      getLogger().level = 32;
    },
    TypeError,
    "Invalid log level",
  );
});

Deno.test("getLogger() survives a setup() of @std/log that does not name it", () => {
  using collector = listen();
  const logger = getLogger();

  setup({});
  log.info("still here");

  assertEquals(getLogger(), logger);
  assertEquals(collector.lines, ["INFO still here"]);
});

Deno.test("getLogger() follows a setup() of @std/log that names it", () => {
  using before = listen();
  const configured = new Collector("NOTSET");

  setup({
    handlers: { configured },
    loggers: { multiprocessing: { level: "WARN", handlers: ["configured"] } },
  });
  log.info("below the level");
  log.warn("above it");

  assertEquals(getLogger().levelName, "WARN");
  assertEquals(before.lines, []);
  assertEquals(configured.lines, ["WARN above it"]);
});

Deno.test("SUBDEBUG and SUBWARNING have the numbers of the reference", () => {
  assertEquals([SUBDEBUG, SUBWARNING], [5, 25]);
});

Deno.test("log passes each severity on at the level of its name", () => {
  using collector = listen();

  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  log.critical("e");

  assertEquals(
    collector.lines,
    ["DEBUG a", "INFO b", "WARN c", "ERROR d", "CRITICAL e"],
  );
});

Deno.test("log makes a lazy message only if it is written", () => {
  let made = 0;
  const message = () => `made ${++made}`;

  log.info(message); // nobody listens
  {
    using collector = listen();
    getLogger().levelName = "WARN";
    log.info(message); // below the level
    log.warn(message);
    assertEquals(collector.lines, ["WARN made 1"]);
  }

  assertEquals(made, 1);
});

Deno.test("log goes on if a handler throws, and says so", async () => {
  const { stdout, stderr } = await run(`
    const { getLogger } = await import(LOGGING_URL);
    getLogger().handlers.push({ handle() { throw new Error("disk full"); } });
    internal.log.info("one");
    console.log("goes on");
  `);
  assertEquals(stdout, "goes on\n");
  assertMatch(stderr, /^Cannot log a message: Error: disk full/);
});

Deno.test("setSink() with null makes log silent, and gives the former sink back", () => {
  using collector = listen();
  const former = setSink(null);
  try {
    log.error("to nowhere");
    assertEquals(getLogState(), { level: 0, toStderr: false });
  } finally {
    assertEquals(setSink(former), null);
  }

  assertEquals(collector.lines, []);
});

Deno.test("getLogState() tells level and standard error, as data that travels (LOG-02)", async () => {
  const { stdout } = await run(`${LOGGING}
    console.log(JSON.stringify(internal.getLogState()));
    getLogger().levelName = "WARN";
    console.log(JSON.stringify(internal.getLogState()));
    logToStderr("DEBUG");
    console.log(JSON.stringify(internal.getLogState()));
  `);

  assertEquals(stdout.trim().split("\n").map((line) => JSON.parse(line)), [
    { level: 0, toStderr: false },
    { level: 30, toStderr: false },
    { level: 10, toStderr: true },
  ]);
});

Deno.test("applyLogState() gives a child the level and standard error of its parent (LOG-02)", async () => {
  const { stderr, stdout } = await run(`
    internal.setProcessNameSource(() => "Process-1");
    await internal.applyLogState({ level: 30, toStderr: true });
    internal.log.info("below the level");
    internal.log.warn("written");
    const { getLogger } = await import(LOGGING_URL);
    console.log(getLogger().levelName);
  `);

  assertEquals(stderr, "[WARN/Process-1] written\n");
  assertEquals(stdout, "WARN\n");
});

Deno.test("applyLogState() gives a child the level even if nobody listens there (LOG-02)", async () => {
  const state = getLogState();
  await applyLogState({ level: 40, toStderr: false });
  try {
    assertEquals(getLogger().levelName, "ERROR");
    assertEquals(getLogger().handlers, []);
  } finally {
    getLogger().levelName = "NOTSET";
  }
  assertEquals(getLogState(), state);
});

Deno.test("applyLogState() does not load the logger for a silent parent", async () => {
  const notes: string[] = [];
  const sink: LogSink = {
    write: (severity) => notes.push(severity),
    getState: () => ({ level: 0, toStderr: false }),
    setState: () => notes.push("setState"),
  };
  const former = setSink(sink);
  try {
    await applyLogState({ level: 0, toStderr: false });
  } finally {
    setSink(former);
  }
  assertEquals(notes, []);

  const { stdout } = await run(`
    await internal.applyLogState({ level: 0, toStderr: false });
    console.log(internal.setSink(null));
  `);
  assertEquals(stdout, "null\n");
});

Deno.test("logToStderr() writes [LEVEL/ProcessName] message and gives the logger", async () => {
  const { stderr, stdout } = await run(`${LOGGING}
    console.log(logToStderr("INFO") === getLogger());
    internal.log.debug("below the level");
    internal.log.info("process shutting down");
    getLogger().critical("in two\\nlines", { extra: 1 });
    internal.setProcessNameSource(() => "SyncManager-1");
    internal.log.warn("caf\\u00e9");
  `);

  assertEquals(stdout, "true\n");
  assertEquals(
    stderr,
    "[INFO/MainProcess] process shutting down\n" +
      "[CRITICAL/MainProcess] in two\nlines\n" +
      "[WARN/SyncManager-1] café\n",
  );
});

Deno.test("logToStderr() writes each message once, however often it is called", async () => {
  const { stderr } = await run(`${LOGGING}
    await internal.applyLogState({ level: 20, toStderr: true });
    logToStderr();
    logToStderr("INFO");
    logToStderr();
    internal.log.info("once");
  `);

  assertEquals(stderr, "[INFO/MainProcess] once\n");
});

Deno.test("logToStderr() without a level leaves the level as it is", async () => {
  const { stderr } = await run(`${LOGGING}
    getLogger().levelName = "ERROR";
    logToStderr();
    internal.log.warn("below the level");
    logToStderr("DEBUG");
    internal.log.debug("let through");
  `);

  assertEquals(stderr, "[DEBUG/MainProcess] let through\n");
});

Deno.test("logToStderr() does not end a program whose standard error is closed", async () => {
  const { stdout } = await run(`${LOGGING}
    logToStderr();
    Deno.stderr.close();
    getLogger().error("lost");
    console.log("alive");
  `);

  assertEquals(stdout, "alive\n");
});

Deno.test("getProcessName() is MainProcess until a source is set", () => {
  assertEquals(getProcessName(), "MainProcess");
  let name = "Process-1";
  setProcessNameSource(() => name);
  try {
    name = "Renamed";
    assertEquals(getProcessName(), "Renamed");
  } finally {
    setProcessNameSource(() => "MainProcess");
  }
});

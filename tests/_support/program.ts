/**
 * Whole programs: run by a Deno of their own, from a file, with the flags a user
 * would give, and watched from outside.
 *
 * Each runs in a process group of its own, so that whatever it starts and leaves
 * behind can be found.
 *
 * Runs in the parent, on Linux.
 *
 * @module
 */
import { until } from "./gate.ts";
import { describeProcess, isRunning, processes } from "./proc.ts";
import type { ProcessEntry } from "./proc.ts";

/** What a program imports: the room of contexts. */
export const LIBRARY: string = import.meta.resolve("../../contexts/mod.ts");
/** The project's configuration, which leads to what the library imports. */
export const CONFIG: string =
  new URL("../../deno.json", import.meta.url).pathname;

/** A program that takes longer hangs, as a rule. */
const LIMIT_MS = 40_000;
/** What lies in a pipe has been read when nothing has come for so long. */
const QUIET_MS = 100;

/** What gives a program a terminal; not everywhere there. */
export const SCRIPT = "/usr/bin/script";

/** How a program is run. */
export interface ProgramOptions {
  /**
   * The subcommand and the flags in front of the module.
   *
   * @default {["run", "--allow-all"]}
   */
  flags?: readonly string[];
  /** Arguments of the program. */
  args?: readonly string[];
  /**
   * When it counts as one that hangs, and is ended, in milliseconds.
   *
   * @default {40_000}
   */
  limitMs?: number;
  /** Further files, by their path beside the program. */
  files?: Readonly<Record<string, string>>;
  /**
   * The configuration; `null` leaves Deno to look for one.
   *
   * @default {CONFIG}
   */
  config?: string | null;
  /**
   * The main module as Deno is told it, for a module that is in `folder`; `null`
   * for none.
   *
   * @default {"main.ts", with the path of the folder}
   */
  main?: ((folder: string) => string) | null;
  /** Working directory, for a program that is in `folder`. */
  cwd?: (folder: string) => string;
  /** Environment variables beside the test's own. */
  env?: Readonly<Record<string, string>>;
  /** What it reads from standard input, and its end. */
  stdin?: string;
  /** Whether it is in a terminal: then all it writes is on `stdout`. */
  terminal?: boolean;
}

/** How a program ended, and what it said. */
export interface ProgramEnd {
  /** Its exit code. */
  readonly code: number;
  /** The signal that ended it, if one did. */
  readonly signal: Deno.Signal | null;
  /** All it and its children wrote. */
  readonly stdout: string;
  /** The same, without colours. */
  readonly stderr: string;
  /** What it left running. */
  readonly left: readonly ProcessEntry[];
}

/**
 * Runs a program to its end.
 *
 * @param source Text of its main module.
 * @param options How.
 */
export async function runProgram(
  source: string,
  options: ProgramOptions = {},
): Promise<ProgramEnd> {
  await using program = await startProgram(source, options);
  return await program.ended;
}

/**
 * Starts a program.
 *
 * @param source Text of its main module.
 * @param options How.
 */
export async function startProgram(
  source: string,
  options: ProgramOptions = {},
): Promise<Program> {
  const folder = await Deno.makeTempDir({ prefix: "program_" });
  const files = { "main.ts": source, ...options.files };
  for (const [path, text] of Object.entries(files)) {
    const file = new URL(path, `file://${folder}/`);
    await Deno.mkdir(new URL("./", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  return new Program(folder, options);
}

/** A program that runs. */
export class Program {
  /** Its process id, and that of its group. */
  readonly pid: number;
  /** Fulfilled at its end, when all it wrote has been read. */
  readonly ended: Promise<ProgramEnd>;
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #out: Text;
  readonly #err: Text;
  readonly #limitMs: number;
  #hasEnded = false;
  #isLate = false;

  /**
   * Not for tests: see {@linkcode startProgram}.
   *
   * @param folder Where its files are.
   * @param options How it is run.
   */
  constructor(folder: string, options: ProgramOptions) {
    const { flags, env, stdin, cwd, main, config, terminal } = options;
    const [subcommand, ...rest] = flags ?? ["run", "--allow-all"];
    const module = main === undefined ? `${folder}/main.ts` : main?.(folder);
    this.#folder = folder;
    this.#limitMs = options.limitMs ?? LIMIT_MS;
    const args = [
      subcommand!,
      "--quiet",
      "--no-lock",
      ...(config === null ? [] : ["--config", config ?? CONFIG]),
      ...rest,
      ...(module === undefined ? [] : [module]),
      ...(options.args ?? []),
    ];
    const [command, commandArgs] = terminal
      ? [SCRIPT, ["-qec", quoted([Deno.execPath(), ...args]), "/dev/null"]]
      : [Deno.execPath(), args];
    this.#child = new Deno.Command(command, {
      args: commandArgs,
      cwd: cwd?.(folder) ?? folder,
      env: { NO_COLOR: "1", ...env },
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.pid = this.#child.pid;
    if (stdin !== undefined) void this.#write(stdin);
    this.#out = new Text(this.#child.stdout);
    this.#err = new Text(this.#child.stderr);
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.killGroup();
    }, this.#limitMs);
    this.ended = this.#end();
  }

  /** What it has written so far. */
  get stdout(): string {
    return this.#out.text;
  }

  /**
   * All that it and what it has started have written to standard error; to be
   * asked when nothing of that runs any more.
   */
  async complaints(): Promise<string> {
    await this.#err.read;
    return this.#err.text;
  }

  /**
   * Waits for something on its standard output.
   *
   * @param pattern What.
   * @returns What matched.
   */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    let match: RegExpExecArray | null = null;
    await until(
      () => {
        match = pattern.exec(this.#out.text);
        if (!match && this.#hasEnded) throw this.#silent(pattern, "ended");
        return match !== null;
      },
      () => this.#silent(pattern, "runs").message,
    );
    return match!;
  }

  /** Signals the program, but not its children. */
  signal(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  /** Signals the program and all it has started, as a terminal does. */
  signalGroup(signal: Deno.Signal): void {
    Deno.kill(-this.pid, signal);
  }

  /** What runs of the program and of what it has started. */
  running(): ProcessEntry[] {
    return processes(({ group, pid }) => group === this.pid && isRunning(pid));
  }

  /** Ends all of it. */
  killGroup(): void {
    try {
      this.signalGroup("SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Ends all of it, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.killGroup();
    await this.ended.catch(() => {});
    await until(() => this.running().length === 0, "the program does not die");
    // The last that held the other ends of the pipes has gone by now.
    await Promise.all([this.#out.read, this.#err.read]);
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #end(): Promise<ProgramEnd> {
    const { code, signal } = await this.#child.status;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    const left = this.running();
    // What it has left running holds its end of the pipes: then all is read that
    // is there, but no end of it comes.
    const outputs = [this.#out, this.#err];
    await Promise.all(
      outputs.map((text) => left.length === 0 ? text.read : text.settled()),
    );
    const end = {
      code,
      signal,
      stdout: this.#out.text,
      stderr: this.#err.text,
      left,
    };
    if (this.#isLate) {
      throw new Error(
        `The program takes longer than ${this.#limitMs} ms\n${
          describeEnd(end)
        }`,
      );
    }
    return end;
  }

  async #write(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(text));
      await writer.close();
    } catch (error) {
      // It need not read, and may have ended before it could.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  #silent(pattern: RegExp, verb: string): Error {
    return new Error(
      `The program ${verb} and has not said ${pattern}\n--- stdout\n${this.#out.text}--- stderr\n${this.#err.text}${
        this.running().map(describeProcess).join("\n")
      }`,
    );
  }
}

/** A command line for a shell. */
function quoted(args: readonly string[]): string {
  return args.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(" ");
}

/** All there is to say of how a program ended. */
export function describeEnd(end: ProgramEnd): string {
  const left = end.left.map(describeProcess).join("\n");
  return `exit code ${end.code}, signal ${end.signal}\n--- stdout\n${end.stdout}\n--- stderr\n${end.stderr}\n--- left\n${left}`;
}

/** What comes through a pipe. */
class Text {
  text = "";
  /** Fulfilled at its end. */
  readonly read: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.read = this.#collect(stream);
  }

  /** Waits until it has ended, or nothing has come for a while. */
  async settled(): Promise<void> {
    for (let seen = -1; seen !== this.text.length;) {
      seen = this.text.length;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const quiet = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, QUIET_MS);
      });
      await Promise.race([this.read, quiet]);
      clearTimeout(timer);
    }
  }

  async #collect(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  ): Promise<void> {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      this.text += part;
    }
  }
}

/**
 * What an attempt gives that nobody disturbed. Any other program of this machine may
 * remove what a killed one has left, before it has been looked at: then once more.
 *
 * @param attempt Gives nothing if somebody came between.
 */
export async function undisturbed<T>(
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let tries = 0; tries < 30; tries++) {
    const outcome = await attempt();
    if (outcome !== undefined) return outcome;
  }
  throw new Error("Each of 30 attempts found less than it should have");
}

/**
 * One side of a comparison: a program that measures when it is told to, so that
 * several can take turns.
 *
 * ```
 *   harness                      side
 *     start ───────────────────>  sets itself up and warms up for two seconds
 *     <─────────────── "ready"
 *     "go" ────────────────────>  measures one round
 *     <──────── {"value": 12.3}
 *     ... the other sides' turns; it is stopped: some rivals burn a processor
 *         while they have nothing to do ...
 *     end of input ────────────>  cleans up and ends
 * ```
 *
 * @module
 */
import { TextLineStream } from "./_lines.ts";

/** What one round came to. */
export interface Sample {
  /** In the row's unit. */
  readonly value: number;
  /** Of single operations, where they are timed one by one. */
  readonly p99?: number;
}

/** How a side is started. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
}

/** How long a side may take to get ready, or for a round, in milliseconds. */
const PATIENCE_MS = 90_000;
/** A side that takes longer than this for a round has no further one. */
const SLOW_MS = 8000;
/**
 * Between its going on and its round, in milliseconds: all the timers that have come
 * due while it was stopped strike at once, in each of its 64 workers.
 */
const SETTLE_MS = 50;
/** How long it may take to end. */
const END_MS = 5000;
/** So much of what it complains about is shown. */
const COMPLAINT_CHARACTERS = 300;

/** All that have not ended: who stops this program has to end them, too. */
const sides = new Set<Side>();

/** See the module. */
export class Side {
  readonly name: string;
  readonly samples: Sample[] = [];
  /** Why it has dropped out. */
  failure: string | undefined;
  /** Whether it has taken so long that it has no further turn. */
  isSlow = false;
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #complaints: Promise<string>;

  /** Starts it. */
  constructor(name: string, { program, args, cwd }: Command) {
    this.name = name;
    this.#child = new Deno.Command(program, {
      args: [...args],
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // A group of its own, with the children it starts.
      detached: true,
    }).spawn();
    sides.add(this);
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    this.#input = this.#child.stdin.getWriter();
    this.#complaints = new Response(this.#child.stderr).text();
  }

  /** Waits until it is set up. */
  async ready(): Promise<void> {
    await this.#guarded(async () => {
      const line = await this.#line();
      if (line !== "ready") throw new Error(`it says "${line}"`);
    });
    this.#signal("SIGSTOP");
  }

  /** Has it measure one round. */
  async round(): Promise<void> {
    if (this.isSlow) return;
    this.#signal("SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const start = performance.now();
    await this.#guarded(async () => {
      await this.#input.write(new TextEncoder().encode("go\n"));
      this.samples.push(JSON.parse(await this.#line()) as Sample);
    });
    this.isSlow = performance.now() - start > SLOW_MS;
    this.#signal("SIGSTOP");
  }

  /** Ends it. */
  async end(): Promise<void> {
    this.#signal("SIGCONT");
    await this.#input.close().catch(() => {}); // it may have ended already
    const timer = setTimeout(() => this.#kill(), END_MS);
    await this.#child.status;
    clearTimeout(timer);
    sides.delete(this);
    await this.#lines.cancel().catch(() => {});
    await this.#complaints;
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    if (this.failure !== undefined) return;
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`nothing heard for ${PATIENCE_MS / 1000} s`)),
      PATIENCE_MS,
    );
    try {
      await Promise.race([work(), promise]);
    } catch (error) {
      this.#kill();
      const complaints = (await this.#complaints).trim();
      const why = error instanceof Error ? error.message : String(error);
      this.failure = `${why} ${complaints.slice(0, COMPLAINT_CHARACTERS)}`
        .replaceAll(/\s+/g, " ").trim();
    } finally {
      clearTimeout(timer);
    }
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.read();
    if (done) throw new Error("it has ended");
    return value;
  }

  #kill(): void {
    this.#signal("SIGKILL");
  }

  /** Sends a signal to it and its children. */
  #signal(signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    try {
      Deno.kill(-this.#child.pid, signal);
    } catch {
      // It has ended by itself.
    }
  }

  /** Ends all that there are, at once. */
  static killAll(): void {
    for (const side of sides) side.#kill();
  }
}

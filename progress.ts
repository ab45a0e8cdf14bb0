/**
 * Progress on the terminal: a bar while a pool works, and a table of what its
 * workers did when it is done. An entry point of its own, because it brings
 * libraries along; nothing of this package imports it.
 *
 * - **Where:** on standard error, so that the output of a program stays its own.
 * - **Quiet:** if standard error is no terminal, nothing is drawn.
 * - **Permissions:** none.
 *
 * Runs in the parent.
 *
 * @example Watching a pool
 * ```ts
 * import { Pool } from "@deno-mp/multiprocessing";
 * import { ProgressBar } from "@deno-mp/multiprocessing/progress";
 * // A module of yours: export const square = (x: number) => x * x;
 * import { square } from "./examples/functions.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new Pool(2);
 * using bar = new ProgressBar("squares");
 * const squares = await pool.map(square, [1, 2, 3], {
 *   onProgress: bar.update,
 * });
 * assertEquals(squares, [1, 4, 9]);
 * ```
 *
 * @module
 */
// @ts-types="npm:@types/cli-progress@^3.11.6"
import { SingleBar } from "npm:cli-progress@^3.12.0";
import Table from "npm:cli-table3@^0.6.5";
import process from "node:process";
import type { PoolStatistics, WorkerStatistics } from "./pool/statistics.ts";
import type { Progress } from "./pool/options.ts";

/** Options of a {@linkcode ProgressBar}. */
export interface ProgressBarOptions {
  /**
   * Characters of the bar itself; 0 for none.
   *
   * @default {30}
   */
  width?: number;
  /**
   * Takes each drawing, instead of the terminal.
   *
   * @default {undefined} standard error, if it is a terminal
   */
  draw?: (line: string) => void;
}

/** What draws, and what ends the drawing. */
interface Surface {
  draw(line: string): void;
  end(): void;
}

/** Characters of a bar. */
const WIDTH = 30;

/**
 * A bar that shows how far a job has come. Its {@linkcode ProgressBar.update} is
 * what `onProgress` wants.
 *
 * @example A line at a time
 * ```ts
 * import { ProgressBar } from "@deno-mp/multiprocessing/progress";
 * import { assertEquals } from "@std/assert";
 *
 * const lines: string[] = [];
 * using bar = new ProgressBar("files", {
 *   width: 4,
 *   draw: (line) => lines.push(line),
 * });
 * bar.update({ done: 5, failed: 0, total: 10, rate: 2, etaMs: 2500 });
 * assertEquals(lines, ["files ██░░ 50% 5/10 2.0/s 3 s left"]);
 * ```
 */
export class ProgressBar {
  readonly #title: string;
  readonly #width: number;
  readonly #surface: Surface;

  /**
   * Draws nothing yet.
   *
   * @param title What it is about.
   * @param options How it looks.
   * @throws {RangeError} If the width is not an integer of at least 0.
   */
  constructor(title = "", options: ProgressBarOptions = {}) {
    this.#title = title;
    this.#width = options.width ?? WIDTH;
    if (!Number.isInteger(this.#width) || this.#width < 0) {
      throw new RangeError(
        `Cannot make a progress bar as 'width' must be an integer of at least 0: it is ${
          Deno.inspect(options.width)
        }`,
      );
    }
    this.#surface = options.draw
      ? { draw: options.draw, end: () => {} }
      : terminal();
  }

  /**
   * Draws how far the job has come, and ends the drawing with it. Need not be
   * called as a method. After {@linkcode ProgressBar.end} it does nothing.
   */
  readonly update: (progress: Progress) => void = (progress) => {
    if (this.#isEnded) return;
    this.#surface.draw(barLine(this.#title, this.#width, progress));
    if (progress.done + progress.failed === progress.total) {
      this.#surface.end();
    }
  };
  /** Whether it was said that nothing more is to be drawn. */
  #isEnded = false;

  /**
   * Leaves the last drawing where it is; what is written next comes below, and a
   * job that goes on draws no more. Needed only if it may not come to its end.
   */
  end(): void {
    this.#isEnded = true;
    this.#surface.end();
  }

  /** As {@linkcode ProgressBar.end}. */
  [Symbol.dispose](): void {
    this.end();
  }
}

/**
 * What the workers of a pool did, as a table: those there are, and those that have
 * ended.
 *
 * @example After the work
 * ```ts
 * import { Pool } from "@deno-mp/multiprocessing";
 * import { insights } from "@deno-mp/multiprocessing/progress";
 * import { assertMatch } from "@std/assert";
 *
 * const pool = new Pool(1);
 * pool.close();
 * await pool.join();
 * assertMatch(insights(pool.statistics()), /0 tasks done, 0 failed/);
 * ```
 *
 * @param statistics What `pool.statistics()` gave.
 */
export function insights(statistics: PoolStatistics): string {
  const workers = [...statistics.ended, ...statistics.workers];
  const table = new Table({
    head: COLUMNS.map(([title]) => title),
    colAligns: COLUMNS.map(([, align]) => align),
    style: { head: [], border: [], compact: true },
  });
  table.push(...workers.map(row));
  const { done, failed, cancelled } = statistics.tasks;
  const { started, restarts, lost, recycled, stopped } = statistics;
  return [
    table.toString(),
    `${done} tasks done, ${failed} failed, ${cancelled} cancelled`,
    `${started} workers started, ${restarts} of them as replacements: ${lost} were lost, ${recycled} recycled, ${stopped} stopped`,
    ...usage(workers),
  ].join("\n");
}

/** What is told of each worker. */
const COLUMNS: readonly (readonly [title: string, "left" | "right"])[] = [
  ["worker", "left"],
  ["state", "left"],
  ["tasks", "right"],
  ["busy", "right"],
  ["busy ms", "right"],
  ["waiting ms", "right"],
  ["start-up ms", "right"],
  ["MiB", "right"],
];

function row(worker: WorkerStatistics): string[] {
  return [
    worker.name,
    worker.state,
    String(worker.tasks),
    percent(worker.busyRatio),
    worker.busyMs.toFixed(0),
    worker.waitingMs.toFixed(0),
    worker.startupMs?.toFixed(0) ?? "-",
    worker.memoryMb?.toFixed(1) ?? "-",
  ];
}

/** Whether there were too many workers, or too few. */
function usage(workers: readonly WorkerStatistics[]): string[] {
  const busyMs = workers.reduce((sum, worker) => sum + worker.busyMs, 0);
  const lifeMs = workers.reduce(
    (sum, worker) => sum + worker.waitingMs,
    busyMs,
  );
  if (lifeMs === 0) return [];
  return [
    `the workers were busy for ${percent(busyMs / lifeMs)} of their time`,
  ];
}

function percent(part: number): string {
  return `${Math.round(part * 100)}%`;
}

/**
 * Writes {@linkcode insights} to standard error, if it is a terminal.
 *
 * @example At the end of a block
 * ```ts
 * import { Pool } from "@deno-mp/multiprocessing";
 * import { showInsights } from "@deno-mp/multiprocessing/progress";
 *
 * await using pool = new Pool(1);
 * showInsights(pool.statistics());
 * ```
 *
 * @param statistics What `pool.statistics()` gave.
 */
export function showInsights(statistics: PoolStatistics): void {
  if (!Deno.stderr.isTerminal()) return;
  console.error(insights(statistics));
}

function terminal(): Surface {
  if (!Deno.stderr.isTerminal()) return { draw: () => {}, end: () => {} };
  const bar = new SingleBar({
    stream: process.stderr,
    format: (_options, _params, payload: { line: string }) => payload.line,
    hideCursor: null,
    // The terminal is left as it is found, whatever becomes of this program: a
    // line that is too long is cut here instead.
    linewrap: true,
    gracefulExit: false,
  });
  const inside = bar as unknown as {
    render(): void;
    timer: { unref(): void } | null;
  };
  const { render } = inside;
  inside.render = () => {
    render.call(bar);
    inside.timer?.unref(); // what redraws it must not keep the program alive
  };
  let isStarted = false;
  const end = () => {
    globalThis.removeEventListener("unload", end);
    if (isStarted) bar.stop();
    isStarted = false;
  };
  return {
    draw: (text) => {
      const { columns } = process.stderr; // 0 if the terminal does not know
      const line = columns > 0 ? text.slice(0, columns - 1) : text;
      if (isStarted) return bar.update({ line });
      globalThis.addEventListener("unload", end);
      bar.start(1, 0, { line });
      isStarted = true;
    },
    end,
  };
}

function barLine(title: string, width: number, progress: Progress): string {
  const { done, failed, total, rate, etaMs } = progress;
  const ended = done + failed;
  const parts = [title];
  if (total === null) parts.push(String(ended));
  else {
    const part = ended < total ? ended / total : 1;
    const full = Math.round(part * width);
    parts.push(
      "█".repeat(full) + "░".repeat(width - full),
      `${Math.floor(part * 100)}%`,
      `${ended}/${total}`,
    );
  }
  if (Number.isFinite(rate)) {
    parts.push(`${rate < 100 ? rate.toFixed(1) : Math.round(rate)}/s`);
  }
  if (failed > 0) parts.push(`${failed} failed`);
  if (etaMs !== null && etaMs > 0 && etaMs < Infinity) {
    parts.push(`${span(etaMs)} left`);
  }
  return parts.filter((text) => text !== "").join(" ");
}

/** A length of time for people. */
function span(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

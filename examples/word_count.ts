/**
 * Counts the words of all text files below some folders, in parallel.
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/word_count.ts \
 *   [--method spawn|worker|none] [--processes N] [--compare] [PATH…]
 * ```
 *
 * Without a path it reads this repository. `--method none` counts in this process;
 * `--compare` counts in all three ways and fails if they disagree. Files that cannot
 * be read or are not text are named at the end, and do not stop the rest.
 *
 * @module
 */
import { cpuCount, getContext } from "../mod.ts";
import type { StartMethod } from "../mod.ts";

/** What was found in one file. */
export interface FileCount {
  readonly path: string;
  readonly bytes: number;
  /** Why it was not counted, if it was not. */
  readonly skipped: string | null;
  readonly words: Map<string, number>;
}

/** What was found in all of them. */
interface Summary {
  readonly words: Map<string, number>;
  readonly skipped: FileCount[];
  files: number;
  bytes: number;
  total: number;
  seconds: number;
}

type Method = StartMethod | "none";

interface Options {
  readonly method: Method;
  readonly processes: number;
  readonly compare: boolean;
  readonly paths: string[];
}

/** Letters, digits and what joins them. */
const WORD_REGEXP = /[\p{L}\p{N}_]+(?:['’-][\p{L}\p{N}_]+)*/gu;
/** A zero byte this early means that a file is not text, as in git. */
const BINARY_LOOK_BYTES = 8000;
/** Folders that hold copies of other people's files. */
const SKIPPED_FOLDERS = new Set([".git", "node_modules"]);
/** Words to print. */
const MOST_FREQUENT = 20;
/** Files that go to a worker at once: opening one takes well under 1 ms. */
const FILES_PER_TASK = 8;

/** Counts the words of one file. This is what the workers run. */
export function countFile(path: string): FileCount {
  const words = new Map<string, number>();
  let content: Uint8Array;
  try {
    content = Deno.readFileSync(path);
  } catch (error) {
    const skipped = `cannot be read (${(error as Error).name})`;
    return { path, bytes: 0, skipped, words };
  }
  const bytes = content.byteLength;
  if (content.subarray(0, BINARY_LOOK_BYTES).includes(0)) {
    return { path, bytes, skipped: "is not text", words };
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return { path, bytes, skipped: "is not UTF-8", words };
  }
  for (const [word] of text.toLowerCase().matchAll(WORD_REGEXP)) {
    words.set(word, (words.get(word) ?? 0) + 1);
  }
  return { path, bytes, skipped: null, words };
}

/** All files below a path, sorted, so that every run reads the same. */
function* filesBelow(path: string): Generator<string> {
  const { isDirectory, isFile } = Deno.lstatSync(path);
  if (isFile) yield path;
  if (!isDirectory) return;
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(path)];
  } catch (error) {
    console.error(`Cannot read folder "${path}": ${(error as Error).message}`);
    return;
  }
  for (const { name } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (SKIPPED_FOLDERS.has(name)) continue;
    yield* filesBelow(`${path.replace(/\/$/, "")}/${name}`);
  }
}

async function count(options: Options): Promise<Summary> {
  const startMs = performance.now();
  const files = options.paths.flatMap((path) => [...filesBelow(path)]);
  const summary: Summary = {
    words: new Map(),
    skipped: [],
    files: 0,
    bytes: 0,
    total: 0,
    seconds: 0,
  };
  const progress = new ProgressLine(options.method, files.length);
  for await (const file of countEach(files, options)) {
    add(summary, file);
    progress.show(summary.files + summary.skipped.length);
  }
  progress.clear();
  summary.seconds = (performance.now() - startMs) / 1000;
  return summary;
}

/** The counts of the files, in any order. */
async function* countEach(
  files: string[],
  { method, processes }: Options,
): AsyncGenerator<FileCount> {
  if (method === "none") {
    for (const file of files) yield countFile(file);
    return;
  }
  const ctx = getContext(method);
  await using pool = new ctx.Pool(processes);
  yield* pool.imapUnordered(countFile, files, { chunkSize: FILES_PER_TASK });
}

function add(summary: Summary, file: FileCount): void {
  if (file.skipped !== null) {
    summary.skipped.push(file);
    return;
  }
  summary.files++;
  summary.bytes += file.bytes;
  for (const [word, times] of file.words) {
    summary.total += times;
    summary.words.set(word, (summary.words.get(word) ?? 0) + times);
  }
}

/** One line that is written over and over, if there is a terminal to see it. */
class ProgressLine {
  readonly #name: string;
  readonly #total: number;
  readonly #isShown = Deno.stderr.isTerminal();
  #shownMs = -Infinity;

  constructor(name: string, total: number) {
    this.#name = name;
    this.#total = total;
  }

  show(done: number): void {
    const nowMs = performance.now();
    if (!this.#isShown || nowMs - this.#shownMs < 50) return;
    this.#shownMs = nowMs;
    const percent = Math.floor(100 * done / Math.max(1, this.#total));
    this.#write(
      `\r${this.#name}: ${done} of ${this.#total} files, ${percent}%`,
    );
  }

  clear(): void {
    if (this.#isShown) this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}

function frequent(words: Map<string, number>): [string, number][] {
  return [...words].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

function print(summary: Summary): void {
  const number = (value: number) => value.toLocaleString("en");
  for (const [word, times] of frequent(summary.words).slice(0, MOST_FREQUENT)) {
    console.log(`${number(times).padStart(10)}  ${word}`);
  }
  console.log(
    `${number(summary.total)} words, ${number(summary.words.size)} of them ` +
      `different, in ${number(summary.files)} files of ` +
      `${number(summary.bytes)} bytes`,
  );
  if (summary.skipped.length > 0) {
    console.log(`${number(summary.skipped.length)} files were not counted:`);
    for (const { path, skipped } of summary.skipped) {
      console.log(`  ${path} ${skipped}`);
    }
  }
}

/** What has to be the same however the words were counted. */
function fingerprint({ words, files, bytes, total }: Summary): string {
  return JSON.stringify([files, bytes, total, frequent(words)]);
}

async function compare(options: Options): Promise<boolean> {
  const methods: Method[] = ["none", "worker", "spawn"];
  const summaries: Summary[] = [];
  for (const method of methods) {
    const summary = await count({ ...options, method });
    const where = {
      none: "in this process",
      worker: `in ${options.processes} worker threads`,
      spawn: `in ${options.processes} processes`,
    }[method];
    const seconds = summary.seconds.toFixed(2);
    console.log(`${seconds} s ${where}: ${summary.total} words`);
    summaries.push(summary);
  }
  print(summaries[0]!);
  const isSame = new Set(summaries.map(fingerprint)).size === 1;
  console.log(
    isSame ? "All three totals are equal." : "The three totals differ!",
  );
  return isSame;
}

function readOptions(args: string[]): Options {
  let method: Method = "spawn";
  let processes = cpuCount();
  let isComparing = false;
  const paths: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === "--method") method = methodOf(args[++i]);
    else if (argument === "--processes") processes = numberOf(args[++i]);
    else if (argument === "--compare") isComparing = true;
    else if (argument.startsWith("-")) fail(`there is no option "${argument}"`);
    else paths.push(argument);
  }
  if (paths.length === 0) {
    paths.push(decodeURIComponent(new URL("../", import.meta.url).pathname));
  }
  return { method, processes, compare: isComparing, paths };
}

function methodOf(text: string | undefined): Method {
  if (text === "spawn" || text === "worker" || text === "none") return text;
  return fail(`--method is spawn, worker or none, not "${text}"`);
}

function numberOf(text: string | undefined): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  return fail(`--processes is a whole number of at least 1, not "${text}"`);
}

function fail(message: string): never {
  console.error(`Cannot count words: ${message}`);
  Deno.exit(2);
}

if (import.meta.main) {
  const options = readOptions(Deno.args);
  for (const path of options.paths) {
    try {
      Deno.lstatSync(path);
    } catch (error) {
      fail(`"${path}" cannot be read: ${(error as Error).message}`);
    }
  }
  if (options.compare) {
    if (!await compare(options)) Deno.exit(1);
  } else {
    const summary = await count(options);
    print(summary);
    console.log(`${summary.seconds.toFixed(2)} s`);
  }
}

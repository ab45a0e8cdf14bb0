/**
 * Runs an example as its reader would: with the permissions it documents, nothing on
 * standard input, and each line noted with the time at which it came.
 *
 * Runs in the parent.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { TextLineStream } from "./_lines.ts";

/** A line, and when it came, in milliseconds since the program was started. */
export interface Line {
  readonly text: string;
  readonly ms: number;
}

/** How an example ended, and what it said. */
export interface ExampleEnd {
  readonly code: number;
  readonly lines: readonly Line[];
  /** The texts of the lines. */
  readonly texts: readonly string[];
  readonly stderr: string;
  /** Milliseconds from its start to its end. */
  readonly ms: number;
}

/** An example that takes longer hangs. */
const LIMIT_MS = 60_000;

const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/**
 * Runs an example to its end.
 *
 * @param path Where it is, from `examples/`.
 * @param args Its arguments.
 * @param permissions What it may do.
 */
export async function runExample(
  path: string,
  args: readonly string[] = [],
  permissions: readonly string[] = [
    "--allow-read",
    "--allow-run",
    "--allow-ffi",
  ],
): Promise<ExampleEnd> {
  const startMs = performance.now();
  const sinceStart = () => performance.now() - startMs;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-lock",
      "--no-prompt",
      "--config",
      CONFIG,
      ...permissions,
      new URL(`../../examples/${path}`, import.meta.url).href,
      ...args,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).spawn();
  const lines: Line[] = [];
  const reading = (async () => {
    const stream = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const text of stream) lines.push({ text, ms: sinceStart() });
  })();
  const [stderr, { code }] = await Promise.all([
    new Response(child.stderr).text(),
    child.status,
    reading,
  ]);
  return {
    code,
    lines,
    texts: lines.map(({ text }) => text),
    stderr,
    ms: sinceStart(),
  };
}

/**
 * CPython as the other side: which versions there are, and `fixtures/peer.py` run
 * by one of them.
 *
 * @module
 */
import type { Address } from "../../network/mod.ts";

/** An interpreter. */
export interface Python {
  /** How to start it. */
  readonly path: string;
  /** Its version, such as `3.12`. */
  readonly version: string;
  /** Whether it has nothing but MD5: up to 3.11. */
  readonly isLegacy: boolean;
}

/** Where they are looked for, beside pyenv and `MP_TEST_PYTHONS` (paths, with `:`). */
const NAMES = [
  "python3",
  ..."8 9 10 11 12 13 14".split(" ").map((minor) => `python3.${minor}`),
];

/**
 * The newest of those with MD5 only and the newest of all; or all, oldest first, if
 * `MP_TEST_ALL_PYTHONS` is set.
 */
export async function findPythons(): Promise<Python[]> {
  const all = await findAllPythons();
  if (Deno.env.has("MP_TEST_ALL_PYTHONS")) return all;
  return [
    all.findLast(({ isLegacy }) => isLegacy),
    all.findLast(({ isLegacy }) => !isLegacy),
  ].filter((python) => python !== undefined);
}

async function findAllPythons(): Promise<Python[]> {
  const paths = [
    ...(Deno.env.get("MP_TEST_PYTHONS") ?? "").split(":").filter(Boolean),
    ...installedByPyenv(),
    ...NAMES,
  ];
  const found = new Map<string, Python>();
  for (const path of paths) {
    const version = await versionOf(path);
    if (version === undefined || found.has(version)) continue;
    const [major, minor] = version.split(".").map(Number) as [number, number];
    if (major !== 3 || minor < 7) continue;
    found.set(version, { path, version, isLegacy: minor <= 11 });
  }
  const minorOf = ({ version }: Python) => Number(version.split(".")[1]);
  return [...found.values()].sort((a, b) => minorOf(a) - minorOf(b));
}

function installedByPyenv(): string[] {
  const root = `${
    Deno.env.get("PYENV_ROOT") ?? `${Deno.env.get("HOME")}/.pyenv`
  }/versions`;
  try {
    return [...Deno.readDirSync(root)].map(({ name }) =>
      `${root}/${name}/bin/python3`
    );
  } catch {
    return []; // not installed
  }
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(path, {
      args: [
        "-c",
        "import multiprocessing.connection, sys; print('%d.%d' % sys.version_info[:2])",
      ],
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined; // not there
  }
}

/** `fixtures/peer.py`, running. */
export class PythonPeer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#lines = linesOf(child.stdout);
  }

  /** Starts it with a task. */
  static async start(
    python: Python,
    args: string[],
    key?: Uint8Array,
  ): Promise<PythonPeer> {
    const script = new URL("fixtures/peer.py", import.meta.url).pathname;
    const child = new Deno.Command(python.path, {
      args: ["-u", script, ...args],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const peer = new PythonPeer(child);
    await peer.tell(key?.toHex() ?? "");
    return peer;
  }

  /** Tells it a line. */
  async tell(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** What it tells next. */
  async told(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : JSON.parse(value);
  }

  /** What it tells next, as the address of a listener. */
  async address(): Promise<Address> {
    const address = await this.told() as string | [string, number];
    if (typeof address === "string") return address;
    return { hostname: address[0], port: address[1] };
  }

  /** Ends it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {}); // it has ended
    try {
      this.#child.kill();
    } catch {
      // It has ended.
    }
    while (!(await this.#lines.next()).done);
    await this.#child.status;
  }
}

/** An address as `peer.py` takes it. */
export function forPython(address: Address): string {
  return JSON.stringify(
    typeof address === "string" ? address : [address.hostname, address.port],
  );
}

async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, undefined, undefined> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  return undefined;
}

/**
 * Runs the tests again and again, shuffled, while two other processes burn all the
 * time they get. A test that depends on its neighbours, on luck, or on being quick
 * passes once; it does not pass twenty times like this.
 *
 * Each run has a new seed, which is printed: `deno test -A --shuffle=SEED` repeats
 * the order. It stops at the first run that fails, with its output, or goes on and
 * counts with `--keep-going`. Runs may go side by side, as much of a run is waiting:
 * each is then the load of the others, too.
 *
 * ```sh
 * deno task test:20                          # 20 runs of everything
 * deno task test:20 --at-once=4              # the same, in less than half the time
 * deno task test:20 --runs=100 tests/pool    # 100 runs of some tests
 * ```
 *
 * Run by `deno task test:20`.
 *
 * @module
 */

/** As many as the cores of a small machine, so that the tests get half of it. */
const BURNERS = 2;

/** A run that takes this long hangs: beside burners the whole suite needs half of it. */
const HANG_MS = 60 * 60 * 1000;
/** More runs than this at once, and what is slow cannot be told from what hangs. */
const MOST_AT_ONCE = 4;

/**
 * Burns until its parent has gone: nothing is left behind, even if this program is
 * killed. It looks every few million steps, as asking costs more than a step.
 */
const BURNER = `
  const parent = Deno.ppid;
  while (Deno.ppid === parent) for (let i = 0; i < 1e7; i++);
`;

interface Settings {
  runs: number;
  atOnce: number;
  keepGoing: boolean;
  paths: string[];
}

function readSettings(args: string[]): Settings {
  const settings: Settings = {
    runs: 20,
    atOnce: 1,
    keepGoing: false,
    paths: [],
  };
  for (const arg of args) {
    const [, name, count] = /^--(runs|at-once)=(\d+)$/.exec(arg) ?? [];
    if (name === "runs") settings.runs = Number(count);
    else if (name === "at-once") settings.atOnce = Number(count);
    else if (arg === "--keep-going") settings.keepGoing = true;
    else if (!arg.startsWith("-")) settings.paths.push(arg);
    else throw new TypeError(`Cannot understand "${arg}"`);
  }
  if (settings.atOnce < 1 || settings.atOnce > MOST_AT_ONCE) {
    throw new RangeError(`--at-once is from 1 to ${MOST_AT_ONCE}`);
  }
  return settings;
}

/** Starts a burner; disposing ends it and waits until it has gone. */
function startBurner(): AsyncDisposable {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", BURNER],
    stdin: "null",
  }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        // It has ended by itself.
        if (!(error instanceof TypeError)) throw error;
      }
      await child.status;
    },
  };
}

/** Runs the tests once; gives what they printed if they failed. */
async function runTests(seed: number, paths: string[]): Promise<string | null> {
  const { success, stdout, stderr, signal } = await new Deno.Command(
    Deno.execPath(),
    {
      args: ["test", "--allow-all", `--shuffle=${seed}`, ...paths],
      cwd: `${import.meta.dirname}/..`,
      signal: AbortSignal.timeout(HANG_MS),
      stdin: "null",
    },
  ).output();
  if (success) return null;
  const decoder = new TextDecoder();
  const end = signal === null ? "" : `Ended by ${signal}\n`;
  return decoder.decode(stdout) + decoder.decode(stderr) + end;
}

async function soak(
  { runs, atOnce, keepGoing, paths }: Settings,
): Promise<number> {
  await using burners = new AsyncDisposableStack();
  for (let i = 0; i < BURNERS; i++) burners.use(startBurner());

  let begun = 0;
  let failures = 0;
  const runInTurn = async () => {
    while (begun < runs && (failures === 0 || keepGoing)) {
      const run = ++begun;
      const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
      const start = performance.now();
      const output = await runTests(seed, paths);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      const verdict = output === null ? "ok" : "FAILED";
      console.log(`${run}/${runs}  seed ${seed}  ${verdict}  ${seconds} s`);
      if (output === null) continue;

      failures++;
      console.log(output);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, runInTurn));
  return failures;
}

const settings = readSettings(Deno.args);
const failures = await soak(settings);
console.log(
  failures === 0
    ? `All ${settings.runs} runs passed`
    : `${failures} runs failed`,
);
Deno.exit(failures === 0 ? 0 : 1);

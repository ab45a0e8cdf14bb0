/**
 * One manager, two programs: one serves a board of jobs over TCP, the other connects
 * from wherever it is, with the key, and does the jobs.
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi --allow-net=127.0.0.1 \
 *   examples/shared_manager.ts [--method spawn|worker]
 * ```
 *
 * It starts the second program itself. To see it in two terminals, give the first one
 * the word `serve`: it says what to type in the second.
 *
 * Worth a look: both programs have the same class of managers, which says what there
 * is; only the server makes it. The board is an ordinary object in one place, so it
 * needs no lock. Whoever has the key may call its methods, and cannot make the server
 * run anything else. A client that is killed loses what it held, and nothing else.
 *
 * @module
 */
import { BaseManager, type Remote, setStartMethod } from "../mod.ts";
import { refuse, startMethod, words } from "./_arguments.ts";

/** Jobs to do, and what came of them. It lives in the server only. */
export class Board {
  readonly #jobs: number[] = [];
  readonly #answers = new Map<number, number>();
  #open = 0;

  /** Puts up jobs. */
  add(jobs: number[]): void {
    this.#jobs.push(...jobs);
    this.#open += jobs.length;
  }

  /** Gives the next job, `null` if there is none. */
  take(): number | null {
    return this.#jobs.shift() ?? null;
  }

  /** Takes the answer to a job. */
  answer(job: number, answer: number): void {
    this.#answers.set(job, answer);
    this.#open--;
  }

  /** How many have no answer yet. */
  open(): number {
    return this.#open;
  }

  /** All answers. */
  answers(): Map<number, number> {
    return this.#answers;
  }
}

let board: Board | undefined;

/** The one board there is, however many ask for it. */
export function theBoard(): Board {
  return board ??= new Board();
}

/** What both programs know of the server. */
export class BoardManager extends BaseManager {
  static {
    this.register("Board", { callable: theBoard });
  }
}

/** The job: how many primes there are up to a number. */
function countPrimes(limit: number): number {
  const isComposite = new Uint8Array(limit + 1);
  let count = 0;
  for (let i = 2; i <= limit; i++) {
    if (isComposite[i]) continue;
    count++;
    for (let multiple = i * i; multiple <= limit; multiple += i) {
      isComposite[multiple] = 1;
    }
  }
  return count;
}

/** The first program: serves the board, and waits until all jobs are done. */
async function serve(startsOther: boolean): Promise<void> {
  setStartMethod(startMethod());
  const authkey = crypto.getRandomValues(new Uint8Array(32));
  await using manager = new BoardManager({
    // A free port. For other machines: the name of this one, and a port.
    address: { hostname: "127.0.0.1", port: 0 },
    authkey,
  });
  await manager.start();
  const board: Remote<Board> = await manager.create("Board");
  await board.add([10, 100, 1000, 10_000, 100_000]);

  const { port } = manager.address as { port: number };
  if (startsOther) await runOther(port, authkey.toHex());
  else {
    console.log(
      `Now: echo ${authkey.toHex()} | deno run --allow-net=127.0.0.1 examples/shared_manager.ts use ${port}`,
    );
    while (await board.open() > 0) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  for (const [limit, primes] of await board.answers()) {
    console.log(`${primes} primes up to ${limit}`);
  }
}

/** Runs the second program as somebody else would, and waits for its end. */
async function runOther(port: number, key: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      // All that it needs: it starts nothing, and shares no memory.
      "--allow-net=127.0.0.1",
      import.meta.url,
      "use",
      String(port),
    ],
    stdin: "piped",
  }).spawn();
  // Not among its arguments, which everybody on this machine can read.
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${key}\n`));
  await writer.close();
  const { code } = await child.status;
  if (code !== 0) throw new Error(`The other program has ended with ${code}`);
}

/** The second program: does the jobs. */
async function use(port: number): Promise<void> {
  const key = (await new Response(Deno.stdin.readable).text()).trim();
  await using manager = new BoardManager({
    address: { hostname: "127.0.0.1", port },
    authkey: Uint8Array.fromHex(key),
  });
  await manager.connect();
  const board: Remote<Board> = await manager.create("Board");
  let done = 0;
  let job: number | null;
  while ((job = await board.take()) !== null) {
    await board.answer(job, countPrimes(job));
    done++;
  }
  console.log(`The other program has done ${done} jobs`);
}

async function main(): Promise<void> {
  const [role, port] = words();
  if (role === undefined) await serve(true);
  else if (role === "serve") await serve(false);
  else if (role === "use" && port !== undefined) await use(Number(port));
  else refuse("The first word is serve, or use and the port");
}

if (import.meta.main) await main();

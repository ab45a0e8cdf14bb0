/**
 * A farm of workers that fetch pages from a server which is slow, fails, and sends
 * pages that kill whoever reads them. Each page gets its time and its tries, and
 * nothing that happens to one of them harms another.
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi --allow-net=127.0.0.1 \
 *   examples/worker_farm.ts [--method spawn|worker] [--pages 40]
 * ```
 *
 * The server is part of the program, on a port of this machine.
 *
 * Worth a look: a time limit per page that frees the worker it had been given to
 * (even if that never awaits anything); tries of two kinds, by the pool for workers
 * that died and by the program for answers that were errors; a worker's death told
 * from a page's failure.
 *
 * @module
 */
import {
  getContext,
  type Pool,
  TimeoutError,
  WorkerLostError,
} from "../mod.ts";
import { option, refuse, startMethod } from "./_arguments.ts";

/** What a page may take, from its start in a worker. */
const PAGE_MS = 2000;
/** How often a page is tried again whose answer was an error. */
const TRIES = 3;
/** How often a page is tried again that has killed its worker. */
const RETRIES_OF_DEAD = 1;

/** What became of a page. */
type Outcome = "fetched" | "too slow" | "failed" | "killed its worker";

/** Fetches a page and counts its words. This is what the workers run. */
export async function countWords(url: string): Promise<number> {
  const response = await fetch(url);
  const text = await response.text();
  if (response.status === 503) throw new Error("busy");
  if (!response.ok) throw new Error(`status ${response.status}`);
  // Stands for a parser with a fault: it ends its whole process, or for ever.
  if (text.startsWith("POISON")) Deno.exit(9);
  if (text.startsWith("MAZE")) { while (true) { /* looks for the end */ } }
  return text.split(/\s+/).length;
}

/** A page, with all its tries. */
async function visit(pool: Pool, url: string): Promise<[Outcome, number]> {
  for (let attempt = 1;; attempt++) {
    try {
      const words = await pool.apply(countWords, [url], {
        timeout: PAGE_MS,
        retries: RETRIES_OF_DEAD,
      });
      return ["fetched", words];
    } catch (error) {
      if (error instanceof TimeoutError) return ["too slow", 0];
      if (error instanceof WorkerLostError) return ["killed its worker", 0];
      if ((error as Error).message !== "busy") return ["failed", 0];
      if (attempt === TRIES) return ["failed", 0];
    }
  }
}

/** A server with all that can go wrong, on a free port. */
function serve(isOver: Promise<void>): Deno.HttpServer<Deno.NetAddr> {
  const asked = new Map<string, number>();
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname } = new URL(request.url);
      const number = Number(pathname.slice("/page/".length));
      const times = (asked.get(pathname) ?? 0) + 1;
      asked.set(pathname, times);
      switch (number % 10) {
        case 3: // is there only when asked again
          if (times < TRIES) return new Response("busy", { status: 503 });
          break;
        case 5: // does not answer while anybody would wait for it
          return isOver.then(() => new Response());
        case 7:
          return new Response("POISON");
        case 8:
          return new Response("MAZE");
        case 9:
          return new Response("no such page", { status: 404 });
      }
      return new Response("word ".repeat(number).trim() || "word");
    },
  );
}

async function main(): Promise<void> {
  const ctx = getContext(startMethod());
  const pages = Number(option("--pages", "40"));
  if (!Number.isInteger(pages) || pages < 1) {
    refuse("--pages is a whole number");
  }
  const over = Promise.withResolvers<void>();
  const server = serve(over.promise);
  const url = `http://127.0.0.1:${server.addr.port}/page/`;

  const found = new Map<Outcome, number>();
  let words = 0;
  await using pool = new ctx.Pool(4);
  await Promise.all(
    Array.from({ length: pages }, async (_, i) => {
      const [outcome, count] = await visit(pool, `${url}${i}`);
      found.set(outcome, (found.get(outcome) ?? 0) + 1);
      words += count;
    }),
  );
  for (const [outcome, count] of [...found].sort()) {
    console.log(`${String(count).padStart(4)} ${outcome}`);
  }
  console.log(`${words} words`);
  const { lost, stopped } = pool.statistics();
  console.log(`${lost} workers had died, ${stopped} were stopped`);
  await pool.terminate();
  over.resolve();
  await server.shutdown();
}

if (import.meta.main) await main();

/**
 * One that waits in line gives up in the very moment in which what it waited for
 * comes: those behind it must get it, and it must not.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import type { Context } from "../../contexts/mod.ts";
import { EofError } from "../../mod.ts";
import type { WaitOptions } from "../../mod.ts";
import { contract } from "../_support/contract.ts";

/** Long enough for the others; whoever needs it has missed its wake-up. */
const LONG_MS = 5000;
const BYTES = new Uint8Array(900);

/** Something to wait in line for. */
interface Line {
  /** Waits in line; gives what it took, or `true` if it put something. */
  wait(options: WaitOptions): Promise<unknown>;
  /** The same, blocking. */
  waitSync(options: WaitOptions): unknown;
  /** The same, without waiting. */
  now(): unknown;
  /** Lets one of those in line have what they wait for; they get `outcome`. */
  come(): void;
  readonly outcome: unknown;
  close(): void;
}

const lines: Record<string, (ctx: Context) => Line> = {
  "Queue.get": (ctx) => {
    const queue = new ctx.Queue<string>();
    return {
      wait: (options) => queue.get(options),
      waitSync: (options) => queue.getSync(options),
      now: () => queue.getNowait(),
      come: () => queue.putNowait("x"),
      outcome: "x",
      close: () => queue.close(),
    };
  },
  "Queue.put": (ctx) => {
    const queue = new ctx.Queue<string>(1);
    queue.putNowait("x");
    return {
      wait: (options) => queue.put("x", options).then(() => true),
      waitSync: (options) => (queue.putSync("x", options), true),
      now: () => (queue.putNowait("x"), true),
      come: () => queue.getNowait(),
      outcome: true,
      close: () => queue.close(),
    };
  },
  "Connection.recv": (ctx) => {
    const ends = ctx.Pipe<string>();
    return {
      wait: (options) => ends[0].recv(options),
      waitSync: (options) => ends[0].recvSync(options),
      now: () => ends[0].recvSync({ timeout: 0 }),
      come: () => ends[1].sendSync("x"),
      outcome: "x",
      close: () => ends.forEach((end) => end.close()),
    };
  },
  "Connection.send": (ctx) => {
    const ends = ctx.Pipe<Uint8Array>({ maxBytes: 1000 });
    ends[1].sendSync(BYTES);
    return {
      wait: (options) => ends[1].send(BYTES, options).then(() => true),
      waitSync: (options) => (ends[1].sendSync(BYTES, options), true),
      now: () => (ends[1].sendSync(BYTES, { timeout: 0 }), true),
      come: () => ends[0].recvSync(),
      outcome: true,
      close: () => ends.forEach((end) => end.close()),
    };
  },
  "Lock.acquire": (ctx) => {
    const lock = new ctx.Lock();
    lock.acquireSync();
    return {
      wait: (options) => lock.acquire(options).then(Boolean),
      waitSync: (options) => Boolean(lock.acquireSync(options)),
      now: () => Boolean(lock.acquireSync({ timeout: 0 })),
      come: () => lock.release(),
      outcome: true,
      close: () => {},
    };
  },
  "Semaphore.acquire": (ctx) => {
    const semaphore = new ctx.Semaphore(0);
    return {
      wait: (options) => semaphore.acquire(options).then(Boolean),
      waitSync: (options) => Boolean(semaphore.acquireSync(options)),
      now: () => Boolean(semaphore.acquireSync({ timeout: 0 })),
      come: () => semaphore.release(),
      outcome: true,
      close: () => {},
    };
  },
};

/** Lets all waits that have begun fall asleep. */
async function asleep(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Watches from the start, or a rejection would count as unhandled. */
function stopped(wait: Promise<unknown>): Promise<Error> {
  return assertRejects(() => wait, Error, "stop");
}

/** Who else wants it: those in line already, or those who come a moment later. */
const nexts: Record<string, (line: Line) => () => unknown> = {
  "a call that is in line": (line) => {
    const next = line.wait({ timeout: LONG_MS });
    return () => next;
  },
  "the next call": (line) => () => line.wait({ timeout: LONG_MS }),
  "a blocking call": (line) => () => line.waitSync({ timeout: LONG_MS }),
  "a call that does not wait": (line) => () => line.now(),
};

for (const [name, make] of Object.entries(lines)) {
  for (const [who, next] of Object.entries(nexts)) {
    contract(
      `${name} that is aborted leaves what comes to ${who}`,
      async (ctx) => {
        const line = make(ctx);
        const abort = new AbortController();
        const first = stopped(line.wait({ signal: abort.signal }));
        const second = next(line);
        await asleep();
        abort.abort(new Error("stop"));
        line.come();
        assertEquals(await second(), line.outcome);
        await first;
        line.close();
      },
    );
  }
}

contract("A loop gets what a get() before it leaves", async (ctx) => {
  const queue = new ctx.Queue<string>();
  const abort = new AbortController();
  const first = stopped(queue.get({ signal: abort.signal }));
  const loop = queue[Symbol.asyncIterator]().next();
  await asleep();
  abort.abort(new Error("stop"));
  queue.putNowait("x");
  assertEquals((await loop).value, "x");
  await first;
  queue.close();
});

contract(
  "The end of file reaches those behind one that gives up",
  async (ctx) => {
    const [here, there] = ctx.Pipe<string>();
    const abort = new AbortController();
    const first = stopped(here.recv({ signal: abort.signal }));
    const second = assertRejects(
      () => here.recv({ timeout: LONG_MS }),
      EofError,
    );
    await asleep();
    abort.abort(new Error("stop"));
    there.close();
    await second;
    await first;
    here.close();
  },
);

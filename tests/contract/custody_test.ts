/**
 * A handle in a message counts as held, so that nobody takes the other end for
 * gone. Here are the messages that nobody gets, in each way in which that comes
 * about: what was in them must not be held for ever.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import {
  EncodingError,
  EofError,
  ProcessError,
  QueueFullError,
} from "../../errors.ts";
import { toMessage } from "../../primitives/to_wire.ts";
import { emptied } from "../../primitives/wire.ts";
import { assertAllSucceed, start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import {
  collect,
  putAndStay,
  putUnknown,
  stayWith,
} from "../fixtures/carriers.ts";
import { ignore } from "../fixtures/plain.ts";

/** Survivors have to hear of a death after so long. */
const SOON_MS = 2000;
const SHORT_MS = 50;

for (const carrier of ["queue", "pipe"] as const) {
  for (const fate of ["returns", "is killed"] as const) {
    contract(
      `A connection left in a ${carrier} is closed when the last who has that ${fate}`,
      async (ctx) => {
        const [here, there] = ctx.Pipe<string>();
        const queue = new ctx.Queue<unknown>();
        const [one, other] = ctx.Pipe<unknown>();
        const ready = SharedGate.in(ctx);
        if (carrier === "queue") await queue.put(there);
        else await one.send(there);
        there.close();
        const child = fate === "returns"
          ? start(ctx, ignore, queue, other)
          : start(ctx, stayWith, ready, queue, other);
        for (const mine of [queue, one, other]) mine.close();
        if (fate === "is killed") {
          await ready.reaches(1, "the child has it");
          child.kill();
        }
        await child.exited;
        await assertRejects(() => here.recv({ timeout: SOON_MS }), EofError);
        here.close();
      },
    );
  }
}

/** How a put that waits for room comes to nothing. */
const ends = {
  "its time is up": [QueueFullError, SHORT_MS, () => {}],
  "it is aborted": [Error, undefined, (abort) => abort()],
  "the queue is closed": [ProcessError, undefined, (_, close) => close()],
} satisfies Record<string, [
  new (...args: never[]) => Error,
  number | undefined,
  (abort: () => void, close: () => void) => void,
]>;

for (const [why, [error, timeout, end]] of Object.entries(ends)) {
  contract(
    `What was in a put is given up, and all hear of it, when ${why}`,
    async (ctx) => {
      const full = new ctx.Queue<unknown>(1);
      await full.put("full");
      const [here, there] = ctx.Pipe<string>();
      const jobs = new ctx.Queue<number>();
      const worker = start(ctx, collect, jobs);
      const abort = new AbortController();
      const put = assertRejects(
        () => full.put([there, jobs], { timeout, signal: abort.signal }),
        error,
      );
      there.close();
      jobs.close();
      const eof = assertRejects(() => here.recv(), EofError);
      end(() => abort.abort(new Error("stop")), () => full.close());
      await put;
      await eof;
      await assertAllSucceed([worker]);
      here.close();
      full.close();
    },
  );
}

contract(
  "What was in the put of a killed child, which waited for room, is given up",
  async (ctx) => {
    const full = new ctx.Queue<unknown>(1);
    await full.put("full");
    const [here, there] = ctx.Pipe<string>();
    const jobs = new ctx.Queue<number>();
    const worker = start(ctx, collect, jobs);
    const ready = SharedGate.in(ctx);
    const child = start(ctx, putAndStay, full, [there, jobs], ready);
    there.close();
    jobs.close();
    await ready.reaches(1, "the put waits");
    child.kill();
    await child.exited;
    await assertRejects(() => here.recv({ timeout: SOON_MS }), EofError);
    await assertAllSucceed([worker]);
    assertEquals(full.qsize(), 1);
    here.close();
    full.close();
  },
);

contract(
  "What waited for room arrives, though who put it has closed its own",
  async (ctx) => {
    const full = new ctx.Queue<unknown>(1);
    await full.put("full");
    const [here, there] = ctx.Pipe<string>();
    const put = full.put(there);
    there.close();
    assertEquals(await full.get(), "full");
    await put;
    const received = await full.get() as typeof there;
    await here.send("hello");
    assertEquals(await received.recv(), "hello");
    received.close();
    await assertRejects(() => here.recv(), EofError);
    here.close();
    full.close();
  },
);

for (const order of ["before", "after"] as const) {
  contract(
    `A connection is closed that came ${order} something unknown`,
    async (ctx) => {
      using queue = new ctx.Queue<unknown>();
      const [here, there] = ctx.Pipe<string>();
      const child = start(ctx, putUnknown, queue, there, order);
      there.close();
      await assertAllSucceed([child]);
      await assertRejects(() => queue.get(), EncodingError, "Unheard");
      await assertRejects(() => here.recv({ timeout: SOON_MS }), EofError);
      here.close();
    },
  );
}

contract(
  "EncodingError says where in a value the closed handle is",
  async (ctx) => {
    using queue = new ctx.Queue<unknown>();
    const [here, there] = ctx.Pipe<string>();
    there.close();
    const error = await assertRejects(
      () => queue.put({ ends: [here, there] }),
      EncodingError,
      "handle is closed",
    );
    assertEquals(error.path, "item.ends[1]");
    here.close();
  },
);

contract(
  "A message that is only looked at gives up what comes in it",
  async (ctx) => {
    const [here, there] = ctx.Pipe<string>();
    const target = { kind: ctx.getStartMethod() };
    const { parts } = toMessage({ there, text: "seen" }, target, "value");
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    there.close();
    const value = emptied(bytes) as { there: typeof there; text: string };
    assertEquals(value.text, "seen");
    await assertRejects(() => value.there.send("closed"), ProcessError);
    await assertRejects(() => here.recv(), EofError);
    here.close();
  },
);

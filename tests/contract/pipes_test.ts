/**
 * Pipes, connections and `wait()` between real children of both start methods.
 * What one process can see by itself is tested in `tests/primitives/`.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { BufferTooShortError, EofError, ProcessError } from "../../errors.ts";
import type { Connection } from "../../primitives/mod.ts";
import { assertAllSucceed, several, start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import {
  echo,
  exchange,
  patterned,
  pollAndLeave,
  receiveOne,
  reportEnd,
  sendAll,
  sendAndStay,
  sendInStep,
  sendNumbered,
  useConnections,
} from "../fixtures/carriers.ts";
import { setOnce } from "../fixtures/sharers.ts";
import { waitFor } from "../fixtures/targets.ts";

/** Waited out in full, so short. */
const SHORT_MS = 100;
/** How much of that a clock may swallow. */
const TOLERANCE_MS = 20;
/** Only ends what would hang. */
const LONG_MS = 30_000;
/** A survivor has to hear of a death after so long. */
const SOON_MS = 1000;
const LARGE_BYTES = 16 * 1024 * 1024;
/** What both ends send at once. */
const EXCHANGED_BYTES = 64 * 1024 * 1024;
const WRITERS = 4;
const MESSAGES = 10;

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

for (const blocks of [false, true]) {
  const how = blocks ? "a child that blocks" : "a child";
  contract(
    `CONN-01 CONN-03 Connection to ${how} carries values and bytes both ways`,
    async (ctx) => {
      const [connection, childs] = ctx.Pipe<unknown>();
      const child = start(ctx, echo, childs, blocks);
      childs.close(); // while the child still starts
      assertEquals(
        await connection.sendBytes(encode("hello world")),
        undefined,
      );
      assertEquals(decode(await connection.recvBytes()), "hello world");

      const numbers = Int32Array.of(0, 1, 2, 3);
      const buffer = new Int32Array(10);
      await connection.sendBytes(numbers);
      assertEquals(await connection.recvBytesInto(buffer, 12), 16);
      assertEquals([...buffer], [0, 0, 0, 0, 1, 2, 3, 0, 0, 0]);
      const long = encode("x".repeat(110));
      await connection.sendBytes(long);
      const error = await assertRejects(
        () => connection.recvBytesInto(buffer),
        BufferTooShortError,
      );
      assertEquals(error.buffer, long);

      assertEquals(await connection.poll(), false);
      assertEquals(await connection.poll({ timeout: -1 }), false);
      const from = performance.now();
      assertEquals(await connection.poll({ timeout: SHORT_MS }), false);
      assert(performance.now() - from >= SHORT_MS - TOLERANCE_MS);
      await connection.send(null);
      assertEquals(await connection.poll({ timeout: LONG_MS }), true);
      assertEquals(await connection.recv(), null);
      assertEquals(await connection.send([1, 2.25, null]), undefined);
      assertEquals(await connection.recv(), [1, 2.25, null]);

      const large = patterned(LARGE_BYTES);
      await connection.sendBytes(large);
      const back = await connection.recvBytes();
      assert(isSame(back, large));

      await connection.sendBytes(new Uint8Array());
      await assertAllSucceed([child]);
      assertEquals([connection.readable, connection.writable], [true, true]);
      await assertRejects(() => connection.recv(), EofError);
      await assertRejects(() => connection.recvBytes(), EofError);
    },
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer);
  const [x, y] = [words(a), words(b)];
  return x.length === y.length && x.every((word, i) => word === y[i]);
}

contract(
  "CONN-02 CONN-08 Connection of one direction goes to a child, and is closed by using",
  async (ctx) => {
    const [reader, writer] = ctx.Pipe<unknown>({ duplex: false });
    {
      using ours = reader;
      using theirs = writer;
      assertEquals([ours.readable, ours.writable], [true, false]);
      assertEquals([theirs.readable, theirs.writable], [false, true]);
      const child = start(ctx, sendAll, theirs, [1729]);
      assertEquals(await ours.recv(), 1729);
      await assertRejects(() => ours.send(1), ProcessError);
      await assertRejects(() => theirs.recv(), ProcessError);
      await assertAllSucceed([child]);
    }
    assertEquals([reader.closed, writer.closed], [true, true]);
    await assertRejects(() => reader.recv(), ProcessError, "handle is closed");
  },
);

contract(
  "CONN-X1 LESSON-33 Connection is at its end when the only writer ends",
  async (ctx) => {
    const [reader, writer] = ctx.Pipe<string>({ duplex: false });
    const [control, childs] = ctx.Pipe<string>();
    const report = Mailbox.in<string>(ctx);
    const child = start(ctx, reportEnd, reader, report);
    const other = start(ctx, sendAll, writer, ["a", "b"]);
    for (const end of [reader, writer]) end.close();
    await assertAllSucceed([other, child]);
    assertEquals(report.drain(), ["a", "b", "end"]);
    // The end is ready to be read; and a send to nobody fails.
    const last = start(ctx, sendAll, childs, []);
    childs.close();
    await assertAllSucceed([last]);
    assertEquals(await control.poll({ timeout: LONG_MS }), true);
    await assertRejects(() => control.recv(), EofError);
    await assertRejects(() => control.send("x"), Deno.errors.BrokenPipe);
  },
);

contract(
  "POLL-01 POLL-02 Connection.poll() announces each message of a child",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe();
    const messages = ["hello", "", "a", "b", "", "bye", "", "lop"];
    const received = SharedGate.in(ctx);
    const child = start(ctx, sendInStep, theirs, messages, received);
    for (const message of messages) {
      while (!await ours.poll({ timeout: 10 }));
      assertEquals(ours.pollSync(), true, "it is still there");
      assertEquals(decode(await ours.recvBytes()), message);
      assertEquals(ours.pollSync(), false);
      received.arrive();
    }
    await assertAllSucceed([child]);
  },
);

contract("POLL-03 Connection.poll() in a child takes nothing", async (ctx) => {
  const [ours, theirs] = ctx.Pipe();
  const here = SharedGate.in(ctx);
  const child = start(ctx, pollAndLeave, ours, here);
  await here.reaches(1, "the child polls the same end");
  await theirs.sendBytes(encode("first"));
  await theirs.sendBytes(encode("second"));
  await assertAllSucceed([child]);
  assertEquals(decode(await ours.recvBytes()), "first");
  assertEquals(decode(await ours.recvBytes()), "second");
  // One that is killed in it takes nothing either.
  const victim = start(ctx, pollAndLeave, ours, here);
  await here.reaches(2, "another polls");
  victim.kill();
  await victim.exited;
  await theirs.sendBytes(encode("third"));
  assertEquals(decode(await ours.recvBytes()), "third");
});

contract(
  "POLL-04 LESSON-30 Connection does not merge what a child sends",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe();
    assertEquals(ours.pollSync(), false);
    const received = SharedGate.in(ctx);
    received.set(3);
    const child = start(ctx, sendInStep, theirs, ["a", "b", "cd"], received);
    await assertAllSucceed([child]);
    for (const message of ["a", "b", "cd"]) {
      assertEquals(await ours.poll({ timeout: LONG_MS }), true);
      assertEquals(await ours.poll(), true);
      assertEquals(decode(await ours.recvBytes()), message);
    }
  },
);

contract(
  "PICK-02 Connection is sent to a running child, either end",
  async (ctx) => {
    const [control, childs] = ctx.Pipe<unknown>();
    const child = start(
      ctx,
      useConnections,
      childs as Connection<Connection<string>>,
    );
    childs.close();
    const [reader, writer] = ctx.Pipe<string>({ duplex: false });
    await control.send(writer);
    writer.close();
    assertEquals(await reader.recv(), "all is well");
    const [reader2, writer2] = ctx.Pipe<string>({ duplex: false });
    await control.send(reader2);
    reader2.close();
    await writer2.send("foobar");
    assertEquals(await control.recv(), "foobarfoobar");
    await assertAllSucceed([child]);
  },
);

contract(
  "LESSON-09 Connection to a killed child is at its end, after its last message",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe<string>();
    const here = SharedGate.in(ctx);
    const child = start(ctx, sendAndStay, theirs, here);
    theirs.close();
    await here.reaches(1, "the child has sent");
    const from = performance.now();
    child.kill();
    assertEquals(await ours.recv(), "the last words");
    await assertRejects(() => ours.recv(), EofError);
    assert(performance.now() - from < SOON_MS);
    await child.exited;
  },
);

contract(
  "CONN-01 QUEUE-01 large arrays arrive in buffers of their own, through both",
  async (ctx) => {
    const large = Float64Array.from({ length: LARGE_BYTES / 8 }, (_, i) => i);
    const { buffer } = large.slice(0, 5000);
    const sent = {
      large,
      among: ["a", buffer, { part: new Float64Array(buffer, 8, 2) }],
      odd: patterned(LARGE_BYTES + 4),
    };
    const check = ({ large, among: [text, own, { part }], odd }: {
      large: Float64Array;
      among: [string, ArrayBuffer, { part: Float64Array }];
      odd: Uint8Array;
    }) => {
      assert(large.every((value, i) => value === i));
      assertEquals(large.buffer.byteLength, LARGE_BYTES);
      assert(isSame(odd, patterned(LARGE_BYTES + 4)));
      assertEquals([text, own.byteLength], ["a", buffer.byteLength]);
      assertStrictEquals(part.buffer, own);
      assertEquals([...part], [1, 2]);
    };
    const [connection, childs] = ctx.Pipe<unknown>();
    const child = start(ctx, echo, childs, false);
    childs.close();
    await connection.send(sent);
    check(await connection.recv() as Parameters<typeof check>[0]);
    await connection.sendBytes(new Uint8Array());
    await assertAllSucceed([child]);
    using queue = new ctx.Queue<unknown>();
    await queue.put(sent);
    check(await queue.get() as Parameters<typeof check>[0]);
  },
);

contract(
  "Connection.recvBytes() leaves a value for whoever receives next, in any process",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe<unknown>();
    const report = Mailbox.in(ctx);
    await ours.send("first");
    await assertRejects(() => theirs.recvBytes(), ProcessError, "still there");
    assertThrows(() => theirs.recvBytesSync(), ProcessError, "still there");
    assert(await theirs.poll());
    await ours.send("second");
    const child = start(ctx, receiveOne, theirs, report);
    theirs.close();
    assertEquals(await report.take("what the child received"), "first");
    await assertAllSucceed([child]);
    ours.close();
  },
);

contract(
  "Connection.poll() checks its limits also when it is ready",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe<unknown>();
    await ours.send("ready");
    const stop = AbortSignal.abort(new Error("stop"));
    await assertRejects(() => theirs.poll({ signal: stop }), Error, "stop");
    await assertRejects(() => theirs.poll({ timeout: NaN }), RangeError, "NaN");
    assertThrows(() => theirs.pollSync({ signal: stop }), Error, "stop");
    assertThrows(() => theirs.pollSync({ timeout: NaN }), RangeError, "NaN");
    // @ts-expect-error: as in Python
    await assertRejects(() => theirs.poll(0.5), TypeError, "{ timeout: 0.5 }");
    ours.close();
    theirs.close();
  },
);

contract(
  "LESSON-31 Connection lets both ends send 64 MiB at once",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe();
    const child = start(ctx, exchange, theirs, EXCHANGED_BYTES);
    await exchange(ours, EXCHANGED_BYTES);
    await assertAllSucceed([child]);
  },
);

// ---- wait() -----------------------------------------------------------------

for (const [row, slow] of [["WAIT-01", false], ["WAIT-03", true]] as const) {
  const how = slow ? "slow children" : "children";
  contract(
    `${row} LESSON-32 wait() serves ${how} until their end`,
    async (ctx) => {
      const children = [];
      let readers = [];
      for (let i = 0; i < WRITERS; i++) {
        const [reader, writer] = ctx.Pipe<[number, number]>({ duplex: false });
        children.push(start(ctx, sendNumbered, writer, i, MESSAGES, slow));
        writer.close();
        readers.push(reader);
      }
      const messages: string[] = [];
      while (readers.length > 0) {
        for (const reader of await ctx.wait(readers)) {
          try {
            messages.push((await reader.recv()).join(" "));
          } catch (error) {
            if (!(error instanceof EofError)) throw error;
            reader.close();
            readers = readers.filter((other) => other !== reader);
          }
        }
      }
      const expected = Array.from(
        { length: WRITERS * MESSAGES },
        (_, i) => `${i % MESSAGES} ${Math.floor(i / MESSAGES)}`,
      );
      assertEquals(messages.sort(), expected.sort());
      await assertAllSucceed(children);
    },
  );
}

contract(
  "WAIT-05 WAIT-07 wait() gives nothing in vain, as long as it is told",
  async (ctx) => {
    const [a, b] = ctx.Pipe<string>();
    const from = performance.now();
    assertEquals(await ctx.wait([a, b], { timeout: SHORT_MS }), []);
    const tookMs = performance.now() - from;
    assert(tookMs >= SHORT_MS - TOLERANCE_MS);
    assertEquals(await ctx.wait([a], { timeout: -1 }), []);
    await b.send("hello");
    assertEquals(await ctx.wait([a, b], { timeout: LONG_MS }), [a]);
  },
);

contract(
  "wait() is ended by its signal also if another takes what came",
  async (ctx) => {
    const [a, b] = ctx.Pipe<number>();
    const controller = new AbortController();
    const waiting = ctx.wait([a], { signal: controller.signal });
    const taken = a.recv().then(() => controller.abort());
    await b.send(1);
    await taken;
    // Whoever was faster: if nothing is left, it has been given up.
    const outcome = await waiting.catch((error) => error.name);
    assert(outcome === "AbortError" || outcome.length === 1, outcome);
    a.close();
    b.close();
  },
);

contract(
  "WAIT-06 WAIT-X1 wait() gives all that are ready, sentinels too, in order",
  async (ctx) => {
    const [a, b] = ctx.Pipe<null>();
    const queue = new ctx.Queue<number>();
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const child = start(ctx, waitFor, here, go);
    const objects = [a, child.sentinel, b, queue];
    assertEquals(await ctx.wait(objects, { timeout: 0 }), []);
    go.set();
    const ready = await ctx.wait(objects, { timeout: LONG_MS });
    assertEquals(ready.length, 1);
    assertStrictEquals(ready[0], child.sentinel);
    await a.send(null);
    assertEquals((await ctx.wait(objects, { timeout: LONG_MS })).length, 2);
    await b.send(null);
    await queue.put(1);
    const all = await ctx.wait(objects, { timeout: LONG_MS });
    assertEquals(all.map((one) => objects.indexOf(one)), [0, 1, 2, 3]);
    await assertAllSucceed([child]);
  },
);

contract(
  "WAIT-X1 LESSON-32 wait() takes the end of a killed child's pipe for ready",
  async (ctx) => {
    const [ours, theirs] = ctx.Pipe<string>();
    const here = SharedGate.in(ctx);
    const event = new ctx.Event();
    const children = several(
      2,
      (i) =>
        i === 0
          ? start(ctx, sendAndStay, theirs, here)
          : start(ctx, setOnce, event, here),
    );
    theirs.close();
    await here.reaches(1, "the child has sent");
    await ours.recv();
    const waiting = ctx.wait([ours], { timeout: LONG_MS });
    children[0]!.kill();
    assertEquals(await waiting, [ours]);
    await assertRejects(() => ours.recv(), EofError);
    await children[0]!.exited;
    await assertAllSucceed([children[1]!]);
  },
);

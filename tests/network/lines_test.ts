/**
 * What waits in line in a connection: messages that nobody has received, frames
 * that are not written.
 *
 * @module
 */
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { TimeoutError } from "../../errors.ts";
import { Fifo } from "../../network/_fifo.ts";
import type { FrameReader } from "../../network/_frames.ts";
import { Inbox } from "../../network/_inbox.ts";
import { Outbox } from "../../network/_outbox.ts";
import { until } from "../_support/gate.ts";

/** Hundreds of thousands, as a program has that is slow to receive. */
const MESSAGES = 400_000;
/** So many of them are received. */
const RECEIVED = 20_000;
/** For those, a hundred times what they take; they took ten times as much. */
const RECEIVED_MS = 3_000;
/** Frames that wait behind one that is being written. */
const FRAMES = 1000;

Deno.test("Fifo gives what was put in, in order, also when it is used on and on", () => {
  const fifo = new Fifo<number>();
  assertEquals(fifo.take(), undefined);
  let next = 0;
  let expected = 0;
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 30; i++) fifo.push(next++);
    for (let i = 0; i < 20 + round % 15; i++) {
      if (fifo.size === 0) break;
      assertEquals(fifo.first, expected);
      assertEquals(fifo.take(), expected++);
    }
    assertEquals(fifo.size, next - expected);
  }
  assertEquals(
    fifo.takeAll(),
    Array.from({ length: next - expected }, (_, i) => expected + i),
  );
  assertEquals([fifo.size, fifo.first], [0, undefined]);
  for (let i = 0; i < 10; i++) fifo.push(i);
  fifo.take();
  fifo.keepOnly((n) => n % 2 === 0);
  assertEquals(fifo.takeAll(), [2, 4, 6, 8]);
});

Deno.test(`Inbox gives each of ${MESSAGES} messages as fast as one of a few`, async () => {
  let sent = 0;
  const reader = {
    isAtEnd: false,
    stop() {},
    async next() {
      if (sent++ < MESSAGES) return new Uint8Array();
      return await new Promise<never>(() => {});
    },
  };
  const inbox = new Inbox(
    reader as unknown as FrameReader,
    Infinity,
    () => {},
    () => {},
  );
  // As one whose writes hang reads on.
  inbox.writing(true);
  await until(() => sent > MESSAGES, "all messages were read");
  const before = performance.now();
  for (let i = 0; i < RECEIVED; i++) inbox.drop();
  assertLess(performance.now() - before, RECEIVED_MS);
  inbox.close();
});

Deno.test("Outbox sends in order what was not taken back", async () => {
  const written: number[] = [];
  const opened = Promise.withResolvers<void>();
  const outbox = new Outbox({
    async write(bytes) {
      await opened.promise;
      written.push(...bytes);
      return bytes.byteLength;
    },
  }, () => {});
  const expected: number[] = [];
  const sending: Promise<void>[] = [];
  const givingUp: Promise<unknown>[] = [];
  for (let i = 0; i < FRAMES; i++) {
    const frame = Uint8Array.of(i);
    // Mostly, so that their places are given back, too.
    if (i % 3 !== 0) {
      const sent = outbox.send(frame, { timeout: 1 });
      givingUp.push(
        assertRejects(() => sent, TimeoutError, "nothing was sent"),
      );
      continue;
    }
    expected.push(i & 0xff);
    sending.push(outbox.send(frame));
  }
  await Promise.all(givingUp);
  opened.resolve();
  await Promise.all(sending);
  assertEquals(written, expected);
  assertEquals(outbox.isBusy, false);
});

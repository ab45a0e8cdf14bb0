/**
 * `SocketConnection`: the rows CONN, POLL and WAIT that apply to
 * sockets, and LESSON-30 to 32.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BufferTooShortError,
  EncodingError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../../errors.ts";
import { headerOf } from "../../network/_frames.ts";
import { Client, Listener, recvJson, sendJson } from "../../network/mod.ts";
import type { AnyConnection, SocketConnection } from "../../network/mod.ts";
import { Pipe } from "../../primitives/pipe.ts";
import { wait } from "../../primitives/wait.ts";
import { until } from "../_support/gate.ts";
import {
  anywhere,
  ascii,
  FAMILIES,
  framed,
  openFiles,
  pair,
  RawPeer,
  text,
} from "./_peers.ts";

const MIB = 1024 ** 2;
/** What both ends send at once. */
const BOTH_WAYS_BYTES = 64 * MIB;
/** Messages that both ends send before either receives, in all 16 MiB. */
const BOTH_WAYS_MESSAGES = 256;
/** Milliseconds that are over before a timer could be set. */
const TINY_TIMEOUTS = [Number.MIN_VALUE, 1e-4];
/** Messages that are sent without any time, each of which has to go out. */
const ATTEMPTS = 500;
/** More than the system's buffers take. */
const ANSWER_BYTES = 4_000_000;
/** More connections than are kept open for a farewell. */
const FAREWELLS = 300;
/** Only ends what would hang for ever. */
const HANG_MS = 30_000;
const ALPHABET = ascii("abcdefghijklmnopqrstuvwxyz");

// The first pipe opens the system's library, which stays open; not in a test, for
// which that would be a leak.
for (const end of Pipe()) end.close();

for (const family of FAMILIES) {
  Deno.test(`CONN-01 values and bytes arrive as they were sent (${family})`, async () => {
    using ends = await pair(family);
    const { here, there } = ends;
    const list = [1, 2.5, null, "three", [undefined, 10n ** 30n]];
    await here.send(list);
    assertEquals(await there.recv(), list);

    await here.sendBytes(ascii("hello world"));
    assertEquals(text(await there.recvBytes()), "hello world");

    const numbers = Int32Array.of(0, 1, 2, 3);
    const room = new Int32Array(10);
    await here.sendBytes(numbers);
    assertEquals(await there.recvBytesInto(room), 16);
    assertEquals([...room], [0, 1, 2, 3, 0, 0, 0, 0, 0, 0]);

    room.fill(0);
    await here.sendBytes(numbers);
    assertEquals(await there.recvBytesInto(room, 12), 16);
    assertEquals([...room], [0, 0, 0, 0, 1, 2, 3, 0, 0, 0]);

    const long = new Uint8Array(110).fill(7);
    await here.sendBytes(long);
    const error = await assertRejects(
      () => there.recvBytesInto(room),
      BufferTooShortError,
    );
    assertEquals(error.buffer, long);
    assertEquals(await there.poll(), false);
  });

  Deno.test(`CONN-01 16 MiB come back as they were sent (${family})`, async () => {
    using ends = await pair<Uint8Array>(family);
    const { here, there } = ends;
    const big = new Uint8Array(16 * MIB);
    for (let i = 0; i < big.length; i += 1021) big[i] = i;
    const echoing = there.recvBytes().then((bytes) => there.sendBytes(bytes));
    await here.sendBytes(big);
    assert(equal(await here.recvBytes(), big));
    await echoing;
    const sending = here.send(big);
    assert(equal(await there.recv(), big));
    await sending;
  });

  Deno.test(`CONN-X1 the end: data first, then EofError, and poll() true (${family})`, async () => {
    using ends = await pair(family);
    const { here, there } = ends;
    await there.send("last words");
    there.close();
    assertEquals(await here.recv(), "last words");
    assert(await here.poll({ timeout: Infinity }));
    await assertRejects(() => here.recv(), EofError);
    await assertRejects(() => here.recvBytes(), EofError);
    await assertRejects(() => here.recvBytesInto(new Uint8Array(1)), EofError);
    assert(here.readable && here.writable && !here.closed);
    await assertRejects(async () => {
      // The first may still be taken by the system.
      for (;;) await here.send("into the void");
    }, Deno.errors.BrokenPipe);
  });

  Deno.test(`CONN-X1 a peer that vanishes in the middle of a message is an error (${family})`, async () => {
    using listener = new Listener(
      family === "AF_INET" ? { port: 0 } : undefined,
    );
    for (
      const part of [framed("0123456789").subarray(0, 9), Uint8Array.of(0, 0)]
    ) {
      const peer = await RawPeer.connect(listener.address);
      using here = await listener.accept();
      await peer.writeMessage("whole");
      await peer.write(part);
      peer[Symbol.dispose]();
      assertEquals(text(await here.recvBytes()), "whole");
      await assertRejects(
        () => here.recvBytes(),
        ProcessError,
        "got end of file during message",
      );
      assert(await here.poll());
    }
  });

  Deno.test(`CONN-X1 a peer that hangs up on what it did not read is an end (${family})`, async () => {
    using listener = new Listener(
      family === "AF_INET" ? { port: 0 } : undefined,
    );
    const peer = await RawPeer.connect(listener.address);
    using here = await listener.accept();
    await here.sendBytes(new Uint8Array(100));
    peer[Symbol.dispose]();
    await assertRejects(() => here.recvBytes(), EofError);
  });

  Deno.test(`CONN-X1 close() loses nothing of what was sent to one that keeps on sending (${family})`, async () => {
    using listener = new Listener(anywhere(family), { maxMessageBytes: MIB });
    using peer = await RawPeer.connect(listener.address);
    const here = await listener.accept();
    const frame = framed(new Uint8Array(64 * 1024));
    const flooding = (async () => {
      while (true) await peer.write(frame);
    })().catch(() => {}); // until the other end is closed
    // As many as the system takes of what nobody reads yet.
    let sent = 0;
    await assertRejects(async () => {
      for (;; sent++) {
        await here.sendBytes(new Uint8Array(64 * 1024), 0, undefined, {
          timeout: 50,
        });
      }
    }, TimeoutError);
    here.close();
    let received = 0;
    try {
      while (await peer.readMessage()) received++;
    } catch (error) {
      assertInstanceOf(error, Deno.errors.ConnectionReset);
    }
    assertGreaterOrEqual(received, sent);
    peer[Symbol.dispose]();
    await flooding;
  });

  Deno.test(`CONN-X1 close() is the end for one that sends, after all that was sent (${family})`, async () => {
    using ends = await pair<string>(family);
    const { here, there } = ends;
    await there.send("request");
    // More than is read ahead.
    const flooding = Array.from(
      { length: 8 },
      () => there.sendBytes(new Uint8Array(512 * 1024)).catch((error) => error),
    );
    assertEquals(await here.recv(), "request");
    const answer = new Uint8Array(ANSWER_BYTES).fill(7);
    await here.sendBytes(answer);
    await here.send("and goodbye");
    here.close();
    assert(equal(await there.recvBytes(), answer));
    assertEquals(await there.recv(), "and goodbye");
    await assertRejects(() => there.recv(), EofError);
    await Promise.all(flooding);
    await assertRejects(
      () => there.send("into the void"),
      Deno.errors.BrokenPipe,
    );
  });

  Deno.test(`CONN-X1 close() is the end at once for what is being sent (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    using _peer = await RawPeer.connect(listener.address);
    const here = await listener.accept();
    const sending = assertRejects(
      () => here.sendBytes(new Uint8Array(BOTH_WAYS_BYTES)),
      ProcessError,
      "handle is closed",
    );
    const waiting = assertRejects(
      () => here.recv(),
      ProcessError,
      "handle is closed",
    );
    here.close();
    await Promise.all([sending, waiting]);
  });

  Deno.test(`LESSON-31 both ends send ${BOTH_WAYS_BYTES / MIB} MiB at once (${family})`, async () => {
    using ends = await pair(family);
    const { here, there } = ends;
    const [mine, theirs] = [1, 2].map((n) =>
      new Uint8Array(BOTH_WAYS_BYTES).fill(n)
    ) as [Uint8Array, Uint8Array];
    await Promise.all([here.sendBytes(mine), there.sendBytes(theirs)]);
    assert(equal(await there.recvBytes(), mine));
    assert(equal(await here.recvBytes(), theirs));
  });

  Deno.test(`LESSON-31 both ends send many messages before either receives (${family})`, async () => {
    using ends = await pair<Uint8Array>(family);
    const { here, there } = ends;
    const sendThenReceive = async (end: SocketConnection<Uint8Array>) => {
      for (let i = 0; i < BOTH_WAYS_MESSAGES; i++) {
        await end.send(new Uint8Array(64 * 1024).fill(i));
      }
      for (let i = 0; i < BOTH_WAYS_MESSAGES; i++) {
        assertEquals((await end.recv())[1000], i & 0xff);
      }
      assertEquals(await end.poll(), false);
    };
    await Promise.all([sendThenReceive(here), sendThenReceive(there)]);
  });

  Deno.test(`LESSON-31 both ends send many messages of the longest that is allowed (${family})`, async () => {
    const maxMessageBytes = 16 * 1024;
    using ends = await pair(family, { maxMessageBytes });
    const sendThenReceive = async (end: SocketConnection) => {
      for (let i = 0; i < BOTH_WAYS_MESSAGES; i++) {
        await end.sendBytes(new Uint8Array(maxMessageBytes), 0, undefined, {
          timeout: HANG_MS,
        });
      }
      for (let i = 0; i < BOTH_WAYS_MESSAGES; i++) await end.recvBytes();
    };
    await Promise.all([ends.here, ends.there].map(sendThenReceive));
  });
}

Deno.test("CONN-01 poll() without a message is false at once, or when time is up", async () => {
  using ends = await pair();
  const { here, there } = ends;
  assertEquals(await here.poll(), false);
  assertEquals(await here.poll({ timeout: -1 }), false);
  const before = performance.now();
  assertEquals(await here.poll({ timeout: 100 }), false);
  assertGreaterOrEqual(performance.now() - before, 99);
  const polling = here.poll({ timeout: Infinity });
  await there.send(null);
  assertEquals(await polling, true);
  assertEquals(await here.recv(), null);
});

Deno.test("CONN-04 sendBytes() sends the part that is asked for", async () => {
  using ends = await pair();
  const { here, there } = ends;
  for (
    const [args, expected] of [
      [[], "abcdefghijklmnopqrstuvwxyz"],
      [[5], "fghijklmnopqrstuvwxyz"],
      [[7, 8], "hijklmno"],
      [[26], ""],
      [[26, 0], ""],
    ] as const
  ) {
    await here.sendBytes(ALPHABET, ...args);
    assertEquals(text(await there.recvBytes()), expected);
  }
  for (const args of [[27], [22, 5], [26, 1], [-1], [4, -1], [0.5], [0, NaN]]) {
    await assertRejects(
      () => here.sendBytes(ALPHABET, ...args as [number, number?]),
      RangeError,
    );
  }
  await assertRejects(() => here.sendBytes("text" as never), TypeError);
  assertEquals(await there.poll(), false);
});

Deno.test("CONN-X1 recvBytes() and recvBytesInto() check their arguments", async () => {
  using ends = await pair();
  const { here } = ends;
  await assertRejects(
    () => here.recvBytes(-1),
    RangeError,
    "negative maxlength",
  );
  const room = new Uint8Array(4);
  await assertRejects(
    () => here.recvBytesInto(room, -1),
    RangeError,
    "negative offset",
  );
  await assertRejects(
    () => here.recvBytesInto(room, 5),
    RangeError,
    "offset too large",
  );
});

Deno.test("CONN-X1 recvBytes() loses a message that is too long, and nothing else", async () => {
  using ends = await pair();
  const { here, there } = ends;
  await there.sendBytes(new Uint8Array(10));
  await there.sendBytes(ascii("next"));
  await assertRejects(
    () => here.recvBytes(5),
    ProcessError,
    "bad message length 10",
  );
  assert(here.readable);
  assertEquals(text(await here.recvBytes(5)), "next");
});

Deno.test("CONN-X1 a closed connection refuses everything", async () => {
  using ends = await pair();
  const { here } = ends;
  here.close();
  here.close();
  assertEquals(here.closed, true);
  for (
    const call of [
      () => here.send(1),
      () => here.sendBytes(new Uint8Array(1)),
      () => here.recv(),
      () => here.recvBytes(),
      () => here.recvBytesInto(new Uint8Array(1)),
      () => here.poll(),
      async () => {
        for await (const _ of here);
      },
    ]
  ) await assertRejects(call, ProcessError, "handle is closed");
  assertThrows(() => here.fileno(), ProcessError, "handle is closed");
  assert(here.readable && here.writable);
});

Deno.test("CONN-08 using closes a connection", async () => {
  using listener = new Listener();
  let here: SocketConnection, there: SocketConnection;
  {
    using a = await Client(listener.address);
    using b = await listener.accept();
    [here, there] = [a, b];
    await a.send(1729);
    assertEquals(await b.recv(), 1729);
    assert(!a.closed && !b.closed);
  }
  assert(here.closed && there.closed);
});

Deno.test("SocketConnection.close() rejects calls that wait and ends loops", async () => {
  using ends = await pair();
  const { here } = ends;
  const waiting = [here.recv(), here.recvBytes(), here.poll({ timeout: 1e6 })];
  const sending = here.sendBytes(new Uint8Array(BOTH_WAYS_BYTES));
  const looping = (async () => {
    for await (const _ of here) throw new Error("nothing was sent");
  })();
  here.close();
  for (const call of [...waiting, sending]) {
    await assertRejects(
      () => call as Promise<unknown>,
      ProcessError,
      "handle is closed",
    );
  }
  await looping;
});

Deno.test({
  name: "CONN-X1 peers that never hang up use up no files",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const before = openFiles();
    using listener = new Listener({ port: 0 });
    {
      using stack = new DisposableStack();
      for (let i = 0; i < FAREWELLS; i++) {
        stack.use(await RawPeer.connect(listener.address));
        (await listener.accept()).close();
      }
      assertLess(openFiles(), before + 2 * FAREWELLS - 20);
    }
    // Those of the others are closed when they have hung up.
    await until(() => openFiles() <= before + 3, "the sockets are closed");
  },
});

Deno.test("SocketConnection.fileno() and toString() tell connections apart", async () => {
  using ends = await pair();
  const { here, there } = ends;
  assert(here.fileno() !== there.fileno());
  assertEquals(
    String(here),
    `<SocketConnection at 0x${here.fileno().toString(16)}>`,
  );
  assertEquals(Deno.inspect(here), String(here));
});

Deno.test("for await over a connection gives values until the end", async () => {
  using ends = await pair<number>();
  const { here, there } = ends;
  for (let i = 0; i < 10; i++) await there.send(i);
  there.close();
  const values: number[] = [];
  for await (const value of here) values.push(value);
  assertEquals(values, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

// ---- cancelling ---------------------------------------------------------------

Deno.test("SocketConnection.recv() takes nothing when its time runs out or it is aborted", async () => {
  using ends = await pair();
  const { here, there } = ends;
  await assertRejects(() => here.recv({ timeout: 0 }), TimeoutError);
  await assertRejects(() => here.recv({ timeout: 1 }), TimeoutError);
  const controller = new AbortController();
  const receiving = here.recv({ signal: controller.signal });
  controller.abort(new Error("changed my mind"));
  await assertRejects(() => receiving, Error, "changed my mind");
  await there.send("still there");
  assertEquals(await here.recv({ timeout: 1e6 }), "still there");
});

for (const timeout of TINY_TIMEOUTS) {
  Deno.test(`a wait of ${timeout} ms for a connection or a listener ends`, async () => {
    using ends = await pair();
    const { here, there, listener } = ends;
    await assertRejects(() => here.recv({ timeout }), TimeoutError);
    await assertRejects(
      () => here.recvBytes(undefined, { timeout }),
      TimeoutError,
    );
    assertEquals(await here.poll({ timeout }), false);
    await assertRejects(() => listener.accept({ timeout }), TimeoutError);
    // Nobody was left standing in line.
    const receiving = here.recv();
    await there.send("for the next");
    assertEquals(await receiving, "for the next");
  });
}

Deno.test("waits for a connection or a listener refuse what Python takes bare", async () => {
  using ends = await pair();
  const { here, listener } = ends;
  const example = "{ timeout: 0.5 }";
  // @ts-expect-error: as in Python
  await assertRejects(() => here.poll(0.5), TypeError, example);
  // @ts-expect-error: as in Python
  await assertRejects(() => here.recv(0.5), TypeError, example);
  // @ts-expect-error: as in Python
  await assertRejects(() => here.send(1, 0.5), TypeError, example);
  // @ts-expect-error: as in Python
  await assertRejects(() => listener.accept(0.5), TypeError, example);
});

Deno.test("SocketConnection.send() gives up waiting, and only what was begun arrives", async () => {
  using ends = await pair<number | Uint8Array>();
  const { here, there } = ends;
  // More than is read ahead and fits the system's buffers.
  const big = new Uint8Array(8 * MIB);
  const first = here.send(big);
  const second = here.send(big);
  const begun = here.send(big, { timeout: 50 });
  const controller = new AbortController();
  const waiting = here.send(3, { signal: controller.signal });
  await assertRejects(
    () => here.send(4, { timeout: 0 }),
    TimeoutError,
    "nothing",
  );
  controller.abort(new Error("changed my mind"));
  await assertRejects(() => waiting, Error, "changed my mind");
  await assertRejects(() => begun, TimeoutError);
  const last = here.send(5);
  const received: unknown[] = [];
  while (received.at(-1) !== 5) {
    const value = await there.recv();
    received.push(typeof value === "number" ? value : "big");
  }
  await Promise.all([first, second, last]);
  assertEquals(received.filter((value) => value !== "big"), [5]);
});

for (const family of FAMILIES) {
  Deno.test(`SocketConnection.send() without time ends although nobody reads (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    const big = new Uint8Array(8 * MIB).fill(7);
    for (const timeout of [0, -1, Number.MIN_VALUE]) {
      using peer = await RawPeer.connect(listener.address);
      using here = await listener.accept();
      await assertRejects(
        () => here.sendBytes(big, 0, undefined, { timeout }),
        TimeoutError,
        "may still arrive",
      );
      // And it does, as half of it would spoil what follows.
      assert(equal((await peer.readMessage())!, big));
      await here.sendBytes(ascii("next"), 0, undefined, { timeout: 1e6 });
      assertEquals(text(await peer.readMessage()), "next");
    }
  });

  Deno.test(`SocketConnection.send() without time hears its signal (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    using _peer = await RawPeer.connect(listener.address);
    using here = await listener.accept();
    const controller = new AbortController();
    const { signal } = controller;
    const sending = here.sendBytes(new Uint8Array(8 * MIB), 0, undefined, {
      timeout: 0,
      signal,
    });
    controller.abort(new Error("changed my mind"));
    await assertRejects(() => sending, Error, "changed my mind");
  });

  Deno.test(`SocketConnection.send() without time sends what the system takes (${family})`, async () => {
    using ends = await pair<number>(family);
    const { here, there } = ends;
    for (let i = 0; i < ATTEMPTS; i++) {
      await here.send(i, { timeout: 0 });
      assertEquals(await there.recv(), i);
    }
  });
}

Deno.test("SocketConnection serves those who receive in order", async () => {
  using ends = await pair<number>();
  const { here, there } = ends;
  const receiving = [here.recv(), here.recv(), here.recv()];
  for (let i = 0; i < 3; i++) await there.send(i);
  assertEquals(await Promise.all(receiving), [0, 1, 2]);
});

Deno.test("SocketConnection sends what was there when it was sent", async () => {
  using ends = await pair<Uint8Array>();
  const { here, there } = ends;
  const data = new Uint8Array(MIB).fill(1);
  const sending = [here.send(data), here.sendBytes(data)];
  data.fill(2);
  assertEquals((await there.recv())[MIB - 1], 1);
  assertEquals((await there.recvBytes())[MIB - 1], 1);
  await Promise.all(sending);
});

// ---- LESSON-30: messages ------------------------------------------------------

Deno.test("POLL-01 an empty message is a message, and poll() does not take it", async () => {
  using ends = await pair();
  const { here, there } = ends;
  assertEquals(await here.poll(), false);
  await there.sendBytes(new Uint8Array());
  assert(await here.poll({ timeout: Infinity }));
  assert(await here.poll());
  assertEquals((await here.recvBytes()).byteLength, 0);
  assertEquals(await here.poll(), false);
});

Deno.test("POLL-02 POLL-04 messages are neither merged nor split", async () => {
  using ends = await pair();
  const { here, there } = ends;
  const words = ["hello", "", "a", "b", "", "bye", "", "lop"];
  const sending = words.map((word) => there.sendBytes(ascii(word)));
  for (const word of words) {
    assert(await here.poll({ timeout: Infinity }));
    assert(await here.poll());
    assertEquals(text(await here.recvBytes()), word);
  }
  await Promise.all(sending);
});

Deno.test("LESSON-30 bytes that come one at a time make the same messages", async () => {
  using listener = new Listener();
  using peer = await RawPeer.connect(listener.address);
  using here = await listener.accept();
  const stream = [
    ...framed("hello"),
    ...framed(""),
    ...framed("x".repeat(700)),
  ];
  const writing = (async () => {
    for (const byte of stream) await peer.write(Uint8Array.of(byte));
  })();
  assertEquals(text(await here.recvBytes()), "hello");
  assertEquals(text(await here.recvBytes()), "");
  assertEquals(text(await here.recvBytes()), "x".repeat(700));
  await writing;
});

Deno.test("LESSON-30 a message goes out with four bytes of length before it", async () => {
  using listener = new Listener();
  using peer = await RawPeer.connect(listener.address);
  using here = await listener.accept();
  await here.sendBytes(ascii("hello"));
  assertEquals([...await peer.read(9) ?? []], [0, 0, 0, 5, ...ascii("hello")]);
  const [a, b] = [300, 70_000].map((length) => new Uint8Array(length).fill(9));
  await Promise.all([here.sendBytes(a!), here.sendBytes(b!)]);
  assertEquals((await peer.readMessage())?.byteLength, 300);
  assertEquals((await peer.readMessage())?.byteLength, 70_000);
});

Deno.test("LESSON-30 the header of a message from 2 GiB on has -1 and eight bytes", () => {
  assertEquals([...headerOf(0)], [0, 0, 0, 0]);
  assertEquals([...headerOf(0x7fff_ffff)], [0x7f, 0xff, 0xff, 0xff]);
  assertEquals([...headerOf(0x8000_0000)], [
    ...[0xff, 0xff, 0xff, 0xff],
    ...[0, 0, 0, 0, 0x80, 0, 0, 0],
  ]);
});

Deno.test("LESSON-30 a long header is understood", async () => {
  using listener = new Listener();
  using peer = await RawPeer.connect(listener.address);
  using here = await listener.accept();
  await peer.write(
    Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 2, 104, 105),
  );
  assertEquals(text(await here.recvBytes()), "hi");
});

for (
  const [what, header] of [
    ["a negative length", [0xff, 0xff, 0xff, 0xfe]],
    ["a length beyond maxMessageBytes", [0, 0, 0x10, 1]],
    ["a long length beyond it", [255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0]],
    ["the longest length", Array(12).fill(255)],
  ] as const
) {
  Deno.test(`LESSON-30 ${what} ends the connection, after what came before`, async () => {
    using listener = new Listener(undefined, { maxMessageBytes: 4096 });
    using peer = await RawPeer.connect(listener.address);
    using here = await listener.accept();
    await peer.writeMessage(new Uint8Array(4096));
    await peer.write(Uint8Array.from(header));
    assertEquals((await here.recvBytes()).byteLength, 4096);
    await assertRejects(
      () => here.recvBytes(),
      ProcessError,
      "bad message length",
    );
    await assertRejects(() => here.recv(), ProcessError, "bad message length");
  });
}

Deno.test("LESSON-30 a length that is only announced takes no memory", async () => {
  using listener = new Listener();
  using stack = new DisposableStack();
  const before = Deno.memoryUsage();
  for (let i = 0; i < 100; i++) {
    const peer = stack.use(await RawPeer.connect(listener.address));
    const here = stack.use(await listener.accept());
    await peer.writeMessage("first");
    await peer.write(Uint8Array.of(0x40, 0, 0, 0, 1, 2, 3)); // 1 GiB
    await here.recvBytes();
  }
  const { external, rss } = Deno.memoryUsage();
  assert(external - before.external < 200 * MIB, `${external}`);
  assert(rss - before.rss < 200 * MIB, `${rss}`);
});

Deno.test("LESSON-31 a peer that only sends fills no more than is read ahead", async () => {
  using listener = new Listener();
  using peer = await RawPeer.connect(listener.address);
  using here = await listener.accept();
  const frame = framed(new Uint8Array(64 * 1024));
  let written = 0;
  // Until the system takes no more for a while.
  let isStuck = false;
  while (!isStuck) {
    const writing = peer.write(frame);
    let timer;
    isStuck = await Promise.race([
      writing.then(() => false),
      new Promise<boolean>((resolve) => timer = setTimeout(resolve, 300, true)),
    ]);
    clearTimeout(timer);
    if (!isStuck) written += frame.byteLength;
  }
  assert(written < 8 * MIB, `${written}`);
  // The one that is stuck gets on when others are taken.
  for (let n = written / frame.byteLength; n >= 0; n--) await here.recvBytes();
});

// ---- values -------------------------------------------------------------------

Deno.test("SocketConnection.recv() leaves bytes for recvBytes()", async () => {
  using ends = await pair();
  const { here, there } = ends;
  await there.sendBytes(ascii("just bytes"));
  await assertRejects(() => here.recv(), EncodingError, "recvBytes()");
  assertEquals(text(await here.recvBytes()), "just bytes");
  await there.sendBytes(Uint8Array.of(0x80, 4, 75, 1, 46));
  await assertRejects(() => here.recv(), EncodingError, "pickle");
  assertEquals((await here.recvBytes()).byteLength, 5);
});

Deno.test("SocketConnection.recvBytes() gives bytes as they are, whatever they begin with", async () => {
  using ends = await pair();
  const { here, there } = ends;
  const bytes = Uint8Array.of(0x89, 0x44, 0x4d, 0x50, 1, 2, 3);
  await there.sendBytes(bytes);
  assertEquals(await here.recvBytes(), bytes);
});

Deno.test("SocketConnection.recvBytes() gives bytes with a buffer of their own", async () => {
  using ends = await pair();
  const { here, there } = ends;
  await Promise.all([
    there.sendBytes(ascii("one")),
    there.sendBytes(ascii("two")),
  ]);
  const one = await here.recvBytes();
  assertEquals(one.buffer.byteLength, 3);
  structuredClone(one, { transfer: [one.buffer] });
  assertEquals(text(await here.recvBytes()), "two");
});

Deno.test("LESSON-47 functions, shared memory and library objects are not sent", async () => {
  using ends = await pair();
  const { here, there } = ends;
  const [one, other] = Pipe();
  for (
    const value of [() => {}, new SharedArrayBuffer(8), one, [{ deep: other }]]
  ) {
    await assertRejects(() => here.send(value), EncodingError);
  }
  assertEquals(await there.poll(), false);
  one.close();
  other.close();
});

Deno.test("sendJson() and recvJson() carry JSON as bytes", async () => {
  using ends = await pair();
  const { here, there } = ends;
  await sendJson(here, { text: "Grüße", list: [1, null] });
  assertEquals(await recvJson(there), { text: "Grüße", list: [1, null] });
  for (const value of [undefined, () => {}, 1n]) {
    await assertRejects(() => sendJson(here, value), EncodingError);
  }
  await here.sendBytes(ascii("{"));
  await assertRejects(() => recvJson(there), EncodingError, "not JSON");
  await here.sendBytes(Uint8Array.of(0x22, 0xff, 0x22));
  await assertRejects(() => recvJson(there), EncodingError, "not JSON");
  await assertRejects(() => recvJson(there, { timeout: 0 }), TimeoutError);
});

// ---- wait() and the interface -------------------------------------------------

Deno.test("WAIT-02 wait() takes connections and listeners, and gives all that are ready", async () => {
  using ends = await pair<number>();
  const { here, there, listener } = ends;
  assertEquals(await wait([here, there, listener], { timeout: 0 }), []);
  assertEquals(await wait([here, listener], { timeout: -1 }), []);
  const waiting = wait([listener, here]);
  await there.send(1);
  assertEquals(await waiting, [here]);
  using _third = await Client<number>(listener.address);
  const accepting = wait([listener]);
  assertEquals(await accepting, [listener]);
  assertEquals(await wait([here, listener]), [here, listener]);
  there.close();
  assertEquals(await here.recv(), 1);
  // The end is ready as well.
  assertEquals(await wait([here]), [here]);
  (await listener.accept()).close();
  assertEquals(await wait([listener], { timeout: 0 }), []);
  here.close();
  await assertRejects(() => wait([here]), ProcessError, "handle is closed");
  listener.close();
  await assertRejects(
    () => wait([listener]),
    ProcessError,
    "listener is closed",
  );
});

Deno.test("WAIT-01 wait() loses nothing of many connections and a pipe", async () => {
  using listener = new Listener<number>();
  using stack = new DisposableStack();
  const readers = new Set<AnyConnection<number>>();
  const sending: Promise<void>[] = [];
  const send = async (writer: AnyConnection<number>, from: number) => {
    for (let i = 0; i < 10; i++) await writer.send(from + i);
    writer.close();
  };
  for (let n = 0; n < 4; n++) {
    sending.push(
      send(stack.use(await Client<number>(listener.address)), 10 * n),
    );
    readers.add(stack.use(await listener.accept()));
  }
  const [reader, writer] = Pipe<number>({ duplex: false });
  readers.add(stack.use(reader));
  sending.push(send(writer, 40));

  const received: number[] = [];
  while (readers.size > 0) {
    for (const ready of await wait(readers)) {
      try {
        received.push(await ready.recv());
      } catch (error) {
        assertInstanceOf(error, EofError);
        readers.delete(ready);
      }
    }
  }
  await Promise.all(sending);
  assertEquals(
    received.sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i),
  );
});

Deno.test("AnyConnection is what a pipe and a socket have in common", async () => {
  using ends = await pair<string>();
  const [one, other] = Pipe<string>();
  const both: [AnyConnection<string>, AnyConnection<string>][] = [
    [ends.here, ends.there],
    [one, other],
  ];
  for (const [a, b] of both) {
    await a.send("hello");
    assertEquals(await b.recv(), "hello");
    await b.sendBytes(ascii("bytes"));
    assertEquals(text(await a.recvBytes()), "bytes");
    assertStringIncludes(String(a), "Connection at 0x");
    a.close();
    await assertRejects(() => b.recv(), EofError);
    b.close();
  }
});

/** As `assertEquals()` takes minutes for 64 MiB. */
function equal(one: Uint8Array, other: Uint8Array): boolean {
  if (one.byteLength !== other.byteLength) return false;
  for (let i = 0; i < one.byteLength; i++) {
    if (one[i] !== other[i]) return false;
  }
  return true;
}

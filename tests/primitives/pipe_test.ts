/**
 * Pipe and Connection in one process, on both kinds of memory. Where it takes
 * more than one participant, others are attached to the same memory by the same
 * thread; burying one stands for its death.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  BufferTooShortError,
  EncodingError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../../errors.ts";
import { adopt } from "../../memory/arenas.ts";
import type { Arena } from "../../memory/mod.ts";
import { pack } from "../../primitives/_parcel.ts";
import type { Connection } from "../../primitives/connection.ts";
import { pipeFor } from "../../primitives/pipe.ts";
import { Queue } from "../../primitives/queue.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { until } from "../_support/gate.ts";
import { eachKind, look } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

/** Waited out in full, so short. */
const SHORT_MS = 50;
/** What timers may be early by, and clocks be coarse. */
const TOLERANCE_MS = 5;
const LARGE_BYTES = 64 * 1024 * 1024;
const MANY_MESSAGES = 100_000;

const BrokenPipe = Deno.errors.BrokenPipe;
const bytes = (text: string) => new TextEncoder().encode(text);

/** What nobody uses, but would give its end up if it were collected. */
const kept: unknown[] = [];

/** One test for each kind of memory. */
function each(
  name: string,
  body: (
    Pipe: ReturnType<typeof pipeFor>,
    world: SyncWorld,
  ) => Promise<void> | void,
) {
  eachKind(name, (world) => body(pipeFor(world.kind), world));
}

async function took(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Receives as another participant: handles in the message are its own. */
function recvAs<T>(arena: Arena, connection: Connection<T>, own: Arena): T {
  adopt(arena);
  try {
    return connection.recvSync({ timeout: 0 });
  } finally {
    adopt(own);
  }
}

// ---- the reference's own tests ------------------------------------------------

each("CONN-01 Connection carries values and bytes", async (Pipe) => {
  const [a, b] = Pipe<unknown>();
  // An echo at the other end, until an empty message comes.
  const echo = (async () => {
    while (true) {
      const message = await b.recv();
      if (!(message instanceof Uint8Array)) await b.send(message);
      else if (message.byteLength === 0) return b.close();
      else await b.sendBytes(message);
    }
  })();

  assertEquals(await a.send([1, 2.25, null]), undefined);
  assertEquals(await a.recv(), [1, 2.25, null]);
  await a.sendBytes(bytes("hello world"));
  assertEquals(await a.recvBytes(), bytes("hello world"));

  const numbers = Int32Array.of(0, 1, 2, 3);
  const buffer = new Int32Array(10);
  await a.sendBytes(numbers);
  assertEquals(await a.recvBytesInto(buffer), 16);
  assertEquals([...buffer], [0, 1, 2, 3, 0, 0, 0, 0, 0, 0]);
  buffer.fill(0);
  await a.sendBytes(numbers);
  assertEquals(await a.recvBytesInto(buffer, 12), 16);
  assertEquals([...buffer], [0, 0, 0, 0, 1, 2, 3, 0, 0, 0]);

  const long = bytes("x".repeat(110));
  await a.sendBytes(long);
  const error = await assertRejects(
    () => a.recvBytesInto(buffer),
    BufferTooShortError,
  );
  assertEquals(error.buffer, long);

  assertEquals(await a.poll(), false);
  assertEquals(await a.poll({ timeout: -1 }), false);
  const ms = await took(async () =>
    assertEquals(await a.poll({ timeout: SHORT_MS }), false)
  );
  assertGreaterOrEqual(ms, SHORT_MS - TOLERANCE_MS);
  await a.send(null);
  assertEquals(await a.poll({ timeout: Infinity }), true);
  assertEquals(await a.recv(), null);

  const large = new Uint8Array(16 * 1024 * 1024).fill(7);
  await a.sendBytes(large);
  assertEquals((await a.recvBytes()).byteLength, large.byteLength);

  await a.sendBytes(new Uint8Array());
  await echo;
  assertEquals([a.readable, a.writable], [true, true]);
  await assertRejects(() => a.recv(), EofError);
  await assertRejects(() => a.recvBytes(), EofError);
});

each("CONN-02 Pipe() that is not duplex goes one way", async (Pipe) => {
  const [reader, writer] = Pipe<number>({ duplex: false });
  await writer.send(1);
  assertEquals(await reader.recv(), 1);
  assertEquals([reader.readable, reader.writable], [true, false]);
  assertEquals([writer.readable, writer.writable], [false, true]);

  const readOnly = "connection is read-only";
  const writeOnly = "connection is write-only";
  await assertRejects(() => reader.send(2), ProcessError, readOnly);
  assertThrows(() => reader.sendSync(2), ProcessError, readOnly);
  await assertRejects(
    () => reader.sendBytes(bytes("")),
    ProcessError,
    readOnly,
  );
  await assertRejects(() => writer.recv(), ProcessError, writeOnly);
  assertThrows(() => writer.recvSync(), ProcessError, writeOnly);
  await assertRejects(() => writer.recvBytes(), ProcessError, writeOnly);
  await assertRejects(() => writer.poll(), ProcessError, writeOnly);
  assertThrows(() => writer.pollSync(), ProcessError, writeOnly);
  await assertRejects(() => Array.fromAsync(writer), ProcessError, writeOnly);
});

each(
  "CONN-03 Connection given to a child may be closed here at once",
  async (Pipe, world) => {
    const [a, b] = Pipe<string>();
    const child = world.another();
    const theirs = world.give(b, child);
    b.close();
    await a.send("hello");
    await theirs.send(await theirs.recv() + "!");
    assertEquals(await a.recv(), "hello!");
    world.kill(child);
  },
);

each("CONN-04 Connection.sendBytes() sends a part of a view", async (Pipe) => {
  const [a, b] = Pipe();
  const alphabet = bytes("abcdefghijklmnopqrstuvwxyz");
  for (
    const [offset, size, text] of [
      [undefined, undefined, "abcdefghijklmnopqrstuvwxyz"],
      [5, undefined, "fghijklmnopqrstuvwxyz"],
      [7, 8, "hijklmno"],
      [26, undefined, ""],
      [26, 0, ""],
    ] as const
  ) {
    await a.sendBytes(alphabet, offset, size);
    assertEquals(await b.recvBytes(), bytes(text));
    a.sendBytesSync(alphabet, offset, size);
    assertEquals(b.recvBytesSync(), bytes(text));
  }
  for (
    const [offset, size, text] of [
      [27, undefined, "buffer length < offset"],
      [22, 5, "buffer length < offset + size"],
      [26, 1, "buffer length < offset + size"],
      [-1, undefined, "offset is negative"],
      [4, -1, "size is negative"],
    ] as const
  ) {
    await assertRejects(
      () => a.sendBytes(alphabet, offset, size),
      RangeError,
      text,
    );
  }
  assertEquals(await b.poll(), false);

  // Any kind of view, and where it lies in its buffer.
  const words = Uint16Array.of(1, 2, 3).subarray(1);
  for (
    const view of [words, new DataView(words.buffer, 2), words.slice().buffer]
  ) {
    await a.sendBytes(view);
    assertEquals([...await b.recvBytes()], [2, 0, 3, 0]);
  }
  const shared = new SharedArrayBuffer(4);
  await a.sendBytes(shared);
  assertEquals(await b.recvBytesInto(shared), 4);
  await assertRejects(
    () => a.sendBytes("text" as unknown as Uint8Array),
    TypeError,
  );
});

each("CONN-08 Connection is closed by using", async (Pipe) => {
  let kept;
  {
    using a = Pipe<number>()[0];
    kept = a;
    assertEquals(a.closed, false);
  }
  {
    const [a, b] = Pipe<number>();
    using _a = a;
    using _b = b;
    await a.send(1729);
    assertEquals(await b.recv(), 1729);
  }
  assertEquals(kept.closed, true);
  await assertRejects(() => kept.recv(), ProcessError, "handle is closed");
  kept[Symbol.dispose]();
});

each("CONN-X1 Connection says what is wrong", async (Pipe) => {
  const [a, b] = Pipe<unknown>();
  await a.sendBytes(bytes("0123456789"));
  await a.send("next");
  await assertRejects(
    () => b.recvBytes(5),
    ProcessError,
    "bad message length",
  );
  // Only that message is lost.
  assertEquals([b.readable, b.closed], [true, false]);
  assertEquals(await b.recv(), "next");
  await assertRejects(() => b.recvBytes(-1), RangeError, "negative maxlength");

  const buffer = new Uint8Array(4);
  await assertRejects(
    () => b.recvBytesInto(buffer, -1),
    RangeError,
    "negative offset",
  );
  await assertRejects(
    () => b.recvBytesInto(buffer, 5),
    RangeError,
    "offset too large",
  );
  await a.sendBytes(bytes("abc"));
  await a.sendBytes(bytes("de"));
  await assertRejects(() => b.recvBytesInto(buffer, 2), BufferTooShortError);
  assertEquals(await b.recvBytesInto(buffer, 2), 2);
  assertEquals(buffer, Uint8Array.of(0, 0, 100, 101));

  for (const number of [1.5, NaN]) {
    await assertRejects(() => a.sendBytes(buffer, number), RangeError);
    await assertRejects(() => b.recvBytes(number), RangeError);
    await assertRejects(() => b.recvBytesInto(buffer, number), RangeError);
  }
  await assertRejects(
    () => b.recvBytes("5" as unknown as number),
    TypeError,
    "'maxLength'",
  );

  a.close();
  a.close();
  for (
    const use of [
      () => a.send(1),
      () => a.recv(),
      () => a.poll(),
      () => a.sendBytes(buffer),
      () => a.recvBytes(),
      () => a.recvBytesInto(buffer),
      () => Array.fromAsync(a),
    ]
  ) await assertRejects(use, ProcessError, "handle is closed");
  assertThrows(() => a.fileno(), ProcessError, "handle is closed");
  assertEquals([a.readable, a.writable], [true, true]);

  assertEquals(await b.poll(), true);
  await assertRejects(() => b.recv(), EofError);
  assertThrows(() => b.recvSync(), EofError);
  await assertRejects(() => b.send(1), BrokenPipe);
  assertThrows(() => b.sendSync(1), BrokenPipe);
});

each(
  "POLL-01 Connection.poll() sees an empty message, and leaves it",
  async (Pipe) => {
    const [a, b] = Pipe();
    assertEquals(await b.poll(), false);
    await a.sendBytes(new Uint8Array());
    assertEquals([await b.poll(), await b.poll(), b.pollSync()], [
      true,
      true,
      true,
    ]);
    assertEquals(await b.recvBytes(), new Uint8Array());
    assertEquals(b.pollSync(), false);
  },
);

each("POLL-02 Connection receives what poll() has announced", async (Pipe) => {
  const [a, b] = Pipe();
  for (const text of ["hello", "", "a", "b", "", "bye", "", "lop"]) {
    const announced = b.poll({ timeout: Infinity });
    await a.sendBytes(bytes(text));
    assertEquals(await announced, true);
    assertEquals(await b.recvBytes(), bytes(text));
  }
});

each(
  "POLL-03 Connection.poll() of one that dies takes nothing",
  async (Pipe, world) => {
    const [a, b] = Pipe<string>();
    const child = world.another();
    const theirs = world.give(b, child);
    const polling = theirs.poll({
      timeout: Infinity,
      signal: world.afterlife.signal,
    });
    const mine = b.recv();
    await a.send("first");
    await a.send("second");
    assert(await polling);
    assertEquals(await mine, "first");
    assert(await theirs.poll());
    world.kill(child, polling);
    assertEquals(await b.recv(), "second");
  },
);

each("POLL-04 Connection does not merge messages", async (Pipe) => {
  const [a, b] = Pipe();
  assertEquals(await b.poll({ timeout: 0 }), false);
  assertEquals(await b.poll({ timeout: SHORT_MS }), false);
  for (const text of ["a", "b", "cd"]) await a.sendBytes(bytes(text));
  assertEquals(await b.recvBytes(), bytes("a"));
  assertEquals([await b.poll(), await b.poll({ timeout: 1 })], [true, true]);
  assertEquals(await b.recvBytes(), bytes("b"));
  assertEquals(await b.poll({ timeout: 1 }), true);
  assertEquals([await b.poll(), b.pollSync({ timeout: 0 })], [true, true]);
  assertEquals(await b.recvBytes(), bytes("cd"));
});

each("POLL-X1 Connection.poll() passes its wake-up on", async (Pipe, world) => {
  const [a, b] = Pipe<number>();
  const child = world.another();
  const theirs = world.give(b, child);
  // The one that began first is woken first, and takes nothing.
  const announced = b.poll({ timeout: Infinity });
  const message = theirs.recv();
  await a.send(1);
  assertEquals(await announced, true);
  assertEquals(await message, 1);
  world.kill(child);
});

each("POLL-X1 Connection.pollSync() does so, too", async (Pipe, world) => {
  const [a, b] = Pipe<number>();
  const child = world.another();
  const theirs = world.give(b, child);
  let message: Promise<number> | undefined;
  world.arena.memory.sleepSync = () => {
    message = theirs.recv();
    a.sendSync(1);
  };
  assertEquals(b.pollSync({ timeout: Infinity }), true);
  assertEquals(await message, 1);
  world.kill(child);
});

each(
  "PICK-02 Connection can be sent through a connection",
  async (Pipe, world) => {
    const [control, childControl] = Pipe<Connection<string>>();
    const child = world.another();
    const theirs = world.give(childControl, child);
    childControl.close();

    const [reader, writer] = Pipe<string>({ duplex: false });
    await control.send(writer);
    writer.close();
    const got = recvAs(child, theirs, world.arena);
    await got.send("all is well");
    got.close();
    assertEquals(await reader.recv(), "all is well");
    await assertRejects(() => reader.recv(), EofError);

    const [reader2, writer2] = Pipe<string>({ duplex: false });
    await control.send(reader2);
    reader2.close();
    const got2 = recvAs(child, theirs, world.arena);
    await writer2.send("foobar");
    assertEquals(await got2.recv(), "foobar");
    got2.close();
    await assertRejects(() => writer2.send("again"), BrokenPipe);
    world.kill(child);
  },
);

// ---- lessons ---------------------------------------------------------------------

each(
  "LESSON-09 Connection is at its end once the last holder has died",
  async (Pipe, world) => {
    const [a, b] = Pipe<number>();
    const [child, grandchild] = [world.another(), world.another()];
    const theirs = world.give(b, child);
    kept.push(world.give(b, grandchild));
    b.close();
    await theirs.send(1);
    assertEquals(await a.recv(), 1);
    const last = a.recv();
    const polling = a.poll({ timeout: Infinity });
    world.kill(child);
    assertEquals(await look(last, polling), ["waits", "waits"]);
    world.kill(grandchild);
    await assertRejects(() => last, EofError);
    assertEquals(await polling, true);
    await assertRejects(() => a.send(2), BrokenPipe);
  },
);

each(
  "LESSON-09 Connection gives what the dead had sent first",
  async (Pipe, world) => {
    const [a, b] = Pipe<number>();
    const child = world.another();
    const theirs = world.give(b, child);
    b.close();
    for (let i = 0; i < 3; i++) await theirs.send(i);
    world.kill(child);
    assertEquals(await Array.fromAsync(a), [0, 1, 2]);
    assertThrows(() => a.recvSync(), EofError);
  },
);

each(
  "LESSON-09 Connection.send() that waits learns of the death",
  async (Pipe, world) => {
    const [a, b] = Pipe<Uint8Array>({ maxBytes: 1024 });
    const child = world.another();
    kept.push(world.give(b, child));
    b.close();
    await a.send(new Uint8Array(900));
    const waiting = a.send(new Uint8Array(900));
    assertEquals(await look(waiting), ["waits"]);
    world.kill(child);
    await assertRejects(() => waiting, BrokenPipe);
  },
);

each("LESSON-31 both ends send 64 MiB at once", async (Pipe) => {
  const [a, b] = Pipe();
  const large = new Uint8Array(LARGE_BYTES);
  await Promise.all([a.sendBytes(large), b.sendBytes(large)]);
  const [fromB, fromA] = await Promise.all([a.recvBytes(), b.recvBytes()]);
  assertEquals([fromA.byteLength, fromB.byteLength], [
    LARGE_BYTES,
    LARGE_BYTES,
  ]);
});

each(
  "LESSON-33 Connection.close() closes this copy alone",
  async (Pipe, world) => {
    const [a, b] = Pipe<number>();
    const child = world.another();
    const theirs = world.give(b, child);
    theirs.close();
    assertEquals([theirs.closed, b.closed], [true, false]);
    await a.send(1);
    assertEquals(await b.recv(), 1);
    b.close();
    await assertRejects(() => a.recv(), EofError);
    world.kill(child);
  },
);

each(
  "LESSON-33 a child that leaves in good order gives its ends up",
  async (Pipe, world) => {
    const [a, b] = Pipe<number>();
    const child = world.another();
    kept.push(world.give(b, child));
    b.close();
    const last = a.recv();
    world.leave(child);
    await assertRejects(() => last, EofError);
  },
);

// ---- the seed ----------------------------------------------------------------------

each("SEED-07 Pipe between a parent and a child", async (Pipe, world) => {
  const [a, b] = Pipe<unknown>();
  await a.send(2);
  const child = world.another();
  const theirs = world.give(b, child);
  assertEquals(await theirs.recv(), 2);
  await theirs.send([42, null, "hello"]);
  theirs.close();
  assertEquals(theirs.closed, true);
  assertEquals(await a.recv(), [42, null, "hello"]);
  assertEquals(b.closed, false);
  world.leave(child);
});

each("SEED-12 Pipe with both ends in one process", async (Pipe) => {
  const [a, b] = Pipe<unknown>();
  await a.send([1, "hello", null]);
  assertEquals(await b.poll(), true);
  assertEquals(await b.recv(), [1, "hello", null]);
  await b.sendBytes(bytes("thank you"));
  assertEquals(await a.recvBytes(), bytes("thank you"));
  const numbers = new Int32Array(10);
  await a.sendBytes(Int32Array.of(0, 1, 2, 3, 4));
  assertEquals(await b.recvBytesInto(numbers, 3 * 4), 20);
  assertEquals([...numbers], [0, 0, 0, 0, 1, 2, 3, 4, 0, 0]);
});

// ---- values and bytes --------------------------------------------------------------

each("Connection.recvBytes() leaves a value to recv()", async (Pipe) => {
  const [a, b] = Pipe<unknown>();
  await a.send({ value: 1 });
  await a.sendBytes(bytes("bytes"));
  const text = "the next message is a value";
  await assertRejects(() => b.recvBytes(), ProcessError, text);
  assertThrows(
    () => b.recvBytesIntoSync(new Uint8Array(9)),
    ProcessError,
    text,
  );
  assertEquals(await b.poll(), true);
  // Also for those who were in line already.
  assertEquals(await b.recv(), { value: 1 });
  assertEquals(await b.recv(), bytes("bytes"));

  const [first, second] = [b.recvBytes(), b.recv()];
  await a.send("value");
  await assertRejects(() => first, ProcessError, text);
  assertEquals(await second, "value");
});

each("Connection.recv() gives bytes in a buffer of their own", async (Pipe) => {
  const [a, b] = Pipe<Uint8Array<ArrayBuffer>>();
  await a.sendBytes(bytes("abc"));
  await a.sendBytes(bytes("defg"));
  const [first, second] = [await b.recv(), await b.recvBytes()];
  assertEquals([first.buffer.byteLength, second.buffer.byteLength], [3, 4]);
  assertStrictEquals(first.buffer instanceof ArrayBuffer, true);
});

each("Connection.send() sends what the value was at the call", async (Pipe) => {
  const [a, b] = Pipe<number[]>({ maxBytes: 64 });
  const value = [1];
  const sends = [];
  for (let i = 2; i < 8; i++) {
    sends.push(a.send(value));
    value.push(i);
  }
  for (let i = 1; i < 7; i++) assertEquals((await b.recv()).length, i);
  await Promise.all(sends);
});

each("Connection refuses what cannot travel, and goes on", async (Pipe) => {
  const [a, b] = Pipe<unknown>();
  const error = await assertRejects(
    () => a.send({ deep: [Symbol("no")] }),
    EncodingError,
  );
  assertEquals(error.path, "value.deep[0]");
  await a.send(1);
  assertEquals(await b.recv(), 1);
});

// ---- order and cancelling --------------------------------------------------------------

each("Connection.recv() answers in the order of the calls", async (Pipe) => {
  const [a, b] = Pipe<number>();
  const first = b.recv();
  const second = b.recv();
  await a.send(1);
  const third = b.recv();
  await a.send(2);
  await a.send(3);
  assertEquals(await Promise.all([first, second, third]), [1, 2, 3]);
});

each("Connection waits can be timed out and aborted", async (Pipe) => {
  const [a, b] = Pipe<Uint8Array>({ maxBytes: 1024 });
  await assertRejects(() => b.recv({ timeout: SHORT_MS }), TimeoutError);
  assertThrows(() => b.recvSync({ timeout: 0 }), TimeoutError);
  await assertRejects(() => b.recvBytes(5, { timeout: 0 }), TimeoutError);
  const reason = new Error("stop");
  const abort = new AbortController();
  const { signal } = abort;
  const waits = [
    b.recv({ signal }),
    b.recvBytes(5, { signal }),
    b.recvBytesInto(new Uint8Array(5), 0, { signal }),
    b.poll({ timeout: Infinity, signal }),
  ];
  await a.send(new Uint8Array(900));
  // The first has been served by then, the others have not.
  const [first, ...others] = waits;
  await first;
  abort.abort(reason);
  for (const wait of others) {
    // poll() has been told of the message before; the rest must not be served.
    const outcome = await wait.catch((error) => error);
    assert(outcome === reason || outcome === true);
  }

  await a.send(new Uint8Array(900));
  await assertRejects(
    () => a.send(new Uint8Array(900), { timeout: SHORT_MS }),
    TimeoutError,
  );
  await assertRejects(
    () => a.sendBytes(new Uint8Array(900), 0, 900, { signal }),
    Error,
    "stop",
  );
  assertEquals((await b.recv()).byteLength, 900);
  assertEquals(await b.poll(), false);
});

each(
  "Connection.close() rejects waiting calls and ends loops",
  async (Pipe) => {
    const [a, b] = Pipe<Uint8Array>({ maxBytes: 1024 });
    await b.send(new Uint8Array(900));
    const send = b.send(new Uint8Array(900));
    const recv = b.recv();
    const poll = b.poll({ timeout: Infinity });
    b.close();
    await assertRejects(() => send, ProcessError, "handle is closed");
    await assertRejects(() => recv, ProcessError, "handle is closed");
    await assertRejects(() => poll, ProcessError, "handle is closed");

    const loop = Array.fromAsync(a);
    assertEquals((await loop).length, 1);
    const [c, _d] = Pipe<number>();
    const endless = Array.fromAsync(c);
    c.close();
    assertEquals(await endless, []);
  },
);

// ---- who holds an end ----------------------------------------------------------------

each("Connection counts copies in one process", async (Pipe) => {
  const [a, b] = Pipe<unknown>();
  const [c, d] = Pipe<unknown>();
  await a.send(d);
  await a.send(d);
  const copies = [await b.recv(), await b.recv()] as typeof d[];
  d.close();
  copies[0]!.close();
  // Not for a short time: on a busy machine that is over before one has looked.
  const abort = new AbortController();
  const { signal } = abort;
  const polling = c.poll({ timeout: Infinity, signal });
  assertEquals(await look(polling), ["waits"]);
  abort.abort();
  await assertRejects(() => polling, DOMException);
  await copies[1]!.send("still here");
  assertEquals(await c.recv(), "still here");
  copies[1]!.close();
  await assertRejects(() => c.recv(), EofError);
  await assertRejects(() => a.send(d), ProcessError, "handle is closed");
});

each(
  "Connection in a message counts until it is received",
  async (Pipe, world) => {
    const [c, d] = Pipe<string>();
    const mail = new (world.of(Queue))<Connection<string>>();
    await mail.put(d);
    d.close();
    const last = c.recv();
    assertEquals(await look(last), ["waits"]);
    const again = await mail.get();
    assertEquals(await look(last), ["waits"]);
    again.close();
    await assertRejects(() => last, EofError);
  },
);

each(
  "Connection in a message that fails does not count",
  async (Pipe, world) => {
    const [a, _b] = Pipe<unknown>({ maxBytes: 1024 });
    const [c, d] = Pipe<unknown>();
    await assertRejects(() => a.send([d, () => {}]), EncodingError);
    await assertRejects(() => a.send([d, new Uint8Array(2000)]), RangeError);
    await a.send(new Uint8Array(900));
    await assertRejects(
      () => a.send([d, new Uint8Array(900)], { timeout: 0 }),
      TimeoutError,
    );
    assertThrows(
      () => a.sendSync([d, new Uint8Array(900)], { timeout: SHORT_MS }),
      TimeoutError,
    );
    d.close();
    await assertRejects(() => c.recv(), EofError);

    // An answer to one receiver, which never got it.
    const [g, h] = Pipe<unknown>();
    const other = world.another();
    const target = { kind: world.kind, token: other.me };
    assertThrows(() => pack([h, Symbol("no")], target, "answer"));
    h.close();
    await assertRejects(() => g.recv(), EofError);
    world.kill(other);

    // A child that never came up because its arguments could not be sent.
    const [e, f] = Pipe<unknown>();
    const child = world.another();
    assertThrows(() => world.give([f, Symbol("no")], child));
    world.kill(child);
    f.close();
    await assertRejects(() => e.recv(), EofError);
  },
);

each(
  "Connection in a message nobody will receive does not count",
  async (Pipe, world) => {
    // Its receiver dies: the sender notices when it uses the connection again.
    const [control, childControl] = Pipe<unknown>();
    const child = world.another();
    const theirs = world.give(childControl, child);
    childControl.close();
    const [c, d] = Pipe<number>();
    await control.send({ large: new Uint8Array(10_000), d });
    d.close();
    const last = c.recv();
    assertEquals(await look(last), ["waits"]);
    world.kill(child);
    await assertRejects(() => control.recv(), EofError);
    await assertRejects(() => last, EofError);
    theirs.close();

    // Its receiver closes without receiving; or refuses it, and closes.
    for (const refuse of [false, true]) {
      const [e, f] = Pipe<unknown>();
      const [g, h] = Pipe<unknown>();
      await e.send([h]);
      h.close();
      if (refuse) await assertRejects(() => f.recvBytes(), ProcessError);
      assertEquals(g.pollSync(), false);
      f.close();
      assertEquals(g.pollSync(), true);
    }

    // Everybody closes the queue it is in.
    const queue = new (world.of(Queue))<unknown>();
    const [i, j] = Pipe<unknown>();
    await queue.put(new Map([["j", j]]));
    j.close();
    assertEquals(i.pollSync(), false);
    queue.close();
    assertEquals(i.pollSync(), true);
  },
);

each("Connection that is collected gives its end up", async (Pipe) => {
  const a = (() => Pipe<number>()[0])();
  await until(() => {
    collectGarbage();
    return a.pollSync();
  }, "the other end is collected");
  await assertRejects(() => a.recv(), EofError);
});

each("Connection is not collected while it waits", async (Pipe) => {
  const [a, message] = (() => {
    const [a, b] = Pipe<number>();
    return [a, b.recv()];
  })();
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    assertEquals(await look(message), ["waits"]);
  }
  await a.send(1);
  assertEquals(await message, 1);
});

each(
  "Pipe has room for more participants than its table",
  async (Pipe, world) => {
    const [a, b] = Pipe<number>();
    const others = Array.from({ length: 60 }, () => world.another());
    // Kept, or they would be collected and give the end up.
    const theirs = others.map((other) => world.give(b, other));
    for (const end of theirs) await end.send(1);
    b.close();
    for (const _ of others) assertEquals(await a.recv(), 1);
    const last = a.recv();
    for (const other of others.slice(1)) world.kill(other);
    assertEquals(await look(last), ["waits"]);
    await theirs[0]!.send(2);
    assertEquals(await last, 2);
    world.kill(others[0]!);
    await assertRejects(() => a.recv(), EofError);
  },
);

Deno.test("a worker pipe cannot go to a process", async () => {
  const [a] = pipeFor("worker")();
  const [b, c] = pipeFor("spawn")();
  const error = await assertRejects(() => b.send(a), EncodingError);
  assertMatch(error.message, /"worker".*"spawn"/);
  // The refused handle is not on its way.
  const [d, e] = pipeFor("worker")();
  using _held = e; // collected, it would be closed, and this end broken
  await d.send(1);
  c.close();
});

// ---- the rest ---------------------------------------------------------------------------

each(
  "Connection carries 100,000 messages, and its memory is given back",
  async (Pipe, { arena }) => {
    const [a, b] = Pipe<number>();
    await a.send(0);
    await b.recv();
    const { blocks } = arena.heap;
    for (let i = 0; i < MANY_MESSAGES; i++) await a.send(i);
    for (let i = 0; i < MANY_MESSAGES; i++) {
      if (await b.recv() !== i) throw new Error(`Not ${i}`);
    }
    assertEquals(arena.heap.blocks, blocks);
  },
);

each("Connection.fileno() tells ends apart", (Pipe, world) => {
  const ends = [...Pipe(), ...Pipe()];
  const numbers = new Set(ends.map((end) => end.fileno()));
  assertEquals(numbers.size, 4);
  const child = world.another();
  const theirs = world.give(ends[0]!, child);
  assertEquals(theirs.fileno(), ends[0]!.fileno());
  assertNotEquals(theirs.fileno(), ends[1]!.fileno());
  world.kill(child);
  assertMatch(`${ends[0]}`, /^<Connection at 0x[0-9a-f]+>$/);
  assertEquals(Deno.inspect(ends[0]), `${ends[0]}`);
});

each("Pipe() refuses limits that are none", (Pipe) => {
  for (const maxBytes of [NaN, 0, -1]) {
    assertThrows(() => Pipe({ maxBytes }), RangeError, "'maxBytes'");
  }
  assertThrows(
    () => Pipe({ maxBytes: "1" as unknown as number }),
    TypeError,
    "'maxBytes'",
  );
});

each(
  "Connection.recvBytes() that refuses a value passes its wake-up on",
  async (Pipe, world) => {
    const [a, b] = Pipe<string>();
    const child = world.another();
    const theirs = world.give(b, child);
    const refused = assertRejects(() => b.recvBytes(), ProcessError);
    const received = theirs.recv();
    await a.send("value");
    await refused;
    assertEquals(await received, "value");
    world.kill(child);
  },
);

/**
 * `Listener` and `Client`: the rows LIST, and LESSON-46, 48 and 52.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { encode } from "../../codec/mod.ts";
import {
  AuthenticationError,
  EncodingError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../../errors.ts";
import { placeFor } from "../../network/address.ts";
import { Client, Listener } from "../../network/mod.ts";
import type { Address, Family, SocketConnection } from "../../network/mod.ts";
import { until } from "../_support/gate.ts";
import {
  anywhere,
  FAMILIES,
  KEY,
  openFiles,
  RawPeer,
  WRONG_KEY,
} from "./_peers.ts";

const LINUX = Deno.build.os === "linux";
/** Peers that connect and say nothing. */
const SILENT_PEERS = 50;
/** In what time a good client is served beside them. */
const SERVED_MS = 1000;
/** Clients that connect at once. */
const CLIENTS = 1000;
/** Listeners one after the other at one port. */
const RESTARTS = 50;
/** More than there are between a socket that is connected and its `Client()`. */
const STEPS = 20;
/** How long the other side has to hang up, too. */
const FAREWELL_MS = 5_000;
/** Only ends what would hang for ever. */
const HANG_MS = 30_000;

for (const family of FAMILIES) {
  Deno.test(`LIST-01 Listener refuses an address that is taken (${family})`, () => {
    using listener = new Listener(anywhere(family), { family });
    const error = assertThrows(
      () => new Listener(listener.address),
      Deno.errors.AddrInUse,
    );
    assertMatch(error.message, /^Cannot listen at .* as the address is in use/);
    assertInstanceOf(error.cause, Deno.errors.AddrInUse);
  });

  Deno.test(`LIST-02 Listener, Client and a connection work with using, and accept() rejects afterwards (${family})`, async () => {
    let after: Listener;
    {
      using listener = new Listener(anywhere(family), { family });
      using there = await Client(listener.address);
      using here = await listener.accept();
      await there.send(1729);
      assertEquals(await here.recv(), 1729);
      after = listener;
    }
    await assertRejects(
      () => after.accept(),
      ProcessError,
      "listener is closed",
    );
  });

  Deno.test(`LIST-04 a child process connects, says hello and closes (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        new URL("fixtures/hello.ts", import.meta.url).href,
        JSON.stringify(listener.address),
      ],
      stdout: "null",
    }).spawn();
    using here = await listener.accept();
    assertEquals(await here.recv(), "hello");
    await assertRejects(() => here.recv(), EofError);
    assertEquals((await child.status).code, 0);
  });

  Deno.test(`LIST-04 a worker connects, says hello and closes (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    const worker = new Worker(new URL("fixtures/hello.ts", import.meta.url), {
      type: "module",
    });
    const done = new Promise((resolve) => worker.onmessage = resolve);
    worker.postMessage(listener.address);
    using here = await listener.accept();
    assertEquals(await here.recv(), "hello");
    await done;
    worker.terminate();
  });

  Deno.test(`LIST-05 a client that wrote and closed before accept() is served (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    const there = await Client(listener.address);
    await there.send("hello");
    there.close();
    using here = await listener.accept();
    assertEquals(await here.recv(), "hello");
    await assertRejects(() => here.recv(), EofError);
  });

  Deno.test(`LIST-06 what the accepting side sends makes the client's poll() true (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    using there = await Client(listener.address);
    using here = await listener.accept();
    await here.sendBytes(new TextEncoder().encode("hello"));
    assert(await there.poll({ timeout: Infinity }));
    assertEquals((await there.recvBytes()).byteLength, 5);
  });

  Deno.test(`Listener.lastAccepted is where the client came from (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family });
    assertEquals(listener.lastAccepted, null);
    using _there = await Client(listener.address);
    assertEquals(listener.lastAccepted, null);
    using _here = await listener.accept();
    if (family === "AF_UNIX") assertEquals(listener.lastAccepted, "");
    else {
      const { hostname, port } = listener.lastAccepted as Exclude<
        Address,
        string
      >;
      assertEquals(hostname, "127.0.0.1");
      assertNotEquals(port, 0);
    }
  });

  Deno.test(`Listener.address has the real port or path and is kept after close() (${family})`, () => {
    const listener = new Listener(anywhere(family), { family });
    const { address } = listener;
    listener.close();
    listener.close();
    assertEquals(listener.address, address);
    if (typeof address !== "string") assert(address.port > 0);
    assertMatch(String(listener), /^<Listener at .+ closed>$/);
    assertEquals(Deno.inspect(listener), String(listener));
  });
}

Deno.test("LIST-02 Listener.close() rejects those who wait in accept() and ends loops", async () => {
  const listener = new Listener();
  const accepting = assertRejects(
    () => listener.accept(),
    ProcessError,
    "listener is closed",
  );
  const looping = (async () => {
    for await (const _ of listener) throw new Error("nobody has connected");
  })();
  listener.close();
  await accepting;
  await looping;
});

Deno.test("LIST-02 Listener.close() cuts off who was not accepted and leaves the others", async () => {
  const listener = new Listener();
  using accepted = await Client(listener.address);
  using here = await listener.accept();
  using waiting = await Client(listener.address);
  using probe = await Client(listener.address);
  // The second is surely in the listener's hands when the third is.
  await listener.accept().then((connection) => connection.close());
  await listener[Symbol.asyncDispose]();
  await assertRejects(() => waiting.recv(), EofError);
  await assertRejects(() => probe.recv(), EofError);
  await here.send("still here");
  assertEquals(await accepted.recv(), "still here");
});

Deno.test({
  name: "LIST-03 Listener takes an abstract name",
  ignore: !LINUX,
  async fn() {
    const name = `\0mp-test-${crypto.randomUUID()}`;
    const listener = new Listener(name);
    using there = await Client(listener.address);
    using here = await listener.accept();
    await there.send(1729);
    assertEquals(await here.recv(), 1729);
    listener.close();
    await assertRejects(() => listener.accept(), ProcessError);
  },
});

Deno.test({
  name: "LIST-07 Listener and Client refuse a named pipe off Windows",
  ignore: Deno.build.os === "windows",
  async fn() {
    const words = "Family AF_PIPE is not recognized";
    assertThrows(() => new Listener("\\\\.\\test"), RangeError, words);
    await assertRejects(() => Client("\\\\.\\test"), RangeError, words);
    assertThrows(
      () => new Listener(undefined, { family: "AF_PIPE" as Family }),
      RangeError,
      words,
    );
  },
});

Deno.test("LIST-08 a path is refused on Windows, and abstract names on all but Linux", () => {
  assertThrows(
    () => placeFor("/var/test.pipe", undefined, "windows"),
    RangeError,
    "Family AF_UNIX is not recognized",
  );
  assertThrows(
    () => placeFor("\0name", undefined, "darwin"),
    RangeError,
    "only Linux",
  );
});

for (
  const [what, address, options, kind, words] of [
    ["a number", 3, {}, TypeError, "'address'"],
    ["null", null, {}, TypeError, "'address'"],
    ["an empty path", "", {}, RangeError, "'address'"],
    ["a port that is text", { port: "80" }, {}, TypeError, "'address'"],
    ["port -1", { port: -1 }, {}, RangeError, "port"],
    ["port 65536", { port: 65536 }, {}, RangeError, "port"],
    [
      "a path as AF_INET",
      "/tmp/x",
      { family: "AF_INET" },
      TypeError,
      "AF_INET",
    ],
    [
      "a port as AF_UNIX",
      { port: 0 },
      { family: "AF_UNIX" },
      TypeError,
      "AF_UNIX",
    ],
    ["an unknown family", { port: 0 }, { family: "AF_X" }, RangeError, "AF_X"],
    [
      "a key that is text",
      { port: 0 },
      { authkey: "k" },
      TypeError,
      "authkey should be a byte string",
    ],
    [
      "an empty key",
      { port: 0 },
      { authkey: new Uint8Array() },
      RangeError,
      "empty authkey",
    ],
    [
      "an unknown digest",
      { port: 0 },
      { digest: "sha1" },
      RangeError,
      "'digest'",
    ],
    [
      "no messages at all",
      { port: 0 },
      { maxMessageBytes: 0 },
      RangeError,
      "'maxMessageBytes'",
    ],
  ] as const
) {
  Deno.test(`LIST-07 Listener and Client refuse ${what}`, async () => {
    assertThrows(
      () => new Listener(address as Address, options as never),
      kind,
      words,
    );
    await assertRejects(
      () => Client(address as Address, options as never),
      kind,
      words,
    );
  });
}

for (
  const [what, options] of [
    ["a backlog of 0", { backlog: 0 }],
    ["half a connection", { maxConnections: 0.5 }],
    ["no time for a handshake", { handshakeTimeout: 0 }],
  ] as const
) {
  Deno.test(`LIST-07 Listener refuses ${what}`, () => {
    assertThrows(
      () => new Listener({ port: 0 }, options),
      RangeError,
      Object.keys(options)[0]!,
    );
  });
}

Deno.test("LIST-07 Listener refuses an 'onRefusal' that is no function", () => {
  for (const onRefusal of [5, null, {}]) {
    assertThrows(
      () => new Listener({ port: 0 }, { onRefusal: onRefusal as never }),
      TypeError,
      "'onRefusal' must be a function",
    );
  }
});

Deno.test("LIST-09 the deadline of handshakes is none for what comes after", async () => {
  const handshakeTimeout = 100;
  using listener = new Listener(undefined, { authkey: KEY, handshakeTimeout });
  using there = await Client<number>(listener.address, { authkey: KEY });
  using here = await listener.accept();
  await here.send(123);
  assertEquals(await there.recv(), 123);
  // Here time itself is what is tested.
  const answering = there.recv();
  await new Promise((resolve) => setTimeout(resolve, 2 * handshakeTimeout));
  await here.send(456);
  assertEquals(await answering, 456);
});

Deno.test("LIST-10 Client says what is wrong when nobody is there", async () => {
  const missing = await assertRejects(
    () => Client("/tmp/mp-no-such-folder/listener"),
    Deno.errors.NotFound,
  );
  assertEquals(
    missing.message,
    'Cannot connect to "/tmp/mp-no-such-folder/listener" as there is no such socket',
  );
  const listener = new Listener({ port: 0 });
  await listener[Symbol.asyncDispose]();
  const refused = await assertRejects(
    () => Client(listener.address),
    Deno.errors.ConnectionRefused,
  );
  assertMatch(refused.message, /^Cannot connect to 127\.0\.0\.1:\d+ as nobody/);
  assertThrows(
    () => new Listener("/tmp/mp-no-such-folder/listener"),
    Deno.errors.NotFound,
    "no such folder",
  );
});

for (
  const [what, address, words] of [
    [
      "a path that is too long",
      `/tmp/${"x".repeat(200)}`,
      "Cannot use 'address' as the path of a socket may have",
    ],
    [
      "a path whose bytes are too many",
      `/tmp/${"ä".repeat(60)}`,
      "use a shorter one",
    ],
    ["a path with a zero in it", "/tmp/a\0b", "must not have a zero in it"],
    [
      "what cannot be a hostname",
      { hostname: "no such host", port: 1 },
      "no such host:1 as its 'hostname' cannot be one",
    ],
    ["no hostname", { hostname: "", port: 1 }, "cannot be one"],
  ] as const
) {
  Deno.test(`LIST-10 Listener and Client say what is wrong with ${what}`, async () => {
    assertThrows(() => new Listener(address), RangeError, words);
    await assertRejects(() => Client(address), RangeError, words);
  });
}

Deno.test("LIST-10 Listener and Client say which host has no address", async () => {
  const address = { hostname: "no.such.host.invalid", port: 1 };
  const words = "no.such.host.invalid:1 as no address was found";
  assertThrows(() => new Listener(address), Error, words);
  await assertRejects(() => Client(address), Error, words);
});

Deno.test("LIST-10 Client says that nobody can listen at port 0", async () => {
  await assertRejects(() => Client({ port: 0 }), RangeError, "must not be 0");
});

Deno.test({
  name: "LIST-10 Listener takes the longest path and the longest name",
  ignore: !LINUX,
  async fn() {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/`.padEnd(107, "x");
    const name = `\0${crypto.randomUUID()}`.padEnd(108, "x");
    for (const address of [path, name]) {
      using listener = new Listener(address);
      using there = await Client(listener.address);
      using here = await listener.accept();
      await there.send(1);
      assertEquals(await here.recv(), 1);
      await assertRejects(() => Client(`${address}x`), RangeError, "107 bytes");
    }
    await Deno.remove(folder);
  },
});

Deno.test("PICK-01 a listener and a connection refuse to travel and say what to do", async () => {
  using listener = new Listener();
  using there = await Client(listener.address);
  using here = await listener.accept();
  for (const object of [listener, there]) {
    assertThrows(() => encode(object), EncodingError, "address");
  }
  await assertRejects(() => here.send(there), EncodingError);
  assertEquals(await there.poll(), false);
});

Deno.test("PICK-01 messages can be passed on instead", async () => {
  using front = new Listener<string>();
  using back = new Listener<string>();
  using client = await Client<string>(front.address);
  using accepted = await front.accept();
  using toParent = await Client<string>(back.address);
  using parent = await back.accept();
  await client.send("this connection uses a proxy");
  await toParent.send(await accepted.recv());
  await parent.send((await parent.recv()).toUpperCase());
  await accepted.send(await toParent.recv());
  assertEquals(await client.recv(), "THIS CONNECTION USES A PROXY");
});

// ---- accept() -----------------------------------------------------------------

Deno.test("Listener.accept() rejects with TimeoutError when nobody comes in time", async () => {
  using listener = new Listener();
  for (const timeout of [1, 0, -1]) {
    await assertRejects(() => listener.accept({ timeout }), TimeoutError);
  }
});

Deno.test("Listener.accept() rejects with the signal's reason and takes nobody", async () => {
  using listener = new Listener();
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const accepting = assertRejects(
    () => listener.accept({ signal: controller.signal }),
    Error,
    "changed my mind",
  );
  controller.abort(reason);
  await accepting;
  using there = await Client(listener.address);
  using here = await listener.accept();
  await there.send(1);
  assertEquals(await here.recv(), 1);
});

Deno.test("Listener.accept() serves those who wait in order", async () => {
  using listener = new Listener<number>();
  const accepting = [listener.accept(), listener.accept(), listener.accept()];
  for (const [i, accepted] of accepting.entries()) {
    using there = await Client<number>(listener.address);
    await there.send(i);
    using here = await accepted;
    assertEquals(await here.recv(), i);
  }
});

Deno.test("Listener keeps clients in the order in which they came", async () => {
  using listener = new Listener<number>();
  using stack = new DisposableStack();
  for (let i = 0; i < 10; i++) {
    const there = stack.use(await Client<number>(listener.address));
    await there.send(i);
  }
  for (let i = 0; i < 10; i++) {
    using here = await listener.accept();
    assertEquals(await here.recv(), i);
  }
});

// ---- LESSON-46: strangers -----------------------------------------------------

for (const family of FAMILIES) {
  Deno.test(`LESSON-46 ${SILENT_PEERS} silent peers do not keep a good client waiting (${family})`, async () => {
    using listener = new Listener(anywhere(family), { family, authkey: KEY });
    using stack = new DisposableStack();
    for (let i = 0; i < SILENT_PEERS; i++) {
      const peer = stack.use(await RawPeer.connect(listener.address));
      // Half of them have begun to answer.
      if (i % 2 === 1) await peer.write(Uint8Array.of(0, 0));
    }
    const before = performance.now();
    using there = await Client(listener.address, { authkey: KEY });
    using here = await listener.accept();
    await here.send("served");
    assertEquals(await there.recv(), "served");
    assert(performance.now() - before < SERVED_MS);
  });
}

Deno.test("LESSON-46 a peer that sends a byte now and then is cut off at the deadline", async () => {
  const refusals: Error[] = [];
  using listener = new Listener(undefined, {
    authkey: KEY,
    handshakeTimeout: 200,
    onRefusal: (error) => refusals.push(error),
  });
  using peer = await RawPeer.connect(listener.address);
  await peer.write(Uint8Array.of(0, 0, 0, 200));
  const dripping = setInterval(() => {
    peer.write(Uint8Array.of(0)).catch(() => clearInterval(dripping));
  }, 20);
  assert(await peer.sawEnd());
  clearInterval(dripping);
  await until(() => refusals.length > 0, "the refusal is reported");
  assertInstanceOf(refusals[0], TimeoutError);
  assertStringIncludes(refusals[0].message, "200 ms");
  // Whoever never answered is not worth an accept().
  await assertRejects(() => listener.accept({ timeout: 0 }), TimeoutError);
});

Deno.test("LESSON-46 accept() rejects once for a wrong key and the listener goes on", async () => {
  const refusals: [Error, Address][] = [];
  using listener = new Listener({ port: 0 }, {
    authkey: KEY,
    onRefusal: (...refusal) => refusals.push(refusal),
  });
  await assertRejects(
    () => Client(listener.address, { authkey: WRONG_KEY }),
    AuthenticationError,
    "digest sent was rejected",
  );
  await assertRejects(
    () => listener.accept(),
    AuthenticationError,
    "digest received was wrong",
  );
  using there = await Client(listener.address, { authkey: KEY });
  using here = await listener.accept();
  await there.send("good");
  assertEquals(await here.recv(), "good");
  assertEquals(refusals.length, 1);
  assertInstanceOf(refusals[0]![0], AuthenticationError);
  assertEquals((refusals[0]![1] as { hostname: string }).hostname, "127.0.0.1");
});

Deno.test("LESSON-46 a wrong key does not end a for await loop", async () => {
  await using listener = new Listener<string>(undefined, { authkey: KEY });
  const served: string[] = [];
  const serving = (async () => {
    for await (using connection of listener) {
      served.push(await connection.recv());
    }
  })();
  for (const authkey of [WRONG_KEY, KEY, WRONG_KEY, KEY]) {
    try {
      using there = await Client<string>(listener.address, { authkey });
      await there.send("good");
      await there.poll({ timeout: Infinity });
    } catch (error) {
      assertInstanceOf(error, AuthenticationError);
    }
  }
  listener.close();
  await serving;
  assertEquals(served, ["good", "good"]);
});

Deno.test("LESSON-46 a failure of onRefusal is the program's, and clients are let in all the same", async () => {
  using listener = new Listener(undefined, {
    authkey: KEY,
    onRefusal: () => {
      throw new Error("in onRefusal");
    },
  });
  const failed = new Promise<string>((resolve) =>
    addEventListener("error", (event) => {
      event.preventDefault();
      resolve(event.error.message);
    }, { once: true })
  );
  await assertRejects(() => Client(listener.address, { authkey: WRONG_KEY }));
  assertEquals(await failed, "in onRefusal");
  using _there = await Client(listener.address, { authkey: KEY });
});

Deno.test("Listener has a silent peer make way when all places are taken", async () => {
  const refusals: Error[] = [];
  using listener = new Listener(undefined, {
    authkey: KEY,
    maxConnections: 3,
    handshakeTimeout: 2000,
    onRefusal: (error) => refusals.push(error),
  });
  using stack = new DisposableStack();
  for (let i = 0; i < 3; i++) {
    stack.use(await RawPeer.connect(listener.address));
  }
  using there = await Client(listener.address, { authkey: KEY });
  using here = await listener.accept();
  await there.send("made it");
  assertEquals(await here.recv(), "made it");
  assertEquals(refusals.length, 1);
  assertStringIncludes(refusals[0]!.message, "others waited");
});

Deno.test("Listener lets no more than maxConnections in at a time", async () => {
  using listener = new Listener<number>(undefined, { maxConnections: 2 });
  using first = await Client(listener.address);
  using second = await Client(listener.address);
  using third = await Client<number>(listener.address);
  await third.send(3);
  const here = await listener.accept();
  using alsoHere = await listener.accept();
  const accepting = listener.accept();
  await second.send(2);
  // A whole turn of messages later the third is still outside.
  assertEquals(await alsoHere.recv(), 2);
  await assertRejects(() => listener.accept({ timeout: 0 }), TimeoutError);
  here.close();
  using finallyHere = await accepting;
  assertEquals(await finallyHere.recv(), 3);
  await assertRejects(() => first.recv(), EofError);
});

for (const family of FAMILIES) {
  Deno.test(`${CLIENTS} clients that connect at once are all served (${family})`, async () => {
    const before = LINUX ? openFiles() : 0;
    {
      await using listener = new Listener<number>(anywhere(family), {
        family,
        authkey: KEY,
      });
      const serving = (async () => {
        let served = 0;
        for await (const connection of listener) {
          connection.recv().then(async (n) => {
            await connection.send(2 * n);
            connection.close();
          });
          if (++served === CLIENTS) return;
        }
      })();
      const answers = await Promise.all(
        Array.from({ length: CLIENTS }, async (_, i) => {
          using there = await Client<number>(listener.address, {
            authkey: KEY,
          });
          await there.send(i);
          return await there.recv();
        }),
      );
      await serving;
      assertEquals(answers, answers.map((_, i) => 2 * i));
    }
    if (LINUX) {
      await until(() => openFiles() <= before + 2, "the sockets are closed");
    }
  });
}

// ---- ends ---------------------------------------------------------------------

Deno.test(`LESSON-52 Listener can be started ${RESTARTS} times at one port`, async () => {
  let address: Address = { port: 0 };
  for (let i = 0; i < RESTARTS; i++) {
    await using listener: Listener = new Listener(address);
    address = listener.address;
    using there = await Client(address);
    // The side that closes first keeps the port busy for a while.
    const here = await listener.accept();
    here.close();
    await assertRejects(() => there.recv(), EofError);
  }
});

Deno.test(`LESSON-52 Listener can be started ${RESTARTS} times at one path`, async () => {
  const folder = await Deno.makeTempDir();
  for (let i = 0; i < RESTARTS; i++) {
    await using listener = new Listener(`${folder}/socket`);
    using there = await Client(listener.address);
    using here = await listener.accept();
    await there.send(i);
    assertEquals(await here.recv(), i);
  }
  await Deno.remove(folder);
});

Deno.test("Listener.close() removes the socket and its folder", async () => {
  const listener = new Listener();
  const path = listener.address as string;
  const folder = path.slice(0, path.lastIndexOf("/"));
  if (Deno.build.os !== "windows") {
    assertEquals((await Deno.stat(folder)).mode! & 0o777, 0o700);
  }
  listener.close();
  await assertRejects(() => Deno.stat(folder), Deno.errors.NotFound);
});

Deno.test("Listener.close() removes the socket at a path that was given", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  {
    await using _listener = new Listener(path);
    await Deno.stat(path);
  }
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  await Deno.remove(folder);
});

for (
  const [what, code, prints] of [
    ["listens", 0, []],
    ["is connected", 0, ["false"]],
    ["exits", 3, []],
    ["listens at a path", 0, []],
  ] as const
) {
  Deno.test(`a program that just ${what} comes to its end and leaves no file`, async () => {
    const { stdout, code: exitCode } = await run(what).output();
    const [path, ...lines] = new TextDecoder().decode(stdout).trim().split(
      "\n",
    );
    assertEquals(lines, [...prints]);
    assertEquals(exitCode, code);
    await assertRejects(() => Deno.stat(path!), Deno.errors.NotFound);
    // Its own folder goes with it; one that was there before does not.
    const folder = Deno.remove(path!.slice(0, path!.lastIndexOf("/")));
    if (what === "listens at a path") await folder;
    else await assertRejects(() => folder, Deno.errors.NotFound);
  });
}

Deno.test("a program that has hung up comes to its end although the other side has not", async () => {
  const { stdout, code } = await run("hangs up").output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  const [isClosed, ms] = lines.at(-1)!.split(" ");
  assertEquals([isClosed, code], ["false", 0]);
  assertLess(Number(ms), FAREWELL_MS);
});

for (const what of ["accepts", "accepts when full"]) {
  Deno.test(`a program that ${what} goes on until the client has come`, async () => {
    const child = run(what).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    const path = (await output.read()).value!.trim();
    using there = await Client<string>(path);
    await there.send("from the parent");
    assertEquals((await output.read()).value?.trim(), "from the parent");
    assertEquals((await output.read()).done, true);
    assertEquals((await child.status).code, 0);
  });
}

function run(what: string): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      new URL("fixtures/lifetime.ts", import.meta.url).href,
      what,
    ],
    stdout: "piped",
  });
}

// ---- Client -------------------------------------------------------------------

for (const family of FAMILIES) {
  Deno.test(`Client gives up in time when the listener is silent (${family})`, async () => {
    using server = family === "AF_INET"
      ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
      : Deno.listen({ transport: "unix", path: `\0mp-${crypto.randomUUID()}` });
    const address = server.addr.transport === "tcp"
      ? { port: server.addr.port }
      : (server.addr as Deno.UnixAddr).path;
    const connecting = assertRejects(
      () => Client(address, { authkey: KEY, timeout: 100 }),
      TimeoutError,
      "in time",
    );
    using peer = await RawPeer.accept(server);
    await connecting;
    assert(await peer.sawEnd());
  });
}

Deno.test("Client rejects with the signal's reason and leaves no connection", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = server.addr as Deno.NetAddr;
  const controller = new AbortController();
  const { signal } = controller;
  const connecting = assertRejects(
    () => Client({ port }, { authkey: KEY, signal }),
    Error,
    "changed my mind",
  );
  using peer = await RawPeer.accept(server);
  controller.abort(new Error("changed my mind"));
  await connecting;
  assert(await peer.sawEnd());
  await assertRejects(() => Client({ port }, { signal }), Error, "my mind");
});

Deno.test("Client that is aborted in any step of connecting leaves no connection", async () => {
  using listener = new Listener();
  const { connect } = Deno;
  for (let step = 0; step < STEPS; step++) {
    const controller = new AbortController();
    // Something else of the same turn aborts so many steps after the socket is
    // there.
    Deno.connect = (async (options: Deno.ConnectOptions) => {
      const socket = await connect(options);
      (async () => {
        for (let i = 0; i < step; i++) await null;
        controller.abort(new Error("changed my mind"));
      })();
      return socket;
    }) as typeof Deno.connect;
    let there: SocketConnection | undefined;
    try {
      there = await Client(listener.address, { signal: controller.signal });
    } catch (error) {
      assertEquals((error as Error).message, "changed my mind");
    } finally {
      Deno.connect = connect;
    }
    using here = await listener.accept();
    there?.close();
    await assertRejects(() => here.recv({ timeout: HANG_MS }), EofError);
  }
});

Deno.test("Client with no time at all gives up at once", async () => {
  await using listener = new Listener();
  await assertRejects(
    () => Client(listener.address, { timeout: 0 }),
    TimeoutError,
  );
});

Deno.test("Client rejects with EofError when the listener hangs up during the handshake", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = server.addr as Deno.NetAddr;
  const connecting = assertRejects(
    () => Client({ port }, { authkey: KEY }),
    EofError,
  );
  (await RawPeer.accept(server))[Symbol.dispose]();
  await connecting;
});

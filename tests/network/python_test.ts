/**
 * The wire protocol against CPython itself, in each version that is there:
 * both as the listener and as the client, with the right key, the wrong one and
 * none, with peers that are silent or vanish.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  AuthenticationError,
  EncodingError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../../errors.ts";
import { Client, Listener, recvJson, sendJson } from "../../network/mod.ts";
import type { SocketConnection } from "../../network/mod.ts";
import { anywhere, ascii, FAMILIES, KEY, text, WRONG_KEY } from "./_peers.ts";
import { findPythons, forPython, PythonPeer } from "./_python.ts";

const BIG_BYTES = 8 * 1024 ** 2;
/** More than CPython's backlog of 1 holds. */
const WAITING_CLIENTS = 8;
/** In what time a good client is served beside a silent one. */
const SERVED_MS = 1000;

const pythons = await findPythons();
for (
  const [what, isThere] of [
    ["no Python up to 3.11", pythons.some(({ isLegacy }) => isLegacy)],
    ["no Python from 3.12 on", pythons.some(({ isLegacy }) => !isLegacy)],
  ] as const
) {
  if (isThere) continue;
  console.log(`Some tests of the network are left out: there is ${what}`);
  Deno.test({ name: `CPython: ${what}`, ignore: true, fn() {} });
}

/** Bytes of all sizes, JSON and a long header there and back. */
async function converse(connection: SocketConnection): Promise<void> {
  for (const size of [0, 1, 16_384, 16_385, BIG_BYTES]) {
    const message = new Uint8Array(size).fill(size & 0xff);
    // Both at once, or the pipe between would have to hold all of it.
    const [, echo] = await Promise.all([
      connection.sendBytes(message),
      connection.recvBytes(),
    ]);
    assertEquals(echo.byteLength, size);
    assert(echo.every((byte) => byte === (size & 0xff)));
  }
  await connection.sendBytes(ascii("JSON"));
  await sendJson(connection, { list: [1, "ä", null] });
  assertEquals(await recvJson(connection), { got: { list: [1, "ä", null] } });

  await connection.sendBytes(ascii("long header"));
  assertEquals(text(await connection.recvBytes()), "hello");

  await connection.sendBytes(ascii("pickle"));
  await assertRejects(() => connection.recv(), EncodingError, "pickle");
  assertEquals((await connection.recvBytes())[0], 0x80);
}

for (const python of pythons) {
  const name = `CPython ${python.version}`;
  const digest = python.isLegacy ? "md5" : "sha256";
  const options = { authkey: KEY, digest } as const;

  for (const family of FAMILIES) {
    for (
      const [what, key] of [["a key", KEY], ["no key", undefined]] as const
    ) {
      const mine = key ? options : {};

      Deno.test(`${name} as the listener, with ${what} (${family})`, async () => {
        await using peer = await PythonPeer.start(
          python,
          ["serve", family],
          key,
        );
        using connection = await Client(await peer.address(), mine);
        assertEquals(await peer.told(), "accepted");
        await converse(connection);
        connection.close();
        assertEquals(await peer.told(), "end");
      });

      Deno.test(`${name} as the client, with ${what} (${family})`, async () => {
        using listener = new Listener(anywhere(family), mine);
        const args = ["visit", forPython(listener.address)];
        await using peer = await PythonPeer.start(python, args, key);
        using connection = await listener.accept();
        assertEquals(await peer.told(), "connected");
        await converse(connection);
        connection.close();
        assertEquals(await peer.told(), "end");
      });
    }

    Deno.test(`${name} as the listener refuses a wrong key (${family})`, async () => {
      await using peer = await PythonPeer.start(python, ["serve", family], KEY);
      const address = await peer.address();
      await assertRejects(
        () => Client(address, { ...options, authkey: WRONG_KEY }),
        AuthenticationError,
        "digest sent was rejected",
      );
      assertEquals(await peer.told(), [
        "AuthenticationError",
        "digest received was wrong",
      ]);
      using connection = await Client(address, options);
      assertEquals(await peer.told(), "accepted");
      await connection.sendBytes(ascii("good"));
      assertEquals(text(await connection.recvBytes()), "good");
    });

    Deno.test(`${name} as the client is refused with a wrong key (${family})`, async () => {
      using listener = new Listener(anywhere(family), options);
      const args = ["visit", forPython(listener.address)];
      await using peer = await PythonPeer.start(python, args, WRONG_KEY);
      await assertRejects(
        () => listener.accept(),
        AuthenticationError,
        "digest received was wrong",
      );
      assertEquals(await peer.told(), [
        "AuthenticationError",
        "digest sent was rejected",
      ]);
    });

    Deno.test(`${name} that is silent keeps nobody waiting (${family})`, async () => {
      using listener = new Listener(anywhere(family), options);
      const args = ["visit silently", forPython(listener.address)];
      await using silent = await PythonPeer.start(python, args);
      assertEquals(await silent.told(), "connected");
      const before = performance.now();
      using there = await Client(listener.address, options);
      using here = await listener.accept();
      await there.send("served");
      assertEquals(await here.recv(), "served");
      assert(performance.now() - before < SERVED_MS);
    });
  }

  Deno.test(`${name} as a silent listener: Client gives up in time`, async () => {
    await using peer = await PythonPeer.start(python, ["serve silently"]);
    const address = await peer.address();
    await assertRejects(
      () => Client(address, { ...options, timeout: 200 }),
      TimeoutError,
    );
  });

  Deno.test(`${name} that vanishes in the middle of a message`, async () => {
    await using peer = await PythonPeer.start(
      python,
      ["serve", "AF_UNIX"],
      KEY,
    );
    using connection = await Client(await peer.address(), options);
    await connection.sendBytes(ascii("half"));
    await assertRejects(
      () => connection.recvBytes(),
      ProcessError,
      "got end of file during message",
    );
  });

  Deno.test(`${name} as a listener with a long line: all clients are served (AF_UNIX)`, async () => {
    await using peer = await PythonPeer.start(python, ["serve one by one"]);
    const address = await peer.address();
    const clients = Array.from({ length: WAITING_CLIENTS }, async () => {
      using connection = await Client(address);
      return text(await connection.recvBytes());
    });
    // Only now does it begin to accept.
    await peer.tell("go");
    assertEquals(
      await Promise.all(clients),
      Array(WAITING_CLIENTS).fill("hello"),
    );
  });

  if (python.isLegacy) {
    Deno.test(`${name} as the listener: MD5 has to be asked for`, async () => {
      await using peer = await PythonPeer.start(
        python,
        ["serve", "AF_UNIX"],
        KEY,
      );
      const address = await peer.address();
      await assertRejects(
        () => Client(address, { authkey: KEY }),
        AuthenticationError,
        'asks for MD5, as CPython up to 3.11 does: allow it with digest: "md5"',
      );
    });

    Deno.test(`${name} as the client: MD5 has to be asked for`, async () => {
      using listener = new Listener(undefined, { authkey: KEY });
      const args = ["visit", forPython(listener.address)];
      await using peer = await PythonPeer.start(python, args, KEY);
      await assertRejects(
        () => listener.accept(),
        AuthenticationError,
        'with digest: "md5"',
      );
      assertEquals(await peer.told(), [
        "AuthenticationError",
        "digest sent was rejected",
      ]);
    });
  } else {
    for (const other of ["md5", "sha384"] as const) {
      Deno.test(`${name} as the listener and a Client with digest ${other}`, async () => {
        await using peer = await PythonPeer.start(
          python,
          ["serve", "AF_UNIX"],
          KEY,
        );
        using connection = await Client(await peer.address(), {
          authkey: KEY,
          digest: other,
        });
        assertEquals(await peer.told(), "accepted");
        await connection.sendBytes(ascii("hello"));
        assertEquals(text(await connection.recvBytes()), "hello");
      });

      Deno.test(`${name} as the client and a Listener with digest ${other}`, async () => {
        using listener = new Listener(undefined, {
          authkey: KEY,
          digest: other,
        });
        const args = ["visit", forPython(listener.address)];
        await using peer = await PythonPeer.start(python, args, KEY);
        using connection = await listener.accept();
        assertEquals(await peer.told(), "connected");
        await connection.sendBytes(ascii("hello"));
        assertEquals(text(await connection.recvBytes()), "hello");
      });
    }
  }

  Deno.test(`${name} with a key and a Client without one: its challenge is the first message`, async () => {
    await using peer = await PythonPeer.start(
      python,
      ["serve", "AF_UNIX"],
      KEY,
    );
    using connection = await Client(await peer.address());
    assertMatch(text(await connection.recvBytes()), /^#CHALLENGE#/);
    connection.close();
    const [kind] = await peer.told() as [string, string];
    assertEquals(kind, "EOFError");
  });

  Deno.test(`${name} without a key and a Client with one: what it waits for does not come`, async () => {
    await using peer = await PythonPeer.start(python, ["serve", "AF_UNIX"]);
    const address = await peer.address();
    await assertRejects(
      () => Client(address, { ...options, timeout: 200 }),
      TimeoutError,
    );
    assertEquals(await peer.told(), "accepted");
    assertEquals(await peer.told(), "end");
  });
}

Deno.test(
  "CPython's end is an EofError",
  { ignore: pythons.length === 0 },
  async () => {
    await using peer = await PythonPeer.start(pythons.at(-1)!, [
      "serve",
      "AF_INET",
    ]);
    using connection = await Client(await peer.address());
    assertEquals(await peer.told(), "accepted");
    await peer[Symbol.asyncDispose](); // killed
    await assertRejects(() => connection.recv(), EofError);
  },
);

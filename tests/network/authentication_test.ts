/**
 * The handshake: the rows AUTH, LESSON-40 and LESSON-45.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { setSink } from "../../_log.ts";
import { AuthKey } from "../../contexts/authkey.ts";
import { AuthenticationError, EofError, ProcessError } from "../../errors.ts";
import { Secret } from "../../network/_secret.ts";
import {
  answerChallenge,
  Client,
  deliverChallenge,
  Listener,
} from "../../network/mod.ts";
import type { ChallengeConnection, Digest } from "../../network/mod.ts";
import { until } from "../_support/gate.ts";
import {
  ascii,
  FAMILIES,
  KEY,
  pair,
  RawPeer,
  text,
  WRONG_KEY,
} from "./_peers.ts";

/** Says what it is told to say, and keeps what it hears. */
class Puppet implements ChallengeConnection {
  readonly heard: Uint8Array[] = [];
  readonly #lines: (string | Uint8Array)[];

  constructor(...lines: (string | Uint8Array)[]) {
    this.#lines = lines;
  }

  sendBytes(bytes: Uint8Array): void {
    this.heard.push(bytes);
  }

  recvBytes(_maxLength: number): Uint8Array {
    const line = this.#lines.shift()!;
    return typeof line === "string" ? ascii(line) : line;
  }
}

/** Two ends in one process. */
function lines(): [ChallengeConnection, ChallengeConnection] {
  const ways = [0, 1].map(() => {
    const stream = new TransformStream<Uint8Array, Uint8Array>(
      undefined,
      undefined,
      { highWaterMark: 10 },
    );
    return {
      reader: stream.readable.getReader(),
      writer: stream.writable.getWriter(),
    };
  });
  const end = (i: 0 | 1): ChallengeConnection => ({
    sendBytes: (bytes) => ways[i]!.writer.write(bytes),
    recvBytes: async () => (await ways[1 - i]!.reader.read()).value!,
  });
  return [end(0), end(1)];
}

Deno.test("AUTH-01 deliverChallenge() rejects something bogus and says so", async () => {
  const puppet = new Puppet("something bogus");
  await assertRejects(
    () => deliverChallenge(puppet, ascii("abc")),
    AuthenticationError,
    "digest received was wrong",
  );
  assertStringIncludes(text(puppet.heard[0]!), "#CHALLENGE#{sha256}");
  assertEquals(text(puppet.heard[1]!), "#FAILURE#");
});

Deno.test("AUTH-02 answerChallenge() rejects something bogus in place of the welcome", async () => {
  const nonce = "n".repeat(40);
  await assertRejects(
    () =>
      answerChallenge(
        new Puppet(`#CHALLENGE#{sha256}${nonce}`, "something bogus"),
        ascii("abc"),
      ),
    AuthenticationError,
    "digest sent was rejected",
  );
  for (
    const line of ["#CHALLENGE#", "#CHALLENGE#too short", "something bogus", ""]
  ) {
    await assertRejects(
      () => answerChallenge(new Puppet(line, "something bogus"), ascii("abc")),
      AuthenticationError,
    );
  }
});

for (const family of FAMILIES) {
  for (const digest of ["sha256", "sha384", "md5"] as const) {
    Deno.test(`AUTH-X1 Listener and Client with one key find each other (${digest}, ${family})`, async () => {
      using ends = await pair(family, { authkey: KEY, digest });
      await ends.here.send(1);
      assertEquals(await ends.there.recv(), 1);
    });

    Deno.test(`AUTH-X1 a wrong key is refused on both sides (${digest}, ${family})`, async () => {
      const address = family === "AF_INET" ? { port: 0 } : undefined;
      using listener = new Listener(address, { authkey: KEY, digest });
      const accepting = assertRejects(
        () => listener.accept(),
        AuthenticationError,
        "digest received was wrong",
      );
      await assertRejects(
        () => Client(listener.address, { authkey: WRONG_KEY, digest }),
        AuthenticationError,
        "digest sent was rejected",
      );
      await accepting;
    });
  }
}

for (
  const [mine, theirs] of [["sha256", "sha384"], ["md5", "sha256"]] as [
    Digest,
    Digest,
  ][]
) {
  Deno.test(`AUTH-X1 a Listener that asks for ${mine} and a Client that asks for ${theirs}`, async () => {
    using listener = new Listener(undefined, { authkey: KEY, digest: mine });
    const connecting = Client(listener.address, {
      authkey: KEY,
      digest: theirs,
    });
    if (mine === "md5") {
      await assertRejects(
        () => connecting,
        AuthenticationError,
        "asks for MD5",
      );
    } else {
      using _there = await connecting;
      using _here = await listener.accept();
    }
  });
}

Deno.test("AUTH-X1 MD5 is not accepted unless it was asked for", async () => {
  // What a client of CPython up to 3.11 answers, with the right key.
  const [here, there] = lines();
  const answering = (async () => {
    const message = await there.recvBytes(256);
    const challenge = message.subarray("#CHALLENGE#".length);
    await there.sendBytes(await new Secret(KEY).mac("md5", challenge));
    return text(await there.recvBytes(256));
  })();
  await assertRejects(
    () => deliverChallenge(here, KEY),
    AuthenticationError,
    'digest: "md5"',
  );
  assertEquals(await answering, "#FAILURE#");
});

Deno.test("AUTH-X1 with MD5 asked for, a stronger answer is welcome", async () => {
  const [here, there] = lines();
  await Promise.all([
    deliverChallenge(here, KEY, { digest: "md5" }),
    answerChallenge(there, KEY, { digest: "md5" }),
  ]);
  await Promise.all([
    deliverChallenge(here, KEY),
    answerChallenge(there, KEY, { digest: "md5" }),
  ]);
});

Deno.test("AUTH-X1 a digest that is not known is not answered", async () => {
  for (const label of ["{sha3_256}", "{none}", "{}", "no label: "]) {
    const puppet = new Puppet(`#CHALLENGE#${label}${"n".repeat(40)}`);
    await assertRejects(
      () => answerChallenge(puppet, KEY),
      AuthenticationError,
      "not known here",
    );
    assertEquals(puppet.heard, []);
  }
});

Deno.test("AUTH-X1 messages of more than 256 bytes are rejected on both sides", async () => {
  const refusals: Error[] = [];
  using listener = new Listener(undefined, {
    authkey: KEY,
    onRefusal: (error) => refusals.push(error),
  });
  using peer = await RawPeer.connect(listener.address);
  await peer.readMessage();
  await peer.writeMessage(new Uint8Array(257));
  assert(await peer.sawEnd());
  await until(() => refusals.length > 0, "the refusal is reported");
  assertStringIncludes(refusals[0]!.message, "bad message length");

  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = server.addr as Deno.NetAddr;
  const connecting = assertRejects(
    () => Client({ port }, { authkey: KEY }),
    ProcessError,
    "bad message length",
  );
  using bogus = await RawPeer.accept(server);
  await bogus.writeMessage(new Uint8Array(257));
  await connecting;
});

Deno.test("AUTH-X1 a key that is no bytes is a TypeError that does not show it", async () => {
  for (const key of ["secret", 5, null, { reveal: () => "secret" }, [115]]) {
    const error = await assertRejects(
      () => deliverChallenge(new Puppet(), key as never),
      TypeError,
      "Authkey must be bytes",
    );
    assert(!error.message.includes("secret"));
  }
});

Deno.test("AUTH-X1 a key can be an object that reveals it", async () => {
  const authkey = new AuthKey(KEY);
  using ends = await pair("AF_UNIX", { authkey });
  using _plain = await Client(ends.listener.address, { authkey: KEY });
  assert(!ends.there.closed);
});

Deno.test("AUTH-X1 the key is copied when it is given", async () => {
  const authkey = KEY.slice();
  using listener = new Listener(undefined, { authkey });
  authkey.fill(0);
  using _there = await Client(listener.address, { authkey: KEY });
});

// ---- LESSON-45 ----------------------------------------------------------------

Deno.test("LESSON-45 each challenge is another one", async () => {
  using listener = new Listener(undefined, { authkey: KEY });
  const seen = new Set<string>();
  for (let i = 0; i < 100; i++) {
    using peer = await RawPeer.connect(listener.address);
    const challenge = text(await peer.readMessage());
    assertEquals(challenge.length, "#CHALLENGE#{sha256}".length + 40);
    seen.add(challenge);
  }
  assertEquals(seen.size, 100);
});

Deno.test("LESSON-45 the listener's own challenge as the answer is refused", async () => {
  using listener = new Listener(undefined, { authkey: KEY });
  using peer = await RawPeer.connect(listener.address);
  const challenge = (await peer.readMessage())!;
  await peer.writeMessage(challenge.subarray("#CHALLENGE#".length));
  assertEquals(text(await peer.readMessage()), "#FAILURE#");
  await assertRejects(() => listener.accept(), AuthenticationError);
});

for (const digest of ["sha256", "md5"] as const) {
  Deno.test(`LESSON-45 a client does not do the sums of another client for a false listener (${digest})`, async () => {
    // The false listener has no key. The first client asks it for a proof; it
    // opens its door to a second one and passes the question on.
    using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = server.addr as Deno.NetAddr;
    const options = { authkey: KEY, digest };
    const victim = assertRejects(() => Client({ port }, options));
    using first = await RawPeer.accept(server);
    await first.writeMessage(
      digest === "md5"
        ? `#CHALLENGE#${"n".repeat(20)}`
        : `#CHALLENGE#{sha256}${"n".repeat(40)}`,
    );
    await first.readMessage();
    await first.writeMessage("#WELCOME#");
    const question = (await first.readMessage())!;

    const helper = assertRejects(
      () => Client({ port }, options),
      AuthenticationError,
      "reflected",
    );
    using second = await RawPeer.accept(server);
    await second.writeMessage(question);
    await helper;
    assertEquals(await second.readMessage(), null);
    first[Symbol.dispose]();
    await victim;
  });
}

// The questions below were asked by other programs: nobody here waits for them.

Deno.test("LESSON-45 a client answers no client, also of another program", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = server.addr as Deno.NetAddr;
  for (
    const [origin, isAnswered] of [["deno-mpL", true], ["deno-mpC", false]]
  ) {
    const connecting = assertRejects(
      () => Client({ port }, { authkey: KEY }),
      isAnswered ? EofError : AuthenticationError,
    );
    using peer = await RawPeer.accept(server);
    await peer.writeMessage(`#CHALLENGE#{sha256}${origin}${"n".repeat(32)}`);
    assertEquals(await peer.readMessage() !== null, isAnswered);
    peer[Symbol.dispose]();
    await connecting;
  }
});

Deno.test("LESSON-45 a listener answers no listener, also of another program", async () => {
  using listener = new Listener(undefined, { authkey: KEY });
  for (
    const [origin, isAnswered] of [["deno-mpC", true], ["deno-mpL", false]]
  ) {
    using peer = await RawPeer.connect(listener.address);
    const challenge = (await peer.readMessage())!.subarray(
      "#CHALLENGE#".length,
    );
    const mac = await new Secret(KEY).mac("sha256", challenge);
    await peer.writeMessage(Uint8Array.of(...ascii("{sha256}"), ...mac));
    assertEquals(text(await peer.readMessage()), "#WELCOME#");
    await peer.writeMessage(`#CHALLENGE#{sha256}${origin}${"n".repeat(32)}`);
    assertEquals(await peer.readMessage() !== null, isAnswered);
  }
  await assertRejects(
    () => listener.accept(),
    AuthenticationError,
    "reflected",
  );
});

Deno.test("LESSON-45 an answer to one challenge is none to another, nor with another digest", async () => {
  using listener = new Listener(undefined, { authkey: KEY });
  const secret = new Secret(KEY);
  using first = await RawPeer.connect(listener.address);
  using second = await RawPeer.connect(listener.address);
  const challenges = await Promise.all(
    [first, second].map(async (peer) =>
      (await peer.readMessage())!.subarray("#CHALLENGE#".length)
    ),
  );
  assertNotEquals(...challenges as [Uint8Array, Uint8Array]);
  const mac = await secret.mac("sha256", challenges[0]!);
  await second.writeMessage(Uint8Array.of(...ascii("{sha256}"), ...mac));
  assertEquals(text(await second.readMessage()), "#FAILURE#");
  await first.writeMessage(Uint8Array.of(...ascii("{sha384}"), ...mac));
  assertEquals(text(await first.readMessage()), "#FAILURE#");
});

// ---- LESSON-40 ----------------------------------------------------------------

Deno.test("LESSON-40 the key is in nothing that is shown, logged or thrown", async () => {
  const shown: string[] = [];
  const show = (thing: unknown) => {
    shown.push(
      Deno.inspect(thing, { showHidden: true, depth: 20 }),
      String(thing),
      String(Object.getOwnPropertyNames(thing)),
    );
  };
  const sink = setSink({
    write: (_, message) =>
      shown.push(typeof message === "string" ? message : message()),
    getState: () => ({ level: 0, toStderr: false }),
    setState: () => {},
  });
  try {
    using listener = new Listener(undefined, { authkey: KEY, onRefusal: show });
    using there = await Client(listener.address, { authkey: KEY });
    using here = await listener.accept();
    [listener, there, here, new Secret(KEY)].forEach(show);
    show(
      await assertRejects(() =>
        Client(listener.address, { authkey: WRONG_KEY })
      ),
    );
    show(await assertRejects(() => listener.accept()));
    for (const thing of [listener, there]) {
      shown.push(JSON.stringify(thing));
    }
  } finally {
    setSink(sink);
  }
  assert(shown.some((each) => each.includes("digest received was wrong")));
  for (const key of [KEY, WRONG_KEY]) {
    const forms = [
      text(key),
      key.join(","),
      key.join(", "),
      key.toHex(),
      key.toBase64(),
    ];
    for (const form of forms) {
      // The first bytes are enough.
      assert(!shown.some((each) => each.includes(form.slice(0, 12))));
    }
  }
});

/**
 * Nonsense against a live listener, always the same: 100,000 messages and
 * handshakes in all. Whatever comes, the listener lives, lets nobody in who has
 * not proved to have the key, and keeps nothing of those it has turned away.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { encode } from "../../codec/mod.ts";
import { EncodingError, EofError, ProcessError } from "../../errors.ts";
import { MAGIC } from "../../network/_values.ts";
import { Secret } from "../../network/_secret.ts";
import { Client, Listener } from "../../network/mod.ts";
import { memoryInUse } from "../_support/garbage.ts";
import { until } from "../_support/gate.ts";
import {
  ascii,
  Dice,
  framed,
  KEY,
  openFiles,
  RawPeer,
  WRONG_KEY,
} from "./_peers.ts";

const SEED = 20_250_101;
/** Peers that try to get in. */
const HANDSHAKES = 30_000;
/** Messages that they send in all, at least. */
const HANDSHAKE_MESSAGES = 75_000;
/** Broken streams after the handshake. */
const STREAMS = 3_000;
/** Messages to somebody who expects values. */
const VALUES = 40_000;
/** Peers at a time. */
const AT_ONCE = 24;
/** What is left behind at most, for 40,000 and more guests. */
const LEFT_BYTES = 20 * 1024 ** 2;
const LINUX = Deno.build.os === "linux";

const WORDS = [
  "#CHALLENGE#",
  "#WELCOME#",
  "#FAILURE#",
  "{sha256}",
  "{sha384}",
  "{md5}",
  "{sha3_256}",
  "{",
  "",
].map(ascii);

/** A message as somebody might send it who has read half of the protocol. */
function nonsense(dice: Dice, challenge: Uint8Array): Uint8Array {
  switch (dice.roll(6)) {
    case 0:
      return dice.bytes(dice.roll(300));
    case 1:
      return Uint8Array.of(...dice.pick(WORDS), ...dice.bytes(dice.roll(60)));
    case 2:
      return dice.pick(WORDS);
    case 3:
      return challenge;
    case 4:
      return challenge.subarray(11);
    default:
      return Uint8Array.of(
        ...dice.pick(WORDS),
        ...dice.pick(WORDS),
        ...dice.bytes(dice.pick([16, 20, 32, 40, 48])),
      );
  }
}

/** The bytes of a message, perhaps spoiled. */
function spoiled(dice: Dice, message: Uint8Array): Uint8Array {
  const frame = framed(message);
  switch (dice.roll(8)) {
    case 0: // any length at all
      frame.set(dice.bytes(4));
      return frame;
    case 1: // less than was said
      return frame.subarray(0, dice.roll(frame.byteLength));
    case 2: // a long header
      return Uint8Array.of(255, 255, 255, 255, ...dice.bytes(8), ...message);
    case 3: // no frame
      return dice.bytes(1 + dice.roll(40));
    default:
      return frame;
  }
}

/** Runs something many times, some at once. */
async function often(
  times: number,
  action: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < times) await action(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** Checks that nothing stays open, and little memory taken. */
async function cleanly(action: () => Promise<void>): Promise<void> {
  const files = LINUX ? openFiles() : 0;
  const before = memoryInUse();
  await action();
  if (LINUX) await until(() => openFiles() <= files + 2, "all is closed");
  const left = memoryInUse() - before;
  console.log("LEFT", left);
  assert(left < LEFT_BYTES, `${left} bytes are left of the nonsense`);
}

Deno.test(`LESSON-46 fuzz: ${HANDSHAKES} handshakes of nonsense let nobody in`, async () => {
  const dice = new Dice(SEED);
  const wrong = new Secret(WRONG_KEY);
  const right = new Secret(KEY);
  let messages = 0;
  let refused = 0;
  await cleanly(async () => {
    await using listener = new Listener(undefined, {
      authkey: KEY,
      onRefusal: () => refused++,
    });
    await often(HANDSHAKES, async () => {
      using peer = await RawPeer.connect(listener.address);
      try {
        const challenge = (await peer.readMessage())!;
        const asked = challenge.subarray(11);
        const kind = dice.roll(8);
        if (kind === 0) return; // gone without a word
        if (kind <= 2) {
          // Nearly right: another key, or one bit.
          const secret = kind === 1 ? wrong : right;
          const mac = await secret.mac("sha256", asked);
          if (kind === 2) mac[dice.roll(32)]! ^= 1 << dice.roll(8);
          await peer.writeMessage(Uint8Array.of(...ascii("{sha256}"), ...mac));
          messages++;
        }
        const more = 1 + dice.roll(5);
        const bytes: number[] = [];
        for (let i = 0; i < more; i++) {
          bytes.push(...spoiled(dice, nonsense(dice, challenge)));
        }
        messages += more;
        await peer.write(Uint8Array.from(bytes));
        // Some hang up at once, some want to see what happens.
        if (dice.roll(2) === 0) return;
        await peer.socket.closeWrite();
        assert(await peer.sawEnd());
      } catch (error) {
        // Hung up on: as it should be.
        if (
          !(error instanceof Deno.errors.BrokenPipe ||
            error instanceof Deno.errors.ConnectionReset ||
            error instanceof Deno.errors.NotConnected)
        ) throw error;
      }
    });
    assert(messages >= HANDSHAKE_MESSAGES, `${messages}`);
    await until(() => refused === HANDSHAKES, () => `${refused} were refused`);

    using there = await Client(listener.address, { authkey: KEY });
    using here = await (async () => {
      // Of the failures, the last are kept: nobody else was let in.
      for (;;) {
        try {
          return await listener.accept();
        } catch (error) {
          assertEquals((error as Error).name, "AuthenticationError");
        }
      }
    })();
    await there.send("and the listener lives");
    assertEquals(await here.recv(), "and the listener lives");
  });
});

Deno.test(`LESSON-30 fuzz: ${STREAMS} spoiled streams end in an error or an end`, async () => {
  const dice = new Dice(SEED + 1);
  await cleanly(async () => {
    await using listener = new Listener(undefined, { maxMessageBytes: 1000 });
    const serving = (async () => {
      for await (const connection of listener) {
        drain(connection).finally(() => connection.close());
      }
    })();
    async function drain(connection: AsyncConnection): Promise<void> {
      try {
        for (;;) {
          const { byteLength } = await connection.recvBytes();
          assert(byteLength <= 1000);
        }
      } catch (error) {
        assert(error instanceof EofError || error instanceof ProcessError);
      }
    }
    await often(STREAMS, async () => {
      using peer = await RawPeer.connect(listener.address);
      const bytes: number[] = [];
      for (let i = dice.roll(10); i >= 0; i--) {
        bytes.push(...spoiled(dice, dice.bytes(dice.roll(1100))));
      }
      try {
        await peer.write(Uint8Array.from(bytes));
        await peer.socket.closeWrite();
        assert(await peer.sawEnd());
      } catch (error) {
        assert(
          error instanceof Deno.errors.BrokenPipe ||
            error instanceof Deno.errors.NotConnected ||
            error instanceof Deno.errors.ConnectionReset,
        );
      }
    });
    listener.close();
    await serving;
  });
});

/** The part of a connection that is used above. */
interface AsyncConnection {
  recvBytes(): Promise<Uint8Array>;
}

Deno.test(`LESSON-47 fuzz: ${VALUES} spoiled values are values or an EncodingError`, async () => {
  const dice = new Dice(SEED + 2);
  // Copies, as encode() uses its buffer again.
  const values = [
    { id: 7, list: [1, 2, 3], text: "Grüße", when: new Date(0) },
    [new Map([[1, new Set(["a"])]]), /x/g, 10n ** 40n, new Error("no")],
    new Float64Array(100).fill(0.1),
    Array.from({ length: 50 }, (_, i) => ({ i, even: i % 2 === 0 })),
  ].map((value) => Uint8Array.of(...MAGIC, ...encode(value)));
  await cleanly(async () => {
    using listener = new Listener(undefined);
    using peer = await RawPeer.connect(listener.address);
    using here = await listener.accept();
    let arrived = 0;
    const receiving = (async () => {
      for (let i = 0; i < VALUES; i++) {
        try {
          await here.recv();
          arrived++;
        } catch (error) {
          assertInstanceOf(error, EncodingError);
          if (error.message.includes("still there")) await here.recvBytes();
        }
      }
    })();
    for (let i = 0; i < VALUES;) {
      const bytes: number[] = [];
      for (let n = 0; n < 100 && i < VALUES; n++, i++) {
        const message = dice.pick(values).slice();
        for (let flips = dice.roll(4); flips > 0; flips--) {
          message[4 + dice.roll(message.length - 4)] = dice.roll(256);
        }
        bytes.push(...framed(
          dice.roll(10) === 0
            ? message.subarray(0, dice.roll(message.length))
            : message,
        ));
      }
      await peer.write(Uint8Array.from(bytes));
    }
    await receiving;
    assert(arrived > VALUES / 10, `${arrived}`);
    assertEquals(await here.poll(), false);
  });
});

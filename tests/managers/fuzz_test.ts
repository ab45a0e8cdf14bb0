import { assert, assertEquals, assertRejects } from "@std/assert";
import { encode } from "../../codec/mod.ts";
import { Client, EofError, SyncManager } from "../../mod.ts";
import type { SerializerName } from "../../mod.ts";
import { once } from "../_support/contract.ts";
import { memoryInUse } from "../_support/garbage.ts";
import { until } from "../_support/gate.ts";
import { Dice, openFiles } from "../network/_peers.ts";

const KEY = crypto.getRandomValues(new Uint8Array(32));
const SEED = 20_251_126;
/** Clients that have the key and talk nonsense. */
const CLIENTS = 2000;
/** Messages of each, at most. */
const MESSAGES = 60;
/** Clients that connect at once and behave. */
const CROWD = 1000;
/** What the nonsense may leave behind: less than 10 KiB a client. */
const LEFT_BYTES = 20 * 1024 ** 2;

/** Serves in this process while something is done. */
async function serving(
  serializer: SerializerName,
  body: (manager: SyncManager) => Promise<void>,
): Promise<void> {
  const server = await new SyncManager({ authkey: KEY, serializer })
    .getServer();
  const stop = new AbortController();
  const served = server.serveForever({ signal: stop.signal });
  const manager = new SyncManager({
    address: server.address,
    authkey: KEY,
    serializer,
  });
  try {
    await manager.connect();
    await body(manager);
  } finally {
    await manager.shutdown();
    stop.abort();
    await served;
  }
}

/** Heads as clients send them, and nearly so. */
function head(dice: Dice): unknown[] {
  const id = dice.pick<unknown>([0, 1, 2, 3, -1, 2 ** 40, NaN, "1", null, {}]);
  const word = dice.pick<unknown>([
    "get",
    "append",
    "copy",
    "acquire",
    "constructor",
    "__proto__",
    "toString",
    "numberOfObjects",
    "track",
    "shutdown",
    "#getValue",
    "list",
    "dict",
    "Lock",
    "t:1",
    7,
    null,
  ]);
  return dice.pick([[id, word], [word], [id], [], [word, id], [[id], [word]]]);
}

function message(dice: Dice, serializer: SerializerName): Uint8Array {
  // Not the goodbye, after which nobody listens.
  const kind = dice.pick([
    1,
    2,
    2,
    2,
    2,
    3,
    3,
    3,
    3,
    3,
    3,
    3,
    3,
    3,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    200,
  ]);
  const request = dice.roll(20);
  const args = dice.pick<unknown[]>([
    [],
    [0],
    ["x", 1],
    [{ block: false }],
    [{ timeout: 1 }],
    [-1, [1, 2]],
    [new Map([[1, 2]])],
  ]);
  let bytes: Uint8Array;
  if (serializer === "json") {
    const text = JSON.stringify([kind, request, head(dice), args]);
    bytes = new TextEncoder().encode(text);
  } else {
    const headBytes = encode(head(dice)).slice();
    const body = encode(args).slice();
    bytes = new Uint8Array(9 + headBytes.length + body.length);
    const view = new DataView(bytes.buffer);
    bytes[0] = kind;
    view.setUint32(1, request, true);
    view.setUint32(5, headBytes.length, true);
    bytes.set(headBytes, 9);
    bytes.set(body, 9 + headBytes.length);
  }
  switch (dice.roll(40)) {
    case 0:
      return dice.bytes(dice.roll(60));
    case 1:
      return bytes.subarray(0, dice.roll(bytes.length));
    case 2:
      bytes[dice.roll(bytes.length)]! ^= 1 << dice.roll(8);
      return bytes;
    default:
      return bytes;
  }
}

for (const serializer of ["binary", "json"] as const) {
  once(
    `LESSON-47 fuzz: ${CLIENTS} clients with the key that talk nonsense harm nobody (${serializer})`,
    async () => {
      const dice = new Dice(SEED);
      const before = memoryInUse();
      await serving(serializer, async (manager) => {
        const list = await manager.list([1]);
        for (let i = 0; i < CLIENTS; i++) {
          using client = await Client(manager.address!, { authkey: KEY });
          try {
            await client.recvBytes();
            if (dice.roll(10) > 0) {
              // Says hello, but is not of the family.
              const hello = serializer === "json"
                ? new TextEncoder().encode('[1,0,["fuzz","no proof"],null]')
                : helloBytes();
              await client.sendBytes(hello);
            }
            const count = dice.roll(MESSAGES);
            for (let n = 0; n < count; n++) {
              await client.sendBytes(message(dice, serializer));
            }
            // Some want to see what is answered.
            if (dice.roll(2) === 0) await client.poll({ timeout: 5 });
          } catch (error) {
            // Hung up on: as it should be.
            if (
              !(error instanceof EofError ||
                error instanceof Deno.errors.BrokenPipe)
            ) throw error;
          }
        }
        // The nonsense may have found the list, whose number is easily guessed.
        assert(Array.isArray(await list.copy()));
        const fresh = await manager.list([2]);
        assertEquals(await fresh.copy(), [2]);
        await assertRejects(() => fresh.callMethod("constructor"));
        let count = -1;
        await until(() => {
          manager.numberOfObjects().then((now) => count = now, () => {});
          return count === 2;
        }, () => `${count} objects are left of those who have gone`);
      });
      const left = memoryInUse() - before;
      assert(left < LEFT_BYTES, `${left} bytes are left of the nonsense`);
    },
  );
}

function helloBytes(): Uint8Array {
  const headBytes = encode(["fuzz", "no proof"]).slice();
  const bytes = new Uint8Array(9 + headBytes.length);
  bytes[0] = 1;
  new DataView(bytes.buffer).setUint32(5, headBytes.length, true);
  bytes.set(headBytes, 9);
  return bytes;
}

once(
  `LESSON-46 ${CROWD} managers that connect at once are all served`,
  async () => {
    const files = openFiles();
    await serving("binary", async (manager) => {
      const list = await manager.list<number>();
      const shared = await manager.dict({ list });
      const numbers = await Promise.all(
        Array.from({ length: CROWD }, async (_, i) => {
          const client = new SyncManager({
            address: manager.address,
            authkey: KEY,
          });
          await client.connect();
          const mine = await client.list([i]);
          const [item] = await mine.copy();
          await client.shutdown();
          return item;
        }),
      );
      assertEquals(numbers, numbers.map((_, i) => i));
      assertEquals(await shared.size(), 1);
      let count = -1;
      await until(() => {
        manager.numberOfObjects().then((now) => count = now, () => {});
        return count === 2;
      }, () => `${count} objects are left`);
    });
    await until(() => openFiles() <= files + 2, "all is closed");
  },
);

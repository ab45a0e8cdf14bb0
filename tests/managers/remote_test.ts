import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type BaseManager,
  Client,
  EncodingError,
  EofError,
  ProcessError,
  type SyncManager,
} from "../../mod.ts";
import type { Context, Remote, SerializerName } from "../../mod.ts";
import { contract } from "../_support/contract.ts";
import { CONFIG, runProgram } from "../_support/program.ts";
import {
  increment,
  putRemotely,
  square,
  TheQueue,
} from "../fixtures/managers.ts";
import { inChild } from "./_managed.ts";

const KEY = crypto.getRandomValues(new Uint8Array(32));
const FRONT_DOOR = import.meta.resolve("../../mod.ts");
const FIXTURES = import.meta.resolve("../fixtures/managers.ts");

/** What the reference's test sends. */
const VALUES = [
  "hello world",
  null,
  true,
  2.25,
  "hall\xe5 v\xe4rlden",
  "\u043f\u0440\u0438\u0432\u0456\u0442 \u0441\u0432\u0456\u0442",
  new Uint8Array([104, 97, 108, 108, 229]),
];

for (const serializer of ["json", "binary"] as const) {
  contract(
    `MGR-04 a child and another manager use a server over TCP (${serializer})`,
    async (ctx) => {
      class Remote2 extends ctx.BaseManager {
        declare getQueue: () => Promise<Remote<TheQueue>>;
      }
      Remote2.register("getQueue", { callable: TheQueue });
      await using manager = new Remote2({
        address: { hostname: "127.0.0.1", port: 0 },
        authkey: KEY,
        serializer,
      });
      await manager.start();
      const { address } = manager;
      await inChild(
        ctx,
        putRemotely,
        address!,
        KEY,
        serializer as SerializerName,
        VALUES,
      );

      const second = new Remote2({
        address: address!,
        authkey: KEY,
        serializer,
      });
      await second.connect();
      const queue = await second.getQueue();
      assertEquals(await queue.get(), VALUES);
      // A class is found, but is none of the family's business to be made data of.
      await assertRejects(() => queue.put(() => {}), EncodingError);
      await queue.put("still here");
      assertEquals(await queue.get(), "still here");
      await second.shutdown();
    },
  );
}

contract(
  "MGR-04 serializers that differ are told apart at once",
  async (ctx) => {
    await using manager = await ctx.Manager({
      authkey: KEY,
      serializer: "json",
    });
    const { address } = manager;
    const other = new ctx.SyncManager({ address: address!, authkey: KEY });
    await assertRejects(
      () => other.connect(),
      ProcessError,
      "both sides need the same",
    );
    const dict = await manager.dict({ a: [1, new Map([["x", 2n]])] });
    assertEquals(await dict.get("a"), [1, new Map([["x", 2n]])]);
    await assertRejects(() => dict.pop("b"), RangeError, '"b"');
  },
);

/** Runs a program of its own that connects to a manager. */
async function elsewhere(
  manager: BaseManager,
  body: string,
): Promise<string> {
  const { address } = manager;
  const { code, stdout, stderr } = await runProgram(
    `
      import { SyncManager } from ${JSON.stringify(FRONT_DOOR)};
      import * as fixtures from ${JSON.stringify(FIXTURES)};
      const manager = new SyncManager({
        address: ${JSON.stringify(address)},
        authkey: new Uint8Array([${KEY}]),
      });
      await manager.connect();
      const failed = (promise) => promise.then(() => "done", (e) => e.name + ": " + e.message);
      ${body}
      await manager.shutdown();
    `,
    { config: CONFIG },
  );
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

async function servedTo(
  ctx: Context,
  functions: readonly ((...args: never[]) => unknown)[],
): Promise<SyncManager> {
  return await ctx.Manager({
    address: { hostname: "127.0.0.1", port: 0 },
    authkey: KEY,
    functions,
  });
}

contract(
  "LESSON-47 another program may use objects, but not name functions",
  async (ctx) => {
    await using manager = await servedTo(ctx, []);
    const stdout = await elsewhere(
      manager,
      `
      const dict = await manager.dict({ n: 1 });
      console.log(await dict.get("n"));
      console.log(await failed(dict.update("n", fixtures.increment)));
      console.log(await dict.get("n"));
      await dict[Symbol.asyncDispose]();
    `,
    );
    const [before, error, after] = stdout.trim().split("\n");
    assertEquals([before, after], ["1", "1"]);
    assert(
      error!.startsWith(
        'EncodingError: Cannot run function "increment" for a client of another program',
      ),
      error,
    );
  },
);

contract(
  "LESSON-47 another program may name the functions the manager was given",
  async (ctx) => {
    await using manager = await servedTo(ctx, [increment]);
    const stdout = await elsewhere(
      manager,
      `
      const dict = await manager.dict({ n: 1 });
      console.log(await dict.update("n", fixtures.increment, 4));
      console.log(await failed(dict.update("n", fixtures.square)));
    `,
    );
    const [value, error] = stdout.trim().split("\n");
    assertEquals(value, "5");
    assert(error!.startsWith("EncodingError: Cannot run function"), error);
    // This program may name any.
    const dict = await manager.dict<string, number>({ n: 3 });
    assertEquals(await dict.update("n", square), 9);
  },
);

contract(
  "LESSON-46 nonsense from somebody with the key ends his connection only",
  async (ctx) => {
    await using manager = await servedTo(ctx, []);
    const { address } = manager;
    const list = await manager.list([1]);
    const nonsense = [
      new Uint8Array(0),
      new Uint8Array([2]),
      new Uint8Array(9).fill(255),
      new TextEncoder().encode("[3,1,[1],[]]"),
    ];
    for (const bytes of nonsense) {
      using client = await Client(address!, { authkey: KEY });
      await client.recvBytes();
      await client.sendBytes(bytes);
      await assertRejects(() => client.recvBytes(), EofError);
    }
    assertEquals(await list.get(0), 1);
  },
);

contract(
  "LESSON-46 a message that is too long ends the connection with a clear error",
  async (ctx) => {
    await using manager = await ctx.Manager({
      address: { hostname: "127.0.0.1", port: 0 },
      authkey: KEY,
      maxMessageBytes: 100_000,
    });
    const client = new ctx.SyncManager({
      address: manager.address!,
      authkey: KEY,
    });
    await client.connect();
    const list = await client.list<unknown>();
    await assertRejects(() => list.append(new Uint8Array(200_000)), EofError);
    await client.shutdown();
    assertEquals(await (await manager.list([2])).get(0), 2);
  },
);

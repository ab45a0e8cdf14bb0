import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AuthenticationError,
  Client,
  EofError,
  ProcessError,
  RemoteError,
  TimeoutError,
} from "../../mod.ts";
import { contract, once } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import { isRunning } from "../_support/proc.ts";
import { getContext, SyncManager } from "../../mod.ts";
import { openFiles } from "../network/_peers.ts";
import { busyManagerOf } from "../fixtures/manager_busy.ts";
import {
  fill,
  hangAtStart,
  putRemotely,
  TheQueue,
  type TheQueueManager,
} from "../fixtures/managers.ts";
import { inChild, LEARN_MS, managed, timeOf } from "./_managed.ts";

const KEY = new TextEncoder().encode("a key of the tests");

contract(
  "SEED-09 a dict and a list of a manager are changed by a child",
  async (ctx) => {
    let pid: number;
    {
      await using manager = await ctx.Manager();
      pid = manager.process!.pid!;
      const dict = await manager.dict();
      const list = await manager.list([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assertEquals(await dict.str(), "Map(0) {}");
      await inChild(ctx, fill, dict, list);
      assertEquals(
        await dict.str(),
        'Map(3) { 1 => "1", "2" => 2, 0.25 => null }',
      );
      assertEquals(await list.copy(), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }
    if (ctx.getStartMethod() === "spawn") assert(!isRunning(pid));
  },
);

contract(
  "MGR-05 a manager can be started again and again at one address",
  async (ctx) => {
    class Bound extends ctx.BaseManager {
      declare getQueue: InstanceType<typeof TheQueueManager>["getQueue"];
    }
    Bound.register("getQueue", { callable: TheQueue });
    let address = { hostname: "127.0.0.1", port: 0 };
    for (let i = 0; i < 3; i++) {
      await using manager = new Bound({ address, authkey: KEY });
      await manager.start();
      address = manager.address as typeof address;
      await inChild(ctx, putRemotely, address, KEY, "binary", ["hello world"]);
      const queue = await manager.getQueue();
      assertEquals(await queue.get(), ["hello world"]);
    }
  },
);

contract(
  "MGR-X2 misuse of a manager's state is refused with Python's words",
  async (ctx) => {
    const manager = new ctx.SyncManager();
    await assertRejects(
      () => manager.dict(),
      ProcessError,
      "server not yet started",
    );
    await assertRejects(
      () => manager.join(),
      ProcessError,
      "server not yet started",
    );
    await manager.shutdown();
    const starting = manager.start();
    await assertRejects(
      () => manager.start(),
      ProcessError,
      "Already started server",
    );
    await starting;
    await assertRejects(
      () => manager.start(),
      ProcessError,
      "Already started server",
    );
    await assertRejects(
      () => manager.getServer(),
      ProcessError,
      "Already started server",
    );
    await assertRejects(
      () => manager.connect(),
      ProcessError,
      "Already started server",
    );
    await assertRejects(
      () => manager.create("nothing"),
      RemoteError,
      "no type 'nothing'",
    );
    const dict = await manager.dict();
    assertEquals(await manager.join({ timeout: 0 }), false);
    await manager.shutdown();
    await manager.shutdown();
    await manager[Symbol.asyncDispose]();
    assert(await manager.join());
    await assertRejects(
      () => manager.start(),
      ProcessError,
      "Manager has shut down",
    );
    await assertRejects(
      () => manager.getServer(),
      ProcessError,
      "Manager has shut down",
    );
    await assertRejects(
      () => manager.dict(),
      ProcessError,
      "Manager has shut down",
    );
    await assertRejects(
      () => dict.get("x"),
      EofError,
      "its manager has shut down",
    );
    assert(
      /^<.*SyncManager at '.*' shut down>$/.test(String(manager)),
      String(manager),
    );
  },
);

contract(
  "MGR-X2 shutdown() after the server was killed is prompt, and so are calls",
  async (ctx) => {
    const manager = await ctx.Manager();
    const dict = await manager.dict({ a: 1 });
    manager.process!.kill();
    await manager.process!.join();
    const ms = await timeOf(async () => {
      await assertRejects(() => dict.get("a"), EofError);
      await assertRejects(() => manager.dict(), EofError);
      await assertRejects(() => manager.numberOfObjects(), EofError);
      await manager.shutdown();
    });
    assert(ms < LEARN_MS, `it took ${ms} ms`);
  },
);

contract(
  "MGR-X2 shutdown() while it starts ends what that leads to",
  async (ctx) => {
    // However long the start takes on a busy machine: it is not to be cut short.
    const manager = new ctx.SyncManager({ shutdownTimeout: 30_000 });
    const starting = manager.start();
    await manager.shutdown();
    await starting;
    assert(String(manager).endsWith("shut down>"), String(manager));
    assertEquals(manager.process!.isAlive(), false);
    await assertRejects(() => manager.dict(), ProcessError, "has shut down");
  },
);

contract(
  "MGR-X2 shutdown() ends a server that hangs as it starts",
  async (ctx) => {
    const here = SharedGate.in(ctx);
    const manager = new ctx.SyncManager({ shutdownTimeout: 10 });
    const starting = manager.start(hangAtStart, [here]).catch((error) => error);
    await here.reaches(1, "the initializer runs");
    await manager.shutdown();
    const error = await starting;
    assert(error instanceof ProcessError, String(error));
    assert(error.message.includes("before it listened"), error.message);
  },
);

contract(
  "MGR-X3 shutdown() while it connects ends the connection",
  async (ctx) => {
    await using manager = await ctx.Manager({ authkey: KEY });
    const { address } = manager;
    const client = new ctx.SyncManager({ address, authkey: KEY });
    const connecting = client.connect();
    await client.shutdown();
    await connecting;
    await assertRejects(() => client.dict(), ProcessError, "has shut down");
    assert(manager.process!.isAlive());
  },
);

contract(
  "MGR-X2 calls that follow a message which was too long share a connection",
  async (ctx) => {
    const manager = await ctx.Manager({ maxMessageBytes: 10_000 });
    const files = openFiles();
    const list = await manager.list<unknown>();
    await assertRejects(() => list.append(new Uint8Array(20_000)), EofError);
    await Promise.all([manager.list(), manager.list(), manager.list()]);
    const { length } = (await manager.debugInfo()).match(/leases=/g)!;
    assertEquals([length, openFiles()], [3, files]);
    await manager.shutdown();
  },
);

once("MGR-X2 a key that is none is refused by its name", () => {
  for (const authkey of ["secret", 5, {}, null]) {
    const error = assertThrows(
      () => new SyncManager({ authkey: authkey as unknown as Uint8Array }),
      TypeError,
      "'authkey' must be a Uint8Array",
    );
    assert(!error.message.includes("secret"), error.message);
  }
});

contract("MGR-X3 connect() says what is wrong", async (ctx) => {
  await using manager = await ctx.Manager({ authkey: KEY });
  const { address } = manager;
  const wrong = new ctx.SyncManager({ address, authkey: new Uint8Array(8) });
  await assertRejects(() => wrong.connect(), AuthenticationError);
  const nobody = new ctx.SyncManager({
    address: "\0nobody is here",
    authkey: KEY,
  });
  await assertRejects(() => nobody.connect(), Deno.errors.ConnectionRefused);
  const nowhere = new ctx.SyncManager({ authkey: KEY });
  await assertRejects(() => nowhere.connect(), TypeError, "no address");
  // The others are served on.
  assertEquals(await manager.numberOfObjects(), 0);
});

contract(
  "MGR-X3 shutdown() of a connected manager ends the connection only",
  async (ctx) => {
    await using manager = await ctx.Manager({ authkey: KEY });
    const client = new ctx.SyncManager({
      address: manager.address,
      authkey: KEY,
    });
    await client.connect();
    await assertRejects(
      () => client.start(),
      ProcessError,
      "Already connected",
    );
    const list = await client.list([1]);
    assertEquals(await manager.numberOfObjects(), 1);
    await client.shutdown();
    await assertRejects(
      () => list.get(0),
      EofError,
      "its manager has shut down",
    );
    // It said goodbye before, but on another connection: so it is waited for.
    while (await manager.numberOfObjects() > 0);
    assert(manager.process!.isAlive());
  },
);

once("LESSON-46 a silent server is given up in time, and said so", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = { hostname: "127.0.0.1", port: listener.addr.port };
  const manager = new SyncManager({ address, authkey: KEY });
  const ms = await timeOf(() =>
    assertRejects(() => manager.connect({ timeout: 100 }), TimeoutError)
  );
  assert(ms < LEARN_MS, `it took ${ms} ms`);
  // The client has hung up; the system had it in line.
  (await listener.accept()).close();
});

managed(
  "MGR-X2 getServer() refuses a manager that is started, and serves one that is not",
  async (_m, ctx) => {
    const manager = new ctx.SyncManager({ authkey: KEY });
    const server = await manager.getServer();
    const stop = new AbortController();
    const serving = server.serveForever({ signal: stop.signal });
    await assertRejects(
      () => server.serveForever(),
      ProcessError,
      "Already started server",
    );
    const client = new ctx.SyncManager({
      address: server.address,
      authkey: KEY,
    });
    await client.connect();
    const dict = await client.dict({ a: 1 });
    await dict.update({ b: 2 });
    assertEquals(await dict.copy(), new Map([["a", 1], ["b", 2]]));
    stop.abort();
    await serving;
    await assertRejects(() => dict.get("a"), EofError);
    await client.shutdown();
  },
);

contract("LESSON-46 silent clients keep nobody waiting", async (ctx) => {
  await using manager = await ctx.Manager({
    address: { hostname: "127.0.0.1", port: 0 },
    authkey: KEY,
  });
  const { port } = manager.address as Deno.NetAddr;
  const silent = await Promise.all(
    Array.from(
      { length: 20 },
      () => Deno.connect({ hostname: "127.0.0.1", port }),
    ),
  );
  // These have the key, and then say nothing.
  const mute = await Promise.all(
    Array.from({ length: 5 }, () => Client({ port }, { authkey: KEY })),
  );
  const ms = await timeOf(async () => {
    const client = new ctx.SyncManager({ address: { port }, authkey: KEY });
    await client.connect();
    await (await client.list()).append(1);
    await client.shutdown();
  });
  for (const peer of [...silent, ...mute]) peer.close();
  assert(ms < LEARN_MS, `it took ${ms} ms`);
});

contract(
  "LESSON-48 shutdown() uses force on a server that does not end by itself",
  async (ctx) => {
    const Busy = busyManagerOf(ctx.getStartMethod());
    const manager = new Busy({ shutdownTimeout: 200 });
    await manager.start();
    const server = manager.process!;
    const busy = await manager.create<{ burn(): void }>("Busy");
    const burning = busy.burn().catch((error) => error);
    const ms = await timeOf(() => manager.shutdown());
    assert(ms < LEARN_MS + 400, `it took ${ms} ms`);
    assertEquals(server.exitCode, -15);
    assert(await burning instanceof EofError);
  },
);

contract(
  "LESSON-40 the key is in nothing that is shown, sent on or thrown",
  async (ctx) => {
    const key = crypto.getRandomValues(new Uint8Array(32));
    const hex = key.toHex();
    const asList = key.join(", ");
    await using manager = await ctx.Manager({ authkey: key });
    const list = await manager.list([1]);
    const shown = [manager, list, manager.process].flatMap((thing) => [
      Deno.inspect(thing, { showHidden: true, depth: 20 }),
      String(thing),
      JSON.stringify(thing),
    ]);
    const wrong = new ctx.SyncManager({
      address: manager.address,
      authkey: KEY,
    });
    const error = await wrong.connect().catch((error) => error);
    shown.push(Deno.inspect(error, { depth: 20 }), await manager.debugInfo());
    if (ctx.getStartMethod() === "spawn") {
      const { pid } = manager.process!;
      for (const name of ["cmdline", "environ"]) {
        shown.push(Deno.readTextFileSync(`/proc/${pid}/${name}`));
      }
    }
    for (const text of shown) {
      assert(!text.includes(hex) && !text.includes(asList), text);
    }
  },
);

for (
  const [mine, theirs] of [["spawn", "worker"], ["worker", "spawn"]] as const
) {
  once(`a manager of "${mine}" is used by a child of "${theirs}"`, async () => {
    await using manager = await getContext(mine).Manager();
    const dict = await manager.dict();
    const list = await manager.list([0, 1, 2]);
    await inChild(getContext(theirs), fill, dict, list);
    assertEquals(await list.copy(), [2, 1, 0]);
    assertEquals(await dict.size(), 3);
  });
}

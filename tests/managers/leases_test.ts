import { assert, assertEquals, assertRejects } from "@std/assert";
import { EncodingError, ProcessError } from "../../mod.ts";
import type { DictProxy, ListProxy, SyncManager } from "../../mod.ts";
import { until } from "../_support/gate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { SharedGate } from "../_support/meeting.ts";
import { contract } from "../_support/contract.ts";
import {
  neverBegin,
  putAndEnd,
  takeAndStay,
  useLater,
} from "../fixtures/managers.ts";
import { inChild, LEARN_MS, managed } from "./_managed.ts";

/** Waits until a server has so many objects. */
async function reaches(
  manager: SyncManager,
  count: number,
  what: string,
  limitMs: number = LEARN_MS,
): Promise<void> {
  let seen = -1;
  const looking = (async () => {
    while (seen !== count) {
      seen = await manager.numberOfObjects();
      await new Promise((go) => setTimeout(go, 1));
    }
  })();
  await until(() => seen === count, () => `${what}: ${seen} objects`, limitMs);
  await looking;
}

managed("MGR-X5 disposing a proxy gives its lease up", async (m) => {
  {
    await using list = await m.list([1]);
    using dict = await m.dict();
    assertEquals(await m.numberOfObjects(), 2);
    void [list, dict];
  }
  assertEquals(await m.numberOfObjects(), 0);
  assertEquals(await m.debugInfo(), "");
});

managed("MGR-X5 a proxy that is collected gives its lease up", async (m) => {
  await (async () => {
    for (let i = 0; i < 5; i++) await m.list([i]);
  })();
  assert(await m.numberOfObjects() > 0);
  let count = -1;
  await until(() => {
    collectGarbage();
    m.numberOfObjects().then((now) => count = now);
    return count === 0;
  }, () => `${count} objects are left`);
});

managed(
  "LESSON-44 a child uses its proxy after the parent has dropped its own",
  async (m, ctx) => {
    const list = await m.list([5]);
    const here = SharedGate.in(ctx);
    const go = SharedGate.in(ctx);
    const process = new ctx.Process({
      target: useLater,
      args: [list, here, go],
    });
    process.start();
    // Dropped at once, long before the child has got so far.
    await list[Symbol.asyncDispose]();
    assertEquals(await m.numberOfObjects(), 1);
    await here.reaches(1, "the child runs");
    assertEquals(await m.numberOfObjects(), 1);
    go.set();
    await process.join();
    assertEquals(process.exitCode, 0);
    await reaches(m, 0, "the child's lease ends with it");
  },
);

managed(
  "LESSON-44 a client killed after it got a proxy by pipe leaves nothing",
  async (m, ctx) => {
    const [ours, theirs] = ctx.Pipe<ListProxy<number>>();
    const here = SharedGate.in(ctx);
    const process = new ctx.Process({
      target: takeAndStay,
      args: [theirs as never, here],
    });
    process.start();
    theirs.close();
    const list = await m.list([1]);
    await ours.send(list);
    await list[Symbol.asyncDispose]();
    await here.reaches(1, "the child has the proxy");
    assertEquals(await m.numberOfObjects(), 1);
    process.kill();
    await process.join();
    await reaches(m, 0, "the lease of the killed client ends");
    ours.close();
  },
);

managed(
  "LESSON-44 a proxy in a queue outlives the process that put it there",
  async (m, ctx) => {
    const queue = new ctx.Queue<ListProxy<number>>();
    {
      await using list = await m.list([0]);
      await inChild(ctx, putAndEnd, list, queue);
    }
    assertEquals(await m.numberOfObjects(), 1);
    const list = await queue.get();
    assertEquals(await list.copy(), [0, 1]);
    await list[Symbol.asyncDispose]();
    assertEquals(await m.numberOfObjects(), 0);
    queue.close();
  },
);

contract(
  "LESSON-44 a proxy nobody takes from a queue is let go some time after its sender",
  async (ctx) => {
    await using m = await ctx.Manager({ handoverTimeout: 50 });
    const queue = new ctx.Queue<ListProxy<number>>();
    {
      await using list = await m.list([0]);
      await inChild(ctx, putAndEnd, list, queue);
    }
    await reaches(m, 0, "the time is up");
    const list = await queue.get();
    await assertRejects(
      () => list.copy(),
      ProcessError,
      "does not exist any more",
    );
    queue.close();
  },
);

managed(
  "MGR-X5 a child killed before it has its arguments leaves nothing",
  async (m, ctx) => {
    const list = await m.list([1]);
    const process = new ctx.Process({ target: neverBegin, args: [list] });
    process.start();
    process.kill();
    await list[Symbol.asyncDispose]();
    await process.join();
    await reaches(m, 0, "the sender has seen the end of the child", 10_000);
  },
);

managed(
  "MGR-X5 a proxy in a message that is not sent is not under way",
  async (m, ctx) => {
    const list = await m.list([1]);
    const queue = new ctx.Queue<unknown>();
    await assertRejects(() => queue.put([list, () => {}]));
    await list[Symbol.asyncDispose]();
    assertEquals(await m.numberOfObjects(), 0);
    queue.close();
  },
);

managed(
  "MGR-X5 objects stay as long as others hold them, and circles do not",
  async (m) => {
    const outer = await m.list<unknown>();
    {
      await using inner = await m.list([1]);
      await outer.append(inner);
      await outer.append(outer);
    }
    assertEquals(await m.numberOfObjects(), 2);
    const inner = await outer.get(0) as ListProxy<number>;
    assertEquals(await inner.copy(), [1]);
    await inner[Symbol.asyncDispose]();
    await outer[Symbol.asyncDispose]();
    assertEquals(await m.numberOfObjects(), 0);
  },
);

managed("MGR-X5 two proxies of one object are two leases", async (m) => {
  const outer = await m.list([await m.list([1])]);
  const one = await outer.get(0);
  const other = await outer.get(0);
  assertEquals(one.id, other.id);
  await outer[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
  assertEquals(await other.copy(), [1]);
});

contract(
  "a proxy of a manager with a key of its own is refused by other managers",
  async (ctx) => {
    const [one, other] = [[1, 2, 3], [4, 5, 6]].map((key) =>
      new ctx.SyncManager({ authkey: new Uint8Array(key) })
    );
    await using a = one!;
    await using b = other!;
    await Promise.all([a.start(), b.start()]);
    const list = await a.list<unknown>();
    const dict = await b.dict({ k: 1 });
    await assertRejects(
      () => list.append(dict),
      EncodingError,
      "has a key of its own",
    );
    assertEquals(await list.length(), 0);
    // Neither it nor its session is held by what was not sent.
    await dict[Symbol.asyncDispose]();
    assertEquals(await b.numberOfObjects(), 0);
    await using m = await ctx.Manager();
    const inner = await m.dict({ k: 2 });
    await list.append(inner); // that key is the program's
    const back = await list.get(0) as DictProxy<string, number>;
    assertEquals(await back.get("k"), 2);
  },
);

managed("LESSON-49 numbers of objects are never used again", async (m) => {
  const ids = new Set<number>();
  for (let i = 0; i < 1000; i++) {
    using list = await m.list();
    ids.add(list.id);
  }
  assertEquals(ids.size, 1000);
  assertEquals(await m.numberOfObjects(), 0);
});

contract(
  "a proxy of a server that has ended does not reach the next one at its address",
  async (ctx) => {
    const address = { hostname: "127.0.0.1", port: 0 };
    const queue = new ctx.Queue<ListProxy<number>>();
    const first = await ctx.Manager({ address });
    await queue.put(await first.list([1]));
    const taken = first.address as Deno.NetAddr;
    await first.shutdown();
    await using second = await ctx.Manager({
      address: { hostname: "127.0.0.1", port: taken.port },
    });
    await second.list([2]);
    const list = await queue.get();
    const error = await assertRejects(() => list.copy(), ProcessError);
    assert(error.message.includes("has ended"), error.message);
    queue.close();
  },
);

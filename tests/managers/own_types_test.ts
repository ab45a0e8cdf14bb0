import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AutoProxy,
  BaseManager,
  BaseProxy,
  DictProxy,
  EncodingError,
  ProcessError,
  RemoteError,
} from "../../mod.ts";
import type { Context, IteratorProxy, Remote } from "../../mod.ts";
import { contract } from "../_support/contract.ts";
import {
  type Bar,
  countStart,
  failToStart,
  Foo,
  FooProxy,
  myManagerOf,
  Odd,
  type Workshop,
} from "../fixtures/managers.ts";
import type { MyManager, OddlyNamed } from "../fixtures/managers.ts";

/** Registers a test with a started manager of own types. */
function withTypes(
  name: string,
  body: (manager: MyManager, ctx: Context) => Promise<void>,
): void {
  contract(name, async (ctx) => {
    const manager = new (myManagerOf(ctx.getStartMethod()))();
    await manager.start();
    await using _ = manager;
    await body(manager, ctx);
  });
}

async function useTypes(manager: MyManager): Promise<void> {
  const foo = await manager.Foo();
  const bar = await manager.Bar();
  const baz = await manager.baz();
  assert("f" in foo && "g" in foo && !("_h" in foo));
  assert("f" in bar && "_h" in bar);
  assert(!Reflect.has(bar, "g"));
  assertEquals(await foo.f(), "f()");
  await assertRejects(() => foo.g(), RangeError, "value error");
  assertEquals(await foo.callMethod("f"), "f()");
  await assertRejects(
    () => foo.callMethod("_h"),
    RemoteError,
    "method '_h' of 'Foo' object is not in exposed=['f', 'g']",
  );
  assertEquals(await bar.f(), "f()");
  assertEquals(await bar._h(), "_h()");
  assertEquals(await bar.callMethod("_h"), "_h()");
  const squares = [0, 1, 4, 9, 16, 25, 36, 49, 64, 81];
  assertEquals(await Array.fromAsync(baz), squares);
  assertEquals(await Array.fromAsync(baz), [], "it is used up");
}

contract(
  "MGR-01 a manager of own types is started, used and shut down",
  async (ctx) => {
    const manager = new (myManagerOf(ctx.getStartMethod()))();
    await manager.start();
    const server = manager.process!;
    await useTypes(manager);
    await manager.shutdown();
    assertEquals(server.exitCode, 0);
  },
);

contract("MGR-02 await using shuts a manager down", async (ctx) => {
  let server;
  {
    await using manager = new (myManagerOf(ctx.getStartMethod()))();
    await manager.start();
    server = manager.process!;
    await useTypes(manager);
  }
  assertEquals(server.exitCode, 0);
});

contract(
  "MGR-03 await using takes a manager that is started already",
  async (ctx) => {
    const manager = new (myManagerOf(ctx.getStartMethod()))();
    await manager.start();
    const server = manager.process!;
    {
      await using used = manager;
      await useTypes(used);
    }
    assertEquals(server.exitCode, 0);
  },
);

contract(
  "MGR-06 the initializer runs in the server, before anything else",
  async (ctx) => {
    await using outer = await ctx.Manager();
    const namespace = await outer.Namespace<{ test: number }>({ test: 0 });
    await using manager = new ctx.BaseManager();
    await assertRejects(
      () => manager.start(1 as never),
      TypeError,
      "initializer must be a callable",
    );
    await manager.start(countStart, [namespace]);
    assertEquals(await namespace.get("test"), 1);
  },
);

contract(
  "MGR-06 an initializer that throws has start() reject with that",
  async (ctx) => {
    const manager = new ctx.SyncManager();
    const error = await assertRejects(
      () => manager.start(failToStart),
      RangeError,
      "no good",
    ) as RangeError & { code: string; level: number };
    assertEquals([error.code, error.level], ["E_NO", 3]);
    assert(error.cause instanceof RemoteError);
    assertEquals(
      error.cause.remoteName,
      `${manager.constructor.name}-${error.cause.remoteName.split("-")[1]}`,
    );
    assert(error.cause.remoteStack.includes("fail"));
    // It may be tried again.
    await manager.start();
    await manager.shutdown();
  },
);

withTypes(
  "MGR-X1 errors keep class, fields and cause on their way through a proxy",
  async (manager) => {
    const workshop = await manager.create<Workshop>("Workshop");
    const odd = await assertRejects(
      () => workshop.throwOdd(),
      Odd,
      "odd",
    ) as Odd;
    assertEquals(odd.why, new Map([["a", 1]]));
    assert(odd.cause instanceof RemoteError);
    assert(odd.cause.remoteStack.includes("throwOdd"), odd.cause.remoteStack);
    assert(/Manager2?-/.test(odd.cause.remoteName), odd.cause.remoteName);
    const half = await assertRejects(
      () => workshop.throwUnsendable(),
      TypeError,
      "half of it",
    ) as TypeError & { kept?: number; lost?: unknown };
    assertEquals([half.kept, half.lost], [1, undefined]);
    const text = await workshop.throwText().then(() => "nothing", (e) => e);
    assertEquals(text, "just text");
  },
);

withTypes(
  "MGR-X1 what cannot be sent fails alone, and the proxy stays usable",
  async (manager) => {
    const workshop = await manager.create<Workshop>("Workshop");
    const error = await assertRejects(
      () => workshop.echo({ a: [() => {}] }),
      EncodingError,
    ) as EncodingError;
    assertEquals(error.path, "args[0].a[0]");
    await assertRejects(
      () => workshop.giveFunction(),
      RemoteError,
      "Unserializable message",
    );
    await assertRejects(
      () => workshop.callMethod("nope"),
      RemoteError,
      "method 'nope' of 'Workshop' object is not in exposed=",
    );
    assertEquals(await workshop.echo([1n, new Date(0)]), [1n, new Date(0)]);
  },
);

withTypes(
  "MGR-X1 objects of this program's memory are refused with advice",
  async (manager, ctx) => {
    const workshop = await manager.create<Workshop>("Workshop");
    await assertRejects(
      () => workshop.echo(new ctx.Lock()),
      EncodingError,
      "use one that the manager makes",
    );
    await assertRejects(() => workshop.echo(new ctx.Queue()), EncodingError);
    using memory = new ctx.SharedMemory({ create: true, size: 8 });
    await assertRejects(() => workshop.echo(memory), EncodingError);
    memory.unlink();
    assertEquals(await workshop.echo(1), 1);
  },
);

withTypes(
  "methodToTypeid keeps results in the server, as proxies",
  async (manager) => {
    const workshop = await manager.create<{ makeBar(): Bar }>("Workshop");
    const bar = await workshop.makeBar() as unknown as Remote<Bar> & {
      _h(): Promise<string>;
    };
    assert(bar instanceof AutoProxy);
    assertEquals(bar.typeid, "Bar");
    assertEquals(await bar._h(), "_h()");
    assertEquals(await manager.numberOfObjects(), 2);
    await bar[Symbol.asyncDispose]();
    assertEquals(await manager.numberOfObjects(), 1);
  },
);

withTypes(
  "IteratorProxy ends a loop that is left early over what has no return()",
  async (manager) => {
    const shelf = await manager.create("Shelf") as BaseProxy;
    const titles = await shelf.callMethod("titles") as IteratorProxy<string>;
    const before = await manager.numberOfObjects();
    for await (const title of titles) {
      assertEquals(title, "one");
      break;
    }
    assertEquals(await manager.numberOfObjects(), before - 1, "its lease ends");
    const others = await shelf.callMethod("titles") as IteratorProxy<string>;
    assertEquals(await Array.fromAsync(others), ["one", "two"]);
    await assertRejects(() => others.throw(), TypeError, "Cannot call 'throw'");
  },
);

withTypes(
  "BaseProxy.callMethod() calls methods that every object has",
  async (manager) => {
    const shelf = await manager.create("Shelf") as BaseProxy;
    assertEquals(await shelf.callMethod("toString"), "a shelf");
    assertEquals(await shelf.callMethod("valueOf"), 2);
    await assertRejects(
      () => shelf.callMethod("hasOwnProperty", "x"),
      RemoteError,
      "not in exposed",
    );
  },
);

withTypes(
  "BaseProxy.callMethod() says which method an object does not have",
  async (manager) => {
    const foo = await manager.create("Foo3") as BaseProxy;
    assertEquals(await foo.callMethod("f"), "f()");
    await assertRejects(
      () => foo.callMethod("gone"),
      TypeError,
      "Cannot call 'gone' as the object of type 'Foo3' has no such method",
    );
  },
);

withTypes(
  "a proxy type of one's own is used, and its methods",
  async (manager) => {
    const foo = await manager.create("Foo2") as unknown as FooProxy;
    assert(foo instanceof FooProxy);
    assertEquals(await foo.twice(), "f()f()");
    assertEquals(
      String(foo),
      `<FooProxy object, typeid 'Foo2' at 0x${foo.id.toString(16)}>`,
    );
  },
);

withTypes(
  "a method gets proxies of its own server as proxies, and can use them",
  async (manager, ctx) => {
    const workshop = await manager.create<Workshop>("Workshop");
    await assertRejects(
      () => manager.create("list"),
      RemoteError,
      "no type 'list'",
    );
    await using other = await ctx.Manager();
    const list = await other.list([1, 2, 3]);
    assertEquals(await workshop.sumOf(list), 6, "of another server");
    assertEquals(await list.copy(), [1, 2, 3, -1]);
  },
);

withTypes(
  "AutoProxy.str() and getValue() tell what the object is",
  async (manager) => {
    const foo = await manager.Foo();
    assertEquals(await foo.str(), "Foo {}");
    assertEquals(await foo.getValue(), {});
    const baz: IteratorProxy<number> = await manager.baz();
    assertEquals(typeof await baz.str(), "string");
  },
);

Deno.test("BaseManager.register() checks what it is given", () => {
  class M extends BaseManager {}
  assertThrows(() => M.register(""), TypeError, "typeid");
  assertThrows(
    () => M.register("x", { callable: 5 as never }),
    TypeError,
    "callable",
  );
  assertThrows(
    () => M.register("x", { exposed: "f" as never }),
    TypeError,
    "exposed",
  );
  assertThrows(
    () => M.register("x", { proxyType: {} as never }),
    TypeError,
    "proxyType",
  );
});

Deno.test("BaseManager.register() refuses a class of proxies with the name of another", () => {
  class M extends BaseManager {}
  const names = { DictProxy, AutoProxy, BaseProxy, FooProxy };
  for (const [name, taken] of Object.entries(names)) {
    const { [name]: cls } = { [name]: class extends BaseProxy {} };
    const error = assertThrows(
      () => M.register("x", { proxyType: cls! }),
      TypeError,
      `"${name}" for proxies as another class has that name`,
    );
    assert(error.message.endsWith("give one of the two another"));
    assert(!("x" in M.prototype));
    M.register(name, { proxyType: taken as typeof BaseProxy }); // the same again
  }
});

Deno.test("BaseManager.register() adds to a class and those that extend it, and no other", () => {
  class A extends BaseManager {}
  class B extends A {}
  class C extends A {}
  A.register("a", { callable: Foo });
  B.register("b", { callable: Foo });
  assert("a" in B.prototype && "b" in B.prototype);
  assert("a" in C.prototype && !("b" in C.prototype) && !("b" in A.prototype));
  A.register("hidden", { callable: Foo, createMethod: false });
  assert(!("hidden" in A.prototype));
});

contract(
  "BaseManager.start() refuses a callable that no server could find",
  async (ctx) => {
    class Local {}
    class M extends ctx.BaseManager {}
    M.register("Local", { callable: Local });
    const error = await assertRejects(
      () => new M().start(),
      EncodingError,
    ) as EncodingError;
    assert(error.message.includes("Local.callable"), error.message);
  },
);

withTypes("a disposed proxy says so", async (manager) => {
  const foo = await manager.Foo();
  foo[Symbol.dispose]();
  foo[Symbol.dispose]();
  await assertRejects(() => foo.f(), ProcessError, "as it was disposed");
});

withTypes(
  "a method called getValue() or str() is the object's own",
  async (manager) => {
    const odd = await manager.create<OddlyNamed>("OddlyNamed");
    assertEquals(await odd.getValue(), "my value");
    assertEquals(await odd.str(), "my text");
    assertEquals(typeof odd.callMethod, "function");
    assertEquals(await odd.callMethod("then"), "not a promise");
  },
);

withTypes(
  "a manager is not sent, and says what to send",
  async (manager, ctx) => {
    const queue = new ctx.Queue<unknown>();
    await assertRejects(
      () => queue.put(manager),
      EncodingError,
      "send a proxy, or its address",
    );
    queue.close();
  },
);

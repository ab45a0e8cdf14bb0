import { assert, assertEquals, assertThrows } from "@std/assert";
import { decode, encode, registerClass } from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";

/** Deeper than the recursion of the encoder goes. */
const DEEP = 2000;

function roundTrip<T>(value: T): T {
  return decode(encode(value)) as T;
}

Deno.test("registerClass() keeps class and fields, without the constructor", () => {
  let constructed = 0;
  class Point {
    constructor(public x: number, public y: number) {
      constructed++;
    }
    norm(): number {
      return Math.hypot(this.x, this.y);
    }
  }
  registerClass(Point);

  const restored = roundTrip(new Point(3, 4));

  assert(restored instanceof Point);
  assertEquals(restored.norm(), 5);
  assertEquals(constructed, 1);
});

Deno.test("registerClass() lets instances refer to themselves and be shared", () => {
  class Node {
    self = this;
    children: Node[] = [];
  }
  registerClass(Node);
  const leaf = new Node();
  const root = new Node();
  root.children.push(leaf, leaf);

  const restored = roundTrip(root);

  assert(restored.self === restored);
  assert(restored.children[0] instanceof Node);
  assert(restored.children[0] === restored.children[1]);
});

Deno.test("registerClass() lets instances be nested at any depth", () => {
  class Link {
    constructor(readonly next: Link | undefined) {}
  }
  registerClass(Link);
  let link: Link | undefined;
  for (let i = 0; i < DEEP; i++) link = new Link(link);

  let length = 0;
  for (let rest = roundTrip(link); rest; rest = rest.next) {
    assert(rest instanceof Link);
    length++;
  }

  assertEquals(length, DEEP);
});

Deno.test("registerClass() does not call setters of the class", () => {
  class Guarded {
    set secret(_: unknown) {
      throw new Error("not to be called");
    }
  }
  registerClass(Guarded);
  const guarded = Object.defineProperty(new Guarded(), "secret", {
    value: 1,
    enumerable: true,
  });
  assertEquals(Object.entries(roundTrip(guarded)), [["secret", 1]]);

  registerClass(Guarded, { encode: () => ({ secret: 2 }) });
  assertEquals(Object.entries(roundTrip(guarded)), [["secret", 2]]);
});

Deno.test("registerClass() takes hooks for private state", () => {
  class Account {
    #balance: number;
    constructor(balance: number) {
      this.#balance = balance;
    }
    get balance(): number {
      return this.#balance;
    }
  }
  registerClass(Account, {
    name: "bank/Account",
    encode: (account) => ({ balance: account.balance }),
    decode: (data) => new Account((data as { balance: number }).balance),
  });
  const account = new Account(7);

  const [first, second] = roundTrip([account, account]);

  assertEquals(first?.balance, 7);
  assert(first === second);
});

Deno.test("registerClass() takes one hook of the two", () => {
  class Cache {
    entries = 3;
    connection: unknown = () => {};
  }
  registerClass(Cache, { encode: ({ entries }) => ({ entries }) });
  const cache = roundTrip(new Cache());
  assert(cache instanceof Cache);
  assertEquals(Object.keys(cache), ["entries"]);

  class Celsius {
    degrees = 20;
  }
  registerClass(Celsius, {
    decode: (data) => Object.assign(new Celsius(), data, { restored: true }),
  });
  assertEquals(Object.entries(roundTrip(new Celsius())), [
    ["degrees", 20],
    ["restored", true],
  ]);
});

Deno.test("registerClass() takes subclasses of built-in classes with both hooks", () => {
  class Bag extends Map<string, number> {}
  assertThrows(
    () => registerClass(Bag),
    TypeError,
    'Cannot register class "Bag" as it extends Map',
  );
  registerClass(Bag, {
    encode: (bag) => [...bag],
    decode: (data) => new Bag(data as [string, number][]),
  });
  const bag = roundTrip(new Bag([["a", 1]]));
  assert(bag instanceof Bag);
  assertEquals([...bag], [["a", 1]]);
});

Deno.test("registerClass() does not cover subclasses", () => {
  class Base {
    a = 1;
  }
  class Derived extends Base {}
  registerClass(Base);
  assertEquals(
    Object.getPrototypeOf(roundTrip(new Derived())),
    Object.prototype,
  );
});

Deno.test("registerClass() takes the same class again, with other options", () => {
  class Again {
    a = 1;
  }
  registerClass(Again);
  registerClass(Again, { name: "Renamed" });
  assert(roundTrip(new Again()) instanceof Again);
  registerClass(class Other {}, { name: "Again" });
});

Deno.test("registerClass() throws if the name is missing or taken", () => {
  assertThrows(
    () => registerClass((() => class {})()),
    TypeError,
    "Cannot register a class without a name",
  );
  registerClass(class Taken {});
  assertThrows(
    () => registerClass(class Taken {}),
    TypeError,
    'Cannot register class "Taken" as another class has that name',
  );
});

Deno.test("encode() throws what a hook throws, as it is", () => {
  class Picky {}
  const reason = new RangeError("not today");
  registerClass(Picky, {
    encode: () => {
      throw reason;
    },
  });
  assert(assertThrows(() => encode([new Picky()])) === reason);
});

Deno.test("decode() throws what a hook throws, as it is", () => {
  class Pickier {}
  const reason = new RangeError("not here");
  registerClass(Pickier, {
    decode: () => {
      throw reason;
    },
  });
  assert(assertThrows(() => roundTrip([new Pickier()])) === reason);
});

Deno.test("encode() throws if what a hook gave contains the object", () => {
  class Ouroboros {}
  registerClass(Ouroboros, { encode: (snake) => ({ tail: [snake] }) });
  const error = assertThrows(
    () => encode({ snake: new Ouroboros() }),
    EncodingError,
    "Cannot send an object as what its hook gave to send contains it",
  );
  assertEquals(error.path, "value.snake.tail[0]");
});

Deno.test("encode() throws if hooks never end", () => {
  class Hydra {}
  registerClass(Hydra, { encode: () => new Hydra() });
  assertThrows(
    () => encode(new Hydra()),
    EncodingError,
    "what a hook gives must not be nested deeper than 512 levels",
  );
});

Deno.test("encode() takes data of hooks that is nested deeper than it postpones", () => {
  class Deep {
    constructor(readonly depth: number) {}
  }
  const depthOf = (data: unknown): number => {
    let depth = 0;
    for (let rest = data; Array.isArray(rest); rest = rest[0]) depth++;
    return depth;
  };
  registerClass(Deep, {
    encode: ({ depth }) => {
      let data: unknown[] = [];
      for (let i = 1; i < depth; i++) data = [data];
      return data;
    },
    decode: (data) => new Deep(depthOf(data)),
  });
  for (const depth of [1, 200, 255, 256, 257, 500]) {
    assertEquals(roundTrip(new Deep(depth)).depth, depth);
  }
  assertThrows(() => encode(new Deep(DEEP)), EncodingError);
});

Deno.test("decode() throws if a class is not registered", () => {
  class Known {
    a = 1;
  }
  registerClass(Known);
  const bytes = encode([new Known()]).slice();
  bytes[bytes.indexOf("K".charCodeAt(0))] = "X".charCodeAt(0);
  assertThrows(
    () => decode(bytes),
    EncodingError,
    'Cannot decode an instance of "Xnown" as no such class is registered here',
  );
});

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { registerClass } from "../../codec/mod.ts";
import { EncodingError, ProcessError, QueueEmptyError } from "../../errors.ts";
import { jsonWire } from "../../managers/_json_wire.ts";
import { binaryWire, Peer } from "../../managers/_wire.ts";
import type { Wire } from "../../managers/_wire.ts";

/** Somebody to whom neither proxies nor functions go. */
const NOBODY = new Peer({
  lend: () => {
    throw new Error("no proxies here");
  },
  borrow: () => {
    throw new Error("no proxies here");
  },
});

/** A value, there and back, in a message as it goes over the wire. */
function again(wire: Wire, value: unknown): unknown {
  const bytes = wire.pack(3, 7, [1, "get"], wire.body(value, "args", NOBODY));
  const { kind, request, head, body } = wire.unpack(bytes);
  assertEquals([kind, request, head], [3, 7, [1, "get"]]);
  return wire.readBody(body, NOBODY).value;
}

const VALUES: unknown[] = [
  null,
  undefined,
  true,
  0,
  -0,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  "h\u00e4ll\u00e5 \ud83d\ude00",
  2n ** 70n,
  -5n,
  [],
  [1, [2, [3]]],
  {},
  { a: { b: undefined } },
  { $bytes: "not bytes" },
  { $a: 1, b: 2 },
  new Uint8Array([0, 255]),
  new Date(5),
  new Map<unknown, unknown>([[1, "a"], [{ k: 1 }, new Set([2])]]),
];

for (const wire of [jsonWire, binaryWire]) {
  Deno.test(`a ${wire.name} message gives back what was put in`, () => {
    for (const value of VALUES) assertEquals(again(wire, value), value);
    assert(Object.is(again(wire, -0), -0));
    const odd = JSON.parse('{"__proto__": 1}');
    const back = again(wire, odd) as object;
    assert(Object.hasOwn(back, "__proto__"));
    assertEquals(Object.getPrototypeOf(back), Object.prototype);
  });

  Deno.test(`a ${wire.name} message keeps the class and the fields of an error`, () => {
    const error = Object.assign(new RangeError("no"), { code: "E", at: [1] });
    const back = again(wire, error);
    assertInstanceOf(back, RangeError);
    assertEquals(back.message, "no");
    assertEquals(back.stack, error.stack);
    assertEquals((back as typeof error).code, "E");
    assertEquals((back as typeof error).at, [1]);
    assertInstanceOf(again(wire, new QueueEmptyError("x")), QueueEmptyError);
  });

  Deno.test(`LESSON-47 a ${wire.name} message has no functions but for who takes them`, () => {
    const error = assertThrows(
      () => wire.body([{ f: () => {} }], "args", NOBODY),
      EncodingError,
    );
    assertEquals(error.path, "args[0].f");
  });

  Deno.test(`bytes that are no ${wire.name} message are refused`, () => {
    const bad = [
      "",
      "[",
      "{}",
      "[1]",
      '[1,"2",[],0]',
      "[1,-1,[],0]",
      "[1,2,3,4]",
      "\0\0\0\0\0\0\0\0\x7f",
    ];
    for (const text of bad) {
      const bytes = new TextEncoder().encode(text);
      assertThrows(
        () => wire.unpack(bytes),
        ProcessError,
        "both sides need the same",
      );
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        const message = wire.unpack(bytes);
        wire.readBody(message.body, NOBODY);
      } catch (error) {
        assertInstanceOf(error, ProcessError);
      }
    }));
  });
}

Deno.test("a JSON message gives back any JSON, and is JSON", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assertEquals(again(jsonWire, value), value);
  }));
  const bytes = jsonWire.pack(
    2,
    1,
    ["dict"],
    jsonWire.body([{ a: 1 }], "", NOBODY),
  );
  assertEquals(new TextDecoder().decode(bytes), '[2,1,["dict"],[{"a":1}]]');
});

Deno.test("a JSON message refuses what JSON cannot express, with the way to it", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  let deep: unknown = 0;
  for (let i = 0; i < 300; i++) deep = [deep];
  for (
    const [value, path] of [
      [circle, "x[0]"],
      [[Symbol("s")], "x[0]"],
      [{ re: /a/ }, "x.re"],
      [[new Float64Array(1)], "x[0]"],
    ] as const
  ) {
    const error = assertThrows(
      () => jsonWire.body(value, "x", NOBODY),
      EncodingError,
    );
    assertEquals(error.path, path);
  }
  assertThrows(() => jsonWire.body(deep, "x", NOBODY), EncodingError, "nested");
});

class Plain {
  a = 1;
}

class Hidden {
  #a = 1;
  static {
    registerClass(Hidden, {
      name: "json_wire_test.Hidden",
      encode: (hidden) => hidden.#a,
      decode: () => new Hidden(),
    });
  }
}

/** As errors do without a class, it arrives as an error all the same. */
class HiddenError extends Error {
  static {
    registerClass(HiddenError, {
      name: "json_wire_test.HiddenError",
      encode: ({ message }) => message,
      decode: (message) => new HiddenError(message as string),
    });
  }
}

/** Objects that would arrive as something else, and how they are called. */
const LOST: [value: object, what: string][] = [
  [new URL("http://a/b"), "a URL"],
  [new String("abc"), "a boxed String"],
  [Object(5), "a boxed Number"],
  [Object(5n), "a boxed BigInt"],
  [new SharedArrayBuffer(8), "a SharedArrayBuffer"],
  [new ArrayBuffer(8), "an ArrayBuffer"],
  [new DataView(new ArrayBuffer(8)), "a DataView"],
  [new WeakMap(), "a WeakMap"],
  [new WeakRef({}), "a WeakRef"],
  [Promise.resolve(), "a Promise"],
  [new Blob(["x"]), "a Blob"],
  [new Headers(), "a Headers"],
  [new Intl.Collator(), "an Intl.Collator"],
  [[1].values(), "an Array Iterator"],
  [(function* () {})(), "a Generator"],
  [new Proxy({}, {}), "a Proxy"],
  [new Hidden(), "a json_wire_test.Hidden"],
  [[1, , 3], "an array with holes or names"],
  [new Array(2 ** 31), "an array with holes or names"],
  [Object.assign([1], { x: 1 }), "an array with holes or names"],
];

Deno.test("a JSON message refuses what would arrive as something else", () => {
  for (const [value, what] of LOST) {
    const error = assertThrows(
      () => jsonWire.body([{ value }], "args", NOBODY),
      EncodingError,
      `Cannot send ${what} as JSON cannot express it`,
    );
    assertEquals(error.path, "args[0].value");
  }
});

Deno.test("a JSON message has instances of classes as plain objects, and errors", () => {
  assertEquals(again(jsonWire, new Plain()), { a: 1 });
  assertEquals(again(jsonWire, Object.create(null)), {});
  assertEquals(again(jsonWire, Object.create(Map.prototype)), {});
  const error = again(jsonWire, new HiddenError("no"));
  assertInstanceOf(error, Error);
  assertEquals(error.message, "no");
});

Deno.test("a JSON body that is not right is an EncodingError", () => {
  for (
    const body of [
      { $bigint: "x" },
      { $bytes: "?" },
      { $map: [1] },
      { $set: 1 },
      { $object: [[1]] },
      { $what: 1 },
      { $error: 5 },
      { $function: {} },
    ]
  ) {
    assertThrows(() => jsonWire.readBody(body, NOBODY), EncodingError);
  }
});

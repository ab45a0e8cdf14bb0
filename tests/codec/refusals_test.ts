import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decode,
  encode,
  encodeParts,
  registerClass,
  TO_WIRE,
} from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";
import { assertSame } from "./_same.ts";

const key = await crypto.subtle.generateKey(
  { name: "HMAC", hash: "SHA-256" },
  true,
  ["sign"],
);

/** What must not be sent, and how the error calls it. */
const REFUSED: Record<string, () => unknown> = {
  "a function": () => () => {},
  "a symbol": () => Symbol("s"),
  "a Promise": () => Promise.resolve(),
  "a WeakMap": () => new WeakMap(),
  "a WeakSet": () => new WeakSet(),
  "a WeakRef": () => new WeakRef({}),
  "a FinalizationRegistry": () => new FinalizationRegistry(() => {}),
  "a Generator": () => (function* () {})(),
  "an AsyncGenerator": () => (async function* () {})(),
  "an Array Iterator": () => [].values(),
  "a Map Iterator": () => new Map().entries(),
  "a Set Iterator": () => new Set().values(),
  "a RegExp String Iterator": () => "a".matchAll(/a/g),
  "an Iterator Helper": () => Iterator.from([1]).map((x) => x),
  "a Segmenter String Iterator": () =>
    new Intl.Segmenter().segment("a")[Symbol.iterator](),
  "an arguments object": () =>
    (function (..._: unknown[]) {
      return arguments;
    })(1),
  "a Proxy": () => new Proxy({}, {}),
  "a SharedArrayBuffer": () => new SharedArrayBuffer(8),
  "an Intl.Collator": () => new Intl.Collator(),
  "a Temporal.Instant": () =>
    (globalThis as unknown as { Temporal: { Now: { instant(): object } } })
      .Temporal.Now.instant(),
  "a WebAssembly.Module": () =>
    new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)),
  "a CryptoKey": () => key,
  "a Headers": () => new Headers(),
  "a Request": () => new Request("https://example.com"),
  "a Response": () => new Response("a"),
  "an AbortSignal": () => AbortSignal.abort(),
  "an AbortController": () => new AbortController(),
  "a ReadableStream": () => new ReadableStream(),
  "a WritableStream": () => new WritableStream(),
  "a TransformStream": () => new TransformStream(),
  "a Blob": () => new Blob(["a"]),
  "a File": () => new File(["a"], "b"),
  "a FormData": () => new FormData(),
  "a URLSearchParams": () => new URLSearchParams("a=b"),
  "an EventTarget": () => new EventTarget(),
  "an Event": () => new Event("a"),
  "a TextDecoder": () => new TextDecoder(),
  "a Command": () => new Deno.Command("true"),
};

for (const [what, make] of Object.entries(REFUSED)) {
  Deno.test(`encode() refuses ${what}`, () => {
    for (
      const [value, path] of [
        [make(), "item"],
        [{ a: make() }, "item.a"],
        [new Map([["k", [0, make()]]]), 'item.get("k")[1]'],
      ] as const
    ) {
      const error = assertThrows(
        () => encode(value, { root: "item" }),
        EncodingError,
        `Cannot send ${what} as `,
      );
      assertEquals(error.path, path);
      assert(error.message.endsWith(`: "${path}"`));
    }
  });
}

/** Paths to a function, as they are in the value and in the error. */
const PATHS: [path: string, value: (fn: () => void) => unknown][] = [
  ["value", (fn) => fn],
  ["value[0].callback", (fn) => [{ callback: fn }]],
  ['value["a b"]["c-d"].ünï', (fn) => ({ "a b": { "c-d": { ünï: fn } } })],
  ["value[7]", (fn) => ({ 7: fn })],
  ["value.a[20]", (fn) => ({ a: new Array(40).fill(0).with(20, fn) })],
  ["value[99]", (fn) => Object.assign([], { 99: fn })],
  ["value.named", (fn) => Object.assign([1], { named: fn })],
  ['value.get("k")', (fn) => new Map([["k", fn]])],
  ["value.get(7)", (fn) => new Map<unknown, unknown>([[1, 2], [7, fn]])],
  ["value.get(7n)", (fn) => new Map([[7n, fn]])],
  ["value.get(undefined)", (fn) => new Map([[undefined, fn]])],
  ["value.get(<object>).a", (fn) => new Map([[{}, { a: fn }]])],
  [
    "value.keys()[1].a",
    (fn) => new Map<unknown, unknown>([[1, 2], [{ a: fn }, 3]]),
  ],
  ["value.values()[2][0]", (fn) => new Set<unknown>([1, 2, [fn]])],
  ["value.cause.code", (fn) => new Error("", { cause: { code: fn } })],
  ["value.errors[0]", (fn) => new AggregateError([fn])],
  ["value.field", (fn) => Object.assign(new Error(), { field: fn })],
  ["value.k29", (fn) =>
    Object.fromEntries(
      Array.from({ length: 50 }, (_, i) => [`k${i}`, i === 29 ? fn : i]),
    )],
  ["value.a.b", (fn) => ({ x: [{ y: {} }], a: { b: fn } })],
];

for (const [path, make] of PATHS) {
  Deno.test(`encode() names the path ${path}`, () => {
    const value = make(() => {});
    const error = assertThrows(() => encode(value), EncodingError);
    assertEquals(
      error.message,
      `Cannot send a function as it has no reference another process could load: "${path}"`,
    );
    assertEquals(error.path, path);
    assertThrows(() => encodeParts(value), EncodingError, error.message);
  });
}

Deno.test("encode() names the path into registered classes and what hooks give", () => {
  class Plain {
    fn: unknown = () => {};
  }
  class Hooked {}
  registerClass(Plain, { name: "refused/Plain" });
  registerClass(Hooked, { name: "refused/Hooked", encode: () => [() => {}] });
  const handle = { [TO_WIRE]: () => ({ tag: "a", data: { fn: () => {} } }) };
  for (
    const [value, path] of [
      [[new Plain()], "value[0].fn"],
      [{ a: new Hooked() }, "value.a[0]"],
      [[handle], "value[0].fn"],
    ] as const
  ) {
    assertEquals(assertThrows(() => encode(value), EncodingError).path, path);
  }
});

Deno.test("encode() leaves out steps of a path that is too deep", () => {
  let value: unknown = { callback: () => {} };
  for (let i = 0; i < 1000; i++) value = { next: value };
  const { path } = assertThrows(() => encode(value), EncodingError);
  assert(/^value…(\.next)+\.callback$/.test(path), path);
});

Deno.test("encode() refuses a detached buffer and views of it", () => {
  const view = new Uint8Array(8);
  const { buffer } = view;
  buffer.transfer();
  for (const value of [buffer, view]) {
    assertThrows(
      () => encode({ a: value }),
      EncodingError,
      'Cannot send an ArrayBuffer as it is detached: "value.a"',
    );
  }
});

Deno.test("encode() refuses a view that its buffer no longer holds", () => {
  const buffer = new ArrayBuffer(8, { maxByteLength: 8 });
  const views = [
    new Uint8Array(buffer, 4),
    new Uint8Array(buffer, 4, 4),
    new DataView(buffer, 4, 4),
  ];
  buffer.resize(2);
  for (const view of views) {
    assertThrows(
      () => encode([view]),
      EncodingError,
      'Cannot send a view as its buffer has become too short for it: "value[0]"',
    );
  }
});

Deno.test("encode() refuses a boxed symbol and a module", async () => {
  assertThrows(() => encode(Object(Symbol())), EncodingError, "a symbol");
  const module = await import("../../errors.ts");
  assertThrows(() => encode(module), EncodingError, "a module");
});

Deno.test("encode() refuses arguments even where their shape is expected", () => {
  const args = (function (..._: unknown[]) {
    return arguments;
  })(1, 2);
  const alike = { 0: 1, 1: 2 };
  assertThrows(() => encode([alike, alike, { ...alike }, args]), EncodingError);
});

Deno.test("encode() refuses subclasses of what it refuses", () => {
  class Bus extends EventTarget {
    name = "a";
  }
  assertThrows(() => encode(new Bus()), EncodingError, "an EventTarget");
});

Deno.test("encode() does not take a class for the runtime's by its name", () => {
  // Made so, as a compiler may rename a class that hides a global name.
  const { Headers } = {
    Headers: class {
      a = 1;
    },
  };
  assertEquals(Headers.name, "Headers");
  assertEquals(decode(encode(new Headers())), { a: 1 });
});

Deno.test("encode() is not deceived by another prototype", () => {
  const refused = [
    Promise.resolve(),
    new WeakMap(),
    new WeakSet(),
    (function* () {})(),
    new Map().keys(),
    new Set().values(),
    ...[[], [1]].map((args) =>
      (function (..._: unknown[]) {
        return arguments;
      })(...args)
    ),
  ];
  const taken = [
    new Date(0),
    /a/g,
    new Set([1]),
    Object(1),
    new Error("a"),
    new ArrayBuffer(3),
    new Uint8Array(3),
    new DataView(new ArrayBuffer(3)),
  ];
  for (const prototype of [null, {}, class {}.prototype]) {
    for (const value of refused) {
      Object.setPrototypeOf(value, prototype);
      assertThrows(() => encode([value]), EncodingError);
    }
    for (const value of taken) {
      Object.setPrototypeOf(value, prototype);
      assertSame(decode(encode(value)), structuredClone(value));
    }
  }
});

Deno.test("encode() refuses proxies of arrays, Maps and functions", () => {
  for (const target of [[], new Map(), () => {}, { a: 1 }]) {
    assertThrows(() => encode([new Proxy(target, {})]), EncodingError);
  }
});

Deno.test("encode() throws what a getter throws, as it is", () => {
  const reason = { not: "even an error" };
  const value = {
    a: [1, {
      get b(): never {
        throw reason;
      },
    }],
  };
  let thrown: unknown;
  try {
    encode(value);
  } catch (error) {
    thrown = error;
  }
  assert(thrown === reason);
});

Deno.test("encode() works after it has refused", () => {
  const shared = {};
  for (let i = 0; i < 100; i++) {
    assertThrows(() => encode([shared, { a: { b: [shared, () => {}] } }]));
    const value = { a: [shared, shared], b: { c: i } };
    assertEquals(decode(encode(value)), value);
  }
});

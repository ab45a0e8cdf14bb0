import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import fc from "fast-check";
import { registerClass } from "../../codec/mod.ts";
import { hashOf, isEqualTo } from "../../managers/_equality.ts";
import { BaseProxy, type Origin } from "../../managers/proxy.ts";

/** Enough to fill all memory if each was written out. */
const DOUBLINGS = 60;
/** Deeper than the stack. */
const DEPTH = 100_000;

class Point {
  constructor(public x: unknown, public y: unknown) {}
}
registerClass(Point, { name: "equality_test.Point" });

class Hidden {
  readonly #x: unknown;
  constructor(x: unknown) {
    this.#x = x;
  }
  static {
    registerClass(Hidden, {
      name: "equality_test.Hidden",
      encode: (hidden) => hidden.#x,
      decode: (x) => new Hidden(x),
    });
  }
}

/** Arrives as a plain object. */
class Unknown {
  a = 1;
}

const bytes = new Uint8Array([1, 2, 1, 2]);
const one = [1];

const EQUAL: [unknown, unknown][] = [
  [NaN, NaN],
  [0, -0],
  [[0], [-0]],
  [[one, one], [[1], [1]]],
  [{ a: one, b: one }, { b: [1], a: [1] }],
  [
    new Map<unknown, unknown>([[[1], 2], ["a", 3]]),
    new Map<unknown, unknown>([["a", 3], [[1], 2]]),
  ],
  [new Set([{ a: 1 }, 2]), new Set([2, { a: 1 }])],
  [
    Object.assign([1, , 3], { x: 1, a: 2 }),
    Object.assign([1, , 3], { a: 2, x: 1 }),
  ],
  [[new Date(5), /a/g], [new Date(5), /a/g]],
  [[bytes.subarray(0, 2), bytes.subarray(2)], [
    bytes.slice(0, 2),
    bytes.slice(2),
  ]],
  [new Point({ a: 1, b: 2 }, one), new Point({ b: 2, a: 1 }, [1])],
  [new Hidden({ a: 1, b: 2 }), new Hidden({ b: 2, a: 1 })],
  [new Unknown(), { a: 1 }],
  ["x".repeat(1000), "x".repeat(1000)],
  [["x".repeat(1000)], ["x".repeat(1000)]],
];

const DIFFERENT: unknown[] = [
  0,
  "0",
  0n,
  NaN,
  "NaN",
  null,
  "null",
  undefined,
  false,
  "",
  [],
  {},
  [0],
  ["0"],
  [[]],
  [[], []],
  [","],
  ["", ""],
  [undefined],
  [,],
  [, ,],
  [null],
  { a: 1 },
  { a: "1" },
  { a: undefined },
  { "a,b": 1 },
  { 0: 0, length: 1 },
  ['1"a'],
  ["a"],
  [1, "a"],
  Object.assign([0], { a: 1 }),
  new Map(),
  new Map([["a", 1]]),
  new Set(),
  new Set(["a"]),
  new Set([["a", 1]]),
  new Uint8Array(2),
  new Int8Array(2),
  new Uint16Array(1),
  new ArrayBuffer(2),
  new Point(0, 0),
  { x: 0, y: 0 },
  new Hidden([0]),
  new Date(0),
  /0/,
  Object(0),
  ["x".repeat(1000)],
  [["x".repeat(1000)]],
  ["x".repeat(999) + "y"],
];

Deno.test("values with the same content are equal, however they were made", () => {
  for (const [value, other] of EQUAL) {
    assert(isEqualTo(value)(other), Deno.inspect([value, other]));
    if (typeof value === "object") {
      assertStrictEquals(hashOf(value), hashOf(other));
    }
  }
});

Deno.test("values with different content are not equal", () => {
  for (const [i, value] of DIFFERENT.entries()) {
    const equal = DIFFERENT.filter(isEqualTo(value));
    assertEquals(equal.length, 1, `${i}: ${Deno.inspect(equal)}`);
  }
});

/** A text that is the same for JSON values of the same content. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  const entries = Object.entries(value).map(([key, each]) =>
    `${JSON.stringify(key)}:${canonical(each)}`
  );
  return `{${entries.sort()}}`;
}

Deno.test("JSON values are equal if and only if their content is", () => {
  const values = fc.jsonValue({ maxDepth: 3 });
  fc.assert(fc.property(values, values, (value, other) => {
    // As it was, with the keys in another order, and nothing shared.
    assert(isEqualTo(value)(JSON.parse(canonical(value))));
    assertEquals(
      isEqualTo(value)(other),
      canonical(value) === canonical(other),
    );
  }));
});

Deno.test("what contains itself many times over is looked at once", () => {
  const doubled = () => {
    let value: unknown = [1];
    for (let i = 0; i < DOUBLINGS; i++) value = [value, { value }];
    return value;
  };
  assertStrictEquals(hashOf(doubled()), hashOf(doubled()));
  assertNotStrictEquals(hashOf(doubled()), hashOf([doubled(), 1]));
});

Deno.test("circles and what is nested too deep are equal if made in the same way", () => {
  const circle = () => {
    const value: unknown[] = [1];
    value.push({ value });
    return value;
  };
  const deep = () => {
    let value: unknown = 1;
    for (let i = 0; i < DEPTH; i++) value = [value];
    return value;
  };
  for (const make of [circle, deep]) {
    assert(hashOf(make()) === hashOf(make()), make.name);
  }
  assert(hashOf(circle()) !== hashOf([circle()]));
});

Deno.test("what has no content is equal to itself only", () => {
  const proxy = () =>
    new BaseProxy({ session: { release: () => {} } } as unknown as Origin);
  for (const make of [proxy, () => () => {}, () => Promise.resolve()]) {
    const value = make();
    assert(isEqualTo(value)(value));
    assert(!isEqualTo(value)(make()));
    const within = [value];
    assert(isEqualTo(within)(within));
    assert(!isEqualTo(within)([value]));
  }
});

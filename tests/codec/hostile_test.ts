import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decode,
  encode,
  registerClass,
  registerTag,
  TO_WIRE,
} from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";
import * as tags from "../../codec/_tags.ts";

/** Inputs made of good messages by damage, and of nothing. */
const INPUTS = 100_000;
/** Heap that all of them together may add. */
const GROWTH_BYTES = 64 << 20;
/** No input may take longer; generous, since the machine may be busy. */
const LONGEST_MS = 2000;

class Fields {
  a = 1;
}
registerClass(Fields, { name: "hostile/Fields" });
class Hooked {}
registerClass(Hooked, { name: "hostile/Hooked", encode: () => ({ a: 1 }) });
registerTag("hostile", (data) => data);

const OPTIONS = {
  decodeFunction: () => Math.max,
  decodeSharedBuffer: () => new SharedArrayBuffer(16),
};

function message(value: unknown): Uint8Array {
  return encode(value, {
    encodeFunction: () => ({ module: "m" }),
    encodeSharedBuffer: () => 1,
  }).slice();
}

/** A message that has each of the tags at least once. */
function goodMessages(): Uint8Array[] {
  const shared = { shared: true };
  let deep: unknown = [];
  for (let i = 0; i < 300; i++) {
    deep = i % 2 ? { deep } : new Map([[1, new Set([deep])]]);
  }
  const handle = { [TO_WIRE]: () => ({ tag: "hostile", data: [1, 2] }) };
  return [
    [1, -1, 300, 70_000, 0.5, -0, 2n ** 70n, -5n, true, false, null, undefined],
    ["", "short", "x".repeat(50), "x".repeat(100), "é".repeat(100), "東京"],
    [{ a: 1, b: [shared, shared] }, { a: 2, b: {} }, {}],
    Array.from({ length: 20 }, (_, i) => ({ [`k${i}`]: i, same: 1 })).flatMap(
      (object) => [object, { ...object }],
    ),
    Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, i])),
    [[1, , 3], Object.assign([1], { a: 1 }), new Array(1000)],
    [100, 1000, 100_000, 0.5].map((n) => new Array(40).fill(n)),
    Array.from({ length: 40 }, (_, i) => `string ${i}`),
    new Map<unknown, unknown>([[1, 2], [shared, shared]]),
    new Set([1, "a", shared, shared]),
    [new Date(0), /a+/gi, Object(1), Object("a"), new URL("https://a.b/c")],
    [new Error("a", { cause: new TypeError("b") }), new DOMException("c", "d")],
    Object.assign(new AggregateError([1]), { code: "E" }),
    [new Fields(), new Hooked(), handle, Math.max],
    [new ArrayBuffer(3), new ArrayBuffer(2, { maxByteLength: 9 })],
    [
      new Uint8Array(3),
      new Float64Array(4).subarray(1),
      new DataView(new ArrayBuffer(4)),
    ],
    [new SharedArrayBuffer(16), new Uint8Array(new SharedArrayBuffer(16))],
    deep,
    JSON.parse('{"__proto__": {"a": 1}, "b": {"__proto__": 2}}'),
  ].map(message);
}

function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    // A 32-bit step of "mulberry32", a public-domain generator.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function damaged(
  good: readonly Uint8Array[],
  random: (below: number) => number,
): Uint8Array {
  const source = good[random(good.length)] as Uint8Array;
  const bytes = source.slice();
  switch (random(6)) {
    case 0:
      return bytes.subarray(0, random(bytes.length + 1));
    case 1:
      for (let i = random(8); i >= 0; i--) {
        bytes[random(bytes.length)] = random(256);
      }
      return bytes;
    case 2:
      // Tags and long lengths rather than any byte.
      bytes[1 + random(bytes.length - 1)] = 0xd0 + random(0x28);
      bytes[1 + random(bytes.length - 1)] = 0xff;
      return bytes;
    case 3: {
      const other = good[random(good.length)] as Uint8Array;
      const head = bytes.subarray(0, random(bytes.length + 1));
      return new Uint8Array([...head, ...other.subarray(random(other.length))]);
    }
    case 4: {
      const at = random(bytes.length);
      const inserted = Array.from({ length: random(9) }, () => random(256));
      return new Uint8Array([
        ...bytes.subarray(0, at),
        ...inserted,
        ...bytes.subarray(at + random(9)),
      ]);
    }
    default: {
      const noise = Uint8Array.from({ length: random(64) }, () => random(256));
      noise[0] = tags.VERSION | (random(2) * tags.FLAG_REFERENCES);
      return noise;
    }
  }
}

Deno.test("decode() takes any bytes, and gives a value or an EncodingError", () => {
  const seed = Number(Deno.env.get("CODEC_SEED") ?? Date.now() % 2 ** 31);
  const random = randomNumbers(seed);
  const good = goodMessages();
  const before = Deno.memoryUsage();
  let accepted = 0;
  for (let i = 0; i < INPUTS; i++) {
    const bytes = damaged(good, random);
    const start = performance.now();
    try {
      decode(bytes, OPTIONS);
      accepted++;
    } catch (error) {
      assert(
        error instanceof EncodingError && error.path === "",
        `CODEC_SEED=${seed}, input ${i}: [${bytes}] gave ${error}`,
      );
    }
    const elapsed = performance.now() - start;
    assert(elapsed < LONGEST_MS, `CODEC_SEED=${seed}, input ${i}: [${bytes}]`);
  }
  const after = Deno.memoryUsage();
  const growth = after.heapUsed + after.external - before.heapUsed -
    before.external;
  assert(growth < GROWTH_BYTES, `CODEC_SEED=${seed}: grew by ${growth} bytes`);
  // Else the damage is such that nothing past the first check is tested.
  assert(accepted > INPUTS / 100, `CODEC_SEED=${seed}: ${accepted} accepted`);
  assertEquals(Reflect.ownKeys(Object.prototype).includes("a"), false);
});

Deno.test("decode() throws on every truncation of a message", () => {
  for (const bytes of goodMessages()) {
    for (let length = 0; length < bytes.length; length++) {
      assertThrows(
        () => decode(bytes.subarray(0, length), OPTIONS),
        EncodingError,
        "Cannot decode bytes as they are not a valid message",
      );
    }
  }
});

Deno.test("decode() throws if bytes are left over", () => {
  for (const bytes of goodMessages()) {
    assertThrows(
      () => decode(new Uint8Array([...bytes, 0]), OPTIONS),
      EncodingError,
      "more bytes than the value has",
    );
  }
});

Deno.test("decode() throws on a message of another version", () => {
  for (const version of [0, 2, 0x3f]) {
    assertThrows(
      () => decode(new Uint8Array([version, 0])),
      EncodingError,
      `of another version of the format: expected 1, found ${version}`,
    );
  }
});

/** Messages that no encoder makes, after the version. */
const MALFORMED: Record<string, number[]> = {
  "an unknown tag": [0xff],
  "a reference without the flag": [tags.REFERENCE, 0],
  "a shape that was not explained": [tags.KNOWN_SHAPE + 3],
  "an absent value at the top": [tags.ABSENT],
  "an absent element": [tags.SHORT_ARRAY + 1, tags.ABSENT],
  "a varint without end": [tags.ARRAY, ...new Array(12).fill(0xff)],
  "a shape with too many keys": [tags.NEW_SHAPE, 3, 0xff, 0xff, 3],
  "a shape of the wrong length": [tags.NEW_SHAPE, 4, 1, 0x81, 0x61, 5],
  "a key that is not a string": [tags.OBJECT, 1, 5, 5],
  "UTF-8 that is not": [tags.UTF8, 2, 0, 0, 0, 0xc0, 0x80],
  "UTF-8 with a surrogate": [tags.UTF8, 3, 0, 0, 0, 0xed, 0xa0, 0x80],
  "JSON that is not": [tags.STRING_ARRAY, 0x81, 0x5b],
  "JSON of something else": [tags.STRING_ARRAY, 0x83, 0x5b, 0x31, 0x5d],
  "a bad pattern": [tags.REGEXP, 0x81, 0x28, 0x80],
  "bad flags": [tags.REGEXP, 0x81, 0x61, 0x81, 0x7a],
  "a bad URL": [tags.URL_TAG, 0x81, 0x61],
  "a boxed object": [tags.BOXED, tags.OBJECT, 0],
  "a boxed null": [tags.BOXED, tags.NULL],
  "a view of no buffer": [tags.VIEW, 1, 5, 0, 0],
  "a view of an unknown kind": [tags.WHOLE_VIEW, 99, 0],
  "a view past the end": [tags.VIEW, 2, tags.BUFFER, 1, 0, 0, 3],
  "a view at an odd offset": [
    tags.VIEW,
    6,
    tags.BUFFER,
    8,
    ...[0, 0, 0, 0],
    ...[0, 0, 0, 0],
    1,
    2,
  ],
  "a view of an odd length": [tags.WHOLE_VIEW, 6, 3, 0, 0, 0],
  "a buffer longer than its limit": [tags.RESIZABLE_BUFFER, 1, 0, 0],
  "a buffer with an impossible limit": [
    tags.RESIZABLE_BUFFER,
    0,
    ...new Array(7).fill(0xff),
    0x7f,
  ],
  "an element past the end": [tags.SPARSE_ARRAY, 1, 1, 1, 5, 0],
  "too long an array": [tags.SPARSE_ARRAY, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0],
  "a stack that is not a string": [tags.ERROR, 0x80, 5, 0, 0],
  "a postponed leaf": [tags.POSTPONED, tags.DATE, 0, 0, 0, 0, 0, 0, 0, 0],
  "postponed content that is missing": [tags.POSTPONED, tags.MAP],
};

for (const [name, bytes] of Object.entries(MALFORMED)) {
  Deno.test(`decode() throws on ${name}`, () => {
    assertThrows(
      () => decode(new Uint8Array([tags.VERSION, ...bytes])),
      EncodingError,
      "Cannot decode bytes as they are not a valid message: found ",
    );
  });
}

Deno.test("decode() throws on a reference to what is not made yet", () => {
  for (
    const bytes of [
      [tags.REFERENCE, 0],
      [tags.SHORT_ARRAY + 1, tags.REFERENCE, 7],
      [tags.VIEW, 1, tags.REFERENCE, 0, 0, 0],
      [tags.FUNCTION, tags.REFERENCE, 0],
    ]
  ) {
    assertThrows(
      () =>
        decode(
          new Uint8Array([tags.VERSION | tags.FLAG_REFERENCES, ...bytes]),
          OPTIONS,
        ),
      EncodingError,
      "found a reference to nothing",
    );
  }
});

Deno.test("decode() does not know the shapes of other messages", () => {
  decode(encode([{ a: 1 }, { b: 2 }]));
  decode(encode([{ a: 1 }, { b: 2 }]));
  assertThrows(
    () => decode(new Uint8Array([tags.VERSION, tags.KNOWN_SHAPE, 1])),
    EncodingError,
    "found a shape that was not explained",
  );
});

Deno.test("decode() takes no memory for elements that are only announced", () => {
  const announced = [0x80, 0x80, 0x38];
  const room = new Uint8Array(1 << 20).fill(tags.NULL);
  // Arrays in arrays, each of which claims all that is left.
  const nested = Array.from({ length: 500 }, () => [tags.ARRAY, ...announced]);
  room.set([tags.VERSION, ...nested.flat()]);
  const before = Deno.memoryUsage().heapUsed;
  assertThrows(() => decode(room), EncodingError);
  assert(Deno.memoryUsage().heapUsed - before < 32 << 20);
});

Deno.test("decode() leaves the holes of an array without memory", () => {
  const longest = [0xff, 0xff, 0xff, 0xff, 0x0f];
  for (const length of [longest, [0x80, 0x80, 0x80, 0x0f]]) {
    const before = Deno.memoryUsage().heapUsed;
    const array = decode(
      new Uint8Array([tags.VERSION, tags.SPARSE_ARRAY, ...length, 0, 0]),
    ) as unknown[];
    assert(array.length > 30_000_000);
    assertEquals(Object.keys(array), []);
    assert(Deno.memoryUsage().heapUsed - before < 8 << 20);
  }
});

Deno.test("decode() throws on nesting that overflows no stack", () => {
  for (
    const open of [
      [tags.SHORT_ARRAY + 1],
      [tags.OBJECT, 1, 0x80],
      [tags.MAP, 1],
      [tags.ERROR, 0x80],
      [tags.BOXED],
      [tags.VIEW, 1],
      [tags.FUNCTION],
    ]
  ) {
    const nested = Array.from({ length: 1_000_000 }, () => open).flat();
    const bytes = new Uint8Array(nested.length + 2).fill(0);
    bytes[0] = tags.VERSION;
    bytes.set(nested, 1);
    assertThrows(() => decode(bytes, OPTIONS), EncodingError);
  }
});

Deno.test("decode() throws on nesting deeper than maxDepth", () => {
  const nest = (depth: number) => {
    let value: unknown[] = [];
    for (let i = 1; i < depth; i++) value = [value];
    return encode(value);
  };
  for (const maxDepth of [1, 10, 255, 256, 257, 1000]) {
    decode(nest(maxDepth), { maxDepth });
    assertThrows(
      () => decode(nest(maxDepth + 1), { maxDepth }),
      EncodingError,
      `the limit is ${maxDepth}`,
    );
  }
});

Deno.test("decode() makes own properties of awkward names", () => {
  const value = JSON.parse(
    '{"__proto__": {"polluted": 1}, "x": {"__proto__": 2}}',
  );
  const own = { value: 1, enumerable: true };
  for (
    const carrier of [
      value,
      Object.defineProperty([1], "__proto__", own),
      Object.defineProperty(new Error(), "__proto__", own),
    ]
  ) {
    const restored = decode(encode(carrier)) as object;
    assertEquals(
      Object.getPrototypeOf(restored),
      Object.getPrototypeOf(carrier),
    );
    assert(Object.hasOwn(restored, "__proto__"));
  }
  assertEquals(Reflect.get({}, "polluted"), undefined);
});

Deno.test("decode() gives an instance no prototype but that of its class", () => {
  class Holder {}
  registerClass(Holder, {
    name: "hostile/Holder",
    encode: () => JSON.parse('{"__proto__": {"polluted": 1}}'),
  });
  const restored = decode(encode(new Holder())) as object;
  assert(Object.getPrototypeOf(restored) === Holder.prototype);
  assert(Object.hasOwn(restored, "__proto__"));
});

Deno.test("decode() calls no setter that a program has put on Object.prototype", () => {
  const calls: unknown[] = [];
  Object.defineProperty(Object.prototype, "trap", {
    set: (value) => calls.push(value),
    configurable: true,
  });
  try {
    const restored = decode(encode([{ trap: 1 }, { trap: 2, more: 3 }]));
    assertEquals(
      (restored as object[]).map((object) => Object.entries(object)),
      [
        [["trap", 1]],
        [["trap", 2], ["more", 3]],
      ],
    );
  } finally {
    Reflect.deleteProperty(Object.prototype, "trap");
  }
  assertEquals(calls, []);
});

Deno.test("decode() works after it has failed", () => {
  const value = { a: [{ b: 1 }, { b: 2 }], c: "d" };
  for (const bytes of goodMessages()) {
    assertThrows(() => decode(bytes.subarray(0, -1), OPTIONS), EncodingError);
    assertEquals(decode(encode(value)), value);
  }
});

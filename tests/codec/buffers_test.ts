import { assert, assertEquals, assertThrows } from "@std/assert";
import { decode, encode, encodeParts } from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { assertSame } from "./_same.ts";
import { whole } from "./_whole.ts";

/** More than the encoder keeps from one message to the next. */
const HUGE = 8 << 20;
/** The most it keeps. */
const KEPT = 1 << 20;
/** From here on `encodeParts()` refers to binary data. */
const REFERRED = 16 * 1024;
/** Turns of the event loop after which all that was collected has been told. */
const MOST_TURNS = 100;

/** A bit of everything, for readers at odd places. */
const MIXED = {
  text: "é€",
  long: "x".repeat(100),
  longer: "東".repeat(100),
  numbers: [0.5, 300, 70_000, 2n ** 70n],
  packed: Array.from({ length: 40 }, (_, i) => i / 2),
  strings: Array.from({ length: 40 }, (_, i) => `${i}`),
  bytes: new Uint8Array([1, 2, 3]),
  floats: new Float64Array([1, 2]),
  buffer: new ArrayBuffer(3, { maxByteLength: 5 }),
};

Deno.test("decode() reads at any offset of any kind of memory", () => {
  const bytes = encode(MIXED).slice();
  const memories = [
    new ArrayBuffer(bytes.length + 64),
    new SharedArrayBuffer(bytes.length + 64),
    new ArrayBuffer(bytes.length + 64, { maxByteLength: HUGE }),
  ];
  for (const memory of memories) {
    for (let offset = 0; offset < 17; offset++) {
      const view = new Uint8Array(memory, offset, bytes.length);
      view.set(bytes);
      assertSame(decode(view), MIXED);
    }
  }
});

Deno.test("decode() gives values that do not refer to its input", () => {
  const bytes = encode(MIXED).slice();
  const restored = decode(bytes);
  bytes.fill(0xff);
  assertSame(restored, MIXED);
});

Deno.test("decode() gives plain memory for a message in shared memory", () => {
  const bytes = encode(new Uint8Array([1, 2, 3]));
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  assert((decode(shared) as Uint8Array).buffer instanceof ArrayBuffer);
});

Deno.test("decode() reads a subclass of Uint8Array", () => {
  class Slicing extends Uint8Array {
    override slice(): never {
      throw new Error("not to be called");
    }
  }
  assertSame(decode(new Slicing(encode(MIXED))), MIXED);
});

Deno.test("encodeParts() refers to binary data from 16 KiB on", () => {
  const small = new Uint8Array(REFERRED - 1);
  const large = new Uint8Array(REFERRED);
  const { buffer } = new Float64Array(REFERRED);

  const { parts, byteLength } = encodeParts([small, large, buffer]);

  const owners = parts.map((part) => part.buffer);
  assert(!owners.includes(small.buffer));
  assert(owners.includes(large.buffer));
  assert(owners.includes(buffer));
  assertEquals(byteLength, parts.reduce((sum, part) => sum + part.length, 0));
  assert(parts.every((part) => part.length > 0));
});

Deno.test("encodeParts() gives parts that make up the message", () => {
  const value = [1, 2, 3].map((fill) => ({
    bytes: new Uint8Array(REFERRED * fill).fill(fill),
    text: "x".repeat(10_000 * fill),
  }));
  assertSame(decode(whole(encodeParts(value))), value);
});

Deno.test("encode() gives a view that stays attached when the next is larger", () => {
  const first = encode({ a: 1 });
  encode("x".repeat(HUGE));
  encode({ b: 2 });
  assert(!first.buffer.detached);
  assertEquals(decode(encode({ a: 1 })), { a: 1 });
});

Deno.test("encode() gives a view of the right length each time", () => {
  const texts = ["", "a", "ab", "abc", "ab", "a", ""];
  const lengths = texts.map((text) => encode(text).length);
  assertEquals(lengths, texts.map((text) => text.length + 2));
});

Deno.test("encode() does not keep a large scratch buffer", () => {
  const large = encode("x".repeat(HUGE));
  assert(large.buffer.byteLength >= HUGE);
  assert(encode(1).buffer.byteLength <= KEPT);
});

Deno.test("encode() does not keep a large scratch buffer after it has failed", () => {
  assertThrows(() => encode(["x".repeat(HUGE), () => {}]), EncodingError);
  assert(encode(1).buffer.byteLength <= KEPT);
});

Deno.test("encode() and decode() keep no reference to a value", async () => {
  const collected = new Set<string>();
  const registry = new FinalizationRegistry<string>((name) =>
    collected.add(name)
  );
  const names = ["few", "many", "failed", "key", "bytes", "restored"];
  (function () {
    const [few, many, failed, key, bytes, restored] = names.map((name) => {
      const value = { name, data: new Uint8Array(REFERRED) };
      registry.register(value, name);
      return value;
    });
    encode([few, few]);
    encode(Array.from({ length: 100 }, () => [many, {}]));
    // At depths of their own, so that no other message overwrites the way there.
    assertThrows(() => encode([[[[[[[[new Map([[failed, () => {}]])]]]]]]]]));
    encode([[[[[[new Map([[key, new Set([key])]])]]]]]]);
    encodeParts(bytes);
    const value = decode(encode(restored)) as object;
    registry.register(value, "decoded");
  })();

  // What is collected is told in a later turn.
  for (let i = 0; i < MOST_TURNS && collected.size <= names.length; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve));
  }

  assertEquals([...collected].sort(), [...names, "decoded"].sort());
});

Deno.test("encode() takes a message of many megabytes", () => {
  const value = Array.from({ length: 4 }, (_, i) => ({
    text: `${i}`.repeat(HUGE),
    bytes: new Uint8Array(HUGE).fill(i),
  }));
  const summary = ({ text, bytes }: typeof value[number]) => [
    text,
    bytes.length,
    bytes[0],
    bytes.at(-1),
  ];
  const restored = decode(encode(value)) as typeof value;
  assertSame(restored.map(summary), value.map(summary));
});

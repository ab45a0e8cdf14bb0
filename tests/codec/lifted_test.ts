/**
 * Large binary data that is copied once: `lift()`, and the table that it needs.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { decode, encode, encodeParts } from "../../codec/mod.ts";
import { decodeMessage } from "../../codec/decoder.ts";
import { encodeLiftable } from "../../codec/encoder.ts";
import { lift, Lifted } from "../../codec/lifted.ts";
import * as tags from "../../codec/_tags.ts";
import { EncodingError } from "../../errors.ts";
import { assertSame } from "./_same.ts";
import { whole } from "./_whole.ts";

/** From here on `encodeParts()` refers to binary data. */
const REFERRED = 16 * 1024;

/** A message in one piece, with or without a table. */
function messageOf(value: unknown, encode = encodeLiftable): Uint8Array {
  return whole(encode(value));
}

function numbered(bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, i) => i % 251);
}

function resizable(bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes, { maxByteLength: bytes * 2 });
  new Uint8Array(buffer).set(numbered(bytes));
  return buffer;
}

const buffer = numbered(REFERRED * 3).buffer;
const shared = numbered(REFERRED);

/** Values with large binary data at all places it can be in. */
const VALUES: Record<string, unknown> = {
  "an array alone": new Float64Array(REFERRED).fill(1.5),
  "a buffer alone": numbered(REFERRED).buffer,
  "a resizable buffer alone": resizable(REFERRED),
  "several": { a: numbered(REFERRED), b: [1, numbered(REFERRED + 1)], c: "c" },
  "next to each other": [numbered(REFERRED), numbered(REFERRED * 2)],
  "among small ones": [
    new Uint8Array(0),
    numbered(REFERRED),
    numbered(5),
    numbered(REFERRED),
    new ArrayBuffer(0),
  ],
  "views of one buffer": [
    new Uint8Array(buffer, 100, 7),
    new Float64Array(buffer, 8),
  ],
  "one thing twice": [shared, { shared }, shared],
  "a view of a resizable buffer": new Uint8Array(resizable(REFERRED), 4),
  "in a container that is deep": Array.from({ length: 300 }).reduce(
    (inner: unknown) => [inner],
    numbered(REFERRED),
  ),
};

for (const [what, value] of Object.entries(VALUES)) {
  Deno.test(`lift() copies a message so that it decodes to the same: ${what}`, () => {
    const message = messageOf(value);
    const lifted = lift(message);
    assert(lifted instanceof Lifted);
    // Whatever happens to the memory it came from.
    const copy = message.slice();
    message.fill(0xff);
    assertSame(decodeMessage(lifted, {}), value);
    // The table is no hindrance to anybody else.
    assertSame(decode(copy), value);
  });
}

Deno.test("lift() gives each payload a buffer that is handed out as it is", () => {
  const lifted = lift(messageOf([1, new Float64Array(REFERRED).fill(2)]))!;
  assertEquals(lifted.payloads.length, 1);
  assert(lifted.bytes.length < 100);
  const [, array] = decodeMessage(lifted, {}) as [number, Float64Array];
  assert(array.buffer === lifted.payloads[0]!.bytes.buffer);
  assertEquals(array.buffer.byteLength, array.byteLength);
});

Deno.test("lift() has nothing to do where no table is", () => {
  assertEquals(lift(messageOf(numbered(REFERRED - 1))), undefined);
  assertEquals(lift(messageOf(numbered(REFERRED), encodeParts)), undefined);
  assertEquals(lift(encode({ a: 1 })), undefined);
  assertEquals(lift(new Uint8Array(0)), undefined);
});

Deno.test("lift() and decode() take any table, and give a value or an EncodingError", () => {
  const good = messageOf(VALUES["among small ones"]);
  const tableBytes = 12;
  let accepted = 0;
  for (let at = 0; at < tableBytes; at++) {
    for (let byte = 0; byte < 256; byte++) {
      const message = good.slice();
      message[at] = byte;
      for (
        const read of [
          () => decodeMessage(lift(message) ?? message, {}),
          decode,
        ]
      ) {
        try {
          read(message);
          accepted++;
        } catch (error) {
          assert(error instanceof EncodingError, Deno.inspect(error));
        }
      }
    }
  }
  assert(accepted > 0);
  for (let length = 0; length < 64; length++) {
    assertThrows(() => decode(good.subarray(0, length)), EncodingError);
    assertThrows(() => {
      const cut = good.subarray(0, length);
      decodeMessage(lift(cut) ?? cut, {});
    }, EncodingError);
  }
});

Deno.test("lift() takes no memory for a payload that is not there", () => {
  // One payload of 2^40 bytes, 8 of which are there.
  const far = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
  const message = new Uint8Array([
    tags.VERSION | tags.FLAG_TABLE,
    1,
    2,
    ...far,
    ...new Uint8Array(8),
  ]);
  assertThrows(() => lift(message), EncodingError, "longer than the message");
});

Deno.test("decode() refuses payloads that no value takes", () => {
  const lifted = new Lifted(new Uint8Array([tags.VERSION, 7]), [
    { position: 2, bytes: new Uint8Array(3) },
  ]);
  assertThrows(() => decodeMessage(lifted, {}), EncodingError, "more bytes");
  const { bytes, payloads } = lift(messageOf(numbered(REFERRED)))!;
  const short = new Lifted(bytes, [
    { position: payloads[0]!.position, bytes: new Uint8Array(3) },
  ]);
  assertThrows(() => decodeMessage(short, {}), EncodingError, "another length");
});

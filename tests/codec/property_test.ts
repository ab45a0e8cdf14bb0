import fc from "fast-check";
import { decode, encode, encodeParts } from "../../codec/mod.ts";
import { anyValue } from "./_graphs.ts";
import { assertSame } from "./_same.ts";

/** Graphs drawn; each has up to 24 objects. */
const RUNS = 3000;

Deno.test("decode() gives of encode() what structuredClone() gives", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      assertSame(decode(encode(value)), structuredClone(value));
    }),
    { numRuns: RUNS },
  );
});

Deno.test("encodeParts() gives the same bytes as encode()", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const { byteLength, parts } = encodeParts(value);
      const joined = parts.flatMap((part) => [...part]);
      assertSame([byteLength, joined], [joined.length, [...encode(value)]]);
    }),
    { numRuns: RUNS / 10 },
  );
});

Deno.test("encode() gives the same bytes whatever it has encoded before", () => {
  fc.assert(
    fc.property(anyValue, anyValue, (value, other) => {
      const before = [...encode(value)];
      encode(other);
      assertSame([...encode(value)], before);
    }),
    { numRuns: RUNS / 10 },
  );
});

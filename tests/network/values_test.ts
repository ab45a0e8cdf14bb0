/**
 * What may come in as a value and what may go out: LESSON-47, data only.
 *
 * @module
 */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  encode,
  registerClass,
  registerTag,
  TO_WIRE,
} from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";
import { MAGIC } from "../../network/_values.ts";
import { pair } from "./_peers.ts";

/** A library object that tells when it is asked, and when one is revived. */
let asked = 0;
let revived = 0;
class Spy {
  [TO_WIRE](target: unknown) {
    asked++;
    return { tag: "spy of the network tests", data: String(target) };
  }
}
registerTag("spy of the network tests", () => {
  revived++;
  return new Spy();
});

class Point {
  constructor(readonly x: number) {}
}
registerClass(Point);

/** A value as somebody might send it who does not ask what may be sent. */
function forged(value: unknown): Uint8Array {
  return Uint8Array.of(
    ...MAGIC,
    ...encode(value, {
      encodeFunction: () => ({ module: "file:///etc/passwd", name: "x" }),
      encodeSharedBuffer: () => 1,
    }),
  );
}

Deno.test("LESSON-47 a handle is not even asked for its wire form", async () => {
  using ends = await pair();
  const before = asked;
  for (const value of [new Spy(), [new Map([[1, new Spy()]])]]) {
    await assertRejects(() => ends.here.send(value), EncodingError, "socket");
  }
  assertEquals(asked, before);
  assertEquals(await ends.there.poll(), false);
});

for (
  const [what, value] of [
    ["a handle", new Spy()],
    ["a handle deep inside", { list: [new Map([["spy", new Spy()]])] }],
    ["a function", () => {}],
    ["shared memory", new SharedArrayBuffer(8)],
  ] as const
) {
  Deno.test(`LESSON-47 ${what} that comes in is an error, and nothing is done with it`, async () => {
    using ends = await pair();
    const { here, there } = ends;
    await there.sendBytes(forged(value));
    await there.send("next");
    await assertRejects(() => here.recv(), EncodingError);
    assertEquals(revived, 0);
    // It is used up, so that a loop does not meet it for ever.
    assertEquals(await here.recv(), "next");
  });
}

Deno.test("LESSON-47 instances of registered classes arrive as such, others not", async () => {
  using ends = await pair();
  const { here, there } = ends;
  await there.send(new Point(3));
  const point = await here.recv();
  assertInstanceOf(point, Point);
  assertEquals(point.x, 3);

  const bytes = forged(new Point(3));
  const name = bytes.indexOf("P".charCodeAt(0), MAGIC.length);
  bytes[name] = "Q".charCodeAt(0);
  await there.sendBytes(bytes);
  await assertRejects(() => here.recv(), EncodingError, '"Qoint"');
});

Deno.test("LESSON-47 bytes that only begin like a value are an EncodingError", async () => {
  using ends = await pair();
  const { here, there } = ends;
  for (
    const rest of [[], [0], [1], [1, 0xff, 0xff], [2, 1], Array(50).fill(1)]
  ) {
    await there.sendBytes(Uint8Array.of(...MAGIC, ...rest));
    await assertRejects(() => here.recv(), EncodingError);
  }
  assertEquals(await here.poll(), false);
});

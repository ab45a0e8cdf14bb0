import { assertEquals, assertStrictEquals } from "@std/assert";
import { BufferPort } from "../../contexts/buffer_port.ts";
import "../../mod.ts";
import { contract, once } from "../_support/contract.ts";
import { SharedGate } from "../_support/meeting.ts";
import { ignore } from "../fixtures/plain.ts";
import { waitFor } from "../fixtures/pool_targets.ts";

/** Both ends, in one thread. */
function pair(): [BufferPort, BufferPort] {
  const [here, there] = BufferPort.pair();
  return [here, new BufferPort(there)];
}

/** Shared memory that can be told from others. */
function numbered(number: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(4);
  new Int32Array(buffer)[0] = number;
  return buffer;
}

/** Which ones they are. */
function numbers(buffers: readonly SharedArrayBuffer[] | undefined): unknown {
  return buffers?.map((buffer) => new Int32Array(buffer)[0]);
}

once(
  "BufferPort has the buffers of a message at once, in any order, once",
  () => {
    const [here, there] = pair();
    here.post(1, [numbered(10), numbered(11)]);
    here.post(2, [numbered(20)]);
    assertEquals(numbers(there.take(2)), [20]);
    assertEquals(numbers(there.take(1)), [10, 11]);
    assertStrictEquals(there.take(1), undefined);
    assertEquals(there.size, 0);
    there.post(1, [numbered(30)]);
    assertEquals(numbers(here.take(1)), [30]);
    here.close();
    there.close();
  },
);

once("BufferPort shares the memory, growing included", () => {
  const [here, there] = pair();
  const buffer = new SharedArrayBuffer(4, { maxByteLength: 8 });
  here.post(1, [buffer]);
  const [same] = there.take(1)!;
  new Int32Array(same!)[0] = 5;
  assertEquals(new Int32Array(buffer)[0], 5);
  buffer.grow(8);
  assertEquals(same!.byteLength, 8);
  here.close();
  there.close();
});

once("BufferPort keeps nothing for a message that was taken back", () => {
  const [here, there] = pair();
  here.post(1, [numbered(10)]);
  there.read();
  assertEquals(there.size, 1);
  here.post(2, [numbered(20)]);
  here.recall(1);
  here.recall(2);
  there.read();
  assertEquals(there.size, 0);
  assertStrictEquals(there.take(2), undefined);
  // Given anew, with the number it had.
  here.post(2, [numbered(21)]);
  assertEquals(numbers(there.take(2)), [21]);
  here.close();
  there.close();
});

contract(
  "Pool recalls the buffers of a task that it takes back",
  async (ctx) => {
    const { post, recall } = BufferPort.prototype;
    const posted: number[] = [];
    const recalled: number[] = [];
    BufferPort.prototype.post = function (number, buffers) {
      posted.push(number);
      post.call(this, number, buffers);
    };
    BufferPort.prototype.recall = function (number) {
      recalled.push(number);
      recall.call(this, number);
    };
    try {
      await using pool = new ctx.Pool(1);
      const [here, go] = [SharedGate.in(ctx), SharedGate.in(ctx)];
      const long = pool.apply(waitFor, [here, go]);
      await here.reaches(1, "the worker is busy");
      const behind = pool.applyAsync(ignore, [numbered(1)]);
      assertEquals([posted.length, recalled.length], [1, 0]);
      behind.cancel();
      assertEquals(recalled, posted);
      go.arrive();
      await long;
      // What is done is not recalled.
      await pool.apply(ignore, [numbered(2)]);
      assertEquals([posted.length, recalled.length], [2, 1]);
    } finally {
      Object.assign(BufferPort.prototype, { post, recall });
    }
  },
  { methods: ["worker"] },
);

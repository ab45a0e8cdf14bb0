import { assertEquals, assertStrictEquals } from "@std/assert";
import { BufferPort } from "../../contexts/buffer_port.ts";
import { once } from "../_support/contract.ts";

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

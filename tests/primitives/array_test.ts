import {
  assert,
  assertEquals,
  assertFalse,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { encode } from "../../codec/mod.ts";
import { EncodingError } from "../../errors.ts";
import { bindTo } from "../../primitives/block.ts";
import {
  Array,
  Array as SharedArray,
  RawArray,
} from "../../primitives/array.ts";
import { Lock } from "../../primitives/lock.ts";
import { RLock } from "../../primitives/rlock.ts";
import type { TypeCode } from "../../primitives/array.ts";
import { copy, synchronized } from "../../primitives/value.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { runProgram } from "../_support/program.ts";
import { eachKind, turns } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const SEQUENCE = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];
const ONE_GIB = 2 ** 30;
/** Large enough that its pages go back to the system. */
const LARGE = 2 ** 17;

const MAKERS = [
  ["ARR-01", Array],
  ["ARR-03", RawArray as unknown as typeof Array],
] as const;

for (const [id, make] of MAKERS) {
  eachKind(
    `${id} ${make.name} is changed in place by another participant`,
    (world) => {
      const array = new (world.of(make))("i", SEQUENCE);
      assertEquals(array.length, SEQUENCE.length);
      assertEquals(array.at(3), SEQUENCE[3]);
      assertEquals(array.slice(2, 7), SEQUENCE.slice(2, 7));
      assertEquals([...array], SEQUENCE);

      const local = [...SEQUENCE];
      array.setSlice(4, [1, 2, 3, 4]);
      local.splice(4, 4, 1, 2, 3, 4);
      assertEquals(array.toArray(), local);

      const theirs = world.give(array, world.another());
      for (let i = 1; i < theirs.length; i++) {
        theirs.set(i, theirs.at(i) + theirs.at(i - 1));
        local[i]! += local[i - 1]!;
      }
      assertEquals(array.toArray(), local);
    },
  );
}

eachKind(
  "ARR-02 Array is zero even where memory is used again",
  async (world) => {
    const { heap } = world.arena;
    const before = heap.blocks;
    for (const length of [10, LARGE]) {
      for (let round = 0; round < 3; round++) {
        fillNew(world, length);
        await collected(() => heap.blocks === before);
        assertEquals(heap.blocks, before);
      }
    }
  },
);

function fillNew(world: SyncWorld, length: number): void {
  const array = new (world.of(Array))("i", length);
  assertEquals(array.length, length);
  assert(array.toArray().every((item) => item === 0));
  array.setSlice(0, globalThis.Array.from({ length }, (_, i) => i));
  assertEquals(array.at(-1), length - 1);
}

eachKind("ARR-04 Array has the lock that is asked for", (world) => {
  const AnyArray = world.of(Array);
  const array = new AnyArray("i", [1, 2]);
  assert(array.getLock() instanceof RLock);
  assertEquals(array.getObj().toArray(), [1, 2]);
  assert(new AnyArray("i", 2, { lock: null }).getLock() instanceof RLock);
  const lock = new (world.of(Lock))();
  assertStrictEquals(new AnyArray("i", 2, { lock }).getLock(), lock);
  for (
    const raw of [
      new AnyArray("i", 2, { lock: false }),
      new (world.of(RawArray))("i", 2),
    ]
  ) {
    assertFalse("getLock" in raw);
    assertFalse("getObj" in raw);
    assert(raw instanceof RawArray);
    assertFalse(raw instanceof Array);
  }
  assert(array instanceof Array);
  assert(array instanceof AnyArray);
  assertFalse(array instanceof RawArray);
  assertThrows(
    () => new AnyArray("i", 2, { lock: "notalock" as never }),
    TypeError,
    "has no method 'acquire'",
  );
});

eachKind("ARR-X1 Array.at() and set() reach what there is", (world) => {
  const array = new (world.of(Array))("i", [1, 2, 3]);
  assertEquals(array.at(-1), 3);
  assertEquals(array.at(-3), 1);
  array.set(-1, 30);
  assertEquals(array.at(2), 30);
  for (const index of [3, -4, 1.5, NaN, Infinity, "1" as never]) {
    assertThrows(() => array.at(index), RangeError, "invalid index");
    assertThrows(() => array.set(index, 1), RangeError, "invalid index");
  }
});

eachKind(
  "ARR-X1 Array.set() refuses what does not fit, and says where",
  (world) => {
    const array = new (world.of(Array))("i", [1, 2, 3]);
    assertThrows(
      () => array.set(1, "x" as never),
      TypeError,
      'Cannot store "x" at index 1 as a c_int must be an integer',
    );
    assertThrows(() => array.set(1, 2 ** 31), RangeError, "2147483647");
    assertThrows(() => array.fill(1.5), TypeError, "an integer");
    assertEquals(array.toArray(), [1, 2, 3]);
    assertThrows(
      () => new (world.of(Array))("q", [1n, 2 as never]),
      TypeError,
      "Cannot store 2 at index 1 as a c_longlong must be a bigint: write 2n",
    );
  },
);

eachKind("ARR-X1 Array.setSlice() sets all or nothing", (world) => {
  const array = new (world.of(Array))("i", [1, 2, 3, 4]);
  array.setSlice(-2, [30, 40]);
  assertEquals(array.toArray(), [1, 2, 30, 40]);
  array.setSlice(4, []);
  for (const start of [0, 3, -1]) {
    assertThrows(
      () => array.setSlice(start, [1, 2, 3, 4, 5]),
      RangeError,
      "Can only assign sequence of same size",
    );
  }
  assertThrows(() => array.setSlice(5, []), RangeError, "invalid index");
  assertThrows(() => array.setSlice(0, [7, 7, 1.5]), TypeError, "at index 2");
  assertThrows(() => array.setSlice(0, 7 as never), TypeError, "iterable");
  assertEquals(array.toArray(), [1, 2, 30, 40]);
  array.setSlice(1, array.slice(2));
  assertEquals(array.toArray(), [1, 30, 40, 40]);
  array.setSlice(0, new Set([5, 6]));
  array.setSlice(2, new Int8Array([-7, 8]));
  assertEquals(array.toArray(), [5, 6, -7, 8]);
});

eachKind("Array.setSlice() stores what was checked", (world) => {
  const array = new (world.of(RawArray))("B", 3);
  // Elements that change as soon as they have been read.
  const changing: number[] = [1, 2, 3];
  for (const [i, first] of changing.entries()) {
    let reads = 0;
    Object.defineProperty(changing, i, {
      get: () => reads++ === 0 ? first : 300,
    });
  }
  array.setSlice(0, changing);
  assertEquals(array.toArray(), [1, 2, 3]);
  // One that is longer by the time the first has been read.
  const growing: number[] = [0];
  Object.defineProperty(growing, 0, {
    get: () => growing.push(5, 6, 7),
  });
  array.setSlice(2, growing);
  assertEquals(array.toArray(), [1, 2, 4]);
  // Its own memory, as another type.
  const { buffer, byteOffset } = array.view;
  array.setSlice(1, new Int8Array(buffer, byteOffset, 2));
  assertEquals(array.toArray(), [1, 1, 2]);
});

eachKind("ARR-X1 Array refuses a size that is none", (world) => {
  const AnyArray = world.of(Array);
  assertThrows(
    () => new AnyArray("i", -1),
    RangeError,
    "Array length must be >= 0, not -1",
  );
  for (const size of [1.5, NaN, Infinity, null, undefined, {}, true]) {
    assertThrows(() => new AnyArray("i", size as never), TypeError);
  }
  for (const type of ["z", "", null, {}, 5]) {
    assertThrows(
      () => new AnyArray(type as "i", 1),
      TypeError,
      "must be one of c u b B",
    );
  }
  for (const size of [2 ** 33, 2 ** 60]) {
    assertThrows(() => new AnyArray("d", size), RangeError, "4 GiB");
  }
});

eachKind("ARR-X1 Array can have no elements", (world) => {
  for (const type of ["i", "c", { x: "i" }] as const) {
    const array = new (world.of(Array))(type, 0);
    assertEquals<unknown[]>([array.length, [...array]], [0, []]);
    assertEquals<unknown>(array.toArray(), []);
    assertEquals(array.view.length, 0);
    array.setSlice(0, []);
    assertThrows(() => array.at(0), RangeError, "invalid index");
    assertEquals(world.give(array, world.another()).length, 0);
  }
});

eachKind("Array.slice() and fill() count as those of any array", (world) => {
  const array = new (world.of(Array))("h", SEQUENCE);
  for (const start of [undefined, 0, 3, -3, 20, -20, 1.7, NaN]) {
    for (const end of [undefined, 0, 5, -2, 20, -20, 4.2, NaN]) {
      assertEquals(array.slice(start, end), SEQUENCE.slice(start, end));
      const twin = new (world.of(Array))("h", SEQUENCE);
      assertStrictEquals(twin.fill(7, start, end), twin);
      assertEquals(twin.toArray(), [...SEQUENCE].fill(7, start, end));
    }
  }
});

eachKind("Array holds elements of every type", (world) => {
  const SAMPLES: { [C in TypeCode]?: unknown[] } = {
    c: ["a", "\xff", "\0"],
    u: ["a", "語", "\u{1f600}"],
    b: [1, -128, 127],
    B: [1, 0, 255],
    h: [1, -32768, 32767],
    H: [1, 0, 65535],
    i: [1, -(2 ** 31), 2 ** 31 - 1],
    I: [1, 0, 2 ** 32 - 1],
    l: [1n, -(2n ** 63n), 2n ** 63n - 1n],
    L: [1n, 0n, 2n ** 64n - 1n],
    q: [1n, -(2n ** 63n), 2n ** 63n - 1n],
    Q: [1n, 0n, 2n ** 64n - 1n],
    f: [0.5, -Infinity, NaN],
    d: [0.1, -1e300, NaN],
  };
  for (const [code, items] of Object.entries(SAMPLES)) {
    const array = new (world.of(Array))(code as "i", items as number[]);
    assertEquals<unknown>(array.toArray(), items);
    assertEquals<unknown>([...array], items);
    const theirs = world.give(array, world.another());
    theirs.set(0, items[1] as number);
    assertEquals<unknown>(array.at(0), items[1]);
    array.fill(items[2] as number);
    assertEquals<unknown>(theirs.toArray(), items.map(() => items[2]));
  }
});

eachKind("Array takes typed arrays as they are", (world) => {
  const floats = new Float64Array([0.1, -0, NaN]);
  assertEquals(new (world.of(Array))("d", floats).toArray(), [...floats]);
  assertEquals(new (world.of(Array))("f", floats).at(0), Math.fround(0.1));
  const bytes = new Uint8Array([104, 105]);
  assertEquals(new (world.of(Array))("c", bytes).value, "hi");
  assertThrows(
    () => new (world.of(Array))("i", new Float64Array([1.5])),
    TypeError,
    "an integer",
  );
});

eachKind("Array of characters has a text", (world) => {
  const array = new (world.of(Array))("c", 10);
  assertEquals(array.value, "");
  array.value = "hello";
  assertEquals(array.value, "hello");
  assertEquals(array.raw, new TextEncoder().encode("hello\0\0\0\0\0"));
  assertEquals(array.at(1), "e");
  array.value = "hellohello";
  assertEquals(array.value, "hellohello");
  array.value = "hey";
  assertEquals(array.raw, new TextEncoder().encode("hey\0\0\0\0\0\0\0"));
  for (const text of ["hello hello", "é".repeat(11)]) {
    assertThrows(
      () => array.value = text,
      RangeError,
      "byte string too long",
    );
  }
  assertThrows(() => array.value = "語", RangeError, "one byte");
  assertThrows(() => array.value = 5 as never, TypeError, "must be a string");
  assertEquals(array.value, "hey");
  array.value = "é";
  assertEquals(array.raw[0], 0xe9);
});

eachKind("Array of characters has raw bytes", (world) => {
  const array = new (world.of(Array))("c", "hello");
  assertEquals(array.length, 5);
  array.raw = new Uint8Array([0x68, 0, 0x69]);
  assertEquals(array.value, "h");
  assertEquals(array.raw, new Uint8Array([0x68, 0, 0x69, 0x6c, 0x6f]));
  const { raw } = array;
  raw[0] = 0;
  assertEquals(array.at(0), "h");
  for (
    const [full, its] of [
      [array, "an array of 5 bytes: byte string"],
      [new (world.of(RawArray))("c", 0), "an array of 0 bytes: byte string"],
      [new (world.of(RawArray))("u", 1), "an array of 4 bytes: string"],
    ] as const
  ) {
    assertThrows(
      () => full.raw = new Uint8Array(6),
      RangeError,
      `Cannot store 6 bytes in ${its} too long`,
    );
  }
  assertThrows(() => array.raw = "h" as never, TypeError, "a Uint8Array");
});

eachKind("Array of code points has a text of any script", (world) => {
  const array = new (world.of(Array))("u", 6);
  array.value = "語😀é";
  assertEquals(array.value, "語😀é");
  assertEquals(array.slice(0, 4), ["語", "😀", "é", "\0"]);
  assertThrows(() => array.value = "1234567", RangeError, "string too long");
  // What a view can store need not be a character.
  array.view[0] = 0xffff_ffff;
  assertEquals(array.at(0), "\ufffd");
});

eachKind("Array of characters reads a long text", (world) => {
  const text = "abcdefg".repeat(10_000);
  assertEquals(new (world.of(Array))("c", text).value, text);
  const padded = new (world.of(Array))("c", text.length * 2);
  padded.value = text;
  assertEquals(padded.value, text);
});

eachKind("SEED-08 Array has no -0 among integers", (world) => {
  const array = new (world.of(Array))("i", 10);
  array.setSlice(0, globalThis.Array.from({ length: 10 }, (_, i) => i));
  for (const [i, item] of array.toArray().entries()) array.set(i, -item);
  assertEquals(
    JSON.stringify(array.toArray()),
    "[0,-1,-2,-3,-4,-5,-6,-7,-8,-9]",
  );
  assert(array.toArray().every((item) => !Object.is(item, -0)));
  array.setSlice(0, [-0]);
  assert(Object.is(array.at(0), 0));
});

eachKind("Array describes itself", (world) => {
  const array = new (world.of(Array))("i", [1, 2, 3]);
  const text = "<SynchronizedArray wrapper for c_int_Array_3([1, 2, 3])>";
  assertEquals(String(array), text);
  assertEquals(Deno.inspect(array), text);
  assertEquals(String(array.getObj()), "c_int_Array_3([1, 2, 3])");
  assertEquals(
    String(new (world.of(Array))("c", "hi\0")),
    "<SynchronizedString wrapper for c_char_Array_3('hi')>",
  );
  assertEquals(
    String(new (world.of(RawArray))("B", 12)),
    "c_ubyte_Array_12([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, …])",
  );
});

eachKind("Array.view is the memory itself", (world) => {
  const array = new (world.of(Array))("d", [3, 1, 2]);
  const { view } = array;
  assert(view instanceof Float64Array);
  assertStrictEquals(array.view, view);
  assertEquals(view, new Float64Array([3, 1, 2]));
  view.sort();
  assertEquals(world.give(array, world.another()).toArray(), [1, 2, 3]);
  array.set(0, 7);
  assertEquals(view[0], 7);
  const copy = view.slice();
  copy[0] = 8;
  assertEquals(array.at(0), 7);
  view.subarray(1)[0] = 9;
  assertEquals(array.at(1), 9);
  assertEquals(new (world.of(Array))({ x: "i" }, 2).view.length, 8);
});

eachKind("Array.view leads to nothing but the array", (world) => {
  const array = new (world.of(Array))("B", [1, 2, 3]);
  const { buffer, byteOffset } = array.view;
  assertEquals([buffer.byteLength, byteOffset], [3, 0]);
  assertEquals(new DataView(buffer).getUint16(1), 0x0203);
});

eachKind(
  "HEAP-02 Array gives its memory back when it is collected",
  async (world) => {
    const { heap } = world.arena;
    const before = heap.blocks;
    for (let i = 0; i < 50; i++) new (world.of(Array))("i", 1000);
    assert(heap.blocks > before);
    await collected(() => heap.blocks === before);
    assertEquals(heap.blocks, before);
  },
);

const HANDLES: Record<string, (array: Array<"i">) => ArrayBufferView> = {
  "the view": ({ view }) => view,
  "a part of the view": ({ view }) => view.subarray(1, 3).subarray(1),
  "a view of its buffer": ({ view }) => new DataView(view.buffer),
};
for (const [what, take] of Object.entries(HANDLES)) {
  eachKind(`Array is not given back while ${what} is left`, async (world) => {
    const { heap } = world.arena;
    const before = heap.blocks;
    let handle: ArrayBufferView | undefined = take(
      new (world.of(Array))("i", [1, 2, 3, 4]),
    );
    // The lock goes; the elements stay.
    await collected(() => heap.blocks === before + 1);
    await collected(() => heap.blocks === before, 3);
    assertEquals(heap.blocks, before + 1);
    const others = new (world.of(RawArray))("i", 4);
    new Uint8Array(handle.buffer).fill(0xff);
    assertEquals(others.toArray(), [0, 0, 0, 0]);
    handle = undefined;
    await collected(() => heap.blocks === before + 1);
    assertEquals(heap.blocks, before + 1, "beside the new array");
    assertEquals(others.length, 4);
  });
}

Deno.test("Array.view of a thread without FFI keeps the memory as well", async () => {
  const { code, stdout, stderr } = await runProgram(WITHOUT_FFI, {
    flags: ["run", "--no-prompt", "--v8-flags=--expose-gc"],
  });
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertEquals(JSON.parse(stdout), {
    // The view, a part of it, none, twenty dropped, one asked for its buffer.
    counts: [1, 1, 0, 0, 1],
    kinds: ["Int32Array", "Int32Array", "Int32Array"],
    isCopied: true,
    isShared: true,
    zeros: [0, 0, 0],
  });
});

const resolve = (path: string) => import.meta.resolve(`../../${path}`);
const WITHOUT_FFI = `
import { arenaFor } from "${resolve("memory/mod.ts")}";
import { bindTo } from "${resolve("primitives/block.ts")}";
import * as arrays from "${resolve("primitives/array.ts")}";

const RawArray = bindTo(arrays.RawArray, "worker");
const { heap, references } = arenaFor("worker");
references.open();
const start = heap.blocks;
async function left() {
  for (let i = 0; i < 20; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return heap.blocks - start;
}
const counts = [];
let view = new RawArray("i", [1, 2, 3]).view;
counts.push(await left());
const kinds = [view, view.subarray(1), view.slice()].map((each) =>
  each.constructor.name);
const isCopied = !(view.slice().buffer instanceof SharedArrayBuffer);
view = view.subarray(1).subarray(1);
counts.push(await left());
view = undefined;
counts.push(await left());
for (let i = 0; i < 20; i++) new RawArray("i", 3).view.subarray(1).fill(7);
counts.push(await left());
const isShared = new RawArray("i", 3).view.buffer instanceof SharedArrayBuffer;
counts.push(await left());
const zeros = new RawArray("i", 3).toArray();
console.log(JSON.stringify({ counts, kinds, isCopied, isShared, zeros }));
`;

Deno.test("Array of threads cannot be sent to a process", () => {
  for (
    const array of [
      new (bindTo(Array, "worker"))("i", 1),
      new (bindTo(RawArray, "worker"))({ x: "i" }, 1),
    ]
  ) {
    assertThrows(
      () => encode(array, { target: { kind: "spawn" } }),
      EncodingError,
      'Cannot send a shared Array of the "worker" context to a process',
    );
  }
});

eachKind("copy() of an array makes memory of its own", (world) => {
  for (
    const [type, items] of [
      ["i", [1, 2, 3]],
      ["c", "hi"],
      ["q", [1n]],
    ] as const
  ) {
    const array = new (world.of(Array))(type as "i", items as never);
    const before: unknown[] = array.toArray();
    const twin = copy(array);
    assert(twin instanceof RawArray);
    assertEquals<unknown>(twin.toArray(), before);
    array.fill(before.at(-1) as never);
    assertEquals<unknown>(twin.toArray(), before);
    // In the same context: what can receive one can receive the other.
    encode(twin, { target: { kind: world.kind } });
  }
  const text = copy(new (world.of(Array))("c", "hi"));
  assertEquals(text.value, "hi");
});

eachKind("synchronized() gives an array a lock", async (world) => {
  const raw = new (world.of(RawArray))("c", "hi");
  const array = synchronized(raw);
  assert(array instanceof Array);
  await array.withLock(() => array.value = "yo");
  assertEquals(raw.value, "yo");
  assertThrows(() => synchronized(array), TypeError, "already synchronized");
});

eachKind("Array can have gigabytes, which cost nothing until used", (world) => {
  const array = new (world.of(Array))("d", ONE_GIB / 8 + 1);
  array.set(-1, 0.5);
  const theirs = world.give(array, world.another());
  assertEquals(theirs.at(ONE_GIB / 8), 0.5);
  assertEquals(theirs.view.length, ONE_GIB / 8 + 1);
  assertEquals(theirs.view.at(-1), 0.5);
});

async function collected(isDone: () => boolean, rounds = 100): Promise<void> {
  for (let i = 0; !isDone() && i < rounds; i++) {
    collectGarbage();
    await turns(2);
  }
}

/** Compiles, and is not run: the types a user sees. */
export function types(): void {
  const ints: number[] = new SharedArray("i", 3).toArray();
  const longs: bigint[] = new SharedArray("q", [1n]).slice();
  const view: Float64Array = new SharedArray("d", 3).view;
  const raw: RawArray<"c"> = new SharedArray("c", "abc", { lock: false });
  const text: string = raw.value;
  const array: SharedArray<"i"> = new SharedArray("i", new Set([1]));
  const locked: SharedArray<"i", Lock> = new SharedArray("i", 1, {
    lock: new Lock(),
  });
  const lock: Lock = locked.getLock();
  const points = new SharedArray({ x: "d", id: "q" }, [{ x: 1 }, { id: 2n }]);
  const x: number = points.at(0).x;
  const plain: { x: number; id: bigint }[] = points.toArray();
  const again: SharedArray<{ readonly x: "d"; readonly id: "q" }> = points;
  // @ts-expect-error Numbers are no bigints
  new SharedArray("q", [1, 2]);
  // @ts-expect-error There is no such code
  new SharedArray("z", 3);
  // @ts-expect-error Only characters make a text
  array.value = "x";
  // @ts-expect-error One without a lock has none to give
  raw.getLock();
  // @ts-expect-error There is no such field
  points.at(0).y;
  // @ts-expect-error The length is fixed
  array.length = 5;
  void [ints, longs, view, text, lock, x, plain, again];
}

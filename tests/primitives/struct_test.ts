import {
  assert,
  assertEquals,
  assertFalse,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Array, RawArray } from "../../primitives/array.ts";
import { Lock } from "../../primitives/lock.ts";
import { RLock } from "../../primitives/rlock.ts";
import type { StructMethods } from "../../primitives/struct.ts";
import { copy, RawValue, synchronized, Value } from "../../primitives/value.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { eachKind, turns } from "./_sync_world.ts";

const POINT = { x: "i", y: "d", z: "q" } as const;

for (const lock of [false, true] as const) {
  const id = lock ? "CTYPE-02" : "CTYPE-01";
  const what = lock ? "with" : "without";
  eachKind(
    `${id} values, structs, arrays and texts ${what} a lock are doubled by another`,
    (world) => {
      // The types differ, not what is looked at here.
      const options = { lock } as { lock: true };
      const SomeValue = world.of(Value);
      const SomeArray = world.of(Array);
      const x = new SomeValue("i", 7, options);
      const y = new SomeValue("d", 1 / 3, options);
      const z = new SomeValue("q", 2n ** 33n, options);
      const struct = new SomeValue({ x: "i", y: "d" }, { x: 3, y: 2 }, options);
      const array = new SomeArray("d", 10, options);
      array.setSlice(0, globalThis.Array.from({ length: 10 }, (_, i) => i));
      const text = new SomeArray("c", 20, options);
      text.value = "hello";
      assertEquals("getLock" in struct, lock);

      const theirs = world.give(
        { x, y, z, struct, array, text },
        world.another(),
      );
      theirs.x.value *= 2;
      theirs.y.value *= 2;
      theirs.z.value *= 2n;
      theirs.struct.x *= 2;
      theirs.struct.y *= 2;
      theirs.text.value += theirs.text.value;
      for (let i = 0; i < array.length; i++) {
        theirs.array.set(i, theirs.array.at(i) * 2);
      }

      assertEquals(x.value, 14);
      assertEquals(y.value, 2 / 3);
      assertEquals(z.value, 2n ** 34n);
      assertEquals(struct.toObject(), { x: 6, y: 4 });
      assertEquals(
        array.toArray(),
        globalThis.Array.from({ length: 10 }, (_, i) => i * 2),
      );
      assertEquals(text.value, "hellohello");
    },
  );
}

eachKind("CTYPE-03 copy() of a struct stays as it was", (world) => {
  const struct = new (world.of(Value))(POINT, { x: 2, y: 5, z: 2n ** 33n });
  for (const twin of [copy(struct), copy(struct.getObj())]) {
    struct.assign({ x: 0, y: 0, z: 0n });
    assertEquals(twin.toObject(), { x: 2, y: 5, z: 2n ** 33n });
    assertFalse("getLock" in twin);
    struct.assign(twin);
  }
});

eachKind("Value of fields is zero but for those given", (world) => {
  const struct = new (world.of(Value))(POINT, { y: 2.5 });
  assertEquals(struct.toObject(), { x: 0, y: 2.5, z: 0n });
  assertEquals(new (world.of(RawValue))(POINT).toObject(), {
    x: 0,
    y: 0,
    z: 0n,
  });
});

eachKind("Value of fields has a lock, and a twin without", (world) => {
  const struct = new (world.of(Value))(POINT, { x: 1 });
  assert(struct.getLock() instanceof RLock);
  assertStrictEquals(struct.getObj(), struct.getObj());
  struct.getObj().x = 2;
  assertEquals(struct.x, 2);
  assert(struct instanceof Value);
  assertFalse(struct.getObj() instanceof Value);
  assert(struct.getObj() instanceof RawValue);
  const lock = new (world.of(Lock))();
  const wrapped = synchronized(struct.getObj(), lock);
  assertStrictEquals(wrapped.getLock(), lock);
  assertEquals(wrapped.x, 2);
  assertThrows(() => synchronized(struct), TypeError, "already synchronized");
});

eachKind(
  "Value of fields refuses what does not fit, and sets nothing",
  (world) => {
    const struct = new (world.of(Value))(POINT, { x: 1, y: 2, z: 3n });
    assertThrows(
      () => struct.x = 1.5,
      TypeError,
      'Cannot store 1.5 in field "x" as a c_int must be an integer',
    );
    assertThrows(() => struct.z = 3 as never, TypeError, "write 3n");
    assertThrows(() => struct.x = 2 ** 31, RangeError, "2147483647");
    assertThrows(() => struct.assign({ y: 7, x: 1.5 }), TypeError, '"x"');
    assertThrows(
      () => struct.assign({ y: 7, w: 1 } as never),
      TypeError,
      'there is no field "w": there are "x", "y", "z"',
    );
    for (const value of [null, 5, "x", [1, 2, 3]]) {
      assertThrows(
        () => struct.assign(value as never),
        TypeError,
        "its fields",
      );
    }
    assertThrows(() => {
      (struct as unknown as { w: number }).w = 5;
    }, TypeError);
    assertEquals(struct.toObject(), { x: 1, y: 2, z: 3n });
  },
);

/** An object that gives a value once, and another from then on. */
function changing(first: number, then: unknown): { readonly z: number } {
  let reads = 0;
  return {
    get z() {
      return reads++ === 0 ? first : then as number;
    },
  };
}

eachKind("Value of fields stores what was checked", (world) => {
  const FIELDS = { x: "i", z: "B" } as const;
  const struct = new (world.of(Value))(FIELDS);
  const array = new (world.of(Array))(FIELDS, 1);
  const stores = {
    assign: [struct, (from) => struct.assign(from)],
    set: [array.at(0), (from) => array.set(0, from)],
    setSlice: [array.at(0), (from) => array.setSlice(0, [from])],
    fill: [array.at(0), (from) => array.fill(from)],
  } satisfies Record<
    string,
    [StructMethods<typeof FIELDS>, (from: { readonly z: number }) => void]
  >;
  for (const [name, [stored, store]] of Object.entries(stores)) {
    for (const then of [300, "no number", undefined]) {
      store(changing(7, then));
      assertEquals(stored.toObject(), { x: 0, z: 7 }, name);
      stored.assign({ z: 0 });
    }
  }
});

eachKind("Value refuses fields that are none", (world) => {
  const AnyValue = world.of(Value);
  for (const name of ["getLock", "toObject", "constructor", "__proto__"]) {
    const fields = Object.fromEntries([[name, "i"]]);
    assertThrows(() => new AnyValue(fields as never), TypeError, name);
  }
  for (const code of ["z", 5, null, { y: "i" }]) {
    assertThrows(
      () => new AnyValue({ x: code } as never),
      TypeError,
      "must be one of c u b B",
    );
  }
  assertThrows(() => new AnyValue({}), TypeError, "must be one of");
});

eachKind("Value of fields describes itself", (world) => {
  const struct = new (world.of(Value))(POINT, { x: 3, z: 5n });
  const text = "<SynchronizedStruct wrapper for Struct(x=3, y=0, z=5)>";
  assertEquals(String(struct), text);
  assertEquals(Deno.inspect(struct), text);
  assertEquals(String(struct.getObj()), "Struct(x=3, y=0, z=5)");
  const plain = new (world.of(RawValue))({ x: "i", k: "c" }, { k: "a" });
  assertEquals(JSON.stringify(plain), '{"x":0,"k":"a"}');
});

eachKind("Struct lies in memory as in C", (world) => {
  // char, double, short, int, char: with gaps, and filled up to a multiple of 8.
  const fields = { a: "c", b: "d", c: "h", d: "i", e: "B" } as const;
  const array = new (world.of(Array))(fields, 2);
  assertEquals(array.view.length, 2 * 32);
  array.set(1, { a: "x", b: 0.5, c: -2, d: 7, e: 9 });
  const { buffer, byteOffset } = array.view;
  const view = new DataView(buffer, byteOffset + 32);
  assertEquals(view.getUint8(0), "x".charCodeAt(0));
  assertEquals(view.getFloat64(8, true), 0.5);
  assertEquals(view.getInt16(16, true), -2);
  assertEquals(view.getInt32(20, true), 7);
  assertEquals(view.getUint8(24), 9);
});

eachKind("Array of structs gives them as they are in there", (world) => {
  const array = new (world.of(Array))(POINT, [{ x: 1 }, { x: 2, y: 0.5 }]);
  const struct = array.at(1);
  struct.y = 1.5;
  assertEquals(array.at(-1).y, 1.5);
  for (const each of array) each.x *= 10;
  assertEquals(array.toArray(), [
    { x: 10, y: 0, z: 0n },
    { x: 20, y: 1.5, z: 0n },
  ]);
  array.set(0, { z: 7n });
  assertEquals(array.slice(0, 1), [{ x: 10, y: 0, z: 7n }]);
  array.fill({ x: 3 }, 1);
  assertEquals(array.at(1).toObject(), { x: 3, y: 1.5, z: 0n });
  assertThrows(() => array.set(0, { x: 1.5 }), TypeError, '"x"');
  assertThrows(() => array.at(2), RangeError, "invalid index");
  assertEquals(
    String(array.getObj()),
    "Struct_Array_2([{ x: 10, y: 0, z: 7n }, { x: 3, y: 1.5, z: 0n }])",
  );
});

eachKind("Array of structs can be set from its own", (world) => {
  const array = new (world.of(RawArray))({ x: "i" }, [
    { x: 1 },
    { x: 2 },
    { x: 3 },
  ]);
  array.setSlice(0, [...array].reverse());
  assertEquals(array.toArray(), [{ x: 3 }, { x: 2 }, { x: 1 }]);
  array.setSlice(1, [array.at(0), array.at(1)]);
  assertEquals(array.toArray(), [{ x: 3 }, { x: 3 }, { x: 2 }]);
});

eachKind("Struct of an array arrives as the same struct", (world) => {
  const array = new (world.of(Array))(POINT, 3);
  const [theirs, whole, again] = world.give(
    [array.at(1), array, array.at(1)] as const,
    world.another(),
  );
  theirs.x = 5;
  assertEquals(array.at(1).x, 5);
  assertEquals(whole.at(1).x, 5);
  assertEquals(again.x, 5);
  const locked = synchronized(array.at(1));
  locked.x = 6;
  assertEquals(array.at(1).x, 6);
  assertNotStrictEquals(array.at(1), array.at(1));
});

eachKind("HEAP-02 a struct keeps the array it is in", async (world) => {
  const { heap } = world.arena;
  const before = heap.blocks;
  let struct: { x: number } | undefined = new (world.of(Array))(POINT, 3).at(1);
  for (let i = 0; heap.blocks > before + 1 && i < 100; i++) {
    collectGarbage();
    await turns(2);
  }
  struct.x = 5;
  assertEquals(heap.blocks, before + 1);
  assertEquals(struct.x, 5);
  struct = undefined;
  for (let i = 0; heap.blocks > before && i < 100; i++) {
    collectGarbage();
    await turns(2);
  }
  assertEquals(heap.blocks, before);
});

/** Compiles, and is not run: the types a user sees. */
export function types(): void {
  const struct = new Value({ x: "i", id: "q" }, { x: 1 });
  const x: number = struct.x;
  const id: bigint = struct.id;
  const plain: { x: number; id: bigint } = struct.toObject();
  const same: Value<{ x: "i"; id: "q" }> = struct;
  const raw: RawValue<{ x: "i"; id: "q" }> = struct.getObj();
  const twin: RawValue<{ x: "i" }> = copy(new RawValue({ x: "i" }));
  // @ts-expect-error Numbers are no bigints
  struct.id = 5;
  // @ts-expect-error There is no such field
  struct.y = 5;
  // @ts-expect-error There is no such field
  new Value({ x: "i" }, { y: 1 });
  // @ts-expect-error There is no such code
  new Value({ x: "z" });
  // @ts-expect-error A struct is not a number
  struct.add(1);
  void [x, id, plain, same, raw, twin];
}

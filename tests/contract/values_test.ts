/**
 * Values, arrays, structs and named memory between real children of both start
 * methods. What one process can see by itself is tested in `tests/primitives/`.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { clearGraves } from "../../contexts/graves.ts";
import { copy } from "../../primitives/mod.ts";
import type { Array as SharedArray, Value } from "../../primitives/mod.ts";
import { assertAllSucceed, several, start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { until } from "../_support/gate.ts";
import { isPortable } from "../_support/portable.ts";
import { Mailbox, SharedGate } from "../_support/meeting.ts";
import {
  addEach,
  addMany,
  addUpInPlace,
  changeLists,
  createAndEnd,
  createAndUnlink,
  double,
  fillView,
  setValues,
  writeByName,
  writeInto,
} from "../fixtures/keepers.ts";
import type { Doubled, Values } from "../fixtures/keepers.ts";
import { incrementLocked } from "../fixtures/sharers.ts";

const SEQUENCE = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];
const ADDERS = 4;
const ADDS = 2000;
const TASKS = 10;
const THREADS = 3;
/** An interrupted thread has stopped after so long. */
const STILL_MS = 100;

for (const row of ["VAL-01 Value", "VAL-02 RawValue"]) {
  contract(`${row} that a child sets is seen here`, async (ctx) => {
    const Maker = row.endsWith("RawValue")
      ? ctx.RawValue
      : ctx.Value as typeof ctx.RawValue;
    const values = {
      i: new Maker("i", 4343),
      d: new Maker("d", 3.625),
      h: new Maker("h", -232),
      q: new Maker("q", 2n ** 33n),
      c: new Maker("c", "x"),
    };
    assertEquals(values.q.value, 2n ** 33n);
    await assertAllSucceed([start(ctx, setValues, values as Values)]);
    assertEquals(
      [values.i.value, values.d.value, values.h.value, values.q.value],
      [24234, -4.25, 234, 2n ** 34n],
    );
    assertEquals(values.c.value, "y");
  });
}

for (
  const [how, target] of [["add()", addMany], [
    "its lock",
    incrementLocked,
  ]] as const
) {
  contract(
    `VAL-X1 LESSON-57 Value is added to by many at once, with ${how}`,
    async (ctx) => {
      const value = new ctx.Value("i", 0);
      await assertAllSucceed(
        several(ADDERS, () => start(ctx, target, value as Value<"i">, ADDS)),
      );
      assertEquals(value.value, ADDERS * ADDS);
    },
  );
}

contract(
  "Value.withLock() keeps out others also if the value comes with each task",
  async (ctx) => {
    const value = new ctx.Value("i", 0);
    const values = new ctx.SimpleQueue<Value<"i">>();
    const child = start(ctx, addEach, values, TASKS);
    for (let i = 0; i < TASKS; i++) await values.put(value as Value<"i">);
    await assertAllSucceed([child]);
    assertEquals(value.value, TASKS);
    await values.close();
  },
);

for (const row of ["ARR-01 Array", "ARR-03 RawArray"]) {
  contract(`${row} is changed in place by a child`, async (ctx) => {
    const Maker = row.endsWith("RawArray")
      ? ctx.RawArray
      : ctx.Array as typeof ctx.RawArray;
    const array = new Maker("i", SEQUENCE);
    const local = [...SEQUENCE];
    assertEquals(array.at(3), SEQUENCE[3]);
    array.setSlice(4, [1, 2, 3, 4]);
    local.splice(4, 4, 1, 2, 3, 4);
    for (let i = 1; i < local.length; i++) local[i]! += local[i - 1]!;
    await assertAllSucceed([start(ctx, addUpInPlace, array)]);
    assertEquals(array.toArray(), local);
  });
}

contract(
  "ARR-02 Array is zero at first, and a child sees it through a view",
  async (ctx) => {
    const report = Mailbox.in<number>(ctx);
    for (let i = 0; i < 3; i++) {
      const array = new ctx.Array("i", 10);
      await assertAllSucceed([
        start(ctx, fillView, array as SharedArray<"i">, report),
      ]);
      assertEquals(report.drain(), [0], "what memory held before");
      assertEquals(array.toArray(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  },
);

for (const [row, lock] of [["CTYPE-01", false], ["CTYPE-02", true]] as const) {
  const how = lock ? "with locks" : "without locks";
  contract(
    `${row} values, structs and arrays ${how} are doubled by a child`,
    async (ctx) => {
      // The types differ, not what is looked at here.
      const options = { lock } as { lock: true };
      const x = new ctx.Value("i", 7, options);
      const y = new ctx.Value("d", 1 / 3, options);
      const z = new ctx.Value("q", 2n ** 33n, options);
      const struct = new ctx.Value({ x: "i", y: "d" }, { x: 3, y: 2 }, options);
      const array = new ctx.Array("d", [0, 1, 2, 3], options);
      const text = new ctx.Array("c", 20, options);
      text.value = "hello";
      const given = { x, y, z, struct, array, text } as unknown as Doubled;
      await assertAllSucceed([start(ctx, double, given)]);
      assertEquals([x.value, y.value, z.value], [14, 2 / 3, 2n ** 34n]);
      assertEquals(struct.toObject(), { x: 6, y: 4 });
      assertEquals(array.toArray(), [0, 2, 4, 6]);
      assertEquals(text.value, "hellohello");
    },
  );
}

contract("CTYPE-03 copy() is not what a child changes", async (ctx) => {
  const struct = new ctx.RawValue({ x: "i", y: "d" }, { x: 2, y: 5 });
  const kept = copy(struct);
  const given = {
    x: new ctx.RawValue("i", 1),
    y: new ctx.RawValue("d", 1),
    z: new ctx.RawValue("q", 1n),
    struct,
    array: new ctx.RawArray("d", 1),
    text: new ctx.RawArray("c", 4),
  } as unknown as Doubled;
  await assertAllSucceed([start(ctx, double, given)]);
  assertEquals(struct.toObject(), { x: 4, y: 10 });
  assertEquals(kept.toObject(), { x: 2, y: 5 });
});

// ---- named memory -----------------------------------------------------------

contract(
  "SHM-06 SharedMemory is found by children, by name and as an argument",
  async (ctx) => {
    using memory = new ctx.SharedMemory({ create: true, size: 512 });
    const method = ctx.getStartMethod();
    const text = () => new TextDecoder().decode(memory.buf!.subarray(0, 5));
    await assertAllSucceed([
      start(ctx, writeByName, memory.name, "howdy", method),
    ]);
    assertEquals(text(), "howdy");
    await assertAllSucceed([start(ctx, writeInto, memory, "HELLO")]);
    assertEquals(text(), "HELLO");
    memory.unlink();
    assertThrows(
      () => new ctx.SharedMemory({ name: memory.name }),
      Deno.errors.NotFound,
    );
  },
);

contract(
  "SHM-X1 LESSON-54 SharedMemory stays when a child that attached is killed",
  async (ctx) => {
    using memory = new ctx.SharedMemory({ create: true, size: 8 });
    const report = Mailbox.in<string>(ctx);
    const go = SharedGate.in(ctx);
    const child = start(ctx, createAndEnd, report, go, ctx.getStartMethod());
    const name = await report.take("the name of the child's own");
    using childs = new ctx.SharedMemory({ name });
    child.kill();
    await child.exited;
    assertEquals(
      new TextDecoder().decode(childs.buf!.subarray(0, 8)),
      "from chi",
    );
    // The program is the owner: the parent can still find it, and unlinks it.
    new ctx.SharedMemory({ name }).unlink();
    assertThrows(() => childs.unlink(), Deno.errors.NotFound);
    new ctx.SharedMemory({ name: memory.name }).close();
    memory.unlink();
  },
);

/** Mappings of files that this program has made and that have no name any more. */
function deadMappings(): string[] {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").filter((line) =>
    line.includes(`/dev/shm/.mp.${Deno.pid}.`) && line.endsWith("(deleted)")
  );
}

for (const isClosed of [true, false]) {
  for (const isKilled of [true, false]) {
    contract(
      `SharedMemory ${isClosed ? "closed" : "left open"} by a thread that ${
        isKilled ? "is killed" : "ends"
      } is unmapped`,
      async (ctx) => {
        // What others have left may be unmapped at any time.
        const before = deadMappings();
        const left = () =>
          deadMappings().filter((line) => !before.includes(line)).length;
        const report = Mailbox.in<string>(ctx);
        const go = SharedGate.in(ctx);
        const children = several(
          THREADS,
          () => start(ctx, createAndUnlink, isClosed, report, go),
        );
        for (const _ of children) await report.take("it is unlinked");
        assertEquals(left(), THREADS);
        if (isKilled) { for (const child of children) child.kill(); }
        else go.arrive();
        for (const child of children) await child.exited;
        await until(() => {
          clearGraves(STILL_MS);
          return left() === 0;
        }, "all that the threads had mapped is unmapped");
      },
      { methods: isPortable ? [] : ["worker"] },
    );
  }
}

contract(
  "SHM-10 SHM-11 ShareableList is changed by a child, by name and as an argument",
  async (ctx) => {
    const list = new ctx.ShareableList(["first one", "second one", 3]);
    const name = list.shm.name;
    await assertAllSucceed([
      start(ctx, changeLists, list, name, ctx.getStartMethod()),
    ]);
    assertEquals([...list], ["given", "named", 3]);
    list.shm.close();
    list.shm.unlink();
  },
);

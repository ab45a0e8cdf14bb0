import { assert, assertEquals, assertRejects } from "@std/assert";
import { EncodingError, RemoteError } from "../../mod.ts";
import {
  countUp,
  fail,
  increment,
  incrementSlowly,
  tagOnce,
} from "../fixtures/managers.ts";
import { managed } from "./_managed.ts";

const PROCESSES = 10;
const UPDATES = 100;
/** Turns of the event loop that a slow update takes. */
const TURNS = 5;

managed(
  `LESSON-50 ${PROCESSES} processes update ${UPDATES} times each, and nothing is lost`,
  async (m, ctx) => {
    const dict = await m.dict<string, number>();
    const list = await m.list([0]);
    const processes = Array.from(
      { length: PROCESSES },
      () => new ctx.Process({ target: countUp, args: [dict, list, UPDATES] }),
    );
    for (const process of processes) process.start();
    for (const process of processes) {
      await process.join();
      assertEquals(process.exitCode, 0);
    }
    assertEquals(await dict.get("n"), PROCESSES * UPDATES);
    assertEquals(await list.get(0), 2 * PROCESSES * UPDATES);
  },
);

managed(
  "LESSON-50 update() gives the new value and takes further arguments",
  async (m) => {
    const dict = await m.dict<string, number>();
    assertEquals(await dict.update("n", increment), 1);
    assertEquals(await dict.update("n", increment, 5), 6);
    const list = await m.list([1]);
    assertEquals(await list.update(-1, increment, 2), 3);
    const value = await m.Value("i", 1);
    assertEquals(await value.update(increment, 3), 4);
    assertEquals(await value.get(), 4);
  },
);

managed(
  "LESSON-50 an asynchronous update keeps the key locked, and no other",
  async (m) => {
    const dict = await m.dict<string, number>();
    const updates = Array.from(
      { length: 20 },
      () => dict.update("n", incrementSlowly, TURNS),
    );
    const other = dict.set("other", 1);
    const after = dict.set("m", 1);
    await Promise.all([other, after]);
    assertEquals((await Promise.all(updates)).at(-1), 20);
    const changing = dict.update("n", incrementSlowly, TURNS);
    const setting = dict.set("n", 100);
    assertEquals(await changing, 21);
    await setting;
    assertEquals(await dict.get("n"), 100);
    const popping = [
      dict.update("n", incrementSlowly, TURNS),
      dict.popItem(),
    ];
    assertEquals(await popping[0], 101);
    assertEquals(
      await popping[1],
      ["n", 101],
      "it is popped with its new value",
    );
  },
);

managed(
  "LESSON-50 DictProxy.clear() takes a key away that is being updated, too",
  async (m) => {
    const dict = await m.dict<string, string>({ a: "A", b: "B" });
    const event = await m.Event();
    const updates = ["a", "new"].map((key) => dict.update(key, tagOnce, event));
    const clearing = dict.clear();
    await dict.set("later", "L");
    assertEquals(
      await dict.copy(),
      new Map([["a", "A"], ["later", "L"]]),
      "only what is being updated is waited for",
    );
    await event.set();
    assertEquals(await Promise.all(updates), ["A!", "undefined!"]);
    await clearing;
    assertEquals(await dict.copy(), new Map([["later", "L"]]));
  },
);

managed(
  "LESSON-50 an asynchronous update of a list keeps the others waiting",
  async (m) => {
    const list = await m.list([0]);
    const updates = Array.from(
      { length: 10 },
      () => list.update(0, incrementSlowly, TURNS),
    );
    const inserting = list.insert(0, 50);
    await Promise.all(updates);
    await inserting;
    assertEquals(await list.copy(), [50, 10]);
  },
);

managed("LESSON-50 an update that throws changes nothing", async (m) => {
  const dict = await m.dict<string, number>({ n: 1 });
  const error = await assertRejects(
    () => dict.update("n", fail),
    RangeError,
    "no good",
  );
  assert(error.cause instanceof RemoteError);
  assertEquals(await dict.get("n"), 1);
  assertEquals(await dict.update("n", increment), 2, "and the key is free");
});

managed(
  "LESSON-50 update() refuses what is no function, or cannot be found",
  async (m) => {
    const dict = await m.dict<string, number>();
    await assertRejects(
      () => dict.update("n", 5 as never),
      TypeError,
      "must be a function",
    );
    await assertRejects(
      () => dict.update("n", (n: number) => n + 1),
      EncodingError,
    );
  },
);

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { DictProxy, ListProxy, QueueProxy } from "../../mod.ts";
import { managed } from "./_managed.ts";

/** More than fit onto the stack as arguments of a call. */
const MANY = 200_000;
const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const LETTERS: [number, string][] = [65, 66, 67, 68, 69]
  .map((code) => [code, String.fromCharCode(code)]);

managed(
  "MGR-22 a list is sliced, extended, multiplied and nested",
  async (m) => {
    const a = await m.list(DIGITS);
    assertEquals(await a.slice(), DIGITS);
    const b = await m.list<number>();
    assertEquals(await b.slice(), []);
    await b.extend([0, 1, 2, 3, 4]);
    assertEquals(await b.slice(), [0, 1, 2, 3, 4]);
    assertEquals(await b.get(2), 2);
    assertEquals(await b.slice(2, 10), [2, 3, 4]);
    await b.repeat(2);
    assertEquals(await b.slice(), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    assertEquals(await b.concat([5, 6]), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6]);
    assertEquals(await b.length(), 10);
    assertEquals(await a.slice(), DIGITS);

    const e = await m.list([a, b]);
    const contents = await Promise.all((await e.slice()).map((x) => x.slice()));
    assertEquals(contents, [DIGITS, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]]);

    const f = await m.list<ListProxy<unknown>>([a as ListProxy<unknown>]);
    await (a as ListProxy<unknown>).append("hello");
    assertEquals(await (await f.get(0)).slice(), [...DIGITS, "hello"]);
  },
);

managed(
  "MGR-23 a loop over a list sees what is there when it gets there, once",
  async (m) => {
    const list = await m.list(DIGITS);
    const iterator = list[Symbol.asyncIterator]();
    assertEquals(await Array.fromAsync(iterator), DIGITS);
    assertEquals(await Array.fromAsync(iterator), []);
    const later = list[Symbol.asyncIterator]();
    await list.set(0, 100);
    assertEquals((await later.next()).value, 100);
  },
);

managed("MGR-24 lists in a list are the lists themselves", async (m) => {
  const inner = await Promise.all(
    [[1, 2, 3], [1, 2, 3], [1, 2, 3]].map((items) => m.list(items)),
  );
  const outer = await m.list(inner);
  for (const list of inner) list[Symbol.dispose]();
  await (await outer.get(0)).set(-1, 55);
  assertEquals(await (await outer.get(0)).copy(), [1, 2, 55]);
  assertEquals(await (await outer.get(1)).copy(), [1, 2, 3]);
  assertEquals(await (await outer.get(1)).pop(), 3);
  const lengths = await Promise.all(
    [0, 1, 2].map(async (i) => (await outer.get(i)).length()),
  );
  assertEquals(lengths, [3, 2, 3]);
  await outer.delete(1);
  assertEquals(await outer.length(), 2);
  await outer[Symbol.asyncDispose]();

  const circle = await m.list<unknown>();
  await circle.append(circle);
  assertEquals(await circle.length(), 1);
  await circle[Symbol.asyncDispose]();
});

managed(
  "MGR-25 a dict gives copies of its keys, values and entries",
  async (m) => {
    const dict = await m.dict<number, string>();
    for (const [code, letter] of LETTERS) await dict.set(code, letter);
    assertEquals(await dict.copy(), new Map(LETTERS));
    assertEquals(await dict.getValue(), new Map(LETTERS));
    assertEquals((await dict.keys()).sort(), [65, 66, 67, 68, 69]);
    assertEquals((await dict.values()).sort(), ["A", "B", "C", "D", "E"]);
    assertEquals(await dict.entries(), LETTERS);
    assertEquals(await dict.items(), LETTERS);
  },
);

managed(
  "MGR-26 a loop over a dict gives the keys in order, and ends if it changes",
  async (m) => {
    const dict = await m.dict<number, string>(LETTERS);
    const before = await m.numberOfObjects();
    const iterator = dict[Symbol.asyncIterator]();
    assertEquals(await Array.fromAsync(iterator), [65, 66, 67, 68, 69]);
    assertEquals(await Array.fromAsync(iterator), []);
    for await (const key of dict) {
      assertEquals(key, 65);
      break;
    }
    assertEquals(await m.numberOfObjects(), before, "loops leave no iterator");
    const cut = dict[Symbol.asyncIterator]();
    assertEquals((await cut.next()).value, 65);
    await dict.clear();
    await assertRejects(
      () => cut.next(),
      RangeError,
      "dictionary changed size during iteration",
    );
  },
);

managed(
  "MGR-27 dicts and lists in each other stay what they are",
  async (m) => {
    type Supplies = DictProxy<string, number>;
    const pets = await m.dict<string, number>({ ferrets: 2, hamsters: 4 });
    const supplies = await m.dict<string, number>({ water: 10, feed: 3 });
    const dict = await m.dict<string, Supplies>({ pets, supplies });

    assertEquals(await (await dict.get("supplies"))!.get("water"), 10);
    await (await dict.get("supplies"))!.set("blankets", 5);
    assertEquals(await supplies.get("blankets"), 5);
    await (await dict.get("supplies"))!.set("water", 7);
    assertEquals(await supplies.get("water"), 7);

    await pets[Symbol.asyncDispose]();
    await supplies[Symbol.asyncDispose]();
    assertEquals(await (await dict.get("pets"))!.get("ferrets"), 2);
    await (await dict.get("supplies"))!.set("blankets", 11);
    assertEquals(await (await dict.get("supplies"))!.get("blankets"), 11);

    const heldPets = (await dict.get("pets"))!;
    const heldSupplies = (await dict.get("supplies"))!;
    await heldSupplies.set("water", 7);
    await dict.clear();
    assertEquals(await dict.size(), 0);
    assertEquals(await heldSupplies.get("water"), 7);
    assertEquals(await heldPets.get("hamsters"), 4);

    const list = await m.list<Supplies>([heldPets, heldSupplies]);
    await (await list.get(0)).set("marmots", 1);
    assertEquals(await heldPets.get("marmots"), 1);
    assertEquals(await list.length(), 2);

    const outer = await m.list<unknown>([[88, 99], list]);
    assert(Array.isArray(await outer.get(0)), "a plain list stays one");
    const last = await outer.get(-1) as ListProxy<Supplies>;
    assertEquals(await last.length(), 2);
    assertEquals(await (await last.get(-1)).get("feed"), 3);
  },
);

managed("MGR-28 queues in a list and in a dict work", async (m) => {
  const list = await m.list([await m.Queue<number>()]);
  await (await list.get(0)).put(123);
  assertEquals(await (await list.get(0)).get(), 123);
  const dict = await m.dict<number, QueueProxy<number>>([
    [0, await m.Queue<number>()],
  ]);
  await (await dict.get(0))!.put(456);
  assertEquals(await (await dict.get(0))!.get(), 456);
});

managed(
  "MGR-29 a namespace has what was set, and keeps _names to the proxy",
  async (m) => {
    const namespace = await m.Namespace();
    await namespace.set("name", "Bob");
    await namespace.set("job", "Builder");
    await namespace.set("_hidden", "hidden");
    assertEquals(await namespace.get("name"), "Bob");
    assertEquals(await namespace.get("job"), "Builder");
    await namespace.delete("job");
    assertEquals(await namespace.str(), "Namespace(name='Bob')");
    assert(await namespace.has("name"));
    assertEquals(await namespace.has("job"), false);
    assertEquals(await namespace.get("_hidden"), "hidden");
    assertEquals(await namespace.names(), ["name"]);
    assertEquals(await namespace.getValue(), { name: "Bob" });
    const given = await m.Namespace<{ a: number }>({ a: 1 });
    assertEquals(await given.get("a"), 1);
  },
);

managed(
  "MGR-X4 what is in a value is a copy, and is kept when it is set again",
  async (m) => {
    const list = await m.list<number[]>([[1], [2], [3]]);
    (await list.get(2)).push(5);
    assertEquals(await list.get(2), [3]);
    const item = await list.get(2);
    item.push(5);
    await list.set(2, item);
    assertEquals(await list.get(2), [3, 5]);
  },
);

managed(
  "DictProxy compares keys by value and keeps their type and order",
  async (m) => {
    const dict = await m.dict<unknown, string>();
    await dict.set([1, 2], "pair");
    await dict.set({ a: 1 }, "object");
    await dict.set("1", "text");
    await dict.set(1, "number");
    await dict.set(NaN, "NaN");
    assertEquals(await dict.get([1, 2]), "pair");
    assertEquals(await dict.get({ a: 1 }), "object");
    assertEquals(await dict.get(1), "number");
    assertEquals(await dict.get("1"), "text");
    assertEquals(await dict.get(NaN), "NaN");
    assertEquals(await dict.keys(), [[1, 2], { a: 1 }, "1", 1, NaN]);
    const key = await m.list([1]);
    await dict.set(key, "proxy");
    assertEquals(await dict.size(), 6);
    assert(await dict.delete([1, 2]));
    assertEquals(await dict.delete([1, 2]), false);
  },
);

managed(
  "DictProxy and ListProxy compare what is in values, however that was built",
  async (m) => {
    const one = [1];
    const list = await m.list<unknown>([[one, one], { a: 1, b: 2 }, NaN]);
    assertEquals(await list.index([[1], [1]]), 0);
    assertEquals(await list.index({ b: 2, a: 1 }), 1);
    assertEquals(await list.index(NaN), 2);
    assertEquals(await list.count(NaN), 1);
    await list.remove({ b: 2, a: 1 });
    assertEquals(await list.length(), 2);
    const dict = await m.dict<unknown, string>();
    await dict.set([one, one], "shared");
    assertEquals(await dict.get([[1], [1]]), "shared");
    await dict.set({ a: 1, b: 2 }, "in one order");
    await dict.set({ b: 2, a: 1 }, "in the other");
    assertEquals(await dict.values(), ["shared", "in the other"]);
  },
);

managed("DictProxy has the methods of Python's dict", async (m) => {
  const dict = await m.dict<string, number>(new Map([["a", 1]]));
  assertEquals(await dict.get("z"), undefined);
  assertEquals(await dict.get("z", 0), 0);
  assertEquals(await dict.setDefault("a", 5), 1);
  assertEquals(await dict.setDefault("b", 2), 2);
  assertEquals(await dict.pop("b"), 2);
  assertEquals(await dict.pop("b", null), null);
  await assertRejects(() => dict.pop("b"), RangeError, '"b"');
  await dict.update({ c: 3, a: 9 });
  await dict.update([["d", 4]]);
  assertEquals(await dict.popItem(), ["d", 4]);
  assertEquals(await dict.entries(), [["a", 9], ["c", 3]]);
  assert(await dict.has("c"));
  await dict.clear();
  await assertRejects(() => dict.popItem(), RangeError, "empty");
  await assertRejects(
    () => m.dict(5 as never),
    TypeError,
    "Map, list of pairs or object",
  );
  await assertRejects(() => m.dict([[1, 2, 3]] as never), TypeError, "pair");
  assertEquals(
    String(dict),
    `<DictProxy object, typeid 'dict' at 0x${dict.id.toString(16)}>`,
  );
  assertEquals(Deno.inspect(dict), String(dict));
});

managed("ListProxy has the methods of Python's list", async (m) => {
  const list = await m.list<unknown>([3, 1, 2]);
  await list.sort();
  assertEquals(await list.copy(), [1, 2, 3]);
  await list.sort({ reverse: true });
  assertEquals(await list.copy(), [3, 2, 1]);
  await list.insert(1, [7]);
  assertEquals(await list.index([7]), 1);
  assert(await list.includes([7]));
  assertEquals(await list.count([7]), 1);
  await assertRejects(() => list.sort(), TypeError, "no order");
  assertEquals(
    await list.copy(),
    [3, [7], 2, 1],
    "a failed sort changes nothing",
  );
  await list.remove([7]);
  await assertRejects(() => list.remove([7]), RangeError, "not in list");
  await assertRejects(() => list.index(9), RangeError, "not in list");
  await assertRejects(() => list.get(3), RangeError, "list index out of range");
  await assertRejects(
    () => list.get(-4),
    RangeError,
    "list index out of range",
  );
  await assertRejects(
    () => list.set(3, 0),
    RangeError,
    "list assignment index out of range",
  );
  await assertRejects(
    () => list.get("0" as never),
    TypeError,
    "must be an integer",
  );
  assertEquals(await list.push(4, 5), 5);
  await list.setSlice(0, 2, [0]);
  assertEquals(await list.copy(), [0, 1, 4, 5]);
  await list.delete(1, 3);
  assertEquals(await list.copy(), [0, 5]);
  await list.sort((a, b) => Number(b) - Number(a)).then(
    () => assert(false, "a closure cannot be sent"),
    (error) => assertEquals(error.name, "EncodingError"),
  );
  await list.clear();
  await assertRejects(() => list.pop(), RangeError, "pop from empty list");
});

managed("ListProxy takes as many items as one likes at once", async (m) => {
  const many = Array.from({ length: MANY }, (_, i) => i);
  const list = await m.list<unknown>(["first", "last"]);
  await list.setSlice(1, 1, many);
  assertEquals(await list.length(), MANY + 2);
  assertEquals(await list.slice(0, 2), ["first", 0]);
  assertEquals(await list.slice(-2), [MANY - 1, "last"]);
  await list.setSlice(1, -1, ["between"]);
  assertEquals(await list.copy(), ["first", "between", "last"]);
  await list.setSlice(2, 0, ["before"]);
  assertEquals(await list.copy(), ["first", "between", "before", "last"]);
});

managed("numberOfObjects() looks through objects of any size", async (m) => {
  const many = Array.from({ length: MANY }, (_, i) => i);
  const inner = await m.list([1]);
  const list = await m.list<unknown>(many);
  const dict = await m.dict<string, unknown>({
    list: many,
    map: new Map([[many, many]]),
    set: new Set(many),
  });
  await list.append(inner);
  await dict.set("proxy", inner);
  await inner[Symbol.asyncDispose](); // so that it has to be looked for
  assertEquals(await m.numberOfObjects(), 3);
});

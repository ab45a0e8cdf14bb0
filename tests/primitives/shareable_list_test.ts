import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { decode, encode } from "../../codec/mod.ts";
import { EncodingError, ProcessError } from "../../errors.ts";
import { bindTo } from "../../primitives/block.ts";
import { ShareableList } from "../../primitives/shareable_list.ts";
import type { ShareableItem } from "../../primitives/shareable_list.ts";
import { SharedMemory } from "../../primitives/shared_memory.ts";
import { isPortable } from "../_support/portable.ts";
import { eachKind, seeded } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const { AlreadyExists, NotFound } = Deno.errors;

// Opens the C library, which stays open: the first test that needs it would seem
// to leak it.
assertThrows(
  () => new (bindTo(SharedMemory, "spawn"))({ name: freshName() }),
  NotFound,
);

/** A name nobody else has. */
function freshName(): string {
  return `test_${Deno.pid}_${crypto.randomUUID()}`;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

const ITEMS: readonly ShareableItem[] = [
  "howdy",
  bytes("HoWdY"),
  -273.154,
  100,
  null,
  true,
  42,
];

/** Lists that are unlinked and closed with the test. */
class Lists implements Disposable {
  readonly #world: SyncWorld;
  readonly #lists: ShareableList[] = [];

  constructor(world: SyncWorld) {
    this.#world = world;
  }

  make(items?: Iterable<ShareableItem>, name?: string): ShareableList {
    const list = new (this.#world.of(ShareableList))(items, { name });
    this.#lists.push(list);
    return list;
  }

  [Symbol.dispose](): void {
    for (const { shm } of this.#lists) {
      shm.close();
      try {
        shm.unlink();
      } catch (error) {
        if (!(error instanceof NotFound)) throw error;
      }
    }
  }
}

eachKind("SHM-10 ShareableList holds items of several types", (world) => {
  using lists = new Lists(world);
  const list = lists.make(ITEMS);
  assertEquals(list.length, 7);
  assertEquals([...list], [...ITEMS]);
  assertEquals(list.at(0), "howdy");
  assertEquals(list.at(-2), true);
  const text =
    `ShareableList(['howdy', b'HoWdY', -273.154, 100, null, true, 42], name='${list.shm.name}')`;
  assertEquals(String(list), text);
  assertEquals(Deno.inspect(list), text);
  assertEquals(list.format, "8s8sdqxxxxxx?xxxxxxxx?q");
});

eachKind("SHM-10 ShareableList has no items beyond its ends", (world) => {
  using lists = new Lists(world);
  const list = lists.make(ITEMS);
  // CPython would read what lies in front of the list.
  for (const index of [7, -8, 1.5, NaN, Infinity]) {
    assertThrows(() => list.at(index), RangeError, "index out of range");
    assertThrows(
      () => list.set(index, 1),
      RangeError,
      "assignment index out of range",
    );
  }
  assertEquals([...list], [...ITEMS]);
});

eachKind("SHM-10 ShareableList finds and counts items", (world) => {
  using lists = new Lists(world);
  const list = lists.make([...ITEMS, 42, NaN, 5n]);
  assertEquals(list.index(100), 3);
  assertEquals(list.index(bytes("HoWdY")), 1);
  assertEquals(list.index(null), 4);
  assertThrows(
    () => list.index("100"),
    RangeError,
    "'100' not in this container",
  );
  assertThrows(() => list.index(1), RangeError, "1 not in this container");
  assertEquals(list.count(42), 2);
  assertEquals(list.count(bytes("HoWdY")), 1);
  assertEquals(list.count(bytes("adios")), 0);
  assertEquals(list.count("HoWdY"), 0);
  assertEquals(list.count(5n), 1);
  assertEquals(list.count(5), 0);
});

eachKind("SHM-10 ShareableList.set() can change the type", (world) => {
  using lists = new Lists(world);
  const list = lists.make(ITEMS);
  list.set(3, 42);
  assertEquals(list.format, "8s8sdqxxxxxx?xxxxxxxx?q");
  list.set(4, "some");
  assertEquals(list.at(4), "some");
  assertEquals(list.format, "8s8sdq8sxxxxxxx?q");
  assertThrows(
    () => list.set(4, "far too many"),
    RangeError,
    "exceeds available storage",
  );
  assertEquals(list.at(4), "some");
  list.set(0, null);
  list.set(0, 1.5);
  list.set(0, "short");
  assertEquals(list.at(0), "short");
  assertEquals(list.at(1), bytes("HoWdY"));
});

eachKind("SHM-10 ShareableList measures in bytes", (world) => {
  using lists = new Lists(world);
  const list = lists.make(ITEMS);
  list.set(0, "encodés");
  assertEquals(list.at(0), "encodés");
  assertThrows(() => list.set(0, "encodées"), RangeError, "available storage");
  assertThrows(
    () => list.set(1, bytes("123456789")),
    RangeError,
    "available storage",
  );
  assertEquals([...list], ["encodés", ...ITEMS.slice(1)]);
});

eachKind(
  "SHM-10 ShareableList is shared by name, and copied without",
  (world) => {
    using lists = new Lists(world);
    const list = lists.make(ITEMS);
    const same = lists.make(undefined, list.shm.name);
    same.set(-1, 43);
    assertEquals(list.at(-1), 43);
    assertEquals([...same], [...list]);

    const name = freshName();
    const copy = lists.make(list, name);
    assertEquals(copy.shm.name, name);
    copy.set(0, "bye");
    assertEquals([copy.at(0), list.at(0)], ["bye", "howdy"]);
    assertThrows(() => lists.make(list, name), AlreadyExists, name);
    assertThrows(() => lists.make(undefined, freshName()), NotFound);
  },
);

eachKind("SHM-10 ShareableList can be empty", (world) => {
  using lists = new Lists(world);
  for (const list of [lists.make(), lists.make([])]) {
    assertEquals([list.length, list.format, [...list]], [0, "", []]);
    assertEquals(list.count(5), 0);
    assertThrows(() => list.index(5), RangeError, "not in this container");
    assertThrows(() => list.at(0), RangeError, "index out of range");
    assertEquals(lists.make(undefined, list.shm.name).length, 0);
  }
});

eachKind("SHM-X2 ShareableList keeps every item as it is", (world) => {
  using lists = new Lists(world);
  const items: ShareableItem[] = [
    "a\0",
    "\0",
    "abcdefg\0",
    "é".repeat(9),
    "語😀",
    "\ufeffmarked",
    "\ufeff",
    "",
    bytes("x\0\0"),
    bytes(""),
    0,
    -0,
    NaN,
    -Infinity,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    2 ** 60,
    1e300,
    5e-324,
    5n,
    -(2n ** 63n),
    2n ** 63n - 1n,
    false,
    null,
  ];
  const list = lists.make(items);
  assertEquals([...list], items);
  assertEquals([...lists.make(undefined, list.shm.name)], items);
  assert(Object.is(list.at(items.indexOf(0) + 1), -0));
  assertEquals(list.count("\ufeffmarked"), 1);
  // In a room of exactly its size as well.
  list.set(0, "1234567\0");
  assertEquals(list.at(0), "1234567\0");
  list.set(0, "12345678");
  assertEquals(list.at(0), "12345678");
});

eachKind(
  "ShareableList holds bytes as they were when they were given",
  (world) => {
    function* reuse(): Generator<Uint8Array> {
      const buffer = new Uint8Array(2);
      for (buffer[0] = 1; buffer[0] < 4; buffer[0]++) yield buffer;
    }
    using lists = new Lists(world);
    assertEquals(
      [...lists.make(reuse())],
      [1, 2, 3].map((first) => new Uint8Array([first, 0])),
    );
  },
);

eachKind("SHM-X2 ShareableList refuses what it cannot hold", (world) => {
  using lists = new Lists(world);
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) {
    assertThrows(() => lists.make([value]), RangeError, "at most 64 bits");
  }
  const list = lists.make([1]);
  for (const value of [undefined, {}, [], () => {}, Symbol("x"), "\ud800"]) {
    assertThrows(() => lists.make([value as never]), TypeError, "an item must");
    assertThrows(() => list.set(0, value as never), TypeError, "an item must");
  }
  assertThrows(() => list.set(0, 2n ** 63n), RangeError, "at most 64 bits");
  assertThrows(
    () => lists.make([new Uint8Array(10_000_000)]),
    RangeError,
    "at most 999999",
  );
  assertEquals(list.at(0), 1);
});

eachKind("SHM-X2 ShareableList holds whatever was set last", (world) => {
  using lists = new Lists(world);
  const random = seeded(7);
  const pick = (): ShareableItem => {
    const n = Math.floor(random() * 100);
    const text = String.fromCharCode(...Array.from(
      { length: Math.floor(random() * 8) },
      () => Math.floor(random() * 100),
    ));
    return [n, n / 7, BigInt(n), n > 50, null, text, bytes(text)][n % 7]!;
  };
  const model = Array.from({ length: 20 }, pick);
  const list = lists.make(model);
  for (let i = 0; i < 2000; i++) {
    const place = Math.floor(random() * model.length);
    model[place] = pick();
    list.set(place, model[place]!);
  }
  assertEquals([...list], model);
});

eachKind("ShareableList opens nothing but a list", (world) => {
  const Memory = world.of(SharedMemory);
  const words = (...words: number[]) =>
    new Uint8Array(new BigInt64Array(words.map(BigInt)).buffer);
  for (
    const content of [
      new Uint8Array(4),
      words(-1, 0),
      words(1, 0),
      words(2 ** 50, 0),
      words(1, 0, 8, 0),
      words(1, 0, 0, 0, 0, 0),
      words(1, 8, 16, 0, 0, 0),
      words(1, 0, -8, 0, 0, 0),
      words(1, 0, 4, 0, 0, 0),
      words(1, 0, 800, 0, 0, 0),
    ]
  ) {
    using memory = new Memory({ create: true, size: content.length });
    memory.buf!.set(content);
    const { name } = memory;
    assertThrows(
      () => new (world.of(ShareableList))(undefined, { name }),
      RangeError,
      "holds something else",
    );
    memory.unlink();
  }
  // A format nobody knows: that item alone cannot be read.
  using lists = new Lists(world);
  const list = lists.make(["a", 5]);
  list.shm.buf!.fill(0x21, 6 * 8, 7 * 8);
  assertThrows(() => list.at(0), RangeError, "its format is not known");
  assertEquals(list.at(1), 5);
});

eachKind("ShareableList says so when its memory is closed", (world) => {
  using lists = new Lists(world);
  const list = lists.make(ITEMS);
  list.shm.close();
  for (
    const use of [
      () => list.at(0),
      () => list.set(0, 1),
      () => [...list],
      () => list.count(1),
      () => list.index(1),
      () => list.format,
    ]
  ) {
    assertThrows(use, ProcessError, `"${list.shm.name}" is closed`);
  }
  assertEquals(list.length, 7);
  assertEquals(
    String(list),
    `ShareableList([closed], name='${list.shm.name}')`,
  );
});

eachKind("SHM-11 ShareableList arrives as the same list", (world) => {
  using lists = new Lists(world);
  const list = lists.make(ITEMS);
  const theirs = world.give(list, world.another());
  theirs.set(0, "changed");
  assertEquals(list.at(0), "changed");
  list.set(-1, 5);
  assertEquals(theirs.at(-1), 5);
  theirs.shm.close();

  const target = { kind: world.kind };
  const [short, long] = [10, 400].map((length) => {
    return encode(lists.make(Array.from({ length }, () => 5)), { target });
  });
  assertStrictEquals(short!.length, long!.length);
});

eachKind(
  "SHM-12 ShareableList does not arrive once it is unlinked",
  (world) => {
    using lists = new Lists(world);
    const list = lists.make(ITEMS);
    const message = encode(list, { target: { kind: world.kind } });
    list.shm.unlink();
    assertThrows(() => decode(message), NotFound, list.shm.name);
  },
);

Deno.test("ShareableList of threads cannot be sent to a process", () => {
  const list = new (bindTo(ShareableList, "worker"))([1]);
  assertThrows(
    () => encode(list, { target: { kind: "spawn" } }),
    EncodingError,
    'Cannot send a ShareableList of the "worker" context to a process',
  );
  list.shm.unlink();
});

// ---- CPython --------------------------------------------------------------------

async function python(source: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("python3", {
    args: ["-c", source, ...args],
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

const hasPython = await python("from multiprocessing import shared_memory")
  .then(({ code }) => code === 0, () => false);

Deno.test({
  name: "ShareableList can be read and written by CPython",
  ignore: !hasPython || isPortable,
  fn: async () => {
    const items = [...ITEMS, 5n, "é".repeat(9), "a\0", -0];
    const list = new (bindTo(ShareableList, "spawn"))(items);
    // Before 3.13 it would take what it opens for its own.
    const { stdout, stderr } = await python(
      `
import sys
from multiprocessing import resource_tracker, shared_memory
list_ = shared_memory.ShareableList(name=sys.argv[1])
resource_tracker.unregister("/" + sys.argv[1], "shared_memory")
print(list(list_))
list_[0] = 2 ** 62
list_[3] = "python"
list_[4] = False
list_[7] = None
list_.shm.close()
`,
      list.shm.name,
    );
    assertEquals({ stdout, stderr }, {
      stdout:
        "['howdy', b'HoWdY', -273.154, 100, None, True, 42, 5, 'ééééééééé', 'a', -0.0]\n",
      stderr: "",
    });
    assertEquals([...list], [
      2n ** 62n,
      bytes("HoWdY"),
      -273.154,
      "python",
      false,
      true,
      42,
      null,
      "é".repeat(9),
      "a\0",
      -0,
    ]);
    list.shm.close();
    list.shm.unlink();
  },
});

Deno.test({
  name: "ShareableList opens what CPython has created",
  ignore: !hasPython || isPortable,
  fn: async () => {
    const child = new Deno.Command("python3", {
      args: [
        "-c",
        `
from multiprocessing import shared_memory
list_ = shared_memory.ShareableList(["howdy", b"HoWdY", -1.5, 2 ** 60, None, True])
print(list_.shm.name, flush=True)
input()
print(list(list_))
list_.shm.close()
list_.shm.unlink()
`,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const name = new TextDecoder().decode((await reader.read()).value).trim();
    reader.releaseLock();
    const list = new (bindTo(ShareableList, "spawn"))(undefined, { name });
    assertEquals([...list], [
      "howdy",
      bytes("HoWdY"),
      -1.5,
      2n ** 60n,
      null,
      true,
    ]);
    list.set(0, "bye");
    list.set(4, 7n);
    list.set(5, 0.5);
    list.shm.close();
    const writer = child.stdin.getWriter();
    await writer.write(bytes("\n"));
    await writer.close();
    const { stdout } = await child.output();
    assertEquals(
      new TextDecoder().decode(stdout).trim(),
      `['bye', b'HoWdY', -1.5, ${2n ** 60n}, 7, 0.5]`,
    );
  },
});

/** Compiles, and is not run: the types a user sees. */
export function types(): void {
  const list = new ShareableList(["a", 1, 2n, true, null, new Uint8Array(1)]);
  const item: ShareableItem = list.at(0);
  // @ts-expect-error That is no item
  new ShareableList([{}]);
  // @ts-expect-error That is no item
  list.set(0, undefined);
  // @ts-expect-error The length is fixed
  list.length = 3;
  void item;
}

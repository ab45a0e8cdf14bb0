import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { addressOf, Arena, keyOf, locate } from "../../memory/mod.ts";
import * as at from "../../memory/layout.ts";
import { eachKind, tableOf } from "./_world.ts";

/** Participants besides the test itself. */
const CHILDREN = 4;
const INCREMENTS = 1_000_000;
const SERIALS = 10_000;

eachKind(
  "Arena.attach() reaches the same words at the same offsets",
  async (world) => {
    const { offset, words } = world.words(2);
    words[0] = 41;
    await world.start("counting#greet", offset).finished();
    assertEquals([...words], [41, 42]);

    // Beyond 2 GiB and 4 GiB, where an offset is no longer an int32 or a uint32.
    for (const far of [2 ** 31 + at.HEAP_BYTE, 2 ** 32 + at.HEAP_BYTE]) {
      world.arena.memory.commit(far + 4096);
      const there = world.arena.words(far, 2);
      there[0] = 6;
      await world.start("counting#greet", far).finished();
      assertEquals([...there], [6, 7]);
    }
  },
);

eachKind(
  "Arena.attach() sees the words of a participant in the same thread",
  (world) => {
    const other = world.another();
    assertNotEquals(other.me, world.arena.me);
    assertEquals(other.id, world.arena.id);
    assertEquals(other.kind, world.kind);
    const { offset, words } = world.words(1);
    other.words(offset, 1)[0] = 7;
    assertEquals(words[0], 7);
    world.arena.bury(other.me);
  },
);

for (
  const [what, word] of [["version", at.H_VERSION], [
    "magic",
    at.H_MAGIC,
  ]] as const
) {
  eachKind(`Arena.attach() refuses another ${what}`, (world) => {
    const handle = world.arena.invite();
    const header = tableOf(world.arena);
    header[word]!++;
    assertThrows(
      () => Arena.attach(handle),
      Error,
      "Cannot attach to shared memory as it belongs to another version of this package",
    );
    header[word]!--;
    world.arena.bury(handle.token);
  });
}

eachKind("Arena.attach() refuses memory that is gone", (world) => {
  const handle = world.arena.invite();
  assertThrows(
    () =>
      Arena.attach({
        ...handle,
        memory: { kind: "spawn", pid: Deno.pid, fd: 999_999 },
      }),
    Error,
    `Cannot open the shared memory of process ${Deno.pid}`,
  );
  world.arena.bury(handle.token);
}, ["spawn"]);

eachKind(
  "Arena.attach() refuses a file that is no arena, and does not crash on it",
  async (world) => {
    const handle = world.arena.invite();
    // Mapped, a short file kills whoever touches what lies behind its end.
    const path = await Deno.realPath(await Deno.makeTempFile());
    using _file = await Deno.open(path, { write: true, read: true });
    const [fd] = [...Deno.readDirSync("/proc/self/fd")]
      .map(({ name }) => name).filter((name) => link(name) === path);
    assertThrows(
      () =>
        Arena.attach({
          ...handle,
          memory: { kind: "spawn", pid: Deno.pid, fd: Number(fd) },
        }),
      Error,
      "Cannot attach to shared memory",
    );
    await Deno.remove(path);
    world.arena.bury(handle.token);
  },
  ["spawn"],
);

eachKind(
  "Arena.attach() refuses a place that is taken or was given up",
  (world) => {
    const handle = world.arena.invite();
    const other = Arena.attach(handle);
    assertThrows(
      () => Arena.attach(handle),
      Error,
      "Cannot attach to shared memory as the place for it is not free any more",
    );
    world.arena.bury(other.me);
    assertThrows(() => Arena.attach(handle), Error, "not free any more");
    const late = world.arena.invite();
    world.arena.bury(late.token);
    const next = world.another();
    assertThrows(() => Arena.attach(late), Error, "not free any more");
    world.arena.bury(next.me);
  },
);

eachKind(
  "Arena.attach() claims a place of its own without a token",
  (world) => {
    const other = Arena.attach(world.arena.handle());
    assertNotEquals(other.me, world.arena.me);
    assertEquals(world.arena.participants.standing(other.me), "alive");
    world.arena.bury(other.me);
  },
);

eachKind(
  "Arena.serial() gives each of 4 participants other numbers",
  async (world) => {
    const { offset, words } = world.words(CHILDREN * SERIALS);
    const children = Array.from(
      { length: CHILDREN },
      (_, i) =>
        world.start("counting#serials", offset + i * SERIALS * 4, SERIALS),
    );
    for (const child of children) await child.finished();
    assertEquals(new Set(words).size, CHILDREN * SERIALS);
    assertEquals(new Set(words).has(0), false);
  },
);

eachKind(
  "Atomics.add() on a word by 4 participants loses nothing",
  async (world) => {
    const { offset, words } = world.words(1);
    const children = world.startAll(
      CHILDREN,
      "counting#increments",
      offset,
      INCREMENTS,
    );
    for (const child of children) await child.finished();
    assertEquals(words[0], CHILDREN * INCREMENTS);
  },
);

eachKind("keyOf() tells addresses of the whole range apart", ({ arena }) => {
  const addresses = [
    at.HEAP_BYTE,
    at.HEAP_BYTE + 16,
    2 ** 31,
    2 ** 32,
    2 ** 35,
    2 ** 35 + 16,
    arena.memory.byteLength - 16,
  ];
  const keys = new Set(addresses.map(keyOf));
  assertEquals(keys.size, addresses.length);
  for (const key of keys) assertEquals(key, key | 0);
});

Deno.test("locate() finds an arena by its address and refuses one out of reach", () => {
  const arena = Arena.create("spawn");
  const found = locate(addressOf(arena));
  assertEquals(found.id, arena.id);
  assertEquals(locate(addressOf(arena)), found);
  assertThrows(
    () => locate(["worker", arena.id + 1, 0, 0, 0]),
    Error,
    "Cannot use an object of the worker context here",
  );
});

function link(fd: string): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ""; // the descriptor with which the directory was read
  }
}

import {
  assert,
  assertEquals,
  assertFalse,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { encode } from "../../codec/mod.ts";
import { EncodingError, ProcessError } from "../../errors.ts";
import { Condition } from "../../primitives/condition.ts";
import { Lock } from "../../primitives/lock.ts";
import { RLock } from "../../primitives/rlock.ts";
import { BoundedSemaphore, Semaphore } from "../../primitives/semaphore.ts";
import { bindTo } from "../../primitives/block.ts";
import { Scalar } from "../../primitives/_scalar.ts";
import { placeOfStruct } from "../../primitives/struct.ts";
import type { StructValue } from "../../primitives/struct.ts";
import { copy, RawValue, synchronized, Value } from "../../primitives/value.ts";
import type {
  Guard,
  LockLike,
  TypeCode,
  ValueOf,
} from "../../primitives/value.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { runProgram } from "../_support/program.ts";
import { eachKind, look, turns } from "./_sync_world.ts";
import type { SyncWorld } from "./_sync_world.ts";

const TASKS = 20;
const CHILD_ADDS = 20_000;
const CHILD_READS = 200_000;

/** For each code: a value, another, and the lowest and highest there are. */
const SAMPLES: { [C in TypeCode]: ValueOf<C>[] } = {
  c: ["x", "y", "\0", "\xff"],
  u: ["x", "語", "\0", "\u{10ffff}"],
  b: [1, -2, -128, 127],
  B: [1, 2, 0, 255],
  h: [-232, 234, -32768, 32767],
  H: [1, 2, 0, 65535],
  i: [4343, 24234, -(2 ** 31), 2 ** 31 - 1],
  I: [1, 2, 0, 2 ** 32 - 1],
  l: [1n, -2n, -(2n ** 63n), 2n ** 63n - 1n],
  L: [1n, 2n, 0n, 2n ** 64n - 1n],
  q: [2n ** 33n, 2n ** 34n, -(2n ** 63n), 2n ** 63n - 1n],
  Q: [1n, 2n, 0n, 2n ** 64n - 1n],
  f: [3.625, -4.25, -Infinity, NaN],
  d: [3.625, 1e300, Number.MIN_VALUE, NaN],
};
const CODES = Object.keys(SAMPLES) as TypeCode[];
const INTEGERS = ["b", "B", "h", "H", "i", "I"] as const;
const BIGINTS = ["l", "L", "q", "Q"] as const;

const MAKERS = [
  ["VAL-01", Value],
  ["VAL-02", RawValue as unknown as typeof Value],
] as const;

for (const [id, make] of MAKERS) {
  eachKind(
    `${id} ${make.name}.value is what another participant stored, of every type`,
    (world) => {
      const other = world.another();
      for (const code of CODES) {
        const values: unknown[] = SAMPLES[code];
        const value = new (world.of(make))(code, values[0] as never);
        assertEquals<unknown>(value.value, values[0]);
        const theirs = world.give(value, other);
        assertNotStrictEquals<unknown>(theirs, value);
        for (const sample of values) {
          theirs.value = sample as never;
          assertEquals<unknown>(value.value, sample);
        }
      }
    },
  );

  eachKind(`VAL-X1 ${make.name}.value is zero at first`, (world) => {
    for (const code of CODES) {
      const { value } = new (world.of(make))(code);
      const zero = typeof SAMPLES[code][0] === "string"
        ? "\0"
        : typeof SAMPLES[code][0] === "bigint"
        ? 0n
        : 0;
      assertEquals<unknown>(value, zero);
    }
  });
}

eachKind("VAL-03 Value has a new RLock unless told otherwise", (world) => {
  const AnyValue = world.of(Value);
  for (const options of [undefined, {}, { lock: true }, { lock: null }]) {
    const value = new AnyValue("i", 5, options as { lock: true });
    assert(value.getLock() instanceof RLock);
    assertStrictEquals(value.getLock(), value.getLock());
    assertEquals(value.getObj().value, 5);
    value.getObj().value = 6;
    assertEquals(value.value, 6);
  }
});

eachKind("VAL-03 Value uses the lock it is given", (world) => {
  const lock = new (world.of(Lock))();
  const value = new (world.of(Value))("i", 5, { lock });
  assertStrictEquals(value.getLock(), lock);
  assertEquals(value.getObj().value, 5);
});

eachKind("VAL-03 Value has no lock if it is to have none", (world) => {
  for (
    const value of [
      new (world.of(Value))("i", 5, { lock: false }),
      new (world.of(RawValue))("i", 5),
    ]
  ) {
    assertEquals(value.value, 5);
    assertFalse("getLock" in value);
    assertFalse("getObj" in value);
    assert(value instanceof RawValue);
    assertFalse(value instanceof Value);
  }
});

eachKind("VAL-03 Value refuses a lock that is none", (world) => {
  const AnyValue = world.of(Value);
  for (const lock of ["navalue", 1, {}, Symbol("lock")]) {
    assertThrows(
      () => new AnyValue("i", 5, { lock: lock as never }),
      TypeError,
      "has no method 'acquire'",
    );
  }
  assertThrows(
    () => new AnyValue("i", 5, { lock: { acquire() {} } as never }),
    TypeError,
    "has no method 'release'",
  );
});

eachKind("VAL-X1 Value.value refuses what does not fit", (world) => {
  const refuses = (code: TypeCode, value: unknown, error: typeof TypeError) => {
    const { value: before } = new (world.of(Value))(code);
    const shared = new (world.of(Value))(code);
    assertThrows(() => shared.value = value as never, error, "Cannot store");
    assertEquals(shared.value, before);
    assertThrows(() => new (world.of(Value))(code, value as never), error);
    assertThrows(
      () => shared.compareExchange(value as never, before as never),
      error,
    );
    assertThrows(
      () => shared.compareExchange(before as never, value as never),
      error,
    );
  };
  for (const code of INTEGERS) {
    const [, , lowest, highest] = SAMPLES[code];
    refuses(code, lowest! - 1, RangeError);
    refuses(code, highest! + 1, RangeError);
    for (const value of [1.5, NaN, Infinity, 1n, "1", null, true]) {
      refuses(code, value, TypeError);
    }
  }
  for (const code of BIGINTS) {
    const [, , lowest, highest] = SAMPLES[code];
    refuses(code, lowest! - 1n, RangeError);
    refuses(code, highest! + 1n, RangeError);
    for (const value of [1, 1.5, "1", null]) refuses(code, value, TypeError);
  }
  for (const code of ["f", "d"] as const) {
    for (const value of [1n, "1", null]) refuses(code, value, TypeError);
  }
  for (const code of ["c", "u"] as const) {
    for (const value of ["", "xy", 1, null]) refuses(code, value, TypeError);
  }
  refuses("c", "\u0100", RangeError);
  assertThrows(
    () => new (world.of(Value))("q", 5 as never),
    TypeError,
    "as a c_longlong must be a bigint: write 5n",
  );
});

eachKind("VAL-X1 Value refuses a type there is not", (world) => {
  for (const type of ["z", "", "ii", "toString", 1, null, undefined, {}]) {
    assertThrows(
      () => new (world.of(Value))(type as "i"),
      TypeError,
      "must be one of c u b B h H i I l L q Q f d",
    );
  }
});

eachKind("VAL-X1 Value describes itself as Python does", (world) => {
  const value = new (world.of(Value))("i", 3);
  assertEquals(String(value), "<Synchronized wrapper for c_int(3)>");
  assertEquals(Deno.inspect(value), "<Synchronized wrapper for c_int(3)>");
  assertEquals(String(value.getObj()), "c_int(3)");
  assertEquals(String(new (world.of(RawValue))("c", "x")), "c_char('x')");
  assertEquals(String(new (world.of(RawValue))("q", 5n)), "c_longlong(5)");
  assert(value instanceof Value);
  assert(value instanceof world.of(Value));
  assertFalse(value instanceof RawValue);
  assertFalse(new (world.of(Value))({ x: "i" }) instanceof RawValue);
});

eachKind("SEED-08 Value.value keeps a float as it is", (world) => {
  const value = new (world.of(Value))("d", 0.0);
  world.give(value, world.another()).value = 3.1415927;
  assertEquals(value.value, 3.1415927);
  const single = new (world.of(Value))("f", 3.1415927);
  assertEquals(single.value, Math.fround(3.1415927));
});

eachKind("VAL-X1 Value.add() gives the sum and wraps around", (world) => {
  const AnyValue = world.of(Value);
  for (const code of INTEGERS) {
    const [, , lowest, highest] = SAMPLES[code];
    const value = new AnyValue(code, highest);
    assertEquals(value.add(1), lowest);
    assertEquals(value.add(-1), highest);
    assertEquals(value.value, highest);
    // Whole turns, as far as a number counts.
    assertEquals(value.add(2 ** 40), highest);
    assertEquals(value.add(-(2 ** 52)), highest);
  }
  for (const code of BIGINTS) {
    const [, , lowest, highest] = SAMPLES[code];
    const value = new AnyValue(code, highest);
    assertEquals(value.add(1n), lowest);
    assertEquals(value.add(-1n), highest);
    assertEquals(value.add(2n ** 64n), highest);
    assertEquals(value.value, highest);
  }
  // The sum is beyond what a number holds exactly.
  assertEquals(new AnyValue("i", 2).add(Number.MAX_SAFE_INTEGER), 1);
  const double = new AnyValue("d", 0.1);
  assertEquals(double.add(0.2), 0.1 + 0.2);
  assertEquals(double.value, 0.1 + 0.2);
  const single = new AnyValue("f", 0.1);
  assertEquals(single.add(0.2), Math.fround(Math.fround(0.1) + 0.2));
  assertEquals(single.value, Math.fround(Math.fround(0.1) + 0.2));
});

eachKind("Value.add() refuses what cannot be added", (world) => {
  const AnyValue = world.of(Value);
  const refuses = (code: TypeCode, amount: unknown) => {
    const value = new AnyValue(code);
    const { value: before } = value;
    const add = value.add.bind(value) as (amount: unknown) => void;
    assertThrows(() => add(amount), TypeError, "Cannot add");
    assertEquals(value.value, before);
  };
  for (const amount of [0.5, NaN, 2 ** 60, 1n, "1"]) refuses("i", amount);
  for (const amount of [1, "1", undefined]) refuses("q", amount);
  for (const amount of [1n, "1", undefined]) refuses("d", amount);
  for (const amount of ["x", 1]) refuses("c", amount);
});

eachKind("Value.compareExchange() gives what it was", (world) => {
  for (const code of CODES) {
    const [a, b] = SAMPLES[code] as [unknown, unknown];
    const value = new (world.of(Value))(code, a as never);
    const exchange = value.compareExchange.bind(value) as (
      expected: unknown,
      replacement: unknown,
    ) => unknown;
    assertEquals(exchange(b, a), a);
    assertEquals<unknown>(value.value, a);
    assertEquals(exchange(a, b), a);
    assertEquals<unknown>(value.value, b);
  }
});

eachKind("Value.compareExchange() compares floats as numbers", (world) => {
  for (const code of ["f", "d"] as const) {
    const value = new (world.of(Value))(code, -0);
    assertEquals(value.compareExchange(0, NaN), -0);
    assertEquals(value.compareExchange(NaN, 0.1), NaN);
    // What was stored was rounded, and so is what is expected.
    value.compareExchange(0.1, 7);
    assertEquals(value.value, 7);
  }
});

eachKind("Value.add() ends on a NaN with bits of its own", (world) => {
  // A struct of one field lies where a value lies: the same memory, twice.
  const bits = new (world.of(RawValue))({ bits: "q" }, { bits: ODD_NAN });
  const double = sameMemory(bits, "d");
  assertEquals(double.add(1), NaN);
  bits.bits = ODD_NAN;
  assertEquals(double.compareExchange(NaN, 1), NaN);
  assertEquals(double.value, 1);
});

/** A NaN that JavaScript itself would not make. */
const ODD_NAN = 0x7ff0_dead_beef_0001n;

function sameMemory<C extends TypeCode>(
  struct: RawValue<{ bits: "q" }>,
  code: C,
): Scalar<C> {
  const { plot } = placeOfStruct(struct as unknown as StructValue).region;
  return new Scalar(plot, code);
}

eachKind(
  "LESSON-57 Value.withLock() keeps out others, and tasks of this one",
  async (world) => {
    const value = new (world.of(Value))("i");
    const theirs = world.give(value, world.another());
    const increment = async (shared: typeof value) => {
      const { value: before } = shared;
      await turns(1);
      shared.value = before + 1;
    };
    await Promise.all(Array.from({ length: TASKS }, (_, i) => {
      const shared = i % 2 === 0 ? value : theirs;
      return shared.withLock(() => increment(shared));
    }));
    assertEquals(value.value, TASKS);
    assertFalse(value.getLock().locked());
  },
);

eachKind("Value.withLock() can be called from within", async (world) => {
  const value = new (world.of(Value))("i");
  const twice = () =>
    value.withLock(async () => {
      await turns(1);
      await value.withLock(() => value.value += 1);
      await value.withLock(async () => {
        await turns(1);
        value.value += 1;
      });
    });
  await Promise.all([twice(), twice(), value.withLock(twice)]);
  assertEquals(value.value, 6);
  assertFalse(value.getLock().locked());
});

/** Functions to run under locks, which tell how many run at once at most. */
class Room {
  most = 0;
  #inside = 0;

  readonly stay = async (): Promise<void> => {
    this.most = Math.max(this.most, ++this.#inside);
    await turns(3);
    this.#inside--;
  };
}

eachKind(
  "Value.withLock() keeps out those that got the same value, or its lock, in another message",
  async (world) => {
    const one = new (world.of(Value))("i");
    const two = new (world.of(Value))("i", 0, { lock: one.getLock() });
    const condition = new (world.of(Condition))(one.getLock());
    const three = new (world.of(Value))("i", 0, { lock: condition });
    // A value can be the lock of another.
    const four = new (world.of(Value))("i", 0, { lock: one });
    const other = world.another();
    const theirs = [one, one, two, three, four].map((value) =>
      world.give(value, other)
    );
    const room = new Room();
    await Promise.all(theirs.map((value) => value.withLock(room.stay)));
    assertEquals(room.most, 1);
    const [first, again] = theirs;
    assertEquals(await first!.withLock(() => again!.withLock(() => 5)), 5);
    assertFalse(one.getLock().locked());
  },
);

eachKind(
  "Value.withLock() lets nobody in beside a call from within that outlives its caller",
  async (world) => {
    const value = new (world.of(Value))("i");
    const room = new Room();
    const late: Promise<void>[] = [];
    const leave = (fn: () => Promise<void>) => {
      late.push(value.withLock(fn));
      return "gone";
    };
    const firsts = [
      value.withLock(() => leave(room.stay)),
      value.withLock(() => leave(() => value.withLock(room.stay))),
    ];
    const last = value.withLock(room.stay);
    assertEquals(await Promise.all(firsts), ["gone", "gone"]);
    await Promise.all([...late, last]);
    assertEquals(room.most, 1);
    assertFalse(value.getLock().locked());
  },
);

eachKind(
  "Value.withLock() called twice from within runs one after the other",
  async (world) => {
    const value = new (world.of(Value))("i");
    const room = new Room();
    const twice = () =>
      Promise.all([value.withLock(room.stay), value.withLock(room.stay)]);
    await Promise.all([value.withLock(twice), value.withLock(twice)]);
    assertEquals(room.most, 1);
  },
);

eachKind("Value.withLock() gives what the function gives", async (world) => {
  const value = new (world.of(Value))("i", 4);
  assertEquals(await value.withLock(() => value.value * 2), 8);
  assertEquals(await value.withLock(() => Promise.resolve("late")), "late");
  await assertRejects(
    () =>
      value.withLock(() => {
        throw new RangeError("mine");
      }),
    RangeError,
    "mine",
  );
  assertFalse(value.getLock().locked());
  const guard: Guard = await value.withLock((guard) => guard);
  assertEquals(guard.abandoned, false);
});

eachKind(
  "Value.withLock() does not mistake what outlived it for a part of it",
  async (world) => {
    const value = new (world.of(Value))("i");
    const { promise, resolve } = Promise.withResolvers<void>();
    let late: Promise<void> | undefined;
    await value.withLock(() => {
      late = promise.then(() => value.withLock(() => void (value.value = 1)));
    });
    const stay = Promise.withResolvers<void>();
    const holding = value.withLock(() => stay.promise);
    await turns();
    resolve();
    assertEquals(await look(late!), ["waits"]);
    stay.resolve();
    await Promise.all([holding, late]);
    assertEquals(value.value, 1);
  },
);

/** A lock of somebody else's, of which nothing is known. */
class OwnLock implements LockLike {
  readonly #lock: Lock;

  constructor(lock: Lock) {
    this.#lock = lock;
  }

  acquire(): Promise<Guard | null> {
    return this.#lock.acquire();
  }

  release(): void {
    this.#lock.release();
  }
}

eachKind(
  "Value.withLock() says so if it would wait for itself",
  async (world) => {
    const ALock = world.of(Lock);
    const locks: LockLike[] = [
      new ALock(),
      new (world.of(Semaphore))(1),
      new (world.of(BoundedSemaphore))(1),
      new (world.of(Condition))(new ALock()),
      new OwnLock(new ALock()),
    ];
    for (const lock of locks) {
      const value = new (world.of(Value))("i", 0, { lock });
      await assertRejects(
        () => value.withLock(() => value.withLock(() => {})),
        ProcessError,
        `under the ${lock.constructor.name} that its caller holds as it would wait for itself: use an RLock`,
      );
      assertEquals(await value.withLock(() => 5), 5);
    }
  },
);

eachKind(
  "Value.withLock() says so too if its lock was got in another message",
  async (world) => {
    const lock = new (world.of(Lock))();
    const value = new (world.of(Value))("i", 0, { lock });
    const other = world.another();
    const [one, two] = [world.give(value, other), world.give(value, other)];
    await assertRejects(
      () => one.withLock(() => two.withLock(() => {})),
      ProcessError,
      "it would wait for itself",
    );
    assertFalse(lock.locked());
  },
);

eachKind(
  "Value.withLock() can be called from within if its condition has an RLock",
  async (world) => {
    const lock = new (world.of(Condition))();
    const value = new (world.of(Value))("i", 0, { lock });
    assertEquals(await value.withLock(() => value.withLock(() => 5)), 5);
  },
);

eachKind(
  "Value.withLock() tells of a holder that was killed",
  async (world) => {
    const value = new (world.of(Value))("i");
    const other = world.another();
    const theirs = world.give(value, other);
    assert(theirs.acquireSync());
    world.kill(other);
    assert(await value.withLock((guard) => guard.abandoned));
    assertFalse(await value.withLock((guard) => guard.abandoned));
  },
);

eachKind(
  "Value.acquire() and release() are those of its lock",
  async (world) => {
    const value = new (world.of(Value))("i");
    const theirs = world.give(value, world.another());
    {
      using guard = await value.acquire();
      assert(guard);
      assertEquals(await theirs.acquire({ timeout: 0 }), null);
      assertEquals(theirs.acquireSync({ block: false }), null);
      // One step each: they do not wait.
      theirs.value = 5;
      assertEquals(theirs.add(1), 6);
    }
    assert(theirs.acquireSync());
    theirs.release();
    assertThrows(() => theirs.release(), ProcessError, "not owned");
    const timeless: LockLike = {
      acquire: () => Promise.resolve(null),
      release: () => {},
    };
    const odd = new (world.of(Value))("i", 0, { lock: timeless });
    assertThrows(() => odd.acquireSync(), TypeError, "no method 'acquireSync'");
    await assertRejects(
      () => odd.withLock(() => {}),
      ProcessError,
      "not acquired",
    );
  },
);

eachKind("Value arrives with the lock it was sent with", (world) => {
  const lock = new (world.of(Lock))();
  const one = new (world.of(Value))("i", 1, { lock });
  const two = new (world.of(Value))("d", 2, { lock });
  const [a, b, c, d] = world.give(
    [one, two, one, one.getObj()] as const,
    world.another(),
  );
  assertStrictEquals<unknown>(a.getLock(), b.getLock());
  assertStrictEquals(a, c);
  assertStrictEquals(a.getObj(), d);
  assert(a.acquireSync());
  assert(lock.locked());
  a.release();
});

Deno.test("Value of threads cannot be sent to a process", () => {
  for (
    const value of [
      new (bindTo(Value, "worker"))("i"),
      new (bindTo(RawValue, "worker"))("i"),
      new (bindTo(Value, "worker"))({ x: "i" }),
    ]
  ) {
    assertThrows(
      () => encode(value, { target: { kind: "spawn" } }),
      EncodingError,
      'Cannot send a shared Value of the "worker" context to a process',
    );
  }
});

eachKind("copy() makes memory of its own", (world) => {
  for (const code of CODES) {
    const [a, b] = SAMPLES[code] as [unknown, unknown];
    const value = new (world.of(Value))(code, a as never);
    for (const twin of [copy(value), copy(value.getObj())]) {
      assert(twin instanceof RawValue);
      twin.value = b as never;
      assertEquals<unknown>(value.value, a);
      assertEquals<unknown>(twin.value, b);
      // In the same context: what can receive one can receive the other.
      encode(twin, { target: { kind: world.kind } });
    }
  }
  for (const object of [5, null, {}, new (world.of(Lock))()]) {
    assertThrows(() => copy(object as never), TypeError, "Cannot copy");
  }
});

eachKind("synchronized() adds a lock to the same memory", (world) => {
  const raw = new (world.of(RawValue))("i", 3);
  const value = synchronized(raw);
  assert(value instanceof Value);
  assertStrictEquals(value.getObj(), raw);
  value.value = 4;
  assertEquals(raw.value, 4);
  const lock = new (world.of(Lock))();
  assertStrictEquals(synchronized(raw, lock).getLock(), lock);
  assertThrows(() => synchronized(value), TypeError, "already synchronized");
  for (const object of [5, null, {}]) {
    assertThrows(() => synchronized(object as never), TypeError, "a lock");
  }
});

eachKind(
  "HEAP-02 Value gives its memory back when it is collected",
  async (world) => {
    const { heap } = world.arena;
    const before = heap.blocks;
    const kept = makeMany(world);
    assert(heap.blocks > before);
    await collected(() => heap.blocks <= before + 2);
    // The raw value was enough to keep what both need.
    assertEquals(kept.value, 7);
    assertEquals(heap.blocks, before + 1);
  },
);

function makeMany(world: SyncWorld): { value: number } {
  const values = Array.from(
    { length: 100 },
    () => new (world.of(Value))("i", 7),
  );
  return values[50]!.getObj();
}

Deno.test("LESSON-57 Value.add() and .value are whole between processes", async () => {
  const { code, stdout, stderr } = await runProgram(BETWEEN_PROCESSES);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const [adds, torn] = JSON.parse(stdout);
  const sum = String(2 * CHILD_ADDS);
  assertEquals(adds, { i: sum, q: sum, d: sum, f: sum, locked: "2000" });
  assertEquals(torn, 0);
});

const resolve = (path: string) => import.meta.resolve(`../../${path}`);
const BETWEEN_PROCESSES = `
import { Process } from "${resolve("contexts/mod.ts")}";
import { Value } from "${resolve("primitives/value.ts")}";

export function add(i, q, d, f) {
  for (let n = 0; n < ${CHILD_ADDS}; n++) {
    i.add(1);
    q.add(1n);
    d.add(1);
    f.add(1);
  }
}
export async function increment(locked) {
  for (let n = 0; n < 1000; n++) await locked.withLock(() => locked.value += 1);
}
/** Stores values whose halves belong together. */
export function flip(pair, float, stop) {
  while (stop.value === 0) {
    pair.value = 0n;
    pair.value = -1n;
    float.value = 0;
    float.value = -1.1;
  }
}
export function look(pair, float, stop, torn) {
  for (let n = 0; n < ${CHILD_READS}; n++) {
    if (![0n, -1n].includes(pair.value)) torn.add(1);
    if (![0, -1.1].includes(float.value)) torn.add(1);
  }
  stop.value = 1;
}
if (import.meta.main) {
  const run = async (...jobs) => {
    const children = jobs.map(([target, ...args]) => new Process({ target, args }));
    for (const child of children) child.start();
    for (const child of children) await child.join();
  };
  const [i, q, d, f] = ["i", "q", "d", "f"].map((code) => new Value(code));
  await run([add, i, q, d, f], [add, i, q, d, f]);
  const locked = new Value("i");
  await run([increment, locked], [increment, locked]);
  const [pair, float, stop, torn] = ["q", "d", "i", "i"].map((code) => new Value(code));
  await run([flip, pair, float, stop], [look, pair, float, stop, torn]);
  const text = (value) => String(value.value);
  console.log(JSON.stringify([
    { i: text(i), q: text(q), d: text(d), f: text(f), locked: text(locked) },
    torn.value,
  ]));
}
`;

async function collected(isDone: () => boolean): Promise<void> {
  for (let i = 0; !isDone() && i < 100; i++) {
    collectGarbage();
    await turns(2);
  }
}

/** Compiles, and is not run: the types a user sees. */
export function types(): void {
  const int: number = new Value("i").value;
  const long: bigint = new Value("q", 1n).add(1n);
  const char: string = new Value("c", "x").value;
  const raw: RawValue<"i"> = new Value("i", 0, { lock: false });
  const value: Value<"d"> = new Value("d");
  const locked: Value<"d", Lock> = new Value("d", 0, { lock: new Lock() });
  const lock: Lock = locked.getLock();
  const rlock: RLock = value.getLock();
  const back: RawValue<"d"> = value.getObj();
  const twin: RawValue<"i"> = copy(raw);
  const wrapped: Value<"i"> = synchronized(raw);
  const any: RawValue<TypeCode> = value;
  // @ts-expect-error A bigint is no number
  new Value("i", 1n);
  // @ts-expect-error A number is no bigint
  new Value("q", 1);
  // @ts-expect-error There is no such code
  new Value("z");
  // @ts-expect-error Nothing can be added to a character
  new Value("c", "x").add("y");
  // @ts-expect-error One without a lock has none to give
  raw.getLock();
  // @ts-expect-error That is no lock
  new Value("i", 1, { lock: "navalue" });
  void [int, long, char, lock, rlock, back, twin, wrapped, any];
}

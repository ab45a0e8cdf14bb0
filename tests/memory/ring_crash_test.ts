/**
 * A participant dies inside the ring: at every store there is, on every path
 * there is, and the one who puts that right dies as well.
 *
 * What must hold afterwards: whoever comes next can put and take; everything
 * committed is delivered once and in order; the message in hand is there or not,
 * but whole; the limits are exact; at most the block in hand is lost.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Arena, NOT_YET } from "../../memory/mod.ts";
import { LEFT, Ring, RING_BYTES } from "../../memory/ring.ts";
import { S_SLEEPING } from "../../memory/layout.ts";
import { until } from "../_support/gate.ts";
import { dieAt, Fate, fated } from "./fixtures/fate.ts";
import {
  message,
  putNumber,
  takeAll,
  takeNumber,
} from "./fixtures/messages.ts";
import {
  FREEING,
  IN_HAND,
  scenarioNamed,
  SCENARIOS,
} from "./fixtures/scenarios.ts";
import type { Scenario } from "./fixtures/scenarios.ts";
import { assertHeapWhole, eachKind, World } from "./_world.ts";

/** Limits that the scenarios stay within. */
const MAX_ITEMS = 64;
const MAX_BYTES = 1.5 * 1024 * 1024;
/** A frame is a multiple of 16 bytes, 8 of which are not the message's. */
const LONGEST = message(new Uint8Array(MAX_BYTES - 8));
/** Number of the message a survivor puts. */
const AFTERWARDS = 500;
/** Words of a ring's head block: see `ring.ts`. */
const TAIL_SEGMENT = 2;
const MAX_UNITS = 13;
/** More stores than any operation makes. */
const ENOUGH = 100;

/** What a survivor does first. */
const ORDERS = ["puts first", "takes first"] as const;
type Order = typeof ORDERS[number];

/** A ring made ready, and what may be in it. */
class Patient {
  readonly offset: number;
  readonly ring: Ring;
  readonly #world: World;
  readonly #blocks: number;
  #possible: number[][];
  /** Whether somebody may have put something and not counted it. */
  #maySayLess = false;

  constructor(world: World, scenario: Scenario) {
    this.#world = world;
    this.#blocks = world.arena.heap.blocks;
    this.offset = world.arena.heap.allocate(RING_BYTES);
    this.ring = new Ring(world.arena, this.offset);
    this.ring.limit({ maxItems: MAX_ITEMS, maxBytes: MAX_BYTES });
    this.#possible = [scenario.prepare(this.ring)];
  }

  /**
   * Lets somebody do something and die before its n-th store.
   *
   * @returns Whether it died.
   */
  suffer(scenario: Scenario, n: number): boolean {
    const { arena } = this.#world;
    const fate = new Fate();
    const handle = arena.invite();
    const victim = fated(fate, () => Arena.attach(handle));
    const ring = new Ring(victim, this.offset);
    let taken: number | undefined;
    const died = dieAt(fate, n, () => taken = scenario.operate(ring));
    arena.bury(victim.me);
    this.note(scenario, died, taken);
    return died;
  }

  /** Says that what is in the ring is known. */
  know(numbers: number[]): void {
    this.#possible = [numbers];
  }

  /** Notes what may be in the ring after an operation. */
  note({ verb }: Scenario, died: boolean, taken?: number): void {
    const before = this.#possible;
    const after = verb === "put"
      ? before.map((numbers) => [...numbers, IN_HAND])
      : before.filter(([first]) => taken === undefined || first === taken)
        .map((numbers) => numbers.slice(1));
    this.#possible = died ? [...before, ...after] : after;
    this.#maySayLess ||= died && verb === "put";
  }

  /**
   * Checks that others can go on.
   *
   * @returns What was in the ring.
   */
  recover(order: Order, deaths: number): number[] {
    const { ring } = this;
    const { arena: _arena } = this.#world;
    const claimed = ring.hasItem;
    const counted = ring.count;
    ring.tryTake(() => LEFT); // which mends, and takes nothing
    const mended = ring.count;
    if (order === "puts first") assert(putNumber(ring, AFTERWARDS));
    const found = takeAll(ring);
    if (order === "puts first") assertEquals(found.pop(), AFTERWARDS);
    // Who dies in a take leaves no room that is not there.
    assert(this.#maySayLess || counted >= found.length, "too few counted");
    assert(this.#maySayLess || mended === found.length, "not counted rightly");
    if (order !== "puts first") {
      assert(found.length === 0 || claimed, "hasItem has missed a message");
      assertEquals(ring.hasItem, false);
      assert(putNumber(ring, AFTERWARDS));
      assertEquals(ring.count, 1);
      assertEquals(takeAll(ring), [AFTERWARDS]);
    }
    assert(
      this.#possible.some((numbers) => `${numbers}` === `${found}`),
      `found ${found} and not one of ${this.#possible.join(" | ")}`,
    );
    assertEquals(ring.count, 0);
    assertEquals(ring.hasItem, false);
    assertEquals(ring.isFull, false);
    // Empty, it takes what the limits allow, and not one more.
    assert(ring.tryPut(LONGEST), "bytes are missing");
    assertEquals(putNumber(ring, 0), false);
    assertEquals(
      ring.tryTake(({ byteLength }) => byteLength),
      LONGEST.byteLength,
    );
    const numbers = Array.from({ length: MAX_ITEMS }, (_, i) => i);
    for (const number of numbers) assert(putNumber(ring, number));
    assertEquals(putNumber(ring, 0), false);
    assertEquals(takeAll(ring), numbers);
    this.dispose(deaths);
    return found;
  }

  /** Frees it and checks that at most one block a death is lost. */
  dispose(deaths: number): void {
    const { arena } = this.#world;
    this.ring.free();
    arena.heap.free(this.offset, RING_BYTES);
    const lost = arena.heap.blocks - this.#blocks;
    assert(lost >= 0 && lost <= deaths, `${lost} blocks are lost`);
    assertHeapWhole(arena);
  }
}

for (const scenario of SCENARIOS) {
  const verb = scenario.verb === "put" ? "tryPut" : "tryTake";
  eachKind(
    `Ring.${verb}() killed at any store harms nobody else: ${scenario.name}`,
    (world) => {
      for (const order of ORDERS) {
        let n = 1;
        for (; n < ENOUGH; n++) {
          const patient = new Patient(world, scenario);
          const died = patient.suffer(scenario, n);
          explain(`at store ${n}, the next ${order}`, () => {
            patient.recover(order, 1);
          });
          if (!died) break;
        }
        assert(n > 2 && n < ENOUGH, `it makes ${n} stores`);
      }
    },
  );
}

eachKind("Ring.free() killed at any store can be done again", (world) => {
  for (let n = 1; n < ENOUGH; n++) {
    const patient = new Patient(world, FREEING);
    const died = patient.suffer(FREEING, n);
    explain(`at store ${n}`, () => patient.dispose(1));
    if (!died) return;
  }
});

/** Paths that the double deaths are tried on: one of each sort. */
const PATHS = [
  "the first put",
  "a put behind another",
  "a put that starts the segment again",
  "a put into a new segment",
  "a put that leaves a large segment",
  "a take behind another",
  "a take of the last",
  "a take at the start of the segment again",
  "a take in a new segment",
  "a huge take",
].map(scenarioNamed);
/** What the second victim does; its own paths follow from what it finds. */
const RESCUERS = ["a put behind another", "a take"].map(scenarioNamed);

for (const scenario of PATHS) {
  // The heap differs between the kinds, and has its own tests.
  eachKind(
    `Ring: one who mends, killed at any store, harms nobody else: ${scenario.name}`,
    (world) => {
      for (const rescuer of RESCUERS) {
        for (let n = 1; n < ENOUGH; n++) {
          // Where a death falls before the commit and where behind is always the
          // same: see what one alone leaves.
          const alone = new Patient(world, scenario);
          const firstDied = alone.suffer(scenario, n);
          const left = alone.recover("takes first", 1);
          for (let m = 1; m < ENOUGH; m++) {
            const order = ORDERS[(n + m) % 2]!;
            const patient = new Patient(world, scenario);
            patient.suffer(scenario, n);
            patient.know(left);
            const secondDied = patient.suffer(rescuer, m);
            explain(
              `at store ${n}, then who wanted to ${rescuer.verb} at ${m}, the next ${order}`,
              () => patient.recover(order, 2),
            );
            if (!secondDied) break;
          }
          if (!firstDied) break;
        }
      }
    },
    ["worker"],
  );
}

/** Paths that real children die on. */
const REAL = [
  "a put into a new segment",
  "a huge put",
  "a take in a new segment",
  "a huge take",
];
/** Children at a time: each has a ring of its own. */
const AT_ONCE = 4;

for (const name of REAL) {
  const scenario = scenarioNamed(name);
  const how = "SIGKILL or terminate()";
  eachKind(
    `Ring: a child ended by ${how} at any store harms nobody else: ${scenario.name}`,
    async ({ kind }) => {
      const dieAtStore = async (n: number) => {
        // Each in an arena of its own: one that stands still in the allocator
        // must not hold up the others.
        const own = new World(kind);
        const patient = new Patient(own, scenario);
        const { offset: gateOffset, gate } = own.gate();
        const place = own.arena.invite();
        const child = own.start(
          "dying#inRing",
          kind === "spawn" ? place : place.token,
          patient.offset,
          name,
          n,
          gateOffset,
        );
        await gate.reaches(1, "it has died or lived");
        const died = gate.value === 1;
        if (died && kind === "worker") child.kill();
        const { signal } = await child.ended;
        assertEquals(signal, died && kind === "spawn" ? "SIGKILL" : null);
        own.arena.bury(place.token);
        own.arena.heap.free(gateOffset, 4);
        patient.note(scenario, died);
        const order = ORDERS[n % 2]!;
        explain(`at store ${n}, the next ${order}`, () => {
          patient.recover(order, 1);
        });
        await own.calm();
        return died;
      };
      for (let n = 1; n < ENOUGH; n += AT_ONCE) {
        const died = await Promise.all(
          Array.from({ length: AT_ONCE }, (_, i) => dieAtStore(n + i)),
        );
        if (died.includes(false)) return;
      }
      throw new Error("It never comes to an end");
    },
  );
}

eachKind(
  "Ring: a taker killed while it waits takes nothing with it (LESSON-05)",
  async (world) => {
    const { arena } = world;
    const patient = new Patient(world, scenarioNamed("a take of nothing"));
    const { ring } = patient;
    const { offset } = world.words(1);
    const child = world.start(
      "ringing#take",
      patient.offset,
      offset,
      1,
      1,
      "async",
    );
    await asleep(arena, child.token);
    child.kill();
    putNumber(ring, 1);
    await child.ended;
    const number = await arena.waiting.wait(
      [ring.itemsKey],
      () => takeNumber(ring) ?? NOT_YET,
    );
    assertEquals(number, 1);
    assertEquals(ring.count, 0);
  },
);

eachKind(
  "Ring.tryTake() tells who waits for room of a take whose taker was killed",
  async (world) => {
    const { arena } = world;
    let isMadeLater = 0;
    for (let n = 1; n < ENOUGH; n++) {
      const offset = arena.heap.allocate(RING_BYTES);
      const ring = new Ring(arena, offset);
      ring.limit({ maxItems: 1 });
      putNumber(ring, 1);
      let attempts = 0;
      let hasPut = false;
      const put = arena.waiting.wait([ring.spaceKey], () => {
        attempts++;
        return (hasPut = putNumber(ring, 2)) || NOT_YET;
      });
      await asleep(arena, arena.me);
      const before = attempts;
      const fate = new Fate();
      const handle = arena.invite();
      const victim = fated(fate, () => Arena.attach(handle));
      const died = dieAt(fate, n, () => takeNumber(new Ring(victim, offset)));
      arena.bury(victim.me);
      await until(() => attempts > before, "nobody looks after a death");
      if (!hasPut && takeNumber(ring) === undefined) isMadeLater++;
      await put;
      assertEquals(takeAll(ring), [2]);
      ring.free();
      arena.heap.free(offset, RING_BYTES);
      if (died) continue;
      assert(isMadeLater > 0, "none died between its take and the count");
      return;
    }
  },
);

/** So long that a thread is still copying when it is asked to stop. */
const LONG = 512 * 1024 * 1024;

eachKind(
  "Ring.tryPut() of a thread that is terminated stops long before its end",
  async (world) => {
    // Others take its mutex after a short while, and write to the same place.
    const { arena } = world;
    const patient = new Patient(world, scenarioNamed("a put behind another"));
    arena.words(patient.offset, RING_BYTES / 4)[MAX_UNITS] = 0;
    const tail = arena.words(patient.offset, RING_BYTES / 4);
    const before = tail[TAIL_SEGMENT];
    const child = world.start("dying#copyLong", patient.offset, LONG);
    // Its new segment is there, so it is about to copy, or copies.
    await until(() => Atomics.load(tail, TAIL_SEGMENT) !== before, "it copies");
    child.kill();
    await child.ended;
    const segment = (tail[TAIL_SEGMENT]! >>> 0) * 64;
    // Behind the heads of segment and frame.
    assertEquals(arena.bytes(segment + 64 + 8 + LONG - 1, 1)[0], 0);
  },
  ["worker"],
);

async function asleep({ participants }: Arena, token: number): Promise<void> {
  await until(() => participants.load(token, S_SLEEPING) === 1, "it sleeps");
}

function explain(where: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new Error(`Killed ${where}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

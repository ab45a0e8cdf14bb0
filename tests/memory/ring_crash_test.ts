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
import { Arena, Ring, RING_BYTES } from "../../memory/mod.ts";
import { dieAt, Fate, fated, fatedHandle } from "./fixtures/fate.ts";
import { message, putNumber, takeAll } from "./fixtures/messages.ts";
import { FREEING, IN_HAND, SCENARIOS } from "./fixtures/scenarios.ts";
import type { Scenario } from "./fixtures/scenarios.ts";
import { assertHeapWhole, eachKind } from "./_world.ts";
import type { World } from "./_world.ts";

/** Limits that the scenarios stay within. */
const MAX_ITEMS = 1000;
const MAX_BYTES = 3 * 1024 * 1024;
/** A frame is a multiple of 16 bytes, 8 of which are not the message's. */
const LONGEST = MAX_BYTES - 8;
/** Number of the message a survivor puts. */
const AFTERWARDS = 500;
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
    const handle = fatedHandle(arena.invite());
    const victim = fated(fate, () => Arena.attach(handle));
    const ring = new Ring(victim, this.offset);
    let taken: number | undefined;
    const died = dieAt(fate, n, () => taken = scenario.operate(ring));
    arena.bury(victim.me);
    this.note(scenario, died, taken);
    return died;
  }

  /** Notes what may be in the ring after an operation. */
  note({ verb }: Scenario, died: boolean, taken?: number): void {
    const before = this.#possible;
    const after = verb === "put"
      ? before.map((numbers) => [...numbers, IN_HAND])
      : before.filter((numbers) => died || numbers[0] === taken)
        .map((numbers) => numbers.slice(1));
    this.#possible = died ? [...before, ...after] : after;
  }

  /**
   * Checks that others can go on.
   *
   * @returns What was in the ring.
   */
  recover(order: Order, deaths: number): number[] {
    const { ring } = this;
    const { arena } = this.#world;
    const claimed = ring.hasItem;
    if (order === "puts first") assert(putNumber(ring, AFTERWARDS));
    const found = takeAll(ring);
    if (order === "puts first") assertEquals(found.pop(), AFTERWARDS);
    else {
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
    assert(ring.tryPut(message(new Uint8Array(LONGEST))), "bytes are missing");
    assertEquals(putNumber(ring, 0), false);
    assertEquals(ring.tryTake(({ byteLength }) => byteLength), LONGEST);
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

function explain(where: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new Error(`Killed ${where}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

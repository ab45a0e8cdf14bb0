/**
 * Eight participants that wait and wake, give up and are killed, as chance will
 * have it. The seeds are fixed, the interleavings are not.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { keyOf } from "../../memory/mod.ts";
import type { Gate } from "../_support/gate.ts";
import { INSIDE, OWNER, PERMIT_WORDS } from "./fixtures/stress.ts";
import { eachKind, tableOf } from "./_world.ts";
import * as at from "../../memory/layout.ts";

const PARTICIPANTS = 8;
const ROUNDS = 2000;
const PERMITS = 3;
/** After so many of its rounds a victim is killed, wherever it is. */
const VICTIMS = [100, 700, 1500];

eachKind(
  "Waiting stress: 8 participants, aborts, timeouts and kills, and nobody hangs",
  async (world) => {
    const { arena } = world;
    const { offset, words } = world.words(PERMITS * PERMIT_WORDS);
    const key = keyOf(offset);
    const players = Array.from({ length: PARTICIPANTS }, (_, i) => {
      const { offset: progress, gate } = world.gate();
      const child = world.start(
        "stress#takeAndGive",
        offset,
        PERMITS,
        progress,
        ROUNDS,
        1000 + i,
      );
      return { child, gate };
    });
    const kill = async (
      { child, gate }: { child: typeof players[0]["child"]; gate: Gate },
      rounds: number,
    ) => {
      await gate.reaches(rounds, "rounds of a victim");
      child.kill();
      await child.ended;
      // What it held goes back, as the library does with locks.
      for (let i = 0; i < words.length; i += PERMIT_WORDS) {
        if (Atomics.load(words, i + OWNER) !== child.token) continue;
        Atomics.store(words, i + INSIDE, 0);
        Atomics.store(words, i + OWNER, 0);
        arena.waiting.wake(key, 1);
      }
    };
    await Promise.all(VICTIMS.map((rounds, i) => kill(players[i]!, rounds)));
    for (const { child, gate } of players.slice(VICTIMS.length)) {
      await child.finished();
      assertEquals(gate.value, ROUNDS);
    }
    assertEquals([...words], new Array(PERMITS * PERMIT_WORDS).fill(0));
    // The killed may have left these too high, and never too low.
    const table = tableOf(arena);
    for (let i = at.H_BUCKETS; i < at.H_BUCKETS + at.BUCKETS; i++) {
      if (table[i]! > 0 && table[i]! <= VICTIMS.length) table[i] = 0;
    }
  },
);

/**
 * Locks and their kin with several participants in one thread: each is an arena
 * of its own, attached to the same memory, so that every step of each can be
 * placed exactly, and one of them can "die" at any point.
 *
 * Nobody looks again without having been woken here (`Manner.looksAgain`): a
 * wake-up that gets lost would only cost a second then, and no test would tell.
 *
 * Runs in the parent.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { decode, encode } from "../../codec/mod.ts";
import { adopt } from "../../memory/arenas.ts";
import * as at from "../../memory/layout.ts";
import { Arena } from "../../memory/mod.ts";
import { Waiting } from "../../memory/waiting.ts";
import type { MemoryKind } from "../../memory/mod.ts";
import { bindTo } from "../../primitives/block.ts";
import { Fate, fated } from "../memory/fixtures/fate.ts";
import { collectGarbage } from "../_support/garbage.ts";
import { until } from "../_support/gate.ts";

/** Both. */
export const KINDS: readonly MemoryKind[] = ["worker", "spawn"];

/** A test that takes longer hangs. */
const LIMIT_MS = 60_000;
/** Event loop turns in which what can happen by itself has happened. */
const TURNS = 5;

/** Each test maps arenas of its own, and all of them share an address space. */
const RESERVED_BYTES = 2 ** 32;

// Opens the C library, which stays open: the first test that needs it would seem
// to leak it.
Arena.create("spawn", RESERVED_BYTES);

/** Collections after which what can be collected has been. */
const COLLECTIONS = 100;

/** What a test gets. */
export class SyncWorld {
  /** Which kind of memory. */
  readonly kind: MemoryKind;
  /** The arena of the test itself, new for each test. */
  readonly arena: Arena;
  /** Ends the waits of participants that are dead; see {@linkcode SyncWorld.kill}. */
  readonly afterlife: AbortController = new AbortController();
  readonly #others: Arena[] = [];
  readonly #ghosts: Promise<unknown>[] = [];

  constructor(kind: MemoryKind) {
    this.kind = kind;
    this.arena = adopt(Arena.create(kind, RESERVED_BYTES));
    this.arena.references.open();
  }

  /** A class whose objects belong to this world. */
  of<C extends new (...args: never[]) => object>(cls: C): C {
    return bindTo(cls, this.kind);
  }

  /** Another participant. */
  another(): Arena {
    const arena = Arena.attach(this.arena.invite());
    arena.references.open();
    this.#others.push(arena);
    return arena;
  }

  /** The object as another participant has it, sent there like any argument. */
  give<T>(object: T, to: Arena): T {
    const bytes = encode(object, {
      target: { kind: to.kind, token: to.me },
      encodeFunction: (fn) => functions.push(fn) - 1,
    });
    adopt(to);
    try {
      return decode(bytes, {
        decodeFunction: (reference) => functions[reference as number]!,
      }) as T;
    } finally {
      adopt(this.arena);
    }
  }

  /**
   * Ends a participant without a word, as if it was killed.
   *
   * @param who Which.
   * @param waits What it was waiting for, with the signal of `afterlife`: the
   * object of a dead participant lives on here, and must not do so after the
   * test.
   */
  kill(who: Arena, ...waits: Promise<unknown>[]): void {
    this.#ghosts.push(...waits.map((wait) => wait.catch(() => {})));
    this.arena.bury(who.me);
  }

  /** Ends a participant in good order. */
  leave(who: Arena): void {
    who.participants.leave(who.me);
    this.arena.bury(who.me);
  }

  /** Collects what nobody holds any more, until something can be seen of it. */
  async collect(isDone: () => boolean): Promise<void> {
    for (let i = 0; i < COLLECTIONS && !isDone(); i++) {
      collectGarbage();
      await turns(1);
    }
  }

  /** Ends what must not outlive the test. */
  async end(): Promise<void> {
    this.afterlife.abort();
    await Promise.all(this.#ghosts);
    // The call that a last wait has ended returns a moment later, and would
    // count as leaked.
    for (const { participants, me } of [this.arena, ...this.#others]) {
      await until(
        () => participants.load(me, at.S_SLEEPING) === 0,
        "a sleep is pending",
      );
    }
    assertEquals(this.arena.waiting.pending, 0, "waits are in progress");
  }
}

// deno-lint-ignore ban-types -- any function
const functions: Function[] = [];

/**
 * Registers a test for both kinds of memory.
 *
 * @param name Symbol and claim.
 * @param body What to do.
 */
export function eachKind(
  name: string,
  body: (world: SyncWorld) => void | Promise<void>,
): void {
  for (const kind of KINDS) {
    Deno.test({
      name: `${name} (${kind})`,
      sanitizeOps: true,
      sanitizeResources: true,
      fn: () => inWorld(kind, body),
    });
  }
}

async function inWorld(
  kind: MemoryKind,
  body: (world: SyncWorld) => void | Promise<void>,
): Promise<void> {
  const world = new SyncWorld(kind);
  const { wait } = Waiting.prototype;
  Waiting.prototype.wait = function (keys, attempt, options, manner) {
    const without = { ...manner, looksAgain: false };
    return wait.call(this, keys, attempt, options, without) as Promise<never>;
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("The test hangs")), LIMIT_MS);
  });
  try {
    await Promise.race([body(world), hang]);
    await Promise.race([world.end(), hang]);
  } finally {
    clearTimeout(timer);
    Waiting.prototype.wait = wait;
  }
}

/** Lets everything happen that can happen by itself. */
export async function turns(count: number = TURNS): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** Says what has become of promises: what one gave, or `"waits"`. */
export async function look(
  ...promises: Promise<unknown>[]
): Promise<unknown[]> {
  await turns();
  return await Promise.all(
    promises.map((promise) =>
      Promise.race([promise, Promise.resolve("waits")])
    ),
  );
}

/** Another participant, whose accesses to shared memory can be interrupted. */
export function slow(world: SyncWorld): { arena: Arena; fate: Fate } {
  const fate = new Fate();
  return { arena: fated(fate, () => world.another()), fate };
}

/** Random numbers from 0 to 1, the same on every run. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    // A linear congruential generator (Numerical Recipes): enough to vary tests.
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

/**
 * An arena with real participants, for both kinds of memory: one test body runs
 * in both, and is checked for what it leaves behind.
 *
 * Runs in the parent.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { MessageChannel, Worker } from "node:worker_threads";
import { threadEntry } from "../../contexts/_thread_entry.ts";
import { Arena } from "../../memory/mod.ts";
import type { MemoryKind } from "../../memory/mod.ts";
import { pathOf } from "../../memory/_file_mapping.ts";
import { FIRST_NAME } from "../../memory/_mapping.ts";
import * as at from "../../memory/layout.ts";
import { slotWord } from "../../memory/participants.ts";
import { Gate, until } from "../_support/gate.ts";
import type { Orders } from "./fixtures/live.ts";

/** Both. */
export const KINDS: readonly MemoryKind[] = ["worker", "spawn"];

const PROCESS_MAIN = new URL("./fixtures/process_main.ts", import.meta.url);
const THREAD_MAIN = new URL("./fixtures/thread_main.ts", import.meta.url);

// Opens the C library, which stays open: the first test that needs it would seem
// to leak it.
Arena.create("spawn");

/** A test that takes longer hangs. */
const LIMIT_MS = 90_000;

/** How a child ended. */
export interface Ending {
  /** Its exit code; 0 is the end of a role. */
  readonly code: number;
  /** The signal that ended a process. */
  readonly signal: Deno.Signal | null;
}

/** A participant that plays a role. */
export class Child {
  /** Its token. */
  readonly token: number;
  /** Fulfilled when it has ended and has been buried. */
  readonly ended: Promise<Ending>;
  readonly #world: World;
  readonly #stop: () => void;

  constructor(
    world: World,
    token: number,
    ended: Promise<Ending>,
    stop: () => void,
  ) {
    this.#world = world;
    this.token = token;
    this.#stop = stop;
    this.ended = ended.then((ending) => {
      world.children.delete(this);
      world.arena.bury(token);
      return ending;
    });
    world.children.add(this);
  }

  /** Waits for the end of its role. */
  async finished(): Promise<void> {
    assertEquals(await this.ended, { code: 0, signal: null });
  }

  /** Ends it by force, wherever it is. Its end is heard of later. */
  kill(): void {
    this.#world.arena.participants.condemn(this.token);
    this.#stop();
  }
}

/** What a test gets. */
export class World {
  /** Which kind of memory and children. */
  readonly kind: MemoryKind;
  /** The arena, new for each test. */
  readonly arena: Arena;
  /** The children that live. */
  readonly children: Set<Child> = new Set();
  readonly #others: Arena[] = [];

  constructor(kind: MemoryKind) {
    this.kind = kind;
    this.arena = Arena.create(kind);
  }

  /**
   * Starts a participant.
   *
   * @param role Its part: `file#export` in `fixtures/`.
   * @param args Plain data for it.
   */
  start(role: string, ...args: unknown[]): Child {
    const handle = this.arena.invite();
    return this.#launch({ handle, role, args, isStoppable: true });
  }

  /** Starts one that only what it does keeps alive; it cannot be killed. */
  startFrail(role: string, ...args: unknown[]): Child {
    const handle = this.arena.invite();
    return this.#launch({ handle, role, args, isStoppable: false });
  }

  #launch(orders: Orders): Child {
    return this.kind === "spawn"
      ? this.#startProcess(orders)
      : this.#startThread(orders);
  }

  /** Starts several that play the same part. */
  startAll(count: number, role: string, ...args: unknown[]): Child[] {
    return Array.from({ length: count }, () => this.start(role, ...args));
  }

  /** A block of words to meet at. */
  words(count: number): { offset: number; words: Int32Array } {
    const offset = this.arena.heap.allocate(count * 4);
    return { offset, words: this.arena.words(offset, count) };
  }

  /** A word to meet at, and where it is. */
  gate(): { offset: number; gate: Gate } {
    const { offset, words } = this.words(1);
    return { offset, gate: new Gate(words, 0) };
  }

  /** Another participant in this thread: its steps can be placed exactly. */
  another(): Arena {
    return this.adopt(Arena.attach(this.arena.invite()));
  }

  /** Has a participant of this thread buried at the end of the test. */
  adopt(arena: Arena): Arena {
    this.#others.push(arena);
    return arena;
  }

  /**
   * Waits until no sleep of this thread is pending: the call that a last wait has
   * ended returns a moment later, and would count as leaked.
   */
  async calm(): Promise<void> {
    for (const { participants, me, memory } of [this.arena, ...this.#others]) {
      // Replaced by the test, it may never end.
      if (Object.hasOwn(memory, "sleep")) continue;
      await until(
        () => participants.load(me, at.S_SLEEPING) === 0,
        "a sleep is pending",
      );
    }
    assertQuiet(this.arena);
    for (const { me } of this.#others) this.arena.bury(me);
  }

  #startProcess(orders: Orders): Child {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--no-config",
        "--allow-all",
        PROCESS_MAIN.href,
        JSON.stringify(orders),
      ],
      stdin: "null",
    }).spawn();
    const ended = child.status.then(({ code, signal }) => ({ code, signal }));
    return new Child(this, orders.handle.token, ended, () => {
      child.kill("SIGKILL");
    });
  }

  #startThread(orders: Orders): Child {
    // The exit event comes at once, when the thread may still store: it has not
    // got to run yet, or it copies. Its end of a channel is closed when its
    // isolate is gone.
    const { port1, port2 } = new MessageChannel();
    const thread = new Worker(threadEntry(THREAD_MAIN), {
      workerData: { ...orders, port: port2 },
      transferList: [port2],
    });
    thread.on("error", (error: unknown) => console.error(error));
    const exit = new Promise<number>((resolve) => thread.on("exit", resolve));
    const gone = new Promise<void>((resolve) => port1.on("close", resolve));
    port1.on("message", () => {}); // or it would not hear of the end
    const ended = Promise.all([exit, gone]).then(([code]): Ending => {
      return { code, signal: null };
    });
    return new Child(this, orders.handle.token, ended, () => {
      thread.terminate();
    });
  }
}

/**
 * Registers a test for both kinds.
 *
 * @param name Symbol and claim.
 * @param body What to do.
 * @param kinds For which kinds.
 */
export function eachKind(
  name: string,
  body: (world: World) => void | Promise<void>,
  kinds: readonly MemoryKind[] = KINDS,
): void {
  for (const kind of kinds) {
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
  body: (world: World) => void | Promise<void>,
): Promise<void> {
  const world = new World(kind);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`The test hangs\n${stateOf(world.arena)}`));
    }, LIMIT_MS);
  });
  try {
    await Promise.race([body(world), hang]);
    await world.calm();
    assertEquals(world.children.size, 0, "children are left");
    assertQuiet(world.arena);
  } finally {
    clearTimeout(timer);
    for (const child of world.children) child.kill();
    await Promise.all([...world.children].map(({ ended }) => ended));
  }
}

/** The header and the table of an arena. */
export function tableOf(arena: Arena): Int32Array {
  return arena.words(0, at.TABLE_WORD + at.SLOTS * at.SLOT_WORDS);
}

/**
 * Checks that nobody waits: no wait entry is in use, nobody is counted as waiting,
 * and nobody is in the allocator.
 */
export function assertQuiet(arena: Arena): void {
  const words = tableOf(arena);
  assertEquals(arena.waiting.pending, 0, "waits are in progress");
  assertEquals(words[at.H_HEAP_LOCK], 0, "the heap is locked");
  assertEquals(words[at.H_OVERFLOWING], 0, "somebody is in overflow");
  for (let bucket = 0; bucket < at.BUCKETS; bucket++) {
    assertEquals(words[at.H_BUCKETS + bucket], 0, `bucket ${bucket}`);
  }
  eachEntry(arena, (slot, entry) => {
    assertEquals(
      words[entry + at.E_STATE],
      at.ENTRY_FREE,
      `a wait entry of slot ${slot}\n${stateOf(arena)}`,
    );
  });
}

/**
 * Checks the free lists: each block lies in the heap, at a place blocks of its
 * size lie at, and in one list once.
 *
 * @returns How many blocks are free, by size class.
 */
export function assertHeapWhole(arena: Arena): Map<number, number> {
  const words = tableOf(arena);
  const top = (words[at.H_HEAP_TOP]! >>> 0) * at.UNIT;
  const free = new Map<number, number>();
  const seen: { from: number; to: number }[] = [];
  for (let log2 = at.UNIT_LOG2; log2 <= at.LARGEST_BLOCK_LOG2; log2++) {
    const size = 2 ** log2;
    let offset = (words[at.H_FREE + log2]! >>> 0) * at.UNIT;
    const met = new Set<number>();
    while (offset !== 0) {
      assertEquals(met.has(offset), false, `list ${log2} is a circle`);
      met.add(offset);
      assertEquals(offset >= at.HEAP_BYTE && offset + size <= top, true);
      assertEquals(offset % Math.min(size, at.WINDOW_BYTES), 0, `list ${log2}`);
      seen.push({ from: offset, to: offset + size });
      offset = (arena.words(offset, 1)[0]! >>> 0) * at.UNIT;
    }
    if (met.size > 0) free.set(log2, met.size);
  }
  seen.sort((a, b) => a.from - b.from);
  for (let i = 1; i < seen.length; i++) {
    assertEquals(seen[i - 1]!.to <= seen[i]!.from, true, "free blocks overlap");
  }
  return free;
}

/** Calls back for each wait entry that was ever used. */
export function eachEntry(
  arena: Arena,
  visit: (slot: number, entry: number) => void,
): void {
  const words = tableOf(arena);
  for (let slot = 0; slot < words[at.H_SLOTS_USED]!; slot++) {
    const base = slotWord(slot);
    const used = words[base + at.S_ENTRIES_USED]!;
    for (let i = 0; i < used; i++) {
      visit(slot, base + at.S_ENTRIES + i * at.ENTRY_WORDS);
    }
  }
}

/** Bytes of physical memory an arena of processes has. */
export function residentBytes(arena: Arena): number {
  const { memory } = arena.handle();
  if (memory.kind !== "spawn") throw new TypeError("Threads cannot tell");
  const path = memory.fd < FIRST_NAME
    ? `/proc/self/fd/${memory.fd}`
    : pathOf(memory.fd);
  return Deno.statSync(path).blocks! * 512;
}

/** The state of the world, for the message of a hang. */
export function stateOf(arena: Arena): string {
  const words = tableOf(arena);
  const lines = [`heap lock ${words[at.H_HEAP_LOCK]}`];
  for (let slot = 0; slot < words[at.H_SLOTS_USED]!; slot++) {
    const base = slotWord(slot);
    const state = ["free", "reserved", "alive", "left", "dead", "kept"][
      words[base + at.S_STATE]!
    ];
    lines.push(
      `slot ${slot}: ${state}, pid ${words[base + at.S_PID]}, bell ${
        words[base + at.S_BELL]
      }, sleeping ${words[base + at.S_SLEEPING]}, overflowing ${
        words[base + at.S_OVERFLOWING]
      }`,
    );
  }
  eachEntry(arena, (slot, entry) => {
    const state = ["free", "waiting", "notified"][words[entry + at.E_STATE]!];
    if (state === "free") return;
    lines.push(
      `  slot ${slot} waits for ${words[entry + at.E_KEY]}: ${state}, ticket ${
        words[entry + at.E_TICKET]
      }`,
    );
  });
  return lines.join("\n");
}

/** A random number generator with a seed: the same numbers on every run. */
export function seeded(seed: number): () => number {
  // mulberry32
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

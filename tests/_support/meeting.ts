/**
 * Where a test and its children meet: gates and mailboxes in the shared memory of
 * a context. Both can be arguments of a child.
 *
 * They stand on the shared memory alone, and whoever waits looks, so that a fault
 * in queues, locks or waiting cannot hide itself. They count no references: the
 * harness frees them when the test has ended and no child is left, so that
 * afterwards the memory in use can be compared with what it was before.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../../codec/mod.ts";
import type { Context } from "../../contexts/mod.ts";
import { addressOf, arenaFor, locate } from "../../memory/mod.ts";
import { Ring, RING_BYTES } from "../../memory/ring.ts";
import type { Arena, ArenaAddress } from "../../memory/mod.ts";
import { travelsAs } from "../../primitives/block.ts";
import { toMessage } from "../../primitives/to_wire.ts";
import { fromMessage } from "../../primitives/wire.ts";
import { Gate, until, untilSync } from "./gate.ts";

/** What stands for a meeting place in a message. */
type Place = [address: ArenaAddress, offset: number];

const GATE_BYTES = 64;

/** What has been made in this thread and not been freed. */
const made = new Set<() => void>();

/** Frees all gates and mailboxes that were made here. No child may be left. */
export function freeMeetings(): void {
  for (const free of made) free();
  made.clear();
}

function makePlace(
  context: Context,
  byteLength: number,
  beforeFree: (arena: Arena, offset: number) => void,
): { arena: Arena; offset: number } {
  const arena = arenaFor(context.getStartMethod());
  const offset = arena.heap.allocate(byteLength);
  made.add(() => {
    beforeFree(arena, offset);
    arena.heap.free(offset, byteLength);
  });
  return { arena, offset };
}

/** A {@linkcode Gate} that can be sent. */
export class SharedGate extends Gate {
  static {
    travelsAs(this, (gate) => {
      const data: Place = [addressOf(gate.#arena), gate.#offset];
      return { tag: "test.gate", data };
    });
    registerTag("test.gate", (data) => {
      const [address, offset] = data as Place;
      return new SharedGate(locate(address), offset);
    });
  }

  readonly #arena: Arena;
  readonly #offset: number;

  private constructor(arena: Arena, offset: number) {
    super(arena.words(offset, 1), 0);
    this.#arena = arena;
    this.#offset = offset;
  }

  /** Makes a gate at zero. */
  static in(context: Context): SharedGate {
    const { arena, offset } = makePlace(context, GATE_BYTES, () => {});
    return new SharedGate(arena, offset);
  }

  /** Opens the gate at a place: for a child that has no arguments yet. */
  static at(context: Context, place: number): SharedGate {
    return new SharedGate(arenaFor(context.getStartMethod()), place);
  }

  /** Where it is in the memory of its context. */
  get place(): number {
    return this.#offset;
  }
}

/** Values from children to the test, or the other way round, in their order. */
export class Mailbox<T = unknown> {
  static {
    travelsAs(this, (mailbox: Mailbox) => {
      const data: Place = [addressOf(mailbox.#arena), mailbox.#offset];
      return { tag: "test.mailbox", data };
    });
    registerTag("test.mailbox", (data) => {
      const [address, offset] = data as Place;
      return new Mailbox(locate(address), offset);
    });
  }

  readonly #arena: Arena;
  readonly #offset: number;
  readonly #ring: Ring;

  private constructor(arena: Arena, offset: number) {
    this.#arena = arena;
    this.#offset = offset;
    this.#ring = new Ring(arena, offset);
  }

  /** Makes an empty mailbox. */
  static in<T>(context: Context): Mailbox<T> {
    const { arena, offset } = makePlace(
      context,
      RING_BYTES,
      (arena, offset) => new Ring(arena, offset).free(),
    );
    return new Mailbox(arena, offset);
  }

  /** Puts a value; there is always room. */
  put(value: T): void {
    this.#ring.tryPut(toMessage(value, { kind: this.#arena.kind }, "value"));
  }

  /** How many values are in it. */
  get count(): number {
    return this.#ring.count;
  }

  /**
   * Takes the next value.
   *
   * @param what What it is, for the message of a hang.
   */
  async take(what: string): Promise<T> {
    await until(() => this.#ring.hasItem, what);
    return this.#take();
  }

  /** The same, blocking the thread. */
  takeSync(what: string): T {
    untilSync(() => this.#ring.hasItem, what);
    return this.#take();
  }

  /** Takes all that is in it now. */
  drain(): T[] {
    const values: T[] = [];
    while (this.#ring.hasItem) values.push(this.#take());
    return values;
  }

  #take(): T {
    const bytes = this.#ring.tryTake((message) => message.slice());
    if (!bytes) throw new Error("Somebody else has taken it");
    return fromMessage(bytes).value as T;
  }
}

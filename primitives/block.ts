/**
 * The block of shared memory behind a shared object: made with it, handed over
 * with it, given back after it.
 *
 * **References.** Word 0 of each block counts them: one for each object in any
 * participant that stands for the block, and one for each handle on its way in
 * a message. Encoding a handle adds one, decoding it passes that one on to the
 * new object, collecting an object takes its one away, and with the last the
 * block is freed. A participant that is killed takes its references with it,
 * so such a block stays until the program ends: memory is lost then, but nobody
 * ever uses a freed block.
 *
 * **Which context.** `new Lock()` belongs to the default start method, `new
 * ctx.Lock()` to that of `ctx`: a class made by {@linkcode bindTo} carries it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { TO_WIRE } from "../codec/mod.ts";
import type { WireForm } from "../codec/mod.ts";
import { EncodingError } from "../errors.ts";
import { addressOf, arenaFor, locate } from "../memory/mod.ts";
import type { Arena, ArenaAddress, MemoryKind } from "../memory/mod.ts";

/** Word 0: the references. */
const REFERENCES = 0;
/** Where the words of the object itself start. */
export const FIRST_WORD = 4;

/** Under this, a class made for one context holds its start method. */
const KIND: unique symbol = Symbol("start method");

/** For whom a value is encoded. */
export interface Target {
  /** Whose participants can receive it. */
  readonly kind: MemoryKind;
  /** Token of the one receiver, where there is just one. */
  readonly token?: number | undefined;
}

/** What a handle is on the wire: where, and what its class adds. */
export type HandleData = readonly [
  address: ArenaAddress,
  offset: number,
  extra: unknown,
];

/** Told when the last reference to a block has gone, before it is freed. */
export type Destroy = (arena: Arena, offset: number) => void;

let defaultKind: () => MemoryKind = () => "spawn";

/** Says which start method objects of no particular context belong to. */
export function setDefaultKind(source: () => MemoryKind): void {
  defaultKind = source;
}

/** Objects on their way out, so that a failed encoding can take them back. */
let outgoing: (() => void)[] | undefined;
/** The handle the next constructor call stands for. */
let incoming: { arena: Arena; offset: number } | undefined;

/** What has to be done when an object is collected. */
interface Legacy {
  readonly arena: Arena;
  readonly offset: number;
  readonly byteLength: number;
  readonly destroy: Destroy | undefined;
}

const collected = new FinalizationRegistry<Legacy>(drop);

/** See the module. */
export class Block {
  /** Where it lies. */
  readonly arena: Arena;
  /** Its offset there. */
  readonly offset: number;
  /** Its words; the object's own start at {@linkcode FIRST_WORD}. */
  readonly words: Int32Array;
  /** Whether it was made now, rather than received. */
  readonly isNew: boolean;

  /**
   * Makes a block for an object under construction, or takes over the one it was
   * received with.
   *
   * @param owner The object.
   * @param cls Its `new.target`.
   * @param byteLength Bytes of the block.
   * @param destroy What to free along with it.
   */
  constructor(
    owner: object,
    // deno-lint-ignore ban-types -- any class
    cls: Function,
    byteLength: number,
    destroy?: Destroy,
  ) {
    const received = incoming;
    incoming = undefined;
    this.isNew = received === undefined;
    this.arena = received?.arena ?? arenaFor(kindOf(cls));
    this.offset = received?.offset ?? this.arena.heap.allocate(byteLength);
    this.words = this.arena.words(this.offset, byteLength / 4);
    if (this.isNew) this.words[REFERENCES] = 1;
    const legacy = {
      arena: this.arena,
      offset: this.offset,
      byteLength,
      destroy,
    };
    collected.register(owner, legacy);
  }

  /**
   * What stands for the object in a message.
   *
   * @param tag Tag of its class.
   * @param name What to call it in an error.
   * @param target For whom.
   * @param extra What its class adds.
   * @throws {EncodingError} If the receiver cannot reach the block.
   */
  toWire(
    tag: string,
    name: string,
    target: unknown,
    extra: unknown = null,
  ): WireForm {
    const { kind } = target as Target;
    if (this.arena.kind === "worker" && kind === "spawn") {
      throw new EncodingError(
        `Cannot send a ${name} of the "worker" context to a process of the "spawn" context as threads' memory cannot be shared with processes: create it with getContext("spawn")`,
      );
    }
    Atomics.add(this.words, REFERENCES, 1);
    outgoing?.push(() => Atomics.sub(this.words, REFERENCES, 1));
    const data: HandleData = [addressOf(this.arena), this.offset, extra];
    return { tag, data };
  }
}

let handles = 0;

/** How many objects that stand for something shared have been sent so far. */
export function handlesSent(): number {
  return handles;
}

/**
 * Says how objects of a class travel. Called in a static block of the class, so
 * that the function sees its private fields.
 *
 * @param cls The class.
 * @param toWire Gives what stands for an object, or throws why it cannot travel.
 */
export function travelsAs<T extends object>(
  cls: { readonly prototype: T },
  toWire: (object: T, target: unknown) => WireForm,
): void {
  Object.defineProperty(cls.prototype, TO_WIRE, {
    value: function (this: T, target: unknown): WireForm {
      handles++;
      return toWire(this, target);
    },
  });
}

/**
 * Constructs an object for a block received in a message.
 *
 * @param data What came.
 * @param construct Calls the constructor, which makes a {@linkcode Block}.
 */
export function receive<T>(
  data: unknown,
  construct: (extra: unknown) => T,
): T {
  const [address, offset, extra] = data as HandleData;
  incoming = { arena: locate(address), offset };
  try {
    return construct(extra);
  } finally {
    incoming = undefined;
  }
}

/**
 * Runs an encoding. If it fails, the handles it had already counted are not on
 * their way after all.
 *
 * @param encode What to run.
 */
export function sending<T>(encode: () => T): T {
  const before = outgoing;
  const mine: (() => void)[] = outgoing = [];
  try {
    return encode();
  } catch (error) {
    for (const takeBack of mine) takeBack();
    throw error;
  } finally {
    outgoing = before;
  }
}

/**
 * Has something undone if the encoding that is going on fails.
 *
 * @param takeBack Undoes it.
 */
export function undoIfNotSent(takeBack: () => void): void {
  outgoing?.push(takeBack);
}

/**
 * Makes a class whose objects belong to one start method.
 *
 * @param cls The class.
 * @param kind The start method.
 */
export function bindTo<C extends new (...args: never[]) => object>(
  cls: C,
  kind: MemoryKind,
): C {
  // deno-lint-ignore no-explicit-any -- a mixin's constructor has to be any[]
  const base = cls as unknown as new (...args: any[]) => object;
  const bound = class extends base {
    static readonly [KIND] = kind;
  };
  Object.defineProperty(bound, "name", { value: cls.name });
  return bound as unknown as C;
}

/**
 * Says that objects of a class belong to one start method, whatever the default.
 * Called in a static block of the class.
 *
 * @param cls The class.
 * @param kind The start method.
 */
export function belongsTo(cls: object, kind: MemoryKind): void {
  Object.defineProperty(cls, KIND, { value: kind });
}

/** The start method a class was made for, or the default one. */
// deno-lint-ignore ban-types -- any class
export function kindOf(cls: Function): MemoryKind {
  return (cls as { [KIND]?: MemoryKind })[KIND] ?? defaultKind();
}

function drop({ arena, offset, byteLength, destroy }: Legacy): void {
  if (Atomics.sub(arena.words(offset, 1), REFERENCES, 1) !== 1) return;
  destroy?.(arena, offset);
  arena.heap.free(offset, byteLength);
}

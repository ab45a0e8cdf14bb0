/**
 * The block of shared memory behind a shared object: made with it, handed over
 * with it, given back after it.
 *
 * **References.** Word 0 of each block counts them: one for each object in any
 * participant that stands for the block, and one for each handle on its way in
 * a message. Encoding a handle adds one, decoding it passes that one on to the
 * new object, collecting an object takes its one away, and with the last the
 * block is freed. Each participant also writes down what it refers to
 * (`memory/references.ts`), so that whoever buries it takes away what it has left,
 * however it ended ({@linkcode giveBack}). Only a handle in a message that was
 * taken and not decoded yet is lost with its taker: that block stays in use until
 * the program ends. Nobody ever uses a freed block.
 *
 * **Which context.** `new Lock()` belongs to the default start method, `new
 * ctx.Lock()` to that of `ctx`: a class made by {@linkcode bindTo} carries it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { TO_WIRE } from "../codec/handles.ts";
import type { WireForm } from "../codec/handles.ts";
import { EncodingError } from "../errors.ts";
import { addressOf, arenaFor, existingArena, locate } from "../memory/mod.ts";
import type { Arena, ArenaAddress, MemoryKind, Place } from "../memory/mod.ts";
import { UNIT } from "../memory/layout.ts";

/** How many refer to it · everybody adds and takes away. */
const REFERENCES = 0;
/** Its length in units of 64 bytes · creator · whoever frees it. */
const LENGTH = 1;
/** What has to be freed along with it, a {@linkcode Remains} · creator · the same. */
const REMAINS = 2;
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

/** What has to be freed along with a block, by what it is a block of. */
export type Remains =
  | "nothing"
  | "lock"
  | "semaphore"
  | "condition"
  | "queue"
  | "pipe"
  | "mapping";

/** In the block a number stands for it: its index here. */
const REMAINS_NAMES: readonly Remains[] = [
  "nothing",
  "lock",
  "semaphore",
  "condition",
  "queue",
  "pipe",
  "mapping",
];

/** Told when the last reference to a block has gone, before it is freed. */
export type Destroy = (arena: Arena, offset: number) => void;

const destroyers: Partial<Record<Remains, Destroy>> = { nothing: () => {} };

/**
 * Says how to free what belongs to blocks of some kind.
 *
 * @param remains What kind.
 * @param destroy Frees it.
 */
export function onLast(remains: Remains, destroy: Destroy): void {
  destroyers[remains] = destroy;
}

const leavers: Partial<Record<Remains, Destroy>> = {};

/**
 * Says what to look after in blocks of some kind when one that had it has ended.
 *
 * @param remains What kind.
 * @param leave Looks after it. The block is still in use.
 */
export function onLeft(remains: Remains, leave: Destroy): void {
  leavers[remains] = leave;
}

/**
 * Looks after a block that one has left who has ended.
 *
 * @param arena Where it lies.
 * @param offset Its offset.
 * @returns Whether that could be done, see {@linkcode giveBack}.
 */
export function leave(arena: Arena, offset: number): boolean {
  const words = arena.words(offset, FIRST_WORD);
  const remains = REMAINS_NAMES[words[REMAINS]!]!;
  if (!destroyers[remains]) return false;
  leavers[remains]?.(arena, offset);
  return true;
}

let defaultKind: () => MemoryKind = () => "spawn";

/** Says which start method objects of no particular context belong to. */
export function setDefaultKind(source: () => MemoryKind): void {
  defaultKind = source;
}

/** What takes back the handles of the message that is being encoded. */
let outgoing: Outgoing | undefined;
/** The handle the next constructor call stands for. */
let incoming: { arena: Arena; offset: number } | undefined;

/** A reference that is written down, and has to be given back some time. */
export interface Legacy {
  readonly arena: Arena;
  readonly offset: number;
  readonly place: Place;
  /** Whether it had a share in what objects of its block have in common. */
  shares: boolean;
}

/** What the objects of a block have in common, and how many these are. */
interface Common {
  readonly state: object;
  objects: number;
}

/** What objects of this thread have in common, by their blocks. */
const commons = new WeakMap<Arena, Map<number, Common>>();

const collected = new FinalizationRegistry<Legacy>(drop);
/** For those who have an object and ask which block it stands for. */
const blocks = new WeakMap<object, Block>();

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
  readonly #legacy: Legacy;

  /**
   * Makes a block for an object under construction, or takes over the one it was
   * received with.
   *
   * @param owner The object.
   * @param cls Its `new.target`.
   * @param byteLength Bytes of the block.
   * @param remains What has to be freed along with it.
   */
  constructor(
    owner: object,
    // deno-lint-ignore ban-types -- any class
    cls: Function,
    byteLength: number,
    remains: Remains = "nothing",
  ) {
    const received = incoming;
    incoming = undefined;
    this.isNew = received === undefined;
    this.arena = received?.arena ?? arenaFor(kindOf(cls));
    this.offset = received?.offset ?? this.arena.heap.allocate(byteLength);
    this.words = this.arena.words(this.offset, byteLength / 4);
    if (this.isNew) begin(this.words, byteLength, remains);
    const { arena, offset } = this;
    const place = arena.references.note(offset);
    this.#legacy = { arena, offset, place, shares: false };
    collected.register(owner, this.#legacy);
    blocks.set(owner, this);
  }

  /**
   * What all objects have in common that stand for this block in this thread: one
   * that comes back in a message is another object, and the same thing. Called once
   * for each object.
   *
   * @param make Makes it for the first of them. It must not hold on to the object,
   * which would never be collected.
   */
  inCommon<T extends object>(make: () => T): T {
    const { arena, offset } = this;
    let ofArena = commons.get(arena);
    if (!ofArena) commons.set(arena, ofArena = new Map());
    let common = ofArena.get(offset);
    if (!common) ofArena.set(offset, common = { state: make(), objects: 0 });
    common.objects++;
    this.#legacy.shares = true;
    return common.state as T;
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
    const { kind, token } = target as Target;
    if (this.arena.kind === "worker" && kind === "spawn") {
      throw new EncodingError(
        `Cannot send a ${name} of the "worker" context to a process of the "spawn" context as threads' memory cannot be shared with processes: create it with getContext("spawn")`,
      );
    }
    Atomics.add(this.words, REFERENCES, 1);
    // Of a receiver that is known it is from the start, so that it is given back
    // also if that one does not live to see it. (A token says something only in
    // the arena that both sides call their own.)
    const { references } = this.arena;
    const { arena, offset } = this;
    let place = token !== undefined && existingArena(kind) === arena
      ? references.noteFor(token, offset)
      : undefined;
    const strike = () => {
      if (place) references.strike(place);
      place = undefined;
    };
    undoIfNotSent(() => {
      strike();
      // By now it may be the last one.
      giveBack(arena, offset);
    });
    if (!place) {
      const keep = () => {
        place = references.note(offset);
      };
      whileWaiting({ keep, letGo: strike });
    }
    const data: HandleData = [addressOf(this.arena), this.offset, extra];
    return { tag, data };
  }
}

function begin(words: Int32Array, byteLength: number, remains: Remains): void {
  words[LENGTH] = Math.ceil(byteLength / UNIT);
  words[REMAINS] = REMAINS_NAMES.indexOf(remains);
  words[REFERENCES] = 1;
}

/**
 * Takes a block for something of this participant's that is to be freed along with
 * it: when it is {@linkcode drop}ped, or else by whoever buries this participant.
 *
 * @param arena Where this participant is buried.
 * @param byteLength Bytes of the block.
 * @param remains What it is a block of.
 * @param fill Writes into its words what there is to be freed.
 */
export function bequeath(
  arena: Arena,
  byteLength: number,
  remains: Remains,
  fill: (words: Int32Array) => void,
): Legacy {
  const offset = arena.heap.allocate(byteLength);
  const words = arena.words(offset, byteLength / 4);
  begin(words, byteLength, remains);
  fill(words);
  const place = arena.references.note(offset);
  return { arena, offset, place, shares: false };
}

/** The block that an object stands for, if it does. */
export function blockOf(owner: object): Block | undefined {
  return blocks.get(owner);
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
    value(this: T, target: unknown): WireForm {
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

/** How a handle is counted while its message waits to be sent. */
export interface Waiting {
  /** It is the sender's: should that one end, it is given back with all else. */
  keep(): void;
  /** It is on its way to whoever takes it. */
  letGo(): void;
}

/** A message that is being made. */
export interface Outgoing {
  /** What takes back the handles in it, if there are any and it is not sent. */
  takeBacks: (() => void)[] | undefined;
  /** How those are counted, while it waits, that nobody in particular gets. */
  whileWaiting: Waiting[] | undefined;
}

/**
 * Runs an encoding. If it fails, the handles it had already counted are not on
 * their way after all.
 *
 * @param message What is encoded, and is told what takes those handles back.
 * @param encode Encodes it.
 */
export function sending<M extends Outgoing>(
  message: M,
  encode: (message: M) => void,
): M {
  const before = outgoing;
  outgoing = message;
  try {
    encode(message);
    return message;
  } catch (error) {
    takeBack(message);
    throw error;
  } finally {
    outgoing = before;
  }
}

/**
 * Takes back the handles in a message that is not sent.
 *
 * @param message The message.
 */
export function takeBack({ takeBacks }: Outgoing): void {
  takeBacks?.forEach((takeBack) => takeBack());
}

/**
 * Has something undone if the encoding that is going on fails, or its message is
 * not sent.
 *
 * @param takeBack Undoes it.
 */
export function undoIfNotSent(takeBack: () => void): void {
  if (outgoing) (outgoing.takeBacks ??= []).push(takeBack);
}

/**
 * Has a handle counted as the sender's for as long as its message waits.
 *
 * @param waiting How it is counted.
 */
export function whileWaiting(waiting: Waiting): void {
  if (outgoing) (outgoing.whileWaiting ??= []).push(waiting);
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

/** Gives up a reference of this participant's. */
export function drop({ arena, offset, place, shares }: Legacy): void {
  // First: afterwards the block may be another's.
  if (shares) leaveCommon(arena, offset);
  arena.references.strike(place);
  giveBack(arena, offset);
}

function leaveCommon(arena: Arena, offset: number): void {
  const ofArena = commons.get(arena)!;
  const common = ofArena.get(offset)!;
  if (--common.objects === 0) ofArena.delete(offset);
}

/**
 * Uncounts a reference; with the last the block is freed.
 *
 * @param arena Where it lies.
 * @param offset Its offset.
 * @returns Whether that could be done: if not, the module of what it is a block of
 * has to be loaded first.
 */
export function giveBack(arena: Arena, offset: number): boolean {
  const words = arena.words(offset, FIRST_WORD);
  const destroy = destroyers[REMAINS_NAMES[words[REMAINS]!]!];
  if (!destroy) return false;
  if (Atomics.sub(words, REFERENCES, 1) !== 1) return true;
  const byteLength = (words[LENGTH]! >>> 0) * UNIT;
  destroy(arena, offset);
  arena.heap.free(offset, byteLength);
  return true;
}

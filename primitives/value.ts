/**
 * Single values that processes share, with a lock or without, and what is done
 * with shared values of all kinds.
 *
 * **Guarantees.** Reading, storing, adding and comparing are one atomic step each
 * (`_cells.ts`), for 64 bits and floats too. New memory reads as zero, and is
 * given back when no process has an object or a message that leads to it.
 *
 * The shared words are those of the plot the value lies in: see `_scalar.ts` and,
 * for structs, `struct.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { checkOptionsObject } from "../memory/mod.ts";
import { bindTo } from "./block.ts";
import { bytesOf, checkCode } from "./_codes.ts";
import type { AmountOf, CodeTypes, TypeCode, ValueOf } from "./_codes.ts";
import { Items, lockItems, makeItems } from "./_items.ts";
import type { ElementType } from "./_items.ts";
import { isWrapper, lockFor, partsOf } from "./_lockable.ts";
import type {
  AcquireOptions,
  Guard,
  LockLike,
  LockOptions,
  NoLockOptions,
  Synchronized,
} from "./_lockable.ts";
import { Plot } from "./_plot.ts";
import { LockedScalar, Scalar } from "./_scalar.ts";
import { show } from "./_texts.ts";
import type { Array, RawArray, SharedItems } from "./array.ts";
import type { RLock } from "./rlock.ts";
import {
  layoutOf,
  lockStruct,
  placeOfStruct,
  regionOf,
  StructValue,
} from "./struct.ts";
import type {
  RawStruct,
  StructFields,
  StructMethods,
  StructRecord,
} from "./struct.ts";

export type {
  AcquireOptions,
  AmountOf,
  CodeTypes,
  Guard,
  LockLike,
  LockOptions,
  NoLockOptions,
  RawStruct,
  StructFields,
  StructMethods,
  StructRecord,
  Synchronized,
  TypeCode,
  ValueOf,
};

/** What all shared values of a type code have. */
export interface SharedValue<C extends TypeCode> {
  /**
   * The value. Reading and storing are one step each; `value += 1` is both, and
   * what others store in between is lost: see {@linkcode SharedValue.add}.
   *
   * @example Only what fits
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const count = new Value("i", 3);
   * count.value = 4;
   * assertEquals(count.value, 4);
   * assertThrows(() => count.value = 2 ** 31, RangeError, "to 2147483647");
   * assertThrows(() => count.value = 1.5, TypeError, "must be an integer");
   * ```
   *
   * @throws {TypeError} If it is of another type.
   * @throws {RangeError} If it does not fit.
   */
  value: ValueOf<C>;
  /**
   * Adds to the value, in one step: no addition is lost, whoever else adds.
   *
   * - **Overflow:** integers wrap around, as in C.
   *
   * @example Counting, and going over the edge
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const count = new Value("i");
   * assertEquals(count.add(5), 5);
   * assertEquals(count.add(-2), 3);
   * assertEquals(new Value("i", 2 ** 31 - 1).add(1), -(2 ** 31));
   * ```
   *
   * @param amount What to add; may be negative.
   * @returns The value it is then.
   * @throws {TypeError} If one cannot add that.
   */
  add(amount: AmountOf<C>): ValueOf<C>;
  /**
   * Stores a value if the present one is as expected, in one step.
   *
   * @example Whoever comes first
   * ```ts
   * import { Value } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const winner = new Value("i", 0);
   * assertEquals(winner.compareExchange(0, 7), 0);
   * assertEquals(winner.compareExchange(0, 8), 7);
   * assertEquals(winner.value, 7);
   * ```
   *
   * @param expected What it should be.
   * @param replacement What to store then.
   * @returns What it was: if that is as expected, it has been replaced.
   * @throws {TypeError} If one of them is of another type.
   * @throws {RangeError} If one of them does not fit.
   */
  compareExchange(
    expected: ValueOf<C>,
    replacement: ValueOf<C>,
  ): ValueOf<C>;
  /** Describes it, with its value. */
  toString(): string;
}

/**
 * A shared value without a lock.
 *
 * - **Differs from Python:** see {@linkcode Value}.
 */
export type RawValue<T extends ElementType> = T extends TypeCode
  ? SharedValue<T>
  : T extends StructFields ? RawStruct<T>
  : never;

/**
 * A shared value with a lock.
 *
 * - **Atomic:** reading, storing, {@linkcode SharedValue.add} and
 *   {@linkcode SharedValue.compareExchange} are one step each. Whoever needs more
 *   than one step takes the lock, and so does everybody else then.
 * - **Types:** a code (see {@linkcode CodeTypes}), or the fields of a struct, each
 *   of which is a property. Those of 64 bits are bigints.
 * - **Memory:** reads as zero when new, and is given back when no process can
 *   reach it any more.
 * - **Sending:** the value that arrives is the same memory.
 * - **Differs from Python:** a number that does not fit is refused, not cut off;
 *   only `add()` wraps around. Reading and storing do not wait for the lock.
 *   `add()` is there to count without it.
 *
 * @example A counter
 * ```ts
 * import { Value } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const count = new Value("i", 0);
 * count.add(1);
 * await count.withLock(() => count.value *= 10);
 * assertEquals(count.value, 10);
 * ```
 */
export type Value<T extends ElementType, L extends LockLike = RLock> =
  & RawValue<T>
  & Synchronized<RawValue<T>, L>;

/** What a value can begin with. */
export type InitialOf<T extends ElementType> = T extends TypeCode ? ValueOf<T>
  : T extends StructFields ? Partial<StructRecord<T>>
  : never;

/** Makes values without a lock. */
export interface RawValueConstructor {
  /**
   * Creates a value.
   *
   * @param type Its type: a code, or the fields of a struct.
   * @param initial What it begins with, by default zero.
   * @throws {TypeError} If there is no such type, or the value is of another one.
   * @throws {RangeError} If the value does not fit.
   */
  new <const T extends ElementType>(
    type: T,
    initial?: InitialOf<T>,
  ): RawValue<T>;
}

/** Makes values with a lock, or without. */
export interface ValueConstructor {
  /**
   * Creates a value without a lock.
   *
   * @param type Its type: a code, or the fields of a struct.
   * @param initial What it begins with, `undefined` for zero.
   * @param options Says that there is to be no lock.
   * @throws {TypeError} If there is no such type, or the value is of another one.
   * @throws {RangeError} If the value does not fit.
   */
  new <const T extends ElementType>(
    type: T,
    initial: InitialOf<T> | undefined,
    options: NoLockOptions,
  ): RawValue<T>;
  /**
   * Creates a value.
   *
   * @param type Its type: a code, or the fields of a struct.
   * @param initial What it begins with, by default zero.
   * @param options With which lock.
   * @throws {TypeError} If there is no such type, the value is of another one, or
   * the lock is none.
   * @throws {RangeError} If the value does not fit.
   */
  new <const T extends ElementType, L extends LockLike = RLock>(
    type: T,
    initial?: InitialOf<T>,
    options?: LockOptions<L>,
  ): Value<T, L>;
}

/**
 * Makes values without a lock.
 *
 * @example Enough where single steps do
 * ```ts
 * import { RawValue } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new RawValue("q");
 * bytes.add(4096n);
 * assertEquals(bytes.value, 4096n);
 * ```
 */
export const RawValue: RawValueConstructor = class RawValue {
  constructor(type: ElementType, initial?: unknown) {
    return makeValue(new.target, type, initial);
  }

  static [Symbol.hasInstance](object: unknown): boolean {
    return isValue(object) && !isWrapper(object);
  }
} as unknown as RawValueConstructor;

/**
 * Makes values with a lock; see the type {@linkcode Value}.
 *
 * @example A struct
 * ```ts
 * import { Value } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const ship = new Value({ x: "d", y: "d", crew: "i" }, { x: 1.5, crew: 3 });
 * await ship.withLock(() => {
 *   ship.x += 1;
 *   ship.y += 1;
 * });
 * assertEquals(ship.toObject(), { x: 2.5, y: 1, crew: 3 });
 * ```
 */
export const Value: ValueConstructor = class Value {
  constructor(
    type: ElementType,
    initial?: unknown,
    options: LockOptions<LockLike> | NoLockOptions = {},
  ) {
    checkOptionsObject(options, "create a value", "{ lock: false }");
    const { lock } = options;
    const raw = makeValue(new.target, type, initial);
    return lock === false ? raw : lockAny(raw, lock);
  }

  static [Symbol.hasInstance](object: unknown): boolean {
    return isValue(object) && isWrapper(object);
  }
} as unknown as ValueConstructor;

type AnyValue = Scalar<TypeCode> | StructValue;

function isValue(object: unknown): boolean {
  return object instanceof Scalar || object instanceof StructValue;
}

function makeValue(
  // deno-lint-ignore ban-types -- any class
  cls: Function,
  type: ElementType,
  initial: unknown,
): AnyValue {
  if (typeof type === "object" && type !== null) {
    const layout = layoutOf(type);
    const plot = new Plot(cls, "shared Value", layout.stride);
    const struct = new layout.raw(regionOf(plot, layout, 1), 0);
    if (initial !== undefined) struct.assign(initial as object & never);
    return struct;
  }
  checkCode(type);
  const scalar = new Scalar(new Plot(cls, "shared Value", bytesOf(type)), type);
  if (initial !== undefined) scalar.value = initial as ValueOf<TypeCode>;
  return scalar;
}

/**
 * Copies a shared value, struct or array. What has a lock is copied without it.
 *
 * @example The copy goes its own way
 * ```ts
 * import { copy, Value } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const point = new Value({ x: "i", y: "d" }, { x: 2, y: 5 });
 * const before = copy(point);
 * point.x = 0;
 * assertEquals(before.toObject(), { x: 2, y: 5 });
 * ```
 *
 * @param object What to copy. It is read element by element, field by field.
 * @returns New shared memory in the same context, without a lock.
 * @throws {TypeError} If it is nothing of the kind.
 */
export function copy<C extends TypeCode>(
  object: SharedValue<C>,
): SharedValue<C>;
/**
 * Copies a shared array.
 *
 * @param object What to copy.
 * @returns New shared memory in the same context, without a lock.
 */
export function copy<E extends ElementType>(
  object: SharedItems<E>,
): RawArray<E>;
/**
 * Copies a struct.
 *
 * @param object What to copy.
 * @returns New shared memory in the same context, without a lock.
 */
export function copy<F extends StructFields>(
  object: StructMethods<F>,
): RawStruct<F>;
export function copy(object: unknown): object {
  if (object instanceof Scalar) {
    const { code, plot, value } = object;
    return makeValue(classFor(plot), code, value);
  }
  if (object instanceof StructValue) {
    const { plot, layout } = placeOfStruct(object).region;
    const fields = Object.fromEntries(layout.entries);
    return makeValue(classFor(plot), fields, object.toObject());
  }
  if (object instanceof Items) {
    const { plot, type } = object;
    return makeItems(classFor(plot), type, object.toArray());
  }
  throw new TypeError(
    `Cannot copy ${show(object)} as it must be a shared value, struct or array`,
  );
}

/** A class whose objects belong to the same context. */
// deno-lint-ignore ban-types -- any class
function classFor(plot: Plot): Function {
  return bindTo(Plot, plot.kind);
}

/**
 * Gives a shared value, struct or array that has no lock one.
 *
 * @example Afterwards
 * ```ts
 * import { RawValue, synchronized } from "@deno-mp/multiprocessing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const raw = new RawValue("i", 3);
 * const value = synchronized(raw);
 * await value.withLock(() => value.value *= 2);
 * assertEquals(raw.value, 6);
 * assertThrows(() => synchronized(value), TypeError, "already synchronized");
 * ```
 *
 * @param object What has no lock.
 * @param lock The lock; by default, a new `RLock`.
 * @returns The same memory, with the lock.
 * @throws {TypeError} If it has a lock already or is nothing of the kind, or if
 * the lock is none.
 */
export function synchronized<C extends TypeCode, L extends LockLike = RLock>(
  object: SharedValue<C>,
  lock?: L | null,
): SharedValue<C> & Synchronized<SharedValue<C>, L>;
/**
 * Gives a shared array a lock.
 *
 * @param object What has no lock.
 * @param lock The lock; by default, a new `RLock`.
 * @returns The same memory, with the lock.
 */
export function synchronized<E extends ElementType, L extends LockLike = RLock>(
  object: SharedItems<E>,
  lock?: L | null,
): Array<E, L>;
/**
 * Gives a struct a lock.
 *
 * @param object What has no lock.
 * @param lock The lock; by default, a new `RLock`.
 * @returns The same memory, with the lock.
 */
export function synchronized<
  F extends StructFields,
  L extends LockLike = RLock,
>(
  object: StructMethods<F>,
  lock?: L | null,
): RawStruct<F> & Synchronized<RawStruct<F>, L>;
export function synchronized(object: unknown, lock?: unknown): object {
  if (isWrapper(object)) {
    throw new TypeError(
      `Cannot give ${
        partsOf(object as object).raw
      } a second lock: object already synchronized`,
    );
  }
  return lockAny(object, lock);
}

function lockAny(raw: unknown, lock: unknown): object {
  if (raw instanceof Scalar) {
    return new LockedScalar(raw, lockFor(lock, raw.plot.kind));
  }
  if (raw instanceof StructValue) {
    const { plot } = placeOfStruct(raw).region;
    return lockStruct(raw, lockFor(lock, plot.kind));
  }
  if (raw instanceof Items) {
    return lockItems(raw, lockFor(lock, raw.plot.kind));
  }
  throw new TypeError(
    `Cannot give ${
      show(raw)
    } a lock as it must be a shared value, struct or array`,
  );
}

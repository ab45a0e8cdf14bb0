/**
 * Arrays that processes share, with a lock or without.
 *
 * **Guarantees.** New memory reads as zero. Each element is read and stored in
 * one atomic step (`_cells.ts`). The memory is given back when no process has an
 * object or a message that leads to it, and no view of it is left (`_views.ts`).
 *
 * The shared words are those of the plot the elements lie in: see `_items.ts`
 * and, if they are structs, `struct.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { checkOptionsObject } from "../memory/mod.ts";
import type {
  CodeTypes,
  TypeCode,
  ValueOf,
  ViewClass,
  ViewTypes,
} from "./_codes.ts";
import { Items, lockItems, makeItems } from "./_items.ts";
import type { ElementType } from "./_items.ts";
import { isWrapper, lockFor } from "./_lockable.ts";
import type {
  AcquireOptions,
  Guard,
  LockLike,
  LockOptions,
  NoLockOptions,
  Synchronized,
} from "./_lockable.ts";
import type { RLock } from "./rlock.ts";
import type {
  RawStruct,
  StructFields,
  StructMethods,
  StructRecord,
} from "./struct.ts";

export type {
  AcquireOptions,
  CodeTypes,
  ElementType,
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
  ViewClass,
  ViewTypes,
};

/** An element, as `at()` gives it: a struct is the one in the array. */
export type ItemOf<E extends ElementType> = E extends TypeCode ? ValueOf<E>
  : E extends StructFields ? RawStruct<E>
  : never;

/** A copy of an element, as `slice()` gives it: a struct is a plain object. */
export type CopyOf<E extends ElementType> = E extends TypeCode ? ValueOf<E>
  : E extends StructFields ? StructRecord<E>
  : never;

/** What can be stored as an element: of a struct, some of its fields. */
export type InputOf<E extends ElementType> = E extends TypeCode ? ValueOf<E>
  : E extends StructFields ? Partial<StructRecord<E>>
  : never;

/** What several elements can be taken from. */
export type ItemsOf<E extends ElementType> =
  | Iterable<InputOf<E>>
  | (E extends "c" ? Uint8Array : never);

/** The typed array that shows the memory; of structs, their bytes. */
export type ViewOf<E extends ElementType> = E extends TypeCode ? ViewTypes[E]
  : Uint8Array;

/** What all shared arrays have. */
export interface SharedItems<E extends ElementType> {
  /** How many elements there are. It never changes. */
  readonly length: number;
  /**
   * An element. A struct is not copied: setting its fields sets those in the
   * array.
   *
   * @example From either end
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const squares = new Array("i", [0, 1, 4, 9]);
   * assertEquals(squares.at(2), 4);
   * assertEquals(squares.at(-1), 9);
   * assertThrows(() => squares.at(4), RangeError, "invalid index");
   * ```
   *
   * @param index Which; negative ones count from the end.
   * @throws {RangeError} If there is no such element.
   */
  at(index: number): ItemOf<E>;
  /**
   * Stores an element, in one step.
   *
   * @example Only what fits
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const bytes = new Array("B", 3);
   * bytes.set(-1, 255);
   * assertEquals(bytes.toArray(), [0, 0, 255]);
   * assertThrows(() => bytes.set(0, 256), RangeError, "from 0 to 255");
   * assertThrows(() => bytes.set(0, 1.5), TypeError, "must be an integer");
   * ```
   *
   * @param index Which; negative ones count from the end.
   * @param value What to store.
   * @throws {TypeError} If the value is of another type.
   * @throws {RangeError} If there is no such element, or the value does not fit.
   */
  set(index: number, value: InputOf<E>): void;
  /**
   * Copies of some elements, as `Array.prototype.slice()` gives them. They are
   * read one after the other.
   *
   * @example The middle
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Array("i", [0, 1, 4, 9]).slice(1, -1), [1, 4]);
   * ```
   *
   * @param start The first; negative ones count from the end.
   * @param end Where to stop; negative ones count from the end.
   */
  slice(start?: number, end?: number): CopyOf<E>[];
  /**
   * Stores several elements, one after the other. If one of them does not fit,
   * none is stored.
   *
   * @example In the middle
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const squares = new Array("i", 4);
   * squares.setSlice(2, [4, 9]);
   * assertEquals(squares.toArray(), [0, 0, 4, 9]);
   * assertThrows(() => squares.setSlice(2, [4, 9, 16]), RangeError, "same size");
   * ```
   *
   * @param start Where the first goes; negative ones count from the end.
   * @param items The elements.
   * @throws {TypeError} If one of them is of another type.
   * @throws {RangeError} If one of them does not fit, or there are more of them
   * than elements from there on.
   */
  setSlice(start: number, items: ItemsOf<E>): void;
  /**
   * Copies of all elements.
   *
   * @example What is done to the copy
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const squares = new Array("i", [0, 1, 4]);
   * squares.toArray().reverse();
   * assertEquals(squares.toArray(), [0, 1, 4]);
   * ```
   */
  toArray(): CopyOf<E>[];
  /**
   * Stores the same in all elements, or in those of a range.
   *
   * @example Everywhere
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(new Array("d", 3).fill(0.5).toArray(), [0.5, 0.5, 0.5]);
   * ```
   *
   * @param value What to store.
   * @param start The first; negative ones count from the end.
   * @param end Where to stop; negative ones count from the end.
   * @returns The array.
   * @throws {TypeError} If the value is of another type.
   * @throws {RangeError} If the value does not fit.
   */
  fill(value: InputOf<E>, start?: number, end?: number): this;
  /**
   * The memory itself, as a typed array: no copy, and the fastest way to work on
   * many elements.
   *
   * - **Checks:** none. What is stored through it wraps around, and is seen by
   *   others some time; with `Atomics` it is in order.
   * - **How long:** the memory stays while the view, or another made of it, can
   *   be reached, even if the array cannot. Under `worker` without `--allow-ffi`
   *   the `buffer` is a `SharedArrayBuffer` with much else in it: whoever asks for
   *   it has the memory kept until the program ends.
   * - **Sending:** to share the memory, send the array. The `buffer` must not be
   *   transferred, and what the system reads or writes there by itself has to be
   *   awaited before the view is let go.
   *
   * @example Sorting in place
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const numbers = new Array("d", [3, 1, 2]);
   * numbers.view.sort();
   * assertEquals(numbers.toArray(), [1, 2, 3]);
   * ```
   */
  readonly view: ViewOf<E>;
  /** The elements one after the other, each read when it is asked for. */
  [Symbol.iterator](): IterableIterator<ItemOf<E>>;
  /** Describes it, with its first elements. */
  toString(): string;
}

/** What shared arrays of characters have besides. */
export interface SharedText {
  /**
   * The text up to the first NUL, or all of it. Storing a shorter one fills the
   * rest with NULs. It is read and stored character by character.
   *
   * @example Room for ten
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const word = new Array("c", 10);
   * word.value = "hello";
   * assertEquals(word.value, "hello");
   * assertThrows(() => word.value = "hello world", RangeError, "too long");
   * ```
   *
   * @throws {RangeError} If it is too long.
   */
  value: string;
  /**
   * A copy of all bytes. Storing fewer leaves the rest as it is.
   *
   * @example With the NULs
   * ```ts
   * import { Array } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const word = new Array("c", 4);
   * word.value = "hi";
   * assertEquals(word.raw, new Uint8Array([104, 105, 0, 0]));
   * ```
   *
   * @throws {RangeError} If there are too many.
   */
  raw: Uint8Array;
}

/**
 * A shared array without a lock.
 *
 * - **Differs from Python:** see {@linkcode Array}.
 */
export type RawArray<E extends ElementType> =
  & SharedItems<E>
  & (E extends "c" | "u" ? SharedText : unknown);

/**
 * A shared array with a lock.
 *
 * - **Atomic:** each element is read and stored in one step. Whoever needs more
 *   than one step takes the lock, and so does everybody else then.
 * - **Types:** a code (see {@linkcode CodeTypes}), or the fields of a struct.
 * - **Memory:** reads as zero when new, and is given back when no process can
 *   reach it any more. Memory that a killed process could reach stays until the
 *   program ends.
 * - **Sending:** the array that arrives is the same memory.
 * - **Differs from Python:** what does not fit is refused rather than cut off;
 *   `slice()` and `setSlice()` stand for `array[a:b]`, `at()` and `set()` for
 *   `array[i]`.
 *
 * @example In a child too it would be the same memory
 * ```ts
 * import { Array } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const squares = new Array("i", 4);
 * await squares.withLock(() => {
 *   for (let i = 0; i < squares.length; i++) squares.set(i, i * i);
 * });
 * assertEquals(squares.toArray(), [0, 1, 4, 9]);
 * ```
 */
export type Array<E extends ElementType, L extends LockLike = RLock> =
  & RawArray<E>
  & Synchronized<RawArray<E>, L>;

/** Makes arrays without a lock. */
export interface RawArrayConstructor {
  /**
   * Creates an array.
   *
   * @param type The type of the elements: a code, or the fields of a struct.
   * @param sizeOrItems How many elements there are to be, or which.
   * @throws {TypeError} If there is no such type, or an item is of another one.
   * @throws {RangeError} If an item does not fit, the size is negative, or there
   * is not that much memory.
   */
  new <const E extends ElementType>(
    type: E,
    sizeOrItems: number | ItemsOf<E>,
  ): RawArray<E>;
}

/** Makes arrays with a lock, or without. */
export interface ArrayConstructor {
  /**
   * Creates an array without a lock.
   *
   * @param type The type of the elements: a code, or the fields of a struct.
   * @param sizeOrItems How many elements there are to be, or which.
   * @param options Says that there is to be no lock.
   * @throws {TypeError} If there is no such type, or an item is of another one.
   * @throws {RangeError} If an item does not fit, the size is negative, or there
   * is not that much memory.
   */
  new <const E extends ElementType>(
    type: E,
    sizeOrItems: number | ItemsOf<E>,
    options: NoLockOptions,
  ): RawArray<E>;
  /**
   * Creates an array.
   *
   * @param type The type of the elements: a code, or the fields of a struct.
   * @param sizeOrItems How many elements there are to be, or which.
   * @param options With which lock.
   * @throws {TypeError} If there is no such type, an item is of another one, or
   * the lock is none.
   * @throws {RangeError} If an item does not fit, the size is negative, or there
   * is not that much memory.
   */
  new <const E extends ElementType, L extends LockLike = RLock>(
    type: E,
    sizeOrItems: number | ItemsOf<E>,
    options?: LockOptions<L>,
  ): Array<E, L>;
}

/**
 * Makes arrays without a lock.
 *
 * @example Enough where each element is one process's own
 * ```ts
 * import { RawArray } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const done = new RawArray("B", 3);
 * done.set(1, 1);
 * assertEquals([...done], [0, 1, 0]);
 * ```
 */
export const RawArray: RawArrayConstructor = class RawArray {
  constructor(type: ElementType, sizeOrItems: unknown) {
    return makeItems(new.target, type, sizeOrItems);
  }

  static [Symbol.hasInstance](object: unknown): boolean {
    return object instanceof Items && !isWrapper(object);
  }
} as unknown as RawArrayConstructor;

/**
 * Makes arrays with a lock; see the type {@linkcode Array}.
 *
 * @example Structs
 * ```ts
 * import { Array } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const points = new Array({ x: "d", y: "d" }, [{ x: 1, y: 2 }, { x: 3 }]);
 * for (const point of points) point.x *= 10;
 * assertEquals(points.toArray(), [{ x: 10, y: 2 }, { x: 30, y: 0 }]);
 * ```
 */
export const Array: ArrayConstructor = class Array {
  constructor(
    type: ElementType,
    sizeOrItems: unknown,
    options: LockOptions<LockLike> | NoLockOptions = {},
  ) {
    checkOptionsObject(options, "create an array", "{ lock: false }");
    const { lock } = options;
    const raw = makeItems(new.target, type, sizeOrItems);
    if (lock === false) return raw;
    return lockItems(raw, lockFor(lock, raw.plot.kind));
  }

  static [Symbol.hasInstance](object: unknown): boolean {
    return object instanceof Items && isWrapper(object);
  }
} as unknown as ArrayConstructor;

/**
 * Typed places in shared memory: for each type code how a value is checked,
 * stored and read.
 *
 * **Guarantees.** Each reading and storing of one element is atomic and in one
 * order for everybody, whatever its size: a reader sees a value that was stored,
 * never half of one. JavaScript promises that for whole numbers only, so floats
 * are stored and read as the whole numbers their bits make. Working on a range
 * ({@linkcode Elements.list}, {@linkcode Elements.storeAll}) is many such steps,
 * and plain ones.
 *
 * **Nothing is changed on the way.** What does not fit is refused, where C and
 * typed arrays would cut it off without a word. Only adding wraps around, as C
 * does: to see an overflow coming, one would have to look and add in one step.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { show } from "./_texts.ts";

/** An index, or the name of a field. */
export type Where = number | string;

/** Elements of one type that lie one behind the other. */
export interface Elements<T> {
  /** What C calls the type. */
  readonly typeName: string;
  /**
   * Checks a value that is to be stored.
   *
   * @param value The value.
   * @param where Which of several places it is for.
   * @returns What to store: a copy, if it could change in the meantime.
   * @throws {TypeError} If it is of another type.
   * @throws {RangeError} If it does not fit.
   */
  check(value: unknown, where?: Where): T;
  /** Reads one. */
  load(index: number): T;
  /** Stores one that has been checked. */
  store(index: number, value: T): void;
  /** Reads those from `start` to before `end`. */
  list(start: number, end: number): T[];
  /** Stores several that have been checked. */
  storeAll(index: number, values: ArrayLike<T>): void;
  /** Stores one that has been checked from `start` to before `end`. */
  fill(value: T, start: number, end: number): void;
}

/** Elements that can be changed in one step. */
export interface Cells<T> extends Elements<T> {
  /**
   * Adds to one.
   *
   * @returns What it is then.
   * @throws {TypeError} If one cannot add that.
   */
  add(index: number, amount: T): T;
  /**
   * Stores a value if the present one is as expected; both are checked.
   *
   * @returns What it was.
   */
  compareExchange(index: number, expected: T, replacement: T): T;
}

type IntView =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** A typed array as a row of what it holds. */
interface Numbers<T> extends ArrayLike<T> {
  set(values: ArrayLike<T>, index: number): void;
  fill(value: T, start: number, end: number): void;
}

/** What all that are stored as they are have in common. */
abstract class Row<T> {
  readonly #row: Numbers<T>;

  constructor(row: Numbers<T>) {
    this.#row = row;
  }

  list(start: number, end: number): T[] {
    // Faster than spreading by two to five times.
    const copy: T[] = [];
    for (let i = start; i < end; i++) copy.push(this.#row[i]!);
    return copy;
  }

  storeAll(index: number, values: ArrayLike<T>): void {
    this.#row.set(values, index);
  }

  fill(value: T, start: number, end: number): void {
    this.#row.fill(value, start, end);
  }
}

/** More than any sum wraps around in 32 bits. */
const TWO_TO_32 = 2 ** 32;

export class IntCells extends Row<number> implements Cells<number> {
  readonly typeName: string;
  readonly #view: IntView;
  /** Wraps as the memory does. */
  readonly #wrap: IntView;
  readonly #min: number;
  readonly #max: number;

  constructor(typeName: string, view: IntView) {
    super(view);
    this.typeName = typeName;
    this.#view = view;
    const { wrap, min, max } = rangeOf(view.constructor as IntClass);
    this.#wrap = wrap;
    this.#min = min;
    this.#max = max;
  }

  check(value: unknown, where?: Where): number {
    if (typeof value !== "number" || !Number.isInteger(value)) {
      throw new TypeError(
        refusal(value, where, this.typeName, "must be an integer"),
      );
    }
    if (value < this.#min || value > this.#max) {
      throw new RangeError(
        refusal(
          value,
          where,
          this.typeName,
          `must be from ${this.#min} to ${this.#max}`,
        ),
      );
    }
    return value;
  }

  load(index: number): number {
    return Atomics.load(this.#view, index);
  }

  store(index: number, value: number): void {
    Atomics.store(this.#view, index, value);
  }

  add(index: number, amount: number): number {
    if (!Number.isSafeInteger(amount)) {
      throw new TypeError(unaddable(amount, this.typeName, "an integer"));
    }
    this.#wrap[0] = Atomics.add(this.#view, index, amount) +
      amount % TWO_TO_32;
    return this.#wrap[0]!;
  }

  compareExchange(
    index: number,
    expected: number,
    replacement: number,
  ): number {
    this.check(expected);
    this.check(replacement);
    return Atomics.compareExchange(this.#view, index, expected, replacement);
  }
}

export class BigCells extends Row<bigint> implements Cells<bigint> {
  readonly typeName: string;
  readonly #view: BigInt64Array | BigUint64Array;
  readonly #min: bigint;
  readonly #max: bigint;
  readonly #wrap: (bits: number, value: bigint) => bigint;

  constructor(typeName: string, view: BigInt64Array | BigUint64Array) {
    super(view);
    this.typeName = typeName;
    this.#view = view;
    const signed = view instanceof BigInt64Array;
    this.#wrap = signed ? BigInt.asIntN : BigInt.asUintN;
    this.#min = signed ? -(2n ** 63n) : 0n;
    this.#max = signed ? 2n ** 63n - 1n : 2n ** 64n - 1n;
  }

  check(value: unknown, where?: Where): bigint {
    if (typeof value !== "bigint") {
      const advice = Number.isInteger(value) ? `: write ${value}n` : "";
      throw new TypeError(
        refusal(value, where, this.typeName, `must be a bigint${advice}`),
      );
    }
    if (value < this.#min || value > this.#max) {
      throw new RangeError(
        refusal(
          value,
          where,
          this.typeName,
          `must be from ${this.#min} to ${this.#max}`,
        ),
      );
    }
    return value;
  }

  load(index: number): bigint {
    return Atomics.load(this.#view, index);
  }

  store(index: number, value: bigint): void {
    Atomics.store(this.#view, index, value);
  }

  add(index: number, amount: bigint): bigint {
    if (typeof amount !== "bigint") {
      throw new TypeError(unaddable(amount, this.typeName, "a bigint"));
    }
    const before = Atomics.add(this.#view, index, amount);
    return this.#wrap(64, before + amount);
  }

  compareExchange(
    index: number,
    expected: bigint,
    replacement: bigint,
  ): bigint {
    this.check(expected);
    this.check(replacement);
    return Atomics.compareExchange(this.#view, index, expected, replacement);
  }
}

// A float and the whole number that has the same bits.
const bits32 = new Int32Array(1);
const float32 = new Float32Array(bits32.buffer);
const bits64 = new BigInt64Array(1);
const float64 = new Float64Array(bits64.buffer);

abstract class FloatCells extends Row<number> implements Cells<number> {
  abstract readonly typeName: string;
  abstract load(index: number): number;
  abstract store(index: number, value: number): void;
  /** As it is when it has been stored. */
  protected abstract rounded(value: number): number;
  /**
   * Replaces a value by what is made of it, in one step. Compares bits: a NaN
   * may have others than those JavaScript would give it.
   *
   * @param change Gives the new value, or `undefined` to leave it.
   * @returns What it was.
   */
  protected abstract update(
    index: number,
    change: (was: number) => number | undefined,
  ): number;

  check(value: unknown, where?: Where): number {
    if (typeof value === "number") return value;
    throw new TypeError(
      refusal(value, where, this.typeName, "must be a number"),
    );
  }

  add(index: number, amount: number): number {
    if (typeof amount !== "number") {
      throw new TypeError(unaddable(amount, this.typeName, "a number"));
    }
    return this.rounded(this.update(index, (was) => was + amount) + amount);
  }

  compareExchange(
    index: number,
    expected: number,
    replacement: number,
  ): number {
    this.check(expected);
    this.check(replacement);
    const sought = this.rounded(expected);
    return this.update(index, (was) => {
      const isSame = was === sought || (was !== was && sought !== sought);
      return isSame ? replacement : undefined;
    });
  }
}

export class Float32Cells extends FloatCells {
  readonly typeName = "c_float";
  readonly #bits: Int32Array;

  constructor(view: Float32Array) {
    super(view);
    this.#bits = new Int32Array(view.buffer, view.byteOffset, view.length);
  }

  load(index: number): number {
    bits32[0] = Atomics.load(this.#bits, index);
    return float32[0]!;
  }

  store(index: number, value: number): void {
    float32[0] = value;
    Atomics.store(this.#bits, index, bits32[0]!);
  }

  protected rounded(value: number): number {
    return Math.fround(value);
  }

  protected update(
    index: number,
    change: (was: number) => number | undefined,
  ): number {
    let was = Atomics.load(this.#bits, index);
    while (true) {
      bits32[0] = was;
      const value = float32[0]!;
      const next = change(value);
      if (next === undefined) return value;
      float32[0] = next;
      const seen = Atomics.compareExchange(
        this.#bits,
        index,
        was,
        bits32[0]!,
      );
      if (seen === was) return value;
      was = seen;
    }
  }
}

export class Float64Cells extends FloatCells {
  readonly typeName = "c_double";
  readonly #bits: BigInt64Array;

  constructor(view: Float64Array) {
    super(view);
    this.#bits = new BigInt64Array(view.buffer, view.byteOffset, view.length);
  }

  load(index: number): number {
    bits64[0] = Atomics.load(this.#bits, index);
    return float64[0]!;
  }

  store(index: number, value: number): void {
    float64[0] = value;
    Atomics.store(this.#bits, index, bits64[0]!);
  }

  protected rounded(value: number): number {
    return value;
  }

  protected update(
    index: number,
    change: (was: number) => number | undefined,
  ): number {
    let was = Atomics.load(this.#bits, index);
    while (true) {
      bits64[0] = was;
      const value = float64[0]!;
      const next = change(value);
      if (next === undefined) return value;
      float64[0] = next;
      const seen = Atomics.compareExchange(
        this.#bits,
        index,
        was,
        bits64[0]!,
      );
      if (seen === was) return value;
      was = seen;
    }
  }
}

/** The last code point of Unicode. */
const LAST_CODE_POINT = 0x10_ffff;

export class CharCells implements Cells<string> {
  readonly typeName: string;
  readonly #view: Uint8Array | Uint32Array;
  readonly #last: number;

  constructor(typeName: string, view: Uint8Array | Uint32Array) {
    this.typeName = typeName;
    this.#view = view;
    this.#last = view instanceof Uint8Array ? 0xff : LAST_CODE_POINT;
  }

  check(value: unknown, where?: Where): string {
    if (typeof value !== "string" || !isOneCharacter(value)) {
      throw new TypeError(
        refusal(
          value,
          where,
          this.typeName,
          "must be a string of one character",
        ),
      );
    }
    if (value.codePointAt(0)! > this.#last) {
      throw new RangeError(
        refusal(
          value,
          where,
          this.typeName,
          `must be one byte, U+0000 to U+00FF: use code "u" for text of any script`,
        ),
      );
    }
    return value;
  }

  load(index: number): string {
    return character(Atomics.load(this.#view, index));
  }

  store(index: number, value: string): void {
    Atomics.store(this.#view, index, value.codePointAt(0)!);
  }

  list(start: number, end: number): string[] {
    return globalThis.Array.from(this.#view.subarray(start, end), character);
  }

  storeAll(index: number, values: ArrayLike<string>): void {
    for (let i = 0; i < values.length; i++) {
      this.#view[index + i] = values[i]!.codePointAt(0)!;
    }
  }

  fill(value: string, start: number, end: number): void {
    this.#view.fill(value.codePointAt(0)!, start, end);
  }

  add(): never {
    throw new TypeError(
      `Cannot add to a ${this.typeName} as it is a character`,
    );
  }

  compareExchange(
    index: number,
    expected: string,
    replacement: string,
  ): string {
    this.check(expected);
    this.check(replacement);
    return character(
      Atomics.compareExchange(
        this.#view,
        index,
        expected.codePointAt(0)!,
        replacement.codePointAt(0)!,
      ),
    );
  }
}

function isOneCharacter(text: string): boolean {
  return text.length > 0 &&
    text.length === character(text.codePointAt(0)!).length;
}

function character(codePoint: number): string {
  // Through a view anything can be stored; what is no character must not throw.
  return codePoint > LAST_CODE_POINT
    ? "\ufffd"
    : String.fromCodePoint(codePoint);
}

type IntClass = new (length: number) => IntView;
interface IntRange {
  readonly wrap: IntView;
  readonly min: number;
  readonly max: number;
}
const ranges = new Map<IntClass, IntRange>();

/** What fits into the elements of a typed array: it knows best itself. */
function rangeOf(cls: IntClass): IntRange {
  let range = ranges.get(cls);
  if (!range) {
    const wrap = new cls(1);
    const bits = wrap.BYTES_PER_ELEMENT * 8;
    wrap[0] = -1;
    const max = wrap[0]! < 0 ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
    wrap[0] = max + 1;
    range = { wrap, min: wrap[0]!, max };
    ranges.set(cls, range);
  }
  return range;
}

function refusal(
  value: unknown,
  where: Where | undefined,
  typeName: string,
  must: string,
): string {
  const place = where === undefined
    ? ""
    : typeof where === "number"
    ? ` at index ${where}`
    : ` in field "${where}"`;
  return `Cannot store ${show(value)}${place} as a ${typeName} ${must}`;
}

function unaddable(amount: unknown, typeName: string, what: string): string {
  return `Cannot add ${show(amount)} to a ${typeName} as it must be ${what}`;
}

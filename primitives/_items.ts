/**
 * Values of one type in a row in shared memory, and the same with a lock.
 *
 * Data of the plot: the elements, one behind the other, from its first byte on ·
 * everybody, each by atomic steps (`_cells.ts`) · everybody.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { travelsAs } from "./block.ts";
import type { Elements } from "./_cells.ts";
import { bytesOf, cellsOf, checkCode, viewClassOf } from "./_codes.ts";
import type { TypeCode, ViewClass } from "./_codes.ts";
import { showAsText } from "./inspect.ts";
import { compose, lockable, partsOf } from "./_lockable.ts";
import type { LockLike } from "./_lockable.ts";
import { Plot } from "./_plot.ts";
import { show, textOf } from "./_texts.ts";
import { viewFor } from "./_views.ts";
import { layoutOf, regionOf, StructElements } from "./struct.ts";
import type { StructFields } from "./struct.ts";

/** What an array can hold: values of a code, or structs of some fields. */
export type ElementType = TypeCode | StructFields;

/** How many elements the text that describes an array shows. */
const SHOWN = 10;
/** How many characters are made into a string at once. */
const CHUNK = 4096;

/** A typed array of numbers or bigints, as far as it is used here. */
interface View extends ArrayBufferView {
  readonly length: number;
  set(values: ArrayLike<unknown>, index: number): void;
}

/** What there is to know of a type of elements. */
interface Kind {
  readonly bytes: number;
  readonly view: ViewClass<View>;
  /** How many elements of the view are one of these. */
  readonly width: number;
  open(plot: Plot, length: number): Elements<unknown>;
}

function kindOfElements(type: ElementType): Kind {
  if (typeof type !== "object" || type === null) {
    checkCode(type);
    return {
      bytes: bytesOf(type),
      view: viewClassOf(type) as ViewClass<ArrayBufferView> as ViewClass<View>,
      width: 1,
      open: ({ buffer, byteOffset }, length) =>
        cellsOf(type, buffer, byteOffset, length),
    };
  }
  const layout = layoutOf(type);
  return {
    bytes: layout.stride,
    view: Uint8Array as ViewClass<ArrayBufferView> as ViewClass<View>,
    width: layout.stride,
    open: (plot, length) => new StructElements(regionOf(plot, layout, length)),
  };
}

/** An array without a lock. */
export class Items {
  /** What it holds. */
  readonly type: ElementType;
  /** Where it lies. */
  readonly plot: Plot;
  /** How many there are. */
  readonly length: number;
  readonly #kind: Kind;
  readonly #elements: Elements<unknown>;
  #view: View | undefined;

  static {
    showAsText(this);
    travelsAs(
      this,
      ({ plot, type, length }: Items) => ({
        tag: "RawArray",
        data: [plot, type, length],
      }),
    );
  }

  /**
   * Opens the elements in a plot.
   *
   * @param plot The plot.
   * @param type What they are.
   * @param length How many.
   */
  constructor(plot: Plot, type: ElementType, length: number) {
    this.type = type;
    this.plot = plot;
    this.length = length;
    this.#kind = kindOfElements(type);
    this.#elements = this.#kind.open(plot, length);
  }

  at(index: number): unknown {
    return this.#elements.load(this.#place(index));
  }

  set(index: number, value: unknown): void {
    const place = this.#place(index);
    this.#elements.store(place, this.#elements.check(value, place));
  }

  slice(start?: number, end?: number): unknown[] {
    const [from, to] = this.#range(start, end);
    return this.#elements.list(from, Math.max(from, to));
  }

  setSlice(start: number, items: unknown): void {
    const values = listOf(items);
    const { length } = values;
    const from = start < 0 ? start + this.length : start;
    if (!Number.isInteger(from) || from < 0 || from > this.length) {
      throw new RangeError(
        `Cannot set elements at ${
          show(start)
        } of ${this.length}: invalid index`,
      );
    }
    if (from + length > this.length) {
      throw new RangeError(
        `Cannot set ${length} elements at ${start} of ${this.length}: Can only assign sequence of same size`,
      );
    }
    if (values instanceof this.#kind.view && this.#isPlain()) {
      return this.#memory().set(values, from);
    }
    const copy = copyOf(values);
    for (let i = 0; i < length; i++) {
      copy[i] = this.#elements.check(copy[i], from + i);
    }
    this.#elements.storeAll(from, copy);
  }

  toArray(): unknown[] {
    return this.slice();
  }

  fill(value: unknown, start?: number, end?: number): this {
    const checked = this.#elements.check(value);
    const [from, to] = this.#range(start, end);
    this.#elements.fill(checked, from, to);
    return this;
  }

  get view(): View {
    const { plot } = this;
    const { view, width } = this.#kind;
    return this.#view ??= viewFor(plot, plot, view, this.length * width);
  }

  *[Symbol.iterator](): IterableIterator<unknown> {
    for (let i = 0; i < this.length; i++) yield this.#elements.load(i);
  }

  toString(): string {
    return `${this.typeName}([${this.#shown().join(", ")}])`;
  }

  /** What C would call the type of the whole. */
  get typeName(): string {
    return `${this.#elements.typeName}_Array_${this.length}`;
  }

  #shown(): string[] {
    const shown = this.slice(0, SHOWN).map((item) =>
      typeof item === "object" ? show(item) : textOf(item)
    );
    return this.length > SHOWN ? [...shown, "…"] : shown;
  }

  #place(index: number): number {
    const place = index < 0 ? index + this.length : index;
    if (Number.isInteger(place) && place >= 0 && place < this.length) {
      return place;
    }
    throw new RangeError(
      `Cannot reach element ${show(index)} of ${this.length}: invalid index`,
    );
  }

  /** As `Array.prototype.slice()` understands it. */
  #range(start = 0, end: number = this.length): [number, number] {
    const clamp = (at: number) =>
      Math.min(Math.max(at < 0 ? at + this.length : at, 0), this.length);
    return [clamp(Math.trunc(start) || 0), clamp(Math.trunc(end) || 0)];
  }

  /** Whether whatever fits into the view is a value. */
  #isPlain(): boolean {
    return typeof this.type === "string" && this.type !== "u";
  }

  /** The same as the view, for use here. */
  #memory(): View {
    const { buffer, byteOffset } = this.plot;
    const { view, width } = this.#kind;
    return new view(buffer, byteOffset, this.length * width);
  }
}

/** An array of characters without a lock. */
export class Text extends Items {
  get value(): string {
    let text = "";
    for (let i = 0; i < this.length; i += CHUNK) {
      const chunk = this.slice(i, i + CHUNK).join("");
      const end = chunk.indexOf("\0");
      if (end >= 0) return text + chunk.slice(0, end);
      text += chunk;
    }
    return text;
  }

  set value(text: string) {
    if (typeof text !== "string") {
      throw new TypeError(
        `Cannot store ${show(text)} as text as it must be a string`,
      );
    }
    const characters = [...text];
    this.#checkFit(characters.length);
    this.setSlice(0, characters);
    this.fill("\0", characters.length);
  }

  get raw(): Uint8Array {
    return this.#bytes().slice();
  }

  set raw(bytes: Uint8Array) {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot store ${show(bytes)} as bytes as it must be a Uint8Array`,
      );
    }
    const mine = this.#bytes();
    if (bytes.length > mine.length) {
      throw this.#tooLong(
        `${bytes.length} bytes in an array of ${mine.length} bytes`,
      );
    }
    mine.set(bytes);
  }

  override toString(): string {
    return `${this.typeName}(${textOf(this.value)})`;
  }

  #checkFit(length: number): void {
    if (length <= this.length) return;
    throw this.#tooLong(`${length} characters in an array of ${this.length}`);
  }

  #tooLong(whatWhere: string): RangeError {
    const what = this.type === "c" ? "byte string" : "string";
    return new RangeError(`Cannot store ${whatWhere}: ${what} too long`);
  }

  #bytes(): Uint8Array {
    const { buffer, byteOffset, byteLength } = this.plot;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
}

/** An array with a lock. */
export class LockedItems extends Items {
  static {
    wrapsItems(this);
  }

  /**
   * Gives an array a lock.
   *
   * @param raw The array.
   * @param lock The lock.
   */
  constructor(raw: Items, lock: LockLike) {
    super(raw.plot, raw.type, raw.length);
    compose(this, raw, lock);
  }

  override toString(): string {
    return `<SynchronizedArray wrapper for ${super.toString()}>`;
  }
}

/** An array of characters with a lock. */
export class LockedText extends Text {
  static {
    wrapsItems(this);
  }

  /**
   * Gives an array a lock.
   *
   * @param raw The array.
   * @param lock The lock.
   */
  constructor(raw: Text, lock: LockLike) {
    super(raw.plot, raw.type, raw.length);
    compose(this, raw, lock);
  }

  override toString(): string {
    return `<SynchronizedString wrapper for ${super.toString()}>`;
  }
}

function wrapsItems(cls: { readonly prototype: object }): void {
  lockable(cls);
  travelsAs(cls, (array: object) => {
    const { raw, lock } = partsOf(array);
    return { tag: "Array", data: [raw, lock] };
  });
}

/** Whether arrays of a type are text. */
function isText(type: ElementType): boolean {
  return type === "c" || type === "u";
}

/**
 * Makes an array.
 *
 * @param cls The class made for a context that wants it.
 * @param type What it holds.
 * @param sizeOrItems How many, or which.
 * @throws {TypeError} If one of them is of the wrong type.
 * @throws {RangeError} If there is not that much memory.
 */
export function makeItems(
  // deno-lint-ignore ban-types -- any class
  cls: Function,
  type: ElementType,
  sizeOrItems: unknown,
): Items {
  const { bytes } = kindOfElements(type);
  const items = typeof sizeOrItems === "number"
    ? undefined
    : listOf(sizeOrItems);
  const length = items ? items.length : sizeOrItems as number;
  if (!Number.isInteger(length)) {
    throw new TypeError(
      `Cannot create an array as its length must be an integer: it is ${length}`,
    );
  }
  if (length < 0) {
    throw new RangeError(`Array length must be >= 0, not ${length}`);
  }
  const plot = new Plot(cls, "shared Array", length * bytes);
  const made = openItems(plot, type, length);
  if (items) made.setSlice(0, items);
  return made;
}

function openItems(plot: Plot, type: ElementType, length: number): Items {
  return isText(type)
    ? new Text(plot, type, length)
    : new Items(plot, type, length);
}

/**
 * Gives an array a lock.
 *
 * @param raw The array.
 * @param lock The lock.
 */
export function lockItems(raw: Items, lock: LockLike): Items {
  return raw instanceof Text
    ? new LockedText(raw, lock)
    : new LockedItems(raw, lock);
}

/** Items in something that knows how many they are. */
function listOf(items: unknown): ArrayLike<unknown> {
  if (globalThis.Array.isArray(items)) return items;
  if (ArrayBuffer.isView(items) && "length" in items) {
    return items as ArrayBufferView & ArrayLike<unknown>;
  }
  if (typeof items === "string") return [...items];
  if (typeof items === "object" && items !== null && Symbol.iterator in items) {
    return [...items as Iterable<unknown>];
  }
  throw new TypeError(
    `Cannot store ${show(items)} in an array as it must be iterable`,
  );
}

const sliceOfView: (this: ArrayLike<unknown>) => unknown[] =
  Object.getPrototypeOf(Uint8Array.prototype).slice;

/** So that what is stored is what was checked: others may write to the original. */
function copyOf(values: ArrayLike<unknown>): unknown[] {
  return globalThis.Array.isArray(values)
    ? values.slice()
    : sliceOfView.call(values);
}

registerTag("RawArray", (data) => {
  const [plot, type, length] = data as [Plot, ElementType, number];
  return openItems(plot, type, length);
});
registerTag("Array", (data) => {
  const [raw, lock] = data as [Items, LockLike];
  return lockItems(raw, lock);
});

/**
 * Structs in shared memory: values of several types side by side, each under its
 * name, laid out as C does.
 *
 * **Guarantees.** A field is read and stored in one atomic step (`_cells.ts`).
 * Several fields are several steps: who has to see them fit together takes the
 * lock.
 *
 * Data of the plot: the structs one behind the other; in each the fields in their
 * order, each at a multiple of its own size, and the whole a multiple of the
 * largest of these · everybody, field by field · everybody.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { travelsAs } from "./block.ts";
import type { Cells, Elements } from "./_cells.ts";
import { bytesOf, cellsOf, checkCode } from "./_codes.ts";
import type { TypeCode, ValueOf } from "./_codes.ts";
import { showAsText } from "./inspect.ts";
import { compose, lockable, partsOf } from "./_lockable.ts";
import type { LockLike } from "./_lockable.ts";
import type { Plot } from "./_plot.ts";
import { show, textOf } from "./_texts.ts";

/** The fields of a struct: the type code of each, by name. */
export type StructFields = Readonly<Record<string, TypeCode>>;

/** The values of the fields of a struct. */
export type StructRecord<F extends StructFields> = {
  -readonly [K in keyof F]: ValueOf<F[K]>;
};

/** What a struct has besides its fields. */
export interface StructMethods<F extends StructFields> {
  /**
   * The fields in a plain object, which `{ ...struct }` would not give.
   *
   * @example A copy that stays as it is
   * ```ts
   * import { RawValue } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const point = new RawValue({ x: "d", y: "d" }, { x: 1.5, y: 2 });
   * const before = point.toObject();
   * point.x = 0;
   * assertEquals(before, { x: 1.5, y: 2 });
   * ```
   */
  toObject(): StructRecord<F>;
  /**
   * Sets some fields. If one of the values does not fit, none is set.
   *
   * @example All at once, as far as other tasks of this process can see
   * ```ts
   * import { RawValue } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const point = new RawValue({ x: "d", y: "d" });
   * point.assign({ x: 1.5 });
   * assertEquals(point.toObject(), { x: 1.5, y: 0 });
   * ```
   *
   * @param values The new values.
   * @throws {TypeError} If there is no such field, or its type is another.
   * @throws {RangeError} If a number does not fit.
   */
  assign(values: Partial<StructRecord<F>>): void;
  /** The same as {@linkcode StructMethods.toObject}, for `JSON.stringify()`. */
  toJSON(): StructRecord<F>;
  /** Describes it, with its values. */
  toString(): string;
}

/** A struct without a lock; its fields are properties. */
export type RawStruct<F extends StructFields> =
  & StructRecord<F>
  & StructMethods<F>;

/** Any field values. */
type Values = Record<string, unknown>;

/** Values of fields in their order, as they were checked; `undefined` for none. */
type FieldValues = readonly unknown[];

/** Where a field lies. */
interface Field {
  readonly name: string;
  readonly code: TypeCode;
  /** Which element of its type it is, counted from the first struct. */
  readonly first: number;
  /** The same field of the next struct is so many elements further. */
  readonly step: number;
}

/** How structs of certain fields lie in memory. */
export interface Layout {
  /** The fields as they were given: they travel. */
  readonly entries: readonly (readonly [name: string, code: TypeCode])[];
  readonly fields: readonly Field[];
  /** Bytes from one struct to the next. */
  readonly stride: number;
  readonly raw: typeof StructValue;
  readonly locked: typeof LockedStruct;
}

/** Structs of one layout in a plot. */
export interface Region {
  readonly plot: Plot;
  readonly layout: Layout;
  readonly count: number;
  /** For each field, the plot as elements of its type. */
  readonly cells: readonly Cells<unknown>[];
}

// What the rest of this file needs of a struct. Names on the struct itself belong
// to its fields, so it has as few as can be.
let placeOf: (struct: StructValue) => { region: Region; index: number };
let loadField: (struct: StructValue, number: number) => unknown;
let storeField: (struct: StructValue, number: number, value: unknown) => void;
let storeFields: (struct: StructValue, values: FieldValues) => void;

/** One of them. */
export class StructValue {
  readonly #region: Region;
  readonly #index: number;

  static {
    placeOf = (struct) => ({ region: struct.#region, index: struct.#index });
    loadField = (struct, number) => struct.#load(number);
    storeField = (struct, number, value) => struct.#store(number, value);
    storeFields = (struct, values) => struct.#putAll(values);
    showAsText(this);
    travelsAs(this, (struct: StructValue) => {
      const { plot, layout, count } = struct.#region;
      const { entries } = layout;
      return { tag: "RawStruct", data: [plot, entries, count, struct.#index] };
    });
  }

  /**
   * Opens one struct.
   *
   * @param region Where structs lie.
   * @param index Which of them.
   */
  constructor(region: Region, index: number) {
    this.#region = region;
    this.#index = index;
    // A misspelt field would become a property that nobody else sees.
    Object.preventExtensions(this);
  }

  toObject(): Values {
    const { fields } = this.#region.layout;
    return Object.fromEntries(
      fields.map(({ name }, number) => [name, this.#load(number)]),
    );
  }

  toJSON(): Values {
    return this.toObject();
  }

  assign(values: Values): void {
    this.#putAll(checkValues(this.#region, values));
  }

  toString(): string {
    const texts = Object.entries(this.toObject())
      .map(([name, value]) => `${name}=${textOf(value)}`);
    return `Struct(${texts.join(", ")})`;
  }

  #load(number: number): unknown {
    const { cells, layout } = this.#region;
    const { first, step } = layout.fields[number]!;
    return cells[number]!.load(first + this.#index * step);
  }

  #store(number: number, value: unknown): void {
    const { cells, layout } = this.#region;
    this.#put(number, cells[number]!.check(value, layout.fields[number]!.name));
  }

  #putAll(values: FieldValues): void {
    values.forEach((value, number) => {
      if (value !== undefined) this.#put(number, value);
    });
  }

  #put(number: number, value: unknown): void {
    const { cells, layout } = this.#region;
    const { first, step } = layout.fields[number]!;
    cells[number]!.store(first + this.#index * step, value);
  }
}

/** One with a lock. */
export class LockedStruct extends StructValue {
  static {
    lockable(this);
    travelsAs(this, (struct: object) => {
      const { raw, lock } = partsOf(struct);
      return { tag: "Struct", data: [raw, lock] };
    });
  }

  override toString(): string {
    return `<SynchronizedStruct wrapper for ${super.toString()}>`;
  }
}

/** Structs as the elements of an array; stored as what {@linkcode check} gives. */
export class StructElements implements Elements<unknown> {
  readonly typeName = "Struct";
  readonly #region: Region;

  /**
   * Opens them.
   *
   * @param region Where they lie.
   */
  constructor(region: Region) {
    this.#region = region;
  }

  check(value: unknown): FieldValues {
    return checkValues(this.#region, value);
  }

  load(index: number): StructValue {
    return new this.#region.layout.raw(this.#region, index);
  }

  store(index: number, value: unknown): void {
    storeFields(this.load(index), value as FieldValues);
  }

  list(start: number, end: number): Values[] {
    return globalThis.Array.from(
      { length: end - start },
      (_, i) => this.load(start + i).toObject(),
    );
  }

  storeAll(index: number, values: ArrayLike<unknown>): void {
    for (let i = 0; i < values.length; i++) this.store(index + i, values[i]);
  }

  fill(value: unknown, start: number, end: number): void {
    for (let i = start; i < end; i++) this.store(i, value);
  }
}

const layouts = new Map<string, Layout>();

/**
 * The layout of structs with certain fields.
 *
 * @param fields The fields.
 * @throws {TypeError} If they are no fields.
 */
export function layoutOf(fields: unknown): Layout {
  if (
    typeof fields !== "object" || fields === null ||
    Object.keys(fields).length === 0
  ) {
    checkCode(fields); // says what there could be instead
  }
  return layoutFor(Object.entries(fields as StructFields));
}

function layoutFor(entries: Layout["entries"]): Layout {
  const key = JSON.stringify(entries);
  let layout = layouts.get(key);
  if (layout) return layout;
  let end = 0;
  let alignment = 1;
  const offsets = entries.map(([name, code]) => {
    checkField(name, code);
    const bytes = bytesOf(code);
    const offset = Math.ceil(end / bytes) * bytes;
    end = offset + bytes;
    alignment = Math.max(alignment, bytes);
    return offset;
  });
  const stride = Math.ceil(end / alignment) * alignment;
  const fields = entries.map(([name, code], i): Field => ({
    name,
    code,
    first: offsets[i]! / bytesOf(code),
    step: stride / bytesOf(code),
  }));
  const raw = class Struct extends StructValue {};
  const locked = class SynchronizedStruct extends LockedStruct {};
  for (const { prototype } of [raw, locked]) defineFields(prototype, fields);
  layout = { entries, fields, stride, raw, locked };
  layouts.set(key, layout);
  return layout;
}

function checkField(name: string, code: unknown): void {
  checkCode(code);
  // Those without a lock must not have fields that those with one cannot have.
  if (!(name in LockedStruct.prototype)) return;
  throw new TypeError(
    `Cannot name a field "${name}" as structs have a method of that name`,
  );
}

function defineFields(prototype: object, fields: readonly Field[]): void {
  fields.forEach(({ name }, number) => {
    Object.defineProperty(prototype, name, {
      get(this: StructValue): unknown {
        return loadField(this, number);
      },
      set(this: StructValue, value: unknown) {
        storeField(this, number, value);
      },
      enumerable: true,
    });
  });
}

/**
 * Checks the values of fields, and gives them as they were then: reading them
 * again may give others, as they may be those of a struct, or of getters.
 */
function checkValues(
  { cells, layout }: Region,
  values: unknown,
): FieldValues {
  if (
    typeof values !== "object" || values === null ||
    globalThis.Array.isArray(values)
  ) {
    throw new TypeError(
      `Cannot store ${
        show(values)
      } as a struct must be given as an object of its fields`,
    );
  }
  const names = layout.fields.map(({ name }) => name);
  const stranger = Object.keys(values).find((name) => !names.includes(name));
  if (stranger !== undefined) {
    throw new TypeError(
      `Cannot store ${show(values)} as there is no field "${stranger}": there ${
        names.length === 1 ? "is" : "are"
      } ${names.map((name) => `"${name}"`).join(", ")}`,
    );
  }
  return names.map((name, number) => {
    const value = (values as Values)[name];
    return value === undefined ? undefined : cells[number]!.check(value, name);
  });
}

/**
 * Opens a plot as structs.
 *
 * @param plot The plot.
 * @param layout Their layout.
 * @param count How many.
 */
export function regionOf(plot: Plot, layout: Layout, count: number): Region {
  const { buffer, byteOffset } = plot;
  const cells = layout.fields.map(({ code }): Cells<unknown> =>
    cellsOf(code, buffer, byteOffset, count * layout.stride / bytesOf(code))
  );
  return { plot, layout, count, cells };
}

/**
 * Gives a struct a lock.
 *
 * @param raw The struct.
 * @param lock The lock.
 */
export function lockStruct(raw: StructValue, lock: LockLike): LockedStruct {
  const { region, index } = placeOf(raw);
  const locked = new region.layout.locked(region, index);
  compose(locked, raw, lock);
  return locked;
}

/** Where a struct lies, and how. */
export function placeOfStruct(
  struct: StructValue,
): { region: Region; index: number } {
  return placeOf(struct);
}

registerTag("RawStruct", (data) => {
  const [plot, entries, count, index] = data as [
    Plot,
    Layout["entries"],
    number,
    number,
  ];
  const layout = layoutFor(entries);
  return new layout.raw(regionOf(plot, layout, count), index);
});
registerTag("Struct", (data) => {
  const [raw, lock] = data as [StructValue, LockLike];
  return lockStruct(raw, lock);
});

/**
 * The type codes, and what there is to know of each.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  BigCells,
  CharCells,
  Float32Cells,
  Float64Cells,
  IntCells,
} from "./_cells.ts";
import type { Cells } from "./_cells.ts";
import { show } from "./_texts.ts";

/** The type of a value by its code. */
export interface CodeTypes {
  /** One byte, as a character from U+0000 to U+00FF. */
  c: string;
  /** One character of any script. */
  u: string;
  /** 8 bits with a sign. */
  b: number;
  /** 8 bits. */
  B: number;
  /** 16 bits with a sign. */
  h: number;
  /** 16 bits. */
  H: number;
  /** 32 bits with a sign. */
  i: number;
  /** 32 bits. */
  I: number;
  /** 64 bits with a sign. */
  l: bigint;
  /** 64 bits. */
  L: bigint;
  /** 64 bits with a sign. */
  q: bigint;
  /** 64 bits. */
  Q: bigint;
  /** A float of 32 bits: a number loses digits there. */
  f: number;
  /** A float of 64 bits: any number as it is. */
  d: number;
}

/** A letter for the type of a value, as in Python's `array` and `struct`. */
export type TypeCode = keyof CodeTypes;

/** What is stored under a type code. */
export type ValueOf<C extends TypeCode> = CodeTypes[C];

/** What can be added under a type code. */
export type AmountOf<C extends TypeCode> = C extends "c" | "u" ? never
  : CodeTypes[C];

/** The typed array that shows memory of a type code. */
export interface ViewTypes {
  /** Bytes. */
  c: Uint8Array;
  /** Code points. */
  u: Uint32Array;
  /** Numbers. */
  b: Int8Array;
  /** Numbers. */
  B: Uint8Array;
  /** Numbers. */
  h: Int16Array;
  /** Numbers. */
  H: Uint16Array;
  /** Numbers. */
  i: Int32Array;
  /** Numbers. */
  I: Uint32Array;
  /** Bigints. */
  l: BigInt64Array;
  /** Bigints. */
  L: BigUint64Array;
  /** Bigints. */
  q: BigInt64Array;
  /** Bigints. */
  Q: BigUint64Array;
  /** Numbers. */
  f: Float32Array;
  /** Numbers. */
  d: Float64Array;
}

/** Makes a typed array of a part of a buffer. */
export type ViewClass<V = ArrayBufferView> = new (
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
) => V;

/** What there is to know of a type code. */
interface Code {
  readonly view: ViewClass<ViewTypes[TypeCode]>;
  readonly bytes: number;
  cells(view: ViewTypes[TypeCode]): unknown;
}

function code<V extends ViewTypes[TypeCode]>(
  view: ViewClass<V> & { readonly BYTES_PER_ELEMENT: number },
  cells: (view: V) => unknown,
): Code {
  return {
    view,
    bytes: view.BYTES_PER_ELEMENT,
    cells: cells as Code["cells"],
  };
}

const CODES: Readonly<Record<TypeCode, Code>> = {
  c: code(Uint8Array, (view) => new CharCells("c_char", view)),
  u: code(Uint32Array, (view) => new CharCells("c_wchar", view)),
  b: code(Int8Array, (view) => new IntCells("c_byte", view)),
  B: code(Uint8Array, (view) => new IntCells("c_ubyte", view)),
  h: code(Int16Array, (view) => new IntCells("c_short", view)),
  H: code(Uint16Array, (view) => new IntCells("c_ushort", view)),
  i: code(Int32Array, (view) => new IntCells("c_int", view)),
  I: code(Uint32Array, (view) => new IntCells("c_uint", view)),
  l: code(BigInt64Array, (view) => new BigCells("c_long", view)),
  L: code(BigUint64Array, (view) => new BigCells("c_ulong", view)),
  q: code(BigInt64Array, (view) => new BigCells("c_longlong", view)),
  Q: code(BigUint64Array, (view) => new BigCells("c_ulonglong", view)),
  f: code(Float32Array, (view) => new Float32Cells(view)),
  d: code(Float64Array, (view) => new Float64Cells(view)),
};

/**
 * Checks a type code.
 *
 * @throws {TypeError} If there is none of that name.
 */
export function checkCode(code: unknown): asserts code is TypeCode {
  if (typeof code === "string" && Object.hasOwn(CODES, code)) return;
  throw new TypeError(
    `Cannot share values of type ${show(code)} as the type must be one of ${
      Object.keys(CODES).join(" ")
    }, or an object of such`,
  );
}

/** Bytes of a value, and what its offset is a multiple of. */
export function bytesOf(code: TypeCode): number {
  return CODES[code].bytes;
}

/** The class of the typed array that shows memory of a type. */
export function viewClassOf(code: TypeCode): ViewClass<ViewTypes[TypeCode]> {
  return CODES[code].view;
}

/**
 * Opens memory as elements of a type.
 *
 * @param code Its code.
 * @param buffer Where it lies.
 * @param byteOffset Where there.
 * @param length How many elements.
 */
export function cellsOf<C extends TypeCode>(
  code: C,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): Cells<ValueOf<C>> {
  const { view, cells } = CODES[code];
  return cells(new view(buffer, byteOffset, length)) as Cells<ValueOf<C>>;
}

/**
 * Typed arrays and DataViews: which kind they are, and which part of which
 * buffer they show.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { VIEW_KINDS } from "./_tags.ts";

type TypedArray = Uint8Array;

/** Makes a view of a buffer; without a length it follows the buffer's. */
type ViewClass = new (
  buffer: ArrayBufferLike,
  byteOffset: number,
  length?: number,
) => ArrayBufferView;

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
/** Gives the name of the class, whatever has been done to the object. */
const readTag = Object
  .getOwnPropertyDescriptor(typedArray, Symbol.toStringTag)?.get;

const numbers = new Map<unknown, number>(
  VIEW_KINDS.map((name, number) => [name, number]),
);
// A runtime without Float16Array cannot receive one.
const classes: (ViewClass | undefined)[] = VIEW_KINDS.map((name) =>
  Reflect.get(globalThis, name)
);

/** The number of its kind on the wire. */
export function viewKind(view: ArrayBufferView): number {
  // Only a DataView has no name there.
  return numbers.get(readTag?.call(view) ?? "DataView") as number;
}

/** The class of a kind, if there is one here. */
export function viewClass(kind: number): ViewClass | undefined {
  return classes[kind];
}

/** Whether a view of a shrunken buffer no longer lies in it. */
export function isOutOfBounds(view: ArrayBufferView): boolean {
  try {
    if (view instanceof DataView) view.byteLength;
    else typedArray.at.call(view, 0);
    return false;
  } catch {
    // Both throw for this reason alone.
    return true;
  }
}

/** Elements of a typed array, bytes of a DataView. */
export function viewLength(view: ArrayBufferView): number {
  return view instanceof DataView
    ? view.byteLength
    : (view as TypedArray).length;
}

/** Whether the length of a view of a resizable buffer follows the buffer. */
export function isLengthTracking(view: ArrayBufferView): boolean {
  const { buffer } = view;
  if (!(view instanceof DataView)) return tracksLength(view as TypedArray);
  if (view.byteOffset + view.byteLength < buffer.byteLength) return false;
  // The buffer cannot be resized to see, and shared memory not even copied.
  if (buffer instanceof SharedArrayBuffer) return true;
  const copy = structuredClone(view);
  (copy.buffer as ArrayBuffer).resize(copy.byteOffset);
  return !isOutOfBounds(copy);
}

/**
 * Nothing tells directly. But `subarray()` calls the constructor of the species
 * without a length if, and only if, the array tracks that of its buffer.
 */
function tracksLength(array: TypedArray): boolean {
  const probe: TypedArray = typedArray.subarray.call(array, 0);
  let tracking = false;
  class Species {
    static get [Symbol.species](): unknown {
      return function (...args: unknown[]) {
        tracking = args.length < 3;
        return new Uint8Array(0);
      };
    }
  }
  Object.defineProperty(probe, "constructor", { value: Species });
  try {
    typedArray.subarray.call(probe, 0);
  } catch {
    // The result is of the wrong kind for some arrays; the call is made by then.
  }
  return tracking;
}

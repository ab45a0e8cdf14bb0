/**
 * Typed arrays for users over a piece of an arena. All of the arena is one
 * buffer, so what is handed out must not lead to the rest of it, and the piece
 * must not be given back while anything handed out can still reach it: it would
 * then be somebody else's lock.
 *
 * **Processes.** The piece gets an `ArrayBuffer` of its own, over the same
 * memory. All views made of it, whichever way, hold that buffer, and a WeakMap
 * has the buffer hold the owner of the piece.
 *
 * **Threads.** A part of a `SharedArrayBuffer` cannot be a buffer of its own. The
 * typed array has a prototype of its own instead, so that `subarray()` gives
 * another that holds the owner. One that was asked for its `buffer` can no longer
 * be followed: then the owner is kept until the program ends.
 *
 * **Not covered** is what goes around JavaScript's references: transferring the
 * buffer, sending the view with `postMessage()`, its address by FFI, or an
 * operation in progress on a view that nobody refers to any more.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { ViewClass } from "./_cells.ts";

/** What holds an owner: a buffer of its own, or a typed array. */
const owners = new WeakMap<object, object>();
/** Owners whose views cannot be followed any more. */
const kept = new Set<object>();

/**
 * Makes a typed array that keeps the owner of its memory alive.
 *
 * @param owner Whose end gives the memory back.
 * @param view The class of the typed array.
 * @param buffer Memory of an arena.
 * @param byteOffset Where the piece starts there.
 * @param length Elements of the piece.
 */
export function viewFor<V extends ArrayBufferView>(
  owner: object,
  view: ViewClass<V>,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): V {
  if (buffer instanceof SharedArrayBuffer) {
    return followed(owner, view, buffer, byteOffset, length);
  }
  const { byteLength } = new view(buffer, byteOffset, length);
  const first = new Uint8Array(buffer, byteOffset, 1);
  const pointer = Deno.UnsafePointer.of(first);
  const own = Deno.UnsafePointerView.getArrayBuffer(pointer!, byteLength);
  owners.set(own, owner);
  return new view(own, 0, length);
}

/** The part of a typed array that is needed here. */
interface Subject extends ArrayBufferView {
  readonly length: number;
  subarray(begin?: number, end?: number): Subject;
}

const readBuffer = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  "buffer",
)!.get!;

const followedClasses = new Map<unknown, ViewClass>();

function followed<V extends ArrayBufferView>(
  owner: object,
  view: ViewClass<V>,
  buffer: SharedArrayBuffer,
  byteOffset: number,
  length: number,
): V {
  let cls = followedClasses.get(view);
  if (!cls) followedClasses.set(view, cls = followedClass(view));
  const made = Reflect.construct(view, [buffer, byteOffset, length], cls);
  owners.set(made, owner);
  return made;
}

/**
 * A class for `Reflect.construct()` alone. Its objects say that their constructor
 * is the typed array they are, so `slice()` and `map()` give ordinary ones.
 */
function followedClass(base: ViewClass): ViewClass {
  const prototype: Subject = base.prototype;
  const cls = function () {};
  cls.prototype = Object.create(prototype, {
    subarray: {
      value(this: Subject, begin?: number, end?: number): ArrayBufferView {
        const part = prototype.subarray.call(this, begin, end);
        const buffer = readBuffer.call(this) as SharedArrayBuffer;
        const owner = owners.get(this)!;
        return followed(owner, base, buffer, part.byteOffset, part.length);
      },
      configurable: true,
      writable: true,
    },
    buffer: {
      get(this: Subject): ArrayBufferLike {
        kept.add(owners.get(this)!);
        return readBuffer.call(this);
      },
      configurable: true,
    },
  });
  return cls as unknown as ViewClass;
}

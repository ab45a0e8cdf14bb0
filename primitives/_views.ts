/**
 * Typed arrays for users over a piece of an arena. The buffers it lies in hold
 * much else, so what is handed out must not lead to the rest, and the piece must
 * not be given back while anything handed out can still reach it: it would then
 * be somebody else's lock.
 *
 * **A buffer of its own.** The piece gets an `ArrayBuffer` over the same memory.
 * All views made of it, whichever way, hold that buffer, and a WeakMap has the
 * buffer hold the owner of the piece. That takes FFI, which processes have.
 *
 * **A view that is followed.** For threads without FFI, a part of their
 * `SharedArrayBuffer` cannot be a buffer of its own. The typed array has a
 * prototype of its own instead, so that `subarray()` gives another that holds the
 * owner. One that was asked for its `buffer` can no longer be followed: then the
 * owner is kept until the program ends.
 *
 * **Not covered** is what goes around JavaScript's references: transferring the
 * buffer, sending the view with `postMessage()`, its address by FFI, or an
 * operation in progress on a view that nobody refers to any more.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { isGranted } from "../memory/mod.ts";
import type { ViewClass } from "./_codes.ts";

/** What holds an owner: a buffer of its own, or a followed view. */
const owners = new WeakMap<object, object>();
/** The buffer of its own that an owner has, if it has been made. */
const buffers = new WeakMap<object, ArrayBuffer>();
/** Owners whose views cannot be followed any more. */
const kept = new Set<object>();
/** Whether FFI is, as it was when first needed. */
let granted: boolean | undefined;

/** A piece of an arena. */
export interface Piece {
  /** A buffer it is in. */
  readonly buffer: ArrayBufferLike;
  /** Where the piece starts there. */
  readonly byteOffset: number;
  /** Bytes of the piece. */
  readonly byteLength: number;
}

/**
 * Makes a typed array of all of a piece that keeps the owner alive.
 *
 * @param owner Whose end gives the piece back; always with the same piece.
 * @param piece The piece.
 * @param view The class of the typed array.
 * @param length Elements of the piece.
 */
export function viewFor<V extends ArrayBufferView>(
  owner: object,
  piece: Piece,
  view: ViewClass<V>,
  length: number,
): V {
  const own = ownBuffer(owner, piece);
  if (own) return new view(own, 0, length);
  return followed(owner, view, piece.buffer, piece.byteOffset, length);
}

/**
 * Lets the garbage collector know what the end of an owner gives back. In the
 * memory of threads the object looks small, and a program that makes and drops
 * large ones would run out of memory before they are collected. (Of that of
 * processes, it counts each buffer it is in.)
 *
 * @param owner Whose end gives the piece back; always with the same piece.
 * @param piece The piece.
 */
export function declare(owner: object, piece: Piece): void {
  if (piece.buffer instanceof SharedArrayBuffer) ownBuffer(owner, piece);
}

function ownBuffer(owner: object, piece: Piece): ArrayBuffer | undefined {
  const { buffer, byteOffset, byteLength } = piece;
  if (buffer instanceof SharedArrayBuffer && !(granted ??= isGranted())) {
    return undefined;
  }
  let own = buffers.get(owner);
  if (own) return own;
  const first = new Uint8Array(buffer, byteOffset, 1);
  const pointer = Deno.UnsafePointer.of(first)!;
  own = Deno.UnsafePointerView.getArrayBuffer(pointer, byteLength);
  buffers.set(owner, own);
  owners.set(own, owner);
  return own;
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
  buffer: ArrayBufferLike,
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
        const buffer: ArrayBufferLike = readBuffer.call(this);
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

/**
 * The first byte of each value on the wire, and what follows it. README.md has
 * the same table with the reasons; both change together.
 *
 * `n`, `id`, `count` are varints: seven bits a byte, low bits first, the high
 * bit set on all but the last. All other numbers are little-endian. `value`
 * stands for a whole encoded value.
 *
 * A value that can be referred to (any object, and a function) has an id: the
 * number of such values whose first byte came earlier in the message.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** First byte of a message; goes up with every change that old readers miss. */
export const VERSION = 1;
/** Set in the first byte if the message holds {@linkcode REFERENCE}s. */
export const FLAG_REFERENCES = 0x80;
/**
 * Set in the first byte if a table of large payloads follows it: count, (gap
 * length)*, each gap from the end of the one before. See `lifted.ts`.
 */
export const FLAG_TABLE = 0x40;
/** All flags. */
export const FLAGS: number = FLAG_REFERENCES | FLAG_TABLE;

// Ranges: the low bits of the tag are part of the value. They hold what
// messages are mostly made of, so that it costs one byte less and one branch.

/** 0x00 to 0x7f: the integer itself. */
export const SMALL_INTEGERS_END = 0x80;
/** 0x80 to 0x9f: a string of up to 31 characters below U+0100, a byte each. */
export const SHORT_STRING = 0x80;
/** One past the last tag of short strings. */
export const SHORT_STRINGS_END = 0xa0;
/** 0xa0 to 0xaf: an array of up to 15 values: value* */
export const SHORT_ARRAY = 0xa0;
/** One past the last tag of short arrays. */
export const SHORT_ARRAYS_END = 0xb0;
/** 0xb0 to 0xbf: an object of one of the first 16 shapes: value* */
export const KNOWN_SHAPE = 0xb0;
/** One past the last tag of known shapes. */
export const KNOWN_SHAPES_END = 0xc0;
/** 0xc0 to 0xcf: the integers -16 to -1, as tag minus 0xd0. */
export const NEGATIVE_INTEGERS_END = 0xd0;

/** Nothing follows. */
export const UNDEFINED = 0xd0;
/** Nothing follows. */
export const NULL = 0xd1;
/** Nothing follows. */
export const FALSE = 0xd2;
/** Nothing follows. */
export const TRUE = 0xd3;
/** A number: 8 bytes, IEEE 754. */
export const FLOAT64 = 0xd4;
/** An integer: 2 bytes, signed. */
export const INT16 = 0xd5;
/** An integer: 4 bytes, signed. */
export const INT32 = 0xd6;
/** A bigint: n shifted left by one with the sign in bit 0, n bytes of magnitude. */
export const BIGINT = 0xd7;

/** A string: n, a byte for each character, all of them below U+0100. */
export const LATIN1 = 0xd8;
/** A string: 4 bytes with the length in bytes, UTF-8. */
export const UTF8 = 0xd9;
/** A string: n, 2 bytes for each code unit. Lone surrogates travel so. */
export const UTF16 = 0xda;

/** A value that came before: id */
export const REFERENCE = 0xdb;

/** A new shape and an object of it: n, n bytes of count and keys, value* */
export const NEW_SHAPE = 0xdc;
/** An object of a shape past the first 16: id of the shape, value* */
export const FAR_SHAPE = 0xdd;
/** An object with its keys: count, (key value)* */
export const OBJECT = 0xde;
/** In place of a value of a shape: this object has lost the key. */
export const ABSENT = 0xdf;

/** An array without holes: count, value* */
export const ARRAY = 0xe0;
/**
 * Any array: length, count, (step value)*, count, (key value)*. A step is the
 * number of indices left out since the last one.
 */
export const SPARSE_ARRAY = 0xe1;
/** An array of integers: count, a byte each. */
export const INT8_ARRAY = 0xe2;
/** An array of integers: count, 2 bytes each. */
export const INT16_ARRAY = 0xe3;
/** An array of integers: count, 4 bytes each. */
export const INT32_ARRAY = 0xe4;
/** An array of numbers: count, 8 bytes each. */
export const FLOAT64_ARRAY = 0xe5;
/** An array of strings: a string that holds it as JSON. */
export const STRING_ARRAY = 0xe6;

/** A Map: count, (key value)* */
export const MAP = 0xe7;
/** A Set: count, value* */
export const SET = 0xe8;
/** A Date: 8 bytes of milliseconds, NaN if invalid. */
export const DATE = 0xe9;
/** A RegExp: source, flags */
export const REGEXP = 0xea;
/** A boxed primitive: the primitive. */
export const BOXED = 0xeb;
/** A URL: its text. */
export const URL_TAG = 0xec;
/** An error: see `_errors.ts`. */
export const ERROR = 0xed;

/** An instance of a registered class: its name, count, (key value)* */
export const INSTANCE = 0xee;
/** An instance of a class with hooks: its name, value */
export const CONVERTED = 0xef;
/** A library object: its tag, value */
export const HANDLE = 0xf0;
/** A function: the value that refers to it. */
export const FUNCTION = 0xf1;

/** An ArrayBuffer: n, n bytes */
export const BUFFER = 0xf2;
/** A resizable ArrayBuffer: n, most bytes, n bytes */
export const RESIZABLE_BUFFER = 0xf3;
/** A SharedArrayBuffer: the value that refers to it. */
export const SHARED_BUFFER = 0xf4;
/** A view of a whole buffer not seen before: kind (a byte), n, n bytes */
export const WHOLE_VIEW = 0xf5;
/** A view: kind (a byte), value (the buffer), byteOffset, length plus 1 or 0 */
export const VIEW = 0xf6;

/**
 * Before a container that lies too deep for recursion: the container comes
 * without what is in it, which follows after the rest of the message.
 */
export const POSTPONED = 0xf7;

/** The kinds of views; their place in the list is their number on the wire. */
export const VIEW_KINDS: readonly string[] = [
  "DataView",
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "BigInt64Array",
  "BigUint64Array",
  "Float32Array",
  "Float64Array",
  "Float16Array",
];

/**
 * How deep containers may follow each other by recursion. Below that, an encoder
 * postpones. A level takes two or three stack frames of some 200 bytes; V8 gives
 * a thread 984 KB, and the caller may have used a part of it already.
 */
export const RECURSION_LIMIT = 256;
/**
 * How deep they may follow where nothing can be postponed, since a hook waits
 * for the complete value.
 */
export const HOOK_RECURSION_LIMIT = 512;

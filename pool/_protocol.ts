/**
 * What parent and pool worker say to each other, and the words they share. The
 * conversation as a whole is told in `README.md` beside this file; change both
 * together.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { keyOf } from "../memory/mod.ts";
import { LONGEST_MESSAGE, Ring, RING_BYTES } from "../memory/ring.ts";
import type { Arena, Message } from "../memory/mod.ts";

// A channel is one block: the ring of orders to the worker, the ring of its
// answers, the ring of definitions, and the control words.
const ANSWERS_BYTE: number = RING_BYTES;
const DEFINITIONS_BYTE: number = 2 * RING_BYTES;
const CONTROL_BYTE: number = 3 * RING_BYTES;
/** Bytes of a channel. */
export const CHANNEL_BYTES = 256;

// Control words: meaning · writer · reader.
/**
 * Sequence number of the task that was taken last · worker, before the order is
 * gone from the ring · parent, to tell which task a death has cost.
 */
export const C_RUNNING = 0;
/**
 * Which item of that task runs, {@linkcode LOADING} before the first · worker ·
 * parent, for time limits and for what an error says.
 */
export const C_ITEM = 1;
/** Sequence number of the task that is to stop · parent · worker. */
export const C_CANCEL = 2;
/** Milliseconds from its start to its first order · worker, once · parent. */
export const C_STARTUP_MS = 3;
/** KiB of memory in use, 0 before the first look · worker · parent. */
export const C_MEMORY_KIB = 4;
/** 1 if the worker is to end at once; only threads listen · parent · worker. */
export const C_STOP = 5;
/** Nanoseconds a task takes of late, 0 before the first · worker · parent. */
export const C_TASK_NS = 6;
const CONTROL_WORDS = 16;

/** Says of `C_ITEM` that arguments and function are still being loaded. */
export const LOADING = -1;

// The first word of a message to a worker.
/** From now on this number means this function; only on the ring for these. */
export const DEFINE = 1;
/** Call a function with these arguments. */
export const CALL = 2;
/** Call it with each of these items. */
export const EACH = 3;
/** Call it with the elements of each of these items. */
export const EACH_SPREAD = 4;
/** The same as the two above, but stop at the first item that fails. */
export const EACH_FAIL_FAST = 5;
/** See {@linkcode EACH_FAIL_FAST}. */
export const EACH_SPREAD_FAIL_FAST = 6;
/** Do nothing more. */
export const EXIT = 7;

/**
 * Added to an order whose arguments lie apart: what follows says where. See
 * `_parcel.ts`.
 */
export const APART = 0x100;
/**
 * Added to an order or an answer that refers to shared buffers, which have come
 * through the port: see `contexts/buffer_port.ts`. Only between threads.
 */
export const SHARED = 0x200;

// The first word of an answer.
/** The worker takes orders now. */
export const READY = 1;
/** Its initializer failed: a {@linkcode Thrown}. */
export const INITIALIZER_FAILED = 2;
/** What a call returned. */
export const VALUE = 3;
/** What a call threw, or why a chunk could not be run at all: `Thrown`. */
export const FAILURE = 4;
/** What the calls of a chunk returned and threw: {@linkcode ChunkResults}. */
export const CHUNK = 5;

/** Words in front of each message: kind, sequence, function, first index. */
const HEAD_WORDS = 4;
/** Bytes in front of each message. */
export const HEAD_BYTES: number = HEAD_WORDS * 4;
/** The longest body of a message. */
export const LONGEST_BODY: number = LONGEST_MESSAGE - HEAD_BYTES;

/**
 * An error on its way. The error itself is encoded apart: if it cannot be made
 * again on the other side, its text is there all the same, and nothing else of
 * the message is lost.
 */
export type Thrown = readonly [
  name: string,
  message: string,
  stack: string,
  encoded: Uint8Array,
];

/** Results of a chunk: values by position, and errors with their position. */
export type ChunkResults = readonly [
  values: unknown[],
  errors: readonly (readonly [index: number, thrown: Thrown])[],
];

/** The rings and the control words of one worker. */
export class Channel {
  /** Where it lies. */
  readonly offset: number;
  /** Messages to the worker; the parent may take back what it has not taken. */
  readonly orders: Ring;
  /** Its answers. */
  readonly answers: Ring;
  /**
   * What the numbers of functions mean. Apart from the orders, because an order
   * can be taken back and a definition must stay for those behind it.
   */
  readonly definitions: Ring;
  /** The control words. */
  readonly control: Int32Array;
  /** What a worker waits for to hear of a cancellation. */
  readonly cancelKey: number;
  /** What a thread waits for to hear that it is to end at once. */
  readonly stopKey: number;
  readonly #arena: Arena;

  /**
   * Opens a channel.
   *
   * @param arena Where it lies.
   * @param offset Its offset.
   * @param answersKey What the parent waits for: one key for all its workers.
   * @param owner Token of the parent.
   * @param primed Whether it has been primed: see {@linkcode Channel.prime}.
   */
  constructor(
    arena: Arena,
    offset: number,
    answersKey: number,
    owner: number,
    primed: boolean,
  ) {
    this.#arena = arena;
    this.offset = offset;
    this.orders = new Ring(arena, offset);
    this.answers = new Ring(arena, offset + ANSWERS_BYTE, {
      solo: true,
      itemsKey: answersKey,
      primed,
    });
    this.answers.taker = owner;
    this.definitions = new Ring(arena, offset + DEFINITIONS_BYTE, {
      solo: true,
    });
    this.control = arena.words(offset + CONTROL_BYTE, CONTROL_WORDS);
    this.cancelKey = keyOf(offset + CONTROL_BYTE);
    this.stopKey = keyOf(offset + CONTROL_BYTE + 16);
  }

  /**
   * Has the ring of answers take its first memory, before the worker is there: a
   * worker that is killed while it takes some may leave it to nobody. And a thread
   * that was interrupted, and on a very busy machine makes its last steps after
   * the parent has freed all this, must not take any.
   */
  prime(): void {
    this.answers.tryPut(framed(READY));
    this.answers.tryTake(() => true);
  }

  /** Frees it; the worker has ended. */
  free(): void {
    this.orders.free();
    this.answers.free();
    this.definitions.free();
    this.#arena.heap.free(this.offset, CHANNEL_BYTES);
  }
}

const head = new Int32Array(HEAD_WORDS);
const headBytes = new Uint8Array(head.buffer);
/** Used for every message: a frame is put into a ring before the next is made. */
const parts: Uint8Array[] = [headBytes];
const frame = { byteLength: HEAD_BYTES, parts };

/**
 * Puts a head in front of a message.
 *
 * @param kind What it is.
 * @param sequence Number of the task.
 * @param fn Number of the function.
 * @param index Index of the task's first item in its job.
 * @param body The rest.
 * @returns The message, valid until the next call.
 */
export function framed(
  kind: number,
  sequence = 0,
  fn = 0,
  index = 0,
  body?: Message | Uint8Array,
): Message {
  head[0] = kind;
  head[1] = sequence;
  head[2] = fn;
  head[3] = index;
  frame.byteLength = HEAD_BYTES;
  parts.length = 1;
  if (body !== undefined) {
    frame.byteLength += body.byteLength;
    if (body instanceof Uint8Array) parts.push(body);
    else for (const part of body.parts) parts.push(part);
  }
  return frame;
}

/** Lets go of the last message: it may be a user's big array. */
export function unframe(): void {
  parts.length = 1;
}

/** What a message says it is. */
export function kindOf(message: Uint8Array): number {
  return wordOf(message, 0);
}

/** Number of the task a message is about. */
export function sequenceOf(message: Uint8Array): number {
  return wordOf(message, 1);
}

/** Number of the function a message is about. */
export function functionOf(message: Uint8Array): number {
  return wordOf(message, 2);
}

/** Index of the first item a message is about. */
export function indexOf(message: Uint8Array): number {
  return wordOf(message, 3);
}

// Byte by byte: making an Int32Array for each message costs more.
function wordOf(message: Uint8Array, word: number): number {
  const at = word * 4;
  return message[at]! | message[at + 1]! << 8 | message[at + 2]! << 16 |
    message[at + 3]! << 24;
}

/** One array of bytes for a message in pieces. */
export function gathered({ byteLength, parts }: Message): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

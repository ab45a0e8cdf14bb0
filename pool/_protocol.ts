/**
 * What parent and pool worker say to each other, and the words they share. The
 * conversation as a whole is told in `README.md` beside this file; change both
 * together.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { keyOf, Ring, RING_BYTES } from "../memory/mod.ts";
import type { Arena, Message } from "../memory/mod.ts";

// A channel is one block: the ring of orders to the worker, the ring of its
// answers, the ring of definitions, and the control words.
const ANSWERS_BYTE: number = RING_BYTES;
const DEFINITIONS_BYTE: number = 2 * RING_BYTES;
const CONTROL_BYTE: number = 3 * RING_BYTES;
/** Bytes of a channel. */
export const CHANNEL_BYTES = 256;

// Control words: meaning · writer · reader.
/** Sequence number of the task that runs or ran last · worker · parent. */
export const C_RUNNING = 0;
/** Which item of that task's chunk runs · worker · parent. */
export const C_ITEM = 1;
/** Sequence number of the task that is to stop · parent · worker. */
export const C_CANCEL = 2;
const CONTROL_WORDS = 16;

// The first word of a message to a worker.
/** From now on this number means this function; only on the ring for these. */
export const DEFINE = 1;
/** Call a function with these arguments. */
export const CALL = 2;
/** Call it with each of these items. */
export const EACH = 3;
/** Call it with the elements of each of these items. */
export const EACH_SPREAD = 4;
/** Do nothing more. */
export const EXIT = 5;

// The first word of an answer.
/** The worker takes orders now. */
export const READY = 1;
/** Its initializer failed, and why. */
export const INITIALIZER_FAILED = 2;
/** What a call returned. */
export const VALUE = 3;
/** What a call threw, or why a chunk could not be run at all. */
export const FAILURE = 4;
/** What the calls of a chunk returned and threw. */
export const CHUNK = 5;

/** Words in front of each message: kind, sequence, function, first index. */
export const HEAD_WORDS = 4;
const HEAD_BYTES = HEAD_WORDS * 4;

/** Results of a chunk: values by position, and errors with their position. */
export type ChunkResults = readonly [
  values: unknown[],
  errors: readonly (readonly [index: number, error: unknown])[],
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
  readonly #arena: Arena;

  /**
   * Opens a channel.
   *
   * @param arena Where it lies.
   * @param offset Its offset.
   * @param answersKey What the parent waits for: one key for all its workers.
   */
  constructor(arena: Arena, offset: number, answersKey: number) {
    this.#arena = arena;
    this.offset = offset;
    this.orders = new Ring(arena, offset);
    this.answers = new Ring(arena, offset + ANSWERS_BYTE, {
      solo: true,
      itemsKey: answersKey,
    });
    this.definitions = new Ring(arena, offset + DEFINITIONS_BYTE, {
      solo: true,
    });
    this.control = arena.words(offset + CONTROL_BYTE, CONTROL_WORDS);
    this.cancelKey = keyOf(offset + CONTROL_BYTE);
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
const EMPTY: readonly Uint8Array[] = [];

/**
 * Puts a head in front of a message. The result is valid until the next call.
 *
 * @param kind What it is.
 * @param sequence Number of the task.
 * @param fn Number of the function.
 * @param index Index of the task's first item in its job.
 * @param body The rest.
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
  const parts = body === undefined
    ? EMPTY
    : body instanceof Uint8Array
    ? [body]
    : body.parts;
  const byteLength = HEAD_BYTES + (body?.byteLength ?? 0);
  return { byteLength, parts: [headBytes, ...parts] };
}

/** A message or an answer, taken. */
export interface Taken {
  readonly kind: number;
  readonly sequence: number;
  readonly fn: number;
  readonly index: number;
  readonly body: Uint8Array;
}

/**
 * Takes a message out of a ring.
 *
 * @param ring The ring.
 */
export function take(ring: Ring): Taken | undefined {
  const bytes = ring.tryTake(copy);
  if (bytes === undefined) return undefined;
  const words = new Int32Array(bytes.buffer, 0, HEAD_WORDS);
  return {
    kind: words[0]!,
    sequence: words[1]!,
    fn: words[2]!,
    index: words[3]!,
    body: bytes.subarray(HEAD_BYTES),
  };
}

function copy(message: Uint8Array): Uint8Array<ArrayBuffer> {
  return message.slice();
}

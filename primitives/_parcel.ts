/**
 * A value on its way into shared memory, and what to do if it does not get there.
 *
 * Bytes of a fresh message lie in a scratch buffer of the codec, and its large
 * parts in the value itself, so both may change once control returns to the
 * program. A parcel that has to wait is therefore made a copy of first. So what
 * arrives is what was there when it was sent, whenever it is let in.
 *
 * A handle counts as on its way from the moment it is encoded. If its message is
 * not sent after all (no room, an aborted wait), it has to be counted back
 * ({@linkcode Parcel.takeBack}); and if its message is sent but nobody is left to
 * receive it, whoever notices that receives it and drops it (`discard()` of
 * `wire.ts`). While its message waits for room it is its sender's
 * ({@linkcode Parcel.wait}): should that one end, it is given back with all else.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { lift } from "../codec/lifted.ts";
import type { Lifted } from "../codec/lifted.ts";
import { copyOf, freshBytes } from "../memory/fresh.ts";
import type { Message } from "../memory/mod.ts";
import type { Target, Waiting } from "./block.ts";
import { toMessage } from "./to_wire.ts";

/** A message that has not been put yet. */
export class Parcel {
  #message: Message;
  #isFrozen = false;
  #isKept = false;
  readonly #undo: readonly (() => void)[] | undefined;
  readonly #whileWaiting: readonly Waiting[] | undefined;

  /**
   * Wraps a message.
   *
   * @param message The message.
   * @param undo What takes back the handles in it.
   * @param whileWaiting How they are counted while it waits.
   */
  constructor(
    message: Message,
    undo?: readonly (() => void)[],
    whileWaiting?: readonly Waiting[],
  ) {
    this.#message = message;
    this.#undo = undo;
    this.#whileWaiting = whileWaiting;
  }

  /** What to put. */
  get message(): Message {
    return this.#message;
  }

  /** Whether there are handles in it that count while they are on their way. */
  get hasHandles(): boolean {
    return this.#undo !== undefined && this.#undo.length > 0;
  }

  /** Puts a piece behind the message. */
  append(last: Uint8Array): this {
    const { byteLength, parts } = this.#message;
    this.#message = {
      byteLength: byteLength + last.byteLength,
      parts: [...parts, last],
    };
    return this;
  }

  /** Makes it independent of the value and of later messages. */
  freeze(): void {
    if (this.#isFrozen) return;
    const { byteLength, parts } = this.#message;
    const copy = new Uint8Array(byteLength);
    let position = 0;
    for (const part of parts) {
      copy.set(part, position);
      position += part.byteLength;
    }
    this.#message = { byteLength, parts: [copy] };
    this.#isFrozen = true;
  }

  /** Says that it waits: its handles are the sender's for so long. */
  wait(): void {
    if (this.#isKept || !this.#whileWaiting) return;
    this.#isKept = true;
    this.#whileWaiting.forEach((waiting) => waiting.keep());
  }

  /**
   * Says that it may be in the ring the next moment.
   *
   * @returns Whether it had been waiting.
   */
  go(): boolean {
    if (!this.#isKept) return false;
    this.#isKept = false;
    this.#whileWaiting!.forEach((waiting) => waiting.letGo());
    return true;
  }

  /** Says that it is not sent after all. */
  takeBack(): void {
    this.#undo?.forEach((undo) => undo());
  }
}

/**
 * Makes a parcel of a value.
 *
 * @param value What to send.
 * @param target For whom.
 * @param root What to call the value in an error.
 * @throws {EncodingError} If it cannot travel, naming the part that cannot.
 */
export function pack(value: unknown, target: Target, root: string): Parcel {
  const message = toMessage(value, target, root);
  return new Parcel(message, message.takeBacks, message.whileWaiting);
}

/** A message that has been copied out of shared memory. */
export type Item = Uint8Array | Lifted;

/** Small messages are copied into a common piece of memory this large. */
const SLAB_BYTES = 64 * 1024;
/** Up to this: an allocation of its own costs 300 ns and more (measured). */
const SMALL_BYTES = 4096;

let slab = new Uint8Array(SLAB_BYTES);
let slabUsed = 0;

/**
 * Copies a message out of shared memory, to be decoded after it is taken: a
 * receiver killed while it decodes must not have used up handles in a message
 * that the next receiver finds again.
 *
 * @param message Where it lies.
 * @returns A copy, not to be handed out: its buffer has other messages in it.
 */
export function copyOut(message: Uint8Array): Item {
  const { byteLength } = message;
  if (byteLength > SMALL_BYTES) {
    return lift(message, freshBytes) ?? copyOf(message);
  }
  if (slabUsed + byteLength > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const copy = new Uint8Array(slab.buffer, slabUsed, byteLength);
  copy.set(message);
  slabUsed += byteLength;
  return copy;
}

/**
 * Checks a limit on the bytes in shared memory.
 *
 * @param what What is being created with it.
 * @param maxBytes What was given.
 */
export function checkedMaxBytes(
  what: string,
  maxBytes: number | undefined,
): number | undefined {
  if (maxBytes === undefined) return undefined;
  if (typeof maxBytes !== "number") {
    throw new TypeError(
      `Cannot create ${what} as 'maxBytes' must be a number: it is ${
        Deno.inspect(maxBytes)
      }`,
    );
  }
  if (maxBytes > 0) return maxBytes;
  throw new RangeError(
    `Cannot create ${what} as 'maxBytes' must be above 0: it is ${maxBytes}`,
  );
}

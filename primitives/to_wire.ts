/**
 * Values to messages, for whoever sends values through shared memory; the way back
 * is in `wire.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { encodeLiftable } from "../codec/encoder.ts";
import type { EncodeOptions } from "../codec/encoder.ts";
import { EncodingError } from "../errors.ts";
import type { Message } from "../memory/mod.ts";
import { sending } from "./block.ts";
import type { Outgoing, Target, Waiting } from "./block.ts";
import { functionCarrier } from "./wire.ts";

/**
 * A message on its way: how its value is encoded, and what comes of it. One object
 * for all of that, as there is one for each message.
 */
export class Sent implements Message, Outgoing, EncodeOptions {
  /** What to call the value in an error. */
  readonly root: string;
  /** For whom it is. */
  readonly target: Target;
  /** What takes back the handles in it, if there are any and it is not sent. */
  takeBacks: (() => void)[] | undefined;
  /** How those are counted, while it waits, that nobody in particular gets. */
  whileWaiting: Waiting[] | undefined;
  /** The shared buffers that it refers to by their places here, if any can travel. */
  buffers: SharedArrayBuffer[] | undefined;
  #value: unknown;
  readonly #mayShare: boolean;
  #encoded: Message | undefined;

  /** See {@linkcode toMessage}. */
  constructor(
    value: unknown,
    target: Target,
    root: string,
    buffers: SharedArrayBuffer[] | boolean,
  ) {
    this.#value = value;
    this.target = target;
    this.root = root;
    this.#mayShare = buffers !== false && target.kind !== "spawn";
    this.buffers = typeof buffers === "boolean" ? undefined : buffers;
  }

  /** Sum of the lengths. */
  get byteLength(): number {
    return this.#encoded!.byteLength;
  }

  /** The pieces, valid until the next message is made. */
  get parts(): readonly Uint8Array[] {
    return this.#encoded!.parts;
  }

  /** Encodes the value, and forgets it. */
  encode(): void {
    this.#encoded = encodeLiftable(this.#value, this);
    this.#value = undefined;
  }

  /** For the codec. */
  // deno-lint-ignore ban-types -- any function
  encodeFunction(fn: Function, path: string): unknown {
    const carrier = functionCarrier();
    if (!carrier) throw new EncodingError("Cannot send a function", { path });
    return carrier.refer(fn, path);
  }

  /** For the codec. */
  encodeSharedBuffer(buffer: SharedArrayBuffer, path: string): number {
    if (!this.#mayShare) refuseBuffer(this.target, path);
    const buffers = this.buffers ??= [];
    const known = buffers.indexOf(buffer);
    return known < 0 ? buffers.push(buffer) - 1 : known;
  }
}

const encodeSent = (message: Sent): void => message.encode();

/**
 * Makes a message of a value.
 *
 * @param value What to send.
 * @param target For whom.
 * @param root What to call the value in an error.
 * @param buffers Is filled with the shared buffers that the message refers to; `true`
 * if it is to make a list of its own when there are any. Neither, or for a process:
 * none can travel.
 * @throws {EncodingError} If it cannot travel, naming the part that cannot.
 */
export function toMessage(
  value: unknown,
  target: Target,
  root: string,
  buffers: SharedArrayBuffer[] | boolean = false,
): Sent {
  return sending(new Sent(value, target, root, buffers), encodeSent);
}

/** Only the system hands such a buffer over, to a thread that is known. */
function refuseBuffer({ kind }: Target, path: string): never {
  const reason = kind === "spawn"
    ? "its memory cannot be shared with a process: use SharedMemory or RawArray"
    : "only the arguments of a thread, and those and the results of a pool's tasks, can have one: give it there, or use SharedMemory or RawArray";
  throw new EncodingError(
    `Cannot send a SharedArrayBuffer as ${reason}: "${path}"`,
    { path },
  );
}

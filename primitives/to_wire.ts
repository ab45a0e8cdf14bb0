/**
 * Values to messages, for whoever sends values through shared memory; the way back
 * is in `wire.ts`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { encodeLiftable } from "../codec/encoder.ts";
import { EncodingError } from "../errors.ts";
import type { Message } from "../memory/mod.ts";
import { sending } from "./block.ts";
import type { Target } from "./block.ts";
import { functionCarrier } from "./wire.ts";

/**
 * Makes a message of a value.
 *
 * @param value What to send.
 * @param target For whom.
 * @param root What to call the value in an error.
 * @param takeBacks Is filled with what takes the handles in it back, to be called
 * if it is not sent after all.
 * @param buffers Is filled with shared buffers that the message refers to by their
 * places here. Without it, or for a process, none can travel.
 * @throws {EncodingError} If it cannot travel, naming the part that cannot.
 */
export function toMessage(
  value: unknown,
  target: Target,
  root: string,
  takeBacks?: (() => void)[],
  buffers?: SharedArrayBuffer[],
): Message {
  return sending(() =>
    encodeLiftable(value, {
      root,
      target,
      encodeFunction: (fn, path) => {
        const carrier = functionCarrier();
        if (!carrier) {
          throw new EncodingError("Cannot send a function", { path });
        }
        return carrier.refer(fn, path);
      },
      encodeSharedBuffer: (buffer, path) => {
        if (!buffers || target.kind === "spawn") refuseBuffer(target, path);
        const known = buffers.indexOf(buffer);
        return known < 0 ? buffers.push(buffer) - 1 : known;
      },
    }), takeBacks);
}

/** Only the system hands such a buffer over, and only to a thread that starts. */
function refuseBuffer({ kind }: Target, path: string): never {
  const reason = kind === "spawn"
    ? "its memory cannot be shared with a process: use SharedMemory or RawArray"
    : "a thread can get it only as it starts, in `args` or `initArgs`: give it there, or use SharedMemory or RawArray";
  throw new EncodingError(
    `Cannot send a SharedArrayBuffer as ${reason}: "${path}"`,
    { path },
  );
}

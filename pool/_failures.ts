/**
 * Errors that cross the wall between worker and parent. They keep what they are
 * (class, name, message, code, own fields), and their cause becomes a
 * `RemoteError` that tells where they come from: which worker, which task, and the
 * stack there.
 *
 * An error is sent encoded and, beside that, as text. So one that cannot be sent
 * whole, or cannot be made again here, is still told of; and it costs nobody but
 * its own task anything.
 *
 * Runs in the parent (rebuilding) and in the child (packing).
 *
 * @module
 */
import { EncodingError, RemoteError } from "../errors.ts";
import type { MemoryKind } from "../memory/mod.ts";
import {
  comesFrom,
  described,
  shown,
  withoutUnsendable,
} from "../primitives/failures.ts";
import { takeBack } from "../primitives/block.ts";
import type { Target } from "../primitives/block.ts";
import { toMessage } from "../primitives/to_wire.ts";
import { discard, fromMessage } from "../primitives/wire.ts";
import { gathered } from "./_protocol.ts";
import type { ChunkResults, Thrown } from "./_protocol.ts";

/** What stands for an error that cannot be encoded. */
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * Packs what a task has thrown.
 *
 * @param thrown Anything.
 * @param kind The start method of the pool.
 */
export function packed(thrown: unknown, kind: MemoryKind): Thrown {
  const [name, message, stack] = described(thrown);
  return [name, message, stack, encodedError(thrown, kind)];
}

/**
 * Makes of it again what was thrown.
 *
 * @param thrown What was packed.
 * @param workerName Where.
 * @param label Which task it was, for people.
 */
export function unpacked(
  thrown: Thrown,
  workerName: string,
  label: string,
): unknown {
  const [name, message, stack, encoded] = thrown;
  const what = name ? `${name}: ${message}` : message;
  try {
    if (encoded.byteLength === 0) throw new Error("it could not be sent");
    const { value, loading } = fromMessage(encoded);
    // Functions on an error load themselves when they are called.
    loading?.catch(() => {});
    if (!(value instanceof Error)) return value;
    const text = `${label} failed in ${workerName}: ${what}`;
    comesFrom(value, text, workerName, stack);
    return value;
  } catch (reason) {
    return new RemoteError(
      `${label} failed in ${workerName}: ${what} (what was thrown cannot be rebuilt here: ${
        asText(reason)
      })`,
      workerName,
      stack,
      { cause: reason },
    );
  }
}

/**
 * Takes what was thrown apart when nobody wants to know of it: a handle in a
 * message stands for one reference, which only goes with what is made of it.
 *
 * @param thrown What was packed.
 */
export function dropThrown([, , , encoded]: Thrown): void {
  discard(encoded);
}

/**
 * The same for what the calls of a chunk have thrown.
 *
 * @param results What they came to.
 */
export function dropErrors([, errors]: ChunkResults): void {
  for (const [, thrown] of errors) dropThrown(thrown);
}

/**
 * Sees whether a value can be sent, and does not send it.
 *
 * @param value The value.
 * @param target For whom.
 * @param root What to call it in an error.
 * @param mayShare Whether shared buffers can travel.
 * @throws {EncodingError} If it cannot.
 */
export function trySending(
  value: unknown,
  target: Target,
  root: string,
  mayShare = false,
): void {
  takeBack(toMessage(value, target, root, mayShare));
}

/**
 * The error that stands for a result that cannot be sent.
 *
 * @param value The result.
 * @param reason Why not.
 */
export function unsendable(value: unknown, reason: unknown): EncodingError {
  const path = reason instanceof EncodingError ? reason.path : "";
  return new EncodingError(
    `Error sending result: '${shown(value)}'. Reason: '${asText(reason)}'`,
    { path },
  );
}

function encodedError(thrown: unknown, kind: MemoryKind): Uint8Array {
  try {
    return encoded(thrown, kind);
  } catch {
    // Something on it cannot travel: the rest of it can.
  }
  if (!(thrown instanceof Error)) return NOTHING;
  try {
    const send = (value: unknown) => trySending(value, { kind }, "error");
    return encoded(withoutUnsendable(thrown, send), kind);
  } catch {
    return NOTHING; // its text has to do
  }
}

function encoded(value: unknown, kind: MemoryKind): Uint8Array {
  return gathered(toMessage(value, { kind }, "error"));
}

/**
 * An error as text, whatever was thrown.
 *
 * @param reason What was thrown.
 */
export function asText(reason: unknown): string {
  try {
    return String(reason);
  } catch {
    return "an error that refuses to be shown";
  }
}

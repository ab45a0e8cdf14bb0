/**
 * Messages to values, for whoever gets values through shared memory: the codec,
 * with handles of shared objects and references to functions. The way there is
 * apart, in `to_wire.ts`: most children only get something.
 *
 * A function arrives as itself where its module is loaded, and otherwise as a
 * stand-in that loads it. Receivers that can wait do so before they hand the
 * value out, so that only those who block see a stand-in that is not loaded.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { decodeMessage } from "../codec/decoder.ts";
import type { MessageOptions } from "../codec/decoder.ts";
import { isUnknownKind } from "../codec/handles.ts";
import type { Lifted } from "../codec/lifted.ts";
import { EncodingError } from "../errors.ts";
import { freshBytes } from "../memory/fresh.ts";

// deno-lint-ignore ban-types -- any function
type AnyFunction = Function;

/** How functions travel; supplied by the room above. */
export interface FunctionCarrier {
  /** Plain data that leads another participant to the function. */
  refer(fn: AnyFunction, path: string): unknown;
  /** The function, or a stand-in and the loading of its module. */
  restore(reference: unknown): {
    fn: AnyFunction;
    loading: Promise<void> | undefined;
  };
}

let carrier: FunctionCarrier | undefined;

/** Supplies the way functions travel. */
export function setFunctionCarrier(functions: FunctionCarrier): void {
  carrier = functions;
}

/** The way functions travel, if there is one. */
export function functionCarrier(): FunctionCarrier | undefined {
  return carrier;
}

/** A value that has arrived, and what is still being loaded for it. */
export interface Arrival {
  /** The value. */
  readonly value: unknown;
  /** Modules of functions in it, if any are not loaded yet. */
  readonly loading: Promise<unknown> | undefined;
}

/**
 * How a message is decoded, and what comes of it: one object for both, as there is
 * one for each message.
 */
class Decoding implements Arrival, MessageOptions {
  value: unknown;
  loading: Promise<unknown> | undefined;
  readonly #buffers: readonly SharedArrayBuffer[] | undefined;

  constructor(buffers: readonly SharedArrayBuffer[] | undefined) {
    this.#buffers = buffers;
  }

  allocate(byteLength: number): Uint8Array<ArrayBuffer> {
    return freshBytes(byteLength);
  }

  decodeFunction(reference: unknown): AnyFunction {
    if (!carrier) throw new EncodingError("Cannot receive a function");
    const { fn, loading } = carrier.restore(reference);
    if (!loading) return fn;
    if (this.loading) {
      this.loading = Promise.all([this.loading, loading]);
      this.loading.catch(() => {}); // see `restore()`: nobody may wait for it
    } else this.loading = loading;
    return fn;
  }

  decodeSharedBuffer(place: unknown): SharedArrayBuffer {
    const buffer = this.#buffers?.[place as number];
    if (!buffer) throw new EncodingError("Cannot find a shared buffer");
    return buffer;
  }
}

/**
 * Makes a value of a message.
 *
 * @param message The message.
 * @param buffers The shared buffers that it may refer to.
 * @param from Where in the bytes it starts.
 * @throws {EncodingError} If it is not one.
 */
export function fromMessage(
  message: Uint8Array | Lifted,
  buffers?: readonly SharedArrayBuffer[],
  from = 0,
): Arrival {
  const decoding = new Decoding(buffers);
  decoding.value = decodeMessage(message, decoding, from);
  return decoding;
}

/** Where all kinds of shared objects are. */
const ALL_KINDS = new URL("./mod.ts", import.meta.url).href;

/**
 * Makes all kinds of shared objects known, if they are not. A child does so only
 * when it is sent one or has to bury one: they are half of its modules, and a third
 * of the time it takes to start. The module is not named here, but computed: Deno
 * looks through a module that is named even if it is never loaded, which takes 3 ms.
 */
export async function loadAllKinds(): Promise<void> {
  await import(ALL_KINDS);
}

/**
 * Makes a value of a message, when all that it needs has been loaded.
 *
 * @param bytes The message; it has to stay as it is for so long.
 * @param buffers The shared buffers that it may refer to.
 * @throws {EncodingError} If it is not one.
 */
export async function arrived(
  bytes: Uint8Array,
  buffers?: readonly SharedArrayBuffer[],
): Promise<unknown> {
  let arrival: Arrival;
  try {
    arrival = fromMessage(bytes, buffers);
  } catch (error) {
    if (!isUnknownKind(error)) throw error;
    // Nothing of it has been taken: whoever does not know one kind of shared
    // object knows none.
    await loadAllKinds();
    arrival = fromMessage(bytes, buffers);
  }
  await arrival.loading;
  return arrival.value;
}

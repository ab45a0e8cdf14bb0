/**
 * Messages to values, for whoever gets values through shared memory: the codec,
 * with handles of shared objects and references to functions. The way there is
 * apart, in `to_wire.ts`: most children only get something.
 *
 * A function arrives as itself where its module is loaded, and otherwise as a
 * stand-in that loads it. Receivers that can wait do so before they hand the
 * value out, so that only those who block see a stand-in that is not loaded.
 *
 * A message that cannot be made here is used up, but not what comes in it: what
 * counts as somebody's until it is closed is taken out of it and closed.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { decodeMessage } from "../codec/decoder.ts";
import type { MessageOptions } from "../codec/decoder.ts";
import { reviverOf, unknownTag } from "../codec/handles.ts";
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
  readonly scouts: boolean;
  /** How many library objects have been made, or tried. */
  #revived = 0;
  #message: Uint8Array | Lifted | undefined;
  readonly #from: number;
  #buffers: readonly SharedArrayBuffer[] | undefined;

  constructor(
    message: Uint8Array | Lifted,
    buffers: readonly SharedArrayBuffer[] | undefined,
    from: number,
    scouts: boolean,
  ) {
    this.#message = message;
    this.#buffers = buffers;
    this.#from = from;
    this.scouts = scouts;
  }

  run(): void {
    const before = arrivals.length;
    decodings++;
    try {
      this.value = decodeMessage(this.#message!, this, this.#from);
    } catch (error) {
      closeArrivals(before);
      // Otherwise nothing of it has been taken, and it is decoded again.
      if (unknownTag(error) === undefined) this.drop();
      throw error;
    } finally {
      if (--decodings === 0) arrivals.length = before;
    }
    this.#message = this.#buffers = undefined;
  }

  /** Takes what has not been taken, and closes it: see {@linkcode discard}. */
  drop(): void {
    if (this.scouts) return;
    const before = arrivals.length;
    decodings++;
    try {
      const salvage = { salvagesFrom: this.#revived };
      decodeMessage(this.#message!, salvage, this.#from);
    } catch {
      // What cannot be made here is dropped all the same.
    } finally {
      decodings--;
      closeArrivals(before);
    }
  }

  /**
   * A message is decoded once more when a kind of shared object in it has been made
   * known. What was taken of it before would be taken twice: so nothing is until it
   * is certain that all kinds in it are known.
   */
  beforeHandle(index: number): void {
    if (this.scouts) return;
    if (index === 0 && !knowsAllKinds()) {
      new Decoding(this.#message!, this.#buffers, this.#from, true).run();
    }
    this.#revived = index + 1;
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
  const decoding = new Decoding(message, buffers, from, false);
  decoding.run();
  return decoding;
}

/**
 * Receives a message in place of those who cannot any more, and closes at once
 * what was on its way in it.
 *
 * @param message The message, an encoded value.
 */
export function discard(message: Uint8Array | Lifted): void {
  new Decoding(message, undefined, 0, false).drop();
}

/**
 * Makes a value of a message for a look at it: what has come with it is closed.
 *
 * @param message The message.
 * @param buffers The shared buffers that it may refer to.
 * @param from Where in the bytes it starts.
 * @throws {EncodingError} If it is not one.
 */
export function emptied(
  message: Uint8Array | Lifted,
  buffers?: readonly SharedArrayBuffer[],
  from = 0,
): unknown {
  const before = arrivals.length;
  decodings++;
  try {
    const { value, loading } = fromMessage(message, buffers, from);
    loading?.catch(() => {});
    return value;
  } finally {
    decodings--;
    closeArrivals(before);
  }
}

/** How many decodings are going on, one within the other. */
let decodings = 0;
/** What has arrived by them that can be closed. */
const arrivals: { close(): void }[] = [];

/**
 * Takes note of an object that counts until it is closed, in its reviver: what
 * comes with something that cannot be made is closed.
 */
export function onArrival(object: { close(): void }): void {
  if (decodings > 0) arrivals.push(object);
}

function closeArrivals(from: number): void {
  for (const object of arrivals.splice(from)) object.close();
}

/** Where all kinds of shared objects are. */
const ALL_KINDS = new URL("./mod.ts", import.meta.url).href;
/** Where proxies are. That room is above this one, which only knows its name. */
const PROXIES = new URL("../managers/proxies.ts", import.meta.url).href;
/** The tag of a proxy. */
export const PROXY_TAG = "managers.proxy";
/** What has been loaded from here. */
const loadedKinds = new Set<string>();

/** Whether the rooms of all kinds are loaded: one kind of each tells. */
function knowsAllKinds(): boolean {
  return reviverOf(PROXY_TAG) !== undefined && reviverOf("Lock") !== undefined;
}

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
 * Makes the kind known for which a decoding failed.
 *
 * @param error What it failed with; thrown if that was not the reason, or has been
 * tried.
 */
async function loadKindOf(error: unknown): Promise<void> {
  const tag = unknownTag(error);
  const home = tag === PROXY_TAG ? PROXIES : ALL_KINDS;
  if (tag === undefined || loadedKinds.has(home)) throw error;
  await import(home);
  loadedKinds.add(home);
}

/**
 * Makes a value of a message. If something has to be loaded for it, gives a promise
 * of that: receivers that can wait do so, and the others use {@linkcode fromMessage}.
 *
 * @param message The message; it has to stay as it is for so long.
 * @param buffers The shared buffers that it may refer to.
 * @throws {EncodingError} If it is not one.
 */
export function opened(
  message: Uint8Array | Lifted,
  buffers?: readonly SharedArrayBuffer[],
): Arrival | Promise<Arrival> {
  try {
    const arrival = fromMessage(message, buffers);
    return arrival.loading ? arrival.loading.then(() => arrival) : arrival;
  } catch (error) {
    if (unknownTag(error) === undefined) throw error;
    // Nothing of it has been taken.
    return loadKindOf(error).then(() => opened(message, buffers));
  }
}

/**
 * The same for those who wait in any case.
 *
 * @param message The message; it has to stay as it is for so long.
 * @param buffers The shared buffers that it may refer to.
 * @throws {EncodingError} If it is not one.
 */
export async function arrived(
  message: Uint8Array,
  buffers?: readonly SharedArrayBuffer[],
): Promise<unknown> {
  const { value } = await opened(message, buffers);
  return value;
}

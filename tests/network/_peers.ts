/**
 * The other side, for tests of the network: pairs of connections, and peers that
 * speak to the socket themselves and need not be honest.
 *
 * @module
 */
import { Client, Listener } from "../../network/mod.ts";
import type {
  Address,
  ClientOptions,
  Family,
  ListenerOptions,
  SocketConnection,
} from "../../network/mod.ts";

/** Both kinds of sockets; most is tested on each. */
export const FAMILIES: readonly Family[] = ["AF_UNIX", "AF_INET"];

/** A key, the same for all tests. */
export const KEY: Uint8Array = new TextEncoder().encode("the key of the tests");
/** Another. */
export const WRONG_KEY: Uint8Array = new TextEncoder().encode("not that key");

/** Some address of a family. */
export function anywhere(family: Family): Address | undefined {
  return family === "AF_INET" ? { port: 0 } : undefined;
}

/** Two ends, and the listener through which they met. */
export interface Pair<T> extends Disposable {
  /** The end that was accepted. */
  here: SocketConnection<T>;
  /** The end that connected. */
  there: SocketConnection<T>;
  /** The listener. */
  listener: Listener<T>;
}

/** Connects two ends. */
export async function pair<T = unknown>(
  family: Family = "AF_UNIX",
  options: ListenerOptions & ClientOptions = {},
): Promise<Pair<T>> {
  const listener = new Listener<T>(anywhere(family), { ...options, family });
  const [here, there] = await Promise.all([
    listener.accept(),
    Client<T>(listener.address, options),
  ]);
  return {
    here,
    there,
    listener,
    [Symbol.dispose]() {
      here.close();
      there.close();
      listener.close();
    },
  };
}

/** A peer that has the socket in its own hands. */
export class RawPeer implements Disposable {
  #isClosed = false;

  private constructor(readonly socket: Deno.Conn) {}

  /** Connects to a listener. */
  static async connect(address: Address): Promise<RawPeer> {
    if (typeof address === "string") {
      return new RawPeer(
        await Deno.connect({ transport: "unix", path: address }),
      );
    }
    const { hostname = "127.0.0.1", port } = address;
    return new RawPeer(await Deno.connect({ hostname, port }));
  }

  /** Waits for somebody to connect. */
  static async accept(server: Deno.Listener): Promise<RawPeer> {
    return new RawPeer(await server.accept());
  }

  /** Writes bytes as they are. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      at += await this.socket.write(bytes.subarray(at));
    }
  }

  /** Writes a message. */
  async writeMessage(message: Uint8Array | string): Promise<void> {
    await this.write(framed(message));
  }

  /** Reads exactly so many bytes; `null` if there are not so many. */
  async read(count: number): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const n = await this.socket.read(bytes.subarray(at));
      if (n === null) return null;
      at += n;
    }
    return bytes;
  }

  /** Reads a message; `null` at the end. */
  async readMessage(): Promise<Uint8Array | null> {
    const header = await this.read(4);
    if (header === null) return null;
    return await this.read(new DataView(header.buffer).getInt32(0));
  }

  /** Waits until the other side has hung up. */
  async sawEnd(): Promise<boolean> {
    const buffer = new Uint8Array(1024);
    try {
      while (await this.socket.read(buffer) !== null);
    } catch (error) {
      return error instanceof Deno.errors.ConnectionReset;
    }
    return true;
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.socket.close();
  }
}

/** A message with its length before it. */
export function framed(message: Uint8Array | string): Uint8Array {
  const bytes = typeof message === "string" ? ascii(message) : message;
  const frame = new Uint8Array(4 + bytes.byteLength);
  new DataView(frame.buffer).setInt32(0, bytes.byteLength);
  frame.set(bytes, 4);
  return frame;
}

/** Text as bytes. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Bytes as text. */
export function text(bytes: Uint8Array | null): string {
  return String.fromCharCode(...bytes ?? []);
}

/** How many files and sockets this process has open. */
export function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Random numbers that are the same in every run (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** An integer from 0 to below `sides`. */
  roll(sides: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * sides);
  }

  /** So many random bytes. */
  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.roll(256));
  }

  /** One of some things. */
  pick<T>(things: readonly T[]): T {
    return things[this.roll(things.length)]!;
  }
}

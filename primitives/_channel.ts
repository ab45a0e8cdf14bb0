/**
 * What a connection is made of: something that carries messages to another
 * place and back. `connection.ts` turns it into what users see; `_pipe_end.ts`
 * carries them through shared memory.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { WireForm } from "../codec/mod.ts";
import type { MemoryKind, TIMED_OUT, WaitOptions } from "../memory/mod.ts";
import type { Parcel } from "./_parcel.ts";
import type { Readiness } from "./_waitable.ts";

/** Whether a message is an encoded value or bytes as they are. */
export type Form = "value" | "bytes";

/** What a reader gives back to leave the message where it was: the first. */
export const REFUSED: unique symbol = Symbol("refused");

/**
 * Reads a message where it lies and copies what it keeps.
 *
 * @param payload The message, to be read only while this function runs.
 * @param form What it is.
 */
export type Read<T> = (payload: Uint8Array, form: Form) => T | typeof REFUSED;

/** What receiving gives. */
export type Received<T> = T | typeof REFUSED | typeof TIMED_OUT;

/** See the module. All waits reject once it is closed here. */
export interface Channel {
  /** A number that tells the ends of channels apart. */
  readonly id: number;
  /** Whether messages come out. */
  readonly readable: boolean;
  /** Whether messages can go in. */
  readonly writable: boolean;
  /** Whose participants can be at the other end. */
  readonly kind: MemoryKind;
  /** How it becomes ready: there is a message, or the end. */
  readonly readiness: Readiness;
  /**
   * Sends a message; the first attempt is made before this returns.
   *
   * @returns `false` if the time ran out.
   * @throws {Deno.errors.BrokenPipe} If nobody has the other end.
   */
  send(parcel: Parcel, form: Form, options: WaitOptions): Promise<boolean>;
  /** The same, blocking the thread. */
  sendSync(parcel: Parcel, form: Form, options: WaitOptions): boolean;
  /**
   * Takes the next message, unless it is refused.
   *
   * @throws {EofError} If there is none, and nobody has the other end.
   */
  receive<T>(read: Read<T>, options: WaitOptions): Promise<Received<T>>;
  /** The same, blocking the thread. */
  receiveSync<T>(read: Read<T>, options: WaitOptions): Received<T>;
  /** Waits until it is ready; `false` if the time ran out. */
  poll(options: WaitOptions): Promise<boolean>;
  /** The same, blocking the thread. */
  pollSync(options: WaitOptions): boolean;
  /** Gives this end up. */
  close(): void;
  /** What stands for this end in a message. */
  toWire(tag: string, target: unknown): WireForm;
}

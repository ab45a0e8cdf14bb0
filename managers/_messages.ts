/**
 * What client and server say to each other: kinds of messages and their layout.
 * README.md in this folder tells what each is for.
 *
 * A message has a kind, the number of the request it belongs to (0: none), a head
 * that the library reads, and a body that is the user's: arguments, a result, an
 * error. The body is read apart from the rest, so that one that cannot be read
 * costs its own request and nothing else.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import type { Origin } from "./proxy.ts";

/** Client: who it is, and the proof that it is of the family. */
export const HELLO = 1;
/** Client: make an object of a type. */
export const CREATE = 2;
/** Client: call a method of an object; object 0 is the server itself. */
export const CALL = 3;
/** Client: one of its proxies is gone. */
export const RELEASE = 4;
/** Client: a proxy has been sent on, keep its object until that has arrived. */
export const HOLD = 5;
/** Client: what was sent on will never arrive. */
export const DROP = 6;
/** Client: a proxy that was sent on is here. */
export const ADOPT = 7;
/** Client: nobody waits for the answer to a request any more. */
export const CANCEL = 8;
/** Client: what was taken has arrived. */
export const ACCEPT = 9;
/** Client: nobody wanted what was taken, it goes back. */
export const RETURN = 10;
/** Client: it ends in good order, so what it holds stays held. */
export const GOODBYE = 11;

/** Server: who it is. */
export const WELCOME = 32;
/** Server: the result. */
export const RESULT = 33;
/** Server: the result has been taken from others, and has to be accepted. */
export const TAKEN = 34;
/** Server: the result is an object, on which the client has a lease now. */
export const OBJECT = 35;
/** Server: the method has thrown. */
export const THROWN = 36;
/** Server: what the client had sent on has arrived. */
export const ADOPTED = 37;

/** A message that has been read, but for its body. */
export interface Message {
  /** One of the kinds above. */
  readonly kind: number;
  /** The number of the request; 0 if it belongs to none. */
  readonly request: number;
  /** What the library reads. */
  readonly head: readonly unknown[];
  /** What {@linkcode Wire.readBody} makes a value of. */
  readonly body: unknown;
}

/** What travels of a proxy between a client and its server. */
export type Description = Origin;

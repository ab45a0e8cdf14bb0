/**
 * Connections to programs that are not children of this one: on this machine or
 * another, in Deno or in CPython, whose wire protocol this is. README.md in this
 * folder describes it.
 *
 * @example Both ends
 * ```ts
 * import { Client, Listener } from "@deno-mp/multiprocessing/network";
 * import { assertEquals } from "@std/assert";
 *
 * const authkey = crypto.getRandomValues(new Uint8Array(32));
 * await using listener = new Listener(undefined, { authkey });
 * const [here, there] = await Promise.all([
 *   listener.accept(),
 *   Client(listener.address, { authkey }),
 * ]);
 * await there.send("hello");
 * assertEquals(await here.recv(), "hello");
 * here.close();
 * there.close();
 * ```
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
export type { Address, Family, NetAddress } from "./address.ts";
export type { AnyConnection } from "./any_connection.ts";
export { answerChallenge, deliverChallenge } from "./authentication.ts";
export type {
  AuthKeyLike,
  ChallengeConnection,
  ChallengeOptions,
  Digest,
} from "./authentication.ts";
export { Client } from "./client.ts";
export type { ClientOptions } from "./client.ts";
export { SocketConnection } from "./connection.ts";
export { recvJson, sendJson } from "./json.ts";
export { Listener } from "./listener.ts";
export type { ListenerOptions } from "./listener.ts";

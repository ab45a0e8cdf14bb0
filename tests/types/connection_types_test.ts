/**
 * What of connections compiles and what does not. Nothing of this runs but the
 * empty test: the compiler is what checks.
 *
 * @module
 */
import { Client, Listener, wait } from "../../mod.ts";
import type { AnyConnection, Connection, SocketConnection } from "../../mod.ts";
import { exactly } from "./_exactly.ts";

declare const ofPipe: Connection<string>;
declare const ofSocket: SocketConnection<string>;

/** Never called: a variable for connections of either kind. */
export async function _either(): Promise<void> {
  let either: AnyConnection<string> = ofPipe;
  either = ofSocket;
  const all: AnyConnection<string>[] = [ofPipe, ofSocket];
  for (const connection of [either, ...all]) {
    await connection.send("a", { timeout: 5 });
    await connection.sendBytes(new Uint8Array(1), 0, 1, { timeout: 5 });
    exactly<string>()(await connection.recv({ timeout: 5 }));
    exactly<Uint8Array<ArrayBuffer>>()(await connection.recvBytes(5));
    exactly<number>()(await connection.recvBytesInto(new Uint8Array(1)));
    exactly<boolean>()(await connection.poll({ timeout: 5 }));
    exactly<number>()(connection.fileno());
    exactly<void>()(connection.close());
  }
  for await (const value of either) exactly<string>()(value);
  exactly<AnyConnection<string>[]>()(await wait(all));

  // @ts-expect-error: a Connection has blocking calls, which a socket has not
  const _pipe: Connection<string> = ofSocket;
  // @ts-expect-error: they are two classes
  const _socket: SocketConnection<string> = ofPipe;
  // @ts-expect-error: messages of another type
  const _other: AnyConnection<number> = ofSocket;
  // @ts-expect-error: wrong type of the message
  await either.send(1);
}

/** Never called: what blocks. */
export function _blocking(either: AnyConnection<string>): void {
  exactly<string>()(ofPipe.recvSync());
  // @ts-expect-error: not with a socket
  ofSocket.recvSync();
  // @ts-expect-error: not with a socket
  ofSocket.sendSync("a");
  // @ts-expect-error: not with a socket
  ofSocket.pollSync();
  // @ts-expect-error: nor with what may be one
  either.recvSync();
}

/** Never called: where sockets' connections come from. */
export async function _sockets(): Promise<void> {
  const listener = new Listener<string>();
  exactly<SocketConnection<string>>()(await listener.accept());
  exactly<SocketConnection<number>>()(await Client<number>("/tmp/socket"));
  for await (const connection of listener) {
    exactly<SocketConnection<string>>()(connection);
  }
}

Deno.test("the types of connections let through what works, and only that", () => {
  // See above: this file would not compile.
});

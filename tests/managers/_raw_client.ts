/**
 * A client that speaks the protocol of managers itself, and need not do as it
 * should: what it takes it accepts only when the test says so, and it can end
 * without a word, as one that is killed does.
 *
 * Runs in the parent.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import * as say from "../../managers/_messages.ts";
import type { Message } from "../../managers/_messages.ts";
import { binaryWire, Peer } from "../../managers/_wire.ts";
import { Client, currentProcess } from "../../mod.ts";
import type {
  BaseProxy,
  LockProxy,
  SocketConnection,
  SyncManager,
} from "../../mod.ts";

/** Neither proxies nor functions: what these tests send is plain. */
const PLAIN = new Peer({
  lend: () => {
    throw new Error("A raw client sends no proxies");
  },
  borrow: () => {
    throw new Error("A raw client takes no proxies");
  },
});

/** See the module. */
export class RawClient implements Disposable {
  readonly #connection: SocketConnection;
  /** A lock of its own, by which its end is noticed. */
  readonly #sign: LockProxy;
  #requests = 0;

  private constructor(connection: SocketConnection, sign: LockProxy) {
    this.#connection = connection;
    this.#sign = sign;
  }

  /** Connects one to a manager. */
  static async to(manager: SyncManager): Promise<RawClient> {
    const connection = await Client(manager.address!, {
      authkey: currentProcess().authkey,
    });
    const client = new RawClient(connection, await manager.Lock());
    await client.read(say.WELCOME);
    client.#send(say.HELLO, 0, ["raw", "no proof"]);
    await client.take(client.#sign, "acquire", {});
    return client;
  }

  /** Sends a call; gives its number. */
  call(proxy: BaseProxy, method: string, ...args: unknown[]): number {
    const body = binaryWire.body(args, "args", PLAIN);
    this.#send(say.CALL, ++this.#requests, [proxy.id, method], body);
    return this.#requests;
  }

  /** Calls and waits for what that takes, but does not accept it. */
  async begin(
    proxy: BaseProxy,
    method: string,
    ...args: unknown[]
  ): Promise<unknown> {
    this.call(proxy, method, ...args);
    return valueOf(await this.read(say.TAKEN));
  }

  /** The same, and accepts it. */
  async take(
    proxy: BaseProxy,
    method: string,
    ...args: unknown[]
  ): Promise<unknown> {
    const value = await this.begin(proxy, method, ...args);
    this.#send(say.ACCEPT, this.#requests, []);
    return value;
  }

  /** Says that nobody waits for an answer any more. */
  cancel(request: number): void {
    this.#send(say.CANCEL, request, []);
  }

  /** Reads the next message, which has to be of a kind. */
  async read(kind: number): Promise<Message> {
    const message = binaryWire.unpack(await this.#connection.recvBytes());
    assertEquals(message.kind, kind, "the kind of the message");
    return message;
  }

  /** Ends without a word; returns when the server has noticed. */
  async die(): Promise<void> {
    this.#connection.close();
    const guard = await this.#sign.acquire();
    assertEquals(guard?.abandoned, true);
    await guard![Symbol.asyncDispose]();
    await this.#sign[Symbol.asyncDispose]();
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  #send(
    kind: number,
    request: number,
    head: readonly unknown[],
    body?: unknown,
  ): void {
    // What becomes of the connection shows when it is read.
    this.#connection.sendBytes(binaryWire.pack(kind, request, head, body))
      .catch(() => {});
  }
}

/** What a message brings. */
export function valueOf({ body }: Message): unknown {
  return binaryWire.readBody(body, PLAIN).value;
}

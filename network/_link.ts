/**
 * A socket with messages on it: first for a handshake, one message after the
 * other; then, opened, for a connection. It is what both have in common, and the
 * only one who touches the socket.
 *
 * An open socket alone does not keep the program alive, as in Python; a call that
 * waits does.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { ProcessError } from "../errors.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { farewell } from "./_farewell.ts";
import { frameOf, FrameReader } from "./_frames.ts";
import { Inbox } from "./_inbox.ts";
import { Outbox } from "./_outbox.ts";
import { NOT_YET, TIMED_OUT, Waits } from "./_waits.ts";
import type { ChallengeConnection } from "./authentication.ts";

let links = 0;

/** See the module. */
export class Link implements ChallengeConnection {
  /** A number that no other link of this process has. */
  readonly id: number = ++links;
  /** Told once when it is closed. */
  onClose: (() => void) | undefined;

  readonly #socket: Deno.Conn;
  readonly #reader: FrameReader;
  readonly #outbox: Outbox;
  readonly #waits: Waits;
  #inbox: Inbox | undefined;
  #isClosed = false;

  /**
   * Takes a socket over.
   *
   * @param socket The socket.
   */
  constructor(socket: Deno.Conn) {
    this.#socket = socket;
    this.#reader = new FrameReader(socket);
    this.#outbox = new Outbox(
      socket,
      (isWriting) => this.#inbox?.writing(isWriting),
    );
    this.#waits = new Waits((isBusy) => this.keepAlive(isBusy));
    // Else each message would wait for the acknowledgement of the last.
    if (isTcp(socket)) socket.setNoDelay();
    this.keepAlive(false);
  }

  /** Whether it was closed here. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Says whether the program is to go on as long as something is to come. */
  keepAlive(isNeeded: boolean): void {
    if (this.#isClosed) return;
    if (isNeeded) this.#socket.ref();
    else this.#socket.unref();
  }

  // ---- one message after the other ------------------------------------------

  /** Sends bytes as one message. */
  async sendBytes(bytes: Uint8Array): Promise<void> {
    await this.send([bytes]);
  }

  /** Receives the next message, as long as it is not open. */
  async recvBytes(maxBytes: number): Promise<Uint8Array> {
    try {
      return await this.#reader.next(maxBytes);
    } catch (error) {
      throw this.#isClosed ? handleClosed() : error;
    }
  }

  // ---- a connection ---------------------------------------------------------

  /**
   * Begins to read ahead.
   *
   * @param maxMessageBytes How long a message may be.
   */
  open(maxMessageBytes: number): void {
    this.#inbox = new Inbox(
      this.#reader,
      maxMessageBytes,
      () => this.#waits.look(),
      // Nobody closes one half only here. A farewell there would take what is sent.
      (cause) => this.#outbox.breakOff(cause),
    );
    this.#inbox.writing(this.#outbox.isBusy);
  }

  /**
   * Sends a message, a copy of which is made at once.
   *
   * @param parts The message, in order.
   * @param options How long to wait.
   */
  async send(
    parts: readonly Uint8Array[],
    options?: WaitOptions,
  ): Promise<void> {
    await this.#outbox.send(frameOf(parts), options);
  }

  /**
   * Takes the next message.
   *
   * @param check Looks at it first; the message stays if it throws.
   * @param options How long to wait.
   * @returns The message, or {@linkcode TIMED_OUT}.
   */
  take(
    check: (message: Uint8Array<ArrayBuffer>) => void,
    options: WaitOptions,
  ): Promise<Uint8Array<ArrayBuffer> | typeof TIMED_OUT> {
    return this.#waits.wait(
      () => {
        const inbox = this.#openInbox();
        const message = inbox.first;
        if (message === undefined) {
          inbox.checkEnd();
          return NOT_YET;
        }
        check(message);
        inbox.drop();
        return message;
      },
      options,
      true,
    );
  }

  /** Waits until there is a message or the end; `false` if the time ran out. */
  async poll(options: WaitOptions): Promise<boolean> {
    const attempt = () => this.isReady || NOT_YET;
    return await this.#waits.wait(attempt, options, false) !== TIMED_OUT;
  }

  /** Whether there is a message or the end. */
  get isReady(): boolean {
    return this.#openInbox().isReady;
  }

  /** Closes the socket; whoever waits is rejected. Twice is fine. */
  close(): void {
    if (this.#isClosed) return;
    this.#closeSocket();
    this.#isClosed = true;
    this.#outbox.close(handleClosed);
    this.#inbox?.close();
    this.#waits.look();
    this.onClose?.();
  }

  #closeSocket(): void {
    const socket = this.#socket;
    // Before it is open, and when the other end is closed, nothing can get lost.
    if (this.#inbox && !this.#reader.isAtEnd && isTcp(socket)) {
      return farewell(socket);
    }
    // What is going on ends soon, and somebody may wait for that.
    this.keepAlive(true);
    socket.close();
  }

  #openInbox(): Inbox {
    if (this.#isClosed) throw handleClosed();
    return this.#inbox!;
  }
}

function isTcp(socket: Deno.Conn): socket is Deno.TcpConn {
  return "setNoDelay" in socket;
}

function handleClosed(): ProcessError {
  return new ProcessError("Cannot use a connection as its handle is closed");
}

/**
 * How a `SharedArrayBuffer` follows a message from thread to thread. Messages lie in
 * shared memory and can only say which buffers they mean; only the system hands
 * over the buffers themselves, and that through a port, which two threads have
 * between them.
 *
 * **What it guarantees.** Whoever sends posts the buffers first and the message
 * afterwards. So whoever has taken a message finds its buffers: they are read from
 * the port there and then, not when the event loop comes round. They are filed by
 * the number of the message. Nothing is kept for a message that never comes: its
 * sender recalls it, and what a dead thread has not read goes with its port.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { builtin } from "./_node.ts";
import { current } from "./current.ts";

/** What goes through a port; `null` recalls what was posted with that number. */
type Posting = readonly [
  number: number,
  buffers: readonly SharedArrayBuffer[] | null,
];

/** One end of it. */
export class BufferPort {
  readonly #port: MessagePort;
  readonly #received = new Map<number, readonly SharedArrayBuffer[]>();
  readonly #receive: (
    port: MessagePort,
  ) => { message: Posting } | undefined;

  /** Reads and writes a port. Nobody else may. */
  constructor(port: MessagePort) {
    this.#port = port;
    this.#receive = builtin("node:worker_threads").receiveMessageOnPort;
  }

  /** Both ends: one to use here, and one to start a thread with. */
  static pair(): [here: BufferPort, there: MessagePort] {
    const { MessageChannel } = builtin("node:worker_threads");
    const { port1, port2 } = new MessageChannel();
    return [new BufferPort(port1), port2];
  }

  /** Of how many messages the buffers have been read and not been taken. */
  get size(): number {
    return this.#received.size;
  }

  /**
   * Sends buffers. To be called before their message is sent.
   *
   * @param number Number of the message.
   * @param buffers What it refers to, by their places here.
   */
  post(number: number, buffers: readonly SharedArrayBuffer[]): void {
    const posting: Posting = [number, buffers];
    this.#port.postMessage(posting);
  }

  /**
   * Says that a message was taken back: nobody will ask for its buffers.
   *
   * @param number Number of the message.
   */
  recall(number: number): void {
    const posting: Posting = [number, null];
    this.#port.postMessage(posting);
  }

  /**
   * Buffers that came with a message.
   *
   * @param number Number of the message.
   * @returns The buffers, once; `undefined` if there are none.
   */
  take(number: number): readonly SharedArrayBuffer[] | undefined {
    this.read();
    const buffers = this.#received.get(number);
    this.#received.delete(number);
    return buffers;
  }

  /** Reads what has come, so that what was recalled is not kept. */
  read(): void {
    let next = this.#receive(this.#port);
    for (; next; next = this.#receive(this.#port)) {
      const [number, buffers] = next.message;
      if (buffers) this.#received.set(number, buffers);
      else this.#received.delete(number);
    }
  }

  /** Closes it. */
  close(): void {
    this.#received.clear();
    this.#port.close();
  }
}

/** The end to the parent, in a thread that was started with one. */
export function parentBufferPort(): BufferPort | undefined {
  return current.port && new BufferPort(current.port);
}

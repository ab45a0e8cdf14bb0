/**
 * The way into a connection: messages are read as they come, whoever asks for them,
 * up to a mark; so a program that only sends lets the other end do so too.
 *
 * **Two that send more than the mark.** If both ends send and neither receives,
 * both stop reading at their mark, the system's buffers fill up, and both sends
 * hang. So when reading has stopped and a write hangs for {@linkcode STALL_MS}, the
 * mark is doubled: the other side's write gets on, and the same happens there. It
 * goes back when the messages have been taken. A peer that only wants to fill our
 * memory gets as far as one largest message, or {@linkcode MARK_BYTES_MAX}.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EofError, ProcessError } from "../errors.ts";
import { Fifo } from "./_fifo.ts";
import type { FrameReader } from "./_frames.ts";

/** Bytes that are read ahead. */
const MARK_BYTES = 1024 * 1024;
/**
 * The mark at most, if not even a message may be so long: two that send first and
 * receive then are honest, whatever they allow for one message.
 */
const MARK_BYTES_MAX = 64 * MARK_BYTES;
/** What a message counts for beside its bytes: an object and two headers. */
const MESSAGE_BYTES = 256;
/** How long a write hangs before both sides may be waiting for each other. */
const STALL_MS = 10;

/** See the module. */
export class Inbox {
  readonly #reader: FrameReader;
  readonly #maxMessageBytes: number;
  readonly #onChange: () => void;
  readonly #onEnd: (cause: unknown) => void;
  readonly #messages = new Fifo<Uint8Array<ArrayBuffer>>();
  #bytes = 0;
  #mark = MARK_BYTES;
  #end: Error | undefined;
  #isClosed = false;
  #goOn: (() => void) | undefined;
  #isWriting = false;
  #stall: ReturnType<typeof setTimeout> | undefined;

  /**
   * Begins to read.
   *
   * @param reader Where messages come from.
   * @param maxMessageBytes How long one may be.
   * @param onChange Called when a message or the end has come.
   * @param onEnd Called when the other side has closed its end, with what the
   * system says of that.
   */
  constructor(
    reader: FrameReader,
    maxMessageBytes: number,
    onChange: () => void,
    onEnd: (cause: unknown) => void,
  ) {
    this.#reader = reader;
    this.#maxMessageBytes = maxMessageBytes;
    this.#onChange = onChange;
    this.#onEnd = onEnd;
    this.#pump();
  }

  /** The next message, which stays there. */
  get first(): Uint8Array<ArrayBuffer> | undefined {
    return this.#messages.first;
  }

  /** Whether there is a message or the end. */
  get isReady(): boolean {
    return this.#messages.size > 0 || this.#end !== undefined;
  }

  /** Takes the first message away. */
  drop(): void {
    const message = this.#messages.take();
    if (!message) return;
    this.#bytes -= message.byteLength + MESSAGE_BYTES;
    if (this.#bytes >= MARK_BYTES) return;
    this.#mark = MARK_BYTES;
    this.#resume();
  }

  /** Throws if the end has come; as often as it is asked. */
  checkEnd(): void {
    const end = this.#end;
    if (!end) return;
    const cls = end instanceof EofError ? EofError : ProcessError;
    const options = end.cause === undefined ? {} : { cause: end.cause };
    throw new cls(end.message, options);
  }

  /**
   * Told before each write, and when there is nothing to write any more.
   *
   * @param isWriting Which of the two.
   */
  writing(isWriting: boolean): void {
    this.#isWriting = isWriting;
    this.#watch();
  }

  /** Stops reading; what was read is forgotten. */
  close(): void {
    this.#isClosed = true;
    this.#reader.stop();
    this.#messages.takeAll();
    this.#bytes = 0;
    this.#isWriting = false;
    this.#resume();
  }

  async #pump(): Promise<void> {
    try {
      while (true) {
        if (this.#bytes >= this.#mark) await this.#pause();
        const message = await this.#reader.next(this.#maxMessageBytes);
        if (this.#isClosed) return;
        this.#messages.push(message);
        this.#bytes += message.byteLength + MESSAGE_BYTES;
        this.#onChange();
      }
    } catch (error) {
      this.#end = error as Error;
      if (this.#reader.isAtEnd) this.#onEnd(this.#end.cause);
      this.#onChange();
    }
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#goOn = resolve;
    this.#watch();
    return promise;
  }

  #resume(): void {
    const goOn = this.#goOn;
    this.#goOn = undefined;
    this.#watch();
    goOn?.();
  }

  /** Looks for a write that hangs while nothing is read. */
  #watch(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
    if (!this.#isWriting || !this.#goOn) return;
    if (this.#mark >= Math.max(this.#maxMessageBytes, MARK_BYTES_MAX)) return;
    this.#stall = setTimeout(() => {
      this.#mark = 2 * this.#mark;
      this.#resume();
    }, STALL_MS);
  }
}

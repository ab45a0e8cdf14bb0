/**
 * Lets clients in: takes each socket as it comes, has all handshakes going on
 * beside each other, and hands over who has passed.
 *
 * ```
 *   system's queue --> in hand --> handshake --> onArrival() --> closed by its user
 *                      one socket  `------- maxConnections at most -------'
 * ```
 *
 * **Nobody holds the door shut.** Somebody who is silent, or sends a byte a second,
 * takes up one place until the deadline. When all places are taken and somebody
 * waits, the one who has been at its handshake longest has to go, if that is longer
 * than a {@linkcode PATIENCE} of the deadline. Honest clients are done in
 * milliseconds, but not if a thousand come at once on a machine that is busy: so
 * there is no limit to handshakes of their own, which would be reached by those.
 *
 * **Nothing spins.** If taking a socket fails (no file descriptors left), the next
 * attempt comes after {@linkcode PAUSE_MS}.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { log } from "../_log.ts";
import { ProcessError, TimeoutError } from "../errors.ts";
import { LONGEST_TIMER_MS } from "../memory/mod.ts";
import { Link } from "./_link.ts";
import { addressOf, textOf } from "./address.ts";
import type { Address } from "./address.ts";
import { authenticate } from "./authentication.ts";
import type { Credentials } from "./authentication.ts";

/** The part of its time that a handshake has although others wait for its place. */
const PATIENCE = 1 / 4;
/** The pause after a socket could not be taken. */
const PAUSE_MS = 100;

/** Whom to let in, and whom to tell. */
export interface DoorSettings {
  /** What clients have to prove; nothing if not given. */
  readonly credentials: Credentials | undefined;
  /** How long a handshake may take. */
  readonly handshakeTimeoutMs: number;
  /** Connections at a time, from their handshake until they are closed. */
  readonly maxConnections: number;
  /** Takes over a client that has passed. */
  onArrival(link: Link, peer: Address): void;
  /** Hears of a client that has not. */
  onRefusal(error: Error, peer: Address): void;
}

/** One handshake. */
interface Handshake {
  readonly link: Link;
  readonly since: number;
  /** Why it was ended from here. */
  verdict: Error | undefined;
}

/** See the module. */
export class Doorkeeper {
  /** Settled when nothing is going on any more; never rejects. */
  readonly finished: Promise<void>;

  readonly #socket: Deno.Listener;
  readonly #settings: DoorSettings;
  /** Oldest first. */
  readonly #handshakes = new Set<Handshake>();
  readonly #running = new Set<Promise<void>>();
  #connections = 0;
  #isClosed = false;
  #isNeeded = false;
  /** Ends a pause early. */
  #goOn: (() => void) | undefined;
  /** Ends a pause, and stands for the socket in it. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Begins to let clients in.
   *
   * @param socket Where they come.
   * @param settings Whom to let in.
   */
  constructor(socket: Deno.Listener, settings: DoorSettings) {
    this.#socket = socket;
    this.#settings = settings;
    this.keepAlive(false);
    this.finished = this.#run();
  }

  /** Says whether the program is to go on as long as clients may come. */
  keepAlive(isNeeded: boolean): void {
    if (this.#isClosed) return;
    this.#isNeeded = isNeeded;
    if (isNeeded) this.#socket.ref();
    else this.#socket.unref();
    if (this.#timer === undefined) return;
    if (isNeeded) Deno.refTimer(this.#timer);
    else Deno.unrefTimer(this.#timer);
  }

  /** Lets nobody in any more; handshakes are broken off. */
  close(): void {
    this.#isClosed = true;
    for (const { link } of [...this.#handshakes]) link.close();
    this.#goOn?.();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#admit(await this.#socket.accept());
      } catch (error) {
        if (this.#isClosed) break;
        log.warn(() => `listener could not take a client: ${error}`);
        await this.#pause(PAUSE_MS);
      }
    }
    await Promise.all(this.#running);
  }

  async #admit(socket: Deno.Conn): Promise<void> {
    await this.#place();
    if (this.#isClosed) return socket.close();
    const link = new Link(socket);
    const peer = addressOf(socket.remoteAddr);
    this.#connections++;
    link.onClose = () => {
      this.#connections--;
      this.#goOn?.();
    };
    if (!this.#settings.credentials) {
      return this.#settings.onArrival(link, peer);
    }
    const running = this.#greet(link, peer, this.#settings.credentials)
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until there is a place for one more. */
  async #place(): Promise<void> {
    while (this.#isFull && !this.#isClosed) {
      const [oldest] = this.#handshakes;
      if (!oldest) {
        await this.#pause(Infinity);
        continue;
      }
      const patienceMs = PATIENCE * this.#settings.handshakeTimeoutMs;
      const leftMs = oldest.since + patienceMs - performance.now();
      if (leftMs > 0) await this.#pause(leftMs);
      else this.#expel(oldest, "others waited for its place");
    }
  }

  get #isFull(): boolean {
    return this.#connections >= this.#settings.maxConnections;
  }

  async #greet(
    link: Link,
    peer: Address,
    credentials: Credentials,
  ): Promise<void> {
    const handshake: Handshake = {
      link,
      since: performance.now(),
      verdict: undefined,
    };
    this.#handshakes.add(handshake);
    const ms = this.#settings.handshakeTimeoutMs;
    const deadline = setTimeout(
      () => this.#expel(handshake, `it was not done in ${ms} ms`),
      ms,
    );
    Deno.unrefTimer(deadline);
    try {
      await authenticate(link, credentials);
    } catch (error) {
      link.close();
      if (!this.#isClosed) {
        this.#refuse(handshake.verdict ?? error as Error, peer);
      }
      return;
    } finally {
      clearTimeout(deadline);
      this.#handshakes.delete(handshake);
      this.#goOn?.();
    }
    if (!link.isClosed) this.#settings.onArrival(link, peer);
  }

  #expel(handshake: Handshake, why: string): void {
    handshake.verdict = new TimeoutError(
      `Cannot let a client in as its handshake took too long: ${why}`,
    );
    this.#handshakes.delete(handshake);
    handshake.link.close();
  }

  #refuse(error: Error, peer: Address): void {
    log.info(() =>
      `refused a client${
        peer === "" ? "" : ` at ${textOf(peer)}`
      }: ${error.message}`
    );
    this.#settings.onRefusal(error, peer);
  }

  /** Waits until a place becomes free, the listener is closed or time is up. */
  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#goOn = resolve;
    this.#timer = setTimeout(
      resolve,
      Math.min(Math.ceil(ms), LONGEST_TIMER_MS),
    );
    this.keepAlive(this.#isNeeded);
    await promise;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#goOn = undefined;
  }
}

/** What is thrown to those who wait for a client that does not come any more. */
export function listenerClosed(): ProcessError {
  return new ProcessError("Cannot accept as the listener is closed");
}

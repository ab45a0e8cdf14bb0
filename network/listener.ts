/**
 * {@linkcode Listener}: where clients connect to.
 *
 * What is here is what users see: the checks, and the line of those who wait to
 * accept. `_doorkeeper.ts` lets the clients in.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { TO_WIRE } from "../codec/mod.ts";
import { AuthenticationError, EncodingError, TimeoutError } from "../errors.ts";
import { checkedTimeout, LONGEST_TIMER_MS } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { showAsText } from "../primitives/inspect.ts";
import { becomesReady } from "../primitives/waitable.ts";
import { Doorkeeper, listenerClosed } from "./_doorkeeper.ts";
import { addDuty, removeDuty } from "./_exit.ts";
import type { Link } from "./_link.ts";
import { checkedDigest, Secret } from "./_secret.ts";
import { NOT_YET, TIMED_OUT, Waits } from "./_waits.ts";
import { checkCount, listenAt, textOf } from "./address.ts";
import type { Address, Family, Post } from "./address.ts";
import type { AuthKeyLike, Credentials, Digest } from "./authentication.ts";
import { connectionOver } from "./connection.ts";
import type { SocketConnection } from "./connection.ts";

/** How long a handshake may take, in milliseconds; as long as CPython's timeout. */
const HANDSHAKE_TIMEOUT_MS = 20_000;
/** The longest message: enough for most, and no machine breaks at once. */
export const MESSAGE_BYTES_MAX: number = 1024 ** 3;
/** Connections at a time; well below the file descriptors that Deno asks for. */
const CONNECTIONS_MAX = 4096;
/** Failures kept for calls of `accept()` to come. */
const FAILURES_MAX = 64;

/** Settings of a {@linkcode Listener}. */
export interface ListenerOptions {
  /**
   * The key that both sides prove to each other to have.
   *
   * @default {undefined} everybody is let in
   */
  authkey?: AuthKeyLike | undefined;
  /**
   * The keyed digest for that. `"md5"` for clients of CPython up to 3.11; others
   * are let in as well then.
   *
   * @default {"sha256"}
   */
  digest?: Digest | undefined;
  /**
   * The kind of address. Only needed without an address.
   *
   * @default {"AF_UNIX"} `"AF_INET"` on Windows
   */
  family?: Family | undefined;
  /**
   * How many clients the system lets wait before they are taken from it. For TCP
   * only; and they are taken at once, up to `maxConnections`.
   *
   * @default {511} as Deno has it
   */
  backlog?: number | undefined;
  /**
   * How long a client may take to prove that it has the key, in milliseconds.
   *
   * @default {20000}
   */
  handshakeTimeout?: number | undefined;
  /**
   * How long a message from a client may be. One that is longer ends its
   * connection. Memory is taken as a message comes, not when it is announced.
   *
   * @default {1073741824} 1 GiB
   */
  maxMessageBytes?: number | undefined;
  /**
   * Connections at a time: in the handshake, waiting to be accepted, and accepted
   * but not closed. Further clients wait until one is closed.
   *
   * @default {4096}
   */
  maxConnections?: number | undefined;
  /**
   * Hears of every client that is turned away: with a wrong key
   * ({@linkcode AuthenticationError}), too slow ({@linkcode TimeoutError}), gone
   * ({@linkcode EofError}) or talking nonsense ({@linkcode ProcessError}).
   *
   * @param error Why.
   * @param peer Where it came from; `""` for a Unix socket.
   */
  onRefusal?: ((error: Error, peer: Address) => void) | undefined;
}

/** A client that has passed. */
interface Arrival {
  readonly link: Link;
  readonly peer: Address;
}

/**
 * Listens for clients: programs that call {@linkcode Client}, or CPython's
 * `multiprocessing.connection.Client`.
 *
 * - **Handshakes** go on beside each other and before anybody accepts. A client
 *   that is silent or slow holds up nobody.
 * - **A wrong key:** `accept()` rejects with an {@linkcode AuthenticationError},
 *   once for each such client (the last 64, if nobody accepts), and the listener
 *   goes on. A `for await` loop passes over them. Those who never answer are not
 *   worth an `accept()`: of them, and of all others, `onRefusal` hears.
 * - **Order:** clients are given out in the order in which they have passed, calls
 *   of `accept()` served in the order in which they were made.
 * - **Keeping alive:** a call of `accept()` keeps the program alive, a listener
 *   alone does not.
 * - **No encryption:** the key protects who may connect, not what is said.
 * - **Differs from Python:** there are no named pipes; an empty key is refused; a
 *   host that is not given is this machine alone.
 *
 * @example A server and a client
 * ```ts
 * import { Client, Listener } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const authkey = crypto.getRandomValues(new Uint8Array(32));
 *
 * await using listener = new Listener({ port: 0 }, { authkey });
 * const serving = (async () => {
 *   for await (using connection of listener) {
 *     for await (const n of connection) await connection.send(Number(n) * 2);
 *     return;
 *   }
 * })();
 *
 * using connection = await Client(listener.address, { authkey });
 * await connection.send(21);
 * assertEquals(await connection.recv(), 42);
 * connection.close();
 * await serving;
 * ```
 */
export class Listener<T = unknown> implements Disposable, AsyncDisposable {
  readonly #post: Post;
  readonly #doorkeeper: Doorkeeper;
  readonly #maxMessageBytes: number;
  readonly #arrivals: Arrival[] = [];
  readonly #failures: AuthenticationError[] = [];
  readonly #waits: Waits;
  readonly #onExit = () => {
    this.#close(() => this.#post.closeForExit());
  };
  #lastAccepted: Address | null = null;
  #isClosed = false;

  static {
    Object.defineProperty(this.prototype, TO_WIRE, { value: refuseToTravel });
    becomesReady<Listener>(this, (listener) => ({
      ready: () => listener.#isReady(),
      promise: (signal) =>
        listener.#waits.wait(
          () => listener.#isReady() || NOT_YET,
          { signal },
          false,
        ),
    }));
    showAsText(this);
  }

  /**
   * Begins to listen.
   *
   * @param address Where. If not given, a Unix socket in a temporary folder, which
   * is removed with it.
   * @param options Who is let in, and how many.
   * @throws {Deno.errors.AddrInUse} If somebody listens there already, or has died
   * without removing the file.
   * @throws {TypeError} If an argument has the wrong type, or the address is not of
   * the family.
   * @throws {RangeError} If there is no such family, digest or port, a path is too
   * long, a hostname cannot be one, or a number is not above 0.
   */
  constructor(address?: Address, options: ListenerOptions = {}) {
    const {
      authkey,
      family,
      backlog,
      handshakeTimeout = HANDSHAKE_TIMEOUT_MS,
      maxMessageBytes = MESSAGE_BYTES_MAX,
      maxConnections = CONNECTIONS_MAX,
      onRefusal,
    } = options;
    const digest = checkedDigest(options.digest);
    const credentials: Credentials | undefined = authkey === undefined
      ? undefined
      : { secret: new Secret(authkey), digest, role: "listener" };
    const settings = {
      credentials,
      handshakeTimeoutMs: checkedDeadline(handshakeTimeout),
      maxConnections: checkCount("maxConnections", maxConnections),
      onArrival: (link: Link, peer: Address) => this.#arrive({ link, peer }),
      onRefusal: (error: Error, peer: Address) => {
        this.#refused(error);
        // On its own, so that an error in it is the program's and nobody else's.
        if (onRefusal) queueMicrotask(() => onRefusal(error, peer));
      },
    };
    checkListener(onRefusal);
    this.#maxMessageBytes = checkCount("maxMessageBytes", maxMessageBytes);
    this.#post = listenAt(address, { family, backlog });
    const doorkeeper = new Doorkeeper(this.#post.socket, settings);
    this.#doorkeeper = doorkeeper;
    this.#waits = new Waits((isBusy) => doorkeeper.keepAlive(isBusy));
    // So that no file is left behind when the program, or this thread, just ends.
    addDuty(this.#onExit);
  }

  /** How it is reached, with the real port; still answered after closing. */
  get address(): Address {
    return this.#post.address;
  }

  /**
   * Where the client came from that was accepted last; `""` if through a Unix
   * socket, `null` if there was none.
   */
  get lastAccepted(): Address | null {
    return this.#lastAccepted;
  }

  /**
   * Gives the next client that has passed.
   *
   * @param options How long to wait.
   * @returns The connection to it.
   * @throws {AuthenticationError} If a client had another key. The listener goes
   * on, call it again.
   * @throws {TimeoutError} If the time ran out.
   * @throws {ProcessError} If the listener is closed.
   */
  async accept(options: WaitOptions = {}): Promise<SocketConnection<T>> {
    const arrival = await this.#waits.wait(
      () => {
        if (this.#isClosed) throw listenerClosed();
        // Strangers with wrong keys must not come before those with the right one.
        const arrival = this.#arrivals.shift();
        if (arrival) return arrival;
        const failure = this.#failures.shift();
        if (failure) throw failure;
        return NOT_YET;
      },
      options,
      true,
    );
    if (arrival === TIMED_OUT) {
      throw new TimeoutError("Cannot accept in time as no client has come");
    }
    return this.#take(arrival);
  }

  /**
   * Gives clients until the listener is closed.
   *
   * @returns The connections.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<
    SocketConnection<T>,
    void,
    undefined
  > {
    while (!this.#isClosed) {
      let connection: SocketConnection<T>;
      try {
        connection = await this.accept();
      } catch (error) {
        // Strangers do not end the loop of a server.
        if (error instanceof AuthenticationError) continue;
        if (this.#isClosed) return;
        throw error;
      }
      yield connection;
    }
  }

  /**
   * Stops listening and removes the socket's file. Calls of `accept()` reject,
   * loops end, clients that were not accepted are cut off; connections that were
   * accepted stay. Doing it twice is fine.
   *
   * - **The address** is free in the next turn of the event loop. To use it again at
   *   once, await `[Symbol.asyncDispose]()`.
   */
  close(): void {
    this.#close(() => this.#post.close());
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes it, and waits until the address is free and nothing is going on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#doorkeeper.finished;
  }

  /**
   * Describes the listener.
   *
   * @returns Its address, as `<Listener at "/tmp/…">`.
   */
  toString(): string {
    const state = this.#isClosed ? " closed" : "";
    return `<Listener at ${textOf(this.address)}${state}>`;
  }

  #close(closePost: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    removeDuty(this.#onExit);
    try {
      closePost();
    } finally {
      this.#doorkeeper.close();
      for (const { link } of this.#arrivals.splice(0)) link.close();
      this.#waits.look();
    }
  }

  #arrive(arrival: Arrival): void {
    this.#arrivals.push(arrival);
    this.#waits.look();
  }

  #refused(error: Error): void {
    if (!(error instanceof AuthenticationError)) return;
    this.#failures.push(error);
    if (this.#failures.length > FAILURES_MAX) this.#failures.shift();
    this.#waits.look();
  }

  #take({ link, peer }: Arrival): SocketConnection<T> {
    this.#lastAccepted = peer;
    link.open(this.#maxMessageBytes);
    return connectionOver<T>(link);
  }

  #isReady(): boolean {
    if (this.#isClosed) throw listenerClosed();
    return this.#arrivals.length + this.#failures.length > 0;
  }
}

function checkedDeadline(handshakeTimeout: number): number {
  const ms = checkedTimeout(handshakeTimeout, "handshakeTimeout");
  if (ms > 0) return Math.min(ms, LONGEST_TIMER_MS);
  throw new RangeError(
    `Cannot listen as 'handshakeTimeout' must be above 0: it is ${ms}`,
  );
}

function checkListener(onRefusal: unknown): void {
  if (onRefusal === undefined || typeof onRefusal === "function") return;
  throw new TypeError(
    `Cannot listen as 'onRefusal' must be a function: it is ${
      Deno.inspect(onRefusal)
    }`,
  );
}

function refuseToTravel(): never {
  throw new EncodingError(
    "Cannot send a Listener as Deno cannot hand a socket to another process: send its address",
  );
}

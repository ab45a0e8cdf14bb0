/**
 * {@linkcode RemoteSession}: this process's one connection to a server, and all
 * requests, leases and proxies in flight that go through it.
 *
 * ```
 *   connecting ──welcome──> open ──end of file, error──> lost
 *        └──────refused─────────────────────────────────────^
 *   open ──last user gone, and nothing acquired──> closed
 * ```
 *
 * **Why nothing hangs.** A request is pending only while somebody reads the
 * connection, and the end of the connection rejects all that are. After that
 * nothing is sent any more, and new requests are refused at once.
 *
 * **Order.** A message is handed to the connection in the call that makes it, or
 * kept in order until there is one. So a release never overtakes the call, and a
 * hold never comes after the release of what it holds.
 *
 * Runs in the client.
 *
 * @module
 */
import {
  EncodingError,
  EofError,
  ProcessError,
  TimeoutError,
} from "../errors.ts";
import { log } from "../_log.ts";
import {
  arenaFor,
  checkedTimeout,
  checkSignal,
  LONGEST_TIMER_MS,
} from "../memory/mod.ts";
import { undoIfNotSent } from "../primitives/block.ts";
import type { Target } from "../primitives/block.ts";
import { current } from "../contexts/current.ts";
import { atExit } from "../contexts/exit.ts";
import { refer } from "../contexts/functions.ts";
import { preloadRoom } from "../contexts/preload.ts";
import { Client } from "../network/mod.ts";
import type { Address, Digest, SocketConnection } from "../network/mod.ts";
import { proofOf } from "./_family.ts";
import { unpacked } from "./_failures.ts";
import * as say from "./_messages.ts";
import type { Description, Message } from "./_messages.ts";
import { originOf, proxyFor, setArrivals } from "./proxy.ts";
import type {
  BaseProxy,
  CallOptions,
  LinkedOrigin,
  Origin,
  ProxyClass,
  Session,
} from "./proxy.ts";
import { Peer } from "./_wire.ts";
import type { SerializerName, Wire } from "./_wire.ts";
import { wireNamed } from "./_wires.ts";

/** How long connecting may take: as long as a handshake. */
const CONNECT_MS = 20_000;
/**
 * How long taking leave may take of a server that does not listen: to connect, if
 * it is only to say what has arrived, and to send what lies before the goodbye.
 */
const LEAVE_MS = 2000;
/** How much longer than its time-out a call waits for a server that is busy. */
const SILENCE_MS = 5000;
const SILENCE_STEPS = 10;
/** Between two looks at those to whom proxies are under way. */
const LOOK_MS = 1000;
/** Sessions end after all else: a callback at exit may still use a proxy. */
const EXIT_PRIORITY = -1000;

/** Where a server is, and how to talk to it. */
export interface Destination {
  /** Where it listens. */
  readonly address: Address;
  /** The key; not part of anything that is shown. */
  readonly key: Uint8Array;
  /** How values are written. */
  readonly serializer: SerializerName;
  /** The digest of the handshake. */
  readonly digest?: Digest | undefined;
  /** Which server it has to be; any if not known yet. */
  readonly server?: string | undefined;
  /** How long connecting may take. */
  readonly timeout?: number | undefined;
  /** Aborting it gives connecting up. */
  readonly signal?: AbortSignal | undefined;
}

/** A request that is not answered. */
interface Pending {
  /** What is being done, for an error. */
  readonly what: string;
  /** The class of the proxy it may give. */
  readonly proxyClass: ProxyClass | undefined;
  /** Whether it is to acquire something. */
  readonly acquires: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** Nobody waits any more. */
  isAbandoned: boolean;
}

/** A proxy that was sent on and has not arrived, if its receiver is known. */
interface Held {
  readonly kind: Target["kind"];
  readonly token: number | undefined;
}

/** A proxy as it travels: where its server is, and what it stands for. */
type Travelling = readonly [
  address: Address,
  serializer: SerializerName,
  digest: Digest | null,
  server: string,
  key: Uint8Array | null,
  ticket: string,
  description: Description,
];

/** How to make a request. */
interface RequestOptions extends CallOptions {
  /** Whether it is to acquire something. */
  readonly acquires?: boolean;
}

const sessions = new Set<RemoteSession>();

/** Tells this process's tickets from those of others. */
const TICKETS = crypto.randomUUID();
let tickets = 0;

/** See the module. */
export class RemoteSession implements Session {
  /** Fulfilled when it is open. */
  readonly ready: Promise<void>;

  readonly #destination: Destination;
  readonly #wire: Wire;
  readonly #peer: Peer;
  readonly #pending = new Map<number, Pending>();
  readonly #held = new Map<string, Held>();
  /** Messages from before the connection. */
  #waiting: Uint8Array[] | undefined = [];
  #connection: SocketConnection | undefined;
  #server: string | undefined;
  #serverName = "the manager's server";
  #failure: Error | undefined;
  /** Proxies, requests and others that need it. */
  #users = 0;
  /** Whether something has been acquired, and may still be held. */
  #mayHold = false;
  /** Aborted to give connecting up. */
  readonly #leaving = new AbortController();
  #requests = 0;
  /** Pending requests nobody waits for any more. */
  #abandoned = 0;
  #isReading = false;
  #stopReading: AbortController | undefined;
  #lookout: ReturnType<typeof setInterval> | undefined;
  #farewell: Promise<void> | undefined;

  /**
   * The session for a destination; the one there is, if any.
   *
   * @param destination Where to.
   */
  static to(destination: Destination): RemoteSession {
    for (const session of sessions) {
      if (session.#leadsTo(destination)) return session;
    }
    return new RemoteSession(destination);
  }

  private constructor(destination: Destination) {
    this.#destination = destination;
    this.#server = destination.server;
    this.#wire = wireNamed(destination.serializer);
    this.#peer = new Peer({
      lend: (proxy) => this.#lend(originOf(proxy as BaseProxy)),
      borrow: (data) => this.#borrow(data as readonly unknown[]),
      refer,
    });
    sessions.add(this);
    endAtExit();
    this.ready = this.#open();
    this.ready.catch(() => {}); // whoever uses it is told
  }

  /** The server, once it is known. */
  get server(): string | undefined {
    return this.#server;
  }

  /** Whether nothing can be done through it any more. */
  get isLost(): boolean {
    return this.#failure !== undefined;
  }

  /** Says that somebody needs it. */
  retain(): void {
    this.#users++;
  }

  /**
   * Says that somebody who needed it does not any more.
   *
   * Once something has been acquired it stays: to end it would tell the server that
   * this client has ended, and that in good order, whatever becomes of it.
   */
  letGo(): void {
    if (--this.#users === 0 && !this.#mayHold) void this.end();
  }

  // ---- requests -------------------------------------------------------------

  /** See {@linkcode Session.call}. */
  call(
    origin: Origin,
    method: string,
    args: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown> {
    const what =
      `Cannot call '${method}' of an object of type '${origin.typeid}'`;
    return this.request(say.CALL, [origin.id, method], args, what, {
      ...options,
      acquires: method === "acquire",
    });
  }

  /**
   * Makes an object of a type.
   *
   * @param typeid The type.
   * @param args What its callable gets.
   * @param proxyClass The class of its proxies.
   */
  async create(
    typeid: string,
    args: readonly unknown[],
    proxyClass: ProxyClass | undefined,
  ): Promise<BaseProxy> {
    const what = `Cannot create an object of type '${typeid}'`;
    const options = proxyClass ? { proxyClass } : {};
    const made = this.request(say.CREATE, [typeid], args, what, options);
    return await made as BaseProxy;
  }

  /** Asks something of the server itself. */
  async ask(method: string, args: readonly unknown[] = []): Promise<unknown> {
    const what = `Cannot ask the manager's server for '${method}'`;
    return await this.request(say.CALL, [0, method], args, what);
  }

  /**
   * Sends a request. That is done before this returns, or can be refused at once.
   *
   * @param kind Its kind.
   * @param head What the library reads.
   * @param args What is the user's.
   * @param what What is being done, for an error.
   * @param options How.
   */
  async request(
    kind: number,
    head: readonly unknown[],
    args: readonly unknown[],
    what: string,
    options: RequestOptions = {},
  ): Promise<unknown> {
    const { signal, root = "args", proxyClass } = options;
    const timeout = checkedTimeout(options.timeout);
    checkSignal(signal);
    if (this.#failure) throw this.#lost(what);
    const body = this.#wire.body(args, root, this.#peer);
    const request = this.#nextRequest();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const pending: Pending = {
      what,
      proxyClass,
      acquires: options.acquires ?? false,
      resolve,
      reject,
      isAbandoned: false,
    };
    this.#pending.set(request, pending);
    this.#send(this.#wire.pack(kind, request, head, body));
    void this.#read();
    // The answer may come after the last proxy has gone.
    this.retain();
    const onAbort = () =>
      this.#cancel(request, pending, signal!.reason, options.settlesLate);
    signal?.addEventListener("abort", onAbort, { once: true });
    const forget = onSilence(
      timeout,
      () => this.#cancel(request, pending, silent(what, timeout)),
    );
    try {
      return await promise;
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      forget();
      this.letGo();
    }
  }

  /** Nobody waits for an answer any more. */
  #cancel(
    request: number,
    pending: Pending,
    reason: unknown,
    settlesLate = false,
  ): void {
    // It has been answered already, and that is about to be heard of.
    if (this.#pending.get(request) !== pending || pending.isAbandoned) return;
    this.#post(say.CANCEL, [], request);
    if (settlesLate) return;
    pending.isAbandoned = true;
    this.#abandoned++;
    pending.reject(reason);
    // The answer is read when somebody waits again.
    if (!this.#isWaitedFor()) this.#stopReading?.abort();
  }

  /** See {@linkcode Session.release}. */
  release({ id }: Origin): void {
    this.#post(say.RELEASE, [id]);
    this.letGo();
  }

  // ---- proxies on their way ---------------------------------------------------

  /** See {@linkcode Session.depart}. */
  depart(origin: Origin, { kind, token }: Target): Travelling {
    const ticket = this.#hold(origin, { kind, token });
    const { key } = this.#destination;
    // The key of the program is what every participant has already.
    const isOwnKey = isSame(key, current.authkey);
    return this.#travelling(origin, ticket, isOwnKey ? null : key);
  }

  /** Takes over a proxy that has arrived. */
  adopt(ticket: string, description: Description): BaseProxy {
    this.#post(say.ADOPT, [description.id, ticket]);
    return this.#proxy(description);
  }

  /** A proxy that the server has given a lease for. */
  #proxy(description: Description, proxyClass?: ProxyClass): BaseProxy {
    const { id, typeid, exposed, proxy } = description;
    const origin = { session: this, id, typeid, exposed, proxy };
    this.retain();
    return proxyFor(origin, proxyClass);
  }

  #hold(origin: Origin, held: Held): string {
    const ticket = `${TICKETS}:${++tickets}`;
    this.#post(say.HOLD, [origin.id, ticket]);
    this.#held.set(ticket, held);
    this.#watch();
    // Holding it on needs the session.
    this.retain();
    undoIfNotSent(() => this.#drop(ticket));
    return ticket;
  }

  #drop(ticket: string): void {
    if (!this.#forget(ticket)) return;
    this.#post(say.DROP, [ticket]);
    this.letGo();
  }

  #forget(ticket: string): boolean {
    const was = this.#held.delete(ticket);
    if (this.#held.size === 0) {
      clearInterval(this.#lookout);
      this.#lookout = undefined;
    }
    return was;
  }

  /** Looks for receivers that have ended without having received. */
  #watch(): void {
    if (this.#lookout !== undefined) return;
    const look = () => {
      for (const [ticket, { kind, token }] of [...this.#held]) {
        if (token === undefined) continue;
        if (arenaFor(kind).participants.standing(token) === "alive") continue;
        this.#drop(ticket);
      }
    };
    this.#lookout = setInterval(look, LOOK_MS);
    Deno.unrefTimer(this.#lookout as unknown as number);
  }

  /** A proxy as it goes to a server, this one or another. */
  #lend(origin: LinkedOrigin): unknown {
    if (origin.session === this) return ["own", origin.id];
    return lendForeign(origin);
  }

  #borrow(data: readonly unknown[]): object {
    if (data[0] === "foreign") return arrive(data[1]);
    return this.#proxy(data[1] as Description);
  }

  #travelling(
    { id, typeid, exposed, proxy }: Origin,
    ticket: string,
    key: Uint8Array | null,
  ): Travelling {
    preloadRoom(ROOM);
    const { address, serializer, digest = null } = this.#destination;
    const description = { id, typeid, exposed: [...exposed], proxy };
    const server = this.#server ?? "";
    return [address, serializer, digest, server, key, ticket, description];
  }

  /**
   * The same for another server, which gets no key: until it has taken the message,
   * nobody knows whose it is. So it has to do with that of its program.
   */
  departAbroad(origin: Origin): unknown {
    if (!isSame(this.#destination.key, current.authkey)) {
      throw new EncodingError(
        "Cannot send a proxy to another manager as its own manager has a key of its own, which the other's server does not have: leave out 'authkey', or send it to a process instead",
      );
    }
    const ticket = this.#hold(origin, { kind: "spawn", token: undefined });
    return this.#travelling(origin, ticket, null);
  }

  // ---- the connection ---------------------------------------------------------

  async #open(): Promise<void> {
    const { address, key, digest, timeout = CONNECT_MS, signal } =
      this.#destination;
    const limits = {
      timeout,
      signal: signal
        ? AbortSignal.any([signal, this.#leaving.signal])
        : this.#leaving.signal,
    };
    try {
      const connection = await Client(address, {
        authkey: key,
        digest,
        ...limits,
      });
      this.#connection = connection;
      const welcome = await connection.recvBytes(undefined, limits);
      await this.#greet(this.#wire.unpack(welcome));
    } catch (error) {
      this.#lose(error as Error);
      throw error;
    }
    const waiting = this.#waiting!;
    this.#waiting = undefined;
    for (const message of waiting) this.#send(message);
    void this.#read();
  }

  async #greet({ kind, head }: Message): Promise<void> {
    const [server, name, challenge] = head;
    if (
      kind !== say.WELCOME || typeof server !== "string" ||
      typeof name !== "string" || !(typeof challenge === "string")
    ) {
      throw new ProcessError(
        "Cannot talk to the manager as its first message is not a welcome",
      );
    }
    if (this.#server !== undefined && this.#server !== server) {
      throw new EofError(
        "Cannot use the proxy as the server of its manager has ended: another one listens at its address",
      );
    }
    this.#server = server;
    this.#serverName = name;
    const proof = await proofOf(challenge);
    const hello = this.#wire.pack(say.HELLO, 0, [current.name, proof]);
    this.#connection!.sendBytes(hello).catch(() => {});
  }

  #post(kind: number, head: readonly unknown[], request = 0): void {
    if (this.#failure) return;
    this.#send(this.#wire.pack(kind, request, head));
  }

  #send(message: Uint8Array): void {
    if (this.#waiting) {
      this.#waiting.push(message.slice());
      return;
    }
    this.#connection?.sendBytes(message).catch((error) => {
      // Whatever had come before the end is still to be read.
      if (this.#isReading) return;
      this.#lose(error);
    });
  }

  /** Reads as long as an answer is due, which also keeps the program alive. */
  async #read(): Promise<void> {
    if (this.#isReading || this.#waiting) return;
    this.#isReading = true;
    const stop = this.#stopReading = new AbortController();
    try {
      while (this.#isWaitedFor()) {
        const { signal } = stop;
        this.#take(await this.#connection!.recvBytes(undefined, { signal }));
      }
    } catch (error) {
      if (!stop.signal.aborted) this.#lose(error as Error);
    }
    this.#isReading = false;
    // Somebody may have come while it was being stopped.
    if (this.#isWaitedFor()) void this.#read();
  }

  #isWaitedFor(): boolean {
    return !this.#failure && this.#pending.size > this.#abandoned;
  }

  #take(bytes: Uint8Array): void {
    const { kind, request, head, body } = this.#wire.unpack(bytes);
    if (kind === say.ADOPTED) {
      if (this.#forget(String(head[0]))) this.letGo();
      return;
    }
    const pending = this.#pending.get(request);
    if (!pending) return;
    this.#pending.delete(request);
    if (pending.isAbandoned) {
      this.#abandoned--;
      return this.#refuse(kind, request, head);
    }
    try {
      const message = { kind, request, head, body };
      pending.resolve(this.#outcome(message, pending));
    } catch (error) {
      pending.reject(error);
    }
  }

  #outcome(
    { kind, request, head, body }: Message,
    { proxyClass, acquires }: Pending,
  ): unknown {
    switch (kind) {
      case say.OBJECT:
        return this.#proxy(head[0] as Description, proxyClass);
      case say.THROWN:
        throw unpacked(body, this.#wire, this.#peer, this.#serverName);
      case say.TAKEN: {
        const value = this.#taken(request, body);
        this.#mayHold ||= acquires;
        return value;
      }
      case say.RESULT:
        return this.#wire.readBody(body, this.#peer).value;
      default:
        throw new ProcessError(
          `Cannot read an answer of ${this.#serverName} as it is of an unknown kind: ${kind}`,
        );
    }
  }

  /** Accepts what was taken, or lets others try who can read it. */
  #taken(request: number, body: unknown): unknown {
    try {
      const { value } = this.#wire.readBody(body, this.#peer);
      this.#post(say.ACCEPT, [], request);
      return value;
    } catch (error) {
      this.#post(say.RETURN, [], request);
      throw error;
    }
  }

  /** Gives back what has come for somebody who does not wait any more. */
  #refuse(kind: number, request: number, head: readonly unknown[]): void {
    if (kind === say.TAKEN) this.#post(say.RETURN, [], request);
    if (kind === say.OBJECT) {
      this.#post(say.RELEASE, [(head[0] as Description).id]);
    }
  }

  // ---- the end ----------------------------------------------------------------

  /**
   * Ends it in good order: what is held in the server stays held.
   *
   * @param reason What later calls are told.
   */
  end(reason = "its manager's connection was closed"): Promise<void> {
    return this.#farewell ??= this.#end(reason);
  }

  async #end(reason: string): Promise<void> {
    // Without delay if it is open: at `Deno.exit()` nothing can be awaited, but a
    // small write goes to the system at once.
    if (this.#waiting) await this.ready.catch(() => {});
    // One that ends because of an error abandons what it holds.
    if (current.hasFailed) this.#lose(new EofError(reason));
    if (!this.#failure) {
      const goodbye = this.#wire.pack(say.GOODBYE, 0, []);
      const sent = this.#connection!.sendBytes(goodbye).catch(() => {});
      this.#lose(new EofError(reason), false);
      await atMost(LEAVE_MS, sent);
    }
    this.#connection?.close();
  }

  /** The same at exit, where a server that does not listen keeps nobody waiting. */
  async leave(): Promise<void> {
    // It would only be told what has arrived here, and is let go now.
    const isIdle = !this.#isWaitedFor() && this.#held.size === 0;
    const giveUp = () => this.#leaving.abort(new EofError("it is not there"));
    const timer = this.#waiting && isIdle
      ? setTimeout(giveUp, LEAVE_MS)
      : undefined;
    await this.end();
    clearTimeout(timer);
  }

  #lose(failure: Error, closes = true): void {
    if (this.#failure) return;
    this.#failure = failure;
    this.#waiting = undefined;
    sessions.delete(this);
    this.#held.clear();
    clearInterval(this.#lookout);
    if (closes) this.#connection?.close();
    for (const { what, reject } of this.#pending.values()) {
      reject(this.#lost(what));
    }
    this.#pending.clear();
    log.debug(() => `session with ${this.#serverName} has ended`);
  }

  #lost(what: string): Error {
    const cause = this.#failure!;
    // Refusals are clear as they are; an end has to say whose.
    if (!(cause instanceof EofError || isBroken(cause))) return cause;
    return new EofError(
      `${what} as ${
        cause.message.startsWith("its manager")
          ? cause.message
          : `the connection to ${this.#serverName} has ended: it has ended itself, or has hung up`
      }`,
      { cause },
    );
  }

  #nextRequest(): number {
    do {
      this.#requests = (this.#requests + 1) >>> 0;
    } while (this.#requests === 0 || this.#pending.has(this.#requests));
    return this.#requests;
  }

  #leadsTo({ address, key, serializer, server }: Destination): boolean {
    const mine = this.#destination;
    if (this.#failure || this.#farewell) return false;
    return textOf(mine.address) === textOf(address) &&
      mine.serializer === serializer && isSame(mine.key, key) &&
      // A manager that connects wants to see for itself who is there.
      server !== undefined && this.#server === server;
  }
}

/** A proxy as it goes to a server that is not its own. */
export function lendForeign(origin: LinkedOrigin): unknown {
  if (!(origin.session instanceof RemoteSession)) {
    throw new EncodingError(
      "Cannot send a proxy from inside its own server to another one",
    );
  }
  return ["foreign", origin.session.departAbroad(origin)];
}

/** Makes a proxy of what arrived in a message of this program. */
export function arrive(data: unknown): BaseProxy {
  const [address, serializer, digest, server, key, ticket, description] =
    data as Travelling;
  const session = RemoteSession.to({
    address,
    serializer,
    digest: digest ?? undefined,
    server,
    key: key ?? current.authkey,
  });
  return session.adopt(ticket, description);
}

setArrivals(arrive);

/** What a child has to load to know proxies. */
const ROOM = import.meta.resolve("./proxies.ts");

let isEndingAtExit = false;

function endAtExit(): void {
  if (isEndingAtExit) return;
  isEndingAtExit = true;
  const end = () => Promise.all([...sessions].map((each) => each.leave()));
  atExit(end, EXIT_PRIORITY);
}

/** Waits for something, but not for ever. */
async function atMost(ms: number, done: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([done, promise]);
  clearTimeout(timer);
}

/**
 * The server sees to time-outs; one that does nothing any more cannot. The time is
 * taken in steps, so that it hardly counts when this process itself was busy: the
 * answer may lie there then, and is read between two steps.
 *
 * @returns Takes it back.
 */
function onSilence(timeout: number, giveUp: () => void): () => void {
  if (timeout > LONGEST_TIMER_MS) return () => {};
  let steps = SILENCE_STEPS;
  const step = () => {
    if (steps-- === 0) giveUp();
    else timer = setTimeout(step, SILENCE_MS / SILENCE_STEPS);
  };
  let timer = setTimeout(step, Math.max(timeout, 0));
  return () => clearTimeout(timer);
}

function silent(what: string, timeout: number): TimeoutError {
  return new TimeoutError(
    `${what} in ${timeout} ms as the manager's server has not answered for ${SILENCE_MS} ms more: it is busy with something that does not end`,
  );
}

function textOf(address: Address): string {
  if (typeof address === "string") return address;
  return `${address.hostname ?? "127.0.0.1"}:${address.port}`;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength &&
    one.every((byte, i) => byte === other[i]);
}

function isBroken(error: Error): boolean {
  return error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionReset;
}

/**
 * {@linkcode BaseManager}: starts a server of objects, or connects to one.
 *
 * ```
 *   initial ──start()──> started ──shutdown()──> shut down
 *      ├────connect()───> connected ──shutdown()──> shut down (the server goes on)
 *      └────getServer()─> initial: serving is the caller's affair
 * ```
 *
 * A `shutdown()` that comes while it starts or connects waits for what that leads to,
 * and ends it.
 *
 * Runs in the client.
 *
 * @module
 */
import { EncodingError, ProcessError, RemoteError } from "../errors.ts";
import { log } from "../_log.ts";
import { AuthKey } from "../contexts/authkey.ts";
import { current } from "../contexts/current.ts";
import { refer } from "../contexts/functions.ts";
import { preloadRoom } from "../contexts/preload.ts";
import { INTERNAL, Process } from "../contexts/process.ts";
import {
  checkedTimeout,
  checkSignal,
  LONGEST_TIMER_MS,
} from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import type { Address, AuthKeyLike, Digest } from "../network/mod.ts";
import { bindTo, kindOf, travelsAs } from "../primitives/block.ts";
import { showAsText } from "../primitives/inspect.ts";
import { RemoteSession } from "./_remote.ts";
import type { Destination } from "./_remote.ts";
import type { SentType, Setup } from "./_server_main.ts";
import { Startup } from "./_startup.ts";
import type { BaseProxy } from "./proxy.ts";
import { addType, typesOf } from "./registry.ts";
import type { RegisterOptions, Registration } from "./registry.ts";
import { shownAddress } from "./_places.ts";
import type { Server } from "./server.ts";
import type { SerializerName } from "./_wire.ts";
import { wireNamed } from "./_wires.ts";

// deno-lint-ignore ban-types -- any function
type AnyFunction = Function;

/** Settings of a manager. */
export interface ManagerOptions {
  /**
   * Where the server listens, or is.
   *
   * @default {undefined} a free one on this machine
   */
  address?: Address | undefined;
  /**
   * The key that clients have to have.
   *
   * @default {currentProcess().authkey}
   */
  authkey?: AuthKeyLike | undefined;
  /**
   * How values are written: by the codec of this package, or as JSON, for clients
   * in other languages. Both sides have to say the same.
   *
   * @default {"binary"}
   */
  serializer?: SerializerName | undefined;
  /**
   * The digest of the handshake.
   *
   * @default {"sha256"}
   */
  digest?: Digest | undefined;
  /**
   * Functions that clients of other programs may name, in `update()` for example.
   * Those of this program may name any they can export.
   *
   * @default {[]}
   */
  // deno-lint-ignore ban-types -- any function
  functions?: readonly Function[] | undefined;
  /**
   * How long `shutdown()` waits for the server to end by itself, and again after
   * each stronger measure, in milliseconds.
   *
   * @default {1000}
   */
  shutdownTimeout?: number | undefined;
  /**
   * How long a client may take to prove that it has the key, in milliseconds; and
   * how long `connect()` tries.
   *
   * @default {20000}
   */
  handshakeTimeout?: number | undefined;
  /**
   * How long a message may be, in bytes. A longer one ends the connection.
   *
   * @default {1073741824} 1 GiB
   */
  maxMessageBytes?: number | undefined;
  /**
   * How long the server keeps an object for a proxy that was sent on and has not
   * arrived, once the sender has ended, in milliseconds.
   *
   * @default {300000} five minutes
   */
  handoverTimeout?: number | undefined;
}

/** How long `shutdown()` waits before each stronger measure. */
const SHUTDOWN_MS = 1000;
const HANDOVER_MS = 300_000;

type State = "initial" | "started" | "connected" | "shut down";

/**
 * A server of objects, and the proxies that stand for them. Extend it, register the
 * types of your objects, and start or connect one.
 *
 * - **The server** is a child, process or thread, that ends with this process, and
 *   that Ctrl-C does not end. Its objects are used by any process that has the key:
 *   children, other programs, other machines.
 * - **Death:** if the server ends, every call rejects with an `EofError`; if a client
 *   ends, its leases do, and what it held is abandoned.
 * - **Differs from Python:** `shutdown()` is there also after `connect()`, and only
 *   ends the connection then.
 *
 * @example Objects of your own
 * ```ts
 * import { BaseManager } from "@deno-mp/multiprocessing";
 * // A module of yours: export class Board, which keeps jobs that are added
 * // until they are taken.
 * import { Board } from "../examples/shared_manager.ts";
 * import { assertEquals } from "@std/assert";
 *
 * class MyManager extends BaseManager {
 *   static {
 *     this.register("Board", { callable: Board });
 *   }
 * }
 *
 * await using manager = new MyManager();
 * await manager.start();
 * const board = await manager.create<Board>("Board");
 * await board.add([10, 100]);
 * assertEquals(await board.take(), 10);
 * ```
 */
export class BaseManager {
  static {
    showAsText(this);
    travelsAs(this, () => {
      throw new EncodingError(
        "Cannot send a manager as it belongs to the process that created it: send a proxy, or its address",
      );
    });
  }

  readonly #options: ManagerOptions;
  readonly #authkey: AuthKey;
  readonly #shutdownTimeout: number;
  #state: State = "initial";
  /** While it is being started, or connected. */
  #beginning: Promise<void> | undefined;
  #address: Address | undefined;
  #process: Process | undefined;
  #session: RemoteSession | undefined;
  #reopening: Promise<RemoteSession> | undefined;
  #shuttingDown: Promise<void> | undefined;

  /**
   * Registers a type with this class of managers, and those that extend it.
   *
   * @param typeid The name of the type.
   * @param options What makes its objects, and what stands for them.
   * @throws {TypeError} If something is of the wrong type, or if another class of
   * proxies has the name of that one.
   */
  static register(typeid: string, options: RegisterOptions = {}): void {
    addType(this, typeid, options);
    if (options.createMethod === false || typeid in this.prototype) return;
    Object.defineProperty(this.prototype, typeid, {
      value: function (this: BaseManager, ...args: unknown[]) {
        return this.create(typeid, ...args);
      },
      configurable: true,
      writable: true,
    });
  }

  /**
   * Prepares a manager; `start()`, `connect()` or `getServer()` brings it to life.
   *
   * @param options Where it is, and who may use it.
   * @throws {TypeError} If an option has the wrong type.
   * @throws {RangeError} If there is no such serializer.
   */
  constructor(options: ManagerOptions = {}) {
    const { authkey, serializer, shutdownTimeout } = options;
    this.#options = { ...options };
    this.#authkey = authkeyOf(authkey);
    this.#shutdownTimeout = checkedTimeout(shutdownTimeout ?? SHUTDOWN_MS);
    this.#address = options.address;
    if (serializer !== undefined) wireNamed(serializer);
  }

  /** Where the server is; as it was given until that is known. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** The process of the server, if this manager has started it. */
  get process(): Process | undefined {
    return this.#process;
  }

  /**
   * Starts the server.
   *
   * @param initializer What the server calls before it listens; sent as a target of
   * a process is.
   * @param initArgs Its arguments.
   * @throws {TypeError} If the initializer is no function.
   * @throws {ProcessError} If it was started or shut down before; if the server ends
   * before it listens.
   * @throws {EncodingError} If a callable, the initializer or an argument of it
   * cannot be sent.
   * @throws What the initializer throws.
   * @throws {Deno.errors.AddrInUse} If somebody listens at the address.
   */
  async start<A extends unknown[]>(
    initializer?: (...args: A) => unknown,
    initArgs?: A,
  ): Promise<void> {
    this.#checkInitial();
    if (initializer !== undefined && typeof initializer !== "function") {
      throw new TypeError(
        `Cannot start the manager: initializer must be a callable: it is ${
          Deno.inspect(initializer)
        }`,
      );
    }
    await this.#begin(this.#start(initializer, initArgs ?? []));
  }

  /**
   * Connects to a server that is there already.
   *
   * @param options How long to try.
   * @throws {AuthenticationError} If it has another key.
   * @throws {TimeoutError} If it does not answer in time.
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there.
   * @throws {Deno.errors.NotFound} If there is no such socket.
   * @throws {ProcessError} If this manager was started or shut down.
   */
  async connect({ timeout, signal }: WaitOptions = {}): Promise<void> {
    this.#checkInitial();
    checkSignal(signal);
    const address = this.#address;
    if (address === undefined) {
      throw new TypeError(
        "Cannot connect as the manager has no address: give it one",
      );
    }
    await this.#begin(this.#connect(address, { timeout, signal }));
  }

  /**
   * A server in this process, which listens but does not serve yet.
   *
   * @returns The server; its `serveForever()` does the rest.
   * @throws {ProcessError} If this manager was started or shut down.
   * @throws {Deno.errors.AddrInUse} If somebody listens at the address.
   */
  async getServer(): Promise<Server> {
    this.#checkInitial();
    const { serverWith } = await import("./server.ts");
    const { functions = [], handoverTimeout, digest } = this.#options;
    const { handshakeTimeout, maxMessageBytes } = this.#options;
    return serverWith({
      types: await servedTypes(this.constructor),
      functions,
      address: this.#address,
      authkey: this.#authkey,
      serializer: this.#serializer,
      digest,
      handshakeTimeout,
      maxMessageBytes,
      handoverTimeoutMs: checkedTimeout(handoverTimeout ?? HANDOVER_MS),
    });
  }

  /**
   * Makes an object of a registered type.
   *
   * @param typeid The type.
   * @param args What its callable gets.
   * @returns A proxy of it.
   * @throws {ProcessError} If the server is not there.
   * @throws {RemoteError} If it has no such type.
   * @throws {EncodingError} If an argument cannot be sent.
   * @throws What the callable throws.
   */
  async create<T = unknown>(
    typeid: string,
    ...args: unknown[]
  ): Promise<Remote<T>> {
    const session = await this.#opened();
    const proxyClass = typesOf(this.constructor).get(typeid)?.proxyType;
    return await session.create(typeid, args, proxyClass) as Remote<T>;
  }

  /**
   * Ends the server: asks it to, waits, and uses force if need be. After `connect()`
   * it only ends the connection. Twice is fine, and so it is if the server has ended.
   * While it starts, that is waited for first; if it takes longer than
   * `shutdownTimeout`, `start()` is made to reject.
   */
  async shutdown(): Promise<void> {
    if (this.#beginning) await this.#interrupt(this.#beginning);
    if (this.#state === "initial") return;
    await (this.#shuttingDown ??= this.#shutDown());
  }

  /**
   * Waits for the process of the server to end.
   *
   * @param options How long to wait.
   * @returns Whether it has ended.
   * @throws {ProcessError} If this manager has not started one.
   */
  async join(options: WaitOptions = {}): Promise<boolean> {
    if (!this.#process) {
      throw new ProcessError(
        "Cannot join the server as this manager has not started one: server not yet started",
      );
    }
    return await this.#process.join(options);
  }

  /** How many objects the server has. */
  async numberOfObjects(): Promise<number> {
    return await (await this.#opened()).ask("numberOfObjects") as number;
  }

  /** What objects the server has, for people. */
  async debugInfo(): Promise<string> {
    return await (await this.#opened()).ask("debugInfo") as string;
  }

  /** Shuts it down. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Describes it: `<SyncManager at '…' started>`. */
  toString(): string {
    const at = this.#address === undefined
      ? ""
      : ` at '${shownAddress(this.#address)}'`;
    return `<${this.constructor.name}${at} ${this.#state}>`;
  }

  /**
   * Asks something of the server itself, for subclasses.
   *
   * @param method What.
   * @param args With what.
   */
  protected async ask(method: string, ...args: unknown[]): Promise<unknown> {
    return await (await this.#opened()).ask(method, args);
  }

  /** What has to be done before the server is ended, for subclasses. */
  protected beforeEnd(): void {}

  get #serializer(): SerializerName {
    return this.#options.serializer ?? "binary";
  }

  async #opened(): Promise<RemoteSession> {
    if (this.#session) {
      // A message that is too long costs the connection, not the server.
      const isCutOff = this.#session.isLost && this.#process?.isAlive();
      return isCutOff ? await this.#reopened(this.#session) : this.#session;
    }
    throw new ProcessError(
      this.#state === "shut down"
        ? "Manager has shut down: its server not yet started, or not any more"
        : "Cannot use the manager: server not yet started",
    );
  }

  #checkInitial(): void {
    switch (this.#state) {
      case "started":
        throw new ProcessError("Already started server");
      case "connected":
        throw new ProcessError("Already connected to a server");
      case "shut down":
        throw new ProcessError("Manager has shut down");
    }
    if (this.#beginning) throw new ProcessError("Already started server");
  }

  async #begin(beginning: Promise<void>): Promise<void> {
    this.#beginning = beginning;
    try {
      await beginning;
    } finally {
      this.#beginning = undefined;
    }
  }

  /** Waits for a beginning, but not much longer than for an end. */
  async #interrupt(beginning: Promise<void>): Promise<void> {
    const end = () => {
      // There is none yet; or it is connecting, which has a limit of its own.
      if (!this.#process) return;
      clearInterval(timer);
      void ended(this.#process, this.#shutdownTimeout);
    };
    const ms = Math.min(this.#shutdownTimeout, LONGEST_TIMER_MS);
    const timer = setInterval(end, ms);
    // Whoever has begun it is told.
    await beginning.catch(() => {});
    clearInterval(timer);
  }

  async #connect(address: Address, options: WaitOptions): Promise<void> {
    await this.#open(address, options);
    this.#state = "connected";
  }

  async #start(
    initializer: AnyFunction | undefined,
    initArgs: readonly unknown[],
  ): Promise<void> {
    const kind = kindOf(this.constructor);
    // Children that are started from now on may be sent proxies.
    preloadRoom(import.meta.resolve("./proxies.ts"));
    // Only who starts a server needs what is in it.
    const { managerServer } = await import("./_server_main.ts");
    const setup = await this.#setup(initializer, initArgs);
    const startup = new Startup(kind);
    const process = new (bindTo(Process, kind))({
      target: managerServer as (...args: unknown[]) => unknown,
      args: [setup, kind, startup.offset],
      daemon: true,
      ...{ [INTERNAL]: { ignoreInterrupt: true, preload: modulesOf(setup) } },
    });
    process.name = process.name.replace(/^[^-]*/, this.constructor.name);
    try {
      process.start();
    } catch (error) {
      startup.free();
      throw error;
    }
    process.exited.then(() => startup.free());
    this.#process = process;
    try {
      const address = await this.#answer(startup, process);
      await this.#open(address, {});
      this.#address = address;
    } catch (error) {
      this.#process = undefined;
      await ended(process, this.#shutdownTimeout);
      throw error;
    }
    this.#state = "started";
  }

  async #setup(
    initializer: AnyFunction | undefined,
    initArgs: readonly unknown[],
  ): Promise<Setup> {
    const { functions = [], digest, handshakeTimeout, maxMessageBytes } =
      this.#options;
    const types = await servedTypes(this.constructor);
    return {
      types: [...types.values()].map(sent),
      functions: functions.map((fn) => refer(fn, "functions")),
      initializer: initializer ? refer(initializer, "initializer") : null,
      initArgs,
      address: this.#address ?? null,
      key: this.#authkey.reveal(),
      serializer: this.#serializer,
      digest: digest ?? null,
      handshakeTimeout: handshakeTimeout ?? null,
      maxMessageBytes: maxMessageBytes ?? null,
      handoverTimeoutMs: checkedTimeout(
        this.#options.handoverTimeout ?? HANDOVER_MS,
      ),
    };
  }

  async #answer(startup: Startup, process: Process): Promise<Address> {
    const answer = await startup.hear(process);
    if (!answer) {
      throw new ProcessError(
        `Cannot start the manager as its server ${process.name} ended with exit code ${process.exitCode} before it listened`,
      );
    }
    if (answer[0] === "ready") return answer[1];
    const [, error, stack] = answer;
    if (!(error instanceof Error)) throw error;
    const options = error.cause === undefined ? {} : { cause: error.cause };
    const text = `${process.name}: ${error.name}: ${error.message}`;
    error.cause = new RemoteError(text, process.name, stack, options);
    throw error;
  }

  async #open(address: Address, options: WaitOptions): Promise<RemoteSession> {
    const session = await this.#reach(address, options);
    if (this.#state === "shut down") {
      // Too late: nobody would end it any more.
      await session.end("its manager has shut down");
      throw new ProcessError("Manager has shut down");
    }
    return this.#session = session;
  }

  /** A new connection in place of one that was cut off, the same for all. */
  async #reopened(lost: RemoteSession): Promise<RemoteSession> {
    this.#reopening ??= this.#open(this.#address!, {})
      .finally(() => this.#reopening = undefined);
    try {
      return await this.#reopening;
    } catch (error) {
      // It was not cut off: the server has ended, which is yet to be heard.
      if (error instanceof Deno.errors.ConnectionRefused) return lost;
      throw error;
    }
  }

  async #reach(
    address: Address,
    options: WaitOptions,
  ): Promise<RemoteSession> {
    const { digest, handshakeTimeout } = this.#options;
    const destination: Destination = {
      address,
      key: this.#authkey.reveal(),
      serializer: this.#serializer,
      digest,
      timeout: options.timeout ?? handshakeTimeout,
      signal: options.signal,
    };
    const session = RemoteSession.to(destination);
    session.retain();
    await session.ready;
    return session;
  }

  async #shutDown(): Promise<void> {
    const isOwner = this.#state === "started";
    this.#state = "shut down";
    const session = this.#session;
    this.#session = undefined;
    try {
      if (isOwner) {
        this.beforeEnd();
        await this.#end(this.#process!, session);
      }
    } finally {
      await session?.end("its manager has shut down");
    }
  }

  /** Politely, then less so. */
  async #end(
    process: Process,
    session: RemoteSession | undefined,
  ): Promise<void> {
    const timeout = this.#shutdownTimeout;
    if (process.isAlive()) {
      log.info("sending shutdown message to manager");
      const asked = this.#askToEnd(session);
      const hasEnded = await process.join({ timeout });
      if (!hasEnded) log.info("manager still alive");
      await ended(process, timeout);
      await asked;
    }
  }

  /** Asks the server to end, on a new connection if need be; never rejects. */
  async #askToEnd(session: RemoteSession | undefined): Promise<void> {
    try {
      const open = session?.isLost === false
        ? session
        : await this.#reach(this.#address!, { timeout: this.#shutdownTimeout });
      await open.ask("shutdown");
      if (open !== session) await open.end();
    } catch {
      // It has ended, or does not answer: its end is seen to by other means.
    }
  }
}

/** What a proxy has for itself; see {@linkcode AutoProxy}. */
export type Reserved =
  | "then"
  | "callMethod"
  | "invoke"
  | "toString"
  | "id"
  | "typeid";

/**
 * A proxy of an object of a class, with the methods that it exposes: all of them
 * asynchronous.
 */
export type Remote<T> =
  & BaseProxy
  & {
    readonly [
      K in keyof T as K extends `_${string}` | Reserved ? never
        : T[K] extends (...args: never[]) => unknown ? K
        : never
    ]: T[K] extends (...args: infer A) => infer R
      ? (...args: A) => Promise<Awaited<R>>
      : never;
  };

/** Where its functions are: classes of arguments may come from there, too. */
function modulesOf({ types, functions, initializer }: Setup): string[] {
  const references = [
    ...types.map(({ callable }) => callable),
    ...functions,
    initializer,
  ];
  return [
    ...new Set(
      references.filter((reference) => reference !== null)
        .map(({ modules }) => modules)
        // If it is not known which, loading them would be guessing.
        .flatMap((modules) => modules.length === 1 ? modules : []),
    ),
  ];
}

/** Ends a process by force. */
async function ended(process: Process, timeout: number): Promise<void> {
  if (process.isAlive()) {
    log.info("trying to terminate manager process");
    process.terminate();
    if (!await process.join({ timeout })) {
      log.info("trying to kill manager process");
      process.kill();
    }
  }
  await process.join();
}

/** The types of a class of managers, with what makes their objects. */
async function servedTypes(
  manager: AnyFunction,
): Promise<Map<string, Registration>> {
  const { makers } = await import("./_types.ts");
  const types = typesOf(manager);
  for (const [typeid, type] of types) {
    if (type.maker === undefined) continue;
    const callable = makers[type.maker];
    types.set(typeid, { ...type, callable });
  }
  return types;
}

function sent(type: Registration): SentType {
  const { typeid, callable, exposed, methodToTypeid, proxy } = type;
  return {
    typeid,
    callable: callable ? refer(callable, `${typeid}.callable`) : null,
    exposed: exposed ?? null,
    methodToTypeid,
    proxy,
  };
}

function authkeyOf(authkey: AuthKeyLike | undefined): AuthKey {
  if (authkey === undefined) return new AuthKey(current.authkey);
  if (authkey instanceof AuthKey) return authkey;
  if (authkey instanceof Uint8Array) return new AuthKey(authkey);
  // Not shown, as it may be the key all the same.
  if (typeof authkey?.reveal !== "function") {
    throw new TypeError(
      `Cannot make a manager as 'authkey' must be a Uint8Array or an AuthKey, not ${
        authkey === null ? "null" : typeof authkey
      }: for a text, give new TextEncoder().encode(text)`,
    );
  }
  return new AuthKey(authkey.reveal());
}

/**
 * {@linkcode Server}: serves the objects of a manager to its clients.
 *
 * Runs in the server.
 *
 * @module
 */
import { ProcessError } from "../errors.ts";
import { log } from "../_log.ts";
import { Listener } from "../network/mod.ts";
import type { Address, AuthKeyLike, Digest } from "../network/mod.ts";
import { showAsText } from "../primitives/inspect.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { Core } from "./_core.ts";
import type { CoreOptions } from "./_core.ts";
import { ManagedObject } from "./_managed.ts";
import type { Call, Caller } from "./_managed.ts";
import { shownAddress, unlink } from "./_places.ts";
import { ServedClient } from "./_served.ts";

/** How to make a server; only the library does. */
export interface ServerOptions extends Omit<CoreOptions, "self"> {
  /** Where to listen. */
  readonly address: Address | undefined;
  /** The key that clients have to have. */
  readonly authkey: AuthKeyLike & { reveal(): Uint8Array };
  /** The digest of the handshake. */
  readonly digest: Digest | undefined;
  /** How long a client may take to prove that it has the key. */
  readonly handshakeTimeout: number | undefined;
  /** How long a message may be. */
  readonly maxMessageBytes: number | undefined;
}

/** Makes a server, which listens from now on. */
export let serverWith: (options: ServerOptions) => Server;

/** How long answers may take to leave before a server that stops hangs up. */
const FLUSH_MS = 500;

/**
 * Serves the objects of a manager. Made by `BaseManager.getServer()`, to be served
 * from this process.
 *
 * - **Failures of a client**, whatever they are, end its own connection and nothing
 *   else.
 *
 * @example In this process
 * ```ts
 * import { SyncManager } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * const server = await new SyncManager().getServer();
 * const ending = new AbortController();
 * const serving = server.serveForever({ signal: ending.signal });
 * {
 *   await using client = new SyncManager({ address: server.address });
 *   await client.connect();
 *   const list = await client.list([1, 2]);
 *   assertEquals(await list.length(), 2);
 * }
 * ending.abort();
 * await serving;
 * ```
 */
export class Server {
  static {
    serverWith = (options) => new Server(options);
    showAsText(this);
  }

  readonly #listener: Listener;
  readonly #core: Core;
  readonly #clients = new Set<ServedClient>();
  readonly #stopped: PromiseWithResolvers<void> = Promise.withResolvers();
  #isServing = false;
  #isStopped = false;

  private constructor(options: ServerOptions) {
    const { address, authkey, digest, handshakeTimeout, maxMessageBytes } =
      options;
    this.#core = new Core({
      ...options,
      self: (core) => new ServerObject(core, () => this.#stop()),
    });
    this.#listener = new Listener(address ?? anywhere(), {
      authkey,
      digest,
      handshakeTimeout,
      maxMessageBytes,
    });
    this.#core.address = this.#listener.address;
    this.#core.digest = digest;
    this.#core.key = authkey.reveal();
  }

  /** Where it listens. */
  get address(): Address {
    return this.#listener.address;
  }

  /**
   * Serves until the signal is aborted, or a client that may do so shuts it down.
   * Then all connections are closed.
   *
   * @param options When to stop.
   * @throws {ProcessError} If it serves or has served already.
   */
  async serveForever(
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    if (this.#isServing) {
      throw new ProcessError("Cannot serve twice: Already started server");
    }
    this.#isServing = true;
    const onAbort = () => this.#stop();
    if (signal?.aborted) this.#stop();
    signal?.addEventListener("abort", onAbort);
    log.info(() => `manager serving at '${shownAddress(this.address)}'`);
    const accepting = this.#accept();
    try {
      await this.#stopped.promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      await this.#listener[Symbol.asyncDispose]();
      await accepting;
      await this.#hangUp();
      this.#core.holds.close();
      this.#core.objects.drop();
    }
  }

  /** Stops listening; for one that does not serve. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
    await this.#listener[Symbol.asyncDispose]();
  }

  /** Describes it: `<Server at '…'>`. */
  toString(): string {
    return `<Server at '${shownAddress(this.address)}'>`;
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      const client = new ServedClient(this.#core, connection);
      this.#clients.add(client);
      client.serve().finally(() => this.#clients.delete(client));
    }
  }

  #stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#listener.close();
    this.#stopped.resolve();
  }

  async #hangUp(): Promise<void> {
    const closing = [...this.#clients].map((client) => client.close());
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FLUSH_MS);
    });
    await Promise.race([Promise.all(closing), late]);
    clearTimeout(timer);
    for (const client of this.#clients) client.cutOff();
  }
}

/** What the server itself can be asked for. */
class ServerObject extends ManagedObject {
  readonly #core: Core;
  readonly #stop: () => void;
  readonly #segments = new Map<string, MemoryKind>();

  constructor(core: Core, stop: () => void) {
    super();
    this.#core = core;
    this.#stop = stop;
  }

  /** Nothing; to see whether somebody is there. */
  dummy(): void {}

  numberOfObjects(): number {
    return this.#core.objects.count;
  }

  debugInfo(): string {
    return this.#core.objects.describe();
  }

  /** Names of shared memory to unlink at the end. */
  track({ client }: Call, name: string, kind: MemoryKind): void {
    checkFamily(client, "have shared memory unlinked");
    this.#segments.set(name, kind);
  }

  shutdown({ client }: Call): void {
    checkFamily(client, "shut the server down");
    for (const [name, kind] of this.#segments) unlink(name, kind);
    // Once this has been answered.
    setTimeout(this.#stop, 0);
  }

  override toText(): string {
    return "<Server>";
  }
}

function checkFamily({ isFamily }: Caller, action: string): void {
  if (isFamily) return;
  throw new ProcessError(
    `Cannot ${action} as that is for the program of the server alone`,
  );
}

/**
 * Where to listen if nobody cares: on Linux at a name without a file, so that
 * nothing is left if the server is killed.
 */
function anywhere(): Address | undefined {
  if (Deno.build.os !== "linux") return undefined;
  return `\0multiprocessing-${Deno.pid}-${crypto.randomUUID()}`;
}

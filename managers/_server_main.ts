/**
 * What the child of a manager does: makes a server of what it is told, says where
 * it listens, and serves.
 *
 * ```
 *   load types ──> initializer ──> listen ──> "ready" ──> serve ──shutdown──> end
 *        └──────────────┴─────────────┴── an error: "failed", and the end
 * ```
 *
 * Whoever starts it hears that, or of its end (`_startup.ts`).
 *
 * Runs in the server.
 *
 * @module
 */
import { AuthKey } from "../contexts/authkey.ts";
import { current } from "../contexts/current.ts";
import { load, register } from "../contexts/functions.ts";
import type { FunctionReference } from "../contexts/functions.ts";
import type { Address, Digest } from "../network/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { Startup } from "./_startup.ts";
import type { Registration } from "./registry.ts";
import { serverWith } from "./server.ts";
import type { Server } from "./server.ts";
// What they make is asked for by name.
import "./_types.ts";
import type { SerializerName } from "./_wire.ts";

/** A type, as it travels. */
export interface SentType {
  /** Its name. */
  readonly typeid: string;
  /** What makes objects of it. */
  readonly callable: FunctionReference | null;
  /** What can be called. */
  readonly exposed: readonly string[] | null;
  /** Types of results that stay in the server. */
  readonly methodToTypeid: Readonly<Record<string, string>>;
  /** The name of the class of its proxies. */
  readonly proxy: string;
}

/** What the child is told. */
export interface Setup {
  /** Its types. */
  readonly types: readonly SentType[];
  /** Functions that clients of other programs may name. */
  readonly functions: readonly FunctionReference[];
  /** What to call before it listens. */
  readonly initializer: FunctionReference | null;
  /** Its arguments. */
  readonly initArgs: readonly unknown[];
  /** Where to listen; anywhere if `null`. */
  readonly address: Address | null;
  /** The key. */
  readonly key: Uint8Array;
  /** How values are written. */
  readonly serializer: SerializerName;
  /** The digest of the handshake. */
  readonly digest: Digest | null;
  /** See `ManagerOptions`. */
  readonly handshakeTimeout: number | null;
  /** See `ManagerOptions`. */
  readonly maxMessageBytes: number | null;
  /** See `ManagerOptions`. */
  readonly handoverTimeoutMs: number;
}

/**
 * The target of the child.
 *
 * @param setup What it is to be.
 * @param kind Its start method.
 * @param offset Where to say how the start went.
 */
export async function managerServer(
  setup: Setup,
  kind: MemoryKind,
  offset: number,
): Promise<void> {
  const startup = new Startup(kind, offset);
  // It ends with its parent, but may have children of its own: pools.
  current.daemon = false;
  let server: Server;
  try {
    server = await begin(setup);
  } catch (error) {
    tellFailure(startup, error);
    Deno.exitCode = 1;
    return;
  }
  startup.tell(["ready", server.address]);
  await server.serveForever();
}

register(import.meta, { managerServer });

async function begin(setup: Setup): Promise<Server> {
  const types = new Map<string, Registration>();
  for (const type of setup.types) types.set(type.typeid, await loaded(type));
  const functions = await Promise.all(setup.functions.map(load));
  if (setup.initializer) {
    await (await load(setup.initializer))(...setup.initArgs);
  }
  return serverWith({
    types,
    functions,
    address: setup.address ?? undefined,
    authkey: new AuthKey(setup.key),
    serializer: setup.serializer,
    digest: setup.digest ?? undefined,
    handshakeTimeout: setup.handshakeTimeout ?? undefined,
    maxMessageBytes: setup.maxMessageBytes ?? undefined,
    handoverTimeoutMs: setup.handoverTimeoutMs,
  });
}

async function loaded(type: SentType): Promise<Registration> {
  const { typeid, exposed, methodToTypeid, proxy } = type;
  return {
    typeid,
    callable: type.callable ? await load(type.callable) : undefined,
    exposed: exposed ?? undefined,
    methodToTypeid,
    proxy,
  };
}

function tellFailure(startup: Startup, error: unknown): void {
  const stack = error instanceof Error ? error.stack ?? "" : "";
  try {
    startup.tell(["failed", error, stack]);
  } catch {
    // Something on it cannot travel.
    startup.tell(["failed", new Error(String(error)), stack]);
  }
}

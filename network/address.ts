/**
 * Where a listener can be reached: a path or a host and a port. What is accepted as
 * an address, and the sockets behind it.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { makeTempFolder, removeAll } from "./_folders.ts";
import type { TempFolder } from "./_folders.ts";

/** A TCP address. */
export interface NetAddress {
  /**
   * A name or a number. Another than that of this machine's loopback lets other
   * machines in: use an `authkey`.
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string | undefined;
  /** The port; a listener with port 0 gets a free one. */
  port: number;
}

/**
 * Where a listener can be reached.
 *
 * - **A string** is the path of a Unix socket; on Linux one that starts with `"\0"`
 *   is a name without a file (abstract).
 * - **A host and a port** are TCP.
 */
export type Address = string | NetAddress;

/** A kind of address, by Python's names. */
export type Family = "AF_UNIX" | "AF_INET";

/**
 * The longest path of a socket, by system: `sun_path` without the zero at the end,
 * or without the one that an abstract name begins with.
 */
function longestPath(os: typeof Deno.build.os): number {
  const hasShort = ["darwin", "freebsd", "netbsd", "aix"].includes(os);
  return hasShort ? 103 : 107;
}

/** The pause before a line that was full is tried again. */
const RETRY_MS = 10;

/** An address that has been checked. */
export type Place =
  | { readonly family: "AF_UNIX"; readonly path: string }
  | {
    readonly family: "AF_INET";
    readonly hostname: string;
    readonly port: number;
  };

/** A socket that listens, and what to clean up after it. */
export interface Post {
  /** The socket. */
  readonly socket: Deno.Listener;
  /** How it is reached. */
  readonly address: Address;
  /**
   * Closes the socket and removes its file: in the next turn of the event loop, as
   * that is how Deno does it while a client is being waited for.
   */
  close(): void;
  /** The same, at once, for there will be no next turn. */
  closeForExit(): void;
}

/** The families that there are on a system, the default first. */
function familiesOn(os: typeof Deno.build.os): readonly Family[] {
  // Deno has Unix sockets on Windows too, but nobody has tried them here, and
  // CPython has none there.
  return os === "windows" ? ["AF_INET"] : ["AF_UNIX", "AF_INET"];
}

/**
 * Checks an address.
 *
 * @param address The address.
 * @param family Its family, if it was given.
 * @param os Which system it is for.
 * @throws {TypeError} If it is no address, or not one of that family.
 * @throws {RangeError} If there is no such family here, no such port, or no such
 * path.
 */
export function placeFor(
  address: Address,
  family?: Family | undefined,
  os: typeof Deno.build.os = Deno.build.os,
): Place {
  const place = typeof address === "string"
    ? pathPlace(address, os)
    : netPlace(address);
  checkFamily(family ?? place.family, os);
  if (family !== undefined && family !== place.family) {
    throw new TypeError(
      `Cannot use 'address' as it is not of the family ${family}: it is ${
        textOf(address)
      }`,
    );
  }
  return place;
}

/**
 * Begins to listen.
 *
 * @param address Where; somewhere on this machine if not given.
 * @param options The family, and how many the system lets wait.
 */
export function listenAt(
  address: Address | undefined,
  options: { family?: Family | undefined; backlog?: number | undefined },
): Post {
  const { family = familiesOn(Deno.build.os)[0]!, backlog } = options;
  if (backlog !== undefined) checkCount("backlog", backlog);
  if (address === undefined) {
    checkFamily(family, Deno.build.os);
    return family === "AF_UNIX"
      ? listenAnywhere()
      : listenAt({ port: 0 }, options);
  }
  const place = placeFor(address, options.family);
  const socket = open(place, backlog);
  const close = () => {
    // Else nobody would wait for that turn.
    socket.ref();
    socket.close();
  };
  if (place.family === "AF_INET") {
    const address = addressOf(socket.addr);
    return { socket, address, close, closeForExit: close };
  }
  const { path } = place;
  const closeForExit = () => {
    close();
    if (!path.startsWith("\0")) removeAll(path);
  };
  return { socket, address: path, close, closeForExit };
}

/**
 * Connects.
 *
 * @param place Where to.
 * @param signal Aborted when nobody waits any more.
 */
export async function connectTo(
  place: Place,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  if (place.family === "AF_INET" && place.port === 0) {
    throw new RangeError(
      "Cannot use 'address' as its port must not be 0 to connect: take that of the listener's 'address'",
    );
  }
  try {
    if (place.family === "AF_INET") {
      const { hostname, port } = place;
      return await Deno.connect({ hostname, port, signal });
    }
    return await connectToPath(place.path, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    throw explanation("connect to", place, error);
  }
}

/**
 * There is no signal for this as it does not wait: when too many stand in line for
 * the listener (CPython's takes one and a few) it fails, and nobody is told when
 * there is room.
 */
async function connectToPath(
  path: string,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  while (true) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    signal.throwIfAborted();
  }
}

/** What a socket's address is called here: `""` for a client's Unix socket. */
export function addressOf(addr: Deno.Addr): Address {
  if (addr.transport !== "tcp") return "";
  return { hostname: addr.hostname, port: addr.port };
}

/** An address as text. */
export function textOf(address: Address | Place): string {
  if (typeof address === "string") return JSON.stringify(address);
  if ("path" in address) return JSON.stringify(address.path);
  return `${address.hostname}:${address.port}`;
}

/** Checks a number of things, at least 1. */
export function checkCount(name: string, value: number): number {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot use '${name}' as it must be a number: it is ${
        Deno.inspect(value)
      }`,
    );
  }
  if (value === Infinity || Number.isInteger(value) && value >= 1) return value;
  throw new RangeError(
    `Cannot use '${name}' as it must be an integer above 0: it is ${value}`,
  );
}

function pathPlace(path: string, os: typeof Deno.build.os): Place {
  if (path.startsWith("\\\\")) {
    throw new RangeError(
      `Cannot use 'address' as Family AF_PIPE is not recognized: it is ${
        textOf(path)
      }`,
    );
  }
  if (path === "" || path === "\0") {
    throw new RangeError("Cannot use 'address' as it must not be empty");
  }
  if (path.startsWith("\0") && os !== "linux") {
    throw new RangeError(
      `Cannot use 'address' as only Linux has names without a file: it is ${
        textOf(path)
      }`,
    );
  }
  checkPath(path, longestPath(os));
  return { family: "AF_UNIX", path };
}

function checkPath(path: string, longest: number): void {
  const isName = path.startsWith("\0");
  const text = isName ? path.slice(1) : path;
  if (bytesOf(text) > longest) {
    throw new RangeError(
      `Cannot use 'address' as the path of a socket may have ${longest} bytes here: use a shorter one than ${
        textOf(path)
      }`,
    );
  }
  if (!isName && path.includes("\0")) {
    throw new RangeError(
      `Cannot use 'address' as a path must not have a zero in it: it is ${
        textOf(path)
      }`,
    );
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}

function netPlace(address: unknown): Place {
  if (typeof address !== "object" || address === null || !("port" in address)) {
    throw new TypeError(
      `Cannot use 'address' as it must be a path or { hostname, port }: it is ${
        Deno.inspect(address)
      }`,
    );
  }
  const { hostname = "127.0.0.1", port } = address as NetAddress;
  if (typeof hostname !== "string" || typeof port !== "number") {
    throw new TypeError(
      "Cannot use 'address' as its hostname must be a string and its port a number",
    );
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(
      `Cannot use 'address' as its port must be an integer from 0 to 65535: it is ${port}`,
    );
  }
  return { family: "AF_INET", hostname, port };
}

function checkFamily(family: Family, os: typeof Deno.build.os): void {
  if (familiesOn(os).includes(family)) return;
  throw new RangeError(
    `Cannot use 'family' as Family ${family} is not recognized: here it is ${
      familiesOn(os).join(" or ")
    }`,
  );
}

function open(place: Place, backlog = Infinity): Deno.Listener {
  try {
    if (place.family === "AF_UNIX") {
      return Deno.listen({ transport: "unix", path: place.path });
    }
    const { hostname, port } = place;
    return backlog === Infinity
      ? Deno.listen({ hostname, port })
      : Deno.listen({ hostname, port, tcpBacklog: backlog });
  } catch (error) {
    throw explanation("listen at", place, error);
  }
}

/** A socket in a folder that only this user can look into. */
function listenAnywhere(): Post {
  let folder = makeTempFolder();
  const nameIn = ({ path }: TempFolder) => `${path}/listener`;
  if (bytesOf(nameIn(folder)) > longestPath(Deno.build.os)) {
    folder.remove();
    folder = makeTempFolder("/tmp");
  }
  let post: Post;
  try {
    post = listenAt(nameIn(folder), {});
  } catch (error) {
    folder.remove();
    throw error;
  }
  const close = () => {
    post.close();
    // Nobody else gets this name, so it need not wait for the next turn.
    folder.remove();
  };
  return { ...post, close, closeForExit: close };
}

/** The same kind of error, saying what was being done and why it failed. */
function explanation(
  action: "listen at" | "connect to",
  place: Place,
  cause: unknown,
): unknown {
  const isPath = place.family === "AF_UNIX";
  const isListening = action === "listen at";
  const reasons = [
    [Deno.errors.ConnectionRefused, "nobody listens there"],
    [
      Deno.errors.NotFound,
      `there is no such ${isListening ? "folder" : "socket"}`,
    ],
    [
      Deno.errors.AddrInUse,
      `the address is in use${
        isPath ? ": if its owner has died, remove the file" : ""
      }`,
    ],
    [Deno.errors.AddrNotAvailable, "this machine has no such address"],
    [Deno.errors.PermissionDenied, "the system does not permit it"],
    [Deno.errors.NetworkUnreachable, "no way leads there"],
    [Deno.errors.NotADirectory, "a part of the path is no folder"],
  ] as const;
  const text = `Cannot ${action} ${textOf(place)}`;
  for (const [kind, reason] of reasons) {
    if (cause instanceof kind) {
      return new kind(`${text} as ${reason}`, { cause });
    }
  }
  return isPath ? cause : hostExplanation(text, cause);
}

/** For what Deno and the system say of a host without naming it. */
function hostExplanation(text: string, cause: unknown): unknown {
  if (cause instanceof URIError) {
    return new RangeError(
      `${text} as its 'hostname' cannot be one: give a name or a number`,
      { cause },
    );
  }
  if (!(cause instanceof Error)) return cause;
  if (cause.message.startsWith("failed to lookup address")) {
    return new Error(
      `${text} as no address was found for its 'hostname': check the name`,
      { cause },
    );
  }
  // What the system says in its own words, such as "No route to host".
  return "code" in cause
    ? new Error(`${text}: ${cause.message}`, { cause })
    : cause;
}

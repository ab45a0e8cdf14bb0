/**
 * {@linkcode Client}: connects to a `Listener`.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { TimeoutError } from "../errors.ts";
import { checkedTimeout, checkSignal } from "../memory/mod.ts";
import type { WaitOptions } from "../memory/mod.ts";
import { Link } from "./_link.ts";
import { checkedDigest, Secret } from "./_secret.ts";
import { limit } from "./_waits.ts";
import { checkCount, connectTo, placeFor, textOf } from "./address.ts";
import type { Address, Family } from "./address.ts";
import { authenticate } from "./authentication.ts";
import type { AuthKeyLike, Credentials, Digest } from "./authentication.ts";
import { connectionOver } from "./connection.ts";
import type { SocketConnection } from "./connection.ts";
import { MESSAGE_BYTES_MAX } from "./listener.ts";

/** Settings of a {@linkcode Client}. */
export interface ClientOptions extends WaitOptions {
  /**
   * The key that both sides prove to each other to have. To be given if and only
   * if the listener has one.
   *
   * @default {undefined} nothing is proved
   */
  authkey?: AuthKeyLike | undefined;
  /**
   * The keyed digest for that. `"md5"` allows it for listeners of CPython up to
   * 3.11.
   *
   * @default {"sha256"}
   */
  digest?: Digest | undefined;
  /**
   * The kind of address, to be checked.
   *
   * @default {undefined} any
   */
  family?: Family | undefined;
  /**
   * How long a message from the listener may be. One that is longer ends the
   * connection. Memory is taken as a message comes, not when it is announced.
   *
   * @default {1073741824} 1 GiB
   */
  maxMessageBytes?: number | undefined;
}

/**
 * Connects to a {@linkcode Listener}, or to CPython's
 * `multiprocessing.connection.Listener`.
 *
 * - **Time:** the limits are for all of it, the connecting and the proving. Without
 *   one it waits as long as the other side lets it.
 * - **Cancelling:** an aborted call leaves no connection behind.
 * - **Differs from Python:** an empty key is refused.
 *
 * @example Nobody there
 * ```ts
 * import { Client } from "@deno-mp/multiprocessing";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(
 *   () => Client("/tmp/no-such-socket", { timeout: 1000 }),
 *   Deno.errors.NotFound,
 * );
 * ```
 *
 * @param address Where the listener is.
 * @param options The key, and how long to wait.
 * @returns The connection.
 * @throws {AuthenticationError} If the listener has another key.
 * @throws {EofError} If the listener hangs up during the proving.
 * @throws {TimeoutError} If the time ran out.
 * @throws {Deno.errors.ConnectionRefused} If nobody listens there.
 * @throws {Deno.errors.NotFound} If there is no such socket.
 * @throws {TypeError} If an argument has the wrong type, or the address is not of
 * the family.
 * @throws {RangeError} If there is no such family, digest or port, a path is too
 * long, or a hostname cannot be one.
 */
export async function Client<T = unknown>(
  address: Address,
  options: ClientOptions = {},
): Promise<SocketConnection<T>> {
  const { authkey, family, maxMessageBytes = MESSAGE_BYTES_MAX } = options;
  const place = placeFor(address, family);
  const digest = checkedDigest(options.digest);
  const credentials: Credentials | undefined = authkey === undefined
    ? undefined
    : { secret: new Secret(authkey), digest, role: "client" };
  checkCount("maxMessageBytes", maxMessageBytes);

  const link = await within(options, textOf(address), async (abandoned) => {
    const link = new Link(await connectTo(place, abandoned));
    // Holds the program, and makes way for whoever does not want to wait.
    const hangUp = () => link.close();
    abandoned.addEventListener("abort", hangUp);
    try {
      abandoned.throwIfAborted();
      link.keepAlive(true);
      if (credentials) await authenticate(link, credentials);
      link.keepAlive(false);
      return link;
    } catch (error) {
      link.close();
      throw error;
    } finally {
      abandoned.removeEventListener("abort", hangUp);
    }
  });
  link.open(maxMessageBytes);
  return connectionOver<T>(link);
}

/** Connects in limited time; a link that comes too late is closed. */
async function within(
  options: WaitOptions,
  name: string,
  connect: (abandoned: AbortSignal) => Promise<Link>,
): Promise<Link> {
  const timeout = checkedTimeout(options.timeout);
  const { signal } = options;
  checkSignal(signal);
  const outOfTime = () => new TimeoutError(`Cannot connect to ${name} in time`);
  if (timeout <= 0) throw outOfTime(); // it takes several turns
  const { promise, resolve, reject } = Promise.withResolvers<Link>();
  const abandoned = new AbortController();
  const giveUp = (reason: unknown) => {
    reject(reason);
    abandoned.abort(reason);
  };
  const limits = limit({ timeout, signal }, {
    onTimeout: () => giveUp(outOfTime()),
    onAbort: () => giveUp(signal?.reason),
  });
  connect(abandoned.signal).then(
    // Also if it was given up between the last step of connecting and this.
    (link) => abandoned.signal.aborted ? link.close() : resolve(link),
    reject,
  );
  try {
    return await promise;
  } finally {
    limits.lift();
  }
}

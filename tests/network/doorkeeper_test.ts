/**
 * How clients are taken from the system when the system has trouble: LESSON-48.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { setSink } from "../../_log.ts";
import { Doorkeeper } from "../../network/_doorkeeper.ts";
import type { Link } from "../../network/_link.ts";
import { RawPeer } from "./_peers.ts";

/** How often the system fails. */
const FAILURES = 3;
/** No more attempts in this time than pauses fit in, and one. */
const WATCH_MS = 450;

/** A listener that has no file descriptors left, for a while or for ever. */
class FailingListener {
  attempts = 0;
  readonly #server: Deno.Listener;
  readonly #failures: number;

  constructor(server: Deno.Listener, failures: number) {
    this.#server = server;
    this.#failures = failures;
  }

  async accept(): Promise<Deno.Conn> {
    if (this.attempts++ < this.#failures) {
      await Promise.resolve();
      throw new Error("Too many open files (os error 24)");
    }
    return await this.#server.accept();
  }

  ref(): void {
    this.#server.ref();
  }

  unref(): void {
    this.#server.unref();
  }
}

Deno.test("LESSON-48 the doorkeeper survives that no client can be taken", async () => {
  const logged: string[] = [];
  const sink = setSink({
    write: (severity, message) =>
      logged.push(
        `${severity} ${typeof message === "string" ? message : message()}`,
      ),
    getState: () => ({ level: 0, toStderr: false }),
    setState: () => {},
  });
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const failing = new FailingListener(server, FAILURES);
  const arrived = Promise.withResolvers<Link>();
  const doorkeeper = new Doorkeeper(failing as unknown as Deno.Listener, {
    credentials: undefined,
    handshakeTimeoutMs: 1000,
    maxConnections: 10,
    onArrival: (link) => arrived.resolve(link),
    onRefusal: () => {},
  });
  doorkeeper.keepAlive(true);
  using _peer = await RawPeer.connect(server.addr as Deno.NetAddr);
  const link = await arrived.promise;
  assertEquals(failing.attempts >= FAILURES + 1, true);
  assertEquals(
    logged,
    Array(FAILURES).fill(
      "warn listener could not take a client: Error: Too many open files (os error 24)",
    ),
  );
  link.close();
  doorkeeper.close();
  server.close();
  await doorkeeper.finished;
  setSink(sink);
});

Deno.test("LESSON-48 the doorkeeper does not spin", async () => {
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const failing = new FailingListener(server, Infinity);
  const doorkeeper = new Doorkeeper(failing as unknown as Deno.Listener, {
    credentials: undefined,
    handshakeTimeoutMs: 1000,
    maxConnections: 10,
    onArrival: () => {},
    onRefusal: () => {},
  });
  // Time itself is what is tested.
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  assert(failing.attempts <= 5, `${failing.attempts} attempts`);
  doorkeeper.close();
  await doorkeeper.finished;
  server.close();
});

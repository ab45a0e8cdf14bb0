/**
 * Places by their names: where a server listens, and shared memory.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import type { MemoryKind } from "../memory/mod.ts";
import type { Address } from "../network/mod.ts";
import { unlinkNamed } from "../primitives/shared_memory.ts";

/** An address for people; the names without a file begin with `@`, as in `ss`. */
export function shownAddress(address: Address): string {
  if (typeof address !== "string") {
    return `${address.hostname ?? "127.0.0.1"}:${address.port}`;
  }
  return address.replace("\0", "@");
}

/** Takes a name of shared memory away, if it is there still. */
export function unlink(name: string, kind: MemoryKind): void {
  try {
    unlinkNamed(kind, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

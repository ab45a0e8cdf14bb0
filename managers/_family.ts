/**
 * Proof of being of one program: a keyed digest of a challenge, with what all
 * participants of a program have inherited and nobody else has.
 *
 * The key of a manager is for whoever is to use its objects, on other machines
 * too. Having functions run in the server is for the family alone.
 *
 * Runs in the client and in the server.
 *
 * @module
 */
import { current } from "../contexts/current.ts";

/** A challenge: text that was never set before. */
export function newChallenge(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

/**
 * The answer to a challenge.
 *
 * @param challenge What the server has set.
 */
export async function proofOf(challenge: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    new Uint8Array(current.family),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const text = new TextEncoder().encode(`multiprocessing family ${challenge}`);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, text)).toHex();
}

/**
 * Writes what a child needs to know to start: see `birth.ts`.
 *
 * Runs in the parent.
 *
 * @module
 */
import { S_BIRTH } from "../memory/mod.ts";
import type { Arena, Message } from "../memory/mod.ts";
import { UNIT } from "../memory/layout.ts";
import { toMessage } from "../primitives/to_wire.ts";
import { HEAD_BYTES } from "./birth.ts";
import type { Birth } from "./birth.ts";

/**
 * Lays the record down for a child that is about to start.
 *
 * @param arena Where.
 * @param token The child's token.
 * @param birth The facts.
 * @param args The arguments, already encoded.
 */
export function writeBirth(
  arena: Arena,
  token: number,
  birth: Birth,
  args: Message,
): void {
  // The arguments were encoded first, into a scratch that this reuses.
  const argBytes = gather(args);
  const facts = toMessage(birth, { kind: arena.kind, token }, "facts");
  const offset = arena.heap.allocate(
    HEAD_BYTES + facts.byteLength + argBytes.byteLength,
    false,
  );
  const words = arena.words(offset, HEAD_BYTES / 4);
  words[0] = facts.byteLength;
  words[1] = argBytes.byteLength;
  const bytes = arena.bytes(
    offset + HEAD_BYTES,
    facts.byteLength + argBytes.byteLength,
  );
  let at = 0;
  for (const part of facts.parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  bytes.set(argBytes, at);
  arena.participants.store(token, S_BIRTH, offset / UNIT);
}

function gather(message: Message): Uint8Array {
  const bytes = new Uint8Array(message.byteLength);
  let at = 0;
  for (const part of message.parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

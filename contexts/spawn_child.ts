/**
 * The program that a child process runs. Does nothing when it is only imported.
 *
 * Runs in the child.
 *
 * @module
 */
import { adoptFrom } from "../memory/mod.ts";
import { live } from "./_child.ts";
import type { Host } from "./_child.ts";
import { readPlace } from "./standalone.ts";
import type { Place } from "./standalone.ts";

/** After how many milliseconds to look again whether the parent has ended. */
const ORPHAN_LOOK_MS = 5;
/** How often to look before any error is told. */
const ORPHAN_LOOKS = 20;
/** How often if its memory is not there: then it has, or something is very wrong. */
const GONE_LOOKS = 1000;

const host: Host = {
  ident: Deno.pid,
  exit: (code) => Deno.exit(code),
  onLeave: (listener) => globalThis.addEventListener("unload", listener),
  brace: () => {},
  release: () => {},
};

/**
 * Lives the life of a child process.
 *
 * @param place Where its memory is.
 */
export async function main(place: Place): Promise<void> {
  const { pid, fd, sizeLog2, token } = place;
  const memory = { kind: "spawn", pid, fd } as const;
  const arena = adoptFrom({ memory, sizeLog2, token });
  await live(arena, host);
}

if (import.meta.main) {
  const place = readPlace(Deno.args);
  if (!place) {
    console.error("This module is run by the package itself, as a child");
    Deno.exit(1);
  }
  // If its parent has died, nobody waits for it, and nobody wants to know.
  const isOrphan = () => place.parentPid !== Deno.ppid;
  if (isOrphan()) Deno.exit(1);
  await main(place).catch(async (error) => {
    // It may be dying just now: its memory goes first, its children with its last
    // thread, which on a busy machine may be long after.
    const isGone = error instanceof Deno.errors.NotFound;
    const looks = isGone ? GONE_LOOKS : ORPHAN_LOOKS;
    for (let look = 0; look < looks; look++) {
      if (isOrphan()) Deno.exit(1);
      await new Promise((resolve) => setTimeout(resolve, ORPHAN_LOOK_MS));
    }
    throw error;
  });
}

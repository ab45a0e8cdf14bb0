/**
 * Listeners of children of both start methods.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Address } from "../../network/mod.ts";
import { assertAllSucceed, start } from "../_support/children.ts";
import { contract } from "../_support/contract.ts";
import { Mailbox } from "../_support/meeting.ts";
import { listenAndEnd, LISTENERS } from "../fixtures/listeners.ts";

for (const how of ["returns", "exits"] as const) {
  contract(
    `Listener of a child that ${how} leaves no file behind`,
    async (ctx) => {
      const addresses = Mailbox.in<Address>(ctx);
      const child = start(ctx, listenAndEnd, addresses, how);
      await assertAllSucceed([child]);
      const paths = addresses.drain() as string[];
      assertEquals(paths.length, LISTENERS);
      assertEquals(paths.filter(exists), []);
    },
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * A manager with a client in CPython, in each version that is there.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import "../../mod.ts"; // hands managers to the contexts
import { contract } from "../_support/contract.ts";
import { findPythons } from "../network/_python.ts";

const KEY = crypto.getRandomValues(new Uint8Array(32));

const pythons = await findPythons();
if (pythons.length === 0) {
  console.log("Managers are not tested with CPython: there is none");
  Deno.test({ name: "MGR-04 CPython: there is none", ignore: true, fn() {} });
}

for (const { path, version, isLegacy } of pythons) {
  contract(
    `MGR-04 CPython ${version} uses a manager that speaks JSON`,
    async (ctx) => {
      await using manager = new ctx.SyncManager({
        address: { hostname: "127.0.0.1", port: 0 },
        authkey: KEY,
        serializer: "json",
        digest: isLegacy ? "md5" : "sha256",
      });
      await manager.start();
      const { hostname, port } = manager.address as Deno.NetAddr;
      const script = new URL("../fixtures/manager_client.py", import.meta.url);
      const child = new Deno.Command(path, {
        args: [script.pathname, JSON.stringify([hostname, port])],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const input = child.stdin.getWriter();
      await input.write(new TextEncoder().encode(`${KEY.toHex()}\n`));
      await input.close();
      const { stdout, stderr } = await child.output();
      assertEquals(new TextDecoder().decode(stderr), "");
      const exposed =
        "'get', 'set', 'has', 'delete', 'size', 'keys', 'values', " +
        "'entries', 'pop', 'popItem', 'setDefault', 'merge', 'update', 'clear', " +
        "'copy', 'iterate'";
      assertEquals(JSON.parse(new TextDecoder().decode(stdout)), [
        [1, null, "\u00e4"],
        `RemoteError: method 'nope' of 'dict' object is not in exposed=[${exposed}]`,
        1,
        { x: 1 },
        "QueueEmptyError: Cannot get from the manager's queue as it is empty",
      ]);
      while (await manager.numberOfObjects() > 0);
    },
  );
}

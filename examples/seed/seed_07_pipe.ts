/**
 * A pipe has two ends. Each process closes its own hold on an end; the end itself
 * is closed when nobody has a hold on it any more.
 *
 * Python: `Pipe()`, `Connection.send()`, `recv()`, `close()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_07_pipe.ts [--method spawn|worker]
 * ```
 */
import { type Connection, getContext } from "../../mod.ts";
import { startMethod } from "./_common.ts";

/** Takes something from the other end, and sends something there. */
export async function f(conn: Connection<unknown>): Promise<void> {
  console.log("In f");
  console.log(await conn.recv()); // 2
  await conn.send([42, null, "hello"]);
  // For this process; its parent goes on using the same end.
  conn.close();
  console.log("b_conn close", conn.closed);
  console.log("Out f");
}

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const [aConn, bConn] = ctx.Pipe<unknown>();
  await aConn.send(2);
  const p = new ctx.Process({ target: f, args: [bConn] });
  p.start();
  console.log(await aConn.recv()); // [ 42, null, "hello" ]
  await p.join();
  console.log("b_conn close", bConn.closed);
}

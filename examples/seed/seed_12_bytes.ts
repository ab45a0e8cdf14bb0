/**
 * Both ends of a pipe in one process, and bytes instead of values.
 *
 * Python: `poll()`, `send_bytes()`, `recv_bytes()`, `recv_bytes_into()`
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi examples/seed/seed_12_bytes.ts [--method spawn|worker]
 * ```
 */
import { getContext } from "../../mod.ts";
import { listed, startMethod } from "./_common.ts";

if (import.meta.main) {
  const ctx = getContext(startMethod());
  const [a, b] = ctx.Pipe<unknown>();
  await a.send([1, "hello", null]);
  console.log(await b.poll()); // true
  console.log(await b.recv()); // [ 1, "hello", null ]
  await b.sendBytes(new TextEncoder().encode("thank you"));
  console.log(new TextDecoder().decode(await a.recvBytes())); // thank you

  const arr1 = Int32Array.of(0, 1, 2, 3, 4);
  const arr2 = new Int32Array(10);
  await a.sendBytes(arr1);
  // From the fourth item on. The place is counted in bytes.
  const count = await b.recvBytesInto(arr2, 3 * arr2.BYTES_PER_ELEMENT);
  if (count !== arr1.byteLength) throw new Error(`${count} bytes came`);
  console.log(listed(arr2)); // [0, 0, 0, 0, 1, 2, 3, 4, 0, 0]
}

/**
 * JSON messages, for connections to programs in other languages: each message is
 * the text as UTF-8 bytes.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { EncodingError } from "../errors.ts";
import type { WaitOptions } from "../memory/mod.ts";
import type { AnyConnection } from "./any_connection.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Sends a value as JSON. In Python it is received by
 * `json.loads(connection.recv_bytes())`.
 *
 * @example There and back
 * ```ts
 * import { Client, Listener, recvJson, sendJson } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = new Listener();
 * using there = await Client(listener.address);
 * using here = await listener.accept();
 * await sendJson(here, { jobs: [1, 2] });
 * assertEquals(await recvJson(there), { jobs: [1, 2] });
 * ```
 *
 * @param connection Where to send it.
 * @param value The value.
 * @param options How long to wait.
 * @throws {EncodingError} If JSON cannot express the value. Nothing has been sent.
 * @throws {TimeoutError} If the time ran out.
 * @throws {Deno.errors.BrokenPipe} If the other end is closed.
 * @throws {ProcessError} If the connection was closed here.
 */
export async function sendJson(
  connection: Pick<AnyConnection, "sendBytes">,
  value: unknown,
  options: WaitOptions = {},
): Promise<void> {
  await connection.sendBytes(
    encoder.encode(textOf(value)),
    0,
    undefined,
    options,
  );
}

/**
 * Receives a value as JSON. In Python it is sent by
 * `connection.send_bytes(json.dumps(value).encode())`.
 *
 * @example What Python sends
 * ```ts
 * import { Client, Listener, recvJson } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = new Listener();
 * using there = await Client(listener.address);
 * using here = await listener.accept();
 * await there.sendBytes(new TextEncoder().encode('{"jobs": [1, 2]}'));
 * assertEquals(await recvJson(here), { jobs: [1, 2] });
 * ```
 *
 * @param connection Where to receive it.
 * @param options How long to wait.
 * @returns The value.
 * @throws {EncodingError} If the message is not JSON; it is used up.
 * @throws {EofError} If the other end is closed or dead, and everything is read.
 * @throws {TimeoutError} If the time ran out.
 * @throws {ProcessError} If the connection was closed here, or was cut off in the
 * middle of a message.
 */
export async function recvJson(
  connection: Pick<AnyConnection, "recvBytes">,
  options: WaitOptions = {},
): Promise<unknown> {
  const message = await connection.recvBytes(undefined, options);
  try {
    return JSON.parse(decoder.decode(message));
  } catch (cause) {
    throw new EncodingError(
      `Cannot receive a value as the message of ${message.byteLength} bytes is not JSON`,
      { cause },
    );
  }
}

function textOf(value: unknown): string {
  let cause: unknown;
  try {
    const text: string | undefined = JSON.stringify(value);
    if (text !== undefined) return text;
  } catch (error) {
    cause = error;
  }
  throw new EncodingError(
    `Cannot send a value of type ${typeof value} as JSON cannot express it`,
    { cause },
  );
}

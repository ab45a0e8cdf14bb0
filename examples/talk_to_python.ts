/**
 * A Deno program and a Python program that talk: this one listens, starts the other
 * one, gives it jobs and prints its answers.
 *
 * ```sh
 * deno run --allow-read --allow-write --allow-net --allow-run=python3 \
 *   examples/talk_to_python.ts [PYTHON]
 * ```
 *
 * All but the last permission are for the socket, which is a file.
 *
 * Worth a look: both sides prove that they know the same key before anything else is
 * said; the key goes to the other program over its standard input, not among its
 * arguments; messages are JSON, which both can read, so neither runs code that the
 * other sends. `talk_to_python.py` beside this file is the other side.
 *
 * @module
 */
import { Listener, recvJson, sendJson } from "../mod.ts";

/** Sent to Python. */
interface Job {
  readonly id: number;
  readonly numbers: readonly number[];
}

/** How long the other side may take to come up. */
const START_MS = 20_000;

/**
 * Up to 3.11, Python knows one digest only, and it is not one to choose today. From
 * 3.12 on it takes the better one that is the default here.
 */
async function digestOf(python: string): Promise<"md5" | "sha256"> {
  const { stdout } = await new Deno.Command(python, {
    args: ["-c", "import sys; print(sys.version_info >= (3, 12))"],
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout).trim() === "True" ? "sha256" : "md5";
}

async function main(python: string): Promise<void> {
  const authkey = crypto.getRandomValues(new Uint8Array(32));
  await using listener = new Listener(undefined, {
    authkey,
    digest: await digestOf(python),
  });

  const script = new URL("./talk_to_python.py", import.meta.url).pathname;
  const child = new Deno.Command(python, {
    args: [decodeURIComponent(script)],
    stdin: "piped",
  }).spawn();
  const setup = JSON.stringify({
    address: listener.address,
    authkey: authkey.toHex(),
  });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`${setup}\n`));
  await writer.close();

  {
    using connection = await listener.accept({ timeout: START_MS });
    for (let id = 1; id <= 3; id++) {
      const job: Job = { id, numbers: [id, id + 1, id + 5] };
      await sendJson(connection, job);
      console.log(await recvJson(connection, { timeout: START_MS }));
    }
  } // closed here, which the other side sees
  const { code } = await child.status;
  console.log(`Python has ended with ${code}`);
}

if (import.meta.main) await main(Deno.args[0] ?? "python3");

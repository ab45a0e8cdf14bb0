/**
 * The end of a TCP connection that is closed here and not there yet.
 *
 * To close a socket while the other side sends, or while something it sent has not
 * been read, resets the connection: the system throws away what it had taken from
 * us and not delivered, messages that count as sent. So we only say that nothing
 * more comes, and pass over what still comes in, until the other side has closed
 * its end too. It gets all that was sent and then the end.
 *
 * ```
 *   close() --> nothing more from us --> nothing more from them --> the socket is closed
 *                      `--- at most FAREWELL_MS, and FAREWELLS_MAX at a time ---'
 * ```
 *
 * **It does not keep the program alive**, except for a write that hangs: Deno lets
 * nobody end that and keep the socket. A program that ends meanwhile resets what
 * would have been reset before.
 *
 * _Not needed_ for a Unix socket: what was taken from us is at the other end.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/** Time for what was sent to arrive over a slow line. */
const FAREWELL_MS = 5_000;
/** Sockets kept for that: few of the file descriptors that Deno asks for. */
const FAREWELLS_MAX = 256;
/** Bytes that are passed over at once. */
const CHUNK_BYTES = 64 * 1024;

/** What ends those that are going on, oldest first. */
const farewells = new Set<() => void>();

/**
 * Closes a socket when both sides have said all, or time is up.
 *
 * @param socket The socket. Nobody else must use it any more; reading and writing
 * that is going on comes first.
 */
export function farewell(socket: Deno.TcpConn): void {
  socket.unref();
  const end = () => {
    if (!farewells.delete(end)) return;
    clearTimeout(timer);
    socket.close();
  };
  const timer = setTimeout(end, FAREWELL_MS);
  Deno.unrefTimer(timer);
  farewells.add(end);
  const [oldest] = farewells;
  if (farewells.size > FAREWELLS_MAX) oldest!();
  // Beside each other: one that writes to us may not read before it is done.
  Promise.all([socket.closeWrite(), passOver(socket)]).then(end, end);
}

async function passOver(socket: Deno.TcpConn): Promise<void> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  while (await socket.read(chunk) !== null);
}

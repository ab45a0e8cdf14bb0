/**
 * Doorbells for systems without futexes: how a participant that sleeps in its
 * event loop is woken by others.
 *
 * Each participant that has ever slept has a socket of its own for datagrams, at
 * this machine's own address (`127.0.0.1`), and its port stands in its slot. To
 * sleep is to wait for a datagram in one of Deno's blocking threads; to ring is to
 * send one. So a waker needs to know the sleeper's slot and nothing else, it
 * never waits, and there is no process in between that could die.
 *
 * ```
 *     sleeper                               |  waker
 *     --------------------------------------+--------------------------------
 *  1  SLEEPING := 1  (in waiting.ts)        |  a  BELL += 1
 *  2  PORT := port   (the first time)       |  b  SLEEPING = 1? else done
 *  3  BELL as expected? else done           |  c  PORT known?   else done
 *  4  wait for a datagram                   |  d  send one to it
 * ```
 *
 * **Why no ring is lost.** All of these are sequentially consistent. If (b) does
 * not see (1), or (c) does not see (2), then (a) came before (3), which sees that
 * the bell has changed. Otherwise a datagram is sent, and the system keeps it for
 * a sleeper that has not come to (4) yet. Should there be no more room for it,
 * others lie there already, and each of them ends (4). Should the system lose it
 * all the same (a firewall), the sleeper looks up every {@linkcode LOOK_MS}.
 *
 * **Who may ring.** Any program on this machine can send a datagram to a port. It
 * carries nothing, and means "look again": the sleeper compares its bell and goes
 * on sleeping if that has not changed. After some in vain in a row it pauses, so
 * that a flood costs little.
 *
 * **Blocking the thread** is another matter: the sleeper looks at its bell, with
 * pauses that become longer. A datagram would be of no use there, as the pending
 * call of the event loop might be the one that gets it.
 *
 * **A thread's socket** outlives the thread, as it is the process's. Its number stands
 * in the slot, and whoever buries it, in the same process, closes it. If it was
 * ended by force, that is some time later: such a thread may go on for a moment,
 * and by then the number would be another file's.
 *
 * Where there are no sockets (a sandbox), the event loop looks at the bell
 * likewise.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  S_BELL,
  S_PID,
  S_PORT,
  S_SOCKET,
  S_STATE,
  SLOT_LEFT,
} from "./layout.ts";
import { nap } from "./memory.ts";
import { platform, posix } from "./_posix.ts";
import { winsock } from "./_windows.ts";

/** The sleeper looks up this often even if nobody rings, in milliseconds. */
const LOOK_MS = 1000;
/** Rings in vain in a row before a pause, and how long that is. */
const VAIN_RINGS = 64;
const VAIN_PAUSE_MS = 5;
/** Looks before the first pause: 5 to 10 µs. */
const LOOKS = 500;
/** First pause of one that looks, and the longest, in milliseconds. */
const FIRST_PAUSE_MS = 0.02;
const LONGEST_PAUSE_MS = 2;
/** The same in the event loop, whose timers are no finer. */
const FIRST_DELAY_MS = 1;
const LONGEST_DELAY_MS = 10;

const AF_INET = 2;
const SOCK_DGRAM = 2;
/** `struct sockaddr_in`: family, port, address, and eight bytes of nothing. */
const ADDRESS_BYTES = 16;
const LOOPBACK = [127, 0, 0, 1];
/** What a ring says: nothing. */
const RING = new Uint8Array(1);
/** Where rings are received; nobody reads it. */
const HEARD = new Uint8Array(16);

/**
 * The socket of a thread that was ended by force is closed after so long, in
 * milliseconds, when the next thread is buried.
 */
const CLOSE_AFTER_MS = 2000;

/** Sockets of threads that may go on for a moment, the oldest first. */
const condemned: { readonly handle: number; readonly fromMs: number }[] = [];

/** A socket for rings. */
interface Socket {
  /** Its number in this process. */
  readonly handle: number;
  /** Where others send them. */
  readonly port: number;
  /** Sends one. */
  ring(port: number): void;
  /** Waits for one, or for {@linkcode LOOK_MS}. */
  heard(): Promise<unknown>;
}

/** The doorbell of one participant, and its hand for those of others. */
export class Doorbell {
  #socket: Socket | undefined;
  /** Notes the socket in this participant's slot. */
  #note: ((socket: Socket) => void) | undefined;

  /** Says where this participant's slot starts. */
  own(words: Int32Array, slot: number): void {
    this.#note = ({ handle }) =>
      Atomics.store(words, slot + S_SOCKET, handle + 1);
  }

  /** Closes the socket of a thread of this process that has ended. */
  bury(words: Int32Array, slot: number): void {
    const nowMs = performance.now();
    if (words[slot + S_PID] === Deno.pid) {
      const handle = Atomics.exchange(words, slot + S_SOCKET, 0) - 1;
      const hasLeft = Atomics.load(words, slot + S_STATE) === SLOT_LEFT;
      const fromMs = hasLeft ? nowMs : nowMs + CLOSE_AFTER_MS;
      if (handle >= 0) condemned.push({ handle, fromMs });
    }
    for (const [i, { handle, fromMs }] of [...condemned.entries()].reverse()) {
      if (fromMs > nowMs) continue;
      condemned.splice(i, 1);
      closeSocket(handle);
    }
  }

  /** Sleeps until the bell differs from what was expected. */
  async sleep(
    words: Int32Array,
    bell: number,
    expected: number,
  ): Promise<void> {
    const socket = this.#open();
    if (!socket) return await look(words, bell, expected);
    Atomics.store(words, bell - S_BELL + S_PORT, socket.port);
    for (let vain = 0; Atomics.load(words, bell) === expected; vain++) {
      if (vain >= VAIN_RINGS) {
        vain = 0;
        await delay(VAIN_PAUSE_MS);
      }
      await socket.heard();
    }
  }

  /** The same, blocking the thread, for at most `ms`. */
  sleepSync(
    words: Int32Array,
    bell: number,
    expected: number,
    ms: number,
  ): void {
    for (let i = 0; i < LOOKS; i++) {
      if (Atomics.load(words, bell) !== expected) return;
    }
    const deadline = performance.now() + ms;
    let pauseMs = FIRST_PAUSE_MS;
    while (Atomics.load(words, bell) === expected) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return;
      nap(Math.min(pauseMs, leftMs));
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  /** Rings a bell; its owner is known to sleep. */
  ring(words: Int32Array, bell: number): void {
    const port = Atomics.load(words, bell - S_BELL + S_PORT);
    if (port !== 0) this.#open()?.ring(port);
  }

  #open(): Socket | undefined {
    if (this.#socket) return this.#socket;
    this.#socket = openSocket();
    if (this.#socket) this.#note?.(this.#socket);
    return this.#socket;
  }
}

async function look(
  words: Int32Array,
  bell: number,
  expected: number,
): Promise<void> {
  let delayMs = FIRST_DELAY_MS;
  while (Atomics.load(words, bell) === expected) {
    await delay(delayMs);
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function openSocket(): Socket | undefined {
  return Deno.build.os === "windows" ? openWindows() : openPosix();
}

function closeSocket(handle: number): void {
  if (Deno.build.os === "windows") winsock().closesocket(BigInt(handle));
  else posix().close(handle);
}

function openPosix(): Socket | undefined {
  const { socket, ioctl, bind, getsockname, setsockopt, close, sendto, recv } =
    posix();
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return undefined;
  ioctl(fd, platform.FIOCLEX); // children have their own
  const address = addressOf(0);
  // Seconds and microseconds, 8 bytes each or padded to that.
  const timeout = BigInt64Array.of(BigInt(LOOK_MS / 1000), 0n);
  const isOpen = bind(fd, address, ADDRESS_BYTES) === 0 &&
    getsockname(fd, address, Uint32Array.of(ADDRESS_BYTES)) === 0 &&
    setsockopt(
        fd,
        platform.SOCKET_LEVEL,
        platform.RECEIVE_TIMEOUT,
        timeout,
        timeout.byteLength,
      ) === 0;
  if (!isOpen) {
    close(fd);
    return undefined;
  }
  return {
    handle: fd,
    port: portIn(address),
    ring: (port) => {
      sendto(fd, RING, 1n, platform.DONT_WAIT, addressOf(port), ADDRESS_BYTES);
    },
    heard: () => recv(fd, HEARD, BigInt(HEARD.byteLength), 0),
  };
}

/** `SOL_SOCKET` and `SO_RCVTIMEO`, from `winsock2.h`. */
const WINDOWS_SOCKET_LEVEL = 0xffff;
const WINDOWS_RECEIVE_TIMEOUT = 0x1006;
const INVALID_SOCKET = 2n ** 64n - 1n;
/** `WSA_FLAG_OVERLAPPED`, as `socket()` has it, and `…_NO_HANDLE_INHERIT`. */
const SOCKET_FLAGS = 0x01 | 0x80;

function openWindows(): Socket | undefined {
  const { WSASocketW, bind, getsockname, setsockopt, sendto, recv } = winsock();
  const handle = WSASocketW(AF_INET, SOCK_DGRAM, 0, 0n, 0, SOCKET_FLAGS);
  if (handle === INVALID_SOCKET) return undefined;
  const address = addressOf(0);
  const isOpen = bind(handle, address, ADDRESS_BYTES) === 0 &&
    getsockname(handle, address, Int32Array.of(ADDRESS_BYTES)) === 0 &&
    setsockopt(
        handle,
        WINDOWS_SOCKET_LEVEL,
        WINDOWS_RECEIVE_TIMEOUT,
        Uint32Array.of(LOOK_MS),
        4,
      ) === 0;
  if (!isOpen) return undefined;
  return {
    handle: Number(handle), // Windows uses 32 bits of it
    port: portIn(address),
    // A datagram of one byte always finds room or is dropped: this never waits.
    ring: (port) => {
      sendto(handle, RING, 1, 0, addressOf(port), ADDRESS_BYTES);
    },
    heard: () => recv(handle, HEARD, HEARD.byteLength, 0),
  };
}

/** The address of a port of this machine, as the system wants it. */
function addressOf(port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  if (platform.hasAddressLength) bytes.set([ADDRESS_BYTES, AF_INET]);
  else bytes[0] = AF_INET; // 16 bits, low byte first
  bytes.set([port >> 8, port & 0xff, ...LOOPBACK], 2);
  return bytes;
}

function portIn(address: Uint8Array): number {
  return address[2]! << 8 | address[3]!;
}

/**
 * Memory with names, for processes that need not know each other: files in
 * `/dev/shm`, as `shm_open()` makes them, so that other programs (CPython's
 * `SharedMemory` among them) find the same memory under the same name.
 *
 * **Never half made.** A segment is made under a name nobody looks for, all its
 * pages are reserved (touching memory that a full `/dev/shm` does not have kills
 * the process), and only then it is linked to its name, in one step.
 *
 * **Who cleans up.** A file outlives its program. Beside each segment lies a
 * *marker*, an empty file whose name tells whose the segment is:
 *
 * ```
 *   .mp.<pid>.<pid namespace>.<arena>.<inode>.<name>     the owner's marker
 *   .mp.<pid>.<pid namespace>.<arena>.0.<nonce>          a segment being made
 * ```
 *
 * The owner is the program: its first process, which has made the arena. A child
 * may create a segment and end; its parent can still open it. When the first
 * process ends in good order it unlinks what has its markers. If it is killed,
 * the next program that creates or opens a segment does, on seeing that no such
 * process is there ({@linkcode sweep}). Whoever only opens a segment has no
 * marker, so closing it, or dying, destroys nothing.
 *
 * A thread makes an arena of processes of its own if there was none when it was
 * started. It may end long before the program, and the first thread does not know
 * that arena. So the markers of what is created there have the arena of the threads
 * in place of it (`OWNER`).
 *
 * A marker is deleted first and then the segment, if it still is the file the
 * marker was for: two that sweep at once cannot both think that it is theirs.
 * Markers of another pid namespace (a container that shares `/dev/shm`) cannot
 * be judged and are left alone.
 *
 * **Unmapping.** A mapping ends when its `ArrayBuffer` is collected after its
 * user was done with it: no view can be left then. If the buffer had been
 * transferred by that time, it is somewhere out of sight, and the mapping stays.
 *
 * With a process all its mappings end, and with a thread none, nor is anything
 * collected any more that was the thread's. So a thread writes each down in a block
 * of the arena of threads, and gives that back when the mapping can end; whoever
 * buries the thread gives back what is left. The last reference of the block ends
 * the mapping. As it is struck off the list before, nobody does so twice, which
 * would hit whatever is mapped there by then; a thread killed in between leaves it
 * mapped.
 *
 * Words of the arena's header:
 *
 * - `HAS_NAMES`: 1 once there has been a segment, or, in the arena of threads, one
 *   of them has made an arena of processes · whoever creates one · the first
 *   process, at its end, which most programs spare the look.
 * - `OWNER`: id of the arena, or that of the threads, one of which has made it · who
 *   made it · whoever creates a segment. The first participant of the arena of that
 *   id cleans up.
 *
 * Words of the block of a mapping: address and length, in two words each, from
 * {@linkcode FIRST_WORD} on · the thread · whoever drops it.
 *
 * Runs in the parent and in the child, on Linux.
 *
 * @module
 */
import { HEADER_BYTES } from "../memory/layout.ts";
import { cString, errno, libc as openLibc } from "../memory/libc.ts";
import type { Libc } from "../memory/libc.ts";
import { arenaFor, eachArena, existingArena, S_PID } from "../memory/mod.ts";
import type { Arena } from "../memory/mod.ts";
import { slotOf } from "../memory/participants.ts";
import { bequeath, drop, FIRST_WORD, onLast } from "./block.ts";
import type { Legacy } from "./block.ts";
import { missing, taken } from "./_named_memory.ts";
import type { NamedMemory, Segment } from "./_named_memory.ts";
import type { Piece } from "./_views.ts";

const FOLDER = "/dev/shm";

const O_RDWR = 2;
const O_CREAT_EXCL = 0o100 | 0o200;
const O_RDONLY_DIRECTORY = Deno.build.arch === "aarch64" ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
/** A link in a folder all may write to is a trap. */
const O_NOFOLLOW = Deno.build.arch === "aarch64" ? 0o100000 : 0o400000;
const OWNER_ONLY = 0o600;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const EINTR = 4;
const ENOENT = 2;
const ESRCH = 3;
const EACCES = 13;
const EEXIST = 17;
const ENOSPC = 28;
/** More than a `struct stat`; where its parts are is the same for both. */
const STAT_BYTES = 256;
const STAT_INODE = 8;
const STAT_SIZE = 48;
/** Where the parts of a `struct linux_dirent64` are. */
const DIRENT_INODE = 0;
const DIRENT_LENGTH = 16;
const DIRENT_NAME = 19;
/** As many files as are listed with one call are some hundred. */
const DIRENTS_BYTES = 32 * 1024;

/** Milliseconds between two looks for what the dead left behind. */
const SWEEP_MS = 1000;

const MARKER_REGEXP = /^\.mp\.(\d+)\.(\d+)\.([0-9a-f]+)\.(\d+)\.(.*)$/s;

/** In front of those of `_named_blocks.ts`. */
const HAS_NAMES: number = HEADER_BYTES / 4 - 3;
const OWNER: number = HEADER_BYTES / 4 - 4;

/** Bytes of the block of a mapping. */
const MAPPING_BYTES = 64;

function libc(): Libc {
  if (Deno.build.os === "linux") return openLibc();
  throw new Deno.errors.NotSupported(
    `Cannot share named memory between processes on ${Deno.build.os}: use getContext("worker")`,
  );
}

function pathOf(name: string): Uint8Array<ArrayBuffer> {
  return cString(`${FOLDER}/${name}`);
}

/** Where a mapping is. */
interface Mapping {
  readonly address: bigint;
  readonly byteLength: number;
  /** Where a thread has written it down. */
  readonly legacy: Legacy | undefined;
}

const unmapping = new FinalizationRegistry<Mapping>(unmap);

function unmap({ address, byteLength, legacy }: Mapping): void {
  if (legacy) drop(legacy);
  else libc().munmap(address, byteLength);
}

/** Has the mapping stay, whoever drops what is written down of it. */
function keepMapped({ legacy }: Mapping): void {
  if (!legacy) return;
  const { arena, offset } = legacy;
  mappingIn(arena.words(offset, MAPPING_BYTES / 4)).fill(0n);
  drop(legacy);
}

/** Writes a mapping down where whoever buries this thread finds it. */
function writeDown(address: bigint, byteLength: number): Legacy | undefined {
  if (!isThread()) return undefined;
  return bequeath(arenaFor("worker"), MAPPING_BYTES, "mapping", (words) => {
    mappingIn(words).set([address, BigInt(byteLength)]);
  });
}

/** Address and length in the words of a block. */
function mappingIn({ buffer, byteOffset }: Int32Array): BigInt64Array {
  return new BigInt64Array(buffer, byteOffset + FIRST_WORD * 4, 2);
}

onLast("mapping", (arena, offset) => {
  const [address, byteLength] = mappingIn(
    arena.words(offset, MAPPING_BYTES / 4),
  );
  if (address !== 0n) libc().munmap(address!, Number(byteLength));
});

class FileSegment implements Segment {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #mapping: Mapping;

  constructor(fd: number, size: number) {
    const pointer = libc().mmap(size, PROT_READ_WRITE, MAP_SHARED, fd);
    const address = Deno.UnsafePointer.value(pointer);
    // MAP_FAILED is -1, not null.
    if (pointer === null || BigInt.asIntN(64, address) === -1n) {
      throw new RangeError(
        `Cannot map ${size} bytes of shared memory: error ${errno()}`,
      );
    }
    this.bytes = new Uint8Array(
      Deno.UnsafePointerView.getArrayBuffer(pointer, size),
    );
    const legacy = writeDown(address, size);
    this.#mapping = { address, byteLength: size, legacy };
  }

  get piece(): Piece {
    return this.bytes;
  }

  release(): void {
    const { buffer } = this.bytes;
    if (buffer.detached) keepMapped(this.#mapping);
    else unmapping.register(buffer, this.#mapping);
  }
}

/** See the module. */
export class NamedFiles implements NamedMemory {
  create(name: string, size: number): Segment {
    sweepNowAndThen();
    const arena = arenaFor("spawn");
    noteNames(arena);
    const owner = ownerPrefix(arena);
    const draft = `${owner}0.${crypto.randomUUID()}`;
    const fd = openFile(draft, O_CREAT_EXCL);
    if (fd < 0) throw failure(`Cannot create shared memory "${name}"`);
    try {
      reserve(fd, size);
      const segment = new FileSegment(fd, size);
      try {
        publish(draft, `${owner}${statOf(fd).inode}.${name}`, name);
      } catch (error) {
        segment.release();
        throw error;
      }
      return segment;
    } finally {
      removeFile(draft);
      libc().close(fd);
    }
  }

  attach(name: string): Segment {
    sweepNowAndThen();
    const fd = openFile(name, 0);
    if (fd < 0) throw failure(`Cannot attach to shared memory "${name}"`, name);
    try {
      const { size } = statOf(fd);
      // Other programs make theirs in steps: before the last, there is nothing.
      if (size === 0) throw missing("attach to", name);
      return new FileSegment(fd, size);
    } finally {
      libc().close(fd);
    }
  }

  unlink(name: string): void {
    const fd = openFile(name, 0);
    const inode = fd < 0 ? "" : statOf(fd).inode;
    if (fd >= 0) libc().close(fd);
    if (!removeFile(name)) {
      throw failure(`Cannot unlink shared memory "${name}"`, name);
    }
    // Another program's marker stays: it is seen to lead nowhere, some time.
    removeFile(`${ownerPrefix(arenaFor("spawn"))}${inode}.${name}`);
  }
}

/** Opens a file; negative if that failed. */
function openFile(name: string, flags: number): number {
  return libc().open(
    pathOf(name),
    O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags,
    OWNER_ONLY,
  );
}

/** Returns whether it was there, and is not any more. */
function removeFile(name: string): boolean {
  return libc().unlink(pathOf(name)) === 0;
}

/** Has the system set the pages aside. */
function reserve(fd: number, size: number): void {
  do {
    if (libc().fallocate(fd, 0, 0, size) === 0) return;
  } while (errno() === EINTR);
  const error = errno();
  throw new RangeError(
    `Cannot create shared memory of ${size} bytes ${
      error === ENOSPC ? `as ${FOLDER} has no room for it` : `in ${FOLDER}`
    }: error ${error}`,
  );
}

/** Gives a finished segment its name and its marker. */
function publish(draft: string, marker: string, name: string): void {
  const fd = openFile(marker, O_CREAT_EXCL);
  if (fd < 0) throw failure(`Cannot create shared memory "${name}"`);
  libc().close(fd);
  const link = () => libc().link(pathOf(draft), pathOf(name)) === 0;
  if (link()) return;
  if (errno() === EEXIST) {
    // It may be of a program that has just been killed.
    sweep();
    if (link()) return;
  }
  const error = errno() === EEXIST
    ? taken(name)
    : failure(`Cannot create shared memory "${name}"`);
  removeFile(marker);
  throw error;
}

function statOf(fd: number): { size: number; inode: string } {
  const bytes = new Uint8Array(STAT_BYTES);
  libc().fstat(fd, bytes);
  const view = new DataView(bytes.buffer);
  return {
    size: Number(view.getBigInt64(STAT_SIZE, true)),
    inode: String(view.getBigUint64(STAT_INODE, true)),
  };
}

/** The error for the last call that failed. */
function failure(what: string, name?: string): Error {
  const error = errno();
  if (error === ENOENT && name !== undefined) {
    return new Deno.errors.NotFound(`${what} as there is none of that name`);
  }
  if (error === EACCES) {
    return new Deno.errors.PermissionDenied(
      `${what} as it belongs to another user`,
    );
  }
  return new Error(`${what} in ${FOLDER}: error ${error}`);
}

// ---- whose they are ---------------------------------------------------------

let namespace: string | undefined;

/** Tells pid namespaces apart. */
function pidNamespace(): string {
  if (namespace !== undefined) return namespace;
  const bytes = new Uint8Array(64);
  const path = cString("/proc/self/ns/pid");
  const length = libc().readlink(path, bytes);
  const text = new TextDecoder().decode(bytes.subarray(0, Math.max(0, length)));
  return namespace = text.match(/\d+/)?.[0] ?? "0";
}

/** The process that made the arena. */
function founderOf({ participants }: Arena): number {
  return participants.load(0, S_PID);
}

/** What the markers of the owner begin with. */
function ownerPrefix(arena: Arena): string {
  return prefixOf(founderOf(arena), headerOf(arena)[OWNER] || arena.id);
}

function prefixOf(pid: number, id: number): string {
  return `.mp.${pid}.${pidNamespace()}.${(id >>> 0).toString(16)}.`;
}

function headerOf(arena: Arena): Int32Array {
  return arena.words(0, HEADER_BYTES / 4);
}

function noteNames(arena: Arena): void {
  Atomics.store(headerOf(arena), HAS_NAMES, 1);
}

/** Whether this is a thread that the program has started. */
function isThread(): boolean {
  const threads = existingArena("worker");
  return threads !== undefined && slotOf(threads.me) !== 0;
}

eachArena((arena) => {
  if (slotOf(arena.me) !== 0) return;
  if (arena.kind === "worker") return cleanAtEnd(arena);
  const threads = isThread() ? existingArena("worker")! : undefined;
  headerOf(arena)[OWNER] = (threads ?? arena).id;
  if (!threads) cleanAtEnd(arena);
  // Others have their names in the arena.
  else if (!arena.memory.isPortable) noteNames(threads);
});

/** Has what belongs to this program removed when it ends. */
function cleanAtEnd(arena: Arena): void {
  globalThis.addEventListener("unload", () => {
    if (Atomics.load(headerOf(arena), HAS_NAMES) === 0) return;
    const prefix = prefixOf(Deno.pid, arena.id);
    clean((marker) => marker.file.startsWith(prefix));
  });
}

let sweptAt = -Infinity;

function sweepNowAndThen(): void {
  if (performance.now() - sweptAt >= SWEEP_MS) sweep();
}

/** Removes what programs have left that are no more. */
function sweep(): void {
  sweptAt = performance.now();
  const here = pidNamespace();
  clean(({ pid, namespace }) => namespace === here && !isRunning(pid));
}

function isRunning(pid: number): boolean {
  return libc().kill(pid, 0) === 0 || errno() !== ESRCH;
}

/** A marker that was found. */
interface Marker {
  readonly file: string;
  readonly pid: number;
  readonly namespace: string;
}

/** Removes the segments whose markers are chosen, and the markers. */
function clean(isChosen: (marker: Marker) => boolean): void {
  const files = listFiles();
  for (const file of files.keys()) {
    const match = file.match(MARKER_REGEXP);
    if (!match) continue;
    const [, pid, namespace, , inode, name] = match;
    if (!isChosen({ file, pid: Number(pid), namespace: namespace! })) continue;
    // Only one can delete it: that one sees to the rest.
    if (removeFile(file) && files.get(name!) === inode) removeFile(name!);
  }
}

/** The inodes of all files, by name. */
function listFiles(): Map<string, string> {
  const files = new Map<string, string>();
  const { open, close, getdents64 } = libc();
  const fd = open(cString(FOLDER), O_RDONLY_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return files;
  const bytes = new Uint8Array(DIRENTS_BYTES);
  const view = new DataView(bytes.buffer);
  for (let end; (end = getdents64(fd, bytes)) > 0;) {
    for (let at = 0; at < end;) {
      const next = at + view.getUint16(at + DIRENT_LENGTH, true);
      const name = nameIn(bytes.subarray(at + DIRENT_NAME, next));
      const inode = view.getBigUint64(at + DIRENT_INODE, true);
      if (name !== undefined) files.set(name, String(inode));
      at = next;
    }
  }
  close(fd);
  return files;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function nameIn(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes.subarray(0, bytes.indexOf(0)));
  } catch {
    return undefined; // not UTF-8, so not ours
  }
}

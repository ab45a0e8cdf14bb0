/**
 * A mapping of a sparse file with a name, in a folder for temporary files: for
 * macOS, and for Linux where `/proc/<pid>/fd` is closed.
 *
 * **Who removes it.** Each process that has it open has a shared lock on it
 * (`flock`), which the system takes away at the process's end, whatever end that
 * is. So a file that nobody has a lock on belongs to nobody. A process that ends
 * in good order tries to turn its lock into an exclusive one, which only the last
 * can, and removes the file. What is left by programs that were killed is removed
 * the same way by the next that makes one: no process ids are compared, which
 * would be wrong for ids that are used again, and in containers that share a
 * folder.
 *
 * **Never half made.** It is made under a passing name, locked, brought to its
 * size, and then linked to the name that others are told. Should a passing file
 * be removed by somebody before it was locked, linking it fails, and another is
 * made.
 *
 * **Its limits.** A file that cannot grow any more because the disk is full kills
 * the process that touches it. Giving pages back is tried on Linux alone; the
 * call for it on macOS is one that FFI cannot make, and so pages are cleared and
 * stay where they are.
 *
 * Runs in the parent and in the child, on Linux and macOS.
 *
 * @module
 */
import { cString, libc } from "./libc.ts";
import { freshName, NAME_PREFIX, nameOf, placeOf } from "./_mapping.ts";
import type { Mapping } from "./_mapping.ts";
import { platform, posix, posixErrno, tempFolders } from "./_posix.ts";

/** The same on both: `errno.h`. */
const ENOENT = 2;
const PROT_READ_WRITE = 3;
const SEEK_END = 2;
/** The same on both: `sys/file.h`. */
const LOCK_SHARED = 1;
const LOCK_EXCLUSIVE = 2;
const LOCK_NO_WAIT = 4;
const FALLOC_PUNCH_HOLE_KEEP_SIZE = 3;
/** How often another name is tried. */
const ATTEMPTS = 20;

/** See the module. */
export class FileMapping implements Mapping {
  readonly discards: boolean = Deno.build.os === "linux";
  /** The descriptor here; for tests. */
  readonly fd: number;

  private constructor(
    readonly file: number,
    fd: number,
    readonly pointer: Deno.PointerObject,
    readonly byteLength: number,
  ) {
    this.fd = fd;
  }

  /**
   * Makes one.
   *
   * @param sizes How large it may be; the first that the system allows is taken.
   */
  static create(sizes: readonly number[]): FileMapping {
    let refusal: unknown;
    for (const place of tempFolders().keys()) {
      try {
        sweep(place);
        return createIn(place, (file, fd) => {
          const [pointer, byteLength] = reserve(fd, sizes);
          return () => own(new FileMapping(file, fd, pointer, byteLength));
        });
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }

  /** Opens one that another process has. */
  static open(file: number, byteLength: number): FileMapping {
    const { lseek, flock, close } = posix();
    const fd = openFile(pathOf(file));
    if (fd < 0) {
      const error = posixErrno();
      const Failure = error === ENOENT ? Deno.errors.NotFound : Error;
      throw new Failure(
        `Cannot open shared memory "${pathOf(file)}": error ${error}`,
      );
    }
    // Touching what lies behind the end of a file kills the process.
    if (
      flock(fd, LOCK_SHARED | LOCK_NO_WAIT) !== 0 ||
      lseek(fd, 0n, SEEK_END) < BigInt(byteLength)
    ) {
      close(fd);
      throw new Deno.errors.NotFound(
        `Cannot attach to shared memory as the program that made "${
          pathOf(file)
        }" has ended`,
      );
    }
    return own(new FileMapping(file, fd, map(fd, byteLength), byteLength));
  }

  /** The one that another thread of this process has opened. */
  static at(file: number, address: number, byteLength: number): FileMapping {
    const pointer = Deno.UnsafePointer.create(BigInt(address))!;
    return new FileMapping(file, -1, pointer, byteLength);
  }

  commit(): void {
    // Pages come when they are touched.
  }

  discard(offset: number, byteLength: number): boolean {
    if (!this.discards || this.fd < 0) return false;
    return libc().fallocate(
      this.fd,
      FALLOC_PUNCH_HOLE_KEEP_SIZE,
      offset,
      byteLength,
    ) === 0;
  }
}

/** Sees to its removal when this process ends in good order. */
function own(mapping: FileMapping): FileMapping {
  globalThis.addEventListener("unload", () => removeIfLast(mapping));
  return mapping;
}

function removeIfLast({ file, fd }: FileMapping): void {
  const { flock, unlink } = posix();
  if (flock(fd, LOCK_EXCLUSIVE | LOCK_NO_WAIT) === 0) {
    unlink(cString(pathOf(file)));
  }
}

/** Where the file is. */
export function pathOf(file: number): string {
  return `${tempFolders()[placeOf(file)]}/${nameOf(file)}`;
}

function openFile(path: string): number {
  // Others may write to the folder: what they link to is not followed.
  return posix().open(
    cString(path),
    platform.O_RDWR | platform.O_CLOEXEC | platform.O_NOFOLLOW,
  );
}

function createIn<T>(
  place: number,
  prepare: (file: number, fd: number) => () => T,
): T {
  const { mkostemp, flock, link, unlink, close } = posix();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const passing = cString(`${tempFolders()[place]}/${NAME_PREFIX}XXXXXX`);
    const fd = mkostemp(passing, platform.O_CLOEXEC);
    if (fd < 0) break;
    try {
      if (flock(fd, LOCK_SHARED | LOCK_NO_WAIT) === 0) {
        const file = freshName(place);
        const finish = prepare(file, fd);
        if (link(passing, cString(pathOf(file))) === 0) {
          unlink(passing);
          return finish();
        }
      }
    } catch (error) {
      unlink(passing);
      close(fd);
      throw error;
    }
    // Somebody who sweeps was faster, or has the name.
    unlink(passing);
    close(fd);
  }
  throw new Error(
    `Cannot create shared memory in "${
      tempFolders()[place]
    }": error ${posixErrno()}`,
  );
}

function reserve(
  fd: number,
  sizes: readonly number[],
): [Deno.PointerObject, number] {
  let refusal: unknown;
  for (const byteLength of sizes) {
    try {
      if (posix().ftruncate(fd, BigInt(byteLength)) !== 0) {
        throw new RangeError(`Cannot reserve memory: error ${posixErrno()}`);
      }
      return [map(fd, byteLength), byteLength];
    } catch (error) {
      refusal = error; // less address space than that: ask for less
    }
  }
  throw refusal;
}

function map(fd: number, byteLength: number): Deno.PointerObject {
  const pointer = posix().mmap(
    0n,
    BigInt(byteLength),
    PROT_READ_WRITE,
    platform.MAP_SHARED | platform.MAP_NORESERVE,
    fd,
    0n,
  );
  // MAP_FAILED is -1, not null.
  const hasFailed = pointer === null ||
    BigInt.asIntN(64, Deno.UnsafePointer.value(pointer)) === -1n;
  if (hasFailed) {
    throw new RangeError(
      `Cannot map ${byteLength} bytes of shared memory: error ${posixErrno()}`,
    );
  }
  return pointer;
}

/** Removes what programs have left that are no more. */
function sweep(place: number): void {
  const { flock, unlink, close } = posix();
  for (const name of namesIn(tempFolders()[place]!)) {
    const path = `${tempFolders()[place]}/${name}`;
    const fd = openFile(path);
    if (fd < 0) continue; // gone, or another user's
    if (flock(fd, LOCK_EXCLUSIVE | LOCK_NO_WAIT) === 0) unlink(cString(path));
    close(fd);
  }
}

function namesIn(folder: string): string[] {
  const { opendir, readdir, closedir } = posix();
  const names: string[] = [];
  const listing = opendir(cString(folder));
  if (listing === null) return names;
  while (true) {
    const entry = readdir(listing);
    if (entry === null) break;
    try {
      const name = new Deno.UnsafePointerView(entry)
        .getCString(platform.DIRENT_NAME);
      if (name.startsWith(NAME_PREFIX)) names.push(name);
    } catch {
      // It is not UTF-8, so it is not ours.
    }
  }
  closedir(listing);
  return names;
}

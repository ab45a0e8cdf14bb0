/**
 * The calls that Linux and macOS have in common, and the tables of what differs
 * between them: for memory in a named file and for doorbells (see
 * `file_mapping.ts` and `doorbell.ts`). Linux has better ones for itself, in
 * `libc.ts`.
 *
 * Functions that take a variable number of arguments (`open()` with a mode,
 * `fcntl()`, `ioctl()`) are avoided: on Apple's ARM processors such arguments go
 * where FFI does not put them.
 *
 * Runs in the parent and in the child, on Linux and macOS.
 *
 * @module
 */

const IS_MAC = Deno.build.os === "darwin";
/** Where Apple's C library has had two sizes of inodes, the newer has a suffix. */
const INODE64 = IS_MAC && Deno.build.arch === "x86_64" ? "$INODE64" : "";

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  mkostemp: { parameters: ["buffer", "i32"], result: "i32" },
  link: { parameters: ["buffer", "buffer"], result: "i32" },
  unlink: { parameters: ["buffer"], result: "i32" },
  confstr: { parameters: ["i32", "buffer", "usize"], result: "usize" },
  opendir: {
    name: `opendir${INODE64}` as string,
    parameters: ["buffer"],
    result: "pointer",
  },
  readdir: {
    name: `readdir${INODE64}` as string,
    parameters: ["pointer"],
    result: "pointer",
  },
  closedir: { parameters: ["pointer"], result: "i32" },
  mmap: {
    parameters: ["usize", "usize", "i32", "i32", "i32", "i64"],
    result: "pointer",
  },
  signal: { parameters: ["i32", "usize"], result: "usize" },
  errno: {
    name: (IS_MAC ? "__error" : "__errno_location") as string,
    parameters: [],
    result: "pointer",
  },
  // Its further arguments are of a variable number: only without them.
  ioctl: { parameters: ["i32", "usize"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"],
    result: "i32",
  },
  sendto: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"],
    result: "isize",
  },
  recv: {
    parameters: ["i32", "buffer", "usize", "i32"],
    result: "isize",
    nonblocking: true,
  },
} as const;

/** The calls. */
export type Posix = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** What differs between the two. */
interface Platform {
  /** Names of the C library. */
  readonly libraries: readonly string[];
  readonly O_RDWR: number;
  readonly O_CLOEXEC: number;
  readonly O_NOFOLLOW: number;
  readonly MAP_SHARED: number;
  readonly MAP_NORESERVE: number;
  /** Has a file closed in programs that are started. */
  readonly FIOCLEX: bigint;
  /** `MSG_DONTWAIT`. */
  readonly DONT_WAIT: number;
  /** `SOL_SOCKET`, `SO_RCVTIMEO`. */
  readonly SOCKET_LEVEL: number;
  readonly RECEIVE_TIMEOUT: number;
  /** Where the name is in a `struct dirent`. */
  readonly DIRENT_NAME: number;
  /** Whether a socket address begins with its length. */
  readonly hasAddressLength: boolean;
}

/** From the headers of the GNU C library and of Linux (`asm-generic`). */
const LINUX: Platform = {
  libraries: ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`],
  O_RDWR: 2,
  O_CLOEXEC: 0o2000000,
  O_NOFOLLOW: Deno.build.arch === "aarch64" ? 0o100000 : 0o400000,
  MAP_SHARED: 1,
  MAP_NORESERVE: 0x4000,
  FIOCLEX: 0x5451n,
  DONT_WAIT: 0x40,
  SOCKET_LEVEL: 1,
  RECEIVE_TIMEOUT: 20,
  DIRENT_NAME: 19,
  hasAddressLength: false,
};

/** From the headers of XNU: `fcntl.h`, `mman.h`, `filio.h`, `socket.h`,
 * `dirent.h` in `sys/`. */
const MACOS: Platform = {
  libraries: ["/usr/lib/libSystem.B.dylib"],
  O_RDWR: 2,
  O_CLOEXEC: 0x100_0000,
  O_NOFOLLOW: 0x100,
  MAP_SHARED: 1,
  MAP_NORESERVE: 0x40,
  FIOCLEX: 0x2000_6601n,
  DONT_WAIT: 0x80,
  SOCKET_LEVEL: 0xffff,
  RECEIVE_TIMEOUT: 0x1006,
  DIRENT_NAME: 21,
  hasAddressLength: true,
};

/** The table of this system. */
export const platform: Platform = IS_MAC ? MACOS : LINUX;

let opened: Posix | undefined;

/** Opens the C library, once per thread. It is never closed. */
export function posix(): Posix {
  if (opened) return opened;
  let refusal: unknown;
  for (const name of platform.libraries) {
    try {
      return opened = Deno.dlopen(name, SYMBOLS).symbols;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      refusal = error;
    }
  }
  throw new Error("Cannot open the C library", { cause: refusal });
}

/** The number of the last error of a call in this thread. */
export function posixErrno(): number {
  const pointer = posix().errno();
  return pointer === null ? 0 : new Deno.UnsafePointerView(pointer).getInt32();
}

/** Text that C has written. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

const TEMP_DIR_BYTES = 1024;
/** `_CS_DARWIN_USER_TEMP_DIR`, from `unistd.h`. */
const USER_TEMP_DIR = 65537;

let folders: readonly string[] | undefined;

/**
 * Where files may be made, best first, the same for every process of a program:
 * `TMPDIR` may differ between them, and reading it needs a permission.
 */
export function tempFolders(): readonly string[] {
  if (folders) return folders;
  if (!IS_MAC) return folders = ["/tmp", "/var/tmp", "/dev/shm"];
  const bytes = new Uint8Array(TEMP_DIR_BYTES);
  posix().confstr(USER_TEMP_DIR, bytes, BigInt(TEMP_DIR_BYTES));
  const own = textOf(bytes).replace(/\/$/, "");
  return folders = own ? [own, "/private/tmp"] : ["/private/tmp"];
}

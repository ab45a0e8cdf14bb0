/**
 * The calls into the C library, and nothing but the calls: what they mean is in
 * `process_memory.ts`.
 *
 * Runs in the parent and in the child, on Linux.
 *
 * @module
 */

const SYMBOLS = {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  mmap: {
    parameters: ["usize", "usize", "i32", "i32", "i32", "i64"],
    result: "pointer",
  },
  prctl: {
    parameters: ["i32", "usize", "usize", "usize", "usize"],
    result: "i32",
  },
  signal: { parameters: ["i32", "usize"], result: "usize" },
  __errno_location: { parameters: [], result: "pointer" },
  // futex(address, op, value, timeout) has no wrapper in the C library.
  futex: {
    name: "syscall",
    parameters: ["i64", "usize", "i32", "i32", "buffer", "usize", "i32"],
    result: "i64",
  },
  futexNonblocking: {
    name: "syscall",
    parameters: ["i64", "usize", "i32", "i32", "usize", "usize", "i32"],
    result: "i64",
    nonblocking: true,
  },
} as const;

/** The C library, opened. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The names it goes by: glibc, then musl. */
const NAMES = Deno.build.arch === "aarch64"
  ? ["libc.so.6", "libc.musl-aarch64.so.1"]
  : ["libc.so.6", "libc.musl-x86_64.so.1"];

/** The number of the futex system call. */
export const SYS_FUTEX: bigint = Deno.build.arch === "aarch64" ? 98n : 202n;

let opened: Libc | undefined;

/** Opens the C library, once per thread. It is never closed. */
export function libc(): Libc {
  if (opened) return opened;
  let refusal: unknown;
  for (const name of NAMES) {
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
export function errno(): number {
  const pointer = libc().__errno_location();
  return pointer === null ? 0 : new Deno.UnsafePointerView(pointer).getInt32();
}

/** A path or name as C wants it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

// Opened at once where nothing has to be asked: opened in the middle of a user's
// test, it would look like something that test had forgotten to close.
if (
  Deno.build.os === "linux" &&
  Deno.permissions.querySync({ name: "ffi" }).state === "granted"
) libc();

/**
 * A mapping of a named section of Windows. It goes with the last process that has
 * it, so there is nothing to clean up. Its pages have to be committed before they
 * are touched, and cannot be given back one by one.
 *
 * Runs in the parent and in the child, on Windows.
 *
 * @module
 */
import { freshName, nameOf } from "./_mapping.ts";
import type { Mapping } from "./_mapping.ts";
import { kernel, wideString } from "./_windows.ts";

/** `INVALID_HANDLE_VALUE`: backed by the page file. */
const PAGE_FILE = -1n;
/** `PAGE_READWRITE` and `SEC_RESERVE`: addresses first, pages later. */
const PAGE_READ_WRITE = 0x04;
const RESERVED = 0x0400_0000;
/** `FILE_MAP_WRITE` and `FILE_MAP_READ`. */
const READ_WRITE = 0x0006;
/** `MEM_COMMIT`. */
const COMMIT = 0x1000;
const ERROR_ALREADY_EXISTS = 183;
/** Commit in steps, so that the call is rare. */
const COMMIT_STEP = 1024 * 1024;
/**
 * The system keeps eight bytes for each page of a section from the start: 32 MiB
 * for this much.
 */
const LARGEST_BYTES = 2 ** 34;

/** See the module. */
export class SectionMapping implements Mapping {
  readonly discards = false;
  #committed = 0;

  private constructor(
    readonly file: number,
    readonly pointer: Deno.PointerObject,
    readonly byteLength: number,
  ) {}

  /**
   * Makes one.
   *
   * @param sizes How large it may be; the first that the system allows is taken.
   */
  static create(sizes: readonly number[]): SectionMapping {
    const { CreateFileMappingW, CloseHandle, GetLastError } = kernel();
    let refusal = new RangeError("Cannot reserve memory");
    for (const byteLength of sizes) {
      if (byteLength > LARGEST_BYTES) continue;
      const file = freshName(0);
      const section = CreateFileMappingW(
        PAGE_FILE,
        0n,
        PAGE_READ_WRITE | RESERVED,
        Math.floor(byteLength / 2 ** 32),
        byteLength % 2 ** 32,
        wideString(sectionName(file)),
      );
      const error = GetLastError();
      if (section !== 0n && error !== ERROR_ALREADY_EXISTS) {
        // The handle stays open: the name lives as long as some handle does.
        return new SectionMapping(file, view(section, byteLength), byteLength);
      }
      if (section !== 0n) CloseHandle(section);
      refusal = new RangeError(`Cannot reserve memory: error ${error}`);
    }
    throw refusal;
  }

  /** Opens the one that another process has. */
  static open(file: number, byteLength: number): SectionMapping {
    const { OpenFileMappingW, GetLastError } = kernel();
    const section = OpenFileMappingW(
      READ_WRITE,
      0,
      wideString(sectionName(file)),
    );
    if (section === 0n) {
      throw new Deno.errors.NotFound(
        `Cannot attach to shared memory as the program that made it has ended: error ${GetLastError()}`,
      );
    }
    return new SectionMapping(file, view(section, byteLength), byteLength);
  }

  /** The one that another thread of this process has opened. */
  static at(file: number, address: number, byteLength: number): SectionMapping {
    const pointer = Deno.UnsafePointer.create(BigInt(address))!;
    return new SectionMapping(file, pointer, byteLength);
  }

  commit(end: number): void {
    if (end <= this.#committed) return;
    const wanted = Math.min(
      Math.ceil(end / COMMIT_STEP) * COMMIT_STEP,
      this.byteLength,
    );
    // Committing what another process has committed already changes nothing.
    const address = Deno.UnsafePointer.value(this.pointer);
    const { VirtualAlloc } = kernel();
    if (
      VirtualAlloc(address, BigInt(wanted), COMMIT, PAGE_READ_WRITE) === 0n
    ) {
      throw new RangeError(
        "Cannot take more shared memory as the system has no more to give",
      );
    }
    this.#committed = wanted;
  }

  discard(): boolean {
    return false;
  }
}

function sectionName(file: number): string {
  return `Local\\${nameOf(file)}`;
}

function view(section: bigint, byteLength: number): Deno.PointerObject {
  const { MapViewOfFile, GetLastError } = kernel();
  const pointer = MapViewOfFile(
    section,
    READ_WRITE,
    0,
    0,
    BigInt(byteLength),
  );
  if (pointer === null) {
    throw new RangeError(
      `Cannot map ${byteLength} bytes of shared memory: error ${GetLastError()}`,
    );
  }
  return pointer;
}

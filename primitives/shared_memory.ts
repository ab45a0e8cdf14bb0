/**
 * Shared bytes that are found by their name.
 *
 * **Guarantees.** A name appears when the memory is whole, and reads as zero.
 * Only what creates a segment can be the reason that it goes away: closing it, or
 * dying with it open, takes nothing from others. Memory that some view can still
 * reach is neither unmapped nor used again.
 *
 * There are no shared words here: see `_named_files.ts` (processes on Linux) and
 * `_named_blocks.ts` (threads, and processes elsewhere) for where names are kept
 * and who owns them.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { checkOptionsObject, isPortable } from "../memory/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { bindTo, kindOf, travelsAs } from "./block.ts";
import { showAsText } from "./inspect.ts";
import { NamedBlocks } from "./_named_blocks.ts";
import { NamedFiles } from "./_named_files.ts";
import { checkTarget, LONGEST_NAME } from "./_named_memory.ts";
import type { NamedMemory, Segment } from "./_named_memory.ts";
import { show } from "./_texts.ts";
import type { Piece } from "./_views.ts";

/** What a {@linkcode SharedMemory} is to be. */
export interface SharedMemoryOptions {
  /**
   * Its name: any text without slashes.
   *
   * @default {undefined} a new one, when creating
   */
  name?: string | undefined;
  /**
   * Whether to create it, rather than to attach to what somebody has created.
   *
   * @default {false}
   */
  create?: boolean;
  /**
   * How many bytes to create; without meaning when attaching.
   *
   * @default {0}
   */
  size?: number;
}

/** Bytes of the random part of a name, as in CPython. */
const NONCE_BYTES = 4;
/** Random names that are taken are bad luck, but not this often. */
const MAX_ATTEMPTS = 100;

/** Where new names come from; tests put others there. */
export const names: { next(): string } = {
  next(): string {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    return `psm_${nonce.toHex()}`;
  },
};

const files = new NamedFiles();
const blocks: Readonly<Record<MemoryKind, NamedMemory>> = {
  spawn: new NamedBlocks("spawn"),
  worker: new NamedBlocks("worker"),
};

/** Where the names of a context are. */
function namesOf(kind: MemoryKind): NamedMemory {
  return kind === "spawn" && !isPortable() ? files : blocks[kind];
}

/**
 * Takes the name of shared memory away without attaching to it: what a thread has
 * attached to stays in use if the thread ends before it is collected.
 *
 * @param kind The start method it was made for.
 * @param name Its name.
 * @throws {Deno.errors.NotFound} If there is none of that name.
 */
export function unlinkNamed(kind: MemoryKind, name: string): void {
  namesOf(kind).unlink(name);
}

/** Those that were not closed. */
const forgotten = new FinalizationRegistry<Segment>((segment) => {
  segment.release();
});

let pieceIn: (memory: SharedMemory) => Piece | undefined;

/**
 * Shared bytes with a name.
 *
 * - **Names:** under `spawn` they are those of the system, `/dev/shm`: any program
 *   can attach, Python's `SharedMemory` too. Under `worker` they are those of this
 *   process.
 * - **Ownership:** it stays until {@linkcode SharedMemory.unlink}, or until the
 *   program that created it ends (its first process: a child may create one for
 *   others and end before them). If that one is killed, the next program that
 *   creates or attaches one clears up after it.
 * - **Views:** those made of `buf` stay good after {@linkcode SharedMemory.close},
 *   and keep the memory as long as they can be reached; those of a thread end with
 *   it. Await what the system
 *   reads from or writes to them before closing, and do not transfer their buffer.
 * - **Sending:** what is sent is the name; it is attached to on arrival.
 * - **Differs from Python:** to attach is not to own. A CPython before 3.13 that
 *   attaches destroys the segment when it ends, as it does to its own.
 *
 * @example Two that know the name
 * ```ts
 * import { SharedMemory } from "@deno-mp/multiprocessing";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = new SharedMemory({ create: true, size: 16 });
 * using other = new SharedMemory({ name: memory.name });
 * memory.buf![0] = 42;
 * assertEquals(other.buf![0], 42);
 * memory.unlink();
 * ```
 */
export class SharedMemory {
  /** Its name; it stays after {@linkcode SharedMemory.close}. */
  readonly name: string;
  /** How many bytes there are. */
  readonly size: number;
  readonly #kind: MemoryKind;
  #segment: Segment | undefined;

  static {
    showAsText(this);
    pieceIn = (memory) => memory.#segment?.piece;
    travelsAs(this, (memory: SharedMemory, target) => {
      checkTarget(memory.#kind, "SharedMemory", target);
      return { tag: "SharedMemory", data: [memory.#kind, memory.name] };
    });
  }

  /**
   * Creates shared memory, or attaches to it.
   *
   * @param options Its name, and whether and how large to create it.
   * @throws {TypeError} If the name is none, or missing when attaching.
   * @throws {RangeError} If the size is not positive, there is not that much
   * memory, or a name to create has more than 190 bytes.
   * @throws {Deno.errors.AlreadyExists} If the name to create is taken.
   * @throws {Deno.errors.NotFound} If there is nothing of the name to attach to.
   */
  constructor(options: SharedMemoryOptions = {}) {
    checkOptionsObject(options, "open shared memory", '{ name: "name" }');
    const { name, create = false, size = 0 } = options;
    if (name !== undefined) checkName(name);
    if (create) checkLength(name);
    if (create) checkSize(size);
    this.#kind = kindOf(new.target);
    const memory = namesOf(this.#kind);
    const made = create
      ? createIn(memory, name, size)
      : { name: nameToAttach(name), segment: memory.attach(name!) };
    this.name = made.name;
    this.#segment = made.segment;
    this.size = made.segment.bytes.byteLength;
    forgotten.register(this, made.segment, this);
  }

  /**
   * The bytes themselves, `null` after {@linkcode SharedMemory.close}.
   *
   * @example Numbers in there
   * ```ts
   * import { SharedMemory } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * using memory = new SharedMemory({ create: true, size: 32 });
   * const { buffer, byteOffset } = memory.buf!;
   * const numbers = new Float64Array(buffer, byteOffset, 4);
   * numbers[3] = 0.5;
   * assertEquals(memory.buf!.at(-1), 63);
   * memory.unlink();
   * ```
   */
  get buf(): Uint8Array | null {
    return this.#segment?.bytes ?? null;
  }

  /**
   * Ends the use of it here, and nowhere else. Does nothing the second time.
   *
   * @example Before the last view goes
   * ```ts
   * import { SharedMemory } from "@deno-mp/multiprocessing";
   * import { assertEquals } from "@std/assert";
   *
   * const memory = new SharedMemory({ create: true, size: 1 });
   * memory.close();
   * memory.close();
   * assertEquals(memory.buf, null);
   * memory.unlink();
   * ```
   */
  close(): void {
    const segment = this.#segment;
    if (!segment) return;
    this.#segment = undefined;
    forgotten.unregister(this);
    segment.release();
  }

  /**
   * Takes the name away, for everybody: nobody can attach any more. The memory
   * goes when nobody uses it any more.
   *
   * @example Once
   * ```ts
   * import { SharedMemory } from "@deno-mp/multiprocessing";
   * import { assertThrows } from "@std/assert";
   *
   * using memory = new SharedMemory({ create: true, size: 1 });
   * memory.unlink();
   * assertThrows(() => memory.unlink(), Deno.errors.NotFound);
   * ```
   *
   * @throws {Deno.errors.NotFound} If somebody has done so before.
   */
  unlink(): void {
    namesOf(this.#kind).unlink(this.name);
  }

  /** The same as {@linkcode SharedMemory.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Its name and size. */
  toString(): string {
    return `SharedMemory('${this.name}', size=${this.size})`;
  }
}

function createIn(
  memory: NamedMemory,
  name: string | undefined,
  size: number,
): { name: string; segment: Segment } {
  if (name !== undefined) return { name, segment: memory.create(name, size) };
  for (let attempt = 1;; attempt++) {
    const random = names.next();
    try {
      return { name: random, segment: memory.create(random, size) };
    } catch (error) {
      const isTaken = error instanceof Deno.errors.AlreadyExists;
      if (!isTaken || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

function nameToAttach(name: string | undefined): string {
  if (name !== undefined) return name;
  throw new TypeError(
    "Cannot attach to shared memory: 'name' can only be None if create=True",
  );
}

function checkName(name: unknown): void {
  if (
    typeof name === "string" && name.isWellFormed() &&
    !/^\.{0,2}$|[/\0]/.test(name)
  ) return;
  throw new TypeError(
    `Cannot name shared memory ${
      show(name)
    } as a name must be a text without slashes`,
  );
}

function checkLength(name: string | undefined): void {
  if (name === undefined) return;
  const { length } = new TextEncoder().encode(name);
  if (length <= LONGEST_NAME) return;
  throw new RangeError(
    `Cannot create shared memory as its name must have at most ${LONGEST_NAME} bytes: it is "${name}"`,
  );
}

function checkSize(size: unknown): void {
  if (typeof size !== "number") {
    throw new TypeError(
      `Cannot create shared memory as 'size' must be a number: it is ${
        show(size)
      }`,
    );
  }
  if (size === 0) {
    throw new RangeError(
      "Cannot create shared memory: 'size' must be a positive number different from zero",
    );
  }
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(
      `Cannot create shared memory of ${size} bytes: 'size' must be a positive integer`,
    );
  }
}

/** Where the bytes lie, for use while they are held; nothing once closed. */
export function pieceOf(memory: SharedMemory): Piece | undefined {
  return pieceIn(memory);
}

/** The class, for each context. */
export const boundMemory: Readonly<Record<MemoryKind, typeof SharedMemory>> = {
  spawn: bindTo(SharedMemory, "spawn"),
  worker: bindTo(SharedMemory, "worker"),
};

registerTag("SharedMemory", (data) => {
  const [kind, name] = data as [MemoryKind, string];
  return new boundMemory[kind]({ name });
});

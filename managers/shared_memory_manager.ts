/**
 * {@linkcode SharedMemoryManager}: shared memory that goes away with its manager.
 *
 * The memory is made here, and its name told to the server. The manager that started
 * the server keeps it as well, and takes away what it has made itself, whatever has
 * become of the server; and the server what others have made, who may end long before.
 *
 * Runs in the client.
 *
 * @module
 */
import { atExit } from "../contexts/exit.ts";
import { ProcessError } from "../errors.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { bindTo, kindOf } from "../primitives/block.ts";
import { ShareableList, SharedMemory } from "../primitives/mod.ts";
import type { ShareableItem } from "../primitives/mod.ts";
import { BaseManager } from "./base_manager.ts";
import type { ManagerOptions } from "./base_manager.ts";
import { unlink } from "./_places.ts";

/**
 * A manager of shared memory: what is made through it is unlinked when it is shut
 * down, by whoever it was made; what another program has made ends with that, too.
 *
 * @example Not started
 * ```ts
 * import { ProcessError, SharedMemoryManager } from "@deno-mp/multiprocessing";
 * import { assertRejects } from "@std/assert";
 *
 * const manager = new SharedMemoryManager();
 * await assertRejects(() => manager.SharedMemory(16), ProcessError);
 * ```
 */
export class SharedMemoryManager extends BaseManager {
  readonly #names = new Set<string>();
  readonly #kind: MemoryKind;
  #forgetExit: (() => void) | undefined;

  /**
   * Prepares a manager.
   *
   * @param options Where it is, and who may use it.
   */
  constructor(options: ManagerOptions = {}) {
    super(options);
    this.#kind = kindOf(new.target);
  }

  /**
   * Makes shared memory.
   *
   * @param size How many bytes.
   * @throws {ProcessError} If the server is not there.
   * @throws {RangeError} If the size is not positive.
   */
  async SharedMemory(size: number): Promise<SharedMemory> {
    await this.#check();
    const Bound = bindTo(SharedMemory, this.#kind);
    const memory = new Bound({ create: true, size });
    await this.#track(memory.name, () => memory.close());
    return memory;
  }

  /**
   * Makes a list in shared memory.
   *
   * @param items What is in it.
   * @throws {ProcessError} If the server is not there.
   */
  async ShareableList<const T extends readonly ShareableItem[]>(
    items: T,
  ): Promise<ShareableList> {
    await this.#check();
    const Bound = bindTo(ShareableList, this.#kind);
    const list = new Bound(items) as ShareableList;
    await this.#track(list.shm.name, () => list.shm.close());
    return list;
  }

  /** Takes away what was made here. */
  protected override beforeEnd(): void {
    this.#forgetExit?.();
    for (const name of this.#names) unlink(name, this.#kind);
    this.#names.clear();
  }

  /** Nothing is made that nobody would take away. */
  async #check(): Promise<void> {
    try {
      await this.ask("dummy");
    } catch (cause) {
      throw new ProcessError(
        "Cannot make shared memory as the manager's server is not there: address type of None unrecognized",
        { cause },
      );
    }
  }

  async #track(name: string, close: () => void): Promise<void> {
    if (this.process) {
      this.#names.add(name);
      this.#forgetExit ??= atExit(() => this.beforeEnd(), 0);
    }
    try {
      await this.ask("track", name, this.#kind);
    } catch (error) {
      close();
      unlink(name, this.#kind);
      this.#names.delete(name);
      throw error;
    }
  }
}

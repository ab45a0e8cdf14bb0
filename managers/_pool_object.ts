/**
 * A pool that lives in the server; its workers are children of that.
 *
 * Runs in the server.
 *
 * @module
 */
import { Pool } from "../pool/mod.ts";
import type { AsyncResult } from "../pool/mod.ts";
import type { MemoryKind } from "../memory/mod.ts";
import { bindTo } from "../primitives/block.ts";
import { ManagedObject } from "./_managed.ts";
import type { Call, Patience } from "./_managed.ts";

/** A function that runs in a worker. */
// deno-lint-ignore no-explicit-any -- the pool checks what it is
type Task = (...args: any[]) => unknown;
/** What is said of how to run it. */
type Options = Readonly<Record<string, unknown>>;

/** A pool. */
export class ManagedPool extends ManagedObject {
  readonly #pool: Pool;

  /**
   * Starts one.
   *
   * @param kind The start method of its workers.
   * @param options What the pool is made with.
   */
  constructor(
    kind: MemoryKind,
    options: ConstructorParameters<typeof Pool>[0],
  ) {
    super();
    this.#pool = new (bindTo(Pool, kind))(options);
  }

  apply({ signal }: Call, fn: Task, args: unknown[], o: Options): unknown {
    return this.#pool.apply(fn, args, { ...o, signal });
  }

  map({ signal }: Call, fn: Task, items: unknown[], o: Options): unknown {
    return this.#pool.map(fn, items, { ...o, signal });
  }

  starmap({ signal }: Call, fn: Task, items: unknown[][], o: Options): unknown {
    return this.#pool.starmap(fn, items, { ...o, signal });
  }

  applyAsync(_: Call, fn: Task, args: unknown[], o: Options): unknown {
    return new ManagedResult(this.#pool.applyAsync(fn, args, o));
  }

  mapAsync(_: Call, fn: Task, items: unknown[], o: Options): unknown {
    return new ManagedResult(this.#pool.mapAsync(fn, items, o));
  }

  starmapAsync(_: Call, fn: Task, items: unknown[][], o: Options): unknown {
    return new ManagedResult(this.#pool.starmapAsync(fn, items, o));
  }

  imap(_: Call, fn: Task, items: unknown[], o: Options): unknown {
    return this.#pool.imap(fn, items, o);
  }

  imapUnordered(_: Call, fn: Task, items: unknown[], o: Options): unknown {
    return this.#pool.imapUnordered(fn, items, o);
  }

  close(): void {
    this.#pool.close();
  }

  join(): Promise<void> {
    return this.#pool.join();
  }

  terminate(): Promise<void> {
    return this.#pool.terminate();
  }

  override toText(): string {
    return String(this.#pool);
  }

  override drop(): void {
    this.#pool.terminate().catch(() => {}); // nobody is left to be told
  }
}

/** A result that is not there yet. */
class ManagedResult<T> extends ManagedObject {
  readonly #result: AsyncResult<T>;

  constructor(result: AsyncResult<T>) {
    super();
    this.#result = result;
    // Whoever asks for it is told; if nobody does, nobody wants to know.
    result.then(() => {}, () => {});
  }

  get({ signal }: Call, { timeout }: Patience): Promise<unknown> {
    return this.#result.get({ timeout, signal });
  }

  wait({ signal }: Call, { timeout }: Patience): Promise<unknown> {
    return this.#result.wait({ timeout, signal });
  }

  ready(): boolean {
    return this.#result.ready();
  }

  successful(): boolean {
    return this.#result.successful();
  }

  override toText(): string {
    return "<AsyncResult>";
  }
}

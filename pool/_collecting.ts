/**
 * A `map` over items that come one after the other: all have to be there before
 * the first is submitted. Until then it is one of the pool's open jobs, so that a
 * pool that is closed waits for it, and one that is terminated or broken ends it
 * and its source.
 *
 * Runs in the parent.
 *
 * @module
 */
import type { OpenJob } from "./_open_jobs.ts";
import type { ResolvedOptions } from "./options.ts";
import { called, complainOfSource } from "./_reporter.ts";
import type { Scheduler } from "./_scheduler.ts";

/** What is to be known of the caller's options. */
type Options = Pick<ResolvedOptions<never>, "signal" | "errorCallback">;

/** See the module. */
export class Collecting implements OpenJob {
  readonly #scheduler: Scheduler;
  /** Not to be collected, and so terminated, before it has been given the items. */
  readonly #pool: object;
  readonly #options: Options;
  readonly #source: AsyncIterator<unknown>;
  readonly #items: unknown[] = [];
  readonly #all: PromiseWithResolvers<unknown[]> = Promise.withResolvers();
  #isOver = false;

  /**
   * Begins to take items.
   *
   * @param pool For whom.
   * @param scheduler Who will be given them.
   * @param items The source.
   * @param options The caller's options.
   */
  constructor(
    pool: object,
    scheduler: Scheduler,
    items: AsyncIterable<unknown>,
    options: Options,
  ) {
    this.#pool = pool;
    this.#scheduler = scheduler;
    this.#options = options;
    this.#source = items[Symbol.asyncIterator]();
    options.signal?.addEventListener("abort", this.#onAbort);
    scheduler.openJobs.hold(this);
    this.#pull();
  }

  /**
   * All items, when the source has ended. To be followed by
   * {@linkcode Collecting.end}, whatever comes of it.
   *
   * @throws What the source throws.
   * @throws The reason of the signal, if it is aborted before.
   * @throws What has become of the pool, if it is terminated or broken before.
   */
  get all(): Promise<unknown[]> {
    return this.#all.promise;
  }

  /** Says that the items have been submitted, or will not be. */
  end(): void {
    this.#scheduler.openJobs.delete(this);
  }

  /** Nothing can be done to have the items sooner. */
  hurry(): void {}

  /** Gives up, and closes the source. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#stop();
    called("errorCallback", this.#options.errorCallback, error);
    this.#all.reject(error);
    this.#closeSource().catch(complainOfSource);
  }

  readonly #onAbort = (): void => this.fail(this.#options.signal!.reason);

  async #pull(): Promise<void> {
    try {
      let step = await this.#source.next();
      while (!this.#isOver && !step.done) {
        this.#items.push(step.value);
        step = await this.#source.next();
      }
      this.#stop();
      this.#all.resolve(this.#items); // nothing, if it has been given up
    } catch (error) {
      this.#stop();
      this.#all.reject(error);
    }
  }

  #stop(): void {
    this.#isOver = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  /** It may owe an item, and closes after that, which may be never. */
  async #closeSource(): Promise<void> {
    await this.#source.return?.();
  }
}

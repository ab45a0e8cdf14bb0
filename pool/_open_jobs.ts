/**
 * Jobs that have not submitted all of their work yet: iterators, which take from
 * their source as their results are taken, and maps whose items are still coming.
 * A pool that was closed has to let them finish; one that is terminated has to end
 * them.
 *
 * Iterators are held weakly: one that nobody will ask again must not keep a closed
 * pool from ending. A map goes on whoever asks, and has to be found to be ended.
 *
 * Runs in the parent.
 *
 * @module
 */

/** A job that may submit more. */
export interface OpenJob {
  /** Submit the rest as fast as it can be done: somebody waits for the end. */
  hurry(): void;
  /** Nothing more will be done, and why. */
  fail(error: Error): void;
}

/** See the module. */
export class OpenJobs {
  readonly #jobs = new Set<WeakRef<OpenJob>>();
  /** Those of them that are not to be collected. */
  readonly #held = new Set<OpenJob>();
  readonly #references = new WeakMap<OpenJob, WeakRef<OpenJob>>();
  readonly #dropped: FinalizationRegistry<WeakRef<OpenJob>>;
  readonly #onFewer: () => void;
  #isHurried = false;

  /**
   * Makes an empty list.
   *
   * @param onFewer Told when one has gone.
   */
  constructor(onFewer: () => void) {
    this.#onFewer = onFewer;
    this.#dropped = new FinalizationRegistry((reference) => {
      this.#jobs.delete(reference);
      onFewer();
    });
  }

  /** How many there are. */
  get size(): number {
    return this.#jobs.size;
  }

  /** Adds one that goes on by itself. */
  hold(job: OpenJob): void {
    this.#held.add(job);
    this.add(job);
  }

  /** Adds one. */
  add(job: OpenJob): void {
    const reference = new WeakRef(job);
    this.#references.set(job, reference);
    this.#jobs.add(reference);
    this.#dropped.register(job, reference, reference);
    if (this.#isHurried) job.hurry();
  }

  /** Takes one out: it has submitted all it will. */
  delete(job: OpenJob): void {
    const reference = this.#references.get(job);
    this.#held.delete(job);
    if (!reference || !this.#jobs.delete(reference)) return;
    this.#dropped.unregister(reference);
    this.#onFewer();
  }

  /** Has all of them submit the rest. */
  hurry(): void {
    this.#isHurried = true;
    for (const reference of [...this.#jobs]) reference.deref()?.hurry();
  }

  /** Ends all of them. */
  fail(error: Error): void {
    for (const reference of [...this.#jobs]) reference.deref()?.fail(error);
  }
}

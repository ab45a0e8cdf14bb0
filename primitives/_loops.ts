/**
 * The loops of one participant over one queue. It may have the queue several
 * times, as an argument and out of a message say, and loop over each copy; but in
 * the table of those who have it, it has one entry, and that says whether all of
 * its loops wait. So they are counted together here.
 *
 * Who writes: this participant only, through whichever copy. The entry's mark is
 * raised and lowered with the counts, in one go, as long as one copy is not closed:
 * a closed one puts nothing, so without any other the mark says nothing.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import type { Holder } from "./_holders.ts";

/** See the module. */
export class Loops {
  readonly #mark: number;
  /** Copies that are not closed. */
  #copies = 0;
  #entry: Holder | undefined;
  /** Loops over these that run, and how many of them wait. */
  #running = 0;
  #waiting = 0;
  /** Loops over closed copies, which hand out what is left. */
  #last = 0;

  /**
   * Starts with none.
   *
   * @param mark The bit of the entry that says that all loops wait.
   */
  constructor(mark: number) {
    this.#mark = mark;
  }

  /** Whether any loop runs. */
  get isAny(): boolean {
    return this.#running + this.#last > 0;
  }

  /** Counts one more copy, whose entry this is. */
  open(entry: Holder): void {
    this.#copies++;
    this.#entry = entry;
  }

  /**
   * Counts one copy less; after the last, the entry may be somebody else's.
   *
   * @param running How many loops over it run.
   * @param waiting How many of them wait.
   */
  close(running: number, waiting: number): void {
    this.#last += running;
    if (--this.#copies === 0) this.#entry = undefined;
    this.count(-running, -waiting);
  }

  /**
   * Counts loops over copies that are not closed.
   *
   * @param running How many more run.
   * @param waiting How many more of them wait.
   */
  count(running: number, waiting: number): void {
    this.#running += running;
    this.#waiting += waiting;
    const doAllWait = this.#running > 0 && this.#waiting === this.#running;
    if (doAllWait) this.#entry?.raise(this.#mark);
    else this.#entry?.lower(this.#mark);
  }

  /** One loop over a closed copy is over. */
  endLast(): void {
    this.#last--;
  }
}

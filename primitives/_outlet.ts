/**
 * The end of a ring where parcels go in, as one object of one participant uses
 * it: in the order of the calls, waiting for room where there is none.
 *
 * **Guarantees.** What a participant puts through one outlet lies in the ring in
 * the order of its calls. A parcel is put whole or, if the wait is aborted, timed
 * out or refused, not at all, and its handles are taken back then.
 *
 * **No wake-up is lost.** A take wakes one putter, and each put that leaves room
 * the next (see `ring.ts`). A putter whose parcel is still too large uses its
 * wake-up up without success; smaller ones wait behind it, so that it gets its
 * turn. If it gives up, it makes them all look.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import {
  checkedTimeout,
  checkSignal,
  NOT_YET,
  TIMED_OUT,
} from "../memory/mod.ts";
import type { Arena, Attempt, Ring, WaitOptions } from "../memory/mod.ts";
import type { Parcel } from "./_parcel.ts";
import { Turns } from "./_turns.ts";

/** See the module. */
export class Outlet {
  readonly #arena: Arena;
  readonly #ring: Ring;
  readonly #turns: Turns;
  readonly #check: () => void;

  /**
   * Opens the end.
   *
   * @param arena Where the ring lies.
   * @param ring The ring.
   * @param check Called before each attempt; throws if nothing may be put.
   */
  constructor(arena: Arena, ring: Ring, check: () => void) {
    this.#arena = arena;
    this.#ring = ring;
    this.#turns = new Turns(arena.waiting, ring.spaceKey);
    this.#check = check;
  }

  /**
   * Puts a parcel if there is room and nobody is waiting.
   *
   * @param parcel What to put; taken back if it is not put.
   * @returns Whether it was put.
   */
  putNow(parcel: Parcel): boolean {
    return this.#guarded(parcel, () => {
      this.#checkLength(parcel);
      return this.#turns.now(this.#attempt(parcel)) !== NOT_YET;
    });
  }

  /**
   * Puts a parcel, waiting for room. The first attempt is made before this
   * function returns.
   *
   * @param parcel What to put; taken back if it is not put.
   * @param options How long to wait.
   * @returns Whether it was put; `false` if the time ran out.
   */
  async put(parcel: Parcel, options: WaitOptions): Promise<boolean> {
    const attempt = this.#attempt(parcel);
    try {
      const timeout = checkedTimeout(options.timeout);
      checkSignal(options.signal);
      this.#checkLength(parcel);
      if (this.#turns.now(attempt) !== NOT_YET) return true;
      if (timeout > 0) {
        parcel.freeze();
        parcel.wait();
        const outcome = await this.#turns.wait(attempt, options);
        if (outcome !== TIMED_OUT) return true;
        this.#giveUp();
      }
      parcel.takeBack();
      return false;
    } catch (error) {
      parcel.takeBack();
      this.#giveUp();
      throw error;
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @param parcel What to put; taken back if it is not put.
   * @param options How long to wait.
   * @returns Whether it was put; `false` if the time ran out.
   */
  putSync(parcel: Parcel, options: WaitOptions): boolean {
    const attempt = this.#attempt(parcel);
    return this.#guarded(parcel, () => {
      checkedTimeout(options.timeout);
      checkSignal(options.signal);
      this.#checkLength(parcel);
      if (this.#turns.now(attempt) !== NOT_YET) return true;
      parcel.wait();
      if (this.#turns.waitSync(attempt, options) !== TIMED_OUT) return true;
      this.#giveUp();
      return false;
    });
  }

  #attempt(parcel: Parcel): Attempt<true> {
    return () => {
      this.#check();
      const didWait = parcel.go();
      if (this.#ring.tryPut(parcel.message)) return true;
      if (didWait) parcel.wait();
      return NOT_YET;
    };
  }

  /** What can never be put does not wait in line to be told so. */
  #checkLength(parcel: Parcel): void {
    this.#ring.checkLength(parcel.message.byteLength);
  }

  /** Takes a parcel back if it is not put. */
  #guarded(parcel: Parcel, put: () => boolean): boolean {
    let isPut = false;
    try {
      return isPut = put();
    } finally {
      if (!isPut) parcel.takeBack();
    }
  }

  #giveUp(): void {
    this.#arena.waiting.wake(this.#ring.spaceKey);
  }
}

/**
 * Proxies under way: each is held by a ticket, from when it was sent until it has
 * arrived.
 *
 * The sender's hold and the receiver's arrival come through different connections,
 * so either may be first; a ticket is used up by both. What never arrives is dropped
 * by the sender, who can see the receiver's end; if the sender has ended too, after
 * a time.
 *
 * Runs in the server.
 *
 * @module
 */
import { LONGEST_TIMER_MS } from "../memory/mod.ts";
import type { Objects, Referent } from "./_objects.ts";

/** Whoever has sent a proxy on. */
export interface Sender {
  /** It has arrived. */
  tellAdopted(ticket: string): void;
}

interface Hold {
  readonly referent: Referent;
  sender: Sender | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Arrivals remembered whose holds have not come. */
const EARLY_MAX = 10_000;

/** See the module. */
export class Holds {
  readonly #objects: Objects;
  readonly #timeoutMs: number;
  readonly #holds = new Map<string, Hold>();
  readonly #early = new Set<string>();

  /**
   * Starts with none.
   *
   * @param objects The objects.
   * @param timeoutMs How long one stays whose sender has ended.
   */
  constructor(objects: Objects, timeoutMs: number) {
    this.#objects = objects;
    this.#timeoutMs = timeoutMs;
  }

  /** A proxy is under way. */
  hold(ticket: string, referent: Referent | undefined, sender?: Sender): void {
    if (this.#early.delete(ticket)) {
      sender?.tellAdopted(ticket);
      return;
    }
    if (!referent || this.#holds.has(ticket)) return;
    this.#objects.lease(referent);
    const hold: Hold = { referent, sender, timer: undefined };
    this.#holds.set(ticket, hold);
    if (!sender) this.#limit(ticket, hold);
  }

  /** It has arrived: whoever got it has a lease of its own. */
  adopted(ticket: string): void {
    const sender = this.#holds.get(ticket)?.sender;
    if (this.drop(ticket)) {
      sender?.tellAdopted(ticket);
      return;
    }
    if (this.#early.size >= EARLY_MAX) {
      for (const oldest of this.#early) {
        this.#early.delete(oldest);
        break;
      }
    }
    this.#early.add(ticket);
  }

  /** It will not arrive. Says whether there was one. */
  drop(ticket: string): boolean {
    const hold = this.#holds.get(ticket);
    if (!hold) return false;
    this.#holds.delete(ticket);
    clearTimeout(hold.timer);
    this.#objects.release(hold.referent);
    return true;
  }

  /** A sender has ended: nobody will tell that something does not arrive. */
  senderGone(sender: Sender): void {
    for (const [ticket, hold] of this.#holds) {
      if (hold.sender !== sender) continue;
      hold.sender = undefined;
      this.#limit(ticket, hold);
    }
  }

  /** Forgets all. */
  close(): void {
    for (const { timer } of this.#holds.values()) clearTimeout(timer);
    this.#holds.clear();
  }

  #limit(ticket: string, hold: Hold): void {
    const ms = Math.min(this.#timeoutMs, LONGEST_TIMER_MS);
    hold.timer = setTimeout(() => this.drop(ticket), ms);
    Deno.unrefTimer(hold.timer as unknown as number);
  }
}

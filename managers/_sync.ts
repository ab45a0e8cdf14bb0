/**
 * Locks and the like that live in the server.
 *
 * **Who holds.** A client: a process or thread, whatever task of it calls. One that
 * ends in good order leaves what it holds held, for somebody else to release; one
 * that crashes abandons it, and the next to acquire it is told. What only its owner
 * may release (RLock) is abandoned in both cases. The news that something was
 * abandoned counts as told when the answer with it has been accepted.
 *
 * **No wake-up is lost:** each change is followed by `Line.look()` before anything
 * else can happen.
 *
 * Runs in the server.
 *
 * @module
 */
import { BrokenBarrierError, ProcessError } from "../errors.ts";
import { checkedTimeout } from "../memory/mod.ts";
import { Line, ManagedObject } from "./_managed.ts";
import type { Call, Caller, Patience } from "./_managed.ts";

/** What a client that has acquired something is told. */
export interface Acquired {
  /** Whether the one before has crashed with it. */
  readonly abandoned: boolean;
}

/** A time in which a lock is held. */
interface Hold {
  client: Caller | undefined;
  depth: number;
  /** Whether the one before has crashed, and nobody has heard of it. */
  hasNews: boolean;
  forget: () => void;
}

/** What a condition needs of its lock. */
export interface Guarding extends ManagedObject {
  acquire(call: Call, patience: Patience): Promise<Acquired | null>;
  release(call: Call): void;
  /** Whether a client may use the condition now. */
  isOwnedBy(client: Caller): boolean;
  /** Lets go however often it is held; says how often. */
  suspend(client: Caller): number;
  /** Takes it again as often, unless the client ends before. */
  resume(client: Caller, depth: number): Promise<void>;
}

/** What locks have in common. */
export abstract class AnyLock extends ManagedObject implements Guarding {
  protected hold: Hold | undefined;
  readonly #line = new Line();
  #isAbandoned = false;

  async acquire(call: Call, patience: Patience): Promise<Acquired | null> {
    const { client } = call;
    const again = this.reenter(client);
    if (again) {
      call.taken(() => this.#undo(again));
      return { abandoned: false };
    }
    const taken = await this.#line.wait(
      call,
      patience,
      () => this.#take(client, 1),
    );
    if (taken === undefined) return null;
    const { hold } = taken;
    call.taken(() => {
      hold.hasNews ||= taken.isAbandoned;
      this.#undo(hold);
    });
    return { abandoned: taken.isAbandoned };
  }

  abstract release(call: Call): void;
  abstract isOwnedBy(client: Caller): boolean;
  /** Holds it once more, if that client may. */
  protected abstract reenter(client: Caller): Hold | undefined;
  /** What becomes of it when its holder ends in good order. */
  protected abstract orphaned(hold: Hold): void;

  locked(): boolean {
    return this.hold !== undefined;
  }

  suspend(_client: Caller): number {
    const { depth } = this.hold!;
    this.free();
    return depth;
  }

  async resume(client: Caller, depth: number): Promise<void> {
    // Whatever becomes of the call: it goes on only with the lock.
    const control = new AbortController();
    const forget = client.onGone(() => control.abort());
    try {
      const taken = await this.#line.wait(
        control,
        {},
        () => this.#take(client, depth),
      );
      // Whoever waits for a condition is not told: the next one is.
      if (taken) taken.hold.hasNews = taken.isAbandoned;
    } catch {
      // The client has ended, and nobody goes on.
    } finally {
      forget();
    }
  }

  /** Goes back by one. */
  protected giveBack(hold: Hold): void {
    if (--hold.depth === 0) this.free();
  }

  /** Nobody holds it any more. */
  protected free(isAbandoned = false): void {
    this.#isAbandoned = isAbandoned || this.hold?.hasNews === true;
    this.hold?.forget();
    this.hold = undefined;
    this.#line.look();
  }

  /** An acquisition has not arrived. */
  #undo(hold: Hold): void {
    // Unless it has been released, or abandoned, since.
    if (this.hold === hold) this.giveBack(hold);
  }

  #take(
    client: Caller,
    depth: number,
  ): { hold: Hold; isAbandoned: boolean } | undefined {
    // One that has ended would never give it back.
    if (this.hold || client.isGone) return undefined;
    const isAbandoned = this.#isAbandoned;
    this.#isAbandoned = false;
    const hold: Hold = { client, depth, hasNews: false, forget: () => {} };
    this.hold = hold;
    hold.forget = client.onGone((hasCrashed) => {
      hold.client = undefined;
      if (hasCrashed) this.free(true);
      else this.orphaned(hold);
    });
    return { hold, isAbandoned };
  }
}

/** A lock that anybody may release. */
export class ManagedLock extends AnyLock {
  release(): void {
    if (!this.hold) {
      throw new ProcessError(
        "Cannot release the lock as nobody has acquired it: release unlocked lock",
      );
    }
    this.free();
  }

  isOwnedBy(): boolean {
    return this.hold !== undefined;
  }

  override toText(): string {
    return `<Lock ${this.hold ? "locked" : "unlocked"}>`;
  }

  protected reenter(): undefined {
    return undefined;
  }

  protected orphaned(): void {}
}

/** A lock that its owner may acquire again, and only its owner may release. */
export class ManagedRLock extends AnyLock {
  release({ client }: Call): void {
    if (this.hold?.client !== client) {
      throw new ProcessError(
        "Cannot release the lock as another client has it, or nobody: cannot release un-acquired lock",
      );
    }
    this.giveBack(this.hold);
  }

  isOwnedBy(client: Caller): boolean {
    return this.hold?.client === client;
  }

  override toText(): string {
    return `<RLock ${
      this.hold ? `locked ${this.hold.depth} times` : "unlocked"
    }>`;
  }

  protected reenter(client: Caller): Hold | undefined {
    if (this.hold?.client !== client) return undefined;
    this.hold.depth++;
    return this.hold;
  }

  protected orphaned(): void {
    this.free(true);
  }
}

/**
 * A number of permits. Each is free, or a client's, or was left behind by one that
 * has ended in good order; and none is two of that: so a release says whose it was,
 * and what is given up at an end is only what nobody has released meanwhile.
 */
export class ManagedSemaphore extends ManagedObject {
  readonly #most: number;
  readonly #line = new Line();
  /** How many each client has, and how not to be told of its end any more. */
  readonly #holders = new Map<Caller, { count: number; forget: () => void }>();
  #value: number;
  /** How many are left behind. */
  #left = 0;
  /** How many of those that are free were abandoned, and nobody has heard of it. */
  #abandoned = 0;

  /** Starts with `value` permits; with no more than that if it is bounded. */
  constructor(value: number, isBounded: boolean) {
    super();
    if (!Number.isInteger(value) || value < 0) {
      throw new RangeError(
        `Cannot create a semaphore as its value must be an integer of at least 0: it is ${
          Deno.inspect(value)
        }`,
      );
    }
    this.#value = value;
    this.#most = isBounded ? value : Infinity;
  }

  async acquire(call: Call, patience: Patience): Promise<Acquired | null> {
    const { client } = call;
    const abandoned = await this.#line.wait(call, patience, () => {
      if (this.#value === 0) return undefined;
      this.#value--;
      this.#note(client);
      if (this.#abandoned === 0) return false;
      this.#abandoned--;
      return true;
    });
    if (abandoned === undefined) return null;
    call.taken(() => {
      // Unless somebody has released it for the client.
      if (!this.#takeFrom(client)) return;
      if (abandoned) this.#abandoned++;
      this.#free(1);
    });
    return { abandoned };
  }

  release({ client }: Pick<Call, "client">): void {
    if (this.#value >= this.#most) {
      throw new ProcessError(
        "Cannot release the semaphore as nobody has acquired it: Semaphore released too many times",
      );
    }
    this.#takeFromAny(client);
    this.#free(1);
  }

  value(): number {
    return this.#value;
  }

  override toText(): string {
    return `<Semaphore value=${this.#value}>`;
  }

  #note(client: Caller): void {
    const holder = this.#holders.get(client);
    if (holder) {
      holder.count++;
      return;
    }
    const forget = client.onGone((hasCrashed) => {
      const { count } = this.#holders.get(client)!;
      this.#holders.delete(client);
      if (!hasCrashed) {
        this.#left += count;
        return;
      }
      this.#abandoned += count;
      this.#free(count);
    });
    this.#holders.set(client, { count: 1, forget });
  }

  /** Takes one from a client that has one; says whether it had. */
  #takeFrom(client: Caller): boolean {
    const holder = this.#holders.get(client);
    if (!holder) return false;
    if (--holder.count === 0) {
      holder.forget();
      this.#holders.delete(client);
    }
    return true;
  }

  /** Takes its own, or one that was left behind, or else anybody's, if there is any. */
  #takeFromAny(client: Caller): void {
    if (this.#takeFrom(client)) return;
    const [other] = this.#holders.keys();
    if (this.#left > 0) this.#left--;
    else if (other) this.#takeFrom(other);
  }

  #free(count: number): void {
    this.#value += count;
    this.#line.look();
  }
}

/** A lock, and those who wait for somebody to say that something has changed. */
export class ManagedCondition extends ManagedObject {
  readonly #lock: Guarding;
  readonly #line = new Line();
  readonly #sleepers = new Set<{ isNotified: boolean }>();

  /** Guards with a lock; a new RLock if none is given. */
  constructor(lock: Guarding = new ManagedRLock()) {
    super();
    this.#lock = lock;
  }

  acquire(call: Call, patience: Patience): Promise<Acquired | null> {
    return this.#lock.acquire(call, patience);
  }

  release(call: Call): void {
    this.#lock.release(call);
  }

  async wait(call: Call, patience: Patience): Promise<boolean> {
    const { client } = call;
    if (!this.#lock.isOwnedBy(client)) {
      throw new ProcessError(
        "Cannot wait for a condition without its lock: cannot wait on un-acquired lock",
      );
    }
    // Whoever is refused has not let go of the lock.
    checkedTimeout(patience.timeout);
    const sleeper = { isNotified: false };
    this.#sleepers.add(sleeper);
    const depth = this.#lock.suspend(client);
    let isAborted = true;
    try {
      await this.#line.wait(
        call,
        patience,
        () => sleeper.isNotified || undefined,
      );
      isAborted = false;
    } finally {
      this.#sleepers.delete(sleeper);
      if (!client.isGone) await this.#lock.resume(client, depth);
      // It was woken for nothing: somebody else gets the news.
      const isInVain = isAborted || client.isGone;
      if (isInVain && sleeper.isNotified) this.#wake(1);
    }
    return sleeper.isNotified;
  }

  notify({ client }: Call, n: number = 1): void {
    this.#checkOwner(client);
    this.#wake(n);
  }

  notifyAll({ client }: Call): void {
    this.#checkOwner(client);
    this.#wake(Infinity);
  }

  override toText(): string {
    return `<Condition(${this.#lock.toText()}, ${this.#sleepers.size})>`;
  }

  #checkOwner(client: Caller): void {
    if (this.#lock.isOwnedBy(client)) return;
    throw new ProcessError(
      "Cannot notify without the lock of the condition: cannot notify on un-acquired lock",
    );
  }

  #wake(n: number): void {
    for (const sleeper of this.#sleepers) {
      if (sleeper.isNotified) continue;
      if (n-- <= 0) break;
      sleeper.isNotified = true;
    }
    this.#line.look();
  }
}

/** A flag to wait for. */
export class ManagedEvent extends ManagedObject {
  readonly #line = new Line();
  #isSet = false;

  isSet(): boolean {
    return this.#isSet;
  }

  set(): void {
    this.#isSet = true;
    this.#line.look();
  }

  clear(): void {
    this.#isSet = false;
  }

  async wait(call: Call, patience: Patience): Promise<boolean> {
    const isSet = () => this.#isSet || undefined;
    return await this.#line.wait(call, patience, isSet) ?? this.#isSet;
  }

  override toText(): string {
    return `<Event ${this.#isSet ? "set" : "unset"}>`;
  }
}

/** One use of a barrier. */
interface Round {
  arrived: number;
  state: "filling" | "acting" | "open" | "broken";
}

/** Where a number of clients wait for each other. */
export class ManagedBarrier extends ManagedObject {
  readonly #parties: number;
  readonly #action: (() => unknown) | undefined;
  readonly #timeout: number | undefined;
  readonly #line = new Line();
  #round: Round = { arrived: 0, state: "filling" };

  /** Starts with nobody there. */
  constructor(
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number,
  ) {
    super();
    if (!Number.isInteger(parties) || parties < 1) {
      throw new RangeError(
        `Cannot create a barrier as 'parties' must be an integer of at least 1: it is ${
          Deno.inspect(parties)
        }`,
      );
    }
    this.#parties = parties;
    this.#action = action ?? undefined;
    checkedTimeout(timeout);
    this.#timeout = timeout;
  }

  async wait(call: Call, { timeout }: Patience): Promise<number> {
    // Before anything else: whoever is refused has not come.
    const ms = checkedTimeout(timeout ?? this.#timeout);
    // One that comes while the action runs waits for the next round.
    const isOver = () => this.#round.state !== "acting" || undefined;
    await this.#line.wait(call, {}, isOver);
    const round = this.#round;
    if (round.state === "broken") throw broken();
    const index = round.arrived++;
    if (round.arrived === this.#parties) {
      await this.#open(round);
      return index;
    }
    const settled = () =>
      round.state === "open" || round.state === "broken" || undefined;
    try {
      const isSettled = await this.#line.wait(call, { timeout: ms }, settled);
      if (!isSettled) this.#break(round);
    } catch (reason) {
      // It was called off, or its client has ended: the others must not wait.
      this.#break(round);
      throw reason;
    }
    if (round.state !== "open") throw broken();
    return index;
  }

  reset(): void {
    const round = this.#round;
    this.#round = { arrived: 0, state: "filling" };
    if (round.arrived > 0) this.#settle(round, "broken");
  }

  abort(): void {
    this.#break(this.#round);
  }

  parties(): number {
    return this.#parties;
  }

  nWaiting(): number {
    return this.#round.state === "filling" ? this.#round.arrived : 0;
  }

  broken(): boolean {
    return this.#round.state === "broken";
  }

  override toText(): string {
    return `<Barrier ${this.#round.state}, ${this.nWaiting()} of ${this.#parties} waiting>`;
  }

  async #open(round: Round): Promise<void> {
    round.state = "acting";
    try {
      const done = this.#action?.();
      if (done instanceof Promise) await done;
    } catch (error) {
      this.#break(round);
      throw error;
    }
    // Somebody may have reset or aborted it meanwhile.
    if (round.state !== "acting") throw broken();
    if (this.#round === round) this.#round = { arrived: 0, state: "filling" };
    this.#settle(round, "open");
  }

  #break(round: Round): void {
    if (round.state === "open") return;
    this.#settle(round, "broken");
  }

  #settle(round: Round, state: "open" | "broken"): void {
    round.state = state;
    this.#line.look();
  }
}

function broken(): BrokenBarrierError {
  return new BrokenBarrierError("Cannot pass the barrier as it is broken");
}

/**
 * The objects of a server, and how long they stay.
 *
 * **Leases.** An object with leases (proxies of clients, and proxies under way) is
 * held by {@linkcode Objects}. One without is held by nothing but the local proxies
 * that are stored in other objects, if there are any: so the garbage collector finds
 * out when it is not needed any more, in circles of objects too.
 *
 * **Numbers** count up and are never used again.
 *
 * Runs in the server.
 *
 * @module
 */
import { ManagedObject } from "./_managed.ts";
import type { Description } from "./_messages.ts";
import { BaseProxy, originOf } from "./proxy.ts";
import type { LinkedOrigin } from "./proxy.ts";

/** An object of the server. */
export class Referent implements Description {
  /** Its number. */
  readonly id: number;
  /** Its type. */
  readonly typeid: string;
  /** The object itself. */
  readonly value: unknown;
  /** What can be called. */
  readonly exposed: readonly string[];
  /** Types of results that stay here. */
  readonly methodToTypeid: Readonly<Record<string, string>>;
  /** The name of the class of its proxies. */
  readonly proxy: string;
  /** How many clients and proxies under way need it. */
  leases = 0;
  /** Whether other objects may have it. */
  isStored = false;

  /** Made by {@linkcode Objects.add}. */
  constructor(
    id: number,
    value: unknown,
    facts: Omit<Description, "id"> & Pick<Referent, "methodToTypeid">,
  ) {
    this.id = id;
    this.value = value;
    this.typeid = facts.typeid;
    this.exposed = facts.exposed;
    this.methodToTypeid = facts.methodToTypeid;
    this.proxy = facts.proxy;
  }

  /** What clients are told of it. */
  describe(): Description {
    const { id, typeid, exposed, proxy } = this;
    return { id, typeid, exposed: [...exposed], proxy };
  }
}

/** The origin of a proxy in the server, which keeps the object. */
export interface LocalOrigin extends LinkedOrigin {
  /** The object. */
  readonly referent: Referent;
}

/** See the module. */
export class Objects {
  readonly #leased = new Map<number, Referent>();
  readonly #stored = new Map<number, WeakRef<Referent>>();
  readonly #collected = new FinalizationRegistry<number>((id) => {
    if (!this.#stored.get(id)?.deref()) this.#stored.delete(id);
  });
  #last = 0;

  /** Adds an object, with one lease. */
  add(
    value: unknown,
    facts: Omit<Description, "id"> & Pick<Referent, "methodToTypeid">,
  ): Referent {
    const referent = new Referent(++this.#last, value, facts);
    this.lease(referent);
    return referent;
  }

  /** The object of a number. */
  find(id: unknown): Referent | undefined {
    const number = id as number;
    return this.#leased.get(number) ?? this.#stored.get(number)?.deref();
  }

  /** Somebody needs an object. */
  lease(referent: Referent): void {
    referent.leases++;
    this.#leased.set(referent.id, referent);
    this.#stored.delete(referent.id);
  }

  /** Somebody does not need it any more. */
  release(referent: Referent): void {
    if (--referent.leases > 0) return;
    const { id, value } = referent;
    this.#leased.delete(id);
    if (referent.isStored) {
      this.#stored.set(id, new WeakRef(referent));
      this.#collected.register(referent, id);
    } else if (value instanceof ManagedObject) {
      value.drop();
    }
  }

  /** How many there are: with leases, or within those that have. */
  get count(): number {
    return this.#reached().size;
  }

  /** One line for each. */
  describe(): string {
    return [...this.#reached()].map(({ id, typeid, leases, value }) =>
      `  ${id}:       leases=${leases}\n    <${typeid}> ${
        value instanceof ManagedObject ? value.toText() : ""
      }`
    ).join("\n");
  }

  /** Ends all. */
  drop(): void {
    for (const { value } of this.#leased.values()) {
      if (value instanceof ManagedObject) value.drop();
    }
    this.#leased.clear();
    this.#stored.clear();
  }

  #reached(): Set<Referent> {
    const reached = new Set(this.#leased.values());
    if (this.#stored.size === 0) return reached;
    const seen = new Set<unknown>();
    // Grows while it is walked.
    for (const { value } of reached) {
      for (const proxy of proxiesIn(value, seen)) {
        const { referent } = originOf(proxy) as Partial<LocalOrigin>;
        if (referent) reached.add(referent);
      }
    }
    return reached;
  }
}

/** The proxies within a value, as far as one can look into it. */
function* proxiesIn(value: unknown, seen: Set<unknown>): Generator<BaseProxy> {
  const queue = [value];
  while (queue.length > 0) {
    const each = queue.pop();
    if (typeof each !== "object" || each === null || seen.has(each)) continue;
    seen.add(each);
    if (each instanceof BaseProxy) yield each;
    // One by one: as arguments of one call, many would not fit onto the stack.
    else for (const inner of partsOf(each)) queue.push(inner);
  }
}

/** What an object holds, as far as one can look into it. */
function* partsOf(object: object): Generator<unknown> {
  if (object instanceof ManagedObject) yield* object.contents();
  else if (object instanceof Map) {
    yield* object.keys();
    yield* object.values();
  } else if (object instanceof Set) yield* object;
  else if (!ArrayBuffer.isView(object)) yield* Object.values(object);
}

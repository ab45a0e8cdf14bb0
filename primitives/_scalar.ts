/**
 * One value in shared memory, and the same with a lock.
 *
 * Data of the plot: the value, from its first byte on · everybody, by atomic
 * steps (`_cells.ts`) · everybody.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */
import { registerTag } from "../codec/mod.ts";
import { travelsAs } from "./block.ts";
import type { Cells } from "./_cells.ts";
import { cellsOf } from "./_codes.ts";
import type { AmountOf, TypeCode, ValueOf } from "./_codes.ts";
import { showAsText } from "./inspect.ts";
import { compose, lockable, partsOf } from "./_lockable.ts";
import type { LockLike } from "./_lockable.ts";
import type { Plot } from "./_plot.ts";
import { textOf } from "./_texts.ts";

/** A value without a lock. */
export class Scalar<C extends TypeCode> {
  /** Its type code. */
  readonly code: C;
  /** Where it lies. */
  readonly plot: Plot;
  readonly #cells: Cells<ValueOf<C>>;

  static {
    showAsText(this);
    travelsAs(
      this,
      ({ plot, code }: Scalar<TypeCode>) => ({
        tag: "RawValue",
        data: [plot, code],
      }),
    );
  }

  /**
   * Opens the value in a plot.
   *
   * @param plot The plot.
   * @param code What it holds.
   */
  constructor(plot: Plot, code: C) {
    this.plot = plot;
    this.code = code;
    this.#cells = cellsOf(code, plot.buffer, plot.byteOffset, 1);
  }

  get value(): ValueOf<C> {
    return this.#cells.load(0);
  }

  set value(value: ValueOf<C>) {
    this.#cells.store(0, this.#cells.check(value));
  }

  add(amount: AmountOf<C>): ValueOf<C> {
    return this.#cells.add(0, amount as ValueOf<C>);
  }

  compareExchange(
    expected: ValueOf<C>,
    replacement: ValueOf<C>,
  ): ValueOf<C> {
    return this.#cells.compareExchange(0, expected, replacement);
  }

  toString(): string {
    return `${this.#cells.typeName}(${textOf(this.value)})`;
  }
}

/** A value with a lock. */
export class LockedScalar<C extends TypeCode> extends Scalar<C> {
  static {
    lockable(this);
    travelsAs(this, (value: object) => {
      const { raw, lock } = partsOf(value);
      return { tag: "Value", data: [raw, lock] };
    });
  }

  /**
   * Gives a value a lock.
   *
   * @param raw The value.
   * @param lock The lock.
   */
  constructor(raw: Scalar<C>, lock: LockLike) {
    super(raw.plot, raw.code);
    compose(this, raw, lock);
  }

  override toString(): string {
    return `<Synchronized wrapper for ${super.toString()}>`;
  }
}

registerTag("RawValue", (data) => {
  const [plot, code] = data as [Plot, TypeCode];
  return new Scalar(plot, code);
});
registerTag("Value", (data) => {
  const [raw, lock] = data as [Scalar<TypeCode>, LockLike];
  return new LockedScalar(raw, lock);
});

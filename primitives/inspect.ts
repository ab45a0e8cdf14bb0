/**
 * How objects describe themselves: `console.log` shows the same as `toString()`.
 *
 * @module
 */

/** Deno asks an object under this name. */
const INSPECT: unique symbol = Symbol.for("Deno.customInspect") as never;

/**
 * Has Deno show objects of a class as their `toString()` describes them.
 *
 * @param cls The class.
 */
export function showAsText(cls: { readonly prototype: object }): void {
  Object.defineProperty(cls.prototype, INSPECT, {
    value: function (this: object): string {
      return this.toString();
    },
    configurable: true,
    writable: true,
  });
}

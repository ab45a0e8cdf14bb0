/**
 * What can be told of an array before it is written.
 *
 * Runs in the parent and in the child.
 *
 * @module
 */

/**
 * Mean length up to which strings are faster as JSON than one by one, which for
 * 25 characters takes twice as long (measured).
 */
const JSON_CHARACTERS = 128;

/** Whether a key is the index of an element. */
export function isIndex(key: string): boolean {
  const index = Number(key);
  return index >>> 0 === index && index < 2 ** 32 - 1 && `${index}` === key;
}

/**
 * Says which form suits an array that is not small: numbers of so many bytes, or
 * strings, or `undefined` for none.
 */
export function packing(
  values: readonly unknown[],
): 1 | 2 | 4 | 8 | "strings" | "sparse" | undefined {
  const count = values.length;
  // The cheapest way to learn of holes and of properties that are not elements,
  // as it makes no names of indices: Object.keys() takes 20 times longer.
  if (Object.values(values).length !== count) return "sparse";
  let numbers = 0;
  let strings = 0;
  let characters = 0;
  let low = 0;
  let high = 0;
  let fractions = false;
  for (let i = 0; i < count; i++) {
    const value = values[i];
    if (typeof value === "number") {
      numbers++;
      if ((value | 0) !== value || (value === 0 && 1 / value < 0)) {
        fractions = true;
      } else if (value < low) low = value;
      else if (value > high) high = value;
    } else if (typeof value === "string") {
      strings++;
      characters += value.length;
    } else if (value === undefined && !Object.hasOwn(values, i)) {
      // As many holes as other properties.
      return "sparse";
    }
  }
  if (numbers === count) {
    if (fractions) return 8;
    if (low >= -0x80 && high < 0x80) return 1;
    return low >= -0x8000 && high < 0x8000 ? 2 : 4;
  }
  const asJson = strings === count && characters < count * JSON_CHARACTERS &&
    !("toJSON" in values);
  return asJson ? "strings" : undefined;
}

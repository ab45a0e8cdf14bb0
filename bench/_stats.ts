/**
 * The few statistics the benchmarks need.
 *
 * @module
 */

/** A value below which a share of the numbers lies. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return sorted[at] ?? NaN;
}

/** The one in the middle. */
export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/**
 * How far apart rounds are: half the distance between the quartiles, as a share
 * of the median. Half of all rounds are within it.
 */
export function noise(numbers: readonly number[]): number {
  const spread = quantile(numbers, 0.75) - quantile(numbers, 0.25);
  return spread / 2 / median(numbers);
}

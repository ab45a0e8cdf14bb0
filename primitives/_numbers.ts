/**
 * Checks of numbers that callers pass in.
 *
 * @module
 */

/**
 * Checks a count.
 *
 * @param action What cannot be done otherwise, such as `create a Semaphore`.
 * @param name Name of the argument.
 * @param value The argument.
 * @param min The lowest it may be.
 * @param max The highest it may be.
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is not a whole number in that range.
 */
export function checkCount(
  action: string,
  name: string,
  value: number,
  min: number,
  max: number,
): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot ${action} as '${name}' must be a number: it is ${
        Deno.inspect(value)
      }`,
    );
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `Cannot ${action} as '${name}' must be a whole number from ${min} to ${max}: it is ${value}`,
    );
  }
}

/**
 * How much work a row is, the same for each side, and what is read of a process.
 *
 * @module
 */

/** Calls of a round, one after the other. */
export const SERIAL_CALLS = 5000;
/** Calls submitted at once. */
export const BURST = 50_000;
/** Items of a `map`. */
export const MAP_ITEMS = 1_000_000;
/** Items through a queue. */
export const QUEUE_ITEMS = 50_000;
/** Messages there and back. */
export const ROUND_TRIPS = 3000;
/** Bytes of the large array. */
export const BYTES_64_MB: number = 64 * 2 ** 20;
/** Items of the calculation, about 0.6 ms each. */
export const CPU_ITEMS = 800;

/** This process and its children, their children included. */
function family(): number[] {
  const pids = [Deno.pid];
  for (let i = 0; i < pids.length; i++) {
    for (const { name } of Deno.readDirSync(`/proc/${pids[i]}/task`)) {
      const path = `/proc/${pids[i]}/task/${name}/children`;
      const text = read(path).trim();
      if (text !== "") pids.push(...text.split(" ").map(Number));
    }
  }
  return pids;
}

/**
 * MiB in use by this process and its children.
 *
 * @param kind `Rss` counts the program's own code in each of them, `Pss` divides
 * it among all that have it.
 */
export function memoryMb(kind: "Rss" | "Pss"): number {
  const line = new RegExp(`^${kind}:\\s+(\\d+)`, "m");
  let kib = 0;
  for (const pid of family()) {
    kib += Number(line.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  }
  return kib / 1024;
}

/** Seconds of processor time that their threads have used. */
export function cpuSeconds(): number {
  let nanoseconds = 0;
  for (const pid of family()) {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      // The clock of /proc/<pid>/stat counts hundredths: too coarse for idleness.
      const text = read(`/proc/${pid}/task/${name}/schedstat`);
      nanoseconds += Number(text.split(" ")[0]);
    }
  }
  return nanoseconds / 1e9;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // it has just ended
  }
}

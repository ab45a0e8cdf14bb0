/**
 * How much work a row is, the same for each side, and what is read of a process.
 *
 * @module
 */

/** Calls of a round, one after the other. */
export const SERIAL_CALLS = 1000;
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

/** MiB in use by this process and its children. */
export function rssMb(): number {
  let kib = 0;
  for (const pid of family()) {
    kib += Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  }
  return kib / 1024;
}

/** Seconds of processor time they have used. */
export function cpuSeconds(): number {
  let ticks = 0;
  for (const pid of family()) {
    const stat = read(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // it has just ended
  }
}

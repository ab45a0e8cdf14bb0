/**
 * What the system says of processes, read from `/proc`: the second opinion on
 * what the library claims of its children.
 *
 * Runs in the parent, on Linux.
 *
 * @module
 */

/** A process as the system sees it. */
export interface ProcessEntry {
  /** Its id. */
  readonly pid: number;
  /** `R`, `S`, … or `Z` if it has ended and nobody has asked how. */
  readonly state: string;
  /** Its parent. */
  readonly ppid: number;
  /** Its process group. */
  readonly group: number;
  /** Time it has had of a processor, in clock ticks (10 ms). */
  readonly ticks: number;
  /** What it runs. */
  readonly commandLine: string;
}

/** A process, if there is one with this id. */
export function processEntry(pid: number): ProcessEntry | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // "pid (name) S ppid …": the name may hold anything, so look from its end.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const commandLine = Deno.readTextFileSync(`/proc/${pid}/cmdline`)
      .replaceAll("\0", " ").trim();
    return {
      pid,
      state: fields[0]!,
      ppid: Number(fields[1]),
      group: Number(fields[2]),
      ticks: Number(fields[11]) + Number(fields[12]),
      commandLine,
    };
  } catch {
    return undefined; // gone, perhaps between the two reads
  }
}

/** All processes that satisfy a condition. */
export function processes(
  condition: (entry: ProcessEntry) => boolean,
): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const entry = processEntry(Number(name));
    if (entry && condition(entry)) found.push(entry);
  }
  return found;
}

/**
 * Ids of the threads of this process that are children, as the system knows them:
 * one that burns on after its end has been told is still among them.
 */
export function childThreads(): number[] {
  const threads: number[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    try {
      const called = Deno.readTextFileSync(`/proc/self/task/${name}/comm`);
      // What Deno calls the threads of its workers.
      if (called.startsWith("worker-")) threads.push(Number(name));
    } catch {
      // It has ended between the two reads.
    }
  }
  return threads;
}

/** Whether a process runs; one that has only not been asked for does not. */
export function isRunning(pid: number): boolean {
  const state = processEntry(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

/** A process for people. */
export function describeProcess(entry: ProcessEntry): string {
  const { pid, ppid, state, commandLine } = entry;
  return `process ${pid} of ${ppid}, ${state}: ${commandLine || "(ended)"}`;
}

/**
 * What is measured, who takes part, and what is to be reached.
 *
 * @module
 */
import type { Installed } from "./_rivals.ts";
import type { Command } from "./_side.ts";
import { BURST, SERIAL_CALLS } from "./sides/_sizes.ts";

/** What is to be reached. */
export interface Target {
  readonly level: "must" | "aim";
  /** Which side is looked at. */
  readonly side: string;
  /** Whom it is compared with; without one the value itself is looked at. */
  readonly against?: string;
  /** The ratio, or the value: at most, or at least where more is better. */
  readonly limit: number;
}

/** One row of the results. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly isMoreBetter: boolean;
  readonly rounds: number;
  readonly sides: Readonly<Record<string, Command>>;
  readonly targets: readonly Target[];
  /** Every side has this much more or less to do for the same value: growth. */
  readonly isGrowth?: boolean;
}

const HERE = new URL("./sides/", import.meta.url);
const path = (name: string) => decodeURIComponent(new URL(name, HERE).pathname);
const deno = (...args: string[]): Command => ({
  program: Deno.execPath(),
  args: ["run", "--allow-all", "--no-lock", ...args],
});

function ours(row: string, method: string, size = 0): Command {
  return deno(path("ours.ts"), row, method, String(size));
}

function bothOurs(row: string, size = 0): Record<string, Command> {
  return {
    "ours, spawn": ours(row, "spawn", size),
    "ours, worker": ours(row, "worker", size),
  };
}

function cpython(row: string): Record<string, Command> {
  return {
    CPython: { program: "python3", args: [path("cpython.py"), row] },
  };
}

function limit(name: string, way: string): Record<string, Command> {
  return { [`(${name})`]: deno(path("limits.mjs"), way) };
}

/** The pools of others, on Node and on Deno. */
function pools(
  row: string,
  count: number,
  rivals: Installed,
): Record<string, Command> {
  const sides: Record<string, Command> = {};
  const add = (rival: string, runtime: "Node" | "Deno") => {
    if (!(rival.split(" ")[0]! in rivals.versions)) return;
    const args = ["rivals/pools.mjs", row, rival, String(count)];
    sides[`${rival}, ${runtime}`] = {
      cwd: rivals.folder,
      ...(runtime === "Node" ? { program: "node", args } : {
        program: Deno.execPath(),
        args: ["run", "-A", "--no-lock", ...args],
      }),
    };
  };
  for (const runtime of ["Node", "Deno"] as const) {
    add("piscina", runtime);
    add("workerpool", runtime);
    add("poolifier", runtime);
  }
  add("tinypool", "Node"); // on Deno its first task is never answered
  if (row === "serial") {
    add("tinypool processes", "Node");
    add("workerpool processes", "Node");
  }
  if (rivals.knitting !== undefined) {
    sides["knitting, Deno"] = {
      program: Deno.execPath(),
      args: [
        "run",
        "-A",
        "--no-lock",
        "rivals/knitting.mjs",
        row,
        String(count),
      ],
      cwd: rivals.folder,
    };
  }
  return sides;
}

const METHODS = ["ours, spawn", "ours, worker"] as const;

function targets(
  level: "must" | "aim",
  limit: number,
  against?: string,
  sides: readonly string[] = METHODS,
): Target[] {
  return sides.map((side) => ({
    level,
    side,
    limit,
    ...(against === undefined ? {} : { against }),
  }));
}

/** The whole table. */
export function rowsFor(rivals: Installed): Row[] {
  const less = { isMoreBetter: false } as const;
  const more = { isMoreBetter: true } as const;
  return [
    {
      name: "serial",
      title: "Pool, one call at a time",
      unit: "µs",
      ...less,
      rounds: 9,
      sides: {
        ...bothOurs("serial"),
        ...pools("serial", SERIAL_CALLS, rivals),
        ...cpython("serial"),
      },
      targets: [
        ...targets("must", 1, "piscina, Node"),
        ...targets("aim", 1, "knitting, Deno", ["ours, worker"]),
        ...targets("aim", 25, undefined, ["ours, spawn"]),
      ],
    },
    {
      name: "burst",
      title: "Pool, 50,000 calls at once, 2 workers",
      unit: "calls/s",
      ...more,
      rounds: 5,
      sides: {
        ...bothOurs("burst"),
        ...pools("burst", BURST, rivals),
        ...cpython("burst"),
      },
      targets: [
        ...targets("must", 4, "piscina, Node"),
        ...targets("aim", 1, "knitting, Deno"),
      ],
    },
    {
      name: "map",
      title: "map of 1,000,000 trivial items, default chunks, 2 workers",
      unit: "items/s",
      ...more,
      rounds: 9,
      sides: { ...bothOurs("map"), ...cpython("map") },
      targets: [
        ...targets("must", 1, "CPython"),
        ...targets("aim", 2, "CPython"),
      ],
    },
    {
      name: "queue",
      title: "Queue, one producer, one consumer, small objects",
      unit: "items/s",
      ...more,
      rounds: 9,
      sides: {
        ...bothOurs("queue"),
        ...cpython("queue"),
        ...limit("postMessage", "postMessage items"),
      },
      targets: [
        ...targets("must", 3, "CPython"),
        ...targets("aim", 10, "CPython"),
      ],
    },
    {
      name: "pipe",
      title: "Pipe, a number there and back",
      unit: "µs",
      ...less,
      rounds: 9,
      sides: {
        ...bothOurs("pipe"),
        "ours, spawn, sync": ours("pipe-sync", "spawn"),
        "ours, worker, sync": ours("pipe-sync", "worker"),
        ...cpython("pipe"),
        ...limit("postMessage", "postMessage"),
        ...limit("a shared word, sync", "words"),
      },
      targets: [
        ...targets("must", 1, "CPython", [
          ...METHODS,
          "ours, spawn, sync",
          "ours, worker, sync",
        ]),
        ...targets("aim", 0.3, "CPython", [
          ...METHODS,
          "ours, spawn, sync",
          "ours, worker, sync",
        ]),
      ],
    },
    {
      name: "bulk",
      title: "A Float64Array of 64 MB to a child and back",
      unit: "ms",
      ...less,
      rounds: 7,
      sides: {
        ...bothOurs("bulk"),
        ...cpython("bulk"),
        ...limit("postMessage", "postMessage 64 MB"),
      },
      targets: [
        ...targets("must", 1, "CPython"),
        ...targets("aim", 1 / 3, "CPython"),
      ],
    },
    {
      name: "bulk-shared",
      title: "The same in SharedMemory, telling the child and being told",
      unit: "ms",
      ...less,
      rounds: 15,
      sides: { ...bothOurs("bulk-shared"), ...cpython("bulk-shared") },
      targets: [],
    },
    {
      name: "start",
      title: "Process, from start to join",
      unit: "ms",
      ...less,
      rounds: 15,
      sides: {
        ...bothOurs("start"),
        ...cpython("start"),
        ...limit("deno run", "process"),
        ...limit("Worker of node:worker_threads", "worker"),
      },
      targets: [
        ...targets("must", 0.6, "CPython"),
        ...targets("aim", 0.4, "CPython"),
      ],
    },
    {
      name: "pool-start",
      title: "Pool of 2, from its making to the first result",
      unit: "ms",
      ...less,
      rounds: 9,
      sides: { ...bothOurs("pool-start"), ...cpython("pool-start") },
      targets: [],
    },
    {
      name: "lock",
      title: "Lock taken and released, nobody else there, sync",
      unit: "µs",
      ...less,
      rounds: 15,
      sides: { ...bothOurs("lock"), ...cpython("lock") },
      targets: [
        ...targets("must", 1, "CPython"),
        ...targets("aim", 0.2, "CPython"),
      ],
    },
    {
      name: "value",
      title: "Value += 1, safely",
      unit: "µs",
      ...less,
      rounds: 15,
      sides: {
        ...bothOurs("value"),
        "ours, spawn, with its lock": ours("value-locked", "spawn"),
        "ours, worker, with its lock": ours("value-locked", "worker"),
        ...cpython("value"),
      },
      targets: [
        ...targets("must", 1, "CPython"),
        ...targets("aim", 0.2, "CPython"),
      ],
    },
    {
      name: "cpu",
      title: "CPU-bound map, 2 workers against 1",
      unit: "times as fast",
      ...more,
      rounds: 15,
      sides: { ...bothOurs("cpu"), ...cpython("cpu") },
      targets: [...targets("must", 1.85), ...targets("aim", 1.95)],
    },
    ...growthRows(),
  ];
}

function growthRows(): Row[] {
  const common = { isMoreBetter: false, isGrowth: true } as const;
  const sized = (
    row: string,
    sizes: readonly number[],
    label: (size: number) => string,
  ) =>
    Object.fromEntries(
      (["spawn", "worker"] as const).flatMap((method) =>
        sizes.map((size) =>
          [
            `${method}, ${label(size)}`,
            ours(row, method, size),
          ] as const
        )
      ),
    );
  const flat = (names: readonly string[], first: (name: string) => string) =>
    names.map((side): Target => ({
      level: "must",
      side,
      against: first(side),
      limit: 1.2,
    }));
  const methodOf = (name: string) => name.split(",")[0]!;
  const tasks = sized(
    "tasks",
    [1000, 10_000, 100_000, 1_000_000],
    (n) => `${n} tasks`,
  );
  const workers = sized(
    "workers",
    [2, 8, 64],
    (n) => `${n} workers`,
  );
  return [
    {
      name: "tasks",
      title: "Cost of a task, by how many are submitted at once",
      unit: "µs",
      rounds: 7,
      sides: tasks,
      targets: flat(
        Object.keys(tasks).filter((name) => !name.includes(" 1000 ")),
        (name) => `${methodOf(name)}, 1000 tasks`,
      ),
      ...common,
    },
    {
      name: "workers",
      title: "Cost of a task, by the number of workers",
      unit: "µs",
      rounds: 9,
      sides: workers,
      targets: flat(
        Object.keys(workers).filter((name) => !name.includes(" 2 ")),
        (name) => `${methodOf(name)}, 2 workers`,
      ),
      ...common,
    },
    {
      name: "payload",
      title: "A call with bytes that come back, one at a time",
      unit: "µs",
      rounds: 3,
      sides: sized(
        "payload",
        [10, 1000, 100_000, 10_000_000, 64_000_000],
        (n) => `${n} B`,
      ),
      targets: [],
      ...common,
    },
    {
      name: "memory-idle",
      title: "Resident memory for each idle worker",
      unit: "MiB",
      rounds: 3,
      sides: {
        ...bothOurs("memory-idle"),
        // Deno's own code counts once, however many processes have it.
        "ours, spawn, what is its own": ours("memory-idle", "spawn", 1),
        ...limit("deno run", "idle process"),
        ...limit("deno run, FFI", "idle process, FFI"),
      },
      targets: [
        ...targets("must", 40, undefined, ["ours, spawn"]),
        ...targets("must", 15, undefined, ["ours, worker"]),
      ],
      ...common,
    },
    {
      name: "memory-used",
      title: "More memory than before, after 300,000 more tasks",
      unit: "MiB",
      rounds: 3,
      sides: bothOurs("memory-used"),
      targets: targets("must", 30),
      ...common,
    },
    {
      name: "idle",
      title: "Processor time burnt by an idle pool",
      unit: "% of a core",
      rounds: 2,
      sides: bothOurs("idle"),
      targets: targets("must", 0.5),
      ...common,
    },
  ];
}

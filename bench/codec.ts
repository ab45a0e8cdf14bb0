/**
 * Values to bytes and back: our codec beside what else a program could use.
 *
 * Run by `deno task bench codec`, or by itself without one of the rivals. Each number is the
 * median time of one encode and one decode, in microseconds. The rivals take
 * turns within each case, in random order, so that a busy machine slows all of
 * them alike.
 *
 * What the columns do not show: `msgpackr` hands out binary data as a view of
 * its input, so a reader who may not keep the input has to copy it too; that is
 * the column `+ copy`. It, JSON and `node:v8` each lose something that
 * structured cloning keeps. `structuredClone()` makes no bytes.
 */
import { createRequire } from "node:module";
import { deserialize, serialize } from "node:v8";
import { decode, encode, encodeParts } from "../codec/mod.ts";

/** Rounds in which each rival is timed once; the median is of these. */
const ROUNDS = 31;
/** Time a rival gets in a round. */
const ROUND_MS = 12;
/** Seed of the pseudo-random numbers, so that each run sees the same data. */
const SEED = 42;

interface Packer {
  pack(value: unknown): Uint8Array;
  unpack(bytes: Uint8Array): unknown;
}

/** Loads msgpackr from where `deno task bench` has installed it. */
function loadMsgpackr(): Packer | undefined {
  const folder = Deno.env.get("BENCH_RIVALS_FOLDER");
  if (!folder) {
    console.log("msgpackr is left out: deno task bench codec has it");
    return undefined;
  }
  try {
    return createRequire(`${folder}/package.json`)("msgpackr") as Packer;
  } catch (error) {
    console.log(`msgpackr cannot be loaded: ${error}`);
    return undefined;
  }
}

function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
}

const random = randomNumbers(SEED);
const CASES: Record<string, unknown> = {
  "task": { id: 7, fn: "square", args: [1, 2, 3] },
  "result": { id: 7, value: 49 },
  "mixed 800 KB": Array.from({ length: 5000 }, (_, i) => ({
    id: i,
    name: `user ${i}`,
    email: `user${i}@example.com`,
    active: i % 2 === 0,
    score: random() * 100,
    tags: ["a", "b", `tag${i % 10}`],
    address: {
      street: `${i} Main Street`,
      zip: 10_000 + i,
      at: [random() * 180, random() * 90],
    },
    note: null,
  })),
  "100,000 integers": Array.from(
    { length: 100_000 },
    (_, i) => (i * 7919) % 1_000_000,
  ),
  "100,000 doubles": Array.from({ length: 100_000 }, random),
  "10,000 strings": Array.from(
    { length: 10_000 },
    (_, i) => "The quick brown fox jumps over it".slice(0, i % 34) + i,
  ),
  "5,000 non-ASCII strings": Array.from(
    { length: 5000 },
    (_, i) => `Grüße aus 東京 ${i}`,
  ),
  "one string of 900 KB": "lorem ipsum dolor ".repeat(50_000),
  "Float64Array 800 KB": new Float64Array(100_000).map(random),
  "Float64Array 8 MB": new Float64Array(1 << 20).map(random),
};

/** A ring of shared memory, as far as speed goes: bytes that stay. */
const ring = new Uint8Array(1 << 24);
/** Where the message lies; behind some head, as in a real ring. */
const RING_START = 72;

function throughRing(value: unknown): unknown {
  const { byteLength, parts } = encodeParts(value);
  let position = RING_START;
  for (const part of parts) {
    ring.set(part, position);
    position += part.length;
  }
  return decode(ring.subarray(RING_START, RING_START + byteLength));
}

type Rival = readonly [name: string, run: (value: unknown) => unknown];

const RIVALS: Rival[] = [
  ["codec", (value) => decode(encode(value))],
  ["codec, ring", throughRing],
];
const msgpackr = loadMsgpackr();
if (msgpackr) {
  const { pack, unpack } = msgpackr;
  RIVALS.push(
    ["msgpackr", (value) => unpack(pack(value))],
    ["+ copy", (value) => {
      const result = unpack(pack(value));
      return ArrayBuffer.isView(result)
        ? (result as Float64Array).slice()
        : result;
    }],
  );
}
RIVALS.push(
  ["node:v8", (value) => deserialize(serialize(value))],
  ["JSON", (value) => JSON.parse(JSON.stringify(value))],
  ["structuredClone", (value) => structuredClone(value)],
);

/** Another order each time, as each rival leaves its garbage to the next. */
function shuffled(count: number): number[] {
  return Array.from(
    { length: count },
    (_, i): [number, number] => [random(), i],
  )
    .sort(([a], [b]) => a - b).map(([, i]) => i);
}

/** Runs for a while and gives the time of one run in microseconds. */
function timed(run: (value: unknown) => unknown, value: unknown): number {
  const start = performance.now();
  let runs = 0;
  let elapsed = 0;
  // The clock is not read each time, as that would cost as much as a run.
  for (let batch = 1; elapsed < ROUND_MS; batch *= 2) {
    for (let i = 0; i < batch; i++) run(value);
    runs += batch;
    elapsed = performance.now() - start;
  }
  return elapsed / runs * 1000;
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
}

const table: Record<string, Record<string, number>> = {};
for (const [name, value] of Object.entries(CASES)) {
  if (Deno.args.length > 0 && !Deno.args.some((arg) => name.includes(arg))) {
    continue;
  }
  const times = RIVALS.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const i of shuffled(RIVALS.length)) {
      times[i]?.push(timed((RIVALS[i] as Rival)[1], value));
    }
  }
  table[name] = Object.fromEntries(
    RIVALS.map(([rival], i) => [
      rival,
      Number(median(times[i] ?? []).toPrecision(3)),
    ]),
  );
}
console.table(table);

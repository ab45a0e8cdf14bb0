/**
 * Draws the Mandelbrot set: work that keeps all processors busy, on one image in
 * shared memory. No pixel is ever copied: workers write where this program reads.
 *
 * ```sh
 * deno run --allow-read --allow-run --allow-ffi --allow-write=mandelbrot.pgm \
 *   examples/mandelbrot.ts [--method spawn|worker] [--size 1200] [--out mandelbrot.pgm]
 * ```
 *
 * Without `--out` it prints a small picture of letters instead, and needs no
 * permission to write.
 *
 * Worth a look: the array is given to each worker once, by the pool's initializer,
 * and a task is a row number; `view` is an ordinary typed array over the shared
 * memory; rows differ in cost, and small tasks even that out.
 *
 * @module
 */
import { getContext, type SharedItems } from "../mod.ts";
import { option, refuse, startMethod } from "./_arguments.ts";

/** Steps after which a point is taken to belong to the set. */
const STEPS = 400;
/** What is drawn: x from -2.1 to 0.6, y from -1.35 to 1.35. */
const LEFT = -2.1;
const TOP = -1.35;
const SIDE = 2.7;
/** From outside to inside. */
const LETTERS = " .:-=+*#%@";

/** The image, in each worker. */
let pixels: Uint8Array;
let size: number;

/** Gives a worker the image. Runs once in each. */
export function takeImage(image: SharedItems<"B">, itsSize: number): void {
  pixels = image.view;
  size = itsSize;
}

/** Draws one row. This is what the workers run. */
export function drawRow(y: number): void {
  const row = pixels.subarray(y * size, (y + 1) * size);
  const ci = TOP + SIDE * (y + 0.5) / size;
  for (let x = 0; x < size; x++) {
    const cr = LEFT + SIDE * (x + 0.5) / size;
    let [zr, zi, step] = [0, 0, 0];
    while (zr * zr + zi * zi <= 4 && step < STEPS) {
      [zr, zi] = [zr * zr - zi * zi + cr, 2 * zr * zi + ci];
      step++;
    }
    // Most points leave early: the root spreads those over the grey scale.
    row[x] = Math.round(255 * Math.sqrt(step / STEPS));
  }
}

async function main(): Promise<void> {
  const ctx = getContext(startMethod());
  const out = option("--out", "");
  const size = Number(option("--size", out === "" ? "40" : "1200"));
  if (!Number.isInteger(size) || size < 1) refuse("--size is a whole number");

  // Without a lock, as no two workers write the same pixel.
  const image = new ctx.RawArray("B", size * size);
  {
    await using pool = new ctx.Pool({
      initializer: takeImage,
      initArgs: [image, size],
    });
    const rows = Array.from({ length: size }, (_, y) => y);
    await pool.map(drawRow, rows, { chunkSize: 4 });
  }
  if (out === "") {
    print(image.view, size);
  } else {
    writePgm(out, image.view, size);
    console.log(`${out}: ${size} x ${size}`);
  }
}

function print(pixels: Uint8Array, size: number): void {
  for (let y = 0; y < size; y++) {
    const row = pixels.subarray(y * size, (y + 1) * size);
    const letters = Array.from(row, (grey) => {
      const letter = LETTERS[Math.floor(grey * LETTERS.length / 256)]!;
      return letter + letter; // a letter is about half as wide as it is high
    });
    console.log(letters.join("").trimEnd());
  }
}

/** The simplest of image files: a line of text, then the pixels. */
function writePgm(path: string, pixels: Uint8Array, size: number): void {
  using file = Deno.openSync(path, {
    write: true,
    create: true,
    truncate: true,
  });
  writeAll(file, new TextEncoder().encode(`P5\n${size} ${size}\n255\n`));
  writeAll(file, pixels);
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += file.writeSync(bytes.subarray(done));
  }
}

if (import.meta.main) await main();

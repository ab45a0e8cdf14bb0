/** The task of workerpool. */
import { createRequire } from "node:module";

// Not an import declaration: the package is there only where this is copied to.
const workerpool = createRequire(import.meta.url)("workerpool");

workerpool.worker({ square: (x) => x * x });

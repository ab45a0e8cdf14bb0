/** The task of poolifier. */
import { createRequire } from "node:module";

// Not an import declaration: the package is there only where this is copied to.
const { ThreadWorker } = createRequire(import.meta.url)("poolifier");

export default new ThreadWorker((x) => x * x);

/** `npm run build`: writes the bundled Worker to dist/worker.js. The client beside it is tsc's work. */
import { mkdir, writeFile } from "node:fs/promises";
import { workerBundle } from "./bundle.ts";

const DIST = new URL("../../dist/", import.meta.url);

await mkdir(DIST, { recursive: true });
await writeFile(new URL("worker.js", DIST), await workerBundle());

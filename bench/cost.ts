/**
 * `npm run cost`: what a million messages cost on Cloudflare at published prices, from what they are counted to use. `--write`
 * puts the tables into docs/cost.md, where a test compares them.
 */
import { parseArgs } from "node:util";
import { costTables, measureAll } from "./cost/tables.ts";
import { writeIntoPage } from "./kit/page.ts";

const PAGE = new URL("../docs/cost.md", import.meta.url);

const { values } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const tables = costTables(await measureAll());
console.log(tables);
if (values.write) await writeIntoPage(PAGE, "npm run cost -- --write", tables);

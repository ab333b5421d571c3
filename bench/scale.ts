/** `npm run scale`: the figures behind docs/scale.md. `--write` puts them there, where a test compares them. */
import { parseArgs } from "node:util";
import { writeIntoPage } from "./kit/page.ts";
import { scaleTables } from "./scale/tables.ts";

const PAGE = new URL("../docs/scale.md", import.meta.url);

const { values } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const tables = scaleTables();
console.log(tables);
if (values.write) await writeIntoPage(PAGE, "npm run scale -- --write", tables);

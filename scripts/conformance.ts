/**
 * `npm run conformance [-- --url http://… --key …]`: the conformance suite against a running server, or against a fresh
 * one of its own. The server must be allowed to call 127.0.0.1, where the suite hosts the producers' endpoints.
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { url: { type: "string" }, key: { type: "string" } },
});
if ((values.url === undefined) !== (values.key === undefined)) {
  console.error("--url and --key come together");
  process.exit(1);
}
const { url, key } = values;
const target =
  url === undefined || key === undefined
    ? {}
    : { HALFMQ_URL: url.replace(/\/$/u, ""), HALFMQ_KEY: key };
const vitest = join(
  dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
  "vitest.mjs",
);
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--project", "node", "test/conformance/", ...positionals],
  { stdio: "inherit", env: { ...process.env, ...target } },
);
process.exitCode = status ?? 1;

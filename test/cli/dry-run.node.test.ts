/** wrangler can bundle the Worker for Cloudflare too; no account is asked. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("the dry run of a deployment bundles the Worker with its three objects", async () => {
  const { stdout } = await promisify(execFile)("npm", ["run", "dry-run"]);
  for (const object of ["QueueObject", "RegistryObject", "CoordinatorObject"]) {
    expect(stdout).toContain(object);
  }
  expect(stdout).toContain("--dry-run: exiting now.");
});

/** docs/reliability.md names each invariant that a checker reports, and none besides. */
import { globSync } from "node:fs";
import { expect, test } from "vitest";
import { read, ROOT } from "./markdown.node.ts";

test("the tables of invariants are those of the checkers", () => {
  const files = globSync(["test/sim/checker/*.ts", "test/chaos/catalogue.ts"], { cwd: ROOT });
  const reported = files.flatMap((file) =>
    [...read(file).matchAll(/\breport\(\s*"([^"]+)"/gu)].map(([, number]) => number),
  );
  const rows = [...read("docs/reliability.md").matchAll(/^\| ([A-Z]\d) \| /gmu)];
  const named = rows.map(([, number]) => number);
  expect(named.length).toBeGreaterThan(40);
  expect(named.toSorted()).toEqual([...new Set(reported)].toSorted());
});

/** The doors' documents say what the doors' code says of what they lack. */
import { expect, test } from "vitest";
import { LACKS } from "../../src/adapters/cloudevents/lacks.ts";
import { read } from "./markdown.node.ts";

test("the CloudEvents door's document lists what the door lacks, and why", () => {
  const [, differs = ""] = read("docs/doors/cloudevents.md").split("## What differs\n");
  const rows = Object.entries(LACKS).map(([what, why]) => `| ${what} | ${why} |`);
  expect(
    differs
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .slice(1),
  ).toEqual(rows);
});

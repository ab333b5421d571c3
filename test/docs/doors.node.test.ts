/** The doors' documents say what the doors' code says of what they lack. */
import { expect, test } from "vitest";
import { LACKS as CLOUDEVENTS } from "../../src/adapters/cloudevents/lacks.ts";
import { LACKS as ROCKETMQ } from "../../src/adapters/rocketmq/lacks.ts";
import { read } from "./markdown.node.ts";

test.each([
  ["cloudevents", CLOUDEVENTS],
  ["rocketmq-http", ROCKETMQ],
])("the document of the door %s lists what the door lacks, and why", (page, lacks) => {
  const [, differs = ""] = read(`docs/doors/${page}.md`).split("## What differs\n");
  const rows = Object.entries(lacks).map(([what, why]) => `| ${what} | ${why} |`);
  expect(
    differs
      .split("\n")
      .filter((line) => line.startsWith("| "))
      .slice(1),
  ).toEqual(rows);
});

/** The doors' documents say what the doors' code says of what they lack. */
import { expect, test } from "vitest";
import {
  LACKING_VERBS as CLOUDEVENTS_VERBS,
  LACKS as CLOUDEVENTS,
} from "../../src/adapters/cloudevents/lacks.ts";
import { LACKING_VERBS as CLOUDFLARE_VERBS } from "../../src/adapters/cloudflare-queues/lacks.ts";
import {
  LACKING_VERBS as ROCKETMQ_VERBS,
  LACKS as ROCKETMQ,
} from "../../src/adapters/rocketmq/lacks.ts";
import { LACKING_VERBS as SQS_VERBS } from "../../src/adapters/sqs/lacks.ts";
import { read } from "./markdown.node.ts";

/** The rows of the table in one section of a door's document. */
function rowsOf(page: string, section: string): string[] {
  const [, behind = ""] = read(`docs/doors/${page}.md`).split(`## ${section}\n`);
  const [text = ""] = behind.split("\n## ");
  const [, , ...rows] = text.split("\n").filter((line) => line.startsWith("|"));
  return rows;
}

const rowsFor = (lacks: Readonly<Record<string, string>>): string[] =>
  Object.entries(lacks).map(([what, why]) => `| ${what} | ${why} |`);

test.each([
  ["cloudevents", CLOUDEVENTS],
  ["rocketmq-http", ROCKETMQ],
])("the document of the door %s lists what the door lacks, and why", (page, lacks) => {
  expect(rowsOf(page, "What differs")).toEqual(rowsFor(lacks));
});

test.each([
  ["cloudevents", CLOUDEVENTS_VERBS],
  ["cloudflare-queues", CLOUDFLARE_VERBS],
  ["rocketmq-http", ROCKETMQ_VERBS],
  ["sqs", SQS_VERBS],
])("the document of the door %s lists what has no word in its protocol", (page, verbs) => {
  expect(rowsOf(page, "What has no word here")).toEqual(rowsFor(verbs));
});

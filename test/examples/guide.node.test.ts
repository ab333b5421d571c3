/** The guides for programs show nothing that no example runs. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { blocks, read, ROOT } from "../docs/markdown.node.ts";

const CLIENT_GUIDE = "docs/guides/typescript-client.md";
const GUIDES = [
  CLIENT_GUIDE,
  "docs/guides/delivery.md",
  "docs/guides/schedules.md",
  "docs/guides/once.md",
  "docs/guides/workers-rpc.md",
  "docs/guides/audit.md",
];
const LINES_MAX = 150;

/** The same whatever its indentation. */
const plain = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n");

const examples = readdirSync(`${ROOT}examples`, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => plain(readFileSync(`${ROOT}examples/${name}`, "utf8")));

const shown = GUIDES.flatMap((guide) =>
  blocks(read(guide), "ts").map((block) => [guide, block.split("\n")[0] ?? "", block] as const),
);

test.for(shown)("of %s an example has the block that begins with %s", ([, , block]) => {
  expect(examples.some((example) => example.includes(plain(block)))).toBe(true);
});

test(`the client's guide has at most ${LINES_MAX} lines`, () => {
  expect(read(CLIENT_GUIDE).split("\n").length).toBeLessThanOrEqual(LINES_MAX);
});

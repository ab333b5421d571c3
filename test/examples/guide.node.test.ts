/** The client's guide shows nothing that no example runs. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { blocks, read, ROOT } from "../docs/markdown.node.ts";

const GUIDE = "docs/guides/typescript-client.md";
const LINES_MAX = 150;

/** The same whatever its indentation. */
const plain = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n");

const examples = readdirSync(`${ROOT}examples`).map((name) =>
  plain(readFileSync(`${ROOT}examples/${name}`, "utf8")),
);

test.for(blocks(read(GUIDE), "ts").map((block) => [block.split("\n")[0] ?? "", block] as const))(
  "an example has the block that begins with %s",
  ([, block]) => {
    expect(examples.some((example) => example.includes(plain(block)))).toBe(true);
  },
);

test(`the guide has at most ${LINES_MAX} lines`, () => {
  expect(read(GUIDE).split("\n").length).toBeLessThanOrEqual(LINES_MAX);
});

/** Every relative link in the documents leads to a file that is there, and to a heading of it where it names one. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";
import { documents, links, read, ROOT } from "./markdown.node.ts";

test.each(documents())("the relative links of %s resolve", (file) => {
  const broken = links(read(file))
    .filter((target) => !/^[a-z]+:/u.test(target))
    .filter((target) => !resolves(file, target));
  expect(broken).toEqual([]);
});

test("the documents are found", () => {
  expect(documents()).toEqual(expect.arrayContaining(["README.md", "docs/ARCHITECTURE.md"]));
});

function resolves(from: string, target: string): boolean {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? from : normalize(join(dirname(from), path));
  if (file.startsWith("..") || !existsSync(ROOT + file)) return false;
  if (anchor === undefined) return true;
  return statSync(ROOT + file).isFile() && anchors(read(file)).includes(anchor);
}

function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gmu)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(/\s/gu, "-"),
  );
}

/** docs/conformance.md and the tests agree: every row of the reference is a test, or has a reason. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROCKETMQ_CASES } from "../adapters/rocketmq/suite.ts";
import { THEMES } from "./suite.ts";

/** All of them; one was put in between. */
const ROWS = Array.from({ length: 206 }, (_, index) => String(index + 1)).toSpliced(142, 0, "142b");
const page = readFileSync(new URL("../../docs/conformance.md", import.meta.url), "utf8");

interface Row {
  readonly row: string;
  readonly tests: readonly string[];
  readonly reason?: string;
}

const rows: readonly Row[] = page
  .split("\n")
  .filter((line) => /^\| \d+b? \|/u.test(line))
  .map((line) => {
    const [, row = "", , does = "", held = ""] = line.split("|").map((cell) => cell.trim());
    expect(does, line).not.toBe("");
    return held.startsWith("reason: ")
      ? { row, tests: [], reason: held.slice("reason: ".length) }
      : { row, tests: held.split("<br>") };
  });

/** The suites' cases, and the tests of rows that need to kill the server, or none. */
function namesOfTests(): string[] {
  const themes = [...Object.values(THEMES), ROCKETMQ_CASES];
  const cases = themes.flatMap((theme) => Object.keys(theme));
  const folders = ["../e2e/", "../adapters/rocketmq/"].map(
    (path) => new URL(path, import.meta.url),
  );
  const text = folders
    .flatMap((folder) => readdirSync(folder).map((file) => new URL(file, folder)))
    .filter(({ pathname }) => pathname.endsWith(".test.ts"))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const others = [...text.matchAll(/"(rows? \d[^"]*)"/gu)].map(([, name]) => name ?? "");
  return [...cases, ...others];
}

/** "rows 15, 16, 17: …" → 15, 16, 17 */
function rowsOf(name: string): string[] {
  const head = /^rows? (\d+b?(?:, \d+b?)*)/u.exec(name)?.[1];
  return head === undefined ? [] : head.split(", ");
}

test("the page has every row once, in order, with a test or a reason", () => {
  expect(rows.map((each) => each.row)).toEqual(ROWS);
  for (const { row, tests, reason } of rows) {
    const held = reason ?? tests.join("");
    expect(held.length, `row ${row}`).toBeGreaterThan(10);
  }
});

test("every test that the page names exists and is of that row", () => {
  const names = new Set(namesOfTests());
  for (const { row, tests } of rows)
    for (const name of tests) {
      expect(names, `row ${row}`).toContain(name);
      expect(rowsOf(name), name).toContain(row);
    }
});

test("every test of a row stands on the page", () => {
  const named = new Set(rows.flatMap((each) => each.tests));
  for (const name of namesOfTests())
    if (rowsOf(name).length > 0) expect(named, name).toContain(name);
});

test("no two cases have one name", () => {
  const names = namesOfTests();
  expect(new Set(names).size).toBe(names.length);
});

/** The normative documents say what the code does: routes, limits, codes and scopes, row by row. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CATALOGUE } from "../../src/api/catalogue.ts";
import { SCOPES } from "../../src/api/scopes.ts";
import { ERRORS } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

const read = (path: string): string =>
  readFileSync(new URL(`../../docs/${path}`, import.meta.url), "utf8");

/** The rows under a heading whose first cell is code, or all of them, as cells without back quotes. */
function rowsUnder(text: string, heading: string): string[][] {
  const from = text.indexOf(`\n${heading}\n`);
  expect(from, heading).toBeGreaterThan(0);
  const section = text.slice(from + 1).split(/\n## /u)[0] ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(1)
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

const protocol = read("PROTOCOL.md");

test("the table of codes is the one of the code", () => {
  const rows = rowsUnder(protocol, "## 5. Codes");
  expect(rows).toEqual(
    Object.entries(ERRORS).map(([code, { status, retryable, title }]) => [
      code,
      String(status),
      retryable ? "yes" : "no",
      title,
    ]),
  );
});

test("the limits are those of the code", () => {
  const rows = rowsUnder(protocol, "## 4. Limits");
  expect(rows.length).toBeGreaterThan(20);
  for (const [what, , , most, name] of rows) {
    expect(Number(most?.replaceAll(",", "")), what).toBe(Reflect.get(LIMITS, name ?? ""));
  }
  for (const [name, least] of Object.entries({
    invisibleMsMax: LIMITS.invisibleMsMin,
    retentionMsMax: LIMITS.retentionMsMin,
    checkMsMax: LIMITS.checkMsMin,
  })) {
    const row = rows.find((each) => each[4] === name);
    expect(Number(row?.[2]?.replaceAll(",", "")), name).toBe(least);
  }
});

test("the routes are those that are mounted", () => {
  const rows = rowsUnder(protocol, "## 3. Routes");
  expect(rows).toEqual(
    CATALOGUE.map(({ method, path, statuses, summary }) => [
      `${method} ${path}`,
      statuses.join(", "),
      summary,
    ]),
  );
});

test("the scopes are those of the code", () => {
  const rows = rowsUnder(read("reference/auth.md"), "## What each route needs");
  expect(rows).toEqual(
    Object.entries(SCOPES).map(([route, scopes]) => [
      route,
      scopes === "open" ? "none: open" : scopes.join(" or "),
    ]),
  );
});

test("each rule of the protocol has a number of its own", () => {
  const numbers = [...protocol.matchAll(/^\*\*(P\d+)\.\*?/gmu)].map(([, number]) => number);
  expect(numbers.length).toBeGreaterThan(50);
  expect(numbers).toEqual([...new Set(numbers)]);
});

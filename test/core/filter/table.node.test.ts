/** Filters case by case: what passes, what does not, and what is refused where. */
import { expect, test } from "vitest";
import { passes } from "../../../src/core/filter/evaluate.ts";
import { makeFilter } from "../../../src/core/filter/message-filter.ts";
import { parseFilter } from "../../../src/core/filter/parser.ts";
import { encodeRecord } from "../../../src/core/record.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";

function says(sql: string, properties: Record<string, string> = {}): boolean {
  const parsed = parseFilter(sql);
  if (!parsed.ok) throw new Error(`${sql}: ${parsed.message} at ${parsed.position}`);
  return passes(parsed.expression, (name) => properties[name]);
}

const YES = true;
const NO = false;

/** `a` is the property; undefined stands for an absent one. */
test.each<[string, string | undefined, boolean]>([
  ["a > 5", "6", YES],
  ["a > 5", "10.5", YES],
  ["a > 5", "abc", NO],
  ["a > 5", undefined, NO],
  ["NOT (a > 5)", "abc", NO],
  ["a > 5.0", "10.5", YES],
  ["a > 5.0", "6", YES],
  ["a = 1", "1", YES],
  ["a = 1", "01", YES],
  ["a = 1", "+1", YES],
  ["a = 1", "1.0", YES],
  ["a = 1", " 1", NO],
  ["a = 1", "", NO],
  ["a = 1", "0x1", NO],
  ["a = 1", "1".repeat(65), NO],
  ["a = 1.0", "1", YES],
  ["a <> 5", "abc", NO],
  ["a <> 5", "6", YES],
  ["a <> 5", undefined, NO],
  ["5 <> a", undefined, NO],
  ["a = TRUE", "true", YES],
  ["a = TRUE", "TRUE", YES],
  ["a = TRUE", "yes", NO],
  ["a = FALSE", "false", YES],
  ["a = FALSE", "nope", NO],
  ["TRUE = a", "true", YES],
  ["a", "true", NO],
  ["NOT a", "x", NO],
  ["NOT a", undefined, NO],
  ["NOT a IS NULL", "x", YES],
  ["NOT a IS NULL", undefined, NO],
  ["TRUE AND NOT a IS NULL", "x", YES],
  ["a IS NULL", undefined, YES],
  ["a IS NULL", "", NO],
  ["a IS NOT NULL", "", YES],
  ["NOT a = 1", "2", YES],
  ["NOT a = 1", "1", NO],
  ["TRUE = NOT (a = 1)", "2", YES],
  ["a BETWEEN 1 AND 5", "2.5", YES],
  ["a BETWEEN 1.0 AND 5.0", "2.5", YES],
  ["a BETWEEN 1 AND 5", "6", NO],
  ["a NOT BETWEEN 1 AND 5", "6", YES],
  ["a NOT BETWEEN 1 AND 5", undefined, NO],
  ["a IN ('x', 'y')", "y", YES],
  ["a NOT IN ('x', 'y')", "z", YES],
  ["a NOT IN ('x', 'y')", undefined, NO],
  ["a CONTAINS 'bc'", "abcd", YES],
  ["a CONTAINS ''", "abcd", NO],
  ["a NOT CONTAINS 'x'", "abcd", YES],
  ["a NOT CONTAINS 'x'", undefined, NO],
  ["a STARTSWITH 'ab'", "abcd", YES],
  ["a NOT STARTSWITH 'ab'", "abcd", NO],
  ["a ENDSWITH 'cd'", "abcd", YES],
  ["a NOT ENDSWITH 'cd'", "abc", YES],
  ["a = 0.0", "0", YES],
  ["a = 01", "1", YES],
  ["a = 1L", "1", YES],
  ["a > 3.1E10", "31415000000.0", YES],
  ["a = .5", "0.50", YES],
  ["TRUE OR a > 5", "abc", YES],
  ["a > 5 OR TRUE", "abc", YES],
  ["FALSE AND a > 5", "abc", NO],
  ["a = -9223372036854775808", "-9223372036854775808", YES],
  ["a = -9223372036854775808", "-9223372036854775807", NO],
  ["a > 9007199254740992", "9007199254740993", YES],
  ["a = 9223372036854775807", "9223372036854775808", NO],
  ["a > 5", "99999999999999999999999", YES],
  ["a > 5", "1e999", NO],
  ["a > 5", "Infinity", NO],
  ["-a < -5", "6", YES],
  ["+a = 'x'", "x", YES],
  ["a = 'it''s'", "it's", YES],
  ["a /* a comment */ = -- another\n 'x'", "x", YES],
  ["NULL", "x", NO],
  ["(a = 1) = TRUE", "1", YES],
  ["((a = 1)) IS NULL", undefined, YES],
  ["a is not null and a in ('x')", "x", YES],
])("%s with %j", (sql, a, expected) => {
  expect(says(sql, a === undefined ? {} : { a })).toBe(expected);
});

test("two properties are equal as texts and ordered as numbers", () => {
  expect(says("a > b", { a: "10", b: "9" })).toBe(true);
  expect(says("a = b", { a: "1", b: "1.0" })).toBe(false);
  expect(says("a <> b", { a: "3.14", b: "3.141" })).toBe(true);
  expect(says("a <> b", { a: "3.14" })).toBe(false);
  expect(says("a BETWEEN low AND high", { a: "2", low: "1", high: "3" })).toBe(true);
});

test("names are case-sensitive, keywords are not, and what every object has is no property", () => {
  expect(says("a In ('x') aNd A iS nUlL", { a: "x" })).toBe(true);
  const filter = makeFilter({ sql: "toString IS NULL AND __proto__ = 'x'" });
  const properties = JSON.parse('{"__proto__": "x"}') as Record<string, string>;
  expect(filter.matches(encodeRecord({ body: { json: "1" }, properties }))).toBe(true);
});

test("TAGS is the message's tag and KEYS are its keys", () => {
  const filter = makeFilter({ sql: "TAGS IN ('t') AND KEYS = 'k1 k2' AND x = 1" });
  const content = { body: { json: "1" }, contentType: "text/plain", tag: "t", keys: ["k1", "k2"] };
  expect(filter.matches(encodeRecord({ ...content, properties: { y: "2", x: "1" } }))).toBe(true);
  expect(filter.matches(encodeRecord({ ...content, properties: { TAGS: "t" } }))).toBe(false);
  expect(makeFilter({ sql: "TAGS IS NULL" }).matches(encodeRecord({ body: { json: "1" } }))).toBe(
    true,
  );
});

test.each<[string, number]>([
  ["", 0],
  ["   ", 3],
  ["a > 'x'", 4],
  ["a >= '5'", 5],
  ["a = NULL", 4],
  ["NULL = NULL", 0],
  ["TRUE = 1", 7],
  ["a BETWEEN 5 AND 1", 10],
  ["a BETWEEN '1' AND '5'", 10],
  ["a IN (1,2)", 6],
  ["a IN ()", 6],
  ["5 IN ('5')", 0],
  ["a = 1 garbage", 6],
  ["a LIKE 'x%'", 2],
  ["a + 1 = 2", 2],
  ["a != 1", 2],
  ["a == 1", 3],
  ["a.b = 1", 1],
  ['"a" = 1', 0],
  ["a = 0x10", 5],
  ["a > 9223372036854775808", 4],
  ["a > -9223372036854775809", 4],
  ["a > 1e999", 4],
  ["a > 100000000000000000000000", 4],
  ["a and between 2 and 10", 6],
  ["a = 'open", 4],
  ["a = 1 /* open", 6],
  ["(a = 1", 6],
  ["a = 1)", 5],
  ["a =", 3],
  ["5", 0],
  ["a = 1 AND 'x'", 10],
  ["a > 5 > 3", 0],
  ["a IS 5", 5],
])("%j is refused at %i", (sql, position) => {
  expect(parseFilter(sql)).toMatchObject({ ok: false, position });
});

test.each([
  ["parentheses", (n: number) => `${"(".repeat(n)}a${")".repeat(n)}`],
  ["NOT", (n: number) => `${"NOT ".repeat(n)}a`],
  ["signs", (n: number) => `a = ${"- ".repeat(n)}b`],
  ["chains", (n: number) => `a${" = a".repeat(n)}`],
])("%s nest to the limit and no deeper", (_, make) => {
  expect(parseFilter(make(LIMITS.filterDepthMax)).ok).toBe(true);
  expect(parseFilter(make(LIMITS.filterDepthMax + 1)).ok).toBe(false);
  expect(parseFilter(make(2_000)).ok).toBe(false);
});

test("a long chain of AND is not deep, and costs more of a scan than a short one", () => {
  const sql = Array.from({ length: 400 }, () => "a = 1").join(" AND ");
  expect(says(sql, { a: "1" })).toBe(true);
  expect(makeFilter({ sql }).cost).toBeGreaterThan(makeFilter({ sql: "a = 1" }).cost);
});

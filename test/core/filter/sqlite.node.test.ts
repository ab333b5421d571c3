/** Filters against SQLite, which evaluates the same expressions on the same values by the same logic. */
import { DatabaseSync } from "node:sqlite";
import * as fc from "../../kit/properties.node.ts";
import { expect, test } from "vitest";
import { passes } from "../../../src/core/filter/evaluate.ts";
import { parseFilter } from "../../../src/core/filter/parser.ts";

/** One expression as HalfMQ and as SQLite write it. */
interface Both {
  readonly ours: string;
  readonly theirs: string;
}

const same = (text: string): Both => ({ ours: text, theirs: text });
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const number = fc.oneof(
  fc.integer({ min: -5, max: 5 }).map(String),
  fc.integer({ min: -5, max: 5 }).map((value) => (value / 2).toFixed(1)),
  fc.constantFrom("9007199254740993", "-9007199254740993", "5e0"),
);
const short = fc.string({ unit: fc.constantFrom("a", "b", "'", " ", "é"), maxLength: 4 });
const needle = fc.string({ unit: fc.constantFrom("a", "b", "'"), minLength: 1, maxLength: 3 });
const numeric = fc.constantFrom("n1", "n2");
const textual = fc.constantFrom("t1", "t2");
const order = fc.constantFrom(">", ">=", "<", "<=");
const equality = fc.constantFrom("=", "<>");
const negation = fc.constantFrom("", "NOT ");

const search = fc.tuple(textual, negation, needle).chain(([name, not, text]) => {
  const size = text.length;
  const is = (word: string, found: string): Both => ({
    ours: `${name} ${not}${word} ${quoted(text)}`,
    theirs: `(${not}(${found}))`,
  });
  return fc.constantFrom(
    is("CONTAINS", `instr(${name}, ${quoted(text)}) > 0`),
    is("STARTSWITH", `substr(${name}, 1, ${size}) = ${quoted(text)}`),
    is("ENDSWITH", `length(${name}) >= ${size} AND substr(${name}, -${size}) = ${quoted(text)}`),
  );
});

const leaf: fc.Arbitrary<Both> = fc.oneof(
  fc.tuple(numeric, fc.oneof(order, equality), number).map((parts) => same(parts.join(" "))),
  fc.tuple(number, order, numeric).map((parts) => same(parts.join(" "))),
  fc.tuple(numeric, order, numeric).map((parts) => same(parts.join(" "))),
  fc.tuple(textual, equality, textual).map((parts) => same(parts.join(" "))),
  fc.tuple(textual, equality, short.map(quoted)).map((parts) => same(parts.join(" "))),
  fc
    .tuple(fc.constant("b1"), equality, fc.constantFrom("TRUE", "FALSE"))
    .map((parts) => same(parts.join(" "))),
  fc
    .tuple(numeric, negation, fc.integer({ min: -5, max: 5 }), fc.nat(5))
    .map(([name, not, low, more]) => same(`${name} ${not}BETWEEN ${low} AND ${low + more}`)),
  fc
    .tuple(numeric, negation, numeric, numeric)
    .map(([name, not, low, high]) => same(`${name} ${not}BETWEEN ${low} AND ${high}`)),
  fc
    .tuple(textual, negation, fc.array(short.map(quoted), { minLength: 1, maxLength: 3 }))
    .map(([name, not, texts]) => same(`${name} ${not}IN (${texts.join(", ")})`)),
  fc
    .tuple(fc.constantFrom("n1", "t1", "b1"), negation)
    .map(([name, not]) => same(`${name} IS ${not}NULL`)),
  fc.constantFrom("TRUE", "FALSE", "NULL").map(same),
  search,
);

/** Parentheses only where they are drawn, so that the two must agree about what binds how. */
const { expression } = fc.letrec<{ expression: Both }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    tie("expression").map(({ ours, theirs }) => ({ ours: `(${ours})`, theirs: `(${theirs})` })),
    tie("expression").map(({ ours, theirs }) => ({ ours: `not ${ours}`, theirs: `NOT ${theirs}` })),
    fc
      .tuple(tie("expression"), fc.constantFrom("AND", "OR"), tie("expression"))
      .map(([left, word, right]) => ({
        ours: `${left.ours}/**/ ${word.toLowerCase()}\t${right.ours}`,
        theirs: `${left.theirs} ${word} ${right.theirs}`,
      })),
    tie("expression").map(({ ours, theirs }) => ({
      ours: `(${ours}) IS NULL`,
      theirs: `(${theirs}) IS NULL`,
    })),
  ),
}));

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { freq: 3 });
const row = fc.record({
  n1: maybe(fc.integer({ min: -5, max: 5 }).map((value) => value / 2)),
  n2: maybe(fc.integer({ min: -5, max: 5 })),
  t1: maybe(short),
  t2: maybe(short),
  b1: maybe(fc.boolean()),
});

test("an expression passes exactly the rows that SQLite selects", () => {
  const database = new DatabaseSync(":memory:");
  let passed = 0;
  fc.assert(
    fc.property(expression, row, ({ ours, theirs }, values) => {
      const columns = Object.entries(values);
      const select = columns.map(([name]) => `? AS ${name}`).join(", ");
      const query = `SELECT count(*) AS n FROM (SELECT ${select}) WHERE ${theirs}`;
      const bound = columns.map(([, value]) =>
        typeof value === "boolean" ? Number(value) : value,
      );
      const selected = database.prepare(query).get(...bound)?.["n"] === 1;
      const parsed = parseFilter(ours);
      if (!parsed.ok) throw new Error(`${ours}: ${parsed.message} at ${parsed.position}`);
      const properties = new Map(columns.filter(([, value]) => value !== null));
      const passing = passes(parsed.expression, (name) =>
        properties.has(name) ? String(properties.get(name)) : undefined,
      );
      if (passing) passed++;
      expect(passing, ours).toBe(selected);
    }),
    { numRuns: 3_000 },
  );
  database.close();
  // Otherwise it would have compared nothing but refusals.
  expect(passed).toBeGreaterThan(300);
});

test("any text is an expression or has one fault within it", () => {
  const piece = fc.oneof(
    fc.constantFrom("a", "NOT", "AND", "OR", "(", ")", "=", "<>", "IS", "NULL", "IN", "'", "''"),
    fc.constantFrom(
      "BETWEEN",
      "1",
      "2.5",
      "-",
      "+",
      "--",
      "/*",
      "*/",
      ",",
      "TRUE",
      "CONTAINS",
      "'x'",
    ),
    fc.string({ unit: "binary", maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join(" ");
      const parsed = parseFilter(text);
      if (parsed.ok) expect(typeof passes(parsed.expression, () => "1")).toBe("boolean");
      else {
        expect(parsed.position).toBeGreaterThanOrEqual(0);
        expect(parsed.position).toBeLessThanOrEqual(text.length);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("a search finds what includes finds", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(text, text, (haystack, part) => {
      const parsed = parseFilter(`a CONTAINS '${part}'`);
      expect(parsed.ok && passes(parsed.expression, () => haystack)).toBe(haystack.includes(part));
    }),
    { numRuns: 2_000 },
  );
});

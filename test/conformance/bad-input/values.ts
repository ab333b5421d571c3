/**
 * From a schema to what may be wrong with a value of it, each as JSON text: wrong types, one past each limit, texts that
 * are no text. A fault that `must` be refused contradicts the schema; all others the server may take or refuse.
 */
import type { Schema } from "./document.ts";

export interface Fault {
  readonly what: string;
  /** JSON text, put where the value stands. */
  readonly json: string;
  readonly must: boolean;
  /** The limit that it breaks, when it breaks just that. */
  readonly limit?: number;
  readonly actual?: number;
}

/** A value of the body that may be replaced. */
export interface Place {
  /** `messages[0].tag`; empty for the whole. */
  readonly field: string;
  readonly schema: Schema;
  /** The smallest body around that value. */
  readonly around: (value: unknown) => unknown;
}

const branchesOf = (schema: Schema): readonly Schema[] =>
  schema.anyOf?.flatMap((each) => branchesOf(each)) ?? [schema];

/** Of two members of which just one may stand there, the first; the rules between fields are no part of a schema. */
const EITHER = [
  ["body", "bodyBase64"],
  ["message", "messages"],
  ["tags", "sql"],
] as const;

/** The smallest value that the schema takes. */
export function smallest(schema: Schema): unknown {
  const [first = schema] = branchesOf(schema);
  if (first.enum !== undefined) return first.enum[0];
  if (first.const !== undefined) return first.const;
  switch (first.type) {
    case "object":
      return smallestObject(first, "");
    case "array":
      return Array.from({ length: first.minItems ?? 0 }, () => smallest(first.items ?? {}));
    case "integer":
    case "number":
      return first.minimum ?? 0;
    case "boolean":
      return false;
    case "string":
    case undefined:
    default:
      return "x";
  }
}

function smallestObject(schema: Schema, besides: string): Record<string, unknown> {
  const properties = schema.properties ?? {};
  const wanted = new Set(schema.required);
  for (const [first, second] of EITHER)
    if (first in properties && second in properties && second !== besides) wanted.add(first);
  return Object.fromEntries(
    [...wanted].map((name) => [name, smallest(properties[name] ?? {})] as const),
  );
}

/** Every value of a body, the whole first. */
export function placesOf(schema: Schema): Place[] {
  const whole: Place = { field: "", schema, around: (value) => value };
  return [whole, ...branchesOf(schema).flatMap((each) => inside(each))];
}

function inside(schema: Schema): Place[] {
  const members = Object.entries(schema.properties ?? {}).flatMap(([name, member]) =>
    placesOf(member).map(({ field, schema: at, around }) => ({
      field: joined(name, field),
      schema: at,
      around: (value: unknown) => ({ ...smallestObject(schema, name), [name]: around(value) }),
    })),
  );
  if (schema.items === undefined) return members;
  const items = placesOf(schema.items).map(({ field, schema: at, around }) => ({
    field: joined("[0]", field),
    schema: at,
    around: (value: unknown) => [around(value)],
  }));
  return [...members, ...items];
}

const joined = (outer: string, inner: string): string =>
  inner === "" || inner.startsWith("[") ? outer + inner : `${outer}.${inner}`;

const WRONG_TYPES = ["null", "true", "0", "1.5", '"x"', "[]", "{}", '[{"x":[null]}]'];

const HOSTILE_TEXTS = [
  '""',
  '"\\ud800"',
  '"a\\udfff\\ud800b"',
  '"\\u0000"',
  '"\\u202e\\u0007"',
  '"__proto__"',
  '"../../x"',
  `"${"é".repeat(128)}"`,
  '"\\n\\r\\t"',
];

const HOSTILE_NUMBERS = ["-1", "-0", "1e308", "1e999", "-1e999", "9007199254740993", "0.1e-400"];

const HOSTILE_OBJECTS = [
  '{"__proto__":{}}',
  '{"constructor":1,"toString":2}',
  `{${Array.from({ length: 200 }, (_, index) => `"k${index}":"v"`).join(",")}}`,
  '{"a":1,"a":"2"}',
  '{"":"x"}',
  '{"\\ud800":"x"}',
];

const DEEP = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;

/** What the random part draws from. */
export const HOSTILE: readonly string[] = [
  ...WRONG_TYPES,
  ...HOSTILE_TEXTS,
  ...HOSTILE_NUMBERS,
  ...HOSTILE_OBJECTS,
  DEEP,
  `"${"x".repeat(100_000)}"`,
];

/** Each type that is wrong, and of the right one what is wrong within it. */
const hostileTo = (schema: Schema): readonly string[] => [
  ...WRONG_TYPES,
  ...(accepts(schema, "x") ? HOSTILE_TEXTS : []),
  ...(accepts(schema, schema.minimum ?? 0) ? HOSTILE_NUMBERS : []),
  ...(accepts(schema, {}) ? HOSTILE_OBJECTS : []),
];

export function faultsOf(schema: Schema): Fault[] {
  const plain = hostileTo(schema).map((json) => ({
    what: json.slice(0, 40),
    json,
    must: !accepts(schema, JSON.parse(json)),
  }));
  return [...plain, ...limitsOf(schema)];
}

/** One before, at and past each limit of a value that has only one shape. */
function limitsOf(schema: Schema): Fault[] {
  const { minimum, maximum, maxLength, maxItems, items } = schema;
  const faults: Fault[] = [];
  const number = (limit: number, actual: number): void => {
    const must = !accepts(schema, actual);
    const facts = must ? { limit, actual } : {};
    faults.push({ what: `${actual} of ${limit}`, json: String(actual), must, ...facts });
  };
  const sized = (limit: number, actual: number, json: string): void => {
    const facts = actual > limit ? { limit, actual } : {};
    faults.push({ what: `${actual} long of ${limit}`, json, must: actual > limit, ...facts });
  };
  for (const step of [-1, 0, 1]) {
    if (minimum !== undefined) number(minimum, minimum + step);
    // Past this, numbers have no next one.
    if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) number(maximum, maximum + step);
    if (maxLength !== undefined)
      sized(maxLength, maxLength + step, JSON.stringify("x".repeat(maxLength + step)));
    if (maxItems !== undefined && items !== undefined) {
      const length = maxItems + step;
      sized(maxItems, length, JSON.stringify(Array.from({ length }, () => smallest(items))));
    }
  }
  return faults;
}

/** Whether the schema may take the value, as far as it can be seen without looking into objects and lists. */
export function accepts(schema: Schema, value: unknown): boolean {
  if (schema.anyOf !== undefined) return schema.anyOf.some((each) => accepts(each, value));
  if (schema.enum !== undefined) return schema.enum.includes(value);
  if (schema.const !== undefined) return schema.const === value;
  const { minimum = -Infinity, maximum = Infinity, minItems = 0, maxItems = Infinity } = schema;
  switch (schema.type) {
    case undefined:
      return true;
    case "integer":
      return Number.isInteger(value) && within(value as number, minimum, maximum);
    case "number":
      return Number.isFinite(value) && within(value as number, minimum, maximum);
    case "string":
      return typeof value === "string" && acceptsText(schema, value);
    case "array":
      return Array.isArray(value) && within(value.length, minItems, maxItems);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    default:
      return typeof value === schema.type;
  }
}

const within = (value: number, min: number, max: number): boolean => value >= min && value <= max;

/** Lengths are of bytes or of characters; of a text that is short in both, both are right. */
function acceptsText({ minLength = 0, maxLength = Infinity, pattern }: Schema, text: string) {
  const isShaped = pattern === undefined || new RegExp(pattern, "u").test(text);
  return isShaped && within(text.length, minLength, maxLength);
}

/** The body with the fault in its place. */
export function bodyWith(place: Place, json: string): string {
  const hole = "@hole@";
  return JSON.stringify(place.around(hole)).replace(`"${hole}"`, () => json);
}

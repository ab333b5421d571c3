/**
 * From JSON text or a query to a checked value, or to a refusal that names the field. Of several faults the first is
 * named. The text of its messages (protocol/words.ts) is for people; what machines read is `code`, `field`, `limit` and `actual`.
 */
import type { z } from "zod";
import { utf8Length } from "../core/bytes.ts";
import {
  accept,
  refuse,
  type ErrorCode,
  type Facts,
  type Outcome,
  type Refusal,
} from "../protocol/errors.ts";
import { WORDS } from "../protocol/words.ts";

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** The facts of a check of our own, carried through zod in an issue's `params`. */
export interface Fault {
  readonly message: string;
  readonly code?: ErrorCode;
  readonly limit?: number;
  readonly actual?: number;
  /** Of a text: how many UTF-16 units stand before the fault. */
  readonly position?: number;
  /** Below the value that was checked. */
  readonly path?: readonly (string | number)[];
}

/** Adds a fault to what zod has found. */
export function addFault(payload: z.core.ParsePayload, fault: Fault): void {
  const { message, code, limit, actual, position, path = [] } = fault;
  payload.issues.push({
    code: "custom",
    message,
    input: payload.value,
    path: [...path],
    params: { code, limit, actual, position },
  });
}

export function parseJson(text: string): Outcome<unknown> {
  // A body that may be left out is the same as an empty object.
  if (text === "") return accept({});
  try {
    return accept(JSON.parse(text) as unknown);
  } catch (error) {
    return refuse("invalid_json", error instanceof Error ? error.message : "The body is not JSON");
  }
}

export function check<T>(schema: z.ZodType<T>, value: unknown): Outcome<T> {
  const result = schema.safeParse(value, WORDS);
  if (result.success) return accept(result.data);
  const issue = result.error.issues[0];
  return issue === undefined
    ? refuse("invalid_request", "The request has a wrong shape")
    : refusalOf(issue, value, []);
}

/** A query, whose values are all text. A name given twice is no value. */
export function checkQuery<T>(schema: z.ZodType<T>, url: string): Outcome<T> {
  const at = url.indexOf("?");
  if (at < 0) return check(schema, {});
  const values: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(url.slice(at + 1))) {
    if (Object.hasOwn(values, name)) {
      return refuse("invalid_request", "A parameter stands in the query twice", { field: name });
    }
    Object.defineProperty(values, name, { value, enumerable: true, configurable: true });
  }
  return check(schema, values);
}

function refusalOf(issue: Issue, value: unknown, outer: Path): Refusal {
  const path = [...outer, ...issue.path];
  if (issue.code === "invalid_union") {
    const nearest = nearestOf(issue.errors);
    if (nearest !== undefined) return refusalOf(nearest, value, path);
  }
  if (issue.code === "unrecognized_keys") {
    const field = fieldOf([...path, issue.keys[0] ?? ""]);
    return refuse("invalid_request", `There is no field ${field} here`, { field });
  }
  const field = fieldOf(path);
  const facts: Record<string, string | number> = field === "" ? {} : { field };
  let code: ErrorCode = "invalid_request";
  if (issue.code === "custom") {
    const params = issue.params as Partial<Fault> | undefined;
    if (params?.limit !== undefined) facts["limit"] = params.limit;
    if (params?.actual !== undefined) facts["actual"] = params.actual;
    if (params?.position !== undefined) facts["position"] = params.position;
    code = params?.code ?? code;
  } else if (issue.code === "too_big" || issue.code === "too_small") {
    facts["limit"] = Number(issue.code === "too_big" ? issue.maximum : issue.minimum);
    const found = valueAt(value, path);
    // A number of a query is still text there.
    const isNumber = issue.origin === "number" || issue.origin === "int";
    const actual = sizeOf(isNumber && typeof found === "string" ? Number(found) : found);
    if (actual !== undefined) facts["actual"] = actual;
  }
  return refuse(code, `${field || "The body"}: ${issue.message}`, facts satisfies Facts);
}

/** Of the shapes that a value may have, the one it comes nearest to. */
function nearestOf(branches: readonly (readonly Issue[])[]): Issue | undefined {
  let best: readonly Issue[] | undefined;
  for (const branch of branches) {
    if (best === undefined || depthOf(branch) > depthOf(best)) best = branch;
  }
  return best !== undefined && depthOf(best) > 0 ? best[0] : undefined;
}

const depthOf = (issues: readonly Issue[]): number => {
  const first = issues[0];
  if (first === undefined) return 0;
  // Of two shapes that both know too few of the fields, the one that misses fewer.
  const known = first.code === "unrecognized_keys" ? 1 / (1 + first.keys.length) : 0;
  return first.path.length + known;
};

function sizeOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "string") return utf8Length(value);
  return Array.isArray(value) ? value.length : undefined;
}

function valueAt(value: unknown, path: Path): unknown {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return at;
}

/** `messages[3].delayMs` */
function fieldOf(path: Path): string {
  let field = "";
  for (const step of path) {
    if (typeof step === "number") field += `[${step}]`;
    else field += field === "" ? String(step) : `.${String(step)}`;
  }
  return field;
}

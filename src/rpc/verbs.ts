/**
 * The program's verbs as calls: the path of each, and its body as JSON text, whatever kinds of values the caller sent. It
 * never looks at what is in there.
 */
import { z } from "zod";
import { check } from "../api/parse.ts";
import type { BindingCall, Hold } from "../protocol/calling.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";

const GROUP = "/v1/topics/{topic}/groups/{group}";

/** What each verb calls; its arguments are the names in the braces, a body and options. */
const CALLS = {
  send: ["POST", "/v1/topics/{topic}/messages"],
  message: ["GET", "/v1/messages/{id}"],
  recall: ["DELETE", "/v1/messages/{id}"],
  retime: ["PATCH", "/v1/messages/{id}"],
  prepare: ["POST", "/v1/topics/{topic}/transactions"],
  commit: ["POST", "/v1/transactions/{id}/commit"],
  rollback: ["POST", "/v1/transactions/{id}/rollback"],
  unknown: ["POST", "/v1/transactions/{id}/unknown"],
  resume: ["POST", "/v1/transactions/{id}/resume"],
  transaction: ["GET", "/v1/transactions/{id}"],
  receiveChecks: ["POST", "/v1/producer-groups/{group}/checks/receive"],
  receive: ["POST", `${GROUP}/receive`],
  ack: ["POST", `${GROUP}/ack`],
  nack: ["POST", `${GROUP}/nack`],
  extend: ["POST", `${GROUP}/extend`],
} as const satisfies Record<string, readonly [BindingCall["method"], string]>;

export type Verb = keyof typeof CALLS;

export const VERBS = Object.keys(CALLS) as readonly Verb[];

const FIELDS = /\{(\w+)\}/g;

const optionsSchema = z
  .strictObject({
    idempotencyKey: z.string().optional(),
    traceparent: z.string().optional(),
    hold: z.custom<Hold>((value) => typeof value === "function", "a function").optional(),
  })
  .optional();

interface VerbCall {
  readonly call: BindingCall;
  readonly hold: Hold | undefined;
}

/** Refused: a name that no path can carry, what is not JSON, and options that are none. */
export function callOf(verb: Verb, given: readonly unknown[]): Outcome<VerbCall> {
  const [method, template] = CALLS[verb];
  const fields = [...template.matchAll(FIELDS)].map(([, field = ""]) => field);
  const [body, how] = given.slice(fields.length);
  const options = check(optionsSchema, how);
  if (!options.ok) return options;
  const path = pathOf(template, fields, given);
  if (!path.ok) return path;
  const text = textOf(body);
  if (!text.ok) return text;
  const { idempotencyKey, traceparent, hold } = options.value ?? {};
  const headers = {
    ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  const call = { method, path: path.value, headers };
  return accept({ call: text.value === undefined ? call : { ...call, text: text.value }, hold });
}

function pathOf(
  template: string,
  fields: readonly string[],
  given: readonly unknown[],
): Outcome<string> {
  let path = template;
  for (const [at, field] of fields.entries()) {
    const name = given[at];
    if (typeof name !== "string" || name === "" || !name.isWellFormed()) {
      return refuse("invalid_request", `${field}: a text that is not empty`, { field });
    }
    path = path.replace(`{${field}}`, () => encodeURIComponent(name));
  }
  return accept(path);
}

/** A caller's function or object is a stub here, of which nothing is left in JSON. */
function textOf(body: unknown): Outcome<string | undefined> {
  try {
    return accept(JSON.stringify(body) as string | undefined);
  } catch (error) {
    return refuse("invalid_json", error instanceof Error ? error.message : "It is not JSON");
  }
}

/**
 * The steps that each way in takes a call through once it knows the operation: key, names, scopes, query, body, handler.
 * What is right here is right however it came. It never reads from a connection itself and never answers on one.
 */
import type { z } from "zod";
import type { Principal } from "../auth/principal.ts";
import { nameFault } from "../core/name.ts";
import type { SentText } from "../core/raw-body.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Scope } from "../protocol/rpc.ts";
import { nothing } from "./fields.ts";
import type { Answer, AskedRequest, Call, Edge, Operation } from "./operation.ts";
import { check, checkQuery, parseJson } from "./parse.ts";
import { pathOf } from "./path.ts";
import { forbids } from "./scopes.ts";

/** An operation with who may call it. */
export interface Mounted {
  readonly operation: Operation;
  readonly scopes: readonly Scope[] | "open";
}

/** A call as it came in. */
export interface Asked {
  readonly request: AskedRequest;
  /** Decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Asked once it is known that the caller may call at all. */
  readonly readBody: () => Promise<Outcome<SentText>> | Outcome<SentText>;
  /** Work that goes on although the caller is gone. */
  readonly outlive: (work: Promise<unknown>) => void;
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const NAMES = ["topic", "group", "name"] as const;
const NO_TEXT: SentText = { bytes: new Uint8Array(), text: "" };
const NOBODY: Principal = { namespace: "", scopes: [], root: false, keyName: "" };

export async function perform(
  edge: Edge,
  mounted: Mounted,
  asked: Asked,
): Promise<Outcome<Answer>> {
  const call = await callOf(edge, mounted, asked);
  return call.ok ? mounted.operation.handle(edge, call.value) : call;
}

/** The caller's own, where it is one. */
export const requestIdOf = (edge: Edge, given: string | null | undefined): string =>
  typeof given === "string" && REQUEST_ID.test(given) ? given : edge.newRequestId();

/** What nobody foresaw, as a refusal that can be found in the log by its request id. */
export function bugOf(
  edge: Edge,
  where: { readonly requestId: string; readonly method: string; readonly path: string },
  error: unknown,
): Refusal {
  edge.log.error("internal_error", {
    ...where,
    reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  const { requestId } = where;
  return refuse("internal_error", "A bug; the log has it under the request id", { requestId });
}

async function callOf(
  edge: Edge,
  { operation, scopes }: Mounted,
  { request, params, readBody, outlive }: Asked,
): Promise<Outcome<Call>> {
  const known = scopes === "open" ? accept(NOBODY) : edge.authenticate(request);
  // A wait for what is there already costs a turn of every request.
  const caller = known instanceof Promise ? await known : known;
  if (!caller.ok) return caller;
  const { url } = request;
  const misnamed = encodingRefusal(url) ?? nameRefusal(params);
  if (misnamed !== undefined) return misnamed;
  const forbidden = scopes === "open" ? undefined : forbids(caller.value, scopes, params["topic"]);
  if (forbidden !== undefined) return forbidden;
  const isBare = operation.query === undefined && !url.includes("?");
  const query = isBare ? accept({}) : checkQuery(operation.query ?? nothing, url);
  if (!query.ok) return query;
  const call = { request, params, caller: caller.value, query: query.value, outlive };
  if (operation.body === undefined) return accept({ ...call, body: undefined, sent: NO_TEXT });
  const sent = await readBody();
  if (!sent.ok) return sent;
  const body = bodyOf(operation, operation.body, sent.value.text);
  return body.ok ? accept({ ...call, body: body.value, sent: sent.value }) : body;
}

function bodyOf(operation: Operation, schema: z.ZodType, text: string): Outcome<unknown> {
  const value = parseJson(text);
  if (!value.ok) return value;
  const plain = operation.plain?.(value.value);
  if (plain !== undefined) return accept(plain);
  return check(operation.shapeOf?.(value.value) ?? schema, value.value);
}

/** What cannot be decoded would else be taken as a name with percent signs. */
function encodingRefusal(url: string): Refusal | undefined {
  const path = pathOf(url);
  if (!path.includes("%")) return undefined;
  try {
    decodeURIComponent(path);
    return undefined;
  } catch {
    const detail = "The path is not UTF-8 in percent-encoding; a % in a name is written %25";
    return refuse("invalid_request", detail, { field: "path" });
  }
}

function nameRefusal(params: Readonly<Record<string, string>>): Refusal | undefined {
  for (const field of NAMES) {
    const text = params[field];
    const fault = text === undefined ? undefined : nameFault(text);
    if (fault === undefined) continue;
    const { message, ...facts } = fault;
    return refuse("invalid_request", `${field}: ${message}`, { field, ...facts });
  }
  return undefined;
}

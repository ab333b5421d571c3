/**
 * The native HTTP dialect: mounts the catalogue and takes each request through the same steps: request id, key, names,
 * scopes, body, handler, answer. It knows no route by itself and no object at all.
 */
import { Hono, type Context } from "hono";
import type { z } from "zod";
import type { Principal } from "../auth/principal.ts";
import { nameFault } from "../core/name.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Scope } from "../protocol/rpc.ts";
import { CATALOGUE } from "./catalogue.ts";
import { nothing } from "./fields.ts";
import type { Answer, Call, Edge, Operation, SentText } from "./operation.ts";
import { check, checkQuery, parseJson } from "./parse.ts";
import { pathOf } from "./path.ts";
import { problemResponse } from "./problem.ts";
import { readBody } from "./read-body.ts";
import { forbids, scopesOf } from "./scopes.ts";

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const NAMES = ["topic", "group", "name"] as const;
const NO_TEXT: SentText = { bytes: new Uint8Array(), text: "" };
const NOBODY: Principal = { namespace: "", scopes: [], root: false, keyName: "" };

export function createApp(edge: Edge): Hono {
  const app = new Hono();
  for (const operation of CATALOGUE) {
    const path = operation.path.replaceAll(/\{(\w+)\}/g, ":$1");
    const scopes = scopesOf(operation);
    app.on(operation.method, path, (context) =>
      guarded(edge, context, async (headers) => {
        const call = await callOf(edge, { operation, scopes }, context);
        if (!call.ok) return problemResponse(call, headers);
        const outcome = await operation.handle(edge, call.value);
        return outcome.ok ? answerOf(outcome.value, headers) : problemResponse(outcome, headers);
      }),
    );
  }
  app.notFound((context) =>
    guarded(edge, context, async (headers) => {
      const caller = await edge.authenticate(context.req.raw);
      return problemResponse(caller.ok ? unknown(context, headers) : caller, headers);
    }),
  );
  return app;
}

type Headers = Record<string, string>;

/** Gives a request its id, and turns what nobody foresaw into a problem that can be found in the log by it. */
function guarded(
  edge: Edge,
  context: Context,
  run: (headers: Headers) => Promise<Response>,
): Promise<Response> {
  const given = context.req.raw.headers.get("x-request-id");
  const requestId = given !== null && REQUEST_ID.test(given) ? given : edge.newRequestId();
  const headers = { "x-request-id": requestId };
  return run(headers).catch((error: unknown) => {
    edge.log.error("internal_error", {
      requestId,
      method: context.req.method,
      path: pathOf(context.req.url),
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    const refusal = refuse("internal_error", "A bug; the log has it under the request id", {
      requestId,
    });
    return problemResponse(refusal, headers);
  });
}

interface Mounted {
  readonly operation: Operation;
  readonly scopes: readonly Scope[] | "open";
}

async function callOf(
  edge: Edge,
  { operation, scopes }: Mounted,
  context: Context,
): Promise<Outcome<Call>> {
  const request = context.req.raw;
  const known = scopes === "open" ? accept(NOBODY) : edge.authenticate(request);
  // A wait for what is there already costs a turn of every request.
  const caller = known instanceof Promise ? await known : known;
  if (!caller.ok) return caller;
  const params: Record<string, string> = context.req.param();
  const { url } = request;
  const misnamed = encodingRefusal(url) ?? nameRefusal(params);
  if (misnamed !== undefined) return misnamed;
  const forbidden = scopes === "open" ? undefined : forbids(caller.value, scopes, params["topic"]);
  if (forbidden !== undefined) return forbidden;
  const isBare = operation.query === undefined && !url.includes("?");
  const query = isBare ? accept({}) : checkQuery(operation.query ?? nothing, url);
  if (!query.ok) return query;
  const outlive = (work: Promise<unknown>): void => context.executionCtx.waitUntil(work);
  const call = { request, params, caller: caller.value, query: query.value, outlive };
  if (operation.body === undefined) return accept({ ...call, body: undefined, sent: NO_TEXT });
  const sent = await readBody(request);
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

function answerOf(
  { body, status = 200, contentType = "application/json", headers: more, upgraded }: Answer,
  headers: Headers,
): Response {
  if (upgraded !== undefined) return upgraded;
  headers["content-type"] = contentType;
  return new Response(body, { status, headers: Object.assign(headers, more) });
}

/** Patterns of the catalogue's paths, for a request that no route took. */
const PATHS = CATALOGUE.map(({ path, method }) => ({
  method,
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
}));

function unknown(context: Context, headers: Headers): Refusal {
  const path = pathOf(context.req.url);
  const methods = PATHS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
  if (methods.length === 0) return refuse("route_not_found", `There is nothing at ${path}`);
  const allow = [...new Set(methods)].join(", ");
  headers["allow"] = allow;
  return refuse("method_not_allowed", `This path takes ${allow}`, { allow: methods });
}

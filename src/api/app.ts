/**
 * The native HTTP dialect: mounts the catalogue, and turns requests into calls and outcomes into answers; what lies between
 * is perform.ts. It knows no route by itself and no object at all.
 */
import { Hono, type Context } from "hono";
import type { Refusal } from "../protocol/errors.ts";
import { CATALOGUE } from "./catalogue.ts";
import type { Answer, Edge } from "./operation.ts";
import { pathOf } from "./path.ts";
import { bugOf, perform, requestIdOf } from "./perform.ts";
import { problemResponse } from "./problem.ts";
import { readBody } from "./read-body.ts";
import { methodsAt, missing } from "./routes.ts";
import { scopesOf } from "./scopes.ts";

export function createApp(edge: Edge): Hono {
  const app = new Hono();
  for (const operation of CATALOGUE) {
    const path = operation.path.replaceAll(/\{(\w+)\}/g, ":$1");
    const mounted = { operation, scopes: scopesOf(operation) };
    app.on(operation.method, path, (context) =>
      guarded(edge, context, async (headers) => {
        const request = context.req.raw;
        const outcome = await perform(edge, mounted, {
          request,
          params: context.req.param(),
          readBody: () => readBody(request),
          outlive: (work) => context.executionCtx.waitUntil(work),
        });
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

/** Gives a request its id, and turns what nobody foresaw into a problem. */
function guarded(
  edge: Edge,
  context: Context,
  run: (headers: Headers) => Promise<Response>,
): Promise<Response> {
  const requestId = requestIdOf(edge, context.req.raw.headers.get("x-request-id"));
  const headers = { "x-request-id": requestId };
  return run(headers).catch((error: unknown) => {
    const { method, url } = context.req;
    return problemResponse(bugOf(edge, { requestId, method, path: pathOf(url) }, error), headers);
  });
}

function answerOf(
  { body, status = 200, contentType = "application/json", headers: more, upgraded }: Answer,
  headers: Headers,
): Response {
  if (upgraded !== undefined) return switching(upgraded, headers);
  headers["content-type"] = contentType;
  return new Response(body, { status, headers: Object.assign(headers, more) });
}

/** A 101 keeps its socket and what was agreed on; what came from an object cannot be written to. */
function switching(upgraded: Response, headers: Headers): Response {
  const answer = new Response(null, upgraded);
  for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value);
  return answer;
}

function unknown(context: Context, headers: Headers): Refusal {
  const path = pathOf(context.req.url);
  const methods = methodsAt(path);
  if (methods.length > 0) headers["allow"] = methods.join(", ");
  return missing(path, methods);
}

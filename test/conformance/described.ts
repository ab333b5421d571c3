/**
 * Holds every answer of a route that `GET /openapi.json` describes against what stands there: a client that is generated from
 * the description reads all of it, and finds nothing that it was not told of. Knows nothing of the code.
 */
import { expect } from "vitest";
import { z } from "zod";
import type { Target } from "./kit.ts";

type Json = Readonly<Record<string, unknown>>;
type Check = (method: string, path: string, status: number, answer: unknown) => void;

interface Route {
  readonly method: string;
  readonly path: RegExp;
  /** By status. */
  readonly responses: Json;
  readonly checks: Map<number, z.ZodType | undefined>;
}

/** By the name of their server. */
const documents = new Map<string, Promise<Check>>();

/** Of a server, asked for its description once. */
export function describedBy(target: Target): Promise<Check> {
  let known = documents.get(target.name);
  if (known === undefined) documents.set(target.name, (known = read(target)));
  return known;
}

async function read(target: Target): Promise<Check> {
  const headers = { authorization: `Bearer ${target.key}` };
  const answer = await target.fetch("/openapi.json", { headers });
  const document = (await answer.json()) as Json;
  const components = (document["components"] as { schemas: Json }).schemas;
  const routes = Object.entries(document["paths"] as Record<string, Json>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, described]) => ({
        method: method.toUpperCase(),
        path: new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`, "u"),
        responses: (described as { responses: Json }).responses,
        checks: new Map<number, z.ZodType | undefined>(),
      })),
  );
  return (method, path, status, answer) => {
    const [bare = path] = path.split("?");
    const route = routes.find((each) => each.method === method && each.path.test(bare));
    if (route === undefined) return;
    const checked = checkOf(route, status, components)?.safeParse(answer);
    const issues = checked?.error?.issues;
    expect(
      issues,
      `${method} ${path} ${status}: ${JSON.stringify(answer).slice(0, 600)}`,
    ).toBeUndefined();
  };
}

function checkOf(route: Route, status: number, components: Json): z.ZodType | undefined {
  if (route.checks.has(status)) return route.checks.get(status);
  const response = route.responses[String(status)] as
    | { readonly content?: Readonly<Record<string, { readonly schema: Json }>> }
    | undefined;
  expect(response, `${route.method} ${route.path} answers ${status}, as described`).toBeDefined();
  const schema = response?.content?.["application/json"]?.schema;
  const check =
    schema === undefined ? undefined : z.fromJSONSchema(closed(schema, components) as never);
  route.checks.set(status, check);
  return check;
}

/** With what it refers to in it, and nothing more than it names. */
function closed(schema: unknown, components: Json): unknown {
  if (Array.isArray(schema)) return schema.map((each) => closed(each, components));
  if (typeof schema !== "object" || schema === null) return schema;
  const { $ref: name } = schema as { $ref?: string };
  if (name !== undefined)
    return closed(components[name.replace("#/components/schemas/", "")], components);
  const { properties, ...keywords } = schema as { properties?: Json };
  const each = closedEach(keywords, components);
  if (properties === undefined) return each;
  return { ...each, properties: closedEach(properties, components), additionalProperties: false };
}

/** The names may be anything, also those of keywords. */
const closedEach = (schemas: Json, components: Json): Json =>
  Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, closed(schema, components)]),
  );

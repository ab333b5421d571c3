/**
 * The server's own description, read back as the list of everything that can be asked: each route with its scopes and the
 * schemas of its query and body. It knows no route by itself, so that a new one is covered on the day it is described.
 */
import { expect } from "vitest";
import type { Mq } from "../client.ts";
import type { Request } from "./ask.ts";
import { smallest } from "./values.ts";

/** As much of JSON Schema as the description uses. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

export interface Route {
  readonly method: string;
  /** With `{names}`. */
  readonly path: string;
  readonly query: Readonly<Record<string, Schema>>;
  readonly body?: Schema;
  /** Absent: open to all. */
  readonly scopes?: readonly string[];
}

interface Described {
  readonly parameters: readonly { name: string; in: string; schema: Schema }[];
  readonly requestBody?: { content: Record<string, { schema: Schema }> };
  readonly security: readonly unknown[];
  readonly "x-scopes"?: readonly string[];
}

export async function routesOf(mq: Mq): Promise<readonly Route[]> {
  const document = await mq.ok<{ paths: Record<string, Record<string, Described>> }>(
    "GET",
    "/openapi.json",
  );
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => routeOf(method, path, described)),
  );
  expect(routes.length).toBeGreaterThan(40);
  return routes;
}

function routeOf(method: string, path: string, described: Described): Route {
  const query = described.parameters.filter((each) => each.in === "query");
  const body = described.requestBody?.content["application/json"]?.schema;
  const scopes = described.security.length === 0 ? undefined : described["x-scopes"];
  return {
    method: method.toUpperCase(),
    path,
    query: Object.fromEntries(query.map(({ name, schema }) => [name, schema])),
    ...(body === undefined ? {} : { body }),
    ...(scopes === undefined ? {} : { scopes }),
  };
}

/** A path with its parameters in place, as they are in a URL. */
export const filled = (path: string, parameters: Readonly<Record<string, string>>): string =>
  path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => parameters[name] ?? "x");

/** A request that is right but for what a test adds. */
export function requestTo({ method, body }: Route, path: string): Request {
  return body === undefined
    ? { method, path }
    : { method, path, body: JSON.stringify(smallest(body)) };
}

/**
 * `/openapi.json`: the catalogue as OpenAPI 3.1. What it says of requests is taken from the schemas that check them, of
 * answers from answers.ts. It is made at the first request for it and is the same for everybody.
 */
import { z } from "zod";
import { accept, ERRORS } from "../protocol/errors.ts";
import { ANSWER_COMPONENTS, ANSWERS, TEXT_ANSWERS } from "./answers.ts";
import { nothing } from "./fields.ts";
import { operation, type Operation } from "./operation.ts";
import { scopesOf } from "./scopes.ts";

const PROBLEM = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "retryable"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { enum: Object.keys(ERRORS) },
    retryable: { type: "boolean" },
    field: { type: "string" },
    limit: { type: "number" },
    actual: {},
  },
  additionalProperties: true,
};

const schemaOf = (schema: z.ZodType, io: "input" | "output"): Record<string, unknown> => {
  const { $schema: _$schema, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    reused: "inline",
  });
  return inlined(rest, rest.$defs);
};

/** A schema that stands for itself: OpenAPI would look for its definitions at the document's root. */
function inlined(
  schema: unknown,
  definitions: Readonly<Record<string, unknown>> | undefined,
): Record<string, unknown> {
  const text = JSON.stringify(schema, (key, value: unknown) => {
    // A schema's own id is a text; a member that is called so is a schema.
    if (key === "$defs" || (key === "id" && typeof value === "string")) return undefined;
    if (typeof value !== "object" || value === null || !("$ref" in value)) return value;
    return definitions?.[String(value.$ref).replace("#/$defs/", "")] ?? value;
  });
  return JSON.parse(text) as Record<string, unknown>;
}

function parametersOf(each: Operation): unknown[] {
  const inPath = Array.from(each.path.matchAll(/\{(\w+)\}/g), ([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(each.query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema: schemaOf(schema as z.ZodType, "output"),
  }));
  const inHeader = each.isKeyed
    ? [
        {
          name: "Idempotency-Key",
          in: "header",
          required: false,
          schema: { type: "string", minLength: 1, maxLength: 128 },
        },
      ]
    : [];
  return [...inPath, ...inQuery, ...inHeader];
}

/** What comes with a status; nothing with a 101, after which there are frames. */
function answered({ method, path }: Operation, status: number): Record<string, unknown> {
  const route = `${method} ${path}`;
  const description = "Done";
  const schema = ANSWERS[route];
  const type = TEXT_ANSWERS[route] ?? (schema === undefined ? undefined : "application/json");
  if (type === undefined || status === 101) return { description };
  return { description, content: { [type]: { schema: schema ?? { type: "string" } } } };
}

function describe(each: Operation): unknown {
  const scopes = scopesOf(each);
  const problem = {
    description: "A refusal",
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
  const answers = each.statuses.map((status) => [String(status), answered(each, status)] as const);
  const body = each.body === undefined ? undefined : schemaOf(each.body, "input");
  return {
    summary: each.summary,
    operationId: operationIdOf(each),
    parameters: parametersOf(each),
    ...(body === undefined
      ? {}
      : { requestBody: { content: { "application/json": { schema: body } } } }),
    responses: { ...Object.fromEntries(answers), default: problem },
    security: scopes === "open" ? [] : [{ key: [] }],
    ...(scopes === "open" ? {} : { "x-scopes": scopes }),
  };
}

const operationIdOf = ({ method, path }: Operation): string =>
  `${method.toLowerCase()}${path.replace(/^\/(?:v1)?/, "").replace(/[^A-Za-z0-9]+(\w?)/g, (_, next: string) => `_${next}`)}`;

function documentOf(operations: readonly Operation[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const each of operations) {
    const path = (paths[each.path] ??= {});
    path[each.method.toLowerCase()] = describe(each);
  }
  return {
    openapi: "3.1.0",
    info: { title: "HalfMQ", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: { Problem: PROBLEM, ...ANSWER_COMPONENTS },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
  };
}

export function openapiOperation(described: readonly Operation[]): Operation {
  let made: string | undefined;
  const self: Operation = operation({
    method: "GET",
    path: "/openapi.json",
    summary: "This description",
    statuses: [200],
    query: nothing,
    handle(edge) {
      made ??= JSON.stringify(documentOf([...described, self], edge.version));
      return Promise.resolve(accept({ body: made }));
    },
  });
  return self;
}

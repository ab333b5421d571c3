/** What every route has in common: keys, scopes, ids, problems, unknown routes and methods. */
import { expect, test } from "vitest";
import { CATALOGUE } from "../../src/api/catalogue.ts";
import { SCOPES } from "../../src/api/scopes.ts";
import { accept, ERRORS, refuse, type ErrorCode } from "../../src/protocol/errors.ts";
import { testEdge } from "./edge.node.ts";

const concrete = (path: string): string => path.replaceAll(/\{\w+\}/g, "x");

test.each(CATALOGUE.map(({ method, path }) => [method, path]))(
  "%s %s needs a key, but for health",
  async (method, path) => {
    const { call, asked } = testEdge();
    const answer = await call(method, concrete(path), undefined, { key: "" });
    expect(answer.status).toBe(path === "/v1/health" ? 200 : 401);
    expect(asked).toEqual([]);
    if (path === "/v1/health") return;
    expect(answer.json["code"]).toBe("unauthenticated");
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  },
);

test("every operation stands in the table of scopes, and nothing else does", () => {
  const mounted = CATALOGUE.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(mounted).size).toBe(mounted.length);
  expect(Object.keys(SCOPES).toSorted()).toEqual(mounted.toSorted());
});

test.each(
  CATALOGUE.filter(({ method, path }) => {
    const scopes = SCOPES[`${method} ${path}`];
    return scopes !== "open" && !path.includes("{id}") && !scopes?.includes("send");
  }).map(({ method, path }) => [method, path]),
)("%s %s is forbidden to a key that may only send", async (method, path) => {
  const { call, asked } = testEdge();
  const answer = await call(method, concrete(path), method === "GET" ? undefined : {}, {
    key: "sender",
  });
  expect(answer).toMatchObject({ status: 403, json: { code: "forbidden" } });
  expect(asked).toEqual([]);
});

test("a key bound to topics reaches just these, in a path and behind an id", async () => {
  const { call } = testEdge({
    send: () => Promise.resolve(accept({ messages: [], replayed: false })),
    recall: ({ permit, id }) => Promise.resolve(permit("b") ?? accept({ id })),
  });
  const bound = { key: "bound" };
  expect((await call("POST", "/v1/topics/a-1/messages", { body: 1 }, bound)).status).toBe(200);
  expect((await call("POST", "/v1/topics/exact/messages", { body: 1 }, bound)).status).toBe(200);
  expect((await call("POST", "/v1/topics/exactly/messages", { body: 1 }, bound)).status).toBe(403);
  expect((await call("POST", "/v1/topics/b/messages", { body: 1 }, bound)).status).toBe(403);
  expect((await call("DELETE", "/v1/messages/ml_1_0_0", undefined, bound)).status).toBe(403);
});

test("the request id comes back, or one is made", async () => {
  const { call } = testEdge();
  const given = await call("GET", "/v1/health", undefined, {
    headers: { "x-request-id": "abc-1" },
  });
  expect(given.headers.get("x-request-id")).toBe("abc-1");
  for (const id of ["", "x".repeat(129), "a b"]) {
    const made = await call("GET", "/v1/nowhere", undefined, { headers: { "x-request-id": id } });
    expect(made.headers.get("x-request-id")).toMatch(/^made-/u);
  }
});

test("an unknown route is 404, a known path with another method 405 with Allow", async () => {
  const { call } = testEdge();
  for (const path of [
    "/",
    "/v1",
    "/v1/topics/",
    "/v1/topics/t/stream",
    "/v1/nowhere/s",
    "/v1/transactions//commit",
  ]) {
    expect(await call("POST", path, {}), path).toMatchObject({
      status: 404,
      json: { code: "route_not_found" },
    });
  }
  const answer = await call("PATCH", "/v1/topics/t");
  expect(answer).toMatchObject({ status: 405, json: { code: "method_not_allowed" } });
  expect(answer.headers.get("allow")?.split(", ").toSorted()).toEqual(["DELETE", "GET", "PUT"]);
  expect((await call("GET", "/v1/nowhere", undefined, { key: "" })).status).toBe(401);
});

test("a problem has the shape of RFC 9457, its facts beside it", async () => {
  const { call } = testEdge({
    topic: () =>
      Promise.resolve(refuse("topic_not_found", "gone", { topic: "t", code: "no", status: 7 })),
  });
  const answer = await call("GET", "/v1/topics/t");
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.json).toEqual({
    type: "urn:halfmq:problem:topic_not_found",
    title: ERRORS.topic_not_found.title,
    status: 404,
    detail: "gone",
    code: "topic_not_found",
    retryable: false,
    topic: "t",
  });
});

test.each(Object.keys(ERRORS) as ErrorCode[])(
  "%s answers its status, with Retry-After on 429 and 503",
  async (code) => {
    const { call } = testEdge({
      topic: () => Promise.resolve({ ...refuse(code, ""), retryAfterMs: 2_001 }),
    });
    const answer = await call("GET", "/v1/topics/t");
    const { status, retryable } = ERRORS[code];
    expect(answer).toMatchObject({ status, json: { code, status, retryable } });
    expect(answer.headers.get("retry-after")).toBe([429, 503].includes(status) ? "3" : null);
  },
);

test("a stale route that got lost is 503, and what nobody foresaw is 500 with its id in the log", async () => {
  const stale = testEdge({ topic: () => Promise.resolve(refuse("stale_route", "")) });
  const lost = await stale.call("GET", "/v1/topics/t");
  expect(lost).toMatchObject({ status: 503, json: { code: "unavailable" } });
  expect(lost.headers.get("retry-after")).toBe("1");
  const broken = testEdge({ topic: () => Promise.reject(new Error("secret")) });
  const answer = await broken.call("GET", "/v1/topics/t", undefined, {
    headers: { "x-request-id": "r1" },
  });
  expect(answer).toMatchObject({ status: 500, json: { code: "internal_error" } });
  expect(answer.text).not.toContain("secret");
  expect(broken.logged).toEqual(["internal_error r1"]);
});

test.each([
  ["a".repeat(127), 200],
  ["a".repeat(128), 400],
  ["%2E.a", 200],
  ["a%2Fb", 400],
  ["a%20b", 400],
  ["%C3%A9", 400],
  ["A-Z_a.z%25", 200],
])("a topic named %s answers %i", async (name, status) => {
  const { call, asked } = testEdge({
    pause: () => Promise.resolve(refuse("unavailable", "")),
    deleteTopic: () => Promise.resolve(accept({ deleted: true as const })),
  });
  const answer = await call("DELETE", `/v1/topics/${name}`);
  expect(answer.status).toBe(status);
  if (status === 400)
    expect(answer.json).toMatchObject({ code: "invalid_request", field: "topic" });
  else expect(asked[0]?.parameters[0]).toMatchObject({ topic: decodeURIComponent(name) });
});

test.each(["%", "%zz", "a%2", "%E0%A4%A", "%C3"])(
  "a path that holds %s is no percent-encoding, and no name with percent signs",
  async (name) => {
    const { call, asked } = testEdge();
    const answer = await call("DELETE", `/v1/topics/${name}`);
    expect(answer).toMatchObject({ status: 400, json: { code: "invalid_request", field: "path" } });
    expect(asked).toEqual([]);
  },
);

test.each(CATALOGUE.map(({ method, path }) => [method, path]))(
  "%s %s refuses a parameter that it does not know",
  async (method, path) => {
    const { call, asked } = testEdge();
    const answer = await call(method, `${concrete(path)}?maxMesages=1`);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "invalid_request", field: "maxMesages" },
    });
    expect(asked).toEqual([]);
  },
);

test("a number of a query that is out of bounds is told as the number that it is", async () => {
  const { call } = testEdge();
  expect((await call("GET", "/v1/topics?limit=1001")).json).toMatchObject({
    field: "limit",
    limit: 1_000,
    actual: 1_001,
  });
  expect((await call("GET", "/v1/topics?limit=0")).json).toMatchObject({ limit: 1, actual: 0 });
});

test("a body that breaks off is refused, and is no bug", async () => {
  const { raw, logged, asked } = testEdge();
  const body = new ReadableStream({
    pull(controller) {
      controller.error(new Error("the client is gone"));
    },
  });
  const headers = { authorization: "Bearer root", "content-type": "application/json" };
  const answer = await raw("POST", "/v1/topics/t/messages", { headers, body, duplex: "half" });
  expect(answer.status).toBe(400);
  expect([logged, asked]).toEqual([[], []]);
});

test("a name in a path that is too long says by how much", async () => {
  const { call } = testEdge();
  expect((await call("GET", `/v1/topics/${"a".repeat(130)}`)).json).toMatchObject({
    code: "invalid_request",
    field: "topic",
    limit: 127,
    actual: 130,
  });
});

test("a body with a content encoding is refused before it is read as text", async () => {
  const { call } = testEdge({ deleteTopic: () => Promise.resolve(refuse("unavailable", "")) });
  const gzip = { text: "{}", headers: { "content-encoding": "gzip" } };
  expect(await call("PUT", "/v1/topics/t", undefined, gzip)).toMatchObject({
    status: 415,
    json: { code: "unsupported_media_type", field: "Content-Encoding", actual: "gzip" },
  });
});

test("the description names every operation, and its references lead somewhere", async () => {
  const { call } = testEdge();
  const { json, text } = await call("GET", "/openapi.json");
  const paths = json["paths"] as Record<string, Record<string, unknown>>;
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.toSorted()).toEqual(
    CATALOGUE.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
  const references = new Set(
    Array.from(text.matchAll(/"\$ref":"([^"]+)"/gu), ([, reference]) => reference),
  );
  const { schemas } = json["components"] as { schemas: Record<string, unknown> };
  const known = Object.keys(schemas).map((name) => `#/components/schemas/${name}`);
  expect([...references].toSorted()).toEqual(known.toSorted());
  const ids = Array.from(text.matchAll(/"operationId":"([^"]+)"/gu), ([, id]) => id);
  expect(new Set(ids).size).toBe(CATALOGUE.length);
  expect(text).toContain('"maxItems":1000');
});

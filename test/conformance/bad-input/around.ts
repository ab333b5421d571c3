/** Bad paths, queries and headers, drawn from the server's own description: every route, one fault after the other. */
import { expect } from "vitest";
import type { Cases, Mq } from "../client.ts";
import { allRefused, ask, someAtOnce, type Wrong } from "./ask.ts";
import { filled, requestTo, type Route, routesOf } from "./document.ts";
import { type Stage, stageIn } from "./stage.ts";
import { accepts } from "./values.ts";

const LONG = "x".repeat(4_000);
const NO_NAMES = [
  "%00",
  "a%00b",
  "a%20b",
  "%C3%A9",
  "%F0%9F%98%80",
  "a%2Fb",
  "%2F",
  "%7B%7D",
  "a;b",
];
const NO_PATHS = ["%", "%zz", "%ff", "%C3", "%E0%A4%A", "a%2"];
const NO_QUERIES = ["fuzz=1", "__proto__=1", "=1", "%00=1", "limit[]=1"];
const NO_NUMBERS = ["", "-1", "1e3", "1.5", "NaN", "+1", "0x1", "%00", "9".repeat(17), LONG];
const NO_NAMESPACES = ["", "..", "A", "x".repeat(64), "a/b", "-a"];
const HEADERS = [
  ["x-request-id", LONG],
  ["traceparent", "00-zz"],
  ["last-event-id", LONG],
  ["last-event-id", "-1"],
  ["if-match", "*"],
  ["sec-websocket-protocol", "halfmq.bearer.!!"],
  ["range", "bytes=0-1"],
  ["cookie", LONG],
] as const;

async function onEachRoute(
  mq: Mq,
  faults: (stage: Stage, route: Route) => Iterable<Wrong>,
): Promise<void> {
  const stage = await stageIn(mq);
  const wrongs = (await routesOf(mq)).flatMap((route) => [...faults(stage, route)]);
  expect(wrongs.length).toBeGreaterThan(100);
  await allRefused(stage, wrongs);
}

export const badSurroundings: Cases = {
  "a path that is no name or no UTF-8 is refused on each route": (mq) =>
    onEachRoute(mq, function* (stage, route) {
      for (const [, parameter = ""] of route.path.matchAll(/\{(\w+)\}/gu))
        for (const bad of [...NO_NAMES, ...NO_PATHS, "x".repeat(128), LONG]) {
          const good = stage.parametersOf(route.path);
          const path = filled(route.path, { ...good, [parameter]: bad });
          const isSure = parameter !== "id" || NO_PATHS.includes(bad);
          yield { request: requestTo(route, path), status: isSure ? [400] : [400, 404] };
        }
    }),

  "each parameter of each query refuses what its schema does not take": (mq) =>
    onEachRoute(mq, function* (stage, route) {
      const twice = Object.keys(route.query).map((name) => `${name}=1&${name}=1`);
      const wrong = Object.entries(route.query).flatMap(([name, schema]) => {
        if (schema.type !== "integer") return [];
        const { minimum = 0, maximum = 0 } = schema;
        const past = [minimum - 1, maximum + 1].filter((value) => !accepts(schema, value));
        return [...NO_NUMBERS, ...past].map((value) => `${name}=${value}`);
      });
      for (const query of [...NO_QUERIES, ...twice, ...wrong])
        yield { request: requestTo(route, `${stage.at(route.path)}?${query}`), status: [400] };
    }),

  "a cursor, a place or a text of a query that is none is refused or taken, without a bug": async (
    mq,
  ) => {
    const stage = await stageIn(mq);
    const requests = (await routesOf(mq)).flatMap((route) =>
      Object.keys(route.query).flatMap((name) =>
        ["", "0", "x", "-1", "%00", "%EF%BF%BD", "eyJ4IjoxfQ", "1.1.1", LONG, "x".repeat(17_000)]
          .filter(() => route.method === "GET")
          .map((value) => requestTo(route, `${stage.at(route.path)}?${name}=${value}`)),
      ),
    );
    await someAtOnce(requests, (request) => ask(stage, request));
  },

  "a namespace that is none is refused on each route": (mq) =>
    onEachRoute(mq, function* (stage, route) {
      if (route.scopes === undefined) return;
      for (const namespace of NO_NAMESPACES) {
        const headers = { "halfmq-namespace": namespace };
        yield { request: { ...requestTo(route, stage.at(route.path)), headers }, status: [400] };
      }
    }),

  "headers that are no good are refused or ignored": async (mq) => {
    const stage = await stageIn(mq);
    const routes = (await routesOf(mq)).filter(({ method }) => method !== "DELETE");
    const requests = routes.flatMap((route) =>
      HEADERS.map(([name, value]) => ({
        ...requestTo(route, stage.at(route.path)),
        headers: { [name]: value },
      })),
    );
    await someAtOnce(requests, (request) => ask(stage, request));
    const keyed = routes.filter(({ path }) => /\{topic\}\/(?:messages|transactions)$/u.test(path));
    const wrongs = keyed
      .filter(({ method }) => method === "POST")
      .flatMap((route) =>
        ["x".repeat(129), LONG].map((key) => ({
          request: {
            ...requestTo(route, stage.at(route.path)),
            headers: { "idempotency-key": key },
          },
          status: [400],
          facts: { field: "Idempotency-Key", limit: 128, actual: key.length },
        })),
      );
    expect(wrongs).toHaveLength(4);
    await allRefused(stage, wrongs);
  },
};

/**
 * Bad bodies, drawn from the server's own description: every route, every field of it, one fault after the other, then
 * several at random. Whatever comes is no bug of the server; what is refused has a problem and leaves nothing behind.
 */
import * as fc from "fast-check";
import { expect } from "vitest";
import type { Cases, Mq } from "../client.ts";
import { allRefused, ask, type Request, someAtOnce, type Wrong } from "./ask.ts";
import { type Route, routesOf, type Schema } from "./document.ts";
import { stageIn } from "./stage.ts";
import { bodyWith, faultsOf, HOSTILE, type Place, placesOf, smallest } from "./values.ts";

type BodyRoute = Route & { readonly body: Schema };

/** What takes the server long when it is taken: a wait, and hundreds of objects. */
const isCostly = ({ field }: Place): boolean => field === "waitMs" || field === "queues";

const bodyRoutes = async (mq: Mq): Promise<BodyRoute[]> =>
  (await routesOf(mq)).filter((route): route is BodyRoute => route.body !== undefined);

/** Runs the faults of every route against a stage of their own. */
async function onEachRoute(
  mq: Mq,
  faults: (route: BodyRoute, to: (body: Request["body"]) => Request) => Iterable<Wrong>,
): Promise<void> {
  const stage = await stageIn(mq);
  const wrongs = (await bodyRoutes(mq)).flatMap((route) => {
    const { method } = route;
    const path = stage.at(route.path);
    return [
      ...faults(route, (body) => (body === undefined ? { method, path } : { method, path, body })),
    ];
  });
  expect(wrongs.length).toBeGreaterThan(100);
  await allRefused(stage, wrongs);
}

const UNKNOWN = ["fuzz", "__proto__", "constructor", "toString", "", "\ud800", "body.x", "[0]"];

const TYPES = [
  "text/plain",
  "application/jsonx",
  "application/problem+json",
  "application/json; charset=latin1",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "garbage",
  "",
];

/** Texts that are no JSON, whatever stands in them. */
function brokenTexts(text: string): (string | Uint8Array<ArrayBuffer>)[] {
  const bytes = [...new TextEncoder().encode(text)];
  const cut = [1, Math.floor(text.length / 2), text.length - 1].map((end) => text.slice(0, end));
  return [
    ...cut,
    `\ufeff${text}`,
    `${text}x`,
    `${text}${text}`,
    text.replace("{", "{x:1,"),
    text.replace("{", '{"x":01,'),
    text.replace("{", '{"x":"\n",'),
    text.replace("{", '{"x":NaN,'),
    "undefined",
    "[".repeat(50_000),
    '{"a":'.repeat(50_000),
    new Uint8Array([...bytes, 0xff]),
    new Uint8Array([0xed, 0xa0, 0x80, ...bytes]),
    new Uint8Array([0xff, 0xfe, ...bytes.flatMap((byte) => [byte, 0])]),
    new Uint8Array([0]),
  ];
}

const HEARD_OUT = new Error("the server heard all of a body that never ends");
/** Mebibytes: more than the limit of a request, and all that lies in buffers on the way. */
const ENDLESS_MIB = 256;

/**
 * It ends after all: Node's fetch goes on to read the body for a connection that is gone, without a pause, until memory is
 * full (nodejs/node#61460).
 */
function endless(): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20);
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (sent++ < ENDLESS_MIB) controller.enqueue(chunk);
      else controller.error(HEARD_OUT);
    },
  });
}

export const badBodies: Cases = {
  "each field of each body refuses what its schema does not take, and names the limit": (mq) =>
    onEachRoute(mq, function* ({ body }, to) {
      for (const place of placesOf(body))
        for (const { json, must, limit, actual } of faultsOf(place.schema)) {
          if (!must) continue;
          const isNamed = limit !== undefined && place.schema.anyOf === undefined;
          const facts = isNamed ? { field: place.field, limit, actual } : {};
          yield { request: to(bodyWith(place, json)), status: [400, 413], facts };
        }
    }),

  "each field of each body takes or refuses all else, without a bug": async (mq) => {
    const stage = await stageIn(mq);
    const requests = (await bodyRoutes(mq)).flatMap((route) =>
      placesOf(route.body).flatMap((place) =>
        faultsOf(place.schema)
          .filter(({ must }) => !must && !isCostly(place))
          .map(({ json }) => ({
            method: route.method,
            path: stage.at(route.path),
            body: bodyWith(place, json),
          })),
      ),
    );
    await someAtOnce(requests, (request) => ask(stage, request));
  },

  "each object of each body refuses a field that it does not know": (mq) =>
    onEachRoute(mq, function* ({ body }, to) {
      for (const place of placesOf(body)) {
        if (place.schema.additionalProperties !== false) continue;
        const known = JSON.stringify(smallest(place.schema));
        for (const name of UNKNOWN) {
          const json = known.replace("{", () => `{${JSON.stringify(name)}:1,`).replace(",}", "}");
          yield { request: to(bodyWith(place, json)), status: [400], code: "invalid_request" };
        }
      }
    }),

  "a body that is no JSON is refused on each route": (mq) =>
    onEachRoute(mq, function* ({ body }, to) {
      for (const text of brokenTexts(JSON.stringify(smallest(body))))
        yield { request: to(text), status: [400], code: "invalid_json" };
    }),

  "a body of another type, or in a content encoding, is refused on each route": (mq) =>
    onEachRoute(mq, function* ({ body }, to) {
      const request = to(JSON.stringify(smallest(body)));
      const types = TYPES.map((type) => ({ "content-type": type }));
      for (const headers of [...types, { "content-encoding": "gzip" }])
        yield { request: { ...request, headers }, status: [415] };
    }),

  "a body that never ends is refused and leaves no trace": async (mq) => {
    const stage = await stageIn(mq);
    const before = await stage.picture();
    const methods = new Set<string>();
    for (const { method, path } of await bodyRoutes(mq)) {
      const request = { method, path: stage.at(path) };
      if (methods.has(method)) continue;
      methods.add(method);
      // A server that has heard enough may hang up on the sender instead.
      const judged = await ask(stage, { ...request, body: endless() }).catch((error: unknown) => {
        expect((error as Error).cause, `${method} ${path}`).not.toBe(HEARD_OUT);
      });
      if (judged !== undefined) expect(judged.json["code"], judged.said).toBe("request_too_large");
    }
    expect(await stage.picture()).toEqual(before);
  },

  "several faults at random are refused or taken, and what is refused leaves no trace": async (
    mq,
  ) => {
    const { seed = 20_261_126, runs = 40 } = mq.target.chance ?? {};
    const routes = (await routesOf(mq)).filter((route) => route.path !== "/v1/health");
    let stage = await stageIn(mq);
    let before = await stage.picture();
    await fc.assert(
      fc.asyncProperty(requestsOf(routes), async ({ route, body }) => {
        const made = { method: route.method, path: stage.at(route.path) };
        const judged = await ask(stage, body === undefined ? made : { ...made, body });
        const after = await stage.picture();
        if (judged.isRefused) expect(after, judged.said).toEqual(before);
        before = after;
        if (judged.isRefused || route.method !== "DELETE") return;
        stage = await stageIn(mq);
        before = await stage.picture();
      }),
      { seed, numRuns: runs },
    );
  },
};

interface Tried {
  readonly route: Route;
  readonly body?: string;
}

/** A route, a body with a hostile value in one of its places, and a text that is cut or has something put in. */
function requestsOf(routes: readonly Route[]): fc.Arbitrary<Tried> {
  const values = fc.oneof(fc.constantFrom(...HOSTILE), fc.json({ maxDepth: 4 }));
  const texts = (body: Schema): fc.Arbitrary<string> => {
    const places = placesOf(body).filter((place) => !isCostly(place));
    return fc
      .tuple(fc.constantFrom(...places), values)
      .map(([place, json]) => bodyWith(place, json));
  };
  const edit = fc.tuple(fc.nat(), fc.nat(8), fc.string({ unit: "binary", maxLength: 4 }));
  const edited = (body: Schema): fc.Arbitrary<string> =>
    fc.tuple(texts(body), edit).map(([text, [at, gone, put]]) => {
      const cut = at % (text.length + 1);
      return text.slice(0, cut) + put + text.slice(cut + gone);
    });
  return fc.constantFrom(...routes).chain((route): fc.Arbitrary<Tried> => {
    if (route.body === undefined) return fc.constant({ route });
    return fc.oneof(texts(route.body), edited(route.body)).map((body) => ({ route, body }));
  });
}

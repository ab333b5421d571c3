/** Calls over RPC against a broker made of memory: what is refused before it is asked, and what it hears. */
import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/broker.ts";
import { accept } from "../../src/protocol/errors.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { answerOf, ask, resultOf } from "../../src/rpc/calls.ts";
import { principalOf } from "../../src/rpc/rights.ts";
import { testEdge } from "../api/edge.node.ts";

const RIGHTS = { props: { scopes: ["send", "transact", "consume", "manage"] } };
const SEND = { method: "POST", path: "/v1/topics/t/messages", text: '{"body":1}' };
const SENT = { messages: [{ id: "m", queue: 0, offset: 0, state: "ready" }], replayed: false };
const send = (() => Promise.resolve(accept(SENT))) as unknown as Broker["send"];

function door(
  answers: Parameters<typeof testEdge>[0] = { send },
  rights: { props: unknown } = RIGHTS,
) {
  const world = testEdge(answers);
  const outlived: Promise<unknown>[] = [];
  const call = (given: unknown, hold?: unknown) =>
    ask(world.edge, given, {
      caller: principalOf(rights.props),
      hold,
      outlive: (work) => void outlived.push(work),
    });
  return { ...world, outlived, call };
}

test("a call is answered as a request of HTTP is", async () => {
  const { call, asked } = door();
  const answer = answerOf(await call({ ...SEND, headers: { "x-request-id": "mine" } }));
  expect(answer).toEqual({
    status: 200,
    headers: { "x-request-id": "mine", "content-type": "application/json" },
    body: JSON.stringify({ messages: SENT.messages }),
  });
  const parameters = [
    { namespace: "default", topic: "t" },
    { messages: [{ body: { json: "1", utf8: Uint8Array.of(49) } }] },
  ];
  expect(asked).toEqual([{ verb: "send", parameters }]);
});

test.each([
  ["nothing", undefined, 400, "invalid_request"],
  ["a function", () => 1, 400, "invalid_request"],
  ["an unknown field", { ...SEND, body: 1 }, 400, "invalid_request"],
  [
    "an unknown header",
    { ...SEND, headers: { authorization: "Bearer x" } },
    400,
    "invalid_request",
  ],
  ["a method that is none", { ...SEND, method: "TRACE" }, 400, "invalid_request"],
  ["a path that is none", { ...SEND, path: "v1/topics" }, 400, "invalid_request"],
  ["a host in the path", { ...SEND, path: "//evil.test/v1/health" }, 404, "route_not_found"],
  ["an unknown path", { ...SEND, path: "/v1/nothing" }, 404, "route_not_found"],
  ["an empty segment", { ...SEND, path: "/v1/topics//messages" }, 404, "route_not_found"],
  ["another method", { ...SEND, method: "PUT" }, 405, "method_not_allowed"],
  ["a broken encoding", { ...SEND, path: "/v1/topics/%ff/messages" }, 400, "invalid_request"],
  ["text that is no JSON", { ...SEND, text: "{" }, 400, "invalid_json"],
  ["half a character", { ...SEND, text: '{"body":"\ud800"}' }, 400, "invalid_json"],
  ["a query that is unknown", { ...SEND, path: `${SEND.path}?x=1` }, 400, "invalid_request"],
  [
    "too much text",
    { ...SEND, text: `{"body":"${"x".repeat(LIMITS.requestBytesMax)}"}` },
    413,
    "request_too_large",
  ],
  ["a socket", { method: "GET", path: "/v1/topics/t/groups/g/stream" }, 400, "invalid_request"],
])("%s is refused, and the broker is not asked", async (_, given, status, code) => {
  const { call, asked } = door();
  const result = resultOf(await call(given));
  expect(result).toMatchObject({ ok: false, status, code });
  expect(asked).toEqual([]);
});

test.each([
  undefined,
  null,
  {},
  { scopes: [] },
  { scopes: ["root"] },
  { scopes: ["send"], key: "x" },
  { scopes: ["send"], namespace: "UPPER" },
  { scopes: ["send"], topics: ["a b"] },
  { scopes: ["send"], expiresAt: 1 },
])("props %j give no rights", async (props) => {
  const { call, asked } = door({ send }, { props });
  expect(resultOf(await call(SEND))).toMatchObject({ status: 401, code: "unauthenticated" });
  expect(asked).toEqual([]);
});

test("a bug is answered as one, and logged by its request id", async () => {
  const { call, logged } = door({});
  expect(resultOf(await call(SEND))).toMatchObject({
    status: 500,
    code: "internal_error",
    requestId: "made-1",
  });
  expect(logged).toEqual(["internal_error made-1"]);
});

test("a hold that ends or breaks aborts the wait, and what was leased meanwhile goes back", async () => {
  for (const end of ["resolve", "reject"] as const) {
    const held = Promise.withResolvers<undefined>();
    const given = Promise.withResolvers<undefined>();
    const aborted = Promise.withResolvers<undefined>();
    const receive = (async (_: unknown, { signal }: { signal: AbortSignal }) => {
      signal.addEventListener("abort", () => aborted.resolve(undefined));
      await aborted.promise;
      return accept({
        messages: [],
        paused: false,
        giveBack: () => Promise.resolve(given.resolve(undefined)),
      });
    }) as unknown as Broker["receive"];
    const { call, outlived, edge } = door({ receive });
    let nowMs = 0;
    Object.assign(edge, { nowMs: () => (nowMs += 1_000) });
    const path = "/v1/topics/t/groups/g/receive";
    const asked = call({ method: "POST", path, text: '{"waitMs":1000}' }, () => held.promise);
    held[end](undefined);
    await Promise.all([asked, given.promise]);
    expect(outlived.length).toBeGreaterThan(0);
  }
});

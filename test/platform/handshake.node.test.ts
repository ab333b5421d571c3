/** The question whether an endpoint wants to be called: what is asked, and what counts as a yes. */
import { expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { askPermission, permissionOf } from "../../src/platform/handshake.ts";
import type { Fetch } from "../../src/platform/webhook.ts";
import { EventClock } from "../kit/event-clock.node.ts";

const ORIGIN = "halfmq.example.com";
const URL_ASKED = "https://example.com/hook";
const policy = { allowed: new Set<string>(), loopback: false };
const question = { url: URL_ASKED, origin: ORIGIN, timeoutMs: 1_000, policy, clock: systemClock };

const never: Fetch = () => new Promise(() => {});
const broken: Fetch = () => Promise.reject(new TypeError("no route"));

const judged = (status: number, headers: Record<string, string>) =>
  permissionOf(ORIGIN, status, (name) => headers[name]);

test("a yes names the origin or everybody, and may bound the rate", () => {
  const origin = "webhook-allowed-origin";
  const rate = "webhook-allowed-rate";
  expect(judged(200, { [origin]: "*" })).toEqual({ is: "granted" });
  expect(judged(204, { [origin]: " HalfMQ.example.com ", [rate]: "*" })).toEqual({ is: "granted" });
  expect(judged(200, { [origin]: ORIGIN, [rate]: "120" })).toEqual({
    is: "granted",
    perMinute: 120,
  });
  const refused = { is: "refused", reason: "handshake_refused" };
  expect(judged(200, {})).toEqual({ ...refused, status: 200 });
  expect(judged(200, { [origin]: "other.example.com" })).toEqual({ ...refused, status: 200 });
  expect(judged(302, { [origin]: "*" })).toEqual({ ...refused, status: 302 });
  expect(judged(405, { [origin]: "*" })).toEqual({ ...refused, status: 405 });
  for (const bad of ["0", "-1", "1.5", "fast"])
    expect(judged(200, { [origin]: "*", [rate]: bad })).toMatchObject({
      reason: "handshake_bad_rate",
    });
});

test("the question is an OPTIONS with the origin and the wanted rate, and nothing of the secret", async () => {
  const asked: unknown[] = [];
  const fetch: Fetch = (url, { method, headers, body }) => {
    asked.push({ url, method, headers, body });
    return Promise.resolve({
      status: 200,
      headers: new Headers({ "WebHook-Allowed-Origin": "*" }),
      body: null,
    });
  };
  expect(await askPermission({ ...question, perMinute: 60, fetch })).toEqual({ is: "granted" });
  expect(asked).toEqual([
    {
      url: URL_ASKED,
      method: "OPTIONS",
      headers: {
        "webhook-request-origin": ORIGIN,
        "webhook-request-rate": "60",
        "user-agent": "HalfMQ",
      },
      body: undefined,
    },
  ]);
});

test("who may not be called is not asked, and who does not answer has not agreed", async () => {
  const forbidden = { ...question, url: "http://127.0.0.1/x", fetch: never };
  expect(await askPermission(forbidden)).toMatchObject({ reason: "target_not_allowed" });
  expect(await askPermission({ ...question, fetch: broken })).toMatchObject({
    reason: "handshake_unreachable",
  });
  const clock = new EventClock();
  const late = askPermission({ ...question, clock, fetch: never });
  await clock.runUntil(late);
  expect(await late).toMatchObject({ reason: "handshake_timeout" });
});

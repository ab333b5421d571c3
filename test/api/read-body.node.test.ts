/** A body that stops coming: whoever sends it is not waited for, with and without a length. */
import { expect, test } from "vitest";
import { readBody } from "../../src/api/read-body.ts";
import { BODY_WAIT_MS } from "../../src/platform/read-bytes.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { FakeClock, turns } from "../client/fake-clock.node.ts";

/** A sender of these pieces, which then says nothing more. */
function stalling(pieces: readonly string[], headers: Record<string, string> = {}) {
  const left = [...pieces];
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next === undefined) return new Promise<void>(() => {});
      controller.enqueue(new TextEncoder().encode(next));
      return undefined;
    },
    cancel() {
      isCancelled = true;
    },
  });
  const request = new Request("http://x/", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    duplex: "half",
  });
  return { request, isCancelled: () => isCancelled };
}

const clockOf = (fake: FakeClock) => ({ nowMs: fake.now, after: fake.after });

const STALLED = {
  ok: false,
  code: "invalid_request",
  facts: { field: "body", limit: BODY_WAIT_MS },
};

const whole = () =>
  new Request("http://x/", {
    method: "POST",
    headers: { "content-type": "application/json", "content-length": "2" },
    body: "{}",
  });

test("a body without a length that stops coming is refused and not waited for", async () => {
  const fake = new FakeClock();
  const { request, isCancelled } = stalling(['{"body":']);
  let answer: unknown;
  void readBody(request, clockOf(fake)).then((outcome) => (answer = outcome));
  await fake.advance(BODY_WAIT_MS - 1);
  expect(answer).toBeUndefined();
  await fake.advance(1);
  expect(answer).toMatchObject(STALLED);
  expect(isCancelled()).toBe(true);
});

test("a small body that stops coming is refused when another one comes", async () => {
  const fake = new FakeClock();
  const answers: unknown[] = [];
  const read = async (index: number) => {
    const { request } = stalling(['{"body":'], { "content-length": "40" });
    answers[index] = await readBody(request, clockOf(fake));
  };
  void read(0);
  await fake.advance(1);
  void read(1);
  await fake.advance(BODY_WAIT_MS - 2);
  expect(await readBody(whole(), clockOf(fake))).toMatchObject({ ok: true });
  await turns();
  expect(answers).toEqual([]);
  await fake.advance(1);
  expect(await readBody(whole(), clockOf(fake))).toMatchObject({ ok: true });
  await turns();
  expect(answers).toMatchObject([STALLED]);
  await fake.advance(1);
  expect(await readBody(whole(), clockOf(fake))).toMatchObject({ ok: true });
  await turns();
  expect(answers).toMatchObject([STALLED, STALLED]);
  expect(fake.timers).toBe(0);
});

test("a body that comes slowly is read to its end, and leaves no timer behind", async () => {
  const fake = new FakeClock();
  const pieces = ['{"a"', ":1", "}"];
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) =>
      new Promise((resolve) => {
        fake.after(BODY_WAIT_MS - 1, () => {
          const next = pieces.shift();
          if (next === undefined) controller.close();
          else controller.enqueue(new TextEncoder().encode(next));
          resolve();
        });
      }),
  });
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body, duplex: "half" } as const;
  const outcome = readBody(new Request("http://x/", init), clockOf(fake));
  await fake.advance(5 * BODY_WAIT_MS);
  expect(await outcome).toMatchObject({ ok: true, value: { text: '{"a":1}' } });
  await turns();
  expect(fake.timers).toBe(0);
});

test("a body that is too large is refused before it comes where the sender asks first", async () => {
  const fake = new FakeClock();
  const headers = {
    "content-length": String(LIMITS.requestBytesMax + 1),
    expect: "100-continue",
  };
  const { request } = stalling(['{"body":'], headers);
  expect(await readBody(request, clockOf(fake))).toMatchObject({
    ok: false,
    code: "request_too_large",
    facts: { field: "body", limit: LIMITS.requestBytesMax, actual: LIMITS.requestBytesMax + 1 },
  });
  expect(fake.timers).toBe(0);
});

test("and is read to its end where the sender does not, so that it sees the answer", async () => {
  const fake = new FakeClock();
  const actual = LIMITS.requestBytesMax + 1;
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (pulled === actual) return controller.close();
      const piece = Math.min(1_000_000, actual - pulled);
      pulled += piece;
      return controller.enqueue(new Uint8Array(piece));
    },
  });
  const headers = { "content-length": String(actual) };
  const init = { method: "POST", headers, body, duplex: "half" } as const;
  expect(await readBody(new Request("http://x/", init), clockOf(fake))).toMatchObject({
    ok: false,
    code: "request_too_large",
    facts: { actual },
  });
  expect(pulled).toBe(actual);
});

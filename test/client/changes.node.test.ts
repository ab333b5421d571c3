/** The stream of changes: events as they come, whole however the line cuts them, taken up again where it broke. */
import { expect, test } from "vitest";
import { FakeBroker, problem, type Seen, silence } from "./fake-broker.node.ts";

const ROUTE = "GET /v1/changes";

/** A broker whose every stream is one of the given lists of pieces; an Error breaks the line. */
function streaming(...streams: readonly (readonly (string | Error)[])[]) {
  const broker = new FakeBroker();
  let next = 0;
  const fetch: typeof broker.fetch = async (url, init) => {
    await broker.fetch(url, init);
    const pieces = [...(streams[next++] ?? [])];
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else if (typeof piece === "string") controller.enqueue(new TextEncoder().encode(piece));
        else controller.error(piece);
      },
    });
    return new Response(body);
  };
  broker.script(ROUTE, {});
  return { broker, mq: broker.client({ fetch }) };
}

const lastEventId = (seen: Seen): string | undefined => seen.headers["last-event-id"];

test("events are whole however the line cuts them, and comments are none", async () => {
  const { broker, mq } = streaming([
    ": halfmq\n\nid: 7\nevent: topic.cre",
    'ated\ndata: {"topic":\ndata: "orders"}\n',
    "\nid: 8\r\nevent: gap\r\ndata: {}\r\n\r\n",
  ]);
  const seen: unknown[] = [];
  for await (const change of mq.changes()) {
    seen.push(change);
    if (seen.length === 2) break;
  }
  expect(seen).toEqual([
    { id: "7", event: "topic.created", data: { topic: "orders" } },
    { id: "8", event: "gap", data: {} },
  ]);
  expect(broker.requests[0]?.headers["accept"]).toBe("text/event-stream");
  expect(broker.requests[0]?.init.signal.aborted).toBe(true);
});

test("a line that broke or ended is taken up after the last event", async () => {
  const { broker, mq } = streaming(
    ["id: 7\ndata: 1\n\n", new Error("broken")],
    ["id: 8\ndata: 2\n\n"],
    ["data: 3\n\n"],
  );
  const errors: unknown[] = [];
  const all = (async () => {
    const seen: unknown[] = [];
    for await (const { data } of mq.changes<number>({ onError: (error) => errors.push(error) })) {
      seen.push(data);
      if (seen.length === 3) break;
    }
    return seen;
  })();
  await broker.clock.advance(10_000);
  expect(await all).toEqual([1, 2, 3]);
  expect(broker.of(ROUTE).map(lastEventId)).toEqual([undefined, "7", "8"]);
  expect(errors).toEqual([expect.objectContaining({ code: "network_error" })]);
});

test("a line that says nothing any more is given up and taken up again", async () => {
  const broker = new FakeBroker();
  const first = "id: 7\ndata: 1\n\n";
  let lines = 0;
  const mq = broker.client({
    fetch: (_, { signal, headers }) => {
      lines++;
      const text = lines === 1 ? first : `id: 8\ndata: ${headers["last-event-id"]}\n\n`;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(new TextEncoder().encode(text));
          signal.addEventListener("abort", () => controller.error(signal.reason));
        },
      });
      return Promise.resolve(new Response(body));
    },
  });
  const seen = (async () => {
    const data: unknown[] = [];
    for await (const change of mq.changes()) {
      data.push(change.data);
      if (data.length === 2) break;
    }
    return data;
  })();
  await broker.clock.advance(40_000);
  expect(lines, "the broker speaks every 20 s, and may be late").toBe(1);
  await broker.clock.advance(10_000);
  expect(await seen).toEqual([1, 7]);
  expect(broker.clock.timers).toBe(0);
});

test("a stream that is never answered is given up, too", async () => {
  const broker = new FakeBroker().on(ROUTE, silence);
  const errors: unknown[] = [];
  const controller = new AbortController();
  const options = { signal: controller.signal, onError: (error: unknown) => errors.push(error) };
  const next = broker.client().changes(options).next();
  await broker.clock.advance(50_000);
  expect(errors).toEqual([expect.objectContaining({ code: "timeout" })]);
  controller.abort();
  expect(await next).toMatchObject({ done: true });
});

test("what is not passing is thrown, and an abort ends the loop quietly", async () => {
  const refusing = new FakeBroker().script(ROUTE, problem(403, "forbidden"));
  await expect(refusing.client().changes().next()).rejects.toMatchObject({ code: "forbidden" });
  const { mq } = streaming([": halfmq\n\n"]);
  const controller = new AbortController();
  const next = mq.changes({ signal: controller.signal }).next();
  controller.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});

/** What all doors do alike, over a broker made of memory: bodies that stop coming, bugs, and clients that leave. */
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { cloudEventsDoor } from "../../src/adapters/cloudevents/door.ts";
import { cloudflareQueuesDoor } from "../../src/adapters/cloudflare-queues/door.ts";
import type { Door, DoorEdge } from "../../src/adapters/door.ts";
import { bodyFor, outliving, receiveFor } from "../../src/adapters/leaving.ts";
import { rocketmqDoor } from "../../src/adapters/rocketmq/door.ts";
import { sqsDoor } from "../../src/adapters/sqs/door.ts";
import { textOf } from "../../src/adapters/text-body.ts";
import { ALL_SCOPES, type Principal } from "../../src/auth/principal.ts";
import type { Broker, ReceiveRequest } from "../../src/broker/broker.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { accept } from "../../src/protocol/errors.ts";

const NOW_MS = 1_700_000_000_000;
const CALLER: Principal = { namespace: "default", scopes: ALL_SCOPES, root: true, keyName: "root" };
/** Whatever is waited for, its time is over at once. */
const HASTY: Clock = {
  nowMs: () => NOW_MS,
  after: (_, run) => {
    queueMicrotask(run);
    return () => undefined;
  },
};

function edgeIn(broker: { readonly [K in keyof Broker]?: Broker[K] } = {}) {
  const logged: string[] = [];
  const edge: DoorEdge = {
    broker: broker as Broker,
    admit: () => Promise.resolve(accept(undefined)),
    clock: HASTY,
    newRequestId: () => "request-1",
    log: { info: () => undefined, error: (event) => void logged.push(event) },
  };
  return { edge, logged };
}

const DATE = new Date(NOW_MS).toUTCString();
const signed = (target: string): string =>
  `MQ root:${createHmac("sha1", "secret").update(`POST\n\ntext/xml\n${DATE}\n${target}`).digest("base64")}`;
const ROCKETMQ = "/topics/T/messages";

interface Case {
  readonly door: (edge: DoorEdge) => Door;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const DOORS: Readonly<Record<string, Case>> = {
  SQS: {
    door: (edge) =>
      sqsDoor(edge, () => Promise.resolve(accept({ region: "", verify: () => accept(CALLER) }))),
    path: "/",
    headers: { "x-amz-target": "AmazonSQS.SendMessage" },
    body: JSON.stringify({ QueueUrl: "/default/T", MessageBody: "x" }),
  },
  "Cloudflare Queues": {
    door: (edge) => cloudflareQueuesDoor(edge, () => accept(CALLER)),
    path: "/client/v4/accounts/default/queues/T/messages",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ body: "x", content_type: "text" }),
  },
  CloudEvents: {
    door: (edge) => cloudEventsDoor(edge, () => accept(CALLER)),
    path: "/cloudevents/T",
    headers: { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" },
    body: "x",
  },
  "RocketMQ over HTTP": {
    door: (edge) =>
      rocketmqDoor(edge, () => Promise.resolve(accept({ secret: "secret", principal: CALLER }))),
    path: ROCKETMQ,
    headers: { date: DATE, "content-type": "text/xml", authorization: signed(ROCKETMQ) },
    body: "<Message><MessageBody>x</MessageBody></Message>",
  },
};

const requestOf = ({ path, headers }: Case, body: NonNullable<RequestInit["body"]>): Request =>
  new Request(`http://halfmq.test${path}`, {
    method: "POST",
    headers,
    body,
    duplex: "half",
  } as RequestInit);

test.each(Object.entries(DOORS))(
  "%s waits for a body by the clock that it is given, and no longer",
  async (_, each) => {
    const { edge, logged } = edgeIn();
    const never = new ReadableStream<Uint8Array>();
    const answer = await each.door(edge).answer(requestOf(each, never), () => undefined);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("The body stopped coming");
    expect(logged).toEqual([]);
  },
);

const bug = () => Promise.reject(new Error("why it failed"));

test.each(Object.entries(DOORS))(
  "%s tells of a bug by the request's id, and the log why",
  async (_, each) => {
    const patient: Clock = { nowMs: () => NOW_MS, after: () => () => undefined };
    const { edge, logged } = edgeIn({ topic: bug, send: bug });
    const door = each.door({ ...edge, clock: patient });
    const answer = await door.answer(requestOf(each, each.body), () => undefined);
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect(text).toContain("request-1");
    expect(text).not.toContain("why it failed");
    expect(logged).toEqual(["internal_error"]);
  },
);

function askerIn(receive?: Broker["receive"]) {
  const outlived: Promise<unknown>[] = [];
  const controller = new AbortController();
  const { edge } = edgeIn(receive === undefined ? {} : { receive });
  const { signal } = controller;
  return {
    asker: { edge, signal, outlive: (work: Promise<unknown>) => void outlived.push(work) },
    outlived,
    leave: () => controller.abort(),
  };
}

test("a wait goes on when its client leaves, also when it had left before", async () => {
  const { asker, outlived, leave } = askerIn();
  const wait = Promise.resolve("over");
  expect(await outliving(asker, wait)).toBe("over");
  expect(outlived).toEqual([]);
  leave();
  expect(outlived).toEqual([wait]);
  await outliving(asker, wait);
  expect(outlived).toEqual([wait, wait]);
});

test("only who waits is looked after", async () => {
  const asked: ReceiveRequest[] = [];
  const { asker, outlived, leave } = askerIn((_, request) => {
    asked.push(request);
    return Promise.resolve(accept({ messages: [], paused: false }));
  });
  const at = { namespace: "default", topic: "T", group: "G" };
  await receiveFor(asker, at, { maxMessages: 1, waitMs: 0 });
  await receiveFor(asker, at, { maxMessages: 1, waitMs: 1 });
  expect(asked.map(({ signal }) => signal)).toEqual([undefined, asker.signal]);
  leave();
  expect(outlived).toHaveLength(1);
});

const giveBack = () => Promise.resolve("given back");

test("what a client does not take after a wait is given back, and nothing else", async () => {
  const { asker, outlived } = askerIn();
  expect(bodyFor(asker, NOW_MS, "text", giveBack)).toBe("text");
  expect(bodyFor(asker, NOW_MS - 60_000, "text", undefined)).toBe("text");
  const body = bodyFor(asker, NOW_MS - 60_000, "text", giveBack);
  if (typeof body === "string") throw new Error("it is in one write");
  const reader = body.getReader();
  await reader.read();
  await reader.cancel();
  expect(await Promise.all(outlived)).toEqual(["given back"]);
});

test("bytes that call themselves text and are none stay bytes", () => {
  const contentType = "text/plain; charset=utf-8";
  const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x78);
  expect(textOf({ body: { bytes }, contentType }), "with its mark").toBe("\uFEFFx");
  const none = Uint8Array.of(0x78, 0xff);
  expect(textOf({ body: { bytes: none }, contentType })).toBe(none);
});

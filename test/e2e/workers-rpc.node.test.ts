/**
 * Workers that bind HalfMQ as a service: real Workers under workerd, one of them the example, and a hostile one. What each of
 * them saw is read over fetch.
 */
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compatibilityDate, workerBundle } from "../../src/cli/bundle.ts";
import { Mq } from "../conformance/client.ts";
import { type Json, unique, until } from "../conformance/kit.ts";
import { closed } from "../kit/closed.node.ts";
import { PROBER } from "./rpc-prober.node.ts";

const KEY = "a-root-key-for-this-test-only";
const EXAMPLE = fileURLToPath(new URL("../../examples/workers-rpc/", import.meta.url));
const SCOPES = ["send", "transact", "consume", "manage"];

const object = (className: string) => ({ className, useSQLite: true });
const listen = () => Promise.reject(new Error("nothing listens here"));

const bundled = async (entry: string): Promise<string> => {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["halfmq-source"],
    external: ["cloudflare:*"],
  });
  return outputFiles[0]?.text ?? "";
};

const bound = (props?: Json) => ({
  name: "halfmq",
  entrypoint: "HalfMQEntrypoint",
  ...(props === undefined ? {} : { props }),
});

let miniflare: Miniflare;
let folder = "";
let mq: Mq;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-rpc-"));
  const compatibility = { compatibilityDate: await compatibilityDate() };
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      resourcePersistencePath: folder,
      workers: [
        {
          name: "halfmq",
          modules: [{ type: "ESModule", path: "worker.js", contents: await workerBundle() }],
          ...compatibility,
          compatibilityFlags: ["enable_request_signal"],
          bindings: { HALFMQ_ROOT_KEY: KEY, HALFMQ_LOOPBACK: "1" },
          durableObjects: {
            QUEUE: object("QueueObject"),
            REGISTRY: object("RegistryObject"),
            COORDINATOR: object("CoordinatorObject"),
            PUSHER: object("PusherObject"),
            SCHEDULER: object("SchedulerObject"),
            GATEWAY: object("GatewayObject"),
          },
        },
        {
          name: "prober",
          modules: [
            { type: "ESModule", path: "prober.js", contents: PROBER },
            {
              type: "ESModule",
              path: "client.js",
              contents: await bundled(
                fileURLToPath(new URL("../../src/client/index.ts", import.meta.url)),
              ),
            },
          ],
          ...compatibility,
          routes: ["prober.test/*"],
          serviceBindings: {
            HALFMQ: bound({ scopes: SCOPES }),
            BARE: bound(),
            EDGE: "halfmq",
            WRONG: bound({ scopes: ["everything"] }),
            SENDER: bound({ scopes: ["send"], topics: ["mine-*"] }),
            OTHER: bound({ scopes: SCOPES, namespace: "other" }),
          },
        },
        {
          name: "shop",
          modules: [
            { type: "ESModule", path: "shop.js", contents: await bundled(`${EXAMPLE}shop.ts`) },
          ],
          ...compatibility,
          routes: ["shop.test/*"],
          serviceBindings: {
            HALFMQ: bound({ scopes: ["send", "transact", "consume"], topics: ["orders"] }),
          },
        },
      ],
    }),
  );
  const url = (await miniflare.ready).origin;
  mq = new Mq({ name: "rpc", key: KEY, fetch: (path, init) => fetch(url + path, init), listen });
});

afterAll(async () => {
  await miniflare.dispose();
  await rm(folder, { recursive: true, force: true });
});

async function tell<T = Json>(story: string, rest: object): Promise<T> {
  const body = JSON.stringify({ story, ...rest });
  const answer = await miniflare.dispatchFetch("http://prober.test/", { method: "POST", body });
  return (await answer.json()) as T;
}

const verb = (name: string, ...args: unknown[]) => tell("verb", { verb: name, args });
const through = (binding: string, name: string, ...args: unknown[]) =>
  tell("verb", { binding, verb: name, args });
const shop = (init?: { method: string; body: string }) =>
  miniflare.dispatchFetch("http://shop.test/", init);
const client = (path: string, ...args: unknown[]) => tell("client", { path, args });

test("the example sells in a transaction and ships what was sold, without a URL and without a key", async () => {
  const order = { item: "tea", pieces: 3 };
  const sold = await shop({ method: "POST", body: JSON.stringify(order) });
  expect([sold.status, await sold.json()]).toEqual([201, { left: 7 }]);
  expect(await (await shop()).json()).toEqual(order);
  expect((await shop()).status).toBe(204);
});

test("the example's own wrangler.toml gives it the rights that it is tested with", async () => {
  const toml = await readFile(`${EXAMPLE}wrangler.toml`, "utf8");
  expect(toml).toContain('entrypoint = "HalfMQEntrypoint"');
  expect(toml).toContain('scopes = ["send", "transact", "consume"], topics = ["orders"]');
});

test("the verbs of a transaction, from prepare to ack, with answers as of the wire", async () => {
  const topic = unique("rpc");
  const prepared = await verb("prepare", topic, {
    producerGroup: "p",
    message: { body: { n: 1 } },
  });
  expect(prepared).toMatchObject({ ok: true, status: 201, value: { state: "prepared" } });
  const { transactionId: id } = prepared["value"] as { transactionId: string };
  expect(await verb("receive", topic, "g")).toMatchObject({ ok: true, value: { messages: [] } });
  expect(await verb("commit", id)).toMatchObject({ ok: true, value: { repeated: false } });
  expect(await verb("commit", id, { by: "operator" })).toMatchObject({ value: { repeated: true } });
  expect(await verb("rollback", id)).toMatchObject({
    ok: false,
    status: 409,
    code: "transaction_committed",
    retryable: false,
    facts: { state: "committed" },
    requestId: expect.any(String) as string,
  });
  expect(await verb("transaction", id)).toMatchObject({ value: { decidedBy: "producer" } });
  const received = await verb("receive", topic, "g", { waitMs: 20_000 });
  expect(received).toMatchObject({ value: { messages: [{ body: { n: 1 }, transactionId: id }] } });
  const { messages } = received["value"] as { messages: { receipt: string }[] };
  const receipts = messages.map(({ receipt }) => receipt);
  expect(await verb("extend", topic, "g", { receipts, invisibleMs: 60_000 })).toMatchObject({
    value: { results: [{ ok: true }] },
  });
  expect(await verb("ack", topic, "g", { receipts })).toMatchObject({
    value: { results: [{ ok: true }] },
  });
});

test("a send repeated with its key is one message", async () => {
  const topic = unique("rpc");
  const once = { idempotencyKey: unique("once") };
  const first = await verb("send", topic, { body: 1 }, once);
  const again = await verb("send", topic, { body: 1 }, once);
  expect(again["value"]).toEqual(first["value"]);
  expect(await verb("send", topic, { body: 2 }, once)).toMatchObject({
    code: "idempotency_key_reused",
  });
});

test.each([
  ["messages", "send", { body: 1, tga: "x" }],
  ["messages", "send", {}],
  ["messages", "send", { messages: [{ body: 1 }, { body: 2, delayMs: -1 }] }],
  ["groups/g/receive", "receive", { waitMs: 1e9 }],
  ["groups/g/ack", "ack", { receipts: [] }],
])(
  "%s: what HTTP refuses, %s refuses with the same code and facts: %j",
  async (path, name, body) => {
    const topic = unique("rpc");
    const args = name === "send" ? [topic, body] : [topic, "g", body];
    const http = await mq.call("POST", `/v1/topics/${topic}/${path}`, body);
    const { status, code, detail, type: _type, title: _title, retryable, ...facts } = http.json;
    expect(status).toBe(400);
    expect(await verb(name, ...args)).toMatchObject({
      ok: false,
      status,
      code,
      detail,
      retryable,
      facts,
    });
  },
);

test("a name that no path can carry is refused by its field", async () => {
  for (const name of ["..", "", "a/b", "\u{1F600}"])
    expect(await verb("send", name, { body: 1 })).toMatchObject({
      code: "invalid_request",
      facts: { field: "topic" },
    });
});

test("the client throws its own errors, with code, status and facts", async () => {
  const topic = unique("rpc");
  expect(await client("send", topic, { body: 1 })).toMatchObject({ value: { state: "ready" } });
  expect(await client("topics.get", unique("nowhere"))).toMatchObject({
    name: "HalfmqError",
    code: "topic_not_found",
    status: 404,
    retryable: false,
    hasRequestId: true,
  });
  expect(await client("send", topic, { body: 1, delayMs: -1 })).toMatchObject({
    code: "invalid_request",
    facts: { limit: 0, actual: -1 },
  });
  expect(await client("health")).toMatchObject({ value: { status: "ok" } });
});

test("a binding without rights opens nothing, one with some opens those in its namespace", async () => {
  const topic = unique("mine");
  for (const binding of ["BARE", "WRONG"])
    expect(await through(binding, "send", topic, { body: 1 })).toMatchObject({
      status: 401,
      code: "unauthenticated",
      facts: { field: expect.stringMatching(/^scopes/u) as string },
    });
  expect(await through("SENDER", "send", topic, { body: 1 })).toMatchObject({ ok: true });
  expect(await through("SENDER", "send", unique("theirs"), { body: 1 })).toMatchObject({
    status: 403,
    code: "forbidden",
  });
  expect(await through("SENDER", "receive", topic, "g")).toMatchObject({ code: "forbidden" });
  expect(await through("OTHER", "receive", topic, "g")).toMatchObject({ value: { messages: [] } });
  await through("OTHER", "send", topic, { body: "there" });
  const [seen] = await mq.all<Json>(`/v1/topics/${topic}/messages`);
  expect(seen?.["body"]).toBe(1);
});

test("a binding has no key, so that it is shown none: least of all the root's", async () => {
  for (const binding of ["HALFMQ", "OTHER", "SENDER"]) {
    const args = [{ method: "GET", path: "/v1/signing-pair" }];
    const answer = await tell("verb", { binding, verb: "call", args });
    expect(answer["status"]).toBe(403);
    expect(JSON.stringify(answer)).not.toContain(KEY);
  }
});

test("a stream, which is a WebSocket, needs a client with a URL", async () => {
  expect(await tell<string>("stream", { topic: unique("rpc") })).toBe("TypeError");
});

test.each(["client", "verb"])(
  "a Worker that ends while it waits (%s) is leased nothing: the next one gets the message at once, as its first delivery",
  async (how) => {
    const topic = unique("rpc");
    await mq.ok("PUT", `/v1/topics/${topic}`, { queues: 2 });
    expect(await tell<string>("leave", { topic, how })).toBe("left");
    await mq.ok("POST", `/v1/topics/${topic}/messages`, { body: 1 });
    expect(await verb("receive", topic, "g", { waitMs: 20_000 })).toMatchObject({
      value: { messages: [{ body: 1, deliveryAttempt: 1 }] },
    });
  },
);

test("a Worker that is cancelled while it waits, because its own client is gone, is leased nothing", async () => {
  const topic = unique("rpc");
  const body = JSON.stringify({ story: "wait", topic });
  const socket = connect(Number((await miniflare.ready).port), "127.0.0.1");
  const ended = closed(socket);
  await once(socket, "connect");
  socket.write(
    `POST / HTTP/1.1\r\nhost: prober.test\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await until(
    "it waits",
    async () => (await mq.call("GET", `/v1/topics/${topic}/groups/g`)).status === 200,
  );
  socket.resetAndDestroy();
  await ended;
  await mq.ok("POST", `/v1/topics/${topic}/messages`, { body: 1 });
  expect(await verb("receive", topic, "g", { waitMs: 20_000 })).toMatchObject({
    value: { messages: [{ body: 1, deliveryAttempt: 1 }] },
  });
});

test("a poll that is given up ends with the signal's reason, and is leased nothing", async () => {
  const topic = unique("rpc");
  expect(await tell<string>("giveUp", { topic })).toBe("enough");
  await mq.ok("POST", `/v1/topics/${topic}/messages`, { body: 1 });
  expect(await verb("receive", topic, "g", { waitMs: 20_000 })).toMatchObject({
    value: { messages: [{ body: 1, deliveryAttempt: 1 }] },
  });
});

test("changes are followed over the binding", async () => {
  expect(await tell<string[]>("changes", { topic: unique("rpc") })).toEqual(["topic.created"]);
});

test.each(["0", "5", "500", "300000", "9000000", "99999999999", "-1", "many"])(
  "a Content-Length of %s, which a Worker makes up, decides nothing: what counts is the body",
  async (contentLength) => {
    for (const isStream of [false, true]) {
      const sent = { topic: unique("rpc"), key: KEY, contentLength, isStream };
      expect(await tell("lengthened", { ...sent, mebibytes: 0.5 })).toEqual([200, "stored"]);
      const tooLarge = [413, "request_too_large"];
      expect(await tell("lengthened", { ...sent, mebibytes: 9 })).toEqual(tooLarge);
      const stored = await mq.all<{ body: string }>(`/v1/topics/${sent.topic}/messages`);
      expect(stored.map(({ body }) => body.length)).toEqual([0.5 * 2 ** 20]);
    }
  },
);

test("stubs of the caller's own objects, and what JSON cannot say, are refused or left out", async () => {
  const topic = unique("rpc");
  expect(await tell<unknown[]>("stubs", { topic })).toEqual([
    "invalid_request",
    true,
    "invalid_request",
    "invalid_json",
    "invalid_request",
    "invalid_request",
  ]);
  const [seen] = await mq.all<Json>(`/v1/topics/${topic}/messages`);
  expect(seen?.["body"]).toEqual({ n: 1 });
});

test("the entrypoint serves no HTTP, and has no method beside its verbs", async () => {
  for (const name of ["fetch", "env", "ctx", "ask"])
    expect(await tell<string>("hidden", { name })).toBe("refused");
});

/** A group that pushes to a Worker: two real Workers under workerd, one a plain consumer of Cloudflare Queues. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compatibilityDate, workerBundle } from "../../src/cli/bundle.ts";
import { Mq } from "../conformance/client.ts";
import { sorted, there, until } from "../conformance/kit.ts";
import { drained, QUICK } from "../conformance/push-kit.ts";

const KEY = "a-root-key-for-this-test-only";

/** Both forms of a handler that the runtime knows; what each saw is read over fetch. */
const CONSUMER = `
import { WorkerEntrypoint } from "cloudflare:workers";
const seen = [];
const consume = async (batch) => {
  for (const message of batch.messages) {
    const { id, body, bodyJson, attempts, timestamp, tag, properties } = message;
    const bytes = body instanceof ArrayBuffer ? [...new Uint8Array(body)] : undefined;
    const isDate = timestamp instanceof Date;
    seen.push({ queue: batch.queue, id, body: bytes ?? body, bodyJson, attempts, isDate, tag, properties });
    if (body === "ack then throw") message.ack();
    if (body === "retry once" && attempts === 1) message.retry({ delaySeconds: 1 });
    if (body === "retry first" && attempts === 1) { message.retry(); message.ack(); }
  }
  const words = batch.messages.map(({ body }) => body);
  if (words.includes("ack then throw") || (words.includes("throw once") && batch.messages[0].attempts === 1))
    throw new Error("on purpose");
  if (words.includes("retry all") && batch.messages[0].attempts === 1) {
    batch.messages[0].ack();
    batch.retryAll({ delaySeconds: 0 });
  }
};
export default {
  fetch: () => Response.json(seen.splice(0)),
  async queue(batch, env, ctx) {
    if (typeof env !== "object" || typeof ctx.waitUntil !== "function") throw new Error("no env, no ctx");
    await consume(batch);
  },
};
export class Entrypoint extends WorkerEntrypoint {
  queue(batch) { return consume(batch); }
}
export class Deaf extends WorkerEntrypoint {}
`;

const object = (className: string) => ({ className, useSQLite: true });
const listen = () => Promise.reject(new Error("nothing listens here"));

let miniflare: Miniflare;
let folder = "";
let mq: Mq;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-binding-"));
  const date = await compatibilityDate();
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      resourcePersistencePath: folder,
      workers: [
        {
          name: "halfmq",
          modules: [{ type: "ESModule", path: "worker.js", contents: await workerBundle() }],
          compatibilityDate: date,
          bindings: { HALFMQ_ROOT_KEY: KEY, HALFMQ_LOOPBACK: "1" },
          durableObjects: {
            QUEUE: object("QueueObject"),
            REGISTRY: object("RegistryObject"),
            COORDINATOR: object("CoordinatorObject"),
            PUSHER: object("PusherObject"),
            SCHEDULER: object("SchedulerObject"),
            GATEWAY: object("GatewayObject"),
          },
          serviceBindings: {
            CONSUMER: "consumer",
            ENTRYPOINT: { name: "consumer", entrypoint: "Entrypoint" },
            DEAF: { name: "consumer", entrypoint: "Deaf" },
          },
        },
        {
          name: "consumer",
          modules: [{ type: "ESModule", path: "consumer.js", contents: CONSUMER }],
          compatibilityDate: date,
          routes: ["consumer.test/*"],
        },
      ],
    }),
  );
  const url = (await miniflare.ready).origin;
  mq = new Mq({
    name: "miniflare",
    key: KEY,
    fetch: (path, init) => fetch(url + path, init),
    listen,
  });
});

afterAll(async () => {
  await miniflare.dispose();
  await rm(folder, { recursive: true, force: true });
});

interface Seen {
  readonly queue: string;
  readonly id: string;
  readonly body: unknown;
  readonly bodyJson?: string;
  readonly attempts: number;
  readonly isDate: boolean;
  readonly tag?: string;
  readonly properties?: unknown;
}

const seen = async (): Promise<Seen[]> => {
  const answer = await miniflare.dispatchFetch("http://consumer.test/");
  return (await answer.json()) as Seen[];
};

const bodiesOf = (messages: readonly Seen[]) => messages.map(({ body }) => body);

test.each(["CONSUMER", "ENTRYPOINT"])(
  "%s gets queue(batch) as of Cloudflare Queues: ack, retry, ackAll, retryAll, return and throw",
  async (binding) => {
    const topic = await mq.topic();
    const group = topic.group("pushed");
    const made = await mq.ok("PUT", group.path, {
      backoff: QUICK,
      push: { binding, concurrency: 1, maxMessages: 2 },
    });
    expect(made["secret"], "nothing is signed").toBeUndefined();
    const [plain] = await topic.send(
      { body: { n: 1 }, tag: "t", properties: { p: "v" } },
      { bodyBase64: "AAEC" },
    );
    await drained(topic);
    expect(await seen()).toMatchObject([
      {
        queue: topic.name,
        id: there(plain).id,
        body: { n: 1 },
        bodyJson: '{"n":1}',
        attempts: 1,
        isDate: true,
        tag: "t",
        properties: { p: "v" },
      },
      { body: [0, 1, 2], attempts: 1 },
    ]);

    await topic.send({ body: "retry once" }, { body: "retry first" });
    await drained(topic);
    expect(
      sorted((await seen()).map(({ body, attempts }) => `${String(body)} ${attempts}`)),
    ).toEqual(sorted(["retry first 1", "retry first 2", "retry once 1", "retry once 2"]));

    // One after the other: a message that comes again may be given together with what follows it.
    for (const bodies of [
      ["ack then throw", "beside it"],
      ["throw once"],
      ["retry all", "with all"],
    ]) {
      await topic.send(...bodies.map((body) => ({ body })));
      await drained(topic);
    }
    const counts = Object.entries(Object.groupBy(await seen(), ({ body }) => String(body))).map(
      ([body, all = []]) => `${body} ${Math.max(...all.map(({ attempts }) => attempts))}`,
    );
    expect(counts).toContain("ack then throw 1");
    expect(counts).toContain("throw once 2");
    expect(counts).toContain("beside it 2");
    expect(await group.deadLetters()).toEqual([]);
    await mq.ok("DELETE", `${group.path}/push`);
  },
);

test("a Worker without a queue handler fails the delivery, and what is no Worker's name is refused", async () => {
  const topic = await mq.topic();
  const group = topic.group("pushed");
  for (const binding of ["MISSING", "QUEUE"]) {
    const answer = await mq.call("PUT", group.path, { push: { binding } });
    expect(answer).toMatchObject({ status: 400, json: { field: "push.binding" } });
  }
  await group.make({ backoff: QUICK, maxAttempts: 1, push: { binding: "DEAF" } });
  await topic.send({ body: 1 });
  const failure = (reason: string) =>
    until(reason, async () => {
      const { pushState } = await mq.ok<{ pushState: { lastFailure?: { reason: string } } }>(
        "GET",
        group.path,
      );
      return pushState.lastFailure?.reason === reason;
    });
  await failure("threw");
  const dead = await until("dead", async () => {
    const letters = await group.deadLetters();
    return letters.length > 0 && letters;
  });
  expect(dead).toMatchObject([{ reason: "threw" }]);
  expect(bodiesOf(await seen())).toEqual([]);
  await mq.ok("DELETE", `${group.path}/push`);
});

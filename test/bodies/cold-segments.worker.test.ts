/**
 * Old messages in a bucket, over HTTP inside the Workers runtime: queues of 4 MB (vitest.config.ts) hold twice that, and nobody
 * notices where a message is.
 */
import { env } from "cloudflare:workers";
import { evictDurableObject } from "cloudflare:test";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { Mq, type Group, type Topic } from "../conformance/client.ts";
import { insideTarget } from "../conformance/inside.ts";
import { type Json, type Message, there, until } from "../conformance/kit.ts";

const mq = new Mq(insideTarget());
const bucket = there((env as { BODIES?: R2Bucket }).BODIES);
/** Of a body. */
const CHARS = 240_000;
const COUNT = 32;

const textOf = (n: number): string => `${n}-${String(n % 10).repeat(CHARS)}`;

const numberIn = ({ body }: Pick<Message, "body">): number => {
  const n = Number.parseInt(String(body), 10);
  return body === textOf(n) ? n : Number.NaN;
};

async function names(): Promise<string[]> {
  return (await bucket.list({ prefix: "bodies/" })).objects.map(({ key }) => key).toSorted();
}

const all = Array.from({ length: COUNT }, (_, n) => n);

/** Twice as much as the queue may hold; it takes the next when the bucket has taken some. */
async function filled(settings: Json = {}): Promise<Topic> {
  const before = (await names()).length;
  const topic = await mq.topic();
  await topic.group().make({ startFrom: "earliest", ...settings });
  for (const n of all) {
    const more = { keys: [`k${n}`], messageGroup: `m${n % 2}` };
    await until(`room for message ${n}`, async () => {
      const sent = await mq.call("POST", `${topic.path}/messages`, { body: textOf(n), ...more });
      if (sent.status !== 503) expect(sent.status).toBe(200);
      return sent.status === 200;
    });
  }
  await until("the bucket has taken what it is to take", async () => {
    // A queue measures its storage once a second, when it is asked for something.
    await topic.stats();
    return (await names()).length >= before + 3;
  });
  return topic;
}

/** Everything that the group gets, acked, by number in order of arrival. */
async function drain(group: Group, count: number): Promise<number[]> {
  const got: number[] = [];
  await until(`${count} messages`, async () => {
    const answer = await mq.call("POST", `${group.path}/receive`, { maxMessages: 7 });
    // For a moment after it was away.
    if (answer.status === 503) return false;
    const { messages } = answer.json as unknown as { messages: Message[] };
    got.push(...messages.map(numberIn));
    if (messages.length > 0) await group.ack(...messages);
    return got.length >= count;
  });
  return got;
}

// The first request loads the Worker, its objects and the bucket, which is no test's time.
beforeAll(async () => {
  await (await mq.topic()).send({ body: "first" });
}, 120_000);

test("a queue holds more than its storage, gives it out in order, byte for byte, and again", async () => {
  const topic = await filled();
  const { queues } = (await topic.stats()) as unknown as { queues: Json[] };
  expect(queues[0]).toMatchObject({ firstOffset: 0, nextOffset: COUNT });
  expect(Number(queues[0]?.["bytes"])).toBeGreaterThan(COUNT * CHARS);
  // Its storage is 4 MB, measured once a second: it may have taken a little more.
  expect(Number(queues[0]?.["coldBytes"])).toBeGreaterThan(COUNT * CHARS - 5_000_000);
  const group = topic.group();
  expect(await drain(group, COUNT)).toEqual(all);
  await evictDurableObject(env.QUEUE.getByName(`default/${topic.name}/0`));
  await mq.ok("POST", `${group.path}/seek`, { to: "earliest" });
  expect(await drain(group, COUNT)).toEqual(all);
  await group.nothing();
  const found: number[] = [];
  let path = `${topic.path}/messages?key=k3&limit=10`;
  for (let cursor: unknown = ""; cursor !== undefined;) {
    const page = await mq.ok<{ items: Message[]; nextCursor?: string }>("GET", path);
    found.push(...page.items.map(numberIn));
    cursor = page.nextCursor;
    path = `${topic.path}/messages?key=k3&limit=10&cursor=${String(cursor)}`;
  }
  expect(found).toEqual([3]);
  const page = await mq.ok<{ items: Message[] }>("GET", `${topic.path}/messages?limit=1`);
  const view = await mq.ok("GET", `/v1/messages/${there(page.items[0]).id}`);
  expect(view).toMatchObject({ offset: 0, state: "ready" });
}, 120_000);

test("an ordered group keeps its order over what is cold and what is not", async () => {
  const topic = await filled({ ordered: true });
  const got = await drain(topic.group(), COUNT);
  for (const rest of [0, 1])
    expect(got.filter((n) => n % 2 === rest)).toEqual(all.filter((n) => n % 2 === rest));
  expect(got.toSorted((one, other) => one - other)).toEqual(all);
}, 120_000);

test("a bucket out of reach is 503 for who needs it, and for nobody else", async () => {
  const topic = await filled();
  await evictDurableObject(env.QUEUE.getByName(`default/${topic.name}/0`));
  const binding = vi.spyOn(bucket, "get").mockRejectedValue(new Error("down"));
  onTestFinished(() => binding.mockRestore());
  const group = topic.group();
  const answer = await mq.call("POST", `${group.path}/receive`, {});
  expect([answer.status, answer.json["code"]]).toEqual([503, "body_unavailable"]);
  expect(binding.mock.calls.length, "the server sees this binding").toBeGreaterThan(0);
  const newest = (await topic.stats()) as unknown as { queues: { nextOffset: number }[] };
  const offset = there(newest.queues[0]).nextOffset - 1;
  expect((await topic.peek(`?offset=${offset}`)).map(numberIn)).toEqual([COUNT - 1]);
  const latest = await topic.group("late").make({ startFrom: "latest" });
  await topic.send({ body: "new" });
  expect((await latest.one()).body).toBe("new");
  binding.mockRestore();
  expect((await drain(group, COUNT)).slice(0, COUNT)).toEqual(all);
}, 120_000);

test("what the bucket has not is waited for, and stats say so; put back, it comes", async () => {
  const before = new Set(await names());
  const topic = await filled();
  const name = there((await names()).find((one) => !before.has(one)));
  const object = await there((await bucket.get(name)) ?? undefined).arrayBuffer();
  await bucket.delete(name);
  await evictDurableObject(env.QUEUE.getByName(`default/${topic.name}/0`));
  const group = topic.group();
  const got: number[] = [];
  await until("the group stands", async () => {
    const answer = await mq.call("POST", `${group.path}/receive`, { maxMessages: 7 });
    if (answer.status === 503) return answer.json["code"] === "body_unavailable";
    const { messages } = answer.json as unknown as { messages: Message[] };
    got.push(...messages.map(numberIn));
    await group.ack(...messages);
    return false;
  });
  const { queues, groups } = (await topic.stats()) as unknown as { queues: Json[]; groups: Json[] };
  expect(Number(queues[0]?.["coldUnreachableAt"])).toBeGreaterThan(0);
  expect(groups[0]).toMatchObject({ lag: COUNT - got.length, expired: 0 });
  await bucket.put(name, object);
  got.push(...(await drain(group, COUNT - got.length)));
  expect(got).toEqual(all);
}, 120_000);

test("what the bucket has damaged is passed over and counted; the rest comes", async () => {
  const before = new Set(await names());
  const topic = await filled();
  const lost = (await names()).find((name) => !before.has(name));
  await bucket.put(there(lost), "something else");
  await evictDurableObject(env.QUEUE.getByName(`default/${topic.name}/0`));
  const group = topic.group();
  const got: number[] = [];
  await until("the group is through", async () => {
    const messages = await group.receive({ maxMessages: 7 });
    got.push(...messages.map(numberIn));
    if (messages.length > 0) await group.ack(...messages);
    return got.at(-1) === COUNT - 1;
  });
  expect(new Set(got).size).toBe(got.length);
  expect(got.some(Number.isNaN)).toBe(false);
  const { groups } = (await topic.stats()) as unknown as { groups: Json[] };
  expect(groups[0]).toMatchObject({ lag: 0, expired: COUNT - got.length });
  expect(got.length).toBeLessThan(COUNT);
}, 120_000);

test("a topic that is deleted leaves nothing behind", async () => {
  const before = await names();
  const topic = await filled();
  expect((await names()).length).toBeGreaterThan(before.length);
  await mq.ok("DELETE", topic.path);
  await until("its objects are gone", async () => {
    const left = await names();
    return left.every((name) => before.includes(name));
  });
}, 120_000);

/** What a SIGKILL of the server must not take: everything that was answered with 2xx, and nothing of it twice. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { Mq, type Topic } from "../conformance/client.ts";
import { listenOnLoopback } from "../conformance/endpoints.node.ts";
import {
  bodies,
  type Json,
  type Message,
  type Prepared,
  SHORT,
  sorted,
  there,
  unique,
} from "../conformance/kit.ts";

const PATIENCE_MS = 240_000;

let folder = "";
let server: Server;
const mq = (): Mq =>
  new Mq({
    name: "restarted",
    key: server.rootKey,
    fetch: (path, init) => fetch(`${server.url}${path}`, init),
    listen: listenOnLoopback,
  });

const start = (): Promise<Server> =>
  startServer({ dataFolder: folder, onOutput: (text) => output.push(text) });
const output: string[] = [];

async function crash(): Promise<void> {
  await server.kill();
  server = await start();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-restart-"));
  server = await start();
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The same topic through the server that runs now. */
const again = (topic: Topic): Topic => topic.through(mq());

test("idempotent sends, prepares and commits answer across a crash what they answered before", async () => {
  const topic = await mq().topic({ queues: 3 });
  const many = {
    messages: Array.from({ length: 12 }, (_, body) => ({ body, messageGroup: `g${body}` })),
  };
  const half = { producerGroup: "p", message: { body: "half" } };
  const [a, b, c] = [unique("send"), unique("prepare"), unique("commit")];
  const sent = await mq().ok("POST", `${topic.path}/messages`, many, { once: a });
  const prepared = await mq().ok<Prepared>("POST", `${topic.path}/transactions`, half, { once: b });
  const decided = await mq().commit(prepared.transactionId, {}, { once: c });
  for (let round = 0; round < 2; round += 1) {
    await crash();
    const replies = [
      [sent, await mq().call("POST", `${topic.path}/messages`, many, { once: a })],
      [prepared, await mq().call("POST", `${topic.path}/transactions`, half, { once: b })],
      [decided, await mq().decide(prepared.transactionId, "commit", {}, { once: c })],
    ] as const;
    for (const [first, second] of replies) {
      expect(second.json).toEqual(first);
      expect(second.headers.get("idempotent-replayed")).toBe("true");
    }
  }
  expect(await again(topic).peek()).toHaveLength(13);
});

test("transactions that were prepared before the crash are checked after it", async () => {
  const answers = await listenOnLoopback(() => ({ body: '{"resolution":"commit"}' }));
  const producerGroup = unique("producers");
  await mq().ok("PUT", `/v1/producer-groups/${producerGroup}`, { check: { url: answers.url } });
  const topic = await mq().topic({ queues: 2 });
  const check = { timeoutMs: 1_500, intervalMs: 300, maxChecks: 20 };
  const prepared: Prepared[] = [];
  for (let body = 0; body < 6; body += 1)
    prepared.push(
      await topic.prepare({ body, messageGroup: `g${body}` }, { producerGroup, check }),
    );
  await crash();
  for (const { transactionId } of prepared)
    expect(await mq().becomes(transactionId, "committed")).toMatchObject({ decidedBy: "check" });
  expect(sorted(bodies(await again(topic).group().take(6)))).toEqual(sorted([0, 1, 2, 3, 4, 5]));
  await answers.close();
});

test("a redrive at a rate goes on after the crash where it was", async () => {
  const topic = await mq().topic({ queues: 2 });
  const group = await topic.group().make({ maxAttempts: 1 });
  await topic.send(...Array.from({ length: 9 }, (_, body) => ({ body, messageGroup: `m${body}` })));
  const messages = await group.receive({ maxMessages: 100 });
  const receipts = [...messages, ...(await group.receive({ maxMessages: 100 }))].map(
    ({ receipt }) => receipt,
  );
  await mq().ok("POST", `${group.path}/nack`, { receipts, retry: false });
  const path = `${group.path}/dead-letters/redrive`;
  await mq().ok("POST", path, { ratePerSecond: 2 });
  await crash();
  const taken = await again(topic).group().take(9);
  expect(sorted(bodies(taken))).toEqual(sorted([0, 1, 2, 3, 4, 5, 6, 7, 8]));
  expect(await mq().ok("GET", path)).toMatchObject({ state: "done", redriven: 9, remaining: 0 });
});

test("rows of prepared, rolled back and discarded transactions are the same after the crash", async () => {
  const topic = await mq().topic();
  const kept = await topic.prepare({ body: "kept", keys: ["k"] });
  const dropped = await topic.prepare({ body: "dropped" });
  const discarded = await topic.prepare({ body: "late" }, { check: { ...SHORT, maxChecks: 1 } });
  await mq().rollback(dropped.transactionId);
  await mq().becomes(discarded.transactionId, "discarded");
  await crash();
  expect((await mq().decide(dropped.transactionId, "commit")).status).toBe(409);
  expect((await mq().decide(discarded.transactionId, "commit")).status).toBe(409);
  expect((await mq().decide(discarded.transactionId, "resume")).status).toBe(200);
  await mq().commit(discarded.transactionId);
  expect((await mq().commit(kept.transactionId)).repeated).toBe(false);
  await crash();
  expect((await mq().commit(kept.transactionId)).repeated).toBe(true);
  expect(bodies(await again(topic).group().take(2))).toEqual(["late", "kept"]);
});

test("delayed messages come after a crash, not before their time", async () => {
  const topic = await mq().topic();
  const sent = await topic.sendOne({ body: "later", delayMs: 2_500 });
  const over = await topic.sendOne({ body: "over", delayMs: 100 });
  const recalled = await topic.sendOne({ body: "recalled", delayMs: 2_000 });
  await mq().ok("DELETE", `/v1/messages/${recalled.id}`);
  await crash();
  const taken = await again(topic).group().take(2);
  expect(bodies(taken)).toEqual(["over", "later"]);
  expect(there(taken[1]).storedAt).toBeGreaterThanOrEqual(there(sent.deliverAt));
  expect(there(taken[0]).storedAt).toBeGreaterThanOrEqual(there(over.deliverAt));
});

test("acked stays acked, leases and attempt ids survive, and so do retries and dead letters", async () => {
  const topic = await mq().topic();
  const settings = { maxAttempts: 2, backoff: { delaysMs: [1_500] } };
  const group = await topic.group().make(settings);
  await topic.send(...["acked", "leased", "retrying", "dead", "free"].map((body) => ({ body })));
  const attemptId = unique("attempt");
  await group.ack(await group.one());
  const leased = await group.receive({ maxMessages: 1, attemptId, invisibleMs: 60_000 });
  expect(bodies(leased)).toEqual(["leased"]);
  const failing = await group.one();
  await group.nack(await group.one(), { retry: false, reason: "poison" });
  const failedAt = Date.now();
  await group.nack(failing);
  await crash();
  const now = again(topic).group();
  const same = await now.receive({ maxMessages: 1, attemptId, invisibleMs: 60_000 });
  expect(same.map(({ id, receipt }: Message) => [id, receipt])).toEqual(
    leased.map(({ id, receipt }) => [id, receipt]),
  );
  // A start may take longer than the retry's delay: either may come first, and the second one never early.
  const came = [await now.one(), await now.one()];
  expect(Date.now() - failedAt).toBeGreaterThanOrEqual(1_500);
  const attempts = came.map(({ body, deliveryAttempt }) => `${String(body)}: ${deliveryAttempt}`);
  expect(sorted(attempts)).toEqual(sorted(["free: 1", "retrying: 2"]));
  expect(await now.ack(there(leased[0]))).toEqual([
    { receipt: there(leased[0]).receipt, ok: true },
  ]);
  const letters = await now.deadLetters();
  expect(letters).toEqual([expect.objectContaining({ body: "dead", reason: "poison" })]);
  await now.nothing(0);
});

test("topics, groups, keys and producer groups are there after the crash", async () => {
  const topic = await mq().topic({ queues: 3, retentionMs: 60_000 });
  const group = await topic.group("kept").make({ ordered: true });
  await mq().ok("POST", `${group.path}/pause`, {});
  const name = unique("key");
  const key = await mq().ok<{ key: string }>("PUT", `/v1/keys/${name}`, { scopes: ["manage"] });
  await crash();
  expect(await mq().ok("GET", topic.path)).toMatchObject({ queues: 3, retentionMs: 60_000 });
  expect(await mq().ok("GET", group.path)).toMatchObject({ ordered: true });
  const answer: Json = await mq().ok("POST", `${group.path}/receive`, {});
  expect(answer["paused"]).toBe(true);
  expect((await mq().with(key.key).call("GET", topic.path)).status).toBe(200);
});

test("row 58: a server killed right after a commit delivers it once and asks no more", async () => {
  const asks: string[] = [];
  const answers = await listenOnLoopback((call) => {
    asks.push((JSON.parse(call.body) as { data: { transactionId: string } }).data.transactionId);
    return { body: '{"resolution":"commit"}' };
  });
  const producerGroup = unique("producers");
  await mq().ok("PUT", `/v1/producer-groups/${producerGroup}`, { check: { url: answers.url } });
  const topic = await mq().topic();
  const { transactionId } = await topic.prepare(
    { body: 1 },
    { producerGroup, check: { ...SHORT, timeoutMs: 3_000 } },
  );
  const decided = await mq().commit(transactionId);
  await crash();
  const late = await again(topic).prepare({ body: "later" }, { producerGroup, check: SHORT });
  await mq().becomes(late.transactionId, "committed");
  expect(await mq().commit(transactionId)).toEqual({ ...decided, repeated: true });
  const group = again(topic).group();
  expect(bodies(await group.take(2))).toEqual([1, "later"]);
  await group.nothing(3_000);
  expect(asks).not.toContain(transactionId);
  await answers.close();
});

test(
  "a commit over several topics is forwarded exactly once, whenever the server is killed",
  { timeout: PATIENCE_MS },
  async () => {
    const home = await mq().topic();
    const target = await mq().topic({ queues: 4 });
    const expected: string[] = [];
    const commits: { readonly id: string; readonly answered: boolean }[] = [];
    for (let round = 0; round < 10; round += 1) {
      const messages = Array.from({ length: 20 }, (_, index) => ({
        body: `${round}.${index}`,
        messageGroup: `g${index % 8}`,
        ...(index % 4 === 0 ? {} : { topic: target.name }),
      }));
      const { transactionId } = await again(home).prepare(messages);
      const deciding = mq()
        .decide(transactionId, "commit")
        .then((answer) => answer.status === 200)
        .catch(() => false);
      // 0 ms … 45 ms after the request left, and twice right after its answer.
      if (round < 8) await pause(round * 6);
      else await deciding;
      await crash();
      commits.push({ id: transactionId, answered: await deciding });
      expected.push(...messages.map((message) => message.body));
    }
    for (const { id, answered } of commits) {
      const { state } = await mq().transaction(id);
      if (answered) expect(state).toBe("committed");
      await mq().commit(id);
    }
    const here = expected.filter((body) => Number(body.split(".")[1]) % 4 === 0);
    const away = expected.filter((body) => !here.includes(body));
    const [ours, theirs] = [again(home).group(), again(target).group()];
    expect(sorted(bodies(await ours.take(here.length)))).toEqual(sorted(here));
    const forwarded = await theirs.take(away.length);
    expect(sorted(bodies(forwarded))).toEqual(sorted(away));
    await ours.nothing();
    await theirs.nothing(500);
    for (let index = 0; index < 8; index += 1) {
      const own = (await again(target).peek()).filter((each) => each.messageGroup === `g${index}`);
      for (let round = 0; round < 10; round += 1) {
        const order = own
          .map((each) => String(each.body).split("."))
          .filter(([of]) => of === String(round))
          .map(([, at]) => Number(at));
        expect(order).toEqual(order.toSorted((x, y) => x - y));
      }
    }
  },
);

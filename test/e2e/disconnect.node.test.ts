/** A client that goes away in its long poll, against the server of `npm start`: nothing stays leased to it. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../src/cli/server.ts";
import { Mq } from "../conformance/client.ts";
import { listenOnLoopback } from "../conformance/endpoints.node.ts";
import { until } from "../conformance/kit.ts";
import { closed } from "../kit/closed.node.ts";

let folder = "";
let server: Server;
let mq: Mq;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-disconnect-"));
  server = await startServer({ dataFolder: folder, onOutput: () => {} });
  mq = new Mq({
    name: "disconnect",
    key: server.rootKey,
    fetch: (path, init) => fetch(`${server.url}${path}`, init),
    listen: listenOnLoopback,
  });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A receive on a connection that can be reset, which is what plain workerd hears of at once. */
async function pollAt(path: string): Promise<{ reset(): Promise<void>; close(): Promise<void> }> {
  const socket = connect(server.port, "127.0.0.1");
  const ended = closed(socket);
  await once(socket, "connect");
  const body = JSON.stringify({ waitMs: 20_000 });
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${server.rootKey}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return {
    async reset() {
      socket.resetAndDestroy();
      await ended;
    },
    /** In good order, of which plain workerd hears only when it writes the answer. */
    async close() {
      socket.end();
      socket.destroy();
      await ended;
    },
  };
}

test.for([1, 4])("a reset long poll over %i queues leaves nothing leased", async (queues) => {
  const topic = await mq.topic({ queues });
  const group = await topic.group().make();
  for (let round = 0; round < 5; round++) {
    const before = (await topic.stats()).groups[0]?.lastSeenAt ?? 0;
    const poll = await pollAt(`${group.path}/receive`);
    await until(
      "the poll",
      async () => ((await topic.stats()).groups[0]?.lastSeenAt ?? 0) > before,
    );
    await poll.reset();
    // Sent at once, so that it may cross the news of the reset: then the lease is given back.
    await topic.sendOne({ body: round, messageGroup: `g${round}` });
    const message = await group.one({ waitMs: 20_000, attemptId: `a${queues}${round}` });
    expect(message).toMatchObject({ body: round, deliveryAttempt: 1 });
    await group.ack(message);
  }
});

test("a reset poll for checks takes none with it", async () => {
  const topic = await mq.topic();
  const producerGroup = `${topic.name}-p`;
  const path = `/v1/producer-groups/${producerGroup}/checks/receive`;
  for (let round = 0; round < 3; round++) {
    const poll = await pollAt(path);
    // Behind it on another connection, so that the first one is at its wait.
    await mq.ok("POST", path, {});
    await poll.reset();
    const { transactionId } = await mq.ok<{ transactionId: string }>(
      "POST",
      `${topic.path}/transactions`,
      { producerGroup, message: { body: round }, check: { timeoutMs: 300, intervalMs: 60_000 } },
    );
    const { checks } = await mq.ok<{ checks: object[] }>("POST", path, { waitMs: 20_000 });
    expect(checks).toMatchObject([{ transactionId, attempt: 1 }]);
    await mq.ok("POST", `/v1/transactions/${transactionId}/rollback`, {});
  }
});

test.for([1, 4])("closed long polls over %i queues cost a message no attempt", async (queues) => {
  const topic = await mq.topic({ queues });
  const group = await topic.group().make({ maxAttempts: 2 });
  const polls = await Promise.all(Array.from({ length: 6 }, () => pollAt(`${group.path}/receive`)));
  const openedAt = Date.now();
  // Those that have waited for a moment: who is answered at once is seldom gone.
  await until("the polls", async () => {
    const seen = (await topic.stats()).groups[0]?.lastSeenAt ?? 0;
    return seen > 0 && Date.now() - openedAt > 500;
  });
  for (const poll of polls) await poll.close();
  await topic.sendOne({ body: "seen" });
  const message = await group.one({ waitMs: 20_000 });
  expect(message).toMatchObject({ body: "seen", deliveryAttempt: 1 });
  expect(await group.deadLetters()).toEqual([]);
});

test("requests that share a call are answered though others of them go away", async () => {
  const topic = await mq.topic();
  const ask = async (body: string, leaveAfterMs?: number): Promise<string | undefined> => {
    const leave = new AbortController();
    const left =
      leaveAfterMs === undefined ? undefined : setTimeout(() => leave.abort(), leaveAfterMs);
    try {
      const answer = await fetch(`${server.url}${topic.path}/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.rootKey}`, "content-type": "application/json" },
        body: JSON.stringify({ body }),
        signal: leave.signal,
      });
      expect(answer.status).toBe(200);
      const { messages } = (await answer.json()) as { messages: { id: string }[] };
      return messages[0]?.id;
    } catch (error) {
      if (leave.signal.aborted) return undefined;
      throw error;
    } finally {
      clearTimeout(left);
    }
  };
  const ids = new Map<string, string>();
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const body = `${round}-${index}`;
        const id = await ask(body, index % 3 === 0 ? (index + round) % 7 : undefined);
        if (id !== undefined) ids.set(id, body);
        else expect(index % 3).toBe(0);
      }),
    );
  }
  expect(ids.size).toBeGreaterThanOrEqual(400);
  const stored = new Map((await topic.peek()).map((each) => [each.id, each.body]));
  for (const [id, body] of ids) expect(stored.get(id)).toBe(body);
  expect(new Set(stored.values()).size).toBe(stored.size);
});

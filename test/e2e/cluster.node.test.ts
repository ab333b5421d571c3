/**
 * Several servers over one bucket: nothing that was answered is lost or doubled, whichever of them is killed, stopped or
 * frozen. The lease of 20 s is cut to 10, which a busy machine renews in time; nothing else is other than in a real cluster.
 */
import { setTimeout as pause } from "node:timers/promises";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { Server } from "../../src/cli/server.ts";
import { type RunningCluster, startCluster } from "../kit/cluster.node.ts";

// Three servers start, one lease runs out.
vi.setConfig({ testTimeout: 180_000 });

const SENDERS = 8;
const RETRY_MS = 20;

let cluster: RunningCluster;

beforeEach(async () => {
  cluster = await startCluster({ instances: 3, timeDivisor: 2 });
  onTestFinished(cluster.stop);
});

function server(index: number): Server {
  const found = cluster.servers[index];
  if (found === undefined) throw new Error(`there is no server ${index}`);
  return found;
}

interface Answer<T> {
  readonly status: number;
  readonly json: T;
}

async function post<T>(at: Server, path: string, body: unknown, key?: string): Promise<Answer<T>> {
  const answer = await fetch(`${at.url}/v1${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${cluster.rootKey}`,
      "content-type": "application/json",
      ...(key === undefined ? {} : { "idempotency-key": key }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(25_000),
  });
  return { status: answer.status, json: (await answer.json()) as T };
}

interface Sent {
  readonly messages: { id: string }[];
}

interface Received {
  readonly messages: { id: string; offset: number; body: unknown }[];
}

/**
 * Again with the same key until it is answered, as a client would; only what may pass is tried again. An instance that a busy
 * machine kept from renewing its lease ends itself, as it should: then the next one is asked.
 */
async function surely<T>(at: Server, path: string, body: unknown, key: string): Promise<T> {
  const instances = [at, ...cluster.servers.filter((each) => each !== at)];
  for (let tries = 0; ;) {
    const asked = instances[tries % instances.length] ?? at;
    const answer = await post<T>(asked, path, body, key).catch(() => undefined);
    if (answer === undefined) tries++;
    else if (answer.status < 300) return answer.json;
    else expect(answer.status).toBe(503);
    await pause(RETRY_MS);
  }
}

async function sendSurely(at: Server, body: string): Promise<string> {
  const { messages } = await surely<Sent>(at, "/topics/orders/messages", { body }, body);
  return messages[0]?.id ?? "";
}

/** Senders at the instances named, each so many messages; calls `halfWay` once, when half of all are answered. */
async function load(
  at: readonly number[],
  each: number,
  halfWay: () => Promise<unknown>,
): Promise<string[]> {
  const ids: string[] = [];
  let struck: Promise<unknown> | undefined;
  const sender = async (number: number): Promise<void> => {
    const target = server(at[number % at.length] ?? 0);
    for (let count = 0; count < each; count++) {
      ids.push(await sendSurely(target, `${number}-${count}`));
      if (ids.length >= (SENDERS * each) / 2) struck ??= halfWay();
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, (_, number) => sender(number)));
  await struck;
  return ids;
}

/** All messages that a new group gets, in order; undefined when an answer is lost, and what it held with it. */
async function readAll(at: Server, group: string): Promise<Received["messages"] | undefined> {
  const all: Received["messages"] = [];
  for (;;) {
    const path = `/topics/orders/groups/${group}/receive`;
    const answer = await post<Received>(at, path, { maxMessages: 1_000 }).catch(() => undefined);
    if (answer === undefined || answer.status === 503) return undefined;
    expect(answer.status).toBe(200);
    if (answer.json.messages.length === 0) return all;
    all.push(...answer.json.messages);
  }
}

/** An instance that ends itself meanwhile takes an answer with it: the next one reads with a group of its own. */
async function readSurely(at: Server): Promise<Received["messages"]> {
  const instances = [at, ...cluster.servers];
  for (let tries = 0; ; tries++) {
    const found = await readAll(instances[tries % instances.length] ?? at, `audit-${tries}`);
    if (found !== undefined) return found;
    await pause(RETRY_MS);
  }
}

async function expectAllOnce(at: Server, ids: readonly string[]): Promise<void> {
  const found = await readSurely(at);
  expect(found.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect(found.map(({ offset }) => offset)).toEqual(ids.map((_, offset) => offset));
}

test("the owner of a queue is killed under load: nothing is lost, nothing doubled", async () => {
  // Who is called first owns the objects.
  const first = await sendSurely(server(0), "first");
  const ids = await load([1, 2], 30, () => server(0).kill());
  await expectAllOnce(server(1), [first, ...ids]);
});

test("the owner is stopped in good order under load: it hands over, and nothing is lost", async () => {
  const first = await sendSurely(server(0), "first");
  const ids = await load([1, 2], 30, () => server(0).stop());
  expect(await server(0).ended).toBe("code 0");
  await expectAllOnce(server(2), [first, ...ids]);
});

test("the check of a killed instance's transaction is asked by another", async () => {
  const prepare = { producerGroup: "shop", message: { body: 1 }, check: { timeoutMs: 1_000 } };
  await surely(server(0), "/topics/orders/transactions", prepare, "half");
  await server(0).kill();
  for (let tries = 1; ; tries++) {
    const path = "/producer-groups/shop/checks/receive";
    const asked = server(tries % 2 === 1 ? 1 : 2);
    const polled = post<{ checks?: unknown[] }>(asked, path, { waitMs: 2_000 });
    const answer = await polled.catch(() => undefined);
    if ((answer?.json.checks ?? []).length > 0) break;
    await pause(RETRY_MS);
  }
});

test("all instances are killed: one that joins later has everything", async () => {
  const ids = await load([0, 1, 2], 10, () => Promise.resolve());
  await Promise.all(cluster.servers.map((each) => each.kill()));
  const late = await cluster.join();
  const again = await sendSurely(late, "after");
  await expectAllOnce(late, [...ids, again]);
});

test("an instance that was frozen past its lease ends itself rather than answer what is old", async () => {
  const first = await sendSurely(server(0), "first");
  process.kill(server(0).pid, "SIGSTOP");
  // The other instance takes over when the lease is out; a call that went to the frozen one before is given up.
  const second = await takenOver(server(1));
  process.kill(server(0).pid, "SIGCONT");
  expect(await server(0).ended).toBe("code 1");
  await expectAllOnce(server(1), [first, second]);
});

async function takenOver(at: Server): Promise<string> {
  for (;;) {
    const sent = post<Sent>(at, "/topics/orders/messages", { body: 2 }, "second");
    const answer = await Promise.race([sent.catch(() => undefined), pause(1_000)]);
    if (answer?.status === 200) return answer.json.messages[0]?.id ?? "";
    await pause(RETRY_MS);
  }
}

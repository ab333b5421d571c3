/** Large bodies over HTTP, inside the Workers runtime with a bucket: nobody notices where they are kept. */
import { env } from "cloudflare:workers";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { Mq, type Topic } from "../conformance/client.ts";
import { insideTarget } from "../conformance/inside.ts";
import { type Connected, type Json, type Message, there, until } from "../conformance/kit.ts";
import { messagesIn, pushing, verify } from "../conformance/push-kit.ts";

const MIB = 1024 * 1024;
const mq = new Mq(insideTarget());
const bucket = there((env as { BODIES?: R2Bucket }).BODIES);

const LARGE = MIB + MIB / 4;

/** JSON text of a large body, with a word in front to know it by. */
const largeText = (word: string): string => `"${`${word}-`.padEnd(LARGE - 2, "x")}"`;

async function names(): Promise<string[]> {
  return (await bucket.list()).objects.map(({ key }) => key).toSorted();
}

/** The objects that the work puts, and leaves, in the bucket. */
async function putBy(work: () => Promise<unknown>): Promise<string[]> {
  const before = new Set(await names());
  await work();
  return (await names()).filter((name) => !before.has(name));
}

const sendRaw = (topic: Topic, raw: string, once?: string) =>
  mq.ok<{ messages: { id: string }[] }>("POST", `${topic.path}/messages`, undefined, {
    raw,
    ...(once === undefined ? {} : { once }),
  });

const sendLarge = (topic: Topic, word: string, more: Json = {}) =>
  sendRaw(topic, `{"body":${largeText(word)},${JSON.stringify(more).slice(1, -1) || '"tag":"t"'}}`);

// The first request loads the Worker, its objects and the bucket, which is no test's time.
beforeAll(async () => {
  await sendLarge(await mq.topic(), "first");
}, 120_000);

const wordOf = ({ body }: Pick<Message, "body">): string =>
  typeof body === "string" ? (body.split("-")[0] ?? "") : "none";

test("a body above 1 MiB comes back byte for byte, JSON and binary, among small ones and in order", async () => {
  const topic = await mq.topic();
  const json = `"${"é".repeat(LARGE / 2)}\\u00e9"`;
  const bodyBase64 = btoa("\u00fe".repeat(LARGE));
  const objects = await putBy(() =>
    sendRaw(
      topic,
      `{"messages":[{"body":1},{"body":${json},"keys":["k"]},{"bodyBase64":"${bodyBase64}","contentType":"x/y"},{"body":2}]}`,
    ),
  );
  expect(objects).toHaveLength(2);
  expect(objects[0]).toMatch(/^bodies\/[0-9a-f]{32}$/);
  expect((await topic.stats()).queues[0]?.bytes).toBeLessThan(1_000);
  const group = topic.group();
  const taken: Message[] = [];
  await until("all of them", async () => {
    taken.push(...(await group.receive({ maxMessages: 10 })));
    return taken.length === 4;
  });
  expect(taken.map(({ offset }) => offset)).toEqual([0, 1, 2, 3]);
  expect([taken[0]?.body, taken[3]?.body]).toEqual([1, 2]);
  expect(taken[1]?.body === JSON.parse(json), "the text that came").toBe(true);
  expect(taken[2]?.bodyBase64 === bodyBase64, "the bytes that came").toBe(true);
  expect(taken[2]?.contentType).toBe("x/y");
  expect(taken[1]?.keys).toEqual(["k"]);
  const peeked = await mq.call("GET", `${topic.path}/messages?key=k`);
  expect(peeked.text.includes(`"body":${json},`), "with its escapes").toBe(true);
});

test("the largest body is what fits a request; one above 8 MiB is refused, and leaves nothing", async () => {
  const topic = await mq.topic();
  const most = 8 * MIB - '{"body":}'.length;
  await sendRaw(topic, `{"body":"${"x".repeat(most - 2)}"}`);
  const [message] = await topic.group().take(1);
  expect(String(message?.body)).toHaveLength(most - 2);
  const objects = await putBy(() =>
    mq.refused([413, "request_too_large"], "POST", `${topic.path}/messages`, undefined, {
      raw: `{"body":"${"x".repeat(most - 1)}"}`,
    }),
  );
  expect(objects).toEqual([]);
});

test("an answer holds at most 8 MiB, and at least one message", async () => {
  const topic = await mq.topic({ queues: 3 });
  for (const word of "abcdefgh") await sendLarge(topic, word);
  const group = topic.group();
  const answer = await mq.call("POST", `${group.path}/receive`, { maxMessages: 100 });
  const { messages } = answer.json as { messages: Message[] };
  expect(answer.text.length).toBeLessThanOrEqual(8 * MIB);
  expect(messages.length).toBeGreaterThanOrEqual(1);
  expect(messages.length).toBeLessThan(8);
  await group.ack(...messages);
  const rest = await group.take(8 - messages.length);
  expect([...messages, ...rest].map(wordOf).toSorted().join("")).toBe("abcdefgh");
  const peeked = await mq.call("GET", `${topic.path}/messages?limit=100`);
  expect(peeked.text.length).toBeLessThanOrEqual(8 * MIB);
  expect((await topic.peek()).map(wordOf).toSorted().join("")).toBe("abcdefgh");
});

test("a repeat with its key answers the same, and a duplicate the first one", async () => {
  const topic = await mq.topic();
  const raw = `{"body":${largeText("once")},"dedupId":"d"}`;
  const first = await sendRaw(topic, raw, "key-1");
  expect(await sendRaw(topic, raw, "key-1")).toEqual(first);
  const again = await sendRaw(topic, raw);
  expect(again.messages).toMatchObject([{ id: first.messages[0]?.id, state: "duplicate" }]);
  expect((await topic.peek()).map(wordOf)).toEqual(["once"]);
});

test("a transaction with large bodies over two topics is seen whole after its commit, and checked with them", async () => {
  const [home, other] = [await mq.topic(), await mq.topic()];
  const raw = `{"producerGroup":"${home.name}","check":{"timeoutMs":100},"messages":[
    {"body":${largeText("here")}},{"topic":"${other.name}","body":${largeText("there")},"delayMs":50}]}`;
  const path = `${home.path}/transactions`;
  const { transactionId } = await mq.ok<{ transactionId: string }>("POST", path, undefined, {
    raw,
  });
  expect(await home.peek()).toEqual([]);
  const [check] = await mq.checks(home.name, 10_000);
  expect((check as unknown as { messages: Message[] }).messages.map(wordOf)).toEqual([
    "here",
    "there",
  ]);
  await mq.commit(transactionId);
  expect(wordOf(await home.group().one())).toBe("here");
  expect(wordOf(await other.group().one())).toBe("there");
});

test("a dead letter keeps its large body, and is redriven with it", async () => {
  const topic = await mq.topic();
  await sendLarge(topic, "dead");
  const group = topic.group();
  await group.nack(await group.one(), { retry: false, reason: "no" });
  const [letter] = (await group.deadLetters()) as unknown as (Message & { reason: string })[];
  expect(letter?.reason).toBe("no");
  expect(wordOf(there(letter))).toBe("dead");
  await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
  expect(wordOf(await group.one())).toBe("dead");
});

test("each consumer of a broadcast group gets it", async () => {
  const topic = await mq.topic();
  const group = await topic.group().make({ mode: "broadcast" });
  await sendLarge(topic, "all");
  for (const consumerId of ["a", "b"]) expect(wordOf(await group.one({ consumerId }))).toBe("all");
});

test("a push carries it, signed", async () => {
  const topic = await mq.topic();
  const pushed = await pushing(topic, () => ({ status: 200 }));
  await sendLarge(topic, "pushed");
  await vi.waitFor(() => expect(pushed.calls.length).toBeGreaterThan(0), 30_000);
  const call = there(pushed.calls[0]);
  verify(call, pushed.secret);
  expect(messagesIn(call).map(wordOf)).toEqual(["pushed"]);
});

const openSocket = (connected: Connected) => {
  if (connected.is !== "open") throw new Error(String(connected.code));
  onTestFinished(() => connected.socket.close(1000));
  return connected.socket;
};

test("a stream and a tail show it", async () => {
  const topic = await mq.topic();
  await topic.group().make();
  await sendLarge(topic, "shown");
  const connected = await mq.target.connect?.(`${topic.group().path}/stream`, {
    authorization: `Bearer ${mq.key}`,
  });
  const socket = openSocket(there(connected));
  const first = new Promise<string>((resolve) => {
    socket.onFrame((text) => {
      if (text.startsWith('{"messages"')) resolve(text);
    });
  });
  socket.send('{"credit":1}');
  const { messages } = JSON.parse(await first) as { messages: Message[] };
  expect(messages.map(wordOf)).toEqual(["shown"]);
  const answer = await mq.target.fetch(`${topic.path}/tail?from=earliest`, {
    headers: { authorization: `Bearer ${mq.key}` },
  });
  const reader = there(answer.body ?? undefined).getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n\n", text.indexOf("data: {") + 1) || !text.includes("data: {"))
    text += decoder.decode((await reader.read()).value, { stream: true });
  await reader.cancel();
  const data = /^data: (\{.*\})$/mu.exec(text)?.[1] ?? "{}";
  expect(wordOf(JSON.parse(data) as Message)).toBe("shown");
});

test("a damaged body is a dead letter that says so, one that is gone is waited for; others are delivered", async () => {
  for (const ordered of [false, true]) {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered, onPoison: "block" });
    const messageGroup = "m";
    const apart = { messageGroup: "other" };
    const [lost = ""] = await putBy(() => sendLarge(topic, "lost", apart));
    const [damaged = ""] = await putBy(() => sendLarge(topic, "damaged", { messageGroup }));
    await topic.send({ body: "behind", messageGroup });
    await bucket.delete(lost);
    await bucket.put(damaged, new Uint8Array(LARGE));
    // What waits for its body is answered 503 while there is nothing else.
    const next = async (): Promise<Message> => {
      const found: Message[] = [];
      await until("a message comes", async () => {
        const answer = await mq.call("POST", `${group.path}/receive`, { maxMessages: 16 });
        const { messages = [] } = answer.json as unknown as { messages?: Message[] };
        found.push(...messages);
        return found.length > 0;
      });
      return there(found[0]);
    };
    const message = await next();
    expect(message.body).toBe("behind");
    await group.ack(message);
    expect(
      (await group.deadLetters()).map(({ reason, bodyError, body }) => ({
        reason,
        bodyError,
        body,
      })),
    ).toEqual([{ reason: "body_damaged", bodyError: { code: "body_damaged", bytes: LARGE } }]);
    const shown = (await topic.peek()) as unknown as Json[];
    expect(shown.map(({ bodyError }) => (bodyError as Json | undefined)?.["code"])).toEqual([
      "body_missing",
      "body_damaged",
      undefined,
    ]);
    // Put right, it goes out.
    await bucket.put(damaged, new TextEncoder().encode(largeText("damaged")));
    await mq.ok("POST", `${group.path}/dead-letters/redrive`, {});
    const again = await next();
    expect(wordOf(again)).toBe("damaged");
    await group.ack(again);
    expect(await group.deadLetters()).toEqual([]);
    await bucket.put(lost, new TextEncoder().encode(largeText("lost")));
    expect(await next()).toMatchObject({
      body: JSON.parse(largeText("lost")),
      deliveryAttempt: 1,
    });
  }
});

test("a bucket out of reach is 503 for what it has, and for nothing else", async () => {
  const topic = await mq.topic();
  await sendLarge(topic, "away");
  await topic.send({ body: "small" });
  const group = await topic.group().make();
  const binding = vi.spyOn(bucket, "get").mockRejectedValue(new Error("down"));
  onTestFinished(() => binding.mockRestore());
  const shown = (await topic.peek()) as unknown as Json[];
  const isMocked = binding.mock.calls.length > 0;
  expect(isMocked, "the server sees this binding").toBe(true);
  expect(shown.map(({ body, bodyError }) => (bodyError as Json)?.["code"] ?? body)).toEqual([
    "body_unavailable",
    "small",
  ]);
  const [small] = await group.receive();
  expect(small?.body).toBe("small");
  await group.ack(there(small));
  await until("the large one is asked for again", async () => {
    const answer = await mq.call("POST", `${group.path}/receive`, { waitMs: 3_000 });
    if (answer.status === 200) return false;
    expect([answer.status, answer.json["code"]]).toEqual([503, "body_unavailable"]);
    return true;
  });
  binding.mockRestore();
  const message = await group.one();
  expect([wordOf(message), message.deliveryAttempt]).toEqual(["away", 1]);
});

/** Publishing, pulling and acknowledging. */
import { expect } from "vitest";
import { unique } from "../../conformance/kit.ts";
import { account_id, type Cases, decoded, pull, queue, refusal } from "./kit.ts";

export const messages: Cases = {
  "text and JSON come back as they went in, each as its type": async (world) => {
    const id = await queue(world);
    const { messages: api } = world.cf.queues;
    const text = 'plain, with "quotes" and é';
    await api.push(id, { account_id, body: text, content_type: "text" });
    await api.push(id, { account_id, body: { n: 1, list: [true, null] }, content_type: "json" });
    await api.push(id, { account_id, body: "a JSON text", content_type: "json" });
    const pulled = await pull(world, id);
    const by = Object.groupBy(pulled, ({ metadata }) => metadata["CF-Content-Type"] ?? "");
    expect(by["text"]?.map(({ body }) => body)).toEqual([text]);
    const values = by["json"]?.map(({ body }) => decoded(body));
    expect(values).toEqual([{ n: 1, list: [true, null] }, "a JSON text"]);
    expect(pulled.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
  },

  "numbers are kept digit by digit": async (world) => {
    const id = await queue(world);
    const body = `{"content_type":"json","body":{"n":12345678901234567890,"d":0.1000000000000000055}}`;
    const answer = await (world.server.fetch ?? fetch)(
      `${world.server.url}/client/v4/accounts/${account_id}/queues/${id}/messages`,
      { method: "POST", headers: { authorization: `Bearer ${world.server.key}` }, body },
    );
    expect(answer.status).toBe(200);
    const [message] = await pull(world, id);
    expect(atob(message?.body ?? "")).toBe('{"n":12345678901234567890,"d":0.1000000000000000055}');
  },

  "a batch keeps its order, and its delays": async (world) => {
    const id = await queue(world);
    await world.cf.queues.messages.bulkPush(id, {
      account_id,
      messages: [
        { body: "first", content_type: "text" },
        { body: "much later", content_type: "text", delay_seconds: 3_600 },
        { body: "second", content_type: "text" },
      ],
    });
    expect((await pull(world, id)).map(({ body }) => body)).toEqual(["first", "second"]);
    const { message_backlog_count: count } = await world.cf.queues.messages.pull(id, {
      account_id,
    });
    expect(count).toBe(3);
  },

  "an acked message is gone, a retried one comes again with its attempt": async (world) => {
    const id = await queue(world);
    const { cf } = world;
    await cf.queues.messages.bulkPush(id, {
      account_id,
      messages: ["a", "b"].map((body) => ({ body, content_type: "text" as const })),
    });
    const [first, second] = await pull(world, id);
    const told = await cf.queues.messages.ack(id, {
      account_id,
      acks: [{ lease_id: first?.lease_id ?? "" }],
      retries: [{ lease_id: second?.lease_id ?? "", delay_seconds: 0 }],
    });
    expect(told).toMatchObject({ ackCount: 1, retryCount: 1, warnings: {} });
    const again = await pull(world, id);
    expect(again.map(({ body, attempts }) => [body, attempts])).toEqual([[second?.body, 2]]);
  },

  "an old lease acks nothing, and is named": async (world) => {
    const id = await queue(world);
    const { cf } = world;
    await cf.queues.messages.push(id, { account_id, body: "x", content_type: "text" });
    const [old] = await pull(world, id);
    const lease_id = old?.lease_id ?? "";
    await cf.queues.messages.ack(id, { account_id, retries: [{ lease_id, delay_seconds: 0 }] });
    await pull(world, id);
    const late = await cf.queues.messages.ack(id, {
      account_id,
      acks: [{ lease_id }, { lease_id: "no lease" }],
    });
    expect(late?.ackCount).toBe(0);
    expect(Object.keys(late?.warnings ?? {}).toSorted()).toEqual([lease_id, "no lease"].toSorted());
  },

  "after three retries it is a dead letter": async (world) => {
    const id = await queue(world);
    const { cf, native } = world;
    await cf.queues.messages.push(id, { account_id, body: "poison", content_type: "text" });
    for (let attempt = 1; attempt <= 4; attempt++) {
      const [message] = await pull(world, id);
      expect(message?.attempts).toBe(attempt);
      const retries = [{ lease_id: message?.lease_id ?? "" }];
      await cf.queues.messages.ack(id, { account_id, retries });
    }
    expect(await pull(world, id, { wait_ms: 0 })).toEqual([]);
    const dead = await native.groups.deadLetters(id, "cloudflare-queues").all();
    expect(dead.map(({ deliveryAttempt }) => deliveryAttempt)).toEqual([4]);
  },

  "order and dedup are there for who asks": async (world) => {
    const id = await queue(world);
    const { cf } = world;
    const dedup_id = unique("dedup");
    const message = {
      account_id,
      body: "once",
      content_type: "text",
      message_group: "m",
      dedup_id,
    };
    await cf.queues.messages.push(id, message as never);
    await cf.queues.messages.push(id, message as never);
    const pulled = await pull(world, id);
    expect(pulled.map(({ metadata }) => metadata["HalfMQ-Message-Group"])).toEqual(["m"]);
  },

  "what native programs send is pulled, and the other way round": async (world) => {
    const id = await queue(world);
    await world.native.send(id, { body: { from: "native" } });
    const [message] = await pull(world, id);
    expect(decoded(message?.body ?? "")).toEqual({ from: "native" });
    await world.cf.queues.messages.push(id, { account_id, body: "hello", content_type: "text" });
    const received = await world.native.consumer(id, "native").receive({ waitMs: 20_000 });
    expect(received.map((each) => each.id)).toContain(message?.id);
  },

  "what the API does not take is refused by name": async (world) => {
    const id = await queue(world);
    const { messages } = world.cf.queues;
    for (const bad of [
      { account_id, content_type: "json" },
      { account_id, body: 1, content_type: "text" },
      { account_id, body: "x", content_type: "v8" },
      { account_id, body: "x", content_type: "text", delay_seconds: 86_401 },
      { account_id, body: "x", content_type: "text", priority: 1 },
    ])
      expect(await refusal(messages.push(id, bad as never))).toEqual({ status: 400, codes: [400] });
    const big = { account_id, body: "x".repeat(1_048_577), content_type: "text" } as const;
    expect((await refusal(messages.push(id, big))).status).toBe(413);
    expect((await refusal(messages.bulkPush(id, { account_id, messages: [] }))).status).toBe(400);
    expect((await refusal(messages.peek(id, { account_id }))).status).toBe(400);
    const refs = [{ ref: "x" }];
    expect((await refusal(messages.purge(id, { account_id, refs }))).status).toBe(400);
    expect(await pull(world, id, { wait_ms: 0 })).toEqual([]);
  },
};

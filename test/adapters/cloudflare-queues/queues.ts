/** Queues, their consumers, their metrics, and who may do what. */
import { expect } from "vitest";
import { unique } from "../../conformance/kit.ts";
import { account_id, type Cases, client, pull, queue, refusal } from "./kit.ts";

const codes = async (answer: Response): Promise<(number | undefined)[]> =>
  ((await answer.json()) as { errors: { code?: number }[] }).errors.map(({ code }) => code);

export const queues: Cases = {
  "a queue is made, found, listed, changed and deleted": async ({ cf }) => {
    const queue_name = unique("queue");
    const made = await cf.queues.create({ account_id, queue_name });
    expect(made).toMatchObject({ queue_id: queue_name, queue_name, consumers: [] });
    expect((await refusal(cf.queues.create({ account_id, queue_name }))).status).toBe(409);
    const names: (string | undefined)[] = [];
    for await (const each of cf.queues.list({ account_id })) names.push(each.queue_name);
    expect(names).toContain(queue_name);
    const settings = { delivery_delay: 5, message_retention_period: 3_600 };
    const changed = await cf.queues.edit(queue_name, { account_id, settings });
    expect(changed.settings).toEqual({ ...settings, delivery_paused: false });
    expect((await cf.queues.get(queue_name, { account_id })).settings).toEqual(changed.settings);
    await cf.queues.delete(queue_name, { account_id });
    const gone = await refusal(cf.queues.get(queue_name, { account_id }));
    expect(gone).toEqual({ status: 404, codes: [11_000] });
  },

  "the queue's delay holds for what is published without one": async (world) => {
    const id = await queue(world);
    const { cf } = world;
    await cf.queues.update(id, { account_id, settings: { delivery_delay: 3_600 } });
    await cf.queues.messages.push(id, { account_id, body: "later", content_type: "text" });
    const now = { account_id, body: "now", content_type: "text", delay_seconds: 0 } as const;
    await cf.queues.messages.push(id, now);
    expect((await pull(world, id)).map(({ body }) => body)).toEqual(["now"]);
  },

  "a paused queue gives nothing until it goes on": async (world) => {
    const id = await queue(world);
    const { cf } = world;
    await cf.queues.messages.push(id, { account_id, body: "x", content_type: "text" });
    await cf.queues.edit(id, { account_id, settings: { delivery_paused: true } });
    expect(await pull(world, id, { wait_ms: 0 })).toEqual([]);
    await cf.queues.edit(id, { account_id, settings: { delivery_paused: false } });
    expect(await pull(world, id)).toHaveLength(1);
  },

  "metrics count what waits, and a purge skips it": async (world) => {
    const id = await queue(world);
    const { cf } = world;
    const before = Date.now() - 1_000;
    for (const body of ["a", "b"])
      await cf.queues.messages.push(id, { account_id, body, content_type: "text" });
    const waiting = await cf.queues.getMetrics(id, { account_id });
    expect(waiting.backlog_count).toBe(2);
    expect(waiting.backlog_bytes).toBeGreaterThan(0);
    expect(waiting.oldest_message_timestamp_ms).toBeGreaterThan(before);
    await cf.queues.purge.start(id, { account_id, delete_messages_permanently: true });
    const status = await cf.queues.purge.status(id, { account_id });
    expect(status.completed).toBe("true");
    expect(await cf.queues.getMetrics(id, { account_id })).toEqual({
      backlog_count: 0,
      backlog_bytes: 0,
      oldest_message_timestamp_ms: 0,
    });
    expect(await pull(world, id, { wait_ms: 0 })).toEqual([]);
    expect((await refusal(cf.queues.purge.start(id, { account_id }))).status).toBe(400);
  },

  "a pull consumer's settings are the group's": async (world) => {
    const id = await queue(world);
    const { consumers } = world.cf.queues;
    const settings = {
      batch_size: 7,
      max_retries: 1,
      retry_delay: 60,
      visibility_timeout_ms: 12_000,
    };
    const made = await consumers.create(id, { account_id, type: "http_pull", settings });
    expect(made).toMatchObject({ type: "http_pull", settings });
    const consumer_id = made.consumer_id ?? "";
    const listed = await consumers.list(id, { account_id });
    expect(listed.result).toEqual([made]);
    expect(await consumers.get(consumer_id, { account_id, queue_id: id })).toEqual(made);
    const second = consumers.create(id, { account_id, type: "http_pull" });
    expect(await refusal(second)).toEqual({ status: 400, codes: [11_004] });
    const changed = await consumers.update(consumer_id, {
      account_id,
      queue_id: id,
      type: "http_pull",
      settings: { max_retries: 2 },
    });
    expect(changed).toMatchObject({ settings: { ...settings, max_retries: 2 } });
    const group = await world.native.groups.get(id, "cloudflare-queues");
    expect(group).toMatchObject({ maxAttempts: 3, invisibleMs: 12_000 });
    await consumers.delete(consumer_id, { account_id, queue_id: id });
    const gone = consumers.get(consumer_id, { account_id, queue_id: id });
    expect((await refusal(gone)).status).toBe(404);
    const worker = consumers.create(id, { account_id, type: "worker", script_name: "x" });
    expect((await refusal(worker)).status).toBe(400);
    expect((await consumers.list(id, { account_id })).result).toEqual([]);
  },

  "a wrong token, another account and a missing scope are refused alike": async (world) => {
    const id = await queue(world);
    const message = { account_id, body: "x", content_type: "text" } as const;
    const wrong = client(world.server, "no such key");
    expect(await refusal(wrong.queues.messages.push(id, message))).toEqual({
      status: 401,
      codes: [10_000],
    });
    const { key } = await world.native.keys.put(unique("sender"), {
      scopes: ["send"],
      topics: [id],
    });
    const sender = client(world.server, key);
    await sender.queues.messages.push(id, message);
    const elsewhere = { ...message, account_id: "another" };
    for (const attempt of [
      () => sender.queues.messages.pull(id, { account_id }),
      () => sender.queues.delete(id, { account_id }),
      () => sender.queues.create({ account_id, queue_name: unique("other") }),
      () => sender.queues.messages.push(id, elsewhere),
    ])
      expect(await refusal(attempt())).toEqual({ status: 403, codes: [10_000] });
  },

  "the root key reaches every account, and each has its own queues": async (world) => {
    const account = unique("account").toLowerCase();
    const queue_name = unique("queue");
    await world.cf.queues.create({ account_id: account, queue_name });
    expect((await world.cf.queues.get(queue_name, { account_id: account })).queue_id).toBe(
      queue_name,
    );
    const elsewhere = world.cf.queues.get(queue_name, { account_id });
    expect((await refusal(elsewhere)).status).toBe(404);
  },

  "what the API has and HalfMQ has not is refused with its reason": async ({ cf }) => {
    const { subscriptions } = cf.queues;
    for (const ask of [
      () => subscriptions.list({ account_id }),
      () => subscriptions.get("id", { account_id }),
    ]) {
      const error = await ask().then(String, (thrown: unknown) => String(thrown));
      expect(error).toContain("HalfMQ hears of no events of other Cloudflare products.");
    }
  },

  "an account that is no namespace is nobody's": async ({ server }) => {
    for (const account of ["%0A", "a%0Db", "%C3%BC", "A_B", "%E0%A4%A"]) {
      const ask = (headers: Record<string, string>) =>
        (server.fetch ?? fetch)(`${server.url}/client/v4/accounts/${account}/queues`, { headers });
      const stranger = await ask({});
      expect([stranger.status, await codes(stranger)], account).toEqual([401, [10_000]]);
      const owner = await ask({ authorization: `Bearer ${server.key}` });
      expect([owner.status, await codes(owner)], account).toEqual([400, [400]]);
    }
  },

  "what is no route of the API says so": async ({ server }) => {
    for (const path of [
      "/client/v4/zones",
      "/client/v4/accounts/default/queues/%E0%A4%A",
      "/client/v4/",
    ]) {
      const answer = await (server.fetch ?? fetch)(server.url + path, {
        headers: { authorization: `Bearer ${server.key}` },
      });
      expect(answer.status).toBe(404);
      const stranger = await (server.fetch ?? fetch)(server.url + path);
      expect(stranger.status).toBe(401);
      expect(await answer.json()).toMatchObject({ success: false, errors: [{ code: 7_003 }] });
    }
  },
};

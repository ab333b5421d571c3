/** Schedules: what is sent when, by whom, and what is refused. Their clocks and calendars are unit tests (test/scheduler). */
import { expect, onTestFinished } from "vitest";
import { type Cases, type Mq, type Topic } from "./client.ts";
import { bodies, type Json, type Message, there, unique, until } from "./kit.ts";

const EVERY_SECOND = "* * * * * *";
/** Nothing runs during a test, but on that day. */
const RARELY = "0 0 29 2 *";

interface Schedule {
  readonly nextRunAt?: number;
  readonly lastRun?: {
    readonly scheduledAt: number;
    readonly endedAt: number;
    readonly outcome: string;
    readonly id?: string;
    readonly code?: string;
  };
}

/** A schedule's path; it is gone after the test. */
function scheduled(mq: Mq): { readonly name: string; readonly path: string } {
  const name = unique("schedule");
  const path = `/v1/schedules/${name}`;
  onTestFinished(async () => void (await mq.call("DELETE", path)));
  return { name, path };
}

const slotOf = ({ properties }: Message): number => Number(properties?.["halfmqScheduledAt"]);

const rare = ({ name }: Topic): Json => ({ topic: name, cron: RARELY, message: { body: 1 } });

async function fired(topic: Topic, count: number): Promise<readonly Message[]> {
  return (await topic.group().take(count)).slice(0, count);
}

export const schedules: Cases = {
  "a schedule sends its message at its seconds, each once and never early": async (mq) => {
    const topic = await mq.topic();
    const { name, path } = scheduled(mq);
    const message = {
      body: { report: 1.5 },
      tag: "nightly",
      keys: ["k"],
      properties: { p: "v" },
      messageGroup: "g",
      ttlMs: 600_000,
    };
    const rule = { topic: topic.name, cron: EVERY_SECOND, message };
    const made = await mq.call("PUT", path, rule);
    expect(made.status, made.text).toBe(201);
    expect(made.json).toMatchObject({
      name,
      ...rule,
      timeZone: "UTC",
      missed: "skip",
      paused: false,
      createdAt: expect.any(Number) as number,
      nextRunAt: expect.any(Number) as number,
    });
    const messages = await fired(topic, 3);
    const slots = messages.map(slotOf);
    expect(new Set(slots).size).toBe(3);
    expect(slots.every((slot) => slot % 1_000 === 0)).toBe(true);
    for (const { sentAt, ...each } of messages) {
      expect(sentAt).toBeGreaterThanOrEqual(slotOf({ sentAt, ...each }));
      expect(each).toMatchObject({ body: { report: 1.5 }, tag: "nightly", messageGroup: "g" });
      expect(each.properties).toMatchObject({ p: "v", halfmqSchedule: name });
    }
    const { lastRun } = await mq.ok<Schedule>("GET", path);
    expect(lastRun).toMatchObject({ outcome: "sent", id: expect.any(String) as string });
    expect(there(lastRun).endedAt).toBeGreaterThanOrEqual(there(lastRun).scheduledAt);
  },

  "a delay in the message counts from the run, and the body is the text that came": async (mq) => {
    const topic = await mq.topic();
    const { path } = scheduled(mq);
    const raw = `{"topic":"${topic.name}","cron":"${EVERY_SECOND}","message":{"body":{"n":1.00,"big":12345678901234567890},"delayMs":300}}`;
    const made = await mq.call("PUT", path, undefined, { raw });
    expect(made.text).toContain(
      '"message":{"body":{"n":1.00,"big":12345678901234567890},"delayMs":300}',
    );
    const [message] = await fired(topic, 1);
    expect(there(message).storedAt).toBeGreaterThanOrEqual(slotOf(there(message)) + 300);
    expect((await mq.call("GET", `${topic.path}/messages`)).text).toContain("12345678901234567890");
  },

  "pause stops it, resume starts it, and the next run shows": async (mq) => {
    const topic = await mq.topic();
    const { path } = scheduled(mq);
    const rule = {
      topic: topic.name,
      cron: RARELY,
      timeZone: "Europe/Berlin",
      message: { body: 1 },
    };
    const { nextRunAt } = await mq.ok<Schedule>("PUT", path, rule);
    const next = new Date(there(nextRunAt)).toISOString();
    expect(next).toMatch(/-02-28T23:00:00\.000Z$/u);
    const paused = await mq.ok("POST", `${path}/pause`, {});
    expect(paused).toMatchObject({ paused: true });
    expect(paused).not.toHaveProperty("nextRunAt");
    expect(await mq.ok("PUT", path, { ...rule, cron: EVERY_SECOND })).toMatchObject({
      paused: true,
    });
    await topic.group().nothing(1_500);
    expect(await mq.ok("POST", `${path}/resume`, {})).toMatchObject({ paused: false });
    await fired(topic, 1);
  },

  "a PUT of a known schedule is 200 and sets all of it anew": async (mq) => {
    const topic = await mq.topic();
    const { path } = scheduled(mq);
    const rule = {
      topic: topic.name,
      cron: RARELY,
      message: { body: 1, tag: "a" },
      missed: "once",
    };
    await mq.ok("PUT", path, rule);
    const again = await mq.call("PUT", path, {
      ...rule,
      message: { bodyBase64: "AAEC" },
      missed: "skip",
    });
    expect(again.status).toBe(200);
    expect(again.json["message"]).toEqual({ bodyBase64: "AAEC" });
    expect((await mq.ok("GET", path))["missed"]).toBe("skip");
  },

  "schedules are listed in pages, and one that is deleted is gone": async (mq) => {
    const topic = await mq.topic();
    const paths = [scheduled(mq), scheduled(mq), scheduled(mq)];
    const rule = rare(topic);
    for (const { path } of paths) await mq.ok("PUT", path, rule);
    const names = (items: readonly Json[]) =>
      items
        .map((item) => String(item["name"]))
        .filter((name) => paths.some((each) => each.name === name));
    expect(names(await mq.all<Json>("/v1/schedules", 1))).toEqual(paths.map(({ name }) => name));
    const { path, name } = there(paths[1]);
    expect(await mq.ok("DELETE", path)).toEqual({ name, deleted: true });
    for (const [method, more] of [
      ["GET", ""],
      ["DELETE", ""],
      ["POST", "/pause"],
      ["POST", "/resume"],
    ] as const)
      await mq.refused(
        [404, "schedule_not_found"],
        method,
        path + more,
        method === "POST" ? {} : undefined,
      );
    expect(names(await mq.all<Json>("/v1/schedules"))).toHaveLength(2);
  },

  "what cannot be meant is refused with its field": async (mq) => {
    const topic = await mq.topic();
    const { path } = scheduled(mq);
    const rule = rare(topic);
    const bad: readonly (readonly [Json, string])[] = [
      [{ cron: "0 0 30 2 *" }, "cron"],
      [{ cron: "61 * * * *" }, "cron"],
      [{ cron: "* * * *" }, "cron"],
      [{ cron: "* * * * * * *" }, "cron"],
      [{ cron: "2030-01-01T00:00:00" }, "cron"],
      [{ cron: "x".repeat(257) }, "cron"],
      [{ cron: undefined }, "cron"],
      [{ timeZone: "Mars/Olympus" }, "timeZone"],
      [{ timeZone: "+02:00" }, "timeZone"],
      [{ missed: "all" }, "missed"],
      [{ topic: ".." }, "topic"],
      [{ message: {} }, "message.body"],
      [{ message: { body: 1, deliverAt: 1 } }, "message.deliverAt"],
      [{ message: { body: 1, expiresAt: 1 } }, "message.expiresAt"],
      [{ message: { body: 1, dedupId: "d" } }, "message.dedupId"],
      [{ message: { body: 1, producer: { id: "p", epoch: 1, sequence: 1 } } }, "message.producer"],
      [{ message: { body: 1, delayMs: -1 } }, "message.delayMs"],
      [
        { message: { body: 1, properties: { halfmqSchedule: "x" } } },
        "message.properties.halfmqSchedule",
      ],
      [{ zone: "UTC" }, "zone"],
    ];
    for (const [change, field] of bad) {
      const answer = await mq.refused([400, "invalid_request"], "PUT", path, {
        ...rule,
        ...change,
      });
      expect(answer["field"], JSON.stringify(change)).toBe(field);
    }
    const tooLarge = await mq.refused([413, "message_too_large"], "PUT", path, {
      ...rule,
      message: { body: "x".repeat(1024 * 1024) },
    });
    expect(tooLarge["field"]).toBe("message.body");
    await mq.refused([404, "schedule_not_found"], "GET", path);
  },

  "a schedule that is refused makes no topic": async (mq) => {
    const topic = unique("topic");
    const { path } = scheduled(mq);
    for (const wrong of [{ cron: "61 * * * *" }, { cron: RARELY, timeZone: "Mars/Olympus" }])
      await mq.refused([400, "invalid_request"], "PUT", path, {
        topic,
        message: { body: 1 },
        ...wrong,
      });
    await mq.refused([404, "topic_not_found"], "GET", `/v1/topics/${topic}`);
  },

  "a topic that was deleted fails its runs, and is not made anew by them": async (mq) => {
    const topic = await mq.topic();
    const { path } = scheduled(mq);
    await mq.ok("PUT", path, { topic: topic.name, cron: EVERY_SECOND, message: { body: 1 } });
    await mq.ok("DELETE", `${topic.path}?force=true`);
    const outcome = (wanted: string) =>
      until(wanted, async () => (await mq.ok<Schedule>("GET", path)).lastRun?.outcome === wanted);
    await outcome("failed");
    expect((await mq.ok<Schedule>("GET", path)).lastRun?.code).toBe("topic_not_found");
    await mq.refused([404, "topic_not_found"], "GET", topic.path);
    await mq.ok("PUT", topic.path, {});
    await outcome("sent");
    expect(bodies(await fired(topic, 1))).toEqual([1]);
  },

  "a key needs manage, and the right to send to the topic": async (mq) => {
    const topic = await mq.topic();
    const other = await mq.topic();
    const { path } = scheduled(mq);
    const theirs = scheduled(mq);
    const key = async (settings: Json): Promise<Mq> => {
      const made = await mq.ok<{ key: string }>("PUT", `/v1/keys/${unique("key")}`, settings);
      return mq.with(made.key);
    };
    await mq.ok("PUT", theirs.path, rare(other));
    const sender = await key({ scopes: ["send"] });
    const manager = await key({ scopes: ["manage"] });
    const bound = await key({ scopes: ["manage", "send"], topics: [topic.name] });
    await sender.refused([403, "forbidden"], "PUT", path, rare(topic));
    await sender.refused([403, "forbidden"], "GET", "/v1/schedules");
    await manager.refused([403, "forbidden"], "PUT", path, rare(topic));
    await bound.refused([403, "forbidden"], "PUT", path, rare(other));
    await bound.refused([403, "forbidden"], "PUT", theirs.path, rare(topic));
    await bound.refused([403, "forbidden"], "GET", theirs.path);
    await bound.refused([403, "forbidden"], "DELETE", theirs.path);
    await bound.refused([403, "forbidden"], "POST", `${theirs.path}/pause`, {});
    await bound.ok("PUT", path, rare(topic));
    await manager.ok("POST", `${path}/pause`, {});
    const seen = await bound.all<Json>("/v1/schedules");
    expect(seen.every((each) => each["topic"] === topic.name)).toBe(true);
    expect(seen).toHaveLength(1);
    expect(await mq.ok("GET", theirs.path)).toMatchObject({ paused: false });
  },
};

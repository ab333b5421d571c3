/** Dead letters on their way into their queue, over a broker made of memory that fails when a test says so. */
import { expect, it } from "vitest";
import type { Context, Queue } from "../../../src/adapters/sqs/context.ts";
import { queueOf } from "../../../src/adapters/sqs/context.ts";
import { gather } from "../../../src/adapters/sqs/gathering.ts";
import type { Broker, DeadLetter } from "../../../src/broker/broker.ts";
import type { Content } from "../../../src/core/record.ts";
import { accept, refuse } from "../../../src/protocol/errors.ts";
import type { TopicRoute } from "../../../src/protocol/rpc.ts";
import { GROUP_DEFAULTS, TOPIC_DEFAULTS } from "../../../src/protocol/topic.ts";
import { there } from "./kit.ts";

const route = (topic: string, labels: Record<string, string>): TopicRoute => ({
  namespace: "default",
  topic,
  incarnation: 1,
  version: 1,
  settings: { ...TOPIC_DEFAULTS, labels },
  createdAt: 0,
  growths: [],
  groups: [{ name: "sqs", number: 1, settings: GROUP_DEFAULTS, paused: false, createdAt: 0 }],
});

const letter = (id: string, deadAt: number): DeadLetter => ({
  id,
  topic: "source",
  queue: 0,
  offset: 0,
  sentAt: 1,
  storedAt: 1,
  deadAt,
  attempts: 1,
  reason: "nacked",
  content: { body: { json: '"x"' }, dedupId: "sent with", ttlMs: 5 },
});

class World {
  readonly sent: Content[] = [];
  readonly purged: string[] = [];
  letters: DeadLetter[] = [];
  purgeFails = false;
  isGone = false;
  readonly dead: Queue = there(queueOf(route("dead", { "sqs:source:source": "" })));

  get context(): Context {
    const policy = JSON.stringify({ target: "dead", maxReceiveCount: 1 });
    const broker: Partial<Broker> = {
      topic: async () => accept(route("source", { "sqs:RedrivePolicy": policy })),
      deadLetters: async () =>
        this.isGone ? refuse("topic_not_found", "gone") : accept({ items: this.letters }),
      send: async (_at, { messages }) => {
        this.sent.push(...messages);
        return accept({ messages: [], replayed: false });
      },
      purgeDeadLetters: async (_at, { ids = [] }) => {
        if (this.purgeFails) return refuse("unavailable", "lost");
        this.purged.push(...ids);
        return accept({ purged: ids.length });
      },
    };
    return {
      edge: { broker },
      caller: { namespace: "default" },
      region: "eu-central-1",
    } as unknown as Context;
  }
}

it("sends a letter under an id of its death, then deletes it where it died", async () => {
  const world = new World();
  world.letters = [letter("m1", 7)];
  expect(await gather(world.context, world.dead)).toMatchObject({ ok: true });
  expect(world.purged).toEqual(["m1"]);
  expect(world.sent).toEqual([
    {
      body: { json: '"x"' },
      dedupId: "m1.7",
      properties: {
        "sqs:MessageId": "m1",
        "sqs:SentTimestamp": "1",
        "sqs:DeadLetterQueueSourceArn": "arn:aws:sqs:eu-central-1:default:source",
        "sqs:MessageDeduplicationId": "sent with",
      },
    },
  ]);
});

it("says the same ids again after a delete that was lost, and others of another death", async () => {
  const world = new World();
  world.letters = [letter("m1", 7)];
  world.purgeFails = true;
  expect(await gather(world.context, world.dead)).toMatchObject({ name: "ServiceUnavailable" });
  await gather(world.context, world.dead);
  world.letters = [letter("m1", 8)];
  await gather(world.context, world.dead);
  expect(world.sent.map(({ dedupId }) => dedupId)).toEqual(["m1.7", "m1.7", "m1.8"]);
});

it("finds nothing in a source that was deleted a moment ago", async () => {
  const world = new World();
  world.isGone = true;
  expect(await gather(world.context, world.dead)).toMatchObject({ ok: true });
  expect(world.sent).toEqual([]);
});

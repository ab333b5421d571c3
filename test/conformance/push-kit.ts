/** A group that pushes to an endpoint of the suite, and what the endpoint was sent. */
import { onTestFinished } from "vitest";
import { Webhook } from "standardwebhooks";
import type { Group, Topic } from "./client.ts";
import {
  type Answerer,
  type Call,
  type CallAnswer,
  type Json,
  type Message,
  until,
} from "./kit.ts";

const WEBHOOK_HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/** The event when its signature is good; throws otherwise. */
export function verify(call: Call, secret: string): unknown {
  const headers = WEBHOOK_HEADERS.map((name) => [name, call.headers.get(name) ?? ""]);
  return new Webhook(secret).verify(
    call.body,
    Object.fromEntries(headers) as Record<string, string>,
  );
}

interface Pushed {
  readonly type: string;
  readonly data: { readonly topic: string; readonly group: string; readonly messages: Message[] };
}

const pushed = (call: Call): Pushed => JSON.parse(call.body) as Pushed;
export const messagesIn = (call: Call): Message[] => pushed(call).data.messages;

/** An answer that says of every message what `resultOf` says. */
export const results = (
  call: Call,
  resultOf: (message: Message) => Json | undefined,
): CallAnswer => ({
  status: 200,
  body: JSON.stringify({
    results: messagesIn(call).flatMap((message) => {
      const result = resultOf(message);
      return result === undefined ? [] : [{ receipt: message.receipt, ...result }];
    }),
  }),
});

export interface Pushing {
  readonly group: Group;
  readonly url: string;
  readonly secret: string;
  /** The calls that came, oldest first. */
  readonly calls: readonly Call[];
  /** The bodies of all messages that came, oldest call first. */
  bodies(): unknown[];
  state(): Promise<Json>;
  close(): Promise<void>;
}

export const QUICK = { initialMs: 50, factor: 1, maxMs: 50 } as const;

/** The group `pushed` of the topic, which pushes to an endpoint that answers so. Its push ends with the test. */
export async function pushing(
  topic: Topic,
  answer: Answerer,
  { push = {}, ...settings }: { push?: Json } & Json = {},
): Promise<Pushing> {
  const calls: Call[] = [];
  const listening = await topic.mq.target.listen((call) => {
    calls.push(call);
    return answer(call);
  });
  const group = topic.group("pushed");
  onTestFinished(async () => {
    await topic.mq.call("DELETE", `${group.path}/push`);
    await listening.close();
  });
  const made = await topic.mq.ok<{ secret: string }>("PUT", group.path, {
    backoff: QUICK,
    ...settings,
    push: { url: listening.url, ...push },
  });
  return {
    group,
    url: listening.url,
    secret: made.secret,
    calls,
    bodies: () => calls.flatMap((call) => messagesIn(call).map(({ body }) => body)),
    state: async () => (await topic.mq.ok<{ pushState: Json }>("GET", group.path)).pushState,
    close: () => listening.close(),
  };
}

/** Waits until nothing of the topic is left for the group. */
export async function drained(topic: Topic, group = "pushed"): Promise<void> {
  await until(`${group} has nothing left`, async () => {
    const stats = await topic.stats();
    return stats.groups.some((each) => each.group === group && each.lag === 0);
  });
}

/** Events of the package `cloudevents` as it is, through the door of CloudEvents. */
import {
  CloudEvent,
  type CloudEventV1,
  emitterFor,
  HTTP,
  type Message as HttpMessage,
  type Mode,
} from "cloudevents";
import { expect } from "vitest";
import type { Answer, Mq, Topic } from "./client.ts";
import { type Json, type Sent, there } from "./kit.ts";

export const pathOf = (topic: Topic): string => `/cloudevents/${topic.name}`;

export const SOURCE = "https://shop.example/orders";

export const event = (more: Partial<Parameters<typeof make>[0]> = {}) =>
  make({ type: "order.paid", ...more });
const make = (of: ConstructorParameters<typeof CloudEvent<unknown>>[0]) =>
  new CloudEvent<unknown>({ source: SOURCE, ...of });

/** What an emitter of the package sends through, with the key. */
export const transport =
  (mq: Mq, path: string) =>
  async ({ headers, body }: HttpMessage): Promise<Answer> =>
    mq.call("POST", path, undefined, {
      headers: headers as Record<string, string>,
      ...(body === undefined ? {} : { raw: body as string }),
    });

export async function emit(topic: Topic, one: CloudEvent<unknown>, mode: Mode): Promise<Sent> {
  const emitter = emitterFor(transport(topic.mq, pathOf(topic)), { mode });
  const answer = (await emitter(one)) as Answer;
  expect(answer.status, answer.text).toBe(200);
  const [sent] = answer.json["messages"] as Sent[];
  return there(sent);
}

/** The events of a peek, read by the package. */
export async function peeked(topic: Topic, query = ""): Promise<CloudEventV1<unknown>[]> {
  const answer = await topic.mq.call("GET", pathOf(topic) + query);
  expect(answer.status, answer.text).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/cloudevents-batch+json");
  const headers = { "content-type": "application/cloudevents-batch+json" };
  const events = HTTP.toEvent<unknown>({ headers, body: answer.text });
  return Array.isArray(events) ? events : [events];
}

export const plain = (one: CloudEventV1<unknown>): Json => JSON.parse(JSON.stringify(one)) as Json;

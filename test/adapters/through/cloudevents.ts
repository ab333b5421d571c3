/**
 * The broker as CloudEvents show it: the unmodified package `cloudevents` writes events in all three modes, and reads those that
 * are pushed. A pushed event is held until its call is answered: 2xx acks it, anything else gives it back.
 */
import { CloudEvent, HTTP } from "cloudevents";
import { LACKING_VERBS } from "../../../src/adapters/cloudevents/lacks.ts";
import { LIMITS } from "../../../src/client/index.ts";
import { unique } from "../../conformance/kit.ts";
import { Endpoint } from "./endpoint.ts";
import { credentialsOf, nativeDeadLetters, nativeOf, type Server } from "./server.ts";
import {
  type AtEnd,
  lacks,
  type Make,
  type Making,
  type Sending,
  type Stranger,
  type Through,
  type Who,
} from "./through.ts";

const BATCH = { "content-type": "application/cloudevents-batch+json" };
const REFUSAL = 422;

export const cloudEvents =
  (server: () => Server): Make =>
  async (making, atEnd) => {
    const place = { server: server(), topic: unique("topic"), making, atEnd };
    return new CloudEvents(place, await endpointAt(place));
  };

interface Place {
  readonly server: Server;
  readonly topic: string;
  readonly making: Making;
  readonly atEnd: AtEnd;
}

const endpointAt = ({ server, topic, making, atEnd }: Place): Promise<Endpoint> =>
  Endpoint.of(server, topic, making, atEnd);

class CloudEvents implements Through {
  readonly bodyLettersMax = LIMITS.bodyBytesMax;
  readonly refused: Sending = { body: "refused", tag: "t".repeat(129) };
  readonly leave = lacks(LACKING_VERBS.polls);
  readonly extend = lacks(LACKING_VERBS.extension);
  readonly purge = lacks(LACKING_VERBS.purge);
  readonly redrive = lacks(LACKING_VERBS.redrive);
  readonly prepare = lacks(LACKING_VERBS.transactions);
  readonly sendLater = lacks(LACKING_VERBS.recall);
  readonly #place: Place;
  readonly #endpoint: Endpoint;
  #sends = 0;

  constructor(place: Place, endpoint: Endpoint) {
    this.#place = place;
    this.#endpoint = endpoint;
  }

  /** Single events go binary and structured in turn, several go as a batch. */
  async send(...messages: readonly Sending[]): Promise<void> {
    const events = messages.map(eventOf);
    const [event] = events;
    if (events.length !== 1 || event === undefined) {
      await this.#post(BATCH, JSON.stringify(events));
      return;
    }
    // What is not ASCII the package leaves as it is, which no header can be.
    const isBinary = this.#sends++ % 2 === 0 && messages[0]?.properties === undefined;
    const { headers, body } = isBinary ? HTTP.binary(event) : HTTP.structured(event);
    await this.#post(headers as Record<string, string>, body as string);
  }

  async #post(
    headers: Readonly<Record<string, string>>,
    body: string,
    { key } = this.#place.server,
  ): Promise<void> {
    const answer = await this.#call({ method: "POST", headers, body }, key);
    await answer.body?.cancel();
  }

  async #call(init: RequestInit, key: string): Promise<Response> {
    const { server, topic } = this.#place;
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${key}`);
    const answer = await fetch(`${server.url}/cloudevents/${topic}`, { ...init, headers });
    if (answer.status !== 200) throw new Error(await answer.text());
    return answer;
  }

  /** All or none. */
  async sendBatch(...messages: readonly Sending[]): Promise<readonly boolean[]> {
    const isStored = await this.send(...messages).then(
      () => true,
      () => false,
    );
    return messages.map(() => isStored);
  }

  receive(waitSeconds = 20): ReturnType<Through["receive"]> {
    return this.#endpoint.receive(waitSeconds);
  }

  async ack(...handles: readonly string[]): Promise<readonly string[]> {
    return this.#endpoint.answer(handles, { status: 204 });
  }

  async giveBack(handle: string): Promise<void> {
    this.#endpoint.answer([handle], { status: REFUSAL });
  }

  deadLetters(): Promise<readonly string[]> {
    return nativeDeadLetters(this.#place.server, this.#place.topic, this.#endpoint.group);
  }

  /** A type is a tag. */
  async filter(tag: string): Promise<void> {
    const { server, topic } = this.#place;
    const filter = { tags: [tag] };
    await nativeOf(server).groups.put(topic, this.#endpoint.group, { filter });
  }

  async anotherGroup(): Promise<Through> {
    return new CloudEvents(this.#place, await endpointAt(this.#place));
  }

  /** Who takes, peeks. */
  async as(who: Who): Promise<Stranger> {
    const { key } = await credentialsOf(this.#place.server, who, this.#place.topic);
    const server = { ...this.#place.server, key };
    const theirs = new CloudEvents({ ...this.#place, server }, this.#endpoint);
    return {
      send: (body) => theirs.send({ body }),
      take: async () => {
        const answer = await this.#call({}, key);
        return HTTP.toEvent({ headers: BATCH, body: await answer.text() });
      },
    };
  }
}

function eventOf(message: Sending): CloudEvent<unknown> {
  const { body, tag = "order.paid", properties, messageGroup, dedupId, expiresAt } = message;
  return new CloudEvent<unknown>({
    source: "/suite",
    type: tag,
    data: body,
    datacontenttype: typeof body === "string" ? "text/plain" : "application/octet-stream",
    ...(dedupId === undefined ? {} : { id: dedupId }),
    ...(messageGroup === undefined ? {} : { partitionkey: messageGroup }),
    ...(expiresAt === undefined ? {} : { expirytime: new Date(expiresAt).toISOString() }),
    ...properties,
  });
}

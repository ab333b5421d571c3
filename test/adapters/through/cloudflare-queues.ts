/** The broker as Cloudflare Queues shows it to the unmodified `cloudflare`, with the additions that its page names. */
import type Cloudflare from "cloudflare";
import { LACKING_VERBS } from "../../../src/adapters/cloudflare-queues/lacks.ts";
import { LIMITS } from "../../../src/client/index.ts";
import { account_id, client, decoded, pull, queue, type Pulled } from "../cloudflare-queues/kit.ts";
import { credentialsOf, nativeDeadLetters, nativeOf, type Server, settingsOf } from "./server.ts";
import {
  broken,
  type Got,
  lacks,
  type Making,
  type Sending,
  type Stranger,
  type Through,
  type Who,
} from "./through.ts";

const GROUP = "cloudflare-queues";

export async function cloudflareQueues(server: Server, making: Making): Promise<Through> {
  const cf = client(server);
  const id = await queue({ cf });
  const { maxAttempts = 4, invisibleSeconds = 30 } = making;
  await cf.queues.consumers.create(id, {
    account_id,
    type: "http_pull",
    settings: { max_retries: maxAttempts - 1, visibility_timeout_ms: invisibleSeconds * 1_000 },
  });
  // Order over retries is the group's, as the page says.
  if (making.ordered === true)
    await nativeOf(server).groups.put(id, GROUP, settingsOf({ ordered: true }));
  return new CloudflareQueues(server, cf, id);
}

class CloudflareQueues implements Through {
  readonly bodyLettersMax = LIMITS.bodyBytesMax;
  readonly refused: Sending = { body: "refused", delaySeconds: 86_401 };
  readonly extend = lacks(LACKING_VERBS.extension);
  readonly redrive = lacks(LACKING_VERBS.redrive);
  readonly prepare = lacks(LACKING_VERBS.transactions);
  readonly sendLater = lacks(LACKING_VERBS.recall);
  readonly filter = lacks(LACKING_VERBS.filters);
  readonly anotherGroup = lacks(LACKING_VERBS.groups);
  readonly #server: Server;
  readonly #cf: Cloudflare;
  readonly #id: string;

  constructor(server: Server, cf: Cloudflare, id: string) {
    this.#server = server;
    this.#cf = cf;
    this.#id = id;
  }

  async send(...messages: readonly Sending[]): Promise<void> {
    const { messages: api } = this.#cf.queues;
    await api.bulkPush(this.#id, { account_id, messages: messages.map(outgoing) });
  }

  /** All or none. */
  async sendBatch(...messages: readonly Sending[]): Promise<readonly boolean[]> {
    const isStored = await this.send(...messages).then(
      () => true,
      () => false,
    );
    return messages.map(() => isStored);
  }

  async receive(waitSeconds = 20): Promise<readonly Got[]> {
    const pulled = await pull({ cf: this.#cf }, this.#id, {
      batch_size: 10,
      wait_ms: waitSeconds * 1_000,
    });
    return pulled.map(gotOf);
  }

  leave(): Promise<void> {
    const wait = { account_id, wait_ms: 20_000 };
    return broken(this, (signal) => this.#cf.queues.messages.pull(this.#id, wait, { signal }));
  }

  async ack(...handles: readonly string[]): Promise<readonly string[]> {
    const acks = handles.map((lease_id) => ({ lease_id }));
    const told = await this.#cf.queues.messages.ack(this.#id, { account_id, acks });
    return Object.keys(told?.warnings ?? {});
  }

  async giveBack(lease_id: string): Promise<void> {
    const retries = [{ lease_id, delay_seconds: 0 }];
    await this.#cf.queues.messages.ack(this.#id, { account_id, retries });
  }

  async purge(): Promise<void> {
    await this.#cf.queues.purge.start(this.#id, { account_id, delete_messages_permanently: true });
  }

  deadLetters(): Promise<readonly string[]> {
    return nativeDeadLetters(this.#server, this.#id, GROUP);
  }

  async as(who: Who): Promise<Stranger> {
    const { key } = await credentialsOf(this.#server, who, this.#id);
    const theirs = new CloudflareQueues(this.#server, client(this.#server, key), this.#id);
    return { send: (body) => theirs.send({ body }), take: () => theirs.receive(0) };
  }
}

/** The additions are in nobody's types. */
const outgoing = ({ body, messageGroup, dedupId, delaySeconds }: Sending) => ({
  body: body as string,
  content_type: "text" as const,
  ...(delaySeconds === undefined ? {} : { delay_seconds: delaySeconds }),
  ...(messageGroup === undefined ? {} : { message_group: messageGroup }),
  ...(dedupId === undefined ? {} : { dedup_id: dedupId }),
});

const gotOf = ({ id, body, attempts, lease_id, metadata }: Pulled): Got => ({
  id,
  body: metadata["CF-Content-Type"] === "text" ? body : String(decoded(body)),
  properties: {},
  tag: undefined,
  attempt: attempts,
  handle: lease_id,
});

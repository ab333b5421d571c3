/** Sends messages, one after the other, and tries again with the same key until it knows. */
import type { SentMessage } from "../history.ts";
import { contentOf } from "../world/mark.ts";
import { Client } from "./client.ts";

const NAMESPACE = "default";
const DELAY_MS_MAX = 10_000;
const TTL_MS_MAX = 30_000;

export class Producer extends Client {
  readonly #known: { id: string; mark: string }[] = [];

  async run(): Promise<void> {
    while (this.goesOn) {
      const recalled =
        this.#known.length > 0 && this.dice.chance(0.1) ? this.#known.pop() : undefined;
      if (recalled === undefined) await this.#send();
      else await this.#recall(recalled);
      await this.pause(this.dice.roll() ** 2 * this.scene.plan.restMsMax);
    }
  }

  async #send(): Promise<void> {
    const { topic } = this.dice.pick(this.scene.plan.topics);
    const messages = Array.from({ length: this.dice.int(1, this.scene.plan.batchMax) }, () =>
      drawMessage(this, topic),
    );
    const isKeyed = this.dice.chance(0.8);
    const contents = messages.map((message) => contentOf(message, this.dice.int(0, 60)));
    const key = this.keyed(messages.map(({ mark }) => mark).join());
    const ended = await this.ask({
      request: { is: "send", topic, messages, keyed: isKeyed },
      run: (broker) =>
        broker.send(
          { namespace: NAMESPACE, topic },
          { messages: contents, ...(isKeyed ? { keyed: key } : {}) },
        ),
      answer: ({ messages: placed }) => ({ is: "sent", placed }),
      retries: isKeyed ? 6 : 0,
      mayDouble: isKeyed,
      patienceMs: 15_000,
    });
    if (ended.is !== "ok") return;
    for (const [index, { id, state }] of ended.value.messages.entries()) {
      const mark = messages[index]?.mark;
      if (state === "delayed" && mark !== undefined && id !== undefined)
        this.#known.push({ id, mark });
    }
  }

  async #recall({ id, mark }: { id: string; mark: string }): Promise<void> {
    await this.ask({
      request: { is: "recall", id, mark },
      run: (broker) => broker.recall({ namespace: NAMESPACE, id, permit: () => undefined }),
      answer: () => ({ is: "done" }),
      retries: 0,
      patienceMs: 10_000,
    });
  }
}

export function drawMessage(client: Client, topic: string): SentMessage {
  const { dice, scene } = client;
  const { plan, host } = scene;
  const mark = client.fresh();
  const isDelayed = dice.chance(plan.delayed);
  return {
    mark,
    topic,
    tag: dice.pick(["a", "b"]),
    ...(dice.chance(0.7) ? { messageGroup: dice.pick(plan.messageGroups) } : {}),
    ...(dice.chance(plan.deduped) ? { dedupId: `d${dice.int(1, 40)}` } : {}),
    ...(topic === "t0" && plan.mortal > 0 && dice.chance(plan.mortal)
      ? { ttlMs: dice.int(500, TTL_MS_MAX) }
      : {}),
    ...(isDelayed ? { deliverAt: host.wallMs() + dice.int(0, DELAY_MS_MAX) } : {}),
  };
}

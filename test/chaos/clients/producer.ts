/** Sends messages until it knows what became of them; takes delayed ones back, or has them come at another time. */
import { Caller, http } from "./caller.ts";

const part = encodeURIComponent;
const DELAY_MS_MAX = 5_000;

interface Placed {
  readonly id?: string;
  readonly queue: number;
  readonly offset?: number;
  readonly state: "ready" | "delayed" | "duplicate";
}

/** A delayed message. */
interface Known {
  readonly id: string;
  readonly mark: string;
}

export class Producer extends Caller {
  readonly #known: Known[] = [];

  async run(): Promise<void> {
    while (this.goesOn) {
      const known = this.dice.chance(0.15) ? this.#known.pop() : undefined;
      if (known === undefined) await this.#send();
      else if (this.dice.chance(0.7)) await this.#recall(known);
      else await this.#retime(known);
      await this.pause(this.dice.roll() ** 2 * this.scene.plan.restMsMax);
    }
  }

  async #send(): Promise<void> {
    const { topic } = this.dice.pick(this.scene.plan.topics);
    const count = this.dice.int(1, this.scene.plan.batchMax);
    const messages = Array.from({ length: count }, () => this.drawMessage(topic));
    const wire = messages.map((message) => this.wire(message));
    const once = messages[0]?.mark ?? "";
    const keyed = this.mq !== undefined || this.dice.chance(0.7);
    const placed = await this.ask<readonly Placed[]>({
      request: { is: "send", topic, messages, keyed },
      run: async () => {
        if (this.mq !== undefined) return this.mq.send(topic, wire, { idempotencyKey: once });
        const path = `/v1/topics/${part(topic)}/messages`;
        const calling = { body: { messages: wire }, ...(keyed ? { once } : {}) };
        return (await http<{ messages: Placed[] }>(this.scene, "POST", path, calling)).messages;
      },
      answer: (answer) => ({ is: "sent", placed: answer }),
      retries: keyed ? 6 : 0,
    });
    for (const [index, { id, state }] of (placed ?? []).entries()) {
      const mark = messages[index]?.mark;
      if (state === "delayed" && mark !== undefined && id !== undefined)
        this.#known.push({ id, mark });
    }
  }

  #recall({ id, mark }: Known): Promise<unknown> {
    return this.ask({
      request: { is: "recall", id, mark },
      run: () => http(this.scene, "DELETE", `/v1/messages/${part(id)}`),
      answer: () => ({ is: "done" }),
      retries: 0,
    });
  }

  /** Then it may be taken back all the same. */
  async #retime(known: Known): Promise<void> {
    const deliverAt = Date.now() + this.dice.int(-500, DELAY_MS_MAX);
    const { id, mark } = known;
    const done = await this.ask({
      request: { is: "retime", id, mark, deliverAt },
      run: () => http(this.scene, "PATCH", `/v1/messages/${part(id)}`, { body: { deliverAt } }),
      answer: () => ({ is: "done" }),
      retries: 0,
    });
    if (done !== undefined) this.#known.push(known);
  }
}

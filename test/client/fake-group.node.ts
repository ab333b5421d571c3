/** One consumer group of the fake broker: a list of messages, leases, and what was done with them. */
import type { DeliveredData } from "../../src/client/message.ts";
import type { FakeBroker, Reply, Seen } from "./fake-broker.node.ts";

export const TOPIC = "orders";
export const GROUP = "billing";
export const GROUP_PATH = `/v1/topics/${TOPIC}/groups/${GROUP}`;

export class FakeGroup {
  readonly acked: string[] = [];
  readonly nacked: {
    readonly receipt: string;
    readonly delayMs?: number;
    readonly reason?: string;
  }[] = [];
  readonly extended: string[] = [];
  /** Receipts that belong to another by now. */
  readonly lost = new Set<string>();
  /** Leases a batch, then loses the answer. */
  loseNextAnswer = false;
  readonly #broker: FakeBroker;
  readonly #ready: DeliveredData[] = [];
  readonly #batches = new Map<string, DeliveredData[]>();
  #bell: () => void = () => {};
  #offset = 0;

  constructor(broker: FakeBroker, settings: Record<string, unknown> = {}) {
    this.#broker = broker;
    broker
      .on(`GET ${GROUP_PATH}`, () => ({ json: { group: GROUP, invisibleMs: 30_000, ...settings } }))
      .on(`PUT ${GROUP_PATH}`, () => ({ json: { group: GROUP } }))
      .on(`POST ${GROUP_PATH}/receive`, (request) => this.#receive(request))
      .on(`POST ${GROUP_PATH}/ack`, ({ json }) => this.#each(json.receipts, this.acked))
      .on(`POST ${GROUP_PATH}/extend`, ({ json }) => this.#each(json.receipts, this.extended))
      .on(`POST ${GROUP_PATH}/nack`, ({ json }) => {
        const { receipts, ...how } = json;
        for (const receipt of receipts) this.nacked.push({ receipt, ...how });
        return this.#each(receipts, []);
      });
  }

  /** Makes messages visible whose bodies are `{n}`; they get the receipts r0, r1, … */
  put(count: number): void {
    for (let each = 0; each < count; each++) {
      const offset = this.#offset++;
      this.#ready.push({
        id: `m${offset}`,
        topic: TOPIC,
        queue: 0,
        offset,
        body: { n: offset },
        sentAt: 1,
        storedAt: 1,
        deliveryAttempt: 1,
        receipt: `r${offset}`,
        invisibleUntil: this.#broker.clock.now() + 30_000,
      });
    }
    this.#bell();
  }

  async #receive({ json, init }: Seen): Promise<Reply> {
    const known = this.#batches.get(json.attemptId);
    if (known !== undefined) return { json: { messages: known } };
    if (this.#ready.length === 0 && json.waitMs > 0) await this.#wait(json.waitMs, init.signal);
    const messages = this.#ready.splice(0, json.maxMessages ?? 16);
    if (messages.length > 0) this.#batches.set(json.attemptId, messages);
    if (this.loseNextAnswer) {
      this.loseNextAnswer = false;
      throw new Error("the line broke");
    }
    return { json: { messages } };
  }

  #wait(waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#broker.clock.after(waitMs, resolve);
      signal.addEventListener("abort", cancel, { once: true });
      this.#bell = () => {
        cancel();
        resolve();
      };
    });
  }

  #each(receipts: readonly string[], list: string[]): Reply {
    const results = receipts.map((receipt) => {
      if (this.lost.has(receipt)) return { receipt, ok: false, code: "receipt_expired" };
      list.push(receipt);
      return { receipt, ok: true };
    });
    return { json: { results } };
  }
}

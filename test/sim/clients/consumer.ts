/** Receives, and acks, nacks, extends, forgets or comes late. While all is drained it acks everything at once. */
import type { Delivery as BrokerDelivery } from "../../../src/broker/broker.ts";
import type { Delivery, GroupPlan } from "../history.ts";
import { read } from "../world/mark.ts";
import { Client, type Scene } from "./client.ts";
import type { Dice } from "../world/dice.ts";

const NAMESPACE = "default";
/** Long enough that an idle group costs little, and that the bell has to bring what comes late. */
const DRAIN_WAIT_MS = 20_000;

export class Consumer extends Client {
  readonly #at: { readonly namespace: string; readonly topic: string; readonly group: string };

  readonly #consumer: string | undefined;

  constructor(name: string, scene: Scene, dice: Dice, { topic, group, consumerId }: GroupPlan) {
    super(name, scene, dice);
    this.#at = { namespace: NAMESPACE, topic, group };
    this.#consumer = consumerId;
  }

  async run(): Promise<void> {
    while (this.goesOn) {
      const deliveries = await this.#receive(this.dice.chance(0.5) ? this.dice.int(0, 4_000) : 0);
      await this.#handle(deliveries);
      if (deliveries.length === 0) await this.pause(this.dice.roll() * this.scene.plan.restMsMax);
    }
    await this.#drain();
  }

  async #drain(): Promise<void> {
    while (!this.scene.isOver) {
      if (!this.scene.isDraining) {
        await this.pause(100);
        continue;
      }
      const deliveries = await this.#receive(DRAIN_WAIT_MS);
      if (deliveries.length > 0) await this.#settle("ack", deliveries);
    }
  }

  async #receive(waitMs: number): Promise<readonly Delivery[]> {
    const invisibleMs = this.scene.isDraining
      ? 2_000
      : this.dice.int(100, this.scene.plan.invisibleMsMax);
    const attemptId = this.dice.chance(0.3) ? this.fresh() : undefined;
    const maxMessages = this.scene.isDraining ? 64 : this.dice.int(1, 8);
    const consumer = this.#consumer;
    const ended = await this.ask({
      request: {
        is: "receive",
        topic: this.#at.topic,
        group: this.#at.group,
        invisibleMs,
        maxMessages,
        ...(consumer === undefined ? {} : { consumerId: consumer }),
        ...(attemptId === undefined ? {} : { attemptId }),
      },
      run: (broker) =>
        broker.receive(this.#at, {
          maxMessages,
          waitMs,
          invisibleMs,
          ...(consumer === undefined ? {} : { consumerId: consumer }),
          ...(attemptId === undefined ? {} : { attemptId }),
        }),
      answer: ({ messages }) => ({ is: "received", deliveries: messages.map(deliveryOf) }),
      retries: attemptId === undefined ? 0 : 2,
      patienceMs: waitMs + 10_000,
    });
    return ended.is === "ok" ? ended.value.messages.map(deliveryOf) : [];
  }

  async #handle(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    await this.pause(this.dice.roll() ** 2 * 200);
    const rest: Delivery[] = [];
    for (const delivery of deliveries) {
      const how = this.dice.weighted({ ack: 15, nack: 2, extend: 1, forget: 1, late: 2 });
      if (how === "ack") rest.push(delivery);
      else if (how === "nack") await this.#settle("nack", [delivery]);
      else if (how === "extend") {
        await this.#settle("extend", [delivery]);
        rest.push(delivery);
      } else if (how === "late") {
        await this.pause(this.scene.plan.invisibleMsMax * (0.5 + this.dice.roll()));
        await this.#settle(this.dice.pick(["ack", "nack", "extend"]), [delivery]);
      }
    }
    if (rest.length > 0) await this.#settle("ack", rest);
  }

  async #settle(verb: "ack" | "nack" | "extend", deliveries: readonly Delivery[]): Promise<void> {
    const receipts = deliveries.map(({ receipt }) => receipt);
    const invisibleMs = this.dice.int(100, this.scene.plan.invisibleMsMax);
    const how =
      verb === "extend"
        ? { invisibleMs }
        : verb === "nack"
          ? { delayMs: this.dice.int(0, 1_500) }
          : {};
    await this.ask({
      request: {
        is: "settle",
        ...this.#at,
        verb,
        receipts,
        ...(verb === "extend" ? { invisibleMs } : {}),
      },
      run: (broker) => broker.settle(this.#at, { verb, receipts, ...how }),
      answer: (results) => ({
        is: "settled",
        results: results.map((result) => ({
          ok: result.ok,
          receipt: result.receipt,
          ...(result.ok ? {} : { code: result.code }),
          ...(result.ok && result.extended !== undefined
            ? { invisibleUntil: result.extended.invisibleUntil }
            : {}),
        })),
      }),
      retries: verb === "ack" ? 2 : 0,
      patienceMs: 10_000,
    });
  }
}

function deliveryOf(message: BrokerDelivery): Delivery {
  const { id, queue, offset, storedAt, deliveryAttempt, receipt, invisibleUntil, transactionId } =
    message;
  return {
    ...read(message.content),
    id,
    queue,
    offset,
    storedAt,
    deliveryAttempt,
    receipt,
    invisibleUntil,
    ...(transactionId === undefined ? {} : { transactionId }),
  };
}

/** Receives, and acks, nacks, extends, forgets or comes late. While all is drained it acks everything at once. */
import type { DeliveredData } from "../../../src/client/index.ts";
import { handle, type SettleVerb } from "../../sim/actors/handling.ts";
import type { Delivery, GroupPlan } from "../../sim/history.ts";
import type { Dice } from "../../sim/world/dice.ts";
import type { ChaosGroup, Scene } from "../scene.ts";
import { deliveryOf } from "../../sim/wire.ts";
import { Caller, http } from "./caller.ts";

const part = encodeURIComponent;

type Result = {
  readonly ok: boolean;
  readonly receipt: string;
  readonly code?: string;
  readonly invisibleUntil?: number;
};

export class Consumer extends Caller {
  readonly #plan: ChaosGroup;
  readonly #at: Pick<GroupPlan, "topic" | "group" | "consumerId">;
  readonly #path: string;

  constructor(name: string, scene: Scene, dice: Dice, plan: ChaosGroup) {
    super(name, scene, dice);
    const { topic, group, consumerId } = plan;
    this.#plan = plan;
    this.#at = { topic, group, ...(consumerId === undefined ? {} : { consumerId }) };
    this.#path = `/v1/topics/${part(topic)}/groups/${part(group)}`;
  }

  async run(): Promise<void> {
    while (this.goesOn)
      if (this.#plan.by === "late") await this.pause(100);
      else await this.#handle(await this.#receive());
    while (!this.scene.isOver) {
      const deliveries = await this.#receive();
      if (deliveries.length > 0) await this.#settle("ack", deliveries);
    }
  }

  async #receive(): Promise<readonly Delivery[]> {
    const { isDraining, plan } = this.scene;
    const invisibleMs = isDraining ? 3_000 : this.dice.int(300, plan.invisibleMsMax);
    const maxMessages = isDraining ? 64 : this.dice.int(1, 16);
    const waitMs = this.dice.chance(0.7) ? this.dice.int(50, 1_000) : 0;
    const attemptId = this.mq !== undefined || this.dice.chance(0.3) ? this.fresh() : undefined;
    const asked = { maxMessages, invisibleMs, ...(attemptId === undefined ? {} : { attemptId }) };
    const messages = await this.ask<readonly DeliveredData[]>({
      request: { is: "receive", ...this.#at, ...asked },
      run: async () => {
        const { topic, group, consumerId } = this.#at;
        const body = { ...asked, waitMs };
        const who = consumerId === undefined ? {} : { consumerId };
        if (this.mq !== undefined)
          return (await this.mq.consumer(topic, group, who).receive(body)).map(({ data }) => data);
        const path = `${this.#path}/receive`;
        const calling = { body: { ...body, ...who }, waitMs };
        return (await http<{ messages: DeliveredData[] }>(this.scene, "POST", path, calling))
          .messages;
      },
      answer: (answer) => ({ is: "received", deliveries: answer.map(deliveryOf) }),
      retries: attemptId === undefined ? 0 : 2,
    });
    return (messages ?? []).map(deliveryOf);
  }

  async #handle(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length === 0) return this.pause(this.dice.roll() * this.scene.plan.restMsMax);
    await this.pause(this.dice.roll() ** 2 * 100);
    const habits = { ack: 60, nack: this.#plan.nacked, extend: 2, forget: 1, late: 1 };
    const { invisibleMsMax } = this.scene.plan;
    const pause = this.pause.bind(this);
    const settle = this.#settle.bind(this);
    await handle({ dice: this.dice, habits, invisibleMsMax, pause, settle }, deliveries);
  }

  #settle(verb: SettleVerb, deliveries: readonly Delivery[]): Promise<unknown> {
    const receipts = deliveries.map(({ receipt }) => receipt);
    const how =
      verb === "extend"
        ? { invisibleMs: this.dice.int(300, this.scene.plan.invisibleMsMax) }
        : verb === "nack"
          ? { delayMs: this.dice.int(0, 1_000) }
          : {};
    return this.ask<{ results: readonly Result[] }>({
      request: { is: "settle", ...this.#at, verb, receipts, ...how },
      run: () => http(this.scene, "POST", `${this.#path}/${verb}`, { body: { receipts, ...how } }),
      answer: ({ results }) => ({ is: "settled", results }),
      retries: verb === "ack" ? 3 : 0,
    });
  }
}

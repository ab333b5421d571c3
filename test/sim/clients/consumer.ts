/** Receives, and acks, nacks, extends, forgets or comes late. While all is drained it acks everything at once. */
import type { Delivery } from "../history.ts";
import { deliveryOf } from "../wire.ts";
import { Member } from "./member.ts";

/** Long enough that an idle group costs little, and that the bell has to bring what comes late. */
const DRAIN_WAIT_MS = 20_000;

export class Consumer extends Member {
  async run(): Promise<void> {
    while (this.goesOn) {
      const deliveries = await this.#receive(this.dice.chance(0.5) ? this.dice.int(0, 4_000) : 0);
      await this.handle(deliveries);
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
      if (deliveries.length > 0) await this.settle("ack", deliveries);
    }
  }

  async #receive(waitMs: number): Promise<readonly Delivery[]> {
    const invisibleMs = this.scene.isDraining
      ? 2_000
      : this.dice.int(100, this.scene.plan.invisibleMsMax);
    const attemptId = this.dice.chance(0.3) ? this.fresh() : undefined;
    const maxMessages = this.scene.isDraining ? 64 : this.dice.int(1, 8);
    const consumer = this.consumerId;
    const ended = await this.ask({
      request: {
        is: "receive",
        topic: this.at.topic,
        group: this.at.group,
        invisibleMs,
        maxMessages,
        ...(consumer === undefined ? {} : { consumerId: consumer }),
        ...(attemptId === undefined ? {} : { attemptId }),
      },
      run: (broker) =>
        broker.receive(this.at, {
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
}

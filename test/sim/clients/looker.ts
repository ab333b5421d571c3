/** Looks again and again at what a topic still has. */
import { NAMESPACE } from "../world/wakes.ts";
import { Client } from "./client.ts";

export class Looker extends Client {
  /** As long as others work and all drains: most is let go late. */
  async run(topic: string): Promise<void> {
    while (!this.scene.isOver) {
      await this.ask({
        request: { is: "look", topic },
        run: (broker) => broker.stats({ namespace: NAMESPACE, topic }),
        answer: ({ queues }) => ({
          is: "looked",
          firstOffsets: queues.map(({ firstOffset }) => firstOffset),
        }),
        retries: 0,
        patienceMs: 10_000,
      });
      await this.pause(this.scene.isDraining ? 2_000 : this.dice.roll() * 1_500);
    }
  }
}

/** Changes what runs while it runs: grows topics, pauses and moves groups, brings dead letters and discarded halves back. */
import type { GroupName } from "../../../src/broker/broker.ts";
import { Client } from "./client.ts";

const NAMESPACE = "default";
/** Of the redrives that end a run. */
const LAST_RATE = 20;

export class Operator extends Client {
  readonly #paused = new Set<string>();

  async run(): Promise<void> {
    while (!this.scene.isDraining) {
      await this.pause(500 + this.dice.roll() * 5_000);
      if (this.scene.isDraining) break;
      const what = this.dice.weighted({
        grow: 1,
        pause: this.scene.plan.retention === undefined ? 1 : 3,
        redrive: 2,
        resume: 2,
        seek: this.scene.plan.seeks ? 1 : 0,
      });
      if (what === "grow") await this.#grow();
      else if (what === "pause") await this.#pause();
      else if (what === "redrive") await this.#redrive();
      else if (what === "resume") await this.#resumeDiscarded();
      else await this.#seek();
    }
  }

  /** Nobody stays paused when all is drained. */
  async unpauseAll(): Promise<void> {
    for (const { topic, group } of this.scene.plan.groups)
      await this.#setPaused(topic, group, false);
  }

  async #grow(): Promise<void> {
    const { topic, queues, growsTo } = this.dice.pick(this.scene.plan.topics);
    if (growsTo === queues) return;
    await this.ask({
      request: { is: "grow", topic, queues: growsTo },
      run: (broker) => broker.putTopic({ namespace: NAMESPACE, topic }, { queues: growsTo }),
      answer: () => ({ is: "done" }),
      retries: 3,
      patienceMs: 30_000,
    });
  }

  async #pause(): Promise<void> {
    const { topic, group } = this.dice.pick(this.scene.plan.groups);
    const name = `${topic}/${group}`;
    const isPaused = this.#paused.has(name);
    await this.#setPaused(topic, group, !isPaused);
    if (isPaused) this.#paused.delete(name);
    else this.#paused.add(name);
    // Whoever sleeps too long loses something to retention.
    await this.pause(this.dice.roll() * (this.scene.plan.retention === undefined ? 2_000 : 8_000));
    if (!isPaused) {
      await this.#setPaused(topic, group, false);
      this.#paused.delete(name);
    }
  }

  async #setPaused(topic: string, group: string, paused: boolean): Promise<void> {
    await this.ask({
      request: { is: "pause", topic, group, paused },
      run: (broker) => broker.pause({ namespace: NAMESPACE, topic, group }, paused),
      answer: () => ({ is: "done" }),
      retries: 3,
      patienceMs: 30_000,
    });
  }

  /** Each redrive at a rate takes the place of those before it, and passes over nothing that is dead by now. */
  async redriveAll(): Promise<void> {
    for (const { topic, group } of this.scene.plan.groups)
      await this.#redriveAt({ namespace: NAMESPACE, topic, group }, LAST_RATE);
  }

  async #redrive(): Promise<void> {
    const { topic, group } = this.dice.pick(this.scene.plan.groups);
    const at = { namespace: NAMESPACE, topic, group };
    if (this.scene.plan.pacedRedrives && this.dice.chance(0.7))
      return this.#redriveAt(at, this.dice.int(1, 20));
    await this.ask({
      request: { is: "redrive", topic, group },
      run: (broker) => broker.redrive(at),
      answer: () => ({ is: "done" }),
      retries: 0,
      patienceMs: 30_000,
    });
  }

  async #redriveAt(at: GroupName, ratePerSecond: number): Promise<void> {
    await this.ask({
      request: { is: "redrive", topic: at.topic, group: at.group, ratePerSecond },
      run: (broker) => broker.startRedrive(at, { ratePerSecond }),
      answer: () => ({ is: "done" }),
      retries: 0,
      patienceMs: 30_000,
    });
  }

  async #seek(): Promise<void> {
    const { topic, group } = this.dice.pick(this.scene.plan.groups);
    await this.ask({
      request: { is: "seek", topic, group },
      run: (broker) => broker.seek({ namespace: NAMESPACE, topic, group }, "earliest"),
      answer: () => ({ is: "done" }),
      retries: 2,
      patienceMs: 30_000,
    });
  }

  async #resumeDiscarded(): Promise<void> {
    const { topic } = this.dice.pick(this.scene.plan.topics);
    const listed = await this.scene.deployment
      .request((broker) =>
        broker.transactions({ namespace: NAMESPACE, topic }, { limit: 3, state: "discarded" }),
      )
      .catch(() => undefined);
    for (const { transactionId } of listed?.ok === true ? listed.value.items : []) {
      await this.ask({
        request: { is: "decide", transactionId, decision: "resume" },
        run: (broker) =>
          broker.decide(
            { namespace: NAMESPACE, id: transactionId, permit: () => undefined },
            { decision: "resume", by: "operator" },
          ),
        answer: ({ state, repeated }) => ({ is: "decided", state, repeated }),
        retries: 0,
        patienceMs: 10_000,
      });
    }
  }
}

/** Prepares, ends its local transaction, decides; or dies in between, or is of two minds. */
import { type Decision, endTransaction } from "../actors/deciding.ts";
import { Client } from "./client.ts";
import { contentOf } from "../world/mark.ts";
import { drawMessage } from "./producer.ts";

const NAMESPACE = "default";
/** `asked` is asked by webhook; `polls` looks into its mailbox. */
export const PRODUCER_GROUPS = ["asked", "polls"] as const;

export class Transactor extends Client {
  async run(): Promise<void> {
    while (this.goesOn) {
      const transactionId = await this.#prepare();
      if (transactionId !== undefined) await this.#end(transactionId);
      await this.pause(this.dice.roll() ** 2 * this.scene.plan.restMsMax);
    }
  }

  async #prepare(): Promise<string | undefined> {
    const { topics, check, batchMax } = this.scene.plan;
    const home = this.dice.pick(topics).topic;
    const count = this.dice.int(1, Math.min(4, batchMax + 1));
    const messages = Array.from({ length: count }, () =>
      drawMessage(this, this.dice.chance(0.7) ? home : this.dice.pick(topics).topic),
    );
    const contents = messages.map((message) => ({
      topic: message.topic,
      content: contentOf(message, this.dice.int(0, 60)),
    }));
    const key = this.keyed(messages.map(({ mark }) => mark).join());
    const producerGroup = this.dice.pick(PRODUCER_GROUPS);
    const ended = await this.ask({
      request: { is: "prepare", topic: home, messages, check },
      run: (broker) =>
        broker.prepare(
          { namespace: NAMESPACE, topic: home },
          { producerGroup, messages: contents, check, keyed: key },
        ),
      answer: ({ transactionId, messageIds }) => ({
        is: "prepared",
        transactionId,
        ids: messageIds,
      }),
      retries: 5,
      mayDouble: true,
      patienceMs: 15_000,
    });
    return ended.is === "ok" ? ended.value.transactionId : undefined;
  }

  #end(transactionId: string): Promise<void> {
    const mind = {
      dice: this.dice,
      beliefs: this.scene.endpoint.beliefs,
      endMsMax: 3_000,
      commits: 5,
      tells: 0.8,
      pause: this.pause.bind(this),
      decide: this.#decide.bind(this),
    };
    return endTransaction(mind, transactionId);
  }

  #decide(transactionId: string, decision: Decision) {
    const key = this.keyed(`${transactionId}/${decision}`);
    return this.ask({
      request: { is: "decide", transactionId, decision },
      run: (broker) =>
        broker.decide(
          { namespace: NAMESPACE, id: transactionId, permit: () => undefined },
          { decision, by: "producer", keyed: key },
        ),
      answer: ({ state, repeated }) => ({ is: "decided", state, repeated }),
      retries: this.dice.int(0, 4),
      mayDouble: true,
      patienceMs: 15_000,
    });
  }
}

/** Takes checks out of the mailbox of the group that polls, and answers them. */
export class Checker extends Client {
  async run(): Promise<void> {
    while (!this.scene.isOver) {
      const { host, deployment, endpoint, events } = this.scene;
      const polled = await deployment
        .request((broker) => broker.checks(NAMESPACE, "polls", { maxMessages: 8, waitMs: 2_000 }))
        .catch(() => undefined);
      for (const { transactionId, attempt } of polled?.ok === true ? polled.value.checks : []) {
        const said =
          this.dice.chance(0.15) && !this.scene.isDraining
            ? "unknown"
            : endpoint.beliefs.lookUp(transactionId);
        events.push({
          at: host.clock.nowMs(),
          wall: host.wallMs(),
          is: "asked",
          transactionId,
          attempt,
          said,
        });
        await this.ask({
          request: { is: "decide", transactionId, decision: said },
          run: (broker) =>
            broker.decide(
              { namespace: NAMESPACE, id: transactionId, permit: () => undefined },
              { decision: said, by: "check", attempt },
            ),
          answer: ({ state, repeated }) => ({ is: "decided", state, repeated }),
          retries: 1,
          patienceMs: 15_000,
        });
      }
      await this.pause(this.scene.isDraining ? 50 : this.dice.roll() * 1_000);
    }
  }
}

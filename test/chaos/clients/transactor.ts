/** Who prepares and decides, or dies in between, or is of two minds; and whoever answers the mailbox of checks. */
import { type Decision, endTransaction } from "../../sim/actors/deciding.ts";
import { note, PRODUCER_GROUPS, type Scene } from "../scene.ts";
import { Caller, http } from "./caller.ts";

const part = encodeURIComponent;

export type Decided = {
  readonly state: "prepared" | "committed" | "rolledBack";
  readonly repeated?: boolean;
};

export class Transactor extends Caller {
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
    const messages = Array.from({ length: this.dice.int(1, Math.min(4, batchMax + 1)) }, () =>
      this.drawMessage(this.dice.chance(0.7) ? home : this.dice.pick(topics).topic),
    );
    const wire = messages.map((message) => ({ topic: message.topic, ...this.wire(message) }));
    const producerGroup = this.dice.pick(PRODUCER_GROUPS);
    const once = messages[0]?.mark ?? "";
    const prepared = await this.ask<{ transactionId: string; ids: readonly string[] }>({
      request: { is: "prepare", topic: home, messages, check },
      run: async () => {
        if (this.mq !== undefined) {
          const options = { producerGroup, messages: wire, check, idempotencyKey: once };
          const transaction = await this.mq.transaction(home, options);
          return { transactionId: transaction.id, ids: transaction.messages.map(({ id }) => id) };
        }
        const body = { producerGroup, messages: wire, check };
        const path = `/v1/topics/${part(home)}/transactions`;
        const answer = await http<{ transactionId: string; messages: { id: string }[] }>(
          this.scene,
          "POST",
          path,
          { body, once },
        );
        return { transactionId: answer.transactionId, ids: answer.messages.map(({ id }) => id) };
      },
      answer: (answer) => ({ is: "prepared", ...answer }),
      retries: 5,
    });
    return prepared?.transactionId;
  }

  #end(transactionId: string): Promise<void> {
    const mind = {
      dice: this.dice,
      beliefs: this.scene.beliefs,
      endMsMax: 2_000,
      commits: 6,
      tells: 1,
      pause: this.pause.bind(this),
      decide: this.#decide.bind(this),
    };
    return endTransaction(mind, transactionId);
  }

  #decide(transactionId: string, decision: Decision): Promise<unknown> {
    const once = `${transactionId}/${decision}`;
    return this.ask<Decided>({
      request: { is: "decide", transactionId, decision },
      run: async () => {
        if (this.mq === undefined) return decide(this.scene, transactionId, decision, { once });
        const decided = await this.mq.transactions[decision](transactionId, {
          idempotencyKey: once,
        });
        return decided as Decided;
      },
      answer: ({ state, repeated }) => ({ is: "decided", state, repeated: repeated === true }),
      retries: this.dice.int(0, 4),
    });
  }
}

export function decide(
  scene: Scene,
  transactionId: string,
  decision: Decision | "resume",
  { once, body = {} }: { readonly once?: string; readonly body?: object },
): Promise<Decided> {
  const path = `/v1/transactions/${part(transactionId)}/${decision}`;
  return http<Decided>(scene, "POST", path, { body, ...(once === undefined ? {} : { once }) });
}

/** Takes checks out of the mailbox of the group that polls, and answers them. */
export class Checker extends Caller {
  async run(): Promise<void> {
    const [, polls] = PRODUCER_GROUPS;
    const path = `/v1/producer-groups/${polls}/checks/receive`;
    while (!this.scene.isOver) {
      const body = { maxMessages: 8, waitMs: 500 };
      const polled = await http<{ checks: { transactionId: string; attempt: number }[] }>(
        this.scene,
        "POST",
        path,
        { body, waitMs: 500 },
      ).catch(() => ({ checks: [] }));
      for (const { transactionId, attempt } of polled.checks)
        await this.#answer(transactionId, attempt);
      await this.pause(this.scene.isDraining ? 50 : this.dice.roll() * 500);
    }
  }

  #answer(transactionId: string, attempt: number): Promise<unknown> {
    const { scene } = this;
    const wavers = this.dice.chance(0.15) && !scene.isDraining;
    const said = wavers ? "unknown" : scene.beliefs.lookUp(transactionId);
    note(scene, { is: "asked", transactionId, attempt, said });
    return this.ask<Decided>({
      request: { is: "decide", transactionId, decision: said },
      run: () => decide(scene, transactionId, said, { body: { by: "check", attempt } }),
      answer: ({ state, repeated }) => ({ is: "decided", state, repeated: repeated === true }),
      retries: 1,
    });
  }
}

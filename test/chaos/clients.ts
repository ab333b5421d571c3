/** Who works in a chaos run: producers, transactors, consumers, and whoever answers the mailbox. As in test/sim, over HTTP. */
import type { DeliveredData } from "../../src/client/index.ts";
import type { Delivery, GroupPlan } from "../sim/history.ts";
import type { Dice } from "../sim/world/dice.ts";
import { read } from "../sim/world/mark.ts";
import { Caller, http } from "./caller.ts";
import { note, PRODUCER_GROUPS, type Scene } from "./scene.ts";

const part = encodeURIComponent;

interface Placed {
  readonly id?: string;
  readonly queue: number;
  readonly offset?: number;
  readonly state: "ready" | "delayed" | "duplicate";
}

export class Producer extends Caller {
  readonly #known: { readonly id: string; readonly mark: string }[] = [];

  async run(): Promise<void> {
    while (this.goesOn) {
      const recalled = this.dice.chance(0.1) ? this.#known.pop() : undefined;
      if (recalled === undefined) await this.#send();
      else await this.#recall(recalled);
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

  #recall({ id, mark }: { readonly id: string; readonly mark: string }): Promise<unknown> {
    return this.ask({
      request: { is: "recall", id, mark },
      run: () => http(this.scene, "DELETE", `/v1/messages/${part(id)}`),
      answer: () => ({ is: "done" }),
      retries: 0,
    });
  }
}

type Decision = "commit" | "rollback" | "unknown";
type Decided = {
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

  async #end(transactionId: string): Promise<void> {
    await this.pause(this.dice.roll() ** 3 * 2_000);
    const how = this.dice.weighted({
      commits: 6,
      rollsBack: 2,
      dies: 2,
      wavers: 1,
      contradicts: 1,
    });
    if (how === "dies") return;
    const wanted =
      how === "rollsBack" || (how !== "commits" && this.dice.chance(0.5)) ? "rollback" : "commit";
    const belief = this.scene.beliefs.end(transactionId, wanted);
    if (how === "wavers") await this.#decide(transactionId, "unknown");
    const other = belief === "commit" ? "rollback" : "commit";
    if (how === "contradicts")
      await Promise.all([this.#decide(transactionId, belief), this.#decide(transactionId, other)]);
    else await this.#decide(transactionId, belief);
    if (this.dice.chance(0.1)) await this.#decide(transactionId, belief);
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

function decide(
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

type Verb = "ack" | "nack" | "extend";
type Result = {
  readonly ok: boolean;
  readonly receipt: string;
  readonly code?: string;
  readonly invisibleUntil?: number;
};

export class Consumer extends Caller {
  readonly #at: Pick<GroupPlan, "topic" | "group">;
  readonly #path: string;

  constructor(name: string, scene: Scene, dice: Dice, { topic, group }: GroupPlan) {
    super(name, scene, dice);
    this.#at = { topic, group };
    this.#path = `/v1/topics/${part(topic)}/groups/${part(group)}`;
  }

  async run(): Promise<void> {
    while (this.goesOn) await this.#handle(await this.#receive());
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
        const { topic, group } = this.#at;
        const body = { ...asked, waitMs };
        if (this.mq !== undefined)
          return (await this.mq.consumer(topic, group).receive(body)).map(({ data }) => data);
        const path = `${this.#path}/receive`;
        const calling = { body, waitMs };
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
    const rest: Delivery[] = [];
    for (const delivery of deliveries) {
      const how = this.dice.weighted({ ack: 60, nack: 3, extend: 2, forget: 1, late: 1 });
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

  #settle(verb: Verb, deliveries: readonly Delivery[]): Promise<unknown> {
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

export function deliveryOf(data: DeliveredData): Delivery {
  const { id, queue, offset, storedAt, deliveryAttempt, receipt, invisibleUntil } = data;
  const { transactionId } = data;
  return {
    ...readWire(data),
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

/** What the body of a message on the wire says of itself. */
export const readWire = (data: Pick<DeliveredData, "body" | "properties">) =>
  read({
    body: { json: JSON.stringify(data.body) },
    ...(data.properties === undefined ? {} : { properties: data.properties }),
  });

/** Changes what runs while it runs: grows topics, pauses groups, brings dead letters and discarded transactions back. */
export class Operator extends Caller {
  async run(): Promise<void> {
    while (this.goesOn) {
      await this.pause(300 + this.dice.roll() * 2_000);
      const what = this.dice.weighted({ grow: 1, pause: 1, redrive: 2, resume: 2 });
      if (what === "grow") await this.#grow();
      else if (what === "pause") await this.#pause();
      else if (what === "redrive") await this.#redrive();
      else await this.#resume();
    }
  }

  async #grow(): Promise<void> {
    for (const { topic, growsTo: queues } of this.scene.plan.topics)
      if (queues > 0)
        await this.ask({
          request: { is: "grow", topic, queues },
          run: () => http(this.scene, "PUT", `/v1/topics/${topic}`, { body: { queues } }),
          answer: () => ({ is: "done" }),
          retries: 2,
        });
  }

  async #pause(): Promise<void> {
    const { topic, group } = this.dice.pick(this.scene.plan.groups);
    await this.#setPaused(topic, group, true);
    await this.pause(this.dice.roll() * 1_000);
    await this.#setPaused(topic, group, false);
  }

  /** Nobody stays paused when all is drained. */
  async unpauseAll(): Promise<void> {
    for (const { topic, group } of this.scene.plan.groups)
      await this.#setPaused(topic, group, false);
  }

  #setPaused(topic: string, group: string, paused: boolean): Promise<unknown> {
    const path = `/v1/topics/${topic}/groups/${group}/${paused ? "pause" : "resume"}`;
    return this.ask({
      request: { is: "pause", topic, group, paused },
      run: () => http(this.scene, "POST", path, { body: {} }),
      answer: () => ({ is: "done" }),
      retries: 4,
    });
  }

  #redrive(): Promise<unknown> {
    const { topic, group } = this.dice.pick(this.scene.plan.groups);
    const path = `/v1/topics/${topic}/groups/${group}/dead-letters/redrive`;
    return this.ask({
      request: { is: "redrive", topic, group },
      run: () => http(this.scene, "POST", path, { body: {} }),
      answer: () => ({ is: "done" }),
      retries: 0,
    });
  }

  async #resume(): Promise<void> {
    const { topic } = this.dice.pick(this.scene.plan.topics);
    const path = `/v1/topics/${topic}/transactions?state=discarded&limit=3`;
    const listed = await http<{ items: { transactionId: string }[] }>(
      this.scene,
      "GET",
      path,
    ).catch(() => ({ items: [] }));
    for (const { transactionId } of listed.items)
      await this.ask<Decided>({
        request: { is: "decide", transactionId, decision: "resume" },
        run: () => decide(this.scene, transactionId, "resume", { body: { by: "operator" } }),
        answer: ({ state, repeated }) => ({ is: "decided", state, repeated: repeated === true }),
        retries: 0,
      });
  }
}

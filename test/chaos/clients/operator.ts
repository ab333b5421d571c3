/** Changes what runs while it runs: grows topics, pauses and moves groups, brings dead letters and discarded transactions back. */
import type { SeekTarget } from "../../sim/history.ts";
import type { ChaosGroup } from "../scene.ts";
import { Caller, http } from "./caller.ts";
import { decide, type Decided } from "./transactor.ts";

const SOUGHT_BACK_MS_MAX = 5_000;
const RATES_PER_SECOND = [1, 5, 50] as const;
const RETRIES_MAX = 1_000;

export class Operator extends Caller {
  /** As far as topics have grown. */
  readonly #queues = new Map<string, number>();

  async run(): Promise<void> {
    while (this.goesOn) {
      await this.pause(100 + this.dice.roll() * 500);
      const what = this.dice.weighted({ grow: 1, pause: 1, redrive: 3, resume: 2, seek: 2 });
      if (what === "grow") await this.#grow();
      else if (what === "pause") await this.#pause();
      else if (what === "redrive") await this.#redrive(this.dice.pick(this.#mortal));
      else if (what === "resume") await this.#resume();
      else await this.#seek();
    }
  }

  /** When all work is over: nobody stays paused, and nothing dead. */
  async settle(): Promise<void> {
    for (const { topic, group } of this.scene.plan.groups)
      await this.#setPaused(topic, group, false);
    for (const group of this.#mortal)
      for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
        if ((await this.#putBack(group, { ratePerSecond: 100 })) !== undefined) break;
        await this.pause(this.dice.roll() * 400);
      }
  }

  /** Groups that have dead letters. */
  get #mortal(): readonly ChaosGroup[] {
    return this.scene.plan.groups.filter(({ maxAttempts }) => maxAttempts < 1_000);
  }

  async #grow(): Promise<void> {
    for (const { topic, queues: from, growsTo } of this.scene.plan.topics) {
      const known = this.#queues.get(topic) ?? from;
      if (known >= growsTo) continue;
      const queues = this.dice.int(known + 1, growsTo);
      this.#queues.set(topic, queues);
      await this.ask({
        request: { is: "grow", topic, queues },
        run: () => http(this.scene, "PUT", `/v1/topics/${topic}`, { body: { queues } }),
        answer: () => ({ is: "done" }),
        retries: 2,
      });
    }
  }

  async #pause(): Promise<void> {
    const { topic, group } = this.dice.pick(this.scene.plan.groups);
    await this.#setPaused(topic, group, true);
    await this.pause(this.dice.roll() * 1_000);
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

  /** All at once, some that it has seen, or at a rate, which may be stopped. */
  async #redrive(at: ChaosGroup): Promise<void> {
    const path = pathOf(at);
    const how = this.dice.weighted({ all: 2, named: 2, rate: 2, stop: 1 });
    if (how === "all") await this.#putBack(at, {});
    else if (how === "rate")
      await this.#putBack(at, { ratePerSecond: this.dice.pick(RATES_PER_SECOND) });
    else if (how === "stop")
      await http(this.scene, "DELETE", `${path}/redrive`).catch(() => undefined);
    else {
      const listed = await http<{ items: { id: string }[] }>(
        this.scene,
        "GET",
        `${path}?limit=5`,
      ).catch(() => ({ items: [] }));
      const ids = listed.items.map(({ id }) => id);
      const rate = this.dice.chance(0.3) ? { ratePerSecond: this.dice.pick(RATES_PER_SECOND) } : {};
      if (ids.length > 0) await this.#putBack(at, { ids, ...rate });
    }
  }

  #putBack(
    { topic, group }: ChaosGroup,
    how: { readonly ids?: readonly string[]; readonly ratePerSecond?: number },
  ): Promise<unknown> {
    const path = `${pathOf({ topic, group })}/redrive`;
    return this.ask({
      request: { is: "redrive", topic, group, ...how },
      run: () => http(this.scene, "POST", path, { body: how }),
      answer: () => ({ is: "done" }),
      retries: 0,
    });
  }

  /** Mostly back to what was; a move that may leave something out is not repeated, so that it is known when it came. */
  async #seek(): Promise<void> {
    const { groups } = this.scene.plan;
    const { topic, group } = this.dice.pick(groups.filter(({ isSought }) => isSought));
    const to = this.#drawTarget();
    await this.ask({
      request: { is: "seek", topic, group, to },
      run: () =>
        http(this.scene, "POST", `/v1/topics/${topic}/groups/${group}/seek`, { body: { to } }),
      answer: () => ({ is: "done" }),
      retries: to === "earliest" ? 6 : 0,
    });
  }

  #drawTarget(): SeekTarget {
    const how = this.dice.weighted({ earliest: 6, latest: 1, instant: 2, offset: 2 });
    if (how === "instant") return Date.now() - this.dice.int(0, SOUGHT_BACK_MS_MAX);
    return how === "offset" ? { 0: this.dice.int(0, 100) } : how;
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

const pathOf = ({ topic, group }: Pick<ChaosGroup, "topic" | "group">): string =>
  `/v1/topics/${topic}/groups/${group}/dead-letters`;

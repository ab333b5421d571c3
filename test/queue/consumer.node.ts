/** The verbs of a consumer and its operator on the bench's queue: what tests of delivery talk with. */
import type { Content } from "../../src/core/record.ts";
import type {
  Delivered,
  Joined,
  QueueStats,
  ReceiveCall,
  SeekTo,
  Settled,
  Stamp,
} from "../../src/protocol/rpc.ts";
import type { GroupSettings } from "../../src/protocol/topic.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { Bench, group, records, route } from "./kit.node.ts";

export class Consumer {
  readonly bench: Bench;
  /** Who asks, in a broadcast group. */
  readonly consumerId: string | undefined;
  stamp: Stamp = { incarnation: 7, version: 1 };

  private constructor(bench: Bench, consumerId?: string) {
    this.bench = bench;
    this.consumerId = consumerId;
  }

  /** Another consumer of a broadcast group, which joins first. */
  async named(consumerId: string): Promise<Consumer> {
    const one = new Consumer(this.bench, consumerId);
    one.stamp = this.stamp;
    await one.join();
    return one;
  }

  join(membership?: Joined): Promise<Joined> {
    const { stamp, consumerId = "" } = this;
    const call = { stamp, group: "g", consumerId, ...(membership && { membership }) };
    return this.bench.run(this.verbs.join(call));
  }

  /** A queue with the group `g`. */
  static async of(settings: Partial<GroupSettings> = {}, bench = new Bench()): Promise<Consumer> {
    await bench.run(bench.queue.configure(route([group("g", settings)]), 0));
    return new Consumer(bench);
  }

  /** Changes the group's settings. */
  async set(settings: Partial<GroupSettings>): Promise<void> {
    const version = this.stamp.version + 1;
    const changed = route([group("g", settings)], {}, { version });
    await this.bench.run(this.bench.queue.configure(changed, 0));
    this.stamp = { ...this.stamp, version };
  }

  /** Of the queue as it is now: a wake makes another. */
  get verbs(): QueueVerbs {
    return new QueueVerbs(this.bench.queue);
  }

  send(...contents: readonly Partial<Content>[]) {
    const call = { stamp: this.stamp, records: records(...contents) };
    return this.bench.run(this.verbs.send(call));
  }

  /** One message of each message group, in this order. */
  put(...messageGroups: readonly string[]) {
    return this.send(...messageGroups.map((messageGroup) => ({ messageGroup })));
  }

  call(more: Partial<ReceiveCall> = {}): ReceiveCall {
    const call = { maxMessages: 1, invisibleMs: 30_000, waitMs: 0, bytesMax: 1e6 };
    const whose = this.consumerId === undefined ? {} : { consumerId: this.consumerId };
    return { stamp: this.stamp, group: "g", ...call, ...whose, ...more };
  }

  take(maxMessages = 1, more: Partial<ReceiveCall> = {}): Promise<Delivered> {
    return this.bench.run(this.verbs.receive(this.call({ maxMessages, ...more })));
  }

  async offsets(maxMessages = 16): Promise<readonly number[]> {
    return (await this.take(maxMessages)).offsets;
  }

  tell(
    verb: "ack" | "nack" | "extend",
    receipts: readonly string[],
    how: { delayMs?: number; reason?: string; retry?: boolean; invisibleMs?: number } = {},
  ): Promise<readonly Settled[]> {
    const call = { stamp: this.stamp, group: "g", verb, receipts, ...how };
    return this.bench.run(this.verbs.settle(call));
  }

  /** Receives one and gives it back at once; answers its offset. */
  async fail(reason = "no"): Promise<number | undefined> {
    const { receipts, offsets } = await this.take();
    await this.tell("nack", receipts, { delayMs: 0, reason });
    return offsets[0];
  }

  /** Receives one at a time and acks each. */
  async drain(): Promise<number[]> {
    const seen: number[] = [];
    for (;;) {
      const { receipts, offsets } = await this.take();
      if (offsets.length === 0) return seen;
      await this.tell("ack", receipts);
      seen.push(...offsets);
    }
  }

  blocked(after?: string, limit = 100) {
    return this.bench.run(this.verbs.blocked(this.stamp, "g", { limit, ...(after && { after }) }));
  }

  decide(verb: "retry" | "skip", ids?: readonly string[]) {
    const decision = { verb, ...(ids && { ids }) };
    return this.bench.run(this.verbs.decideHeld(this.stamp, "g", decision));
  }

  seek(to: SeekTo) {
    return this.bench.run(this.verbs.seek(this.stamp, "g", to, this.consumerId));
  }

  deadLetters(limit = 100, cursor?: string) {
    const whose = this.consumerId === undefined ? {} : { consumerId: this.consumerId };
    const query = { limit, bytesMax: 1e6, ...whose, ...(cursor && { cursor }) };
    return this.bench.run(this.verbs.deadLetters(this.stamp, "g", query));
  }

  async stats(): Promise<QueueStats["groups"][number]> {
    const all = await this.bench.run(this.verbs.stats(this.stamp));
    const [own] = all.groups;
    if (own === undefined) throw new Error("no group");
    return own;
  }
}

/** Many commands at one queue, chosen at random, and what a queue knows after them, whichever way it holds it. */
import { hash } from "node:crypto";
import { expect } from "vitest";
import { unframe } from "../../src/core/record.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import { decideHeld } from "../../src/queue/reading/blocked.ts";
import { beginChecks, endCheck } from "../../src/queue/checking.ts";
import { receive, type Received } from "../../src/queue/consuming.ts";
import { decide, prepare } from "../../src/queue/deciding.ts";
import { recall, retime } from "../../src/queue/reading/finding.ts";
import { redrive, seek } from "../../src/queue/operating.ts";
import { send } from "../../src/queue/sending.ts";
import { settle } from "../../src/queue/settling.ts";
import { stats } from "../../src/queue/reading/stats.ts";
import type { QueueStore } from "../../src/queue/store.ts";
import { view } from "../../src/queue/halves/transaction-view.ts";
import type { Group } from "../../src/queue/delivery/group.ts";
import type { Delivered, GroupRoute, ReceiveCall } from "../../src/protocol/rpc.ts";
import type { QueueBounds } from "../../src/queue/bounds.ts";
import type { GroupSettings, TopicSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "./kit.node.ts";

/** A small generator (mulberry32): the same seed, the same run. */
const randomOf = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
};

const groupsOf = (version: number): GroupRoute[] => [
  group("plain", { maxAttempts: 3, backoff: { delaysMs: [200] } }, 1),
  group("ordered", { ordered: true, maxAttempts: 3, backoff: { delaysMs: [0, 300] } }, 2),
  group("filtered", { filter: { tags: version % 2 === 0 ? ["a"] : ["a", "b"] } }, 3),
  group("blocking", { ordered: true, onPoison: "block", maxAttempts: 1 }, 4),
  group("broadcast", { mode: "broadcast", maxAttempts: 2, backoff: { delaysMs: [100] } }, 5),
  group("limited", { maxInFlight: 4, ratePerSecond: 20, messageGroupConcurrency: 1 }, 6),
  group(`passing${version}`, {}, 10 + version),
];

const isApart = ({ ordered, messageGroupConcurrency }: GroupSettings): boolean =>
  ordered || messageGroupConcurrency > 0;

export class RandomRun {
  readonly bench: Bench;
  readonly pick: (below: number) => number;
  readonly receipts: { group: string; receipt: string }[] = [];
  readonly delayedIds: string[] = [];
  /** Deliveries: to whom, and of what. */
  readonly got: string[] = [];
  version = 1;
  readonly #settings: Partial<TopicSettings>;
  /** One message at a time, and no message groups told apart: what a receive gives does not depend on what is at hand. */
  isOneByOne = false;

  constructor(
    seed: number,
    bounds: Partial<QueueBounds> = {},
    settings: Partial<TopicSettings> = {},
  ) {
    this.bench = new Bench(undefined, bounds);
    this.#settings = settings;
    this.pick = randomOf(seed);
  }

  get store(): QueueStore {
    return this.bench.queue.store;
  }

  get #stamp() {
    return { incarnation: 7, version: this.version };
  }

  configure(): Promise<unknown> {
    const topic = route(
      groupsOf(this.version).filter(({ settings }) => !this.isOneByOne || !isApart(settings)),
      { retentionMs: 60_000, dedupWindowMs: 5_000, ...this.#settings },
      { version: this.version },
    );
    return this.bench.run(this.bench.queue.configure(topic, 0));
  }

  /** Refusals are as good as answers here. */
  async do<T>(command: (nowMs: number) => Outcome<T>): Promise<T | undefined> {
    const outcome = await this.bench.run(this.bench.queue.run((nowMs) => accept(command(nowMs))));
    return outcome.ok ? outcome.value : undefined;
  }

  #contents(count: number) {
    return Array.from({ length: count }, () => ({
      tag: ["a", "b", "c"][this.pick(3)] ?? "a",
      ...(this.pick(2) === 0 ? {} : { messageGroup: `m${this.pick(4)}` }),
      ...(this.pick(5) > 0 ? {} : { delayMs: 1 + this.pick(3_000) }),
      ...(this.pick(6) > 0 ? {} : { dedupId: `d${this.pick(20)}` }),
      ...(this.pick(9) > 0 ? {} : { ttlMs: 500 }),
    }));
  }

  /** To its end: over all turns, and with what must be fetched. */
  async receive(group: Group, call: ReceiveCall): Promise<Received | undefined> {
    for (;;) {
      const got = await this.do((nowMs) => accept(receive(this.store, group, call, nowMs)));
      if (got?.is !== "unfinished" && got?.is !== "cold") return got;
      if (got.is === "unfinished") continue;
      const arrived = this.bench.queue.bucketWork.arrival(got.block);
      await this.bench.clock.advance(0);
      expect(await arrived).toBe(true);
    }
  }

  #note({ number }: Group, { entries, offsets, attempts }: Delivered): void {
    for (const [index, entry] of unframe(entries).entries())
      this.got.push(`${number} ${offsets[index]} ${attempts[index]} ${hash("sha1", entry)}`);
  }

  #group(): Group | undefined {
    const groups = [...this.store.groups];
    return groups[this.pick(groups.length)];
  }

  async step(): Promise<void> {
    const stamp = this.#stamp;
    const { pick, store } = this;
    const position = pick(Math.max(1, store.halves.log.next));
    switch (pick(18)) {
      case 0:
      case 1:
      case 2: {
        const call = { stamp, records: records(...this.#contents(1 + pick(8))) };
        const sent = await this.do((nowMs) => send(store, call, nowMs));
        const messages = sent === undefined || "first" in sent.stored ? [] : sent.stored;
        for (const { id, state } of messages)
          if (id !== undefined && state === "delayed") this.delayedIds.push(id);
        return;
      }
      case 3:
      case 4:
      case 5: {
        const found = this.#group();
        if (found === undefined) return;
        const name = found.route.name;
        const call = {
          stamp,
          group: name,
          maxMessages: this.isOneByOne ? 1 : 1 + pick(6),
          waitMs: 0,
          bytesMax: 1e6,
          invisibleMs: 100 + pick(2_000),
          ...(pick(3) === 0 ? { attempt: `attempt${pick(5)}` } : {}),
        };
        const got = await this.receive(found, call);
        if (got?.is !== "delivered") return;
        this.#note(found, got.delivered);
        for (const receipt of got.delivered.receipts) this.receipts.push({ group: name, receipt });
        return;
      }
      case 6:
      case 7:
      case 8: {
        const [one] = this.receipts.splice(pick(this.receipts.length), 1);
        if (one === undefined) return;
        const verb =
          (["ack", "ack", "ack", "nack", "extend", "release"] as const)[pick(6)] ?? "ack";
        const call = { stamp, group: one.group, receipts: [one.receipt], verb, invisibleMs: 700 };
        await this.do((nowMs) => accept(settle(store, call, nowMs)));
        return;
      }
      case 9: {
        const contents = this.#contents(1 + pick(3));
        const call = {
          stamp,
          producerGroup: `p${pick(2)}`,
          check: { timeoutMs: 500, intervalMs: 400, maxChecks: 2 },
          records: records(...contents),
          targets: contents.map(() => ({
            topic: pick(3) === 0 ? "stock" : "orders",
            incarnation: 7,
            queue: 0,
          })),
        };
        await this.do((nowMs) => prepare(store, call, nowMs));
        return;
      }
      case 10: {
        const decision =
          (["commit", "rollback", "unknown", "resume"] as const)[pick(4)] ?? "commit";
        const call = { stamp, position, decision, by: "producer" as const };
        await this.do((nowMs) => decide(store, call, nowMs));
        return;
      }
      case 11: {
        const attempt = (store.halves.open.get(position)?.checks ?? 0) + 1;
        await this.do((nowMs) => {
          const openUntil = pick(2) * (nowMs + 300);
          return accept(
            beginChecks(store, [{ position, attempt, openUntil }], false, nowMs).length,
          );
        });
        const end = {
          position,
          attempt,
          resolution: pick(3) > 0 ? "unknown" : "rollback",
        } as const;
        if (pick(2) === 0) await this.do((nowMs) => endCheck(store, end, nowMs));
        return;
      }
      case 12: {
        const [id] = this.delayedIds.splice(pick(this.delayedIds.length), 1);
        if (id === undefined) return;
        if (pick(2) === 0) await this.do((nowMs) => recall(store, { stamp, id }, nowMs));
        else await this.do((nowMs) => retime(store, { stamp, id }, nowMs + pick(4_000), nowMs));
        return;
      }
      case 13: {
        const found = this.#group();
        if (found === undefined) return;
        if (pick(4) === 0) {
          const decision = { verb: pick(2) === 0 ? "retry" : "skip" } as const;
          await this.do((nowMs) => accept(decideHeld(store, [found], decision, nowMs)));
        } else if (pick(2) > 0)
          await this.do((nowMs) => accept(redrive(store, [found], undefined, nowMs)));
        else if (pick(3) === 0) {
          const to = pick(2) === 0 ? "earliest" : { offset: pick(store.messages.next + 1) };
          await this.do((nowMs) => accept(seek(store, [found], to, nowMs)));
        }
        return;
      }
      case 15: {
        const known = store.groups.route("broadcast");
        if (known === undefined) return;
        const membership = pick(3) === 0 ? { home: 1 + pick(2), queues: 1 } : undefined;
        const asked = { queue: 0, queues: 1, ...(membership && { membership }) };
        await this.do((nowMs) => store.groups.join(known, `consumer${pick(3)}`, asked, nowMs));
        if (pick(40) === 0) await this.bench.pass(26 * 3_600_000);
        return;
      }
      case 14:
        if (pick(8) > 0) return;
        this.version++;
        await this.configure();
        return;
      default:
        await this.bench.pass(pick(pick(30) === 0 ? 90_000 : 900));
    }
  }
}

/** What counts, in words that do not depend on how it is held. */
export function knowledge(store: QueueStore, nowMs: number): unknown {
  const inOrder = [...store.groups].toSorted((one, other) => one.number - other.number);
  const groups = inOrder.map((group) => {
    const { state } = group;
    const open = [];
    for (let offset = store.messages.first; offset < store.messages.next; offset++)
      // What a filter passed over above its last written position is found again.
      if (group.route.name !== "filtered" && !state.isDone(offset)) open.push(offset);
    const flights = [...state.flights(), ...store.deadLetters.redriven(group.number)];
    return {
      name: group.route.name,
      owner: state.owner,
      held: store.deadLetters.heldCount(group.number),
      paidUntil: state.paidUntil,
      epoch: state.epoch,
      expired: group.route.name === "filtered" ? 0 : state.expired,
      open,
      flights: flights
        .map(({ offset, generation, attempt, dueAt }) => ({ offset, generation, attempt, dueAt }))
        .toSorted((a, b) => a.offset - b.offset),
      dead: store.deadLetters.count(group.number),
    };
  });
  const halves = [];
  for (let position = store.halves.log.first; position < store.halves.log.next; position++) {
    const open = store.halves.open.get(position);
    halves.push([
      view(store, position),
      open === undefined ? undefined : { ...open, offeredUntil: 0 },
    ]);
  }
  const delayed = [];
  for (let position = store.delayed.log.first; position < store.delayed.log.next; position++)
    delayed.push([store.delayed.fate(position), store.delayed.dueAt(position)]);
  const { transactions, prepared, forwarding } = stats(store, nowMs);
  return {
    log: [
      store.messages.first,
      store.messages.next,
      store.messages.bytes,
      store.messages.lastStoredAt,
    ],
    groups,
    halves,
    delayed,
    count: store.delayed.count,
    links: store.links.links.map(({ target, first, parcels }) => ({ target, first, parcels })),
    transactions,
    prepared,
    forwarding,
  };
}

/**
 * The earliest instant at which a check, a discard or a delayed message is due, by looking at all of them; Infinity when
 * nothing waits. A lease that ends with nobody waiting needs no alarm: the next receive finds it.
 */
export function earliestDue(store: QueueStore): number {
  let earliest = Infinity;
  for (let position = store.halves.log.first; position < store.halves.log.next; position++) {
    const open = store.halves.open.get(position);
    if (open !== undefined)
      earliest = Math.min(earliest, Math.max(open.nextCheckAt, open.openUntil, open.offeredUntil));
  }
  for (let position = store.delayed.log.first; position < store.delayed.log.next; position++)
    if (store.delayed.fate(position) === undefined)
      earliest = Math.min(earliest, store.delayed.dueAt(position) ?? Infinity);
  return earliest;
}

/** Ports of a store that only knows. */
export const asleep = {
  random: () => 0,
  dead: () => {},
  held: () => {},
  expired: () => {},
  gone: () => {},
};

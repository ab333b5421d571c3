/**
 * Objects made of memory for the broker's tests: queues that keep records, leases and answers to keys, a registry, and a
 * count of every call. No rule of the real ones is copied beyond what routing needs.
 */
import { LargeBodies } from "../../src/bodies/large-bodies.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { encodeEntry } from "../../src/core/entry.ts";
import { messageId, parseReceipt, receipt } from "../../src/core/ids.ts";
import { frame, unframe } from "../../src/core/record.ts";
import type { Ground, Objects } from "../../src/broker/objects.ts";
import { accept, refuse, type Outcome, type Refusal } from "../../src/protocol/errors.ts";
import type {
  BellCall,
  BellMark,
  RingCall,
  Rung,
  CoordinatorRpc,
  Delivered,
  GroupRoute,
  Keyed,
  PeekCall,
  PrepareCall,
  Prepared,
  ProducerOf,
  QueueRpc,
  ReceiveCall,
  RegistryRpc,
  SendCall,
  Stored,
  SettleCall,
  Settled,
  Stamp,
  TopicRoute,
} from "../../src/protocol/rpc.ts";
import { GROUP_DEFAULTS, TOPIC_DEFAULTS } from "../../src/protocol/topic.ts";

interface Row {
  readonly record: Uint8Array;
  readonly storedAt: number;
  leasedBy: string | undefined;
  isAcked: boolean;
}

const NO_BYTES = new Uint8Array();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class FakeQueue {
  readonly log: Row[] = [];
  readonly answers = new Map<string, { body: string; sent: Stored; isClaim: boolean }>();
  readonly prepares: PrepareCall[] = [];
  readonly sends: SendCall[] = [];
  /** What is known of producers, by their ids. */
  readonly seats = new Map<string, { epoch: number; sequence: number }>();
  /** Producers are new here: the first call is sent back to ask the former queues. */
  asksFormer = false;
  /** Answered instead of anything else, as often as it stands here. */
  readonly refusals: Refusal[] = [];
  /** What stands below is shown to nobody. */
  lostBelow = 0;
  /** Waits that were cancelled, by their ids. */
  readonly cancelled: string[] = [];
  /** What waits at this bell were called. */
  readonly waitIds: (string | undefined)[] = [];
  /** As far as each wait had heard the bell. */
  readonly heard: (BellMark | undefined)[] = [];
  /** Rings that were passed on to this bell. */
  readonly rung: RingCall[] = [];
  #wake: ((queues: number[]) => void) | undefined;
  isPaused = false;
  readonly #world: World;
  readonly #topic: string;
  readonly #queue: number;

  constructor(world: World, topic: string, queue: number) {
    this.#world = world;
    this.#topic = topic;
    this.#queue = queue;
  }

  #gate(stamp: Stamp): Refusal | undefined {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return refusal;
    const route = this.#world.routes.get(this.#topic);
    const isTrue = route?.incarnation === stamp.incarnation && route.version === stamp.version;
    return isTrue ? undefined : refuse("stale_route", "another version");
  }

  put(count: number, body = "1"): void {
    for (let index = 0; index < count; index++) {
      const record = new Uint8Array([1, 1, ...new TextEncoder().encode(body)]);
      const storedAt = this.#world.nowMs++;
      this.log.push({ record, storedAt, leasedBy: undefined, isAcked: false });
    }
  }

  send(call: SendCall): Promise<Outcome<Stored>> {
    const refusal = this.#gate(call.stamp);
    if (refusal !== undefined) return Promise.resolve(refusal);
    const known = call.keyed === undefined ? undefined : this.answers.get(hex(call.keyed.key));
    if (known !== undefined && hex(call.keyed?.body ?? NO_BYTES) !== known.body) {
      return Promise.resolve(refuse("idempotency_key_reused", "another body"));
    }
    if (known !== undefined) return Promise.resolve(accept({ ...known.sent, replayed: true }));
    this.sends.push(call);
    if (this.asksFormer && call.former === undefined)
      return Promise.resolve(accept({ stored: [], replayed: false, formerFirst: true }));
    const incarnation = call.stamp.incarnation;
    const messages = unframe(call.records).map((record) => {
      const offset = this.log.length;
      const storedAt = this.#world.nowMs++;
      this.log.push({ record: record.slice(), storedAt, leasedBy: undefined, isAcked: false });
      const position = offset;
      const id = messageId({ origin: "log", incarnation, queue: this.#queue, position, index: 0 });
      return { id, queue: this.#queue, offset, state: "ready" as const };
    });
    const sent = { stored: messages, replayed: false };
    if (call.keyed !== undefined) {
      const isClaim = messages.length === 0;
      this.answers.set(hex(call.keyed.key), { body: hex(call.keyed.body), sent, isClaim });
    }
    return Promise.resolve(accept(sent));
  }

  replay(stamp: Stamp, keyed: Keyed): Promise<Outcome<Stored | undefined>> {
    const known = this.answers.get(hex(keyed.key));
    const reused =
      known === undefined || known.body === hex(keyed.body)
        ? undefined
        : refuse("idempotency_key_reused", "another body");
    return Promise.resolve(this.#gate(stamp) ?? reused ?? accept(known?.sent));
  }

  releaseKey(stamp: Stamp, keyed: Keyed): Promise<Outcome<{ released: boolean }>> {
    const isClaim = this.answers.get(hex(keyed.key))?.isClaim === true;
    const refusal = this.#gate(stamp);
    if (refusal === undefined && isClaim) this.answers.delete(hex(keyed.key));
    return Promise.resolve(refusal ?? accept({ released: isClaim }));
  }

  producers(stamp: Stamp, asked: readonly ProducerOf[]): ReturnType<QueueRpc["producers"]> {
    const refusal = this.#gate(stamp);
    return Promise.resolve(refusal ?? accept(asked.map(({ id }) => this.seats.get(id))));
  }

  prepare(call: PrepareCall): Promise<Outcome<Prepared>> {
    const refusal = this.#gate(call.stamp);
    if (refusal !== undefined) return Promise.resolve(refusal);
    this.prepares.push(call);
    const { producerGroup, check, targets } = call;
    const messageIds = targets.map((_, index) => `mh_1_${this.#queue}_0_${index}`);
    const transactionId = `tx_${call.stamp.incarnation.toString(36)}_${this.#queue}_0`;
    const prepared = {
      transactionId,
      producerGroup,
      check,
      nextCheckAt: 1,
      messageIds,
      replayed: false,
    };
    return Promise.resolve(accept(prepared));
  }

  receive(call: ReceiveCall): Promise<Outcome<Delivered>> {
    const refusal = this.#gate(call.stamp);
    if (refusal !== undefined) return Promise.resolve(refusal);
    const mark = call.attempt ?? "someone";
    const held = call.attempt === undefined ? [] : this.#where((each) => each.leasedBy === mark);
    const free = this.#where((each) => each.leasedBy === undefined);
    const taken =
      held.length > 0 || call.replayOnly === true ? held : free.slice(0, call.maxMessages);
    const rows = this.log.filter((_, offset) => taken.includes(offset));
    for (const row of rows) row.leasedBy = mark;
    const { incarnation } = call.stamp;
    return Promise.resolve(
      accept({
        entries: frame(rows.map(({ record }) => encodeEntry({ record }))),
        offsets: taken,
        storedAts: rows.map((row) => row.storedAt),
        attempts: taken.map(() => 1),
        receipts: taken.map((offset) =>
          receipt({ incarnation, queue: this.#queue, group: 1, epoch: 0, generation: 1, offset }),
        ),
        invisibleUntils: taken.map(() => this.#world.nowMs + call.invisibleMs),
        paused: this.isPaused,
        more: this.#where((each) => each.leasedBy === undefined).length > 0,
      }),
    );
  }

  waitAtBell(call: BellCall): Promise<Outcome<Rung>> {
    const refusal = this.#gate(call.stamp);
    if (refusal !== undefined) return Promise.resolve(refusal);
    this.waitIds.push(call.waitId);
    this.heard.push(call.after);
    const { life } = this.#world.bell;
    if (call.after !== undefined && call.after.life !== life)
      return Promise.resolve(accept({ ...this.#rung([], 0), isLost: true }));
    const since = call.after?.number ?? this.#world.bell.number;
    return new Promise((resolve) => {
      const ring = (queues: number[]): void => resolve(accept(this.#rung(queues, since)));
      this.#wake = ring;
      this.#world.onBell(ring, call.waitMs);
    });
  }

  #rung(queues: readonly number[], since: number): Rung {
    const { bell } = this.#world;
    const rings = queues.map((queue) => ({ queue, number: ++bell.number }));
    return { rings, since, mark: { ...bell } };
  }

  ring(call: RingCall): Promise<number> {
    this.rung.push(call);
    return Promise.resolve(0);
  }

  cancelWait(waitId: string): Promise<Outcome<{ cancelled: boolean }>> {
    this.cancelled.push(waitId);
    this.#wake?.([]);
    return Promise.resolve(accept({ cancelled: true }));
  }

  settle(call: SettleCall): Promise<Outcome<readonly Settled[]>> {
    const refusal = this.#gate(call.stamp);
    if (refusal !== undefined) return Promise.resolve(refusal);
    const results = call.receipts.map((text): Settled => {
      const row = this.log[parseReceipt(text)?.offset ?? -1];
      if (row === undefined) return { receipt: text, ok: false, code: "receipt_invalid" };
      if (call.verb === "release") row.leasedBy = undefined;
      else row.isAcked = true;
      return { receipt: text, ok: true };
    });
    return Promise.resolve(accept(results));
  }

  peek(call: PeekCall): ReturnType<QueueRpc["peek"]> {
    const refusal = this.#gate(call.stamp);
    if (refusal !== undefined) return Promise.resolve(refusal);
    const first = call.offset ?? 0;
    const nothing = { entries: NO_BYTES, offsets: [], storedAts: [] };
    if (first < this.lostBelow)
      return Promise.resolve(accept({ ...nothing, nextOffset: this.lostBelow }));
    const rows = this.log.slice(first, first + call.limit);
    const nextOffset = first + rows.length;
    const more = nextOffset < this.log.length ? { nextOffset } : {};
    return Promise.resolve(
      accept({
        entries: frame(rows.map(({ record }) => encodeEntry({ record }))),
        offsets: rows.map((_, index) => first + index),
        storedAts: rows.map((row) => row.storedAt),
        ...more,
      }),
    );
  }

  #where(has: (row: Row) => boolean): number[] {
    return this.log.flatMap((row, offset) => (has(row) && !row.isAcked ? [offset] : []));
  }
}

/** Everything behind the broker, and what was asked of it. */
export class World {
  readonly routes = new Map<string, TopicRoute>();
  readonly queues = new Map<string, FakeQueue>();
  /** `queue t/0 send`, `registry topic`. */
  readonly calls: string[] = [];
  nowMs = 1_000_000;
  /** How long each pause was, in milliseconds; none takes any time. */
  readonly pauses: number[] = [];
  draw = 0;
  /** What a bell does that somebody waits at; by default its time runs out at once. */
  onBell: (ring: (queues: number[]) => void, waitMs: number) => void = (ring, waitMs) => {
    this.nowMs += waitMs;
    ring([]);
  };

  /** What all bells know of themselves. */
  readonly bell = { life: 1, number: 0 };

  onCall: (call: string) => void = () => {};

  topic(topic: string, queues: number, groups: readonly string[] = ["g"]): TopicRoute {
    const old = this.routes.get(topic);
    const route: TopicRoute = {
      namespace: "default",
      topic,
      incarnation: old?.incarnation ?? this.routes.size + 1,
      version: (old?.version ?? 0) + 1,
      settings: { ...TOPIC_DEFAULTS, queues },
      createdAt: 0,
      growths:
        old === undefined || old.settings.queues === queues
          ? (old?.growths ?? [])
          : [...old.growths, { from: old.settings.queues, to: queues, at: this.nowMs }],
      groups: groups.map((name, index): GroupRoute => ({
        name,
        number: index + 1,
        settings: GROUP_DEFAULTS,
        paused: false,
        createdAt: 0,
      })),
    };
    this.routes.set(topic, route);
    return route;
  }

  queue(topic: string, queue: number): FakeQueue {
    const name = `${topic}/${queue}`;
    const known = this.queues.get(name) ?? new FakeQueue(this, topic, queue);
    this.queues.set(name, known);
    return known;
  }

  count(pattern: RegExp): number {
    return this.calls.filter((call) => pattern.test(call)).length;
  }

  get ground(): Ground {
    return {
      objects: this.#objects(),
      nowMs: () => this.nowMs,
      pause: (delayMs) => {
        this.nowMs += delayMs;
        this.pauses.push(delayMs);
        return Promise.resolve();
      },
      random: () => this.draw,
      autoCreate: true,
      bodies: new LargeBodies(systemClock, undefined),
    };
  }

  #registry(): Partial<RegistryRpc> {
    return {
      topic: (name, create) => {
        if (create && !this.routes.has(name)) this.topic(name, 1, []);
        return Promise.resolve(this.#found(this.routes.get(name)));
      },
      topicByIncarnation: (incarnation) => {
        const routes = [...this.routes.values()];
        return Promise.resolve(
          this.#found(routes.find((each) => each.incarnation === incarnation)),
        );
      },
      putGroup: (topic, group) => {
        const groups = this.routes.get(topic)?.groups.map((each) => each.name) ?? [];
        const queues = this.routes.get(topic)?.settings.queues ?? 1;
        const route = this.topic(topic, queues, [...groups, group]);
        return Promise.resolve(accept({ route, created: true }));
      },
      seeProducerGroup: (group) =>
        Promise.resolve(accept({ group, secrets: [], createdAt: 0, version: 1 })),
    };
  }

  #found(route: TopicRoute | undefined): Outcome<TopicRoute> {
    return route === undefined ? refuse("topic_not_found", "none") : accept(route);
  }

  #objects(): Objects {
    const counted = <T extends object>(object: T, name: string): T =>
      new Proxy(object, {
        get: (target, verb) => {
          const method: unknown = Reflect.get(target, verb);
          if (typeof method !== "function") throw new Error(`${name} has no ${String(verb)}`);
          return (...parameters: unknown[]): unknown => {
            this.calls.push(`${name} ${String(verb)}`);
            this.onCall(`${name} ${String(verb)}`);
            return Reflect.apply(method, target, parameters);
          };
        },
      });
    return {
      queue: ({ topic, queue }, call) => {
        const object = counted(this.queue(topic, queue), `queue ${topic}/${queue}`);
        return call(object as unknown as QueueRpc);
      },
      registry: (_namespace, call) => call(counted(this.#registry(), "registry") as RegistryRpc),
      coordinator: (_address, call) =>
        call({
          poll: () => Promise.resolve(accept({ checks: [] })),
        } as unknown as CoordinatorRpc),
      pusher: () => Promise.reject(new Error("nothing is pushed here")),
      scheduler: () => Promise.reject(new Error("nothing is scheduled here")),
      openStream: () => Promise.reject(new Error("nothing is streamed here")),
    };
  }
}

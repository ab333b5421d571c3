/** A queue over node:sqlite with an invented clock and invented neighbours: what every test of the queue starts from. */
import { TestBucket } from "../kit/bucket.node.ts";
import { encodeRecord, frame, type BodyRef, type Content } from "../../src/core/record.ts";
import { BOUNDS, type QueueBounds } from "../../src/queue/bounds.ts";
import type { BlockMemory } from "../../src/queue/cold/block-memory.ts";
import { Queue, type QueuePorts } from "../../src/queue/queue.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { Outcome } from "../../src/protocol/errors.ts";
import type {
  CheckOffer,
  ForwardCall,
  Forwarded,
  GroupRoute,
  RingCall,
  Stamp,
  Target,
  TopicRoute,
} from "../../src/protocol/rpc.ts";
import {
  GROUP_DEFAULTS,
  TOPIC_DEFAULTS,
  type GroupSettings,
  type TopicSettings,
} from "../../src/protocol/topic.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { TestSql } from "../kit/sqlite.node.ts";

/** Time that moves only when told; timers run in order of their due instants. */
class TestClock implements Clock {
  #nowMs = 1_000_000;
  #timers: { at: number; run: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  /** Runs what is due up to `byMs` from now, letting promises settle between. */
  async advance(byMs: number): Promise<void> {
    const end = this.#nowMs + byMs;
    for (;;) {
      await settled();
      const due = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.at);
      due.run();
    }
    this.#nowMs = end;
    await settled();
  }
}

/** Lets every promise that can go on do so. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
};

export const group = (
  name: string,
  settings: Partial<GroupSettings> = {},
  number = 1,
): GroupRoute => ({
  name,
  number,
  settings: { ...GROUP_DEFAULTS, ...settings },
  paused: false,
  createdAt: 0,
});

export const route = (
  groups: readonly GroupRoute[] = [group("g")],
  settings: Partial<TopicSettings> = {},
  more: Partial<TopicRoute> = {},
): TopicRoute => ({
  namespace: "default",
  topic: "orders",
  incarnation: 7,
  version: 1,
  settings: { ...TOPIC_DEFAULTS, ...settings },
  createdAt: 0,
  growths: [],
  groups,
  ...more,
});

export class Bench {
  readonly clock = new TestClock();
  readonly sql: TestSql;
  readonly offers: CheckOffer[] = [];
  readonly forwards: { target: Target; call: ForwardCall }[] = [];
  /** Rings of pushers, as `<group>/<queue>`. */
  readonly pushes: string[] = [];
  /** Rings of gateways, likewise, and what they answer. */
  readonly streams: string[] = [];
  isHeard: () => boolean = () => true;
  push: () => Promise<void> = () => Promise.resolve();
  readonly drains: { group: number; from: number; to: number }[] = [];
  drained: (group: number, from: number, to: number) => Promise<boolean> = () =>
    Promise.resolve(true);
  readonly logged: { event: string; fields: unknown }[] = [];
  alarmAt: number | undefined;
  aborted: unknown;
  random = 0;
  ring: (ring: Omit<RingCall, "incarnation">) => void = () => {};
  erased = 0;
  storedBytes = 0;
  readonly bucket = new TestBucket();
  /** Without one nothing can be deleted. */
  hasBucket = true;
  #life = { over: false };
  forward: (target: Target, call: ForwardCall) => Promise<Outcome<Forwarded>> = () =>
    new Promise(() => {});
  queue: Queue;

  readonly #bounds: QueueBounds;
  readonly #blockMemory: BlockMemory | undefined;

  constructor(sql = new TestSql(), bounds: Partial<QueueBounds> = {}, blockMemory?: BlockMemory) {
    this.#blockMemory = blockMemory;
    this.sql = sql;
    this.#bounds = { ...BOUNDS, ...bounds };
    this.queue = this.wake();
  }

  /** The object as it comes up again: memory lost, storage kept. */
  wake(): Queue {
    // Nothing of the former one runs on: neither its timers nor what calls that are still out would start.
    this.#life.over = true;
    const life = { over: false };
    this.#life = life;
    const clock: Clock = {
      nowMs: () => this.clock.nowMs(),
      after: (delayMs, run) =>
        this.clock.after(delayMs, () => {
          if (!life.over) run();
        }),
    };
    this.queue = new Queue(this.sql, this.#ports(), clock, {
      info: () => {},
      error: (event, fields) => void this.logged.push({ event, fields }),
    });
    return this.queue;
  }

  #ports(): QueuePorts {
    return {
      armedAt: this.alarmAt,
      storedBytes: () => this.storedBytes,
      bounds: this.#bounds,
      transaction: (run) => this.sql.transactionSync(run),
      synced: () => Promise.resolve(),
      abort: (cause) => void (this.aborted = cause),
      random: () => this.random,
      setAlarm: (atMs) => void (this.alarmAt = atMs),
      bucket: this.hasBucket ? this.bucket : undefined,
      ...(this.#blockMemory && { blockMemory: this.#blockMemory }),
      deleteAll: () => void this.erased++,
      offer: (_namespace, _group, offers) => {
        this.offers.push(...offers);
        return Promise.resolve();
      },
      forward: (_namespace, target, call) => {
        this.forwards.push({ target, call });
        return this.forward(target, call);
      },
      stream: (_route, { name }, queue) => {
        this.streams.push(`${name}/${queue}`);
        return Promise.resolve(this.isHeard());
      },
      streamEnded: (_route, { name }) => {
        this.streams.push(`${name} ended`);
        return Promise.resolve();
      },
      ring: (_route, ring) => {
        this.ring(ring);
        return Promise.resolve(0);
      },
      push: (_route, { name }, queue) => {
        this.pushes.push(`${name}/${queue}`);
        return this.push();
      },
      drained: (_route, { group: number, from }, to) => {
        this.drains.push({ group: number, from, to });
        return this.drained(number, from, to);
      },
    };
  }

  /** Runs a call to its end, at the present instant. */
  async run<T>(call: Promise<Outcome<T>>): Promise<T> {
    const ended: Outcome<T>[] = [];
    void call.then((value) => ended.push(value));
    for (let turn = 0; turn < 20 && ended.length === 0; turn++) await this.clock.advance(0);
    const [outcome] = ended;
    if (this.aborted !== undefined) throw this.aborted;
    if (outcome === undefined) throw new Error("the call did not end");
    if (!outcome.ok)
      throw Object.assign(new Error(`${outcome.code}: ${outcome.detail}`), { code: outcome.code });
    return outcome.value;
  }

  /** A body in the bucket, as the Worker puts it there before it sends. */
  async lodge(stamp: Stamp, text = "large"): Promise<BodyRef> {
    const key = this.bucket.newKey();
    await this.run(new QueueVerbs(this.queue).expectBodies(stamp, [key]));
    const put = await this.bucket.put(key, new TextEncoder().encode(text));
    if (!put.ok) throw new Error(put.code);
    return put.value;
  }

  /** Lets time pass, with the alarm going off whenever it is due. */
  async pass(byMs: number): Promise<void> {
    const end = this.clock.nowMs() + byMs;
    for (;;) {
      const at = Math.min(this.alarmAt ?? Infinity, end);
      await this.clock.advance(Math.max(0, at - this.clock.nowMs()));
      if (this.alarmAt === undefined || this.alarmAt > this.clock.nowMs()) break;
      this.alarmAt = undefined;
      void this.queue.alarm();
      await this.clock.advance(0);
      if (this.aborted !== undefined) throw this.aborted;
    }
  }
}

export const records = (...contents: readonly Partial<Content>[]): Uint8Array =>
  frame(
    contents.map((content, index) =>
      encodeRecord({ body: { json: `{"n":${index}}` }, ...content }),
    ),
  );

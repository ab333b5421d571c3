/**
 * The real broker over real queues in plain Node, with an invented clock, disk latency and network, that counts what
 * Cloudflare bills: rows written (each alarm that is set is one), bytes bound to writes, rows read, and calls to objects.
 * The registry and the coordinators are stand-ins that answer at once.
 */
import { LargeBodies } from "../../src/bodies/large-bodies.ts";
import { createBroker } from "../../src/broker/durable-broker.ts";
import type { Broker } from "../../src/broker/broker.ts";
import type { Objects } from "../../src/broker/objects.ts";
import { queueOfWord } from "../../src/core/route.ts";
import { Queue, type QueuePorts } from "../../src/queue/queue.ts";
import type { Sql, SqlValue } from "../../src/queue/storage/storage.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import type { RegistryRpc, TopicRoute } from "../../src/protocol/rpc.ts";
import {
  GROUP_DEFAULTS,
  PUSH_DEFAULTS,
  TOPIC_DEFAULTS,
  type TopicSettings,
} from "../../src/protocol/topic.ts";
import { TestSql } from "../../test/kit/sqlite.node.ts";
import { EventClock, seeded } from "../../test/kit/event-clock.node.ts";
import type { Counts } from "./counts.ts";
import { pushing, type Ring } from "./pusher.ts";

export const TOPIC = { namespace: "default", topic: "orders" };
export const GROUP = { ...TOPIC, group: "billing" };

const isWrite = (query: string): boolean => /^\s*(?:INSERT|UPDATE|DELETE|REPLACE)/iu.test(query);

const sizeOf = (value: SqlValue): number => {
  if (typeof value === "string") return Buffer.byteLength(value);
  return value === null || typeof value === "number" ? 8 : value.byteLength;
};

class CountedSql implements Sql {
  readonly #sql = new TestSql();
  readonly #counts: Counts;

  constructor(counts: Counts) {
    this.#counts = counts;
  }

  exec(query: string, ...bindings: SqlValue[]): Record<string, SqlValue>[] {
    this.#sql.rowsWritten = 0;
    const rows = this.#sql.exec(query, ...bindings);
    this.#counts.rowsWritten += this.#sql.rowsWritten;
    if (isWrite(query)) for (const value of bindings) this.#counts.bytesWritten += sizeOf(value);
    else this.#counts.rowsRead += rows.length;
    return rows;
  }

  transaction(run: () => void): void {
    const before = this.#counts.rowsWritten;
    this.#sql.transactionSync(run);
    if (this.#counts.rowsWritten > before) this.#counts.flushes++;
  }
}

export interface WorldOptions {
  readonly queues?: number;
  readonly commitMs?: number;
  readonly settings?: Partial<TopicSettings>;
  /** The group's messages are pushed, so that nobody receives. */
  readonly push?: true;
}

const PUSH = { ...PUSH_DEFAULTS, url: "https://example.com/" };

export class World {
  readonly clock = new EventClock();
  readonly random = seeded(7);
  readonly broker: Broker;
  readonly counts: Counts = {
    rowsWritten: 0,
    rowsRead: 0,
    bytesWritten: 0,
    alarmsSet: 0,
    alarmsRun: 0,
    flushes: 0,
    requests: 0,
    calls: 0,
    rings: 0,
    registryCalls: 0,
    open: 0,
    openMax: 0,
    activeMs: 0,
  };
  readonly #queues: Queue[] = [];
  readonly #route: TopicRoute;
  readonly #commitMs: number;

  /** Tells the pusher, where there is one. */
  #ringPusher: Ring | undefined;

  private constructor({ queues = 1, commitMs = 0, settings = {}, push }: WorldOptions) {
    this.#commitMs = commitMs;
    const group = {
      name: "billing",
      number: 1,
      settings: { ...GROUP_DEFAULTS, ...(push === undefined ? {} : { push: PUSH }) },
      paused: false,
      createdAt: 0,
    };
    this.#route = {
      ...TOPIC,
      incarnation: 1,
      version: 1,
      settings: { ...TOPIC_DEFAULTS, ...settings, queues },
      createdAt: 0,
      growths: [],
      groups: [group],
    };
    for (let queue = 0; queue < queues; queue++) this.#queues.push(this.#newQueue());
    const objects = this.#objects();
    if (push !== undefined) {
      const stamp = { incarnation: 1, version: 1 };
      const record = { ...TOPIC, stamp, queues, group, version: 1, secrets: [] };
      this.#ringPusher = pushing(record, {
        clock: this.clock,
        random: this.random,
        counts: this.counts,
        objects,
        active: (object, work) => this.#active(object, work),
      });
    }
    this.broker = createBroker({
      objects,
      nowMs: () => this.clock.nowMs(),
      pause: (delayMs) => this.clock.pause(delayMs),
      random: this.random,
      autoCreate: true,
      bodies: new LargeBodies(this.clock, undefined),
    });
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    const configured = world.#queues.map((queue, index) => queue.configure(world.#route, index));
    await world.clock.runUntil(Promise.all(configured));
    await world.#warm();
    return world;
  }

  /** From here on counts begin at nothing. */
  startCounting(): void {
    const { open } = this.counts;
    for (const name of Object.keys(this.counts) as (keyof Counts)[]) this.counts[name] = 0;
    this.counts.open = this.counts.openMax = open;
  }

  /** Runs work to its end. */
  async run<T>(work: Promise<T>): Promise<T> {
    await this.clock.runUntil(work);
    return work;
  }

  /** `clients` at once, each doing its steps one after the other, over a network of up to two milliseconds there and back. */
  async closedLoop(
    clients: number,
    rounds: number,
    step: (client: number) => Promise<void>,
  ): Promise<void> {
    const loop = async (client: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) await step(client);
    };
    await this.run(Promise.all(Array.from({ length: clients }, (_, client) => loop(client))));
  }

  /** What a client sees: there, done, on disk, and back. */
  async call<T>(request: () => Promise<Outcome<T>>): Promise<T> {
    this.counts.requests++;
    await this.clock.pause(this.random());
    const outcome = await request();
    if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
    await this.clock.pause(this.random());
    return outcome.value;
  }

  /** A message group that belongs to the queue. */
  wordOf(queue: number): string {
    for (let number = 0; ; number++) {
      const word = `group ${number}`;
      if (queueOfWord(word, this.#queues.length) === queue) return word;
    }
  }

  /** Routes are cached and the alarm of retention is armed: what every queue does once. */
  async #warm(): Promise<void> {
    for (let queue = 0; queue < this.#queues.length; queue++) {
      const content = { body: { json: "0" }, messageGroup: this.wordOf(queue) };
      await this.run(this.broker.send(TOPIC, { messages: [content] }));
    }
    if (this.#ringPusher !== undefined) return this.run(this.clock.pause(60_000));
    for (;;) {
      const got = await this.run(this.broker.receive(GROUP, { maxMessages: 100, waitMs: 0 }));
      if (!got.ok || got.value.messages.length === 0) break;
      const receipts = got.value.messages.map(({ receipt }) => receipt);
      await this.run(this.broker.settle(GROUP, { verb: "ack", receipts }));
    }
  }

  #newQueue(): Queue {
    const sql = new CountedSql(this.counts);
    let synced: Promise<void> = Promise.resolve();
    const ports: QueuePorts = {
      armedAt: undefined,
      storedBytes: () => 0,
      transaction: (run) => sql.transaction(run),
      synced: () => (synced = this.clock.pause(this.#commitMs)),
      abort: (cause) => {
        throw cause;
      },
      random: this.random,
      setAlarm: (atMs) => {
        this.counts.alarmsSet++;
        this.counts.rowsWritten++;
        armed?.();
        armed = this.clock.after(atMs - this.clock.nowMs(), () => {
          this.counts.alarmsRun++;
          void this.#active(queue, () => queue.alarm());
        });
      },
      deleteAll: () => undefined,
      offer: () => Promise.resolve(),
      forward: () => new Promise(() => undefined),
      ring: (_route, ring) => {
        if (queue !== this.#queues[0]) this.counts.rings++;
        return this.#queues[0]?.waits.ring(ring) ?? Promise.resolve(0);
      },
      push: async ({ incarnation }, group, number) => {
        this.counts.rings++;
        await this.#ringPusher?.(incarnation, group.number, number);
      },
      drained: () => Promise.resolve(true),
      stream: () => Promise.resolve(true),
      streamEnded: () => Promise.resolve(),
    };
    let armed: (() => void) | undefined;
    const queue: Queue = new Queue(sql, ports, this.clock, {
      info: () => undefined,
      error: () => undefined,
    });
    this.#synced.set(queue, () => synced);
    return queue;
  }

  readonly #synced = new Map<Queue, () => Promise<void>>();
  /** What is under way at each object, and since when it has something. */
  readonly #busy = new Map<object, { at: number; works: number }>();

  async #active<T>(object: object, work: () => Promise<T>): Promise<T> {
    const busy = this.#busy.get(object) ?? { at: 0, works: 0 };
    this.#busy.set(object, busy);
    if (busy.works++ === 0) busy.at = this.clock.nowMs();
    try {
      return await work();
    } finally {
      if (--busy.works === 0) this.counts.activeMs += this.clock.nowMs() - busy.at;
    }
  }

  #objects(): Objects {
    const registry: Partial<RegistryRpc> = {
      topic: () => Promise.resolve(accept(this.#route)),
      topicByIncarnation: () => Promise.resolve(accept(this.#route)),
      seeProducerGroup: (group) =>
        Promise.resolve(accept({ group, secrets: [], createdAt: 0, version: 1 })),
    };
    return {
      queue: async ({ queue: number }, call) => {
        const queue = this.#queues[number];
        if (queue === undefined) throw new Error(`there is no queue ${number}`);
        this.counts.calls++;
        this.counts.openMax = Math.max(this.counts.openMax, ++this.counts.open);
        try {
          return await this.#active(queue, async () => {
            const outcome = await call(new QueueVerbs(queue));
            // The output gate: an answer waits for what was written before it.
            await this.#synced.get(queue)?.();
            return outcome;
          });
        } finally {
          this.counts.open--;
        }
      },
      registry: (_namespace, call) => {
        this.counts.registryCalls++;
        return call(registry as RegistryRpc);
      },
      coordinator: () => Promise.reject(new Error("nobody is asked here")),
      pusher: () => Promise.reject(new Error("nothing is pushed here")),
      scheduler: () => Promise.reject(new Error("nothing is scheduled here")),
      openStream: () => Promise.reject(new Error("nothing is streamed here")),
    };
  }
}

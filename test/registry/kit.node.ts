/** A registry with everything around it made of memory: SQLite, a clock that only tests move, queue objects, an alarm. */
import { Registry } from "../../src/registry/registry.ts";
import type { Ports, Storage, Usage } from "../../src/registry/ground.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { accept, type Outcome, refuse } from "../../src/protocol/errors.ts";
import type { ProducerGroupRecord, PushRecord, TopicRoute } from "../../src/protocol/rpc.ts";
import { TestSql } from "../kit/sqlite.node.ts";
import { INCARNATION_BYTES } from "../../src/registry/topic-store.ts";

/** Lets everything run that waits for nothing but promises. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => void setImmediate(resolve));
};

class TestClock implements Clock {
  now = 1_000_000;
  readonly timers = new Set<{ at: number; run: () => void }>();

  nowMs(): number {
    return this.now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.now + delayMs, run };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  async advance(ms: number): Promise<void> {
    this.now += ms;
    for (const timer of this.timers) {
      if (timer.at > this.now) continue;
      this.timers.delete(timer);
      timer.run();
    }
    await settle();
  }
}

type Verb = "configure" | "inUse" | "drop" | "poke" | "coordinator" | "enter" | "pusher";

interface Call {
  readonly verb: Verb;
  /** `<topic>/<queue>` or the producer group. */
  readonly to: string;
  readonly version?: number;
}

const nameOf = (at: { topic: string; queue: number }): string => `${at.topic}/${at.queue}`;

/** What a namespace is made of outside of its registry; it outlives the registry's memory. */
export class World {
  readonly clock = new TestClock();
  readonly sql = new TestSql();
  readonly storage: Storage = {
    sql: this.sql,
    transactionSync: (body) => this.sql.transactionSync(body),
  };
  readonly calls: Call[] = [];
  /** What each queue object knows. */
  readonly queues = new Map<string, { route: TopicRoute; queue: number }>();
  readonly coordinators = new Map<string, ProducerGroupRecord>();
  readonly pushers = new Map<string, PushRecord>();
  readonly usage = new Map<string, Usage>();
  readonly logged: string[] = [];
  alarmAt: number | undefined;
  namespace = "default";
  /** Answers a refusal, "hang" for a call that never ends, or undefined for one that works. */
  fault: (call: Call) => Outcome<never> | "hang" | undefined = () => undefined;
  #bytes = 0;

  /** A registry that just woke up on this storage. */
  wake(): Registry {
    return new Registry(this.storage, this.#ports());
  }

  /** The alarm goes off, as it does with a registry that has been asleep. */
  async alarm(registry: Registry): Promise<void> {
    const at = this.alarmAt;
    if (at === undefined) throw new Error("no alarm is armed");
    this.clock.now = Math.max(this.clock.now, at);
    this.alarmAt = undefined;
    await registry.alarm();
  }

  rows(table: string): number {
    return Number(this.sql.exec(`SELECT count(*) AS n FROM ${table}`)[0]?.["n"]);
  }

  calledQueues(verb: Verb): string[] {
    return this.calls.filter((call) => call.verb === verb).map(({ to }) => to);
  }

  #call<T>(call: Call, work: () => T): Promise<Outcome<T>> {
    this.calls.push(call);
    const fault = this.fault(call);
    if (fault === "hang") return new Promise(() => undefined);
    return Promise.resolve(fault ?? accept(work()));
  }

  #ports(): Ports {
    return {
      namespace: this.namespace,
      configureQueue: (route, queue) => {
        const to = nameOf({ topic: route.topic, queue });
        return this.#call({ verb: "configure", to, version: route.version }, () => {
          const known = this.queues.get(to)?.route;
          const isOld = known?.incarnation === route.incarnation && known.version > route.version;
          if (!isOld) this.queues.set(to, { route, queue });
        });
      },
      queueInUse: (at) =>
        this.#call(
          { verb: "inUse", to: nameOf(at) },
          () => this.usage.get(nameOf(at)) ?? { prepared: 0, delayed: 0, forwarding: 0 },
        ),
      dropQueue: (at, incarnation) =>
        this.#call({ verb: "drop", to: nameOf(at) }, () => {
          if (this.queues.get(nameOf(at))?.route.incarnation === incarnation) {
            this.queues.delete(nameOf(at));
          }
        }),
      pokeQueue: (at) => this.#call({ verb: "poke", to: nameOf(at) }, () => undefined),
      configureCoordinator: (group, record) =>
        this.#call({ verb: "coordinator", to: group }, () => {
          if (record === undefined) this.coordinators.delete(group);
          else this.coordinators.set(group, record);
        }),
      enterNamespace: () => this.#call({ verb: "enter", to: this.namespace }, () => undefined),
      configurePusher: ({ topic, group }, record, upTo) =>
        this.#call({ verb: "pusher", to: `${topic}/${group}`, version: upTo.version }, () => {
          if (record === undefined) this.pushers.delete(`${topic}/${group}`);
          else this.pushers.set(`${topic}/${group}`, record);
        }),
      armAlarm: (atMs) => {
        this.alarmAt = Math.min(this.alarmAt ?? Number.POSITIVE_INFINITY, atMs);
      },
      // Incarnations begin at 1.
      randomBytes: (count) =>
        new Uint8Array(count).fill(count === INCARNATION_BYTES ? 0 : ++this.#bytes),
      clock: this.clock,
      log: {
        info: () => undefined,
        error: (event, fields) => this.logged.push(JSON.stringify({ event, ...fields })),
      },
    };
  }
}

export const DOWN = refuse("unavailable", "down");

export function value<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`refused: ${outcome.code}: ${outcome.detail}`);
  return outcome.value;
}

export const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? "ok" : outcome.code);

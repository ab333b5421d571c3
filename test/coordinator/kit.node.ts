/** A coordinator with everything around it made of memory: a clock that only tests move, queues, endpoints, a log. */
import { LargeBodies } from "../../src/bodies/large-bodies.ts";
import { frame, type Content, encodeRecord } from "../../src/core/record.ts";
import { encodeEntry } from "../../src/core/entry.ts";
import { messageId, transactionId } from "../../src/core/ids.ts";
import { Coordinator } from "../../src/coordinator/coordinator.ts";
import type { Ports, Question, QueuePort } from "../../src/coordinator/ports.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { PostAnswer } from "../../src/platform/webhook.ts";
import { accept, type Outcome, refuse } from "../../src/protocol/errors.ts";
import type { CheckBegun, CheckOffer, ProducerGroupRecord } from "../../src/protocol/rpc.ts";
import type { CheckTarget } from "../../src/protocol/topic.ts";
import { TestSql } from "../kit/sqlite.node.ts";

export const NAMESPACE = "default";
export const GROUP = "orders";
export const INCARNATION = 7;

/** Lets everything run that waits for nothing but promises. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => void setImmediate(resolve));
};

class TestClock implements Clock {
  #nowMs = 1_000_000;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers]
        .filter(({ at }) => at <= until)
        .toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.at);
      next.run();
      await settle();
    }
    this.#nowMs = until;
  }
}

interface Half {
  checks: number;
  openUntil: number;
  state: "prepared" | "committed" | "rolledBack";
}

type BeginCall = Parameters<QueuePort["beginChecks"]>;
type EndCall = Parameters<QueuePort["endCheck"]>;

/** A queue that keeps the contract of its checks and nothing else. */
class TestQueue implements QueuePort {
  readonly halves = new Map<number, Half>();
  readonly begins: BeginCall[] = [];
  readonly reads: number[][] = [];
  readonly ends: EndCall[] = [];
  /** Bytes of a body; 0: a small JSON. */
  bodyBytes = 0;
  /** Each call takes one away and fails so. */
  readonly failures: ("throw" | "hang" | "unavailable" | "internal")[] = [];
  /** Begins wait for it, where set. */
  gate: Promise<unknown> | undefined;
  readonly topic: string;
  readonly queue: number;
  readonly clock: Clock;

  constructor(clock: Clock, topic = "t", queue = 0) {
    this.clock = clock;
    this.topic = topic;
    this.queue = queue;
  }

  half(position: number): Half {
    let half = this.halves.get(position);
    if (half === undefined) {
      half = { checks: 0, openUntil: 0, state: "prepared" };
      this.halves.set(position, half);
    }
    return half;
  }

  offersOf(...positions: number[]): CheckOffer[] {
    return positions.map((position) => ({
      topic: this.topic,
      incarnation: INCARNATION,
      queue: this.queue,
      position,
      attempt: this.half(position).checks + 1,
    }));
  }

  async beginChecks(...call: BeginCall): Promise<Outcome<readonly CheckBegun[]>> {
    this.begins.push(call);
    await this.gate;
    const failed = await this.#fail();
    if (failed !== undefined) return failed;
    const begun: CheckBegun[] = [];
    for (const { position, attempt, openUntil } of call[1]) {
      const half = this.half(position);
      const isOpen = half.openUntil > this.clock.nowMs();
      if (half.state !== "prepared" || half.checks + 1 !== attempt || isOpen) continue;
      half.checks = attempt;
      half.openUntil = openUntil;
      begun.push(this.#check(position, call[2]));
    }
    return accept(begun);
  }

  async readChecks(
    _incarnation: number,
    positions: readonly number[],
  ): Promise<Outcome<readonly CheckBegun[]>> {
    this.reads.push([...positions]);
    const failed = await this.#fail();
    if (failed !== undefined) return failed;
    const open = positions.filter((position) => this.half(position).state === "prepared");
    return accept(open.map((position) => this.#check(position, true)));
  }

  async endCheck(
    ...call: EndCall
  ): Promise<Outcome<{ state: "prepared" | "committed" | "rolledBack" }>> {
    this.ends.push(call);
    const failed = await this.#fail();
    if (failed !== undefined) return failed;
    const half = this.half(call[1]);
    half.openUntil = 0;
    if (call[3] !== "unknown") half.state = call[3] === "commit" ? "committed" : "rolledBack";
    return accept({ state: half.state });
  }

  async #fail() {
    const failure = this.failures.shift();
    if (failure === "throw") throw new Error("Network connection lost.");
    if (failure === "hang") await new Promise(() => undefined);
    if (failure === "unavailable") return refuse("unavailable", "later");
    if (failure === "internal") return refuse("topic_not_found", "gone");
    return undefined;
  }

  #check(position: number, withContent: boolean): CheckBegun {
    const json = this.bodyBytes > 0 ? `"${"x".repeat(this.bodyBytes)}"` : `{"n":${position}}`;
    return {
      ...aCheck(
        { position, queue: this.queue, topic: this.topic },
        withContent ? [{ body: { json } }] : [],
      ),
      attempt: this.half(position).checks,
    };
  }
}

export function aCheck(
  { position = 1, queue = 0, topic = "t" },
  contents: readonly Content[],
): CheckBegun {
  const address = { incarnation: INCARNATION, queue, position };
  const entries = contents.map((content, index) =>
    encodeEntry({
      id: messageId({ ...address, origin: "half", index }),
      record: encodeRecord(content),
    }),
  );
  return {
    transactionId: transactionId(address),
    topic,
    queue,
    producerGroup: GROUP,
    attempt: 1,
    maxChecks: 15,
    preparedAt: 900_000,
    entries: frame(entries),
    targets: contents.map(() => ({ topic, incarnation: INCARNATION, queue })),
  };
}

/** An endpoint whose answers the test gives, one question at a time. */
class TestEndpoint {
  readonly asked: (Question & {
    answer: (text: string, status?: number) => void;
    fail: (failure: NonNullable<PostAnswer["failure"]>) => void;
  })[] = [];
  openMax = 0;
  #open = 0;

  post(question: Question): Promise<PostAnswer> {
    const { promise, resolve } = Promise.withResolvers<PostAnswer>();
    this.#open++;
    this.openMax = Math.max(this.openMax, this.#open);
    const end = (answer: PostAnswer): void => {
      this.#open--;
      resolve(answer);
    };
    this.asked.push({
      ...question,
      answer: (bodyText, status = 200) => end({ status, bodyText }),
      fail: (failure) => end({ status: 0, failure }),
    });
    return promise;
  }
}

export const WEBHOOK: CheckTarget = { url: "https://orders.example/check", timeoutMs: 10_000 };

export const aRecord = (check?: CheckTarget, version = 1): ProducerGroupRecord => ({
  group: GROUP,
  ...(check === undefined ? {} : { check }),
  secrets: [{ secret: "whsec_AAAA" }],
  createdAt: 1,
  version,
});

export interface World {
  readonly clock: TestClock;
  readonly sql: TestSql;
  readonly endpoint: TestEndpoint;
  readonly logged: string[];
  readonly ports: Ports;
  readonly queue: (queue?: number, topic?: string) => TestQueue;
  /** A new coordinator over the same storage: an eviction. */
  readonly wake: () => Coordinator;
}

export function makeWorld(
  workers: Record<string, (data: Readonly<Record<string, unknown>>) => unknown> = {},
): World {
  const clock = new TestClock();
  const sql = new TestSql();
  const endpoint = new TestEndpoint();
  const logged: string[] = [];
  const queues = new Map<string, TestQueue>();
  const queue = (number = 0, topic = "t"): TestQueue => {
    const name = `${topic}/${number}`;
    const known = queues.get(name) ?? new TestQueue(clock, topic, number);
    queues.set(name, known);
    return known;
  };
  const ports: Ports = {
    clock,
    log: { info: (event) => logged.push(event), error: (event) => logged.push(event) },
    bodies: new LargeBodies(clock, undefined),
    post: (question) => endpoint.post(question),
    queue: (_, topic, number) => queue(number, topic),
    worker: (name) => {
      const checkTransaction = workers[name];
      return checkTransaction === undefined ? undefined : { checkTransaction };
    },
  };
  return {
    clock,
    sql,
    endpoint,
    logged,
    ports,
    queue,
    wake: () => new Coordinator(sql, ports),
  };
}

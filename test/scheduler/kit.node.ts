/** A scheduler over node:sqlite with an invented clock and invented queues; its memory may be lost at any time. */
import { decodeRecord, encodeRecord, type Content } from "../../src/core/record.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { accept, type Outcome } from "../../src/protocol/errors.ts";
import type { Firing, ScheduleRule, SentMessage } from "../../src/protocol/rpc.ts";
import type { Ports } from "../../src/scheduler/ports.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { TestSql } from "../kit/sqlite.node.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

interface Sent {
  readonly at: number;
  readonly topic: string;
  readonly content: Content;
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

export const record = (content: Partial<Content> = {}): Uint8Array =>
  encodeRecord({ body: { json: "1" }, ...content });

export class World {
  nowMs: number;
  readonly sql = new TestSql();
  readonly sent: Sent[] = [];
  readonly logged: string[] = [];
  alarmAt: number | undefined;
  alarmsSet = 0;
  /** What the queue answers; what it has taken is written down before. */
  answer: (firing: Firing) => Outcome<SentMessage> | Promise<Outcome<SentMessage>> = () =>
    accept({ id: "m", queue: 0, offset: 0, state: "ready" });
  scheduler: Scheduler;
  #life = 0;
  #ids = 0;

  constructor(from: string) {
    this.nowMs = Date.parse(from);
    this.scheduler = this.wake();
  }

  /** The object comes up again: memory lost, storage and alarm kept. */
  wake(): Scheduler {
    this.#life++;
    this.scheduler = new Scheduler(
      { sql: this.sql, transactionSync: (body) => this.sql.transactionSync(body) },
      this.#ports(this.#life),
    );
    return this.scheduler;
  }

  async put(name: string, rule: Partial<ScheduleRule>, content: Partial<Content> = {}) {
    const whole = {
      topic: "t",
      cron: "* * * * *",
      timeZone: "UTC",
      missed: "skip",
      ...rule,
    } as const;
    const outcome = await this.scheduler.put(name, whole, record(content));
    if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.detail}`);
    return outcome.value;
  }

  async get(name: string) {
    const outcome = await this.scheduler.get(name);
    if (!outcome.ok) throw new Error(outcome.code);
    return outcome.value;
  }

  /** Time passes, from alarm to alarm. */
  async pass(byMs: number): Promise<void> {
    const end = this.nowMs + byMs;
    await settled();
    while (this.alarmAt !== undefined && this.alarmAt <= end) {
      this.nowMs = Math.max(this.nowMs, this.alarmAt);
      this.alarmAt = undefined;
      this.scheduler.alarm();
      await settled();
    }
    this.nowMs = end;
  }

  /** Nothing runs for so long: no alarm goes off, and memory is lost. */
  async down(forMs: number): Promise<void> {
    this.nowMs += forMs;
    this.wake();
    await settled();
  }

  /** The instants of the runs that were sent, by their own word. */
  get runs(): string[] {
    return this.sent.map(({ content }) =>
      new Date(Number(content.properties?.["halfmqScheduledAt"])).toISOString(),
    );
  }

  #ports(life: number): Ports {
    const isDead = (): boolean => life !== this.#life;
    const clock: Clock = {
      nowMs: () => this.nowMs,
      after: () => {
        throw new Error("a scheduler has an alarm, no timer");
      },
    };
    return {
      namespace: "default",
      send: async (firing) => {
        if (isDead()) return new Promise(() => undefined);
        this.sent.push({
          at: this.nowMs,
          topic: firing.topic,
          content: decodeRecord(firing.record),
        });
        const outcome = await this.answer(firing);
        return isDead() ? new Promise(() => undefined) : outcome;
      },
      armedAt: this.alarmAt,
      setAlarm: (atMs) => {
        if (isDead()) return;
        this.alarmsSet++;
        this.alarmAt = atMs;
      },
      newId: () => `id${++this.#ids}`,
      clock,
      log: {
        info: () => undefined,
        error: (event) => void this.logged.push(event),
      },
    };
  }
}

/** A pusher over a real queue, with an invented clock, endpoint, registry and storage; either may be lost at any time. */
import { LargeBodies } from "../../src/bodies/large-bodies.ts";
import type { Content } from "../../src/core/record.ts";
import { Pusher } from "../../src/push/pusher.ts";
import type { Ports, PushPost, PushQuestion } from "../../src/push/ports.ts";
import type { QueueWorker } from "../../src/push/worker-batch.ts";
import type { Permission } from "../../src/platform/handshake.ts";
import type { PostAnswer } from "../../src/platform/webhook.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { accept, type Outcome, refuse } from "../../src/protocol/errors.ts";
import type { GroupRoute, PushRecord } from "../../src/protocol/rpc.ts";
import { type GroupSettings, PUSH_DEFAULTS, type PushSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "../queue/kit.node.ts";

export const STAMP = { incarnation: 7, version: 1 };

const STEP_MS = 100;

interface Sent extends PushPost {
  readonly at: number;
}

export class World {
  readonly bench = new Bench();
  readonly kept = new Map<string, unknown>();
  readonly posts: Sent[] = [];
  readonly disables: string[] = [];
  readonly logged: string[] = [];
  group: GroupRoute;
  version = 1;
  pusher: Pusher;
  alarmAt: number | undefined;
  alarmsSet = 0;
  rowsKept = 0;
  erased = 0;
  answer: (post: PushPost) => PostAnswer | Promise<PostAnswer> = () => ({
    status: 200,
    bodyText: "",
  });
  readonly questions: (PushQuestion & { readonly at: number })[] = [];
  permission: (question: PushQuestion) => Permission | Promise<Permission> = () => ({
    is: "granted",
  });
  disable: () => Outcome<unknown> = () => accept({ disabled: true });
  queueDown = false;
  /** Of the topic; those behind the first have nothing but what `otherQueue` says. */
  queues = 1;
  otherQueue: (queue: number) => Outcome<never> = () => refuse("unavailable", "down");
  /** Calls to the queue. */
  calls = 0;
  readonly workers = new Map<string, QueueWorker>();
  #generation = 0;

  constructor(
    push: Partial<PushSettings> = {},
    settings: Partial<Omit<GroupSettings, "push">> = {},
  ) {
    const target = "binding" in push ? {} : { url: "https://example.com/push" };
    this.group = group("g", {
      backoff: { delaysMs: [1_000] },
      ...settings,
      push: { ...PUSH_DEFAULTS, ...target, ...push } as PushSettings,
    });
    this.pusher = this.wake();
    this.bench.push = () => this.pusher.ring(STAMP.incarnation, this.group.number, 0);
  }

  get record(): PushRecord {
    const { version, group: known } = this;
    return {
      namespace: "default",
      topic: "orders",
      stamp: STAMP,
      queues: this.queues,
      group: known,
      version,
      secrets: [{ secret: "whsec_c2VjcmV0" }],
    };
  }

  static open(...settings: ConstructorParameters<typeof World>): Promise<World> {
    return new World(...settings).begin();
  }

  /** Queue and pusher hear of the group. */
  async begin(): Promise<this> {
    await this.bench.run(this.bench.queue.configure(route([this.group]), 0));
    await this.configure();
    return this;
  }

  configure(): Promise<void> {
    const { version } = this;
    return this.pusher.configure(this.record, { incarnation: STAMP.incarnation, version });
  }

  /** The object comes up again: what it did before reaches nobody any more. */
  wake(): Pusher {
    this.pusher = new Pusher(this.#ports(++this.#generation));
    return this.pusher;
  }

  get #verbs(): QueueVerbs {
    return new QueueVerbs(this.bench.queue);
  }

  async send(count = 1, content: Partial<Content> = {}): Promise<void> {
    const stored = records(...Array.from({ length: count }, () => content));
    await this.bench.run(this.#verbs.send({ stamp: STAMP, records: stored }));
  }

  /** A message whose body is in the bucket. */
  async sendLarge(text: string): Promise<void> {
    const ref = await this.bench.lodge(STAMP, text);
    const stored = records({ body: { isJson: true, ref } });
    await this.bench.run(this.#verbs.send({ stamp: STAMP, records: stored }));
  }

  async figures() {
    const stats = await this.bench.run(this.#verbs.stats(STAMP));
    return stats.groups[0];
  }

  /** Time passes, in steps in which an alarm may be armed; alarms of both objects go off. */
  async pass(byMs: number): Promise<void> {
    const { clock } = this.bench;
    const end = clock.nowMs() + byMs;
    do {
      const at = Math.min(this.alarmAt ?? Infinity, end, clock.nowMs() + STEP_MS);
      await this.bench.pass(Math.max(0, at - clock.nowMs()));
      if (this.alarmAt !== undefined && this.alarmAt <= clock.nowMs()) {
        this.alarmAt = undefined;
        await this.pusher.alarm();
        await this.bench.pass(0);
      }
    } while (clock.nowMs() < end);
  }

  #ports(generation: number): Ports {
    const isDead = (): boolean => generation !== this.#generation;
    const never = new Promise<never>(() => undefined);
    return {
      queue: async (_seat, queue, call) => {
        if (isDead()) return never;
        if (queue > 0) return this.otherQueue(queue);
        if (this.queueDown) return refuse("unavailable", "down");
        this.calls++;
        const outcome = await call(this.#verbs);
        return isDead() ? never : outcome;
      },
      bodies: new LargeBodies(this.bench.clock, this.bench.bucket),
      record: () => Promise.resolve(accept(this.record)),
      disable: (_record, reason) => {
        this.disables.push(reason);
        return Promise.resolve(this.disable());
      },
      post: async (post) => {
        if (isDead()) return never;
        this.posts.push({ ...post, at: this.bench.clock.nowMs() });
        const answer = await this.answer(post);
        return isDead() ? never : answer;
      },
      ask: async (question) => {
        if (isDead()) return never;
        this.questions.push({ ...question, at: this.bench.clock.nowMs() });
        const permission = await this.permission(question);
        return isDead() ? never : permission;
      },
      worker: (binding) => this.workers.get(binding),
      kept: {
        get: (name) => this.kept.get(name),
        put: (name, value) => {
          this.rowsKept++;
          this.kept.set(name, structuredClone(value));
        },
      },
      armedAt: this.alarmAt,
      setAlarm: (atMs) => {
        this.alarmsSet++;
        if (!isDead()) this.alarmAt = atMs;
      },
      erase: () => {
        this.erased++;
        this.kept.clear();
        this.alarmAt = undefined;
      },
      clock: this.bench.clock,
      log: {
        info: (event) => void this.logged.push(event),
        error: (event) => void this.logged.push(event),
      },
      random: () => 0.5,
      newId: () => String(this.posts.length),
    };
  }
}

export const attempts = (world: World): string[] =>
  world.posts.map(({ headers }) => headers["halfmq-attempt"] ?? "");

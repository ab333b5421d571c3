/** A gateway over a real queue, with an invented clock and sockets that outlive it. */
import type { Content } from "../../src/core/record.ts";
import { LargeBodies } from "../../src/bodies/large-bodies.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { Ports, Socket } from "../../src/gateway/ports.ts";
import type { Attached } from "../../src/gateway/session.ts";
import { QueueVerbs } from "../../src/queue/verbs.ts";
import { accept, type Outcome, refuse } from "../../src/protocol/errors.ts";
import type { GroupRoute, GroupSeat, KeyMark } from "../../src/protocol/rpc.ts";
import type { GroupSettings } from "../../src/protocol/topic.ts";
import { Bench, group, records, route } from "../queue/kit.node.ts";

export const STAMP = { incarnation: 7, version: 1 };
const AT = { namespace: "default", topic: "orders", group: "g" };

interface Sent {
  readonly messages?: readonly {
    readonly receipt: string;
    readonly deliveryAttempt: number;
    readonly offset: number;
  }[];
  readonly results?: readonly unknown[];
  readonly error?: { readonly code: string };
}

export class FakeSocket implements Socket {
  readonly frames: Sent[] = [];
  closedWith: number | undefined;
  #attached = "";

  send(text: string): void {
    if (this.closedWith === undefined) this.frames.push(JSON.parse(text) as Sent);
  }

  close(code: number): void {
    this.closedWith ??= code;
  }

  attached(): Attached {
    return JSON.parse(this.#attached) as Attached;
  }

  attach(attached: Attached): void {
    this.#attached = JSON.stringify(attached);
  }

  get attachedBytes(): number {
    return this.#attached.length;
  }

  get messages() {
    return this.frames.flatMap(({ messages = [] }) => messages);
  }
}

export class World {
  readonly bench = new Bench();
  readonly sockets = new Set<FakeSocket>();
  readonly group: GroupRoute;
  gateway: Gateway;
  seat: GroupSeat | undefined;
  kept: GroupSeat | undefined;
  alarmAt: number | undefined;
  erased = 0;
  queueDown = false;
  /** Answers of the queue wait for it. */
  gate: Promise<void> = Promise.resolve();
  keyChecks = 0;
  isGood: () => Outcome<boolean> = () => accept(true);
  calls = 0;

  constructor(settings: Partial<GroupSettings> = {}) {
    this.group = group("g", { backoff: { delaysMs: [0] }, ...settings });
    const { namespace, topic } = AT;
    this.seat = { namespace, topic, stamp: STAMP, queues: 1, group: this.group };
    this.gateway = this.wake();
    this.bench.isHeard = () => true;
  }

  static async open(settings: Partial<GroupSettings> = {}): Promise<World> {
    const world = new World(settings);
    await world.bench.run(world.bench.queue.configure(route([world.group]), 0));
    // The queue's ring reaches the gateway of the moment.
    world.bench.isHeard = () => {
      void world.gateway.ring(STAMP.incarnation, world.group.number, 0);
      return world.sockets.size > 0;
    };
    return world;
  }

  /** Memory is lost; sockets and storage stay. */
  wake(): Gateway {
    this.gateway = new Gateway(this.#ports());
    return this.gateway;
  }

  async join(credit?: number, consumerId?: string, key?: KeyMark): Promise<FakeSocket> {
    const admitted = this.gateway.admit(AT);
    await this.settle();
    const outcome = await admitted;
    if (!outcome.ok) throw new Error(outcome.code);
    const socket = new FakeSocket();
    this.sockets.add(socket);
    this.gateway.join(socket, { consumerId, key });
    if (credit !== undefined) await this.say(socket, { credit });
    return socket;
  }

  async say(socket: FakeSocket, frame: unknown): Promise<void> {
    const heard = this.gateway.hear(socket, JSON.stringify(frame));
    await this.settle();
    await heard;
    await this.settle();
  }

  async leave(socket: FakeSocket, code: number): Promise<void> {
    this.sockets.delete(socket);
    const left = this.gateway.leave(socket, code);
    await this.settle();
    await left;
  }

  async send(count: number): Promise<void> {
    await this.sendThese(...Array.from({ length: count }, () => ({})));
  }

  async sendThese(...contents: readonly Partial<Content>[]): Promise<void> {
    const stored = records(...contents);
    await this.bench.run(this.verbs.send({ stamp: STAMP, records: stored }));
    await this.settle();
  }

  /** A message whose body is in the bucket. */
  async sendLarge(text: string): Promise<void> {
    const ref = await this.bench.lodge(STAMP, text);
    const stored = records({ body: { isJson: true, ref } });
    await this.bench.run(this.verbs.send({ stamp: STAMP, records: stored }));
    await this.settle();
  }

  async figures() {
    const stats = await this.bench.run(this.verbs.stats(STAMP));
    return stats.groups[0];
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await this.bench.pass(0);
  }

  get verbs(): QueueVerbs {
    return new QueueVerbs(this.bench.queue);
  }

  #ports(): Ports {
    return {
      queue: async (_seat, _queue, call) => {
        this.calls++;
        if (this.queueDown) return refuse("unavailable", "down");
        const outcome = await call(this.verbs);
        await this.gate;
        return outcome;
      },
      bodies: new LargeBodies(this.bench.clock, this.bench.bucket),
      isGood: () => {
        this.keyChecks++;
        return Promise.resolve(this.isGood());
      },
      seat: () => Promise.resolve(accept(this.seat)),
      sockets: () => this.sockets,
      keepSeat: (seat) => void (this.kept = structuredClone(seat)),
      keptSeat: () => this.kept,
      setAlarm: (atMs) => void (this.alarmAt = atMs),
      erase: () => {
        this.erased++;
        this.kept = undefined;
        this.alarmAt = undefined;
      },
      clock: this.bench.clock,
      log: { info: () => undefined, error: () => undefined },
    };
  }
}

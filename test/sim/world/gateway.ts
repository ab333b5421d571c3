/**
 * The gateway of a streamed group over the invented platform, as its shell makes it for Cloudflare. Its sockets are the
 * platform's: they outlive an eviction of an idle object, and break with one that is struck while it works.
 */
import { Gateway } from "../../../src/gateway/gateway.ts";
import type { Socket } from "../../../src/gateway/ports.ts";
import type { Attached } from "../../../src/gateway/session.ts";
import type { LargeBodies } from "../../../src/bodies/large-bodies.ts";
import type { Clock } from "../../../src/platform/clock.ts";
import type { Log } from "../../../src/platform/log.ts";
import { callObject } from "../../../src/platform/stub.ts";
import { accept, type Outcome } from "../../../src/protocol/errors.ts";
import {
  type GatewayRpc,
  type GroupSeat,
  type QueueRpc,
  registryObjectName,
  type RegistryRpc,
  type StreamOpening,
} from "../../../src/protocol/rpc.ts";
import type { Dice } from "./dice.ts";
import type { Host, Life, Wake } from "./host.ts";
import { keptOn } from "./kept.ts";
import { Line } from "./line.ts";

const CALL_MS = 10_000;
const quiet: Log = { info: () => undefined, error: () => undefined };

type At = Pick<GroupSeat, "namespace" | "topic"> & { readonly group: string };

/** What the platform gives it. */
export interface GatewayGround {
  readonly host: Host;
  readonly dice: Dice;
  readonly registry: Wake;
  readonly bodies: (clock: Clock) => LargeBodies;
  callQueue<T>(
    life: Life,
    at: { readonly namespace: string; readonly topic: string; readonly queue: number },
    call: (queue: QueueRpc) => Promise<T>,
  ): Promise<T>;
}

/** What the platform says to it, beside its RPC. */
export interface GatewayVerbs extends GatewayRpc {
  open(opening: StreamOpening): Promise<Outcome<Line>>;
  said(line: Line, text: string): Promise<void>;
  closed(line: Line, code: number): Promise<void>;
}

/** All gateways, and the broker's ends of all lines. */
export class Gateways {
  readonly #ground: GatewayGround;
  readonly #lines = new Map<string, Set<Line>>();
  /** Events that a gateway is working at. */
  readonly #atWork = new Map<string, number>();

  constructor(ground: GatewayGround) {
    this.#ground = ground;
  }

  readonly wake: Wake = (name, life) => {
    const { disk } = life;
    const sockets = new Map<Line, Socket>();
    const socketOf = (line: Line): Socket => {
      const known = sockets.get(line) ?? socketOver(line, life);
      sockets.set(line, known);
      return known;
    };
    const kept = keptOn(disk);
    life.ending.before(new Promise(() => undefined)).catch(() => this.#ended(name));
    const gateway = new Gateway({
      ...this.#outside(life),
      sockets: () => [...this.#linesOf(name)].filter(({ isOpen }) => isOpen).map(socketOf),
      keepSeat: (seat) => kept.put("seat", seat),
      keptSeat: () => kept.get("seat") as GroupSeat | undefined,
      setAlarm: (atMs) => {
        disk.setAlarm(atMs);
        this.#ground.host.armed(name);
      },
      erase: () => kept.erase(),
      clock: life.clock,
      log: quiet,
    });
    const verbs: GatewayVerbs = {
      ring: (...args) => gateway.ring(...args),
      ended: (...args) => gateway.ended(...args),
      open: async ({ consumerId, ...at }) => {
        const admitted = await gateway.admit(at);
        if (!admitted.ok) return admitted;
        const line = this.#newLine(name);
        gateway.join(socketOf(line), { consumerId });
        return accept(line);
      },
      said: (line, text) => gateway.hear(socketOf(line), text),
      closed: (line, code) => gateway.leave(socketOf(line), code),
    };
    return { verbs, alarm: () => gateway.alarm() };
  };

  /** SIGKILL: all sockets go with it. */
  crash(): void {
    for (const lines of this.#lines.values()) for (const line of lines) line.cut();
    this.#lines.clear();
  }

  #linesOf(name: string): Set<Line> {
    let lines = this.#lines.get(name);
    if (lines === undefined) this.#lines.set(name, (lines = new Set()));
    return lines;
  }

  #newLine(name: string): Line {
    const { host, dice } = this.#ground;
    const lines = this.#linesOf(name);
    const line = new Line(host.clock, dice, () => host.hopMs(), {
      said: (from, text) => void this.#event(name, (gateway) => gateway.said(from, text)),
      closed: (from, code) => {
        lines.delete(from);
        void this.#event(name, (gateway) => gateway.closed(from, code));
      },
    });
    lines.add(line);
    return line;
  }

  async #event(name: string, run: (gateway: GatewayVerbs) => Promise<void>): Promise<void> {
    const count = (by: number): void =>
      void this.#atWork.set(name, (this.#atWork.get(name) ?? 0) + by);
    count(1);
    await this.#ground.host.event<GatewayVerbs>(name, this.wake, run);
    count(-1);
  }

  /** Who sleeps keeps its sockets; of one that worked they break. */
  #ended(name: string): void {
    if ((this.#atWork.get(name) ?? 0) === 0) return;
    const lines = this.#linesOf(name);
    for (const line of lines) line.cut();
    lines.clear();
  }

  #outside(life: Life) {
    const { host, dice, registry, bodies } = this.#ground;
    const options = { clock: life.clock, random: dice.roll, log: quiet, timeoutMs: CALL_MS };
    return {
      queue: <T>(
        { namespace, topic }: GroupSeat,
        queue: number,
        call: (object: QueueRpc) => Promise<Outcome<T>>,
      ) =>
        callObject(
          () => ({ namespace, topic, queue }),
          (at) => this.#ground.callQueue(life, at, call),
          options,
        ),
      bodies: bodies(life.clock),
      seat: async (at: At): Promise<Outcome<GroupSeat | undefined>> => {
        const found = await callObject(
          () => `registry:${registryObjectName(at.namespace)}`,
          (name) =>
            host.call<RegistryRpc, Awaited<ReturnType<RegistryRpc["topic"]>>>(
              name,
              registry,
              (object) => object.topic(at.topic, false),
              life,
            ),
          options,
        );
        if (!found.ok) return found.code === "topic_not_found" ? accept(undefined) : found;
        const { incarnation, version, settings, groups } = found.value;
        const group = groups.find((each) => each.name === at.group);
        if (group === undefined) return accept(undefined);
        const stamp = { incarnation, version };
        const { namespace, topic } = at;
        return accept({ namespace, topic, stamp, queues: settings.queues, group });
      },
      isGood: () => Promise.reject(new Error("nobody has a key here")),
    };
  }
}

/** What a dead object says nobody hears; what it says leaves when what it wrote before is on disk. */
function socketOver(line: Line, life: Life): Socket {
  const after = (run: () => void): void =>
    void life.disk.synced().then(() => {
      if (!life.isOver) run();
    });
  return {
    send: (text) => after(() => line.say(text)),
    close: () => after(() => line.close()),
    attached: () => JSON.parse(line.attachment) as Attached,
    attach: (attached) => {
      if (!life.isOver) line.attachment = JSON.stringify(attached);
    },
  };
}

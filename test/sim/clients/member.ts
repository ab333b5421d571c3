/** A consumer of a group, however its messages come to it: it handles them, and settles them by request. */
import type { GroupName } from "../../../src/broker/broker.ts";
import type { Settled } from "../../../src/protocol/rpc.ts";
import { handle, type Hands, type SettleVerb } from "../actors/handling.ts";
import type { Answer, Delivery, GroupPlan } from "../history.ts";
import type { Dice } from "../world/dice.ts";
import { NAMESPACE } from "../world/wakes.ts";
import { Client, type Scene } from "./client.ts";

const HABITS: Hands["habits"] = { ack: 15, nack: 2, extend: 1, forget: 1, late: 2 };

export interface Settling {
  readonly verb: SettleVerb;
  readonly receipts: readonly string[];
  /** Of an extend. */
  readonly invisibleMs?: number;
  /** Of a nack. */
  readonly delayMs?: number;
}

export class Member extends Client {
  readonly at: GroupName;
  readonly consumerId: string | undefined;

  constructor(name: string, scene: Scene, dice: Dice, { topic, group, consumerId }: GroupPlan) {
    super(name, scene, dice);
    this.at = { namespace: NAMESPACE, topic, group };
    this.consumerId = consumerId;
  }

  /** After a while. */
  async handle(deliveries: readonly Delivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    await this.pause(this.dice.roll() ** 2 * 200);
    const { invisibleMsMax } = this.scene.plan;
    const pause = this.pause.bind(this);
    const settle = this.settle.bind(this);
    await handle({ dice: this.dice, habits: HABITS, invisibleMsMax, pause, settle }, deliveries);
  }

  async settle(verb: SettleVerb, deliveries: readonly Delivery[]): Promise<void> {
    const receipts = deliveries.map(({ receipt }) => receipt);
    const invisibleMs = this.dice.int(100, this.scene.plan.invisibleMsMax);
    const how =
      verb === "extend"
        ? { invisibleMs }
        : verb === "nack"
          ? { delayMs: this.dice.int(0, 1_500) }
          : {};
    await this.say({ verb, receipts, ...how });
  }

  async say(settling: Settling): Promise<void> {
    await this.ask({
      request: this.requestOf(settling),
      run: (broker) => broker.settle(this.at, settling),
      answer: settledOf,
      retries: settling.verb === "ack" ? 2 : 0,
      patienceMs: 10_000,
    });
  }

  requestOf({ verb, receipts, invisibleMs }: Settling) {
    const longer = invisibleMs === undefined ? {} : { invisibleMs };
    return { is: "settle", ...this.at, verb, receipts, ...longer } as const;
  }
}

function settledOf(results: readonly Settled[]): Answer {
  return {
    is: "settled",
    results: results.map((result) => ({
      ok: result.ok,
      receipt: result.receipt,
      ...(result.ok ? {} : { code: result.code }),
      ...(result.ok && result.extended !== undefined
        ? { invisibleUntil: result.extended.invisibleUntil }
        : {}),
    })),
  };
}

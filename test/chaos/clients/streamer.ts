/**
 * Subscribes over a stream with the published client, again and again: handlers ack, fail, take their time. What the client
 * calls a gap is a bug.
 */
import {
  type Consumer,
  type HalfMQ,
  isHalfmqError,
  type Message,
} from "../../../src/client/index.ts";
import type { Dice } from "../../sim/world/dice.ts";
import { type ChaosGroup, note, type Scene } from "../scene.ts";
import { deliveryOf } from "../../sim/wire.ts";
import { Caller, clientOf } from "./caller.ts";

const AUDIT_MS = 1_000;
/** Past the lease of a streamed group, so that the client has to keep it. */
const SLOW_MS_MAX = 4_000;
const LOOK_MS = 50;

export class Streamer extends Caller {
  readonly #plan: ChaosGroup;
  readonly #client: HalfMQ;

  constructor(name: string, scene: Scene, dice: Dice, plan: ChaosGroup) {
    super(name, scene, dice);
    this.#plan = plan;
    this.#client = clientOf(scene);
  }

  async run(): Promise<void> {
    while (!this.scene.isOver) await this.#subscribeOnce();
  }

  async #subscribeOnce(): Promise<void> {
    const { dice, scene } = this;
    const { topic, group, consumerId } = this.#plan;
    const consumer: Consumer = this.#client.consumer(topic, group, {
      auditMs: AUDIT_MS,
      onGap: (gap) => scene.errors.push(`a gap: ${JSON.stringify(gap)}`),
      ...(consumerId === undefined ? {} : { consumerId }),
    });
    const beganAt = performance.now();
    const subscription = consumer.subscribe((message) => this.#handle(message, beganAt), {
      stream: true,
      concurrency: dice.int(1, 4),
      maxMessages: dice.int(1, 16),
    });
    subscription.done.catch((error: unknown) =>
      scene.errors.push(`a stream ends: ${String(error)}`),
    );
    const stopsAt = beganAt + 500 + dice.roll() * 6_000;
    while (!scene.isOver && (scene.isDraining || performance.now() < stopsAt))
      await this.pause(LOOK_MS);
    await consumer.stop({ deadlineMs: dice.int(0, 2_000) });
  }

  /** It may have come to the client long before it came to the handler. */
  async #handle(message: Message, beganAt: number): Promise<void> {
    const { scene } = this;
    const { topic, group, consumerId } = this.#plan;
    const at = { topic, group, ...(consumerId === undefined ? {} : { consumerId }) };
    const op = scene.nextOp++;
    // The client may have prolonged the lease: nothing is reckoned from its end.
    const request = { is: "receive", ...at, invisibleMs: 0, isLine: true, maxMessages: 1 } as const;
    note(scene, { is: "invoke", op, client: this.name, request }, beganAt);
    const delivery = deliveryOf(message.data);
    note(scene, { is: "ok", op, answer: { is: "received", deliveries: [delivery] } });
    const how = scene.isDraining
      ? "ack"
      : this.dice.weighted({ ack: 60, returns: 10, slow: 2, fails: 3 });
    if (how === "slow") await this.pause(this.dice.roll() * SLOW_MS_MAX);
    const settled = scene.nextOp++;
    const verb = how === "fails" ? "nack" : "ack";
    const settle = { is: "settle", ...at, verb, receipts: [delivery.receipt] } as const;
    note(scene, { is: "invoke", op: settled, client: this.name, request: settle });
    if (how === "fails" || how === "returns") {
      // The client settles it by itself, and tells nobody.
      note(scene, { is: "lost", op: settled });
      if (how === "fails") throw new Error("a handler fails");
      return;
    }
    await this.#ack(message, settled);
  }

  async #ack(message: Message, op: number): Promise<void> {
    const { scene } = this;
    const { receipt } = message.data;
    const result = await message.ack().then(
      () => ({ receipt, ok: true }),
      (error: unknown) =>
        isHalfmqError(error, "receipt_expired", "receipt_invalid")
          ? { receipt, ok: false, code: error.code }
          : undefined,
    );
    if (result === undefined) note(scene, { is: "lost", op });
    else note(scene, { is: "ok", op, answer: { is: "settled", results: [result] } });
  }
}

/**
 * Subscribes over a stream with the client's own line, again and again. It settles on the line, and by request what the line did
 * not answer, as the client does. What came is written down when it comes; a line that ends may have given it back.
 */
import type { DeliveredData } from "../../../src/client/index.ts";
import { retryPolicy } from "../../../src/client/retry.ts";
import { StreamLine } from "../../../src/client/stream-line.ts";
import type { Delivery, GroupPlan } from "../history.ts";
import type { Dice } from "../world/dice.ts";
import { ClientEnd } from "../world/line.ts";
import { deliveryOf } from "../wire.ts";
import type { Scene } from "./client.ts";
import { Member, type Settling } from "./member.ts";

const CREDIT_MAX = 16;
const LOOK_MS = 250;
/** Of a line, at each look. */
const BREAKS = 0.03;

interface Room {
  readonly credit: number;
  readonly onePerMessageGroup: boolean;
}

export class Streamer extends Member {
  readonly #invisibleMs: number;
  readonly #isOrdered: boolean;
  #line: StreamLine<Delivery> | undefined;
  #end: ClientEnd | undefined;
  /** Receipts that nothing is held of any more. */
  readonly #settled = new Set<string>();

  constructor(
    name: string,
    scene: Scene,
    dice: Dice,
    { view, invisibleMs }: { readonly view: GroupPlan; readonly invisibleMs: number },
  ) {
    super(name, scene, dice, view);
    this.#invisibleMs = invisibleMs;
    this.#isOrdered = view.ordered;
  }

  async run(): Promise<void> {
    while (!this.scene.isOver) await this.#subscribe();
  }

  async #subscribe(): Promise<void> {
    const { dice } = this;
    const room = {
      credit: dice.int(1, CREDIT_MAX),
      onePerMessageGroup: this.#isOrdered && dice.chance(0.5),
    };
    const stopper = new AbortController();
    const line = new StreamLine<Delivery>(this.#port(room), room, stopper.signal);
    this.#line = line;
    const watching = this.#watch(stopper);
    for (;;) {
      const deliveries = await line.next(dice.int(1, CREDIT_MAX));
      if (deliveries === undefined) break;
      if (this.scene.isDraining) await this.settle("ack", deliveries);
      else await this.handle(deliveries);
    }
    await watching;
    line.close();
    await this.pause(dice.roll() * this.scene.plan.restMsMax);
  }

  /** Ends it after a while; the network breaks it before now and then. */
  async #watch(stopper: AbortController): Promise<void> {
    const { scene, dice } = this;
    const stopsAt = scene.host.clock.nowMs() + 500 + dice.roll() * 20_000;
    while (!scene.isOver && (scene.isDraining || scene.host.clock.nowMs() < stopsAt)) {
      await this.pause(LOOK_MS);
      const mayBreak = !scene.isDraining && scene.plan.strikeEveryMs < Infinity;
      if (mayBreak && dice.chance(BREAKS)) this.#end?.drop();
    }
    stopper.abort();
  }

  #port({ credit }: Room): ConstructorParameters<typeof StreamLine<Delivery>>[0] {
    const { clock } = this.scene.host;
    return {
      clock: {
        now: () => clock.nowMs(),
        after: (delayMs, call) => clock.after(delayMs, call),
        random: this.dice.roll,
      },
      retry: retryPolicy(),
      open: () => this.#open(credit),
      diagnose: () => Promise.resolve(),
      message: (data) => deliveryOf(data),
      onError: () => undefined,
    };
  }

  #open(credit: number): ClientEnd {
    const id = this.scene.nextOp++;
    const held: string[] = [];
    const end = new ClientEnd(() => this.#gaveBack(held));
    end.addEventListener("message", ({ data }) => {
      const deliveries = this.#arrived(String(data), { id, credit });
      held.push(...deliveries.map(({ receipt }) => receipt));
    });
    this.#end = end;
    void this.#connect(end);
    return end;
  }

  async #connect(end: ClientEnd): Promise<void> {
    const { topic, group, namespace } = this.at;
    const who = this.consumerId === undefined ? {} : { consumerId: this.consumerId };
    await this.pause(this.dice.roll());
    const opened = await this.scene.deployment
      .openLine({ namespace, topic, group, ...who })
      .catch(() => undefined);
    if (opened?.ok === true) opened.value.claim(end);
    else end.end(true);
  }

  #arrived(
    text: string,
    socket: { readonly id: number; readonly credit: number },
  ): readonly Delivery[] {
    if (text === "pong") return [];
    const { messages = [] } = JSON.parse(text) as { messages?: readonly DeliveredData[] };
    if (messages.length === 0) return [];
    const op = this.scene.nextOp++;
    const request = {
      is: "receive",
      ...this.#who,
      invisibleMs: this.#invisibleMs,
      maxMessages: socket.credit,
      isLine: true,
      socket,
    } as const;
    const deliveries = messages.map(deliveryOf);
    this.note({ is: "invoke", op, client: this.name, request });
    this.note({ is: "ok", op, answer: { is: "received", deliveries } });
    return deliveries;
  }

  get #who() {
    const { topic, group } = this.at;
    return {
      topic,
      group,
      ...(this.consumerId === undefined ? {} : { consumerId: this.consumerId }),
    };
  }

  /** The broker may hear of it long before this end does. */
  #gaveBack(held: readonly string[]): void {
    const receipts = held.filter((receipt) => !this.#settled.has(receipt));
    if (receipts.length === 0) return;
    const op = this.scene.nextOp++;
    const request = { is: "settle", ...this.#who, verb: "nack", receipts } as const;
    this.note({ is: "invoke", op, client: this.name, request });
    this.note({ is: "lost", op });
  }

  override async say(settling: Settling): Promise<void> {
    const { verb, receipts, ...how } = settling;
    const op = this.scene.nextOp++;
    this.note({ is: "invoke", op, client: this.name, request: this.requestOf(settling) });
    const results = await this.#line?.settle(verb, receipts, how);
    if (results === undefined) {
      this.note({ is: "lost", op });
      return super.say(settling);
    }
    if (verb !== "extend") for (const { receipt } of results) this.#settled.add(receipt);
    this.note({ is: "ok", op, answer: { is: "settled", results } });
  }
}

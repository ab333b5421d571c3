/**
 * A client of a simulation: it asks, over a network that loses and repeats, and writes down what it saw. It knows a request
 * again by its key, as an SDK does.
 */
import { seeded } from "../../kit/event-clock.node.ts";
import type { Broker } from "../../../src/broker/broker.ts";
import type { Outcome } from "../../../src/protocol/errors.ts";
import type { Keyed } from "../../../src/protocol/rpc.ts";
import { Actor, type Ended, type NewEvent } from "../actors/actor.ts";
import type { Answer, Event, Request } from "../history.ts";
import type { Plan } from "../plan.ts";
import type { Deployment } from "../world/deployment.ts";
import type { Dice } from "../world/dice.ts";
import type { Endpoint } from "../world/endpoint.ts";
import type { Host } from "../world/host.ts";
import type { Receiver } from "../world/receiver.ts";

/** What all clients share. */
export interface Scene {
  readonly plan: Plan;
  readonly host: Host;
  readonly deployment: Deployment;
  readonly endpoint: Endpoint;
  readonly receiver: Receiver;
  readonly events: Event[];
  /** About so many things happen: requests, ends, checks, strikes. The last of them while all drains. */
  readonly steps: number;
  nextOp: number;
  /** Faults are over: everything is taken to its end. */
  isDraining: boolean;
  /** All is over: loops end. */
  isOver: boolean;
}

interface Asking<T> {
  readonly request: Request;
  readonly run: (broker: Broker) => Promise<Outcome<T>>;
  readonly answer: (value: T) => Answer;
  /** Times that a failed or lost request is sent again. */
  readonly retries: number;
  /** Sent twice now and then. Only what carries a key may be. */
  readonly mayDouble?: boolean;
  readonly patienceMs: number;
}

const RETRYABLE: ReadonlySet<string> = new Set([
  "unavailable",
  "overloaded",
  "internal_error",
  "body_unavailable",
]);

const RETRY_MS_MAX = 200;
/** Of the steps, before all drains; the drain takes about the rest of them. */
const WORK_SHARE = 0.8;

export class Client extends Actor {
  readonly scene: Scene;

  constructor(name: string, scene: Scene, dice: Dice) {
    super(name, dice);
    this.scene = scene;
  }

  pause(delayMs: number): Promise<void> {
    return this.scene.host.clock.pause(delayMs);
  }

  nextOp(): number {
    return this.scene.nextOp++;
  }

  /** May another operation begin? */
  get goesOn(): boolean {
    const { isDraining, events, steps } = this.scene;
    return !isDraining && events.length < steps * WORK_SHARE;
  }

  keyed(text: string): Keyed {
    // 64 bits tell a few thousand texts apart. A real digest would cost a good part of the request.
    let [one, other] = [0, 0];
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      one = Math.imul(one ^ unit, 0x9e3779b1);
      other = Math.imul(other ^ unit, 0x5f356495);
    }
    const rolls = [seeded(one), seeded(other)];
    const bytes = Uint8Array.from({ length: 24 }, (_, at) => (rolls[at % 2]?.() ?? 0) * 256);
    return { key: bytes.slice(0, 16), body: bytes.slice(16) };
  }

  ask<T>(asking: Asking<T>): Promise<Ended<T>> {
    const { request, answer, retries } = asking;
    const once = (): Promise<Ended<T>> => this.#once(asking);
    return this.attempt({ request, once, answer, retries, retryMsMax: RETRY_MS_MAX });
  }

  async #once<T>({ run, mayDouble, patienceMs }: Asking<T>): Promise<Ended<T>> {
    const { host, deployment } = this.scene;
    const { lostCalls, lostAnswers } = host.faults;
    await this.pause(this.dice.roll());
    if (this.dice.chance(lostCalls)) return { is: "lost" };
    if (mayDouble === true && this.dice.chance(lostCalls))
      void deployment.request(run).catch(() => undefined);
    const late = Promise.withResolvers<Ended<T>>();
    const cancel = host.clock.after(patienceMs, () => late.resolve({ is: "lost" }));
    const asked = deployment.request(run).then(
      (outcome): Ended<T> =>
        outcome.ok ? { is: "ok", value: outcome.value } : refusedBy(outcome.code),
      (): Ended<T> => ({ is: "lost" }),
    );
    const ended = await Promise.race([asked, late.promise]);
    cancel();
    await this.pause(this.dice.roll());
    return this.dice.chance(lostAnswers) ? { is: "lost" } : ended;
  }

  note(event: NewEvent): void {
    const { host, events } = this.scene;
    events.push({ at: host.clock.nowMs(), wall: host.wallMs(), ...event });
  }
}

/** A refusal for want of the platform may hide that it was done. */
const refusedBy = (code: string): Ended<never> => {
  const isPassing = RETRYABLE.has(code);
  return { is: "refused", code, isPassing, mayBeDone: isPassing };
};

/**
 * Leases of one group over all queues of its topic, for an object that delivers them: the queue that may have something is
 * asked, receipts go back to the queues that gave them, and a topic that changed is looked up again. It never waits for a
 * message, never decides who gets one, and never throws.
 */
import {
  type Filled,
  fillDeliveries,
  largeBytesOf,
  type LargeBodies,
} from "../bodies/large-bodies.ts";
import { parseReceipt } from "../core/ids.ts";
import { type Delivery, deliveriesOf } from "../core/message.ts";
import { joinEverywhere } from "../platform/join.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type {
  Delivered,
  GroupSeat,
  QueueRpc,
  ReceiveCall,
  Settled,
  SettleCall,
} from "../protocol/rpc.ts";
import { Hints } from "./hints.ts";

/** How often a call is repeated with what was looked up again. */
const REPEATS_MAX = 3;

export interface LeaserPorts {
  /** A call to a queue; never throws. */
  queue<T>(
    seat: GroupSeat,
    queue: number,
    call: (queue: QueueRpc) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>>;
  /** What the registry has now; undefined when the group is gone. */
  look(seat: GroupSeat): Promise<Outcome<GroupSeat | undefined>>;
  readonly bodies: LargeBodies;
  /** It was looked up, and is this. The owner may end the leaser's use. */
  changed(seat: GroupSeat | undefined): void;
}

type Ask = Pick<
  ReceiveCall,
  "maxMessages" | "invisibleMs" | "bytesMax" | "consumerId" | "onePerMessageGroup"
>;
type Settle = Omit<SettleCall, "stamp" | "group" | "receipts">;

const NAMELESS = refuse("invalid_request", "A consumer of a broadcast group says who it is", {
  field: "consumerId",
});

interface Leased {
  /** Large bodies are still to be fetched. */
  readonly messages: readonly Delivery[];
  /** With large bodies. */
  readonly bytes: number;
  readonly paused: boolean;
}

export class Leaser {
  readonly hints: Hints;
  readonly #ports: LeaserPorts;
  #seat: GroupSeat;
  /** How many queues know the consumer whose leases these are. */
  #joinedAt: number | undefined;
  #looking: Promise<Outcome<GroupSeat | undefined>> | undefined;

  constructor(ports: LeaserPorts, seat: GroupSeat) {
    this.#ports = ports;
    this.#seat = seat;
    this.hints = new Hints(seat.queues);
  }

  get seat(): GroupSeat {
    return this.#seat;
  }

  /** The owner was told of a change. */
  sit(seat: GroupSeat): void {
    this.#seat = seat;
    this.hints.grow(seat.queues);
  }

  /** A queue has something. One that is not known yet is a new one: the topic is looked up. */
  async rung(queue: number): Promise<void> {
    if (queue >= this.#seat.queues) await this.#look();
    if (queue < this.#seat.queues) this.hints.ring(queue);
  }

  /** Asks one queue, which `hints.next()` gave; its hint is settled by the answer. */
  async lease(queue: number, ask: Ask): Promise<Outcome<Leased>> {
    const outcome = await this.#onQueue(queue, async (object, seat) => {
      const joined = await this.#join(seat, ask.consumerId);
      if (!joined.ok) return joined;
      const { stamp, group } = seat;
      const received = await object.receive({ ...ask, stamp, group: group.name, waitMs: 0 });
      // It may be the consumer that is not known there any more.
      if (!received.ok && received.code === "stale_route") this.#joinedAt = undefined;
      return received;
    });
    // A queue that could not answer may still have something: its owner asks it again, after a while.
    this.hints.answered(queue, !outcome.ok || outcome.value.more);
    return outcome.ok ? accept(this.#leased(queue, outcome.value)) : outcome;
  }

  /** A consumer of a broadcast group is known to all queues before it is given anything. */
  async #join(seat: GroupSeat, consumerId: string | undefined): Promise<Outcome<unknown>> {
    const { stamp, group, queues } = seat;
    if (group.settings.mode !== "broadcast" || this.#joinedAt === queues) return accept(undefined);
    if (consumerId === undefined) return NAMELESS;
    const joined = await joinEverywhere(queues, (queue, membership) => {
      const call = { stamp, group: group.name, consumerId, ...(membership && { membership }) };
      return this.#ports.queue(seat, queue, (object) => object.join(call));
    });
    if (joined.ok) this.#joinedAt = queues;
    return joined;
  }

  /**
   * What was leased, with its large bodies; what is without one is settled and left out. `heldMsMax`: for how long they may
   * be held; absent: for as long as a request takes.
   */
  complete(messages: readonly Delivery[], heldMsMax?: number): Promise<Filled<Delivery>> {
    const settle = (receipts: readonly string[], how: Settle) => this.settle(receipts, how);
    return fillDeliveries(this.#ports.bodies, messages, settle, heldMsMax);
  }

  /** From now on the queues ring, until they are told that nobody listens. */
  listen(): Promise<Outcome<unknown>> {
    return this.#onQueue(0, (object, { stamp, group }) => object.listen(stamp, group.name));
  }

  /** Results in the order of the receipts. When a queue fails, its part is refused as a whole by `unavailable`. */
  async settle(receipts: readonly string[], how: Settle): Promise<Outcome<Settled[]>> {
    const results = receipts.map((receipt): Settled => ({
      receipt,
      ok: false,
      code: "receipt_invalid",
    }));
    const refusals = await Promise.all(
      Array.from(await this.#byQueue(receipts), async ([queue, indexes]) => {
        const part = indexes.map((index) => receipts[index] ?? "");
        const outcome = await this.#onQueue(queue, (object, { stamp, group }) =>
          object.settle({ ...how, stamp, group: group.name, receipts: part }),
        );
        if (!outcome.ok) return outcome;
        for (const [place, index] of indexes.entries()) {
          const settled = outcome.value[place];
          if (settled !== undefined) results[index] = settled;
        }
        return undefined;
      }),
    );
    return refusals.find((refusal) => refusal !== undefined) ?? accept(results);
  }

  async #byQueue(receipts: readonly string[]): Promise<Map<number, number[]>> {
    const addresses = receipts.map(parseReceipt);
    const { incarnation } = this.#seat.stamp;
    const isAhead = addresses.some(
      (address) => address?.incarnation === incarnation && address.queue >= this.#seat.queues,
    );
    if (isAhead) await this.#look();
    const parts = new Map<number, number[]>();
    for (const [index, address] of addresses.entries()) {
      if (address?.incarnation !== incarnation || address.queue >= this.#seat.queues) continue;
      const indexes = parts.get(address.queue);
      if (indexes === undefined) parts.set(address.queue, [index]);
      else indexes.push(index);
    }
    return parts;
  }

  async #onQueue<T>(
    queue: number,
    call: (object: QueueRpc, seat: GroupSeat) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    for (let round = 0; round <= REPEATS_MAX; round++) {
      const seat = this.#seat;
      const outcome = await this.#ports.queue(seat, queue, (object) => call(object, seat));
      if (outcome.ok || outcome.code !== "stale_route") return outcome;
      const found = await this.#look();
      if (!found.ok) return found;
      if (found.value === undefined) return refuse("group_not_found", "The group is gone");
    }
    return refuse("unavailable", "The topic is changing; come again");
  }

  /** One look-up for everybody who finds out at the same time. */
  #look(): Promise<Outcome<GroupSeat | undefined>> {
    this.#looking ??= this.#ports.look(this.#seat).then((found) => {
      this.#looking = undefined;
      if (!found.ok) return found;
      if (found.value !== undefined) this.sit(found.value);
      this.#ports.changed(found.value);
      return found;
    });
    return this.#looking;
  }

  #leased(queue: number, delivered: Delivered): Leased {
    const { topic, stamp } = this.#seat;
    const messages = deliveriesOf({ topic, incarnation: stamp.incarnation }, queue, delivered);
    const bytes = delivered.entries.length + largeBytesOf(messages);
    return { messages, bytes, paused: delivered.paused };
  }
}

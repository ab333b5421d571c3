/**
 * What becomes of receipts: ack, nack, extend and release, each receipt judged by itself. A receipt names the delivery
 * state that it belongs to, so that a consumer of a broadcast group need not say who it is. Run inside a flush.
 */
import { parseReceipt, type ReceiptAddress } from "../core/ids.ts";
import type { ReceiptCode } from "../protocol/errors.ts";
import type { Settled, SettleCall } from "../protocol/rpc.ts";
import type { Group } from "./delivery/group.ts";
import type { Flight } from "./delivery/page.ts";
import { traceAcked, traceNacked } from "./trace/delivery-trace.ts";
import type { QueueStore } from "./store.ts";

/** Results in the order of the receipts. */
export function settle(store: QueueStore, call: SettleCall, nowMs: number): Settled[] {
  store.groups.get(call.group)?.seen(undefined, nowMs);
  return new Settling(store, call, nowMs).all();
}

class Settling {
  readonly #store: QueueStore;
  readonly #call: SettleCall;
  readonly #nowMs: number;
  /** What was acked is done at the end, consecutive messages together. */
  readonly #acked = new Map<Group, Set<number>>();

  constructor(store: QueueStore, call: SettleCall, nowMs: number) {
    this.#store = store;
    this.#call = call;
    this.#nowMs = nowMs;
  }

  all(): Settled[] {
    const results = this.#call.receipts.map((text) => this.#one(text));
    const { trace } = this.#store;
    for (const [group, offsets] of this.#acked) {
      group.ack([...offsets]);
      if (trace.enabled) traceAcked(trace, group.number, [...offsets]);
    }
    return results;
  }

  #one(text: string): Settled {
    const address = parseReceipt(text);
    const group = address === undefined ? "receipt_invalid" : this.#groupOf(address);
    if (address === undefined || typeof group === "string") {
      const code = typeof group === "string" ? group : "receipt_invalid";
      return { receipt: text, ok: false, code };
    }
    const standing = group.standing(address.offset, address.generation);
    if (standing.is === "unknown") return { receipt: text, ok: false, code: "receipt_invalid" };
    if (standing.is === "stale") return { receipt: text, ok: false, code: "receipt_expired" };
    const flight = standing.is === "live" ? standing.flight : undefined;
    return this.#verb(text, group, address.offset, flight);
  }

  /** The delivery state that the receipt is of, brought up to now; or why it is of none. */
  #groupOf(address: ReceiptAddress): Group | ReceiptCode {
    const { incarnation, queue, groups } = this.#store;
    if (address.incarnation !== incarnation || address.queue !== queue) return "receipt_invalid";
    const group = groups.number(address.group);
    // Numbers are never given twice: one that nobody has belonged to a group, or a consumer, that is gone.
    if (group === undefined) return "receipt_expired";
    if (group.route.name !== this.#call.group) return "receipt_invalid";
    if (address.epoch > group.state.epoch) return "receipt_invalid";
    if (address.epoch < group.state.epoch) return "receipt_expired";
    if (!this.#acked.has(group)) {
      this.#acked.set(group, new Set());
      group.seen(undefined, this.#nowMs);
      group.promote(this.#nowMs);
    }
    return group;
  }

  /** `flight` is absent for a message that is done. */
  #verb(text: string, group: Group, offset: number, flight: Flight | undefined): Settled {
    const call = this.#call;
    const acked = this.#acked.get(group);
    if (call.verb === "ack") {
      if (flight !== undefined) {
        acked?.add(offset);
        this.#store.bodies.wasFound(offset);
      }
      return { receipt: text, ok: true };
    }
    if (flight === undefined || acked?.has(offset) === true)
      return { receipt: text, ok: false, code: "receipt_expired" };
    switch (call.verb) {
      case "nack":
        if (call.missing === true && this.#store.bodies.isDoubted(offset, this.#nowMs)) {
          group.release(flight, this.#nowMs, call.delayMs);
          return { receipt: text, ok: true };
        }
        if (call.missing !== true) this.#store.bodies.wasFound(offset);
        traceNacked(this.#store.trace, group.number, flight, call.reason);
        group.nack(flight, call, this.#nowMs);
        return { receipt: text, ok: true };
      case "release":
        if (
          call.attempt !== undefined &&
          group.state.attempts.get(call.attempt)?.isRepeated === true
        )
          return { receipt: text, ok: false, code: "receipt_expired" };
        group.release(flight, this.#nowMs, call.delayMs);
        return { receipt: text, ok: true };
      case "extend": {
        const { invisibleMs = group.route.settings.invisibleMs } = call;
        const invisibleUntil = this.#nowMs + invisibleMs;
        if (!group.extend(flight, invisibleUntil))
          return { receipt: text, ok: false, code: "receipt_expired" };
        return { receipt: text, ok: true, extended: { receipt: text, invisibleUntil } };
      }
    }
  }
}

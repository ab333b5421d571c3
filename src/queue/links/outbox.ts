/**
 * Sends what waits on the links to other queues: one call at a time per link, unless one does not answer in its time; its
 * outcome is a command of its own. It keeps nothing that must survive: what is under way is found again in the links when
 * the object wakes.
 */
import { frame } from "../../core/record.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { ForwardCall, Forwarded, Target } from "../../protocol/rpc.ts";
import { letParcelGo } from "../bodies/keeping.ts";
import { isForwarding, parcelEntry } from "../deciding.ts";
import type { Placed } from "../halves/page.ts";
import { CALL_MS, type Link, type Parcel } from "./links.ts";
import type { QueueStore } from "../store.ts";

const BATCH_MAX = 100;
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
const BACKOFF_MAX_MS = 30_000;
/** After an answer that took nothing. */
const AGAIN_MS = 1_000;

/** Stands for a number without a message. */
const NOTHING = new Uint8Array();

export interface OutboxPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: () => QueueStore;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  /** Something to do once the flush under way is applied. */
  after(effect: () => void): void;
  forward(namespace: string, target: Target, call: ForwardCall): Promise<Outcome<Forwarded>>;
  /** The last parcel is delivered. */
  emptied(nowMs: number): void;
}

export class Outbox {
  readonly #ports: OutboxPorts;
  readonly #waiting = new Map<number, (() => void)[]>();

  constructor(ports: OutboxPorts) {
    this.#ports = ports;
  }

  /** Sends on every link that is idle and has something due. */
  send(): void {
    for (const link of this.#ports.store().links.links) this.#send(link);
  }

  /** Resolves when the transaction's messages have all arrived, or after a bounded wait; at once when too many wait. */
  arrived(position: number): Promise<void> {
    if (this.#waiting.size >= LIMITS.waitersMax) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(position) ?? [];
      waiting.push(resolve);
      this.#waiting.set(position, waiting);
      this.#ports.clock.after(LIMITS.forwardWaitMs, () => {
        const index = waiting.indexOf(resolve);
        if (index >= 0) waiting.splice(index, 1);
        if (waiting.length === 0 && this.#waiting.get(position) === waiting)
          this.#waiting.delete(position);
        resolve();
      });
    });
  }

  #send(link: Link): void {
    const nowMs = this.#ports.clock.nowMs();
    if (link.parcels.length === 0 || link.retryAt > nowMs) return;
    const store = this.#ports.store();
    const { route, queue } = store;
    const entries: Uint8Array[] = [];
    let bytes = 0;
    for (const parcel of link.parcels.slice(0, BATCH_MAX)) {
      const content = parcelEntry(store, parcel);
      if (content === undefined && parcel.from !== "void")
        this.#ports.log.error("forward.content.missing", { ...link.target, ...parcel });
      const entry = content ?? NOTHING;
      if (entries.length > 0 && bytes + entry.length > BATCH_BYTES_MAX) break;
      entries.push(entry);
      bytes += entry.length;
    }
    link.retryAt = nowMs + CALL_MS;
    const call = {
      home: `${route.namespace}/${route.topic}/${queue}#${route.incarnation}`,
      incarnation: link.target.incarnation,
      first: link.first,
      entries: frame(entries),
    };
    this.#ports.forward(route.namespace, link.target, call).then(
      (outcome) => this.#answered(link, call.first, entries.length, outcome),
      (error: unknown) =>
        this.#answered(link, call.first, entries.length, refuse("unavailable", String(error))),
    );
  }

  #answered(link: Link, first: number, count: number, outcome: Outcome<Forwarded>): void {
    void this.#ports.run((nowMs) => {
      if (outcome.ok) this.#taken(link, first + count, outcome.value, nowMs);
      else if (outcome.code === "topic_not_found") this.#gone(link, first + count, nowMs);
      else {
        link.failures++;
        link.retryAt = nowMs + Math.min(BACKOFF_MAX_MS, 100 * 2 ** Math.min(link.failures, 8));
      }
      if (this.#ports.store().links.pending === 0) this.#ports.emptied(nowMs);
      return accept(undefined);
    });
  }

  /** The call carried the parcels below `end`. */
  #taken(link: Link, end: number, answer: Forwarded, nowMs: number): void {
    const { links } = this.#ports.store();
    const until = Math.min(answer.taken + 1, end);
    const settled = links.delivered(link, until);
    // The places end with what was taken last, which may be more than this call brought. The oldest may be forgotten there.
    const firstPlaced = answer.taken + 1 - answer.placed.length;
    const firstSettled = link.first - settled.length;
    for (const [index, parcel] of settled.entries()) {
      const { duplicateOf, ...place } = answer.placed[firstSettled + index - firstPlaced] ?? {};
      this.#place(
        parcel,
        duplicateOf === undefined
          ? { at: "remote", queue: link.target.queue, ...place }
          : { at: "duplicate", id: duplicateOf },
        nowMs,
      );
    }
    // The topic grew: what belongs to other queues by now leaves this link, in order.
    let moved = 0;
    for (const [index, owner] of (answer.owners ?? []).entries()) {
      if (owner === link.target.queue || owner === undefined) continue;
      if (links.redirect(link, until + index, owner)) moved++;
    }
    link.failures = 0;
    link.retryAt = settled.length === 0 && moved === 0 ? nowMs + AGAIN_MS : 0;
  }

  /** The target topic was deleted meanwhile. */
  #gone(link: Link, end: number, nowMs: number): void {
    const settled = this.#ports.store().links.delivered(link, end);
    link.failures = 0;
    link.retryAt = 0;
    for (const parcel of settled) {
      this.#place(parcel, { at: "undeliverable" }, nowMs);
      if (parcel.from === "void") continue;
      this.#ports.log.error("message.undeliverable", {
        topic: link.target.topic,
        from: parcel.from,
        position: parcel.position,
      });
    }
  }

  #place(parcel: Parcel, placed: Placed, nowMs: number): void {
    const store = this.#ports.store();
    letParcelGo(store, parcel, placed.at !== "undeliverable", nowMs);
    if (parcel.from === "delayed") {
      const { queue, offset } = placed.at === "remote" ? placed : { queue: 0, offset: undefined };
      store.delayed.arrived(parcel.position, queue, offset);
      return;
    }
    if (parcel.from !== "half") return;
    store.halves.place(parcel.position, parcel.index, placed);
    this.#ports.after(() => this.#wake(parcel.position));
  }

  #wake(position: number): void {
    if (isForwarding(this.#ports.store(), position)) return;
    for (const wake of this.#waiting.get(position) ?? []) wake();
    this.#waiting.delete(position);
  }
}

/**
 * Moves the oldest segments of the message log to the bucket, a block at a time: once the storage is past a share of its
 * limit, what is old enough, and only as much as makes a whole object. It keeps nothing that must survive: a move that is
 * lost with the object leaves a key that is expected in vain, and its object goes when that is given up.
 *
 * Three commands, each in a flush: the key is *expected*; behind the flush the object is put; when the bucket has confirmed its
 * digest, it is *moved*: the block's row takes the place of its segments. [B4]
 */
import type { BodyStore } from "../../bodies/bucket.ts";
import type { BodyRef } from "../../core/record.ts";
import type { Log } from "../../platform/log.ts";
import { accept, type Outcome } from "../../protocol/errors.ts";
import type { Segment } from "../log/segment.ts";
import type { QueueStore } from "../store.ts";
import { packBlock } from "./block.ts";

/** Segments of one block. */
const SEGMENTS_MAX = 1_024;
/** So often it looks whether there is a block, past the share; and, while flushes come anyway, whether copies may go. */
const LOOK_MS = 10_000;
/** The alarm wakes an object that was lost with its call. */
const WATCH_MS = 30_000;
/** A key is expected for longer (bodies/bodies.ts). */
const PLAN_MS = 30 * 60_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 10 * 60_000;

export interface MoverPorts {
  readonly log: Log;
  readonly store: () => QueueStore;
  /** Absent: nothing moves. */
  readonly bucket: Pick<BodyStore, "newKey" | "put"> | undefined;
  run(command: (nowMs: number) => Outcome<undefined>): Promise<unknown>;
  /** A call that held up the end of a deleted topic is over. */
  emptied(nowMs: number): void;
}

/** A block that is to be. */
interface Plan {
  readonly store: QueueStore;
  readonly first: number;
  readonly end: number;
  readonly key: Uint8Array;
  readonly until: number;
}

interface Packed {
  readonly segments: readonly Segment[];
  readonly object: Uint8Array;
}

export class Mover {
  readonly #ports: MoverPorts;
  #plan: Plan | undefined;
  /** The plan's object, read inside the flush that it is put behind. */
  #picked: Packed | undefined;
  #isPutting = false;
  #tidyAt = 0;
  #lookAt = 0;
  /** When there will be a block, if there is none yet for its age alone. */
  #ripeAt = Infinity;
  /** Where the log ended when it looked. */
  #lookedTo = -1;
  #retryAt = 0;
  #failures = 0;

  constructor(ports: MoverPorts) {
    this.#ports = ports;
  }

  /** Is an object on its way to the bucket? */
  get isPutting(): boolean {
    return this.#isPutting;
  }

  nextDueAt(nowMs: number): number | undefined {
    if (this.#picked !== undefined || this.#isPutting) return nowMs + WATCH_MS;
    const { gauge, identity, messages } = this.#ports.store();
    if (this.#ports.bucket === undefined || identity?.dropping === true) return undefined;
    if (this.#plan !== undefined) return Math.max(nowMs, this.#retryAt);
    if (!gauge.isPastWarm) return undefined;
    const isNews = this.#ripeAt === Infinity && messages.nextStored !== this.#lookedTo;
    return isNews ? Math.max(nowMs, this.#lookAt) : this.#ripeAt;
  }

  /** Inside a flush, once its rows are written: which block is put next, if none is under way. */
  pick(nowMs: number): void {
    const { bucket } = this.#ports;
    const store = this.#ports.store();
    // Copies go also where the bucket was taken away.
    this.#tidy(store, nowMs);
    if (bucket === undefined || this.#isPutting || store.identity?.dropping === true) return;
    if (this.#plan !== undefined && !isGood(this.#plan, store, nowMs)) this.#plan = undefined;
    if (this.#plan === undefined && store.gauge.isPastWarm) this.#look(store, bucket, nowMs);
    this.#picked =
      this.#plan === undefined || this.#retryAt > nowMs ? undefined : packed(this.#plan);
  }

  #tidy({ messages }: QueueStore, nowMs: number): void {
    if (nowMs < this.#tidyAt) return;
    this.#tidyAt = nowMs + LOOK_MS;
    messages.tidy();
  }

  #look(store: QueueStore, bucket: Pick<BodyStore, "newKey">, nowMs: number): void {
    if (nowMs < Math.min(this.#lookAt, this.#ripeAt)) return;
    this.#lookAt = nowMs + LOOK_MS;
    this.#ripeAt = Infinity;
    this.#lookedTo = store.messages.nextStored;
    const found = lowestBlock(store);
    if (found === undefined) return;
    const { first, end, ripeAt } = found;
    this.#ripeAt = ripeAt;
    if (ripeAt > nowMs) return;
    const key = bucket.newKey();
    store.bodies.expect([key], nowMs);
    this.#plan = { store, first, end, key, until: nowMs + PLAN_MS };
  }

  /** Behind the flush: puts it. */
  send(): void {
    const { bucket } = this.#ports;
    const [plan, picked] = [this.#plan, this.#picked];
    if (bucket === undefined || plan === undefined || picked === undefined) return;
    this.#picked = undefined;
    this.#isPutting = true;
    bucket.put(plan.key, picked.object).then(
      (outcome) => this.#answered(plan, picked, outcome.ok ? outcome.value : undefined),
      () => this.#answered(plan, picked, undefined),
    );
  }

  #answered(plan: Plan, put: Packed, ref: BodyRef | undefined): void {
    let isHeard = false;
    const told = this.#ports.run((nowMs) => {
      isHeard = true;
      this.#isPutting = false;
      if (ref === undefined) {
        this.#retryAt = nowMs + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures++);
        this.#ports.log.error("segments.put_failed", { count: put.segments.length });
      } else {
        this.#failures = 0;
        this.#plan = undefined;
        this.#lookAt = 0;
        this.#move(plan, put, ref, nowMs);
      }
      this.#ports.emptied(nowMs);
      return accept(undefined);
    });
    // A queue that can take no command puts it again, under the same key.
    void told.then(() => {
      if (!isHeard) this.#isPutting = false;
    });
  }

  /** Inside a flush, before anything is written. */
  #move(plan: Plan, { segments, object }: Packed, ref: BodyRef, nowMs: number): void {
    const { store, first, end, key } = plan;
    // The topic may be another one, or retention have been here.
    if (!isGood(plan, this.#ports.store(), nowMs) || !store.bodies.isExpected(key)) {
      if (store === this.#ports.store()) store.bodies.giveUp([key], nowMs);
      return;
    }
    if (store.messages.warm.haveKeys(first, end)) store.sealKeys(nowMs);
    store.messages.freeze(segments, object, ref);
    store.bodies.place(key, { in: "cold", at: first });
    store.gauge.forget();
  }
}

function packed({ store, first, end }: Plan): Packed {
  const segments = store.messages.warm.whole(first, end);
  return { segments, object: packBlock(segments) };
}

const isGood = (plan: Plan, store: QueueStore, nowMs: number): boolean =>
  plan.store === store && store.messages.warm.first === plan.first && nowMs < plan.until;

/** The block that the lowest segments make, and since when all of it is old enough; nothing while they are too few. */
function lowestBlock({
  messages,
  bounds,
}: QueueStore): (Pick<Plan, "first" | "end"> & { readonly ripeAt: number }) | undefined {
  const { warm } = messages;
  const { first } = warm;
  // No segment is without a message: neither the bytes nor the segments suffice, and no row need be read to know it.
  if (warm.bytes <= bounds.blockBytes && warm.nextStored - first < SEGMENTS_MAX) return undefined;
  let [segments, bytes] = [0, 0];
  let [end, storedAt] = [first, 0];
  for (const row of warm.oldest(SEGMENTS_MAX)) {
    const isWhole = end > first && bytes + row.bytes > bounds.blockBytes;
    if (isWhole) return { first, end, ripeAt: storedAt + bounds.coldAfterMs };
    segments++;
    bytes += row.bytes;
    end = row.first + row.count;
    ({ storedAt } = row);
  }
  return segments === SEGMENTS_MAX
    ? { first, end, ripeAt: storedAt + bounds.coldAfterMs }
    : undefined;
}

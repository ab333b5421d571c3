/**
 * The audit of one queue: what was counted in several ways, compared. The log's rows must follow one another, a group's account
 * must come to what its bitmap of done messages says, and of a producer's sequences as many must have been taken as there
 * are. It reads heads of rows and counters, never messages, and a bounded number of either.
 */
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type {
  AuditQuery,
  GroupAudit,
  GroupRoute,
  ProducerAudit,
  QueueAudit,
} from "../../protocol/rpc.ts";
import type { Producer } from "../duplicates/producer-page.ts";
import type { QueueStore } from "../store.ts";

/** The newest rows of the log that are looked at. Who audits from time to time misses none that was written since. */
const ROWS_MAX = 1_000;
/** Each is a row that may have to be read. */
const BUCKETS_MAX = 16;

export function audit(store: QueueStore, query: AuditQuery, nowMs: number): Outcome<QueueAudit> {
  const after = placeOf(query.after);
  if (after === undefined)
    return refuse("invalid_request", "The cursor is not one that this list gave", {
      field: "cursor",
    });
  const found = producersAfter(store, after, query.limit, nowMs);
  if (query.summary === undefined) return accept(found);
  const { messages } = store;
  const { from: checkedFrom, holes } = messages.holes(ROWS_MAX);
  const summary = {
    queue: store.queue,
    firstOffset: messages.first,
    nextOffset: messages.next,
    delayed: store.delayed.count,
    prepared: store.halves.open.size,
    checkedFrom,
    holes,
    groups: Array.from(store.groups.routes(), (route) => groupAudit(store, route)),
  };
  return accept({ ...found, summary });
}

/** Added up over the consumers of a broadcast group. */
function groupAudit(store: QueueStore, { name, settings }: GroupRoute): GroupAudit {
  const sum = {
    stored: 0,
    delivered: 0,
    acked: 0,
    deadLettered: 0,
    expired: 0,
    filtered: 0,
    open: 0,
    unaccounted: 0,
  };
  for (const { state } of store.groups.of(name)) {
    const balance = state.balance(store.messages.next, settings.filter !== undefined);
    let underWay = 0;
    for (const { attempt } of state.flights()) if (attempt > 0) underWay++;
    sum.stored += balance.stored;
    sum.delivered += balance.acked + balance.buried + underWay;
    sum.acked += balance.acked;
    sum.deadLettered += balance.buried;
    sum.expired += balance.expired;
    sum.filtered += balance.passed;
    sum.open += balance.open;
    sum.unaccounted += balance.unaccounted;
  }
  return { group: name, ...sum };
}

interface Place {
  readonly bucket: number;
  /** The last one shown of it, in hexadecimal. */
  readonly key: string;
}

const PLACE = /^(\d{1,3})\.([0-9a-f]{0,64})$/;

function placeOf(text = "0."): Place | undefined {
  const [, bucket = "", key = ""] = PLACE.exec(text) ?? [];
  return bucket === "" ? undefined : { bucket: Number(bucket), key };
}

const hex = (key: string): string =>
  Array.from(key, (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("");

/** Bucket by bucket, and in each by key, so that nothing is shown twice while others come and go. */
function producersAfter(
  store: QueueStore,
  after: Place,
  limit: number,
  nowMs: number,
): { producers: ProducerAudit[]; next?: string } {
  const producers: ProducerAudit[] = [];
  const { buckets } = store.producers;
  if (store.producers.count === 0) return { producers };
  const end = Math.min(buckets, after.bucket + BUCKETS_MAX);
  for (let bucket = after.bucket; bucket < end; bucket++) {
    for (const [key, producer] of store.producers.inBucket(bucket)) {
      const shown = hex(key);
      if (bucket === after.bucket && shown <= after.key) continue;
      if (producer.atMs < nowMs - LIMITS.producerWindowMs) continue;
      producers.push(producerAudit(store, producer));
      if (producers.length === limit) return { producers, next: `${bucket}.${shown}` };
    }
  }
  return end === buckets ? { producers } : { producers, next: `${end}.` };
}

function producerAudit({ queue, route }: QueueStore, producer: Producer): ProducerAudit {
  const { name, epoch, firstSequence, sequence, takenCount } = producer;
  const missing = sequence - firstSequence + 1 - takenCount;
  return {
    id: name.id,
    ...(name.messageGroup === undefined ? {} : { messageGroup: name.messageGroup }),
    queue,
    epoch,
    firstSequence,
    lastSequence: sequence,
    taken: takenCount,
    // Of a topic that grew, another queue may have taken them in between.
    missing: route.growths.length === 0 ? missing : 0,
    lastSentAt: producer.atMs,
  };
}

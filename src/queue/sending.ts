/**
 * Sending to a queue, and what comes from elsewhere: due messages, and those that another queue forwards. Run inside a flush.
 * A request is stored whole or not at all; a repeat with its key gets its first answer.
 */
import { decodeEntry } from "../core/entry.ts";
import { messageId, parseMessageId } from "../core/ids.ts";
import type { ProducerMark } from "../core/producer.ts";
import {
  PLAIN_HEAD,
  plainStarts,
  readRecordHead,
  unframe,
  type RecordHead,
} from "../core/record.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type {
  ForwardCall,
  Forwarded,
  ForwardPlace,
  Keyed,
  SendCall,
  SentMessage,
  SentRun,
  Stored,
} from "../protocol/rpc.ts";
import { withBodies } from "./bodies/keeping.ts";
import {
  claim,
  comeBack,
  dedupWordOf,
  firstOf,
  remember as rememberDedup,
  standBy,
  type DedupWord,
} from "./duplicates/dedup.ts";
import type { Placed } from "./halves/page.ts";
import { newcomersOf, noRoom, type Batch } from "./room.ts";
import { judgeProducers, rememberProducers, type Counted } from "./duplicates/sequences.ts";
import { QueueStore } from "./store.ts";

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

/** What was answered to this key before; a refusal when the key came with another body. */
export function answered<T>(
  store: QueueStore,
  keyed: Keyed | undefined,
  nowMs: number,
): Outcome<T | undefined> {
  if (keyed === undefined) return accept(undefined);
  const found = store.awakeKeys().find(keyed.key, nowMs);
  if (found === undefined) return accept(undefined);
  if (!sameBytes(found.body, keyed.body)) {
    return refuse("idempotency_key_reused", "This Idempotency-Key came with another body before.");
  }
  return accept(JSON.parse(new TextDecoder().decode(found.value)) as T);
}

/** Remembers an answer under its key, in the flush under way. */
export function remember(
  store: QueueStore,
  keyed: Keyed | undefined,
  answer: unknown,
  nowMs: number,
): void {
  if (keyed === undefined) return;
  const value = new TextEncoder().encode(JSON.stringify(answer));
  store.awakeKeys().add(keyed.key, {
    body: keyed.body,
    atMs: nowMs,
    untilMs: nowMs + LIMITS.idempotencyWindowMs,
    value,
  });
}

export function send(store: QueueStore, call: SendCall, nowMs: number): Outcome<Stored> {
  const before = answered<Stored["stored"]>(store, call.keyed, nowMs);
  if (!before.ok) return before;
  if (before.value !== undefined) return accept({ stored: before.value, replayed: true });
  const isOnDisk = store.route.settings.durability === "disk";
  const starts = isOnDisk ? plainStarts(call.records) : undefined;
  return starts === undefined
    ? sendSpecial(store, call, nowMs)
    : sendPlain(store, call, starts, nowMs);
}

/** Nothing is said of these but their bodies: their frame is a segment's body as it stands. */
function sendPlain(
  store: QueueStore,
  { records, keyed }: SendCall,
  starts: readonly number[],
  nowMs: number,
): Outcome<Stored> {
  const count = starts.length;
  const newcomers = { count, remembers: keyed !== undefined, countNew: () => count };
  const full = noRoom(store, newcomers, nowMs);
  if (full !== undefined) return full;
  const stored: SentRun = { first: store.messages.appendFrame(records, starts, nowMs), count };
  remember(store, keyed, stored, nowMs);
  return accept({ stored, replayed: false });
}

function sendSpecial(store: QueueStore, call: SendCall, nowMs: number): Outcome<Stored> {
  const records = unframe(call.records);
  const heads = records.map(readRecordHead);
  for (const { messageGroup, producer } of heads) {
    const word = messageGroup ?? producer?.id;
    if (word !== undefined && store.ownerOf(word) !== store.queue)
      return refuse("stale_route", "The message group or producer belongs to another queue.");
  }
  return withBodies(store, heads, nowMs, () => take(store, call, { records, heads }, nowMs));
}

function take(
  store: QueueStore,
  call: SendCall,
  { records, heads }: Pick<Batch, "records" | "heads">,
  nowMs: number,
): Outcome<Stored> {
  const judged = judgeProducers(store, heads, call.former, nowMs);
  if (!judged.ok) return judged;
  if (judged.value.is === "formerFirst")
    return accept({ stored: [], replayed: false, formerFirst: true });
  const batch = { records, heads, counted: judged.value.counted };
  const newcomers = newcomersOf(store, batch, call.keyed !== undefined, nowMs);
  const full = noRoom(store, newcomers, nowMs);
  if (full !== undefined) return full;
  const stored = storeAll(store, batch, nowMs);
  remember(store, call.keyed, stored, nowMs);
  return accept({ stored, replayed: false });
}

function storeAll(
  store: QueueStore,
  { records, heads, counted }: Batch,
  nowMs: number,
): readonly SentMessage[] {
  const placed: (Placed | undefined)[] = [];
  const messages: SentMessage[] = [];
  for (const [index, record] of records.entries()) {
    const { place, sent } =
      counted[index]?.isRepeat === true
        ? { sent: repeatOf(store, counted, messages, index) }
        : sendOne(store, record, heads[index] ?? PLAIN_HEAD, nowMs);
    placed.push(place);
    messages.push(sent);
  }
  rememberProducers(store, counted, placed, nowMs);
  return messages;
}

const countOf = (stored: Stored["stored"]): number =>
  "first" in stored ? stored.count : stored.length;

/** A key that was taken by a send of nothing; one that stands for messages stays. */
export function releaseKey(store: QueueStore, keyed: Keyed, nowMs: number): boolean {
  const before = answered<Stored["stored"]>(store, keyed, nowMs);
  if (!before.ok || before.value === undefined || countOf(before.value) > 0) return false;
  store.awakeKeys().remove(keyed.key, nowMs);
  return true;
}

function sendOne(
  store: QueueStore,
  record: Uint8Array,
  head: RecordHead,
  nowMs: number,
): { place: Placed | undefined; sent: SentMessage } {
  const word = dedupWordOf(head);
  const first = word === undefined ? undefined : firstOf(store, word, nowMs);
  if (first !== undefined) {
    if (first.half !== undefined) standBy(store, first.half, record, nowMs);
    return { place: undefined, sent: duplicateOf(store, first.id) };
  }
  const dueAt = QueueStore.dueAt(head, nowMs);
  const place =
    dueAt === undefined ? store.append({ record }, nowMs) : store.delay({ record }, dueAt, nowMs);
  const sent = sentMessage(store, place);
  if (word !== undefined) rememberDedup(store, word, sent.id, nowMs);
  return { place, sent };
}

/** The id of what was stored a moment ago. */
function newId(store: QueueStore, offset: number): string {
  const { incarnation, queue } = store;
  return (
    store.softId(offset) ??
    messageId({ incarnation, queue, origin: "log", position: offset, index: 0 })
  );
}

function sentMessage(store: QueueStore, placed: Placed): SentMessage & { readonly id: string } {
  const { queue } = store;
  if (placed.at === "delayed") {
    return {
      id: store.delayedId(placed.position, undefined),
      queue,
      state: "delayed",
      deliverAt: placed.deliverAt,
    };
  }
  const offset = placed.at === "log" ? placed.offset : 0;
  return { id: newId(store, offset), queue, offset, state: "ready" };
}

/** What a producer had sent before; with its id, as long as that is remembered. */
function repeatOf(
  store: QueueStore,
  counted: readonly (Counted | undefined)[],
  messages: readonly SentMessage[],
  index: number,
): SentMessage {
  const one = counted[index];
  const { queue } = store;
  const isSame = (other: Counted | undefined): boolean =>
    other !== undefined && other.key === one?.key && sameMark(other.mark, one.mark);
  const earlier = messages[counted.slice(0, index).findIndex(isSame)];
  if (earlier !== undefined) return { ...earlier, state: "duplicate" };
  const place = one === undefined ? undefined : store.producers.placeOf(one.key, one.mark);
  if (place === undefined) return { queue, state: "duplicate" };
  const id =
    place.at === "delayed" ? store.delayedId(place.position, undefined) : store.logId(place.offset);
  return id === undefined ? { queue, state: "duplicate" } : duplicateOf(store, id);
}

const sameMark = (one: ProducerMark, other: ProducerMark): boolean =>
  one.epoch === other.epoch && one.sequence === other.sequence;

function duplicateOf(store: QueueStore, id: string): SentMessage {
  const address = parseMessageId(id);
  const isInLog = address?.origin === "log" || address?.origin === "memory";
  const offset = isInLog ? address.position : undefined;
  return {
    id,
    queue: address?.queue ?? store.queue,
    ...(offset === undefined ? {} : { offset }),
    state: "duplicate",
  };
}

/**
 * Of each dedup id, the accepted message that had it first; for queues that took over its slot. A half message only held
 * it here: it goes to the new queue at its commit, and is the second there.
 */
export const duplicates = (
  store: QueueStore,
  asked: readonly DedupWord[],
  nowMs: number,
): (SentMessage | undefined)[] =>
  asked.map((word) => {
    const first = firstOf(store, word, nowMs);
    return first === undefined || first.half !== undefined
      ? undefined
      : duplicateOf(store, first.id);
  });

/** Delayed messages that are due get their offsets, in order of (due, arrival). Answers whether more may be due. */
export function moveDue(store: QueueStore, nowMs: number, max: number): boolean {
  const next = store.delayed.index.next();
  if (next === undefined || next > nowMs) return false;
  const due = store.delayed.index.popDue(nowMs, max);
  for (const { position, dueMs } of due) {
    if (store.delayed.fate(position) !== undefined) continue;
    const retimed = store.delayed.retimedTo(position);
    if (retimed !== undefined && retimed !== dueMs) continue;
    const read = store.delayed.log.read(position);
    if (read === undefined) continue;
    const entry = decodeEntry(read.entry);
    if (store.standIns.isReleased(position) && !comeBack(store, position, entry, nowMs)) continue;
    const source = { from: "delayed" as const, position, index: 0 };
    const placed = store.append(
      { ...entry, id: store.delayedId(position, entry.id), source },
      nowMs,
    );
    if (placed.at === "log") store.delayed.moved(position, placed.offset, nowMs);
    else store.delayed.sentOn(position, nowMs);
  }
  return due.length === max;
}

/**
 * Takes what another queue forwards, exactly once and in order, up to the first that belongs to another queue by now:
 * the sender is told whose the rest is.
 */
export function takeForwarded(
  store: QueueStore,
  call: ForwardCall,
  nowMs: number,
): Outcome<Forwarded> {
  const before = store.links.takenFrom(call.home);
  // A gap would mean that something is lost between; only the next number is taken.
  if (call.first > before + 1) return accept({ taken: before, placed: [] });
  const entries = unframe(call.entries);
  const news = entries.slice(before + 1 - call.first);
  const owners = news.map((entry) => ownerOf(store, entry));
  const foreign = owners.findIndex((owner) => owner !== store.queue);
  const mine = foreign < 0 ? news : news.slice(0, foreign);
  const taken = before + mine.length;
  const known = store.links.placesFrom(call.home, call.first);
  const places = mine.map((entry) => placeForwarded(store, entry, nowMs));
  if (mine.length > 0) store.links.take(call.home, taken, places);
  const rest = foreign < 0 ? {} : { owners: owners.slice(foreign) };
  return accept({ taken, placed: [...known, ...places], ...rest });
}

/** An empty entry is a number without a message. */
const ownerOf = (store: QueueStore, entry: Uint8Array): number =>
  entry.length === 0
    ? store.queue
    : store.ownerOf(readRecordHead(decodeEntry(entry).record).messageGroup);

function placeForwarded(store: QueueStore, bytes: Uint8Array, nowMs: number): ForwardPlace {
  if (bytes.length === 0) return {};
  const entry = decodeEntry(bytes);
  const head = readRecordHead(entry.record);
  const { bodyRef } = head;
  const word = dedupWordOf(head);
  if (word !== undefined && entry.id !== undefined && entry.isFirst !== true) {
    const first = claim(store, { word, id: entry.id }, nowMs);
    if (first !== undefined) {
      // With the message the queue has taken the answer for its body.
      if (bodyRef !== undefined) store.bodies.doomStray(bodyRef.key, nowMs);
      return { duplicateOf: first };
    }
  }
  const { deliverAt, isFirst: _, ...arrival } = entry;
  if (deliverAt !== undefined && deliverAt > nowMs) {
    const { position } = store.delay(arrival, deliverAt, nowMs);
    return { delayed: position, deliverAt };
  }
  const placed = store.append(arrival, nowMs);
  return placed.at === "log" ? { offset: placed.offset } : {};
}

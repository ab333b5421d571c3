/**
 * Dedup ids at one queue: who has one, and what becomes of those that come second. Run inside a flush.
 * A message that is sent or committed *has* its id for the window; a half message *holds* it until it is decided. A
 * message sent meanwhile is answered as its duplicate, and stands by: it is sent again, so to speak, when the half message
 * is not delivered. One that is committed meanwhile takes the id over.
 *
 * [U1] Nothing accepted is dropped as a duplicate of what is not: of the messages that were sent or committed with an id
 * within a window, one is delivered, however the transactions end that held it.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { decodeText, encodeText } from "../../core/bytes.ts";
import type { Entry } from "../../core/entry.ts";
import { parseMessageId } from "../../core/ids.ts";
import { readRecordHead, type RecordHead } from "../../core/record.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { recallDelayed } from "../bodies/keeping.ts";
import type { HalfPlace } from "./stand-ins.ts";
import { QueueStore } from "../store.ts";

const NO_BODY = new Uint8Array(8);
/** A stand-in's due instant while it waits for a decision. Checks end long before, and if not, it is delivered. */
const STAND_BY_MS = LIMITS.delayMsMax;
/** For so long the id that was freed goes to whoever sends first, before it goes to what stood by. */
const COME_BACK_MS = 1_000;

/** A dedup id within its message group. */
export type DedupWord = Pick<RecordHead, "messageGroup"> & { readonly dedupId: string };

/** Absent without a dedup id. */
export const dedupWordOf = ({ dedupId, messageGroup }: RecordHead): DedupWord | undefined =>
  dedupId === undefined
    ? undefined
    : { dedupId, ...(messageGroup === undefined ? {} : { messageGroup }) };

/** The message that was first, and its place in the half log while it is not decided. */
export interface First {
  readonly id: string;
  readonly half?: HalfPlace;
}

/** Half a SHA-256, so that nobody who chooses ids can make one message pass for another. Part of the storage format. */
function keyOf({ messageGroup, dedupId }: DedupWord): Uint8Array {
  const scope = messageGroup === undefined ? "" : `${messageGroup.length} ${messageGroup}`;
  return sha256(encodeText(`${scope}\0${dedupId}`)).slice(0, 16);
}

/** Who has or holds the id within the window as it is now. */
export function firstOf(store: QueueStore, word: DedupWord, nowMs: number): First | undefined {
  const { dedupWindowMs } = store.route.settings;
  const found = store.awakeKeys().find(keyOf(word), nowMs);
  if (found === undefined || found.atMs + dedupWindowMs <= nowMs) return undefined;
  const id = decodeText(found.value);
  const half = localHalf(store, id);
  const isHeld = half !== undefined && store.halves.stateOf(half.position) === "prepared";
  return isHeld ? { id, half } : { id };
}

function localHalf(store: QueueStore, id: string): HalfPlace | undefined {
  const address = parseMessageId(id);
  return address?.origin === "half" &&
    address.incarnation === store.incarnation &&
    address.queue === store.queue
    ? { position: address.position, index: address.index }
    : undefined;
}

/** The id belongs to this message for a window from now. */
export function remember(store: QueueStore, word: DedupWord, id: string, nowMs: number): void {
  const windowMs = store.route.settings.dedupWindowMs;
  if (windowMs === 0) return;
  const keys = store.awakeKeys();
  const key = keyOf(word);
  keys.add(key, {
    body: NO_BODY,
    atMs: nowMs,
    // A window that became shorter leaves an older record that the index holds for longer: this one must hide it.
    untilMs: Math.max(nowMs + windowMs, keys.find(key, nowMs)?.untilMs ?? 0),
    value: encodeText(id),
  });
}

/** Keeps a message that was sent as the duplicate of an undecided half message; one is enough. */
export function standBy(
  store: QueueStore,
  half: HalfPlace,
  record: Uint8Array,
  nowMs: number,
): void {
  if (store.standIns.of(half) !== undefined) return;
  const { position } = store.delay({ record }, nowMs + STAND_BY_MS, nowMs);
  store.standIns.put(half, position);
}

/** A message that is about to be delivered. */
export interface Claim {
  readonly word: DedupWord;
  readonly id: string;
  /** Its transaction, when this queue is its home. */
  readonly position?: number;
  /** The first id that its prepare was answered. */
  readonly toldId?: string | undefined;
}

/** Takes the id for a message that is committed. Answers whose duplicate it is instead, if an accepted one has the id. */
export function claim(store: QueueStore, claimed: Claim, nowMs: number): string | undefined {
  const { word, id, position, toldId } = claimed;
  const first = firstOf(store, word, nowMs);
  if (first !== undefined && first.id !== id) {
    // Of two with one id in a transaction the earlier one has been here a moment ago.
    if (first.half === undefined || first.half.position === position) return first.id;
  }
  const told = toldId === undefined ? undefined : acceptedAs(store, toldId);
  if (told !== undefined) return told;
  if (first?.half !== undefined) dismiss(store, first.half, nowMs);
  remember(store, word, id, nowMs);
  return undefined;
}

/** The id under which a message, or the one whose duplicate it turned out to be, was accepted; undefined if it was not. */
function acceptedAs(store: QueueStore, id: string): string | undefined {
  const half = localHalf(store, id);
  if (half === undefined) return id;
  const decided = store.halves.decidedAt(half.position);
  if (decided?.state !== "committed") return undefined;
  const placed = decided.placed[half.index];
  return placed?.at === "duplicate" ? placed.id : id;
}

/** What stands by for the half message is not needed: one with its id is delivered. */
export function dismiss(store: QueueStore, half: HalfPlace, nowMs: number): void {
  const delayed = store.standIns.take(half);
  if (delayed !== undefined && store.delayed.fate(delayed) === undefined)
    recallDelayed(store, delayed, nowMs);
}

/** The half message is not delivered: its id is free, and what stands by for it comes back soon. */
export function release(
  store: QueueStore,
  word: DedupWord,
  own: HalfPlace & { readonly id: string },
  nowMs: number,
): void {
  if (firstOf(store, word, nowMs)?.id === own.id) store.awakeKeys().remove(keyOf(word), nowMs);
  const delayed = store.standIns.take(own);
  if (delayed === undefined || store.delayed.fate(delayed) !== undefined) return;
  store.standIns.release(delayed);
  store.delayed.retime(delayed, nowMs + COME_BACK_MS);
}

/** What stood by comes back, as if it were sent again. Answers whether it takes its place in the log now. */
export function comeBack(
  store: QueueStore,
  delayed: number,
  { id, record, sentAt = 0 }: Entry,
  nowMs: number,
): boolean {
  store.standIns.settle(delayed);
  const head = readRecordHead(record);
  const word = dedupWordOf(head);
  const first = word === undefined ? undefined : firstOf(store, word, nowMs);
  if (first !== undefined) {
    if (first.half !== undefined && store.standIns.of(first.half) === undefined) {
      store.standIns.put(first.half, delayed);
      store.delayed.retime(delayed, nowMs + STAND_BY_MS);
    } else recallDelayed(store, delayed, nowMs);
    return false;
  }
  if (word !== undefined) remember(store, word, store.delayedId(delayed, id), nowMs);
  // Its own delay counts from when it was sent.
  const dueAt = QueueStore.dueAt(head, sentAt) ?? nowMs;
  if (dueAt <= nowMs) return true;
  store.delayed.retime(delayed, dueAt);
  return false;
}

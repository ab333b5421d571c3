/**
 * What happens to large bodies as messages come, move and go: the hooks of sending, deciding and forwarding, run inside
 * their flush. What the rows mean is bodies.ts's.
 */
import { decodeEntry } from "../../core/entry.ts";
import { readRecordHead, type RecordHead } from "../../core/record.ts";
import type { Log } from "../../platform/log.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import type { Placed } from "../halves/page.ts";
import type { HalfMessage } from "../halves/record.ts";
import type { Parcel } from "../links/links.ts";
import { STORAGE_FULL } from "../storage/full.ts";
import type { QueueStore } from "../store.ts";
import { EXPECTED_MAX } from "./bodies.ts";

const GIVEN_UP = refuse(
  "unavailable",
  "The upload of a large body took too long, or was repeated; send the message again.",
);

/** Bodies will be put under these keys, and messages that refer to them sent. */
export function expectBodies(
  store: QueueStore,
  keys: readonly Uint8Array[],
  nowMs: number,
): Outcome<undefined> {
  if (store.gauge.isFull) return STORAGE_FULL;
  if (store.bodies.expectedCount + keys.length > EXPECTED_MAX)
    return refuse("overloaded", "Too many large bodies are on their way to this queue.");
  store.bodies.expect(keys, nowMs);
  return accept(undefined);
}

/** Takes messages in, if the queue answers for their bodies. Those that it did not keep are given up. */
export function withBodies<T extends object>(
  store: QueueStore,
  heads: readonly RecordHead[],
  nowMs: number,
  take: () => Outcome<T>,
): Outcome<T> {
  const keys = heads.flatMap(({ bodyRef }) => bodyRef?.key ?? []);
  if (keys.length === 0) return take();
  if (!keys.every((key) => store.bodies.isExpected(key))) return GIVEN_UP;
  const outcome = take();
  // They come again in a moment, when other queues were asked.
  if (outcome.ok && "formerFirst" in outcome.value) return outcome;
  store.bodies.giveUp(keys, nowMs);
  return outcome;
}

const keyIn = (record: Uint8Array): Uint8Array | undefined => readRecordHead(record).bodyRef?.key;

/** A transaction has ended so. What a discarded one holds stays: it may be resumed. */
export function letHalfGo(
  store: QueueStore,
  { position, messages }: { readonly position: number; readonly messages: readonly HalfMessage[] },
  decided: { readonly state: string; readonly placed: readonly Placed[] },
  nowMs: number,
): void {
  if (store.bodies.isEmpty || decided.state === "discarded") return;
  for (const [index, { record }] of messages.entries()) {
    const key = keyIn(record);
    const isOnItsWay = decided.placed[index]?.at === "link";
    if (key !== undefined && !isOnItsWay)
      store.bodies.doom(key, { in: "half", at: position }, nowMs);
  }
}

/** A delayed message will never be delivered. */
export function recallDelayed(store: QueueStore, position: number, nowMs: number): void {
  store.delayed.recalled(position, nowMs);
  const key = store.bodies.isEmpty ? undefined : keyOfDelayed(store, position);
  if (key !== undefined) store.bodies.doom(key, { in: "delayed", at: position }, nowMs);
}

function keyOfDelayed(store: QueueStore, position: number): Uint8Array | undefined {
  const read = store.delayed.log.read(position);
  return read === undefined ? undefined : keyIn(decodeEntry(read.entry).record);
}

/** A message that was on its way has been taken by its target, which answers for the body now; or never will be. */
export function letParcelGo(
  store: QueueStore,
  { from, position, index }: Parcel,
  isTaken: boolean,
  nowMs: number,
): void {
  if (store.bodies.isEmpty || from === "void") return;
  const key =
    from === "delayed" ? keyOfDelayed(store, position) : keyOfHalf(store, position, index);
  if (key === undefined) return;
  const place = { in: from, at: position };
  if (isTaken) store.bodies.forget(key, place);
  else store.bodies.doom(key, place, nowMs);
}

function keyOfHalf(store: QueueStore, position: number, index: number): Uint8Array | undefined {
  const message = store.halves.read(position)?.messages[index];
  return message === undefined ? undefined : keyIn(message.record);
}

/** The topic is deleted: is nothing of it in the bucket any more? What is there goes first, where there is a bucket. */
export function areBodiesGone(
  store: QueueStore,
  hasBucket: boolean,
  log: Log,
  nowMs: number,
): boolean {
  if (store.bodies.isEmpty) return true;
  if (hasBucket) store.bodies.doomAll(nowMs);
  else log.error("bodies.left", { topic: store.route.topic, queue: store.queue });
  return !hasBucket;
}

/**
 * Transactions at their home queue: prepare and decide. The commands' bodies, run inside a flush; the
 * verdicts come from core/half-message.ts. A commit appends to the message log and marks the half in the same flush.
 */
import { decide as verdictOf } from "../core/half-message.ts";
import { decodeEntry, encodeEntry } from "../core/entry.ts";
import { readRecordHead, unframe } from "../core/record.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type {
  DecideCall,
  Decided as DecidedAnswer,
  Decider,
  PrepareCall,
  Prepared,
  Target,
} from "../protocol/rpc.ts";
import { letHalfGo, withBodies } from "./bodies/keeping.ts";
import { claim, dedupWordOf, dismiss, firstOf, release, remember } from "./duplicates/dedup.ts";
import type { Decided, Placed } from "./halves/page.ts";
import type { HalfMessage } from "./halves/record.ts";
import type { OpenHalf } from "./halves/open.ts";
import { groupMark, type Parcel } from "./links/links.ts";
import { newcomersOf, noRoom } from "./room.ts";
import { answered, remember as rememberAnswer } from "./sending.ts";
import type { HalfPlace } from "./duplicates/stand-ins.ts";
import { QueueStore } from "./store.ts";
import { halfId, idOf, messagesOf } from "./halves/transaction-view.ts";

export const missing = refuse("transaction_not_found", "There is no such transaction.");

// ---------------------------------------------------------------- prepare

export function prepare(store: QueueStore, call: PrepareCall, nowMs: number): Outcome<Prepared> {
  const before = answered<Omit<Prepared, "replayed">>(store, call.keyed, nowMs);
  if (!before.ok) return before;
  if (before.value !== undefined) return accept({ ...before.value, replayed: true });
  if (call.overdue !== undefined) return call.overdue;
  const records = unframe(call.records);
  return withBodies(store, records.map(readRecordHead), nowMs, () =>
    takeHalves(store, call, records, nowMs),
  );
}

function takeHalves(
  store: QueueStore,
  call: PrepareCall,
  records: readonly Uint8Array[],
  nowMs: number,
): Outcome<Prepared> {
  const full = noRoomForHalves(store, call, records, nowMs);
  if (full !== undefined) return full;
  const position = store.halves.log.next;
  const messageIds: string[] = [];
  const messages = records.map((record, index): HalfMessage => {
    const target = call.targets[index];
    const remote = target === undefined || isHome(store, target) ? undefined : target;
    const id = halfId(store, position, index);
    const word = remote === undefined ? dedupWordOf(readRecordHead(record)) : undefined;
    const first = word === undefined ? undefined : firstOf(store, word, nowMs)?.id;
    if (word !== undefined && first === undefined) remember(store, word, id, nowMs);
    messageIds.push(first ?? id);
    const { bodyRef } = readRecordHead(record);
    if (bodyRef !== undefined) store.bodies.place(bodyRef.key, { in: "half", at: position });
    return {
      ...(remote === undefined ? {} : { target: remote }),
      ...(first === undefined ? {} : { duplicateOf: first }),
      record,
    };
  });
  const open = store.halves.prepare(
    { producerGroup: call.producerGroup, policy: call.check, messages },
    nowMs,
  );
  const answer = {
    transactionId: idOf(store, position),
    producerGroup: call.producerGroup,
    check: call.check,
    nextCheckAt: open.nextCheckAt,
    messageIds,
  };
  rememberAnswer(store, call.keyed, answer, nowMs);
  return accept({ ...answer, replayed: false });
}

/** A commit finds room always, so that it is the prepare that must find it. */
function noRoomForHalves(
  store: QueueStore,
  call: PrepareCall,
  records: readonly Uint8Array[],
  nowMs: number,
): Refusal | undefined {
  const { preparedMax, forwardingMax } = store.bounds;
  const isFull = store.halves.open.size >= preparedMax || store.links.pending >= forwardingMax;
  if (isFull) return refuse("overloaded", "The queue has too many transactions open.");
  const here = records.filter((_, index) => {
    const target = call.targets[index];
    return target === undefined || isHome(store, target);
  });
  const batch = { records: here, heads: here.map(readRecordHead), counted: [] };
  return noRoom(store, newcomersOf(store, batch, call.keyed !== undefined, nowMs), nowMs);
}

const isHome = (store: QueueStore, target: Target): boolean =>
  target.incarnation === store.incarnation && target.queue === store.queue;

// ---------------------------------------------------------------- decide

export function decide(store: QueueStore, call: DecideCall, nowMs: number): Outcome<DecidedAnswer> {
  const before = answered<Omit<DecidedAnswer, "replayed">>(store, call.keyed, nowMs);
  if (!before.ok) return before;
  if (before.value !== undefined) return accept({ ...before.value, replayed: true });
  const outcome = apply(store, call, nowMs);
  if (!outcome.ok) return outcome;
  const { replayed: _, ...answer } = outcome.value;
  rememberAnswer(store, call.keyed, answer, nowMs);
  return outcome;
}

/** Does what the rules say of a decision. */
export function apply(store: QueueStore, call: DecideCall, nowMs: number): Outcome<DecidedAnswer> {
  const state = store.halves.stateOf(call.position);
  if (state === undefined) return missing;
  const verdict = verdictOf(state, call.decision);
  const open = store.halves.open.get(call.position);
  switch (verdict.do) {
    case "refuse":
      return refuse(verdict.code, `The transaction is ${state}.`, {
        state,
        transactionId: idOf(store, call.position),
      });
    case "repeat":
      return accept(decidedAnswer(store, call.position, true));
    case "resume": {
      const timeoutMs = store.halves.read(call.position)?.policy.timeoutMs ?? 0;
      store.halves.resume(call.position, nowMs + timeoutMs);
      holdAgain(store, call.position, nowMs);
      return accept(decidedAnswer(store, call.position, false));
    }
    case "postpone":
      if (open === undefined) return missing;
      // An older check's `unknown` says nothing of the newest one.
      if (call.attempt === undefined || call.attempt === open.checks)
        store.halves.postpone(open, nowMs + open.policy.intervalMs);
      return accept(decidedAnswer(store, call.position, false));
    case "move":
      if (open === undefined) return missing;
      settle(store, open, { to: verdict.to, by: call.by }, nowMs);
      return accept(decidedAnswer(store, call.position, false));
  }
}

/** The transaction ends so. */
export function settle(
  store: QueueStore,
  open: OpenHalf,
  how: { to: "committed" | "rolledBack" | "discarded"; by: Decider | undefined },
  nowMs: number,
): void {
  const half = store.halves.read(open.position);
  const placed =
    how.to === "committed"
      ? (half?.messages ?? []).map((message, index) =>
          deliver(
            store,
            { position: open.position, index, preparedAt: open.preparedAt },
            message,
            nowMs,
          ),
        )
      : [];
  if (how.to !== "committed")
    for (const [index, message] of half?.messages.entries() ?? [])
      freeDedup(store, { position: open.position, index }, message, nowMs);
  const { checks, lastCheck } = open;
  const decided: Decided = { state: how.to, by: how.by, at: nowMs, checks, lastCheck, placed };
  store.halves.decide(open, decided);
  letHalfGo(store, { position: open.position, messages: half?.messages ?? [] }, decided, nowMs);
}

function freeDedup(store: QueueStore, half: HalfPlace, message: HalfMessage, nowMs: number): void {
  const word = dedupWordOf(readRecordHead(message.record));
  if (word === undefined || message.target !== undefined) return;
  release(store, word, { ...half, id: halfId(store, half.position, half.index) }, nowMs);
}

/** A transaction that is prepared again holds the dedup ids that are still free. */
function holdAgain(store: QueueStore, position: number, nowMs: number): void {
  for (const [index, message] of store.halves.read(position)?.messages.entries() ?? []) {
    const word = dedupWordOf(readRecordHead(message.record));
    if (word === undefined || message.target !== undefined) continue;
    if (firstOf(store, word, nowMs) === undefined)
      remember(store, word, halfId(store, position, index), nowMs);
  }
}

/** One message of a committed transaction takes its place; its delay counts from now. */
function deliver(
  store: QueueStore,
  half: { position: number; index: number; preparedAt: number },
  message: HalfMessage,
  nowMs: number,
): Placed {
  const id = halfId(store, half.position, half.index);
  const head = readRecordHead(message.record);
  const word = dedupWordOf(head);
  if (word !== undefined && message.target === undefined) {
    const { position } = half;
    const first = claim(store, { word, id, position, toldId: message.duplicateOf }, nowMs);
    dismiss(store, half, nowMs);
    if (first !== undefined) return { at: "duplicate", id: first };
  }
  const dueAt = QueueStore.dueAt(head, nowMs);
  const source = { from: "half" as const, position: half.position, index: half.index };
  if (message.target !== undefined) {
    const group = groupMark(head.messageGroup);
    store.links.push(message.target, { ...source, deliverAt: dueAt ?? 0, group });
    return { at: "link" };
  }
  const arrival = {
    record: message.record,
    id,
    sentAt: half.preparedAt,
    transactionId: idOf(store, half.position),
    source,
  };
  return dueAt === undefined ? store.append(arrival, nowMs) : store.delay(arrival, dueAt, nowMs);
}

/** The entry of a parcel that goes to another queue; nothing for a number without a message. */
export function parcelEntry(store: QueueStore, parcel: Parcel): Uint8Array | undefined {
  if (parcel.from === "void") return undefined;
  if (parcel.from === "delayed") return delayedEntry(store, parcel.position);
  const half = store.halves.read(parcel.position);
  const message = half?.messages[parcel.index];
  if (half === undefined || message === undefined) return undefined;
  return encodeEntry({
    id: halfId(store, parcel.position, parcel.index),
    sentAt: half.preparedAt,
    transactionId: idOf(store, parcel.position),
    ...(parcel.deliverAt === 0 ? {} : { deliverAt: parcel.deliverAt }),
    record: message.record,
  });
}

/** A delayed message that is sent on keeps the id that it has here. */
function delayedEntry(store: QueueStore, position: number): Uint8Array | undefined {
  const read = store.delayed.log.read(position);
  if (read === undefined) return undefined;
  const entry = decodeEntry(read.entry);
  return encodeEntry({ ...entry, id: store.delayedId(position, entry.id), isFirst: true });
}

function decidedAnswer(store: QueueStore, position: number, repeated: boolean): DecidedAnswer {
  const state = store.halves.stateOf(position) ?? "prepared";
  const open = store.halves.open.get(position);
  return {
    transactionId: idOf(store, position),
    state,
    repeated,
    messages: state === "committed" ? messagesOf(store, position) : [],
    ...(open === undefined ? {} : { nextCheckAt: open.nextCheckAt }),
    replayed: false,
  };
}

/** Is a message of this committed transaction still on its way? */
export const isForwarding = (store: QueueStore, position: number): boolean =>
  store.halves.decidedAt(position)?.placed.some(({ at }) => at === "link") === true;

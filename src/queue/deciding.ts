/**
 * Transactions at their home queue: prepare, decide, check, discard. The commands' bodies, run inside a flush; the
 * verdicts come from core/half-message.ts. A commit appends to the message log and marks the half in the same flush.
 */
import { due, decide as verdictOf } from "../core/half-message.ts";
import { decodeEntry, encodeEntry } from "../core/entry.ts";
import { messageId, transactionId } from "../core/ids.ts";
import { frame, readRecordHead, unframe } from "../core/record.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import type {
  CheckBegun,
  CheckOffer,
  DecideCall,
  Decided as DecidedAnswer,
  Decider,
  PrepareCall,
  Prepared,
  Target,
  TransactionMessage,
  TransactionState,
  TransactionView,
} from "../protocol/rpc.ts";
import type { Decided, Placed } from "./half-page.ts";
import type { HalfMessage } from "./half-record.ts";
import type { OpenHalf } from "./halves.ts";
import { groupMark, type Parcel } from "./links.ts";
import { answered, remember } from "./sending.ts";
import { QueueStore } from "./store.ts";

/** An offer to a coordinator that led to nothing is made again after this. */
const OFFER_MS = 5_000;

const missing = refuse("transaction_not_found", "There is no such transaction.");

const idOf = (store: QueueStore, position: number): string =>
  transactionId({ incarnation: store.incarnation, queue: store.queue, position });

const halfId = (store: QueueStore, position: number, index: number): string =>
  messageId({
    incarnation: store.incarnation,
    queue: store.queue,
    origin: "half",
    position,
    index,
  });

// ---------------------------------------------------------------- prepare

export function prepare(store: QueueStore, call: PrepareCall, nowMs: number): Outcome<Prepared> {
  const before = answered<Omit<Prepared, "replayed">>(store, call.keyed, nowMs);
  if (!before.ok) return before;
  if (before.value !== undefined) return accept({ ...before.value, replayed: true });
  const position = store.halves.log.next;
  const messageIds: string[] = [];
  const messages = unframe(call.records).map((record, index): HalfMessage => {
    const target = call.targets[index];
    const remote = target === undefined || isHome(store, target) ? undefined : target;
    const { dedupId, messageGroup } = readRecordHead(record);
    const id = halfId(store, position, index);
    const first =
      dedupId === undefined || remote !== undefined
        ? undefined
        : store.firstWithDedup(messageGroup, dedupId, nowMs);
    if (first === undefined && dedupId !== undefined && remote === undefined) {
      store.rememberDedup(messageGroup, dedupId, id, nowMs);
    }
    messageIds.push(first ?? id);
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
  remember(store, call.keyed, answer, nowMs);
  return accept({ ...answer, replayed: false });
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
  remember(store, call.keyed, answer, nowMs);
  return outcome;
}

function apply(store: QueueStore, call: DecideCall, nowMs: number): Outcome<DecidedAnswer> {
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

function settle(
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
    for (const message of half?.messages ?? []) freeDedup(store, message, nowMs);
  const decided: Decided = { state: how.to, by: how.by, at: nowMs, checks: open.checks, placed };
  store.halves.decide(open, decided);
}

function freeDedup(store: QueueStore, message: HalfMessage, nowMs: number): void {
  const { dedupId, messageGroup } = readRecordHead(message.record);
  if (dedupId === undefined || message.duplicateOf !== undefined || message.target !== undefined)
    return;
  store.awakeKeys().remove(QueueStore.dedupKey(messageGroup, dedupId), nowMs);
}

/** One message of a committed transaction takes its place; its delay counts from now. */
function deliver(
  store: QueueStore,
  half: { position: number; index: number; preparedAt: number },
  message: HalfMessage,
  nowMs: number,
): Placed {
  if (message.duplicateOf !== undefined) return { at: "duplicate", id: message.duplicateOf };
  const dueAt = QueueStore.dueAt(message.record, nowMs);
  const source = { from: "half" as const, position: half.position, index: half.index };
  if (message.target !== undefined) {
    const group = groupMark(readRecordHead(message.record).messageGroup);
    store.links.push(message.target, { ...source, deliverAt: dueAt ?? 0, group });
    return { at: "link" };
  }
  const arrival = {
    record: message.record,
    id: halfId(store, half.position, half.index),
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
  return encodeEntry({ ...entry, id: store.delayedId(position, entry.id) });
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

function messagesOf(store: QueueStore, position: number): TransactionMessage[] {
  const half = store.halves.read(position);
  const placed = store.halves.decidedAt(position)?.placed ?? [];
  return (half?.messages ?? []).map((message, index) => ({
    id: message.duplicateOf ?? halfId(store, position, index),
    ...(message.target === undefined || message.target.topic === store.route.topic
      ? {}
      : { topic: message.target.topic }),
    queue: message.target?.queue ?? store.queue,
    ...placeView(store, placed[index]),
  }));
}

function placeView(store: QueueStore, placed: Placed | undefined): Partial<TransactionMessage> {
  if (placed === undefined) return {};
  if (placed.at === "undeliverable") return { undeliverable: true };
  if (placed.at === "delayed") {
    const fate = store.delayed.fate(placed.position);
    if (fate === undefined)
      return { deliverAt: store.delayed.dueAt(placed.position) ?? placed.deliverAt };
    if (fate.is === "moved") return { offset: fate.offset };
    return fate.is === "sentOn" ? (fate.to ?? {}) : {};
  }
  if (placed.at !== "log" && placed.at !== "remote") return {};
  return {
    queue: placed.queue,
    ...(placed.offset === undefined ? {} : { offset: placed.offset }),
    ...(placed.at === "log" || placed.deliverAt === undefined
      ? {}
      : { deliverAt: placed.deliverAt }),
  };
}

// ---------------------------------------------------------------- looking

export function view(store: QueueStore, position: number): TransactionView | undefined {
  const half = store.halves.read(position);
  const state = store.halves.stateOf(position);
  if (half === undefined || state === undefined) return undefined;
  const open = store.halves.open.get(position);
  const decided = store.halves.decidedAt(position);
  return {
    transactionId: idOf(store, position),
    topic: store.route.topic,
    queue: store.queue,
    producerGroup: half.producerGroup,
    state,
    checks: open?.checks ?? decided?.checks ?? 0,
    check: half.policy,
    ...(open === undefined ? {} : { nextCheckAt: open.nextCheckAt }),
    ...(decided?.by === undefined || open !== undefined ? {} : { decidedBy: decided.by }),
    preparedAt: half.preparedAt,
    ...(decided === undefined || open !== undefined ? {} : { decidedAt: decided.at }),
    messages: messagesOf(store, position),
  };
}

/** Transactions from a position on, oldest first; looks at a bounded stretch. */
export function list(
  store: QueueStore,
  query: { state?: TransactionState; from: number; limit: number },
): { items: TransactionView[]; next?: number } {
  const items: TransactionView[] = [];
  const { state } = query;
  const narrow =
    state === "prepared"
      ? [...store.halves.open.keys()]
      : state === "discarded"
        ? [...store.halves.discarded]
        : undefined;
  if (narrow !== undefined) {
    const positions = narrow.filter((position) => position >= query.from).toSorted((a, b) => a - b);
    for (const position of positions.slice(0, query.limit)) {
      const found = view(store, position);
      if (found !== undefined) items.push(found);
    }
    const next = positions[query.limit];
    return next === undefined ? { items } : { items, next };
  }
  let position = Math.max(query.from, store.halves.log.first);
  const end = Math.min(store.halves.log.next, position + 10_000);
  for (; position < end && items.length < query.limit; position++) {
    if (state !== undefined && store.halves.stateOf(position) !== state) continue;
    const found = view(store, position);
    if (found !== undefined) items.push(found);
  }
  return position < store.halves.log.next ? { items, next: position } : { items };
}

// ---------------------------------------------------------------- checks

/** Discards what ran out of checks; answers the offers to make, by producer group. Bounded. */
export function sweep(
  store: QueueStore,
  nowMs: number,
  max: number,
): { offers: Map<string, CheckOffer[]>; discarded: string[] } {
  const offers = new Map<string, CheckOffer[]>();
  const discarded: string[] = [];
  for (const open of store.halves.takeDue(nowMs, max)) {
    const what = due(open, nowMs);
    if (what === "discard") {
      settle(store, open, { to: "discarded", by: undefined }, nowMs);
      discarded.push(idOf(store, open.position));
      continue;
    }
    if (what === "check") {
      const group = offers.get(open.producerGroup) ?? [];
      const { topic, incarnation } = store.route;
      group.push({
        topic,
        incarnation,
        queue: store.queue,
        position: open.position,
        attempt: open.checks + 1,
      });
      offers.set(open.producerGroup, group);
      open.offeredUntil = nowMs + OFFER_MS;
    }
    store.halves.schedule(open);
  }
  return { offers, discarded };
}

export function beginChecks(
  store: QueueStore,
  checks: readonly { position: number; attempt: number; openUntil: number }[],
  withContent: boolean,
  nowMs: number,
): CheckBegun[] {
  const begun: CheckBegun[] = [];
  for (const { position, attempt, openUntil } of checks) {
    const open = store.halves.open.get(position);
    if (open === undefined || attempt !== open.checks + 1 || due(open, nowMs) !== "check") continue;
    store.halves.checkBegun(open, nowMs + open.policy.intervalMs, openUntil);
    const content = checkContent(store, open, withContent);
    if (content !== undefined) begun.push(content);
  }
  return begun;
}

export function checkContent(
  store: QueueStore,
  open: OpenHalf,
  withContent: boolean,
): CheckBegun | undefined {
  const half = store.halves.read(open.position);
  if (half === undefined) return undefined;
  const { topic, incarnation } = store.route;
  const messages = withContent ? half.messages : [];
  const entries = messages.map(({ record }, index) =>
    encodeEntry({
      id: halfId(store, open.position, index),
      sentAt: half.preparedAt,
      transactionId: idOf(store, open.position),
      record,
    }),
  );
  return {
    transactionId: idOf(store, open.position),
    topic,
    queue: store.queue,
    producerGroup: half.producerGroup,
    attempt: open.checks,
    maxChecks: half.policy.maxChecks,
    preparedAt: half.preparedAt,
    entries: frame(entries),
    targets: messages.map(({ target }) => target ?? { topic, incarnation, queue: store.queue }),
  };
}

export function endCheck(
  store: QueueStore,
  end: { position: number; attempt: number; resolution: "commit" | "rollback" | "unknown" },
  nowMs: number,
): Outcome<{ state: TransactionState }> {
  const open = store.halves.open.get(end.position);
  const state = store.halves.stateOf(end.position);
  if (state === undefined) return missing;
  if (open !== undefined && end.resolution === "unknown") {
    if (end.attempt === open.checks && open.openUntil > 0) store.halves.checkEnded(open);
    return accept({ state });
  }
  if (end.resolution === "unknown") return accept({ state });
  const outcome = apply(
    store,
    { stamp: store.route, position: end.position, decision: end.resolution, by: "check" },
    nowMs,
  );
  return outcome.ok ? accept({ state: outcome.value.state }) : outcome;
}

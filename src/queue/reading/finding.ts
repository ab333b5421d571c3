/**
 * One message by its id: where it stands, what each group has done with it, and taking it back or re-timing it while it
 * waits. A message that went on to another queue is not answered from here: the caller is told where to ask.
 */
import { recallDelayed } from "../bodies/keeping.ts";
import { decodeEntry } from "../../core/entry.ts";
import { messageId, parseMessageId } from "../../core/ids.ts";
import { accept, refuse, type Outcome } from "../../protocol/errors.ts";
import type { Located, MessageCall, MessageView } from "../../protocol/rpc.ts";
import { lifeOf } from "../trace/life.ts";
import type { Group } from "../delivery/group.ts";
import type { QueueStore } from "../store.ts";

const missing = refuse("message_not_found", "There is no such message.");
const underway = refuse("unavailable", "The message is on its way to another queue; come again.");

type Found =
  | { readonly is: "stored"; readonly offset: number }
  | { readonly is: "waiting" | "recalled"; readonly position: number }
  | { readonly is: "elsewhere"; readonly place: Located & { is: "elsewhere" } }
  /** Committed, or due, and not yet taken by its queue. */
  | { readonly is: "underway"; readonly view: MessageView };

function find(store: QueueStore, { id, at }: MessageCall, nowMs: number): Found | undefined {
  if (at !== undefined)
    return "offset" in at ? stored(store, id, at.offset) : delayed(store, id, at.delayed);
  const address = parseMessageId(id);
  if (address?.incarnation !== store.incarnation || address.queue !== store.queue) return undefined;
  if (address.origin === "log" || address.origin === "memory")
    return stored(store, id, address.position);
  if (address.origin === "delayed") return delayed(store, id, address.position);
  return half(store, id, address, nowMs);
}

/** A message of a transaction of this queue; a half message is none. */
function half(
  store: QueueStore,
  id: string,
  { position, index }: { position: number; index: number },
  nowMs: number,
): Found | undefined {
  const decided = store.halves.decidedAt(position);
  const placed = decided?.state === "committed" ? decided.placed[index] : undefined;
  switch (placed?.at) {
    case "log":
      return stored(store, id, placed.offset);
    case "delayed":
      return delayed(store, id, placed.position);
    case "link":
    case "remote":
      break;
    case "duplicate":
    case "undeliverable":
    case undefined:
      return undefined;
  }
  const transaction = store.halves.read(position);
  if (transaction === undefined) return undefined;
  const target = transaction.messages[index]?.target;
  const { topic, incarnation, queue } = {
    topic: store.route.topic,
    incarnation: store.incarnation,
    queue: store.queue,
    ...target,
    ...(placed.at === "remote" ? { queue: placed.queue } : {}),
  };
  if (placed.at === "remote" && placed.offset !== undefined)
    return {
      is: "elsewhere",
      place: elsewhere(topic, incarnation, queue, { offset: placed.offset }),
    };
  if (placed.at === "remote" && placed.delayed !== undefined)
    return {
      is: "elsewhere",
      place: elsewhere(topic, incarnation, queue, { delayed: placed.delayed }),
    };
  const deliverAt = placed.at === "remote" ? placed.deliverAt : undefined;
  const view: MessageView = {
    id,
    topic,
    queue,
    state: deliverAt !== undefined && deliverAt > nowMs ? "delayed" : "ready",
    sentAt: transaction.preparedAt,
    groups: [],
  };
  return { is: "underway", view };
}

const elsewhere = (
  topic: string,
  incarnation: number,
  queue: number,
  at: (Located & { is: "elsewhere" })["at"],
): Located & { is: "elsewhere" } => ({ is: "elsewhere", topic, incarnation, queue, at });

function delayed(store: QueueStore, id: string, position: number): Found | undefined {
  const read = store.delayed.log.read(position);
  if (read === undefined) return undefined;
  const entry = decodeEntry(read.entry);
  if (store.delayedId(position, entry.id) !== id) return undefined;
  const fate = store.delayed.fate(position);
  if (fate === undefined) return { is: "waiting", position };
  if (fate.is === "recalled") return { is: "recalled", position };
  if (fate.is === "moved") return { is: "stored", offset: fate.offset };
  const { topic } = store.route;
  if (fate.to !== undefined) {
    const { queue, offset } = fate.to;
    return { is: "elsewhere", place: elsewhere(topic, store.incarnation, queue, { offset }) };
  }
  const sentAt = entry.sentAt ?? read.storedAt;
  const view: MessageView = { id, topic, queue: store.queue, state: "ready", sentAt, groups: [] };
  return { is: "underway", view };
}

function stored(store: QueueStore, id: string, offset: number): Found | undefined {
  if (offset >= store.messages.next) return undefined;
  const read = store.messages.look(offset);
  // What is expired can't be compared; the id or its home has named this place.
  if (read === undefined) return { is: "stored", offset };
  const own = messageId({
    incarnation: store.incarnation,
    queue: store.queue,
    origin: "log",
    position: offset,
    index: 0,
  });
  return (decodeEntry(read.entry).id ?? own) === id ? { is: "stored", offset } : undefined;
}

// ---------------------------------------------------------------- what callers ask

/** Where to ask for the message. */
export function locate(store: QueueStore, call: MessageCall, nowMs: number): Outcome<Located> {
  const found = find(store, call, nowMs);
  if (found === undefined) return missing;
  if (found.is !== "elsewhere") return accept({ is: "here" });
  const events = lifeOf(store, call, nowMs);
  return accept(events === undefined ? found.place : { ...found.place, events });
}

/** The message as it stands here. What is elsewhere is `message_not_found`: `locate` says where. */
export function message(store: QueueStore, call: MessageCall, nowMs: number): Outcome<MessageView> {
  const view = viewOf(store, call, nowMs);
  const events = view.ok ? lifeOf(store, call, nowMs) : undefined;
  return view.ok && events !== undefined ? accept({ ...view.value, events }) : view;
}

function viewOf(store: QueueStore, call: MessageCall, nowMs: number): Outcome<MessageView> {
  const found = find(store, call, nowMs);
  switch (found?.is) {
    case "underway":
      return accept(found.view);
    case "stored":
      return accept(storedView(store, call.id, found.offset, nowMs));
    case "waiting":
    case "recalled":
      return waitingView(store, call.id, found);
    case "elsewhere":
    case undefined:
      return missing;
  }
}

function waitingView(
  store: QueueStore,
  id: string,
  found: { readonly is: "waiting" | "recalled"; readonly position: number },
): Outcome<MessageView> {
  const read = store.delayed.log.read(found.position);
  if (read === undefined) return missing;
  const dueAt = found.is === "waiting" ? store.delayed.dueAt(found.position) : undefined;
  return accept({
    id,
    topic: store.route.topic,
    queue: store.queue,
    state: found.is === "waiting" ? "delayed" : "recalled",
    sentAt: decodeEntry(read.entry).sentAt ?? read.storedAt,
    ...(dueAt === undefined ? {} : { deliverAt: dueAt }),
    groups: [],
  });
}

function storedView(store: QueueStore, id: string, offset: number, nowMs: number): MessageView {
  const read = store.messages.look(offset);
  const place = { id, topic: store.route.topic, queue: store.queue, offset };
  if (read === undefined) return { ...place, state: "expired", sentAt: 0, groups: [] };
  const entry = decodeEntry(read.entry);
  return {
    ...place,
    state: entry.expiresAt !== undefined && entry.expiresAt <= nowMs ? "expired" : "ready",
    sentAt: entry.sentAt ?? read.storedAt,
    storedAt: read.storedAt,
    groups: Array.from(store.groups, (group) => ({
      group: group.route.name,
      ...standing(store, group, offset, nowMs),
      ...(group.consumerId === undefined ? {} : { consumerId: group.consumerId }),
    })),
  };
}

function standing(
  store: QueueStore,
  group: Group,
  offset: number,
  nowMs: number,
): Omit<MessageView["groups"][number], "group"> {
  const number = group.number;
  const flight = store.deadLetters.flight(number, offset) ?? group.state.flight(offset);
  if (flight !== undefined) {
    const leased = flight.leased && flight.dueAt > nowMs && flight.attempt > 0;
    const state = leased ? "leased" : "retrying";
    const { attempt: deliveryAttempt, dueAt } = flight;
    // A held one comes again when somebody says so.
    const isHeld = store.deadLetters.flight(number, offset)?.held === true;
    return isHeld ? { state, deliveryAttempt } : { state, deliveryAttempt, dueAt };
  }
  const attempts = store.deadLetters.attemptsOf(number, offset);
  if (attempts !== undefined) return { state: "deadLettered", deliveryAttempt: attempts };
  return { state: group.state.isDone(offset) ? "acked" : "waiting", deliveryAttempt: 0 };
}

// ---------------------------------------------------------------- while it waits

/** The position of a message that still waits for its time. */
function waiting(store: QueueStore, call: MessageCall, nowMs: number): Outcome<number> {
  const found = find(store, call, nowMs);
  switch (found?.is) {
    case "waiting":
      return accept(found.position);
    case "recalled":
      return refuse("already_recalled", "The message is recalled already.");
    case "stored":
      return refuse("already_delivered", "The message is delivered already, or was not delayed.");
    case "underway":
      return underway;
    case "elsewhere":
    case undefined:
      return missing;
  }
}

/** Takes a delayed message back. */
export function recall(
  store: QueueStore,
  call: MessageCall,
  nowMs: number,
): Outcome<{ id: string }> {
  const position = waiting(store, call, nowMs);
  if (!position.ok) return position;
  recallDelayed(store, position.value, nowMs);
  store.trace.note("delayed", [position.value, 1], { kind: "recalled" });
  return accept({ id: call.id });
}

/** Gives a delayed message another time. */
export function retime(
  store: QueueStore,
  call: MessageCall,
  deliverAt: number,
  nowMs: number,
): Outcome<{ id: string; deliverAt: number }> {
  const position = waiting(store, call, nowMs);
  if (!position.ok) return position;
  store.delayed.retime(position.value, deliverAt);
  store.trace.note("delayed", [position.value, 1], { kind: "retimed", value: deliverAt });
  return accept({ id: call.id, deliverAt });
}

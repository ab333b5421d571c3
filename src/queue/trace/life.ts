/**
 * The life of one message as its queue tells it, in order: what its logs say, and what the trace has noted. Reading only;
 * a part that happened in another queue is told by that one.
 */
import { decodeEntry } from "../../core/entry.ts";
import { parseMessageId } from "../../core/ids.ts";
import type { MessageCall, TraceEvent } from "../../protocol/rpc.ts";
import type { Group } from "../delivery/group.ts";
import type { QueueStore } from "../store.ts";
import type { Noted, TraceFamily } from "./trace.ts";

/** Where parts of a message's life stand here. */
interface Places {
  readonly half?: { readonly position: number; readonly index: number };
  readonly delayed?: number;
  readonly offset?: number;
}

/** Undefined on a topic without `trace`. */
export function lifeOf(
  store: QueueStore,
  call: MessageCall,
  nowMs: number,
): TraceEvent[] | undefined {
  if (!store.trace.enabled) return undefined;
  const places = placesOf(store, call);
  const events = [
    ...halfLife(store, places),
    ...delayedLife(store, places.delayed),
    ...logLife(store, places.offset, nowMs),
  ];
  // Stable: what has one instant stays in its order.
  return events.toSorted((one, other) => one.at - other.at);
}

function placesOf(store: QueueStore, { id, at }: MessageCall): Places {
  if (at !== undefined) return "offset" in at ? at : withFate(store, at.delayed);
  const address = parseMessageId(id);
  if (address?.incarnation !== store.incarnation || address.queue !== store.queue) return {};
  const { origin, position, index } = address;
  if (origin === "delayed") return withFate(store, position);
  if (origin !== "half") return { offset: position };
  const half = { position, index };
  const placed = store.halves.decidedAt(position)?.placed[index];
  if (placed?.at === "log") return { half, offset: placed.offset };
  return placed?.at === "delayed" ? { half, ...withFate(store, placed.position) } : { half };
}

function withFate(store: QueueStore, delayed: number): Places {
  const fate = store.delayed.fate(delayed);
  return fate?.is === "moved" ? { delayed, offset: fate.offset } : { delayed };
}

function halfLife(store: QueueStore, { half }: Places): TraceEvent[] {
  if (half === undefined) return [];
  const { position, index } = half;
  const read = store.halves.read(position);
  const decided = store.halves.decidedAt(position);
  const events: TraceEvent[] = [];
  if (read !== undefined) events.push({ type: "prepared", at: read.preparedAt });
  events.push(...notedOf(store, "half", position));
  if (decided === undefined) return events;
  const { state, at, by } = decided;
  events.push({ type: state, at, ...(by === undefined ? {} : { by }) });
  const placed = decided.placed[index];
  if (placed?.at === "link" || placed?.at === "remote") events.push({ type: "forwarded", at });
  return events;
}

function delayedLife(store: QueueStore, position: number | undefined): TraceEvent[] {
  const read = position === undefined ? undefined : store.delayed.log.read(position);
  if (position === undefined || read === undefined) return [];
  const dueAt = store.delayed.dueAt(position);
  const first = { type: "delayed", at: read.storedAt } as const;
  return [
    dueAt === undefined ? first : { ...first, deliverAt: dueAt },
    ...notedOf(store, "delayed", position),
  ];
}

function logLife(store: QueueStore, offset: number | undefined, nowMs: number): TraceEvent[] {
  const read = offset === undefined ? undefined : store.messages.look(offset);
  if (offset === undefined || read === undefined) return [];
  const { expiresAt } = decodeEntry(read.entry);
  const events: TraceEvent[] = [
    { type: "stored", at: read.storedAt },
    ...notedOf(store, "log", offset),
  ];
  if (expiresAt !== undefined && expiresAt <= nowMs)
    events.push({ type: "expired", at: expiresAt });
  return events;
}

/** Events of groups, and consumers, that are gone are left out. */
function notedOf(store: QueueStore, family: TraceFamily, position: number): TraceEvent[] {
  return store.trace.of(family, position).flatMap((noted) => {
    const group = store.groups.number(noted.group);
    return noted.group > 0 && group === undefined ? [] : [eventOf(noted, group)];
  });
}

function eventOf({ kind, at, value, reason }: Noted, group: Group | undefined): TraceEvent {
  const consumerId = group?.consumerId;
  const event: TraceEvent = {
    type: kind,
    at,
    ...(group === undefined ? {} : { group: group.route.name }),
    ...(consumerId === undefined ? {} : { consumerId }),
    ...(reason === "" ? {} : { reason }),
  };
  if (kind === "checked") return { ...event, attempt: value };
  if (kind === "retimed") return { ...event, deliverAt: value };
  return value === 0 ? event : { ...event, deliveryAttempt: value };
}

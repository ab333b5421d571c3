/** Transactions as readers see them: one, a list, and the ids that follow from a place in the half log. Changes nothing. */
import { messageId, transactionId } from "../../core/ids.ts";
import type { TransactionMessage, TransactionState, TransactionView } from "../../protocol/rpc.ts";
import type { Placed } from "./page.ts";
import type { HalfMessage } from "./record.ts";
import type { QueueStore } from "../store.ts";

export const idOf = (store: QueueStore, position: number): string =>
  transactionId({ incarnation: store.incarnation, queue: store.queue, position });

export const halfId = (store: QueueStore, position: number, index: number): string =>
  messageId({
    incarnation: store.incarnation,
    queue: store.queue,
    origin: "half",
    position,
    index,
  });

/** The messages of a transaction, with where they went. */
export function messagesOf(store: QueueStore, position: number): TransactionMessage[] {
  const half = store.halves.read(position);
  const placed = store.halves.decidedAt(position)?.placed ?? [];
  return (half?.messages ?? []).map((message, index) => ({
    id: shownId(message, placed[index], halfId(store, position, index)),
    ...(message.target === undefined || message.target.topic === store.route.topic
      ? {}
      : { topic: message.target.topic }),
    queue: message.target?.queue ?? store.queue,
    ...placeView(store, placed[index]),
  }));
}

/** Until it is placed, what its prepare was answered; then the id under which it, or the one before it, is delivered. */
function shownId(message: HalfMessage, placed: Placed | undefined, ownId: string): string {
  if (placed === undefined) return message.duplicateOf ?? ownId;
  return placed.at === "duplicate" ? placed.id : ownId;
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

export function view(store: QueueStore, position: number): TransactionView | undefined {
  const half = store.halves.read(position);
  const state = store.halves.stateOf(position);
  if (half === undefined || state === undefined) return undefined;
  const open = store.halves.open.get(position);
  const decided = store.halves.decidedAt(position);
  const lastCheck = open === undefined ? decided?.lastCheck : open.lastCheck;
  return {
    transactionId: idOf(store, position),
    topic: store.route.topic,
    queue: store.queue,
    producerGroup: half.producerGroup,
    state,
    checks: open?.checks ?? decided?.checks ?? 0,
    ...(lastCheck === undefined ? {} : { lastCheck }),
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
      ? Array.from(store.halves.open, ({ position }) => position)
      : state === "discarded"
        ? store.halves.discardedFrom(query.from, query.limit + 1)
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

/** What an operator does to a group at one queue: seek, and everything about dead letters. Run inside a flush. */
import { decodeEntry } from "../core/entry.ts";
import { parseMessageId } from "../core/ids.ts";
import { frame } from "../core/record.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { DeadLetters } from "../protocol/rpc.ts";
import type { Group } from "./delivery/group.ts";
import type { QueueStore } from "./store.ts";

/** So much is looked through at a time for an id. */
const PAGE = { limit: 1_000, bytesMax: LIMITS.answerBytesMax };

export function seek(
  store: QueueStore,
  group: Group,
  to: "earliest" | "latest" | { at: number } | { offset: number },
  nowMs: number,
): { offset: number } {
  const { messages } = store;
  const wanted =
    to === "earliest"
      ? messages.first
      : to === "latest"
        ? messages.next
        : "at" in to
          ? messages.positionAt(to.at)
          : to.offset;
  const offset = Math.min(Math.max(wanted, messages.first), messages.next);
  group.seek(offset, nowMs);
  return { offset };
}

export function deadLetters(
  store: QueueStore,
  group: Group,
  { cursor, limit, bytesMax }: { cursor?: string; limit: number; bytesMax: number },
): DeadLetters {
  const after = cursor === undefined ? -1 : Number.parseInt(cursor, 36);
  const { items, more } = store.deadLetters.list(
    group.route.number,
    Number.isNaN(after) ? -1 : after,
    { limit, bytesMax },
  );
  const last = items.at(-1);
  return {
    entries: frame(items.map(({ entry }) => entry)),
    items: items.map(({ offset, storedAt, deadAt, attempts, reason }) => ({
      offset,
      storedAt,
      deadAt,
      attempts,
      reason,
    })),
    ...(more && last !== undefined ? { cursor: last.offset.toString(36) } : {}),
  };
}

/** Without ids: up to `LIMITS.redriveMax` a call; the caller repeats until none is left. */
export function redrive(
  store: QueueStore,
  group: Group,
  ids: readonly string[] | undefined,
  nowMs: number,
): { redriven: number } {
  const { number } = group.route;
  const offsets =
    ids === undefined
      ? store.deadLetters.offsets(number, LIMITS.redriveMax)
      : offsetsOf(store, number, new Set(ids));
  for (const offset of offsets) {
    group.redrive(offset, nowMs);
    store.trace.note("log", [offset, 1], { kind: "redriven", group: number });
  }
  return { redriven: offsets.length };
}

/** Where dead letters with these ids stand: an id of this log says it; what came from elsewhere is looked for, page by page. */
function offsetsOf(store: QueueStore, group: number, ids: Set<string>): number[] {
  const offsets: number[] = [];
  for (const id of ids) {
    const address = parseMessageId(id);
    const isOwn =
      address?.origin === "log" &&
      address.incarnation === store.incarnation &&
      address.queue === store.queue;
    if (!isOwn) continue;
    ids.delete(id);
    if (store.deadLetters.has(group, address.position)) offsets.push(address.position);
  }
  let after = -1;
  for (let more = ids.size > 0; more && ids.size > 0;) {
    const page = store.deadLetters.list(group, after, PAGE);
    for (const { offset, entry } of page.items) {
      after = offset;
      const { id } = decodeEntry(entry);
      if (id !== undefined && ids.delete(id)) offsets.push(offset);
    }
    more = page.more;
  }
  return offsets.toSorted((one, other) => one - other);
}

export function purgeDeadLetters(store: QueueStore, group: Group): { purged: number } {
  return { purged: store.deadLetters.purge(group.route.number) };
}

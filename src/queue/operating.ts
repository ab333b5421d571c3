/** What an operator does to a group at one queue: seek, and everything about dead letters. Run inside a flush. */
import { decodeEntry } from "../core/entry.ts";
import { messageId } from "../core/ids.ts";
import { frame } from "../core/record.ts";
import type { DeadLetters } from "../protocol/rpc.ts";
import type { Group } from "./delivery/group.ts";
import type { QueueStore } from "./store.ts";

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
  query: { cursor?: string; limit: number },
): DeadLetters {
  const after = query.cursor === undefined ? -1 : Number.parseInt(query.cursor, 36);
  const found = store.deadLetters.list(
    group.route.number,
    Number.isNaN(after) ? -1 : after,
    query.limit + 1,
  );
  const items = found.slice(0, query.limit);
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
    ...(found.length > query.limit && last !== undefined
      ? { cursor: last.offset.toString(36) }
      : {}),
  };
}

/** Without ids: up to a thousand a call; the caller repeats until none is left. */
export function redrive(
  store: QueueStore,
  group: Group,
  ids: readonly string[] | undefined,
  nowMs: number,
): { redriven: number } {
  const wanted = ids === undefined ? undefined : new Set(ids);
  let redriven = 0;
  for (const { offset, entry } of store.deadLetters.list(
    group.route.number,
    -1,
    wanted === undefined ? 1_000 : 100_000,
  )) {
    const own = messageId({
      incarnation: store.incarnation,
      queue: store.queue,
      origin: "log",
      position: offset,
      index: 0,
    });
    if (wanted !== undefined && !wanted.has(decodeEntry(entry).id ?? own)) continue;
    group.redrive(offset, nowMs);
    redriven++;
  }
  return { redriven };
}

export function purgeDeadLetters(store: QueueStore, group: Group): { purged: number } {
  return { purged: store.deadLetters.purge(group.route.number) };
}

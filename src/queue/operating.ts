/**
 * What an operator does to a group at one queue: seek, and everything about dead letters; to all the consumers of a
 * broadcast group, or to one. Run inside a flush.
 */
import { decodeEntry } from "../core/entry.ts";
import { parseMessageId } from "../core/ids.ts";
import { frame } from "../core/record.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { DeadLetters, SeekTo } from "../protocol/rpc.ts";
import type { DeadLetter } from "./delivery/dead-letters.ts";
import type { Group } from "./delivery/group.ts";
import type { QueueStore } from "./store.ts";

/** So much is looked through at a time for an id. */
const PAGE = { limit: 1_000, bytesMax: LIMITS.answerBytesMax };

export function seek(
  store: QueueStore,
  groups: readonly Group[],
  to: SeekTo,
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
  for (const group of groups) group.seek(offset, nowMs);
  return { offset };
}

/** By delivery state, then by offset; the cursor says which letter of which state was the last. */
export function deadLetters(
  store: QueueStore,
  groups: readonly Group[],
  { cursor, limit, bytesMax }: { cursor?: string; limit: number; bytesMax: number },
): DeadLetters {
  const [afterNumber = 0, afterOffset = -1] = numbersOf(cursor);
  const found: { letter: DeadLetter; group: Group }[] = [];
  let bytes = 0;
  let more = false;
  for (const group of groups.toSorted((one, other) => one.number - other.number)) {
    if (group.number < afterNumber || store.deadLetters.count(group.number) === 0) continue;
    if (more || found.length >= limit || bytes >= bytesMax) {
      more = true;
      break;
    }
    const after = group.number === afterNumber ? afterOffset : -1;
    const room = { limit: limit - found.length, bytesMax: bytesMax - bytes };
    const page = store.deadLetters.list(group.number, after, room);
    for (const letter of page.items) {
      found.push({ letter, group });
      bytes += letter.weight;
    }
    ({ more } = page);
  }
  const last = found.at(-1);
  return {
    entries: frame(found.map(({ letter }) => letter.entry)),
    items: found.map(({ letter, group: { consumerId } }) => {
      const { offset, storedAt, deadAt, attempts, reason } = letter;
      const view = { offset, storedAt, deadAt, attempts, reason };
      return consumerId === undefined ? view : { ...view, consumerId };
    }),
    ...(more && last !== undefined
      ? { cursor: `${last.group.number.toString(36)}.${last.letter.offset.toString(36)}` }
      : {}),
  };
}

/** The two numbers of a cursor; none for another text. */
function numbersOf(cursor: string | undefined): number[] {
  const numbers = (cursor ?? "").split(".").map((part) => Number.parseInt(part, 36));
  return numbers.length === 2 && numbers.every((number) => Number.isSafeInteger(number))
    ? numbers
    : [];
}

/** Without ids: up to `LIMITS.redriveMax` a call; the caller repeats until none is left. */
export function redrive(
  store: QueueStore,
  groups: readonly Group[],
  ids: readonly string[] | undefined,
  nowMs: number,
): { redriven: number } {
  let redriven = 0;
  for (const group of groups) {
    const offsets =
      ids === undefined
        ? store.deadLetters.offsets(group.number, LIMITS.redriveMax - redriven)
        : offsetsOf(store, group.number, new Set(ids));
    putBack(store, group, offsets, nowMs);
    redriven += offsets.length;
  }
  return { redriven };
}

/** Dead letters of one delivery state come back as new deliveries. */
export function putBack(
  store: QueueStore,
  group: Group,
  offsets: readonly number[],
  nowMs: number,
): void {
  for (const offset of offsets) {
    group.redrive(offset, nowMs);
    store.trace.note("log", [offset, 1], { kind: "redriven", group: group.number });
  }
}

/** Where dead letters with these ids stand: an id of this log says it; what came from elsewhere is looked for, page by page. */
export function offsetsOf(store: QueueStore, group: number, ids: Set<string>): number[] {
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

/** Absent ids: all of them. */
export function purgeDeadLetters(
  store: QueueStore,
  groups: readonly Group[],
  ids?: readonly string[],
): { purged: number } {
  let purged = 0;
  for (const { number } of groups) {
    if (ids === undefined) {
      purged += store.deadLetters.purge(number);
      continue;
    }
    const offsets = offsetsOf(store, number, new Set(ids));
    for (const offset of offsets) store.deadLetters.forgive(number, offset);
    purged += offsets.length;
  }
  return { purged };
}

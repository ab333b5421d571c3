/**
 * From the columns that a queue answers to messages that a dialect can show. It never asks anyone anything.
 */
import { decodeEntry } from "../core/entry.ts";
import { messageId } from "../core/ids.ts";
import { decodeRecord, unframe } from "../core/record.ts";
import type { TopicRoute } from "../protocol/rpc.ts";
import type { Message } from "./broker.ts";

interface Columns {
  readonly entries: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAts: readonly number[];
}

/** An entry that needs neither id nor time of its own takes both from its place in the log. */
export function messagesOf(route: TopicRoute, queue: number, columns: Columns): Message[] {
  const messages: Message[] = [];
  const { topic, incarnation } = route;
  for (const [index, bytes] of unframe(columns.entries).entries()) {
    const entry = decodeEntry(bytes);
    const offset = columns.offsets[index] ?? 0;
    const storedAt = columns.storedAts[index] ?? 0;
    const id =
      entry.id ?? messageId({ origin: "log", incarnation, queue, position: offset, index: 0 });
    const sentAt = entry.sentAt ?? storedAt;
    const content = decodeRecord(entry.record);
    const { transactionId } = entry;
    const message = { id, topic, queue, offset, sentAt, storedAt, content };
    messages.push(
      transactionId === undefined ? message : Object.assign(message, { transactionId }),
    );
  }
  return messages;
}

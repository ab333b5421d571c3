/**
 * P1: of a producer that counts, each number is stored once, in order, without a hole. P2: nothing of an epoch once a later one
 * is known.
 */
import type { SentMessage } from "../history.ts";
import type { Report } from "./check.ts";
import type { Op, Story } from "./story.ts";

export interface Counted {
  readonly topic: string;
  readonly id: string;
  readonly messageGroup: string | undefined;
  readonly epoch: number;
  /** As they stand in the log: by queue, then by offset. */
  readonly entries: readonly { mark: string; queue: number; sequence: number }[];
}

export function countedOf(story: Story): Counted[] {
  const found = new Map<string, Counted & { entries: Counted["entries"][number][] }>();
  for (const { topic, log } of story.history.rest.topics)
    for (const { mark, queue } of log.toSorted(
      (a, b) => a.queue - b.queue || a.offset - b.offset,
    )) {
      const message = story.messages.get(mark)?.message;
      if (message?.producer === undefined) continue;
      const { messageGroup, producer } = message;
      const { id, epoch, sequence } = producer;
      const key = JSON.stringify([topic, id, messageGroup ?? null, epoch]);
      const counted = found.get(key) ?? { topic, id, messageGroup, epoch, entries: [] };
      counted.entries.push({ mark, queue, sequence });
      found.set(key, counted);
    }
  return [...found.values()];
}

export function checkProducers(story: Story, report: Report): void {
  for (const { topic, id, messageGroup = "", epoch, entries } of countedOf(story)) {
    const name = `${topic}: ${id} (${messageGroup}) of epoch ${epoch}`;
    const sequences = entries.map(({ sequence }) => sequence).toSorted((a, b) => a - b);
    if (sequences.some((sequence, index) => sequence !== index + 1))
      report("P1", `${name} has stored ${sequences.join(" ")}`);
    for (const [index, { mark, queue, sequence }] of entries.entries()) {
      const before = entries[index - 1];
      if (before?.queue === queue && before.sequence >= sequence)
        report("P1", `${name}: ${sequence} stands behind ${before.sequence}`, mark);
    }
  }
  checkFences(story, report);
}

function checkFences(story: Story, report: Report): void {
  const taken = story
    .of("send")
    .filter(({ ended, request }) => ended === "ok" && request.messages[0]?.producer !== undefined);
  const newest = new Map<string, Op<"send">[]>();
  for (const op of taken)
    for (const message of op.request.messages) {
      const known = newest.get(scopeOf(message)) ?? [];
      const epoch = message.producer?.epoch ?? 0;
      const isFenced = known.some(
        (other) =>
          (other.request.messages[0]?.producer?.epoch ?? 0) > epoch && other.endedAt < op.invokedAt,
      );
      if (isFenced) report("P2", `of epoch ${epoch}, stored after a later one`, message.mark);
      newest.set(scopeOf(message), [...known, op]);
    }
}

const scopeOf = ({ topic, messageGroup, producer }: SentMessage): string =>
  JSON.stringify([topic, messageGroup ?? null, producer?.id]);

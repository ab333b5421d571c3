/** O1: a message is given only when the one before it in its message group is done, or in the same batch before it. */
import { nameOf, type GroupPlan } from "../history.ts";
import type { Report } from "./check.ts";
import type { Story } from "./story.ts";

export const isFor = ({ tags }: GroupPlan, tag: string | undefined): boolean =>
  tags === undefined || (tag !== undefined && tags.includes(tag));

export function checkOrder(story: Story, report: Report, plan: GroupPlan, name: string): void {
  // A redriven message comes again at the end of its message group.
  if (story.redriven.has(name)) return;
  const pairs = [...neighbours(story, plan), ...acrossQueues(story, plan)];
  for (const [before, after] of pairs) {
    if (isDead(story, plan, before)) continue;
    if (story.messages.get(before)?.message.ttlMs !== undefined) continue;
    if (story.isForgotten(before) || story.isForgotten(after)) continue;
    const acks = story.acks(name, before);
    for (const { op, place } of story.given.get(name)?.get(after) ?? []) {
      const isDone = acks.some((ack) => ack.op.invokedPlace < op.endedPlace);
      const isInBatch = story.given
        .get(name)
        ?.get(before)
        ?.some((other) => other.op.op === op.op && other.place < place);
      if (!isDone && isInBatch !== true)
        report("O1", `${name} got it before ${before} of its message group was done`, after);
    }
  }
}

function isDead(story: Story, plan: GroupPlan, mark: string): boolean {
  const { topic } = plan;
  const rest = story.history.rest.topics.find((each) => each.topic === topic);
  return (
    rest?.deadLetters.some(
      (each) => nameOf({ ...each, topic }) === nameOf(plan) && each.mark === mark,
    ) === true
  );
}

type Pair = readonly [before: string, after: string];

/** By offset within a queue. */
function neighbours(story: Story, plan: GroupPlan): Pair[] {
  const rest = story.history.rest.topics.find(({ topic }) => topic === plan.topic);
  const pairs: Pair[] = [];
  const last = new Map<string, string>();
  for (const { mark, queue } of (rest?.log ?? []).toSorted((a, b) => a.offset - b.offset)) {
    const { messageGroup, tag } = story.messages.get(mark)?.message ?? {};
    if (messageGroup === undefined || !isFor(plan, tag)) continue;
    const key = `${queue}/${messageGroup}`;
    const before = last.get(key);
    if (before !== undefined) pairs.push([before, mark]);
    last.set(key, mark);
  }
  return pairs;
}

/** By the order of sends, where a growth came between them. */
function acrossQueues(story: Story, plan: GroupPlan): Pair[] {
  const rest = story.history.rest.topics.find(({ topic }) => topic === plan.topic);
  const queueOf = new Map(rest?.log.map(({ mark, queue }) => [mark, queue]));
  const pairs: Pair[] = [];
  const last = new Map<string, { mark: string; endedAt: number }>();
  for (const { request, ended, endedAt, invokedAt } of story.of("send")) {
    if (ended !== "ok" || request.topic !== plan.topic) continue;
    for (const { mark, messageGroup, tag, deliverAt } of request.messages) {
      const isPlain = messageGroup !== undefined && deliverAt === undefined && isFor(plan, tag);
      if (!isPlain || !queueOf.has(mark)) continue;
      const before = last.get(messageGroup);
      const isAfter = before !== undefined && before.endedAt < invokedAt;
      if (isAfter && queueOf.get(before.mark) !== queueOf.get(mark))
        pairs.push([before.mark, mark]);
      if (before === undefined || endedAt >= before.endedAt)
        last.set(messageGroup, { mark, endedAt });
    }
  }
  return pairs;
}

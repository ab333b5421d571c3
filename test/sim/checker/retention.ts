/** X2: nothing is let go before its time. X3: what is leased stays. X4: what a group lost by it is counted. */
import { nameOf, type GroupPlan, type RetentionPlan } from "../history.ts";
import type { Report } from "./check.ts";
import type { Op, Story } from "./story.ts";

/** For each topic that lets messages go, by all looks at what it still has. */
export function checkRetention(story: Story, report: Report): void {
  for (const plan of story.history.groups) checkCount(story, report, plan);
  for (const look of story.of("look")) {
    const kept = retentionOf(story, look.request.topic);
    if (look.answer?.is !== "looked" || kept === undefined) continue;
    if (kept.retentionBytes === Infinity) checkAge(story, report, look, kept);
    checkHeld(story, report, look);
  }
}

const isGone = ({ answer }: Op<"look">, place: { queue: number; offset?: number }): boolean =>
  answer?.is === "looked" && (place.offset ?? Infinity) < (answer.firstOffsets[place.queue] ?? 0);

/** X2 */
function checkAge(story: Story, report: Report, look: Op<"look">, kept: RetentionPlan): void {
  const latest = story.wallMax(look.endedAt);
  for (const { request, answer, invokedWall, invokedAt, endedAt } of story.of("send")) {
    if (request.topic !== kept.topic || answer?.is !== "sent") continue;
    if (latest >= invokedWall + kept.retentionMs) continue;
    // Nobody knows by which clock it was stored.
    if (story.stepped(invokedAt, endedAt)) continue;
    for (const [index, { mark }] of request.messages.entries()) {
      const place = answer.placed[index];
      if (place?.state === "ready" && isGone(look, place))
        report("X2", `sent at ${invokedWall}, gone by ${latest}`, mark);
    }
  }
}

/** X3: somebody had it before the look, had said nothing of it after that, and had it for longer. */
function checkHeld(story: Story, report: Report, look: Op<"look">): void {
  for (const plan of story.history.groups) {
    if (plan.topic !== look.request.topic || story.sought.has(nameOf(plan))) continue;
    for (const [mark, given] of story.given.get(nameOf(plan)) ?? [])
      for (const { delivery, op } of given) {
        if (!isGone(look, delivery) || op.endedAt > look.invokedAt) continue;
        // A dead letter that is redriven has a copy of its own.
        if (
          (story.redriven.get(nameOf(plan)) ?? []).some(({ invokedAt }) => invokedAt < op.endedAt)
        )
          continue;
        const lookedWall = look.invokedWall + look.endedAt - look.invokedAt;
        if (lookedWall >= delivery.invisibleUntil) continue;
        if (story.stepped(op.invokedAt, look.endedAt) || story.isForgotten(mark)) continue;
        const settlings = story.settlings.get(delivery.receipt) ?? [];
        if (settlings.every((each) => each.op.invokedAt > look.endedAt))
          report("X3", `gone at ${lookedWall}, leased until ${delivery.invisibleUntil}`, mark);
      }
  }
}

/** X4, by offsets: what is gone, and who may have been done with it. */
function checkCount(story: Story, report: Report, plan: GroupPlan): void {
  const name = nameOf(plan);
  const { topic, group, consumerId, tags } = plan;
  const rest = story.history.rest.topics.find((each) => each.topic === topic);
  if (retentionOf(story, topic) === undefined || rest === undefined) return;
  // Of the consumers of a broadcast group only the sum is told, and a seek begins anew.
  if (consumerId !== undefined || tags !== undefined || story.sought.has(nameOf(plan))) return;
  if (story.stepped(0, Infinity)) return;
  const expired = rest.groups.find((each) => each.group === group)?.expired ?? 0;
  const gone = rest.queues.reduce((sum, { firstOffset }) => sum + firstOffset, 0);
  const there = new Set(rest.log.map(({ mark }) => mark));
  const maybeDone = new Set(rest.deadLetters.filter((each) => each.group === group).map(markOf));
  for (const mark of story.given.get(name)?.keys() ?? [])
    if (story.acks(name, mark).length > 0) maybeDone.add(mark);
  // A dead letter that is redriven too late is counted as dead only, though nobody may have seen it die.
  if (story.redriven.has(name))
    for (const [mark, { message }] of story.messages)
      if (message.topic === topic && message.ttlMs !== undefined) maybeDone.add(mark);
  const maybeDoneAndGone = [...maybeDone].filter((mark) => !there.has(mark)).length;
  if (expired < gone - maybeDoneAndGone)
    report("X4", `${name}: ${gone} gone, ${maybeDoneAndGone} done, but ${expired} expired`);
}

const retentionOf = ({ history }: Story, topic: string): RetentionPlan | undefined =>
  history.retentions?.find((each) => each.topic === topic);

const markOf = ({ mark }: { readonly mark: string }): string => mark;

/** A3: what the broker's own audit counts is what clients saw. */
import { type GroupPlan, nameOf, type Rest } from "../history.ts";
import type { Report } from "./check.ts";
import { isFor } from "./order.ts";
import { countedOf } from "./producers.ts";
import type { Story } from "./story.ts";

type TopicRest = Rest["topics"][number];
type GroupAudit = Required<TopicRest>["audit"]["groups"][number];

export function checkAudit(story: Story, report: Report): void {
  for (const topic of story.history.rest.topics) {
    for (const counts of topic.audit?.groups ?? []) checkGroup(story, report, topic, counts);
    if (topic.audit !== undefined) checkProducers(story, report, topic, topic.audit.producers);
  }
}

/** Every way in which a message can have left a group is one of these, and each message left in one. */
function checkGroup(story: Story, report: Report, topic: TopicRest, counts: GroupAudit): void {
  const { group, stored, delivered, acked, deadLettered, expired, filtered, open } = counts;
  const name = nameOf({ topic: topic.topic, group });
  const differ = (what: string): void =>
    report("A3", `${name}: ${what}; ${JSON.stringify(counts)}`);
  if (stored !== acked + deadLettered + expired + filtered + open) differ("it does not add up");
  if (story.history.rest.isDrained && open !== 0) differ("something is open");
  // A group that was moved counts from there on.
  if (story.sought.has(name)) return;
  const plans = story.history.groups.filter(
    (plan) => plan.topic === topic.topic && plan.group === group,
  );
  const ends = topic.queues.reduce((sum, { nextOffset }) => sum + nextOffset, 0);
  if (plans.length > 0 && stored !== ends * plans.length) differ(`${ends} are stored`);
  const seen = plans.map((plan) => seenBy(story, topic, plan));
  const sum = (of: (one: Seen) => number): number => seen.reduce((all, one) => all + of(one), 0);
  // What expired while it was leased may be acked all the same, and stays counted as it was.
  const done = acked + deadLettered + (story.isFleeting(topic.topic) ? expired : 0);
  if (done < sum(({ acked: sure }) => sure)) differ("acks were answered that it misses");
  // What a clock's leap had stored twice is acked twice.
  const isTwice = topic.log.some(({ mark }) => story.isForgotten(mark));
  if (!isTwice && acked > sum(({ maybeAcked }) => maybeAcked))
    differ("more is acked than anybody tried");
  if (story.isFleeting(topic.topic)) return;
  if (delivered < sum((one) => one.delivered)) differ("it misses deliveries");
  if (expired !== 0) differ("nothing may expire");
  const unwanted = sum((one) => one.unwanted);
  if (story.history.rest.isDrained && filtered !== unwanted) differ(`${unwanted} are not wanted`);
}

interface Seen {
  readonly delivered: number;
  readonly acked: number;
  readonly maybeAcked: number;
  readonly unwanted: number;
}

function seenBy(story: Story, { log }: TopicRest, plan: GroupPlan): Seen {
  const name = nameOf(plan);
  const marks = [...(story.given.get(name)?.keys() ?? [])];
  const sure = marks.filter((mark) => story.acks(name, mark).some(({ ok }) => ok === true));
  const maybe = marks.filter((mark) => story.acks(name, mark).length > 0);
  // A key that a clock's step has made too old stores its message again: under another id.
  const copiesOf = (mark: string): number =>
    new Set(
      story.given
        .get(name)
        ?.get(mark)
        ?.map(({ delivery }) => delivery.id),
    ).size;
  const unwanted = log.filter(({ mark }) => !isFor(plan, story.messages.get(mark)?.message.tag));
  return {
    delivered: marks.length,
    acked: sure.length,
    maybeAcked: maybe.reduce((sum, mark) => sum + copiesOf(mark), 0),
    unwanted: unwanted.length,
  };
}

function checkProducers(
  story: Story,
  report: Report,
  { topic }: TopicRest,
  audited: Required<TopicRest>["audit"]["producers"],
): void {
  const counted = countedOf(story).filter((each) => each.topic === topic);
  for (const { id, messageGroup, epoch, entries } of counted) {
    const isNewest = counted.every(
      (other) => other.id !== id || other.messageGroup !== messageGroup || other.epoch <= epoch,
    );
    if (!isNewest) continue;
    const own = audited.filter((each) => each.id === id && each.messageGroup === messageGroup);
    const sequences = own.filter((each) => each.epoch === epoch).map((each) => each.lastSequence);
    const told = Math.max(0, ...sequences);
    const last = Math.max(...entries.map(({ sequence }) => sequence));
    if (told !== last)
      report(
        "A3",
        `the audit of ${topic} knows ${told} of ${id} (${messageGroup}), stored are ${last}`,
      );
  }
}

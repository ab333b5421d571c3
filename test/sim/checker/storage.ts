/**
 * I: what was answered is on disk, whole, once, and nothing else is. O4: offsets have no holes. A: counters equal a scan.
 * S3: what is recalled stays away. D: dedup ids.
 */
import type { Report } from "./check.ts";
import type { Story } from "./story.ts";

const HALF_ID = /^mh_/u;
const DEDUP_WINDOW_MS = 300_000;

export function checkStorage(story: Story, report: Report): void {
  const logged = new Map<string, number>();
  for (const { topic, log } of story.history.rest.topics)
    for (const { mark, isIntact, id } of log) {
      const known = story.messages.get(mark);
      if (!isIntact) report("I3", `message ${id} of ${topic} is damaged`, mark);
      else if (known?.message.topic !== topic)
        report("I2", `message ${id} of ${topic} was never sent there`, mark);
      logged.set(mark, (logged.get(mark) ?? 0) + 1);
    }
  for (const [mark, count] of logged)
    if (count > 1 && !story.isForgotten(mark)) report("I5", `stored ${count} times`, mark);
  checkSends(story, report, logged);
  checkRecalls(story, report, logged);
  checkOffsets(story, report);
  checkCounters(story, report);
  for (const { topic, faults } of story.history.rest.topics)
    for (const fault of faults) report("A3", `the audit of ${topic} finds ${fault}`);
  checkDedup(story, report);
}

function checkSends(story: Story, report: Report, logged: ReadonlyMap<string, number>): void {
  const recalled = new Set(
    story
      .of("recall")
      .filter(({ ended, code }) => ended !== "refused" || code === "already_recalled")
      .map(({ request }) => request.mark),
  );
  for (const { request, ended, answer } of story.of("send")) {
    const stored = request.messages.filter(({ mark }) => logged.has(mark));
    if (ended === "refused" && stored.length > 0)
      report("I4", "a refused send is stored", stored[0]?.mark);
    if (answer?.is !== "sent") continue;
    for (const [index, { mark }] of request.messages.entries()) {
      const state = answer.placed[index]?.state;
      if (state === undefined) report("I1", "an answer leaves a message out", mark);
      else if (state === "duplicate") {
        checkDuplicate(story, report, logged, { mark, firstId: answer.placed[index]?.id });
      } else if (
        !logged.has(mark) &&
        !recalled.has(mark) &&
        !isLetGo(story, request.topic, answer.placed[index])
      )
        report("I1", `answered ${state} and not stored`, mark);
    }
  }
}

/** Did retention take it? What has no offset yet in the answer may be anywhere. */
function isLetGo(
  { history }: Story,
  topic: string,
  placed: { readonly queue: number; readonly offset?: number } | undefined,
): boolean {
  const rest = history.rest.topics.find((each) => each.topic === topic);
  const queue = rest?.queues.find((each) => each.queue === placed?.queue);
  if (placed?.offset === undefined) return history.fleeting?.includes(topic) === true;
  return placed.offset < (queue?.firstOffset ?? 0);
}

function checkRecalls(story: Story, report: Report, logged: ReadonlyMap<string, number>): void {
  for (const { request, ended } of story.of("recall"))
    if (ended === "ok" && logged.has(request.mark) && !story.isForgotten(request.mark))
      report("S3", "recalled and delivered", request.mark);
}

function checkOffsets(story: Story, report: Report): void {
  for (const { topic, queues, log } of story.history.rest.topics)
    for (const { queue, firstOffset, nextOffset } of queues) {
      const offsets = log.filter((entry) => entry.queue === queue).map(({ offset }) => offset);
      const isWhole =
        offsets.length === nextOffset - firstOffset &&
        offsets.every((offset, index) => offset === firstOffset + index);
      if (!isWhole) report("O4", `offsets of ${topic}/${queue} have a hole before ${nextOffset}`);
    }
}

function checkCounters(story: Story, report: Report): void {
  for (const { topic, counted, transactions, groups, deadLetters } of story.history.rest.topics) {
    for (const state of ["prepared", "committed", "rolledBack", "discarded"] as const) {
      const listed = transactions.filter((each) => each.state === state).length;
      if (listed !== counted[state])
        report(
          "A2",
          `${topic} counts ${counted[state]} transactions ${state}, and lists ${listed}`,
        );
    }
    for (const { group, deadLetters: count, expired, inFlight, retrying } of groups) {
      const name = `${topic}/${group}`;
      const listed = deadLetters.filter((each) => each.group === group).length;
      if (listed !== count)
        report("A2", `${name} counts ${count} dead letters, and lists ${listed}`);
      if (expired > 0 && !story.isFleeting(topic))
        report("I1", `${name} lost ${expired} messages to retention`);
      if (inFlight + retrying > 0 && story.history.rest.isDrained)
        report("A2", `${name} has nothing left; ${inFlight} are in flight, ${retrying} retrying`);
    }
  }
}

/** Plain sends only: in a transaction the id is taken at the prepare and may be freed again. */
function checkDedup(story: Story, report: Report): void {
  const firsts = new Map<string, { mark: string; wall: number; at: number; endedAt: number }>();
  for (const { request, answer, invokedWall, invokedAt, endedAt } of story.of("send")) {
    if (answer?.is !== "sent") continue;
    for (const [index, { mark, dedupId, messageGroup }] of request.messages.entries()) {
      if (dedupId === undefined || answer.placed[index]?.state === "duplicate") continue;
      // A clock that stepped since the first leaves no window to speak of; the first asked may be the last stored.
      const scope = JSON.stringify([request.topic, messageGroup, dedupId]);
      const first = firsts.get(scope);
      const isWithin =
        first !== undefined &&
        Math.abs(invokedWall - first.wall) < DEDUP_WINDOW_MS / 2 &&
        !story.stepped(first.at, Math.max(first.endedAt, endedAt));
      if (isWithin) report("D1", `${scope} is stored again after ${first.mark}`, mark);
      firsts.set(scope, { mark, wall: invokedWall, at: invokedAt, endedAt });
    }
  }
}

/** Of what was stored it is not stored again; of a half message it stands in when that is rolled back. */
function checkDuplicate(
  story: Story,
  report: Report,
  logged: ReadonlyMap<string, number>,
  { mark, firstId = "" }: { mark: string; firstId: string | undefined },
): void {
  if (story.isForgotten(mark)) return;
  const isOfHalf = HALF_ID.test(firstId);
  if (logged.has(mark) && !isOfHalf) report("D1", "a duplicate is stored all the same", mark);
  const message = story.messages.get(mark)?.message;
  if (logged.has(mark) || message === undefined || !isOfHalf) return;
  const isHeld = [...story.messages.values()].some(
    ({ message: other }) =>
      other.topic === message.topic &&
      other.messageGroup === message.messageGroup &&
      other.dedupId === message.dedupId &&
      logged.has(other.mark),
  );
  // What it repeats may have been let go.
  if (!isHeld && !story.isFleeting(message.topic))
    report("D2", "a duplicate is not stored, and neither is what it repeats", mark);
}

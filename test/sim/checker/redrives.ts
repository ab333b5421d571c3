/** R2: attempts are counted anew only where a dead letter was put back. R3: what a redrive should put back does not stay dead. */
import { type GroupPlan, nameOf } from "../history.ts";
import type { Report } from "./check.ts";
import type { Given, Story } from "./story.ts";

/** Two processes read one clock; each reads whole milliseconds. */
const CLOCK_MS = 2;

export function checkFirsts(
  story: Story,
  report: Report,
  { name, mark, given }: { name: string; mark: string; given: readonly Given[] },
): void {
  // What a line gives back when it ends is no attempt: streams, pushes.
  if (given.some(({ op }) => op.request.isLine === true)) return;
  const firsts = given.filter(({ delivery }) => delivery.deliveryAttempt === 1);
  const leases = new Set(firsts.map(({ delivery }) => delivery.receipt)).size;
  const ids = new Set(firsts.map(({ delivery }) => delivery.id));
  const redrives = (story.redriven.get(name) ?? []).filter(
    ({ request }) => request.ids === undefined || request.ids.some((id) => ids.has(id)),
  );
  if (leases > 1 + redrives.length)
    report("R2", `${name} got it ${leases} times as attempt 1, ${redrives.length} redrives`, mark);
}

export function checkLeftDead(story: Story, report: Report, { topic, group }: GroupPlan): void {
  const redrives = story.redriven.get(nameOf({ topic, group })) ?? [];
  const whole = redrives.filter(
    ({ request, ended, invokedAt }, index) =>
      ended === "ok" &&
      // By a clock that went back, what died later died before.
      !story.stepped(invokedAt, Infinity) &&
      request.ids === undefined &&
      // One at a rate is through when all is at rest, unless another took its place.
      (request.ratePerSecond === undefined || index === redrives.length - 1),
  );
  if (!story.history.rest.isDrained) return;
  const sinceWall = Math.max(...whole.map(({ invokedWall }) => invokedWall));
  const rest = story.history.rest.topics.find((each) => each.topic === topic);
  for (const letter of rest?.deadLetters ?? [])
    if (letter.group === group && (letter.deadAt ?? Infinity) < sinceWall - CLOCK_MS)
      report(
        "R3",
        `${topic}/${group}: dead since ${letter.deadAt}, redriven at ${sinceWall}`,
        letter.mark,
      );
}

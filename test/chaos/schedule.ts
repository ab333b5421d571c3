/**
 * T6 of the checks that a webhook saw: each attempt comes once, they are not too many, not too early, and none comes once the
 * decision is known. Each has a line of its own, so that one may be read before another that was sent earlier. A real line may hold one up, and a kill may swallow one: so gaps are no fault, and one that crosses the decision
 * has a grace.
 */
import type { Report } from "../sim/checker/check.ts";
import type { Story, TransactionStory } from "../sim/checker/story.ts";
import type { SeenCheck } from "./scene.ts";

/** A check that was counted before the decision may come so much later, beside what the slowest request took: the server may have been frozen. */
const CROSSING_MS_MAX = 6_000;
/** What is asked once, so that its time is that of one request. */
const ASKED_ONCE: ReadonlySet<string> = new Set(["recall", "retime", "redrive"]);
/** Two processes read one clock; each reads whole milliseconds. */
const CLOCK_MS = 2;
const TERMINAL: ReadonlySet<string> = new Set(["committed", "rolledBack"]);

export function checkSchedule(story: Story, seen: readonly SeenCheck[], report: Report): void {
  let slowestMs = 0;
  for (const { request, ended, invokedAt, endedAt } of story.ops.values())
    if (ASKED_ONCE.has(request.is) && ended === "ok")
      slowestMs = Math.max(slowestMs, endedAt - invokedAt);
  const graceMs = CROSSING_MS_MAX + slowestMs;
  const byTransaction = Map.groupBy(seen, ({ transactionId }) => transactionId);
  for (const [transactionId, checks] of byTransaction) {
    const transaction = story.transactions.get(transactionId);
    // Its prepare was never answered.
    if (transaction === undefined) continue;
    checkOne(transaction, checks, graceMs, report);
  }
}

function checkOne(
  { transactionId, prepare, decides }: TransactionStory,
  seen: readonly SeenCheck[],
  graceMs: number,
  report: Report,
): void {
  const { timeoutMs, intervalMs, maxChecks } = prepare.request.check;
  const isResumed = decides.some(({ request }) => request.decision === "resume");
  const isPutOff = decides.some(({ request }) => request.decision === "unknown");
  const firstMs = isPutOff ? Math.min(timeoutMs, intervalMs) : timeoutMs;
  const decided = decides.filter(
    ({ answer }) => answer?.is === "decided" && TERMINAL.has(answer.state),
  );
  const decidedAt = Math.min(...decided.map(({ endedAt }) => endedAt), Infinity);
  const attempts = new Set<number>();
  for (const { attempt, at, wall } of seen) {
    if (at > decidedAt + graceMs)
      report("T6", `${transactionId} is checked ${at - decidedAt} ms after its decision`);
    if (attempt < 1 || attempt > maxChecks)
      report("T6", `${transactionId}: check ${attempt} of ${maxChecks}`);
    if (isResumed) continue;
    if (attempts.has(attempt)) report("T6", `${transactionId}: check ${attempt} comes twice`);
    attempts.add(attempt);
    const leastMs = firstMs + (attempt - 1) * intervalMs - CLOCK_MS;
    const sinceMs = wall - prepare.invokedWall;
    if (sinceMs < leastMs)
      report("T6", `${transactionId}: check ${attempt} after ${sinceMs} of ${leastMs} ms`);
  }
}

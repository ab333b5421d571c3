/**
 * T6 of the checks that a webhook saw: attempts rise, are not too many, not too early, and none comes once the decision is
 * known. A real line may hold one up, and a kill may swallow one: so gaps are no fault, and one that crosses the decision
 * has a grace.
 */
import type { Report } from "../sim/checker/check.ts";
import type { Story, TransactionStory } from "../sim/checker/story.ts";
import type { SeenCheck } from "./scene.ts";

/** A check that was counted before the decision may come so much later: the server may have been frozen meanwhile. */
const CROSSING_MS_MAX = 6_000;
/** Two processes read one clock; each reads whole milliseconds. */
const CLOCK_MS = 2;
const TERMINAL: ReadonlySet<string> = new Set(["committed", "rolledBack"]);

export function checkSchedule(story: Story, seen: readonly SeenCheck[], report: Report): void {
  const byTransaction = Map.groupBy(seen, ({ transactionId }) => transactionId);
  for (const [transactionId, checks] of byTransaction) {
    const transaction = story.transactions.get(transactionId);
    // Its prepare was never answered.
    if (transaction === undefined) continue;
    checkOne(transaction, checks, report);
  }
}

function checkOne(
  { transactionId, prepare, decides }: TransactionStory,
  seen: readonly SeenCheck[],
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
  let before = 0;
  for (const { attempt, at, wall } of seen) {
    if (at > decidedAt + CROSSING_MS_MAX)
      report("T6", `${transactionId} is checked ${at - decidedAt} ms after its decision`);
    if (attempt < 1 || attempt > maxChecks)
      report("T6", `${transactionId}: check ${attempt} of ${maxChecks}`);
    if (isResumed) continue;
    if (attempt <= before) report("T6", `${transactionId}: check ${attempt} follows ${before}`);
    before = attempt;
    const leastMs = firstMs + (attempt - 1) * intervalMs - CLOCK_MS;
    const sinceMs = wall - prepare.invokedWall;
    if (sinceMs < leastMs)
      report("T6", `${transactionId}: check ${attempt} after ${sinceMs} of ${leastMs} ms`);
  }
}

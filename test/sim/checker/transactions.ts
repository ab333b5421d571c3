/** T: half messages are seen by nobody before their commit, decided once, for a cause, and checked on schedule. */
import type { Report } from "./check.ts";
import type { Op, Story, TransactionStory } from "./story.ts";

const TERMINAL: ReadonlySet<string> = new Set(["committed", "rolledBack"]);

export function checkTransactions(story: Story, report: Report): void {
  const states = new Map<string, string>();
  for (const { transactions } of story.history.rest.topics)
    for (const { transactionId, state } of transactions) states.set(transactionId, state);
  for (const transaction of story.transactions.values()) {
    const { transactionId } = transaction;
    const state = states.get(transactionId);
    if (state === undefined) report("T2", `${transactionId} is not listed any more`);
    else checkDecision(report, transaction, state);
    checkMessages(story, report, transaction, state ?? "unknown");
    checkSchedule(story, report, transaction);
  }
}

const wasDecided = (op: Op<"decide">, decision: string): boolean =>
  op.request.decision === decision && op.answer?.is === "decided";

/** T2: one end. T5: and a cause for it. */
function checkDecision(report: Report, transaction: TransactionStory, state: string): void {
  const { transactionId, decides, asked } = transaction;
  const isCommitted = decides.some((op) => wasDecided(op, "commit"));
  const isRolledBack = decides.some((op) => wasDecided(op, "rollback"));
  if (isCommitted && state !== "committed")
    report("T2", `${transactionId} was committed and is ${state}`);
  if (isRolledBack && state !== "rolledBack")
    report("T2", `${transactionId} was rolled back and is ${state}`);
  const causes = new Set<string>(decides.map(({ request }) => request.decision));
  for (const { said } of asked) causes.add(said);
  if (state === "committed" && !causes.has("commit"))
    report("T5", `${transactionId} is committed, and nobody said so`);
  if (state === "rolledBack" && !causes.has("rollback"))
    report("T5", `${transactionId} is rolled back, and nobody said so`);
  if (state === "prepared") report("T7", `${transactionId} is still prepared`);
}

/** T1, T3, T4. */
function checkMessages(
  story: Story,
  report: Report,
  transaction: TransactionStory,
  state: string,
): void {
  const { prepare, transactionId, committedPlace = -1 } = transaction;
  const causedAt = causedAtOf(transaction);
  for (const { mark, topic, dedupId } of prepare.request.messages) {
    const rest = story.history.rest.topics.find((each) => each.topic === topic);
    const isStored = rest?.log.some((entry) => entry.mark === mark) === true;
    if (state !== "committed" && isStored)
      report("T3", `${transactionId} is ${state}, and its message is stored`, mark);
    // Another message with its dedup id may have come first, or retention may have taken it.
    const mayBeGone = dedupId !== undefined || story.isFleeting(topic);
    if (state === "committed" && !isStored && !mayBeGone)
      report("T4", `${transactionId} is committed, and its message is not stored`, mark);
    for (const marks of story.given.values())
      for (const { op } of marks.get(mark) ?? [])
        if (op.endedAt < causedAt)
          report("T1", `of ${transactionId}, delivered before anybody committed`, mark);
        else if (op.endedPlace < committedPlace)
          report("T1", `of ${transactionId}, delivered before it was committed`, mark);
  }
}

/** When somebody first said that it should be committed. */
const causedAtOf = ({ decides, asked }: TransactionStory): number =>
  Math.min(
    ...decides
      .filter(({ request }) => request.decision === "commit")
      .map(({ invokedAt }) => invokedAt),
    ...asked.filter(({ said }) => said === "commit").map(({ at }) => at),
    Infinity,
  );

/** So late may a first check be when nothing goes wrong. */
const LATE_MS_MAX = 1_000;

/** T6: attempts count up by one, not early, not too close, not too many, none once the decision is known. S2: and in time. */
function checkSchedule(story: Story, report: Report, transaction: TransactionStory): void {
  const { prepare, transactionId, begun, decides } = transaction;
  const { timeoutMs, intervalMs, maxChecks } = prepare.request.check;
  const decided = decides.filter(
    ({ answer }) => answer?.is === "decided" && TERMINAL.has(answer.state),
  );
  const decidedAt = Math.min(...decided.map(({ endedAt }) => endedAt), Infinity);
  // One that is refused because it is not discarded may have been repeated on its way, and be its own cause.
  const isResumed = decides.some(
    ({ request, ended, code }) =>
      request.decision === "resume" &&
      (ended !== "refused" || code === "transaction_not_discarded"),
  );
  const [first] = begun;
  const lateMs = first === undefined ? 0 : first.at - prepare.endedAt - timeoutMs;
  const isFirstPutOff = decides.some(({ request }) => request.decision === "unknown");
  if (story.history.isCalm && !isFirstPutOff && lateMs > LATE_MS_MAX)
    report("S2", `${transactionId}: first check ${lateMs} ms late`);
  let before: (typeof begun)[number] | undefined;
  for (const check of begun) {
    const isUnsure = before !== undefined && story.maybeUndone(before.at);
    const steady =
      !isResumed && !isUnsure && !story.stepped(before?.at ?? prepare.invokedAt, check.at);
    const { attempt, wall } = check;
    if (check.at > decidedAt) report("T6", `${transactionId} is checked after its decision`);
    if (attempt > maxChecks) report("T6", `${transactionId}: check ${attempt} of ${maxChecks}`);
    if (!isResumed && !isUnsure && attempt !== (before?.attempt ?? 0) + 1)
      report("T6", `${transactionId}: check ${attempt} follows ${before?.attempt ?? 0}`);
    const sinceMs = wall - (before?.wall ?? prepare.invokedWall);
    // `unknown` puts the next check one interval from then.
    const isPutOff = decides.some(
      ({ request, invokedAt }) => request.decision === "unknown" && invokedAt < check.at,
    );
    const firstMs = isPutOff ? Math.min(timeoutMs, intervalMs) : timeoutMs;
    const leastMs = before === undefined ? firstMs : intervalMs;
    if (steady && sinceMs < leastMs)
      report("T6", `${transactionId}: check ${attempt} after ${sinceMs} of ${leastMs} ms`);
    before = check;
  }
}

/**
 * What consumers saw. I1: all is delivered in the end; K1: again, where the group was moved back. L: one live lease, receipts
 * that die, acks that hold. R: attempts. S1: nothing before its time; X1: nothing after it.
 */
import { type GroupPlan, nameOf, type SentMessage } from "../history.ts";
import type { Report } from "./check.ts";
import { checkOrder, isFor } from "./order.ts";
import { checkFirsts, checkLeftDead } from "./redrives.ts";
import { owedSince } from "./seeks.ts";
import type { Given, Settling, Story } from "./story.ts";

export function checkDelivery(story: Story, report: Report): void {
  for (const plan of story.history.groups) {
    const name = nameOf(plan);
    checkComplete(story, report, plan, name);
    checkLeftDead(story, report, plan);
    for (const [mark, given] of story.given.get(name) ?? []) {
      checkContent(story, report, given, mark);
      checkAttempts(report, plan, given, mark);
      if (story.sought.has(name) || story.isForgotten(mark)) continue;
      checkFirsts(story, report, { name, mark, given });
      checkLeases(story, report, given, mark);
      checkReceipts(story, report, { name, mark, given });
    }
    if (plan.ordered && !story.sought.has(name)) checkOrder(story, report, plan, name);
  }
}

/** Everything in the log was given to the group and acked, or lies in its dead letters; anew, since it was moved back. */
function checkComplete(story: Story, report: Report, plan: GroupPlan, name: string): void {
  if (!story.history.rest.isDrained) return;
  const topic = story.history.rest.topics.find((each) => each.topic === plan.topic);
  const letters = topic?.deadLetters.filter(
    (each) => nameOf({ ...each, topic: plan.topic }) === name,
  );
  const dead = new Set(letters?.map(({ mark }) => mark));
  for (const entry of topic?.log ?? []) {
    const { mark, queue, offset } = entry;
    const message = story.messages.get(mark)?.message;
    if (!isFor(plan, message?.tag) || dead.has(mark) || isMortal(message)) continue;
    const since = owedSince(story, name, entry);
    if (since === undefined) continue;
    const place = `${queue}/${offset}`;
    if (story.acks(name, mark).length === 0)
      report("I1", `${name} is done with ${place}, which nobody acked`, mark);
    else if (!story.isDoneSince(name, mark, since))
      report("K1", `${name} was moved back, and is done with ${place}, which came no more`, mark);
  }
}

/** When its time to live is over. */
const endOf = (message: SentMessage | undefined, { delivery }: Pick<Given, "delivery">): number =>
  Math.min(message?.expiresAt ?? Infinity, delivery.storedAt + (message?.ttlMs ?? Infinity));

const isMortal = (message: SentMessage | undefined): boolean =>
  message?.ttlMs !== undefined || message?.expiresAt !== undefined;

function checkContent(story: Story, report: Report, given: readonly Given[], mark: string): void {
  const known = story.messages.get(mark);
  const due = story.dueAt(mark);
  for (const { op, delivery, grantedWall } of given) {
    if (known === undefined) report("I2", "delivered, and never sent", mark);
    else if (!delivery.isIntact) report("I3", "delivered damaged", mark);
    // The clock may have stepped back since.
    if (due !== undefined && delivery.storedAt < due)
      report("S1", `stored at ${delivery.storedAt}, due at ${due}`, mark);
    const end = endOf(known?.message, { delivery });
    if (op.request.invisibleMs > 0 && grantedWall >= end)
      report("X1", `leased at ${grantedWall}, and over at ${end}`, mark);
  }
  const ids = new Set(given.map(({ delivery }) => delivery.id));
  if (ids.size > 1 && !story.isForgotten(mark)) report("I5", "delivered under several ids", mark);
}

function checkAttempts(
  report: Report,
  { maxAttempts }: GroupPlan,
  given: readonly Given[],
  mark: string,
): void {
  for (const { delivery } of given)
    if (delivery.deliveryAttempt > maxAttempts || delivery.deliveryAttempt < 1)
      report("R1", `attempt ${delivery.deliveryAttempt} of ${maxAttempts}`, mark);
}

/** L1: a lease ends before the next one begins, unless its holder gave it up. */
function checkLeases(story: Story, report: Report, given: readonly Given[], mark: string): void {
  const leases = new Map<string, Given>();
  for (const each of given)
    if (!leases.has(each.delivery.receipt)) leases.set(each.delivery.receipt, each);
  const inOrder = [...leases.values()].toSorted((a, b) => a.grantedWall - b.grantedWall);
  for (const [index, later] of inOrder.entries()) {
    const earlier = inOrder[index - 1];
    if (earlier === undefined) continue;
    const settlings = story.settlings.get(earlier.delivery.receipt) ?? [];
    // Also by one that was refused: the broker repeats what it got no answer to, and the first may have been done.
    const isGivenUp = settlings.some(
      ({ op, verb }) => verb === "nack" && op.invokedAt < later.op.endedAt,
    );
    const until = heldUntil(earlier, later, settlings);
    if (!isGivenUp && later.grantedWall < until)
      report("L1", `leased at ${later.grantedWall} while held until ${until}`, mark);
  }
}

/** The least that the lease may have been, given what its holder asked for. */
function heldUntil(earlier: Given, later: Given, settlings: readonly Settling[]): number {
  const longer = settlings.filter(
    ({ op, verb, ok }) => verb === "extend" && ok !== false && op.invokedAt < later.op.endedAt,
  );
  const last = longer.at(-1);
  if (last === undefined) return earlier.delivery.invisibleUntil;
  const isKnown = longer.every(({ op, ok }) => ok === true && op.endedAt < later.op.invokedAt);
  if (isKnown && last.invisibleUntil !== undefined) return last.invisibleUntil;
  // Nobody knows which of them was taken, or when.
  return later.grantedWall;
}

interface Given1 {
  /** Of the group. */
  readonly name: string;
  readonly mark: string;
  readonly given: readonly Given[];
}

/** L2: who holds it may ack it, and nobody else. L3: what is acked stays acked. */
function checkReceipts(story: Story, report: Report, { name, mark, given }: Given1): void {
  const acks = story.acks(name, mark);
  const first = acks.find(({ ok }) => ok === true);
  for (const { leasedAt, delivery } of given) {
    const isAgain = first !== undefined && leasedAt > first.op.endedAt;
    if (isAgain && !story.redriven.has(name))
      report("L3", `delivered again after its ack, with receipt ${delivery.receipt}`, mark);
  }
  if (given.length < 2) return;
  const byReceipt = new Map<string, Given>();
  for (const held of given)
    if (!byReceipt.has(held.delivery.receipt)) byReceipt.set(held.delivery.receipt, held);
  for (const [receipt, held] of byReceipt)
    for (const settling of story.settlings.get(receipt) ?? [])
      if (settling.ok === true && isSuperseded(given, held, settling.op)) {
        const { op, verb } = settling;
        // Once it is acked, or its time to live is over, any receipt of it may ack it.
        const isDone = acks.some((ack) => ack !== settling && ack.op.invokedAt < op.endedAt);
        const isOver = story.wallMax(op.endedAt) >= endOf(story.messages.get(mark)?.message, held);
        if (verb !== "ack" || !(isDone || isOver))
          report("L2", `${verb} with receipt ${receipt} while another holds it`, mark);
      }
}

/** Was it surely given to another in between? */
const isSuperseded = (given: readonly Given[], held: Given, settle: Settling["op"]): boolean =>
  given.some(
    ({ op, delivery, grantedWall, leasedAt }) =>
      delivery.receipt !== held.delivery.receipt &&
      grantedWall > held.grantedWall &&
      leasedAt > held.op.endedAt &&
      op.endedAt < settle.invokedAt,
  );

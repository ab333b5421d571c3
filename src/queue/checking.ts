/**
 * Asking how undecided transactions ended: what is due is offered to coordinators, a check is counted when it is begun,
 * and its answer decides like any other. Run inside a flush; when something is due is core/half-message.ts's to say.
 */
import { due } from "../core/half-message.ts";
import { encodeEntry } from "../core/entry.ts";
import { frame, readRecordHead } from "../core/record.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import type { CheckBegun, CheckOffer, TransactionState } from "../protocol/rpc.ts";
import { apply, missing, settle } from "./deciding.ts";
import type { OpenHalf } from "./halves/open.ts";
import type { QueueStore } from "./store.ts";
import { halfId, idOf } from "./halves/transaction-view.ts";

/** An offer to a coordinator that led to nothing is made again after this. */
const OFFER_MS = 5_000;

/** Discards what ran out of checks; answers the offers to make, by producer group. Bounded. */
export function sweep(
  store: QueueStore,
  nowMs: number,
  max: number,
): { offers: Map<string, CheckOffer[]>; discarded: string[] } {
  const offers = new Map<string, CheckOffer[]>();
  const discarded: string[] = [];
  for (const open of store.halves.open.takeDue(nowMs, max)) {
    const what = due(open, nowMs);
    if (what === "discard") {
      settle(store, open, { to: "discarded", by: undefined }, nowMs);
      discarded.push(idOf(store, open.position));
      continue;
    }
    if (what === "check") {
      const group = offers.get(open.producerGroup) ?? [];
      const { topic, incarnation } = store.route;
      group.push({
        topic,
        incarnation,
        queue: store.queue,
        position: open.position,
        attempt: open.checks + 1,
      });
      offers.set(open.producerGroup, group);
      open.offeredUntil = nowMs + OFFER_MS;
    }
    store.halves.open.schedule(open);
  }
  return { offers, discarded };
}

export function beginChecks(
  store: QueueStore,
  checks: readonly { position: number; attempt: number; openUntil: number }[],
  withContent: boolean,
  nowMs: number,
): CheckBegun[] {
  const begun: CheckBegun[] = [];
  for (const { position, attempt, openUntil } of checks) {
    const open = store.halves.open.get(position);
    if (open === undefined || attempt !== open.checks + 1 || due(open, nowMs) !== "check") continue;
    store.halves.checkBegun(open, nowMs + open.policy.intervalMs, openUntil);
    store.trace.note("half", [position, 1], { kind: "checked", value: attempt });
    const content = checkContent(store, open, withContent);
    if (content !== undefined) begun.push(content);
  }
  return begun;
}

export function checkContent(
  store: QueueStore,
  open: OpenHalf,
  withContent: boolean,
): CheckBegun | undefined {
  const half = store.halves.read(open.position);
  if (half === undefined) return undefined;
  const { topic, incarnation } = store.route;
  const messages = withContent ? half.messages : [];
  const entries = messages.map(({ record }, index) => {
    const { bodyRef } = readRecordHead(record);
    return encodeEntry({
      ...(bodyRef === undefined ? {} : { largeBytes: bodyRef.bytes }),
      id: halfId(store, open.position, index),
      sentAt: half.preparedAt,
      transactionId: idOf(store, open.position),
      record,
    });
  });
  return {
    transactionId: idOf(store, open.position),
    topic,
    queue: store.queue,
    producerGroup: half.producerGroup,
    attempt: open.checks,
    maxChecks: half.policy.maxChecks,
    preparedAt: half.preparedAt,
    entries: frame(entries),
    targets: messages.map(({ target }) => target ?? { topic, incarnation, queue: store.queue }),
  };
}

export function endCheck(
  store: QueueStore,
  end: {
    position: number;
    attempt: number;
    resolution: "commit" | "rollback" | "unknown";
    why?: { readonly failure: string; readonly status?: number } | undefined;
  },
  nowMs: number,
): Outcome<{ state: TransactionState }> {
  const open = store.halves.open.get(end.position);
  const state = store.halves.stateOf(end.position);
  if (state === undefined) return missing;
  if (open !== undefined && end.resolution === "unknown") {
    const { failure: outcome = "unknown", status } = end.why ?? {};
    const last = { at: nowMs, outcome, ...(status === undefined ? {} : { status }) };
    if (end.attempt === open.checks && open.openUntil > 0) store.halves.checkEnded(open, last);
    return accept({ state });
  }
  if (end.resolution === "unknown") return accept({ state });
  const outcome = apply(
    store,
    { stamp: store.route, position: end.position, decision: end.resolution, by: "check" },
    nowMs,
  );
  return outcome.ok ? accept({ state: outcome.value.state }) : outcome;
}

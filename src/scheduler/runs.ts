/**
 * The rules of runs: which one is due, which are left out, what a refusal means. Pure and synchronous; the instant comes with
 * the call.
 */
import { ERRORS, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { ScheduleRule } from "../protocol/rpc.ts";
import type { Occurrences } from "./cron.ts";
import type { Claim } from "./store.ts";

const FIRST_RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
/**
 * How long a queue knows for certain that it has taken a run's message. A run that is older and has no answer is not sent
 * again: it may be there already.
 */
const KNOWN_MS = LIMITS.producerWindowMs - 60 * 60_000;

interface Due {
  /** The run to begin; absent: none is due yet. */
  readonly slot?: number;
  /** The first run that was left out. */
  readonly skipped?: number;
  readonly nextAt?: number;
}

/** `skip`: each run that is not too late. `once`: the latest of all that are due. */
export function dueOf(
  missed: ScheduleRule["missed"],
  nextAt: number,
  occurrences: Occurrences,
  nowMs: number,
): Due {
  if (nextAt > nowMs) return { nextAt };
  if (missed === "once") return due(occurrences.latest(nowMs) ?? nextAt, occurrences);
  const oldest = nowMs - LIMITS.scheduleLateMsMax;
  if (nextAt >= oldest) return due(nextAt, occurrences);
  const first = occurrences.next(oldest - 1);
  if (first === undefined) return { skipped: nextAt };
  return first > nowMs
    ? { skipped: nextAt, nextAt: first }
    : { skipped: nextAt, ...due(first, occurrences) };
}

function due(slot: number, occurrences: Occurrences): Due {
  const nextAt = occurrences.next(slot);
  return nextAt === undefined ? { slot } : { slot, nextAt };
}

/** Whether another send of it might double it. */
export const isForgotten = ({ startedAt }: Claim, nowMs: number): boolean =>
  nowMs - startedAt > KNOWN_MS;

/** What becomes of a run that was refused. */
type Fate =
  | { readonly is: "failed" }
  /** Too late, and certainly not sent. */
  | { readonly is: "skipped" }
  /** Certainly not sent; the latest run takes its place. */
  | { readonly is: "replaced" }
  | { readonly is: "retried"; readonly atMs: number };

export function fateOf(
  claim: Claim,
  refusal: Refusal,
  { missed, nextAt }: { missed: ScheduleRule["missed"]; nextAt: number | undefined },
  nowMs: number,
): Fate {
  const { code } = refusal;
  const kind = ERRORS[code === "stale_route" ? "unavailable" : code];
  if (!kind.retryable) return { is: "failed" };
  const isSurelyUnsent = kind.status === 429 || code === "storage_full";
  if (isSurelyUnsent && missed === "skip" && nowMs - claim.scheduledAt > LIMITS.scheduleLateMsMax)
    return { is: "skipped" };
  if (isSurelyUnsent && missed === "once" && nextAt !== undefined && nextAt <= nowMs)
    return { is: "replaced" };
  const backoffMs = Math.min(RETRY_MS_MAX, FIRST_RETRY_MS * 2 ** Math.min(claim.attempts, 10));
  return { is: "retried", atMs: nowMs + Math.max(backoffMs, refusal.retryAfterMs ?? 0) };
}

/**
 * The life of a half message: prepared → committed | rolledBack | discarded, and discarded → prepared by resume.
 * Pure: every question about a transaction's state is answered here, and nowhere else.
 *
 * [T1] The first decision wins; the same one again is a success that says so, another one a refusal with the winner.
 * [T2] Only an explicit commit commits. Silence, errors and running out of checks never do.
 * [T3] `unknown` moves nothing but the next check.
 */
import type { CheckPolicy } from "../protocol/topic.ts";
import type { Decision, TransactionState } from "../protocol/rpc.ts";

export type Verdict =
  | { readonly do: "move"; readonly to: "committed" | "rolledBack" }
  | { readonly do: "postpone" }
  | { readonly do: "resume" }
  | { readonly do: "repeat" }
  | {
      readonly do: "refuse";
      readonly code:
        | "transaction_committed"
        | "transaction_rolled_back"
        | "transaction_discarded"
        | "transaction_not_discarded";
    };

const WINNER = {
  committed: "transaction_committed",
  rolledBack: "transaction_rolled_back",
  discarded: "transaction_discarded",
} as const;

/** What a decision does to a transaction in this state. */
export function decide(state: TransactionState, decision: Decision): Verdict {
  if (decision === "resume") {
    return state === "discarded"
      ? { do: "resume" }
      : { do: "refuse", code: "transaction_not_discarded" };
  }
  if (state !== "prepared") {
    const same =
      (decision === "commit" && state === "committed") ||
      (decision === "rollback" && state === "rolledBack");
    return same ? { do: "repeat" } : { do: "refuse", code: WINNER[state] };
  }
  switch (decision) {
    case "commit":
      return { do: "move", to: "committed" };
    case "rollback":
      return { do: "move", to: "rolledBack" };
    case "unknown":
      return { do: "postpone" };
  }
}

/** A transaction that nobody has decided yet, as far as checks go. */
export interface Undecided {
  readonly policy: CheckPolicy;
  /** Checks begun so far. */
  readonly checks: number;
  /** When the next one is due, or the discard. */
  readonly nextCheckAt: number;
  /** An open check is awaited until then; 0 when none is open. */
  readonly openUntil: number;
}

/** What is due for an undecided transaction now. A check waits for the end of the one before it. */
export function due(half: Undecided, nowMs: number): "nothing" | "check" | "discard" {
  if (half.nextCheckAt > nowMs || half.openUntil > nowMs) return "nothing";
  return half.checks >= half.policy.maxChecks ? "discard" : "check";
}

/** The instant from which `due` may answer something else. */
export const dueAt = (half: Undecided): number => Math.max(half.nextCheckAt, half.openUntil);

/**
 * When a failing endpoint is left alone, and when it is tried again. Pure; the state is plain data, so that it can be kept.
 *
 * Closed: calls go out. After FAILURES_MAX calls in a row that failed, or as soon as the endpoint asks for it, it opens:
 * no call until `openUntil`. Then one call is tried. A success closes it, a failure opens it again, for twice as long.
 */

/** Calls in a row. */
const FAILURES_MAX = 5;
const FIRST_PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 60_000;

export interface BreakerState {
  /** Calls that failed since the last one that did not. */
  readonly failures: number;
  /** How often it opened since it was closed last; 0: it is closed. */
  readonly openings: number;
  readonly openUntil: number;
}

export const CLOSED: BreakerState = { failures: 0, openings: 0, openUntil: 0 };

export type Gate =
  | { readonly is: "closed" }
  /** One call at a time, to see whether the endpoint is back. */
  | { readonly is: "probing" }
  | { readonly is: "open"; readonly until: number };

export function gateOf({ openings, openUntil }: BreakerState, nowMs: number): Gate {
  if (openings === 0) return { is: "closed" };
  return nowMs < openUntil ? { is: "open", until: openUntil } : { is: "probing" };
}

/** A call failed. `random` from 0 to below 1 spreads the tries of many groups that share an endpoint. */
export function afterFailure(state: BreakerState, nowMs: number, random: number): BreakerState {
  const failures = state.failures + 1;
  if (state.openings === 0 && failures < FAILURES_MAX) return { ...state, failures };
  // A call that was under way when it opened says nothing new.
  if (gateOf(state, nowMs).is === "open") return { ...state, failures };
  return opened({ ...state, failures }, nowMs, pauseMs(state.openings, random));
}

/** The endpoint asked to be left alone, for `delayMs` when it said for how long. */
export function afterPlea(
  state: BreakerState,
  nowMs: number,
  random: number,
  delayMs?: number,
): BreakerState {
  const failures = state.failures + 1;
  const openUntil = nowMs + (delayMs ?? pauseMs(state.openings, random));
  if (gateOf(state, nowMs).is === "open")
    return { ...state, failures, openUntil: Math.max(state.openUntil, openUntil) };
  return { failures, openings: state.openings + 1, openUntil };
}

const opened = (state: BreakerState, nowMs: number, delayMs: number): BreakerState => ({
  ...state,
  openings: state.openings + 1,
  openUntil: nowMs + delayMs,
});

/** Doubles with each opening; between half of it and all of it. */
const pauseMs = (openings: number, random: number): number =>
  Math.round(
    Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** Math.min(openings, 10)) * (0.5 + random / 2),
  );

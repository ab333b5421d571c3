/**
 * What an endpoint's answer means for the messages of the call. Pure. Only a 2xx is a success; its JSON may say otherwise of
 * single messages. Everything else fails the whole call. It never throws, whatever came.
 */
import type { PostAnswer } from "../platform/webhook.ts";

/** What becomes of one message. */
export type Fate =
  | { readonly is: "acked" }
  | {
      readonly is: "nacked";
      readonly delayMs?: number;
      readonly reason?: string;
      readonly retry?: false;
    }
  /** Not handled: as if it had not been delivered. */
  | { readonly is: "released" };

export type Verdict = (Taken | Failed | Busy | Gone) & {
  /** The HTTP status, where one came. */
  readonly status?: number;
};

/** The endpoint took the call; one fate per message, in their order. */
interface Taken {
  readonly is: "taken";
  readonly fates: readonly Fate[];
}

/** A failed delivery of each message, to come again after `delayMs` or the group's backoff. */
interface Failed {
  readonly is: "failed";
  readonly reason: string;
  readonly delayMs?: number;
  /** Nothing of the endpoint answered: it says nothing of the messages. */
  readonly unreachable: boolean;
  /** What was said of single messages before it failed. */
  readonly fates?: readonly (Fate | undefined)[];
}

/** The endpoint asked to be left alone: the messages were not delivered. */
interface Busy {
  readonly is: "busy";
  readonly reason: string;
  readonly delayMs?: number;
}

/** There is no such endpoint any more, and never will be: 410. */
interface Gone {
  readonly is: "gone";
  readonly reason: string;
}

/** A longer Retry-After is taken for this long: an endpoint must not silence itself for ever by mistake. */
const RETRY_AFTER_MS_MAX = 60 * 60 * 1_000;
const DELAY_MS_MAX = 366 * 24 * 60 * 60 * 1_000;
const REASON_CHARS_MAX = 1_024;

export function classify(answer: PostAnswer, receipts: readonly string[], nowMs: number): Verdict {
  const { status, failure, bodyText } = answer;
  const delayMs = retryAfterMs(answer.retryAfter, nowMs);
  const delay = delayMs === undefined ? {} : { delayMs };
  if (status === 410) return { is: "gone", reason: "http_410" };
  if (status === 429 || (status === 503 && delayMs !== undefined))
    return { is: "busy", reason: `http_${status}`, ...delay };
  if (failure !== undefined) {
    // Of these the endpoint is not the cause, nor are the messages: they wait until somebody mends it.
    if (failure === "target_not_allowed" || failure === "no_secret")
      return { is: "busy", reason: failure };
    return { is: "failed", reason: failure, unreachable: failure === "network", ...delay };
  }
  if (status < 200 || status > 299)
    return { is: "failed", reason: `http_${status}`, unreachable: false, ...delay };
  const fates = fatesOf(bodyText ?? "", receipts);
  return fates === undefined
    ? { is: "failed", reason: "bad_results", unreachable: false }
    : { is: "taken", fates };
}

/** Seconds, or a date; undefined for anything else. */
export function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  if (/^\d{1,15}$/.test(trimmed)) return Math.min(Number(trimmed) * 1_000, RETRY_AFTER_MS_MAX);
  // Only dates as HTTP has them, which begin with a day's name: Date.parse takes much else for one.
  const at = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? /.test(trimmed)
    ? Date.parse(trimmed)
    : Number.NaN;
  if (Number.isNaN(at)) return undefined;
  return Math.min(Math.max(0, at - nowMs), RETRY_AFTER_MS_MAX);
}

const ACKED: Fate = { is: "acked" };

/**
 * The fates that a 2xx says; undefined when it has `results` that cannot be understood. A body without them acks all, and so
 * does a message that they do not name. Of two results for one receipt the one that is not ok counts, and a failure most.
 */
function fatesOf(text: string, receipts: readonly string[]): Fate[] | undefined {
  const results = resultsIn(text);
  if (results === "none") return receipts.map(() => ACKED);
  if (!Array.isArray(results)) return undefined;
  const fates = new Map<string, Fate>();
  for (const result of results as unknown[]) {
    const read = readResult(result);
    if (read === undefined) return undefined;
    const known = fates.get(read.receipt)?.is ?? "acked";
    if (known === "acked" || read.fate.is === "nacked") fates.set(read.receipt, read.fate);
  }
  return receipts.map((receipt) => fates.get(receipt) ?? ACKED);
}

function resultsIn(text: string): unknown {
  try {
    const said: unknown = JSON.parse(text);
    if (typeof said !== "object" || said === null || !Object.hasOwn(said, "results")) return "none";
    return (said as { results: unknown }).results;
  } catch {
    return "none";
  }
}

function readResult(result: unknown): { receipt: string; fate: Fate } | undefined {
  if (typeof result !== "object" || result === null) return undefined;
  const { receipt, ok, delayMs, reason, retry, handled } = result as Record<string, unknown>;
  if (typeof receipt !== "string" || typeof ok !== "boolean") return undefined;
  if (ok) return { receipt, fate: ACKED };
  if (delayMs !== undefined && !isDelay(delayMs)) return undefined;
  if (reason !== undefined && typeof reason !== "string") return undefined;
  if (retry !== undefined && typeof retry !== "boolean") return undefined;
  if (handled !== undefined && typeof handled !== "boolean") return undefined;
  if (handled === false) return { receipt, fate: { is: "released" } };
  return {
    receipt,
    fate: {
      is: "nacked",
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(reason === undefined ? {} : { reason: reason.slice(0, REASON_CHARS_MAX).toWellFormed() }),
      ...(retry === false ? { retry } : {}),
    },
  };
}

const isDelay = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= DELAY_MS_MAX;

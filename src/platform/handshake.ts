/**
 * The question whether an endpoint wants to be called, by CloudEvents' rules for web hooks ("Abuse Protection"): an OPTIONS
 * request that names who would call, and an answer that grants it, with a rate or without. Bounded in time; it never throws,
 * never follows a redirect, and takes nothing but an explicit grant for one.
 */
import { type Clock, within } from "./clock.ts";
import { checkTarget, type TargetPolicy } from "./target.ts";
import type { Fetch } from "./webhook.ts";

export interface Question {
  readonly url: string;
  /** A host name. */
  readonly origin: string;
  /** Calls a minute that are wanted; absent: as many as it takes. */
  readonly perMinute?: number;
  readonly timeoutMs: number;
  readonly policy: TargetPolicy;
  readonly clock: Clock;
  readonly fetch: Fetch;
}

export type Permission =
  | {
      readonly is: "granted";
      /** Calls a minute; absent: any number. */
      readonly perMinute?: number;
    }
  | { readonly is: "refused"; readonly reason: string; readonly status?: number };

const refused = (reason: string, status?: number): Permission =>
  status === undefined ? { is: "refused", reason } : { is: "refused", reason, status };

export async function askPermission(question: Question): Promise<Permission> {
  const { url, origin, perMinute, timeoutMs, policy, clock, fetch } = question;
  const target = checkTarget(url, policy);
  if (!target.ok) return refused("target_not_allowed");
  const headers: Record<string, string> = {
    "webhook-request-origin": origin,
    "user-agent": "HalfMQ",
  };
  if (perMinute !== undefined) headers["webhook-request-rate"] = String(perMinute);
  const control = new AbortController();
  try {
    const init = {
      method: "OPTIONS",
      headers,
      redirect: "manual",
      signal: control.signal,
    } as const;
    const answer = await within(clock, timeoutMs, fetch(target.value.href, init));
    return answer === undefined
      ? refused("handshake_timeout")
      : permissionOf(origin, answer.status, (name) => answer.headers?.get(name) ?? undefined);
  } catch {
    return refused("handshake_unreachable");
  } finally {
    // Of an answer nothing but its head is of interest.
    control.abort();
  }
}

/** `*` or this origin, with `*`, a number of calls a minute, or nothing for the rate. */
export function permissionOf(
  origin: string,
  status: number,
  header: (name: string) => string | undefined,
): Permission {
  if (status < 200 || status > 299) return refused("handshake_refused", status);
  const allowed = header("webhook-allowed-origin")?.trim().toLowerCase();
  if (allowed !== "*" && allowed !== origin.toLowerCase())
    return refused("handshake_refused", status);
  const rate = (header("webhook-allowed-rate") ?? "*").trim();
  if (rate === "*") return { is: "granted" };
  return /^[1-9]\d{0,8}$/.test(rate)
    ? { is: "granted", perMinute: Number(rate) }
    : refused("handshake_bad_rate", status);
}

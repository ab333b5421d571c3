/**
 * Cron expressions with time zones: a thin hand over croner, which does the calendar. It takes the instants as parameters, sets
 * no timer, and lets no exception of the library through.
 *
 * Where clocks change, an expression whose hours, minutes and seconds are numbers, lists or ranges means times of the day: a
 * time that the change leaves out runs at its end, one that comes twice runs the first time. One with `*` or a step in them
 * means a beat: it runs whenever the clock shows what it asks for, so also twice, and not in what is left out.
 */
import { Cron } from "croner";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";

const FIELDS = /^[0-9A-Za-z*?,\-/#+]+(?: [0-9A-Za-z*?,\-/#+]+){4,5}$/u;
const NICKNAME = /^@[a-z]+$/iu;
/** Offsets such as +02:00 are no zones: they know no summer. */
const ZONE = /^[A-Za-z][A-Za-z0-9_+\-/]*$/u;

/** The instants at which an expression comes true, whole seconds each. */
export interface Occurrences {
  /** The first one later than that; undefined when there is none. */
  next(afterMs: number): number | undefined;
  /** The last one that is not later than that. */
  latest(atMs: number): number | undefined;
}

/** Refused with the `field` at fault; also when it never comes true after `nowMs`. */
export function parseCron(text: string, timeZone: string, nowMs: number): Outcome<Occurrences> {
  const field = "timeZone";
  if (!isZone(timeZone)) {
    const detail = "timeZone: not a name in the IANA database, such as Europe/Berlin";
    return refuse("invalid_request", detail, { field });
  }
  const pattern = text.trim().replaceAll(/\s+/gu, " ");
  if (!FIELDS.test(pattern) && !NICKNAME.test(pattern)) {
    const detail = "cron: five fields, six with seconds in front, or a nickname such as @daily";
    return refuse("invalid_request", detail, { field: "cron" });
  }
  try {
    const occurrences = occurrencesOf(pattern, timeZone);
    if (occurrences.next(nowMs) !== undefined) return accept(occurrences);
    return refuse("invalid_request", "cron: it never comes true", { field: "cron" });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refuse("invalid_request", `cron: ${reason}`, { field: "cron" });
  }
}

function occurrencesOf(pattern: string, timezone: string): Occurrences {
  const cron = new Cron(pattern, {
    timezone,
    mode: "5-or-6-parts",
    fixedTimeRule: "no-wildcard",
    paused: true,
  });
  return {
    next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime(),
    // It looks for what lies before the instant that it is given.
    latest: (atMs) => cron.previousRuns(1, new Date(secondAfter(atMs)))[0]?.getTime(),
  };
}

function isZone(timeZone: string): boolean {
  if (!ZONE.test(timeZone)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

const secondAfter = (atMs: number): number => (Math.floor(atMs / 1_000) + 1) * 1_000;

/** Reads a history and nothing else, and says which promises it breaks, by the numbers of docs/reliability.md. */
import type { Ran } from "../simulate.ts";
import { checkAudit } from "./audit.ts";
import { checkBodies } from "./bodies.ts";
import { checkCalendar } from "./calendar.ts";
import { checkCredits } from "./credits.ts";
import { checkDelivery } from "./delivery.ts";
import { checkProducers } from "./producers.ts";
import { checkRetention } from "./retention.ts";
import { checkStorage } from "./storage.ts";
import { Story } from "./story.ts";
import { checkTransactions } from "./transactions.ts";

export interface Violation {
  readonly invariant: string;
  readonly what: string;
  /** The message that it is about. */
  readonly mark?: string;
}

export type Report = (invariant: string, what: string, mark?: string) => void;

export function check(ran: Ran): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (invariant, what, mark) =>
    void violations.push({ invariant, what, ...(mark === undefined ? {} : { mark }) });
  for (const error of ran.errors) report("E1", error);
  if (!ran.rest.isDrained) report("V1", ran.rest.why ?? "something is still on its way");
  const story = new Story(ran);
  checkStorage(story, report);
  checkDelivery(story, report);
  checkCredits(story, report);
  checkRetention(story, report);
  checkTransactions(story, report);
  checkProducers(story, report);
  checkAudit(story, report);
  checkBodies(ran, report);
  if (ran.calendar !== undefined) {
    const weather = { isSteady: !story.stepped(0, Infinity), isCalm: ran.isCalm };
    checkCalendar(ran.calendar, weather, report);
  }
  return violations;
}

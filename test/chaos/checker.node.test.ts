/** What only the real process is put through is judged by rules of its own: each of them sees what it is there for. */
import { describe, expect, test } from "vitest";
import type { Report, Violation } from "../sim/checker/check.ts";
import { checkAudit } from "../sim/checker/audit.ts";
import {
  type CalendarRest,
  checkCalendar,
  type SeenRun,
  type SeenSchedule,
} from "../sim/checker/calendar.ts";
import { checkDelivery } from "../sim/checker/delivery.ts";
import { checkProducers } from "../sim/checker/producers.ts";
import { Story } from "../sim/checker/story.ts";
import type {
  Answer,
  Delivery,
  Event,
  GroupPlan,
  Request,
  Rest,
  SentMessage,
} from "../sim/history.ts";
import { checkCatalogue, Named, type Standing } from "./catalogue.ts";

type TopicRest = Rest["topics"][number];
type GroupAudit = Required<TopicRest>["audit"]["groups"][number];

const PLAN: GroupPlan = { topic: "t", group: "g", ordered: false, maxAttempts: 3 };
const AT = { topic: "t", group: "g" } as const;

/** A history in which all that was asked was answered at once, one thing after the other. */
class Past {
  readonly #events: Event[] = [];
  readonly #log: TopicRest["log"][number][] = [];
  #op = 0;
  nowMs = 1_000;

  ask(request: Request, answer?: Answer): void {
    const op = this.#op++;
    const at = this.nowMs++;
    this.#events.push({ at, wall: at, is: "invoke", op, client: "c", request });
    const end = this.nowMs++;
    this.#events.push(
      answer === undefined
        ? { at: end, wall: end, is: "lost", op }
        : { at: end, wall: end, is: "ok", op, answer },
    );
  }

  send(mark: string, more: Partial<SentMessage> = {}): void {
    const offset = this.#log.length;
    const messages = [{ mark, topic: "t", ...more }];
    const placed = [{ id: mark, queue: 0, offset, state: "ready" }] as const;
    this.ask({ is: "send", topic: "t", messages, keyed: true }, { is: "sent", placed });
    this.#log.push({ mark, id: mark, queue: 0, offset, isIntact: true, storedAt: this.nowMs });
  }

  receive(mark: string, receipt: string, deliveryAttempt = 1): void {
    const offset = this.#log.findIndex((entry) => entry.mark === mark);
    const storedAt = this.#log[offset]?.storedAt ?? 0;
    const lease = { receipt, deliveryAttempt, invisibleUntil: this.nowMs + 10 };
    const delivery: Delivery = {
      mark,
      isIntact: true,
      id: mark,
      queue: 0,
      offset,
      storedAt,
      ...lease,
    };
    const request = { is: "receive", ...AT, invisibleMs: 10, maxMessages: 1 } as const;
    this.ask(request, { is: "received", deliveries: [delivery] });
    this.nowMs += 20;
  }

  ack(receipt: string): void {
    const results = [{ receipt, ok: true }];
    this.ask({ is: "settle", ...AT, verb: "ack", receipts: [receipt] }, { is: "settled", results });
  }

  story(more: Partial<TopicRest> = {}): Story {
    const topic: TopicRest = {
      topic: "t",
      queues: [
        {
          queue: 0,
          firstOffset: 0,
          nextOffset: this.#log.length,
          prepared: 0,
          delayed: 0,
          forwarding: 0,
        },
      ],
      groups: [],
      log: this.#log,
      transactions: [],
      counted: { prepared: 0, committed: 0, rolledBack: 0, discarded: 0 },
      faults: [],
      deadLetters: [],
      ...more,
    };
    const rest = { topics: [topic], bucket: [], answered: [], isDrained: true };
    return new Story({ seed: 1, isCalm: false, groups: [PLAN], events: this.#events, rest });
  }
}

function broken(run: (report: Report) => void): string[] {
  const violations: Violation[] = [];
  run((invariant, what) => void violations.push({ invariant, what }));
  return violations.map(({ invariant }) => invariant);
}

const ofDelivery = (story: Story): string[] => broken((report) => checkDelivery(story, report));

function movedBack(): Past {
  const made = new Past();
  made.send("m");
  made.receive("m", "r1");
  made.ack("r1");
  made.ask({ is: "seek", ...AT, to: "earliest" }, { is: "done" });
  return made;
}

describe("a group that was moved back", () => {
  test("[K1] owes what is behind it anew", () => {
    const lost = movedBack();
    expect(ofDelivery(lost.story())).toEqual(["K1"]);
    const kept = movedBack();
    kept.receive("m", "r2");
    kept.ack("r2");
    expect(ofDelivery(kept.story())).toEqual([]);
  });

  test("[K1] owes nothing that a later move may have left out", () => {
    const left = movedBack();
    left.ask({ is: "seek", ...AT, to: { 0: 1 } });
    expect(ofDelivery(left.story())).toEqual([]);
    const elsewhere = movedBack();
    elsewhere.ask({ is: "seek", ...AT, to: { 1: 7 } }, { is: "done" });
    expect(ofDelivery(elsewhere.story())).toEqual(["K1"]);
  });
});

test("[R2] attempts begin anew as often as there were redrives", () => {
  const past = new Past();
  past.send("m");
  past.receive("m", "r1");
  past.ask({ is: "redrive", ...AT }, { is: "done" });
  past.receive("m", "r2");
  past.ack("r2");
  expect(ofDelivery(past.story())).toEqual([]);
  const again = new Past();
  again.send("m");
  again.receive("m", "r1");
  again.receive("m", "r2");
  again.ask({ is: "redrive", ...AT, ids: ["another"] }, { is: "done" });
  again.ack("r2");
  expect(ofDelivery(again.story())).toEqual(["R2"]);
});

test("[R3] a redrive of all leaves nothing dead that was dead before it", () => {
  const past = new Past();
  past.send("m");
  past.ask({ is: "redrive", ...AT }, { is: "done" });
  const letter = { group: "g", mark: "m", attempts: 3 };
  const since = (deadAt: number): Story => past.story({ deadLetters: [{ ...letter, deadAt }] });
  expect(ofDelivery(since(past.nowMs))).toEqual([]);
  expect(ofDelivery(since(500))).toEqual(["R3"]);
});

test("[X1] nothing is leased when its time to live is over", () => {
  const past = new Past();
  past.send("m", { ttlMs: 50 });
  past.receive("m", "r1");
  expect(ofDelivery(past.story())).toEqual([]);
  past.nowMs += 100;
  past.receive("m", "r2", 2);
  expect(ofDelivery(past.story())).toEqual(["X1"]);
});

const counted = (...numbers: readonly (readonly [number, number])[]): string[] => {
  const past = new Past();
  for (const [epoch, sequence] of numbers)
    past.send(`${epoch}.${sequence}`, { producer: { id: "p", epoch, sequence } });
  return broken((report) => checkProducers(past.story(), report));
};

test("[P1] [P2] counted messages are stored once, in order, without a hole, and none of a fenced epoch", () => {
  expect(counted([1, 1], [1, 2], [2, 1])).toEqual([]);
  expect(counted([1, 1], [1, 3])).toEqual(["P1"]);
  expect(counted([1, 2], [1, 1])).toEqual(["P1"]);
  expect(counted([1, 1], [2, 1], [1, 2])).toEqual(["P2"]);
});

describe("[A3] the audit", () => {
  const well: GroupAudit = {
    group: "g",
    stored: 2,
    delivered: 2,
    acked: 2,
    deadLettered: 0,
    expired: 0,
    filtered: 0,
    open: 0,
    unaccounted: 0,
  };
  const past = new Past();
  for (const mark of ["a", "b"]) {
    past.send(mark, { producer: { id: "p", epoch: 1, sequence: mark === "a" ? 1 : 2 } });
    past.receive(mark, mark);
    past.ack(mark);
  }
  const producer = {
    id: "p",
    queue: 0,
    epoch: 1,
    firstSequence: 1,
    lastSequence: 2,
    taken: 2,
    missing: 0,
    lastSentAt: 0,
  };
  const told = (counts: Partial<GroupAudit>, lastSequence = 2): string[] => {
    const producers = [{ ...producer, lastSequence }];
    const story = past.story({ audit: { groups: [{ ...well, ...counts }], producers } });
    return broken((report) => checkAudit(story, report));
  };

  test("counts what was seen", () => {
    expect(told({})).toEqual([]);
  });

  test.each([
    ["does not add up", { filtered: 1 }],
    ["misses an ack", { acked: 1, expired: 1 }],
    ["misses a message", { stored: 1, acked: 1 }],
    ["misses a delivery", { delivered: 1 }],
    ["has something open", { acked: 1, open: 1 }],
  ])("is caught when it %s", (_, counts) => {
    expect(told(counts)).toContain("A3");
  });

  test("is caught when it misses a producer's message", () => {
    expect(told({}, 1)).toEqual(["A3"]);
  });
});

const seen = (own: Partial<SeenSchedule> = {}): SeenSchedule => ({
  name: "s",
  stepMs: 1_000,
  missed: "skip",
  pauses: [],
  set: { from: 500, to: 500 },
  ...own,
});
const run = (slot: number, storedAt = slot + 10): SeenRun => ({ schedule: "s", slot, storedAt });
const judged = (
  schedule: SeenSchedule,
  runs: readonly SeenRun[],
  own: Partial<CalendarRest> = {},
  weather = { isSteady: true, isCalm: false },
) => {
  const rest = { name: "s", nextRunAt: 4_000, wall: 3_500, ...own };
  const rests = schedule.ended === undefined ? [rest] : [];
  return broken((report) => checkCalendar({ schedules: [schedule], runs, rests }, weather, report));
};

describe("the calendar", () => {
  test("is kept", () => {
    expect(judged(seen(), [run(1_000), run(2_000), run(3_000)])).toEqual([]);
  });

  test("[C1] [C2] is broken by a run that comes twice, early, or at another time", () => {
    expect(judged(seen(), [run(1_000), run(1_000), run(2_000), run(3_000)])).toEqual(["C1"]);
    expect(judged(seen(), [run(1_000), run(2_000, 1_999), run(3_000)])).toEqual(["C2"]);
    expect(judged(seen(), [run(1_000), run(2_000), run(2_500), run(3_000)])).toEqual(["C2"]);
  });

  test("[C3] is broken by a run that is left out, unless the rule of the schedule leaves it out", () => {
    expect(judged(seen(), [run(1_000), run(3_000)])).toEqual(["C3"]);
    expect(judged(seen(), [run(1_000), run(3_000, 62_001)])).toEqual([]);
    expect(judged(seen(), [run(1_000), run(2_000)], { pending: 3_000 })).toEqual([]);
    expect(judged(seen(), [run(1_000), run(2_000)])).toEqual(["C3"]);
    const once = seen({ missed: "once" });
    expect(judged(once, [run(1_000), run(3_000)])).toEqual([]);
    expect(judged(once, [run(1_000), run(2_000)])).toEqual(["C3"]);
  });

  test("[C4] has no run of a time at which it was paused, and owes none", () => {
    const pauses = [{ from: 1_100, surelyFrom: 1_200, surelyTo: 2_800, to: 2_900 }];
    expect(judged(seen({ pauses }), [run(1_000), run(3_000)])).toEqual([]);
    expect(judged(seen({ pauses }), [run(1_000), run(2_000), run(3_000)])).toEqual(["C4"]);
  });
});

describe("the calendar of a schedule that ended", () => {
  const ended = seen({ ended: { from: 2_500, to: 2_600 } });

  test("[C2] has no run after that, and none that nobody set", () => {
    expect(judged(ended, [run(1_000), run(2_000)])).toEqual([]);
    expect(judged(ended, [run(1_000), run(2_000), run(3_000)])).toEqual(["C2"]);
    expect(judged(ended, [run(1_000), { ...run(2_000), schedule: "other" }])).toEqual(["C2"]);
  });

  test("[C3] owes what it had come to, and in a calm run all of it", () => {
    const late = seen({ ended: { from: 3_500, to: 3_600 } });
    expect(judged(late, [run(1_000)])).toEqual([]);
    expect(judged(late, [run(1_000), run(3_000)])).toEqual(["C3"]);
    expect(judged(late, [run(1_000)], {}, { isSteady: true, isCalm: true })).toEqual(["C3"]);
  });
});

test("[C5] a calm run has no late run, and a clock that steps may come to a time again", () => {
  const runs = [run(1_000), run(2_000, 3_001), run(3_000)];
  expect(judged(seen(), runs, {}, { isSteady: true, isCalm: true })).toEqual(["C5"]);
  const stepped = { isSteady: false, isCalm: false };
  const pauses = [{ from: 1_100, surelyFrom: 1_200, surelyTo: 2_800, to: 2_900 }];
  const twice = [run(1_000), run(1_000), run(2_000)];
  expect(judged(seen({ pauses }), twice, {}, stepped)).toEqual([]);
  expect(judged(seen(), twice, {}, stepped)).toEqual(["C1"]);
});

test("[G1] what was made is there as it was set last, and what was deleted is not", () => {
  const named = new Named();
  const judged = (standing: Standing): string[] =>
    broken((report) => checkCatalogue(new Map([["t", named]]), new Map([["t", standing]]), report));
  expect([judged("gone"), judged(1)]).toEqual([[], ["G1"]]);
  named.last = 1;
  expect([judged("gone"), judged(1), judged(2)]).toEqual([["G1"], [], ["G1"]]);
  named.unsure.add("gone");
  expect([judged("gone"), judged(1), judged(2)]).toEqual([[], [], ["G1"]]);
});

/** Cron expressions: what they mean where clocks change and calendars are odd, and which are refused. */
import { expect, test } from "vitest";
import { parseCron } from "../../src/scheduler/cron.ts";

const iso = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().replace(/:00\.000Z$/u, "");

function occurrences(cron: string, timeZone: string, from: string) {
  const parsed = parseCron(cron, timeZone, Date.parse(from));
  if (!parsed.ok) throw new Error(parsed.detail);
  return parsed.value;
}

function runs(cron: string, timeZone: string, from: string, count: number): (string | undefined)[] {
  const times = occurrences(cron, timeZone, from);
  const found: (string | undefined)[] = [];
  for (let at: number | undefined = Date.parse(from); found.length < count;) {
    at = at === undefined ? undefined : times.next(at);
    found.push(iso(at));
  }
  return found;
}

const BERLIN = "Europe/Berlin";

test.each([
  // 2026-03-29, 02:00 to 03:00 does not exist.
  ["30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00", "2026-03-30T00:30"]],
  ["0,30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00", "2026-03-30T00:00"]],
  ["30 1,2 * * *", "2026-03-28T12:00Z", ["2026-03-29T00:30", "2026-03-29T01:00"]],
  ["*/30 * * * *", "2026-03-29T00:30Z", ["2026-03-29T01:00", "2026-03-29T01:30"]],
  ["*/30 2 * * *", "2026-03-28T12:00Z", ["2026-03-30T00:00", "2026-03-30T00:30"]],
  // 2026-10-25, 02:00 to 03:00 comes twice.
  ["30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25T00:30", "2026-10-26T01:30"]],
  ["0 2-3 * * *", "2026-10-24T12:00Z", ["2026-10-25T00:00", "2026-10-25T02:00"]],
  [
    "*/30 2 * * *",
    "2026-10-24T12:00Z",
    [
      "2026-10-25T00:00",
      "2026-10-25T00:30",
      "2026-10-25T01:00",
      "2026-10-25T01:30",
      "2026-10-26T01:00",
    ],
  ],
])("in Berlin %s after %s runs at %j", (cron, from, expected) => {
  expect(runs(cron, BERLIN, from, expected.length)).toEqual(expected);
});

test("midnight of a zone that changes its clocks then still runs once", () => {
  // Havana goes from 00:00 to 01:00 on 2026-03-08.
  const found = runs("0 0 * * *", "America/Havana", "2026-03-07T06:00Z", 3);
  expect(found).toEqual(["2026-03-08T05:00", "2026-03-09T04:00", "2026-03-10T04:00"]);
});

test("the 29th of February waits for leap years, over 2100 as well", () => {
  expect(runs("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", 2)).toEqual([
    "2028-02-29T00:00",
    "2032-02-29T00:00",
  ]);
  expect(runs("0 0 29 2 *", "UTC", "2096-03-01T00:00Z", 1)).toEqual(["2104-02-29T00:00"]);
});

test("last days, nicknames, names and seconds are understood", () => {
  expect(runs("0 0 L * *", "UTC", "2026-01-15T00:00Z", 2)).toEqual([
    "2026-01-31T00:00",
    "2026-02-28T00:00",
  ]);
  expect(runs("@daily", "UTC", "2026-01-15T01:00Z", 1)).toEqual(["2026-01-16T00:00"]);
  expect(runs("0 9 * jan MON-FRI", "UTC", "2026-01-16T12:00Z", 1)).toEqual(["2026-01-19T09:00"]);
  const times = occurrences("*/10 * * * * *", "UTC", "2026-01-15T00:00Z");
  expect(times.next(Date.parse("2026-01-15T00:00:00.001Z"))).toBe(
    Date.parse("2026-01-15T00:00:10Z"),
  );
});

test.each([
  ["0 0 30 2 *", "UTC", "cron"],
  ["0 0 31 4,6,9,11 *", BERLIN, "cron"],
  ["61 * * * *", "UTC", "cron"],
  ["* * * *", "UTC", "cron"],
  ["* * * * * * *", "UTC", "cron"],
  ["", "UTC", "cron"],
  ["@reboot", "UTC", "cron"],
  ["@fortnightly", "UTC", "cron"],
  ["2026-12-24T18:00:00", "UTC", "cron"],
  ["* * * * *; drop", "UTC", "cron"],
  ["5-1 * * * *", "UTC", "cron"],
  ["*/0 * * * *", "UTC", "cron"],
  ["* * * * *", "Mars/Olympus", "timeZone"],
  ["* * * * *", "+02:00", "timeZone"],
  ["* * * * *", "", "timeZone"],
])("%j in %j is refused at %s", (cron, timeZone, field) => {
  const refusal = parseCron(cron, timeZone, Date.parse("2026-01-01T00:00Z"));
  expect(refusal).toMatchObject({ ok: false, code: "invalid_request", facts: { field } });
});

test.each([
  ["30 2 * * *", BERLIN],
  ["*/30 * * * *", BERLIN],
  ["15,45 1-3 * * *", BERLIN],
  ["*/20 * * * *", "Australia/Lord_Howe"],
])(
  "the latest run of %s in %s is the last one that came next, where clocks change",
  (cron, zone) => {
    for (const day of ["2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24"]) {
      const from = Date.parse(`${day}T00:00Z`);
      const times = occurrences(cron, zone, `${day}T00:00Z`);
      let before: number | undefined;
      for (
        let at = times.next(from - 1);
        at !== undefined && at < from + 2 * 86_400_000;
        at = times.next(at)
      ) {
        if (before !== undefined) expect(times.latest(at - 1), iso(at)).toBe(before);
        expect(times.latest(at), iso(at)).toBe(at);
        expect(times.latest(at + 999)).toBe(at);
        before = at;
      }
      expect(before).toBeDefined();
    }
  },
);

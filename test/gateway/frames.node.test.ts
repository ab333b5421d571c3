/** Frames that are refused: which field is named, and by which limit. */
import { expect, test } from "vitest";
import { parseFrame } from "../../src/gateway/frames.ts";

const factsOf = (frame: unknown) => {
  const said = parseFrame(JSON.stringify(frame));
  return said.ok ? undefined : said.facts;
};

test("a frame that says nothing known names its first field, when it has one", () => {
  expect(factsOf({ credits: 1 })).toEqual({ field: "credits" });
  expect(factsOf({ credit: 1, ack: ["r"] })).toEqual({ field: "ack" });
  expect(factsOf({})).toEqual({});
});

test("a number out of range names the limit that it is past", () => {
  expect(factsOf({ credit: -1 })).toEqual({ field: "credit", limit: 0, actual: -1 });
  expect(factsOf({ credit: 1_001 })).toEqual({ field: "credit", limit: 1_000, actual: 1_001 });
  expect(factsOf({ extend: ["r"], invisibleMs: 99 })).toEqual({
    field: "invisibleMs",
    limit: 100,
    actual: 99,
  });
});

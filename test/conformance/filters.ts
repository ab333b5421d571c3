/** Filters of groups: tags, and SQL over properties. Rows 143 to 162 of the reference. */
import { expect } from "vitest";
import type { Cases, Mq } from "./client.ts";
import { bodies, type Json, there, unique, until } from "./kit.ts";

/** What of the messages a group with the filter gets, in their order; the rest is passed over. */
async function through(mq: Mq, filter: Json, ...messages: readonly Json[]): Promise<unknown[]> {
  const topic = await mq.topic();
  const group = await topic.group().make({ filter });
  // The last one passes every filter of these cases, so that no case needs to wait for nothing.
  const last = { body: "last", tag: "last", properties: { last: "TRUE", price: "25" } };
  await topic.send(...messages, last);
  const taken: unknown[] = [];
  await until("the last message", async () => {
    const batch = await group.receive({ maxMessages: 100, waitMs: 500 });
    if (batch.length > 0) await group.ack(...batch);
    taken.push(...bodies(batch));
    return taken.includes("last");
  });
  const { groups } = await topic.stats();
  expect(groups[0]).toMatchObject({ lag: 0, inFlight: 0 });
  return taken.slice(0, -1);
}

const orLast = (sql: string): Json => ({ sql: `last = TRUE OR (${sql})` });
const tagged = (...tags: readonly string[]): Json[] => tags.map((tag) => ({ body: tag, tag }));
const priced = (...prices: readonly string[]): Json[] =>
  prices.map((price) => ({ body: price, properties: { price } }));

async function refusedFilter(mq: Mq, sql: string): Promise<Json> {
  const path = `/v1/topics/${unique("topic")}/groups/g`;
  return mq.refused([400, "invalid_filter"], "PUT", path, { filter: { sql } });
}

export const filters: Cases = {
  "rows 143, 145, 154: a group with tags gets the messages of its tags and no others": async (
    mq,
  ) => {
    const messages = tagged("A", "B", "C", "A");
    expect(await through(mq, { tags: ["A", "last"] }, ...messages)).toEqual(["A", "A"]);
    expect(await through(mq, { tags: ["A", "B", "X", "last"] }, ...messages)).toEqual([
      "A",
      "B",
      "A",
    ]);
    expect(await through(mq, { tags: ["Z", "last"] }, ...messages)).toEqual([]);
  },

  "rows 144, 155: a group without a filter, or with TRUE, gets all": async (mq) => {
    const messages = [...tagged("A", "B"), { body: "none" }];
    expect(await through(mq, { sql: "TRUE" }, ...messages)).toEqual(["A", "B", "none"]);
    const topic = await mq.topic();
    await topic.send(...messages);
    expect(bodies(await topic.group().receive())).toEqual(["A", "B", "none"]);
  },

  "rows 146, 147, 148, 149: a tag is any text of up to 128 bytes and compared as it is": async (
    mq,
  ) => {
    const tags = ["x".repeat(128), " A ", "A||B", "*"];
    expect(await through(mq, { tags: [...tags, "last"] }, ...tagged(...tags, "A"))).toEqual(tags);
  },

  "row 150: an empty tag is refused, in a message and in a filter": async (mq) => {
    const topic = await mq.topic();
    const send = { body: 1, tag: "" };
    await mq.refused([400, "invalid_request"], "POST", `${topic.path}/messages`, send);
    await mq.refused([400, "invalid_request"], "PUT", topic.group().path, {
      filter: { tags: [""] },
    });
  },

  "rows 151, 152: tags of equal hash or other case are other tags": async (mq) => {
    expect(await through(mq, { tags: ["BB", "last"] }, ...tagged("Aa", "BB", "bb"))).toEqual([
      "BB",
    ]);
  },

  "row 153: a message without a tag reaches groups without a filter only": async (mq) => {
    expect(await through(mq, { tags: ["A", "last"] }, { body: "none" })).toEqual([]);
    expect(await through(mq, { sql: "TRUE" }, { body: "none" })).toEqual(["none"]);
  },

  "rows 156, 157, 158: SQL compares properties, and an absent one never matches": async (mq) => {
    const messages = [...priced("10", "30", "10.5"), { body: "none" }];
    expect(await through(mq, orLast("price > 20"), ...messages)).toEqual(["30"]);
    expect(await through(mq, orLast("price BETWEEN 10 AND 20"), ...messages)).toEqual([
      "10",
      "10.5",
    ]);
    expect(await through(mq, orLast("colour = 'red'"), ...messages)).toEqual([]);
    expect(await through(mq, orLast("colour <> 'red'"), ...messages)).toEqual([]);
  },

  "row 159: TAGS in SQL is the tag": async (mq) => {
    const sql = "(TAGS is not null and TAGS in ('TagA', 'TagB'))";
    const messages = [...tagged("TagA", "TagB", "TagC"), { body: "none" }];
    expect(await through(mq, orLast(sql), ...messages)).toEqual(["TagA", "TagB"]);
  },

  "row 160: texts, truth values, NULL and NOT in SQL follow the standard": async (mq) => {
    const rows: readonly (readonly [string, string, boolean])[] = [
      ["a = 1", "01", true],
      ["a = 1", "1.0", true],
      ["a <> 5", "abc", false],
      ["a = TRUE", "TRUE", true],
      ["a", "true", false],
      ["a IS NULL", "", false],
      ["NOT a IS NULL", "x", true],
      ["NOT a = 1", "2", true],
      ["a CONTAINS 'bc'", "abcd", true],
      ["a CONTAINS ''", "abcd", false],
      ["a STARTSWITH 'ab' AND a ENDSWITH 'cd'", "abcd", true],
      ["a > 5 OR TRUE", "abc", true],
    ];
    for (const [sql, a, passes] of rows) {
      const got = await through(mq, orLast(sql), { body: a, properties: { a } });
      expect(got, `${sql} with ${a}`).toEqual(passes ? [a] : []);
    }
  },

  "row 161: a filter that does not parse is refused with the position of its fault": async (mq) => {
    for (const [sql, position] of [
      ["", 0],
      ["a > 'x'", 4],
      ["a = NULL", 4],
      ["a BETWEEN 5 AND 1", 10],
      ["a IN (1,2)", 6],
      ["a = 1 garbage", 6],
      ["a LIKE 'x%'", 2],
      ["a > 100000000000000000000000", 4],
      ["a and between 2 and 10", 6],
      ["(".repeat(40), 32],
    ] as const)
      expect(await refusedFilter(mq, sql), sql).toMatchObject({ field: "filter.sql", position });
    const long = { filter: { sql: `a = '${"x".repeat(4_096)}'` } };
    const path = `/v1/topics/${unique("topic")}/groups/g`;
    const answer = await mq.refused([400, "invalid_request"], "PUT", path, long);
    expect(answer).toMatchObject({ field: "filter.sql", limit: 4_096 });
  },

  "row 162: what a filter has not looked at yet counts whole, and the lag says so": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ filter: { sql: "price > 20" } });
    await topic.send(...priced("10", "30", "15"));
    const before = await topic.stats();
    expect(before.groups[0]).toMatchObject({ lag: 3, lagExact: false });
    await group.take(1);
    await group.nothing(0);
    const after = await topic.stats();
    expect(there(after.groups[0]).lag).toBe(0);
    expect(after.groups[0]).not.toHaveProperty("lagExact");
  },

  "a changed filter counts from where the group has read, and a seek applies it to all": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ filter: { sql: "price > 20" } });
    await topic.send(...priced("10", "30"));
    expect(bodies(await group.take(1))).toEqual(["30"]);
    await group.nothing(0);
    await group.make({ filter: { sql: "price < 20" } });
    await topic.send(...priced("11", "31"));
    expect(bodies(await group.take(1))).toEqual(["11"]);
    await mq.ok("POST", `${group.path}/seek`, { to: "earliest" });
    expect(bodies(await group.take(2))).toEqual(["10", "11"]);
    await mq.ok("PUT", group.path, { filter: { tags: ["A"] } });
    expect(await mq.ok("GET", group.path)).toMatchObject({ filter: { tags: ["A"] } });
  },
};

/** Keys: who may do what, on which topics, in which namespace. */
import { expect } from "vitest";
import { type Cases, type Mq } from "./client.ts";
import { bodies, type Json, unique, until } from "./kit.ts";

async function keyOf(mq: Mq, settings: Json): Promise<{ client: Mq; path: string }> {
  const path = `/v1/keys/${unique("key")}`;
  const answer = await mq.call("PUT", path, settings);
  expect(answer.status, answer.text).toBe(201);
  return { client: mq.with(String(answer.json["key"])), path };
}

/** One call for each scope, and the routes that need it. */
const needs = (topic: string): readonly (readonly [string, string, string, Json?])[] => [
  ["send", "POST", `/v1/topics/${topic}/messages`, { body: 1 }],
  [
    "transact",
    "POST",
    `/v1/topics/${topic}/transactions`,
    { producerGroup: "p", message: { body: 1 } },
  ],
  ["transact", "POST", "/v1/producer-groups/p/checks/receive", {}],
  ["consume", "POST", `/v1/topics/${topic}/groups/g/receive`, {}],
  ["consume", "POST", `/v1/topics/${topic}/groups/g/ack`, { receipts: ["x"] }],
  ["manage", "PUT", `/v1/topics/${topic}`, {}],
  ["manage", "PUT", "/v1/keys/k", { scopes: ["send"] }],
  ["manage", "DELETE", `/v1/topics/${topic}`],
];

export const auth: Cases = {
  "a key's signing pair names the key, and is another one when the key is made anew": async (
    mq,
  ) => {
    const { client, path } = await keyOf(mq, { scopes: ["consume"] });
    const pair = await client.ok("GET", "/v1/signing-pair");
    expect(pair["accessKeyId"]).toBe(`default.${path.slice("/v1/keys/".length)}`);
    expect(pair["secretAccessKey"]).toMatch(/^[\w-]{43}$/u);
    const anew = await mq.ok("PUT", path, { scopes: ["consume"] });
    const other = await mq.with(String(anew["key"])).ok("GET", "/v1/signing-pair");
    expect(other["accessKeyId"]).toBe(pair["accessKeyId"]);
    expect(other["secretAccessKey"]).not.toBe(pair["secretAccessKey"]);
  },

  "without a key, or with a wrong one, every route but health is 401": async (mq) => {
    const topic = await mq.topic();
    const { transactionId } = await topic.prepare({ body: 1 });
    const routes: readonly (readonly [string, string])[] = [
      ...needs(topic.name).map(([, method, path]) => [method, path] as const),
      ["GET", "/v1/topics"],
      ["GET", topic.path],
      ["GET", `${topic.path}/stats`],
      ["GET", `${topic.path}/messages`],
      ["POST", `/v1/transactions/${transactionId}/commit`],
      ["GET", `/v1/transactions/${transactionId}`],
      ["GET", "/v1/producer-groups"],
      ["GET", "/v1/keys"],
      ["GET", "/v1/changes"],
    ];
    for (const client of [mq.with(""), mq.with("wrong"), mq.with(`${mq.key}x`)])
      for (const [method, path] of routes) {
        const answer = await client.call(method, path, method === "GET" ? undefined : {});
        expect(answer.status, `${method} ${path}`).toBe(401);
        expect(answer.json["code"]).toBe("unauthenticated");
      }
    const basic = { headers: { authorization: `Basic ${btoa(`root:${mq.key}`)}` } };
    expect((await mq.call("GET", "/v1/topics", undefined, basic)).status).toBe(401);
    expect((await mq.with("").call("GET", "/v1/health")).status).toBe(200);
    expect((await mq.transaction(transactionId)).state).toBe("prepared");
  },

  "a key with one scope does what it allows and nothing else": async (mq) => {
    const topic = await mq.topic();
    const clients = new Map<string, Mq>();
    for (const scope of ["send", "transact", "consume", "manage"])
      clients.set(scope, (await keyOf(mq, { scopes: [scope] })).client);
    for (const [needed, method, path, body] of needs(topic.name))
      for (const [scope, client] of clients) {
        if (scope === needed && ["PUT", "DELETE"].includes(method)) continue;
        const answer = await client.call(method, path, body);
        const said = `${scope}: ${method} ${path}: ${answer.text}`;
        if (scope === needed) expect(answer.status, said).toBeLessThan(300);
        else expect([answer.status, answer.json["code"]], said).toEqual([403, "forbidden"]);
      }
  },

  "row 55: a key without transact may send but not prepare, commit or answer checks": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const { client } = await keyOf(mq, { scopes: ["send", "consume", "manage"] });
    await client.ok("POST", `${topic.path}/messages`, { body: 1 });
    const half = { producerGroup: "p", message: { body: 1 } };
    await client.refused([403, "forbidden"], "POST", `${topic.path}/transactions`, half);
    const { transactionId } = await topic.prepare({ body: 2 });
    for (const verb of ["commit", "rollback", "unknown", "resume"])
      expect((await client.decide(transactionId, verb)).status).toBe(403);
    expect((await mq.transaction(transactionId)).state).toBe("prepared");
  },

  "a key for some topics reaches no other, also not inside a transaction": async (mq) => {
    const prefix = unique("mine");
    const other = await mq.topic();
    const { client } = await keyOf(mq, {
      scopes: ["send", "transact", "consume"],
      topics: [`${prefix}*`],
    });
    const mine = `/v1/topics/${prefix}-a`;
    await client.ok("POST", `${mine}/messages`, { body: 1 });
    const message = { body: 1 };
    await client.refused([403, "forbidden"], "POST", `${other.path}/messages`, message);
    await client.refused([403, "forbidden"], "POST", `${other.path}/groups/g/receive`, {});
    await client.refused([403, "forbidden"], "POST", `${mine}/transactions`, {
      producerGroup: "p",
      messages: [{ body: 1 }, { body: 2, topic: other.name }],
    });
    const { transactionId } = await other.prepare({ body: 1 });
    expect((await client.decide(transactionId, "commit")).status).toBeGreaterThanOrEqual(403);
    expect((await mq.transaction(transactionId)).state).toBe("prepared");
    const sent = await other.sendOne({ body: "not yours", delayMs: 60_000 });
    for (const method of ["GET", "DELETE"])
      expect((await client.call(method, `/v1/messages/${sent.id}`)).status).toBeGreaterThanOrEqual(
        403,
      );
    expect(await mq.ok("GET", `/v1/messages/${sent.id}`)).toMatchObject({ state: "delayed" });
  },

  "namespaces hold topics, groups and transactions of the same name apart": async (mq) => {
    const name = unique("topic");
    const spaces = [unique("ns"), unique("ns")].map((namespace) =>
      mq.with(mq.key, { "halfmq-namespace": namespace }),
    );
    for (const [index, space] of spaces.entries())
      await space.ok("POST", `/v1/topics/${name}/messages`, { body: index });
    for (const [index, space] of spaces.entries()) {
      const answer = await space.ok<{ messages: { body: unknown }[] }>(
        "POST",
        `/v1/topics/${name}/groups/g/receive`,
        {},
      );
      expect(bodies(answer.messages as never)).toEqual([index]);
    }
    await mq.refused([404, "topic_not_found"], "GET", `/v1/topics/${name}`);
    const [a, b] = spaces as [Mq, Mq];
    const prepare = async (space: Mq): Promise<string> => {
      const half = { producerGroup: "p", message: { body: "half" } };
      const path = `/v1/topics/${name}/transactions`;
      return (await space.ok<{ transactionId: string }>("POST", path, half)).transactionId;
    };
    // The other namespace has a transaction of its own at the same place.
    const [ours, theirs] = [await prepare(a), await prepare(b)];
    for (const stranger of [b, mq]) {
      const answer = await stranger.decide(ours, "commit");
      expect(answer.status).toBe(404);
    }
    expect((await a.transaction(ours)).state).toBe("prepared");
    expect((await b.transaction(theirs)).state).toBe("prepared");
  },

  "a key belongs to one namespace and cannot leave it": async (mq) => {
    const namespace = unique("ns");
    const space = mq.with(mq.key, { "halfmq-namespace": namespace });
    const { client } = await keyOf(space, { scopes: ["send", "manage", "consume"] });
    const topic = await space.topic();
    await client.ok("POST", `${topic.path}/messages`, { body: 1 });
    expect(await client.ok("GET", topic.path)).toMatchObject({ topic: topic.name });
    const elsewhere = mq.with(client.key, { "halfmq-namespace": unique("ns") });
    const answer = await elsewhere.call("GET", topic.path);
    expect(answer.status).toBe(403);
    await mq.refused([404, "topic_not_found"], "GET", topic.path);
  },

  "a key is shown once, listed without its secret, and refused after its delete": async (mq) => {
    const space = mq.with(mq.key, { "halfmq-namespace": unique("ns") });
    const { client, path } = await keyOf(space, { scopes: ["manage"] });
    const shown = await space.call("GET", path);
    expect(shown.json).toMatchObject({ scopes: ["manage"] });
    expect(shown.text).not.toContain(client.key);
    const list = await space.call("GET", "/v1/keys");
    expect(list.text).not.toContain(client.key);
    expect((list.json as { items: unknown[] }).items).toHaveLength(1);
    expect((await client.call("GET", "/v1/topics")).status).toBe(200);
    await space.ok("DELETE", path);
    await space.refused([404, "key_not_found"], "GET", path);
    // In force everywhere within 10 s.
    const end = Date.now() + 11_000;
    let { status } = await client.call("GET", "/v1/topics");
    while (status !== 401 && Date.now() < end)
      ({ status } = await client.call("GET", "/v1/topics"));
    expect(status).toBe(401);
  },

  "a key past its time is refused": async (mq) => {
    const expiresAt = Date.now() + 2_500;
    const { client } = await keyOf(mq, { scopes: ["manage"], expiresAt });
    expect((await client.call("GET", "/v1/topics?limit=1")).status).toBe(200);
    const isRefused = async () => (await client.call("GET", "/v1/topics?limit=1")).status === 401;
    await until("it is refused", isRefused, 15_000);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
  },

  "a key's settings are checked": async (mq) => {
    const path = `/v1/keys/${unique("key")}`;
    for (const settings of [
      {},
      { scopes: ["all"] },
      { scopes: ["send"], topic: "x" },
      { scopes: ["send"], expiresAt: 1 },
    ])
      await mq.refused([400, "invalid_request"], "PUT", path, settings);
  },
};

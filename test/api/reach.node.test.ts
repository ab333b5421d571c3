/** What a key may not reach: other keys, a life after its end, and changes of topics that are not its own. */
import { expect, test } from "vitest";
import type { Principal } from "../../src/auth/principal.ts";
import { accept, refuse } from "../../src/protocol/errors.ts";
import type { ChangeEvent } from "../../src/protocol/rpc.ts";
import { KEYS, NOW_MS, testEdge } from "./edge.node.ts";

const END_MS = NOW_MS + 2_000;

const MANAGER: Principal = {
  namespace: "default",
  scopes: ["manage", "send"],
  root: false,
  keyName: "manager",
};

const recordOf = (name: string, topics?: readonly string[]) => ({
  name,
  namespace: "default",
  scopes: ["send"] as const,
  createdAt: 1,
  ...(topics === undefined ? {} : { topics }),
});

test("a key that ends makes none that outlives it", async () => {
  const keys = {
    ending: { ...MANAGER, expiresAt: END_MS },
  };
  const { call, asked } = testEdge(
    { putKey: () => Promise.resolve(accept({ key: "hmq_text", record: recordOf("k") })) },
    keys,
  );
  const put = (more: object) =>
    call("PUT", "/v1/keys/k", { scopes: ["send"], ...more }, { key: "ending" });
  for (const more of [{}, { expiresAt: END_MS + 1 }]) {
    expect(await put(more)).toMatchObject({
      status: 403,
      json: { code: "forbidden", field: "expiresAt" },
    });
  }
  expect(asked).toEqual([]);
  expect((await put({ expiresAt: END_MS })).status).toBe(201);
});

test("a key that would be over when it is made is refused", async () => {
  const { call, asked } = testEdge({
    putKey: () => Promise.resolve(accept({ key: "hmq_text", record: recordOf("k") })),
  });
  const put = (expiresAt: number) => call("PUT", "/v1/keys/k", { scopes: ["send"], expiresAt });
  for (const expiresAt of [Math.floor(NOW_MS / 1_000) + 3_600, NOW_MS]) {
    expect(await put(expiresAt)).toMatchObject({
      status: 400,
      json: { code: "invalid_request", field: "expiresAt", limit: NOW_MS, actual: expiresAt },
    });
  }
  expect(asked).toEqual([]);
  expect((await put(NOW_MS + 1)).status).toBe(201);
});

test("a manager that is bound to topics leaves keys alone that reach beyond them", async () => {
  const records = [recordOf("mine", ["a-*"]), recordOf("theirs", ["b"]), recordOf("all")];
  const { call, asked } = testEdge({
    key: (_, name) => {
      const record = records.find((each) => each.name === name);
      return Promise.resolve(record === undefined ? refuse("key_not_found", "") : accept(record));
    },
    keys: () => Promise.resolve(accept({ items: records })),
    putKey: (_, name) => Promise.resolve(accept({ key: "hmq_text", record: recordOf(name) })),
    deleteKey: () => Promise.resolve(accept({ deleted: true as const })),
  });
  const bound = { key: "bound" };
  const settings = { scopes: ["send"], topics: ["a-1"] };
  for (const name of ["theirs", "all"]) {
    for (const [method, body] of [["GET"], ["DELETE"], ["PUT", settings]] as const) {
      expect(await call(method, `/v1/keys/${name}`, body, bound), method).toMatchObject({
        status: 403,
        json: { code: "forbidden" },
      });
    }
  }
  expect(asked.map(({ verb }) => verb).filter((verb) => verb !== "key")).toEqual([]);
  expect((await call("PUT", "/v1/keys/mine", settings, bound)).status).toBe(201);
  expect((await call("PUT", "/v1/keys/new", settings, bound)).status).toBe(201);
  expect((await call("DELETE", "/v1/keys/mine", undefined, bound)).status).toBe(200);
  const listed = (await call("GET", "/v1/keys", undefined, bound)).json["items"];
  expect(listed).toMatchObject([{ name: "mine" }]);
});

test("a stream of changes ends with its key", async () => {
  const keys = { reader: KEYS["bound"] };
  let reads = 0;
  const { raw } = testEdge(
    {
      changes: () => {
        if (++reads === 3) Reflect.deleteProperty(keys, "reader");
        return Promise.resolve(accept({ events: [], last: reads, gap: false }));
      },
    },
    keys,
  );
  const answer = await raw("GET", "/v1/changes", { headers: { authorization: "Bearer reader" } });
  const places = (await answer.text()).match(/^id: \d+$/gmu);
  expect(places).toEqual(["id: 1", "id: 2", "id: 3"]);
  expect(reads).toBe(3);
});

test("a key that is not root's waits so shortly for changes that its end is noticed in time", async () => {
  const { raw, asked } = testEdge({
    changes: (_, after) =>
      Promise.resolve(
        after === 7 ? refuse("unavailable", "") : accept({ events: [], last: 7, gap: false }),
      ),
  });
  for (const key of ["bound", "root"]) {
    await (await raw("GET", "/v1/changes", { headers: { authorization: `Bearer ${key}` } })).text();
  }
  expect(asked.map(({ parameters }) => parameters[2])).toEqual([0, 4_000, 0, 20_000]);
});

test("changes tell a key of the topics that it reaches, and of keys only who manages them", async () => {
  const events: ChangeEvent[] = [
    { sequence: 1, at: 9, type: "topic.created", data: { topic: "a-1" } },
    { sequence: 2, at: 9, type: "group.created", data: { topic: "b", group: "g" } },
    { sequence: 3, at: 9, type: "producerGroup.updated", data: { producerGroup: "p" } },
    { sequence: 4, at: 9, type: "key.updated", data: { key: "k" } },
  ];
  const keys = {
    ...KEYS,
    reader: { ...MANAGER, scopes: ["consume"] as const },
  };
  const { raw } = testEdge(
    {
      changes: (_, after) =>
        Promise.resolve(
          after === 4 ? refuse("unavailable", "") : accept({ events, last: 4, gap: false }),
        ),
    },
    keys,
  );
  const heard = async (key: string): Promise<number[]> => {
    const headers = { authorization: `Bearer ${key}` };
    const text = await (await raw("GET", "/v1/changes", { headers })).text();
    return Array.from(text.matchAll(/^id: (\d+)$/gmu), ([, id]) => Number(id));
  };
  expect(await heard("root")).toEqual([1, 2, 3, 4]);
  expect(await heard("reader")).toEqual([1, 2, 3]);
  expect(await heard("bound")).toEqual([1, 3]);
});

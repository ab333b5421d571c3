/**
 * Every route of the server's own description against every kind of key that may not use it. What is refused leaves no
 * trace, and tells nothing of what it was asked about.
 */
import { expect } from "vitest";
import { allRefused, ask, someAtOnce } from "./bad-input/ask.ts";
import { type Route, requestTo, routesOf } from "./bad-input/document.ts";
import { type Stage, stageIn } from "./bad-input/stage.ts";
import type { Cases, Mq } from "./client.ts";
import { type Json, unique } from "./kit.ts";

const SCOPES = ["send", "transact", "consume", "manage"];

const keyOf = async (mq: Mq, settings: Json): Promise<string> =>
  String((await mq.ok("PUT", `/v1/keys/${unique("key")}`, settings))["key"]);

const closedRoutes = async (mq: Mq): Promise<readonly Route[]> =>
  (await routesOf(mq)).filter(({ scopes }) => scopes !== undefined);

const isId = ({ path }: Route): boolean => path.includes("{id}");

interface Wanted {
  readonly key: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks each route with the key, and expects this one refusal from all of them. */
function refusedEverywhere(stage: Stage, routes: readonly Route[], wanted: Wanted): Promise<void> {
  const { key, status, headers = {} } = wanted;
  const code = status === 401 ? "unauthenticated" : "forbidden";
  const wrongs = routes.map((route) => ({
    request: { ...requestTo(route, stage.at(route.path)), key, headers },
    status: [status],
    code,
  }));
  return allRefused(stage, wrongs);
}

export const authMatrix: Cases = {
  "every route but health refuses no key and every wrong key": async (mq) => {
    const stage = await stageIn(mq);
    const routes = await closedRoutes(mq);
    const made = await keyOf(stage.mq, { scopes: SCOPES });
    const wrong = ["", "wrong", `${mq.key}x`, mq.key.slice(0, -1), `${made}x`, made.slice(0, -1)];
    const basic = { authorization: `Basic ${btoa(`root:${mq.key}`)}` };
    for (const key of wrong) await refusedEverywhere(stage, routes, { key, status: 401 });
    await refusedEverywhere(stage, routes, { key: "", status: 401, headers: basic });
    const open = (await routesOf(mq)).filter(({ scopes }) => scopes === undefined);
    expect(open.map(({ method, path }) => `${method} ${path}`)).toEqual(["GET /v1/health"]);
  },

  "every route refuses a key whose scopes are none of its own": async (mq) => {
    const stage = await stageIn(mq);
    const routes = await closedRoutes(mq);
    const keys = new Map<string, string>();
    for (const scope of SCOPES) keys.set(scope, await keyOf(stage.mq, { scopes: [scope] }));
    for (const [scope, key] of keys) {
      const others = routes.filter(({ scopes }) => scopes?.includes(scope) === false);
      expect(others.length).toBeGreaterThan(5);
      await refusedEverywhere(stage, others, { key, status: 403 });
    }
  },

  "every route that names a topic or an id refuses a key that does not reach it": async (mq) => {
    const stage = await stageIn(mq);
    const key = await keyOf(stage.mq, { scopes: SCOPES, topics: ["elsewhere*"] });
    const bound = (await closedRoutes(mq)).filter(({ path }) => /\{(?:topic|id)\}/u.test(path));
    expect(bound.length).toBeGreaterThan(25);
    await refusedEverywhere(stage, bound, { key, status: 403 });
  },

  "no route lets a key into another namespace, or tells it what is there": async (mq) => {
    const stage = await stageIn(mq);
    const namespace = unique("ns");
    const foreign = mq.with(mq.key, { "halfmq-namespace": namespace });
    const key = await keyOf(foreign, { scopes: SCOPES });
    const routes = await closedRoutes(mq);
    const headers = { "halfmq-namespace": stage.namespace };
    await refusedEverywhere(stage, routes, { key, status: 403, headers });
    const before = await stage.picture();
    // Ids are counted in each namespace, so that what the others make may have the same ones.
    for (const some of [routes.filter(isId), routes.filter((route) => !isId(route))])
      await someAtOnce(some, async (route) => {
        const request = requestTo(route, stage.at(route.path));
        const own = { "halfmq-namespace": namespace };
        const { status, said, isRefused } = await ask(stage, { ...request, key, headers: own });
        if (isId(route)) expect(status, said).toBe(404);
        if (!isRefused) for (const body of ["leased", "waiting"]) expect(said).not.toContain(body);
      });
    expect(await stage.picture()).toEqual(before);
  },
};
